"""The rate of false winners among all arms of a test at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hwds.ab.metrics.checks import Correction
from hwds.ab.metrics.looks import equal_looks
from hwds.ab.metrics.sample import Arm, Design, Rule
from hwds.ab.models.base import Comparison
from hwds.ab.protocols.analysis.simulation import Rate, at_looks, blocks, drawn, paths, places
from hwds.evaluation.context import RunContext


def family_rates(
    model: Comparison,
    arms: Sequence[Arm],
    design: Design,
    looks: Sequence[int],
    replications: int,
    context: RunContext,
    correction: Correction,
) -> list[Rate]:
    """Return how often each rule of a model declares any arm a winner, where all arms are as the control.

    The arms share their control, so that their errors are correlated; the first of them has the paths of
    `ab_simulation.rates`. A posterior has no p-values, and so no correction.

    Args:
        model: The comparison.
        arms: The control, whose moments all are given, and the others, for their numbers of units.
        design: Of the test.
        looks: Numbers of looks, the last the most.
        replications: Of each.
        context: Names the streams.
        correction: Of the p-values of all arms at one look.
    """
    wins = {(rule, count): 0 for count in looks for rule in model.rules_used()}
    for block, size in blocks(replications):
        control, *others = _paths(arms, block, max(looks), context)
        for rule, count in wins:
            at, looked = places(count, max(looks)), replace(design, fractions=equal_looks(count))
            at_look = [at_looks(path, at) for path in others]
            won = any_wins(model, rule, at_look, at_looks(control, at), looked, correction)[:size]
            wins[rule, count] += int(won.any(axis=-1).sum())
    return [Rate(rule, count, times, replications) for (rule, count), times in wins.items()]


def _paths(arms: Sequence[Arm], block: int, looks: int, context: RunContext) -> list[Arm]:
    """Return a block of simulated tests, the control first; each further arm has a stream of its own."""
    control, first, *further = arms
    arm, simulated_control = paths(control, first, block, looks, context)
    streams = (context.stream("calibration", block, "arm", place) for place in range(2, len(arms)))
    return [
        simulated_control,
        arm,
        *(drawn(control, float(arm.total.n), looks, each) for arm, each in zip(further, streams, strict=True)),
    ]


def any_wins(
    model: Comparison, rule: Rule, arms: Sequence[Arm], control: Arm, design: Design, correction: Correction
) -> np.ndarray:
    """Return whether any arm wins at each look by the corrected p-values, in the shape of the moments.

    Of m p-values Holm rejects one where the least is at most alpha / m, Benjamini and Hochberg where k of them are at most
    k alpha / m for any k, no correction where the least is at most alpha.
    """
    m = len(arms)
    thresholds = {"holm": [(1, 1)], "bh": [(k, k) for k in range(1, m + 1)], "none": [(m, 1)]}[correction]
    by_threshold = []
    for part, least in thresholds:
        shared = replace(design, share=part / m)
        by_threshold.append(np.sum([model.winners(rule, arm, control, shared) for arm in arms], axis=0) >= least)
    return np.logical_or.reduce(by_threshold)
