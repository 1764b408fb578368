"""The fields of a run or a sweep: flat names and plain values to list, filter and sort by."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hwds.core.checksums.files import read_json
from hwds.core.moved import current_paths
from hwds.core.settings import flatten
from hwds.results.files import moment_of
from hwds.results.labels import FILE as LABELS
from hwds.results.labels import Labels
from hwds.results.measure import short
from hwds.results.runs.config import CONFIG, config_of
from hwds.results.score_totals import DAMAGE, Totals

Value = str | float | None
RunFields = dict[str, Value]

FILES = (CONFIG, "scores.parquet", "metrics.parquet", "provenance.json", "sweep.json", LABELS)
"""The files that fields are read from."""


def fields_of(kind: str, folder: Path, totals: Totals | None = None) -> tuple[RunFields, dict[str, str]]:
    """Return the fields of a folder, and for each metric among them whether `low` or `high` is good.

    Args:
        kind: `run` or `sweep`.
        folder: The folder `<experiment>/<id>`. A damaged one has the status `broken` and a `reason`.
        totals: The totals of a finished run.
    """
    fields: RunFields = {"kind": kind, "run": f"{folder.parent.name}/{folder.name}", "experiment": folder.parent.name}
    fields |= _moment(folder, {})
    better: dict[str, str] = {}
    try:
        fields |= _run(folder, totals, better) if kind == "run" else _sweep(folder, better)
        labels = Labels.read(folder)
        fields |= {"tags": " ".join(labels.tags), "note": labels.note} | ({"name": labels.name} if labels.name else {})
    except DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        fields |= {"status": "broken", "reason": reason if len(reason) < 120 else f"{reason[:117]}..."}
    return fields, better


def _moment(folder: Path, recorded: Mapping[str, Any]) -> RunFields:
    """Return when it last ran."""
    last = moment_of(folder, recorded)
    return {"modified": last, "when": datetime.fromtimestamp(last, UTC).strftime("%Y-%m-%d %H:%M")}


def _run(folder: Path, totals: Totals | None, better: dict[str, str]) -> RunFields:
    config = config_of(folder / CONFIG)
    fields: RunFields = dict(flat({key: value for key, value in config.items() if key not in ("experiment", "tags", "note")}))
    origin = folder / "provenance.json"
    if origin.is_file():
        recorded = read_json(origin)
        fields |= _origin(recorded) | _moment(folder, recorded)
    fields["status"] = "unfinished" if totals is None else "finished"
    if totals is not None:
        if totals.error:
            raise ValueError(totals.error)
        fields |= _scores(totals, str(config["model"]["name"]), str(config["protocol"].get("headline", "")), better)
        if fields["failed"] and fields.get("score") is None:
            fields["status"] = "failed"
    return fields


def _origin(origin: Mapping[str, Any]) -> RunFields:
    git = origin.get("git") or {}
    joined = "; ".join(map(str, origin.get("joined", {}).values())) or None
    fields: RunFields = {name: str(origin[name]) for name in ("data", "code", "device") if name in origin}
    return fields | {"commit": git.get("commit"), "joined": joined}


def _scores(totals: Totals, model: str, headline: str, better: dict[str, str]) -> RunFields:
    """Return the totals of the run's model, each metric by its full and short name; the headline as `metric` and `score`."""
    fields: RunFields = {"failed": totals.failed.get(model, 0)}
    for metric, (value, error) in totals.scores.get(model, {}).items():
        side = totals.better.get(metric, "low")
        for name in dict.fromkeys((metric, short(metric))):
            if name not in fields:
                fields[name], better[name] = value, side
        if headline in (metric, short(metric)) and "score" not in fields:
            fields |= {"metric": metric, "score": value, "stderr": error}
            better["score"] = side
    return fields


def _sweep(folder: Path, better: dict[str, str]) -> RunFields:
    sweep = current_paths(read_json(folder / "sweep.json"))
    fields: RunFields = dict(flat({"sweep": sweep["sweep"], **sweep["config"]}))
    best = sweep.get("best") or {}
    better["score"] = sweep["better"]
    fields |= {"status": "finished" if best else "unfinished", "metric": sweep["metric"], "score": best.get("final")}
    fields |= _moment(folder, sweep)
    fields |= {"inner": best.get("inner"), "trials": sweep.get("trials")}
    return fields | {"final_run": sweep.get("run"), "own_run": sweep.get("own_run") or None}


def flat(settings: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    """Yield a config as dotted paths and plain values; the name of an option stands under its group (`model`).

    Lists become one text; a list of options becomes the options' names.
    """
    for path, value in flatten(settings):
        if not isinstance(value, Mapping):  # an empty one
            yield path.removesuffix(".name"), _plain(value)


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
    """Return a number with all its digits, integers without a point, so that a setting is read back exactly."""
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
