"""The content of a bundle of a live bandit policy: arms, customers, settings, and decisions for a
fresh process to repeat.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hwds.bandit.live.policy import LivePolicy
from hwds.bandit.live.service import (
    AMOUNT,
    AT,
    CONVERTED,
    FIELDS,
    MARKET,
    OF,
    SEGMENT,
    LiveSettings,
    PolicyMarket,
    PolicyService,
)
from hwds.bandit.live.settings import LiveDecision
from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import BatchKernel
from hwds.bandit.protocols.bandit_simulation import BanditSimulation, learns_amounts, world_arms
from hwds.core.errors import ConfigError
from hwds.core.files import Readable
from hwds.core.questions import ID
from hwds.core.seeds import stream
from hwds.evaluation.serving import NATIVE, SINGLE, Case, Content, Parity, Policies
from hwds.frames.world import World
from hwds.pricing.arm_evidence import CONVERSIONS

KIND = "policy"

ANSWERED = 0.8
"""The share of the replayed decisions whose outcome comes."""

BEHIND = 3
"""Decisions that an outcome of the replay comes behind its own."""

LEARNINGS = 4
"""Batches of the replay at least: a policy that learns after a thousand decisions would else be
asked what it knew at first.
"""


@dataclass(frozen=True, eq=False)
class PolicyContent(Content):
    """The parts of a policy's bundle.

    Attributes:
        policy: The recipe.
        protocol: The run's.
        world: The market that it has played.
        seed: The run's.
        market: What of it the policy may know, with the settings of production.
        n_cases: The number of decisions that a fresh process must repeat.
    """

    policy: Policy
    protocol: BanditSimulation
    world: World
    seed: int
    market: PolicyMarket
    n_cases: int

    @classmethod
    def of(
        cls,
        policy: Policy,
        protocol: BanditSimulation,
        world: World,
        seed: int,
        settings: LiveSettings,
        n_cases: int,
    ) -> PolicyContent:
        """Return the parts for a run's policy.

        Raises:
            ConfigError: A setting is missing, or does not fit the run.
        """
        if world.delay and settings.window is None:
            raise ConfigError(
                "live.window: must be given (--live): in the run outcomes come late, and an offer "
                "without one counts as"
                f" refused after {world.window:,} steps; in production after a time."
            )
        taken = sorted({ID, *FIELDS} & set(world.context_names))
        if taken:
            raise ConfigError(
                f"bundle: the context has a column '{taken[0]}', which is a field of every "
                f"question."
            )
        game = protocol.game(world)
        arms = world_arms(world, game)
        chosen = seed if settings.seed is None else settings.seed
        own = replace(settings, seed=chosen, batch=settings.batch or game.batch)
        prices = None if world.unit == CONVERSIONS else tuple(world.prices.tolist())
        contexts = tuple(tuple(row) for row in arms.contexts.tolist())
        market = PolicyMarket(
            names=arms.names,
            values=tuple(arms.values.tolist()),
            prices=prices,
            segments=world.segments,
            context_names=world.context_names,
            contexts=contexts,
            horizon=arms.horizon,
            range=world.range,
            settings=own,
        )
        return cls(policy, protocol, world, seed, market, n_cases)

    @property
    def kind(self) -> str:
        """`policy`."""
        return KIND

    def write(self, state: Path, parity: Path) -> Parity:
        """See `Content`.

        The replay has a market of its own, whose batches are small enough that it learns meanwhile,
        and whose times, which are made up, have no bound.
        """
        small = self.market.with_batch(max(1, self.n_cases // LEARNINGS))
        replayed = replace(small, settings=replace(small.settings, ahead=None))
        self.market.write(state)
        replayed.write(parity)
        kernel = self.policy.kernel(world_arms(self.world, self.protocol.game(self.world)))
        with (
            tempfile.TemporaryDirectory() as scratch,
            replayed.begin(self.policy, Path(scratch)) as live,
        ):
            cases = list(self._cases(live, amounts=learns_amounts(kernel)))
        tolerance = SINGLE if isinstance(kernel, BatchKernel) else NATIVE
        return Parity(
            cases, tolerance, {"why": "a policy learns from each outcome, which no graph does"}
        )

    def reference(self) -> dict[str, Any]:
        """Return no statistics: what a policy answers changes with what it learns."""
        return {"rows": 0, "columns": {}, "predictions": {}, "windows": []}

    def _cases(self, live: LivePolicy, *, amounts: bool) -> Iterator[Case]:
        """Yield customers of the run's market with the library's own decisions, and what most of
        them did, a little later.

        The times are steps of the window, so that some outcomes come after it and count as refused.
        """
        world, rng = self.world, stream(self.seed, "bundle", "customers")
        step = (self.market.settings.window or self.n_cases) / (4 * BEHIND)
        waiting: list[Case] = []
        for number in range(self.n_cases):
            segment = int(rng.choice(len(world.segments), p=world.shares))
            asked: dict[str, Any] = {ID: f"customer {number}", AT: number * step}
            if len(world.segments) > 1:
                asked[SEGMENT] = world.segments[segment]
            made = live.decide(segment=segment, at=asked[AT], id=asked[ID])
            yield Case(
                asked,
                {
                    ID: asked[ID],
                    "decision": made.id,
                    "arm": made.arm,
                    "propensity": made.propensity,
                },
            )
            waiting.append(self._outcome(made, segment, rng, amounts=amounts))
            if len(waiting) > BEHIND and rng.random() < ANSWERED:
                reported = waiting.pop(int(rng.integers(len(waiting))))
                status = live.outcome(
                    reported.question[OF],
                    reported.question[CONVERTED],
                    amount=reported.question.get(AMOUNT),
                )
                yield Case(reported.question, {OF: reported.question[OF], "status": status})

    def _outcome(
        self, made: LiveDecision, segment: int, rng: np.random.Generator, *, amounts: bool
    ) -> Case:
        """Return what a customer does, as the market says, which nobody has reported yet."""
        world, arm = self.world, self.world.arms.index(made.arm)
        converted = bool(rng.random() < world.conversions[0, segment, arm])
        brought = (
            {AMOUNT: made.value * float(rng.choice(world.amounts))}
            if amounts and converted and len(world.amounts)
            else {}
        )
        return Case({OF: made.id, CONVERTED: converted, **brought}, {})


class LivePolicies(Policies):
    """Live policies of simulated runs; see `Policies`."""

    settings = LiveSettings

    @staticmethod
    def content(
        policy: Policy, protocol: Any, world: Any, seed: int, settings: LiveSettings, n_cases: int
    ) -> Content:
        """See `Policies`."""
        return PolicyContent.of(policy, protocol, world, seed, settings, n_cases)

    @staticmethod
    def service(policy: Policy, folders: Sequence[Readable], store: Path) -> PolicyService:
        """See `Policies`."""
        folder = next(folder for folder in folders if (folder / MARKET).is_file())
        market = PolicyMarket.read(folder)
        market.warm_up(policy)
        return PolicyService(market.begin(policy, store), market)
