"""The difference of earnings between arms by the law of the test that compared them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Contrast:
    """The difference of earnings between two arms, per unit, as a test estimates it.

    Attributes:
        gain: The estimate, in the money of the decision.
        low, high: The interval of the test's own rule; None where it has none yet.
        risk: The p-value of no difference, corrected for all comparisons that the test makes; 1 where nothing is shown.
        rule: How the interval was made, in words: `always-valid`.
        confidence: The level of the interval.
    """

    gain: float
    low: float | None
    high: float | None
    risk: float
    rule: str
    confidence: float

    def reversed(self) -> Contrast:
        """Return what the other arm earns more than this one."""
        low, high = (None if end is None else -end for end in (self.high, self.low))
        return Contrast(-self.gain, low, high, self.risk, self.rule, self.confidence)

    @property
    def interval(self) -> tuple[float, float, float] | None:
        """The gain with its interval; None where there is none yet."""
        return None if self.low is None or self.high is None else (self.gain, self.low, self.high)

    @property
    def risk_of_loss(self) -> float:
        """The risk of a change to the arm: 1 where it does not seem to earn more."""
        return self.risk if self.gain > 0 else 1.0


Contrasts = Mapping[tuple[str, str], Contrast]
"""By arm and the arm that it is compared with; a pair may be there in one order alone."""


def contrast_of(contrasts: Contrasts, arm: str, other: str) -> Contrast | None:
    """Return the contrast of two arms in the given order; None where the test does not compare them."""
    if (arm, other) in contrasts:
        return contrasts[arm, other]
    return contrasts[other, arm].reversed() if (other, arm) in contrasts else None
