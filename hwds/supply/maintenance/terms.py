"""The costs and the capacity of maintenance."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceTerms:
    """The cost of replacements, and how many there can be.

    Attributes:
        planned: The cost of a replacement before a failure, downtime included.
        failure: The cost of a failure, downtime included.
        planned_downtime, failure_downtime: How long a machine stands still, in the unit of ages.
        downtime: The cost of a unit of time that a machine stands still.
        crew: Replacements in a slot at most; None for any number.
        parts: On hand at first; None for any number.
        parts_rate: That arrive in each slot.
        least_failures: Machines that failed below which nothing is shown.
        resamples: Of the bootstrap over machines.
    """

    planned: float
    failure: float
    planned_downtime: float
    failure_downtime: float
    downtime: float
    crew: int | None
    parts: int | None
    parts_rate: float
    least_failures: int
    resamples: int

    @property
    def limited(self) -> bool:
        """True where crew or parts are limited."""
        return self.crew is not None or self.parts is not None

    def crew_of(self, machines: int) -> int:
        """Return how many replacements there can be in a slot, of so many machines."""
        return machines if self.crew is None else min(self.crew, machines)
