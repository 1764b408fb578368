"""The rows of a test window whose label is known, as functions of any weights."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import polars as pl

from hwds.detection.metrics.days import EntityDays
from hwds.detection.metrics.probabilities import LIKELY, Probabilities
from hwds.detection.metrics.ranks import Ranking

RANKS, DAYS, FLAGS, CHANCES, COSTS = "ranks", "days", "flags", "chances", "costs"
"""Families of metrics that are computed together."""

Values = dict[str, np.ndarray]
"""Metrics by full name, shape (weightings,) each."""


class ScoredBy(Protocol):
    """A detection protocol, as its metrics see it: the fields that they read."""

    @property
    def headline(self) -> str:
        """The short name of the headline."""

    @property
    def card_k(self) -> int:
        """The entities that are checked a day."""

    @property
    def precision(self) -> float:
        """The precision at which recall is read."""

    @property
    def recall(self) -> float:
        """The recall at which precision is read."""

    @property
    def wrong_block(self) -> float:
        """The cost of blocking an honest row."""

    @property
    def resamples(self) -> int:
        """The resamples of each way."""


@dataclass(frozen=True, slots=True)
class MetricSettings:
    """The settings of a protocol that its metrics depend on."""

    card_k: int
    precision: float
    recall: float
    wrong_block: float

    @classmethod
    def by(cls, protocol: ScoredBy) -> Self:
        """Return the fields of a detection protocol."""
        return cls(protocol.card_k, protocol.precision, protocol.recall, protocol.wrong_block)

    @property
    def families(self) -> dict[str, tuple[str, ...]]:
        """The metrics of each family, by their full names."""
        chances = ("brier", "log_loss", "ece", "calibration_slope", "calibration_intercept")
        points = (f"precision@recall={self.recall:g}", f"recall@precision={self.precision:g}")
        return {
            RANKS: ("aucpr", "prevalence", "auroc", *points),
            DAYS: (f"card_precision@{self.card_k}", "caught_value"),
            FLAGS: ("false_positive_rate",),
            CHANCES: (*chances, f"observed_to_expected[p>={LIKELY}]"),
            COSTS: ("expected_cost",),
        }


@dataclass(frozen=True, eq=False)
class TestRows:
    """The rows of one window.

    Attributes:
        table: In their order.
        entity: The number of each one's entity, over all windows.
        day: The number of each one's day, in this window.
    """

    table: pl.DataFrame
    entity: np.ndarray
    day: np.ndarray

    @property
    def days(self) -> int:
        """The number of days."""
        return int(self.day.max(initial=-1)) + 1


@dataclass(frozen=True, eq=False)
class Side:
    """The rows of a window whose label, or whose truth, is known.

    Attributes:
        settings: The settings of the metrics.
        places: Among the window's rows.
        base: How many rows each stands for.
        ranking: By their scores.
        days: By entity and day.
        amount: Money at stake; None where the data does not say.
        chances: By their probabilities; None where there are none.
        parts: Of each row what is summed, shape (n, columns): one, label, label 0 of a flagged entity, cost, and the parts of
            `chances`; weighted by `base`.
    """

    settings: MetricSettings
    places: np.ndarray
    base: np.ndarray
    ranking: Ranking
    days: EntityDays
    amount: np.ndarray | None
    chances: Probabilities | None
    parts: np.ndarray

    @classmethod
    def of(cls, window: TestRows, label: str, weighted: bool, settings: MetricSettings) -> Self:
        """Return the rows whose column `label` is known; weighted, those alone that stand for any."""
        counts = (window.table["weight"] > 0) if weighted else pl.Series([True]).new_from_index(0, len(window.table))
        places = (window.table[label].is_not_null() & counts).arg_true().to_numpy()
        known = window.table[places]
        values, score = known[label].to_numpy(), known["score"].to_numpy()
        base = known["weight"].to_numpy() if weighted else np.ones(len(known))
        amount = None if window.table["amount"].null_count() == len(window.table) else known["amount"].fill_null(0).to_numpy()
        probability = known["probability"].to_numpy() if len(known) and not known["probability"].null_count() else None
        chances = None if probability is None else Probabilities.of(values, probability, base)
        days = EntityDays.of(values, score, window.entity[places], window.day[places], window.days)
        parts = [np.ones(len(known)), values, (1 - values) * known["flagged"].to_numpy()]
        unpriced = np.full(len(known), np.nan)
        parts.append(
            unpriced
            if probability is None or amount is None
            else blocking_costs(values, probability, amount, settings.wrong_block)
        )
        table = np.column_stack(parts if chances is None else [*parts, chances.parts]) * base[:, None]
        return cls(settings, places, base, Ranking.of(values, score), days, amount, chances, table)

    def sums(self, cluster: np.ndarray, clusters: int) -> np.ndarray:
        """Return the parts summed over the rows of each cluster, shape (clusters, columns)."""
        cluster_of = cluster[self.places]
        return np.column_stack([np.bincount(cluster_of, part, minlength=clusters) for part in self.parts.T])

    def values(self, times: np.ndarray, days: np.ndarray, sums: np.ndarray, wanted: Collection[str]) -> Values:
        """Return the metrics of some families, NaN where one is undefined.

        Args:
            times: How often each row of the window counts in each weighting, shape (weightings, n).
            days: How often each of its days does, shape (weightings, days); in `times` already.
            sums: Of the parts, so weighted, shape (weightings, columns).
            wanted: Families.
        """
        by_family: dict[str, list[np.ndarray]] = {}
        if {RANKS, DAYS} & set(wanted):
            weight = self.base * times[:, self.places]
            by_family[RANKS] = self._ranks(weight, sums) if RANKS in wanted else []
            by_family[DAYS] = list(self.days.values(weight, self.settings.card_k, days, self.amount)) if DAYS in wanted else []
        by_family[FLAGS] = [_ratio(sums[:, 2], sums[:, 0] - sums[:, 1])]
        unknown = [np.full(len(sums), np.nan)] * len(self.settings.families[CHANCES])
        by_family[CHANCES] = list(self.chances.values(sums[:, 4:]).values()) if self.chances else unknown
        by_family[COSTS] = [_ratio(sums[:, 3], sums[:, 0])]
        names = {family: each for family, each in self.settings.families.items() if family in wanted}
        return {name: value for family in names for name, value in zip(names[family], by_family[family], strict=True)}

    def _ranks(self, weight: np.ndarray, sums: np.ndarray) -> list[np.ndarray]:
        curves, settings = self.ranking.curves(weight), self.settings
        points = [curves.precision_at_recall(settings.recall), curves.recall_at_precision(settings.precision)]
        chance = np.where(sums[:, 1] > 0, _ratio(sums[:, 1], sums[:, 0]), np.nan)  # of the windows that have a precision
        return [curves.average_precision, chance, curves.auroc, *points]


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return top / np.where(bottom > 0, bottom, np.nan)


def blocking_costs(label: np.ndarray, probability: np.ndarray, amount: np.ndarray, wrong_block: float) -> np.ndarray:
    """Return the cost of each row where a row is blocked if that is cheaper in expectation, shape (n,).

    Blocked where p x amount >= (1 - p) x wrong_block (Elkan 2001): then an honest row costs `wrong_block`, a row of label 1
    nothing; let pass, a row of label 1 costs its amount, an honest one nothing.

    Args:
        label: 1.0 or 0.0, shape (n,).
        probability: Of the label being 1, shape (n,).
        amount: Money at stake, shape (n,).
        wrong_block: What it costs to block an honest row, in the same unit.
    """
    blocked = probability * amount >= (1 - probability) * wrong_block
    return np.where(blocked, (1 - label) * wrong_block, label * amount)
