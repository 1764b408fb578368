"""Honest order lines, day by day."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta

import numpy as np

from hwds.datasets.simulated.gray_customers import BULK, Customers, any_channel, traits
from hwds.datasets.simulated.gray_investigations import Findings, Investigators, findings
from hwds.datasets.simulated.gray_prices import REGIONS, MarketPrices, first_day
from hwds.datasets.simulated.world import HardwareWorld
from hwds.seeds import stream

STORES = np.array([9, 2, 8, 3, 4, 3])
"""Of each channel in each region."""

AT_HOME = 0.93
"""The share of orders in the customer's own region."""

QUARTER_END, BULK_LIFT, BULK_ODDS = 10, 6.0, 0.12
"""Days before a quarter's end in which enterprises buy in bulk: so many times their quantity, in so many of their lines."""

KEPT = 0.7
"""The share of a bulk buyer's lines that are of the device of its quarter."""

MOST = 400
"""Units of one line."""

ORDERS_A_DAY = 8


@dataclass(frozen=True, eq=False)
class Lines:
    """Order lines, one entry each.

    Attributes:
        account: The customer's number.
        order: The order's number.
        time: Seconds from the log's beginning.
        region, channel, store, offer: As numbers.
        quantity: Units.
        late: Uniform: how late the line is reported where the channel reports late.
        returned: Days until the units come back, NaN where they do not.
        chance, label, days: The fields of `Findings`.
    """

    account: np.ndarray
    order: np.ndarray
    time: np.ndarray
    region: np.ndarray
    channel: np.ndarray
    store: np.ndarray
    offer: np.ndarray
    quantity: np.ndarray
    late: np.ndarray
    returned: np.ndarray
    chance: np.ndarray
    label: np.ndarray
    days: np.ndarray


def joined(parts: list[Lines]) -> Lines:
    """Lines one after the other."""
    return Lines(**{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Lines)})


def honest_lines(world: HardwareWorld, days: int, customers: Customers, prices: MarketPrices, by: Investigators) -> Lines:
    """All lines of honest customers: each day has streams of its own, laid out customer by customer."""
    counts, draws, lines = [], [], []
    lifts = _lifts(world, days)
    for day in range(days):
        luck = stream(world.seed, "gray", "honest orders", day)
        rates = customers.orders * lifts[customers.nature, day] * (customers.opened <= day) * (customers.closed > day)
        count = np.minimum(luck.poisson(rates), ORDERS_A_DAY)
        own = stream(world.seed, "gray", "honest lines", day).random((count.sum(), 10))
        counts.append(count)
        draws.append(own)
        more = traits("more")[np.repeat(customers.nature, count)]
        lines.append(stream(world.seed, "gray", "honest units", day).random(((1 + (own[:, 0] < more)).sum(), 11)))
    who = np.concatenate([np.repeat(np.arange(len(count)), count) for count in counts])
    on = np.repeat(np.arange(days), [len(own) for own in draws])
    return _lines(on, who, np.concatenate(draws), np.concatenate(lines), customers, prices, by, world)


def _lines(
    day: np.ndarray,
    who: np.ndarray,
    luck: np.ndarray,
    unit_luck: np.ndarray,
    customers: Customers,
    prices: MarketPrices,
    by: Investigators,
    world: HardwareWorld,
) -> Lines:
    """Orders with what they are about, then their lines with theirs."""
    nature = customers.nature[who]
    region, channel, store = _places(who, nature, luck, customers)
    first = np.append(True, (who[1:] != who[:-1]) | (day[1:] != day[:-1]))
    place = np.arange(len(who)) - np.maximum.accumulate(np.where(first, np.arange(len(who)), 0))
    order = np.repeat(np.arange(len(who)), 1 + (luck[:, 0] < traits("more")[nature]))
    who, nature, day, channel = who[order], nature[order], day[order], channel[order]
    quantity = _quantities(day, who, nature, unit_luck, customers, world)
    found: Findings = findings(by, quantity, False, unit_luck[:, 5:9])
    return Lines(
        account=who,
        order=(day << 24) + (who << 3) % (1 << 24) + place[order],
        time=day * 86400 + seconds(luck[order, 6], luck[order, 7]),
        region=region[order],
        channel=channel,
        store=store[order],
        offer=prices.choose((nature > BULK).astype(np.int64), channel, day, _taste(day, who, nature, unit_luck, customers)),
        quantity=quantity,
        late=luck[order, 8],
        returned=returns(unit_luck[:, 3], unit_luck[:, 4], traits("returned")[nature]),
        **found._asdict(),
    )


def _places(who: np.ndarray, nature: np.ndarray, luck: np.ndarray, own: Customers) -> tuple[np.ndarray, ...]:
    """Where each order is placed: the region, the channel and the store that its customer is used to, or others."""
    region = np.where(luck[:, 1] < AT_HOME, own.region[who], (luck[:, 9] * len(REGIONS)).astype(np.int64))
    faithful = luck[:, 2] < traits("faithful")[nature]
    channel = np.where(faithful, own.channel[who], any_channel(nature, luck[:, 3]))
    store = np.where(luck[:, 4] < traits("keeps")[nature], own.store[who], (luck[:, 5] * 1000).astype(np.int64))
    return region, channel, store % STORES[channel]


def _quantities(
    day: np.ndarray, who: np.ndarray, nature: np.ndarray, luck: np.ndarray, own: Customers, world: HardwareWorld
) -> np.ndarray:
    """Log-normal about the customer's own median; enterprises buy in bulk before a quarter ends."""
    units = own.quantity[who] * np.exp(traits("spread")[nature] * normals(luck[:, 0], luck[:, 1]))
    bulk = (nature == 2) & quarter_ends(world, day.max() + 1)[day] & (luck[:, 2] < BULK_ODDS)
    return np.clip(np.ceil(units * np.where(bulk, BULK_LIFT, 1.0)), 1, MOST).astype(np.int64)


def _taste(day: np.ndarray, who: np.ndarray, nature: np.ndarray, luck: np.ndarray, own: Customers) -> np.ndarray:
    """The place on the ladder of devices: by chance, but that bulk buyers keep to one for a quarter in most of their lines."""
    kept = (nature >= BULK) & (luck[:, 10] < KEPT)
    return np.where(kept, own.habit[who, day // 91 % own.habit.shape[1]], luck[:, 9])


def normals(radius: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Standard normal numbers of two uniform ones each (Box and Muller 1958)."""
    return np.sqrt(-2 * np.log1p(-radius)) * np.cos(2 * np.pi * angle)


def seconds(hour: np.ndarray, second: np.ndarray) -> np.ndarray:
    """A second of the day between eight and ten o'clock in the evening, more often at its middle."""
    return (8 * 3600 + (hour + second) / 2 * 14 * 3600).astype(np.int64)


def returns(luck: np.ndarray, when: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Days until the units come back, one to thirty or so; NaN where they are kept."""
    return np.where(luck < share, 1 + 9 * -np.log1p(-when), np.nan)


def quarter_ends(world: HardwareWorld, days: int) -> np.ndarray:
    """Which days are among the last of a quarter."""
    begin = first_day(world)
    ahead = [begin + timedelta(days=day + QUARTER_END) for day in range(days)]
    return np.array([date.day <= QUARTER_END and date.month % 3 == 1 for date in ahead], bool)


def _lifts(world: HardwareWorld, days: int) -> np.ndarray:
    """What the calendar makes of the rate of orders, shape (natures, days)."""
    begin = first_day(world)
    dates = [begin + timedelta(days=day) for day in range(days)]
    weekend = np.array([date.weekday() >= 5 for date in dates])
    gifts = np.array([{11: 0.6, 12: 1.0}.get(date.month, 0.0) for date in dates])
    logs = np.outer(traits("december"), gifts) + np.outer(traits("quarter"), quarter_ends(world, days))
    lifts: np.ndarray = np.exp(logs) * np.where(weekend, traits("weekend")[:, None], 1.0)
    return lifts
