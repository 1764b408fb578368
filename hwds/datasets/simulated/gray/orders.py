"""Honest order lines, day by day."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta

import numpy as np

from hwds.core.seeds import stream
from hwds.datasets.simulated.demand.world import HardwareWorld
from hwds.datasets.simulated.gray.customers import BULK, Customers, any_channel, traits
from hwds.datasets.simulated.gray.investigations import Findings, Investigators, findings
from hwds.datasets.simulated.gray.prices import REGIONS, MarketPrices, first_day

STORES = np.array([9, 2, 8, 3, 4, 3])
"""The stores of each channel in each region."""

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
    """Concatenate lines."""
    return Lines(**{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Lines)})


def honest_lines(world: HardwareWorld, days: int, customers: Customers, prices: MarketPrices, by: Investigators) -> Lines:
    """Return all lines of honest customers: each day has streams of its own, laid out customer by customer."""
    counts, draws, lines = [], [], []
    lifts = _lifts(world, days)
    for day in range(days):
        rng = stream(world.seed, "gray", "honest orders", day)
        rates = customers.orders * lifts[customers.nature, day] * (customers.opened <= day) * (customers.closed > day)
        count = np.minimum(rng.poisson(rates), ORDERS_A_DAY)
        uniforms = stream(world.seed, "gray", "honest lines", day).random((count.sum(), 10))
        counts.append(count)
        draws.append(uniforms)
        more = traits("more")[np.repeat(customers.nature, count)]
        lines.append(stream(world.seed, "gray", "honest units", day).random(((1 + (uniforms[:, 0] < more)).sum(), 11)))
    who = np.concatenate([np.repeat(np.arange(len(count)), count) for count in counts])
    on = np.repeat(np.arange(days), [len(uniforms) for uniforms in draws])
    return _lines(on, who, np.concatenate(draws), np.concatenate(lines), customers, prices, by, world)


def _lines(
    day: np.ndarray,
    who: np.ndarray,
    uniforms: np.ndarray,
    unit_uniforms: np.ndarray,
    customers: Customers,
    prices: MarketPrices,
    by: Investigators,
    world: HardwareWorld,
) -> Lines:
    """Return the lines of orders: what each order is about, then each of its lines."""
    nature = customers.nature[who]
    region, channel, store = _places(who, nature, uniforms, customers)
    first = np.append(True, (who[1:] != who[:-1]) | (day[1:] != day[:-1]))
    place = np.arange(len(who)) - np.maximum.accumulate(np.where(first, np.arange(len(who)), 0))
    order = np.repeat(np.arange(len(who)), 1 + (uniforms[:, 0] < traits("more")[nature]))
    who, nature, day, channel = who[order], nature[order], day[order], channel[order]
    quantity = _quantities(day, who, nature, unit_uniforms, customers, world)
    outcome: Findings = findings(by, quantity, False, unit_uniforms[:, 5:9])
    return Lines(
        account=who,
        order=(day << 24) + (who << 3) % (1 << 24) + place[order],
        time=day * 86400 + seconds(uniforms[order, 6], uniforms[order, 7]),
        region=region[order],
        channel=channel,
        store=store[order],
        offer=prices.choose((nature > BULK).astype(np.int64), channel, day, _taste(day, who, nature, unit_uniforms, customers)),
        quantity=quantity,
        late=uniforms[order, 8],
        returned=returns(unit_uniforms[:, 3], unit_uniforms[:, 4], traits("returned")[nature]),
        **outcome._asdict(),
    )


def _places(who: np.ndarray, nature: np.ndarray, uniforms: np.ndarray, customers: Customers) -> tuple[np.ndarray, ...]:
    """Return where each order is placed: the region, channel and store that its customer is used to, or others."""
    region = np.where(uniforms[:, 1] < AT_HOME, customers.region[who], (uniforms[:, 9] * len(REGIONS)).astype(np.int64))
    faithful = uniforms[:, 2] < traits("faithful")[nature]
    channel = np.where(faithful, customers.channel[who], any_channel(nature, uniforms[:, 3]))
    store = np.where(uniforms[:, 4] < traits("keeps")[nature], customers.store[who], (uniforms[:, 5] * 1000).astype(np.int64))
    return region, channel, store % STORES[channel]


def _quantities(
    day: np.ndarray, who: np.ndarray, nature: np.ndarray, uniforms: np.ndarray, customers: Customers, world: HardwareWorld
) -> np.ndarray:
    """Return log-normal units about the customer's own median; enterprises buy in bulk before a quarter ends."""
    units = customers.quantity[who] * np.exp(traits("spread")[nature] * normals(uniforms[:, 0], uniforms[:, 1]))
    bulk = (nature == 2) & quarter_ends(world, day.max() + 1)[day] & (uniforms[:, 2] < BULK_ODDS)
    return np.clip(np.ceil(units * np.where(bulk, BULK_LIFT, 1.0)), 1, MOST).astype(np.int64)


def _taste(day: np.ndarray, who: np.ndarray, nature: np.ndarray, uniforms: np.ndarray, customers: Customers) -> np.ndarray:
    """Return the place on the ladder of devices: random, but bulk buyers keep to one for a quarter in most of their lines."""
    habitual = (nature >= BULK) & (uniforms[:, 10] < KEPT)
    return np.where(habitual, customers.habit[who, day // 91 % customers.habit.shape[1]], uniforms[:, 9])


def normals(radius: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Return standard normal numbers of two uniform ones each (Box and Muller 1958)."""
    return np.sqrt(-2 * np.log1p(-radius)) * np.cos(2 * np.pi * angle)


def seconds(hour: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return a second of the day between eight and ten o'clock in the evening, more often at its middle."""
    return (8 * 3600 + (hour + second) / 2 * 14 * 3600).astype(np.int64)


def returns(uniforms: np.ndarray, when: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return days until the units come back, one to thirty or so; NaN where they are kept."""
    return np.where(uniforms < share, 1 + 9 * -np.log1p(-when), np.nan)


def quarter_ends(world: HardwareWorld, days: int) -> np.ndarray:
    """Return which days are among the last of a quarter."""
    begin = first_day(world)
    ahead = [begin + timedelta(days=day + QUARTER_END) for day in range(days)]
    return np.array([date.day <= QUARTER_END and date.month % 3 == 1 for date in ahead], bool)


def _lifts(world: HardwareWorld, days: int) -> np.ndarray:
    """Return the factor of the calendar on the rate of orders, shape (natures, days)."""
    begin = first_day(world)
    dates = [begin + timedelta(days=day) for day in range(days)]
    weekend = np.array([date.weekday() >= 5 for date in dates])
    gifts = np.array([{11: 0.6, 12: 1.0}.get(date.month, 0.0) for date in dates])
    logs = np.outer(traits("december"), gifts) + np.outer(traits("quarter"), quarter_ends(world, days))
    lifts: np.ndarray = np.exp(logs) * np.where(weekend, traits("weekend")[:, None], 1.0)
    return lifts
