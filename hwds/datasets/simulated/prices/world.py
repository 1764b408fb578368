"""PriceWorld: conversions that move with time, arms that come and go, and outcomes that are seen later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from hwds.core.errors import ConfigError
from hwds.core.recipe import NonNegative, Positive, Rows, Seed, Small, ZeroRows
from hwds.core.seeds import stream
from hwds.datasets.base import Dataset
from hwds.frames.world import World

PARTS = 100
"""Moments into which a world that moves is cut over its horizon, or over a season."""

Amount = NonNegative
Steps = tuple[ZeroRows, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Offers:
    """A world before it moves: what is offered, to whom, at what conversion.

    Attributes:
        arms, values, prices, segments, shares, contexts, context_names, unit, lifts, amounts: As in `World`.
        conversions: By segment and arm, shape (S, K).
    """

    arms: tuple[str, ...]
    values: np.ndarray
    prices: np.ndarray
    conversions: np.ndarray
    unit: str
    segments: tuple[str, ...] = ("all",)
    shares: np.ndarray | None = None
    contexts: np.ndarray | None = None
    context_names: tuple[str, ...] = ()
    lifts: np.ndarray | None = None
    amounts: np.ndarray | None = None


class PriceWorld(Dataset):
    """A simulated market of arms whose truth is known.

    Attributes:
        horizon: Steps that it is played for by default.
        batch: Customers whose outcomes are seen together; the protocol may say another number.
        delay: Mean steps from an offer to its conversion; 0 where it is seen at once.
        window: Steps after which an offer that did not convert counts as refused, and a later conversion goes unseen.
        drift: Standard deviation, in log-odds, of the way that each arm's conversion walks over the horizon.
        shift_at: The step from which the conversions of the arms change places, first for last; null for never.
        season: Steps in a season of willingness to pay; 0 for none.
        season_size: Log-odds that the dearest arm gains at the height of the season; the cheapest gains none.
        arrives: The step at which each arm comes; empty where all are there from the start.
        leaves: The step at which each arm goes, 0 for never; empty where none does.
        seed: The world's seed, for its drift.
    """

    gives = World

    horizon: Annotated[Rows, Small(5000)] = 10_000
    batch: Rows = 1
    delay: Amount = 0.0
    window: ZeroRows = 0
    drift: Amount = 0.0
    shift_at: Annotated[ZeroRows, Small(2500)] | None = None
    season: Annotated[ZeroRows, Small(2500)] = 0
    season_size: Positive = 1.0
    arrives: Steps = ()
    leaves: Steps = ()
    seed: Seed = 0

    def offers(self) -> Offers:
        """Return what is offered before anything moves."""
        raise NotImplementedError(f"{type(self).__name__}.offers")

    def shifted(self, offers: Offers) -> np.ndarray:
        """Return the conversions from `shift_at` on, by segment and arm, before anything else moves: first for last."""
        return offers.conversions[:, ::-1]

    def load(self) -> World:
        """Return the world.

        Raises:
            ConfigError: A field does not fit the number of arms, or two kinds of movement that do not go together.
        """
        offers = self.offers()
        self._fits(len(offers.arms))
        starts = self._starts()
        moved = np.stack([self._moved(offers, start) for start in starts])
        present = np.stack([self._present(len(offers.arms), start) for start in starts])
        n_segments = len(offers.segments)
        return World(
            offers.arms,
            offers.values,
            offers.prices,
            offers.segments,
            np.ones(n_segments) / n_segments if offers.shares is None else offers.shares,
            np.zeros((n_segments, 0)) if offers.contexts is None else offers.contexts,
            offers.context_names,
            starts,
            self.season,
            moved,
            present,
            self.delay,
            self.window,
            self.batch,
            self.horizon,
            offers.unit,
            np.ones(1) if offers.lifts is None else offers.lifts,
            np.zeros(0) if offers.amounts is None else offers.amounts,
        )

    def _fits(self, arms: int) -> None:
        for name in ("arrives", "leaves"):
            given = getattr(self, name)
            if given and len(given) != arms:
                raise ConfigError(f"dataset.{name}: must have one step for each of the {arms} arms, got {list(given)}.")
        if self.delay and not self.window:
            raise ConfigError("dataset.window: must be >= 1 where dataset.delay is above 0, got 0.")
        if self.season and (self.drift or self.shift_at is not None or self.arrives or self.leaves):
            raise ConfigError("dataset.season: does not go together with drift, shift_at, arrives or leaves.")
        gaps = [start for start in self._starts() if not self._present(arms, start).any()]
        if gaps:
            raise ConfigError(f"dataset.arrives: no arm is there at step {gaps[0]}.")

    def _starts(self) -> np.ndarray:
        """Return the first step of every moment."""
        steps = {0, *self.arrives, *(step for step in self.leaves if step)}
        steps |= {self.shift_at} if self.shift_at is not None else set()
        span = self.season or (self.horizon if self.drift else 0)
        steps |= set(range(0, span, max(1, span // PARTS)))
        return np.array(sorted(steps), np.int64)

    def _moved(self, offers: Offers, start: int) -> np.ndarray:
        """Return the conversions from a step on, shape (S, K)."""
        base = offers.conversions
        if self.shift_at is not None and start >= self.shift_at:
            base = self.shifted(offers)
        if not self.drift and not self.season:
            return base
        arms = base.shape[1]
        gains = np.zeros(arms)
        if self.drift:
            walked = start // max(1, self.horizon // PARTS)
            sizes = self.drift / np.sqrt(PARTS)
            gains = np.array([sizes * self._walk(arm, walked) for arm in offers.arms])
        if self.season:
            height = np.argsort(np.argsort(offers.prices)) / max(1, arms - 1)
            gains = self.season_size * height * np.sin(2 * np.pi * start / self.season)
        return with_log_odds(base, gains)

    def _walk(self, arm: str, steps: int) -> float:
        """Return the sum of an arm's first moves; more of them leave the first as they are."""
        return float(stream(self.seed, "price_world", "drift", arm).standard_normal(steps).sum())

    def _present(self, arms: int, start: int) -> np.ndarray:
        here = np.ones(arms, bool)
        for arm in range(arms):
            arrived = not self.arrives or start >= self.arrives[arm]
            left = bool(self.leaves) and 0 < self.leaves[arm] <= start
            here[arm] = arrived and not left
        return here


def with_log_odds(conversions: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """Return conversions moved by so much in log-odds; 0 and 1 stay."""
    odds = np.exp(gains) * conversions
    return np.where(conversions < 1, odds / (1 - conversions + odds), 1.0)
