"""Policy: the recipe of a bandit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hwds.bandit.models.kernels.base import Arms, BatchKernel, Kernel
from hwds.core.recipe import NonNegative, Recipe

if TYPE_CHECKING:
    from hwds.bandit.live.policy import LivePolicy
    from hwds.bandit.live.settings import Guardrails

Exploration = NonNegative
"""The factor of an index's bonus beyond the least that theory needs."""


class Policy(Recipe):
    """A rule that chooses an arm for each customer and learns from what comes of it; `local`, as
    replications are apart.
    """

    local = True
    begins_in_turn = False
    """True where first choices follow the order of the arms; of other policies a test asks that the
    order changes nothing.
    """

    def kernel(self, arms: Arms) -> Kernel | BatchKernel:
        """Return the law of the policy for these arms.

        Raises:
            ConfigError: The policy needs what is not known of the arms (a declared range, a
                horizon).
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
        lose: float = 0.0,
        ahead: float | None = None,
        guardrails: Guardrails | None = None,
    ) -> LivePolicy:
        """Return the same law for production: one decision at a time, going on from what the folder
        holds.

        Args:
            arms: What is known of the arms; the same after a restart.
            folder: Where the state lives; None keeps it in memory.
            seed: Names the random numbers of the decisions.
            window: Time after which an exposure without a conversion counts as refused; None where
                `expire` says it.
            batch: Decisions between two updates; 1 learns each outcome at once.
            propensities: Whether each decision has and keeps the chance of its arm; then the folder
                keeps all events, and `LivePolicy.log` gives them for estimates and off-policy
                evaluation.
            snapshot: Events between two snapshots; those since the last are read again after a
                restart.
            lose: Milliseconds of what was acknowledged that a loss of power may take. 0 loses
                nothing: a call waits for the disk, and calls of several threads, or of one batch,
                share the wait. `kill -9` loses nothing either way.
            ahead: How far a time that a caller names may be ahead of this machine's clock, in
                seconds; None for any. That of the last decision is always allowed.
            guardrails: Limits of what is offered, whatever was learned; none unless given.

        The folder belongs to the policy's settings and arms, not to its code. After a change of the
        code, of the policy or of hwds, the state is made anew from all events where `propensities`
        keeps them. Where they are not kept, the snapshot is taken up as the other code left it: a
        policy whose state means something else now needs another folder.

        Raises:
            ConfigError: The policy needs what is not known of the arms, or a number is out of
                range.
            ResumeError: The folder is damaged, in use, or holds another policy.
        """
        from hwds.bandit.live.policy import live_policy
        from hwds.bandit.live.settings import Guardrails, LiveTerms

        terms = LiveTerms(
            seed, window, batch, propensities, snapshot=snapshot, lose=lose, ahead=ahead
        )
        limits = guardrails or Guardrails()
        return live_policy(
            self, self.kernel, arms, None if folder is None else Path(folder), terms, limits
        )

    def needs_range(self, arms: Arms) -> tuple[float, float]:
        """Return the declared range of a step's reward.

        Raises:
            ConfigError: None was declared.
        """
        from hwds.core.errors import ConfigError

        if arms.range is None or arms.range[1] <= arms.range[0]:
            raise ConfigError(
                f"model: '{self.name}' needs the range of the reward, and none is declared."
            )
        return arms.range
