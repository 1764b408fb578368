"""The costs of each policy in the test windows, with intervals by days and entities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import hypot

import numpy as np
import polars as pl
from numpy import ndarray

from hwds.core.seeds import stream
from hwds.detection.alerts.tiers import BLOCK, PASS, AlertTerms
from hwds.detection.alerts.verdict import Against, CostCalibration, DailyAmount, PolicyRecord
from hwds.stats.clusters import (
    ClusteredPart,
    block_length,
    clustered_part,
    resample_clusters,
    two_way_effect,
)
from hwds.stats.effects import LEAST_SURE

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
