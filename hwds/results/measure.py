"""Measure: the description of a metric, with all that tables, legends and charts need to know of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

Better = Literal["low", "high", "none"]
Beside = Literal["no", "page", "segments", "always"]


@dataclass(frozen=True, slots=True)
class Measure:
    """The description of a metric.

    Attributes:
        name: The column's name in the tables, definition included (`mase[m=12]`).
        meaning: The quantity that it measures, in one sentence without its stop; empty where the name says all.
        better: `low`, `high`, or `none` where neither is (bias, coverage, width).
        units: The units that its mean is taken over and that `n` counts: `series`, `replications`, `rows`.
        beside: Where it stands beside another headline: `no`, on the `page` only, there by `segments` too, or `always`, in
            the terminal too.
        reference: The label of the model that others are compared with, empty where there is none.
        called: The reference, or the policy that is evaluated, in a sentence; `the` and its name where empty.
        subject: The column of the outcome that it is computed for (`bought`), where the name does not say it.
        measured_in: The unit of its values (`USD`, `conversions`); empty for a share, a ratio, or a number without unit.
        confidence: The confidence level of its intervals.
    """

    name: str
    meaning: str = field(default="", kw_only=True)
    better: Better = field(default="low", kw_only=True)
    units: str = field(default="units", kw_only=True)
    beside: Beside = field(default="no", kw_only=True)
    reference: str = field(default="", kw_only=True)
    called: str = field(default="", kw_only=True)
    subject: str = field(default="", kw_only=True)
    measured_in: str = field(default="", kw_only=True)
    confidence: float = field(default=0.95, kw_only=True)

    @property
    def short(self) -> str:
        """The name without its definition: `mase` of `mase[m=12]`."""
        return short(self.name)

    @property
    def with_unit(self) -> str:
        """The name with subject and unit: `pseudo_regret, USD`; `minimum_effect, bought`."""
        return ", ".join(filter(None, (self.name, self.subject, self.measured_in)))

    @property
    def rival(self) -> str:
        """The reference in words: `the seasonal naive`."""
        return self.called or f"the {self.reference.rpartition('/')[2].replace('_', ' ') or 'reference'}"

    @property
    def explained(self) -> str:
        """The meaning, and whether lower or higher is better."""
        side = "" if self.better == "none" else f"; {self.better}er is better"
        return f"{self.meaning}{side}" if self.meaning else ""

    def as_skill(self) -> Measure:
        """Return the skill in this metric: 1 - the metric / that of the reference."""
        meaning = f"1 - {self.name} / that of {self.rival} on the same rows"
        return Measure(
            f"skill_{self.name}", meaning=meaning, better="high", units=self.units, reference=self.reference, called=self.called
        )


DEFINITION = r"\[.*$|@\d[\d.]*$|=\d[\d.]*$"
"""The part of a metric's name that is its definition: `[m=12]` of `mase[m=12]`, `@100` of `card_precision@100`, `=0.9` of
`recall@precision=0.9`."""


def short(name: str) -> str:
    """Return `mase` of `mase[m=12]`, `card_precision` of `card_precision@100`, `recall@precision` of `recall@precision=0.9`."""
    return re.sub(DEFINITION, "", name)
