"""The handover of a price test: the arms of `ab_plan`, and what a bandit believes before its first customer."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from hwds.frames.outcomes import arm_name

LEAST_COUNT = 0.01
"""The fewest conversions or refusals of a prior."""


def conversions_at(prices: np.ndarray, today: float, elasticities: np.ndarray, conversion: float) -> np.ndarray:
    """Return draws of the share of customers that buy at each price, at most all, shape (D, arms).

    Args:
        prices: Of the arms.
        today: At which `conversion` buy.
        elasticities: Draws, shape (D,).
        conversion: The share that buys today.
    """
    draws: np.ndarray = conversion * (prices / today) ** elasticities[:, None]
    return np.minimum(draws, 1 - 1e-6)


def beta_counts(draws: np.ndarray, customers: float) -> tuple[float, float]:
    """Return conversions and refusals of the Beta prior with the mean and the variance of some draws.

    Args:
        draws: Of a conversion.
        customers: The most that the two add up to, for draws say nothing of what customers of a test are otherwise.
    """
    mean, variance = float(draws.mean()), float(draws.var())
    weight = customers if variance == 0 else min(mean * (1 - mean) / variance - 1, customers)
    weight = max(weight, LEAST_COUNT)
    return max(weight * mean, LEAST_COUNT), max(weight * (1 - mean), LEAST_COUNT)


def plan_command(prices: Sequence[float], today: int, conversions: Sequence[float], unit: str) -> str:
    """Return the command that plans the test by customers: units, power and least effects, for conversion and revenue.

    Args:
        prices: Of the arms.
        today: Which of them is today's, the control.
        conversions: Expected, of the arms.
        unit: Of money; empty for none.
    """
    order = [today, *(place for place in range(len(prices)) if place != today)]
    first = ([values[place] for place in order] for values in (prices, conversions))
    arms = " ".join(f"dataset.{name}={_listed(values)}" for name, values in zip(("prices", "conversions"), first, strict=True))
    return f"python -m hwds +experiment=ab_plan {arms}{_currency(unit)}"


def bandit_command(
    prices: Sequence[float], conversions: Sequence[float], known: Sequence[tuple[float, float]], cost: float, unit: str
) -> str:
    """Return the command that rehearses a bandit on the arms, with what is believed of them as its prior.

    Args:
        prices: Of the arms.
        conversions: Expected, of the arms.
        known: Conversions and refusals of each arm's prior.
        cost: Of one unit.
        unit: Of money; empty for none.
    """
    named = ",".join(f"{arm_name(_short(price))}:{_listed(counts)}" for price, counts in zip(prices, known, strict=True))
    arms = f"dataset.prices={_listed(prices)} dataset.conversion={_listed(conversions)} dataset.cost={_short(cost):g}"
    return f'python -m hwds +experiment=price_bandit {arms}{_currency(unit)} "model.known={{{named}}}"'


def _currency(unit: str) -> str:
    return f" dataset.unit={unit}" if unit.isalpha() else ""


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _listed(values: Sequence[float]) -> str:
    return json.dumps([_short(value) for value in values], separators=(",", ":"))
