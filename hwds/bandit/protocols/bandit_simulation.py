"""Bandit simulation: play policies in a world whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
from annotated_types import Le
from numpy import ndarray
from polars import DataFrame, Series

from hwds.bandit.family import SIMULATION
from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import Arms, BatchKernel, Kernel, rehearse
from hwds.bandit.simulation.loop import ReplicationTally
from hwds.bandit.simulation.play import Game, play_batches, play_compiled, try_policy
from hwds.bandit.simulation.scores import (
    bandit_measures,
    lai_robbins,
    least_regret,
    paired_differences,
    score_replications,
    seen_counts,
    stored_rows,
    tally_rows,
    with_estimates,
    world_scores,
)
from hwds.core.errors import ConfigError
from hwds.core.recipe import Draws, PositiveInt, Rows, Small
from hwds.core.seeds import stream, stream_key
from hwds.evaluation.protocol import (
    STATE_LEAK,
    TWIN_LEAK,
    Cell,
    Compiling,
    Contrasting,
    Evaluation,
    Fold,
    KnowsTruth,
    LeakTestable,
    RunContext,
    Score,
    Trying,
    Tunable,
    TuningSplit,
    Twin,
)
from hwds.evaluation.row_folds import other_replications
from hwds.frames.world import World
from hwds.pricing.arm_evidence import (
    CONVERSIONS,
    EVIDENCE,
    EvidenceTable,
    Offer,
    PriceEvidence,
    PriceOffers,
)
from hwds.results.tables import Measure, Tables

# Worlds for the leak check of a simulation: other ones from a step on, twins that no policy can
# tell apart, regret too low.

EQUAL_WORLDS_GAP = 1e-12
"""By how much the arms of equal worlds differ: too little to change what any customer does, enough
to have a best one.
"""

CHEAPEST_CONVERSION = 0.3
"""The conversion of the cheapest arm in equal worlds."""

LEAST_REGRET_Z = -8.0
"""Standard errors below which the mean of realised less pseudo regret is no chance: one in 100,000
for the fewest games.
"""

FEWEST_REPLICATIONS = 10
"""The fewest replications whose realised regret is compared with the pseudo regret."""


def poisoned_world(world: World, step: int, rng: np.random.Generator) -> World:
    """Return the world with a moment more from `step` on, whose conversions are rubbish.

    Cycles end there.
    """
    cycles = -(-step // world.cycle) if world.cycle else 1
    starts = np.concatenate([world.starts + turn * world.cycle for turn in range(cycles)])
    before = starts < step
    conversions = np.concatenate([world.conversions] * cycles)[before]
    present = np.concatenate([world.present] * cycles)[before]
    return replace(
        world,
        starts=np.append(starts[before], step),
        conversions=np.append(conversions, rng.random((1, *conversions.shape[1:])), axis=0),
        present=np.append(present, np.ones((1, len(world.arms)), bool), axis=0),
        cycle=0,
    )


def equal_worlds(world: World) -> tuple[World, World] | None:
    """Return two worlds whose arms earn the same but for a trifle, of which another arm is the best
    in each.

    Every customer does the same in both, so that a policy which learns from customers alone plays
    the same game. None where fewer than two arms earn anything.
    """
    earns = world.worth > 0
    if earns.sum() < 2:
        return None
    cheapest = world.worth[earns].min()
    scaled = CHEAPEST_CONVERSION * cheapest / np.where(earns, world.worth, 1.0)
    even = np.where(earns, scaled, CHEAPEST_CONVERSION)
    rank = np.arange(len(world.values))

    def ordered(order: ndarray) -> World:
        own = np.broadcast_to(even * (1 + EQUAL_WORLDS_GAP * order), world.conversions.shape)
        return replace(world, conversions=own.copy())

    return ordered(rank), ordered(rank[::-1])


def too_low_regret(realised: ndarray, pseudo: ndarray) -> Iterator[str]:
    """Yield a sentence where customers, by the end, did far better than the chosen arms' own
    conversions say.

    Which arm a policy chooses is settled before its customer is drawn, so that realised and pseudo
    regret are the same on average, whatever the policy.

    Args:
        realised: The realised regret of each replication, shape (n,).
        pseudo: The pseudo regret of each, shape (n,).
    """
    if len(realised) < FEWEST_REPLICATIONS:
        return
    less = realised - pseudo
    error = float(less.std(ddof=1)) / np.sqrt(len(less))
    if less.mean() < min(LEAST_REGRET_Z * error, 0.0):
        yield (
            f"a realised regret of {realised.mean():.4g} lies "
            f"{-less.mean() / max(error, EQUAL_WORLDS_GAP):.0f} standard errors below the"
            f" pseudo regret of {pseudo.mean():.4g}: the policy knows what its customers are "
            f"about to do"
        )


LOWER_BOUND_Z = 4.0
"""Standard errors by which a mean regret must lie below the lower bound to be remarked upon."""


def below_lower_bound(pseudo: ndarray, world: World, horizon: int) -> Iterator[str]:
    """Yield a sentence where a policy lost less than one that must learn from customers can.

    The bound is for a world that stands still and brings the arms' values. It is the largest over
    segments, for a policy may learn one of them from another.

    Args:
        pseudo: The pseudo regret of each replication, shape (n,).
        world: The world that was played.
        horizon: The number of steps that were played.
    """
    if world.changes or world.brings_amounts or len(pseudo) < FEWEST_REPLICATIONS:
        return
    values = world.values[world.present[0]]
    segments = world.conversions[0][:, world.present[0]]
    customers = np.maximum(world.shares * horizon, 1.0)
    least = max(map(partial(least_regret, values), segments, customers))
    if pseudo.mean() + LOWER_BOUND_Z * pseudo.std(ddof=1) / np.sqrt(len(pseudo)) < least:
        constants = (lai_robbins(values, conversions) for conversions in segments)
        asymptote = sum(c * np.log(n) for c, n in zip(constants, customers, strict=True))
        yield (
            f"a pseudo regret of {pseudo.mean():.4g} lies below {least:.4g}, the least of a policy "
            f"that would find another arm if it were the best (asymptotically {asymptote:.4g}, by "
            f"Lai and Robbins): it knows the market, or likes the arm that is the best here"
        )


# The evidence of a simulated bandit for a choice of price: counts of each replication, and the
# truth of the world.


def world_offers(world: World, horizon: int) -> PriceOffers:
    """Return the arms of a world.

    Those that the last step does not offer are absent, those of conversions alone have no price.

    Args:
        world: The world of the simulation.
        horizon: The number of steps that are played.

    Raises:
        ConfigError: Purchases bring amounts, so that counts do not say what an arm earns.
    """
    if world.brings_amounts:
        raise ConfigError(
            "decision: a price is chosen by counts and prices; the purchases of this market bring "
            "other amounts."
        )
    last = np.flatnonzero(world.moments(horizon) - world.moments(horizon - 1))[0]
    absent = (~world.present[last]).tolist()
    prices, costs = world.prices.tolist(), (world.prices - world.values).tolist()
    if world.unit == CONVERSIONS:
        prices = costs = [None] * len(absent)
    arms = tuple(map(Offer, world.arms, prices, costs, absent))
    return PriceOffers(arms, "conversions", world.unit, "adaptive")


def replication_evidence(
    tables: Tables, world: World, model: str, horizon: int, most: int
) -> EvidenceTable:
    """Return what was seen of every arm by the end of each of a policy's first replications.

    See `PriceEvidence`.

    Args:
        tables: The tables of the run.
        world: The world that was played.
        model: The policy.
        horizon: The number of steps that were played.
        most: The most replications.
    """
    note, rows = "", []
    if len(world.segments) > 1:
        pooled = f"Counts are pooled over {len(world.segments)} segments"
        note = f"{pooled}: they compare arms only if the policy offers them to all alike."
    if "replication" in tables.predictions.columns:
        for row in tables.predictions.filter(model=model).sort("replication").head(most).to_dicts():
            for arm in world.arms:
                offered, wins = seen_counts(row, arm)
                counts = (offered, wins, offered - wins)
                rows.append((row["replication"], arm, *counts, None, None, "conversions"))
    evidence = DataFrame(rows, schema=EVIDENCE, orient="row")
    return EvidenceTable(evidence, true_conversions(world, horizon), note)


def true_conversions(world: World, horizon: int) -> ndarray:
    """Return the share of customers whom each arm truly wins at the steps that offer it, shape
    (K,); NaN if none does.

    Args:
        world: The world of the simulation.
        horizon: The number of steps that are played.
    """
    offered = world.moments(horizon)[:, None] * world.present
    steps = offered.sum(axis=0)
    lasts = np.divide(offered, steps, out=np.full(offered.shape, np.nan), where=steps > 0)
    return np.einsum("mk,s,msk->k", lasts, world.shares, world.conversions)


# Bandit simulation: play policies in a world whose truth is known.

STEPS_IN_CELL = 10_000_000
"""Steps of one cell of a compiled policy: a second or two."""

BATCHED_STEPS_IN_CELL = 200_000
"""The same for a policy that decides by batches."""

TWIN_REPLICATIONS = 10
"""The replications that are played for twins."""

ALONE_LEAK = "changed when the replications before were not played"
TRUTH_LEAK = "changed with the true conversions, before any customer was seen"
EQUAL_ARMS_LEAK = "changed with which of two equal arms is truly the best, though no customer does"


@dataclass(frozen=True, slots=True)
class SimulationStep:
    """A moment of the game, at which the leak check asks."""

    step: int

    @property
    def label(self) -> str:
        """The step in words."""
        return f"step {self.step}"


class BanditSimulation(
    Evaluation[Policy, World],
    Tunable,
    LeakTestable,
    Contrasting,
    KnowsTruth,
    Compiling,
    Trying,
    PriceEvidence,
):
    """Play policies against a simulated market, many times, all of them with the same customers.

    Regret is against the best arm of each moment and segment, in currency. Cells are blocks of
    replications; a replication depends on its own number alone, so asking for more computes only
    the new ones. At every checkpoint `propensity` is the share of replications that chose an arm at
    that very step: an unbiased estimate, for any policy, of the mean chance that it gives the arm
    (for Thompson sampling, of the arm's posterior probability to be the best). A formula would cost
    more than the game; `best_probability` is the same of the arm that is the best for the customer
    then. If outcomes come late, each game is played again with the same customers and without the
    delay: `delay_regret` is what the delay costs.

    Attributes:
        horizon: Steps of a replication, one customer each; null takes the world's own.
        replications: The number of times the game is played.
        batch: Customers between two updates of the policy; null takes the world's own.
        checkpoints: Moments a decade at which the game is written down (1, 2, 5, 10, ... for 3);
            the last step always is. If a market changes a few times at most, each change is a
            checkpoint, too, and so are as many moments per decade after it.
        estimates: Corrections of each arm's mean reward for the choice of the arm by its rewards:
            `none`; `ipw` keeps the chances of every step and shows `arm_value[ipw]` next to
            `arm_value[raw]`; `aipw` shows the augmented estimates, too. This costs 0.1 microseconds
            per step for two Thompson arms of one value, and 5 to 30 per arm for others. A policy
            that gives an arm no chance (`greedy`, `ucb1`), or has no formula for its chances, has
            no corrections.
    """

    accepts = Policy
    frame_type = SIMULATION.frame
    task = SIMULATION.name
    keys = ("replication",)
    unit = "replication"
    fields_not_in_key = (*Evaluation.fields_not_in_key, "replications")

    headline: str = SIMULATION.headline
    horizon: Annotated[Rows, Small(1000)] | None = None
    replications: Annotated[Draws, Small(50)] = 1000
    batch: Rows | None = None
    checkpoints: Annotated[PositiveInt, Le(100)] = 6
    estimates: Literal["none", "ipw", "aipw"] = "none"

    def game(self, world: World) -> Game:
        """Return the game that is played in this world."""
        horizon = self.horizon or world.horizon
        steps = {
            *log_spaced_steps(horizon, self.checkpoints),
            *around_shifts(world, horizon, self.checkpoints),
        }
        batch = self.batch or world.batch
        return Game(horizon, batch, tuple(sorted(steps)), self.estimates != "none")

    def kernel(self, model: Policy, world: World) -> Kernel | BatchKernel:
        """Return the law of a policy for the arms of this world."""
        return model.kernel(world_arms(world, self.game(world)))

    def offers(self, frame: World) -> PriceOffers:
        """Return the arms of the world."""
        return world_offers(frame, self.game(frame).horizon)

    def price_evidence(
        self, tables: Tables, frame: World, model: str, offers: PriceOffers, most: int
    ) -> EvidenceTable:
        """Return what was seen of every arm, replication by replication, and the truth."""
        return replication_evidence(tables, frame, model, self.game(frame).horizon, most)

    def split(self, frame: World) -> list[Fold]:
        """Return one fold; its units are the replications."""
        horizon = self.horizon or frame.horizon
        cutoffs = tuple(
            SimulationStep(step) for step in sorted({max(1, horizon // 10), max(1, horizon // 2)})
        )
        return [Fold(0, "replications", self.replications, cutoffs)]

    def tuning_split(self, frame: World, windows: int) -> TuningSplit:
        """Return as many replications with other customers, in so many parts."""
        (fold,) = self.split(frame)
        return TuningSplit(self, frame, other_replications(fold, windows))

    def units_in_cell(self, model: Policy, frame: World) -> int:
        """Return a round number of replications, whatever is asked for."""
        compiled = self.kernel(model, frame).compiled
        wanted = (STEPS_IN_CELL if compiled else BATCHED_STEPS_IN_CELL) / self.game(frame).horizon
        return 10 ** int(np.clip(np.floor(np.log10(max(wanted, 1))), 0, 5))

    def warm_up(self, model: Policy, frame: World) -> None:
        """Compile the policy into the simulator, or read what was compiled before."""
        kernel = self.kernel(model, frame)
        if not isinstance(kernel, BatchKernel):
            play_compiled(kernel, frame, self.game(frame), 0, 0, 0)

    def try_model(self, model: Policy, frame: World, fold: Fold, context: RunContext) -> None:
        """Play two toy games without compiling."""
        try_policy(model, world_arms(frame, self.game(frame)))

    def try_features(self, features: Any, frame: Any) -> None:
        """Do nothing: policies read no features."""

    def evaluate_cell(
        self, model: Policy, frame: World, cell: Cell, context: RunContext
    ) -> DataFrame:
        """Play the replications of a cell."""
        game, kernel = self.game(frame), self.kernel(model, frame)

        def play(world: World) -> ReplicationTally:
            settings = world, game, world_key(context), cell.start, cell.stop
            if isinstance(kernel, BatchKernel):
                return play_batches(kernel, *settings)
            return play_compiled(kernel, *settings, context.cpus)

        tally = play(frame)
        rows = tally_rows(tally, frame, game, cell.start)
        rows = with_estimates(rows, tally.estimates, frame.arms, self.estimates)
        if not frame.delay:
            return rows
        at_once = play(replace(frame, delay=0.0, window=0))
        return rows.with_columns(Series("at_once", at_once.pseudo[:, -1]))

    def score(self, rows: DataFrame) -> list[Score]:
        """Return regrets at every checkpoint and by the end, allocation, arms and segments."""
        return score_replications(rows)

    def contrasts(self, rows: Mapping[str, DataFrame]) -> Iterator[tuple[str, Score]]:
        """Yield the paired difference of every model from each of its rivals."""
        return paired_differences(rows)

    def oracle_scores(self, frame: World) -> list[Score]:
        """Return the best arms, the asymptotic constants, what the oracle and uniform play earn."""
        return world_scores(frame, self.game(frame))

    def rows_to_keep(self, rows: DataFrame) -> DataFrame:
        """Return one row a replication, as it ended."""
        return stored_rows(rows)

    def measures(self, frame: World) -> tuple[Measure, ...]:
        """Return regrets in the world's currency."""
        return bandit_measures(frame.unit)

    def corrupt_after(
        self, frame: World, cutoff: SimulationStep, rng: np.random.Generator
    ) -> World:
        """Return the same world up to a step, and other conversions from then on."""
        return poisoned_world(frame, cutoff.step, rng)

    def predictions_at(self, rows: DataFrame, cutoff: SimulationStep, frame: World) -> DataFrame:
        """Return the arms chosen up to the cutoff: the pulls at the checkpoints that every market
        has.
        """
        steps = rows["steps"][0].to_list()
        shared = log_spaced_steps(steps[-1], self.checkpoints)
        early_places = [
            place for place, step in enumerate(steps) if step <= cutoff.step and step in shared
        ]
        pulls = rows["pulls"].struct
        early = [
            pulls.field(arm).arr.get(place).alias(f"{arm}@{steps[place]}")
            for arm in pulls.fields
            for place in early_places
        ]
        return DataFrame([rows["replication"], *early])

    def twins(self, frame: World, fold: Fold, rows: DataFrame) -> Iterator[Twin]:
        """Yield the last replications alone; another world, before anything is seen of it.

        And two worlds of equal arms.
        """
        first = (0, min(TWIN_REPLICATIONS, fold.units))
        last = (max(fold.units - TWIN_REPLICATIONS, 0), fold.units)

        def chosen(steps: int, part: tuple[int, int]) -> Callable[[DataFrame], DataFrame]:
            inside = pl.col("replication").is_between(*part, closed="left")
            return lambda rows: self.predictions_at(
                rows.filter(inside), SimulationStep(steps), frame
            )

        steps, rng = self.game(frame).horizon, stream(0, "canary", "unknown world")
        # before anything was seen of it, a world with other conversions is the same
        other = replace(frame, conversions=rng.random(frame.conversions.shape))
        alone = f"replications from {last[0]:,}"
        yield Twin(STATE_LEAK, alone, ALONE_LEAK, frame, frame, chosen(steps, last), last)
        yield Twin(TWIN_LEAK, "step 0", TRUTH_LEAK, frame, other, chosen(1, first), first)
        if pair := equal_worlds(frame):
            every = f"steps 1 to {steps:,}"
            yield Twin(TWIN_LEAK, every, EQUAL_ARMS_LEAK, *pair, chosen(steps, first), first)

    def implausible(self, rows: DataFrame) -> Iterator[str]:
        """Yield a sentence where the realised regret lies far below the pseudo regret."""
        yield from too_low_regret(
            *(rows[name].arr.last().to_numpy() for name in ("realised_regret", "pseudo_regret"))
        )

    def warnings_before(self, frame: World, models: Mapping[str, Policy]) -> list[str]:
        """Return remarks on outcomes that come too late or never, on amounts, and on worlds that
        never change.
        """
        kernels = {label: self.kernel(model, frame) for label, model in models.items()}
        remarks = list(world_remarks(frame, self.game(frame)))
        priced = [label for label, kernel in kernels.items() if not learns_amounts(kernel)]
        if frame.brings_amounts and priced:
            remarks.append(
                f"{', '.join(priced)}: takes each purchase for the arm's value; "
                f"model=bandit/basket_thompson learns what purchases bring."
            )
        blind = [
            label
            for label, kernel in kernels.items()
            if not isinstance(kernel, Kernel) or kernel.offered is None
        ]
        if frame.delay and blind:
            remarks.append(
                f"{', '.join(blind)}: learns what has come, conversions first; "
                f"model=bandit/delayed_thompson counts offers that wait."
            )
        return remarks

    def warnings_after(self, folds: Sequence[Fold], predictions: DataFrame) -> list[str]:
        """Return a remark on each policy that earned far more than its arms are expected to
        earn.
        """
        return _by_policy(
            predictions,
            lambda part: too_low_regret(
                part["realised_regret"].to_numpy(), part["pseudo_regret"].to_numpy()
            ),
        )

    def warnings_by_truth(self, frame: World, predictions: DataFrame) -> list[str]:
        """Return a remark on each policy that lost less than one which must learn can."""
        return _by_policy(
            predictions,
            lambda part: below_lower_bound(
                part["pseudo_regret"].to_numpy(), frame, self.game(frame).horizon
            ),
        )

    def check_models(self, models: Mapping[str, Policy], frame: World) -> None:
        """Refuse a policy that cannot play these arms, whose functions fail, or that learns nothing
        before the game ends.
        """
        game = self.game(frame)
        if game.batch > game.horizon:
            own = self.batch is not None
            path, instead = "protocol" if own else "dataset", "; protocol.batch replaces it"
            raise ConfigError(
                f"{path}.batch: must be <= the {game.horizon:,} steps that are played, got "
                f"{game.batch}{'' if own else instead}."
            )
        arms = world_arms(frame, game)
        for label, model in models.items():
            rehearse(label, model.kernel(arms), arms)

    def check_names(self) -> None:
        """Refuse a headline that orders no policies."""
        if self.headline not in ("pseudo_regret", "realised_regret", "regret_share"):
            raise ConfigError(
                f"protocol.headline: must be pseudo_regret, realised_regret or regret_share, got "
                f"'{self.headline}'."
            )


def world_arms(world: World, game: Game) -> Arms:
    """Return the facts of a world that a policy may know."""
    return Arms(
        world.arms,
        world.values,
        world.contexts,
        game.horizon,
        world.range,
        world.delay,
        float(world.window),
    )


def world_key(context: RunContext) -> int:
    """Return the key of the game, which the experiment's seed alone names."""
    return stream_key(context.seed, context.fold, "customers")


def log_spaced_steps(horizon: int, per_decade: int) -> tuple[int, ...]:
    """Return steps from 1 to the horizon, so many in each decade, the last always among them."""
    places = np.arange(int(np.ceil(per_decade * np.log10(horizon))) + 1)
    steps = np.unique(np.round(10 ** (places / per_decade)).astype(int))
    return (*(int(step) for step in steps if step < horizon), horizon)


def learns_amounts(kernel: Kernel | BatchKernel) -> bool:
    """Return whether a policy learns from what a conversion brought."""
    return isinstance(kernel, Kernel) and kernel.amounts


MOST_SHIFTS = 4
"""The changes of a market that have checkpoints of their own; one that changes more often drifts.
"""

SOONEST_STEP = 10
"""The first step after a change that is written down."""


def around_shifts(world: World, horizon: int, per_decade: int) -> tuple[int, ...]:
    """Return the steps at which a market changes, and steps after each change, so many in each
    decade.
    """
    shifts = [int(start) for start in world.starts[1:] if start < horizon]
    if world.cycle or len(shifts) > MOST_SHIFTS:
        return ()
    after = ((start, log_spaced_steps(horizon - start, per_decade)) for start in shifts)
    late = [start + step for start, steps in after for step in steps if step >= SOONEST_STEP]
    return (*shifts, *late)


REMARKED_SHARE = 0.9
"""Share of conversions below which a remark says how many are ever seen."""


def world_remarks(world: World, game: Game) -> Iterator[str]:
    """Yield remarks on this world, played so, one sentence each."""
    yield from _delay_remarks(world, game)
    steps = world.moments(game.horizon)
    never = [world.arms[arm] for arm in np.flatnonzero(steps @ world.present == 0)]
    if never:
        yield f"{', '.join(never)}: never on offer in the {game.horizon:,} steps that are played."
    if world.changes and world.starts[1] >= game.horizon:
        yield (
            f"The world stands still: it changes first at step {world.starts[1]:,} and "
            f"{game.horizon:,} are played."
        )
    worst = np.where(world.present[:, None, :], world.rewards, np.inf).min(axis=2)[steps > 0]
    best = world.best[steps > 0]
    if (best <= 0).all():
        yield "No arm earns anything: there is no share of the best to lose."
    elif np.allclose(best, worst):
        yield "All arms on offer are worth the same: no policy can lose anything."


def _delay_remarks(world: World, game: Game) -> Iterator[str]:
    """Yield a remark on outcomes that are learned too late, or not at all."""
    seen = seen_share(world)
    if seen < REMARKED_SHARE:
        yield (
            f"{100 * seen:.2g} % of conversions are ever seen: they come after {world.delay:g} "
            f"steps on average"
            f" (dataset.delay) and are waited for {world.window:,} (dataset.window); the others "
            f"count as refused."
        )
    if world.delay and world.window >= game.horizon:
        yield (
            f"No refusal is ever seen: it takes {world.window:,} steps (dataset.window) and "
            f"{game.horizon:,} are played."
        )
    if world.window and not world.delay:
        yield "dataset.window is not used: dataset.delay is 0, so all is seen at once."
    if game.horizon > 1 and game.batch == game.horizon:
        yield (
            f"Nothing is learned: the first outcomes are seen after a batch of {game.batch:,}, "
            f"with which the game ends."
        )


def seen_share(world: World) -> float:
    """Return the share of conversions that come within the window: a delay is geometric, 0 or more
    steps.
    """
    if not world.delay:
        return 1.0
    return float(1.0 - (world.delay / (1.0 + world.delay)) ** (world.window + 1))


def _by_policy(predictions: DataFrame, reasons: Callable[[DataFrame], Iterable[str]]) -> list[str]:
    """Return a remark for each reason that there is to remark on the games of a policy."""
    if predictions.is_empty():
        return []
    parts = predictions.partition_by("model", as_dict=True, maintain_order=True)
    return [f"{label}: {reason}." for (label,), part in parts.items() for reason in reasons(part)]
