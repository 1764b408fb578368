"""Score: one line of the scores table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hwds.core.errors import ConfigError, nearest
from hwds.results.measure import Measure, short
from hwds.results.tables import place_of_total
from hwds.statistics.aggregate import Estimate


@dataclass(frozen=True, slots=True)
class Score:
    """One line of the scores table; what is None does not apply.

    Attributes:
        metric: The name with its definition (`mase[m=12]`).
        aggregate: `mean`, `median`, `pooled`, `p95` or `cvar95`.
        value: The number, None where nothing was defined.
        n: How many units it is made of.
        n_undefined: How many had no value (no scale, a division by zero).
        n_fallback: How many were answered by something simpler than the model.
        status: `ok`, or what is to be known before the number is read (`unregistered`).
    """

    metric: str
    aggregate: str | None
    value: float | None
    stderr: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    ci_method: str | None = None
    p_value: float | None = None
    n: int = 0
    n_undefined: int = 0
    n_fallback: int = 0
    cutoff: str | None = None
    segment_by: str | None = None
    segment: str | None = None
    step: int | None = None
    status: str = "ok"

    @classmethod
    def of(cls, metric: str, aggregate: str, estimate: Estimate) -> Score:
        """Return the line of an estimate, with its interval."""
        return cls(
            metric,
            aggregate,
            estimate.value,
            estimate.stderr,
            estimate.low,
            estimate.high,
            estimate.method if estimate.stderr is not None else None,
            n=estimate.n,
            n_undefined=estimate.n_undefined,
        )


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
