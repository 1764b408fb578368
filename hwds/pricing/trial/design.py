"""The design of a price test: its arms, how they are randomised, and how well it measures an elasticity in which time."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt
from typing import Literal

import numpy as np

from hwds.pricing.optimum.guardrails import SLACK, Guardrails
from hwds.pricing.optimum.solve import allowed_prices

LENGTHS = 10
"""Lengths of a test that are tried."""

Randomised = Literal["switchback", "cluster"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialTerms:
    """The terms of a price test.

    Attributes:
        design: `switchback`: all customers of a cell have one price for a block of periods, drawn anew for each block.
            `cluster`: the customers of a cluster (a region, a store) have one price throughout.
        arms: How many prices, today's among them.
        block: Periods of a block; the first ones, which the block before still moves, are not read.
        washout: How many these are.
        clusters: How many clusters share the cell's customers.
        noise: The deviation of the log of a period's units beyond chance (Poisson).
        correlation: Of that noise between periods of a block, or of a cluster.
        longest: The most periods.
    """

    design: Randomised
    arms: int
    block: int
    washout: int
    clusters: int
    noise: float
    correlation: float
    longest: int


def arm_prices(today: float, low: float, high: float, count: int, rails: Guardrails) -> np.ndarray:
    """Return the prices of a test, rising: today's and others evenly spread in the log between two bounds, rounded.

    Args:
        today: Today's price.
        low: The lowest allowed one.
        high: The highest.
        count: How many; fewer where rounding leaves fewer.
        rails: Says which prices are allowed.
    """
    low, high = min(low, today), max(high, today)
    spread = np.exp(np.linspace(np.log(low), np.log(high), count))
    others = np.delete(spread, np.argmin(np.abs(np.log(spread / today))))
    if rails.ladder or rails.rounding is not None:
        steps = ((price, allowed_prices(rails, low, high, price)) for price in others)
        others = np.array([step[np.argmin(np.abs(step - price))] for price, step in steps if len(step)])
    apart = others[np.abs(others / today - 1) > SLACK] if len(others) else others
    return np.unique(np.append(apart, today))


def stderr_after(units: float, prices: np.ndarray, periods: int, terms: TrialTerms) -> float:
    """Return the standard error of an elasticity after some periods of a test; infinite where it is not identified.

    A period's log units vary by 1 / units + noise^2 around a line in log price, of which arms of equal share identify the
    slope: its variance is that over (n var log p). Periods with one noise count as fewer: a block of b as b / (1 + (b - 1) r)
    (Kish's design effect), and so do the periods of a cluster, which is read against the periods before the test.

    Args:
        units: Expected in a period, of all clusters together.
        prices: Of the arms.
        periods: Of the test.
        terms: The design.
    """
    spread = float(np.var(np.log(prices)))
    read, blocks = terms.block - terms.washout, periods // terms.block
    if not spread or not units or (terms.design == "switchback" and blocks < len(prices)):
        return inf
    if terms.design == "switchback":
        variance = (1 / units + terms.noise**2 * (1 + (read - 1) * terms.correlation)) / read / blocks
    else:
        own = terms.clusters / units + terms.noise**2 * (1 - terms.correlation)
        variance = (terms.noise**2 * terms.correlation + own / periods) / terms.clusters
    return sqrt(variance / spread)


def lengths(arms: int, terms: TrialTerms) -> list[int]:
    """Return the lengths of a test that are tried: whole blocks, each arm at least once, up to the longest."""
    block = terms.block if terms.design == "switchback" else 1
    shortest = block * arms if terms.design == "switchback" else 1
    if shortest > terms.longest:
        return []
    tried = np.geomspace(shortest, terms.longest, LENGTHS)
    return sorted({int(length // block) * block for length in tried} | {shortest})
