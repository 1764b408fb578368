"""The scores of a bandit simulation: regret at every checkpoint and by the end, arms, segments, rivals, and the truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import erfc, sqrt

import numpy as np
import polars as pl

from hwds.frames.world import World
from hwds.metrics.aggregate import mean, median, one_minus_ratio, percentile, pooled, tail_mean
from hwds.metrics.bandit import lai_robbins
from hwds.protocols.bandit_rows import expected_by
from hwds.protocols.base import Score
from hwds.protocols.simulating import Game

NAMES = {"pseudo_regret": "pseudo_regret", "fixed_regret": "pseudo_regret[fixed]", "realised_regret": "realised_regret"}


def score_replications(rows: pl.DataFrame) -> list[Score]:
    """All scores of one policy; those without a step are by the end."""
    steps = rows["steps"][0].to_list()
    scores = [score for column, name in NAMES.items() for score in _regrets(rows[column].to_numpy(), name, steps)]
    shares = pooled(rows["pseudo_regret"].to_numpy()[:, -1], rows["oracle"].to_numpy()[:, -1])
    lost = rows["pseudo_regret"].to_numpy()[:, -1]
    skill = one_minus_ratio(lost, rows["uniform"].to_numpy())
    scores += [Score.of("regret_share", "mean", shares), Score.of("skill_pseudo_regret", "mean", skill)]
    return [*scores, *_arms(rows, steps), *_segments(rows)]


def _regrets(values: np.ndarray, name: str, steps: list[int]) -> Iterator[Score]:
    for place, step in enumerate(steps):
        for score in _spread(name, values[:, place]):
            yield replace(score, step=step)
    yield from _spread(name, values[:, -1])


def _spread(name: str, values: np.ndarray) -> Iterator[Score]:
    """Mean, median and tails over replications."""
    yield Score.of(name, "mean", mean(values))
    yield Score.of(name, "median", median(values))
    yield Score.of(name, "p95", percentile(values, 0.95))
    yield Score.of(name, "cvar95", tail_mean(values, 0.95))


def _arms(rows: pl.DataFrame, steps: list[int]) -> Iterator[Score]:
    """How often each arm was chosen, and what its own steps earned."""
    best = rows["best_arm"][0]
    for arm in rows["pulls"].struct.fields:
        pulls = rows["pulls"].struct.field(arm).to_numpy().astype(float)
        for place, step in enumerate(steps):
            share = mean(pulls[:, place] / step)
            yield replace(Score.of("allocation", "mean", share), step=step, segment_by="arm", segment=arm)
            if arm == best:
                yield replace(Score.of("best_share", "mean", share), step=step)
        if arm == best:
            yield Score.of("best_share", "mean", mean(pulls[:, -1] / steps[-1]))
        wins = rows["wins"].struct.field(arm).to_numpy() * rows["values"].struct.field(arm).to_numpy()
        with np.errstate(invalid="ignore"):
            own = wins / np.where(pulls[:, -1] > 0, pulls[:, -1], np.nan)
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
    """The difference of each model from every other, replication by replication, at every checkpoint and by the end."""
    for label, own in rows.items():
        for rival, theirs in rows.items():
            if rival == label:
                continue
            both = own.select("replication", "steps", "pseudo_regret").join(
                theirs.select("replication", pl.col("pseudo_regret").alias("other")), on="replication", maintain_order="left"
            )
            if both.is_empty():
                continue
            differences = both["pseudo_regret"].to_numpy() - both["other"].to_numpy()
            for place, step in [*enumerate(both["steps"][0].to_list()), (-1, None)]:
                score = Score.of("difference", "mean", mean(differences[:, place]))
                against = {"segment_by": "rival", "segment": rival, "step": step, "p_value": _p_value(score)}
                yield label, replace(score, **against)


def _p_value(score: Score) -> float | None:
    """Of no difference, two-sided, by the normal law."""
    if score.value is None or not score.stderr:
        return None
    return erfc(abs(score.value / score.stderr) / sqrt(2))


def bandit_facts(world: World, game: Game) -> list[Score]:
    """The truth of a world, whose arms are named in `segment`."""
    oracle, uniform = expected_by(world, game)
    arms = world.mean_conversions(game.horizon)
    facts = [
        Score("oracle_reward", "mean", float(oracle[-1]), n=1),
        Score("uniform_regret", "mean", uniform, n=1),
        Score("best_arm", None, None, segment_by="arm", segment=world.arms[world.fixed(game.horizon)], n=1),
    ]
    facts += [
        Score("arm_value[true]", "mean", None if np.isnan(value) else float(value), segment_by="arm", segment=arm, n=1)
        for arm, value in zip(world.arms, arms * world.values, strict=True)
    ]
    if len(world.segments) > 1:
        facts += [
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
    if not world.changes:
        facts += _asymptotes(world, game)
    return facts


def _asymptotes(world: World, game: Game) -> list[Score]:
    """C of Lai and Robbins, and C ln t at every checkpoint: for one segment, or one policy a segment."""
    constants = [lai_robbins(world.values, conversions) for conversions in world.conversions[0]]
    facts = [Score("lai_robbins", "mean", sum(constants), n=1)]
    for step in game.checkpoints:
        bound = sum(c * np.log(max(step * s, 1.0)) for c, s in zip(constants, world.shares, strict=True))
        facts.append(Score("lai_robbins_bound", "mean", float(bound), step=step, n=1))
    return facts
