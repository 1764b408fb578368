"""Scores of cells: counts and certainty without a truth, and errors where it is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import NormalDist

import numpy as np
import polars as pl

from hwds.evaluation.score import Score
from hwds.frames.roles import SERIES
from hwds.results.measure import Measure
from hwds.results.tables import TRUTH
from hwds.statistics.aggregate import Estimate, mean, median, pooled, share

FEW_ROWS = 30
"""The rows under which the textbook leaves a cell without an answer."""


def cell_measures(level: float) -> tuple[Measure, ...]:
    """Return the metrics of cells that need no truth; `level` is that of their intervals."""

    def counted(name: str, meaning: str, better: str = "none", beside: str = "page") -> Measure:
        return Measure(name, meaning=meaning, better=better, units="cells", beside=beside, confidence=level)  # type: ignore[arg-type]

    return (
        counted("mean_elasticity", "mean own-price elasticity of the cells with an answer", beside="always"),
        counted("answered", "share of cells with an answer", "high", "always"),
        counted("wrong_sign", "share of answers above 0", "low", "always"),
        counted("inelastic", "share of answers between -1 and 0, at which no price cut pays"),
        counted("median_stderr", "median standard error of an answer", "low"),
        counted("own_weight", "mean share of an answer that the cell's own data decide"),
        counted("identified", "share of cells whose own prices identify the elasticity", "high"),
        counted("lagged_price", "mean elasticity to the own price of the period before"),
        counted("cross_elasticity", "mean elasticity to the price of the cell's substitutes"),
    )


def truth_measures(level: float) -> tuple[Measure, ...]:
    """Return the metrics of cells that compare answers with a simulator's truth; `level` is that of the answers' intervals."""

    def compared(name: str, meaning: str, better: str = "low", beside: str = "always") -> Measure:
        return Measure(name, meaning=meaning, better=better, units="cells", beside=beside, confidence=level)  # type: ignore[arg-type]

    return (
        compared("elasticity_rmse", "root mean squared error of the elasticities that were answered"),
        compared("elasticity_bias", "mean error of the elasticities that were answered", "none"),
        compared("elasticity_coverage", "share of intervals that hold the true elasticity", "none"),
        compared("interval_width", "mean width of an interval", beside="page"),
    )


def numbers(rows: pl.DataFrame, name: str) -> np.ndarray:
    """Return a column as floats, NaN for null."""
    return rows[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()


def score_cells(rows: pl.DataFrame, level: float) -> list[Score]:
    """Return the scores of one model's cells that need no truth; `level` is that of their intervals."""
    slopes = numbers(rows, "elasticity")
    known = slopes[np.isfinite(slopes)]
    lag, cross = numbers(rows, "lag"), numbers(rows, "cross")
    scores = [
        Score.of("mean_elasticity", "mean", _mean_of_draws(rows, slopes, level)),
        Score.of("answered", "mean", share(len(known), len(rows))),
        Score.of("wrong_sign", "mean", share(int(np.sum(known > 0)), len(known))),
        Score.of("inelastic", "mean", share(int(np.sum((known <= 0) & (known > -1))), len(known))),
        Score.of("median_stderr", "median", median(numbers(rows, "stderr"))),
        Score.of("own_weight", "mean", mean(numbers(rows, "weight_own"))),
        Score.of("identified", "mean", share(int((rows["status"] == "identified").sum()), len(rows))),
    ]
    for name, values in (("lagged_price", lag), ("cross_elasticity", cross)):
        if np.nansum(np.abs(values)) > 0:
            scores.append(Score.of(name, "mean", _shared(values, numbers(rows, name_of_error(name)), level)))
    return scores


def name_of_error(metric: str) -> str:
    """Return the column with the standard error of a shared slope."""
    return {"lagged_price": "lag_stderr", "cross_elasticity": "cross_stderr"}[metric]


def _shared(values: np.ndarray, errors: np.ndarray, level: float) -> Estimate:
    """Return the mean of a slope that cells share: its error is that of the slope, not of a mean of independent cells."""
    value, error = float(np.nanmean(values)), float(np.nanmean(errors))
    half = error * NormalDist().inv_cdf((1 + level) / 2)
    return Estimate(value, error, value - half, value + half, "normal", int(np.isfinite(values).sum()), 0)


def _mean_of_draws(rows: pl.DataFrame, slopes: np.ndarray, level: float) -> Estimate:
    """Return the mean over cells, its error from joint draws where there are some: cells share errors."""
    plain = mean(slopes)
    if "draws" not in rows.columns or plain.value is None or rows["draws"].null_count() == len(rows):
        return plain
    drawn = np.array(rows["draws"].drop_nulls().to_list()).mean(axis=0)
    error = float(drawn.std(ddof=1))
    low, high = (float(value) for value in np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]))
    return Estimate(plain.value, error, low, high, "joint draws", plain.n, plain.n_undefined)


def truth_scores(rows: Mapping[str, pl.DataFrame]) -> Iterator[tuple[str, Score]]:
    """Yield errors and coverage of each model against the truth, of all cells, and of those with few rows and with many."""
    if TRUTH not in rows:
        return
    true = rows[TRUTH].select(SERIES, true="elasticity")
    for label, own in rows.items():
        both = own.join(true, SERIES, "left", maintain_order="left")
        yield from ((label, score) for score in _against(both))
        if label == TRUTH:
            continue
        few = pl.col("rows") < FEW_ROWS
        for segment, part in ((f"below {FEW_ROWS}", both.filter(few)), (f"{FEW_ROWS} or more", both.filter(~few))):
            if len(part):
                yield from ((label, score) for score in _against(part, segment))


def _against(both: pl.DataFrame, segment: str | None = None) -> Iterator[Score]:
    """Yield the scores of cells whose true elasticity is beside them."""
    error = numbers(both, "elasticity") - numbers(both, "true")
    answered = np.isfinite(error)
    low, high, true = (numbers(both, name) for name in ("ci_low", "ci_high", "true"))
    inside = int(np.sum((low <= true) & (true <= high) & answered))
    estimates = {
        "elasticity_rmse": pooled(error**2, np.where(answered, 1.0, np.nan), root=True),
        "elasticity_bias": mean(error),
        "elasticity_coverage": share(inside, int(answered.sum())),
        "interval_width": mean(high - low),
    }
    by = {} if segment is None else {"segment_by": "rows", "segment": segment}
    for name, estimate in estimates.items():
        score = Score.of(name, "mean", estimate)
        yield Score(**{field: getattr(score, field) for field in Score.__slots__} | by)
