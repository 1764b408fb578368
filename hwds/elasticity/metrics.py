"""Scores of elasticities: cells against the truth, samples and windows, held-out price moves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, col

from hwds.evaluation.protocol import Score
from hwds.frames.roles import SERIES
from hwds.results.tables import TRUTH, Beside, Better, Measure
from hwds.stats.effects import Z95
from hwds.stats.estimates import Estimate, pooled_ratio, unit_mean, unit_median, unit_share

# Scores of cells: counts and certainty without a truth, and errors where it is known.

FEW_ROWS = 30
"""The rows under which the textbook leaves a cell without an answer."""


MeasureRow = tuple[str, Better, Beside, str]
"""The name of a metric, which way is better, where it stands, and its meaning."""

CELL_MEASURES: tuple[MeasureRow, ...] = (
    (
        "mean_elasticity",
        "none",
        "always",
        "mean own-price elasticity of the cells with an answer",
    ),
    ("answered", "high", "always", "share of cells with an answer"),
    ("wrong_sign", "low", "always", "share of answers above 0"),
    ("inelastic", "none", "page", "share of answers between -1 and 0, at which no price cut pays"),
    ("median_stderr", "low", "page", "median standard error of an answer"),
    ("own_weight", "none", "page", "mean share of an answer that the cell's own data decide"),
    ("identified", "high", "page", "share of cells whose own prices identify the elasticity"),
    ("lagged_price", "none", "page", "mean elasticity to the own price of the period before"),
    ("cross_elasticity", "none", "page", "mean elasticity to the price of the cell's substitutes"),
)
"""The metrics of cells that need no truth."""

TRUTH_MEASURES: tuple[MeasureRow, ...] = (
    (
        "elasticity_rmse",
        "low",
        "always",
        "root mean squared error of the elasticities that were answered",
    ),
    ("elasticity_bias", "none", "always", "mean error of the elasticities that were answered"),
    ("elasticity_coverage", "none", "always", "share of intervals that hold the true elasticity"),
    ("interval_width", "low", "page", "mean width of an interval"),
)
"""The metrics of cells that compare answers with a simulator's truth."""

SHARED_SLOPES = {
    "lagged_price": ("lag", "lag_stderr"),
    "cross_elasticity": ("cross", "cross_stderr"),
}
"""The metrics of slopes that cells share: the columns of the slope and of its standard error."""


def measures_of(rows: Iterable[MeasureRow], level: float = 0.95) -> tuple[Measure, ...]:
    """Return metrics of cells; `level` is that of their intervals."""
    return tuple(
        Measure(
            name, meaning=meaning, better=better, units="cells", beside=beside, confidence=level
        )
        for name, better, beside, meaning in rows
    )


def float_column(rows: DataFrame, name: str) -> ndarray:
    """Return a column as floats, NaN for null."""
    return rows[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()


def score_cells(rows: DataFrame, level: float) -> list[Score]:
    """Return the scores of one model's cells that need no truth.

    `level` is that of their intervals.
    """
    slopes = float_column(rows, "elasticity")
    known = slopes[np.isfinite(slopes)]
    estimates = {
        "mean_elasticity": _mean_of_draws(rows, slopes),
        "answered": unit_share(len(known), len(rows)),
        "wrong_sign": unit_share(int(np.sum(known > 0)), len(known)),
        "inelastic": unit_share(int(np.sum((known <= 0) & (known > -1))), len(known)),
        "median_stderr": unit_median(float_column(rows, "stderr")),
        "own_weight": unit_mean(float_column(rows, "weight_own")),
        "identified": unit_share(int((rows["status"] == "identified").sum()), len(rows)),
    }
    for name, columns in SHARED_SLOPES.items():
        values, errors = (float_column(rows, column) for column in columns)
        if np.nansum(np.abs(values)) > 0:
            estimates[name] = _shared_mean(values, errors, level)
    return [
        Score.of(name, "median" if name == "median_stderr" else "mean", estimate)
        for name, estimate in estimates.items()
    ]


def _shared_mean(values: ndarray, errors: ndarray, level: float) -> Estimate:
    """Return the mean of a slope that cells share: its error is that of the slope, not of a mean of
    independent cells.
    """
    value, error = float(np.nanmean(values)), float(np.nanmean(errors))
    half = error * NormalDist().inv_cdf((1 + level) / 2)
    return Estimate(
        value, error, value - half, value + half, "normal", int(np.isfinite(values).sum()), 0
    )


def _mean_of_draws(rows: DataFrame, slopes: ndarray) -> Estimate:
    """Return the mean over cells, whose errors go together as joint draws do.

    Draws tell how much of the errors is shared, and the cells' own standard errors how large they
    are. So one elasticity of all cells has its own standard error and interval.
    """
    plain = unit_mean(slopes)
    if (
        "draws" not in rows.columns
        or plain.value is None
        or rows["draws"].null_count() == len(rows)
    ):
        return plain
    known = rows.filter(col("draws").is_not_null())
    drawn = np.array(known["draws"].to_list())
    stderr, slope = float_column(known, "stderr"), float_column(known, "elasticity")
    own = float(np.sum(stderr**2) / max(float(np.sum(drawn.var(axis=1, ddof=1))), 1e-300)) ** 0.5
    error = own * float(drawn.mean(axis=0).std(ddof=1))
    low, high = (
        plain.value + error * float(np.mean(away / np.maximum(stderr, 1e-300)))
        for away in (float_column(known, end) - slope for end in ("ci_low", "ci_high"))
    )
    return Estimate(plain.value, error, low, high, "joint draws", plain.n, plain.n_undefined)


def truth_scores(rows: Mapping[str, DataFrame]) -> Iterator[tuple[str, Score]]:
    """Yield errors and coverage of each model against the truth, of all cells, and of those with
    few rows and with many.
    """
    if TRUTH not in rows:
        return
    true = rows[TRUTH].select(SERIES, true="elasticity")
    for label, own in rows.items():
        both = own.join(true, SERIES, "left", maintain_order="left")
        yield from ((label, score) for score in _truth_errors(both))
        if label == TRUTH:
            continue
        few = col("rows") < FEW_ROWS
        for segment, part in (
            (f"below {FEW_ROWS}", both.filter(few)),
            (f"{FEW_ROWS} or more", both.filter(~few)),
        ):
            if len(part):
                yield from ((label, score) for score in _truth_errors(part, segment))


def _truth_errors(both: DataFrame, segment: str | None = None) -> Iterator[Score]:
    """Yield the scores of cells whose true elasticity is beside them."""
    error = float_column(both, "elasticity") - float_column(both, "true")
    answered = np.isfinite(error)
    low, high, true = (float_column(both, name) for name in ("ci_low", "ci_high", "true"))
    inside = int(np.sum((low <= true) & (true <= high) & answered))
    estimates = {
        "elasticity_rmse": _root_mean_square(error),
        "elasticity_bias": unit_mean(error),
        "elasticity_coverage": unit_share(inside, int(answered.sum())),
        "interval_width": unit_mean(high - low),
    }
    for name, estimate in estimates.items():
        score = Score.of(name, "mean", estimate)
        yield score if segment is None else replace(score, segment_by="rows", segment=segment)


# Scores of one model's answers to different rows: samples against all, and windows against each
# other.

WHOLE_SAMPLE = "all rows"
"""The name of the sample that has all rows."""


SAMPLE_MEASURES = measures_of(
    (
        (
            "sample_rmse",
            "low",
            "always",
            "root mean squared distance of a cell's answer to a sample from that to all rows",
        ),
        (
            "sample_coverage",
            "none",
            "always",
            "share of a sample's intervals that hold the answer to all rows",
        ),
        (
            "sample_shift",
            "none",
            "always",
            "mean distance of a sample's answers from those to all rows",
        ),
    )
)

WINDOW_MEASURES = measures_of(
    (
        (
            "window_rmse",
            "low",
            "always",
            "root mean squared difference of a cell's elasticity from one window to the next",
        ),
        (
            "window_z",
            "none",
            "always",
            "root mean square of these differences over their standard errors; 1 where nothing but "
            "chance moves them",
        ),
        ("window_shift", "none", "always", "mean difference from one window to the next"),
    )
)


def sample_scores(rows: Mapping[str, DataFrame]) -> Iterator[tuple[str, Score]]:
    """Yield the distances of each model's samples from its answer to all rows.

    The truth has none.
    """
    for label, own in rows.items():
        whole = own.filter(sample=WHOLE_SAMPLE).select(SERIES, whole="elasticity")
        parts = own.filter(col("sample") != WHOLE_SAMPLE).join(
            whole, SERIES, "left", maintain_order="left"
        )
        if label == TRUTH or parts.is_empty():
            continue
        error = float_column(parts, "elasticity") - float_column(parts, "whole")
        known = np.isfinite(error)
        low, high, goal = (float_column(parts, name) for name in ("ci_low", "ci_high", "whole"))
        inside = int(np.sum((low <= goal) & (goal <= high) & known))
        estimates = {
            "sample_rmse": _root_mean_square(error),
            "sample_coverage": unit_share(inside, int(known.sum())),
            "sample_shift": unit_mean(error),
        }
        yield from ((label, Score.of(name, "mean", each)) for name, each in estimates.items())


def _root_mean_square(values: ndarray) -> Estimate:
    """Return the root mean square of the values that are finite."""
    return pooled_ratio(values**2, np.where(np.isfinite(values), 1.0, np.nan), root=True)


def window_scores(rows: Mapping[str, DataFrame]) -> Iterator[tuple[str, Score]]:
    """Yield the differences of each model's answers from one window to the next.

    The truth has none.
    """
    for label, own in rows.items():
        if label == TRUTH:
            continue
        ordered = own.sort(SERIES, "window")
        before = ordered.select(
            before=col("elasticity").shift(1).over(SERIES),
            error=col("stderr").shift(1).over(SERIES),
        )
        change = float_column(ordered, "elasticity") - float_column(before, "before")
        spread = np.hypot(float_column(ordered, "stderr"), float_column(before, "error"))
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.where(spread > 0, change / spread, np.nan)
        estimates = {
            "window_rmse": _root_mean_square(change),
            "window_z": _root_mean_square(z),
            "window_shift": unit_mean(change),
        }
        yield from ((label, Score.of(name, "mean", each)) for name, each in estimates.items())


# Scores of held-out price moves: the change of demand that was predicted against the one that
# came.

LEAST_MOVES = 3
"""The fewest moves of a correlation."""


CHANGE_MEASURES = measures_of(
    (
        (
            "change_rmse",
            "low",
            "always",
            "root mean squared error of the change of log units at a held-out price move",
        ),
        ("change_null", "none", "always", "the same of a prediction that nothing changes"),
        (
            "change_r",
            "high",
            "always",
            "correlation of predicted and realised changes of log units at price moves",
        ),
        (
            "change_slope",
            "none",
            "page",
            "slope of realised on predicted changes; 1 where predictions are of the right size",
        ),
        (
            "change_skill",
            "high",
            "always",
            "1 - binomial deviance of units before and after a move / that of no change; moves "
            "from or to no sale count",
        ),
        (
            "level_rmse",
            "low",
            "always",
            "root mean squared error of log units in all held-out periods",
        ),
        ("level_bias", "none", "page", "mean error of log units in all held-out periods"),
        ("moves", "none", "page", "held-out price moves beyond the threshold"),
        ("answered", "high", "page", "share of price moves with a prediction"),
        ("wrong_sign", "low", "always", "share of cells with an elasticity above 0"),
    )
)
"""The metrics of price moves."""


def score_changes(rows: DataFrame) -> list[Score]:
    """Return the scores of one model's held-out periods."""
    moves = rows.filter(col("move"))
    known = moves.filter(col("predicted").is_not_null())
    changed = known.filter(col("actual").is_not_null())
    levels = rows.filter(col("log_units").is_not_null() & col("log_predicted").is_not_null())
    cells = rows.group_by(SERIES).agg(col("elasticity").first())["elasticity"].drop_nulls()
    error = col("predicted") - col("actual")
    level = col("log_predicted") - col("log_units")
    undefined, unknown = len(known) - len(changed), len(rows) - len(levels)
    null = col("actual") ** 2
    scores = [
        _change_score("change_rmse", _moves_by_cell(changed, error**2, root=True), undefined),
        _change_score("change_null", _moves_by_cell(changed, null, root=True), undefined),
        *_correlations(changed),
        *_skill_scores(known),
        _change_score("level_rmse", _moves_by_cell(levels, level**2, root=True), unknown),
        _change_score("level_bias", _moves_by_cell(levels, level, root=False), unknown),
        Score("moves", "mean", float(len(moves)), n=len(moves)),
        Score.of("answered", "mean", unit_share(len(known), len(moves))),
        Score.of("wrong_sign", "mean", unit_share(int((cells > 0).sum()), len(cells))),
    ]
    return [score for score in scores if score.value is not None]


def _change_score(name: str, estimate: Estimate, undefined: int) -> Score:
    return replace(Score.of(name, "mean", estimate), n_undefined=undefined)


def _moves_by_cell(rows: DataFrame, loss: pl.Expr, *, root: bool) -> Estimate:
    """Return the mean of a loss over rows, or its root, with an error clustered by cell."""
    sums = rows.group_by(SERIES, maintain_order=True).agg(top=loss.sum(), count=pl.len())
    return pooled_ratio(
        sums["top"].to_numpy(), sums["count"].cast(pl.Float64).to_numpy(), root=root
    )


def _correlations(rows: DataFrame) -> list[Score]:
    if len(rows) < LEAST_MOVES:
        return []
    predicted, actual = rows["predicted"].to_numpy(), rows["actual"].to_numpy()
    spread = predicted.std() * actual.std()
    if spread == 0:
        return []
    r = float(np.mean((predicted - predicted.mean()) * (actual - actual.mean())) / spread)
    slope = float(r * actual.std() / predicted.std())
    return [
        Score("change_r", "mean", r, n=len(rows)),
        Score("change_slope", "mean", slope, n=len(rows)),
    ]


def _skill_scores(rows: DataFrame) -> list[Score]:
    """Return 1 less the binomial deviance of the units after a move among those before and after it
    over that of one half.
    """
    known = rows.drop_nulls(["units", "units_before"])
    after, before = known["units"].to_numpy(), known["units_before"].to_numpy()
    total = after + before
    some = total > 0
    odds = np.clip(known["predicted"].to_numpy()[some], -30, 30)
    after, before = after[some], before[some]
    best = _log_likelihood(
        after, before, np.log(np.maximum(after, 1e-9) / np.maximum(before, 1e-9))
    )
    lost, least = (
        best - _log_likelihood(after, before, each) for each in (odds, np.zeros(len(odds)))
    )
    if not some.any() or least.sum() <= 0:
        return []
    return [
        Score(
            "change_skill",
            "mean",
            float(1 - lost.sum() / least.sum()),
            n=int(some.sum()),
            n_undefined=int((~some).sum()),
        )
    ]


def _log_likelihood(after: ndarray, before: ndarray, odds: ndarray) -> ndarray:
    """Return after log(p) + before log(1 - p) with log odds of p, by row."""
    return -after * np.logaddexp(0, -odds) - before * np.logaddexp(0, odds)


# Checks of cross elasticities: their signs, their symmetry, and whether own prices outweigh
# substitutes.

ROUNDING = 1e-9
"""The share of the size of numbers that is taken as 0."""


@dataclass(frozen=True, slots=True)
class CrossChecks:
    """Counts and shares of cross elasticities that have the right sign and symmetry, of some cells.

    Without income effects the matrix of d units_i / d price_j is symmetric and has no positive
    eigenvalue (Slutsky). In elasticities, e_ij r_i = e_ji r_j with r the revenue of a cell. The
    buyers of a channel need not follow it: it is checked, not imposed.

    Attributes:
        pairs: Pairs of cells, each way one.
        negative: Those below 0: complements, or chance.
        surely_negative: Those whose 95 % interval lies below 0.
        two_way: Pairs of cells with both ways estimated.
        asymmetric: Those whose two ways differ by more than chance, at 5 %.
        markets: Groups of cells that are connected by cross elasticities.
        outweighed: Those in which some common change of prices would raise what is sold: a positive
            eigenvalue.
    """

    pairs: int
    negative: int
    surely_negative: int
    two_way: int
    asymmetric: int
    markets: int
    outweighed: int


def cross_checks(own: ndarray, cross: ndarray, stderr: ndarray, revenue: ndarray) -> CrossChecks:
    """Return the checks of a matrix of cross elasticities.

    Args:
        own: Own elasticities, NaN where unknown, shape (K,).
        cross: The cross elasticities of a row's units to a column's price, 0 where there is none,
            shape (K, K).
        stderr: The standard error of `cross`, shape (K, K).
        revenue: The revenue of each cell at today's prices, shape (K,).
    """
    there = cross != 0
    both = np.triu(there & there.T)
    apart = cross * revenue[:, None] - (cross * revenue[:, None]).T
    size = np.abs(cross * revenue[:, None])
    error = ROUNDING * (size + size.T) + np.hypot(
        stderr * revenue[:, None], (stderr * revenue[:, None]).T
    )
    groups = _connected_cells(there | there.T)
    return CrossChecks(
        int(there.sum()),
        int((cross < 0).sum()),
        int((cross + Z95 * stderr < 0).sum()),
        int(both.sum()),
        int((both & (np.abs(apart) > Z95 * error)).sum()),
        len(groups),
        sum(
            _is_outweighed(own[cells], cross[np.ix_(cells, cells)], revenue[cells])
            for cells in groups
        ),
    )


def _connected_cells(there: ndarray) -> list[ndarray]:
    """Return the groups of two cells or more that pairs connect."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    _, label = connected_components(csr_matrix(there), directed=False)
    groups = [np.flatnonzero(label == number) for number in range(int(label.max(initial=-1)) + 1)]
    return [cells for cells in groups if len(cells) > 1]


def _is_outweighed(own: ndarray, cross: ndarray, revenue: ndarray) -> bool:
    """Return whether the symmetric part of d units / d price, in units of revenue, has a positive
    eigenvalue.
    """
    known = np.isfinite(own) & (revenue > 0)
    matrix = (np.diag(np.nan_to_num(own)) + cross)[np.ix_(known, known)] * revenue[known][:, None]
    values = np.linalg.eigvalsh((matrix + matrix.T) / 2)
    return bool(len(values) and values[-1] > ROUNDING * np.abs(values).max())
