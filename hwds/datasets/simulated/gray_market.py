"""GrayMarket: order lines of honest customers and of arbitrage rings, with known truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le
from numpy import ndarray
from polars import DataFrame, Series

from hwds.core.recipe import Positive, PositiveInt, Seed, Small, UnitInterval
from hwds.core.seeds import stream
from hwds.datasets.base import Dataset
from hwds.datasets.simulated.worlds.hardware import FAMILIES, HardwareWorld
from hwds.datasets.simulated.worlds.orders import (
    ACCOUNTS,
    ASKED,
    BULK,
    CHANNEL_NAMES,
    DECLARED,
    KINDS,
    REGION_ODDS,
    REGIONS,
    RINGS,
    STORES,
    Customers,
    Findings,
    Investigators,
    MarketLines,
    MarketPrices,
    coded_names,
    concatenate_lines,
    draw_choices,
    findings,
    honest_customers,
    honest_lines,
    market_prices,
    market_start,
    market_world,
    normals,
    returns,
    ring_identifiers,
    seconds,
)
from hwds.frames.table import Table

# Arbitrage rings: hidden owners of several accounts who buy where it pays, and learn from being
# caught.

MOST_LINES = 6
"""The most order lines of one ring on one day."""

COLUMNS = 17
"""Uniform draws of each of them."""

SLOTS = 7
"""The most accounts that one ring has at a time."""

STARTS = (-350, 300)
"""The days between which rings begin, counted from the log's first."""

REACH = np.array([0.10, 0.35, 0.60, 0.50, 0.55, 0.50])
"""The odds that a ring has a way into each channel."""

FULL_GAIN = 0.10
"""The gain, as a share of a unit's price, at which a ring buys its usual amount; at twice as much,
twice.
"""

CAMPAIGN = 14
"""Days for which a ring has the same taste in devices."""

SMALLER, WIDER, LEAST = 0.95, 1.05, 0.4
"""With each account lost: how much smaller lines get, how much more frequent days of purchase; the
least of a line.
"""

RETURNED, KEEPS = 0.015, 0.4
"""The share of a ring's lines that come back, and that go to the account's usual store."""


@dataclass(frozen=True, eq=False)
class Rings:
    """The traits of rings, one entry each.

    Attributes:
        start: The first day.
        home, second: Regions.
        reaches: Which channels it can buy in, shape (rings, channels).
        premium: What it wants for the risk, as a share of the street price.
        size: Units of a line at first.
        lines: Lines of a day of purchase at the usual gain.
        active: The odds of a day of purchase.
        accounts: How many it has at a time.
        heed: How often it keeps a line below the threshold that gets looked at.
    """

    start: ndarray
    home: ndarray
    second: ndarray
    reaches: ndarray
    premium: ndarray
    size: ndarray
    lines: ndarray
    active: ndarray
    accounts: ndarray
    heed: ndarray


def rings(seed: int, n: int) -> Rings:
    """Draw rings; more of them leave the first ones as they are."""
    uniforms = np.stack([stream(seed, "gray", "ring", ring).random(18) for ring in range(n)])
    reaches = uniforms[:, 10:16] < REACH
    reaches[:, 2] |= ~reaches.any(axis=1)
    return Rings(
        start=STARTS[0] + (STARTS[1] - STARTS[0]) * uniforms[:, 0],
        home=draw_choices(REGION_ODDS, uniforms[:, 1]),
        second=draw_choices(REGION_ODDS, uniforms[:, 2]),
        reaches=reaches,
        premium=0.10 + 0.08 * uniforms[:, 3],
        size=np.exp(np.log(7.0) + np.log(24.0 / 7.0) * uniforms[:, 4]),
        lines=0.8 + 1.4 * uniforms[:, 5],
        active=0.12 + 0.20 * uniforms[:, 6],
        accounts=3 + (uniforms[:, 7] * (SLOTS - 2)).astype(np.int64),
        heed=0.1 + 0.3 * uniforms[:, 8],
    )


@dataclass(eq=False)
class Course:
    """The state of the rings while the days go by.

    Attributes:
        serial: The serial number of the account in each slot, shape (rings, slots).
        blocked: When the account in each slot will be, in days; infinite where nothing is known of
            it.
        opened: Accounts that each ring has opened.
        lost: Accounts that each ring has lost.
        lessons: What had been lost when each account was opened, by account's number.
    """

    serial: ndarray
    blocked: ndarray
    opened: ndarray
    lost: ndarray
    lessons: dict[int, int]

    @classmethod
    def begin(cls, n: int) -> Course:
        """Return all first accounts are open."""
        serial = np.tile(np.arange(SLOTS), (n, 1))
        lessons = {account_number(ring, slot): 0 for ring in range(n) for slot in range(SLOTS)}
        return cls(
            serial, np.full((n, SLOTS), np.inf), np.full(n, SLOTS), np.zeros(n, np.int64), lessons
        )

    def replace_blocked(self, day: int) -> None:
        """Replace each blocked account by a new one."""
        for ring, slot in np.argwhere(self.blocked < day):
            self.lost[ring] += 1
            self.serial[ring, slot] = self.opened[ring] % ACCOUNTS
            self.opened[ring] += 1
            self.blocked[ring, slot] = np.inf
            self.lessons[account_number(ring, self.serial[ring, slot])] = self.lost[ring]


def account_number(ring: int, serial: int) -> int:
    """Return the customer's number of an account."""
    return RINGS + int(ring) * ACCOUNTS + int(serial)


def ring_lines(
    seed: int, days: int, n: int, prices: MarketPrices, by: Investigators, adapts: bool
) -> tuple[MarketLines, dict[int, int]]:
    """Return all lines of rings, and by each account's number what was learned when it was opened,
    in accounts lost.

    What is found, and when, decides what a ring does later, so the days go one by one, all rings at
    once.
    """
    owners, course = rings(seed, n), Course.begin(n)
    width = 3 + COLUMNS * MOST_LINES
    draws = np.stack(
        [stream(seed, "gray", "ring days", ring).random((days, width)) for ring in range(n)]
    )
    tastes = np.stack(
        [stream(seed, "gray", "tastes", ring).random(days // CAMPAIGN + 1) for ring in range(n)]
    )
    parts = []
    for day in range(days):
        course.replace_blocked(day)
        lessons = course.lost if adapts else np.zeros_like(course.lost)
        parts.append(
            _day(
                day, owners, course, lessons, draws[:, day], tastes[:, day // CAMPAIGN], prices, by
            )
        )
    return concatenate_lines(parts), course.lessons if adapts else dict.fromkeys(course.lessons, 0)


def _day(
    day: int,
    owners: Rings,
    course: Course,
    lessons: ndarray,
    uniforms: ndarray,
    taste: ndarray,
    prices: MarketPrices,
    by: Investigators,
) -> MarketLines:
    """Return the lines of one day."""
    active = (owners.start <= day) & (
        uniforms[:, 0] < np.minimum(owners.active * WIDER**lessons, 0.6)
    )
    region = np.where(uniforms[:, 1] < 0.8, owners.home, owners.second)
    offer, gain = _pick(day, owners, region, np.where(lessons > 3, uniforms[:, 2], taste), prices)
    places = uniforms[:, 3:].reshape(len(uniforms), MOST_LINES, COLUMNS)
    amount = owners.lines * np.clip(gain / FULL_GAIN, 0.3, 2.5) / WIDER**lessons
    count = np.minimum(np.floor(amount + places[:, 0, 0]), MOST_LINES) * (active & (gain > 0))
    ring, place = np.nonzero(np.arange(MOST_LINES) < count[:, None])
    own_uniforms = places[ring, place]
    units = _units(owners, ring, lessons, own_uniforms, by)
    outcome = findings(by, units, True, own_uniforms[:, 13:17])
    opened = np.minimum(owners.accounts, 1 + np.maximum(day - owners.start, 0) // 7).astype(
        np.int64
    )
    slot = (own_uniforms[:, 1] * opened[ring]).astype(np.int64)
    time = day * 86400 + seconds(own_uniforms[:, 2], own_uniforms[:, 3])
    _remember(course, ring, slot, time, outcome)
    channel = prices.channel[offer][ring]
    account = RINGS + ring * ACCOUNTS + course.serial[ring, slot]
    return MarketLines(
        account=account,
        order=(day << 24) + (1 << 23) + (ring << 3) + place,
        time=time,
        region=region[ring],
        channel=channel,
        store=_stores(account, channel, own_uniforms[:, 4:6]),
        offer=offer[ring],
        quantity=units,
        late=own_uniforms[:, 6],
        returned=returns(own_uniforms[:, 7], own_uniforms[:, 8], np.full(len(ring), RETURNED)),
        **outcome._asdict(),
    )


def _pick(
    day: int, owners: Rings, region: ndarray, taste: ndarray, prices: MarketPrices
) -> tuple[ndarray, ndarray]:
    """Return an offer for each ring, drawn by its gain.

    And its gain after the premium, as a share of the price paid.
    """
    net = prices.gain[region, :, day] - owners.premium[:, None] * prices.street[prices.sku, day]
    share = net / prices.price[:, prices.month[day]]
    share = np.where(owners.reaches[:, prices.channel] & (net > 0), share, 0.0)
    below = np.cumsum(share, axis=1)
    offer = np.minimum((taste[:, None] * below[:, -1:] >= below).sum(axis=1), share.shape[1] - 1)
    return offer, share[np.arange(len(share)), offer]


def _units(
    owners: Rings, ring: ndarray, lessons: ndarray, uniforms: ndarray, by: Investigators
) -> ndarray:
    """Return log-normal units about the ring's size.

    Some lines are cut to below the threshold, more with each lesson.
    """
    normal = normals(uniforms[:, 9], uniforms[:, 10])
    size = owners.size * np.maximum(SMALLER**lessons, LEAST)
    units = np.maximum(np.round(size[ring] * np.exp(0.4 * normal)), 2).astype(np.int64)
    heed = 1 - (1 - owners.heed[ring]) * 0.94 ** lessons[ring]
    below = by.rule_quantity - 1 - (uniforms[:, 12] * 3).astype(np.int64)
    return np.where((uniforms[:, 11] < heed) & (units > below), np.maximum(below, 1), units)


def _stores(account: ndarray, channel: ndarray, uniforms: ndarray) -> ndarray:
    """Return the store that an account is used to, or any other."""
    usual = uniforms[:, 0] < KEEPS
    return (
        np.where(usual, account * 7 % 11, (uniforms[:, 1] * 1000).astype(np.int64))
        % STORES[channel]
    )


def _remember(
    course: Course, ring: ndarray, slot: ndarray, time: ndarray, outcome: Findings
) -> None:
    """Block an account at the first finding against it."""
    guilty = outcome.label == 1
    when = time[guilty] / 86400 + outcome.days[guilty]
    np.minimum.at(course.blocked, (ring[guilty], slot[guilty]), when)


# The columns of the gray market's table: names, prices and times of simulated lines.

LATE_CHANNELS, LATE_SHARE, LATE_DAYS = ("carrier", "export"), 0.6, 3.0
"""The channels that report late, the share of their lines that is late, and the most days."""

TIERS, REBATES = np.array([10, 25, 50]), np.array([0.0, 0.01, 0.025, 0.04])
"""Units of a line from which on its price falls, and by how much."""

RING_DECLARED = np.array([0.22, 0.40, 0.12, 0.26])
"""The shares of the kinds that accounts of rings declare, in the order of `DECLARED`."""

SHARED, SHARED_LESS = np.array([0.45, 0.30, 0.30]), 0.95
"""The odds that a ring's account shares its address, payment and contact, and the factor of them
for each account lost.
"""


def market_table(
    world: HardwareWorld,
    prices: MarketPrices,
    customers: Customers,
    lines: MarketLines,
    lessons: dict[int, int],
) -> DataFrame:
    """Return one row a line, in the order of arrival."""
    day, begin = lines.time // 86400, np.datetime64(market_start(world), "us")
    late = np.isin(lines.channel, [CHANNEL_NAMES.index(name) for name in LATE_CHANNELS]) & (
        lines.late < LATE_SHARE
    )
    arrival = lines.time + (late * lines.late / LATE_SHARE * LATE_DAYS * 86400).astype(np.int64)
    columns = (
        {"time": _when(begin, lines.time), "available_at": _when(begin, arrival)}
        | _who(world.seed, customers, lines, lessons)
        | _what(begin, prices, lines, day)
        | _findings_columns(begin, lines, arrival)
    )
    truth = {
        "gray": (lines.account >= RINGS).astype(np.int64),
        "true_kind": _true_kind(customers, lines),
    }
    order = np.lexsort((np.arange(len(day)), lines.order, lines.time, arrival))
    return DataFrame(columns | truth)[order]


def _who(
    seed: int, customers: Customers, lines: MarketLines, lessons: dict[int, int]
) -> dict[str, Series]:
    """Return names of the order, the account and its identifiers, and its declared kind.

    Each account named once.
    """
    accounts, row = np.unique(lines.account, return_inverse=True)
    honest = accounts[accounts < RINGS]
    crooked = accounts[accounts >= RINGS]
    declared, identifiers = _ring_accounts(
        seed, crooked, np.array([lessons[number] for number in crooked.tolist()])
    )
    kinds = np.concatenate([customers.declared[honest], declared])
    shared = np.concatenate([customers.identifiers[honest], identifiers])
    names = {
        kind: coded_names(seed, kind, numbers)[row]
        for kind, numbers in zip(KINDS, shared.T, strict=True)
    }
    texts = Series("customer_kind", DECLARED)
    return {
        "order": coded_names(seed, "order", lines.order),
        "customer": coded_names(seed, "customer", accounts)[row],
        **names,
        "customer_kind": texts[kinds][row],
    }


def _ring_accounts(seed: int, accounts: ndarray, lessons: ndarray) -> tuple[ndarray, ndarray]:
    """Return what accounts of rings say they are, and their identifiers."""
    ring, serial = (accounts - RINGS) // ACCOUNTS, (accounts - RINGS) % ACCOUNTS
    uniforms = np.zeros((len(accounts), 6))
    for number in np.unique(ring):
        here = ring == number
        uniforms[here] = stream(seed, "gray", "ring accounts", int(number)).random(
            (serial[here].max() + 1, 6)
        )[serial[here]]
    shared = SHARED * SHARED_LESS ** lessons[:, None]
    return draw_choices(RING_DECLARED, uniforms[:, 5]), ring_identifiers(
        accounts, ring, shared, uniforms[:, :5]
    )


def _what(
    begin: np.datetime64, prices: MarketPrices, lines: MarketLines, day: ndarray
) -> dict[str, Series | ndarray]:
    """Return where and what was bought, for how much, and when it came back."""
    month, sku = prices.month[day], prices.sku[lines.offer]
    rebate = REBATES[np.searchsorted(TIERS, lines.quantity, side="right")]
    paid = np.round(prices.price[lines.offer, month] * ASKED[lines.region] * (1 - rebate), 2)
    listed = prices.list_price[sku, month]
    region, channel = Series(REGIONS)[lines.region], Series(CHANNEL_NAMES)[lines.channel]
    return {
        "channel": channel,
        "store": pl.select(
            pl.concat_str(region, channel, Series(lines.store + 1), separator=".")
        ).to_series(),
        "region": region,
        "sku": prices.skus["sku"][sku],
        "generation": prices.skus["generation"][sku],
        "quantity": lines.quantity,
        "unit_price": paid,
        "list_price": listed,
        "street_price": prices.street[sku, day],
        "promotion": prices.promoted[lines.offer, month],
        "returned_at": _when(begin, lines.time + 86400 * lines.returned),
        "at_stake": np.round(lines.quantity * np.maximum(listed - paid, 0), 2),
    }


def _findings_columns(
    begin: np.datetime64, lines: MarketLines, arrival: ndarray
) -> dict[str, Series]:
    """Return the findings, null where there is none."""
    looked = np.isfinite(lines.label)
    confirmed = Series(lines.label, nan_to_null=True).cast(pl.Int64)
    return {
        "confirmed": confirmed,
        "confirmed_at": _when(begin, np.where(looked, arrival + 86400 * lines.days, np.nan)),
        "review_chance": Series(lines.chance, nan_to_null=True),
    }


def _true_kind(customers: Customers, lines: MarketLines) -> Series:
    honest = np.minimum(lines.account, len(customers.nature) - 1)
    kind = np.where(lines.account >= RINGS, 2, (customers.nature[honest] >= BULK).astype(np.int64))
    return Series(("honest", "honest_bulk", "ring"))[kind]


def _when(begin: np.datetime64, seconds: ndarray) -> Series:
    """Return instants so many seconds after the beginning."""
    known = np.isfinite(seconds)
    whole = np.where(known, seconds, 0).astype(np.int64).astype("timedelta64[s]")
    instants = np.where(known, begin + whole, np.datetime64("NaT"))
    return Series(instants.astype("datetime64[us]"))


# GrayMarket: order lines of honest customers and of arbitrage rings, with known truth.

ROLES = {
    "time": ("time",),
    "available_at": ("available_at",),
    "entity": ("customer",),
    "link": ("address", "payment", "contact"),
    "slice": ("channel", "customer_kind"),
    "amount": ("at_stake",),
    "label": ("confirmed",),
    "label_time": ("confirmed_at",),
    "label_propensity": ("review_chance",),
    "truth": ("gray", "true_kind"),
    "covariate": (
        "channel",
        "customer_kind",
        "region",
        "sku",
        "generation",
        "quantity",
        "unit_price",
        "list_price",
        "street_price",
        "promotion",
    ),
}


class GrayMarket(Dataset):
    """A year of simulated order lines of devices: some are of arbitrage rings, and investigations
    find a part of them.

    The devices, channels, subsidies and prices are those of `hardware_demand`; the open market has
    a street price of its own. A ring is one hidden owner of three to seven accounts. It buys a
    device in a channel only if the gain is positive: the best region's street price minus freight,
    duty, the price paid and a premium for the risk. The larger the gain, the more it buys. It
    splits orders over stores and accounts, keeps some lines below the rule's threshold, and shares
    some of its accounts' addresses, payments and contacts. An account is blocked once one of its
    lines is confirmed. A new account takes its place and shares less; the ring's lines get smaller,
    and it buys on more days. Honest buyers of large quantities buy as much, some of them what is
    cheapest, whatever the street price is; families, campuses, forwarders and buyers with several
    accounts share identifiers, too.

    Only investigated lines have a label: a random stream (`review_chance`) and some of the lines
    that today's rule names (quantity; no known chance). Two channels report up to three days late.
    Labels, returns and late reports are told as of the day on which the last of them was known,
    which is after the last order. `at_stake` is the quantity times what was paid below the list
    price: the subsidy, discounts and promotions.

    Attributes:
        seed: The world's seed; experiments with other seeds share the data.
        days: The days over which orders come.
        customers: The number of honest customers.
        rings: Arbitrage rings; they begin at different times, from before the first day on.
        families: Product families, in the order of `catalogue.FAMILIES`.
        review_chance: The chance of any line to be in the random stream of reviews.
        rule_quantity: The number of units from which today's rule asks for an investigation.
        rule_share: The share of those lines that are investigated.
        missed: The share of investigated lines of rings that are found innocent.
        confirm_days: The median of days from a line's arrival to the finding.
        adapts: Whether rings learn from the accounts that they lose.
    """

    gives = Table
    seed: Seed = 0
    days: Annotated[int, Ge(60), Le(2000), Small(120)] = 365
    customers: Annotated[int, Ge(100), Le(1_000_000), Small(6000)] = 20_000
    rings: Annotated[PositiveInt, Le(10_000), Small(28)] = 60
    families: Annotated[PositiveInt, Le(len(FAMILIES))] = 6
    review_chance: Annotated[float, Gt(0), Le(1)] = 0.02
    rule_quantity: PositiveInt = 10
    rule_share: UnitInterval = 0.6
    missed: UnitInterval = 0.15
    confirm_days: Positive = 6.0
    adapts: bool = True

    def load(self) -> Table:
        """Return the lines in the order of their arrival."""
        world = market_world(self.seed, self.days, self.families)
        prices = market_prices(self.seed, self.days, self.families)
        by = Investigators(
            self.review_chance, self.rule_quantity, self.rule_share, self.missed, self.confirm_days
        )
        customers = honest_customers(world, self.customers)
        honest = honest_lines(world, self.days, customers, prices, by)
        gray, lessons = ring_lines(self.seed, self.days, self.rings, prices, by, self.adapts)
        rows = market_table(world, prices, customers, concatenate_lines([honest, gray]), lessons)
        return Table.build(rows, dict(ROLES), "USD")
