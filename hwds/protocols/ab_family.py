"""All arms of a test at once: how often any of them is declared a winner where none is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hwds.context import Context
from hwds.metrics.ab_checks import Correction
from hwds.metrics.ab_looks import equal_looks
from hwds.metrics.ab_sample import Arm, Design, Rule
from hwds.models.ab.base import Comparison
from hwds.protocols.ab_simulation import Rate, at_looks, blocks, drawn, paths, places


def family_rates(
    model: Comparison,
    arms: Sequence[Arm],
    design: Design,
    looks: Sequence[int],
    replications: int,
    context: Context,
    correction: Correction,
) -> list[Rate]:
    """How often each rule of a model declares any arm a winner, of arms that are all as the control.

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
        held, *others = _paths(arms, block, max(looks), context)
        for rule, count in wins:
            at, looked = places(count, max(looks)), replace(design, fractions=equal_looks(count))
            own = [at_looks(path, at) for path in others]
            won = any_wins(model, rule, own, at_looks(held, at), looked, correction)[:size]
            wins[rule, count] += int(won.any(axis=-1).sum())
    return [Rate(rule, count, times, replications) for (rule, count), times in wins.items()]


def _paths(arms: Sequence[Arm], block: int, looks: int, context: Context) -> list[Arm]:
    """A block of simulated tests, the control first; each further arm has a stream of its own."""
    control, first, *further = arms
    own, held = paths(control, first, block, looks, context)
    luck = (context.stream("calibration", block, "arm", place) for place in range(2, len(arms)))
    return [held, own, *(drawn(control, float(arm.total.n), looks, each) for arm, each in zip(further, luck, strict=True))]


def any_wins(
    model: Comparison, rule: Rule, arms: Sequence[Arm], control: Arm, design: Design, correction: Correction
) -> np.ndarray:
    """Whether any arm wins at each look by the corrected p-values, of the shape of the moments.

    Of m p-values Holm rejects one where the least is at most alpha / m, Benjamini and Hochberg where k of them are at most
    k alpha / m for any k, no correction where the least is at most alpha.
    """
    m = len(arms)
    needed = {"holm": [(1, 1)], "bh": [(k, k) for k in range(1, m + 1)], "none": [(m, 1)]}[correction]
    found = []
    for part, least in needed:
        spent = replace(design, share=part / m)
        found.append(np.sum([model.winners(rule, own, control, spent) for own in arms], axis=0) >= least)
    return np.logical_or.reduce(found)
