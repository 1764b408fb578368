"""A checked panel from a million shuffled rows: hwds, and the same sort and checks in pandas."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from bench.rows import Row, compared, interleaved
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel

NAME = "panel"
N_SERIES, LENGTH = 2_000, 500


def measure() -> list[Row]:
    """Sorted by series and time; keys present, numbers finite, no row twice, no gap."""
    import pandas as pd  # type: ignore[import-untyped]

    table = _table()
    text = pd.DataFrame({name: table[name].to_numpy() for name in table.columns})
    frames = {
        "pandas, text keys": text,
        "pandas, categorical keys": text.astype({"series_id": "category"}),
    }
    wanted = _ours(table).target
    equal = {
        name: np.array_equal(wanted, _pandas(frame)["target"]) for name, frame in frames.items()
    }
    rivals = {name: lambda frame=frame: _pandas(frame) for name, frame in frames.items()}
    seconds = interleaved({"hwds": lambda: _ours(table), **rivals}, repeats=5)
    what = f"build, {len(table):,} rows in any order"
    return [compared(what, seconds["hwds"], name, seconds[name], equal[name]) for name in rivals]


def _table() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    n = N_SERIES * LENGTH
    ids = (
        pl.Series("series_id", np.repeat(np.arange(N_SERIES), LENGTH)).cast(pl.String).str.zfill(6)
    )
    time = pl.date_range(
        pl.date(2020, 1, 1), pl.date(2020, 1, 1).dt.offset_by(f"{LENGTH - 1}d"), "1d", eager=True
    )
    times = pl.Series("time", np.tile(time.to_numpy().astype("datetime64[us]"), N_SERIES))
    return pl.DataFrame([ids, times, pl.Series("target", rng.random(n))])[rng.permutation(n)]


def _ours(table: pl.DataFrame) -> Panel:
    return Panel.build(table, Frequency("1d"))


def _pandas(frame: Any) -> Any:
    if frame[["series_id", "time"]].isna().any().any() or not np.isfinite(frame["target"]).all():
        raise ValueError("a key is missing or a number is not finite")
    frame = frame.sort_values(["series_id", "time"], kind="stable", ignore_index=True)
    if frame.duplicated(["series_id", "time"]).any():
        raise ValueError("a row is there twice")
    steps = frame.groupby("series_id", observed=True)["time"].diff().dropna()
    if (steps != np.timedelta64(1, "D")).any():
        raise ValueError("there is a gap")
    return frame
