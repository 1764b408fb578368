"""Law: how an estimate over its standard error is spread where there is no effect, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isinf


@dataclass(frozen=True, slots=True)
class Law:
    """Student's t, stretched.

    Attributes:
        df: Degrees of freedom; infinite is the normal.
        stretch: How much wider it is: a bootstrap's 95 % point of |t| over that of Student's t, so that the interval is the
            bootstrap's own and small p-values, which no number of resamples could tell, go on as Student's tail does.
    """

    df: float = inf
    stretch: float = 1.0

    def critical(self, level: float) -> float:
        """The two-sided critical value at a level of confidence: 1.96 for .95 of the normal."""
        return self.stretch * student_critical(self.df, level)

    def above(self, t: float) -> float:
        """The chance of a value above t."""
        from scipy.special import ndtr, stdtr

        held = -t / self.stretch
        return float(ndtr(held)) if isinf(self.df) else float(stdtr(self.df, held))

    def two_sided(self, t: float) -> float:
        """The chance of a value as far from 0 as t."""
        return 2 * self.above(abs(t))


def student_critical(df: float, level: float) -> float:
    """The two-sided critical value of Student's t."""
    from scipy.special import ndtri, stdtrit

    upper = 0.5 + level / 2
    return float(ndtri(upper)) if isinf(df) else float(stdtrit(df, upper))


@dataclass(frozen=True, slots=True)
class Effect:
    """An estimate that is 0 where two models are alike, above 0 where the first is better.

    Attributes:
        value, stderr: The estimate; without a standard error nothing can be said of how sure it is.
        law: Of value over standard error.
        method: How the standard error was made, in words.
        clusters: What was resampled or averaged: how many there are.
    """

    value: float
    stderr: float | None
    law: Law
    method: str
    clusters: int

    def interval(self, level: float) -> tuple[float, float] | None:
        """The interval at a level of confidence; None without a standard error."""
        if self.stderr is None:
            return None
        reach = self.law.critical(level) * self.stderr
        return self.value - reach, self.value + reach

    @property
    def p_value(self) -> float | None:
        """Of no effect, two-sided; 1 where nothing differs at all; None without a standard error."""
        if self.stderr is None:
            return None
        if self.stderr == 0:
            return 1.0 if self.value == 0 else 0.0
        return self.law.two_sided(self.value / self.stderr)

    def equivalence_p(self, low: float, high: float) -> float | None:
        """Of an effect outside of `low` to `high`: the larger of two one-sided tests.

        Schuirmann (1987), "A comparison of the two one-sided tests procedure and the power approach for assessing the
        equivalence of average bioavailability".

        Args:
            low: Below 0.
            high: Above 0.
        """
        if self.stderr is None:
            return None
        if self.stderr == 0:
            return 0.0 if low < self.value < high else 1.0
        above, below = (self.value - low) / self.stderr, (high - self.value) / self.stderr
        return max(self.law.above(above), self.law.above(below))
