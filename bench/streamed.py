"""Readings for a stream, and what must be said of them: machines with faults, lines in disorder,
scores and alerts.
"""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from hwds.frames.roles import Roles
from hwds.frames.runs import Runs
from hwds.sensors.models.base import SensorContext
from hwds.sensors.models.pca import PCA
from hwds.serve.stream.machines import StreamRules
from hwds.serve.stream.shard import FollowedModel, Shard
from hwds.serve.stream.sources import Batch, JsonLines

SENSORS = ("heat", "flow", "noise")
MACHINES, FIRST, LATE = 8, 60, 10
RUBBISH = "no reading"


@dataclass(frozen=True)
class World:
    """Machines, their readings as they are sent, and what must be said of them.

    Attributes:
        followed: The model.
        sent: Lines in the order in which they are sent.
        readings: How many there are, each counted once.
        scores: By machine and cycle, those of the batch.
        alerts: The ids of all messages.
    """

    followed: FollowedModel
    sent: list[str]
    readings: int
    scores: dict[tuple[str, float], float]
    alerts: list[str]


RULES = StreamRules(late=LATE, scores=True, batch=100, snapshot_after=500, remember=2_000)


def world(cycles: int, folder: Path) -> World:
    """Return machines of which most have faults.

    Readings come in disorder, a tenth twice, a hundredth is rubbish.
    """
    rng = np.random.default_rng(7)
    ill = (np.arange(cycles) // 40 % 3 == 2) & (np.arange(cycles) > 2 * FIRST)
    parts = []
    for number in range(MACHINES):
        values = rng.normal(size=(cycles, 3))
        values[:, 1] -= 6 * ill * (number % 4 > 0)
        columns = {name: values[:, place].round(4) for place, name in enumerate(SENSORS)}
        parts.append(
            pl.DataFrame(
                {"entity": [f"m{number}"] * cycles, "cycle": np.arange(1.0, cycles + 1), **columns}
            )
        )
    table = pl.concat(parts)
    runs = Runs.build(table, Roles(entity="entity", cycle="cycle", sensor=SENSORS))
    followed = FollowedModel(
        PCA().fit(runs.until(np.full(runs.n, 2 * FIRST)), context=SensorContext(0, first=FIRST))
    )
    keys = zip(
        runs.data["entity"],
        runs.cycles.tolist(),
        followed.fitted.predict(runs).score.tolist(),
        strict=True,
    )
    scores = {(name, cycle): score for name, cycle, score in keys if cycle > FIRST}
    ordered = [json.dumps(row) for row in table.sort("cycle", maintain_order=True).to_dicts()]
    with Shard(followed, folder / "plain", RULES) as shard:
        (folder / "plain.jsonl").write_text("\n".join(ordered))
        shard.run(JsonLines(folder / "plain.jsonl"))
    alerts = [
        json.loads(line)["id"]
        for line in (folder / "plain" / "alerts.jsonl").read_text().splitlines()
    ]
    return World(followed, disordered(ordered), len(ordered), scores, sorted(alerts))


def disordered(lines: Sequence[str]) -> list[str]:
    """Return lines with each moved by less than half of what may be late, some of them twice, and
    rubbish between them.
    """
    rng, most = random.Random(1), LATE * MACHINES / 2
    placed = [(place + rng.uniform(0, most), line) for place, line in enumerate(lines)]
    placed += [
        (place + rng.uniform(0, 20 * most), line)
        for place, line in enumerate(lines)
        if rng.random() < 0.1
    ]
    placed += [
        (rng.uniform(0, len(lines)), f"{RUBBISH} {number}") for number in range(len(lines) // 100)
    ]
    return [line for _, line in sorted(placed)]


class Until:
    """A source that ends when so many readings of a stream have counted.

    Args:
        source: The source.
        shard: The stream.
        readings: How many.
    """

    ends = True

    def __init__(self, source: Any, shard: Shard, readings: int) -> None:
        self.name, self._source, self._shard, self._readings = source.name, source, shard, readings

    def batches(self, position: Any, most: int, stop: threading.Event) -> Iterator[Batch]:
        """Yield the source's batches."""
        for batch in self._source.batches(position, most, stop):
            yield batch
            if self._shard.state.totals["readings"] >= self._readings:
                return

    def close(self) -> None:
        """Let it go."""
        self._source.close()


def verdict(made: World, store: Path) -> list[str]:
    """Return what is not as it must be."""
    wrong = []
    rows = [json.loads(line) for line in (store / "scores.jsonl").read_text().splitlines()]
    times = Counter((row["machine"], row["cycle"]) for row in rows)
    if lost := len(made.scores.keys() - times.keys()):
        wrong.append(f"{lost} readings were lost")
    if twice := sum(count > 1 for count in times.values()):
        wrong.append(f"{twice} readings were scored twice")
    if other := sum(
        made.scores.get((row["machine"], row["cycle"])) != row["score"] for row in rows
    ):
        wrong.append(f"{other} scores have other bits than the batch's")
    alerts = [json.loads(line) for line in (store / "alerts.jsonl").read_text().splitlines()]
    ids = sorted(row["id"] for row in alerts)
    if len(set(ids)) < len(ids) or [row["number"] for row in alerts] != list(
        range(1, len(alerts) + 1)
    ):
        wrong.append("an alert came twice")
    if ids != made.alerts:
        wrong.append(f"{len(set(made.alerts) ^ set(ids))} alerts are others")
    dead = [json.loads(line)["line"] for line in (store / "dead.jsonl").read_text().splitlines()]
    rubbish = {line for line in made.sent if line.startswith(RUBBISH)}
    if set(dead) != rubbish:
        wrong.append(f"{len(rubbish ^ set(dead))} dead letters are others")
    return wrong
