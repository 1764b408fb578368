"""The tables of a test's parts: effects by segment, on exposed and on all units, and by days since first exposure."""

from __future__ import annotations

from typing import Any

import polars as pl

from hwds.ab.protocols.analysis.rows import parted
from hwds.ab.report.scores import called, final_scores, level_of, unit_of
from hwds.ab.report.tables import evidence_words
from hwds.report.grid import Grid, grid_of
from hwds.results.formatting import chance, fixed, places_of
from hwds.results.tables import Tables


def segments_grid(tables: Tables, model: str) -> Grid:
    """Return the effect of each arm in each segment; empty where none are compared."""
    rows = _rows(tables, model, "segment_effect")
    titles = ("outcome", "arm", "segment", "units", "effect", f"{level_of(tables)} interval", "p, corrected")
    lines = [[*_names(tables, row), f"{row['n']:,}", *_numbers(tables, row)] for row in rows]
    caption = "Effects by segment; p-values are corrected for all arms and segments of an outcome."
    return grid_of([(title, title) for title in titles], lines, names=3, caption=caption if lines else "")


def ages_grid(tables: Tables, model: str) -> Grid:
    """Return the effect of each arm in each day since a unit's first event; empty where rows are no events."""
    rows = [row for row in _rows(tables, model, "effect_by_age") if row["ci_low"] is not None]
    titles = ("outcome", "arm", "day", "units", "effect", f"{level_of(tables)} interval", "p")
    lines = [[*_names(tables, row)[:2], str(row["step"]), f"{row['n']:,}", *_numbers(tables, row)] for row in rows]
    caption = "Effects by days since a unit's first event; each interval holds for its day alone."
    return grid_of([(title, title) for title in titles], lines, names=3, caption=caption if lines else "")


def parts_words(tables: Tables, model: str) -> list[str]:
    """Return the notes on segments, on exposure and on novelty, a sentence each."""
    spread = [_differ(tables, row) for row in _rows(tables, model, "segment_spread")]
    diluted = [_of_all(tables, row) for row in _rows(tables, model, "diluted_effect") if row["value"] is not None]
    novelty = [_change(tables, row) for row in _rows(tables, model, "novelty") if row["ci_low"] is not None]
    return [*spread, *diluted, *novelty]


def _differ(tables: Tables, row: dict[str, Any]) -> str:
    label, column = _parted(row["metric"])
    sure = row["p_value"] is not None and row["p_value"] < 1 - tables.measure("effect").confidence
    what = "differ" if sure else "are not shown to differ"
    p_value = f"Cochran's Q {row['value']:.3g}, p {chance(row['p_value'])}, at one look"
    return f"The effects of {row['segment']} on {called(tables, label)} {what} between values of {column} ({p_value})."


def _of_all(tables: Tables, row: dict[str, Any]) -> str:
    label, _ = _parted(row["metric"])
    effect, ends, _ = _numbers(tables, row)
    inside = f" ({ends})" if ends else ""
    unit = unit_of(tables, label)
    money = f" {unit}" if unit else ""
    return f"Over all units, exposed or not, {row['segment']} changes {called(tables, label)} by {effect}{money}{inside}."


def _change(tables: Tables, row: dict[str, Any]) -> str:
    label, _ = _parted(row["metric"])
    sure = row["ci_low"] > 0 or row["ci_high"] < 0
    effect, ends, p_value = _numbers(tables, row)
    what = f"changes by {effect}" if sure else f"is not shown to change ({effect})"
    where = "from the first half of the days since first exposure to the later half"
    return f"Novelty: the effect of {row['segment']} on {called(tables, label)} {what} {where} ({ends} a day, p {p_value})."


def _rows(tables: Tables, model: str, metric: str) -> list[dict[str, Any]]:
    """Return the scores of a metric by outcome and arm; one row of each, by the first rule."""
    rows = final_scores(tables).filter((pl.col("model") == model) & (pl.col("metric").str.split("[").list.first() == metric))
    return rows.unique(["metric", "segment", "step"], keep="first", maintain_order=True).to_dicts()


def _parted(metric: str) -> tuple[str, str]:
    """Return the outcome and the part of a metric's name: empty and `country=DE` of `segment_effect[|country=DE]`."""
    label, _, part = parted(metric)[1].partition("|")
    return label, part


def _names(tables: Tables, row: dict[str, Any]) -> tuple[str, str, str]:
    label, part = _parted(row["metric"])
    return ", ".join(filter(None, (called(tables, label), unit_of(tables, label)))), row["segment"], part


def _numbers(tables: Tables, row: dict[str, Any]) -> tuple[str, str, str]:
    """Return the effect, its interval and its p-value."""
    label, _ = _parted(row["metric"])
    ends = [end for end in (row["value"], row["ci_low"], row["ci_high"]) if end is not None]
    places = places_of(max((abs(end) for end in ends), default=0.0), None, unit_of(tables, label))
    value, low, high = (fixed(row[name], places) for name in ("value", "ci_low", "ci_high"))
    return value, f"{low} to {high}" if low and high else "", evidence_words(row["p_value"], row["ci_method"])
