"""The verdict on where reselling pays, as plain values and a table of pairs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import polars as pl

from hwds.results.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """Lines that were reviewed at random, or all that have a label where no chance of a review is known.

    Attributes:
        lines: How many.
        share: The share of gray ones, each line for as many as it stands for; None without a line.
    """

    lines: int
    share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArbitrageVerdict(Verdict):
    """The thresholds of all pairs, and whether lines above them are gray more often.

    Attributes:
        action: `WATCH` where a pair pays, or `NONE`.
        until, days: The day of the last line, and how many days of prices count.
        pairs, paying: SKUs in pairs of channels that have a price in both, and those in which reselling pays.
        offers, leaking: SKUs in channels, and those from which it pays to resell anywhere.
        above, below: Lines that were bought where the street paid more than all costs, and all others.
        freight, duty, risk: What reselling costs.
        unit: Of money; empty where the data names none.
        thresholds: A row for each pair; see `hwds.detection.metrics.arbitrage.thresholds`.
    """

    action: Literal["WATCH", "NONE"]
    until: str
    days: int
    pairs: int
    paying: int
    offers: int
    leaking: int
    above: Reviewed
    below: Reviewed
    freight: float
    duty: float
    risk: float
    unit: str
    thresholds: pl.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """Plain values; the pairs are a table beside them."""
        return {name: value for name, value in asdict(self).items() if name != "thresholds"}

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the pairs."""
        return {"arbitrage_thresholds": self.thresholds}
