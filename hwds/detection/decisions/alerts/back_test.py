"""The costs of each policy in the test windows, against the labels and against the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import hypot

import numpy as np
import polars as pl

from hwds.detection.decisions.alerts.bootstrap import Clusters, without_interval
from hwds.detection.decisions.alerts.terms import BLOCK, PASS, AlertTerms
from hwds.detection.decisions.alerts.verdict import Against, CostCalibration, DailyAmount, PolicyRecord


@dataclass(frozen=True, eq=False)
class BackTest:
    """Test rows and what the policies did with them.

    Attributes:
        rows: The test rows of all windows.
        actions: Of each policy, the decision's own first.
        terms: What an action costs.
        guarded: Mask of the rows of guarded kinds of buyers.
        clusters: The clusters that are drawn again.
    """

    rows: pl.DataFrame
    actions: Mapping[str, np.ndarray]
    terms: AlertTerms
    guarded: np.ndarray
    clusters: Clusters

    def sides(self) -> list[Against]:
        """Return the sides that costs can be computed against: labels and truth, each where any is known."""
        return [name for name, column in (("labels", "label"), ("truth", "truth")) if self.rows[column].count()]  # type: ignore[misc]

    def record(self, against: Against) -> tuple[list[PolicyRecord], CostCalibration]:
        """Return the record of every policy, and the expected against the realised cost of the decision's own."""
        gray, weight = self._gray(against)
        loss = self.rows["loss"].to_numpy()
        parts = {name: self._parts(action, gray, loss, weight) for name, action in self.actions.items()}
        costs = {name: sum(of_policy) for name, of_policy in parts.items()}
        own, *rivals = costs
        expected = self.terms.cost(self.actions[own], self.rows["probability"].to_numpy(), loss) * weight
        savings = [costs[name] - costs[own] for name in rivals]
        intervals = self.clusters.daily_amounts(np.stack([*costs.values(), *savings, costs[own] - expected], axis=1))
        paired: dict[str, DailyAmount | None] = {own: None, **dict(zip(rivals, intervals[len(costs) : -1], strict=True))}
        lines = [
            self._line(name, against, intervals[place], paired[name], parts[name], gray, weight)
            for place, name in enumerate(costs)
        ]
        (few_gray,) = self.clusters.too_few((gray * weight)[:, None])  # what came is known by these alone
        surplus = without_interval(intervals[-1].value) if few_gray else intervals[-1]
        return lines, _meaning(against, intervals[0].value, surplus, self._ends(own, loss, weight))

    def _ends(self, own: str, loss: np.ndarray, weight: np.ndarray) -> tuple[float, float] | None:
        """Return the range of the expected cost a day between probabilities as low and as high as the labels leave open.

        Fewer gray rows mean more blocks that are wrong, more of them more loss that is missed: either end may cost more.
        """
        if self.rows["probability_low"].null_count():
            return None
        chances = (self.rows[f"probability{end}"].to_numpy() for end in ("", "_low", "_high"))
        costs = [float(np.sum(self.terms.cost(self.actions[own], chance, loss) * weight)) for chance in chances]
        return min(costs) / self.clusters.days, max(costs) / self.clusters.days

    def _gray(self, against: Against) -> tuple[np.ndarray, np.ndarray]:
        """Return which rows are gray, and for how many each stands: 0 where it is not known."""
        gray = self.rows["label" if against == "labels" else "truth"].to_numpy().astype(float)
        weight = self.rows["weight"].to_numpy() if against == "labels" else np.ones(len(gray))
        known = ~np.isnan(gray)
        return np.where(known, gray, 0.0), np.where(known, weight, 0.0)

    def _parts(self, action: np.ndarray, gray: np.ndarray, loss: np.ndarray, weight: np.ndarray) -> list[np.ndarray]:
        return [part * weight for part in self.terms.parts(action, gray, loss)]

    def _line(
        self,
        name: str,
        against: Against,
        cost: DailyAmount,
        saving: DailyAmount | None,
        parts: list[np.ndarray],
        gray: np.ndarray,
        weight: np.ndarray,
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
            honest_blocked=_share(blocked, honest),
            guarded_blocked=_share(blocked, honest * self.guarded),
        )


def _share(which: np.ndarray, weight: np.ndarray) -> float | None:
    total = float(weight.sum())
    return float(weight[which].sum()) / total if total > 0 else None


def _meaning(against: Against, realised: float, surplus: DailyAmount, ends: tuple[float, float] | None) -> CostCalibration:
    """Combine both uncertainties, that of the test rows and that of the probabilities, which are independent."""
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
