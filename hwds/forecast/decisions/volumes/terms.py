"""The settings of a decision on volumes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.forecast.decisions.volumes.verdict import BANDS


@dataclass(frozen=True, slots=True)
class VolumeTerms:
    """The rule.

    Attributes:
        committed, base, upside: Levels of the bands.
        over: The cost of a unit committed and not demanded.
        under: The cost of a unit demanded and not committed.
        floor: What a month's demand is never below; None where it may be anything.
        draws: Of a sum.
        least_vectors: Past error vectors that a deal needs.
        least_deals: Back-tested deals that a commitment needs.
    """

    committed: float
    base: float
    upside: float
    over: float
    under: float
    floor: float | None
    draws: int
    least_vectors: int
    least_deals: int

    @property
    def optimal(self) -> float:
        """The level whose quantile costs least on average: under / (under + over).

        One more unit is wasted with probability F(q) and saves a shortage with 1 - F(q): over F(q) = under (1 - F(q)) (Arrow,
        Harris and Marschak 1951, "Optimal inventory policy"; the newsvendor).
        """
        return self.under / (self.under + self.over)

    @property
    def levels(self) -> dict[str, float]:
        """By band."""
        return dict(zip(BANDS, (self.committed, self.base, self.upside, self.optimal), strict=True))

    def cost(self, committed: np.ndarray, demanded: np.ndarray) -> np.ndarray:
        """Return the cost of commitments, given demand."""
        return self.over * np.maximum(committed - demanded, 0) + self.under * np.maximum(demanded - committed, 0)

    def bounded(self, demand: np.ndarray) -> np.ndarray:
        """Return draws of a month's demand, not below the floor."""
        return demand if self.floor is None else np.maximum(demand, self.floor)
