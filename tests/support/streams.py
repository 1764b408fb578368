"""Streams of a few lines, and what they have written."""

import json

from hwds.sensors.models.base import SensorContext
from hwds.sensors.models.pca import PCA
from hwds.serve.stream.machines import StreamRules
from hwds.serve.stream.shard import FILES, FollowedModel, Shard
from hwds.serve.stream.sources import JsonLines
from tests.support.sensor_runs import ROLES, sensor_runs

RULES = StreamRules(scores=True)
FIRST = 80
"""The reference of each machine."""


def laid(folder, lines):
    """A source of lines."""
    folder.mkdir(exist_ok=True)
    (folder / "readings.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return JsonLines(folder / "readings.jsonl")


class Slowly:
    """A source that calls something after each of its first batches before it goes on."""

    ends = True

    def __init__(self, source, between):
        self.name, self._source, self._between = source.name, source, between

    def batches(self, position, most, stop):
        between = iter(self._between)
        for batch in self._source.batches(position, most, stop):
            yield batch
            next(between, lambda: None)()


def followed_machines():
    """A model of sensors that five machines were learned from, and their readings as lines, second
    after second.
    """
    runs = sensor_runs(rows=150)
    followed = FollowedModel(
        PCA().fit(runs, context=SensorContext(0, first=FIRST)), ("machine",), "second", 2
    )
    rows = runs.data.sort("cycle", maintain_order=True).rename(
        {"entity": "machine", "cycle": "second"}
    )
    return (
        runs,
        followed,
        [json.dumps(row) for row in rows.select("machine", "second", *ROLES["sensor"]).to_dicts()],
    )


def told(folder, name):
    path = folder / FILES[name]
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def scores(folder):
    return {(row["machine"], row["cycle"]): row["score"] for row in told(folder, "scores")}


def streamed(folder, followed, lines, rules=RULES, sinks=()):
    with Shard(followed, folder, rules, sinks, patience=0.0) as shard:
        shard.run(laid(folder, lines))
        return dict(shard.state.totals)


def messages(folder):
    """What was said of each machine, which does not depend on what was scored together."""
    plain = [
        {key: value for key, value in row.items() if key != "number"}
        for row in told(folder, "alerts")
    ]
    return sorted(plain, key=lambda row: (row["machine"], row["cycle"]))
