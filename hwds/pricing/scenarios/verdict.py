"""The verdict on changes of prices, as plain values and a table of impacts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import polars as pl

from hwds.pricing.scenarios.impact import Scope
from hwds.results.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class RevenueImpactVerdict(Verdict):
    """The impacts of changes of prices, and the change of all prices together that brings most margin.

    Attributes:
        action: `RAISE` or `CUT` where a change of all prices within the observed ones raises margin surely enough, else `HOLD`.
        change: That change; None on hold.
        unit, period: Of money, and what is a period.
        scope: Whose prices change together.
        cells, known: How many there are, and how many have an estimate.
        level: Of the intervals.
        confidence: The least probability that margin rises.
        impacts: See `hwds.pricing.scenarios.impact.IMPACT`.
    """

    action: Literal["RAISE", "CUT", "HOLD"]
    change: float | None
    unit: str
    period: str
    scope: Scope
    cells: int
    known: int
    level: float
    confidence: float
    impacts: pl.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; the impacts are a table beside them."""
        return {name: value for name, value in asdict(self).items() if name != "impacts"}

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the impacts."""
        return {"revenue_impact": self.impacts}
