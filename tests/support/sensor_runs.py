"""Runs of a few sensors with one anomaly each, made in a moment."""

import numpy as np
import polars as pl

from hwds.frames.runs import Runs

ROLES = {
    "entity": "machine",
    "cycle": "second",
    "sensor": ("heat", "noise", "flow"),
    "event": "failed",
    "label": "ill",
}


def sensor_table(machines=5, rows=150, ill=(100, 125), seed=0):
    """A row a second of each machine.

    The flow of all but the last falls for a while, and heat wanders.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for number in range(machines):
        label = np.zeros(rows)
        label[ill[0] : ill[1]] = number < machines - 1
        heat = 20 + number + np.cumsum(rng.normal(0, 0.05, rows)) + rng.normal(0, 0.2, rows)
        flow = 5 * number + rng.normal(0, 1, rows) - 6 * label
        names = {"machine": [f"m{number}"] * rows, "second": np.arange(1.0, rows + 1)}
        columns = {
            "heat": heat,
            "noise": rng.normal(0, 1, rows),
            "flow": flow,
            "failed": np.zeros(rows),
            "ill": label,
        }
        parts.append(pl.DataFrame(names | columns))
    return pl.concat(parts)


def sensor_runs(**changes):
    """The same as runs."""
    return Runs.build(sensor_table(**changes), ROLES, unit="seconds")
