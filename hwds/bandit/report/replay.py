"""The result of a replay on a log, in a sentence."""

from __future__ import annotations

from typing import Any

import polars as pl

from hwds.frames.table import Table
from hwds.report.hooks import TaskReport
from hwds.results.formatting import brief, interval
from hwds.results.tables import Tables


def sentence(table: Table, tables: Tables, model: str) -> str:
    """Return what the experiment's own policy earned on the rows that count, against uniform play on the same log."""
    by_metric = {row["metric"]: row for row in _rows(tables, model)}
    measure = tables.measure("mean_reward")
    what, unit = measure.subject or "reward", measure.measured_in
    if by_metric.get("mean_reward", {}).get("value") is None:
        return f"No row of the log counts for {model}: it never chose what was logged."
    earned, gain, share = by_metric["mean_reward"], by_metric.get("gain_over_uniform"), by_metric["counted_share"]["value"]
    rows = f"{earned['n']:,} of {len(table.data):,} rows count, where it chose as the log did ({100 * share:.1f} %)"
    mean = brief(earned["value"], earned["stderr"], unit)
    text = f"{model} has a mean {what} of {mean} per row on the log; {rows}"
    if gain is None or gain["ci_low"] is None:
        return f"{text}."
    if gain["ci_low"] > 0 or gain["ci_high"] < 0:
        side = "more" if gain["value"] > 0 else "less"
        return f"{text}: {brief(abs(gain['value']), None, unit)} {side} than uniform play on it."
    _, ends = interval(gain["value"], gain["ci_low"], gain["ci_high"], unit, sign=True)
    return f"{text}: no difference from uniform play on it is shown ({ends})."


def _rows(tables: Tables, model: str) -> list[dict[str, Any]]:
    whole = pl.col("fold").is_null() & (pl.col("model") == model)
    return tables.scores.filter(whole).to_dicts()


REPORT = TaskReport(sentence=sentence)
