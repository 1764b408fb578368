"""Runs and sweeps of a query as columns: facts of every run, and the settings and metrics that differ among these."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from threading import Lock, Thread
from typing import Any

import polars as pl

from hwds.core.errors import HwdsError
from hwds.results.runs.fields import Value
from hwds.results.runs.index import RunIndex
from hwds.results.runs.progress import as_it_stands
from hwds.results.runs.query import matching, ordered, parsed_condition

FACTS = {
    "run": ("run", "status", "model", "dataset", "seed", "metric", "score", "stderr", "when", "tags", "note", "name"),
    "sweep": ("run", "status", "model", "sweep", "metric", "score", "inner", "trials", "when", "tags", "note", "name"),
}
"""The facts of every run and every sweep: their columns are always there."""

STANDING = (
    "status", "reason", "progress", "progress.done", "progress.total", "progress.learning", "progress.memory"
)  # fmt: skip
"""The facts of what is being computed, or is damaged."""

HIDDEN = (
    "kind",
    "experiment",
    "modified",
    "reason",
    "data",
    "code",
    "commit",
    "device",
    "joined",
    "failed",
    "final_run",
    "own_run",
)
"""Fields that are no settings."""

READ = ("run", "name", "model", "dataset", "protocol", "tags", "note")
"""Facts that a bare word is looked for in."""

SHOWN = 10
"""The most settings that have a column unless more are chosen."""

FRESH = 1.0
"""Seconds for which an index is taken as it is; an older one is renewed beside the answer."""

SHARE = 5
"""An index is renewed when it is so many times as old as reading it took."""

PATIENCE = 60.0
"""Seconds after which an answer waits for a new index."""


class Watched:
    """The index of all runs, renewed beside the answers, so that none waits for thousands of folders."""

    def __init__(self) -> None:
        self._lock, self._read, self._took = Lock(), 0.0, 0.0
        self._index: RunIndex | None = None
        self._renewing: Thread | None = None

    def index(self, *, fresh: bool = False) -> RunIndex:
        """Return the index, not older than `PATIENCE`.

        Args:
            fresh: Whether it is read now, for what was changed a moment ago.
        """
        age = time.monotonic() - self._read
        if fresh or self._index is None or age > PATIENCE:
            return self._renew()
        if age > max(FRESH, SHARE * self._took) and (self._renewing is None or not self._renewing.is_alive()):
            self._renewing = Thread(target=self._renew, daemon=True)
            self._renewing.start()
        return self._index

    def _renew(self) -> RunIndex:
        with self._lock:
            began = time.monotonic()
            new = RunIndex.of()
            if self._index is None or new.signatures != self._index.signatures:  # else the one whose columns are cut already
                new.column("run")
                self._index = new
            self._read, self._took = time.monotonic(), time.monotonic() - began
            return self._index


def table_data(index: RunIndex, kind: str, query: str, asked: Sequence[str] = (), only: Sequence[str] = ()) -> dict[str, Any]:
    """Return the runs of a query as columns; `error` is the refusal of a wrong query.

    Args:
        index: Of all runs.
        kind: `run` or `sweep`.
        query: Conditions and words.
        asked: The chosen further fields that have a column.
        only: The runs to take instead of a query; all settings in which they differ have a column.
    """
    every = [path for path in index.paths if path.startswith(f"{kind}s/")]
    content: dict[str, Any] = {"error": "", "all": len(every), "found": 0, "columns": [], "known": [], "rows": {}}
    try:
        found = [path for path in only if path in set(every)] if only else matches(index, kind, shlex.split(query))
    except (HwdsError, ValueError) as error:
        return content | {"error": str(error)}
    fields = _differing(index, found, whole=len(found) == len(every))
    shown = list(fields["settings"]) if only else fields["settings"][:SHOWN]
    names = list(dict.fromkeys([*FACTS[kind], *shown, *(name for name in asked if name in index.names)]))
    rows = _columns(index, found, [*names, "reason"])
    rows |= _standing(index, found, rows["status"])
    columns = [_column(index, name, fact=name in FACTS[kind]) for name in names]
    running = "running" in rows["status"]
    known = [_column(index, name, fact=False) for name in (*fields["settings"], *fields["metrics"])]
    return content | {
        "found": len(found),
        "columns": columns,
        "known": known,
        "running": running,
        "rows": {"path": found} | rows,
    }


def matches(index: RunIndex, kind: str, words: Sequence[str]) -> list[str]:
    """Return the runs that meet all words, the newest first; a bare word may occur in any field of `READ`.

    Raises:
        ConfigError: A word names no field.
    """
    conditions = {word: parsed_condition(index, word) for word in words}
    paths = matching(index, [word for word, condition in conditions.items() if condition], kind)
    for word in (word for word, condition in conditions.items() if not condition):
        columns = [index.column(name) for name in READ]
        paths = [path for path in paths if any(word.lower() in str(column.get(path, "")).lower() for column in columns)]
    return ordered(index, paths, "-modified") if paths else []


def _differing(index: RunIndex, paths: Sequence[str], *, whole: bool) -> dict[str, list[str]]:
    """Return the settings in which runs differ, those of models first that most runs have, and all metrics that they have."""
    kind = paths[0].partition("/")[0] if paths else ""
    table = index.table.filter(pl.col("name") != "")
    table = table.filter(pl.col("path").str.starts_with(f"{kind}/") if whole else pl.col("path").is_in(list(paths)))
    values = table.group_by("name").agg(
        pl.col("number").drop_nulls().n_unique().alias("numbers"),
        pl.col("text").drop_nulls().n_unique().alias("texts"),
        pl.len().alias("count"),
        pl.col("better").is_not_null().any().alias("metric"),
    )
    distinct, absent = pl.col("numbers") + pl.col("texts"), pl.col("count") < len(paths)
    values = values.with_columns(pl.col("name").str.starts_with("model.").alias("own"), (distinct > 1).alias("several"))
    order = ["several", "own", "count"]
    settings = values.filter(~pl.col("metric"), pl.col("several") | absent).sort(
        [*order, "name"], descending=[True] * len(order) + [False]
    )
    facts = {*FACTS["run"], *FACTS["sweep"], *HIDDEN}
    metrics = values.filter(pl.col("metric") & ~pl.col("name").str.contains("[", literal=True)).sort("name")["name"]
    return {
        "settings": [name for name in settings["name"] if name not in facts and not name.endswith(".recipe")],
        "metrics": [name for name in metrics if name not in facts],
    }


def _columns(index: RunIndex, paths: Sequence[str], names: Sequence[str]) -> dict[str, list[Value]]:
    """Return some fields of runs, None where one has none."""
    return {name: list(map(index.column(name).get, paths)) for name in names}


def _standing(index: RunIndex, paths: Sequence[str], status: Sequence[Value]) -> Mapping[str, list[Value]]:
    """Return the facts of `STANDING` as they are now."""
    unfinished = [path for path, state in zip(paths, status, strict=True) if state == "unfinished"]
    now = as_it_stands(index, unfinished)
    columns: dict[str, list[Value]] = {"status": list(status)}
    for name in STANDING if unfinished else ():
        before = columns.get(name, [None] * len(paths))
        columns[name] = [now[path].get(name) if path in now else old for path, old in zip(paths, before, strict=True)]
    return columns


def _column(index: RunIndex, name: str, *, fact: bool) -> dict[str, Any]:
    return {"name": name, "better": index.better(name), "fact": fact}
