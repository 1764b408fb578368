"""A table of kinds: how often each is flagged and named rightly, and what it is taken for."""

from __future__ import annotations

import numpy as np

from hwds.inspection.report.confusion import confusion
from hwds.inspection.report.judged import judged_images, kinds_of, names_kinds
from hwds.report.grid import Grid, grid_of
from hwds.results.tables import Tables


def by_kind_grid(tables: Tables, model: str) -> Grid:
    """Return a row for each kind of images that were judged."""
    titles = [("kind", "kind"), ("images", "n"), ("flagged at the budget", "recall"), ("95 %", "95 %")]
    titles += [("named rightly", "right"), ("else mostly taken for", "else")]
    rows = judged_images(tables, model)
    if rows.is_empty():
        return grid_of(titles, [])
    kinds = kinds_of(rows)
    counts = confusion(rows) if names_kinds(rows) else None
    cells = []
    for place, kind in enumerate(kinds):
        images = int((rows["actual"] == kind).sum())
        if images:
            score = tables.headline(f"recall_of_{kind}", model) if place else {}
            cells.append([kind, f"{images:,}", _share(score.get("value")), _interval(score), *_named(counts, kinds, place)])
    return grid_of(titles, cells, words=1)


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def _interval(score: dict[str, float]) -> str:
    low, high = score.get("ci_low"), score.get("ci_high")
    return "" if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f}"


def _named(counts: np.ndarray | None, kinds: list[str], place: int) -> list[str]:
    if counts is None:
        return ["", ""]
    row = counts[place].copy()
    right, total = int(row[place]), int(row.sum())
    row[place] = 0
    other = int(row.argmax())
    return [_share(right / total), f"{kinds[other]} ({100 * row[other] / total:.1f} %)" if row[other] else ""]
