"""Model card: what a model is for, made of, how good and where not; Markdown for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from hwds.core.errors import ConfigError, nearest
from hwds.core.yaml_text import read_yaml
from hwds.experiment.spec import Experiment
from hwds.results.folder import RunFolder
from hwds.results.tables import Tables

FIELDS = {
    "owner": "Who answers for the model.",
    "approver": "Who has approved its use.",
    "intended_use": "What its answers are for.",
    "out_of_scope": "What they must not be used for.",
    "limits": "Where it is known to be weak.",
    "contact": "Whom to write to.",
}
"""Fields that only people can fill in, a line each in the YAML of `--card`."""

FORGOTTEN = ("", "todo", "tbd", "n/a", "?")


def read_fields(path: Path | None) -> dict[str, str]:
    """Return the fields of a card's YAML; none without a file.

    Raises:
        ConfigError: It cannot be read, has another field, or one that is no text.
    """
    if path is None:
        return {}
    fields = read_mapping(path, "--card", [*FIELDS])
    for name, value in fields.items():
        if not isinstance(value, str):
            raise ConfigError(f"--card: {name}: must be a text, got {value!r}.")
    return {name: value.strip() for name, value in fields.items()}


def read_mapping(path: Path, option: str, names: Sequence[str]) -> dict[str, Any]:
    """Return the fields of a YAML that an option of the command line names.

    Args:
        path: The file.
        option: The option.
        names: Fields that it may have.

    Raises:
        ConfigError: It cannot be read, is no mapping, or has another field.
    """
    try:
        fields = read_yaml(path.read_text(encoding="utf-8"), path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{option}: {path} cannot be read: {' '.join(str(error).split())}.") from error
    if not isinstance(fields, dict):
        raise ConfigError(f"{option}: {path} must be a mapping of {', '.join(names)}.")
    for name in fields:
        if name not in names:
            raise ConfigError(f"{option}: no field '{name}'{nearest(str(name), names)}")
    return fields


def missing_fields(fields: Mapping[str, str]) -> list[str]:
    """Return the fields that are absent or say nothing."""
    return [name for name in FIELDS if fields.get(name, "").strip().lower() in FORGOTTEN]


def card_of(folder: RunFolder, experiment: Experiment, tables: Tables, fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the card of a run as plain values."""
    provenance, label = folder.read_provenance(), experiment.model.name
    dataset = {"name": experiment.dataset.name, "fingerprint": provenance.get("data")}
    verdict = folder.read_verdict()
    return {
        **{name: fields.get(name, "") for name in FIELDS},
        "model": label,
        "run": folder.title,
        "task": experiment.protocol.task,
        "protocol": experiment.protocol.name,
        "data": dataset,
        "code": provenance.get("code"),
        "made": provenance.get("when"),
        "versions": provenance.get("versions"),
        "metrics": metrics_of(tables, label),
        "slices": slices_of(tables, label, experiment.protocol.headline),
        "conclusion": folder.read_conclusion(),
        "remarks": folder.read_remarks(),
        "decision": None if verdict is None else {"action": verdict["action"], "sentence": verdict["sentence"]},
    }


def metrics_of(tables: Tables, label: str) -> list[dict[str, Any]]:
    """Return the totals of a model's metrics with their intervals."""
    whole = pl.all_horizontal(pl.col("fold", "step", "segment").is_null())
    rows = tables.scores.filter((pl.col("model") == label) & whole & pl.col("value").is_not_null())
    return rows.select("metric", "aggregate", "value", "ci_low", "ci_high", "n").to_dicts()


def slices_of(tables: Tables, label: str, headline: str) -> list[dict[str, Any]]:
    """Return the headline by segment."""
    known = tables.scores.filter((pl.col("model") == label) & pl.col("segment").is_not_null() & pl.col("fold").is_null())
    short = pl.col("metric").str.replace(r"\[.*\]$", "") == headline.partition("[")[0]
    rows = known.filter(short & pl.col("step").is_null() & pl.col("value").is_not_null())
    return rows.select("segment_by", "segment", "metric", "value", "ci_low", "ci_high", "n").to_dicts()


def markdown(card: Mapping[str, Any], parity: Mapping[str, Any], latency: Mapping[str, Any]) -> str:
    """Return the card for people."""
    said = {name: card[name] or "*not said*" for name in FIELDS}
    lines = [f"# {card['model']}", "", f"Run {card['run']}, task {card['task']}, protocol {card['protocol']}.", ""]
    for name in FIELDS:
        lines += [f"**{name.replace('_', ' ').capitalize()}**: {said[name]}", ""]
    lines += ["## Data", "", f"{card['data']['name']}, fingerprint `{card['data']['fingerprint']}`.", ""]
    lines += ["## Performance", "", card["conclusion"], "", *_table(card["metrics"], ("metric", "aggregate"))]
    if card["slices"]:
        lines += ["", "## Slices", "", *_table(card["slices"], ("segment_by", "segment", "metric"))]
    if card["decision"]:
        lines += ["", "## Decision", "", f"{card['decision']['action']}: {card['decision']['sentence']}"]
    lines += ["", "## Remarks", "", *(f"- {remark}" for remark in card["remarks"])]
    lines += ["", "## Proof in a fresh process", "", *(f"- {name}: {value}" for name, value in parity.items())]
    lines += ["", "## Latency", "", *(f"- {name}: {value}" for name, value in latency.items())]
    return "\n".join(lines) + "\n"


def _table(rows: list[dict[str, Any]], names: tuple[str, ...]) -> list[str]:
    shown = [*names, "value", "95 %", "n"]
    lines = [f"| {' | '.join(shown)} |", f"|{'---|' * len(shown)}"]
    for row in rows:
        known = row["ci_low"] is not None
        interval = f"{row['ci_low']:.4g} to {row['ci_high']:.4g}" if known else ""
        cells = [*(str(row[name]) for name in names), f"{row['value']:.4g}", interval, f"{row['n'] or ''}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines
