"""Metrics of a test window as functions of any weights of its rows, and of a capacity a day."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, Self

import numpy as np
import polars as pl
from numpy import ndarray

from hwds.stats.binary_labels import LIKELY, Probabilities, Ranking, group_sums

# Metrics of a daily capacity: each day the entities of the highest scores are looked at.


@dataclass(frozen=True, eq=False)
class EntityDays:
    """Pairs of an entity and a day, by day and then by the highest score of the entity on that day,
    falling.

    Attributes:
        entity: The number of the entity, shape (entity days,).
        starts: The place where each day begins, and the number of entity days at the end.
        top: The row with the highest score of each.
        hit: A flag for each: it had a row of label 1 that day.
        place: The entity day of each row, shape (n,).
        positives: The rows of label 1.
        entities: The number of entities.
    """

    entity: ndarray
    starts: ndarray
    top: ndarray
    hit: ndarray
    place: ndarray
    positives: ndarray
    entities: int

    @classmethod
    def of(
        cls,
        label: ndarray,
        score: ndarray,
        entity: ndarray,
        day: ndarray,
        days: int | None = None,
    ) -> Self:
        """Prepare rows: numbers of entities and of days from 0, shape (n,) each.

        `days` in all, by their numbers where None.
        """
        entities = int(entity.max(initial=-1)) + 1
        days = int(day.max(initial=-1)) + 1 if days is None else days
        order = np.lexsort((-score, day))
        _, first, inverse = np.unique(
            (day * entities + entity)[order], return_index=True, return_inverse=True
        )
        ranked = np.argsort(first)
        position = np.empty(len(ranked), np.int64)
        position[ranked] = np.arange(len(ranked))
        place = np.empty(len(order), np.int64)
        place[order] = position[inverse]
        top = order[first[ranked]]
        hit = np.bincount(place, label, minlength=len(top)) > 0
        return cls(
            entity[top],
            np.searchsorted(day[top], np.arange(days + 1)),
            top,
            hit,
            place,
            np.flatnonzero(label > 0),
            entities,
        )

    def looked_at(self, weight: ndarray, capacity: ndarray) -> tuple[ndarray, ndarray]:
        """Return how much of each entity day is looked at, and whether the entity was found on an
        earlier day.

        An entity stands for as many as its row of the highest score does; it is left out after the
        day it was found.

        Args:
            weight: The weight of each row in each weighting, shape (weightings, n).
            capacity: Entities that can be looked at, for each day, shape (weightings, days).

        Returns:
            Shapes (weightings, entity days).
        """
        held, confirmed = weight[:, self.top], np.zeros((len(weight), self.entities), bool)
        taken, earlier = np.zeros(held.shape), np.zeros(held.shape, bool)
        for day, (begin, end) in enumerate(pairwise(self.starts.tolist())):
            who, hit = self.entity[begin:end], self.hit[begin:end]
            earlier[:, begin:end] = confirmed[:, who]
            free = np.where(earlier[:, begin:end], 0.0, held[:, begin:end])
            before = np.cumsum(free, axis=1) - free
            taken[:, begin:end] = np.clip(capacity[:, day, None] - before, 0.0, free)
            confirmed[:, who[hit]] |= taken[:, begin:end][:, hit] > 0
        return taken, earlier

    def values(
        self, weight: ndarray, capacity: int, times: ndarray, amount: ndarray | None
    ) -> tuple[ndarray, ndarray]:
        """Return card precision and the share of money that is caught, shape (weightings,) each.

        Card precision is the mean over days of the share with a row of label 1 that day among the
        entities of the highest scores that were not found on earlier days: card precision top-k of
        the Fraud Detection Handbook (Le Borgne, Siblini, Lebichot and Bontempi 2022, chapter 4),
        but on a day with fewer entities it is the share of those. All rows of an entity are caught
        on the day it is looked at, and on all later ones where it had one of label 1 that day.

        Args:
            weight: The weight of each row in each weighting, `times` of its day included, shape
                (weightings, n).
            capacity: Entities that can be looked at on a day.
            times: The number of times that each day counts, shape (weightings, days).
            amount: Money at stake in each row; without it the second is NaN.
        """
        taken, earlier = self.looked_at(weight, capacity * times)
        unknown = np.full(len(weight), np.nan)
        return self._precision(taken, times), unknown if amount is None else self._caught(
            weight, taken, earlier, amount
        )

    def _precision(self, taken: ndarray, times: ndarray) -> ndarray:
        looked, caught = (self._by_day(values) for values in (taken, taken * self.hit))
        share = np.divide(caught, looked, out=np.zeros(looked.shape), where=looked > 0)
        days = np.where(looked > 0, times, 0.0)
        return ratio_or_nan(np.einsum("ij,ij->i", days, share), days.sum(axis=1))

    def _by_day(self, values: ndarray) -> ndarray:
        return group_sums(values, self.starts[1:])

    def _caught(
        self, weight: ndarray, taken: ndarray, earlier: ndarray, amount: ndarray
    ) -> ndarray:
        rows = self.positives
        held, place = weight[:, self.top], self.place[rows]
        of, part = held[:, place], taken[:, place]
        share = np.where(
            earlier[:, place], 1.0, np.divide(part, of, out=np.zeros(of.shape), where=of > 0)
        )
        money = weight[:, rows] * amount[rows]
        return ratio_or_nan(np.einsum("ij,ij->i", money, share), money.sum(axis=1))


def ratio_or_nan(top: ndarray, bottom: ndarray) -> ndarray:
    """Return ratios, NaN where the lower number is not above 0."""
    return np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=bottom > 0)


def flag_top_entities(score: ndarray, entity: ndarray, day: ndarray, k: int) -> ndarray:
    """Return a mask of the rows of the k entities with the highest scores of their day, found
    before or not, shape (n,).
    """
    days = EntityDays.of(np.zeros(len(score)), score, entity, day)
    taken, _ = days.looked_at(
        np.ones((1, len(score))), np.full((1, len(days.starts) - 1), float(k))
    )
    return taken[0, days.place] > 0


# The rows of a test window whose label is known, as functions of any weights.

RANKS, DAYS, FLAGS, CHANCES, COSTS = "ranks", "days", "flags", "chances", "costs"
"""Families of metrics that are computed together."""

Values = dict[str, ndarray]
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


def metric_families(protocol: ScoredBy) -> dict[str, tuple[str, ...]]:
    """Return the metrics of each family, by their full names."""
    chances = ("brier", "log_loss", "ece", "calibration_slope", "calibration_intercept")
    at_recall = f"precision@recall={protocol.recall:g}"
    at_precision = f"recall@precision={protocol.precision:g}"
    return {
        RANKS: ("aucpr", "prevalence", "auroc", at_recall, at_precision),
        DAYS: (f"card_precision@{protocol.card_k}", "caught_value"),
        FLAGS: ("false_positive_rate",),
        CHANCES: (*chances, f"observed_to_expected[p>={LIKELY}]"),
        COSTS: ("expected_cost",),
    }


@dataclass(frozen=True, eq=False)
class TestRows:
    """The rows of one window.

    Attributes:
        table: The rows in their order.
        entity: The number of each one's entity, over all windows.
        day: The number of each one's day, in this window.
    """

    table: pl.DataFrame
    entity: ndarray
    day: ndarray

    @property
    def days(self) -> int:
        """The number of days."""
        return int(self.day.max(initial=-1)) + 1


@dataclass(frozen=True, eq=False)
class WindowSide:
    """The rows of a window whose label, or whose truth, is known.

    Attributes:
        protocol: The settings of the metrics.
        places: The places of the rows among the window's rows.
        base: The number of rows that each stands for.
        ranking: The ranking by their scores.
        days: The rows by entity and day.
        amount: Money at stake; None where the data does not say.
        chances: The metrics of their probabilities; None where there are none.
        parts: The parts of each row that are summed, shape (n, columns): one, label, label 0 of a
            flagged entity, cost, and the parts of `chances`; weighted by `base`.
    """

    protocol: ScoredBy
    places: ndarray
    base: ndarray
    ranking: Ranking
    days: EntityDays
    amount: ndarray | None
    chances: Probabilities | None
    parts: ndarray

    @classmethod
    def of(cls, window: TestRows, label: str, weighted: bool, protocol: ScoredBy) -> Self:
        """Return the rows whose column `label` is known.

        Weighted, those alone that stand for any.
        """
        known = window.table[label].is_not_null()
        if weighted:
            known &= window.table["weight"] > 0
        places = known.arg_true().to_numpy()
        rows = window.table[places]
        values, score = rows[label].to_numpy(), rows["score"].to_numpy()
        base = rows["weight"].to_numpy() if weighted else np.ones(len(rows))
        priced = window.table["amount"].null_count() < len(window.table)
        amount = rows["amount"].fill_null(0).to_numpy() if priced else None
        likely = len(rows) and not rows["probability"].null_count()
        probability = rows["probability"].to_numpy() if likely else None
        chances = None if probability is None else Probabilities.of(values, probability, base)
        days = EntityDays.of(values, score, window.entity[places], window.day[places], window.days)
        cost = np.full(len(rows), np.nan)
        if probability is not None and amount is not None:
            cost = blocking_costs(values, probability, amount, protocol.wrong_block)
        parts = [np.ones(len(rows)), values, (1 - values) * rows["flagged"].to_numpy(), cost]
        table = np.column_stack(parts if chances is None else [*parts, chances.parts])
        ranking = Ranking.of(values, score)
        return cls(protocol, places, base, ranking, days, amount, chances, table * base[:, None])

    def sums(self, cluster: ndarray, clusters: int) -> ndarray:
        """Return the parts summed over the rows of each cluster, shape (clusters, columns)."""
        cluster_of = cluster[self.places]
        return np.column_stack(
            [np.bincount(cluster_of, part, minlength=clusters) for part in self.parts.T]
        )

    def values(
        self, times: ndarray, days: ndarray, sums: ndarray, wanted: Collection[str]
    ) -> Values:
        """Return the metrics of some families, NaN where one is undefined.

        Args:
            times: The number of times that each row of the window counts in each weighting, shape
                (weightings, n).
            days: The number of times that each day of the window counts, shape (weightings, days);
                it is in `times` already.
            sums: The weighted sums of the parts, shape (weightings, columns).
            wanted: Families.
        """
        families = metric_families(self.protocol)
        by_family: dict[str, list[ndarray]] = {}
        if {RANKS, DAYS} & set(wanted):
            weight = self.base * times[:, self.places]
            if RANKS in wanted:
                by_family[RANKS] = self._ranks(weight, sums)
            if DAYS in wanted:
                by_day = self.days.values(weight, self.protocol.card_k, days, self.amount)
                by_family[DAYS] = list(by_day)
        by_family[FLAGS] = [ratio_or_nan(sums[:, 2], sums[:, 0] - sums[:, 1])]
        unknown = [np.full(len(sums), np.nan)] * len(families[CHANCES])
        by_family[CHANCES] = (
            list(self.chances.values(sums[:, 4:]).values()) if self.chances else unknown
        )
        by_family[COSTS] = [ratio_or_nan(sums[:, 3], sums[:, 0])]
        return {
            name: value
            for family, names in families.items()
            if family in wanted
            for name, value in zip(names, by_family[family], strict=True)
        }

    def _ranks(self, weight: ndarray, sums: ndarray) -> list[ndarray]:
        curves = self.ranking.curves(weight)
        return [
            curves.average_precision,
            np.where(sums[:, 1] > 0, ratio_or_nan(sums[:, 1], sums[:, 0]), np.nan),
            curves.auroc,
            curves.precision_at_recall(self.protocol.recall),
            curves.recall_at_precision(self.protocol.precision),
        ]


def blocking_costs(
    label: ndarray, probability: ndarray, amount: ndarray, wrong_block: float
) -> ndarray:
    """Return the cost of each row where a row is blocked if that is cheaper in expectation, shape
    (n,).

    Blocked where p x amount >= (1 - p) x wrong_block (Elkan 2001): then an honest row costs
    `wrong_block`, a row of label 1 nothing; let pass, a row of label 1 costs its amount, an honest
    one nothing.

    Args:
        label: 1.0 or 0.0, shape (n,).
        probability: The probability of the label being 1, shape (n,).
        amount: Money at stake, shape (n,).
        wrong_block: The cost of blocking an honest row, in the same unit.
    """
    blocked = probability * amount >= (1 - probability) * wrong_block
    return np.where(blocked, (1 - label) * wrong_block, label * amount)
