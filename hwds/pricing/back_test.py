"""The record of the rule where the truth is known: the same judgement of every replication of a simulation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwds.pricing.evidence import ArmEvidence
from hwds.pricing.rule import HARD_GUARDS, PriceTerms, apply_rule
from hwds.results.verdict import RuleRecord

MOST_REPLICATIONS = 2000
"""Replications that are judged at most: a second or two."""


def record_of(played: Sequence[Sequence[ArmEvidence]], truth: np.ndarray, terms: PriceTerms) -> RuleRecord | None:
    """Return what the rule did, and what that is truly worth.

    Args:
        played: The evidence of each replication.
        truth: What each arm truly earns per customer, shape (K,); NaN only where it is excluded as absent.
        terms: The rule.
    """
    if not played:
        return None
    arms = [arms_of_game.arm for arms_of_game in played[0]]
    worth = dict(zip(arms, truth.tolist(), strict=True))
    judgements = [apply_rule(arms_of_game, terms) for arms_of_game in played]
    static = {arm for rule in HARD_GUARDS for arm in judgements[0].excluded.get(rule, ())}
    best = max((arm for arm in arms if arm not in static), key=lambda arm: worth[arm], default=None)
    if best is None:
        return None
    benchmark = worth[best if terms.current is None else terms.current]
    changed = [worth[each.candidate.arm] for each in judgements if each.change and each.candidate is not None]
    right = sum(value > benchmark or (terms.current is None and value >= benchmark) for value in changed)
    holds = len(judgements) - len(changed)
    losses = worth[best] - np.array(changed + ([worth[terms.current]] * holds if terms.current is not None else []))
    return RuleRecord(
        replications=len(judgements),
        right=right / len(judgements),
        hold=holds / len(judgements),
        wrong=(len(changed) - right) / len(judgements),
        best_is_current=terms.current is not None and worth[terms.current] >= worth[best],
        regret=float(losses.mean()) if len(losses) else None,
        stderr=float(losses.std(ddof=1) / np.sqrt(len(losses))) if len(losses) > 1 else None,
    )
