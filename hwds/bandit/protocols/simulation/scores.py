"""The scores of a bandit simulation: regret at every checkpoint and by the end, arms, segments, rivals, and the truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np
import polars as pl

from hwds.bandit.metrics.regret import lai_robbins
from hwds.bandit.protocols.simulation.play import Game
from hwds.bandit.protocols.simulation.rows import expected_by
from hwds.core.seeds import stream
from hwds.evaluation.base import Score
from hwds.frames.world import World
from hwds.statistics.aggregate import mean, of_difference, of_effect, one_minus_ratio, pooled, share, spread
from hwds.statistics.standard_errors import RESAMPLES, drawn, unit_effects

NAMES = {"pseudo_regret": "pseudo_regret", "fixed_regret": "pseudo_regret[fixed]", "realised_regret": "realised_regret"}


def score_replications(rows: pl.DataFrame) -> list[Score]:
    """Return all scores of one policy; those without a step are by the end."""
    steps = rows["steps"][0].to_list()
    scores = [score for column, name in NAMES.items() for score in _regrets(by_step(rows[column]), name, steps)]
    lost, ideal = rows["pseudo_regret"].arr.last().to_numpy(), rows["oracle"].arr.last().to_numpy()
    skill = one_minus_ratio(lost, rows["uniform"].to_numpy())
    scores += [
        Score.of("regret_share", "mean", pooled(lost, ideal)),
        Score.of("skill_pseudo_regret", "mean", skill),
    ]
    if "at_once" in rows.columns:
        scores.append(Score.of("delay_regret", "mean", mean(lost - rows["at_once"].to_numpy())))
    return [*scores, *_chances(rows, steps), *_arms(rows, steps), *_segments(rows)]


def by_step(column: pl.Series) -> np.ndarray:
    """Return a column of lists over C checkpoints, shape (C, n): each checkpoint's numbers lie side by side."""
    return np.ascontiguousarray(column.to_numpy().T)


def _regrets(values: np.ndarray, name: str, steps: list[int]) -> Iterator[Score]:
    for step, own in zip(steps, values, strict=True):
        scores = list(_spread(name, own))
        yield from (replace(score, step=step) for score in scores)
    yield from scores


def _spread(name: str, values: np.ndarray) -> Iterator[Score]:
    """Yield mean, median and tails over replications."""
    estimates = spread(values, 0.95)
    for aggregate, kind in (("mean", "mean"), ("median", "median"), ("p95", "percentile"), ("cvar95", "tail_mean")):
        yield Score.of(name, aggregate, estimates[kind])


def _chances(rows: pl.DataFrame, steps: list[int]) -> Iterator[Score]:
    """Yield the mean probability of each arm, and of the best one, at each checkpoint: the share of replications that chose it.

    A choice is 1 with the chance that the policy gave it, so that its mean over replications is the mean chance whatever
    the policy, and no policy need say a formula, which would cost more than the game.
    """
    arms = rows["pulls"].struct.fields
    for step, chosen in zip(steps, by_step(rows["chosen"]), strict=True):
        counts = np.bincount(chosen, minlength=len(arms))
        for arm, count in zip(arms, counts.tolist(), strict=True):
            yield replace(Score.of("propensity", "mean", share(count, len(rows))), step=step, segment_by="arm", segment=arm)
    for step, ideal in zip(steps, by_step(rows["ideal"]), strict=True):
        score = Score.of("best_probability", "mean", share(int(ideal.sum()), len(rows)))
        yield replace(score, step=step)
    yield score


def _arms(rows: pl.DataFrame, steps: list[int]) -> Iterator[Score]:
    """Yield how often each arm was chosen, and the mean reward of its own steps."""
    best = rows["best_arm"][0]
    for arm in rows["pulls"].struct.fields:
        pulls = by_step(rows["pulls"].struct.field(arm)).astype(float)
        shares = [Score.of("allocation", "mean", mean(own / step)) for step, own in zip(steps, pulls, strict=True)]
        for step, score in zip(steps, shares, strict=True):
            yield replace(score, step=step, segment_by="arm", segment=arm)
            if arm == best:
                yield replace(score, metric="best_share", step=step)
        if arm == best:
            yield replace(shares[-1], metric="best_share")
        wins = rows["wins"].struct.field(arm).to_numpy() * rows["values"].struct.field(arm).to_numpy()
        with np.errstate(invalid="ignore"):
            own = wins / np.where(pulls[-1] > 0, pulls[-1], np.nan)
        yield replace(Score.of("arm_value[raw]", "mean", mean(own)), segment_by="arm", segment=arm)
        for name in (name for name in rows.columns if name.startswith("value[")):
            corrected = mean(rows[name].struct.field(arm).to_numpy())
            yield replace(Score.of(f"arm_{name}", "mean", corrected), segment_by="arm", segment=arm)


def _segments(rows: pl.DataFrame) -> Iterator[Score]:
    names = rows["segment_regret"].struct.fields
    for name in names if len(names) > 1 else []:
        values = rows["segment_regret"].struct.field(name).to_numpy()
        yield replace(Score.of("pseudo_regret", "mean", mean(values)), segment_by="segment", segment=name)


def paired(rows: Mapping[str, pl.DataFrame]) -> Iterator[tuple[str, Score]]:
    """Yield the difference of each model from every other, replication by replication, at every checkpoint and by the end."""
    for label, own in rows.items():
        for rival, theirs in rows.items():
            if rival == label:
                continue
            regrets = _paired_regrets(own, theirs)
            if regrets.is_empty():
                continue
            scores = _differences(regrets["own"].to_numpy() - regrets["other"].to_numpy())
            for score, step in zip([*scores, scores[-1]], [*own["steps"][0].to_list(), None], strict=True):
                yield label, replace(score, segment_by="rival", segment=rival, step=step)


def _differences(values: np.ndarray) -> list[Score]:
    """Return the mean of each column over replications, by Student's t or the bootstrap.

    A comparison has the same law for the ratio of two regrets: where one is barely sure the other may not be.
    """
    if len(values) < 2:
        return [Score.of("difference", "mean", mean(column)) for column in values.T]
    strata = [np.arange(len(values))]
    effects = unit_effects(values, strata, _resamples(len(values)))
    estimates = [replace(of_effect(each), method=each.method.replace("units", "replications")) for each in effects]
    pairs = zip(estimates, effects, strict=True)
    return [replace(Score.of("difference", "mean", of_difference(each)), p_value=own.p_value) for each, own in pairs]


@lru_cache(maxsize=1)
def _resamples(n: int) -> np.ndarray | None:
    """Return the resamples in which a comparison of so many replications draws them; None where it draws none."""
    return drawn([np.arange(n)], RESAMPLES, stream(0, "compare", "units"))


def _paired_regrets(own: pl.DataFrame, theirs: pl.DataFrame) -> pl.DataFrame:
    """Return the regrets of two models in the replications that both have played."""
    first = own.select("replication", own=pl.col("pseudo_regret"))
    second = theirs.select("replication", other=pl.col("pseudo_regret"))
    if first["replication"].equals(second["replication"]):
        return first.with_columns(second["other"])
    return first.join(second, on="replication", maintain_order="left")


def world_scores(world: World, game: Game) -> list[Score]:
    """Return the truth of a world, whose arms are named in `segment`."""
    oracle, uniform = expected_by(world, game)
    arms = world.mean_conversions(game.horizon)
    scores = [
        Score("oracle_reward", "mean", float(oracle[-1]), n=1),
        Score("uniform_regret", "mean", uniform, n=1),
        Score("best_arm", None, None, segment_by="arm", segment=world.arms[world.fixed(game.horizon)], n=1),
    ]
    scores += [
        Score("arm_value[true]", "mean", None if np.isnan(value) else float(value), segment_by="arm", segment=arm, n=1)
        for arm, value in zip(world.arms, arms * world.worth, strict=True)
    ]
    if len(world.segments) > 1:
        scores += [
            Score(
                "best_arm_value",
                "mean",
                float(world.rewards[0, i].max()),
                segment_by="segment",
                segment=f"{name}: {world.arms[int(world.rewards[0, i].argmax())]}",
                n=1,
            )
            for i, name in enumerate(world.segments)
        ]
    if not world.changes and not world.brings_amounts:  # the bound is of conversions alone
        scores += _asymptotes(world, game)
    return scores


def _asymptotes(world: World, game: Game) -> list[Score]:
    """Return C of Lai and Robbins, and C ln t at every checkpoint: for one segment, or one policy a segment."""
    constants = [lai_robbins(world.values, conversions) for conversions in world.conversions[0]]
    scores = [Score("lai_robbins", "mean", sum(constants), n=1)]
    for step in game.checkpoints:
        bound = sum(c * np.log(max(step * s, 1.0)) for c, s in zip(constants, world.shares, strict=True))
        scores.append(Score("lai_robbins_bound", "mean", float(bound), step=step, n=1))
    return scores
