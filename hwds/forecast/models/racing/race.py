"""Successive halving of forecasters on inner windows, with paired statistics, within a budget.

Jamieson and Talwalkar (2016), "Non-stochastic best arm identification and hyperparameter optimization", halve by rank; here
only a candidate that is surely behind by a part that counts, and no help, goes. The others are tried again in the order of what
usually wins, those that are surely behind last, as far as the budget reaches: of sixty-four short series half is mostly chance,
and what is a few per cent behind alone helps most beside what errs otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import polars as pl

from hwds.core.recipe import construct
from hwds.forecast.context import ForecastContext
from hwds.forecast.models.base import Forecaster
from hwds.forecast.models.racing.budget import Allowance
from hwds.forecast.models.racing.candidates import Candidate
from hwds.forecast.models.seasonal_naive import SeasonalNaive
from hwds.forecast.models.stacking.shrinkage import CLEAR, FLAT, SURE, levelled, paired, screened, shrunk
from hwds.forecast.models.stacking.weights import MemberWindows, member_windows
from hwds.forecast.models.windows.rows import thinned
from hwds.forecast.work import Size, backtest_work, size_of, work_of
from hwds.frames.panel import Panel
from hwds.splitting.cutoffs import select

NAIVE = "forecast/seasonal_naive"

UNSCALED = pl.col("scale_abs").is_null() | pl.col("scale_abs").is_nan()
"""The rows of series that have no seasonal scale at their cutoff."""

LEAST_WEIGHT = 0.05
"""A member of less weight is not worth its fit."""

LEAST_YOUNG = 20
"""Series and windows from which young ones have weights that are learned on them."""

UNKNOWN = 30.0
"""The units that a model without a law is taken to need."""

SAFETY = 1.2
"""The multiple of a final fit's expected cost that is kept for it: the search may end early, a final fit may not."""

EARLIER = ((64, 1), (256, 2))
"""Series and windows of each rung before the last one."""

MOST = 1_000
"""The most series of the last rung, which has all windows."""

LEFT = 0.5
"""The part of the history's rows that is known before the first window at least: what learns once, before it, from fewer rows
forecasts all windows by less than it will know, and falls behind what is fitted to each series before each window."""

WORTH, FELT = 0.25, 0.01
"""An earlier rung that costs more than this share of the last one, and of the budget, is left out: most of what a network
costs does not hang on the number of series."""

FAR = 100.0
"""Multiples of the best loss beyond which no number says how far behind a candidate is."""

CLOSE = 0.4
"""A rung with this share of the last one's series is not worth its fits."""


class Rung(NamedTuple):
    """One round: how many series and windows candidates are tried on."""

    series: int
    windows: int


@dataclass
class Standing:
    """The standing of a candidate.

    Attributes:
        candidate: Which.
        losses: Its mean absolute scaled error on each rung up to the last one that it ran; NaN on those that it skipped.
        dropped: Why it went; empty while it is in the race.
        price: The part of the budget that it would still have taken, where that is why it did not run.
        kept: The part that was kept for the final fits of the best so far, when its price was asked.
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
        weights: Of each.
        backtests: Their rows of inner windows.
        loss: The mean absolute scaled error of the combination there.
        rung: The rung.
        young: The weights for series with no season behind them; None where they are those of all.
        learned: Whether those were learned on such series.
    """

    members: tuple[Forecaster, ...]
    weights: np.ndarray
    backtests: tuple[pl.DataFrame, ...]
    loss: float
    rung: Rung
    young: np.ndarray | None = None
    learned: bool = False


@dataclass
class Race:
    """A race within a budget.

    Attributes:
        history: All that may be known.
        horizon: Steps.
        context: Of the run.
        windows: Inner windows of the last rung.
        allowance: The budget.
        standings: Of all candidates, in the order in which they were tried.
        team: The best so far.
        blind: Whether no series is long enough for a window before the cutoff: nothing tells candidates apart.
    """

    history: Panel
    horizon: int
    context: ForecastContext
    windows: int
    allowance: Allowance
    standings: dict[str, Standing] = field(default_factory=dict)
    team: Team = field(init=False)
    blind: bool = False

    def run(self, pool: Sequence[Candidate]) -> Team:
        """Race candidates and return those that answer."""
        naive = construct(SeasonalNaive, "model", {"name": NAIVE})
        self.team = Team((naive,), np.ones(1), (), np.nan, Rung(0, 0))
        self.standings = {candidate.name: Standing(candidate) for candidate in pool}
        left = pool
        for rung in rungs(self.history.n_series, self.windows):
            left = self._rung(rung, Candidate(naive), left)
        if not self.blind and not any(standing.losses for standing in self.standings.values()):
            self._untried(pool)
        self._afford()
        return self.team

    def _untried(self, pool: Sequence[Candidate]) -> None:
        """Take what usually wins, where nothing could be tried: the first candidate whose final fit there is time for."""
        fitting = (each for each in pool if self._final_price(each.model) <= self.allowance.left)
        first = next(fitting, None)
        if first is not None:
            self.team = Team((first.model,), np.ones(1), (), np.nan, Rung(0, 0))

    def _rung(self, rung: Rung, naive: Candidate, pool: Sequence[Candidate]) -> list[Candidate]:
        """Try what is in the race on one rung, and return what stays."""
        panel = sampled(self.history, rung.series, self.context)
        last = rung.windows == self.windows
        rows: dict[str, pl.DataFrame] = {}
        tried: list[Candidate] = []
        if self.team.backtests:
            self._make_room(pool, panel, rung)
        for candidate in (naive, *pool):
            if candidate is not naive and not self._may(candidate, panel, rung, tried):
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
                self._seen(tried, rows, rung)
        return self._halved(tried[1:], rows, pool)

    def _may(self, candidate: Candidate, panel: Panel, rung: Rung, tried: Sequence[Candidate]) -> bool:
        """Return whether a candidate can be tried, and fitted after it, within what is left; and whether it may help."""
        standing = self.standings[candidate.name]
        if candidate.after and not self._worth(candidate, rung):
            return False
        own = self._inner_price(candidate.model, panel, rung.windows)
        if rung.windows < self.windows and self._dear(candidate.model, own):
            return False
        standing.price, standing.kept = own + self._final_price(candidate.model), self._reserve()
        return standing.price + standing.kept <= self.allowance.left

    def _dear(self, model: Forecaster, own: float) -> bool:
        """Return whether an earlier rung costs a candidate nearly what the last one does, and is felt in the budget."""
        last = self._inner_price(model, self.history, self.windows) * min(1.0, MOST / self.history.n_series)
        return own > WORTH * last and own > FELT * self.allowance.limit

    def _worth(self, candidate: Candidate, rung: Rung) -> bool:
        """Return whether a heavier candidate may change the answer: on the last rung, unless the lighter one is dropped."""
        lighter, standing = self.standings.get(candidate.after), self.standings[candidate.name]
        if rung.windows < self.windows:
            return False
        if lighter is not None and lighter.dropped:
            standing.dropped = f"{candidate.after} is dropped"
        return lighter is None or bool(lighter.losses and not lighter.dropped)

    def _backtest(self, model: Forecaster, panel: Panel, windows: int) -> pl.DataFrame:
        began = time.perf_counter()
        rows = self.context.inner(model, panel, windows, horizon=self.horizon, refit=False)
        work = backtest_work(model, self._size(panel), windows)
        self.allowance.charge(model.name, UNKNOWN if work is None else work.total, time.perf_counter() - began)
        return rows

    def _seen(self, tried: Sequence[Candidate], rows: dict[str, pl.DataFrame], rung: Rung) -> None:
        """Take note of losses, and make the team anew where the leader so far has been tried on this rung."""
        backtests = [rows[candidate.name] for candidate in tried]
        seen = member_windows(backtests)
        if not len(seen.target):
            return
        losses = seen.losses.mean(0)
        for candidate, loss in zip(tried, losses, strict=True):
            if candidate.name in self.standings:
                own, place = self.standings[candidate.name], _place(rung, self.history.n_series, self.windows)
                own.losses = [*own.losses[:place], *[np.nan] * (place - len(own.losses)), float(loss)]
        leader = self.team.members[int(np.argmax(self.team.weights))].name
        if leader in rows:
            self.team = team_of(tried, backtests, seen, rung)

    def _halved(self, tried: Sequence[Candidate], rows: dict[str, pl.DataFrame], pool: Sequence[Candidate]) -> list[Candidate]:
        """Drop what is surely far behind and no help; return the others in their order, what is surely behind at the end."""
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
            mean, error = paired(losses[:, place] - losses[:, best], seen.series)
            if tried[place].name not in helpers and mean > SURE * error + CLEAR * least:
                self._drop(tried[place], _behind(mean / least, error / least))
            elif mean > SURE * error:
                behind.append(tried[place])
        gone = {each.name for each in behind} | {name for name, own in self.standings.items() if own.dropped}
        return [*(each for each in pool if each.name not in gone), *behind]

    def _drop(self, candidate: Candidate, why: str) -> None:
        if candidate.name in self.standings:
            self.standings[candidate.name].dropped = why

    def _afford(self) -> None:
        """Leave out members whose final fits would go beyond the budget, the least weight for its price first."""
        while len(self.team.members) > 1 and self._reserve() > self.allowance.left:
            self._leave_out()

    def _make_room(self, pool: Sequence[Candidate], panel: Panel, rung: Rung) -> None:
        """Leave out members of an earlier rung's team for whose final fits nothing at all could be tried on this one."""
        prices = [self._inner_price(each.model, panel, rung.windows) + self._final_price(each.model) for each in pool]
        least, one = min(prices, default=np.inf), min(self._final_price(member) for member in self.team.members)
        while least + self._reserve() > self.allowance.left >= least + one and len(self.team.members) > 1:
            self._leave_out()

    def _leave_out(self) -> None:
        """Leave out the member of the least weight for its price."""
        prices = np.array([self._final_price(member) for member in self.team.members])
        keep = np.arange(len(prices)) != int(np.argmin(self.team.weights / np.maximum(prices, 1e-9)))
        self.team = kept(self.team, keep)

    def _reserve(self) -> float:
        """Return the price of fitting the team on all rows, and of asking it."""
        return sum(self._final_price(member) for member in self.team.members)

    def _final_price(self, model: Forecaster) -> float:
        work = work_of(model, self._size(self.history))
        return SAFETY * self.allowance.price(model.name, UNKNOWN if work is None else work.total)

    def _inner_price(self, model: Forecaster, panel: Panel, windows: int) -> float:
        work = backtest_work(model, self._size(panel), windows)
        return self.allowance.price(model.name, UNKNOWN if work is None else work.total)

    def _size(self, panel: Panel) -> Size:
        return size_of(panel, self.horizon, self.context.season, len(self.context.levels))


def rungs(series: int, windows: int) -> Iterator[Rung]:
    """Yield the rungs of a panel of so many series, the last one with all windows."""
    most = min(series, MOST)
    for count, some in EARLIER:
        if count < CLOSE * most and some < windows:
            yield Rung(count, some)
    yield Rung(most, windows)


def worthwhile(history: Panel, horizon: int, most: int) -> int:
    """Return how many windows leave enough of the history before the first of them, at most so many and at least one."""
    mean = len(history.table) / max(history.n_series, 1)
    return max(1, min(most, int((1.0 - LEFT) * mean / horizon)))


def _behind(share: float, error: float) -> str:
    return f"behind by {100 * share:.0f} % ± {100 * error:.0f}" if share < FAR else f"behind by more than {100 * FAR:,.0f} %"


def _place(rung: Rung, series: int, windows: int) -> int:
    return list(rungs(series, windows)).index(rung)


def sampled(history: Panel, most: int, context: ForecastContext) -> Panel:
    """Return a history with at most so many of its series, evenly drawn; itself where there are no more."""
    if history.n_series <= most:
        return history
    return select(history, thinned(history.n_series, most, context.stream("raced series", most)))


def team_of(tried: Sequence[Candidate], backtests: Sequence[pl.DataFrame], seen: MemberWindows, rung: Rung) -> Team:
    """Return the members that have weight for all series or for young ones, and their weights learned without the others.

    A lighter one is left out where a heavier one of its kind was tried and is no worse: they err alike.
    """
    own = _apart(tried, seen.losses.mean(0))
    tried, backtests, seen = [tried[i] for i in own], [backtests[i] for i in own], seen.members(np.array(own))
    young = of_young(backtests)
    weights = team_weights(seen)
    most = weights if young is None else np.maximum(weights, team_weights(young) / 2)
    keep = np.flatnonzero(most >= min(LEAST_WEIGHT, float(most.max())))
    chosen = tuple(backtests[place] for place in keep.tolist())
    return _weighed(tuple(tried[place].model for place in keep.tolist()), chosen, rung)


def _apart(tried: Sequence[Candidate], losses: np.ndarray) -> list[int]:
    """Return the places of the candidates that no heavier one of their kind stands for: any stands for the seasonal naive."""
    heavier = [
        [loss for other, loss in zip(tried, losses, strict=True) if each.name in (other.after, NAIVE) and other is not each]
        for each in tried
    ]
    return [place for place, others in enumerate(heavier) if losses[place] < min(others, default=np.inf)]


def kept(team: Team, keep: np.ndarray) -> Team:
    """Return a team of some of its members, their weights learned again."""
    places = np.flatnonzero(keep).tolist()
    members = tuple(team.members[place] for place in places)
    return _weighed(members, tuple(team.backtests[place] for place in places), team.rung)


def team_weights(seen: MemberWindows) -> np.ndarray:
    """Return weights as a stack learns them, but that a candidate goes which is surely behind the best one and no help.

    Of many candidates that are nearly alike the best on the windows is so partly by chance, unlike a stack's few members; and
    one window or two tell of their own shocks as much as of the candidates: one within a fifth of the best then stays.
    """
    level, flat = levelled(seen), FLAT.get(len(np.unique(seen.window)), 0.0)
    return shrunk(level, screened(level, CLEAR, helped=not flat), flat)


def of_young(backtests: Sequence[pl.DataFrame]) -> MemberWindows | None:
    """Return the rows of series with no season behind them at their cutoff; None where they are few."""
    seen = member_windows([rows.filter(UNSCALED) for rows in backtests])
    cells = set(zip(seen.series.tolist(), seen.window.tolist(), strict=True))
    return seen if len(cells) >= LEAST_YOUNG else None


def _weighed(members: tuple[Forecaster, ...], backtests: tuple[pl.DataFrame, ...], rung: Rung) -> Team:
    """Return a team with its weights: those of young series half way from those of all to their own, or those of launches."""
    seen, young = member_windows(backtests), of_young(backtests)
    weights = team_weights(seen)
    loss = float(np.abs(seen.forecasts @ weights - seen.target).mean())
    if young is None:
        return Team(members, weights, backtests, loss, rung, of_launches(members))
    return Team(members, weights, backtests, loss, rung, (team_weights(young) + weights) / 2, learned=True)


def of_launches(members: Sequence[Forecaster]) -> np.ndarray | None:
    """Return the weights of young series that no window shows, shape (members,); None where they are those of all.

    Windows that are counted back from each series' own end leave hardly one as young there as some are now. A member that
    learns from how earlier series began has them alone, if it has weight where series are older: it is further ahead of the
    others the younger they are.
    """
    launching = np.array([each.launches for each in members])
    return launching / launching.sum() if launching.any() and not launching.all() else None
