"""The best forecast within a budget: candidates raced on windows before the cutoff, combined and calibrated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np
import polars as pl
from annotated_types import Ge, Le

from hwds.core.cache import Unkept
from hwds.core.recipe import PositiveInt, Small
from hwds.core.serialization import Serializable
from hwds.evaluation.codecs import FITTED
from hwds.evaluation.keys import key_of
from hwds.forecast.context import ForecastContext
from hwds.forecast.inner_backtest import InnerBacktests
from hwds.forecast.metrics.scale import seasonal_scales
from hwds.forecast.models.base import Forecaster
from hwds.forecast.models.racing.answer import Answer, ages, answer_of
from hwds.forecast.models.racing.budget import Allowance, Budget, in_units
from hwds.forecast.models.racing.candidates import Look, candidates
from hwds.forecast.models.racing.notes import SEARCH
from hwds.forecast.models.racing.race import Race, worthwhile
from hwds.forecast.models.racing.story import story_of
from hwds.forecast.models.stacking.mixing import asked, mixture
from hwds.frames.forecasts import Forecasts
from hwds.frames.panel import Panel
from hwds.statistics.conformal import Bands


class Auto(Forecaster):
    """Find the best forecast within a budget: a look at the panel, a race of candidates, the best of them combined.

    What usually wins on panels of this kind is tried first, on windows before the cutoff. Candidates that are surely far
    behind there and no help go, the others are tried on more series and windows, those that are surely behind last (after
    successive halving, Jamieson and Talwalkar 2016), as far as the budget reaches; one is only begun where its own fit and
    those of the best so far still fit into what is left. Those that help are fitted on all rows and combined by weights whose
    shrinkage is learned, as in `forecast/stack`; their quantiles are calibrated by the windows. From the first second on there
    is an answer: the seasonal naive. What was tried, what was dropped and why, and what more time would try, is a note.

    A budget in units of work (`300u`; one is about a second of one core) has the same answer on any machine. One in seconds has
    not, as it ends by the clock: the note says so. It is of one fit (one cutoff), asking included, and calibration by the
    protocol beside it. What was tried before a run was killed is kept, and not charged to the same command again.

    Attributes:
        budget: The most that one fit may take: `60s`, `10m`, `2h`, or units of work, `300u`.
        members: The models that are raced instead of those that hwds would choose; the seasonal naive is always there.
        most: The most candidates that are raced: the first ones of their order.
        windows: Windows before the cutoff that candidates are raced on in the last round; fewer where they would leave less
            than half of the history's rows before the first.
    """

    uses_features = True
    search_space: ClassVar[Mapping[str, Any]] = {"windows": {"choice": [2, 3, 4]}}

    budget: Budget = "300u"
    members: tuple[Forecaster, ...] = ()
    most: Annotated[PositiveInt, Le(100), Small(1)] = 100
    windows: Annotated[int, Ge(1), Le(100), Small(2)] = 3

    def why_unrepeatable(self) -> str:
        """Return that a budget ends by the clock; nothing of one in units."""
        return "" if in_units(self.budget) else f"budget: must be in units of work, such as 300u, got {self.budget}"

    def learn(self, history: Panel, *, horizon: int, context: ForecastContext) -> FittedAuto:
        """Race the candidates, then fit those that answer on all rows."""
        answer = self._answer(history, horizon, context)
        fitted = tuple(context.fitted(member, history, horizon=horizon) for member in answer.members)
        return FittedAuto(fitted, answer, context.levels)

    def backtest(self, history: Panel, windows: int, *, horizon: int, context: ForecastContext) -> pl.DataFrame:
        """Return the members' inner windows, each combined and calibrated as an answer is, by weights learned on the others."""
        seen = history.last(context.sliding) if context.sliding else history
        answer = self._answer(seen, horizon, context)
        asked = max(windows, worthwhile(seen, horizon, self.windows))
        parts = [context.inner(member, seen, asked, horizon=horizon, refit=False) for member in answer.members]
        if any(rows.is_empty() for rows in parts):
            return pl.DataFrame()
        rows = answer.inside(parts, context.levels).filter(pl.col("window") >= -windows)
        return rows.with_columns(pl.lit(None, pl.String).alias(SEARCH))

    def _answer(self, history: Panel, horizon: int, context: ForecastContext) -> Answer:
        """Return the outcome of the race, which is run once for all who ask."""
        if context.cache is None:
            return self._race(history, horizon, context)
        settings = {"model": self, "features": context.features, "asked": [context.levels, context.season, horizon]}
        data = [history.fingerprint, context.fold, context.align, repr(context.known_until)]
        key = key_of("race", data, settings, context.conditions, __name__)
        answer: Answer = context.cache.get_or_make(key, FITTED, lambda: self._race(history, horizon, context))
        return answer

    def _race(self, history: Panel, horizon: int, context: ForecastContext) -> Answer:
        if context.backtests is None:  # in Python, without a run
            context = replace(context, backtests=InnerBacktests(Unkept()))
        allowance = Allowance.of(self.budget)
        look = Look.of(history, context.season)
        race = Race(history, horizon, context, worthwhile(history, horizon, self.windows), allowance)
        usual = candidates(look, self.members)
        team = race.run(usual[: self.most])
        return answer_of(team, context.levels, horizon, story_of(race, look, self.budget, len(usual[self.most :])))


@dataclass(frozen=True, eq=False)
class FittedAuto(Serializable):
    """The members that answer, fitted.

    Attributes:
        members: In the order of the weights.
        answer: The outcome of the race.
        levels: Quantile levels.
    """

    members: tuple[Any, ...]
    answer: Answer
    levels: tuple[float, ...]

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Return the combination of the members' forecasts, its quantiles calibrated; the first series has the story."""
        means, quantiles, fallbacks = asked(self.members, history, future)
        scale, _ = seasonal_scales(history.target, history.offsets, history.season)
        groups = ages(history, history.season)
        weights = self.answer.weights.of(groups, np.ones(len(groups), np.int64))[:, None].repeat(means.shape[2], axis=1)
        mixed = mixture(weights, means, quantiles, np.all(fallbacks, axis=0))
        story = np.full(len(scale), None, object)
        story[:1] = self.answer.story
        calibrated = self._calibrated(mixed.quantiles, history, scale)
        return replace(Forecasts.of(mixed.mean, calibrated, mixed.fallback), diagnostics={SEARCH: story})

    def _calibrated(self, quantiles: np.ndarray, history: Panel, scale: np.ndarray) -> np.ndarray:
        n, steps, count = quantiles.shape
        least = np.minimum.reduceat(np.nan_to_num(history.target), history.offsets[:-1]) >= 0
        rows = quantiles.reshape(-1, count)
        bands = Bands(
            np.array(self.levels),
            rows,
            rows[:, self.levels.index(0.5)],
            np.repeat(scale, steps),
            np.tile(np.arange(1, steps + 1), n),
            np.repeat(least, steps),
        )
        return self.answer.calibration.correct(bands)[0].reshape(quantiles.shape)
