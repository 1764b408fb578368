"""Bandit simulation: play policies in a world whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Le

from hwds.bandit.family import SIMULATION
from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import Arms, Array, BatchKernel, Kernel, rehearse
from hwds.bandit.simulation.loop import ReplicationTally
from hwds.bandit.simulation.play import Game, play_batches, play_compiled, try_policy
from hwds.bandit.simulation.scores import (
    bandit_measures,
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
from hwds.core.seeds import stream
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

# Worlds for the canary of a simulation: other ones from a step on, twins that no policy can
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
    rubbish = rng.random(conversions.shape[1:])[None]
    return replace(
        world,
        starts=np.append(starts[before], step),
        conversions=np.concatenate([conversions, rubbish]),
        present=np.concatenate([present, np.ones((1, len(world.arms)), bool)]),
        cycle=0,
    )


def unknown_world(world: World, rng: np.random.Generator) -> World:
    """Return the world with other conversions from step 0 on: before anything was seen of it, it is
    the same.
    """
    return replace(world, conversions=rng.random(world.conversions.shape))


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
    even = np.where(
        earns,
        CHEAPEST_CONVERSION * cheapest / np.where(earns, world.worth, 1.0),
        CHEAPEST_CONVERSION,
    )
    rank = np.arange(len(world.values))
    one, other = (
        replace(
            world,
            conversions=np.broadcast_to(
                even * (1 + EQUAL_WORLDS_GAP * order), world.conversions.shape
            ).copy(),
        )
        for order in (rank, rank[::-1])
    )
    return one, other


def too_low_regret(realised: Array, pseudo: Array) -> Iterator[str]:
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


# The evidence of a simulated bandit for a choice of price: counts of each replication, and the
# truth of the world.


def world_offers(world: World, horizon: int) -> PriceOffers:
    """Return the arms of a world.

    Those that the last step does not offer are absent, those of conversions alone have no price.

    Args:
        world: Of the simulation.
        horizon: Steps that are played.

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
    if world.unit == CONVERSIONS:
        arms = tuple(Offer(arm, absent=gone) for arm, gone in zip(world.arms, absent, strict=True))
    else:
        costs = (world.prices - world.values).tolist()
        arms = tuple(
            Offer(*each)
            for each in zip(world.arms, world.prices.tolist(), costs, absent, strict=True)
        )
    return PriceOffers(arms, "conversions", world.unit, "adaptive")


def replication_evidence(
    tables: Tables, world: World, model: str, horizon: int, most: int
) -> EvidenceTable:
    """Return what was seen of every arm by the end of each of a policy's first replications.

    See `PriceEvidence`.

    Args:
        tables: Of the run.
        world: What was played.
        model: The policy.
        horizon: Steps that were played.
        most: Replications at most.
    """
    note = ""
    if len(world.segments) > 1:
        pooled = f"Counts are pooled over {len(world.segments)} segments"
        note = f"{pooled}: they compare arms only if the policy offers them to all alike."
    return EvidenceTable(
        _evidence_rows(tables.predictions, world, model, most),
        true_conversions(world, horizon),
        note,
    )


def true_conversions(world: World, horizon: int) -> Array:
    """Return the share of customers whom each arm truly wins at the steps that offer it, shape
    (K,); NaN if none does.

    Args:
        world: Of the simulation.
        horizon: Steps that are played.
    """
    offered = world.moments(horizon)[:, None] * world.present
    steps = offered.sum(axis=0)
    lasts = np.divide(offered, steps, out=np.full(offered.shape, np.nan), where=steps > 0)
    return np.asarray(np.einsum("mk,s,msk->k", lasts, world.shares, world.conversions))


def _evidence_rows(predictions: pl.DataFrame, world: World, model: str, most: int) -> pl.DataFrame:
    if "replication" not in predictions.columns:
        return pl.DataFrame(schema=EVIDENCE)
    own = predictions.filter(pl.col("model") == model).sort("replication").head(most)
    rows = [
        (row["replication"], arm, offered, wins, offered - wins, None, None, "conversions")
        for row in own.to_dicts()
        for arm in world.arms
        for offered, wins in (seen_counts(row, arm),)
    ]
    return pl.DataFrame(rows, schema=EVIDENCE, orient="row")


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
    """A moment of the game: what the canary asks at."""

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
    that very step: of any policy an unbiased estimate of the mean chance that it gives the arm
    (Thompson sampling: of its posterior probability to be the best), without a formula, which would
    cost more than the game; `best_probability` is the same of the arm that is the best for the
    customer then. Where outcomes come late each game is played again with the same customers and
    without the delay: `delay_regret` is what the delay costs.

    Attributes:
        horizon: Steps of a replication, one customer each; null takes the world's own.
        replications: The number of times the game is played.
        batch: Customers between two updates of the policy; null takes the world's own.
        checkpoints: Moments a decade at which the game is written down (1, 2, 5, 10, ... for 3);
            the last step always is. Where a market changes a few times at most, each change is,
            too, and so many moments a decade after it.
        estimates: Corrections of what each arm seems to earn after it was chosen for what it seemed
            to earn: `none`; `ipw`, chances are kept at every step and `arm_value[ipw]` stands
            beside `arm_value[raw]`; `aipw`, the augmented ones stand there, too. A tenth of a
            microsecond a step more for two Thompson arms of one value, some five to thirty an arm
            for others; a policy that leaves an arm no chance (`greedy`, `ucb1`) or has no formula
            for its chances has none.
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
        steps = tuple(
            sorted(
                {
                    *log_spaced_steps(horizon, self.checkpoints),
                    *around_shifts(world, horizon, self.checkpoints),
                }
            )
        )
        return Game(horizon, self.batch or world.batch, steps, self.estimates != "none")

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
        compiled = model.kernel(world_arms(frame, self.game(frame))).compiled
        wanted = (STEPS_IN_CELL if compiled else BATCHED_STEPS_IN_CELL) / self.game(frame).horizon
        return 10 ** int(np.clip(np.floor(np.log10(max(wanted, 1))), 0, 5))

    def warm_up(self, model: Policy, frame: World) -> None:
        """Compile the policy into the simulator, or read what was compiled before."""
        game = self.game(frame)
        kernel = model.kernel(world_arms(frame, game))
        if not isinstance(kernel, BatchKernel):
            play_compiled(kernel, frame, game, 0, 0, 0)

    def try_model(self, model: Policy, frame: World, fold: Fold, context: RunContext) -> None:
        """Play two toy games without compiling."""
        try_policy(model, world_arms(frame, self.game(frame)))

    def try_features(self, features: Any, frame: Any) -> None:
        """Do nothing: policies read no features."""

    def evaluate_cell(
        self, model: Policy, frame: World, cell: Cell, context: RunContext
    ) -> pl.DataFrame:
        """Play the replications of a cell."""
        game = self.game(frame)
        kernel = model.kernel(world_arms(frame, game))
        key = world_key(context)
        tally = _cell_tally(kernel, frame, game, key, cell, context.cpus)
        rows = with_estimates(
            tally_rows(tally, frame, game, cell.start), tally.estimates, frame.arms, self.estimates
        )
        if not frame.delay:
            return rows
        at_once = _cell_tally(
            kernel, replace(frame, delay=0.0, window=0), game, key, cell, context.cpus
        )
        return rows.with_columns(pl.Series("at_once", at_once.pseudo[:, -1]))

    def score(self, rows: pl.DataFrame) -> list[Score]:
        """Return regrets at every checkpoint and by the end, allocation, arms and segments."""
        return score_replications(rows)

    def contrasts(self, rows: Mapping[str, pl.DataFrame]) -> Iterator[tuple[str, Score]]:
        """Yield the paired difference of every model from each of its rivals."""
        return paired_differences(rows)

    def oracle_scores(self, frame: World) -> list[Score]:
        """Return the best arms, the asymptotic constants, what the oracle and uniform play earn."""
        return world_scores(frame, self.game(frame))

    def rows_to_keep(self, rows: pl.DataFrame) -> pl.DataFrame:
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

    def predictions_at(
        self, rows: pl.DataFrame, cutoff: SimulationStep, frame: World
    ) -> pl.DataFrame:
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
        return pl.DataFrame([rows["replication"], *early])

    def twins(self, frame: World, fold: Fold, rows: pl.DataFrame) -> Iterator[Twin]:
        """Yield the last replications alone; another world, before anything is seen of it.

        And two worlds of equal arms.
        """
        first, last = (
            (0, min(TWIN_REPLICATIONS, fold.units)),
            (max(fold.units - TWIN_REPLICATIONS, 0), fold.units),
        )

        def chosen(steps: int, part: tuple[int, int]) -> Callable[[pl.DataFrame], pl.DataFrame]:
            inside = pl.col("replication").is_between(*part, closed="left")
            return lambda rows: self.predictions_at(
                rows.filter(inside), SimulationStep(steps), frame
            )

        steps, other = (
            self.game(frame).horizon,
            unknown_world(frame, stream(0, "canary", "unknown world")),
        )
        yield Twin(
            STATE_LEAK,
            f"replications from {last[0]:,}",
            ALONE_LEAK,
            frame,
            frame,
            chosen(steps, last),
            last,
        )
        yield Twin(TWIN_LEAK, "step 0", TRUTH_LEAK, frame, other, chosen(1, first), first)
        pair = equal_worlds(frame)
        if pair:
            yield Twin(
                TWIN_LEAK,
                f"steps 1 to {steps:,}",
                EQUAL_ARMS_LEAK,
                *pair,
                chosen(steps, first),
                first,
            )

    def implausible(self, rows: pl.DataFrame) -> Iterator[str]:
        """Yield a sentence where the realised regret lies far below the pseudo regret."""
        yield from too_low_regret(
            *(rows[name].arr.last().to_numpy() for name in ("realised_regret", "pseudo_regret"))
        )

    def warnings_before(self, frame: World, models: Mapping[str, Policy]) -> list[str]:
        """Return remarks on outcomes that come too late or never, on amounts, and on worlds that
        never change.
        """
        game = self.game(frame)
        remarks = list(world_remarks(frame, game))
        priced = [
            label
            for label, model in models.items()
            if not learns_amounts(model.kernel(world_arms(frame, game)))
        ]
        if frame.brings_amounts and priced:
            fixed = (
                "takes each purchase for the arm's value; model=bandit/basket_thompson learns "
                "what purchases bring"
            )
            remarks.append(f"{', '.join(priced)}: {fixed}.")
        blind = [
            label
            for label, model in models.items()
            if not waits_count(model.kernel(world_arms(frame, game)))
        ]
        if frame.delay and blind:
            late = (
                "learns what has come, conversions first; model=bandit/delayed_thompson counts "
                "offers that wait"
            )
            remarks.append(f"{', '.join(blind)}: {late}.")
        return remarks

    def warnings_after(self, folds: Sequence[Fold], predictions: pl.DataFrame) -> list[str]:
        """Return a remark on each policy that earned far more than its arms are expected to
        earn.
        """
        regrets = ("realised_regret", "pseudo_regret")
        if predictions.is_empty():
            return []
        return [
            f"{label}: {reason}."
            for (label,), part in predictions.partition_by(
                "model", as_dict=True, maintain_order=True
            ).items()
            for reason in too_low_regret(*(part[name].to_numpy() for name in regrets))
        ]

    def check_models(self, models: Mapping[str, Policy], frame: World) -> None:
        """Refuse a policy that cannot play these arms, whose functions fail, or that learns nothing
        before the game ends.
        """
        check_batch(self.game(frame), self.batch is not None)
        arms = world_arms(frame, self.game(frame))
        for label, model in models.items():
            rehearse(label, model.kernel(arms), arms)

    def check_names(self) -> None:
        """Refuse a headline that orders no policies."""
        if self.headline not in ("pseudo_regret", "realised_regret", "regret_share"):
            raise ConfigError(
                f"protocol.headline: must be pseudo_regret, realised_regret or regret_share, got "
                f"'{self.headline}'."
            )


def _cell_tally(
    kernel: Kernel | BatchKernel, world: World, game: Game, key: int, cell: Cell, cpus: int
) -> ReplicationTally:
    """Return the tally of the replications of a cell."""
    if isinstance(kernel, BatchKernel):
        return play_batches(kernel, world, game, key, cell.start, cell.stop)
    return play_compiled(kernel, world, game, key, cell.start, cell.stop, cpus)


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
    """Return the name of the world's draws: the experiment's seed alone."""
    return context.seed_for("customers")


def log_spaced_steps(horizon: int, per_decade: int) -> tuple[int, ...]:
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
    after = [
        start + step
        for start in shifts
        for step in log_spaced_steps(horizon - start, per_decade)
        if step >= SOONEST_STEP
    ]
    return (*shifts, *after)


REMARKED_SHARE = 0.9
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
        path, instead = (
            ("protocol.batch", "") if own else ("dataset.batch", "; protocol.batch replaces it")
        )
        raise ConfigError(
            f"{path}: must be <= the {game.horizon:,} steps that are played, got "
            f"{game.batch}{instead}."
        )


def world_remarks(world: World, game: Game) -> Iterator[str]:
    """Yield remarks on this world, played so, one sentence each."""
    yield from _delay_remarks(world, game)
    steps = world.moments(game.horizon)
    never = [
        arm for arm, there in zip(world.arms, (steps @ world.present), strict=True) if not there
    ]
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
