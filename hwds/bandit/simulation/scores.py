"""The rows of a bandit simulation and their scores: regret, arms, segments, rivals, the truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy import ndarray
from polars import DataFrame, Series, col

from hwds.bandit.simulation.loop import ESTIMATE_METHODS, ReplicationTally
from hwds.bandit.simulation.play import Game
from hwds.core.seeds import stream
from hwds.core.settings import read_beside
from hwds.evaluation.protocol import Score
from hwds.frames.world import World
from hwds.results.tables import Measure
from hwds.stats.effects import RESAMPLES, shared_resamples, unit_effects
from hwds.stats.estimates import (
    Estimate,
    difference_estimate,
    effect_estimate,
    one_minus_ratio,
    pooled_ratio,
    unit_mean,
    unit_share,
    unit_spread,
)

# The asymptotic constant of a bandit, and the metrics of a simulation.

BISECTIONS = 50
"""Halvings of the range in which the least number of tries is looked for."""


def kl_bernoulli(p: ndarray, q: ndarray) -> ndarray:
    """Return the Kullback-Leibler divergence of Bernoulli(q) from Bernoulli(p), in nats.

    Inf where q is 0 or 1 and p is not.
    """
    p, q = np.broadcast_arrays(np.asarray(p, float), np.asarray(q, float))
    with np.errstate(divide="ignore", invalid="ignore"):
        wins = np.where(p > 0, p * np.log(p / q), 0.0)
        losses = np.where(p < 1, (1 - p) * np.log((1 - p) / (1 - q)), 0.0)
    return np.where((q > 1) | (q < 0), np.inf, wins + losses)


def lai_robbins(values: ndarray, conversions: ndarray) -> float:
    """Return C of the asymptotic lower bound C ln T on the regret of a uniformly good policy (Lai
    and Robbins 1985).

    An arm of value v can only be taken for the best, of reward r*, if its conversion were r* / v;
    an arm with v <= r* cannot win whatever its conversion, so that it need not be tried (Graves and
    Lai 1997 for the general form). It is asymptotic: at any finite T the regret may lie far below.

    Args:
        values: What a conversion earns, shape (K,); ones for plain arms.
        conversions: Shape (K,).

    Returns:
        In the unit of the values.
    """
    rewards = values * conversions
    best = rewards.max()
    worse = (rewards < best) & (values > best)
    needed = kl_bernoulli(conversions[worse], best / values[worse])
    return float(np.sum((best - rewards[worse]) / needed))


def least_regret(values: ndarray, conversions: ndarray, horizon: float) -> float:
    """Return the least expected regret of a policy that finds an arm which is truly the best.

    Take a worse arm and a world in which it is as much better than the best as it is worse here. A
    policy that gives it at least half of the steps there, in half of the games, must try it n times
    here with n KL >= kl(2 n / T, 1/2), by the change of measure behind the bound of Lai and Robbins
    (Kaufmann, Cappe and Garivier 2016, lemma 1; Garivier, Menard and Stoltz 2019). It holds for
    every T. A policy that knows how arms hang together, or which one it likes, may lie below.

    Args:
        values: What a conversion earns, shape (K,).
        conversions: Shape (K,).
        horizon: T.

    Returns:
        In the unit of the values; 0 where no worse arm could be the best.
    """
    rewards = values * conversions
    gaps = rewards.max() - rewards
    turned = (rewards + 2 * gaps) / np.where(values > 0, values, np.inf)
    other = (gaps > 0) & (values > 0) & (turned < 1)
    apart = kl_bernoulli(conversions[other], turned[other])
    low, high = np.zeros(len(apart)), np.full(len(apart), horizon / 4)
    for _ in range(BISECTIONS):
        tried = (low + high) / 2
        enough = tried * apart >= kl_bernoulli(2 * tried / horizon, np.full(len(apart), 0.5))
        low, high = np.where(enough, low, tried), np.where(enough, tried, high)
    return float(gaps[other] @ low)


def bandit_measures(unit: str) -> tuple[Measure, ...]:
    """Return the metrics of a simulation in a unit of money, or in conversions."""
    rows = read_beside(__file__, "scores.yaml")
    main, *others = Measure.filled(rows, units="replications", unit=unit)
    skill = "1 - pseudo_regret / what uniform play is expected to lose"
    return main, replace(main.as_skill(), meaning=skill), *others


# The rows of a bandit simulation: one a replication, with what it was at every checkpoint.

MOST_KEPT = 100_000
"""Replications of each model that the predictions table keeps."""

REGRET_NAMES = ("pseudo_regret", "fixed_regret", "realised_regret")
COUNT_NAMES = ("wins", "closed", "closed_wins")


def tally_rows(tally: ReplicationTally, world: World, game: Game, first: int) -> DataFrame:
    """Return a tally as a table.

    Columns: `replication`; `steps`, `pseudo_regret`, `fixed_regret`, `realised_regret` and `oracle`
    (what the best arms are expected to earn), lists over the checkpoints; `chosen` and `ideal`, the
    number of the arm of that very step and whether none was better then, too; `pulls`, a list over
    the checkpoints for each arm; `wins`, `values` and `segment_regret`, a number for each arm or
    segment; `closed` and `closed_wins`, the pulls and wins of which nothing more was to come, where
    others are open at the end; `best_arm`, the best fixed one; `uniform`, what uniform play is
    expected to lose by the end.
    """
    n = len(tally.wrong)
    oracle, uniform = expected_by(world, game)
    regrets = zip(REGRET_NAMES, (tally.pseudo, tally.fixed, tally.realised), strict=True)
    counts = {"wins": tally.wins}
    if world.delay or game.horizon % game.batch:
        counts |= {"closed": tally.closed, "closed_wins": tally.closed_wins}
    by_arm = counts | {"values": np.broadcast_to(world.worth, (n, len(world.arms)))}
    columns = [
        Series("replication", np.arange(first, first + n)),
        _repeated_column("steps", np.array(game.checkpoints), n),
        *(_array_column(name, values) for name, values in regrets),
        _repeated_column("oracle", oracle, n),
        _array_column("chosen", tally.chosen),
        _array_column("ideal", tally.ideal.view(np.uint8)),
        DataFrame(
            [_array_column(arm, tally.pulls[:, :, i]) for i, arm in enumerate(world.arms)]
        ).to_struct("pulls"),
        *(_struct_column(name, world.arms, values) for name, values in by_arm.items()),
        _struct_column("segment_regret", world.segments, tally.by_segment),
        Series("best_arm", [world.arms[world.best_fixed_arm(game.horizon)]] * n),
        Series("uniform", np.full(n, uniform)),
    ]
    return DataFrame(columns)


def with_estimates(
    rows: DataFrame, estimates: ndarray, arms: tuple[str, ...], wanted: str
) -> DataFrame:
    """Return the rows with `value[method]` and `stderr[method]`, a number for each arm, of the
    methods that were asked for.
    """
    methods = {"none": (), "ipw": ESTIMATE_METHODS[:1], "aipw": ESTIMATE_METHODS}[wanted]
    return rows.with_columns(
        _struct_column(f"{kind}[{method}]", arms, estimates[:, place, :, part])
        for place, method in enumerate(methods)
        for part, kind in enumerate(("value", "stderr"))
    )


def expected_by(world: World, game: Game) -> tuple[ndarray, float]:
    """Return the expected reward of the best arms by each checkpoint, and the expected loss of
    uniform play by the last.
    """
    best = world.best @ world.shares
    offered = np.where(world.present[:, None, :], world.conversions * world.worth, 0.0)
    mean = offered.sum(axis=2) / world.present.sum(axis=1)[:, None]
    oracle = np.array([world.moments(step) @ best for step in game.checkpoints])
    return oracle, float(oracle[-1] - world.moments(game.horizon) @ (mean @ world.shares))


def stored_rows(rows: DataFrame) -> DataFrame:
    """Return the rows that the predictions table keeps: as each replication ended, `MOST_KEPT` of
    them at most.
    """
    ends = rows.head(MOST_KEPT)
    last = [col(name).arr.last() for name in REGRET_NAMES]
    arms = [
        col("pulls").struct.field(arm).arr.last().alias(f"pulls[{arm}]")
        for arm in ends["pulls"].struct.fields
    ]
    wins = [
        col(name).struct.field(arm).alias(f"{name}[{arm}]")
        for name in COUNT_NAMES
        if name in ends.columns
        for arm in ends[name].struct.fields
    ]
    keys = [name for name in ("model", "fold") if name in rows.columns]
    return ends.select(*keys, "replication", *last, col("oracle").arr.last(), *arms, *wins)


def seen_counts(row: Mapping[str, Any], arm: str) -> tuple[int, int]:
    """Return an arm's offers of which nothing more was to come and their conversions, of a row that
    `stored_rows` made.
    """
    pair = ("closed", "closed_wins") if f"closed[{arm}]" in row else ("pulls", "wins")
    offered, wins = (int(row[f"{name}[{arm}]"]) for name in pair)
    return offered, wins


def _array_column(name: str, values: ndarray) -> Series:
    return Series(name, np.ascontiguousarray(values))


def _repeated_column(name: str, values: ndarray, n: int) -> Series:
    return _array_column(name, np.broadcast_to(values, (n, len(values))))


def _struct_column(name: str, names: tuple[str, ...], values: ndarray) -> Series:
    """Return a number of each arm or segment, shape (n, K), as one column."""
    return DataFrame([Series(each, values[:, i]) for i, each in enumerate(names)]).to_struct(name)


# The scores of a bandit simulation: regret at every checkpoint and by the end, arms, segments,
# rivals, and the truth.

METRIC_NAMES = {
    "pseudo_regret": "pseudo_regret",
    "fixed_regret": "pseudo_regret[fixed]",
    "realised_regret": "realised_regret",
}


def score_replications(rows: DataFrame) -> list[Score]:
    """Return all scores of one policy; those without a step are by the end."""
    steps = rows["steps"][0].to_list()
    scores = [
        score
        for column, name in METRIC_NAMES.items()
        for score in _regret_scores(scores_by_step(rows[column]), name, steps)
    ]
    lost, ideal = rows["pseudo_regret"].arr.last().to_numpy(), rows["oracle"].arr.last().to_numpy()
    skill = one_minus_ratio(lost, rows["uniform"].to_numpy())
    totals = {"regret_share": pooled_ratio(lost, ideal), "skill_pseudo_regret": skill}
    if "at_once" in rows.columns:
        totals["delay_regret"] = unit_mean(lost - rows["at_once"].to_numpy())
    scores += [Score.of(name, "mean", estimate) for name, estimate in totals.items()]
    return [
        *scores,
        *_chance_scores(rows, steps),
        *_arm_scores(rows, steps),
        *_segment_scores(rows),
    ]


def scores_by_step(column: Series) -> ndarray:
    """Return a column of lists over C checkpoints, shape (C, n): each checkpoint's numbers lie side
    by side.
    """
    return np.ascontiguousarray(column.to_numpy().T)


def _regret_scores(values: ndarray, name: str, steps: list[int]) -> Iterator[Score]:
    for step, own in zip(steps, values, strict=True):
        scores = list(_spread(name, own))
        yield from (replace(score, step=step) for score in scores)
    yield from scores


def _spread(name: str, values: ndarray) -> Iterator[Score]:
    """Yield mean, median and tails over replications."""
    estimates = unit_spread(values, 0.95)
    for aggregate, kind in SPREAD.items():
        yield Score.of(name, aggregate, estimates[kind])


SPREAD = {"mean": "mean", "median": "median", "p95": "percentile", "cvar95": "tail_mean"}
"""The aggregates of a regret, each with the name of its estimate."""


def _chance_scores(rows: DataFrame, steps: list[int]) -> Iterator[Score]:
    """Yield the mean probability of each arm, and of the best one, at each checkpoint: the share of
    replications that chose it.

    A choice is 1 with the chance that the policy gave it, so that its mean over replications is the
    mean chance whatever the policy, and no policy need say a formula, which would cost more than
    the game.
    """
    arms = rows["pulls"].struct.fields
    for step, chosen in zip(steps, scores_by_step(rows["chosen"]), strict=True):
        counts = np.bincount(chosen, minlength=len(arms))
        for arm, count in zip(arms, counts.tolist(), strict=True):
            yield _score_of_arm(arm, "propensity", unit_share(count, len(rows)), step)
    for step, ideal in zip(steps, scores_by_step(rows["ideal"]), strict=True):
        score = Score.of("best_probability", "mean", unit_share(int(ideal.sum()), len(rows)))
        yield replace(score, step=step)
    yield score


def _arm_scores(rows: DataFrame, steps: list[int]) -> Iterator[Score]:
    """Yield how often each arm was chosen, and the mean reward of its own steps."""
    best = rows["best_arm"][0]
    for arm in rows["pulls"].struct.fields:
        pulls = scores_by_step(rows["pulls"].struct.field(arm)).astype(float)
        for step, own in zip(steps, pulls, strict=True):
            share = unit_mean(own / step)
            yield _score_of_arm(arm, "allocation", share, step)
            if arm == best:
                yield replace(Score.of("best_share", "mean", share), step=step)
        if arm == best:
            yield Score.of("best_share", "mean", share)
        wins, values = (rows[name].struct.field(arm).to_numpy() for name in ("wins", "values"))
        with np.errstate(invalid="ignore"):
            brought = wins * values / np.where(pulls[-1] > 0, pulls[-1], np.nan)
        yield _score_of_arm(arm, "arm_value[raw]", unit_mean(brought))
        for name in (name for name in rows.columns if name.startswith("value[")):
            corrected = unit_mean(rows[name].struct.field(arm).to_numpy())
            yield _score_of_arm(arm, f"arm_{name}", corrected)


def _score_of_arm(arm: str, metric: str, estimate: Estimate, step: int | None = None) -> Score:
    score = Score.of(metric, "mean", estimate)
    return replace(score, step=step, segment_by="arm", segment=arm)


def _segment_scores(rows: DataFrame) -> Iterator[Score]:
    names = rows["segment_regret"].struct.fields
    for name in names if len(names) > 1 else []:
        values = rows["segment_regret"].struct.field(name).to_numpy()
        score = Score.of("pseudo_regret", "mean", unit_mean(values))
        yield replace(score, segment_by="segment", segment=name)


def paired_differences(rows: Mapping[str, DataFrame]) -> Iterator[tuple[str, Score]]:
    """Yield the difference of each model from every other, replication by replication, at every
    checkpoint and by the end.
    """
    for label, own in rows.items():
        for rival, theirs in rows.items():
            if rival == label:
                continue
            regrets = _paired_regrets(own, theirs)
            if regrets.is_empty():
                continue
            scores = _differences(regrets["own"].to_numpy() - regrets["other"].to_numpy())
            steps = [*own["steps"][0].to_list(), None]
            for score, step in zip([*scores, scores[-1]], steps, strict=True):
                yield label, replace(score, segment_by="rival", segment=rival, step=step)


def _differences(values: ndarray) -> list[Score]:
    """Return the mean of each column over replications, by Student's t or the bootstrap.

    A comparison has the same law for the ratio of two regrets: where one is barely sure the other
    may not be.
    """
    if len(values) < 2:
        return [Score.of("difference", "mean", unit_mean(column)) for column in values.T]
    strata = [np.arange(len(values))]
    scores = []
    for effect in unit_effects(values, strata, _resamples(len(values))):
        method = effect.method.replace("units", "replications")
        estimate = difference_estimate(replace(effect_estimate(effect), method=method))
        score = Score.of("difference", "mean", estimate)
        scores.append(replace(score, p_value=effect.p_value))
    return scores


@lru_cache(maxsize=1)
def _resamples(n: int) -> ndarray | None:
    """Return the resamples in which a comparison of so many replications draws them.

    None where it draws none.
    """
    return shared_resamples([np.arange(n)], RESAMPLES, stream(0, "compare", "units"))


def _paired_regrets(own: DataFrame, theirs: DataFrame) -> DataFrame:
    """Return the regrets of two models in the replications that both have played."""
    first = own.select("replication", own=col("pseudo_regret"))
    second = theirs.select("replication", other=col("pseudo_regret"))
    if first["replication"].equals(second["replication"]):
        return first.with_columns(second["other"])
    return first.join(second, on="replication", maintain_order="left")


def world_scores(world: World, game: Game) -> list[Score]:
    """Return the truth of a world, whose arms are named in `segment`."""
    oracle, uniform = expected_by(world, game)
    best = world.arms[world.best_fixed_arm(game.horizon)]
    scores = [
        Score("oracle_reward", "mean", float(oracle[-1]), n=1),
        Score("uniform_regret", "mean", uniform, n=1),
        Score("best_arm", None, None, segment_by="arm", segment=best, n=1),
    ]
    earned = (world.mean_conversions(game.horizon) * world.worth).tolist()
    for arm, value in zip(world.arms, earned, strict=True):
        known = None if np.isnan(value) else value
        scores.append(Score("arm_value[true]", "mean", known, segment_by="arm", segment=arm, n=1))
    for name, rewards in zip(world.segments, world.rewards[0], strict=True):
        if len(world.segments) > 1:
            where, value = f"{name}: {world.arms[int(rewards.argmax())]}", float(rewards.max())
            score = Score("best_arm_value", "mean", value, segment=where, n=1)
            scores.append(replace(score, segment_by="segment"))
    if not world.changes and not world.brings_amounts:  # the bound is of conversions alone
        scores += _asymptote_scores(world, game)
    return scores


def _asymptote_scores(world: World, game: Game) -> list[Score]:
    """Return C of Lai and Robbins, and C ln t at every checkpoint: for one segment, or one policy a
    segment.
    """
    constants = [lai_robbins(world.values, conversions) for conversions in world.conversions[0]]
    scores = [Score("lai_robbins", "mean", sum(constants), n=1)]
    for step in game.checkpoints:
        bound = sum(
            c * np.log(max(step * s, 1.0)) for c, s in zip(constants, world.shares, strict=True)
        )
        scores.append(Score("lai_robbins_bound", "mean", float(bound), step=step, n=1))
    return scores
