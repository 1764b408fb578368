"""Policy: the recipe of a bandit; what it may know of the arms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwds.models.bandit.kernel import BatchKernel, Kernel
from hwds.recipe import Recipe


@dataclass(frozen=True, slots=True, eq=False)
class Arms:
    """What a policy knows before the first customer.

    Attributes:
        names: The arms, K of them.
        values: What one conversion earns, in currency (price, or margin), shape (K,); ones where there are no prices.
        contexts: What is seen of a customer of each segment, shape (S, D).
        horizon: The steps that will be played; 0 where nobody knows.
        range: The least and the most that one step can earn; None where it was not declared.
    """

    names: tuple[str, ...]
    values: np.ndarray
    contexts: np.ndarray
    horizon: int = 0
    range: tuple[float, float] | None = None

    @property
    def count(self) -> int:
        """K."""
        return len(self.names)


class Policy(Recipe):
    """A rule that chooses an arm for each customer and learns from what comes of it; `local`, as replications are apart."""

    local: ClassVar[bool] = True

    def kernel(self, arms: Arms) -> Kernel | BatchKernel:
        """The law of the policy for these arms.

        Raises:
            ConfigError: The policy needs what is not known of the arms (a declared range, a horizon).
        """
        raise NotImplementedError(f"{type(self).__name__}.kernel")

    def needs_range(self, arms: Arms) -> tuple[float, float]:
        """The declared range of a step's reward.

        Raises:
            ConfigError: None was declared.
        """
        from hwds.errors import ConfigError

        if arms.range is None or arms.range[1] <= arms.range[0]:
            raise ConfigError(f"model: '{self.name}' needs the range of the reward, and none is declared.")
        return arms.range
