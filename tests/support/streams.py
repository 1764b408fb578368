"""Streams of a few lines, and what they have written."""

import json

from hwds.serving.stream.rules import StreamRules
from hwds.serving.stream.shard import FILES, Shard
from hwds.serving.stream.sources.lines import JsonLines

RULES = StreamRules(scores=True)


def laid(folder, lines):
    """A source of lines."""
    folder.mkdir(exist_ok=True)
    (folder / "readings.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return JsonLines(folder / "readings.jsonl")


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
    plain = [{key: value for key, value in row.items() if key != "number"} for row in told(folder, "alerts")]
    return sorted(plain, key=lambda row: (row["machine"], row["cycle"]))
