"""Columns that give away what is predicted, of any frame, for `hwds check-leakage`; readers of files refuse them before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hwds.datasets.reading.panel_leakage import leaking_columns
from hwds.datasets.reading.target_leakage import leaking_inputs, order_of_labels
from hwds.frames.panel import Panel
from hwds.frames.run_leakage import telling_sensors
from hwds.frames.runs import Runs
from hwds.frames.table import Table


def giveaways(frame: Any, trusted: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield a sentence for each column, and for an order of rows, that gives away what is predicted.

    Args:
        frame: A panel, a table with a label, or runs; others have none.
        trusted: Columns that are not looked at.
    """
    if isinstance(frame, Panel):
        for column, reason in leaking_columns(frame, trusted):
            yield f"column '{column}' gives the target away: {reason}"
    elif isinstance(frame, Runs):
        known = frame.learnable
        for column, reason in telling_sensors(known.data, known.ends, known.sensors, trusted):
            yield f"column '{column}' gives the remaining life away: {reason}"
    elif isinstance(frame, Table) and frame.roles.get("label"):
        label, time = frame.name("label"), frame.name("time")
        inputs = [name for name in frame.inputs if name not in trusted]
        for column, reason in leaking_inputs(frame.data, label, inputs):
            yield f"column '{column}' alone gives the label away: {reason}"
        reason = order_of_labels(frame.data, label, time) if time and time not in trusted else ""
        if reason:
            yield reason
