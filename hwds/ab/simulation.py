"""The same test many times over: how often each rule declares a winner, of one arm or of all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy import ndarray

from hwds.ab.intervals import Correction, equal_looks
from hwds.ab.models.base import Comparison
from hwds.ab.sample import Design, Rule, SampleArm, UnitMoments
from hwds.evaluation.protocol import RunContext

# The same test many times over without an effect, and with one: how often each rule declares a
# winner.

BLOCK_REPLICATIONS = 500
"""Replications drawn together: streams are named by block, so that asking for more changes none of
those that were there.
"""


@dataclass(frozen=True, slots=True)
class WinnerRate:
    """The rate at which a rule declared a winner.

    Attributes:
        rule: The rule.
        looks: The number of looks that it had.
        wins: The number of replications in which it declared one at any look.
        replications: The number of all replications.
    """

    rule: Rule
    looks: int
    wins: int
    replications: int

    @property
    def share(self) -> float:
        """Wins over replications."""
        return self.wins / self.replications

    @property
    def stderr(self) -> float:
        """The binomial standard error."""
        return float(np.sqrt(self.share * (1 - self.share) / self.replications))


def winner_rates(
    model: Comparison,
    arms: Sequence[SampleArm],
    design: Design,
    looks: Sequence[int],
    replications: int,
    context: RunContext,
    *,
    correction: Correction = "none",
    shift: float = 0.0,
) -> list[WinnerRate]:
    """Return how often each rule of a model declares any arm a winner, for several numbers of
    equally spaced looks at the same paths.

    Outcomes that are conversions are drawn as such; any others as normal increments with the
    control's moments, so that for these it is the rule that is tried and not the normality of their
    means. The arms share their control, so that their errors are correlated; the first of them has
    the same paths however many there are. A posterior has no p-values, and so no correction.

    Args:
        model: The comparison.
        arms: The control, whose moments all arms are given, and the others, for their numbers of
            units.
        design: The design of the test.
        looks: The numbers of looks, the last the most.
        replications: The number of replications of each.
        context: The context that names the streams.
        correction: The correction of the p-values of all arms at one look.
        shift: The effect that the first of the other arms is given.
    """
    wins = {(rule, count): 0 for count in looks for rule in model.rules_used()}
    for block, size in replication_blocks(replications):
        control, *others = _arm_paths(arms, block, max(looks), context, shift)
        for rule, count in wins:
            at = np.ceil(np.arange(1, count + 1) * max(looks) / count).astype(int) - 1
            looked = replace(design, fractions=equal_looks(count))
            at_look = [at_looks(path, at) for path in others]
            won = any_wins(model, rule, at_look, at_looks(control, at), looked, correction)[:size]
            wins[rule, count] += int(won.any(axis=-1).sum())
    return [WinnerRate(rule, count, times, replications) for (rule, count), times in wins.items()]


def _arm_paths(
    arms: Sequence[SampleArm], block: int, looks: int, context: RunContext, shift: float
) -> list[SampleArm]:
    """Return a block of simulated tests at equally spaced looks, the control first.

    Each arm beyond the first has a stream of its own.
    """
    control, first, *further = arms
    rng = context.stream("calibration", block)
    arm = draw_path(control, float(first.total.n), looks, rng, shift)
    paths = [draw_path(control, float(control.total.n), looks, rng), arm]
    for place, other in enumerate(further, 2):
        own = context.stream("calibration", block, "arm", place)
        paths.append(draw_path(control, float(other.total.n), looks, own))
    return paths


def replication_blocks(replications: int) -> Iterator[tuple[int, int]]:
    """Yield the number of each block and how many of its replications count: all are drawn."""
    for start in range(0, replications, BLOCK_REPLICATIONS):
        yield start // BLOCK_REPLICATIONS, min(BLOCK_REPLICATIONS, replications - start)


def draw_path(
    like: SampleArm, n: float, looks: int, rng: np.random.Generator, shift: float = 0.0
) -> SampleArm:
    """Return a block of simulated paths of an arm of n units: moments of shape (BLOCK, looks);
    their `n` has shape (looks,).
    """
    ends = np.maximum(np.round(n * np.array(equal_looks(looks))), 2)
    if as_counts(like):
        return replace(like, total=_conversion_path(like, ends, rng, shift))
    total = _normal_path(like.total, ends, rng, shift)
    if like.strata is None:
        return replace(like, total=total)
    own_ends = np.maximum(ends[:, None] * (like.strata.n / like.strata.n.sum()), 2)
    return replace(like, total=total, strata=_normal_path(like.strata, own_ends, rng, shift))


def as_counts(arm: SampleArm) -> bool:
    """Return whether an arm is drawn as binomial counts: conversions without covariates and
    strata.
    """
    mean = arm.total.mean
    if arm.price is None or mean.shape[-1] > 2 or arm.strata is not None:
        return False
    # the only input is then the indicator of conversion, not a covariate
    return len(mean) == 1 or bool(np.isclose(mean[0], mean[1] * arm.price))


def _conversion_path(
    like: SampleArm, ends: ndarray, rng: np.random.Generator, shift: float
) -> UnitMoments:
    """Return binomial counts, as moments of price x conversion (and of the conversion)."""
    price = like.price or 1.0
    share = float(np.clip((like.total.first + shift) / price, 0.0, 1.0))
    units = np.diff(ends, prepend=0).astype(np.int64)
    wins = rng.binomial(units, share, (BLOCK_REPLICATIONS, len(ends)))
    mean = wins.cumsum(axis=1) / ends
    scale = np.array([price, 1.0])[: len(like.total.mean)]
    variance = mean * (1 - mean) * ends / (ends - 1)
    return UnitMoments(
        ends, mean[..., None] * scale, variance[..., None, None] * np.outer(scale, scale)
    )


def _normal_path(
    like: UnitMoments, ends: ndarray, rng: np.random.Generator, shift: float
) -> UnitMoments:
    """Return sums of normal increments with the moments of an arm, whose covariances stay."""
    steps = np.sqrt(np.diff(ends, axis=0, prepend=0))[..., None]
    values, axes = np.linalg.eigh(like.cov)
    root = axes * np.sqrt(np.maximum(values, 0))[..., None, :]
    noise = rng.standard_normal((BLOCK_REPLICATIONS, *ends.shape, like.mean.shape[-1]))
    moved = np.einsum("...ij,...j->...i", root, noise) * steps
    mean = like.mean + moved.cumsum(axis=1) / ends[..., None]
    mean[..., 0] += shift
    return UnitMoments(ends, mean, np.broadcast_to(like.cov, (1, len(ends), *like.cov.shape)))


def at_looks(arm: SampleArm, looks: ndarray) -> SampleArm:
    """Return the arm at some of its looks."""

    def part(moments: UnitMoments) -> UnitMoments:
        return UnitMoments(moments.n[looks], moments.mean[:, looks], moments.cov[:, looks])

    return replace(
        arm, total=part(arm.total), strata=None if arm.strata is None else part(arm.strata)
    )


def any_wins(
    model: Comparison,
    rule: Rule,
    arms: Sequence[SampleArm],
    control: SampleArm,
    design: Design,
    correction: Correction,
) -> ndarray:
    """Return whether any arm wins at each look by the corrected p-values, in the shape of the
    moments.

    Of m p-values Holm rejects one where the least is at most alpha / m, Benjamini and Hochberg
    where k of them are at most k alpha / m for any k, no correction where the least is at most
    alpha.
    """
    m = len(arms)
    bh = [(k, k) for k in range(1, m + 1)]
    thresholds = {"holm": [(1, 1)], "bh": bh, "none": [(m, 1)]}[correction]
    won = []
    for part, least in thresholds:
        shared = replace(design, share=part / m)
        wins = [model.winners(rule, arm, control, shared) for arm in arms]
        won.append(np.sum(wins, axis=0) >= least)
    return np.logical_or.reduce(won)
