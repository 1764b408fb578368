"""The metrics of remaining lives, and what each of them means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hwds.results.measure import Measure

ALPHA = 0.2
"""The part of the remaining life that a point may be off, for alpha-lambda."""

HALF = (0.4, 0.6)
"""The part of a life that is its half, for scores at half life."""

TEST = "test_"
"""The prefix of scores of the official test."""


@dataclass(frozen=True)
class LifeTerms:
    """The settings of the scores.

    Attributes:
        cap: Of points and of the lives that they are held against.
        resamples: Of the bootstrap over machines.
        unit: What lives are counted in.
    """

    cap: float
    resamples: int
    unit: str = "cycles"


def life_measures(terms: LifeTerms, *, test: bool = False) -> tuple[Measure, ...]:
    """Return the metrics of predicted lives.

    Args:
        terms: The cap and the unit.
        test: Whether those of the official test stand beside; they order no model.
    """
    cap, unit = f"[cap={terms.cap:g}]", terms.unit

    def measure(
        name: str,
        meaning: str,
        better: Literal["low", "high", "none"] = "low",
        beside: Literal["no", "page", "always"] = "page",
        measured_in: str = "",
    ) -> Measure:
        return Measure(name, meaning=meaning, better=better, units="predictions", beside=beside, measured_in=measured_in)

    error = "root mean squared error of the point against the remaining life"
    own = [
        measure(f"rmse_capped{cap}", f"{error} up to {terms.cap:g}", "low", "always", unit),
        measure("rmse_uncapped", f"{error}, however long it is", "low", "always", unit),
        measure(
            f"nasa_score{cap}",
            "exp(d/13) - 1 where the point is d too early, exp(d/10) - 1 where it is d too late, on the average of predictions",
            "low",
            "always",
        ),
        measure(
            f"bias_capped{cap}", f"the point less the remaining life up to {terms.cap:g}, on average", "none", "page", unit
        ),
        measure(
            "crps[19]", "continuous ranked probability score by 19 quantiles, of the life however long", "low", "always", unit
        ),
        measure("crps_half_life[19]", "the same at two to three fifths of a life", "low", "page", unit),
        measure("coverage[0.9]", "share of lives within the 90 % interval", "none", "always"),
        measure("width[0.9]", "width of the 90 % interval", "none", "always", unit),
        measure(
            f"alpha_lambda[{ALPHA:g}]",
            f"share of points within {100 * ALPHA:.0f} % of the remaining life, in the second half of lives",
            "high",
        ),
        measure("concordance", "share of pairs of machines of which the one that fails first has the lower point", "high"),
        measure(
            f"integrated_brier{cap}",
            f"mean squared error of the chance to last, over times up to {terms.cap:g}, censored lives weighted for",
        ),
    ]
    if not test:
        return tuple(own)
    reported = {"rmse_capped", "rmse_uncapped", "nasa_score", "crps", "coverage", "width"}
    tested = [
        measure(f"{TEST}{each.name}", f"of the official test: {_summed(each)}", "none", "page", each.measured_in)
        for each in own
        if each.short in reported
    ]
    return (*own, *tested)


def _summed(each: Measure) -> str:
    return each.meaning.replace("on the average of predictions", "summed over machines")
