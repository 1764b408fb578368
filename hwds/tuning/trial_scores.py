"""The scores of trials on the windows so far, and the one number that they are compared by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import polars as pl

from hwds.evaluation.score import Score
from hwds.execution.job import Job, Outcome
from hwds.execution.run import merged, postprocessed


def rows_by_fold(job: Job, outcomes: Mapping[int, Sequence[Outcome]]) -> dict[int, pl.DataFrame]:
    """Return the rows of one model that are scored, by fold, from the outcomes of its cells."""
    return postprocessed(job, {fold: merged(job, parts) for fold, parts in sorted(outcomes.items())})


def scores_so_far(job: Job, outcomes: Mapping[int, Sequence[Outcome]]) -> Sequence[Score]:
    """Return the scores of one model on all its folds so far together."""
    parts = [part for part in rows_by_fold(job, outcomes).values() if not part.is_empty()]
    return job.protocol.score(pl.concat(parts)) if parts else ()


def value_of(score: Score | None) -> float | None:
    """Return the value of a score; None where it is missing or not finite."""
    return score.value if score is not None and score.value is not None and math.isfinite(score.value) else None


def as_minimised(value: float, better: str) -> float:
    """Return a score with its sign such that low is good; applied twice it is the score again."""
    return -value if better == "high" else value
