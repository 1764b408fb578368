"""The settings of a supply plan."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTerms:
    """The cost of supply, and the levels of commitments.

    Attributes:
        holding: The cost of a unit in stock at the end of a step.
        shortage: The cost of a unit that is owed at the end of a step.
        committed, base, upside: Levels of the volumes.
        least_deals: Back-tested deals that a commitment needs.
    """

    holding: float
    shortage: float
    committed: float
    base: float
    upside: float
    least_deals: int

    @property
    def ratio(self) -> float:
        """The chance not to run short in a step that costs least: shortage / (shortage + holding)."""
        return self.shortage / (self.shortage + self.holding)

    @property
    def levels(self) -> dict[str, float]:
        """By band."""
        return {"committed": self.committed, "base": self.base, "upside": self.upside}
