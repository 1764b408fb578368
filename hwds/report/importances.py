"""What scores are made of: how much each input, or all inputs of one subject, adds on the average, with the spread of seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from hwds.protocols.importances import INPUT, SHARE, SUBJECT
from hwds.report.grid import Grid, grid_of
from hwds.results.reason_headings import heading_of
from hwds.results.reasons import subject
from hwds.results.tables import Tables
from hwds.results.wording import counted

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
    """Those of a model, the largest first; empty where none were told."""
    told = tables.scores.filter(
        (pl.col("metric") == SHARE) & (pl.col("model") == model) & (pl.col("segment_by") == of) & pl.col("fold").is_null()
    )
    by_window: dict[str, list[float]] = {}
    for row in told.filter(pl.col("cutoff").is_not_null()).iter_rows(named=True):
        by_window.setdefault(row["segment"], []).append(row["value"])
    whole = told.filter(pl.col("cutoff").is_null()).sort("value", descending=True, maintain_order=True)
    return [
        Importance(row["segment"], row["value"], row["ci_low"], row["ci_high"], tuple(by_window.get(row["segment"], ())))
        for row in whole.iter_rows(named=True)
    ]


def importance_grid(tables: Tables, model: str) -> Grid:
    """Subjects in rows, the most important to the own model first; models in columns; no rows where nothing was told."""
    labels = tables.scores.filter(pl.col("metric") == SHARE)["model"].unique(maintain_order=True).to_list()
    found = {label: {each.name: each for each in importances(tables, label, SUBJECT)} for label in labels}
    own = list(found.get(model, {}).values())[:MOST]
    inputs = importances(tables, model, INPUT)
    others = [label for label in labels if label != model]
    titles = [("subject", "subject"), ("inputs, the most important first", ""), *((label, label) for label in (model, *others))]
    rows = [
        (heading_of(each.name), _named(each.name, inputs), *(_cell(found[label].get(each.name)) for label in (model, *others)))
        for each in own
    ]
    return grid_of(titles, rows, names=2, caption=caption_of(tables, model) if rows else "")


def caption_of(tables: Tables, model: str) -> str:
    """What the shares are of, and what their spread is."""
    told = tables.scores.filter(
        (pl.col("metric") == SHARE) & (pl.col("model") == model) & pl.col("cutoff").is_null() & pl.col("fold").is_null()
    )
    if told.is_empty():
        return ""
    method = told["ci_method"].drop_nulls()
    seeds = method[0].removeprefix("range of ") if len(method) else ""
    spread = f"in brackets the lowest and highest of {seeds} of the fit, where they differ" if seeds else "one fit a window"
    rows = counted(int(told["n"].max()), "rows")  # type: ignore[arg-type]
    return f"What scores are made of: share of the mean absolute contribution over {rows} drawn, %; {spread}"


def _named(name: str, inputs: Sequence[Importance]) -> str:
    own = [each.name for each in inputs if subject(each.name) == name]
    more = len(own) - NAMED
    return ", ".join([*own[:NAMED], *([f"{more} more"] if more > 0 else [])])


def _cell(found: Importance | None) -> str:
    """`12.3 (11.0 to 13.4)`; without brackets where seeds agree."""
    if found is None:
        return ""
    if found.low is None or found.high is None or found.low == found.high:
        return f"{100 * found.share:.1f}"
    return f"{100 * found.share:.1f} ({100 * found.low:.1f} to {100 * found.high:.1f})"
