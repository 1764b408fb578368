"""What a replay on a log shows, in a sentence."""

from __future__ import annotations

from typing import Any

import polars as pl

from hwds.frames.table import Table
from hwds.report.wording import brief
from hwds.results.tables import Tables


def sentence(table: Table, tables: Tables, model: str) -> str:
    """What the experiment's own policy earned on the rows that count, against uniform play on the same log."""
    own = {row["metric"]: row for row in _rows(tables, model)}
    if own.get("mean_reward", {}).get("value") is None:
        return f"No row of the log counts for {model}: it never chose what was logged."
    earned, gain, share = own["mean_reward"], own.get("gain_over_uniform"), own["counted_share"]["value"]
    rows = f"{earned['n']:,} of {len(table.data):,} rows count ({100 * share:.1f} %)"
    said = f"{model} earned {brief(earned['value'], earned['stderr'])} a customer on the log; {rows}"
    if gain is None or gain["ci_low"] is None:
        return f"{said}."
    if gain["ci_low"] > 0 or gain["ci_high"] < 0:
        side = "more" if gain["value"] > 0 else "less"
        return f"{said}: {brief(abs(gain['value']))} {side} than uniform play on it."
    between = f"{brief(gain['ci_low'])} to {brief(gain['ci_high'])}"
    return f"{said}: no difference from uniform play on it is shown ({between})."


def _rows(tables: Tables, model: str) -> list[dict[str, Any]]:
    whole = pl.col("fold").is_null() & (pl.col("model") == model)
    return tables.scores.filter(whole).to_dicts()
