"""Facts: what a folder of outputs says of itself, as flat names and plain values to list, filter and sort by."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hwds.metrics.base import short
from hwds.results.labels import FILE as LABELS
from hwds.results.labels import Labels
from hwds.results.run_config import CONFIG, config_of
from hwds.results.totals import DAMAGE, Totals

Value = str | float | None
Facts = dict[str, Value]

FILES = (CONFIG, "scores.parquet", "metrics.parquet", "provenance.json", "sweep.json", LABELS)
"""All that facts are read from."""


def facts_of(kind: str, folder: Path, totals: Totals | None = None) -> tuple[Facts, dict[str, str]]:
    """The facts of a folder, and which way is good (`low`, `high`) for each that is a metric.

    Args:
        kind: `run` or `sweep`.
        folder: Whose last two names are the experiment and the id. A damaged one has the status `broken` and a `reason`.
        totals: Of a run that is finished.
    """
    found: Facts = {"kind": kind, "run": f"{folder.parent.name}/{folder.name}", "experiment": folder.parent.name}
    better: dict[str, str] = {}
    try:
        found |= _run(folder, totals, better) if kind == "run" else _sweep(folder, better)
        labels = Labels.read(folder)
        found |= {"tags": " ".join(labels.tags), "note": labels.note}
    except DAMAGE as error:
        said = " ".join(str(error).split()) or type(error).__name__
        found |= {"status": "broken", "reason": said if len(said) < 120 else f"{said[:117]}..."}
    return found | _moment(folder), better


def _moment(folder: Path) -> Facts:
    """When its results, or else its config were written."""
    known = (f"{folder}/{name}" for name in ("scores.parquet", "sweep.json", CONFIG))
    last = next((os.stat(path).st_mtime for path in known if os.path.exists(path)), folder.stat().st_mtime)
    return {"modified": last, "when": datetime.fromtimestamp(last, UTC).strftime("%Y-%m-%d %H:%M")}


def _run(folder: Path, totals: Totals | None, better: dict[str, str]) -> Facts:
    config = config_of(folder / CONFIG)
    found: Facts = dict(flat({key: value for key, value in config.items() if key != "experiment"}))
    origin = folder / "provenance.json"
    if origin.is_file():
        found |= _origin(json.loads(origin.read_text(encoding="utf-8")))
    found["status"] = "unfinished" if totals is None else "finished"
    if totals is not None:
        if totals.error:
            raise ValueError(totals.error)
        found |= _scores(totals, str(config["model"]["name"]), str(config["protocol"].get("headline", "")), better)
    return found


def _origin(origin: Mapping[str, Any]) -> Facts:
    git = origin.get("git") or {}
    joined = "; ".join(map(str, origin.get("joined", {}).values())) or None
    found: Facts = {name: str(origin[name]) for name in ("data", "code", "device") if name in origin}
    return found | {"commit": git.get("commit"), "joined": joined}


def _scores(totals: Totals, model: str, headline: str, better: dict[str, str]) -> Facts:
    """The totals of the own model, each metric by its full and its short name; the headline as `metric` and `score`."""
    found: Facts = {"failed": totals.failed.get(model, 0)}
    for metric, (value, error) in totals.scores.get(model, {}).items():
        side = totals.better.get(metric, "low")
        for name in dict.fromkeys((metric, short(metric))):
            if name not in found:
                found[name], better[name] = value, side
        if headline in (metric, short(metric)) and "score" not in found:
            found |= {"metric": metric, "score": value, "stderr": error}
            better["score"] = side
    return found


def _sweep(folder: Path, better: dict[str, str]) -> Facts:
    said = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
    found: Facts = dict(flat({"sweep": said["sweep"], **said["config"]}))
    best = said.get("best") or {}
    better["score"] = said["better"]
    found |= {"status": "finished" if best else "unfinished", "metric": said["metric"], "score": best.get("final")}
    found |= {"inner": best.get("inner"), "trials": said.get("trials")}
    return found | {"final_run": said.get("run"), "own_run": said.get("own_run") or None}


def flat(node: Any, path: str = "") -> Iterator[tuple[str, Value]]:
    """A config as dotted paths and plain values; an option stands under its group (`model`), as it is chosen.

    Lists are one text; those of options are the options' names.
    """
    if not isinstance(node, Mapping):
        yield path, _plain(node)
        return
    for key, value in node.items():
        below = path if key == "name" and path else f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping):
            yield from flat(value, below)
        else:
            yield below, _plain(value)


def _plain(value: Any) -> Value:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return float(value)
    return ", ".join(_item(item) for item in value)


def _item(item: Any) -> str:
    if isinstance(item, Mapping):
        return str(item["name"]) if "name" in item else json.dumps(item, ensure_ascii=False, default=str)
    return exact(item) if isinstance(item, float) else str(item)


def exact(value: float) -> str:
    """A number with all its digits, whole ones without a point: a setting is to be read back as it was."""
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
