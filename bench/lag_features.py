"""Lags and rolling statistics of many series: hwds, mlforecast, polars' own `over`, pandas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from bench.rows import Row, compared, interleaved
from hwds.forecast.features.lags import Lags
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel

NAME = "lag features"
TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True)
class Case:
    """A panel of series of one length, and what is computed from it."""

    n_series: int
    length: int
    lags: tuple[int, ...]
    windows: tuple[int, ...]
    slow_rivals: bool

    @property
    def what(self) -> str:
        """The case in a few words."""
        return (
            f"{self.n_series:,} x {self.length}, {len(self.lags) + 2 * len(self.windows)} features"
        )


CASES = (
    Case(2_000, 500, (1, 2, 3, 7, 14, 28), (7, 28), slow_rivals=True),
    Case(100_000, 24, (1, 2, 3, 6, 11, 12), (3, 12), slow_rivals=False),
)

Work = Callable[[], Any]


def measure() -> list[Row]:
    """Each rival fed the way that suits it best.

    The first has nulls kept, as hwds does, and so has the least to do.
    """
    return [row for case in CASES for row in _measure(case)]


def _measure(case: Case) -> list[Row]:
    table = _table(case)
    ours, rivals = _ours(case, table), _rivals(case, table)
    wanted = ours().table.select(pl.selectors.float()).drop("target").to_numpy()
    equal = {name: _equal(wanted, values(work())) for name, (work, values) in rivals.items()}
    seconds = interleaved({"hwds": ours, **{name: work for name, (work, _) in rivals.items()}})
    return [
        compared(case.what, seconds["hwds"], name, seconds[name], equal[name]) for name in rivals
    ]


def _table(case: Case) -> pl.DataFrame:
    ids = np.repeat(np.arange(case.n_series), case.length)
    target = np.random.default_rng(0).random(len(ids))
    return pl.DataFrame(
        {"series_id": ids, "time": np.tile(np.arange(case.length), case.n_series), "target": target}
    )


def _ours(case: Case, table: pl.DataFrame) -> Callable[[], Panel]:
    recipe = Lags(
        lags=case.lags,
        windows=case.windows,
        season_lags=(),
        season_windows=(),
        alphas=(),
        differences=(),
        cycles=(),
    )
    panel = Panel.build(
        table.with_columns(pl.col("series_id").cast(pl.String).str.zfill(6)), Frequency("1i")
    )
    # A panel keeps what it has worked out, so that each round gets a new one, made of the sorted
    # table.
    return lambda: recipe.compute(Panel(panel.table, panel.roles, panel.frequency))


def _rivals(case: Case, table: pl.DataFrame) -> dict[str, tuple[Work, Callable[[Any], np.ndarray]]]:
    import pandas as pd  # type: ignore[import-untyped]

    frame = table.rename({"series_id": "unique_id", "time": "ds", "target": "y"})
    pandas = pd.DataFrame({name: frame[name].to_numpy() for name in frame.columns})
    rivals = {
        "mlforecast, polars in": (_mlforecast(case, frame), lambda made: made[:, 3:].to_numpy()),
        "mlforecast, pandas in": (
            _mlforecast(case, pandas),
            lambda made: made.iloc[:, 3:].to_numpy(),
        ),
        "polars over()": (_over(case, frame), lambda made: made[:, 3:].to_numpy()),
    }
    if case.slow_rivals:
        rivals["pandas groupby"] = _groupby(case, pandas), lambda made: made.iloc[:, 3:].to_numpy()
    return rivals


def _mlforecast(case: Case, frame: Any) -> Work:
    from mlforecast import MLForecast
    from mlforecast.lag_transforms import RollingMean, RollingStd

    rolling: list[Any] = [
        kind(window) for window in case.windows for kind in (RollingMean, RollingStd)
    ]
    forecaster = MLForecast(
        models=[], freq=1, lags=case.lags, lag_transforms={1: rolling}, num_threads=1
    )
    return lambda: forecaster.preprocess(frame, static_features=[], dropna=False)


def _over(case: Case, frame: pl.DataFrame) -> Work:
    target, last = pl.col("y"), pl.col("y").shift(1)
    made = [target.shift(lag).over("unique_id").alias(f"lag_{lag}") for lag in case.lags]
    for window in case.windows:
        made.append(last.rolling_mean(window).over("unique_id").alias(f"mean_{window}"))
        made.append(last.rolling_std(window).over("unique_id").alias(f"std_{window}"))
    return lambda: frame.with_columns(made)


def _groupby(case: Case, pandas: Any) -> Work:
    def work() -> Any:
        series = pandas.groupby("unique_id")["y"]
        made = {f"lag_{lag}": series.shift(lag) for lag in case.lags}
        last = made["lag_1"].groupby(pandas["unique_id"])
        for window in case.windows:
            rolling = last.rolling(window)
            made[f"mean_{window}"] = rolling.mean().droplevel(0)
            made[f"std_{window}"] = rolling.std().droplevel(0)
        return pandas.assign(**made)

    return work


def _equal(ours: np.ndarray, theirs: np.ndarray) -> bool:
    return bool(
        ours.shape == theirs.shape
        and np.allclose(ours, theirs, rtol=0, atol=TOLERANCE, equal_nan=True)
    )
