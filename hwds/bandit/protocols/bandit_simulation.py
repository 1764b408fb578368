"""Bandit simulation: play policies in a world whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Le

from hwds.bandit.arms import Arms
from hwds.bandit.family import SIMULATION
from hwds.bandit.metrics.regret import bandit_measures
from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import BatchKernel, Kernel
from hwds.bandit.models.kernels.rehearsal import rehearse
from hwds.bandit.pricing import replication_evidence, world_offers
from hwds.bandit.protocols.simulation.arrays import Tally
from hwds.bandit.protocols.simulation.batches import play_batches
from hwds.bandit.protocols.simulation.leaks import equal_worlds, poisoned_world, too_low_regret, unknown_world
from hwds.bandit.protocols.simulation.play import Game, play
from hwds.bandit.protocols.simulation.rows import rows_of, stored_rows, with_estimates
from hwds.bandit.protocols.simulation.scores import paired, score_replications, world_scores
from hwds.bandit.protocols.simulation.toys import try_policy
from hwds.core.errors import ConfigError
from hwds.core.recipe import Draws, PositiveInt, Rows, Small
from hwds.core.seeds import stream
from hwds.evaluation.abilities import Compiling, Contrasting, KnowsTruth, LeakTestable, Trying
from hwds.evaluation.base import Cell, Evaluation, Score, Tunable, TuningSplit
from hwds.evaluation.context import RunContext
from hwds.evaluation.leakage.leak import STATE, TWINS, Twin
from hwds.evaluation.tuning_split import other_replications
from hwds.frames.world import World
from hwds.pricing.evidence import EvidenceTable, PriceEvidence
from hwds.pricing.offers import Offers
from hwds.results.measure import Measure
from hwds.results.tables import Tables
from hwds.splitting.fold import Fold

STEPS_IN_CELL = 10_000_000
"""Steps of one cell of a compiled policy: a second or two."""

BATCHED_STEPS_IN_CELL = 200_000
"""The same for a policy that decides by batches."""

FEW = 10
"""The replications that are played for twins."""

ALONE = "changed when the replications before were not played"
FIRST = "changed with the true conversions, before any customer was seen"
EQUAL = "changed with which of two equal arms is truly the best, though no customer does"


@dataclass(frozen=True, slots=True)
class Step:
    """A moment of the game: what the canary asks at."""

    step: int

    @property
    def label(self) -> str:
        """The step in words."""
        return f"step {self.step}"


class BanditSimulation(
    Evaluation[Policy, World], Tunable, LeakTestable, Contrasting, KnowsTruth, Compiling, Trying, PriceEvidence
):
    """Play policies against a simulated market, many times, all of them with the same customers.

    Regret is against the best arm of each moment and segment, in currency. Cells are blocks of replications; a replication
    depends on its own number alone, so asking for more computes only the new ones. At every checkpoint `propensity` is the
    share of replications that chose an arm at that very step: of any policy an unbiased estimate of the mean chance that it
    gives the arm (Thompson sampling: of its posterior probability to be the best), without a formula, which would cost more
    than the game; `best_probability` is the same of the arm that is the best for the customer then. Where outcomes come late
    each game is played again with the same customers and without the delay: `delay_regret` is what the delay costs.

    Attributes:
        horizon: Steps of a replication, one customer each; null takes the world's own.
        replications: The number of times the game is played.
        batch: Customers between two updates of the policy; null takes the world's own.
        checkpoints: Moments a decade at which the game is written down (1, 2, 5, 10, ... for 3); the last step always is. Where
            a market changes a few times at most, each change is, too, and so many moments a decade after it.
        estimates: Corrections of what each arm seems to earn after it was chosen for what it seemed to earn: `none`; `ipw`,
            chances are kept at every step and `arm_value[ipw]` stands beside `arm_value[raw]`; `aipw`, the augmented ones stand
            there, too. A tenth of a microsecond a step more for two Thompson arms of one value, some five to thirty an arm for
            others; a policy that leaves an arm no chance (`greedy`, `ucb1`) or has no formula for its chances has none.
    """

    accepts: ClassVar[type] = Policy
    frame_type: ClassVar[type] = SIMULATION.frame
    task: ClassVar[str] = SIMULATION.name
    keys: ClassVar[tuple[str, ...]] = ("replication",)
    unit: ClassVar[str] = "replication"
    fields_not_in_key: ClassVar[tuple[str, ...]] = (*Evaluation.fields_not_in_key, "replications")

    headline: str = SIMULATION.headline
    horizon: Annotated[Rows, Small(1000)] | None = None
    replications: Annotated[Draws, Small(50)] = 1000
    batch: Rows | None = None
    checkpoints: Annotated[PositiveInt, Le(100)] = 6
    estimates: Literal["none", "ipw", "aipw"] = "none"

    def game(self, world: World) -> Game:
        """Return the game that is played in this world."""
        horizon = self.horizon or world.horizon
        steps = tuple(sorted({*log_spaced(horizon, self.checkpoints), *around_shifts(world, horizon, self.checkpoints)}))
        return Game(horizon, self.batch or world.batch, steps, self.estimates != "none")

    def offers(self, frame: World) -> Offers:
        """Return the arms of the world."""
        return world_offers(frame, self.game(frame).horizon)

    def price_evidence(self, tables: Tables, frame: World, model: str, offers: Offers, most: int) -> EvidenceTable:
        """Return what was seen of every arm, replication by replication, and the truth."""
        return replication_evidence(tables, frame, model, self.game(frame).horizon, most)

    def split(self, frame: World) -> list[Fold]:
        """Return one fold; its units are the replications."""
        horizon = self.horizon or frame.horizon
        cutoffs = tuple(Step(step) for step in sorted({max(1, horizon // 10), max(1, horizon // 2)}))
        return [Fold(0, "replications", self.replications, cutoffs)]

    def tuning_split(self, frame: World, windows: int) -> TuningSplit:
        """Return as many replications with other customers, in so many parts."""
        (fold,) = self.split(frame)
        return TuningSplit(self, frame, other_replications(fold, windows))

    def units_in_cell(self, model: Policy, frame: World) -> int:
        """Return a round number of replications, whatever is asked for."""
        compiled = model.kernel(arms_of(frame, self.game(frame))).compiled
        wanted = (STEPS_IN_CELL if compiled else BATCHED_STEPS_IN_CELL) / self.game(frame).horizon
        return 10 ** int(np.clip(np.floor(np.log10(max(wanted, 1))), 0, 5))

    def warm_up(self, model: Policy, frame: World) -> None:
        """Compile the policy into the simulator, or read what was compiled before."""
        game = self.game(frame)
        kernel = model.kernel(arms_of(frame, game))
        if not isinstance(kernel, BatchKernel):
            play(kernel, frame, game, 0, 0, 0)

    def try_model(self, model: Policy, frame: World, fold: Fold, context: RunContext) -> None:
        """Play two toy games without compiling."""
        try_policy(model, arms_of(frame, self.game(frame)))

    def try_features(self, features: Any, frame: Any) -> None:
        """Do nothing: policies read no features."""

    def evaluate_cell(self, model: Policy, frame: World, cell: Cell, context: RunContext) -> pl.DataFrame:
        """Play the replications of a cell."""
        game = self.game(frame)
        kernel = model.kernel(arms_of(frame, game))
        key = world_key(context)
        tally = _tally(kernel, frame, game, key, cell, context.cpus)
        rows = with_estimates(rows_of(tally, frame, game, cell.start), tally.estimates, frame.arms, self.estimates)
        if not frame.delay:
            return rows
        at_once = _tally(kernel, replace(frame, delay=0.0, window=0), game, key, cell, context.cpus)
        return rows.with_columns(pl.Series("at_once", at_once.pseudo[:, -1]))

    def score(self, rows: pl.DataFrame) -> list[Score]:
        """Return regrets at every checkpoint and by the end, allocation, arms and segments."""
        return score_replications(rows)

    def contrasts(self, rows: Mapping[str, pl.DataFrame]) -> Iterator[tuple[str, Score]]:
        """Yield the paired difference of every model from each of its rivals."""
        return paired(rows)

    def oracle_scores(self, frame: World) -> list[Score]:
        """Return the best arms, the asymptotic constants, what the oracle and uniform play earn."""
        return world_scores(frame, self.game(frame))

    def rows_to_keep(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return one row a replication, as it ended."""
        return stored_rows(rows)

    def measures(self, frame: World) -> tuple[Measure, ...]:
        """Return regrets in the world's currency."""
        return bandit_measures(frame.unit)

    def corrupt_after(self, frame: World, cutoff: Step, rng: np.random.Generator) -> World:
        """Return the same world up to a step, and other conversions from then on."""
        return poisoned_world(frame, cutoff.step, rng)

    def predictions_at(self, rows: pl.DataFrame, cutoff: Step, frame: World) -> pl.DataFrame:
        """Return the arms chosen up to the cutoff: the pulls at the checkpoints that every market has."""
        steps = rows["steps"][0].to_list()
        shared = log_spaced(steps[-1], self.checkpoints)
        early_places = [place for place, step in enumerate(steps) if step <= cutoff.step and step in shared]
        pulls = rows["pulls"].struct
        early = [
            pulls.field(arm).arr.get(place).alias(f"{arm}@{steps[place]}") for arm in pulls.fields for place in early_places
        ]
        return pl.DataFrame([rows["replication"], *early])

    def twins(self, frame: World, fold: Fold, rows: pl.DataFrame) -> Iterator[Twin]:
        """Yield the last replications alone; another world, before anything is seen of it; and two worlds of equal arms."""
        first, last = (0, min(FEW, fold.units)), (max(fold.units - FEW, 0), fold.units)

        def chosen(steps: int, part: tuple[int, int]) -> Callable[[pl.DataFrame], pl.DataFrame]:
            inside = pl.col("replication").is_between(*part, closed="left")
            return lambda rows: self.predictions_at(rows.filter(inside), Step(steps), frame)

        steps, other = self.game(frame).horizon, unknown_world(frame, stream(0, "canary", "unknown world"))
        yield Twin(STATE, f"replications from {last[0]:,}", ALONE, frame, frame, chosen(steps, last), last)
        yield Twin(TWINS, "step 0", FIRST, frame, other, chosen(1, first), first)
        pair = equal_worlds(frame)
        if pair:
            yield Twin(TWINS, f"steps 1 to {steps:,}", EQUAL, *pair, chosen(steps, first), first)

    def implausible(self, rows: pl.DataFrame) -> Iterator[str]:
        """Yield a sentence where the realised regret lies far below the pseudo regret."""
        yield from too_low_regret(*(rows[name].arr.last().to_numpy() for name in ("realised_regret", "pseudo_regret")))

    def warnings_before(self, frame: World, models: Mapping[str, Policy]) -> list[str]:
        """Return remarks on outcomes that come too late or never, on amounts, and on worlds that never change."""
        game = self.game(frame)
        remarks = list(world_remarks(frame, game))
        priced = [label for label, model in models.items() if not learns_amounts(model.kernel(arms_of(frame, game)))]
        if frame.brings_amounts and priced:
            fixed = "takes each purchase for the arm's value; model=bandit/basket_thompson learns what purchases bring"
            remarks.append(f"{', '.join(priced)}: {fixed}.")
        blind = [label for label, model in models.items() if not waits_count(model.kernel(arms_of(frame, game)))]
        if frame.delay and blind:
            late = "learns what has come, conversions first; model=bandit/delayed_thompson counts offers that wait"
            remarks.append(f"{', '.join(blind)}: {late}.")
        return remarks

    def warnings_after(self, folds: Sequence[Fold], predictions: pl.DataFrame) -> list[str]:
        """Return a remark on each policy that earned far more than its arms are expected to earn."""
        regrets = ("realised_regret", "pseudo_regret")
        if predictions.is_empty():
            return []
        return [
            f"{label}: {reason}."
            for (label,), part in predictions.partition_by("model", as_dict=True, maintain_order=True).items()
            for reason in too_low_regret(*(part[name].to_numpy() for name in regrets))
        ]

    def check_models(self, models: Mapping[str, Policy], frame: World) -> None:
        """Refuse a policy that cannot play these arms, whose functions fail, or that learns nothing before the game ends."""
        check_batch(self.game(frame), self.batch is not None)
        arms = arms_of(frame, self.game(frame))
        for label, model in models.items():
            rehearse(label, model.kernel(arms), arms)

    def check_names(self) -> None:
        """Refuse a headline that orders no policies."""
        if self.headline not in ("pseudo_regret", "realised_regret", "regret_share"):
            raise ConfigError(
                f"protocol.headline: must be pseudo_regret, realised_regret or regret_share, got '{self.headline}'."
            )


def _tally(kernel: Kernel | BatchKernel, world: World, game: Game, key: int, cell: Cell, cpus: int) -> Tally:
    """Return the tally of the replications of a cell."""
    if isinstance(kernel, BatchKernel):
        return play_batches(kernel, world, game, key, cell.start, cell.stop)
    return play(kernel, world, game, key, cell.start, cell.stop, cpus)


def arms_of(world: World, game: Game) -> Arms:
    """Return the facts of a world that a policy may know."""
    return Arms(world.arms, world.values, world.contexts, game.horizon, world.range, world.delay, float(world.window))


def world_key(context: RunContext) -> int:
    """Return the name of the world's draws: the experiment's seed alone."""
    return context.seed_for("customers")


def log_spaced(horizon: int, per_decade: int) -> tuple[int, ...]:
    """Return steps from 1 to the horizon, so many in each decade, the last always among them."""
    places = np.arange(int(np.ceil(per_decade * np.log10(horizon))) + 1)
    steps = np.unique(np.round(10 ** (places / per_decade)).astype(int))
    return (*(int(step) for step in steps if step < horizon), horizon)


def waits_count(kernel: Kernel | BatchKernel) -> bool:
    """Return whether a policy learns that an arm was shown, before its outcome is known."""
    return isinstance(kernel, Kernel) and kernel.offered is not None


def learns_amounts(kernel: Kernel | BatchKernel) -> bool:
    """Return whether a policy learns from what a conversion brought."""
    return isinstance(kernel, Kernel) and kernel.amounts


MOST_SHIFTS = 4
"""The changes of a market that have checkpoints of their own; one that changes more often drifts."""

SOONEST = 10
"""The first step after a change that is written down."""


def around_shifts(world: World, horizon: int, per_decade: int) -> tuple[int, ...]:
    """Return the steps at which a market changes, and steps after each change, so many in each decade."""
    shifts = [int(start) for start in world.starts[1:] if start < horizon]
    if world.cycle or len(shifts) > MOST_SHIFTS:
        return ()
    after = [start + step for start in shifts for step in log_spaced(horizon - start, per_decade) if step >= SOONEST]
    return (*shifts, *after)


WORTH_SAYING = 0.9
"""Share of conversions below which a remark says how many are ever seen."""


def check_batch(game: Game, own: bool) -> None:
    """Refuse a batch that ends after the game: no policy would ever learn.

    Args:
        game: The game.
        own: Whether the batch is the protocol's, not the world's.

    Raises:
        ConfigError: The batch is longer than the horizon.
    """
    if game.batch > game.horizon:
        path, instead = ("protocol.batch", "") if own else ("dataset.batch", "; protocol.batch replaces it")
        raise ConfigError(f"{path}: must be <= the {game.horizon:,} steps that are played, got {game.batch}{instead}.")


def world_remarks(world: World, game: Game) -> Iterator[str]:
    """Yield remarks on this world, played so, one sentence each."""
    yield from _late(world, game)
    steps = world.moments(game.horizon)
    never = [arm for arm, there in zip(world.arms, (steps @ world.present), strict=True) if not there]
    if never:
        yield f"{', '.join(never)}: never on offer in the {game.horizon:,} steps that are played."
    if world.changes and world.starts[1] >= game.horizon:
        yield f"The world stands still: it changes first at step {world.starts[1]:,} and {game.horizon:,} are played."
    worst = np.where(world.present[:, None, :], world.rewards, np.inf).min(axis=2)[steps > 0]
    best = world.best[steps > 0]
    if (best <= 0).all():
        yield "No arm earns anything: there is no share of the best to lose."
    elif np.allclose(best, worst):
        yield "All arms on offer are worth the same: no policy can lose anything."


def _late(world: World, game: Game) -> Iterator[str]:
    """Yield a remark on outcomes that are learned too late, or not at all."""
    seen = seen_share(world)
    if seen < WORTH_SAYING:
        yield (
            f"{100 * seen:.2g} % of conversions are ever seen: they come after {world.delay:g} steps on average"
            f" (dataset.delay) and are waited for {world.window:,} (dataset.window); the others count as refused."
        )
    if world.delay and world.window >= game.horizon:
        yield f"No refusal is ever seen: it takes {world.window:,} steps (dataset.window) and {game.horizon:,} are played."
    if world.window and not world.delay:
        yield "dataset.window is not used: dataset.delay is 0, so all is seen at once."
    if game.horizon > 1 and game.batch == game.horizon:
        yield f"Nothing is learned: the first outcomes are seen after a batch of {game.batch:,}, with which the game ends."


def seen_share(world: World) -> float:
    """Return the share of conversions that come within the window: a delay is geometric, 0 or more steps."""
    if not world.delay:
        return 1.0
    return float(1.0 - (world.delay / (1.0 + world.delay)) ** (world.window + 1))
