"""Honest orders of the gray market: names, prices, customers, lines, and what investigators
find.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series

from hwds.core.seeds import stream, stream_key
from hwds.datasets.simulated.worlds.hardware import (
    CHANNELS,
    CUSTOMER_KINDS,
    REVIEW,
    DemandLaw,
    HardwareWorld,
    demand_plan,
    offers_on_sale,
    reductions,
)

# Names that give nothing away: numbers under a one-to-one code, and identifiers that some
# accounts share.

BITS = 40
RINGS = 1 << 26
"""Accounts of rings are numbered from here, honest customers from 0."""

ACCOUNTS = 1 << 12
"""The most accounts that one ring ever has."""

POOLS = 1 << 34
"""Identifiers that accounts share are numbered from here: those of places first, then those of each
ring.
"""

CAMPUSES, FORWARDERS = 40, 25
"""Addresses at which many unrelated honest customers live, or from which goods are sent on; rings
use the latter, too.
"""

KINDS = ("address", "payment", "contact")


def coded_names(seed: int, kind: str, numbers: ndarray) -> Series:
    """Return a text for each number below 2**40, different for each, in no order: a multiplication
    and a shift, twice.

    Both are one-to-one on 40 bits, so that no two numbers meet in one name, as hashes may.
    """
    key, mask, half = (
        stream_key(seed, "gray", "names", kind),
        np.uint64((1 << BITS) - 1),
        np.uint64(BITS // 2),
    )
    factors = [np.uint64(key >> place & int(mask) | 1) for place in (0, BITS)]
    codes = numbers.astype(np.uint64)
    for factor in factors:
        codes = codes * factor & mask
        codes ^= codes >> half
    return (
        pl.select(pl.concat_str(pl.lit(f"{kind}-"), Series(kind, codes).cast(pl.String)))
        .to_series()
        .alias(kind)
    )


def honest_identifiers(uniforms: ndarray, consumer: ndarray, bulk: ndarray) -> ndarray:
    """Return address, payment and contact of each honest customer, shape (n, 3).

    One without ties has three of its own.

    Families share an address with the customer before them, four in ten of them the payment, too;
    bulk buyers with several accounts share the payment, and most of them the contact, with the bulk
    buyer before them; consumers live on campuses, and anyone may send through a forwarder.

    Args:
        uniforms: Uniform, shape (n, 6).
        consumer: Which customers are consumers.
        bulk: Which customers buy in bulk.
    """
    n = len(uniforms)
    ids = np.repeat(np.arange(n)[:, None], len(KINDS), axis=1)
    before = np.maximum(ids[:, 0] - 1, 0)
    family = consumer & (uniforms[:, 0] < 0.12) & consumer[before]
    ids[:, 0] = np.where(family, before, ids[:, 0])
    ids[:, 1] = np.where(family & (uniforms[:, 1] < 0.4), before, ids[:, 1])
    campus = consumer & (uniforms[:, 0] > 0.96)
    ids[:, 0] = np.where(campus, POOLS + (uniforms[:, 1] * CAMPUSES).astype(np.int64), ids[:, 0])
    sends = uniforms[:, 2] < np.where(bulk, 0.12, 0.01)
    ids[:, 0] = np.where(
        sends, POOLS + CAMPUSES + (uniforms[:, 3] * FORWARDERS).astype(np.int64), ids[:, 0]
    )
    last = np.maximum.accumulate(np.where(bulk, np.arange(n), -1))
    earlier = np.where(np.arange(n) > 0, last[np.maximum(np.arange(n) - 1, 0)], -1)
    several = bulk & (uniforms[:, 4] < 0.4) & (earlier >= 0)
    ids[:, 1] = np.where(several, earlier, ids[:, 1])
    ids[:, 2] = np.where(several & (uniforms[:, 5] < 0.7), earlier, ids[:, 2])
    return ids


def ring_identifiers(
    account: ndarray, ring: ndarray, shared: ndarray, uniforms: ndarray
) -> ndarray:
    """Return address, payment and contact of accounts of rings, shape (n, 3): some of three that
    the ring has, some new.

    Args:
        account: Their numbers.
        ring: Their rings.
        shared: The odds that each kind of identifier comes from the ring's, shape (n, 3).
        uniforms: Uniform, shape (n, 5).
    """
    common = POOLS + 1000 + 16 * ring[:, None] + (3 * uniforms[:, 3:4]).astype(np.int64)
    ids = np.where(uniforms[:, :3] < shared, common, account[:, None])
    forwarder = uniforms[:, 4] < 0.15
    ids[:, 0] = np.where(
        forwarder,
        POOLS + CAMPUSES + (uniforms[:, 4] / 0.15 * FORWARDERS).astype(np.int64),
        ids[:, 0],
    )
    return ids


# Investigations: a random stream of reviews, today's rule, what they find and after which
# delay.

DELAY_SPREAD, LEAST_DELAY, MOST_DELAY = 0.35, 1.0, 60.0
"""The scale and the bounds of the log-logistic delay of a finding, in days."""


class Investigators(NamedTuple):
    """The ways in which lines are investigated.

    Attributes:
        review_chance: The review chance of any line, whatever it is, in the random stream.
        rule_quantity: The number of units from which today's rule asks for a look.
        rule_share: The share of those lines that somebody has the time to look at; nobody writes it
            down.
        missed: The share of gray lines that are looked at and found innocent; no honest line is
            found gray.
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

    chance: ndarray
    label: ndarray
    days: ndarray


def findings(by: Investigators, quantity: ndarray, gray: bool, uniforms: ndarray) -> Findings:
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


# Prices of the gray market: what each channel asks, what the open market pays, and what a
# reseller gains between them.

FIRST_MONTH = 96
"""The month of the world in which the log begins: by then each family has several generations."""

CHANNEL_NAMES = tuple(channel.name for channel in CHANNELS)
REGIONS = ("north_america", "europe", "asia", "latin_america", "middle_east")
ASKED = np.array([1.0, 1.03, 0.98, 1.05, 1.01])
"""The price of each channel in each region, over the price of the plan."""

PAID = np.array([1.0, 1.04, 0.99, 1.08, 1.04])
"""The price of the open market in each region, over the street price."""

DUTY = np.array([0.0, 0.04, 0.03, 0.10, 0.05])
"""Share of the price paid, on what comes into each region from another."""

FREIGHT = (4.0, 0.008, 0.025)
"""For each unit: currency, share of the street price within the region, and share into another."""

SCARCITY, SCARCE_MONTHS, AGEING = 0.08, 2.0, 0.0025
"""The street price over the list price, in logs: at launch, months to a third of it, and what each
month takes off.
"""

PERSISTENCE, SPREAD = 0.97, 0.045
"""The autocorrelation of the street price from day to day, and its standard deviation, in logs."""


TASTE, BARGAIN = 0.3, 25.0
"""Bargain hunters: the power of a device's demand in their odds, and the weight of its discount."""


@dataclass(frozen=True, eq=False)
class MarketPrices:
    """All prices of the log's days: those of `HardwareDemand`'s plan by channel, and an open market
    of its own.

    Attributes:
        skus: The devices, as in `HardwareWorld.skus`.
        sku: The sku of each offer, its row of `skus`, shape (offers,).
        channel: The channel of each offer, its number in `CHANNEL_NAMES`.
        month: The month of each day, counted from the log's first, shape (days,).
        price: Of each offer in each month, before the region's factor; NaN where it is not sold,
            shape (offers, months).
        promoted: The same, whether there is a promotion.
        chosen: Up to which point of (0, 1) a customer of a channel in a month chooses this offer or
            one before it: first of customers at large, whose odds are the expected demand of
            `DemandLaw`, then of those who look for bargains, shape (2, channels, months, offers).
        list_price: The list price of each device in each month, shape (skus, months).
        street: The street price of each device on each day, shape (skus, days).
        gain: The best of all regions' markets, less freight, duty and what is paid, for one unit
            that is bought in a region: shape (regions, offers, days); minus infinity where the
            offer is not sold. No premium for the risk is taken off.
    """

    skus: DataFrame
    sku: ndarray
    channel: ndarray
    month: ndarray
    price: ndarray
    promoted: ndarray
    chosen: ndarray
    list_price: ndarray
    street: ndarray
    gain: ndarray

    def choose(
        self, bargain: ndarray, channel: ndarray, day: ndarray, uniforms: ndarray
    ) -> ndarray:
        """Return the offers that customers of these channels take on these days, by uniform
        numbers.
        """
        kinds, channels, months, offers = self.chosen.shape
        group = (bargain * channels + channel) * months + self.month[day]
        ladder = (
            np.arange(kinds * channels * months)[:, None] + self.chosen.reshape(-1, offers)
        ).ravel()
        return np.searchsorted(ladder, group + uniforms, side="right") - group * offers


def market_world(seed: int, days: int, families: int) -> HardwareWorld:
    """Return the world of a log of so many days."""
    return HardwareWorld(seed, FIRST_MONTH + days // 28 + 2, 1, families, len(CHANNELS))


def market_prices(seed: int, days: int, families: int) -> MarketPrices:
    """Return the prices of a log of so many days; more days leave the first ones as they are."""
    world = market_world(seed, days, families)
    offers = offers_on_sale(world)
    plan = demand_plan(world, offers).filter(pl.col("month") >= FIRST_MONTH)
    month = _months(world, days)
    skus = world.skus.join(
        offers.select("sku").unique(), on="sku", how="semi", maintain_order="left"
    )
    place = {name: row for row, name in enumerate(skus["sku"])}
    sku = np.array([place[name] for name in offers["sku"]])
    channel = np.array([CHANNEL_NAMES.index(name) for name in offers["channel"]])
    price, promoted, interest = _by_month(world, offers, plan)
    list_price = _list_prices(world, offers, sku)
    odds = np.stack([interest, _bargains(interest, price / list_price[sku])])
    street = _street(world, skus, list_price[:, month], days)
    gain = _gains(street[sku], price[:, month])
    return MarketPrices(
        skus,
        sku,
        channel,
        month,
        price,
        promoted,
        _cumulative_odds(odds, channel),
        list_price,
        street,
        gain,
    )


def market_start(world: HardwareWorld) -> datetime:
    """Return midnight before the first order."""
    begun = world.dates(np.array([FIRST_MONTH]))[0]
    return datetime(begun.year, begun.month, begun.day)


def _months(world: HardwareWorld, days: int) -> ndarray:
    begin = market_start(world)
    dates = [begin + timedelta(days=day) for day in range(days)]
    return np.array([12 * (date.year - begin.year) + date.month - begin.month for date in dates])


def _by_month(
    world: HardwareWorld, offers: DataFrame, plan: DataFrame
) -> tuple[ndarray, ndarray, ndarray]:
    """Return price, promotion and expected demand of each offer in each month of the log."""
    law = DemandLaw.of(world, offers, cannibalisation=0.6, noise=0.18, drift=0.12).take(
        plan["offer"].to_numpy()
    )
    values = (
        plan["price"].to_numpy(),
        plan["promotion"].to_numpy(),
        np.exp(law.log_interest(plan) + law.log_effects(plan)),
    )
    where = plan["offer"].to_numpy(), plan["month"].to_numpy() - FIRST_MONTH
    tables = np.zeros((3, len(offers), world.months + world.ahead - FIRST_MONTH))
    tables[0] = np.nan
    for table, column in zip(tables, values, strict=True):
        table[where] = column
    return tables[0], tables[1] > 0, tables[2]


def _bargains(interest: ndarray, share: ndarray) -> ndarray:
    """Return the odds of those to whom a low price counts more than a device, by the price as a
    share of the list price.
    """
    return interest**TASTE * np.exp(-BARGAIN * np.nan_to_num(share))


def _cumulative_odds(odds: ndarray, channel: ndarray) -> ndarray:
    channel_odds = (channel == np.arange(len(CHANNEL_NAMES))[:, None])[:, None, :] * odds.transpose(
        0, 2, 1
    )[:, None]
    below = np.cumsum(channel_odds, axis=3)
    return below / below[..., -1:]


def _list_prices(world: HardwareWorld, offers: DataFrame, sku: ndarray) -> ndarray:
    """Return the maker's price of each device by month: cut at each review, and once it is
    succeeded.
    """
    rows = np.unique(sku, return_index=True)[1]
    devices = offers[rows]
    month = FIRST_MONTH + np.arange(world.months + world.ahead - FIRST_MONTH)
    cuts = reductions(world, devices)
    review = np.clip(
        (month - devices["launch_month"].to_numpy()[:, None]) // REVIEW, 0, cuts.shape[1] - 1
    )
    succeeded = devices["succeeded_month"].fill_null(world.months + world.ahead).to_numpy()[:, None]
    clearance = devices["launch_cut"].to_numpy()[:, None] * (month > succeeded)
    prices: ndarray = (
        devices["list_price"].to_numpy()[:, None]
        * np.exp(-np.take_along_axis(cuts, review, 1))
        * (1 - clearance)
    )
    return np.round(prices)


def _street(world: HardwareWorld, skus: DataFrame, list_price: ndarray, days: int) -> ndarray:
    """Return street prices by day: scarce at launch, cheaper with age, and an autoregression of
    each device.
    """
    age = FIRST_MONTH + np.arange(days) / 30.4 - skus["launch_month"].to_numpy()[:, None]
    premium = SCARCITY * np.exp(-np.maximum(age, 0) / SCARCE_MONTHS) - AGEING * np.maximum(age, 0)
    shocks = np.stack(
        [stream(world.seed, "gray", "street", sku).standard_normal(days) for sku in skus["sku"]]
    )
    course = SPREAD * shocks
    for day in range(1, days):
        course[:, day] = (
            PERSISTENCE * course[:, day - 1] + np.sqrt(1 - PERSISTENCE**2) * course[:, day]
        )
    return np.round(list_price * np.exp(premium + course), 2)


def _gains(street: ndarray, price: ndarray) -> ndarray:
    """Return what one unit gains, shape (regions, offers, days)."""
    fixed, near, far = FREIGHT
    gains = np.full((len(REGIONS), *street.shape), -np.inf)
    for origin, gain in enumerate(gains):
        paid = price * ASKED[origin]
        for there in range(len(REGIONS)):
            abroad = there != origin
            cost = fixed + (far if abroad else near) * street + DUTY[there] * abroad * paid
            np.fmax(gain, street * PAID[there] - cost - paid, out=gain)
    return gains


# Honest customers of the gray market's log: what they are, how often they order, where, and how
# much.


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
    Nature(
        "consumer",
        6.6,
        0.15,
        0.6,
        0.45,
        0.10,
        0.06,
        1.5,
        0.5,
        0.0,
        0.6,
        0.6,
        EVER,
        (0.40, 0.32, 0.21, 0.0, 0.07, 0.0),
    ),
    Nature(
        "small_business",
        20.0,
        0.25,
        2.2,
        0.75,
        0.35,
        0.04,
        0.5,
        0.2,
        0.2,
        0.6,
        0.6,
        EVER,
        (0.25, 0.33, 0.17, 0.18, 0.05, 0.02),
    ),
    Nature(
        "enterprise",
        45.0,
        0.35,
        5.0,
        0.85,
        0.40,
        0.02,
        0.1,
        0.0,
        0.7,
        0.8,
        0.7,
        EVER,
        (0.0, 0.10, 0.22, 0.66, 0.0, 0.02),
    ),
    Nature(
        "reseller",
        15.0,
        0.15,
        9.0,
        0.45,
        0.40,
        0.03,
        0.3,
        0.15,
        0.2,
        0.85,
        0.6,
        EVER,
        (0.02, 0.07, 0.22, 0.22, 0.12, 0.35),
    ),
    Nature(
        "fleet",
        27.0,
        0.10,
        8.0,
        0.42,
        0.40,
        0.02,
        0.3,
        0.0,
        0.2,
        0.95,
        0.4,
        (30.0, 240.0),
        (0.0, 0.02, 0.60, 0.05, 0.28, 0.05),
    ),
)
"""Consumers, small businesses and enterprises of the world; and honest buyers of large quantities:
resellers who keep to their regions' prices, and fleets and schools that are equipped: for some
months they take what is cheapest in the one channel that is theirs.
"""

BULK = 3
"""The natures from here on buy in bulk."""

BULK_SHARES = np.array([0.87, 0.02, 0.11])
"""The shares of all customers: ordinary ones, resellers, fleets."""

DECLARED = ("consumer", "small_business", "enterprise", "reseller")
DECLARED_BULK = np.array([0.04, 0.38, 0.18, 0.40])
"""The shares of the kinds that bulk buyers declare; all others declare the truth."""

OPENED = np.array([[-2000, 500], [-240, 500]])
"""The days between which accounts are opened, counted from the log's first: of customers at large,
and of those in bulk.
"""

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
        habit: Uniform: the place on the ladder of devices that a bulk buyer keeps to for a quarter;
            one column a quarter.
        identifiers: Address, payment and contact, shape (n, 3).
    """

    nature: ndarray
    declared: ndarray
    orders: ndarray
    opened: ndarray
    closed: ndarray
    region: ndarray
    channel: ndarray
    store: ndarray
    quantity: ndarray
    habit: ndarray
    identifiers: ndarray


def honest_customers(world: HardwareWorld, n: int) -> Customers:
    """Return the world's first customers; more of them leave the first ones as they are."""
    known = HardwareWorld(world.seed, n_customers=n).customers
    uniforms = stream(world.seed, "gray", "customers").random((n, 13))
    kinds = [kind.name for kind in CUSTOMER_KINDS]
    kind = known["kind"].replace_strict(kinds, range(len(kinds))).to_numpy()
    least = np.array([kind.units for kind in CUSTOMER_KINDS])[kind]
    size = np.minimum(known["units"].to_numpy() / least, 100.0)
    special = draw_choices(BULK_SHARES, uniforms[:, 0])
    bulk = special > 0
    nature = np.where(bulk, BULK - 1 + special, kind)
    declared = np.where(bulk, draw_choices(DECLARED_BULK, uniforms[:, 1]), kind)
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
        region=draw_choices(REGION_ODDS, uniforms[:, 3]),
        channel=any_channel(nature, uniforms[:, 4]),
        store=(uniforms[:, 5] * 1000).astype(np.int64),
        quantity=median,
        habit=stream(world.seed, "gray", "habits").random((n, 4)),
        identifiers=honest_identifiers(uniforms[:, 6:12], nature == 0, bulk),
    )


def traits(name: str) -> ndarray:
    """Return one trait of all natures."""
    return np.array([getattr(nature, name) for nature in NATURES])


def any_channel(nature: ndarray, uniforms: ndarray) -> ndarray:
    """Return a channel for each, by the odds of its nature."""
    below = np.cumsum([nature.channels for nature in NATURES], axis=1)
    below = below / below[:, -1:]
    return np.minimum((uniforms[:, None] >= below[nature]).sum(axis=1), len(CHANNEL_NAMES) - 1)


def draw_choices(odds: ndarray, uniforms: ndarray) -> ndarray:
    """Return a number for each, by one set of odds."""
    return np.searchsorted(np.cumsum(odds)[:-1] / odds.sum(), uniforms, side="right")


# Honest order lines, day by day.

STORES = np.array([9, 2, 8, 3, 4, 3])
"""The stores of each channel in each region."""

AT_HOME = 0.93
"""The share of orders in the customer's own region."""

QUARTER_END, BULK_LIFT, BULK_ODDS = 10, 6.0, 0.12
"""Days before a quarter's end in which enterprises buy in bulk: so many times their quantity, in so
many of their lines.
"""

KEPT = 0.7
"""The share of a bulk buyer's lines that are of the device of its quarter."""

MOST_UNITS = 400
"""Units of one line."""

ORDERS_A_DAY = 8


@dataclass(frozen=True, eq=False)
class MarketLines:
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

    account: ndarray
    order: ndarray
    time: ndarray
    region: ndarray
    channel: ndarray
    store: ndarray
    offer: ndarray
    quantity: ndarray
    late: ndarray
    returned: ndarray
    chance: ndarray
    label: ndarray
    days: ndarray


def concatenate_lines(parts: list[MarketLines]) -> MarketLines:
    """Concatenate lines."""
    return MarketLines(
        **{
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(MarketLines)
        }
    )


def honest_lines(
    world: HardwareWorld, days: int, customers: Customers, prices: MarketPrices, by: Investigators
) -> MarketLines:
    """Return all lines of honest customers: each day has streams of its own, laid out customer by
    customer.
    """
    counts, draws, lines = [], [], []
    lifts = _lifts(world, days)
    for day in range(days):
        rng = stream(world.seed, "gray", "honest orders", day)
        rates = (
            customers.orders
            * lifts[customers.nature, day]
            * (customers.opened <= day)
            * (customers.closed > day)
        )
        count = np.minimum(rng.poisson(rates), ORDERS_A_DAY)
        uniforms = stream(world.seed, "gray", "honest lines", day).random((count.sum(), 10))
        counts.append(count)
        draws.append(uniforms)
        more = traits("more")[np.repeat(customers.nature, count)]
        lines.append(
            stream(world.seed, "gray", "honest units", day).random(
                ((1 + (uniforms[:, 0] < more)).sum(), 11)
            )
        )
    who = np.concatenate([np.repeat(np.arange(len(count)), count) for count in counts])
    on = np.repeat(np.arange(days), [len(uniforms) for uniforms in draws])
    return _lines(
        on, who, np.concatenate(draws), np.concatenate(lines), customers, prices, by, world
    )


def _lines(
    day: ndarray,
    who: ndarray,
    uniforms: ndarray,
    unit_uniforms: ndarray,
    customers: Customers,
    prices: MarketPrices,
    by: Investigators,
    world: HardwareWorld,
) -> MarketLines:
    """Return the lines of orders: what each order is about, then each of its lines."""
    nature = customers.nature[who]
    region, channel, store = _places(who, nature, uniforms, customers)
    first = np.append(True, (who[1:] != who[:-1]) | (day[1:] != day[:-1]))
    place = np.arange(len(who)) - np.maximum.accumulate(np.where(first, np.arange(len(who)), 0))
    order = np.repeat(np.arange(len(who)), 1 + (uniforms[:, 0] < traits("more")[nature]))
    who, nature, day, channel = who[order], nature[order], day[order], channel[order]
    quantity = _quantities(day, who, nature, unit_uniforms, customers, world)
    outcome: Findings = findings(by, quantity, False, unit_uniforms[:, 5:9])
    return MarketLines(
        account=who,
        order=(day << 24) + (who << 3) % (1 << 24) + place[order],
        time=day * 86400 + seconds(uniforms[order, 6], uniforms[order, 7]),
        region=region[order],
        channel=channel,
        store=store[order],
        offer=prices.choose(
            (nature > BULK).astype(np.int64),
            channel,
            day,
            _taste(day, who, nature, unit_uniforms, customers),
        ),
        quantity=quantity,
        late=uniforms[order, 8],
        returned=returns(unit_uniforms[:, 3], unit_uniforms[:, 4], traits("returned")[nature]),
        **outcome._asdict(),
    )


def _places(
    who: ndarray, nature: ndarray, uniforms: ndarray, customers: Customers
) -> tuple[ndarray, ...]:
    """Return where each order is placed: the region, channel and store that its customer is used
    to, or others.
    """
    region = np.where(
        uniforms[:, 1] < AT_HOME,
        customers.region[who],
        (uniforms[:, 9] * len(REGIONS)).astype(np.int64),
    )
    faithful = uniforms[:, 2] < traits("faithful")[nature]
    channel = np.where(faithful, customers.channel[who], any_channel(nature, uniforms[:, 3]))
    store = np.where(
        uniforms[:, 4] < traits("keeps")[nature],
        customers.store[who],
        (uniforms[:, 5] * 1000).astype(np.int64),
    )
    return region, channel, store % STORES[channel]


def _quantities(
    day: ndarray,
    who: ndarray,
    nature: ndarray,
    uniforms: ndarray,
    customers: Customers,
    world: HardwareWorld,
) -> ndarray:
    """Return log-normal units about the customer's own median.

    Enterprises buy in bulk before a quarter ends.
    """
    units = customers.quantity[who] * np.exp(
        traits("spread")[nature] * normals(uniforms[:, 0], uniforms[:, 1])
    )
    bulk = (nature == 2) & quarter_ends(world, day.max() + 1)[day] & (uniforms[:, 2] < BULK_ODDS)
    return np.clip(np.ceil(units * np.where(bulk, BULK_LIFT, 1.0)), 1, MOST_UNITS).astype(np.int64)


def _taste(
    day: ndarray, who: ndarray, nature: ndarray, uniforms: ndarray, customers: Customers
) -> ndarray:
    """Return the place on the ladder of devices: random, but bulk buyers keep to one for a quarter
    in most of their lines.
    """
    habitual = (nature >= BULK) & (uniforms[:, 10] < KEPT)
    return np.where(
        habitual, customers.habit[who, day // 91 % customers.habit.shape[1]], uniforms[:, 9]
    )


def normals(radius: ndarray, angle: ndarray) -> ndarray:
    """Return standard normal numbers of two uniform ones each (Box and Muller 1958)."""
    return np.sqrt(-2 * np.log1p(-radius)) * np.cos(2 * np.pi * angle)


def seconds(hour: ndarray, second: ndarray) -> ndarray:
    """Return a second of the day between eight and ten o'clock in the evening, more often at its
    middle.
    """
    return (8 * 3600 + (hour + second) / 2 * 14 * 3600).astype(np.int64)


def returns(uniforms: ndarray, when: ndarray, share: ndarray) -> ndarray:
    """Return days until the units come back, one to thirty or so; NaN where they are kept."""
    return np.where(uniforms < share, 1 + 9 * -np.log1p(-when), np.nan)


def quarter_ends(world: HardwareWorld, days: int) -> ndarray:
    """Return which days are among the last of a quarter."""
    begin = market_start(world)
    ahead = [begin + timedelta(days=day + QUARTER_END) for day in range(days)]
    return np.array([date.day <= QUARTER_END and date.month % 3 == 1 for date in ahead], bool)


def _lifts(world: HardwareWorld, days: int) -> ndarray:
    """Return the factor of the calendar on the rate of orders, shape (natures, days)."""
    begin = market_start(world)
    dates = [begin + timedelta(days=day) for day in range(days)]
    weekend = np.array([date.weekday() >= 5 for date in dates])
    gifts = np.array([{11: 0.6, 12: 1.0}.get(date.month, 0.0) for date in dates])
    logs = np.outer(traits("december"), gifts) + np.outer(
        traits("quarter"), quarter_ends(world, days)
    )
    return np.exp(logs) * np.where(weekend, traits("weekend")[:, None], 1.0)
