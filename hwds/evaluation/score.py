"""Score: one line of the scores table."""

from __future__ import annotations

from dataclasses import dataclass

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
