"""A classifier and row features of a user's own, run on two toy cells: some rows of each label, then half of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from hwds.core.errors import with_article
from hwds.detection.context import RowContext
from hwds.detection.models.classify.base import Classifier, Contributions
from hwds.evaluation.abilities import WrongAnswerError
from hwds.frames.table import Table
from hwds.results.formatting import counted

EACH = 60
"""The most rows of each label."""


def toy_of(table: Table) -> Table:
    """Return the first rows of each label, in their order."""
    label = table.column("label").cast(pl.Float64).to_numpy()
    chosen = [np.flatnonzero(label == kind)[:EACH] for kind in (0, 1)]
    kept = np.zeros(table.height, bool)
    kept[np.concatenate(chosen)] = True
    return table.filter(kept)


def try_classifier(model: Classifier, table: Table, context: RowContext) -> None:
    """Learn from toys, and score them.

    Raises:
        WrongAnswerError: The scores are no array of one finite number a row, or they are not explained.
    """
    toy = toy_of(table)
    wide = toy.with_inputs(context.columns_of(toy))
    scorer = model.learn(wide, stop=wide.filter(np.zeros(wide.height, bool)), context=context)
    for rows in (wide, wide.filter(np.arange(wide.height) % 2 == 0)):
        check_scores(scorer.score(rows), rows.height)
        check_contributions(scorer.explain(rows), rows.height)


def check_scores(score: Any, rows: int) -> None:
    """Refuse scores of so many rows that are not what a scorer must return.

    Raises:
        WrongAnswerError: They are no array of one finite number a row.
    """
    must = f"score of {counted(rows, 'rows')} must return an array of numbers of shape ({rows},)"
    if not isinstance(score, np.ndarray):
        raise WrongAnswerError(f"{must}, got {with_article(type(score).__name__)}")
    if score.shape != (rows,) or score.dtype.kind not in "iuf":
        raise WrongAnswerError(f"{must}, got {score.dtype} of shape {score.shape}")
    if not np.isfinite(score).all():
        raise WrongAnswerError(f"{must}, got {int((~np.isfinite(score)).sum())} that are not finite")


def check_contributions(answer: Any, rows: int) -> None:
    """Refuse contributions to the scores of so many rows that are not what a scorer must return.

    Raises:
        WrongAnswerError: They are no `Contributions`, or their values have another shape.
    """
    asked = f"explain of {counted(rows, 'rows')} must return"
    if not isinstance(answer, Contributions):
        raise WrongAnswerError(f"{asked} hwds.detection.Contributions, got {with_article(type(answer).__name__)}")
    shape, got = (rows, len(answer.names)), np.shape(answer.values)
    if got != shape:
        raise WrongAnswerError(f"{asked} values of shape {shape}, one for each name, got {got}")


def try_row_features(features: Any, table: Table) -> None:
    """Compute row features of toys.

    Raises:
        WrongAnswerError: The answer is no table of as many rows.
    """
    toy = toy_of(table)
    answer = features.compute(toy)
    rows = counted(toy.height, "rows")
    if not isinstance(answer, pl.DataFrame):
        raise WrongAnswerError(f"compute of {rows} must return a polars DataFrame, got {with_article(type(answer).__name__)}")
    if answer.width and answer.height != toy.height:
        raise WrongAnswerError(f"compute of {rows} must return as many, in their order, got {answer.height:,}")
