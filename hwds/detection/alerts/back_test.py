"""The choice of actions on alerts, and the costs of each policy in the test windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from math import hypot, log
from statistics import NormalDist

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame

from hwds.core.seeds import stream
from hwds.detection.alerts.tiers import BLOCK, PASS, RANDOM, REVIEW, AlertTerms
from hwds.detection.alerts.verdict import (
    Against,
    ChosenRule,
    CostCalibration,
    DailyAmount,
    PolicyRecord,
)
from hwds.detection.rows import distinct_codes, uniform_by_id
from hwds.frames.table import ROW_ID
from hwds.stats.effects import LEAST_SURE
from hwds.stats.estimates import (
    ClusteredPart,
    block_length,
    clustered_part,
    resample_clusters,
    two_way_effect,
)

# The actions on rows of some days: blocks, a random review stream, reviews by expected gain up
# to the capacity.


@dataclass(frozen=True, eq=False)
class Days:
    """The rows of some days as arrays, by day and row.

    Attributes:
        day: The number of the day of each row, from 0.
        count: The number of days.
        probability: The probability of being gray.
        loss: The money at stake in each row.
        uniform: A random number of each row, which puts it into the random stream.
    """

    day: ndarray
    count: int
    probability: ndarray
    loss: ndarray
    uniform: ndarray

    @classmethod
    def of(cls, rows: DataFrame, seed: int) -> Days:
        """Make the arrays of rows with `day_id, probability, loss` and `row_id`.

        The random number of a row is that of its id alone, so that more rows change none.
        """
        day = distinct_codes(rows["day_id"])
        return cls(
            day,
            int(day.max(initial=-1)) + 1,
            rows["probability"].to_numpy(),
            rows["loss"].to_numpy(),
            uniform_by_row(rows, seed, "stream"),
        )


def uniform_by_row(rows: DataFrame, seed: int, purpose: str) -> ndarray:
    """Return a uniform number for each row by its id, shape (n,)."""
    return uniform_by_id(rows[ROW_ID].to_numpy(), stream(seed, "alert policy", purpose))


def act(days: Days, terms: AlertTerms, multiplier: float, floor: float) -> ndarray:
    """Return the action of each row.

    Of the rows that would not be blocked, each is in the random stream with the same chance; those
    of the others with the largest expected gain are reviewed while the day's capacity lasts, beside
    to pass or to block them, whichever would be done. That order costs least under the
    probabilities. A row of the stream that would have been reviewed anyway is called a review: its
    label stands for itself.

    Args:
        days: The rows.
        terms: Costs and capacity.
        multiplier: The multiplier of a wrong block's cost.
        floor: The least expected gain of a review.
    """
    blocked = terms.blocks(days.probability, days.loss, multiplier) & ("block" in terms.tiers)
    drawn = ~blocked & (
        days.uniform < (terms.random_reviews if "random_review" in terms.tiers else 0.0)
    )
    full = np.full(days.count, terms.capacity)
    drawn = top_of_day(days.day, -days.uniform, drawn, full)
    slots = full - np.bincount(days.day[drawn], minlength=days.count)
    gain = terms.gain(days.probability, days.loss, blocked, multiplier)
    worth = (gain >= floor) & ("review" in terms.tiers)
    reviewed = top_of_day(days.day, gain, worth & ~drawn, slots)
    action = np.where(blocked, np.int8(BLOCK), np.int8(PASS))
    action[drawn] = RANDOM
    action[
        reviewed
        | (drawn & worth & (gain >= _least_gain_reviewed(days, gain, reviewed, slots)[days.day]))
    ] = REVIEW
    return action


def _least_gain_reviewed(days: Days, gain: ndarray, reviewed: ndarray, slots: ndarray) -> ndarray:
    """Return the least gain reviewed on each day, -inf where there was room for more.

    Infinite where there was none.
    """
    least = np.full(days.count, np.inf)
    np.minimum.at(least, days.day[reviewed], gain[reviewed])
    used = np.bincount(days.day[reviewed], minlength=days.count)
    return np.where(used < slots, -np.inf, least)


def top_of_day(day: ndarray, value: ndarray, wanted: ndarray, slots: ndarray) -> ndarray:
    """Return a mask of the wanted rows of each day with the largest values, the earlier of equal
    ones.

    Args:
        day: The number of the day of each row, shape (n,).
        value: The value that orders the rows, shape (n,).
        wanted: Mask, shape (n,).
        slots: The number of rows to take of each day, shape (days,).
    """
    places = np.flatnonzero(wanted)
    order = places[np.lexsort((places, -value[places], day[places]))]
    sizes = np.bincount(day[order], minlength=len(slots))
    rank = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    taken = np.zeros(len(day), bool)
    taken[order[rank < slots[day[order]]]] = True
    return taken


# The choice before each test window: the multiplier of a wrong block's cost, and the floor of a
# review's gain.

GridPoint = tuple[float, float]
"""A multiplier and a floor in money."""

FORMULA_POINT: GridPoint = (1.0, 0.0)

CHANCE_LEVEL = 0.05
"""The chance of taking another cell than the formula where none is better."""


def choose_rule(rows: DataFrame, cutoff: str, terms: AlertTerms, seed: int) -> ChosenRule:
    """Choose the cell of the grid that would have cost least in the deciding windows, by the labels
    that had arrived.

    Each labelled row counts as often as it stands for others. The formula itself is taken where
    fewer than `least_positives` labelled rows are gray, and where no cell surely saves: a few rows
    that stand for many would choose by chance. Surely is by more than so many standard errors of
    what it saves that any of the cells does so by chance in 5 % at most (Bonferroni).

    Args:
        rows: The rows of the deciding windows, their labels as far as they are known.
        cutoff: The beginning of the test window.
        terms: The rule and its grid.
        seed: The seed of the experiment.
    """
    positives = int((rows["label"] == 1).sum()) if len(rows) else 0
    formula_rule = ChosenRule(
        cutoff=cutoff,
        multiplier=1.0,
        floor=0.0,
        positives=positives,
        formula_cost=None,
        chosen_cost=None,
    )
    if positives < terms.least_positives:
        return formula_rule
    days, known = Days.of(rows, seed), rows["label"].is_not_null().to_numpy()
    gray, weight = rows["label"].to_numpy()[known], rows["weight"].to_numpy()[known]

    def costs(cell: GridPoint) -> ndarray:
        action = act(days, terms, *cell)  # all rows compete for the capacity
        return terms.cost(action[known], gray, days.loss[known]) * weight

    formula, cells = costs(FORMULA_POINT), rule_grid(terms)
    best, saving = FORMULA_POINT, 0.0
    sure = NormalDist().inv_cdf(1 - CHANCE_LEVEL / max(len(cells), 2))
    for cell in cells:
        saved = formula - costs(cell)
        # The error of a sum over a random number of independent rows.
        total, error = float(saved.sum()), float(np.sqrt(np.sum(saved**2)))
        if total > max(saving, sure * error):
            best, saving = cell, total
    before = float(formula.sum())
    return replace(
        formula_rule,
        multiplier=best[0],
        floor=best[1],
        formula_cost=before / days.count,
        chosen_cost=(before - saving) / days.count,
    )


def rule_grid(terms: AlertTerms) -> list[GridPoint]:
    """Return the cells, those nearest to the formula first, so that of equal ones these are
    taken.
    """
    cells = product(terms.multipliers, (share * terms.review_cost for share in terms.floors))
    return sorted(cells, key=lambda cell: (abs(log(cell[0])), abs(cell[1]), cell))


# The actions of other policies on the same rows: today's fixed thresholds, z-scores, random
# reviews, nothing.

TO_DEVIATION = 1.4826
"""The standard deviation of a normal law over its median absolute deviation."""


def rivals_of(
    rows: DataFrame, reference: DataFrame, terms: AlertTerms, seed: int
) -> dict[str, ndarray]:
    """Return the actions of each rival on the rows of one test window, all with the same capacity
    of reviews a day.

    Today's rule is given the calibrated probabilities, better ones than it has.

    Args:
        rows: The rows of the test window, by day.
        reference: The rows of the deciding window of the same model, whose scores say what is
            usual; where there are none, the test rows' own do, which is more than a z-score may
            know.
        terms: Thresholds and capacity.
        seed: The seed of the experiment.
    """
    day = distinct_codes(rows["day_id"])
    slots = np.full(int(day.max(initial=-1)) + 1, terms.capacity)
    probability = rows["probability"].to_numpy()
    z = z_scores(rows["score"].to_numpy(), reference["score"].to_numpy())
    review_from, block_from = terms.today
    blocked = probability >= block_from
    today = _review_actions(
        top_of_day(day, probability, ~blocked & (probability >= review_from), slots)
    )
    uniform = uniform_by_row(rows, seed, "random reviews")
    return {
        "today": np.where(blocked, np.int8(BLOCK), today),
        "z": _review_actions(top_of_day(day, z, z > terms.z, slots)),
        "random": _review_actions(top_of_day(day, -uniform, np.ones(len(day), bool), slots)),
        "nothing": np.full(len(day), PASS, np.int8),
    }


def z_scores(score: ndarray, reference: ndarray) -> ndarray:
    """Return scores less the median of the reference, over its median absolute deviation as a
    standard deviation.

    Without any spread whatever lies above the median is infinitely far.
    """
    usual = reference if len(reference) else score
    if not len(usual):
        return score
    centre = float(np.median(usual))
    spread = TO_DEVIATION * float(np.median(np.abs(usual - centre)))
    if spread == 0:
        return np.where(score > centre, np.inf, 0.0)
    return (score - centre) / spread


def _review_actions(which: ndarray) -> ndarray:
    return np.where(which, np.int8(REVIEW), np.int8(PASS))


# Intervals of sums a day: days drawn again, entities drawn again, and both, for rows share
# them.

LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class AlertClusters:
    """The days and entities of rows, which the bootstrap draws again.

    Attributes:
        day: The number of the day of each row, from 0.
        entity: The number of the entity of each row, from 0; None where the data names none.
        days: The number of days.
        resamples: The resamples of each kind.
        seed: The seed of the experiment.
    """

    day: ndarray
    entity: ndarray | None
    days: int
    resamples: int
    seed: int

    def daily_amounts(self, values: ndarray) -> list[DailyAmount]:
        """Return the sum a day of each column with its percentile intervals, and with that of both
        days and entities.

        All columns meet the same draws, so that the interval of a difference is paired. What both
        ways say together reaches at least as far as each of them. A way in which fewer than three
        days or entities make the sum gives none: what is drawn again would be these two. Nor do
        both ways together then.

        Args:
            values: Shape (rows, columns).
        """
        totals = values.sum(axis=0) / self.days
        by_day = self._percentile_intervals(values, self.day, "day")
        by_entity = self._percentile_intervals(values, self.entity, "entity")
        few = self.too_few(values)
        together = [
            None if few[at] else self._joint_interval(values[:, at], float(total))
            for at, total in enumerate(totals)
        ]
        return [
            DailyAmount(float(total), *day, *entity, *_widest_interval(both, day, entity))
            for total, day, entity, both in zip(totals, by_day, by_entity, together, strict=True)
        ]

    def too_few(self, values: ndarray) -> list[bool]:
        """Return of each column, shape (rows, columns), whether too few days or entities have
        anything of its sum.
        """
        ways = [way for way in (self.day, self.entity) if way is not None]
        return [any(_has_few_clusters(column, way) for way in ways) for column in values.T]

    def _joint_interval(self, values: ndarray, a_day: float) -> tuple[float, float] | None:
        """Return the interval of a sum a day over days and entities.

        None where either are too few.
        """
        length = block_length(self.days)
        blocks = self.day // length
        days = np.bincount(np.arange(self.days) // length).astype(float)
        shocks = np.bincount(blocks, values, len(days)) - a_day * days
        by_day = clustered_part("day", shocks / self.days, days)
        if self.entity is None:
            return two_way_effect(a_day, by_day, None, None, "day").interval(LEVEL)
        cells = np.unique(self.entity * len(days) + blocks, return_inverse=True)[1]
        by_entity, both = (
            self._cluster_part(name, values, codes)
            for name, codes in (("customer", self.entity), ("cell", cells))
        )
        return two_way_effect(a_day, by_entity, by_day, both, "entity and day").interval(LEVEL)

    def _cluster_part(self, called: str, values: ndarray, codes: ndarray) -> ClusteredPart:
        rows = np.bincount(codes).astype(float)
        sums = np.bincount(codes, values)
        return clustered_part(called, (sums - sums.mean()) / self.days, rows)

    def _percentile_intervals(
        self, values: ndarray, cluster: ndarray | None, purpose: str
    ) -> list[tuple[float | None, float | None]]:
        """Return the percentile interval of each column's sum a day over one way.

        None where too few make the sum.
        """
        if cluster is None or not len(cluster):
            return [(None, None)] * values.shape[1]
        count = self.days if cluster is self.day else int(cluster.max()) + 1
        sums = np.stack(
            [np.bincount(cluster, column, minlength=count) for column in values.T], axis=1
        )
        rng = stream(self.seed, "alert policy", "bootstrap", purpose)
        totals = np.stack([resample_clusters(count, rng) @ sums for _ in range(self.resamples)])
        ends = np.quantile(totals / self.days, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0).T
        return [
            (None, None) if _has_few_clusters(column, cluster) else (float(low), float(high))
            for column, (low, high) in zip(values.T, ends, strict=True)
        ]


def _has_few_clusters(values: ndarray, cluster: ndarray) -> bool:
    """Return whether fewer clusters have anything of a sum than an interval of it needs."""
    return len(np.unique(cluster[values != 0])) < LEAST_SURE


def _widest_interval(
    both: tuple[float, float] | None, *alone: tuple[float | None, float | None]
) -> tuple[float | None, float | None]:
    """Return an interval that reaches as far as each of several; none where the first is none."""
    if both is None:
        return None, None
    low, high = zip(
        *[ends for ends in (both, *alone) if ends[0] is not None and ends[1] is not None],
        strict=True,
    )
    return min(low), max(high)


SIDES: dict[Against, str] = {"labels": "label", "truth": "truth"}
"""The columns that say which rows are gray."""

# The costs of each policy in the test windows, against the labels and against the truth.


@dataclass(frozen=True, eq=False)
class AlertBackTest:
    """Test rows and what the policies did with them.

    Attributes:
        rows: The test rows of all windows.
        actions: The actions of each policy, the decision's own first.
        terms: The costs of actions.
        guarded: Mask of the rows of guarded kinds of buyers.
        clusters: The clusters that are drawn again.
    """

    rows: pl.DataFrame
    actions: Mapping[str, ndarray]
    terms: AlertTerms
    guarded: ndarray
    clusters: AlertClusters

    def sides(self) -> list[Against]:
        """Return the sides that costs can be computed against: labels and truth, each where any is
        known.
        """
        return [against for against, column in SIDES.items() if self.rows[column].count()]

    def record(self, against: Against) -> tuple[list[PolicyRecord], CostCalibration]:
        """Return the record of every policy, and the expected against the realised cost of the
        decision's own.
        """
        gray, weight = self._gray_and_weight(against)
        loss = self.rows["loss"].to_numpy()
        parts = {
            name: [part * weight for part in self.terms.parts(action, gray, loss)]
            for name, action in self.actions.items()
        }
        costs = {name: sum(of_policy) for name, of_policy in parts.items()}
        own, *rivals = costs
        expected = (
            self.terms.cost(self.actions[own], self.rows["probability"].to_numpy(), loss) * weight
        )
        savings = [costs[name] - costs[own] for name in rivals]
        intervals = self.clusters.daily_amounts(
            np.stack([*costs.values(), *savings, costs[own] - expected], axis=1)
        )
        paired: dict[str, DailyAmount | None] = {
            own: None,
            **dict(zip(rivals, intervals[len(costs) : -1], strict=True)),
        }
        lines = [
            self._policy_record(
                name, against, intervals[place], paired[name], parts[name], gray, weight
            )
            for place, name in enumerate(costs)
        ]
        (few_gray,) = self.clusters.too_few(
            (gray * weight)[:, None]
        )  # what came is known by these alone
        surplus = DailyAmount(intervals[-1].value) if few_gray else intervals[-1]
        return lines, _calibrate_costs(
            against, intervals[0].value, surplus, self._expected_range(own, loss, weight)
        )

    def _expected_range(
        self, own: str, loss: ndarray, weight: ndarray
    ) -> tuple[float, float] | None:
        """Return the range of the expected cost a day between probabilities as low and as high as
        the labels leave open.

        Fewer gray rows mean more blocks that are wrong, more of them more loss that is missed:
        either end may cost more.
        """
        if self.rows["probability_low"].null_count():
            return None
        chances = (self.rows[f"probability{end}"].to_numpy() for end in ("", "_low", "_high"))
        costs = [
            float(np.sum(self.terms.cost(self.actions[own], chance, loss) * weight))
            for chance in chances
        ]
        return min(costs) / self.clusters.days, max(costs) / self.clusters.days

    def _gray_and_weight(self, against: Against) -> tuple[ndarray, ndarray]:
        """Return which rows are gray, and for how many each stands: 0 where it is not known."""
        gray = self.rows[SIDES[against]].to_numpy().astype(float)
        weight = self.rows["weight"].to_numpy() if against == "labels" else np.ones(len(gray))
        known = ~np.isnan(gray)
        return np.where(known, gray, 0.0), np.where(known, weight, 0.0)

    def _policy_record(
        self,
        name: str,
        against: Against,
        cost: DailyAmount,
        saving: DailyAmount | None,
        parts: list[ndarray],
        gray: ndarray,
        weight: ndarray,
    ) -> PolicyRecord:
        action, days = self.actions[name], self.clusters.days
        stake = float(np.sum(gray * self.rows["loss"].to_numpy() * weight))
        missed, wrong, reviews = (float(part.sum()) / days for part in parts)
        honest, blocked = (1 - gray) * weight, action == BLOCK
        return PolicyRecord(
            policy=name,
            against=against,
            cost=cost,
            saving=saving,
            missed=missed,
            wrong_blocks=wrong,
            reviews=reviews,
            blocked=float(blocked.sum()) / days,
            reviewed=float(((action != PASS) & ~blocked).sum()) / days,
            caught=stake / days - missed,
            caught_share=1 - missed * days / stake if stake > 0 else None,
            honest_blocked=_weighted_share(blocked, honest),
            guarded_blocked=_weighted_share(blocked, honest * self.guarded),
        )


def _weighted_share(which: ndarray, weight: ndarray) -> float | None:
    total = float(weight.sum())
    return float(weight[which].sum()) / total if total > 0 else None


def _calibrate_costs(
    against: Against, realised: float, surplus: DailyAmount, ends: tuple[float, float] | None
) -> CostCalibration:
    """Combine both uncertainties, that of the test rows and that of the probabilities, which are
    independent.
    """
    value, expected = surplus.value, realised - surplus.value
    low, high = ends or (expected, expected)
    return CostCalibration(
        against=against,
        expected=expected,
        realised=realised,
        expected_low=ends[0] if ends else None,
        expected_high=ends[1] if ends else None,
        surplus=surplus,
        low=None if surplus.low is None else value - hypot(value - surplus.low, high - expected),
        high=None if surplus.high is None else value + hypot(surplus.high - value, expected - low),
    )
