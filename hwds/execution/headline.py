"""The one number of many scores that trials are compared by."""

from __future__ import annotations

from collections.abc import Sequence

from hwds.metrics.base import short
from hwds.protocols.score import Score


def headline(scores: Sequence[Score], metric: str) -> Score | None:
    """The total of a metric, by its short name: the mean where there are several aggregates."""
    total = [score for score in scores if short(score.metric) == metric and score.step is None and score.segment is None]
    return next((score for score in total if score.aggregate == "mean"), total[0] if total else None)
