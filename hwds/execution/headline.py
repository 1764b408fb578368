"""What trials are compared by: their scores on the windows so far, and the one number of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import polars as pl

from hwds.execution.job import Job, Outcome
from hwds.execution.run import merged, settled
from hwds.metrics.base import short
from hwds.protocols.score import Score


def answered(job: Job, outcomes: Mapping[int, Sequence[Outcome]]) -> dict[int, pl.DataFrame]:
    """What is scored of one model, by fold, from the outcomes of its folds; a fold without rows has none."""
    return settled(job, {fold: merged(job, parts) for fold, parts in sorted(outcomes.items())})


def scores_so_far(job: Job, outcomes: Mapping[int, Sequence[Outcome]]) -> Sequence[Score]:
    """The scores of one model on all its folds together, as far as they are there."""
    parts = [part for part in answered(job, outcomes).values() if not part.is_empty()]
    return job.protocol.score(pl.concat(parts)) if parts else ()


def headline(scores: Sequence[Score], metric: str) -> Score | None:
    """The total of a metric, by its short name: the mean where there are several aggregates."""
    total = [score for score in scores if short(score.metric) == metric and score.step is None and score.segment is None]
    return next((score for score in total if score.aggregate == "mean"), total[0] if total else None)


def value_of(score: Score | None) -> float | None:
    """The number of a score; None where it is none to compare by."""
    return score.value if score is not None and score.value is not None and math.isfinite(score.value) else None


def lower(value: float, better: str) -> float:
    """A score turned so that low is good, or turned back."""
    return -value if better == "high" else value
