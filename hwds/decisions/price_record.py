"""How the rule fares where the truth is known: the same judgement of every replication of a simulation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hwds.decisions.price_evidence import Known
from hwds.decisions.price_offers import Offers
from hwds.decisions.price_rule import LAWS, Terms, judge
from hwds.frames.world import World
from hwds.results.verdict import RuleRecord

MOST_JUDGED = 2000
"""Replications that are judged at most: a second or two."""


def record_of(played: Sequence[Sequence[Known]], truth: np.ndarray, terms: Terms) -> RuleRecord | None:
    """What the rule did, and what that is truly worth.

    Args:
        played: The evidence of each replication.
        truth: What each arm truly earns per customer, shape (K,); NaN only where it is excluded as absent.
        terms: The rule.
    """
    if not played:
        return None
    arms = [known.arm for known in played[0]]
    worth = dict(zip(arms, truth.tolist(), strict=True))
    judged = [judge(known, terms) for known in played]
    static = {arm for rule in LAWS for arm in judged[0].excluded.get(rule, ())}
    best = max((arm for arm in arms if arm not in static), key=lambda arm: worth[arm], default=None)
    if best is None:
        return None
    held_to = worth[best if terms.current is None else terms.current]
    changed = [worth[each.candidate.arm] for each in judged if each.change and each.candidate is not None]
    right = sum(value > held_to or (terms.current is None and value >= held_to) for value in changed)
    held = len(judged) - len(changed)
    lost = worth[best] - np.array(changed + ([worth[terms.current]] * held if terms.current is not None else []))
    return RuleRecord(
        replications=len(judged),
        right=right / len(judged),
        hold=held / len(judged),
        wrong=(len(changed) - right) / len(judged),
        best_is_current=terms.current is not None and worth[terms.current] >= worth[best],
        regret=float(lost.mean()) if len(lost) else None,
        stderr=float(lost.std(ddof=1) / np.sqrt(len(lost))) if len(lost) > 1 else None,
    )


def true_values(world: World, offers: Offers, protocol: Any) -> np.ndarray:
    """What each arm truly earns per customer, over the steps at which it could be offered, shape (K,); NaN if at none."""
    offered = world.moments(protocol.game(world).horizon)[:, None] * world.present
    steps = offered.sum(axis=0)
    lasts = np.divide(offered, steps, out=np.full(offered.shape, np.nan), where=steps > 0)
    earns = np.array([offer.earns(offers.measured) for offer in offers.all])
    return np.asarray(np.einsum("mk,s,msk->k", lasts, world.shares, world.conversions) * earns)
