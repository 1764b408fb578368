"""A race of forecasters on inner windows within a budget, and the candidates of a panel."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame

from hwds.core.recipe import construct, label_with
from hwds.evaluation.panel_folds import select_series
from hwds.forecast.models.base import ForecastContext, Forecaster
from hwds.forecast.models.long_season import DAYS_A_WEEK, LongerSeason, LongSeason
from hwds.forecast.models.seasonal_naive import SeasonalNaive
from hwds.forecast.stacking import (
    CLEAR_SHARE,
    FLAT_SHARES,
    SURE_ERRORS,
    MemberWindows,
    level_losses,
    member_windows,
    paired_difference,
    screen_members,
    shrunken_weights,
)
from hwds.forecast.training_rows import thin_evenly
from hwds.forecast.work import Allowance, ForecastWork, PanelSize, backtest_work, size_of, work_of
from hwds.frames.panel import Panel

# The candidates on a panel, in order: those that won most often on panels of its kind, cheap
# ones first.
# The order was measured by `python -m bench.candidates` on simulated panels that stand in no
# reported table: `weekly_sales` and `hardware_demand` with seed 900, and series drawn from
# smooth, hourly and intermittent laws (`bench/candidates.txt`).

MANY_ZEROS = 0.35
"""The share of zeros from which demand counts as intermittent."""

FEW_ZEROS = 0.01
"""The share of zeros from which logarithms and lgt are not tried: neither has an own answer for a
series with a zero.
"""

YOUNG_SHARE = 0.05
"""The share of series with no season behind them from which a panel has young ones."""

HOURS_A_DAY = 24
"""A season of so many rows, or of a multiple, is a day, beyond which there may be a week; seven
times as many are a week.
"""

WEEKS, SAMPLED_SERIES = 0.5, 64
"""The share of series with a week, of so many looked at, from which a panel has weeks."""


@dataclass(frozen=True, slots=True)
class PanelTraits:
    """The traits of a panel.

    Attributes:
        series: The number of series.
        length: The median number of their rows.
        season: Rows in a season.
        zeros: The share of known values that are 0.
        young: The share of series with no season behind them.
        covariates: Columns that are known ahead.
        negative: Whether some value is below 0.
        weeks: Whether a season is a day, and most series have a week beside it.
    """

    series: int
    length: int
    season: int
    zeros: float
    young: float
    covariates: int
    negative: bool
    weeks: bool = False

    @classmethod
    def of(cls, history: Panel, season: int) -> PanelTraits:
        """Return the traits of a history."""
        known = history.target[~np.isnan(history.target)]
        return cls(
            series=history.n_series,
            length=int(np.median(history.lengths)),
            season=season,
            zeros=float((known == 0).mean()) if len(known) else 0.0,
            young=float((history.lengths <= season).mean()),
            covariates=len(history.roles.known_future),
            negative=bool((known < 0).any()),
            weeks=season % HOURS_A_DAY == 0
            and season % (HOURS_A_DAY * DAYS_A_WEEK) > 0
            and _share_with_weeks(history, season) >= WEEKS,
        )

    @property
    def kind(self) -> str:
        """`intermittent`, `covariates` or `smooth`."""
        if self.zeros >= MANY_ZEROS and not self.negative:
            return "intermittent"
        return "covariates" if self.covariates else "smooth"

    def __str__(self) -> str:
        parts = [f"{self.series:,} series of some {self.length} rows", f"season {self.season}"]
        if self.weeks:
            parts.append("weeks of days")
        if self.covariates:
            parts.append(f"{self.covariates} column{'s' * (self.covariates > 1)} known ahead")
        if self.zeros >= 0.01:
            rare = " (intermittent)" if self.kind == "intermittent" else ""
            parts.append(f"{100 * self.zeros:.0f} % zeros{rare}")
        if self.young:
            parts.append(f"{100 * self.young:.0f} % with no season behind them")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A forecaster to race.

    Attributes:
        model: Its recipe.
        after: The name of a lighter one of its kind, without whose help it is not tried; empty for
            none.
    """

    model: Forecaster
    after: str = ""

    @property
    def name(self) -> str:
        """The name of its option and what it changes."""
        return self.model.name


def race_candidates(look: PanelTraits, own: Sequence[Forecaster] = ()) -> tuple[Candidate, ...]:
    """Return the candidates in order, without the seasonal naive.

    Those of the user's own where there are some.
    """
    if own:
        return tuple(Candidate(model) for model in own)
    usual = _usual_candidates(look)
    return tuple(map(_weekless_candidate, usual)) if look.weeks else usual


def _share_with_weeks(history: Panel, season: int) -> float:
    """Return the share of series that have a week beside the day, of some that lie evenly in the
    panel.
    """
    week, step = LongerSeason(season, DAYS_A_WEEK), -(-history.n_series // SAMPLED_SERIES)
    weeks = [bool(week.of(history.series(i))) for i in range(0, history.n_series, step)]
    return float(np.mean(weeks))


def _weekless_candidate(each: Candidate) -> Candidate:
    """Return a candidate that sees series without their weeks.

    A model of intermittent demand sees them as they are.
    """
    if _is_for_demand(each.model):
        return each
    member = each.name.removeprefix("forecast/")
    lighter = each.after.removeprefix("forecast/")
    after = f"forecast/long_season(member={lighter})" if lighter else ""
    return _make_candidate(LongSeason, after, {"member": each.model}, member=member)


def _is_for_demand(model: Forecaster) -> bool:
    """Return whether a model is one of intermittent demand, which has no answer to what a week
    leaves below zero.
    """
    objective = getattr(model, "objective", "quantile")
    return (
        model.name == "forecast/zero"
        or getattr(model, "of_demand", False)
        or objective != "quantile"
    )


def _usual_candidates(look: PanelTraits) -> tuple[Candidate, ...]:
    """Return the candidates for a panel of its kind."""
    from hwds.forecast.models.adida import ADIDA
    from hwds.forecast.models.adjusted import Adjusted
    from hwds.forecast.models.analog import Analog
    from hwds.forecast.models.ces import CES
    from hwds.forecast.models.croston import Croston
    from hwds.forecast.models.damped import Damped
    from hwds.forecast.models.ets import ETS
    from hwds.forecast.models.lgt import LGT
    from hwds.forecast.models.lstm import LSTM
    from hwds.forecast.models.mlp import MLP
    from hwds.forecast.models.sarima import Sarima
    from hwds.forecast.models.theta import Theta
    from hwds.forecast.models.tsb import TSB
    from hwds.forecast.models.xgboost import XGBoost
    from hwds.forecast.models.zero import Zero

    def quick(**settings: Any) -> Candidate:
        rate = {"learning_rate": 0.1}
        return _make_candidate(
            XGBoost, hidden=rate, **settings, trees=60, patience=0, max_rows=20_000
        )

    analog, trees, theta = _make_candidate(Analog), quick(), _make_candidate(Theta, origins=0)
    forest = _make_candidate(XGBoost, after=trees.name)
    ets = _make_candidate(ETS)
    mlp = _make_candidate(MLP)
    small = _make_candidate(LSTM, units=24, seeds=1)
    large = _make_candidate(LSTM, after=small.name)
    if look.kind == "intermittent":
        simple = map(_make_candidate, (Zero, TSB, Croston, ADIDA))
        return (*simple, theta, trees, quick(objective="tweedie"), ets, forest, small)
    if look.kind == "covariates":
        sarima = construct(Sarima, "model", {"covariates": False})
        smooth, searched = (
            _make_candidate(Adjusted, hidden={"member": model}, member=name)
            for name, model in (("theta", theta.model), ("sarima", sarima))
        )
        return (analog, smooth, trees, searched, forest, mlp, small, large, ets)
    lines = (theta, _make_candidate(Damped, origins=0))
    first = (analog, *lines) if look.young >= YOUNG_SHARE else lines
    rates: tuple[Candidate, ...] = ()
    growing: tuple[Candidate, ...] = ()
    if look.zeros < FEW_ZEROS and not look.negative:
        # cheap models in logarithms, for series above 0
        rates = tuple(_make_candidate(kind, logs=True, origins=0) for kind in (Theta, Damped))
        growing = (_make_candidate(LGT),)
    networks: tuple[Candidate, ...] = (mlp, small, large)
    if look.series * look.length > MLP.max_windows:
        wide = _make_candidate(MLP, after=mlp.name, max_windows=60_000)
        networks = (mlp, wide, small, large)
    corrected = _make_candidate(XGBoost, base="lines")
    searches = (_make_candidate(Sarima), ets, _make_candidate(CES))
    return (*first, *rates, trees, corrected, forest, *networks, *growing, *searches)


def _make_candidate(
    kind: type[Forecaster],
    after: str = "",
    hidden: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Candidate:
    """Return a candidate by its class, which its option is named after.

    Args:
        kind: The class of the model.
        after: The name of the lighter candidate.
        hidden: The settings that its name does not tell.
        **settings: The settings that its name tells.
    """
    option = f"forecast/{kind.__module__.rpartition('.')[2]}"
    changes = ",".join(f"{key}={str(value).lower()}" for key, value in settings.items())
    name = label_with(option, changes) if changes else option
    return Candidate(construct(kind, "model", {"name": name, **settings, **(hidden or {})}), after)


# Successive halving of forecasters on inner windows, with paired statistics, within a budget.
# Jamieson and Talwalkar (2016), "Non-stochastic best arm identification and hyperparameter
# optimization", halve by rank; here only a candidate that is surely behind by a part that
# counts, and no help, goes. The others are tried again in the order of what usually wins, those
# that are surely behind last, as far as the budget reaches: of sixty-four short series half is
# mostly chance, and what is a few per cent behind alone helps most beside what errs otherwise.

NAIVE = "forecast/seasonal_naive"

UNSCALED = pl.col("scale_abs").is_null() | pl.col("scale_abs").is_nan()
"""The rows of series that have no seasonal scale at their cutoff."""

LEAST_WEIGHT = 0.05
"""A member of less weight is not worth its fit."""

LEAST_YOUNG = 20
"""Series and windows from which young ones have weights that are learned on them."""

UNKNOWN_WORK = 30.0
"""The units that a model without a law is taken to need."""

FINAL_FIT_MARGIN = 1.2
"""The multiple of a final fit's expected cost that is kept for it: the search may end early, a
final fit may not.
"""

EARLIER_RUNGS = ((64, 1), (256, 2))
"""Series and windows of each rung before the last one."""

MOST_SERIES = 1_000
"""The most series of the last rung, which has all windows."""

LEAST_KNOWN_SHARE = 0.5
"""The part of the history's rows that is known before the first window at least: what learns once,
before it, from fewer rows forecasts all windows by less than it will know, and falls behind what is
fitted to each series before each window.
"""

RUNG_SHARE, BUDGET_SHARE = 0.25, 0.01
"""An earlier rung that costs more than this share of the last one, and of the budget, is left out:
most of what a network costs does not hang on the number of series.
"""

LARGEST_MULTIPLE = 100.0
"""Multiples of the best loss beyond which no number says how far behind a candidate is."""

NEAR_LAST_RUNG = 0.4
"""A rung with this share of the last one's series is not worth its fits."""


class Rung(NamedTuple):
    """One round: how many series and windows candidates are tried on."""

    series: int
    windows: int


@dataclass
class CandidateStanding:
    """The standing of a candidate.

    Attributes:
        candidate: The candidate.
        losses: Its mean absolute scaled error on each rung up to the last one that it ran; NaN on
            those that it skipped.
        dropped: Why it went; empty while it is in the race.
        price: The part of the budget that it would still have taken, where that is why it did not
            run.
        kept: The part that was kept for the final fits of the best so far, when its price was
            asked.
    """

    candidate: Candidate
    losses: list[float] = field(default_factory=list)
    dropped: str = ""
    price: float = 0.0
    kept: float = 0.0


@dataclass(frozen=True, eq=False)
class Team:
    """The members that answer, chosen on the last rung that ranked them.

    Attributes:
        members: Their recipes.
        weights: The weight of each.
        backtests: Their rows of inner windows.
        loss: The mean absolute scaled error of the combination there.
        rung: The rung.
        young: The weights for series with no season behind them; None where they are those of all.
        learned: Whether those were learned on such series.
    """

    members: tuple[Forecaster, ...]
    weights: ndarray
    backtests: tuple[DataFrame, ...]
    loss: float
    rung: Rung
    young: ndarray | None = None
    learned: bool = False


@dataclass
class Race:
    """A race within a budget.

    Attributes:
        history: All that may be known.
        horizon: Steps.
        context: The context of the run.
        windows: Inner windows of the last rung.
        allowance: The budget.
        standings: The standings of all candidates, in the order in which they were tried.
        team: The best so far.
        blind: Whether no series is long enough for a window before the cutoff: nothing tells
            candidates apart.
    """

    history: Panel
    horizon: int
    context: ForecastContext
    windows: int
    allowance: Allowance
    standings: dict[str, CandidateStanding] = field(default_factory=dict)
    team: Team = field(init=False)
    blind: bool = False

    def run(self, pool: Sequence[Candidate]) -> Team:
        """Race candidates and return those that answer."""
        naive = construct(SeasonalNaive, "model", {"name": NAIVE})
        self.team = _untried_team(naive)
        self.standings = {candidate.name: CandidateStanding(candidate) for candidate in pool}
        left = pool
        for rung in rungs(self.history.n_series, self.windows):
            left = self._run_rung(rung, Candidate(naive), left)
        if not self.blind and not any(standing.losses for standing in self.standings.values()):
            self._choose_untried(pool)
        self._fit_team_into_budget()
        return self.team

    def _choose_untried(self, pool: Sequence[Candidate]) -> None:
        """Choose the candidate that usually wins, where nothing could be tried: the first one whose
        final fit there is time for.
        """
        for candidate in pool:
            if self._final_price(candidate.model) <= self.allowance.left:
                self.team = _untried_team(candidate.model)
                return

    def _run_rung(self, rung: Rung, naive: Candidate, pool: Sequence[Candidate]) -> list[Candidate]:
        """Try what is in the race on one rung, and return what stays."""
        panel = sample_series(self.history, rung.series, self.context)
        last = rung.windows == self.windows
        rows: dict[str, DataFrame] = {}
        tried: list[Candidate] = []
        if self.team.backtests:
            self._make_room(pool, panel, rung)
        for candidate in (naive, *pool):
            if candidate is not naive and not self._can_try(candidate, panel, rung):
                continue
            backtest = self._backtest(candidate.model, panel, rung.windows)
            if backtest.is_empty() and candidate is naive:
                self.blind = last
                return list(pool)
            if backtest.is_empty():
                self._drop(candidate, "it forecast no inner window")
                continue
            rows[candidate.name] = backtest
            tried.append(candidate)
            if not self.team.backtests or last or candidate is not naive:
                self._record_losses(tried, rows, rung)
        return self._drop_losers(tried[1:], rows, pool)

    def _can_try(self, candidate: Candidate, panel: Panel, rung: Rung) -> bool:
        """Return whether a candidate can be tried, and fitted after it, within what is left.

        And whether it may help.
        """
        standing = self.standings[candidate.name]
        if candidate.after and not self._can_improve(candidate, rung):
            return False
        own = self._inner_price(candidate.model, panel, rung.windows)
        if rung.windows < self.windows and self._costs_as_last_rung(candidate.model, own):
            return False
        standing.price, standing.kept = own + self._final_price(candidate.model), self._reserve()
        return standing.price + standing.kept <= self.allowance.left

    def _costs_as_last_rung(self, model: Forecaster, own: float) -> bool:
        """Return whether an earlier rung costs a candidate nearly what the last one does, and is
        felt in the budget.
        """
        last = self._inner_price(model, self.history, self.windows) * min(
            1.0, MOST_SERIES / self.history.n_series
        )
        return own > RUNG_SHARE * last and own > BUDGET_SHARE * self.allowance.limit

    def _can_improve(self, candidate: Candidate, rung: Rung) -> bool:
        """Return whether a heavier candidate may change the answer: on the last rung, unless the
        lighter one is dropped.
        """
        lighter, standing = self.standings.get(candidate.after), self.standings[candidate.name]
        if rung.windows < self.windows:
            return False
        if lighter is not None and lighter.dropped:
            standing.dropped = f"{candidate.after} is dropped"
        return lighter is None or bool(lighter.losses and not lighter.dropped)

    def _backtest(self, model: Forecaster, panel: Panel, windows: int) -> DataFrame:
        began = time.perf_counter()
        rows = self.context.inner(model, panel, windows, horizon=self.horizon, refit=False)
        seconds = time.perf_counter() - began
        self.allowance.charge(model.name, self._inner_work(model, panel, windows), seconds)
        return rows

    def _record_losses(
        self, tried: Sequence[Candidate], rows: dict[str, DataFrame], rung: Rung
    ) -> None:
        """Take note of losses, and make the team anew where the leader so far has been tried on
        this rung.
        """
        backtests = [rows[candidate.name] for candidate in tried]
        seen = member_windows(backtests)
        if not len(seen.target):
            return
        losses = seen.losses.mean(0)
        place = list(rungs(self.history.n_series, self.windows)).index(rung)
        for candidate, loss in zip(tried, losses, strict=True):
            if candidate.name in self.standings:
                own = self.standings[candidate.name]
                skipped = [np.nan] * (place - len(own.losses))
                own.losses = [*own.losses[:place], *skipped, float(loss)]
        leader = self.team.members[int(np.argmax(self.team.weights))].name
        if leader in rows:
            self.team = make_team(tried, backtests, seen, rung)

    def _drop_losers(
        self, tried: Sequence[Candidate], rows: dict[str, DataFrame], pool: Sequence[Candidate]
    ) -> list[Candidate]:
        """Drop what is surely far behind and no help.

        Return the others in their order, what is surely behind at the end.
        """
        if not tried:
            return list(pool)
        seen = member_windows([rows[candidate.name] for candidate in tried])
        if not len(seen.target):
            return list(pool)
        losses = seen.losses
        order = np.argsort(losses.mean(0), kind="stable")
        best = int(order[0])
        least = max(float(losses[:, best].mean()), 1e-12)
        helpers = {model.name for model in self.team.members}
        behind: list[Candidate] = []
        for place in order.tolist():
            mean, error = paired_difference(losses[:, place] - losses[:, best], seen.series)
            if (
                tried[place].name not in helpers
                and mean > SURE_ERRORS * error + CLEAR_SHARE * least
            ):
                self._drop(tried[place], _behind_text(mean / least, error / least))
            elif mean > SURE_ERRORS * error:
                behind.append(tried[place])
        gone = {each.name for each in behind} | {
            name for name, own in self.standings.items() if own.dropped
        }
        return [*(each for each in pool if each.name not in gone), *behind]

    def _drop(self, candidate: Candidate, why: str) -> None:
        if candidate.name in self.standings:
            self.standings[candidate.name].dropped = why

    def _fit_team_into_budget(self) -> None:
        """Leave out members whose final fits would go beyond the budget, the least weight for its
        price first.
        """
        while len(self.team.members) > 1 and self._reserve() > self.allowance.left:
            self._leave_out()

    def _make_room(self, pool: Sequence[Candidate], panel: Panel, rung: Rung) -> None:
        """Leave out members of an earlier rung's team for whose final fits nothing at all could be
        tried on this one.
        """
        prices = [
            self._inner_price(each.model, panel, rung.windows) + self._final_price(each.model)
            for each in pool
        ]
        least = min(prices, default=np.inf)
        one = min(self._final_price(member) for member in self.team.members)
        while (
            least + self._reserve() > self.allowance.left >= least + one
            and len(self.team.members) > 1
        ):
            self._leave_out()

    def _leave_out(self) -> None:
        """Leave out the member of the least weight for its price."""
        prices = np.array([self._final_price(member) for member in self.team.members])
        worst = int(np.argmin(self.team.weights / np.maximum(prices, 1e-9)))
        self.team = keep_members(self.team, np.arange(len(prices)) != worst)

    def _reserve(self) -> float:
        """Return the price of fitting the team on all rows, and of asking it."""
        return sum(self._final_price(member) for member in self.team.members)

    def _final_price(self, model: Forecaster) -> float:
        work = units_of(work_of(model, self._size(self.history)))
        return FINAL_FIT_MARGIN * self.allowance.price(model.name, work)

    def _inner_price(self, model: Forecaster, panel: Panel, windows: int) -> float:
        return self.allowance.price(model.name, self._inner_work(model, panel, windows))

    def _inner_work(self, model: Forecaster, panel: Panel, windows: int) -> float:
        return units_of(backtest_work(model, self._size(panel), windows))

    def _size(self, panel: Panel) -> PanelSize:
        return size_of(panel, self.horizon, self.context.season, len(self.context.levels))


def units_of(work: ForecastWork | None) -> float:
    """Return the units of a model's work, those of a usual one where it has no law."""
    return UNKNOWN_WORK if work is None else work.total


def rungs(series: int, windows: int) -> Iterator[Rung]:
    """Yield the rungs of a panel of so many series, the last one with all windows."""
    most = min(series, MOST_SERIES)
    for count, some in EARLIER_RUNGS:
        if count < NEAR_LAST_RUNG * most and some < windows:
            yield Rung(count, some)
    yield Rung(most, windows)


def usable_windows(history: Panel, horizon: int, most: int) -> int:
    """Return how many windows leave enough of the history before the first of them, at most so many
    and at least one.
    """
    mean = len(history.table) / max(history.n_series, 1)
    return max(1, min(most, int((1.0 - LEAST_KNOWN_SHARE) * mean / horizon)))


def _behind_text(share: float, error: float) -> str:
    return (
        f"behind by {100 * share:.0f} % ± {100 * error:.0f}"
        if share < LARGEST_MULTIPLE
        else f"behind by more than {100 * LARGEST_MULTIPLE:,.0f} %"
    )


def sample_series(history: Panel, most: int, context: ForecastContext) -> Panel:
    """Return a history with at most so many of its series, evenly drawn.

    Itself where there are no more.
    """
    if history.n_series <= most:
        return history
    drawn = thin_evenly(history.n_series, most, context.stream("raced series", most))
    return select_series(history, drawn)


def _untried_team(model: Forecaster) -> Team:
    """Return the team of one model that was tried on no rung."""
    return Team((model,), np.ones(1), (), np.nan, Rung(0, 0))


def make_team(
    tried: Sequence[Candidate], backtests: Sequence[DataFrame], seen: MemberWindows, rung: Rung
) -> Team:
    """Return the members that have weight for all series or for young ones, and their weights
    learned without the others.

    A lighter one is left out where a heavier one of its kind was tried and is no worse: they err
    alike.
    """
    unlike = _unlike_members(tried, seen.losses.mean(0))
    tried, backtests = [tried[i] for i in unlike], [backtests[i] for i in unlike]
    seen = seen.members(np.array(unlike))
    young = young_windows(backtests)
    weights = team_weights(seen)
    most = weights if young is None else np.maximum(weights, team_weights(young) / 2)
    keep = np.flatnonzero(most >= min(LEAST_WEIGHT, float(most.max())))
    members, rows = zip(*((tried[i].model, backtests[i]) for i in keep.tolist()), strict=True)
    return _weigh_team(members, rows, rung)


def _unlike_members(tried: Sequence[Candidate], losses: ndarray) -> list[int]:
    """Return the places of the candidates that no heavier one of their kind stands for: any stands
    for the seasonal naive.
    """
    heavier = [
        [
            loss
            for other, loss in zip(tried, losses, strict=True)
            if each.name in (other.after, NAIVE) and other is not each
        ]
        for each in tried
    ]
    return [
        place for place, others in enumerate(heavier) if losses[place] < min(others, default=np.inf)
    ]


def keep_members(team: Team, keep: ndarray) -> Team:
    """Return a team of some of its members, their weights learned again."""
    kept = np.flatnonzero(keep).tolist()
    members, rows = zip(*((team.members[i], team.backtests[i]) for i in kept), strict=True)
    return _weigh_team(members, rows, team.rung)


def team_weights(seen: MemberWindows) -> ndarray:
    """Return weights as a stack learns them, but that a candidate goes which is surely behind the
    best one and no help.

    Of many candidates that are nearly alike the best on the windows is so partly by chance, unlike
    a stack's few members; and one window or two tell of their own shocks as much as of the
    candidates: one within a fifth of the best then stays.
    """
    level, flat = level_losses(seen), FLAT_SHARES.get(len(np.unique(seen.window)), 0.0)
    return shrunken_weights(level, screen_members(level, CLEAR_SHARE, helped=not flat), flat)


def young_windows(backtests: Sequence[DataFrame]) -> MemberWindows | None:
    """Return the rows of series with no season behind them at their cutoff.

    None where they are few.
    """
    seen = member_windows([rows.filter(UNSCALED) for rows in backtests])
    cells = set(zip(seen.series.tolist(), seen.window.tolist(), strict=True))
    return seen if len(cells) >= LEAST_YOUNG else None


def _weigh_team(
    members: tuple[Forecaster, ...], backtests: tuple[DataFrame, ...], rung: Rung
) -> Team:
    """Return a team with its weights: those of young series half way from those of all to their
    own, or those of launches.
    """
    seen, young = member_windows(backtests), young_windows(backtests)
    weights = team_weights(seen)
    loss = float(np.abs(seen.forecasts @ weights - seen.target).mean())
    if young is None:
        return Team(members, weights, backtests, loss, rung, launch_weights(members))
    own = (team_weights(young) + weights) / 2
    return Team(members, weights, backtests, loss, rung, own, learned=True)


def launch_weights(members: Sequence[Forecaster]) -> ndarray | None:
    """Return the weights of young series that no window shows, shape (members,).

    None where they are those of all.

    Windows that are counted back from each series' own end leave hardly one as young there as some
    are now. A member that learns from how earlier series began has them alone, if it has weight
    where series are older: it is further ahead of the others the younger they are.
    """
    launching = np.array([each.launches for each in members])
    return launching / launching.sum() if launching.any() and not launching.all() else None
