"""Arms: the facts that a policy may know of its arms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Arms:
    """The facts that a policy knows before the first customer.

    Attributes:
        names: The arms, K of them.
        values: What one conversion earns, in currency (price, or margin), shape (K,); ones where there are no prices.
        contexts: What is seen of a customer of each segment, shape (S, D).
        horizon: The steps that will be played; 0 where nobody knows.
        range: The least and the most that one step can earn; None where it was not declared.
        delay: The mean time from an offer to its conversion; 0 where all is seen at once, or nobody knows.
        window: The time after which an offer without a conversion counts as refused; 0 where nobody knows.
    """

    names: tuple[str, ...]
    values: np.ndarray
    contexts: np.ndarray
    horizon: int = 0
    range: tuple[float, float] | None = None
    delay: float = 0.0
    window: float = 0.0

    @property
    def count(self) -> int:
        """K."""
        return len(self.names)

    @cached_property
    def all_active(self) -> np.ndarray:
        """A flag for each arm that it may be offered, shape (K,); read-only, for all customers share it."""
        flags = np.ones(self.count, bool)
        flags.flags.writeable = False
        return flags
