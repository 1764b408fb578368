"""The headline: the metric that orders a leaderboard, and which score of it is the one to show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hwds.core.errors import ConfigError, nearest
from hwds.evaluation.score import Score
from hwds.results.measure import Measure, short
from hwds.results.tables import place_of_total


def check_headline(name: str, metrics: Iterable[Measure]) -> None:
    """Refuse a headline, a short name, that is none of a task's metrics or cannot order a leaderboard.

    Raises:
        ConfigError: It is unknown, or neither low nor high is good.
    """
    known = {metric.short: metric for metric in metrics}
    if name not in known:
        raise ConfigError(f"protocol.headline: no metric '{name}'{nearest(name, known)}")
    if known[name].better == "none":
        ordering = ", ".join(short for short, metric in known.items() if metric.better != "none")
        raise ConfigError(f"protocol.headline: '{name}' does not order models; take one of {ordering}.")


def headline_score(scores: Sequence[Score], metric: str) -> Score | None:
    """Return the total of a metric, by its short name: of no step or segment, the mean where there are several aggregates."""
    total = [score for score in scores if short(score.metric) == metric and score.step is None and score.segment is None]
    place = place_of_total([score.aggregate for score in total])
    return None if place is None else total[place]
