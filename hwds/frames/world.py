"""World: a market that is simulated step by step, whose true conversions are known."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from numpy import ndarray

from hwds.core.files import digest_bytes
from hwds.core.serialization import Serializable


@dataclass(frozen=True, eq=False)
class World(Serializable):
    """Customers come one a step, each of a segment; an arm is offered, and some convert.

    Time is cut into moments, within which nothing changes. Shapes: K arms, S segments, M moments, D
    context columns.

    Attributes:
        arms: The arms' names, K of them.
        values: What one conversion earns, in currency: the price, or the margin where the cost is
            known; shape (K,).
        prices: What the customer pays, shape (K,).
        segments: The segments' names, S of them.
        shares: The segments' shares of the traffic, shape (S,).
        contexts: What is seen of a customer of each segment, shape (S, D).
        context_names: The columns of `contexts`.
        starts: The first step of each moment, rising from 0, shape (M,).
        cycle: Steps after which the moments begin again; 0 where they do not.
        conversions: The probability to convert by moment, segment and arm, shape (M, S, K).
        present: Whether an arm may be offered in a moment, shape (M, K).
        delay: Mean steps from an offer to its conversion; 0 where it is seen at once.
        window: Steps after which an offer without a conversion counts as refused, and a later
            conversion goes unseen.
        batch: Customers that come together: what they do is seen after the last of them.
        horizon: The number of steps that it is usually played for.
        unit: What is earned: a currency, or `conversions`.
        lifts: What a conversion of each arm brings on average, over its value, shape (K,), or (1,)
            for all alike. Nobody knows it before: a policy is given the values.
        amounts: What conversions bring, over the mean of their arm: equally likely numbers whose
            mean is 1, shape (Q,); empty where each brings the mean.
    """

    arms: tuple[str, ...]
    values: ndarray
    prices: ndarray
    segments: tuple[str, ...]
    shares: ndarray
    contexts: ndarray
    context_names: tuple[str, ...]
    starts: ndarray
    cycle: int
    conversions: ndarray
    present: ndarray
    delay: float
    window: int
    batch: int
    horizon: int
    unit: str
    lifts: ndarray = field(default_factory=lambda: np.ones(1))
    amounts: ndarray = field(default_factory=lambda: np.zeros(0))

    @cached_property
    def worth(self) -> ndarray:
        """The expected earning of one conversion, shape (K,)."""
        return self.values * self.lifts

    @property
    def brings_amounts(self) -> bool:
        """True where a conversion may bring something else than its arm's value."""
        return len(self.amounts) > 0 or bool((self.lifts != 1).any())

    @cached_property
    def rewards(self) -> ndarray:
        """The expected reward by moment, segment and arm, shape (M, S, K).

        -inf where the arm is absent.
        """
        return np.where(self.present[:, None, :], self.conversions * self.worth, -np.inf)

    @cached_property
    def best(self) -> ndarray:
        """The expected reward of the best arm of each moment and segment, shape (M, S)."""
        return self.rewards.max(axis=2)

    @property
    def changes(self) -> bool:
        """True where conversions or arms change with time."""
        return len(self.starts) > 1

    @property
    def range(self) -> tuple[float, float]:
        """The least and the most that one step can earn."""
        return min(0.0, float(self.values.min())), max(0.0, float(self.values.max()))

    def moments(self, horizon: int) -> ndarray:
        """Return the number of the first `horizon` steps that each moment lasts, shape (M,)."""
        steps = np.arange(horizon) % self.cycle if self.cycle else np.arange(horizon)
        return np.bincount(
            np.searchsorted(self.starts, steps, side="right") - 1, minlength=len(self.starts)
        )

    def best_fixed_arm(self, horizon: int) -> int:
        """Return the arm that earns most when it is offered to everyone at every step.

        While it is absent it earns nothing.
        """
        earned = np.where(self.present[:, None, :], self.conversions * self.worth, 0.0)
        return int(np.argmax(np.einsum("m,s,msk->k", self.moments(horizon), self.shares, earned)))

    def mean_conversions(self, horizon: int) -> ndarray:
        """Return the mean conversion of each arm over the first `horizon` steps that have it, NaN
        for none; shape (K,).
        """
        steps = self.moments(horizon)[:, None] * self.present
        totals = np.einsum("mk,s,msk->k", steps, self.shares, self.conversions)
        there = steps.sum(axis=0)
        return np.where(there > 0, totals / np.maximum(there, 1), np.nan)

    @cached_property
    def fingerprint(self) -> str:
        """The digest of all parameters."""
        amounts = (self.lifts, self.amounts) if self.brings_amounts else ()
        market = (self.shares, self.contexts, self.starts, self.conversions, self.present)
        arrays = (self.values, self.prices, *market, *amounts)
        plain = (
            self.arms,
            self.segments,
            self.context_names,
            self.unit,
            self.cycle,
            self.delay,
            self.window,
            self.batch,
        )
        return digest_bytes(
            [
                repr((*plain, self.horizon)).encode(),
                *(repr(array.shape).encode() + array.tobytes() for array in arrays),
            ]
        )

    def write(self, folder: Path) -> None:
        """Write it into an empty folder."""
        self.save(folder)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return what `write` wrote."""
        return cls.load(folder)
