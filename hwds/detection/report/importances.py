"""Importances: the mean contribution of each input, or of all inputs of one subject, to scores, with the spread over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from hwds.detection.protocols.rows.importances import INPUT, SHARE, SUBJECT
from hwds.detection.reasons.headings import heading_of
from hwds.detection.reasons.sentences import subject
from hwds.report.grid import Grid, grid_of
from hwds.results.formatting import counted
from hwds.results.tables import Tables

MOST = 15
"""Rows of the table; the others are in the scores."""

NAMED = 3
"""Inputs that are named beside a subject."""


@dataclass(frozen=True, slots=True)
class Importance:
    """The share of an input, or of a subject, in what the scores of a model are made of.

    Attributes:
        name: Of the input or the subject.
        share: Of the sum over all, the mean over windows and seeds.
        low, high: The lowest and the highest of the seeds; None of one seed.
        windows: The share in each window, where there are several.
    """

    name: str
    share: float
    low: float | None
    high: float | None
    windows: tuple[float, ...]


def importances(tables: Tables, model: str, of: str) -> list[Importance]:
    """Return the importances of a model, the largest first; empty where none were computed."""
    rows = tables.scores.filter(
        (pl.col("metric") == SHARE) & (pl.col("model") == model) & (pl.col("segment_by") == of) & pl.col("fold").is_null()
    )
    by_window: dict[str, list[float]] = {}
    for row in rows.filter(pl.col("cutoff").is_not_null()).iter_rows(named=True):
        by_window.setdefault(row["segment"], []).append(row["value"])
    whole = rows.filter(pl.col("cutoff").is_null()).sort("value", descending=True, maintain_order=True)
    return [
        Importance(row["segment"], row["value"], row["ci_low"], row["ci_high"], tuple(by_window.get(row["segment"], ())))
        for row in whole.iter_rows(named=True)
    ]


def importance_grid(tables: Tables, model: str) -> Grid:
    """Return subjects in rows, the most important to the experiment's own model first, and models in columns."""
    labels = tables.scores.filter(pl.col("metric") == SHARE)["model"].unique(maintain_order=True).to_list()
    by_model = {label: {each.name: each for each in importances(tables, label, SUBJECT)} for label in labels}
    subjects = list(by_model.get(model, {}).values())[:MOST]
    inputs = importances(tables, model, INPUT)
    others = [label for label in labels if label != model]
    titles = [("subject", "subject"), ("inputs, the most important first", ""), *((label, label) for label in (model, *others))]
    rows = [
        (
            heading_of(each.name),
            _named(each.name, inputs),
            *(_cell(by_model[label].get(each.name)) for label in (model, *others)),
        )
        for each in subjects
    ]
    return grid_of(titles, rows, names=2, caption=caption_of(tables, model) if rows else "")


def caption_of(tables: Tables, model: str) -> str:
    """Return a sentence on the rows that shares are taken over, and on their spread."""
    shares = tables.scores.filter(
        (pl.col("metric") == SHARE) & (pl.col("model") == model) & pl.col("cutoff").is_null() & pl.col("fold").is_null()
    )
    if shares.is_empty():
        return ""
    method = shares["ci_method"].drop_nulls()
    seeds = method[0].removeprefix("range of ") if len(method) else ""
    spread = f"in brackets the lowest and highest of {seeds} of the fit, where they differ" if seeds else "one fit a window"
    rows = counted(int(shares["n"].max()), "rows")  # type: ignore[arg-type]
    return f"What scores are made of: share of the mean absolute contribution over {rows} drawn, %; {spread}"


def _named(name: str, inputs: Sequence[Importance]) -> str:
    names = [each.name for each in inputs if subject(each.name) == name]
    more = len(names) - NAMED
    return ", ".join([*names[:NAMED], *([f"{more} more"] if more > 0 else [])])


def _cell(importance: Importance | None) -> str:
    """Return a share with its range, `12.3 (11.0 to 13.4)`; without brackets where seeds agree."""
    if importance is None:
        return ""
    if importance.low is None or importance.high is None or importance.low == importance.high:
        return f"{100 * importance.share:.1f}"
    return f"{100 * importance.share:.1f} ({100 * importance.low:.1f} to {100 * importance.high:.1f})"
