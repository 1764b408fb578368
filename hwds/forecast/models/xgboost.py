"""Gradient-boosted trees on windows of all series."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from functools import cache
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Le, Lt
from numpy import ndarray
from pydantic import model_validator

from hwds.core.errors import ConfigError, nearest
from hwds.core.recipe import (
    Depth,
    NonNegativeInt,
    Positive,
    Rows,
    Small,
    Steps,
    UnitInterval,
    Width,
    ZeroSteps,
)
from hwds.evaluation.trees import compute_device
from hwds.forecast.boosting import (
    Boosters,
    BoosterSettings,
    FittedRecursive,
    FittedXGBoost,
    error_quantiles,
    fit_boosters,
    fit_counts,
    path_errors,
)
from hwds.forecast.models.base import FittedForecaster, ForecastContext, Forecaster
from hwds.forecast.models.damped import Damped
from hwds.forecast.models.theta import Theta
from hwds.forecast.statistical import WILD_MULTIPLE, Statistical, power_of_two
from hwds.forecast.training_rows import (
    input_names,
    mean_weights,
    quantile_grid,
    stopping_rows,
    thin_evenly,
    training_rows,
)
from hwds.forecast.windows import OriginForecasts, Origins, Windowing, WindowSource
from hwds.frames.panel import Panel

# Lines: what the theta method and a damped trend forecast from each origin, which a global
# model then corrects.

MIDDLE = (0.5,)
"""The only level that is asked."""


class ThetaAndDamped(OriginForecasts):
    """The theta method and a damped trend."""

    def forecasts(self, histories: Iterable[ndarray], season: int, base: ndarray) -> ndarray:
        """Return both, shape (2, n, steps), `base` where one of them has none.

        See `OriginForecasts.forecasts`.
        """
        forecasts = np.stack([base, base])
        for place, values in enumerate(histories):
            both = [
                _line(model, values[-model.longest :], season, base.shape[1])
                for model in _methods()
            ]
            if all(line is not None for line in both):
                forecasts[:, place] = both
        return forecasts


@cache
def _methods() -> tuple[Statistical, ...]:
    return Theta(origins=0), Damped(origins=0)


def _line(model: Statistical, values: ndarray, season: int, steps: int) -> ndarray | None:
    """Return the forecast after a series without holes, shape (steps,).

    None where it cannot be fitted, or is wild.
    """
    if not model.suits(values):
        return None
    scale = power_of_two(values)
    with np.errstate(all="ignore"):  # a forecast that overflows is none
        mean = model.forecast(values / scale, season, steps, MIDDLE)[0] * scale
    if not (np.abs(mean) <= WILD_MULTIPLE * np.abs(values).max()).all():
        return None
    return np.maximum(mean, 0.0) if values.min() >= 0 else mean


# Gradient-boosted forests for all series and steps.

__all__ = ["FittedXGBoost", "XGBoost", "mean_weights", "quantile_grid"]

EARLY_RATE_MULTIPLE = 3
"""The multiple of the learning rate with which the rounds of quantiles are chosen."""

ROWS_A_BIN, LEAST_BINS = 200, 32
"""Rows that a bin of a booster of quantiles holds at least, and the bins that there are however few
the rows.
"""

ROWS_AN_INPUT = 2_000
"""Rows for each input beyond which the loss is smoothed: leaves set to medians then take as long as
all else.
"""

SMOOTH = {"objective": "reg:pseudohubererror", "huber_slope": 1.0, "eval_metric": "mae"}
"""XGBoost's settings of the smoothed absolute loss."""

FINER_MULTIPLE = 3
"""With the smoothed loss the learning rate is divided, and the number of rounds multiplied, by this
(Friedman 2001, "Greedy function approximation: a gradient boosting machine": smaller steps forecast
better).
"""

PARTS, MOST_PARTS = 3, 10
"""Parts of the rows that trees learn from by turns where the loss is smoothed and `row_share` is 1,
and the most for a smaller share.
"""

SMOOTHED_ROWS = 2
"""The multiple of `max_rows` that is learned from where the loss is smoothed, a tree of which costs
so much less.
"""

CURVATURE = 0.5
"""What a row counts in a leaf where the loss is smoothed, about: its curvature, 1 where there is no
error and less with one.
"""

SMOOTH_BINS = 64
"""The most bins where the loss is smoothed: histograms of some forty inputs then fit a core's first
cache.
"""

XGBOOST_NAMES = {
    "quantile": "reg:absoluteerror",
    "tweedie": "reg:tweedie",
    "poisson": "count:poisson",
}


class XGBoost(Forecaster):
    """Gradient-boosted trees over the windows of all series: one booster for every step, one for
    the spread, with covariates.

    Direct forecasts with the step as an input; each window is centred and scaled, and the target is
    the seasonal naive's error (Montero-Manso and Hyndman 2021, "Principles and algorithms for
    forecasting groups of time series", on global models). One booster learns the median by the
    absolute loss, another the expected distance from it; all levels lie where errors of the
    history's last horizon lay, in such distances. Beyond 2,000 rows for each input the loss is
    smoothed (pseudo-Huber, Charbonnier et al. 1997, "Deterministic edge-preserving regularization
    in computed imaging"), each tree learns from a part of the rows, by turns (Friedman 2002,
    "Stochastic gradient boosting"), and three times as many trees add a third each. The rest of the
    way to the median is corrected as a share of the distance.

    Intermittent demand asks for another objective: its median is often 0 where its mean is not.
    With `tweedie` or `poisson` one booster learns the mean as a multiple of the series' own mean
    demand, another the chance of any demand, and quantiles come from both, with the past ratios of
    demand to its expectation.

    Attributes:
        objective: `quantile`; or for counts and intermittent demand `tweedie` (Tweedie 1984;
            variance mean^power) or `poisson`.
        power: The power of `tweedie`, between 1 (counts) and 2 (sizes).
        strategy: `direct`, or `recursive`: a booster of the next row's median reads its own
            forecasts, and intervals come from the errors of its paths over the history's last
            horizon. It is cheaper and mostly worse. Only for `quantile`.
        base: What the boosters correct: the `naive` forecast of a season ago; or `lines`, the mean
            of the theta method and a damped trend, both fitted at every training origin and used as
            inputs, too. `lines` costs more, and is better for series with trends and few columns.
            Only for `quantile` and `direct`.
        monotone: Known-future columns with which the forecast may only rise (1) or fall (-1), all
            else equal. It applies to the column, its change over a season, and the feature set's
            changes of it. Quantiles of counts are held to it by their mean and chance alone.
        trees: The most rounds, of one tree each; thrice as many where the loss is smoothed.
        patience: Growing stops after this many rounds without a better forecast of the history's
            last horizon from the rows before it; the booster is then grown again on all rows. 0
            always grows `trees` rounds.
        depth: The levels of a tree.
        learning_rate: The share of each tree that is added; a third of it where the loss is
            smoothed.
        row_share: The share of the rows that each tree sees; a third of it where the loss is
            smoothed, one part by turns.
        column_share: The share of the inputs that each tree sees.
        leaf_rows: The least rows in a leaf.
        bins: Values of an input that are distinguished; of quantiles fewer where one would hold
            under 200 rows, and 64 at most where the loss is smoothed.
        max_rows: Training rows (an origin and a step); more are thinned evenly, so that cost is
            bounded however many series. Twice as many where the loss is smoothed, but for `lines`.
        looks: The most training rows for each origin. The same value is seen from many origins and
            adds little each time, so rows are thinned evenly.
        length: The values of the past that are inputs, two seasons at most.
        season: Rows in a season; 0 takes the dataset's.
    """

    imports = ("xgboost",)
    uses_features = True
    search_space: ClassVar[Mapping[str, Any]] = {
        "depth": {"randint": [2, 11]},
        "learning_rate": {"loguniform": [0.01, 0.3]},
        "leaf_rows": {"loguniform": [5.0, 500.0]},
        "row_share": {"uniform": [0.4, 1.0]},
        "column_share": {"uniform": [0.3, 1.0]},
    }

    objective: Literal["quantile", "tweedie", "poisson"] = "quantile"
    power: Annotated[float, Gt(1), Lt(2)] = 1.5
    strategy: Literal["direct", "recursive"] = "direct"
    base: Literal["naive", "lines"] = "naive"
    monotone: Mapping[str, Literal[-1, 1]] = field(default_factory=dict)
    trees: Annotated[Width, Small(10)] = 150
    patience: NonNegativeInt = 30
    depth: Depth = 6
    learning_rate: Positive = 0.06
    row_share: UnitInterval = 0.7
    column_share: UnitInterval = 0.6
    leaf_rows: Positive = 50.0
    bins: Annotated[int, Ge(2), Le(65_536)] = 256
    max_rows: Annotated[Rows, Small(20_000)] = 100_000
    looks: Steps = 6
    length: Steps = 48
    season: ZeroSteps = 0

    @model_validator(mode="after")
    def _strategy_fits(self) -> XGBoost:
        if self.strategy == "recursive" and self.objective != "quantile":
            raise ValueError(
                f"strategy 'recursive' feeds back medians, which '{self.objective}' has not; use "
                f"'direct'"
            )
        if self.base == "lines" and (self.strategy, self.objective) != ("direct", "quantile"):
            raise ValueError(
                "base 'lines' is for strategy 'direct' and objective 'quantile' alone; use 'naive'"
            )
        return self

    def learn(self, history: Panel, *, horizon: int, context: ForecastContext) -> FittedForecaster:
        """Learn from every origin in the history, or from an even sample of them."""
        if self.strategy == "recursive":
            return self._recursive(history, horizon, context)
        windowing = self._windowing(history, horizon, context)
        source = WindowSource.of(windowing, history, context.features)
        rows = training_rows(
            source,
            self._most_rows(source),
            context.stream("training rows"),
            self._origins(source, context),
        )
        last = stopping_rows(source, self.max_rows // 4, context.stream("stopping rows"))
        grid = quantile_grid(context.levels)
        growing = self._booster_settings(source, len(rows.target), context)
        if self.objective != "quantile":
            known = history.target[~np.isnan(history.target)]
            whole = bool((known == np.rint(known)).all())
            return fit_counts(
                growing, rows, last, windowing, context.features, context.levels, whole
            )
        grown = Boosters(b"", b"", np.zeros(len(grid)))
        if len(rows.target):
            grown = fit_boosters(growing, rows, last, grid, self._signs(source) != 0)
        made = (grown.median, grown.spread, grown.shape)
        return FittedXGBoost(windowing, context.features, *made, grid, context.levels, context.cpus)

    def _recursive(self, history: Panel, horizon: int, context: ForecastContext) -> FittedRecursive:
        """Return a booster of the next row, its rounds and bands chosen on the last rows of the
        history.
        """

        def learn_booster(panel: Panel) -> tuple[Windowing, bytes]:
            windowing = self._windowing(panel, 1, context)
            source = WindowSource.of(windowing, panel, context.features)
            rows = training_rows(source, self._most_rows(source), context.stream("training rows"))
            last = stopping_rows(source, self.max_rows // 4, context.stream("stopping rows"))
            growing = self._booster_settings(source, len(rows.target), context)
            return windowing, growing.grow(rows, last)[0] if len(rows.target) else b""

        grid = quantile_grid(context.levels)
        errors = path_errors(learn_booster, history, horizon, context.features, context.cpus)
        windowing, booster = learn_booster(history)
        return FittedRecursive(
            windowing,
            context.features,
            booster,
            error_quantiles(errors, grid),
            grid,
            context.levels,
            context.cpus,
        )

    def _most_rows(self, source: WindowSource) -> int:
        if self.objective != "quantile":
            return self.max_rows
        seen = self.looks * len(source.origins())
        many = min(SMOOTHED_ROWS * self.max_rows, seen)
        return (
            many
            if self.base == "naive" and self._smooths(many, len(input_names(source)))
            else min(self.max_rows, seen)
        )

    def _origins(self, source: WindowSource, context: ForecastContext) -> Origins:
        """Return the origins that are learned from.

        Where lines are drawn at each, no more than rows are needed of.
        """
        every = source.origins()
        if self.base == "naive":
            return every
        return every.take(
            thin_evenly(
                len(every), max(self.max_rows // self.looks, 1), context.stream("origins of lines")
            )
        )

    def _windowing(self, history: Panel, horizon: int, context: ForecastContext) -> Windowing:
        season, counts = self.season or context.season, self.objective != "quantile"
        given = {"season": season, "horizon": horizon, "length": self.length}
        return Windowing.learn(
            history,
            **given,
            of_demand=counts,
            lines=ThetaAndDamped() if self.base == "lines" else None,
        )

    def _booster_settings(
        self, source: WindowSource, rows: int, context: ForecastContext
    ) -> BoosterSettings:
        settings: dict[str, Any] = {
            "objective": XGBOOST_NAMES[self.objective],
            "tree_method": "hist",
            "max_depth": self.depth,
            "eta": self.learning_rate,
            "subsample": self.row_share,
            "colsample_bytree": self.column_share,
            "min_child_weight": self.leaf_rows,
            "max_bin": self.bins,
            "nthread": context.cpus,
            "seed": context.seed_for("xgboost"),
            "device": compute_device(context.device),
        }
        if self.monotone:
            settings |= {"monotone_constraints": tuple(self._signs(source).tolist())}
        if self.objective == "tweedie":
            settings |= {"tweedie_variance_power": self.power}
        if self.objective != "quantile":
            return BoosterSettings(settings, self.trees, self.patience)
        return self._of_quantiles(settings, rows, len(input_names(source)))

    def _of_quantiles(self, settings: Mapping[str, Any], rows: int, inputs: int) -> BoosterSettings:
        bins = min(self.bins, max(rows // ROWS_A_BIN, LEAST_BINS))
        if self.monotone:
            robust = {
                "objective": "reg:squarederror",
                "base_score": 0.0,
                "disable_default_eval_metric": True,
            }
            return BoosterSettings(
                {**settings, "max_bin": bins, **robust},
                self.trees,
                self.patience,
                robust=True,
                early_rate=EARLY_RATE_MULTIPLE,
            )
        if not self._smooths(rows, inputs):
            return BoosterSettings(
                {**settings, "max_bin": bins},
                self.trees,
                self.patience,
                early_rate=EARLY_RATE_MULTIPLE,
            )
        smooth = SMOOTH | {
            "eta": self.learning_rate / FINER_MULTIPLE,
            "max_bin": min(bins, SMOOTH_BINS),
        }
        smooth |= {"min_child_weight": CURVATURE * self.leaf_rows}
        parts = min(round(PARTS / self.row_share), MOST_PARTS)
        return BoosterSettings(
            {**settings, **smooth},
            FINER_MULTIPLE * self.trees,
            FINER_MULTIPLE * self.patience,
            early_rate=FINER_MULTIPLE * EARLY_RATE_MULTIPLE,
            parts=parts,
        )

    def _smooths(self, rows: int, inputs: int) -> bool:
        free = (self.objective, self.strategy) == ("quantile", "direct") and not self.monotone
        return free and rows > ROWS_AN_INPUT * inputs

    def _signs(self, source: WindowSource) -> ndarray:
        """Return the sign of each input, shape (columns,): of a column itself, and of its changes.

        Raises:
            ConfigError: No such known-future column.
        """
        for name in self.monotone:
            if name not in source.known:
                raise ConfigError(
                    f"model.monotone: no known-future column "
                    f"'{name}'{nearest(name, list(source.known))}"
                )
        signs = {
            f"{name}{change}": sign for name, sign in self.monotone.items() for change in CHANGES
        }
        return np.array([signs.get(name, 0) for name in input_names(source)])


CHANGES = ("", " change", "_change", "_change_season")
"""The suffixes of the inputs made of a column at the step: itself, its change over a season, those
of `features/calendar`.
"""
