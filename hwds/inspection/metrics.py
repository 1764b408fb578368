"""Metrics of judged images: what is flagged, named and certain; with intervals over boards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame

from hwds.core.settings import read_beside
from hwds.evaluation.protocol import Score
from hwds.frames.images import BOARD
from hwds.results.tables import Measure
from hwds.stats.estimates import ClusterBootstrap

# The metrics of inspection, and what each of them means.

CALIBRATION_BINS = 15
"""The bins of the expected calibration error, each of the same number of images."""

CERTAIN = 0.9
"""The share of images, the most certain, whose errors are counted beside the reject curve."""


@dataclass(frozen=True)
class InspectionTerms:
    """The settings of the scores.

    Attributes:
        good: The kind of an image without a defect.
        budget: The share of good images that may be flagged.
        missed: The cost of a defect that is passed.
        false_alarm: The cost of a good image that is flagged.
        resamples: The number of resamples of the bootstrap over boards.
    """

    good: str
    budget: float
    missed: float
    false_alarm: float
    resamples: int

    @property
    def at(self) -> str:
        """The definition of what is measured at the budget."""
        return f"[far={self.budget:g}]"


def recall_of(kind: str, terms: InspectionTerms) -> str:
    """Return the name of the recall of one kind of defects."""
    return f"recall_of_{kind}{terms.at}"


def inspection_measures(terms: InspectionTerms, kinds: Sequence[str] = ()) -> tuple[Measure, ...]:
    """Return the metrics of judged images.

    Args:
        terms: The settings.
        kinds: The kinds of defects.
    """
    main = Measure.filled(
        read_beside(__file__, "metrics.yaml"),
        terms=terms,
        share=f"{100 * terms.budget:g} %",
        bins=CALIBRATION_BINS,
        certain=f"{CERTAIN:g}",
        certain_share=f"{100 * CERTAIN:.0f} %",
    )
    by_kind = (
        Measure(
            recall_of(kind, terms),
            meaning=f"the recall of '{kind}' alone",
            better="high",
            units="defects",
            beside="page",
        )
        for kind in kinds
    )
    return (*main, *by_kind)


# Statistics of ranked and of probable images under weights of images, as a bootstrap over
# boards needs them.

Weighted = Callable[[ndarray], ndarray]
"""From weights of images, shape (weightings, n), the statistic under each, shape (weightings,); NaN
where undefined.
"""


def falling_order(score: ndarray) -> tuple[ndarray, ndarray]:
    """Return the images in the order of falling scores, and the last place of each score."""
    order = np.argsort(-score, kind="stable")
    return order, np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)


def recall_at(score: ndarray, defect: ndarray, counted: ndarray, budget: float) -> Weighted:
    """Return the share of the counted defects above the threshold at which a share of the good
    images is flagged.

    Flagged is what exceeds the threshold, the lowest score of a good image that no more than the
    budget of them exceed.

    Args:
        score: Shape (n,).
        defect: Whether an image has a defect, shape (n,).
        counted: A flag for each defect that counts, shape (n,).
        budget: The share of good images that may be flagged.
    """
    order, last = falling_order(score)
    good = ~defect[order]

    def of(weights: ndarray) -> ndarray:
        sorted_weights = weights[:, order]
        alarms = np.cumsum(sorted_weights * good, axis=1)
        hits = np.cumsum(sorted_weights * (defect & counted)[order], axis=1)
        allowed = alarms[:, last] <= budget * alarms[:, -1:] + 1e-9
        found = np.where(allowed, hits[:, last], 0.0).max(axis=1)
        defined = (hits[:, -1] > 0) & (alarms[:, -1] > 0)
        return np.where(defined, found / np.where(defined, hits[:, -1], 1.0), np.nan)

    return of


def image_average_precision(score: ndarray, defect: ndarray) -> Weighted:
    """Return the sum over thresholds of precision times the recall gained there.

    Images of one score have one threshold.

    Args:
        score: Shape (n,).
        defect: Whether an image has a defect, shape (n,).
    """
    order, last = falling_order(score)

    def of(weights: ndarray) -> ndarray:
        sorted_weights = weights[:, order]
        hits = np.cumsum(sorted_weights * defect[order], axis=1)[:, last]
        flagged = np.cumsum(sorted_weights, axis=1)[:, last]
        precision = np.divide(hits, flagged, out=np.zeros(hits.shape), where=flagged > 0)
        area = (np.diff(hits, prepend=0.0, axis=1) * precision).sum(axis=1)
        known = (hits[:, -1] > 0) & (hits[:, -1] < flagged[:, -1])
        return np.where(known, area / np.where(known, hits[:, -1], 1.0), np.nan)

    return of


def calibration_error(chance: ndarray, happened: ndarray, bins: int) -> Weighted:
    """Return the mean over bins of |mean probability - share that happened|.

    Bins hold the same number of images, those of one probability together (Naeini, Cooper and
    Hauskrecht 2015; equal mass as Nixon et al. 2019).

    Args:
        chance: Shape (n,).
        happened: 1.0 or 0.0, shape (n,).
        bins: The number of bins.
    """
    edges = np.unique(np.quantile(chance, np.linspace(0, 1, bins + 1)[1:-1], method="inverted_cdf"))
    place = np.searchsorted(edges, chance, side="left")
    excess = (chance - happened)[:, None] * (place[:, None] == np.arange(len(edges) + 1))

    def of(weights: ndarray) -> ndarray:
        total = weights.sum(axis=1)
        return np.abs(weights @ excess).sum(axis=1) / np.where(total > 0, total, np.nan)

    return of


def risk_coverage(certainty: ndarray, wrong: ndarray) -> tuple[ndarray, ndarray]:
    """Return the share of images that are kept, the most certain first, and the share of these that
    are wrong.

    Images of one certainty are kept together (Geifman and El-Yaniv 2017, "Selective classification
    for deep networks").

    Args:
        certainty: Shape (n,).
        wrong: 1.0 or 0.0, shape (n,).
    """
    order, last = falling_order(certainty)
    kept = last + 1
    return kept / len(order), np.cumsum(wrong[order])[last] / kept


def error_at(certainty: ndarray, wrong: ndarray, share: float) -> Weighted:
    """Return the share of wrong images among so many of the most certain.

    Of those that tie at the edge a part counts.

    Args:
        certainty: Shape (n,).
        wrong: 1.0 or 0.0, shape (n,).
        share: The share of images that are kept.
    """
    return _errors_among_kept(certainty, wrong, np.array([share]))


def area_under_risk(certainty: ndarray, wrong: ndarray) -> Weighted:
    """Return the mean share of wrong images over the shares of images that are kept: a hundredth,
    two ... all.
    """
    return _errors_among_kept(certainty, wrong, np.arange(1, 101) / 100)


def _errors_among_kept(certainty: ndarray, wrong: ndarray, shares: ndarray) -> Weighted:
    order, last = falling_order(certainty)

    def of(weights: ndarray) -> ndarray:
        sorted_weights = weights[:, order]
        kept = np.cumsum(sorted_weights, axis=1)[:, last]
        errors = np.cumsum(sorted_weights * wrong[order], axis=1)[:, last]
        out = np.full(len(weights), np.nan)
        for row, (mass, lost) in enumerate(zip(kept, errors, strict=True)):
            if mass[-1] > 0:
                wanted = shares * mass[-1]
                out[row] = float(
                    np.mean(np.interp(wanted, np.append(0, mass), np.append(0, lost)) / wanted)
                )
        return out

    return of


# Scores of judged images: what is flagged, which kind is named, what probabilities are worth;
# with intervals over boards.

CHANCE = "p_"
"""The prefix of the columns of probabilities, before the kind."""

LEAST_CHANCE = 1e-7
"""The least probability that counts in the log loss."""


def inspection_scores(rows: DataFrame, terms: InspectionTerms) -> list[Score]:
    """Return the scores of judged images.

    Args:
        rows: `board`, `actual`, `predicted`, `score`, `threshold` and a probability of each kind,
            null of a model without.
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

    def __init__(self, rows: DataFrame, terms: InspectionTerms) -> None:
        self.terms = terms
        self.rows = rows
        _, board = np.unique(rows[BOARD].to_numpy(), return_inverse=True)
        self.per_board = 1 / np.bincount(board)[board]
        self.bootstrap = ClusterBootstrap(board, terms.resamples, "boards")
        self.actual = rows["actual"].to_numpy()
        self.defect = self.actual != terms.good
        self.score, self.threshold = rows["score"].to_numpy(), rows["threshold"].to_numpy()
        self.flagged = (self.score > self.threshold).astype(float)
        self.chance = kind_chances(rows)

    def flags(self) -> Iterator[Score]:
        """Yield what is flagged: at a budget, over all thresholds, and at the threshold of the
        boards that calibrate.
        """
        at, defects = self.terms.at, int(self.defect.sum())
        flagging = recall_at(self.score, self.defect, self.defect, self.terms.budget)
        yield self._statistic(f"recall{at}", flagging, defects)
        yield self._statistic(
            "average_precision", image_average_precision(self.score, self.defect), len(self.rows)
        )
        held = self.flagged
        yield self._ratio(f"recall_held{at}", held * self.defect, self.defect.astype(float))
        yield self._ratio(
            f"false_alarms_held{at}", held * ~self.defect, (~self.defect).astype(float)
        )
        yield self._ratio("cost", self.costs(), self.per_board)
        yield self._ratio("cost_passing_all", self.terms.missed * self.defect, self.per_board)
        yield self._ratio(
            "cost_rejecting_all", self.terms.false_alarm * ~self.defect, self.per_board
        )

    def costs(self) -> ndarray:
        """Return what each image costs, shape (n,)."""
        return image_costs(
            self.defect, self.score, self.flagged, self.chance is not None, self.terms
        )

    def kinds(self) -> Iterator[Score]:
        """Yield how often kinds are named rightly; undefined of a model that names none."""
        right = self.right()
        yield self._ratio("accuracy", right, np.ones(len(right)))
        if self.chance is None:
            return
        certainty = self.chance.max(axis=1)
        yield self._statistic(
            f"error_at_coverage[{CERTAIN:g}]", error_at(certainty, 1 - right, CERTAIN), len(right)
        )
        yield self._statistic("aurc", area_under_risk(certainty, 1 - right), len(right))

    def right(self) -> ndarray:
        """Return 1 where the likeliest kind is the one that an image shows, NaN where none is
        named; shape (n,).
        """
        right = (self.rows["predicted"] == self.rows["actual"]).cast(pl.Float64)
        return right.to_numpy()

    def chances(self) -> Iterator[Score]:
        """Yield what probabilities are worth; nothing of a model without."""
        if self.chance is None:
            return
        n = len(self.rows)
        yield self._ratio("log_loss", self.log_losses(), np.ones(n))
        yield self._statistic(
            f"ece[{CALIBRATION_BINS}]",
            calibration_error(self.chance.max(axis=1), self.right(), CALIBRATION_BINS),
            n,
        )
        yield self._statistic(
            f"ece_defect[{CALIBRATION_BINS}]",
            calibration_error(self.score, self.defect.astype(float), CALIBRATION_BINS),
            n,
        )

    def log_losses(self) -> ndarray:
        """Return minus the logarithm of the probability of what each image shows, shape (n,)."""
        return -np.log(np.maximum(chance_of_actual(self.rows), LEAST_CHANCE))

    def by_kind(self) -> Iterator[Score]:
        """Yield the recall of each kind of defects at the budget's threshold."""
        for kind in sorted(set(self.actual[self.defect])):
            mine = self.actual == kind
            of = recall_at(self.score, self.defect, mine, self.terms.budget)
            yield self._statistic(recall_of(kind, self.terms), of, int(mine.sum()))

    def _ratio(self, name: str, top: ndarray, bottom: ndarray) -> Score:
        return Score.of(name, "mean", self.bootstrap.ratio(top, bottom))

    def _statistic(self, name: str, of: Weighted, n: int) -> Score:
        return Score.of(name, "mean", self.bootstrap.statistic(of, n))


def image_costs(
    defect: ndarray,
    score: ndarray,
    flagged: ndarray,
    is_chance: bool,
    terms: InspectionTerms,
) -> ndarray:
    """Return what each image costs: rejected where that is cheaper by its probability, or where it
    is flagged; shape (n,).

    Args:
        defect: Whether an image has a defect, shape (n,).
        score: The suspicion of each image, shape (n,).
        flagged: Whether it lies above the threshold of the boards that calibrate, shape (n,).
        is_chance: Whether the score is the probability of a defect.
        terms: The settings.
    """
    cheaper = terms.false_alarm / (terms.false_alarm + terms.missed)
    rejected = score > cheaper if is_chance else flagged > 0
    return np.where(defect, terms.missed * ~rejected, terms.false_alarm * rejected)


def chance_columns(rows: DataFrame) -> Sequence[str]:
    """Return the columns of probabilities."""
    return [name for name in rows.columns if name.startswith(CHANCE)]


def chance_of_actual(rows: DataFrame) -> ndarray:
    """Return the probability of what each image shows, NaN of a model that has none; shape (n,)."""
    chances = rows.select(chance_columns(rows)).to_dict(as_series=False)
    kinds = rows["actual"].to_list()
    return np.array([chances[f"{CHANCE}{kind}"][row] for row, kind in enumerate(kinds)], float)


def kind_chances(rows: DataFrame) -> ndarray | None:
    """Return the probabilities of kinds, shape (n, kinds); None of a model that has none."""
    chance = rows.select(chance_columns(rows)).cast(pl.Float64).to_numpy()
    return None if not chance.size or np.isnan(chance).all() else chance
