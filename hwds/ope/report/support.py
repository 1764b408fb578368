"""Tables and sentences of what a log shows of each arm and of each group of customers, and of what is too little or wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import polars as pl

from hwds.ope.metrics.calibration import LEVEL
from hwds.ope.protocols.estimation.support import (
    ARM,
    CALIBRATION,
    CONTEXT,
    EFFECTIVE,
    LOG_SHARE,
    OUTCOME,
    PROPENSITY,
    TARGET_SHARE,
    WEIGHT,
)
from hwds.report.grid import Grid, grid_of
from hwds.results.formatting import chance, column, percent, with_errors
from hwds.results.tables import Tables

Row = dict[str, dict[str, Any]]
"""The scores of an arm or a group, by metric."""

FEW_EFFECTIVE = 30
"""The effective sample size below which an arm or a group is reported as hardly shown."""

MATTERS = 0.05
"""The share of the policy's choices, or of the rows, from which it is reported."""

MOST_SAID = 3
"""The most arms and groups that are named; the others are in the table."""


def arms_grid(tables: Tables) -> Grid:
    """Return a row for each arm: rows, shares, propensity, weight, effective sample size, outcome, calibration."""
    return _grid(tables, ARM, "What the log shows of each arm")


def groups_grid(tables: Tables) -> Grid:
    """Return the same for each group of the context."""
    return _grid(tables, CONTEXT, "What the log shows of groups of the context")


def compared(p_value: float) -> str:
    """Return a p-value with its sign: `= 0.003`, `< 0.0001`."""
    text = chance(p_value)
    return text if text.startswith("<") else f"= {text}"


def refuted(tables: Tables) -> str:
    """Return, in words, that a model of the log refutes its propensities; empty where it does not."""
    tests = tables.scores.filter((pl.col("metric") == CALIBRATION) & pl.col("fold").is_null()).to_dicts()
    wrong = [test for test in tests if test["p_value"] < LEVEL]
    if not wrong:
        return ""
    worst = min(wrong, key=lambda test: (test["p_value"], -abs(test["value"] - 1) / (test["stderr"] or 1.0)))
    named = f"arm {worst['segment']}" if worst["segment_by"] == ARM else worst["segment"]
    where = f", most clearly in {named}" if named else ""
    often = f"what is shown is {worst['value']:.3g} times what they say"
    return f"a model of the log refutes its propensities (p {compared(worst['p_value'])}){where}: {often}"


def thin(tables: Tables) -> str:
    """Return the arms and groups that matter and of which few rows count, in a sentence; empty where there are none."""
    weak = [*_thin(tables, ARM, TARGET_SHARE, "of its choices"), *_thin(tables, CONTEXT, LOG_SHARE, "of the rows")]
    more = f" and {len(weak) - MOST_SAID} more" if len(weak) > MOST_SAID else ""
    return f" Hardly shown by the log: {', '.join(weak[:MOST_SAID])}{more}." if weak else ""


def _thin(tables: Tables, by: str, share: str, of: str) -> Iterator[str]:
    for segment, row in _by_segment(tables, by).items():
        size, part = row.get(EFFECTIVE), row.get(share, {"value": 0.0})["value"]
        if size and size["value"] < FEW_EFFECTIVE and part >= MATTERS:
            name = f"arm {segment}" if by == ARM else segment
            yield f"{name} ({percent(part)} {of}, as much as {size['value']:.0f} rows)"


def _by_segment(tables: Tables, by: str) -> dict[str, Row]:
    """Return the scores of the log by segment and metric."""
    found: dict[str, Row] = {}
    own = pl.col("metric").is_in([CALIBRATION, LOG_SHARE, TARGET_SHARE, OUTCOME, PROPENSITY, WEIGHT, EFFECTIVE])
    for row in tables.scores.filter(own & (pl.col("segment_by") == by) & pl.col("fold").is_null()).to_dicts():
        found.setdefault(row["segment"], {})[row["metric"]] = row
    return found


def _grid(tables: Tables, by: str, caption: str) -> Grid:
    by_segment = _by_segment(tables, by)
    rows = list(by_segment.values())
    texts = {
        (by, by): tuple(by_segment),
        ("rows", "rows"): tuple(f"{next(iter(row.values()))['n']:,}" for row in rows),
        ("share of the log", "of the\nlog"): _texts(rows, LOG_SHARE, percent),
        ("share of the policy's choices", "of the\npolicy"): _texts(rows, TARGET_SHARE, percent),
        ("mean propensity", "mean\npropensity"): column(_values(rows, PROPENSITY)),
        ("mean weight", "mean\nweight"): column(_values(rows, WEIGHT)),
        ("effective sample size", "effective\nsize"): _texts(rows, EFFECTIVE, lambda size: f"{size:,.0f}"),
        ("mean outcome", "mean\noutcome"): column(_values(rows, OUTCOME)),
        ("shown over its propensities", "shown over\npropensity"): with_errors(
            _values(rows, CALIBRATION), [row.get(CALIBRATION, {}).get("stderr") for row in rows]
        ),
        ("p of right propensities", "p"): tuple(
            chance(row[CALIBRATION]["p_value"]) if CALIBRATION in row else "" for row in rows
        ),
    }
    return grid_of(list(texts), list(zip(*texts.values(), strict=True)), caption=caption if rows else "")


def _values(rows: Sequence[Row], metric: str) -> list[float | None]:
    return [row[metric]["value"] if metric in row else None for row in rows]


def _texts(rows: Sequence[Row], metric: str, text: Callable[[float], str]) -> tuple[str, ...]:
    return tuple("" if value is None else text(value) for value in _values(rows, metric))
