"""The best forecast within a budget: candidates raced on windows before the cutoff, and
combined.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np
import polars as pl
from annotated_types import Ge, Le
from numpy import ndarray
from polars import DataFrame, Series, col

from hwds.core.cache import Unkept
from hwds.core.extras import missing_modules
from hwds.core.keys import key_of
from hwds.core.recipe import PositiveInt, Small, package_needs
from hwds.core.serialization import Serializable
from hwds.evaluation.cells import FITTED
from hwds.forecast.metrics import has_differences, seasonal_scales
from hwds.forecast.models.base import ForecastContext, Forecaster
from hwds.forecast.predictions import InnerBacktests
from hwds.forecast.racing import (
    UNSCALED,
    CandidateStanding,
    PanelTraits,
    Race,
    Rung,
    Team,
    race_candidates,
    team_weights,
    usable_windows,
)
from hwds.forecast.rows import CLOCK_NOTE, SEARCH_COLUMN, SEARCH_FACTS
from hwds.forecast.stacking import (
    GroupWeights,
    combine_backtests,
    member_forecasts,
    member_windows,
    mixture,
)
from hwds.forecast.work import SEARCH_SHARE, Allowance, Budget, in_units
from hwds.frames.panel import Forecasts, Panel
from hwds.stats.conformal import Bands, ConformalCalibration

# The outcome of a race: the members that answer, their weights, the calibration of quantiles,
# and the story.

YOUNG_GROUP = "young"
"""The group of the series with no season behind them."""

LEAST_CALIBRATION_ROWS = 400
"""Rows of inner windows below which quantiles are left as they are."""


@dataclass(frozen=True, eq=False)
class RaceAnswer(Serializable):
    """The outcome of a race.

    Attributes:
        members: The recipes that answer.
        weights: The weight of each, for series of every age and, where they differ, for `young`
            ones.
        outside: The weights that the other inner windows give, for each one, the last first: by
            these a window is answered as if it had not been seen.
        calibration: The calibration of the quantiles of their combination, learned on windows left
            out in turn.
        story: The candidates that were tried, those that were dropped and why, and those that more
            time would try.
        facts: The same as JSON, see `race_facts`.
    """

    members: tuple[Forecaster, ...]
    weights: GroupWeights
    outside: tuple[GroupWeights, ...]
    calibration: ConformalCalibration
    story: str
    facts: str = ""

    def inside(self, backtests: Sequence[DataFrame], levels: tuple[float, ...]) -> DataFrame:
        """Return what it would have answered in inner windows, quantiles calibrated as in an
        answer.

        Args:
            backtests: The rows of its members there.
            levels: Quantile levels.
        """
        rows = _combine_windows(backtests, self.weights, self.outside)
        quantiles, _ = self.calibration.correct(_row_bands(rows, levels))
        columns = zip((f"q_{level:g}" for level in levels), quantiles.T, strict=True)
        return rows.with_columns(Series(name, column, nan_to_null=True) for name, column in columns)


def team_answer(
    team: Team, levels: tuple[float, ...], horizon: int, story: str, facts: str = ""
) -> RaceAnswer:
    """Return the answer of a team."""
    weights, outside = _age_weights(team.weights, team.young), _left_out_weights(team)
    calibration = _learn_calibration(team, weights, outside, levels, horizon)
    return RaceAnswer(team.members, weights, outside, calibration, story, facts)


def _age_weights(every: ndarray, young: ndarray | None) -> GroupWeights:
    if young is None:
        return GroupWeights.same(every)
    return GroupWeights(np.stack([every, young])[:, None], (YOUNG_GROUP,))


def age_groups(history: Panel, season: int) -> ndarray:
    """Return the group of each series: `young` where it has no two known values a season apart."""
    grown = has_differences(history.target, history.offsets, season)
    return np.where(grown, "", YOUNG_GROUP).astype(object)


def _left_out_weights(team: Team) -> tuple[GroupWeights, ...]:
    """Return the weights for each window, the last one first, that are learned on the others.

    Of one alone those of all.
    """
    if not team.backtests or any(rows.is_empty() for rows in team.backtests):
        return ()
    seen, bare = member_windows(team.backtests), _unscaled_windows(team.backtests[0])
    cells = zip(seen.series.tolist(), seen.window.tolist(), strict=True)
    young = np.array([cell in bare for cell in cells], bool)
    made = []
    for number in range(1, int(seen.window.max(initial=0)) + 1):
        others = seen.window != number
        every = team_weights(seen.take(others)) if others.any() else team.weights
        own = team.young
        if team.learned and (others & young).any():
            own = (team_weights(seen.take(others & young)) + every) / 2
        made.append(_age_weights(every, own))
    return tuple(made)


def _unscaled_windows(rows: DataFrame) -> set[tuple[str, int]]:
    """Return the series without a seasonal scale and their windows, counted from the end."""
    number = col("cutoff").rank("dense", descending=True).over("series_id")
    cells = rows.with_columns(number=number).filter(UNSCALED).select("series_id", "number")
    return set(cells.unique().iter_rows())


def _combine_windows(
    backtests: Sequence[DataFrame], weights: GroupWeights, outside: tuple[GroupWeights, ...]
) -> DataFrame:
    """Return the members' rows, combined in each window by weights that were learned on the
    others.
    """

    def of(window: int) -> GroupWeights:
        return outside[window - 1] if window <= len(outside) else weights

    every = combine_backtests(backtests, of, {})
    if not every.select(UNSCALED.any()).item():
        return every
    groups = dict.fromkeys(every["series_id"].unique().to_list(), YOUNG_GROUP)
    young = combine_backtests(backtests, of, groups)
    names = [name for name in every.columns if name == "mean" or name.startswith("q_")]
    return every.with_columns(
        pl.when(UNSCALED).then(young[name]).otherwise(col(name)).alias(name) for name in names
    )


def _learn_calibration(
    team: Team,
    weights: GroupWeights,
    outside: tuple[GroupWeights, ...],
    levels: tuple[float, ...],
    horizon: int,
) -> ConformalCalibration:
    """Return the calibration that each window gives when weights are learned on the others.

    None of few rows.
    """
    if not outside:
        return ConformalCalibration.nothing(levels)
    rows = _combine_windows(team.backtests, weights, outside).filter(col("actual").is_not_null())
    if len(rows) < LEAST_CALIBRATION_ROWS:
        return ConformalCalibration.nothing(levels)
    actual = rows["actual"].cast(pl.Float64).to_numpy()
    return ConformalCalibration.learn(_row_bands(rows, levels), actual, np.arange(1, horizon + 1))


def _row_bands(rows: DataFrame, levels: tuple[float, ...]) -> Bands:
    quantiles = rows.select(f"q_{level:g}" for level in levels).cast(pl.Float64).to_numpy()
    scale = rows["scale_abs"].cast(pl.Float64).to_numpy()
    middle, step = quantiles[:, levels.index(0.5)], rows["step"].to_numpy()
    return Bands(np.array(levels), quantiles, middle, scale, step, rows["nonnegative"].to_numpy())


# The story of a search: the candidates that it tried, those that it dropped and why, and those
# that more time would try.


LEAST_SHOWN = 0.005
"""The least weight of a member that is named."""


def race_story(race: Race, look: PanelTraits, budget: str, left_out: int = 0) -> str:
    """Return the story of a race that has ended, in a few sentences.

    Args:
        race: The race.
        look: The traits of the panel.
        budget: The setting.
        left_out: The number of candidates that `most` kept from the race.
    """
    if race.blind:
        kept = (
            "no series is long enough for a window before the cutoff, so that nothing could be "
            "tried"
        )
        return f"{look}; {kept}; the answer is the seasonal naive, its intervals not calibrated."
    parts = [
        str(look),
        tried_text(race.standings, race.team.rung),
        *_dropped_text(race),
        _answer_text(race, look),
        _budget_text(race, budget, left_out),
    ]
    return f"{'; '.join(part for part in parts if part)}{'' if in_units(budget) else CLOCK_NOTE}."


def tried_text(standings: Mapping[str, CandidateStanding], rung: Rung) -> str:
    """Return the errors of the candidates on the last rung, and apart those of candidates that did
    not come so far.
    """
    shown = sorted((s.losses[-1], name, len(s.losses)) for name, s in standings.items() if s.losses)
    series, windows = rung
    if not shown or not series:
        return "nothing could be tried: no window before the cutoff, or no budget for one"
    rungs = max(ran for _, _, ran in shown)
    whole, part = (
        ", ".join(
            f"{name} {_loss_text(loss)}" for loss, name, ran in shown if (ran == rungs) is last
        )
        for last in (True, False)
    )
    fewer = f"; on fewer of them, and so not comparable: {part}" if part else ""
    most = f"up to {windows} windows" if windows > 1 else "one window"
    return f"tried on {most} of {series:,} series (mean absolute scaled error): {whole}{fewer}"


def _loss_text(value: float) -> str:
    return f"{value:.3f}" if value < 1e4 else f"{value:.0e}"


def _dropped_text(race: Race) -> Iterator[str]:
    dropped = [f"{name} ({s.dropped})" for name, s in race.standings.items() if s.dropped]
    if dropped:
        yield f"dropped: {', '.join(dropped)}"


def _answer_text(race: Race, look: PanelTraits) -> str:
    young, weights = race.team.young, race.team.weights
    own = ""
    if look.young and young is not None and not np.allclose(young, weights):
        own = f" (for series with no season behind them {_weights_text(race, young)})"
    untried = "" if race.team.rung.series else ", what usually answers well on such panels, untried"
    return f"the answer is {_weights_text(race, weights)}{own}{untried}"


def _weights_text(race: Race, weights: ndarray) -> str:
    names = [member.name for member in race.team.members]
    shares = sorted(zip(weights.tolist(), names, strict=True), reverse=True)
    return ", ".join(
        f"{100 * weight:.0f} % {name}" for weight, name in shares if weight >= LEAST_SHOWN
    )


def _budget_text(race: Race, budget: str, left_out: int) -> str:
    """Return what a larger budget, or a larger bound on candidates, would try."""
    unit, waiting = "u" if in_units(budget) else "s", _waiting(race)
    bound = ""
    if left_out:
        bound = f"model.most, 1 under size=small, kept {left_out} more from the race"
    if not waiting:
        rest = f"{max(race.allowance.left, 0):.0f}{unit} left"
        if bound:
            return f"{bound}, {rest}"
        return f"all that may change it was tried with {rest}: more time would buy little"
    listed = ", ".join(f"{name} ({max(price, 1):.0f}{unit} more)" for price, name, _ in waiting)
    enough = _enough(race, budget)
    more = f"not tried for lack of time: {listed}; a budget of some {enough} would try these"
    return f"{more}; {bound}" if bound else more


def _waiting(race: Race) -> list[tuple[float, str, float]]:
    """Return the candidates that had no time: price, name, what was kept for the best so far."""
    return sorted(
        (s.price, name, s.kept)
        for name, s in race.standings.items()
        if not s.dropped and s.price and len(s.losses) == 0
    )


def _enough(race: Race, budget: str) -> str:
    """Return the budget that would try those that wait; empty where none does."""
    waiting = _waiting(race)
    if not waiting:
        return ""
    # One is only begun where the final fits of the best so far fit in, too; heavier forms are asked
    # for once these are tried.
    need = sum(price for price, _, _ in waiting) + max(kept for _, _, kept in waiting)
    unit, share = ("u", 1.0) if in_units(budget) else ("s", SEARCH_SHARE)
    return f"{math.ceil((race.allowance.used + need) / share)}{unit}"


def race_facts(race: Race, budget: str) -> str:
    """Return a race that has ended as JSON: the members that answer (`used`), the candidates that
    were dropped (`dropped`) or had no time (`waiting`), the budget that would try these (`enough`),
    and whether the clock ended it (`clocked`).
    """
    shares = zip(race.team.weights.tolist(), race.team.members, strict=True)
    used = [member.name for weight, member in shares if weight >= LEAST_SHOWN]
    facts = {
        "used": ["forecast/seasonal_naive"] if race.blind else used,
        "dropped": [name for name, each in race.standings.items() if each.dropped],
        "waiting": [name for _, name, _ in _waiting(race)],
        "enough": _enough(race, budget),
        "clocked": not in_units(budget),
    }
    return json.dumps(facts)


# The best forecast within a budget: candidates raced on windows before the cutoff, combined and
# calibrated.


class Auto(Forecaster):
    """Find the best forecast within a budget: a look at the panel, a race of candidates, the best
    of them combined.

    Models that usually win on panels of this kind are tried first, on windows before the cutoff.
    Candidates that are surely far behind and do not help are dropped. The others are tried on more
    series and windows, the ones that are surely behind last (after successive halving, Jamieson and
    Talwalkar 2016), as far as the budget allows. A candidate starts only if its own fit and the
    fits of the best so far still fit into the rest of the budget. Models that help are fitted on
    all rows and combined by weights whose shrinkage is learned, as in `forecast/stack`; their
    quantiles are calibrated by the windows. The seasonal naive is an answer from the first second
    on. A note lists the models that were tried, the ones that were dropped and why, and the ones
    that more time would try.

    A budget in units of work (`300u`; one is about a second of one core) has the same answer on any
    machine. One in seconds has not, as it ends by the clock: the note says so. It covers one fit
    (one cutoff) and its forecasts, but not calibration by the protocol. If a run is killed, its
    finished tries are kept, and the same command does not pay for them again.

    A candidate whose package is not installed is left out, and a remark says so.

    Attributes:
        budget: The most that one fit may take: `60s`, `10m`, `2h`, or units of work, `300u`.
        members: The models to race, in place of hwds's own choice; the seasonal naive is always
            there.
        most: The most candidates that are raced: the first ones of their order.
        windows: Windows before the cutoff that candidates are raced on in the last round; fewer
            where they would leave less than half of the history's rows before the first.
    """

    uses_features = True
    may_import = ("keras", "statsforecast", "tensorflow", "xgboost")
    search_space: ClassVar[Mapping[str, Any]] = {"windows": {"choice": [2, 3, 4]}}

    budget: Budget = "300u"
    members: tuple[Forecaster, ...] = ()
    most: Annotated[PositiveInt, Le(100), Small(1)] = 100
    windows: Annotated[int, Ge(1), Le(100), Small(2)] = 3

    def why_unrepeatable(self) -> str:
        """Return that a budget ends by the clock; nothing of one in units."""
        if in_units(self.budget):
            return ""
        return f"budget: must be in units of work, such as 300u, got {self.budget}"

    def lacking(self) -> tuple[str, ...]:
        """Return the modules of candidates that are left out; nothing where members are given."""
        return () if self.members else super().lacking()

    def learn(self, history: Panel, *, horizon: int, context: ForecastContext) -> FittedAuto:
        """Race the candidates, then fit those that answer on all rows."""
        answer = self._answer(history, horizon, context)
        fitted = tuple(context.fitted(each, history, horizon=horizon) for each in answer.members)
        return FittedAuto(fitted, answer, context.levels)

    def backtest(
        self, history: Panel, windows: int, *, horizon: int, context: ForecastContext
    ) -> DataFrame:
        """Return the members' inner windows, each combined and calibrated as an answer is, by
        weights learned on the others.
        """
        seen = history.last(context.sliding) if context.sliding else history
        answer = self._answer(seen, horizon, context)
        asked = max(windows, usable_windows(seen, horizon, self.windows))
        parts = [
            context.inner(member, seen, asked, horizon=horizon, refit=False)
            for member in answer.members
        ]
        if any(rows.is_empty() for rows in parts):
            return DataFrame()
        rows = answer.inside(parts, context.levels).filter(col("window") >= -windows)
        bare = (pl.lit(None, pl.String).alias(name) for name in (SEARCH_COLUMN, SEARCH_FACTS))
        return rows.with_columns(*bare)

    def _answer(self, history: Panel, horizon: int, context: ForecastContext) -> RaceAnswer:
        """Return the outcome of the race, which is run once for all who ask."""
        if context.cache is None:
            return self._race(history, horizon, context)
        settings = {
            "model": self,
            "features": context.features,
            "asked": [context.levels, context.season, horizon],
        }
        data = [history.fingerprint, context.fold, context.align, repr(context.known_until)]
        key = key_of("race", data, settings, context.conditions, __name__)
        answer: RaceAnswer = context.cache.get_or_make(
            key, FITTED, lambda: self._race(history, horizon, context)
        )
        return answer

    def _race(self, history: Panel, horizon: int, context: ForecastContext) -> RaceAnswer:
        if context.backtests is None:  # in Python, without a run
            context = replace(context, backtests=InnerBacktests(Unkept()))
        allowance = Allowance.of(self.budget)
        look = PanelTraits.of(history, context.season)
        windows = usable_windows(history, horizon, self.windows)
        race = Race(history, horizon, context, windows, allowance)
        usual = race_candidates(look, self.members)
        if not self.members:
            usual = tuple(each for each in usual if _is_fittable(each.model))
        team = race.run(usual[: self.most])
        story = race_story(race, look, self.budget, len(usual[self.most :]))
        facts = race_facts(race, self.budget)
        return team_answer(team, context.levels, horizon, story, facts)


def _is_fittable(model: Forecaster) -> bool:
    """Return whether all packages that a candidate needs are installed."""
    return not any(missing_modules(modules) for _, modules in package_needs("", model))


@dataclass(frozen=True, eq=False)
class FittedAuto(Serializable):
    """The members that answer, fitted.

    Attributes:
        members: The members in the order of the weights.
        answer: The outcome of the race.
        levels: Quantile levels.
    """

    members: tuple[Any, ...]
    answer: RaceAnswer
    levels: tuple[float, ...]

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Return the combination of the members' forecasts, its quantiles calibrated.

        The first series has the story and its facts.
        """
        means, quantiles, fallbacks, kinds = member_forecasts(self.members, history, future)
        scale, _ = seasonal_scales(history.target, history.offsets, history.season)
        groups = age_groups(history, history.season)
        weights = self.answer.weights.of(groups, np.ones(len(groups), np.int64))
        weights = weights[:, None].repeat(means.shape[2], axis=1)
        mixed = mixture(weights, means, quantiles, np.all(fallbacks, axis=0), kinds)
        said = np.full((2, len(scale)), None, object)
        said[:, :1] = [[self.answer.story], [self.answer.facts]]
        calibrated = self._calibrate(mixed.quantiles, history, scale)
        answer = Forecasts.of(mixed.mean, calibrated, mixed.fallback, kinds)
        told = dict(zip((SEARCH_COLUMN, SEARCH_FACTS), said, strict=True))
        return replace(answer, diagnostics=told)

    def _calibrate(self, quantiles: ndarray, history: Panel, scale: ndarray) -> ndarray:
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
