"""The metrics of inspection, and what each of them means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hwds.results.measure import Measure

BINS = 15
"""The bins of the expected calibration error, each of the same number of images."""

CERTAIN = 0.9
"""The share of images, the most certain, whose errors are counted beside the reject curve."""


@dataclass(frozen=True)
class InspectionTerms:
    """The settings of the scores.

    Attributes:
        good: The kind of an image without a defect.
        budget: The share of good images that may be flagged.
        missed: The cost of a defect that is passed.
        false_alarm: The cost of a good image that is flagged.
        resamples: Of the bootstrap over boards.
    """

    good: str
    budget: float
    missed: float
    false_alarm: float
    resamples: int

    @property
    def at(self) -> str:
        """The definition of what is measured at the budget."""
        return f"[far={self.budget:g}]"


def recall_of(kind: str, terms: InspectionTerms) -> str:
    """Return the name of the recall of one kind of defects."""
    return f"recall_of_{kind}{terms.at}"


def inspection_measures(terms: InspectionTerms, kinds: Sequence[str] = ()) -> tuple[Measure, ...]:
    """Return the metrics of judged images.

    Args:
        terms: The settings.
        kinds: Of defects.
    """

    def measure(
        name: str,
        meaning: str,
        better: Literal["low", "high", "none"] = "high",
        beside: Literal["no", "page", "always"] = "page",
        units: str = "images",
    ) -> Measure:
        return Measure(name, meaning=meaning, better=better, units=units, beside=beside)

    share = f"{100 * terms.budget:g} %"
    flagged = f"at the threshold at which {share} of the tested good images are flagged"
    held = f"at the threshold that flags {share} of the good images of the boards that calibrate"
    certain = f"{100 * CERTAIN:.0f} %"
    return (
        measure(f"recall{terms.at}", f"share of defects that are flagged {flagged}", "high", "always", "defects"),
        measure("average_precision", "mean precision of flagging over all recalls of defects", "high", "always"),
        measure("accuracy", "share of images whose kind is the likeliest", "high", "always"),
        measure(
            f"ece[{BINS}]",
            "expected calibration error: how far the probability of the likeliest kind is from how often it is right, in"
            f" {BINS} bins of the same number of images",
            "low",
            "always",
        ),
        measure(
            "cost",
            f"cost a board: {terms.missed:g} for a defect that passes, {terms.false_alarm:g} for a good image rejected, and"
            f" rejected is what costs less so by its probability; of a model without probabilities {held}",
            "low",
            "always",
            "boards",
        ),
        measure(f"recall_held{terms.at}", f"share of defects that are flagged {held}", "high", "page", "defects"),
        measure(f"false_alarms_held{terms.at}", f"share of good images that are flagged {held}", "none", "page", "good images"),
        measure("cost_passing_all", "cost a board where no image is rejected", "none", "no", "boards"),
        measure("cost_rejecting_all", "cost a board where every image is rejected", "none", "no", "boards"),
        measure("log_loss", "minus the logarithm of the probability of what an image shows, in nats", "low"),
        measure(f"ece_defect[{BINS}]", "expected calibration error of the probability of a defect of any kind", "low"),
        measure(
            f"error_at_coverage[{CERTAIN:g}]",
            f"share of wrong kinds among the {certain} of images that are most certain",
            "low",
        ),
        measure("aurc", "mean share of wrong kinds over all shares of images that are kept, the most certain first", "low"),
        *(measure(recall_of(kind, terms), f"the recall of '{kind}' alone", "high", "page", "defects") for kind in kinds),
    )
