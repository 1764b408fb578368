"""The exact expected regret of Thompson sampling and UCB1 on two arms, by dynamic programming over
what was seen.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

Policy = Literal["thompson", "ucb1"]


def expected_regret(
    policy: Policy, conversions: np.ndarray, horizon: int, values: np.ndarray | None = None
) -> np.ndarray:
    """Return the expected pseudo-regret after 1, 2, ... `horizon` steps, exact but for rounding.

    The state is the number of conversions and refusals of each arm; its probabilities are carried
    forward step by step.

    Args:
        policy: `thompson` with Beta(1, 1) on conversion x value; `ucb1` on reward over the highest
            value with sqrt(2 ln t / n), each arm once first, ties half and half.
        conversions: Of the two arms, shape (2,).
        horizon: Steps; work and memory grow with its fourth power.
        values: What a conversion of each earns, shape (2,); None for 1.

    Returns:
        Shape (horizon,), in the unit of the values.
    """
    values = np.ones(2) if values is None else np.asarray(values, float)
    chances = _Thompson(values, horizon) if policy == "thompson" else _Ucb1(values)
    gaps = (values * conversions).max() - values * conversions
    layer = {
        0: np.ones((1, 1))
    }  # by pulls of the first arm: probabilities by conversions of the first and the second
    regret = np.zeros(horizon)
    for step in range(horizon):
        after: dict[int, np.ndarray] = {}
        for pulls, mass in layer.items():
            other = step - pulls
            first = mass * chances(pulls, other)
            second = mass - first
            regret[step] += first.sum() * gaps[0] + second.sum() * gaps[1]
            _add(after, pulls + 1, _outcome(first, conversions[0], 0), (pulls + 2, other + 1))
            _add(after, pulls, _outcome(second, conversions[1], 1), (pulls + 1, other + 2))
        layer = after
    return np.cumsum(regret)


def _outcome(mass: np.ndarray, conversion: float, axis: int) -> np.ndarray:
    """Return the mass one step later: one more conversion along the axis, or one more refusal."""
    grown = np.zeros(tuple(n + (i == axis) for i, n in enumerate(mass.shape)))
    refused = tuple(slice(0, n) for n in mass.shape)
    converted = tuple(
        slice(1, n + 1) if i == axis else slice(0, n) for i, n in enumerate(mass.shape)
    )
    grown[refused] += (1 - conversion) * mass
    grown[converted] += conversion * mass
    return grown


def _add(
    layer: dict[int, np.ndarray], pulls: int, mass: np.ndarray, shape: tuple[int, int]
) -> None:
    assert mass.shape == shape
    layer[pulls] = layer[pulls] + mass if pulls in layer else mass


class _Thompson:
    """The chance that the first arm's draw is worth more, for every outcome of so many pulls.

    P(v0 X0 > v1 X1) is an integral of a polynomial, density of one times distribution of the other,
    so that Gauss-Legendre quadrature with enough nodes is exact.
    """

    def __init__(self, values: np.ndarray, horizon: int) -> None:
        nodes, weights = np.polynomial.legendre.leggauss(horizon + 4)
        top = (
            min(1.0, values[1] / values[0]) if values[0] > 0 else 1.0
        )  # above it the second arm cannot reach the first
        self.x, self.weights = top * (nodes + 1) / 2, top * weights / 2
        self.top, self.y = top, np.minimum(top * (nodes + 1) / 2 * values[0] / values[1], 1.0)

    def __call__(self, first: int, second: int) -> np.ndarray:
        """Return shape (first + 1, second + 1), by conversions of each."""
        from scipy.special import betainc
        from scipy.stats import beta

        wins, other = np.arange(first + 1)[:, None], np.arange(second + 1)[:, None]
        density = beta.pdf(self.x, wins + 1, first - wins + 1) * self.weights
        below = betainc(other + 1, second - other + 1, self.y)
        beyond = 1 - betainc(wins + 1, first - wins + 1, self.top) if self.top < 1 else 0.0
        return density @ below.T + beyond


class _Ucb1:
    """The chance that the first arm's index is the higher."""

    def __init__(self, values: np.ndarray) -> None:
        self.scaled = values / values.max()

    def __call__(self, first: int, second: int) -> np.ndarray:
        """Return shape (first + 1, second + 1)."""
        if not first or not second:
            chance = 0.5 if first == second else float(first == 0)
            return np.full((first + 1, second + 1), chance)
        width = 2 * np.log(first + second)
        mine = self.scaled[0] * np.arange(first + 1)[:, None] / first + np.sqrt(width / first)
        theirs = self.scaled[1] * np.arange(second + 1)[None] / second + np.sqrt(width / second)
        tied = np.isclose(mine, theirs, rtol=1e-13, atol=0)
        return np.where(tied, 0.5, mine > theirs)
