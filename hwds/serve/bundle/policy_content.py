"""The content of a bundle of a live bandit policy: arms, customers, settings, and decisions for a
fresh process to repeat.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from hwds.bandit.live.policy import LivePolicy
from hwds.bandit.live.settings import LiveDecision
from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import BatchKernel
from hwds.bandit.protocols.bandit_simulation import BanditSimulation, learns_amounts, world_arms
from hwds.bandit.simulation.play import Game
from hwds.core.errors import ConfigError
from hwds.core.recipe import construct
from hwds.core.seeds import stream
from hwds.experiment.spec import Experiment
from hwds.frames.world import World
from hwds.pricing.arm_evidence import CONVERSIONS
from hwds.serve.bundle.card import read_named_yaml
from hwds.serve.bundle.manifest import PARITY, STATE
from hwds.serve.bundle.reference import NATIVE, SINGLE, Case, write_cases
from hwds.serve.questions import ID
from hwds.serve.services.policy import (
    AMOUNT,
    AT,
    CONVERTED,
    FIELDS,
    OF,
    SEGMENT,
    LiveSettings,
    PolicyMarket,
)

KIND = "policy"

ANSWERED = 0.8
"""The share of the replayed decisions whose outcome comes."""

BEHIND = 3
"""Decisions that an outcome of the replay comes behind its own."""

LEARNINGS = 4
"""Batches of the replay at least: a policy that learns after a thousand decisions would else be
asked what it knew at first.
"""


def read_settings(path: Path) -> LiveSettings:
    """Return the settings of a policy in production from a YAML.

    Raises:
        ConfigError: It cannot be read, or a field is wrong.
    """
    return construct(
        LiveSettings,
        "live",
        read_named_yaml(path, "--live", [each.name for each in fields(LiveSettings)]),
    )


@dataclass(frozen=True, eq=False)
class PolicyContent:
    """The parts of a policy's bundle.

    Attributes:
        experiment: The run's.
        world: The market that it has played.
        market: What of it the policy may know, with the settings of production.
        asked: The number of decisions that a fresh process must repeat.
    """

    experiment: Experiment
    world: World
    market: PolicyMarket
    asked: int

    @classmethod
    def of(
        cls, experiment: Experiment, world: World, settings: LiveSettings, asked: int
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
        assert isinstance(experiment.protocol, BanditSimulation)
        game = experiment.protocol.game(world)
        arms = world_arms(world, game)
        seed = experiment.seed if settings.seed is None else settings.seed
        own = replace(settings, seed=seed, batch=settings.batch or game.batch)
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
        return cls(experiment, world, market, asked)

    @property
    def kind(self) -> str:
        """`policy`."""
        return KIND

    def write(self, folder: Path) -> dict[str, Any]:
        """Write state and parity; return what the manifest says of the graph: why there is none.

        The replay has a market of its own, whose batches are small enough that it learns meanwhile,
        and whose times, which are made up, have no bound.
        """
        small = self.market.with_batch(max(1, self.asked // LEARNINGS))
        replayed = replace(small, settings=replace(small.settings, ahead=None))
        for part, market in ((STATE, self.market), (PARITY, replayed)):
            (folder / part).mkdir(parents=True)
            market.write(folder / part)
        policy = self.experiment.model
        assert isinstance(policy, Policy)
        kernel = policy.kernel(world_arms(self.world, self._game))
        with tempfile.TemporaryDirectory() as beside, replayed.begin(policy, Path(beside)) as live:
            cases = list(self._cases(live, amounts=learns_amounts(kernel)))
        write_cases(folder / PARITY, cases, SINGLE if isinstance(kernel, BatchKernel) else NATIVE)
        return {"why": "a policy learns from each outcome, which no graph does"}

    def reference(self) -> dict[str, Any]:
        """Return no statistics: what a policy answers changes with what it learns."""
        return {"rows": 0, "columns": {}, "predictions": {}, "windows": []}

    @property
    def _game(self) -> Game:
        assert isinstance(self.experiment.protocol, BanditSimulation)
        return self.experiment.protocol.game(self.world)

    def _cases(self, live: LivePolicy, *, amounts: bool) -> Iterator[Case]:
        """Yield customers of the run's market with the library's own decisions, and what most of
        them did, a little later.

        The times are steps of the window, so that some outcomes come after it and count as refused.
        """
        world, rng = self.world, stream(self.experiment.seed, "bundle", "customers")
        step = (self.market.settings.window or self.asked) / (4 * BEHIND)
        waiting: list[Case] = []
        for number in range(self.asked):
            segment = int(rng.choice(len(world.segments), p=world.shares))
            asked: dict[str, Any] = {ID: f"customer {number}", AT: number * step}
            asked |= {SEGMENT: world.segments[segment]} if len(world.segments) > 1 else {}
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
