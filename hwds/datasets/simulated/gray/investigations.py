"""Investigations: a random stream of reviews, today's rule, what they find and after which delay."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

DELAY_SPREAD, LEAST_DELAY, MOST_DELAY = 0.35, 1.0, 60.0
"""The scale and the bounds of the log-logistic delay of a finding, in days."""


class Investigators(NamedTuple):
    """The ways in which lines are investigated.

    Attributes:
        review_chance: Of any line, whatever it is, in the random stream.
        rule_quantity: From how many units on today's rule asks for a look.
        rule_share: The share of those lines that somebody has the time to look at; nobody writes it down.
        missed: The share of gray lines that are looked at and found innocent; no honest line is found gray.
        delay: The median of days from a line's arrival to the finding.
    """

    review_chance: float
    rule_quantity: int
    rule_share: float
    missed: float
    delay: float


class Findings(NamedTuple):
    """The outcome of each line's investigation.

    Attributes:
        chance: That of the random stream, NaN for lines that it did not choose.
        label: 1 and 0, NaN for lines that nobody looked at.
        days: From a line's arrival to the finding.
    """

    chance: np.ndarray
    label: np.ndarray
    days: np.ndarray


def findings(by: Investigators, quantity: np.ndarray, gray: bool, uniforms: np.ndarray) -> Findings:
    """Look at lines.

    Args:
        by: How.
        quantity: Units of each line, any shape.
        gray: Whether these are lines of rings.
        uniforms: Uniform, one more axis of four.
    """
    random = uniforms[..., 0] < by.review_chance
    ruled = (quantity >= by.rule_quantity) & (uniforms[..., 1] < by.rule_share)
    confirmed = (uniforms[..., 2] >= by.missed).astype(float) if gray else np.zeros(quantity.shape)
    odds = np.clip(uniforms[..., 3], 1e-9, 1 - 1e-9)
    days = by.delay * (odds / (1 - odds)) ** DELAY_SPREAD
    return Findings(
        chance=np.where(random, by.review_chance, np.nan),
        label=np.where(random | ruled, confirmed, np.nan),
        days=np.clip(days, LEAST_DELAY, MOST_DELAY),
    )
