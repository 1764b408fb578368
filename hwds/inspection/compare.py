"""Evidence of inspection: what is found, named and paid by board, of the images that all models
judged.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy import ndarray

from hwds.core.config import build, sized_node
from hwds.core.errors import ConfigError
from hwds.frames.images import BOARD, IMAGE
from hwds.inspection.metrics import CHANCE, ScoredImages, chance_columns, recall_at
from hwds.inspection.protocols.board_kfold import BoardKFold
from hwds.stats.evidence import (
    Estimates,
    TaskComparison,
    UnitEvidence,
    by_dataset,
    compared_metric,
    long_table,
)
from hwds.stats.sources import ModelRows, shared_rows

COMPARED = ("recall", "accuracy", "log_loss", "cost")
"""The metrics by which models are compared, by their short names."""

NEAR = 0.02
"""The share of good images on both sides of the budget over which the slope of recall is taken."""


def inspection_evidence(
    answers: Sequence[ModelRows], metric: str, resamples: int
) -> tuple[UnitEvidence, int]:
    """Return the metric by board, and how many images were left out because some model did not
    judge them.

    Args:
        answers: The images of every model, dataset and seed.
        metric: One of `COMPARED`.
        resamples: The number of resamples of each bootstrap.

    Raises:
        ConfigError: The metric is another one, or a model has none of this one.
    """
    short = compared_metric(metric, COMPARED, "inspections")
    kept, left_out = shared_rows(answers, [IMAGE])

    def table(own: list[ModelRows]) -> pl.DataFrame:
        boards = own[0].rows[BOARD].unique().sort()
        return long_table(own, boards, [_values_by_board(answer, boards, short) for answer in own])

    return UnitEvidence(by_dataset(kept, table), "boards", resamples), left_out


def _values_by_board(answer: ModelRows, boards: pl.Series, metric: str) -> ndarray:
    """Return a value for each board whose mean is the metric of all images, linearised around it
    where it is a ratio.
    """
    protocol = build("protocol", "protocol", sized_node(answer.source.config, "protocol"))
    assert isinstance(protocol, BoardKFold)
    rows = answer.rows
    good = chance_columns(rows)[0].removeprefix(CHANCE)
    images = ScoredImages(rows, protocol.terms(good))
    top, bottom = _metric_parts(images, metric)
    if np.isnan(top).any():
        raise ConfigError(
            f"--metric: '{answer.model}' has no {metric}: it names no kinds; compare by "
            f"recall or cost."
        )
    place = (
        rows[BOARD]
        .replace_strict(boards, pl.int_range(len(boards), eager=True), return_dtype=pl.Int64)
        .to_numpy()
    )
    tops, bottoms = np.bincount(place, top, len(boards)), np.bincount(place, bottom, len(boards))
    value = float(tops.sum() / bottoms.sum())
    return value + (tops - value * bottoms) / bottoms.mean()


def _metric_parts(images: ScoredImages, metric: str) -> tuple[ndarray, ndarray]:
    """Return two numbers of each image, the ratio of whose sums is the metric.

    The first NaN where it is undefined.
    """
    ones = np.ones(len(images.rows))
    if metric == "recall":
        return _recall_parts(images)
    if metric == "cost":
        return images.costs(), images.per_board
    if metric == "accuracy":
        return images.right(), ones
    if images.chance is None:
        return np.full(len(ones), np.nan), ones
    return images.log_losses(), ones


def _recall_parts(images: ScoredImages) -> tuple[ndarray, ndarray]:
    """Return hits and defects, shape (n,) each.

    The threshold is a quantile of the good images, so each of them moves it, and the recall with
    it. Its part of the hits is minus the slope of recall against false alarms at the budget times
    the difference between its own alarm, 0 or 1, and the share of alarms (Hsieh and Turnbull 1996).
    """
    budget, defect = images.terms.budget, images.defect
    one = np.ones((1, len(defect)))
    low, high = max(budget - NEAR, 0.0), min(budget + NEAR, 1.0)
    near = [float(recall_at(images.score, defect, defect, share)(one)[0]) for share in (low, high)]
    recall = float(recall_at(images.score, defect, defect, budget)(one)[0])
    good = images.score[~defect]
    limit = float(np.quantile(good, 1 - budget, method="inverted_cdf"))
    above = images.score > limit
    slope = (near[1] - near[0]) / (high - low) * defect.sum() / max((~defect).sum(), 1)
    alarms = above[~defect].mean()
    hits = np.where(defect, above, -slope * (above - alarms)).astype(float)
    hits[defect] += recall - hits[defect].mean()
    return hits, defect.astype(float)


COMPARISON = TaskComparison(
    evidence=inspection_evidence,
    estimates=Estimates(
        coefficients=COMPARED,
        fit=("recall_held", "false_alarms_held", "ece_defect", "error_at_coverage", "aurc"),
    ),
    conditions="of the same images",
)
