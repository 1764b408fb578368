"""Honest customers of the gray market's log: what they are, how often they order, where, and how much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hwds.core.seeds import stream
from hwds.datasets.simulated.demand.catalogue import CUSTOMER_KINDS
from hwds.datasets.simulated.demand.world import HardwareWorld
from hwds.datasets.simulated.gray.names import honest_identifiers
from hwds.datasets.simulated.gray.prices import CHANNEL_NAMES


class Nature(NamedTuple):
    """The habits of honest customers of one nature.

    Attributes:
        name: What it is called.
        orders: A year, of the smallest; larger ones order as the root of their size.
        more: The odds that an order has a second line, and a third.
        quantity: The median of a line.
        spread: The standard deviation of its log.
        differs: The standard deviation of the log of customers' own medians.
        returned: The share of lines that come back.
        weekend: Orders of a Saturday or a Sunday over those of a weekday.
        december: The log-lift of orders at the year's end.
        quarter: The log-lift of orders in the last ten days of a quarter.
        faithful: The share of orders that go to the channel that a customer is used to.
        keeps: The same of the store.
        lasts: The least and the most days for which an account is used.
        channels: The odds of each channel, in the order of `CHANNEL_NAMES`.
    """

    name: str
    orders: float
    more: float
    quantity: float
    spread: float
    differs: float
    returned: float
    weekend: float
    december: float
    quarter: float
    faithful: float
    keeps: float
    lasts: tuple[float, float]
    channels: tuple[float, ...]


EVER = (1e9, 1e9)
NATURES = (
    Nature("consumer", 6.6, 0.15, 0.6, 0.45, 0.10, 0.06, 1.5, 0.5, 0.0, 0.6, 0.6, EVER, (0.40, 0.32, 0.21, 0.0, 0.07, 0.0)),
    Nature(
        "small_business", 20.0, 0.25, 2.2, 0.75, 0.35, 0.04, 0.5, 0.2, 0.2, 0.6, 0.6, EVER, (0.25, 0.33, 0.17, 0.18, 0.05, 0.02)
    ),
    Nature("enterprise", 45.0, 0.35, 5.0, 0.85, 0.40, 0.02, 0.1, 0.0, 0.7, 0.8, 0.7, EVER, (0.0, 0.10, 0.22, 0.66, 0.0, 0.02)),
    Nature(
        "reseller", 15.0, 0.15, 9.0, 0.45, 0.40, 0.03, 0.3, 0.15, 0.2, 0.85, 0.6, EVER, (0.02, 0.07, 0.22, 0.22, 0.12, 0.35)
    ),
    Nature(
        "fleet", 27.0, 0.10, 8.0, 0.42, 0.40, 0.02, 0.3, 0.0, 0.2, 0.95, 0.4, (30.0, 240.0), (0.0, 0.02, 0.60, 0.05, 0.28, 0.05)
    ),
)
"""Consumers, small businesses and enterprises of the world; and honest buyers of large quantities: resellers who keep to their
regions' prices, and fleets and schools that are equipped: for some months they take what is cheapest in the one channel that is
theirs."""

BULK = 3
"""The natures from here on buy in bulk."""

BULK_SHARES = np.array([0.87, 0.02, 0.11])
"""The shares of all customers: ordinary ones, resellers, fleets."""

DECLARED = ("consumer", "small_business", "enterprise", "reseller")
DECLARED_BULK = np.array([0.04, 0.38, 0.18, 0.40])
"""The shares of the kinds that bulk buyers declare; all others declare the truth."""

OPENED = np.array([[-2000, 500], [-240, 500]])
"""The days between which accounts are opened, counted from the log's first: of customers at large, and of those in bulk."""

REGION_ODDS = np.array([0.34, 0.26, 0.22, 0.10, 0.08])


@dataclass(frozen=True, eq=False)
class Customers:
    """Honest customers, one entry each.

    Attributes:
        nature: The number in `NATURES`.
        declared: The number in `DECLARED`.
        orders: A day, on average, once the account is open.
        opened, closed: The days.
        region, channel, store: What it is used to, as numbers.
        quantity: The median of its lines.
        habit: Uniform: the place on the ladder of devices that a bulk buyer keeps to for a quarter; one column a quarter.
        identifiers: Address, payment and contact, shape (n, 3).
    """

    nature: np.ndarray
    declared: np.ndarray
    orders: np.ndarray
    opened: np.ndarray
    closed: np.ndarray
    region: np.ndarray
    channel: np.ndarray
    store: np.ndarray
    quantity: np.ndarray
    habit: np.ndarray
    identifiers: np.ndarray


def honest_customers(world: HardwareWorld, n: int) -> Customers:
    """Return the world's first customers; more of them leave the first ones as they are."""
    known = HardwareWorld(world.seed, n_customers=n).customers
    uniforms = stream(world.seed, "gray", "customers").random((n, 13))
    kinds = [kind.name for kind in CUSTOMER_KINDS]
    kind = known["kind"].replace_strict(kinds, range(len(kinds))).to_numpy()
    least = np.array([kind.units for kind in CUSTOMER_KINDS])[kind]
    size = np.minimum(known["units"].to_numpy() / least, 100.0)
    special = drawn(BULK_SHARES, uniforms[:, 0])
    bulk = special > 0
    nature = np.where(bulk, BULK - 1 + special, kind)
    declared = np.where(bulk, drawn(DECLARED_BULK, uniforms[:, 1]), kind)
    normal = stream(world.seed, "gray", "sizes").standard_normal(n)
    median = traits("quantity")[nature] * np.exp(traits("differs")[nature] * normal)
    early, late = OPENED[bulk.astype(np.int64)].T
    opened = early + (late - early) * uniforms[:, 2]
    shortest, longest = traits("lasts")[nature].T
    return Customers(
        nature=nature,
        declared=declared,
        orders=traits("orders")[nature] * np.sqrt(size) / 365,
        opened=opened,
        closed=opened + shortest + (longest - shortest) * uniforms[:, 12],
        region=drawn(REGION_ODDS, uniforms[:, 3]),
        channel=any_channel(nature, uniforms[:, 4]),
        store=(uniforms[:, 5] * 1000).astype(np.int64),
        quantity=median,
        habit=stream(world.seed, "gray", "habits").random((n, 4)),
        identifiers=honest_identifiers(uniforms[:, 6:12], nature == 0, bulk),
    )


def traits(name: str) -> np.ndarray:
    """Return one trait of all natures."""
    return np.array([getattr(nature, name) for nature in NATURES])


def any_channel(nature: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """Return a channel for each, by the odds of its nature."""
    below = np.cumsum([nature.channels for nature in NATURES], axis=1)
    below = below / below[:, -1:]
    return np.minimum((uniforms[:, None] >= below[nature]).sum(axis=1), len(CHANNEL_NAMES) - 1)


def drawn(odds: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """Return a number for each, by one set of odds."""
    return np.searchsorted(np.cumsum(odds)[:-1] / odds.sum(), uniforms, side="right")
