"""Arms given one by one, their prices and conversions; and the moving market that they stand in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le, MinLen
from numpy import ndarray

from hwds.core.errors import ConfigError
from hwds.core.recipe import Names, NonNegative, Positive, Rows, Seed, Small, UnitInterval, ZeroRows
from hwds.core.seeds import stream
from hwds.datasets.base import Dataset
from hwds.frames.table import arm_name
from hwds.frames.world import World

# PriceWorld: conversions that move with time, arms that come and go, and outcomes that are seen
# later.

PARTS = 100
"""Moments into which a world that moves is cut over its horizon, or over a season."""

Amount = NonNegative
Steps = tuple[ZeroRows, ...]


@dataclass(frozen=True, slots=True, eq=False)
class MarketOffers:
    """A world before it moves: what is offered, to whom, at what conversion.

    Attributes:
        arms, values, prices, segments, shares, contexts, context_names, unit, lifts, amounts: As in
            `World`.
        conversions: By segment and arm, shape (S, K).
    """

    arms: tuple[str, ...]
    values: ndarray
    prices: ndarray
    conversions: ndarray
    unit: str
    segments: tuple[str, ...] = ("all",)
    shares: ndarray | None = None
    contexts: ndarray | None = None
    context_names: tuple[str, ...] = ()
    lifts: ndarray | None = None
    amounts: ndarray | None = None


class PriceWorld(Dataset):
    """A simulated market of arms whose truth is known.

    Attributes:
        horizon: Steps that it is played for by default.
        batch: Customers whose outcomes are seen together; the protocol may say another number.
        delay: Mean steps from an offer to its conversion; 0 where it is seen at once.
        window: Steps after which an offer that did not convert counts as refused, and a later
            conversion goes unseen.
        drift: Standard deviation, in log-odds, of the way that each arm's conversion walks over the
            horizon.
        shift_at: The step from which the conversions of the arms change places, first for last;
            null for never.
        season: Steps in a season of willingness to pay; 0 for none.
        season_size: Log-odds that the dearest arm gains at the height of the season; the cheapest
            gains none.
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

    def offers(self) -> MarketOffers:
        """Return what is offered before anything moves."""
        raise NotImplementedError(f"{type(self).__name__}.offers")

    def shifted(self, offers: MarketOffers) -> ndarray:
        """Return the conversions from `shift_at` on, by segment and arm, before anything else
        moves: first for last.
        """
        return offers.conversions[:, ::-1]

    def load(self) -> World:
        """Return the world.

        Raises:
            ConfigError: A field does not fit the number of arms, or two kinds of movement that do
                not go together.
        """
        offers = self.offers()
        self._check(len(offers.arms))
        starts = self._starts()
        moved = np.stack([self._conversions_from(offers, start) for start in starts])
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

    def _check(self, arms: int) -> None:
        for name in ("arrives", "leaves"):
            self._refuse_count(name, arms, "have one step for")
        if self.delay and not self.window:
            raise ConfigError("dataset.window: must be >= 1 if dataset.delay is above 0, got 0.")
        if self.season and (self.drift or self.shift_at is not None or self.arrives or self.leaves):
            raise ConfigError(
                "dataset.season: does not go together with drift, shift_at, arrives or leaves."
            )
        gaps = [start for start in self._starts() if not self._present(arms, start).any()]
        if gaps:
            raise ConfigError(f"dataset.arrives: no arm is there at step {gaps[0]}.")

    def _refuse_count(self, name: str, arms: int, rule: str = "be one for") -> None:
        """Refuse values of another number than there are arms, where any are given."""
        given = getattr(self, name)
        if given and len(given) != arms:
            raise ConfigError(
                f"dataset.{name}: must {rule} each of the {arms} arms, got {list(given)}."
            )

    def _starts(self) -> ndarray:
        """Return the first step of every moment."""
        steps = {0, *self.arrives, *(step for step in self.leaves if step)}
        if self.shift_at is not None:
            steps.add(self.shift_at)
        span = self.season or (self.horizon if self.drift else 0)
        steps |= set(range(0, span, max(1, span // PARTS)))
        return np.array(sorted(steps), np.int64)

    def _conversions_from(self, offers: MarketOffers, start: int) -> ndarray:
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

    def _present(self, arms: int, start: int) -> ndarray:
        arrives, leaves = (np.array(steps or (0,) * arms) for steps in (self.arrives, self.leaves))
        return (arrives <= start) & ~((leaves > 0) & (leaves <= start))


def with_log_odds(conversions: ndarray, gains: ndarray) -> ndarray:
    """Return conversions moved by so much in log-odds; 0 and 1 stay."""
    odds = np.exp(gains) * conversions
    return np.where(conversions < 1, odds / (1 - conversions + odds), 1.0)


# Arms given one by one: their prices, their conversions.

BasketLaw = Literal["none", "gamma", "lognormal", "pareto"]

NUMBERS = 8192
"""Equally likely amounts that stand for a law: its quantiles in the middle of as many parts, so
that the truth is exact.
"""


Money = NonNegative
LADDER = (10.0, 20.0, 30.0, 40.0, 50.0)
CONVERSION = (0.6, 0.4, 0.25, 0.15, 0.08)


class PriceArms(PriceWorld):
    """Simulated customers who are offered one of several prices, each with a conversion of its own.

    By default five prices of which the second earns most (20 x .4 = 8), while the first converts
    best.

    Attributes:
        conversion: The probability that a customer buys, one for each arm.
        prices: The price that a customer pays, one for each arm.
        cost: The cost of a sale; the profit is price - cost.
        means: Plain Bernoulli arms without prices, in place of conversion and prices.
        after_shift: The conversions from `shift_at` on, one for each arm; empty lets the arms
            change places, first for last.
        basket: The law of what a purchase brings: `gamma`, `lognormal`, `pareto` (a power tail);
            `none` for the mean alone.
        basket_spread: The standard deviation of a purchase over its mean.
        basket_lift: The mean of a purchase of each arm over its price less cost, which no policy
            knows; empty for 1.
        arms: The arms' names; empty takes the prices, or `arm-1` and on.
        unit: The currency of values and prices.
    """

    conversion: Annotated[tuple[UnitInterval, ...], MinLen(2)] = CONVERSION
    prices: tuple[Money, ...] = LADDER
    cost: Money = 0.0
    means: tuple[UnitInterval, ...] = ()
    after_shift: tuple[UnitInterval, ...] = ()
    basket: BasketLaw = "none"
    basket_spread: Annotated[Positive, Ge(0.01), Le(10)] = 1.0
    basket_lift: tuple[Annotated[Positive, Le(1000)], ...] = ()
    arms: Names = ()
    unit: str = "USD"

    def offers(self) -> MarketOffers:
        """Return the arms, the same for everyone."""
        conversions = np.array(self.means or self.conversion)
        prices = np.ones(len(conversions)) if self.means else np.array(self.prices)
        if len(prices) != len(conversions):
            raise ConfigError(
                f"dataset.prices: must be one for each of the {len(conversions)} arms, got "
                f"{list(self.prices)}."
            )
        self._refuse_count("arms", len(conversions), "name")
        if self.means and (len(self.means) < 2 or self.cost):
            raise ConfigError("dataset.means: must be two or more, without dataset.cost.")
        self._refuse_count("basket_lift", len(conversions))
        self._refuse_count("after_shift", len(conversions))
        if self.after_shift and self.shift_at is None:
            raise ConfigError(
                "dataset.shift_at: must be given if dataset.after_shift is, got null."
            )
        plain = self.means or len(set(self.prices)) < len(self.prices)
        names = self.arms or tuple(
            f"arm-{i + 1}" if plain else arm_name(price) for i, price in enumerate(prices)
        )
        unit = "conversions" if self.means else self.unit
        values = prices - (0.0 if self.means else self.cost)
        lifts, amounts = (
            np.array(self.basket_lift or (1.0,)),
            basket_amounts(self.basket, self.basket_spread),
        )
        return MarketOffers(
            names, values, prices, conversions[None], unit, lifts=lifts, amounts=amounts
        )

    def shifted(self, offers: MarketOffers) -> ndarray:
        """Return the conversions of `after_shift`, where they are given."""
        return np.array(self.after_shift)[None] if self.after_shift else super().shifted(offers)


def basket_amounts(law: BasketLaw, spread: float) -> ndarray:
    """Return equally likely amounts over their mean, which is 1, rising.

    Args:
        law: `gamma`; `lognormal`; `pareto`, whose tail is a power of the amount; `none` for no law.
        spread: The standard deviation over the mean that the law itself has.

    Returns:
        Shape (8192,); (0,) without a law.
    """
    from scipy.special import gammaincinv, ndtri

    ranks = (np.arange(NUMBERS) + 0.5) / NUMBERS
    if law == "none":
        return np.zeros(0)
    if law == "gamma":
        amounts = gammaincinv(1 / spread**2, ranks)
    elif law == "lognormal":
        amounts = np.exp(np.sqrt(np.log1p(spread**2)) * ndtri(ranks))
    else:
        amounts = (1 - ranks) ** (-1 / (1 + np.sqrt(1 + 1 / spread**2)))
    return amounts / amounts.mean()
