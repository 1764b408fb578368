"""The rule: which arms may be charged, which of them seems best, and whether it is sure enough to change to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from hwds.pricing.contrasts import Contrasts, contrast_of
from hwds.pricing.evidence import ArmEvidence
from hwds.pricing.gain_risk import always_valid_risk, posterior_risk
from hwds.pricing.offers import Certainty, Offer
from hwds.statistics.arm_posteriors import probability_best

ADAPTED = 0.5, 1.25
"""A bandit starves arms that were unlucky, so that posteriors are too sure: where two arms earn the same, one in ten games of
Thompson sampling ends with a posterior risk of a twentieth. A risk of r is kept by asking for at most 0.5 r^1.25: measured at
r = .05 for Thompson sampling, KL-UCB, greedy and epsilon-greedy play, conversions of .02 to .5 and 1,000 to 100,000 customers,
and at .01 to .2 for Thompson sampling."""

HARD_GUARDS = ("absent", "ladder", "margin_floor", "largest_step")
"""The guards that hold whatever is known."""

NEAR = 1e-9
"""The relative difference within which two prices, shares of change or margins are the same."""


@dataclass(frozen=True, slots=True)
class PriceTerms:
    """The fields of the rule; see `PriceChoice`."""

    current: str | None
    confidence: float
    certainty: Certainty
    margin_floor: float | None
    largest_step: float | None
    ladder: tuple[float, ...]
    least_customers: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """The result of the rule.

    Attributes:
        change: Whether to charge the candidate.
        rule: What bound: a guard, `not_sure`, or `none`.
        excluded: The arms that each guard excludes.
        current: The arm in force.
        candidate: What seems best of the others that are left.
        compared: The current arm and all that the laws allow, those that few customers saw among them.
        risk: That the candidate does not earn more.
        risk_allowed: The most that it may be.
    """

    change: bool
    rule: str
    excluded: Mapping[str, tuple[str, ...]]
    current: ArmEvidence | None
    candidate: ArmEvidence | None
    compared: tuple[ArmEvidence, ...]
    risk: float | None = None
    risk_allowed: float | None = None


def apply_rule(arms: Sequence[ArmEvidence], terms: PriceTerms, contrasts: Contrasts = MappingProxyType({})) -> Judgement:
    """Return the judgement of the rule.

    Beyond the guards, the candidate must earn more than the current arm but for a risk of at most 1 - confidence, shared among
    all that the laws leave (Bonferroni), since the best-looking of them was picked. Without a current arm it must earn more
    than each of those. With the certainty `test` what an arm earns more, and the risk, which is corrected already, are those of
    the contrasts.

    Args:
        arms: What is known of each arm.
        terms: The rule.
        contrasts: What a test says of pairs of arms.
    """
    current = next((each for each in arms if each.arm == terms.current), None)
    excluded = guards(arms, terms)
    others = [each for each in arms if each is not current]
    candidates = [each for each in others if not any(each.arm in barred for barred in excluded.values())]
    allowed_arms = [each for each in arms if not any(each.arm in excluded.get(rule, ()) for rule in HARD_GUARDS)]
    compared = tuple(each for each in allowed_arms if each.posterior is not None)
    earned = _earned(arms, current, terms, contrasts)
    candidate = max(candidates, key=lambda each: earned[each.arm], default=None)
    bound = _bound(others, candidates, excluded, current, earned)
    if candidate is None:
        return Judgement(False, bound, excluded, current, None, compared)
    if current is not None and current.posterior is None:
        return Judgement(False, "no_estimate", excluded, current, candidate, compared)
    allowed = risk_allowed(terms, len(allowed_arms) - (current is not None))
    risk = _risk(candidate, current, compared, terms.certainty, contrasts)
    if current is not None and earned[candidate.arm] <= earned[current.arm]:
        return Judgement(False, bound, excluded, current, candidate, compared, risk, allowed)
    sure = risk <= allowed
    return Judgement(sure, bound if sure else "not_sure", excluded, current, candidate, compared, risk, allowed)


def risk_allowed(terms: PriceTerms, tries: int) -> float:
    """Return the most that the risk of a candidate may be, where so many could have been picked."""
    share = (1 - terms.confidence) / (1 if terms.certainty == "test" else max(tries, 1))
    factor, power = ADAPTED
    return factor * share**power if terms.certainty == "adaptive" else share


def guards(arms: Sequence[ArmEvidence], terms: PriceTerms) -> dict[str, tuple[str, ...]]:
    """Return the arms but the current one that each guard excludes, guards that exclude none left out."""
    now = next((each.offer.price for each in arms if each.arm == terms.current), None)
    rules: dict[str, Callable[[ArmEvidence], bool]] = {
        "absent": lambda each: each.offer.absent,
        "no_estimate": lambda each: each.posterior is None,
        "too_few": lambda each: each.customers < terms.least_customers,
        "ladder": lambda each: bool(terms.ladder) and not _on(each.offer, terms.ladder),
        "margin_floor": lambda each: below_floor(each.offer.margin, terms.margin_floor),
        "largest_step": lambda each: _beyond(each.offer.price, now, terms.largest_step),
    }
    by_guard = {
        name: tuple(each.arm for each in arms if each.arm != terms.current and out(each)) for name, out in rules.items()
    }
    return {name: excluded for name, excluded in by_guard.items() if excluded}


def _on(offer: Offer, ladder: Sequence[float]) -> bool:
    return offer.price is not None and bool(np.isclose(offer.price, ladder, rtol=NEAR, atol=0).any())


def below_floor(margin: float | None, floor: float | None) -> bool:
    """Return whether a margin is below the floor, where both are known."""
    return floor is not None and margin is not None and margin < floor - NEAR


def _beyond(price: float | None, now: float | None, step: float | None) -> bool:
    return step is not None and price is not None and bool(now) and abs(price / (now or 1.0) - 1) > step + NEAR


def _bound(
    others: Sequence[ArmEvidence],
    candidates: Sequence[ArmEvidence],
    excluded: Mapping[str, tuple[str, ...]],
    current: ArmEvidence | None,
    earned: Mapping[str, float],
) -> str:
    """Return the guard that excludes what seems best of all that was seen enough; `none` where nothing better was excluded."""
    unseen = {arm for rule in ("no_estimate", "too_few") for arm in excluded.get(rule, ())}
    favourite = max((each for each in others if each.arm not in unseen), key=lambda each: earned[each.arm], default=None)
    if favourite is None:
        return next(iter(excluded), "none")
    better = current is None or earned[favourite.arm] > earned[current.arm]
    if favourite in candidates or (candidates and not better):
        return "none"
    return next(rule for rule, arms in excluded.items() if favourite.arm in arms)


def _earned(
    arms: Sequence[ArmEvidence], current: ArmEvidence | None, terms: PriceTerms, contrasts: Contrasts
) -> dict[str, float]:
    """Return by arm what it seems to earn; of a test that compares it with the current arm, beyond what that one earns."""
    means = {each.arm: each.mean for each in arms}
    if terms.certainty != "test" or current is None:
        return means
    found = {arm: contrast_of(contrasts, arm, current.arm) for arm in means}
    return {arm: current.mean + contrast.gain if (contrast := found[arm]) is not None else mean for arm, mean in means.items()}


def _risk(
    candidate: ArmEvidence,
    current: ArmEvidence | None,
    compared: Sequence[ArmEvidence],
    certainty: Certainty,
    contrasts: Contrasts,
) -> float:
    """Return the probability that the candidate earns no more than the current arm, or than any other without one."""
    rivals = [current] if current is not None else [each for each in compared if each is not candidate]
    if not rivals:
        return 0.0
    if certainty == "test":
        found = [contrast_of(contrasts, candidate.arm, each.arm) for each in rivals]
        return max(1.0 if contrast is None else contrast.risk_of_loss for contrast in found)
    if certainty == "always_valid":
        counted = [each.counts for each in rivals if each.counts is not None]
        assert candidate.counts is not None
        assert len(counted) == len(rivals)
        return max(always_valid_risk(candidate.counts, counts) for counts in counted)
    posteriors = [each.posterior for each in (candidate, *rivals) if each.posterior is not None]
    return posterior_risk(*posteriors) if len(posteriors) == 2 else 1 - probability_best(posteriors)[0]
