"""Policy: the recipe of a bandit; what it may know of the arms."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from annotated_types import Ge

from hwds.models.bandit.kernel import BatchKernel, Kernel
from hwds.recipe import Recipe

if TYPE_CHECKING:
    from hwds.models.bandit.live import LivePolicy

Exploration = Annotated[float, Ge(0)]
"""How much an index adds to what theory needs at least."""


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

    def live(
        self,
        arms: Arms,
        folder: Path | str | None = None,
        *,
        seed: int,
        window: float | None = None,
        batch: int = 1,
        propensities: bool = False,
        snapshot: int = 10_000,
    ) -> LivePolicy:
        """The same law for production: one decision at a time, going on from what the folder holds.

        Args:
            arms: What is known of the arms; the same after a restart.
            folder: Where the state lives; None keeps it in memory.
            seed: Names the random numbers of the decisions.
            window: Time after which an exposure without a conversion counts as refused; None where `expire` says it.
            batch: Decisions between two updates; 1 learns each outcome at once.
            propensities: Whether each decision tells and keeps the chance of its arm; then the folder keeps all events, and
                `LivePolicy.log` gives them for estimates and off-policy evaluation.
            snapshot: Events between two snapshots; those since the last are read again after a restart.

        Raises:
            ConfigError: The policy needs what is not known of the arms, or a number is out of range.
            ResumeError: The folder is damaged, in use, or holds another policy.
        """
        from hwds.models.bandit.beginning import live_policy
        from hwds.models.bandit.terms import Terms

        terms = Terms(seed, window, batch, propensities, snapshot=snapshot)
        return live_policy(self, arms, None if folder is None else Path(folder), terms)

    def needs_range(self, arms: Arms) -> tuple[float, float]:
        """The declared range of a step's reward.

        Raises:
            ConfigError: None was declared.
        """
        from hwds.errors import ConfigError

        if arms.range is None or arms.range[1] <= arms.range[0]:
            raise ConfigError(f"model: '{self.name}' needs the range of the reward, and none is declared.")
        return arms.range
