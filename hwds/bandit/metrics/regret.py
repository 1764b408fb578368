"""The asymptotic constant of a bandit, and the metrics of a simulation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hwds.results.measure import Measure

UNIFORM = "bandit/uniform_play"
"""The policy that others are compared with: each arm as often as any other."""

CORRECTIONS = {
    "ipw": "its steps weighted by 1 / chance, unbiased",
    "aipw": "a guess corrected by its steps over their chances, unbiased",
    "aipw_weighted": "the same, its steps weighted by sqrt(chance): steadier, its bias fades",
}
"""The meaning of each correction of an arm's estimated value for the choice that made it."""


CHANCE = (
    "chance that the policy gave an arm at that step, by the share of replications that chose it then;"
    " of Thompson sampling, its posterior probability that the arm is the best"
)
"""The meaning of a propensity; the mean of choices is the mean probability that they were made with."""


def kl_bernoulli(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return the Kullback-Leibler divergence of Bernoulli(q) from Bernoulli(p), in nats; inf where q is 0 or 1 and p is not."""
    p, q = np.broadcast_arrays(np.asarray(p, float), np.asarray(q, float))
    with np.errstate(divide="ignore", invalid="ignore"):
        wins = np.where(p > 0, p * np.log(p / q), 0.0)
        losses = np.where(p < 1, (1 - p) * np.log((1 - p) / (1 - q)), 0.0)
    return np.where((q > 1) | (q < 0), np.inf, wins + losses)


def lai_robbins(values: np.ndarray, conversions: np.ndarray) -> float:
    """Return C of the asymptotic lower bound C ln T on the regret of a uniformly good policy (Lai and Robbins 1985).

    An arm of value v can only be taken for the best, of reward r*, if its conversion were r* / v; an arm with v <= r* cannot
    win whatever its conversion, so that it need not be tried (Graves and Lai 1997 for the general form). It is asymptotic:
    at any finite T the regret may lie far below.

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


def bandit_measures(unit: str) -> tuple[Measure, ...]:
    """Return the measures of a simulation; money is in `unit`."""
    each: dict[str, Any] = {"units": "replications"}
    earned = each | {"measured_in": unit}
    lost = f"expected {unit} lost by the end against the best arm of each moment and segment"
    main = Measure("pseudo_regret", meaning=lost, reference=UNIFORM, called="uniform play", **earned)
    return (
        main,
        replace(main.as_skill(), meaning="1 - pseudo_regret / what uniform play is expected to lose"),
        Measure("regret_share", meaning="pseudo_regret over what the best arms are expected to earn", beside="always", **each),
        Measure("pseudo_regret[fixed]", meaning=f"expected {unit} lost by the end against the best single arm", **earned),
        Measure(
            "realised_regret",
            meaning=f"{unit} that the best arms would have earned from the same customers, less what was earned",
            **earned,
        ),
        Measure("best_share", meaning="share of steps with the best single arm", better="high", beside="page", **each),
        Measure("best_probability", meaning="chance that the policy gave the best arm at that step", better="high", **each),
        Measure("difference", meaning="pseudo_regret less that of the rival, under the same customers", **earned),
        Measure(
            "delay_regret",
            meaning="pseudo_regret less that of the same policy where outcomes are seen at once, under the same customers",
            **earned,
        ),
        Measure("allocation", meaning="share of steps in which an arm was chosen", better="none", **each),
        Measure("propensity", meaning=CHANCE, better="none", **each),
        Measure(
            "arm_value[raw]", meaning=f"mean {unit} of an arm's own steps, biased by their choice", better="none", **earned
        ),
        *(
            Measure(f"arm_value[{name}]", meaning=f"mean {unit} of an arm by {how}", better="none", **earned)
            for name, how in CORRECTIONS.items()
        ),
    )
