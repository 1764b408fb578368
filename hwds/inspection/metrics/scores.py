"""Scores of judged images: what is flagged, which kind is named, what probabilities are worth; with intervals over boards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from hwds.evaluation.score import Score
from hwds.frames.images import BOARD
from hwds.inspection.metrics.measures import BINS, CERTAIN, InspectionTerms, recall_of
from hwds.inspection.metrics.weighted import (
    Weighted,
    area_under_risk,
    average_precision,
    calibration_error,
    error_at,
    recall_at,
)
from hwds.statistics.cluster_bootstrap import ClusterBootstrap

CHANCE = "p_"
"""The prefix of the columns of probabilities, before the kind."""

LEAST = 1e-7
"""The least probability that counts in the log loss."""


def inspection_scores(rows: pl.DataFrame, terms: InspectionTerms) -> list[Score]:
    """Return the scores of judged images.

    Args:
        rows: `board`, `actual`, `predicted`, `score`, `threshold` and a probability of each kind, null of a model without.
        terms: The settings.
    """
    if rows.is_empty():
        return []
    images = ScoredImages(rows, terms)
    return [*images.flags(), *images.kinds(), *images.chances(), *images.by_kind()]


class ScoredImages:
    """The judgements of one model.

    Args:
        rows: See `inspection_scores`.
        terms: The settings.
    """

    def __init__(self, rows: pl.DataFrame, terms: InspectionTerms) -> None:
        self.terms = terms
        self.rows = rows
        _, board = np.unique(rows[BOARD].to_numpy(), return_inverse=True)
        self.per_board = 1 / np.bincount(board)[board]
        self.bootstrap = ClusterBootstrap(board, terms.resamples, "boards")
        self.actual = rows["actual"].to_numpy()
        self.defect = self.actual != terms.good
        self.score, self.threshold = rows["score"].to_numpy(), rows["threshold"].to_numpy()
        self.flagged = (self.score > self.threshold).astype(float)
        self.chance = chances(rows)

    def flags(self) -> Iterator[Score]:
        """Yield what is flagged: at a budget, over all thresholds, and at the threshold of the boards that calibrate."""
        at, defects = self.terms.at, int(self.defect.sum())
        flagging = recall_at(self.score, self.defect, self.defect, self.terms.budget)
        yield self._statistic(f"recall{at}", flagging, defects)
        yield self._statistic("average_precision", average_precision(self.score, self.defect), len(self.rows))
        held = self.flagged
        yield self._ratio(f"recall_held{at}", held * self.defect, self.defect.astype(float))
        yield self._ratio(f"false_alarms_held{at}", held * ~self.defect, (~self.defect).astype(float))
        yield self._ratio("cost", self.costs(), self.per_board)
        yield self._ratio("cost_passing_all", self.terms.missed * self.defect, self.per_board)
        yield self._ratio("cost_rejecting_all", self.terms.false_alarm * ~self.defect, self.per_board)

    def costs(self) -> np.ndarray:
        """Return what each image costs, shape (n,)."""
        return costs_of(self.defect, self.score, self.flagged, self.chance is not None, self.terms)

    def kinds(self) -> Iterator[Score]:
        """Yield how often kinds are named rightly; undefined of a model that names none."""
        right = self.right()
        yield self._ratio("accuracy", right, np.ones(len(right)))
        if self.chance is None:
            return
        certainty = self.chance.max(axis=1)
        yield self._statistic(f"error_at_coverage[{CERTAIN:g}]", error_at(certainty, 1 - right, CERTAIN), len(right))
        yield self._statistic("aurc", area_under_risk(certainty, 1 - right), len(right))

    def right(self) -> np.ndarray:
        """Return 1 where the likeliest kind is the one that an image shows, NaN where none is named; shape (n,)."""
        named = self.rows["predicted"].is_not_null().to_numpy()
        return np.where(named, (self.rows["predicted"] == self.rows["actual"]).fill_null(False).to_numpy(), np.nan)

    def chances(self) -> Iterator[Score]:
        """Yield what probabilities are worth; nothing of a model without."""
        if self.chance is None:
            return
        said = self.rows.select(names_of(self.rows)).to_dict(as_series=False)
        own = np.array([said[f"{CHANCE}{kind}"][row] for row, kind in enumerate(self.actual)])
        yield self._ratio("log_loss", -np.log(np.maximum(own, LEAST)), np.ones(len(own)))
        n = len(own)
        yield self._statistic(f"ece[{BINS}]", calibration_error(self.chance.max(axis=1), self.right(), BINS), n)
        yield self._statistic(f"ece_defect[{BINS}]", calibration_error(self.score, self.defect.astype(float), BINS), n)

    def by_kind(self) -> Iterator[Score]:
        """Yield the recall of each kind of defects at the budget's threshold."""
        for kind in sorted(set(self.actual[self.defect])):
            mine = self.actual == kind
            of = recall_at(self.score, self.defect, mine, self.terms.budget)
            yield self._statistic(recall_of(kind, self.terms), of, int(mine.sum()))

    def _ratio(self, name: str, top: np.ndarray, bottom: np.ndarray) -> Score:
        return Score.of(name, "mean", self.bootstrap.ratio(top, bottom))

    def _statistic(self, name: str, of: Weighted, n: int) -> Score:
        return Score.of(name, "mean", self.bootstrap.statistic(of, n))


def costs_of(defect: np.ndarray, score: np.ndarray, flagged: np.ndarray, is_chance: bool, terms: InspectionTerms) -> np.ndarray:
    """Return what each image costs: rejected where that is cheaper by its probability, or where it is flagged; shape (n,).

    Args:
        defect: Whether an image has a defect, shape (n,).
        score: How suspicious it is, shape (n,).
        flagged: Whether it lies above the threshold of the boards that calibrate, shape (n,).
        is_chance: Whether the score is the probability of a defect.
        terms: The settings.
    """
    cheaper = terms.false_alarm / (terms.false_alarm + terms.missed)
    rejected = score > cheaper if is_chance else flagged > 0
    return np.where(defect, terms.missed * ~rejected, terms.false_alarm * rejected)


def names_of(rows: pl.DataFrame) -> Sequence[str]:
    """Return the columns of probabilities."""
    return [name for name in rows.columns if name.startswith(CHANCE)]


def chances(rows: pl.DataFrame) -> np.ndarray | None:
    """Return the probabilities of kinds, shape (n, kinds); None of a model that has none."""
    chance = rows.select(names_of(rows)).cast(pl.Float64).to_numpy()
    return None if not chance.size or np.isnan(chance).all() else chance
