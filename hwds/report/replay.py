"""What a replay on a log shows, in a sentence."""

from __future__ import annotations

from typing import Any

import polars as pl

from hwds.frames.table import Table
from hwds.results.tables import Tables
from hwds.results.wording import brief, reach


def sentence(table: Table, tables: Tables, model: str) -> str:
    """What the experiment's own policy earned on the rows that count, against uniform play on the same log."""
    own = {row["metric"]: row for row in _rows(tables, model)}
    measure = tables.measure("mean_reward")
    what, unit = measure.subject or "reward", measure.measured_in
    if own.get("mean_reward", {}).get("value") is None:
        return f"No row of the log counts for {model}: it never chose what was logged."
    earned, gain, share = own["mean_reward"], own.get("gain_over_uniform"), own["counted_share"]["value"]
    rows = f"{earned['n']:,} of {len(table.data):,} rows count, where it chose as the log did ({100 * share:.1f} %)"
    mean = brief(earned["value"], earned["stderr"], unit)
    said = f"{model} has a mean {what} of {mean} per row on the log; {rows}"
    if gain is None or gain["ci_low"] is None:
        return f"{said}."
    if gain["ci_low"] > 0 or gain["ci_high"] < 0:
        side = "more" if gain["value"] > 0 else "less"
        return f"{said}: {brief(abs(gain['value']), None, unit)} {side} than uniform play on it."
    _, ends = reach(gain["value"], gain["ci_low"], gain["ci_high"], unit, sign=True)
    return f"{said}: no difference from uniform play on it is shown ({ends})."


def _rows(tables: Tables, model: str) -> list[dict[str, Any]]:
    whole = pl.col("fold").is_null() & (pl.col("model") == model)
    return tables.scores.filter(whole).to_dicts()
