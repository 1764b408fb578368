"""The budget of a search: seconds of the clock, or units of work that are the same on any machine."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

FORM = re.compile(r"\d+(\.\d+)?[smhu]")
SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}

AFTER = 0.85
"""The share of a budget in seconds that a search may use: the rest is for asking the final members, and for scoring."""

DOUBT = 0.5
"""The share by which the speed of a model that was timed once moves the price of others."""

FIRST = 2.0
"""Units at the usual speed that a timing is drawn to: the first one imports and compiles, too."""

KEPT = 0.05
"""The share of its price below which work was in the cache, and says nothing of speed."""


def _checked(value: str) -> str:
    if FORM.fullmatch(value) is None or not 1 <= amount(value) <= 604_800:
        raise ValueError(
            "must be seconds, minutes, hours or units of work, such as 60s, 10m, 2h or 300u, from 1s to 168h or 1u to 604800u"
        )
    return value


def _as_text(value: Any) -> Any:
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else value


Budget = Annotated[str, BeforeValidator(_as_text), AfterValidator(_checked)]
"""A text such as `60s`, `10m`, `2h` or `300u`."""


def in_units(budget: str) -> bool:
    """Return whether a budget is in units of work."""
    return budget.endswith("u")


def amount(budget: str) -> float:
    """Return a budget in seconds or in units."""
    return float(budget[:-1]) * SECONDS.get(budget[-1], 1.0)


@dataclass
class Allowance:
    """A budget, and the part of it that is spent.

    Attributes:
        limit: In seconds of the clock, or units of work.
        units: Whether the limit is in units.
        began: The clock when it began.
        spent: Units that were spent.
        speeds: Seconds for a unit, by model, of what was timed.
        usual: Seconds for a unit of a model that was not timed yet.
    """

    limit: float
    units: bool
    began: float = field(default_factory=time.perf_counter)
    spent: float = 0.0
    speeds: dict[str, float] = field(default_factory=dict)
    usual: float = 1.0

    @classmethod
    def of(cls, budget: str) -> Allowance:
        """Return a whole budget, of which the clock begins now."""
        if in_units(budget):
            return cls(amount(budget), True)
        from hwds.evaluation.speed import seconds_per_unit

        return cls(AFTER * amount(budget), False, usual=seconds_per_unit(idle=False))

    @property
    def used(self) -> float:
        """The part that is spent so far."""
        return self.spent if self.units else time.perf_counter() - self.began

    @property
    def left(self) -> float:
        """The part that is left."""
        return self.limit - self.used

    def price(self, name: str, work: float) -> float:
        """Return the part of the budget that so many units of a model's work will take."""
        return work if self.units else work * self.speeds.get(name, self.usual)

    def charge(self, name: str, work: float, seconds: float) -> None:
        """Take off the work of a model.

        Args:
            name: The model.
            work: Its units by the law.
            seconds: Its seconds by the clock.
        """
        self.spent += work
        if self.units or work < 0.01 or seconds < KEPT * work * self.usual:
            return
        own = (FIRST * self.usual + seconds) / (FIRST + work)
        self.speeds[name] = own
        if work > 0.2:
            self.usual += DOUBT * (own - self.usual)
