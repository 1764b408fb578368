"""Metrics of a daily capacity: each day the entities of the highest scores are looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from hwds.detection.metrics.ranks import group_sums


@dataclass(frozen=True, eq=False)
class EntityDays:
    """Pairs of an entity and a day, by day and then by the highest score of the entity on that day, falling.

    Attributes:
        entity: Its number, shape (entity days,).
        starts: Where each day begins, and the number of entity days at the end.
        top: Of each the row with the highest score.
        hit: Whether it had a row of label 1 that day.
        place: Of each row its entity day, shape (n,).
        positives: The rows of label 1.
        entities: How many there are.
    """

    entity: np.ndarray
    starts: np.ndarray
    top: np.ndarray
    hit: np.ndarray
    place: np.ndarray
    positives: np.ndarray
    entities: int

    @classmethod
    def of(cls, label: np.ndarray, score: np.ndarray, entity: np.ndarray, day: np.ndarray, days: int | None = None) -> Self:
        """Prepare rows: numbers of entities and of days from 0, shape (n,) each; `days` in all, by their numbers where None."""
        entities = int(entity.max(initial=-1)) + 1
        days = int(day.max(initial=-1)) + 1 if days is None else days
        order = np.lexsort((-score, day))
        _, first, inverse = np.unique((day * entities + entity)[order], return_index=True, return_inverse=True)
        ranked = np.argsort(first)
        position = np.empty(len(ranked), np.int64)
        position[ranked] = np.arange(len(ranked))
        place = np.empty(len(order), np.int64)
        place[order] = position[inverse]
        top = order[first[ranked]]
        hit = np.bincount(place, label, minlength=len(top)) > 0
        return cls(
            entity[top], np.searchsorted(day[top], np.arange(days + 1)), top, hit, place, np.flatnonzero(label > 0), entities
        )

    def looked_at(self, weight: np.ndarray, capacity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return how much of each entity day is looked at, and whether the entity was found on an earlier day.

        An entity stands for as many as its row of the highest score does; it is left out after the day it was found.

        Args:
            weight: Of each row in each weighting, shape (weightings, n).
            capacity: Entities that can be looked at, for each day, shape (weightings, days).

        Returns:
            Shapes (weightings, entity days).
        """
        held, confirmed = weight[:, self.top], np.zeros((len(weight), self.entities), bool)
        taken, earlier = np.zeros(held.shape), np.zeros(held.shape, bool)
        for day, (begin, end) in enumerate(zip(self.starts[:-1].tolist(), self.starts[1:].tolist(), strict=True)):
            who, hit = self.entity[begin:end], self.hit[begin:end]
            earlier[:, begin:end] = confirmed[:, who]
            free = np.where(earlier[:, begin:end], 0.0, held[:, begin:end])
            before = np.cumsum(free, axis=1) - free
            taken[:, begin:end] = np.clip(capacity[:, day, None] - before, 0.0, free)
            confirmed[:, who[hit]] |= taken[:, begin:end][:, hit] > 0
        return taken, earlier

    def values(
        self, weight: np.ndarray, capacity: int, times: np.ndarray, amount: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return card precision and the share of money that is caught, shape (weightings,) each.

        Card precision is the mean over days of the share with a row of label 1 that day among the entities of the highest
        scores that were not found on earlier days: card precision top-k of the Fraud Detection Handbook (Le Borgne, Siblini,
        Lebichot and Bontempi 2022, chapter 4), but on a day with fewer entities it is the share of those. All rows of an entity
        are caught on the day it is looked at, and on all later ones where it had one of label 1 that day.

        Args:
            weight: Of each row in each weighting, `times` of its day included, shape (weightings, n).
            capacity: Entities that can be looked at on a day.
            times: How often each day counts, shape (weightings, days).
            amount: Money at stake in each row; without it the second is NaN.
        """
        taken, earlier = self.looked_at(weight, capacity * times)
        unknown = np.full(len(weight), np.nan)
        return self._precision(taken, times), unknown if amount is None else self._caught(weight, taken, earlier, amount)

    def _precision(self, taken: np.ndarray, times: np.ndarray) -> np.ndarray:
        looked, caught = (self._by_day(values) for values in (taken, taken * self.hit))
        share = np.divide(caught, looked, out=np.zeros(looked.shape), where=looked > 0)
        days = np.where(looked > 0, times, 0.0)
        return _ratio(np.einsum("ij,ij->i", days, share), days.sum(axis=1))

    def _by_day(self, values: np.ndarray) -> np.ndarray:
        return group_sums(values, self.starts[1:])

    def _caught(self, weight: np.ndarray, taken: np.ndarray, earlier: np.ndarray, amount: np.ndarray) -> np.ndarray:
        rows = self.positives
        held, place = weight[:, self.top], self.place[rows]
        of, part = held[:, place], taken[:, place]
        share = np.where(earlier[:, place], 1.0, np.divide(part, of, out=np.zeros(of.shape), where=of > 0))
        money = weight[:, rows] * amount[rows]
        return _ratio(np.einsum("ij,ij->i", money, share), money.sum(axis=1))


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)


def flagged(score: np.ndarray, entity: np.ndarray, day: np.ndarray, k: int) -> np.ndarray:
    """Return a mask of the rows of the k entities with the highest scores of their day, found before or not, shape (n,)."""
    days = EntityDays.of(np.zeros(len(score)), score, entity, day)
    taken, _ = days.looked_at(np.ones((1, len(score))), np.full((1, len(days.starts) - 1), float(k)))
    return taken[0, days.place] > 0
