"""TestMetric: an outcome as a team counts it, its role in the verdict, and its value in each unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, model_validator

from hwds.core.recipe import Level, Positive, Recipe

Role = Literal["primary", "secondary", "guardrail"]

ROLES: tuple[Role, ...] = ("primary", "secondary", "guardrail")
"""The roles; a run's table has the place of a metric's role in it, counted from 1."""

ROWS_OF_UNIT = "rows"
"""The number of events of a unit, where rows are events."""


class TestMetric(Recipe):
    """A metric of a test; a word alone is its role.

    Attributes:
        role: The part that the metric has in the verdict. `primary` ones decide, `secondary` ones are corrected among
            themselves and decide nothing, a `guardrail` must be no worse than its margin allows.
        outcome: The outcome that the metric is made of, `revenue` and `margin` among them; null takes the metric's own name.
        per: The column under the outcome, which makes the metric a ratio of sums such as revenue per session; `rows` is the
            number of a unit's events.
        quantile: The share of units below the value that is compared; null compares means.
        of_nonzero: Whether a quantile is that of the outcomes that are not zero: of baskets rather than of visitors.
        good: The side that is better.
        margin: The most that a guardrail may be worse, as a share of the control's.

    Example:
        protocol.metrics={revenue: primary, refunds: {role: guardrail, good: low, margin: .02}}
    """

    __test__ = False

    role: Role = "secondary"
    outcome: str | None = None
    per: str | None = None
    quantile: Level | None = None
    of_nonzero: bool = False
    good: Literal["high", "low"] = "high"
    margin: Positive | None = None

    @model_validator(mode="after")
    def fits(self) -> TestMetric:
        """Refuse a margin without its guardrail, and a guardrail without its margin; and a quantile of a ratio."""
        if (self.role == "guardrail") != (self.margin is not None):
            raise ValueError("must have a margin where its role is guardrail, and there alone")
        if self.per is not None and self.quantile is not None:
            raise ValueError("must have one of per and quantile")
        if self.of_nonzero and self.quantile is None:
            raise ValueError("must have a quantile where of_nonzero is true")
        return self

    @property
    def derived(self) -> bool:
        """True where it is no plain mean of an outcome."""
        return self.per is not None or self.quantile is not None

    def values(self, outcome: np.ndarray, below: np.ndarray | None) -> np.ndarray:
        """Return the value of each unit of one arm, shape (n,): their mean is what is compared.

        Args:
            outcome: Of each unit.
            below: What a ratio has under it; None for others.
        """
        if below is not None:
            return ratio_values(outcome, below)
        return outcome if self.quantile is None else quantile_values(outcome, self.quantile, of_nonzero=self.of_nonzero)


def _by_role(value: Any) -> Any:
    """Return the mapping of a metric that is written as its role alone."""
    if not isinstance(value, Mapping):
        return value
    return {name: {"role": metric} if isinstance(metric, str) else metric for name, metric in value.items()}


Metrics = Annotated[dict[str, TestMetric], BeforeValidator(_by_role)]
"""Metrics by name."""


def ratio_values(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Return values whose mean is a ratio of sums and whose variance over n is that of the ratio by the delta method.

    A unit's value is r + (y - r x) / mean(x): Deng, Knoblich and Lu, Applying the delta method in metric analytics (KDD 2018).

    Args:
        above: What is summed above, shape (n,).
        below: What is summed below, shape (n,); NaN is returned where it sums to 0.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = above.sum() / below.sum()
        return np.asarray(ratio + (above - ratio * below) / below.mean())


def quantile_values(values: np.ndarray, share: float, *, of_nonzero: bool = False) -> np.ndarray:
    """Return values whose mean is a quantile and whose variance over n is that of the quantile.

    A unit's value is the quantile plus its influence on it, whose scale is that of the order statistics which bracket the
    quantile with 95 % (Deng, Knoblich and Lu 2018, section 4; Woodruff 1952), so that no density is estimated; of positive ones
    in logs, for amounts have long tails. Constant where these are equal, as in a crowd of zeros: then nothing is known of the
    error.

    Args:
        values: Of the units, shape (n,).
        share: Of the units below the quantile.
        of_nonzero: Whether the units are those whose value is not zero; the others have no influence.
    """
    counted = values != 0 if of_nonzero else np.ones(len(values), bool)
    ranked = np.sort(values[counted])
    n = len(ranked)
    if n < 2:
        return np.full(len(values), ranked[0] if n else np.nan)
    quantile = _ranked_at(ranked, share)
    half = 1.959964 * np.sqrt(share * (1 - share) / n)
    low, high = (_ranked_at(ranked, min(max(end, 0.0), 1.0)) for end in (share - half, share + half))
    stderr = (quantile * np.log(high / low) if low > 0 else high - low) / (2 * 1.959964)
    influence = np.where(counted, share - (values <= quantile), 0.0)
    influence -= influence.mean()
    spread = np.sqrt(np.sum(influence**2) / (len(values) - 1) / len(values))
    return np.asarray(quantile + influence * (stderr / spread if spread > 0 else 0.0))


def _ranked_at(ranked: np.ndarray, share: float) -> float:
    """Return the quantile of sorted values, linear between them."""
    return float(np.interp(share * (len(ranked) - 1), np.arange(len(ranked)), ranked))
