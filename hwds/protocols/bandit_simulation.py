"""Bandit simulation: play policies in a world whose truth is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Le

from hwds.context import Context
from hwds.errors import ConfigError
from hwds.frames.world import World
from hwds.metrics.bandit import bandit_measures
from hwds.metrics.base import Measure
from hwds.models.bandit.base import Arms, Policy
from hwds.models.bandit.kernel import BatchKernel
from hwds.protocols.bandit_remarks import check_batch, remarks
from hwds.protocols.bandit_rows import kept_rows, rows_of, with_estimates
from hwds.protocols.bandit_scores import bandit_facts, paired, score_replications
from hwds.protocols.base import Cell, Evaluation, Fold, Score
from hwds.protocols.rehearsal import Rehearsal, other_luck
from hwds.protocols.simulating import Game, play
from hwds.protocols.simulating_batches import play_batches
from hwds.recipe import Count, Small

STEPS_IN_CELL = 10_000_000
"""Steps of one cell of a compiled policy: a second or two."""

BATCHED_STEPS_IN_CELL = 200_000
"""The same for a policy that decides by batches."""


@dataclass(frozen=True, slots=True)
class Step:
    """A moment of the game: what the canary asks at."""

    step: int

    @property
    def label(self) -> str:
        """In words."""
        return f"step {self.step}"


class BanditSimulation(Evaluation[Policy, World]):
    """Play policies against a simulated market, many times, all of them with the same customers.

    Regret is against the best arm of each moment and segment, in currency. Cells are blocks of replications; a replication
    depends on its own number alone, so asking for more computes only the new ones. At every checkpoint `propensity` is the
    share of replications that chose an arm at that very step: of any policy an unbiased estimate of the mean chance that it
    gives the arm (Thompson sampling: of its posterior probability to be the best), without a formula, which would cost more
    than the game; `best_probability` is the same of the arm that is the best for the customer then.

    Attributes:
        horizon: Steps of a replication, one customer each; null takes the world's own.
        replications: How often the game is played.
        batch: Customers between two updates of the policy; null takes the world's own.
        checkpoints: Moments a decade at which the game is written down (1, 2, 5, 10, ... for 3); the last step always is.
        estimates: Corrections of what each arm seems to earn after it was chosen for what it seemed to earn: `none`; `ipw`,
            chances are kept at every step and `arm_value[ipw]` stands beside `arm_value[raw]`; `aipw`, the augmented ones stand
            there, too. A tenth of a microsecond a step more for two Thompson arms of one value, some five to thirty an arm for
            others; a policy that leaves an arm no chance (`greedy`, `ucb1`) or has no formula for its chances has none.

    Example:
        python -m hwds dataset=price_arms protocol=bandit_simulation model=bandit/price_thompson
    """

    accepts: ClassVar[type] = Policy
    cuts: ClassVar[type] = World
    task: ClassVar[str] = "bandit"
    keys: ClassVar[tuple[str, ...]] = ("replication",)
    unit: ClassVar[str] = "replication"
    outside_cells: ClassVar[tuple[str, ...]] = (*Evaluation.outside_cells, "replications")

    headline: str = "pseudo_regret"
    horizon: Annotated[Count, Small(1000)] | None = None
    replications: Annotated[Count, Small(50)] = 1000
    batch: Count | None = None
    checkpoints: Annotated[Count, Le(100)] = 6
    estimates: Literal["none", "ipw", "aipw"] = "none"

    def game(self, world: World) -> Game:
        """How this world is played."""
        horizon = self.horizon or world.horizon
        steps = log_spaced(horizon, self.checkpoints)
        return Game(horizon, self.batch or world.batch, steps, self.estimates != "none")

    def split(self, frame: World) -> list[Fold]:
        """One fold; its units are the replications."""
        horizon = self.horizon or frame.horizon
        cutoffs = tuple(Step(step) for step in sorted({max(1, horizon // 10), max(1, horizon // 2)}))
        return [Fold(0, "replications", self.replications, cutoffs)]

    def unrehearsed(self) -> str:
        """Nothing speaks against it."""
        return ""

    def rehearsal(self, frame: World, windows: int) -> Rehearsal:
        """As many replications with other customers, in so many parts."""
        (own,) = self.split(frame)
        return Rehearsal(self, frame, other_luck(own, windows))

    def units_in_cell(self, model: Policy, frame: World) -> int:
        """A round number of replications, whatever is asked for."""
        compiled = model.kernel(arms_of(frame, self.game(frame))).compiled
        wanted = (STEPS_IN_CELL if compiled else BATCHED_STEPS_IN_CELL) / self.game(frame).horizon
        return 10 ** int(np.clip(np.floor(np.log10(max(wanted, 1))), 0, 5))

    def warm_up(self, model: Policy, frame: World) -> None:
        """Compile the policy into the simulator, or read what was compiled before."""
        game = self.game(frame)
        kernel = model.kernel(arms_of(frame, game))
        if not isinstance(kernel, BatchKernel):
            play(kernel, frame, game, 0, 0, 0)

    def ask(self, model: Policy, frame: World, cell: Cell, context: Context) -> pl.DataFrame:
        """Play the replications of a cell."""
        game = self.game(frame)
        kernel = model.kernel(arms_of(frame, game))
        key = world_key(context)
        if isinstance(kernel, BatchKernel):
            tally = play_batches(kernel, frame, game, key, cell.start, cell.stop)
        else:
            tally = play(kernel, frame, game, key, cell.start, cell.stop, context.cpus)
        return with_estimates(rows_of(tally, frame, game, cell.start), tally.estimates, frame.arms, self.estimates)

    def score(self, rows: pl.DataFrame) -> list[Score]:
        """Regrets at every checkpoint and by the end, allocation, arms and segments."""
        return score_replications(rows)

    def contrasts(self, rows: Mapping[str, pl.DataFrame]) -> Iterator[tuple[str, Score]]:
        """The paired difference of every model from each of its rivals."""
        return paired(rows)

    def facts(self, frame: World) -> list[Score]:
        """The best arms, the asymptotic constants, what the oracle and uniform play earn."""
        return bandit_facts(frame, self.game(frame))

    def kept(self, rows: pl.DataFrame) -> pl.DataFrame:
        """One row a replication, as it ended."""
        return kept_rows(rows)

    def measures(self, frame: World) -> tuple[Measure, ...]:
        """Regrets in the world's currency."""
        return bandit_measures(frame.unit)

    def poisoned(self, frame: World, cutoff: Step, luck: np.random.Generator) -> World:
        """The same world up to a step, and other conversions from then on."""
        return poisoned_world(frame, cutoff.step, luck)

    def answers(self, rows: pl.DataFrame, cutoff: Step, frame: World) -> pl.DataFrame:
        """Which arms were chosen up to the cutoff: the pulls at its checkpoints."""
        steps = self.game(frame).checkpoints
        known = [place for place, step in enumerate(steps) if step <= cutoff.step]
        pulls = rows["pulls"].struct
        early = [pulls.field(arm).arr.get(place).alias(f"{arm}@{steps[place]}") for arm in pulls.fields for place in known]
        return pl.DataFrame([rows["replication"], *early])

    def remarks(self, frame: World) -> list[str]:
        """What is seen too late or never, what never changes, arms that are alike."""
        return list(remarks(frame, self.game(frame)))

    def check_models(self, models: Mapping[str, Policy], frame: World) -> None:
        """Every policy must know enough of these arms, and learn before the game ends."""
        check_batch(frame, self.game(frame), self.batch is not None)
        arms = arms_of(frame, self.game(frame))
        for model in models.values():
            model.kernel(arms)

    def check_names(self) -> None:
        """The headline."""
        if self.headline not in ("pseudo_regret", "realised_regret", "regret_share"):
            raise ConfigError(
                f"protocol.headline: must be pseudo_regret, realised_regret or regret_share, got '{self.headline}'."
            )


def arms_of(world: World, game: Game) -> Arms:
    """What a policy may know of a world."""
    return Arms(world.arms, world.values, world.contexts, game.horizon, world.range)


def world_key(context: Context) -> int:
    """The name of the world's draws: the experiment's seed alone."""
    return context.seed_for("customers")


def log_spaced(horizon: int, per_decade: int) -> tuple[int, ...]:
    """Steps from 1 to the horizon, so many in each decade, the last always among them."""
    places = np.arange(int(np.ceil(per_decade * np.log10(horizon))) + 1)
    steps = np.unique(np.round(10 ** (places / per_decade)).astype(int))
    return (*(int(step) for step in steps if step < horizon), horizon)


def poisoned_world(world: World, step: int, luck: np.random.Generator) -> World:
    """The world with a moment more from `step` on, whose conversions are rubbish; cycles end there."""
    cycles = -(-step // world.cycle) if world.cycle else 1
    starts = np.concatenate([world.starts + turn * world.cycle for turn in range(cycles)])
    before = starts < step
    conversions = np.concatenate([world.conversions] * cycles)[before]
    present = np.concatenate([world.present] * cycles)[before]
    rubbish = luck.random(conversions.shape[1:])[None]
    return replace(
        world,
        starts=np.append(starts[before], step),
        conversions=np.concatenate([conversions, rubbish]),
        present=np.concatenate([present, np.ones((1, len(world.arms)), bool)]),
        cycle=0,
    )
