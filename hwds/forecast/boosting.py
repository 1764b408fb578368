"""Boosted trees on windows: how boosters are grown, and direct, recursive and count forecasts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy import ndarray

from hwds.core.serialization import Serializable
from hwds.evaluation.cells import learning_curve
from hwds.evaluation.trees import load_booster, observe_losses
from hwds.forecast.models.base import Features
from hwds.forecast.models.seasonal_naive import FittedSeasonalNaive
from hwds.forecast.statistical import spread_by_step
from hwds.forecast.training_rows import TrainingRows, every_input, read_grid
from hwds.forecast.windows import MOST_CHANGES, Windowing, Windows, WindowSource
from hwds.frames.panel import NOTHING_LEARNED, Forecasts, Panel
from hwds.frames.roles import TARGET

# Growing a booster: as many rounds as do good on rows that it has not seen, then anew on all
# rows.

HUBER_BOUND = 1.0
"""Errors beyond this, in seasonal changes, pull as much as this."""

FLAT_SHARE = 0.01
"""The share of the least loss on the last rows within which a later round counts as good: one
window is no finer measure.
"""

EARLY_ROWS = 40_000
"""The most rows of a booster that chooses the rounds at a higher rate: so coarse a choice needs no
more.
"""


class EarlyBooster(NamedTuple):
    """The booster of the rows before the last horizon.

    Attributes:
        booster: XGBoost's.
        rounds: The rounds of it that forecast the last horizon well.
    """

    booster: Any
    rounds: int

    def predict(self, inputs: ndarray) -> ndarray:
        """Return what it says after those rounds, shape (rows,)."""
        return self.booster.inplace_predict(inputs, iteration_range=(0, self.rounds))


@dataclass(frozen=True)
class BoosterSettings:
    """The settings of boosting.

    Attributes:
        settings: XGBoost's parameters.
        trees: The most rounds.
        patience: Rounds without a better loss on the last rows after which growing stops; 0 always
            grows `trees` rounds.
        robust: Whether Huber's loss is learned, instead of XGBoost's own objective.
        early_rate: The multiple of the learning rate with which the rounds are chosen; those of the
            booster of all rows are then as many times as many, the latest of those that are as good
            as the best.
        parts: The parts of all rows that trees of quantiles learn from by turns; see
            `AlternatingRows`.
    """

    settings: Mapping[str, Any]
    trees: int
    patience: int
    robust: bool = False
    early_rate: int = 1
    parts: int = 1

    @property
    def smooth(self) -> bool:
        """Whether the absolute loss is smoothed: what is learned is then near the median, and not
        it.
        """
        return bool(self.settings["objective"] == "reg:pseudohubererror")

    def grow(self, rows: TrainingRows, last: TrainingRows) -> tuple[bytes, EarlyBooster | None]:
        """Return the booster of all rows, and that of the rows before the last horizon, which chose
        the rounds, if any.
        """
        early = self.early(rows, last)
        return bytes(self.train(self.matrix(rows), self.rounds(early)).save_raw("ubj")), early

    def rounds(self, early: EarlyBooster | None) -> int:
        """Return the rounds of the booster of all rows."""
        return early.rounds * self.early_rate if early is not None else self.trees

    def early(self, rows: TrainingRows, last: TrainingRows) -> EarlyBooster | None:
        """Return the booster of the rows before the last horizon, grown until its forecasts of that
        horizon got no better.
        """
        before = self._rows_before(rows)
        if not (self.patience and len(before.target) and len(last.target)):
            return None
        train, losses = self.matrix(before), dict[str, Any]()
        rounds, stop = max(self.trees // self.early_rate, 1), self.matrix(last, train)
        booster = self._faster().train(train, rounds, stop, losses)
        if self.early_rate == 1:
            return EarlyBooster(booster, int(booster.best_iteration) + 1)
        loss = np.array(next(iter(losses["stop"].values())))
        good = np.flatnonzero(loss <= loss.min() * (1 + FLAT_SHARE))
        return EarlyBooster(booster, int(good[-1]) + 1)

    def _rows_before(self, rows: TrainingRows) -> TrainingRows:
        """Return the rows before the last horizon, evenly thinned where they are many."""
        known = np.flatnonzero(~rows.late)
        if self.early_rate > 1 and len(known) > EARLY_ROWS:
            known = known[np.linspace(0, len(known) - 1, EARLY_ROWS).astype(np.int64)]
        return rows.take(known)

    def _faster(self) -> BoosterSettings:
        if self.early_rate == 1:
            return self
        settings = dict(self.settings) | {"eta": min(self.settings["eta"] * self.early_rate, 1.0)}
        return replace(self, settings=settings, patience=max(self.patience // self.early_rate, 1))

    def train(
        self, train: Any, rounds: int, stop: Any = None, losses: dict[str, Any] | None = None
    ) -> Any:
        """Grow a booster.

        Args:
            train: The matrix of its rows.
            rounds: The most rounds.
            stop: The matrix of the rows by which growing stops; None grows all rounds.
            losses: A dictionary that the losses of those rows are written to.
        """
        import xgboost

        options: dict[str, Any] = {}
        if stop is not None:
            options = {
                "evals": [(stop, "stop")],
                "early_stopping_rounds": self.patience,
                "verbose_eval": False,
                "evals_result": losses,
            }
        if self.robust:
            options |= {"obj": bounded_pull, "custom_metric": absolute_loss}
        curve = learning_curve("booster" if stop is not None else "booster, all rows", "round")
        return xgboost.train(
            dict(self.settings), train, rounds, **observe_losses(options, train, curve)
        )

    def matrix(self, rows: TrainingRows, like: Any = None) -> Any:
        """Return rows as XGBoost reads them, in the bins of another matrix where one is given."""
        import xgboost

        options = {"max_bin": self.settings["max_bin"], "nthread": self.settings["nthread"]}
        return xgboost.QuantileDMatrix(rows.inputs, rows.target, ref=like, **options)


def bounded_pull(forecast: ndarray, data: Any) -> tuple[ndarray, ndarray]:
    """Return the gradient of Huber's loss (1964, "Robust estimation of a location parameter") with
    a constant curvature.

    XGBoost's own objective sets leaves to medians once the tree is grown, which breaks monotone
    constraints; so do LightGBM's and CatBoost's (microsoft/LightGBM#3371, catboost/catboost#1896).
    """
    return np.clip(forecast - data.get_label(), -HUBER_BOUND, HUBER_BOUND), np.ones_like(forecast)


def absolute_loss(forecast: ndarray, data: Any) -> tuple[str, float]:
    """Return the mean absolute loss, for growing to be stopped by."""
    return "mae", float(np.abs(data.get_label() - forecast).mean())


# Training rows in parts that trees learn from by turns, so that each tree costs a part of what
# it costs on all of them.

GOLDEN = (5**0.5 - 1) / 2
"""The share of a circle by whose multiples points fall most evenly."""


@dataclass(frozen=True, eq=False)
class AlternatingRows:
    """Rows as XGBoost reads them, in as many matrices as there are parts (Friedman 2002,
    "Stochastic gradient boosting").

    XGBoost's own `subsample` saves no time: its histograms pass over the rows that are left out,
    too.

    Attributes:
        rows: Part after part.
        bounds: The first row of each part, and the end.
        matrices: One a part, all in the bins of the first.
    """

    rows: TrainingRows
    bounds: ndarray
    matrices: Sequence[Any]

    @classmethod
    def of(cls, growing: BoosterSettings, rows: TrainingRows) -> AlternatingRows:
        """Deal the rows out evenly, in no rhythm with the steps of an origin, which follow each
        other.
        """
        part = (np.arange(len(rows.target)) * GOLDEN % 1 * growing.parts).astype(np.int64)
        if growing.parts > 1:
            rows = rows.take(np.argsort(part, kind="stable"))
        bounds = np.cumsum([0, *np.bincount(part, minlength=growing.parts)])
        matrices: list[Any] = []
        for start, stop in pairwise(bounds.tolist()):
            matrices.append(growing.matrix(rows.take(slice(start, stop)), *matrices[:1]))
        return cls(rows, bounds, matrices)

    def grow(self, growing: BoosterSettings, rounds: int) -> Any:
        """Grow a booster, a tree on each part by turns; on a single one as ever."""
        import xgboost

        if len(self.matrices) == 1:
            return growing.train(self.matrices[0], rounds)
        settings = {**growing.settings, "subsample": 1.0}  # a part is the sample
        booster = xgboost.Booster(settings, cache=self.matrices)
        curve = learning_curve("booster, all rows", "round")
        for index in range(rounds):
            part = self.matrices[index % len(self.matrices)]
            booster.update(part, index)
            if curve.wanted:
                curve.report(index + 1, float(booster.eval(part).rpartition(":")[2]))
        return booster

    def predict(self, booster: Any) -> ndarray:
        """Return what a booster predicts for `rows`.

        Trees that it has grown on them are not asked again.
        """
        return np.concatenate([booster.predict(matrix) for matrix in self.matrices])

    def relabel(self, target: ndarray) -> None:
        """Give the rows another target, shape (rows,): their bins are made once for both."""
        for matrix, (start, stop) in zip(
            self.matrices, pairwise(self.bounds.tolist()), strict=True
        ):
            matrix.set_label(target[start:stop])


# Quantiles of two boosters: the median, the spread about it, and the shape of what is left,
# which is one for all rows.

ROUNDS, DEPTH, RATE = 40, 4, 0.12
"""The rounds, the levels of a tree and the learning rate of the booster of the spread: it differs
less than the median does.
"""

PRIOR_ROWS = 50.0
"""Rows that a normal distribution counts as, beside those that the shape is measured on."""

LEAST_ERROR = 1e-3
"""An error below this share of the mean error counts as this: a logarithm is taken of its
expectation.
"""


@dataclass(frozen=True, eq=False)
class Boosters:
    """The boosters of a forecast, in XGBoost's own format (UBJSON).

    Attributes:
        median: The booster of the median of the seasonal naive's errors, or of a location near it.
        spread: The booster of the expected distance from it.
        shape: The place of each level, in spreads from what `median` predicts, shape (levels,).
    """

    median: bytes
    spread: bytes
    shape: ndarray


def fit_boosters(
    growing: BoosterSettings,
    rows: TrainingRows,
    last: TrainingRows,
    grid: tuple[float, ...],
    constrained: ndarray,
) -> Boosters:
    """Grow the booster of the median, then that of the distance from it, and measure the shape on
    rows that were not learned.

    Trees for each level cost as many times as much, and the outer ones rest on few rows each. The
    distance is learned as the mean of a gamma distribution; in the rows that were learned it is too
    small by much the same share everywhere, which the shape makes good: it is measured on the last
    horizon, forecast by the booster that had not seen it. A smoothed loss learns a location between
    the median and the mean; how far the median is from it, in spreads, is measured on all rows, for
    those of one horizon share its shocks.

    Args:
        growing: The settings of the booster of the median.
        rows: Training rows.
        last: Rows of the last horizon, by which growing stops.
        grid: The levels.
        constrained: The inputs that the forecast may only rise or fall with; the spread does not
            depend on them, for all levels are then held to it as the median is; shape (columns,).
    """
    early = growing.early(rows, last)
    alternating = AlternatingRows.of(growing, rows)
    rows, median = alternating.rows, alternating.grow(growing, growing.rounds(early))
    learned = alternating.predict(median)
    error = np.abs(rows.target - learned)
    error = np.maximum(error, max(LEAST_ERROR * float(error.mean()), 1e-6))
    free = (
        np.where(constrained, np.float32(np.nan), rows.inputs) if constrained.any() else rows.inputs
    )
    spreading = _spread_settings(growing)
    if constrained.any():
        alternating = AlternatingRows.of(spreading, replace(rows, inputs=free, target=error))
    else:
        alternating.relabel(error)
    spread = alternating.grow(spreading, ROUNDS)
    honest = rows.late if early is not None and rows.late.any() else np.ones(len(rows.target), bool)
    seen = rows.inputs[honest]
    median_seen = median.inplace_predict(seen) if early is None else early.predict(seen)
    missed = rows.target[honest] - median_seen
    shape = distance_quantiles(missed / spread.inplace_predict(free[honest]), grid)
    if growing.smooth:
        shape = shape + np.median((rows.target - learned) / alternating.predict(spread))
    return Boosters(bytes(median.save_raw("ubj")), bytes(spread.save_raw("ubj")), shape)


def _spread_settings(growing: BoosterSettings) -> BoosterSettings:
    """Return the growing of the spread."""
    unlike = (
        "monotone_constraints",
        "base_score",
        "disable_default_eval_metric",
        "huber_slope",
        "eval_metric",
    )
    settings = {name: value for name, value in growing.settings.items() if name not in unlike}
    depth = min(DEPTH, int(settings["max_depth"]))
    settings |= {"objective": "reg:gamma", "max_depth": depth, "eta": RATE}
    return BoosterSettings(settings, ROUNDS, 0)


def distance_quantiles(distances: ndarray, grid: tuple[float, ...]) -> ndarray:
    """Return the quantiles of distances from the median, drawn towards those of a normal
    distribution; 0 at the median.

    Args:
        distances: Distances in spreads, shape (rows,).
        grid: The levels.
    """
    from scipy.stats import norm

    normal = norm.ppf(grid) * np.sqrt(np.pi / 2)
    seen = np.quantile(distances - np.median(distances), grid)
    return (len(distances) * seen + PRIOR_ROWS * normal) / (len(distances) + PRIOR_ROWS)


# Direct forecasts of gradient-boosted trees: two boosters predict every step at once.


@dataclass(frozen=True)
class FittedXGBoost(Serializable):
    """Two boosters and the shape of their distribution, and how windows are cut for them.

    Attributes:
        windowing: Statistics of the history.
        features: The feature set that it was fitted with.
        median: The booster of the median in XGBoost's own format (UBJSON); empty where there was
            nothing to learn from.
        spread: The booster of the expected distance from it.
        shape: Where each level of the grid lies, in spreads from what `median` predicts, shape
            (grid,).
        grid: The levels that are forecast.
        levels: The levels to forecast, all in `grid`.
        cpus: Threads.
    """

    windowing: Windowing
    features: Features | None
    median: bytes
    spread: bytes
    shape: ndarray
    grid: tuple[float, ...]
    levels: tuple[float, ...]
    cpus: int

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Forecast every series at once.

        Without boosters, the seasonal naive with normal intervals, marked as a fallback.
        """
        grown = (self.median, self.spread) if self.median else ()
        boosters = [load_booster(each, self.cpus) for each in grown]
        mean, quantiles = forecast_windows(self, history, future, partial(self._forecast, boosters))
        return Forecasts.of(mean, quantiles, np.full(len(mean), not boosters), NOTHING_LEARNED)

    def _forecast(self, boosters: list[Any], windows: Windows) -> tuple[ndarray, ndarray]:
        if not boosters:
            return self.windowing.seasonal_naive(windows.base, windows.scale, self.levels)
        rows = every_input(windows)
        median, spread = (
            booster.inplace_predict(rows).reshape(*windows.base.shape, 1).astype(np.float64)
            for booster in boosters
        )
        grid = self.windowing.bound(windows.restore(median + spread * self.shape))
        return read_grid(grid, self.grid, self.levels)


def forecast_windows(
    fitted: FittedXGBoost | FittedCounts,
    history: Panel,
    future: Panel,
    forecast: Callable[[Windows], tuple[ndarray, ndarray]],
) -> tuple[ndarray, ndarray]:
    """Return the means and quantiles of all series, made of their windows some at a time.

    Args:
        fitted: The fitted model.
        history: The history.
        future: The rows to forecast.
        forecast: The function of windows that returns means, shape (n, h), and quantiles, shape
            (n, h, levels).
    """
    steps = int(future.lengths[0])
    source = WindowSource.of(fitted.windowing, history.followed_by(future), fitted.features)
    parts = [forecast(windows) for _, windows in source.parts(source.at(history.lengths), steps)]
    mean, quantiles = (np.concatenate(part) for part in zip(*parts, strict=True))
    return mean, quantiles


# Gradient-boosted trees for demand that comes by chance: boosters of its mean and its chance, a
# table of its sizes.

LEAST_CHANCE = 1e-6
"""A probability below this counts as this, so that a size has an estimate."""


@dataclass(frozen=True)
class FittedCounts(Serializable):
    """Two boosters and the table of sizes.

    Attributes:
        windowing: Statistics of the history.
        features: The feature set that it was fitted with.
        mean: The booster of mean demand in XGBoost's own format (UBJSON); empty where there was
            nothing to learn from.
        chance: The booster of the chance of demand; empty where demand always comes.
        edges: See `size_table`.
        ratios: See `size_table`.
        whole: Whether demand comes in whole numbers.
        levels: The levels to forecast.
        cpus: Threads.
    """

    windowing: Windowing
    features: Features | None
    mean: bytes
    chance: bytes
    edges: ndarray
    ratios: ndarray
    whole: bool
    levels: tuple[float, ...]
    cpus: int

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Forecast every series at once.

        The seasonal naive answers, marked, for one that is unknown or was ever negative.
        """
        simple = FittedSeasonalNaive(self.windowing.season, self.levels).predict(history, future)
        fallback = np.minimum.reduceat(np.nan_to_num(history.target), history.offsets[:-1]) < 0
        fallback |= np.isnan(np.fmax.reduceat(history.target, history.offsets[:-1]))
        if not self.mean:
            everywhere = np.ones_like(fallback)
            return Forecasts.of(simple.mean, simple.quantiles, everywhere, NOTHING_LEARNED)
        grown = (self.mean, self.chance) if self.chance else (self.mean,)
        boosters = [load_booster(each, self.cpus) for each in grown]
        mean, quantiles = forecast_windows(self, history, future, partial(self._forecast, boosters))
        mean[fallback], quantiles[fallback] = simple.mean[fallback], simple.quantiles[fallback]
        return Forecasts.of(mean, quantiles, fallback, "negative or unknown values")

    def _forecast(self, boosters: list[Any], windows: Windows) -> tuple[ndarray, ndarray]:
        shape, rows = windows.base.shape, every_input(windows)
        mean, *chances = (booster.inplace_predict(rows).reshape(shape) for booster in boosters)
        expected = windows.restore(mean)
        probability = bound_chance(chances[0]) if chances else np.ones(shape)
        sizes = self.edges, self.ratios, self.whole
        return expected, demand_quantiles(expected, probability, self.levels, *sizes)


def fit_counts(
    growing: BoosterSettings,
    rows: TrainingRows,
    last: TrainingRows,
    windowing: Windowing,
    features: Features | None,
    levels: tuple[float, ...],
    whole: bool,
) -> FittedCounts:
    """Grow both boosters; sizes are compared with what was expected of them before the last horizon
    of the history.

    Args:
        growing: The settings of the booster of the mean.
        rows: Training rows.
        last: Rows of the last horizon.
        windowing: The settings that the rows were cut by.
        features: The feature set of the rows.
        levels: The levels to forecast.
        whole: Whether demand comes in whole numbers.
    """
    cpus = int(growing.settings["nthread"])
    if not (len(rows.target) and (rows.target > 0).any()):
        table = size_table(np.zeros(0), np.zeros(0))
        return FittedCounts(windowing, features, b"", b"", *table, whole, levels, cpus)
    mean, early = growing.grow(rows, last)
    chance, early_chance = b"", None
    if (rows.target == 0).any():
        events, last_events = _demand_events(rows), _demand_events(last)
        chance, early_chance = _chance_settings(growing).grow(events, last_events)
    honest = last if early is not None else rows
    expected = _unseen_predictions(early, mean, honest, cpus) * honest.scale
    probability = np.ones(len(expected))
    if chance:
        probability = bound_chance(_unseen_predictions(early_chance, chance, honest, cpus))
    came = honest.target > 0
    sizes = expected_size(expected[came], probability[came], whole)
    table = size_table(sizes, honest.target[came] * honest.scale[came])
    return FittedCounts(windowing, features, mean, chance, *table, whole, levels, cpus)


def bound_chance(chance: ndarray) -> ndarray:
    """Return chances as float64, never 0."""
    return np.maximum(chance.astype(np.float64), LEAST_CHANCE)


def _chance_settings(growing: BoosterSettings) -> BoosterSettings:
    """Return the same trees for whether there is any demand."""
    unlike = ("tweedie_variance_power", "base_score")
    settings = {name: value for name, value in growing.settings.items() if name not in unlike}
    return replace(growing, settings=settings | {"objective": "binary:logistic"})


def _demand_events(rows: TrainingRows) -> TrainingRows:
    return replace(rows, target=(rows.target > 0).astype(np.float32))


def _unseen_predictions(
    early: EarlyBooster | None, booster: bytes, rows: TrainingRows, cpus: int
) -> ndarray:
    """Return the predictions of the booster that has not seen the rows.

    Of the final one where there is none.
    """
    if early is None:
        return load_booster(booster, cpus).inplace_predict(rows.inputs)
    return early.predict(rows.inputs)


BINS, LEAST_ROWS, STEPS = 20, 50, 200
"""Bins of expected size, the least rows in one, and steps of the grid of levels."""


def size_table(expected: ndarray, actual: ndarray) -> tuple[ndarray, ndarray]:
    """Return a table of quantiles of the ratio of actual to expected sizes, by bins of the expected
    size.

    Args:
        expected: The sizes that were forecast, above 0, shape (rows,).
        actual: The demands that came, above 0, shape (rows,).

    Returns:
        The least expected size of each bin but the first, shape (bins - 1,); and the quantiles of
        the ratio at even levels from 0 to 1, shape (bins, STEPS + 1). Without rows sizes are as
        expected.
    """
    if not len(expected):
        return np.zeros(0), np.ones((1, STEPS + 1))
    order = np.argsort(expected, kind="stable")
    bins = np.array_split(order, max(1, min(BINS, len(order) // LEAST_ROWS)))
    levels = np.linspace(0, 1, STEPS + 1)
    table = [
        np.quantile(actual[rows] / expected[rows], levels, method="inverted_cdf") for rows in bins
    ]
    return expected[[rows[0] for rows in bins[1:]]], np.stack(table)


def demand_quantiles(
    mean: ndarray,
    chance: ndarray,
    levels: tuple[float, ...],
    edges: ndarray,
    ratios: ndarray,
    whole: bool,
) -> ndarray:
    """Return quantiles of a demand that comes with a chance, and whose size varies about its mean
    as the table says.

    The level q of demand is 0 where no demand is likelier than q, else the level 1 - (1 - q) /
    chance of its size.

    Args:
        mean: The mean of demand, shape (n, h).
        chance: The chance of any, above 0, shape (n, h).
        levels: Quantile levels.
        edges: The edges of bins from `size_table`.
        ratios: The ratios from `size_table`.
        whole: Whether demand comes in whole numbers: a size is then rounded, and at least 1.

    Returns:
        Shape (n, h, levels).
    """
    size = expected_size(mean, chance, whole)[..., None]
    inside = 1.0 - (1.0 - np.array(levels)) / chance[..., None]
    level = np.clip(np.ceil(inside * STEPS - 1e-6), 0, STEPS).astype(np.int64)
    quantiles = ratios[np.searchsorted(edges, size, side="right"), level] * size
    return np.where(inside > 0, np.maximum(np.rint(quantiles), 1.0) if whole else quantiles, 0.0)


def expected_size(mean: ndarray, chance: ndarray, whole: bool) -> ndarray:
    """Return the mean of a demand that comes; of whole numbers at least 1."""
    size = mean / chance
    return np.maximum(size, 1.0) if whole else size


# Recursive forecasts of gradient-boosted trees: a booster of the next row, fed with its
# predictions of the rows before.


@dataclass(frozen=True)
class FittedRecursive(Serializable):
    """A booster of the next row's median, and how far off its paths were before.

    Attributes:
        windowing: Statistics of the history, for one step.
        features: The feature set that it was fitted with.
        booster: The booster in XGBoost's own format (UBJSON); empty where there was nothing to
            learn from.
        bands: Quantiles of the paths' errors in seasonal changes, shape (horizon, grid); empty
            where no path could be tried.
        grid: The levels of `bands`.
        levels: The levels to forecast, all in `grid`.
        cpus: Threads.
    """

    windowing: Windowing
    features: Features | None
    booster: bytes
    bands: ndarray
    grid: tuple[float, ...]
    levels: tuple[float, ...]
    cpus: int

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Forecast row by row; without a booster or bands, the seasonal naive, marked as a
        fallback.
        """
        if not (self.booster and len(self.bands)):
            naive = FittedSeasonalNaive(self.windowing.season, self.levels)
            simple = naive.predict(history, future)
            everywhere = np.ones(len(simple.mean), bool)
            return Forecasts.of(simple.mean, simple.quantiles, everywhere, NOTHING_LEARNED)
        steps = int(future.lengths[0])
        median, scale = recursive_path(
            self.windowing, self.features, self.booster, self.cpus, history, future
        )
        bands = self.bands[np.minimum(np.arange(steps), len(self.bands) - 1)]
        grid = self.windowing.bound(median[..., None] + scale[:, None, None] * bands)
        return Forecasts.of(*read_grid(grid, self.grid, self.levels))


def recursive_path(
    windowing: Windowing,
    features: Features | None,
    booster: bytes,
    cpus: int,
    history: Panel,
    future: Panel,
) -> tuple[ndarray, ndarray]:
    """Forecast row by row, each the history of the next; past-only columns keep their last value.

    Returns:
        The path, shape (n, h), and each series' seasonal change at the cutoff, shape (n,).
    """
    panel, model = history.followed_by(future), load_booster(booster, cpus)
    steps = int(future.lengths[0])
    rows = panel.offsets[:-1] + history.lengths
    target, forecasts = panel.target, np.empty((history.n_series, steps))
    scale = np.empty(0)
    for step in range(steps):
        table = panel.table.with_columns(pl.Series(TARGET, target, nan_to_null=True))
        source = WindowSource.of(windowing, replace(panel, table=table), features)
        for part, windows in source.parts(source.at(history.lengths + step), 1):
            residual = model.inplace_predict(every_input(windows)).reshape(-1, 1)
            forecasts[part, step] = windows.restore(residual)[:, 0]
            scale = np.append(scale, windows.scale) if step == 0 else scale
        forecasts[:, step] = windowing.bound(forecasts[:, step])
        target[rows + step] = forecasts[:, step]
    return forecasts, scale


def path_errors(
    fit: Callable[[Panel], tuple[Windowing, bytes]],
    history: Panel,
    horizon: int,
    features: Features | None,
    cpus: int,
) -> list[ndarray]:
    """Return errors of paths over the last horizon of the history, learned from what lies before
    it.

    Args:
        fit: A history to the windowing and the booster learned from it.
        history: All that may be known.
        horizon: Steps of a path.
        features: The feature set.
        cpus: Threads.

    Returns:
        Each step's errors in seasonal changes; empty where nothing can be learned before.
    """
    able = history.lengths > horizon
    if not able.any():
        return []
    learnable = pl.Series(np.repeat(able, history.lengths))
    whole = replace(history, table=history.table.filter(learnable))
    early = whole.until(whole.lengths - horizon)
    windowing, booster = fit(early)
    if not booster:
        return []
    actual = whole.last(horizon)
    future = replace(actual, table=actual.table.with_columns(_hide_ahead(actual)))
    median, scale = recursive_path(windowing, features, booster, cpus, early, future)
    relative = (actual.target.reshape(median.shape) - median) / scale[:, None]
    errors = np.clip(relative, -MOST_CHANGES, MOST_CHANGES)
    return [column[~np.isnan(column)] for column in errors.T]


def error_quantiles(errors: list[ndarray], grid: tuple[float, ...]) -> ndarray:
    """Return quantiles of the errors at each step, shape (steps, grid); empty where there are none.

    Errors of all steps are divided by a spread that grows with the step and pooled, so that one
    step's few say little alone.
    """
    if not any(len(step) for step in errors):
        return np.zeros((0, len(grid)))
    spread = np.maximum(spread_by_step(_step_errors(errors), len(errors)), 1e-9)
    pooled = np.concatenate([step / size for step, size in zip(errors, spread, strict=True)])
    return spread[:, None] * np.quantile(pooled, grid)


def _step_errors(errors: list[ndarray]) -> list[ndarray]:
    """Return the root mean square error of each step, in the form that `spread_by_step` reads."""
    squares = [np.mean(step**2) if len(step) else np.nan for step in errors]
    filled = np.where(np.isnan(squares), np.nanmean(squares), squares)
    return [np.sqrt(filled)]


def _hide_ahead(panel: Panel) -> list[pl.Expr]:
    """Return nulls for what a forecast may not read of the rows ahead."""
    names = (TARGET, *panel.roles.past_only)
    return [pl.lit(None, panel.table.schema[name]).alias(name) for name in names]
