"""Arbitrage rings: hidden owners of several accounts who buy where it pays, and learn from being caught."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.core.seeds import stream
from hwds.datasets.simulated.gray.customers import REGION_ODDS, drawn
from hwds.datasets.simulated.gray.investigations import Findings, Investigators, findings
from hwds.datasets.simulated.gray.names import ACCOUNTS, RINGS
from hwds.datasets.simulated.gray.orders import STORES, Lines, joined, normals, returns, seconds
from hwds.datasets.simulated.gray.prices import MarketPrices

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
"""The gain, as a share of a unit's price, at which a ring buys its usual amount; at twice as much, twice."""

CAMPAIGN = 14
"""Days for which a ring has the same taste in devices."""

SMALLER, WIDER, LEAST = 0.95, 1.05, 0.4
"""With each account lost: how much smaller lines get, how much more frequent days of purchase; the least of a line."""

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

    start: np.ndarray
    home: np.ndarray
    second: np.ndarray
    reaches: np.ndarray
    premium: np.ndarray
    size: np.ndarray
    lines: np.ndarray
    active: np.ndarray
    accounts: np.ndarray
    heed: np.ndarray


def rings(seed: int, n: int) -> Rings:
    """Draw rings; more of them leave the first ones as they are."""
    uniforms = np.stack([stream(seed, "gray", "ring", ring).random(18) for ring in range(n)])
    reaches = uniforms[:, 10:16] < REACH
    reaches[:, 2] |= ~reaches.any(axis=1)
    return Rings(
        start=STARTS[0] + (STARTS[1] - STARTS[0]) * uniforms[:, 0],
        home=drawn(REGION_ODDS, uniforms[:, 1]),
        second=drawn(REGION_ODDS, uniforms[:, 2]),
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
        serial: Of the account in each slot, shape (rings, slots).
        blocked: When the account in each slot will be, in days; infinite where nothing is known of it.
        opened: Accounts that each ring has opened.
        lost: Accounts that each ring has lost.
        lessons: What had been lost when each account was opened, by account's number.
    """

    serial: np.ndarray
    blocked: np.ndarray
    opened: np.ndarray
    lost: np.ndarray
    lessons: dict[int, int]

    @classmethod
    def begin(cls, n: int) -> Course:
        """Return all first accounts are open."""
        serial = np.tile(np.arange(SLOTS), (n, 1))
        lessons = {account_number(ring, slot): 0 for ring in range(n) for slot in range(SLOTS)}
        return cls(serial, np.full((n, SLOTS), np.inf), np.full(n, SLOTS), np.zeros(n, np.int64), lessons)

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
) -> tuple[Lines, dict[int, int]]:
    """Return all lines of rings, and by each account's number what was learned when it was opened, in accounts lost.

    What is found, and when, decides what a ring does later, so the days go one by one, all rings at once.
    """
    owners, course = rings(seed, n), Course.begin(n)
    width = 3 + COLUMNS * MOST_LINES
    draws = np.stack([stream(seed, "gray", "ring days", ring).random((days, width)) for ring in range(n)])
    tastes = np.stack([stream(seed, "gray", "tastes", ring).random(days // CAMPAIGN + 1) for ring in range(n)])
    parts = []
    for day in range(days):
        course.replace_blocked(day)
        lessons = course.lost if adapts else np.zeros_like(course.lost)
        parts.append(_day(day, owners, course, lessons, draws[:, day], tastes[:, day // CAMPAIGN], prices, by))
    return joined(parts), course.lessons if adapts else dict.fromkeys(course.lessons, 0)


def _day(
    day: int,
    owners: Rings,
    course: Course,
    lessons: np.ndarray,
    uniforms: np.ndarray,
    taste: np.ndarray,
    prices: MarketPrices,
    by: Investigators,
) -> Lines:
    """Return the lines of one day."""
    active = (owners.start <= day) & (uniforms[:, 0] < np.minimum(owners.active * WIDER**lessons, 0.6))
    region = np.where(uniforms[:, 1] < 0.8, owners.home, owners.second)
    offer, gain = _pick(day, owners, region, np.where(lessons > 3, uniforms[:, 2], taste), prices)
    places = uniforms[:, 3:].reshape(len(uniforms), MOST_LINES, COLUMNS)
    amount = owners.lines * np.clip(gain / FULL_GAIN, 0.3, 2.5) / WIDER**lessons
    count = np.minimum(np.floor(amount + places[:, 0, 0]), MOST_LINES) * (active & (gain > 0))
    ring, place = np.nonzero(np.arange(MOST_LINES) < count[:, None])
    own_uniforms = places[ring, place]
    units = _units(owners, ring, lessons, own_uniforms, by)
    outcome = findings(by, units, True, own_uniforms[:, 13:17])
    opened = np.minimum(owners.accounts, 1 + np.maximum(day - owners.start, 0) // 7).astype(np.int64)
    slot = (own_uniforms[:, 1] * opened[ring]).astype(np.int64)
    time = day * 86400 + seconds(own_uniforms[:, 2], own_uniforms[:, 3])
    _remember(course, ring, slot, time, outcome)
    channel = prices.channel[offer][ring]
    account = RINGS + ring * ACCOUNTS + course.serial[ring, slot]
    return Lines(
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
    day: int, owners: Rings, region: np.ndarray, taste: np.ndarray, prices: MarketPrices
) -> tuple[np.ndarray, np.ndarray]:
    """Return an offer for each ring, drawn by its gain; and its gain after the premium, as a share of the price paid."""
    net = prices.gain[region, :, day] - owners.premium[:, None] * prices.street[prices.sku, day]
    share = net / prices.price[:, prices.month[day]]
    share = np.where(owners.reaches[:, prices.channel] & (net > 0), share, 0.0)
    below = np.cumsum(share, axis=1)
    offer = np.minimum((taste[:, None] * below[:, -1:] >= below).sum(axis=1), share.shape[1] - 1)
    return offer, share[np.arange(len(share)), offer]


def _units(owners: Rings, ring: np.ndarray, lessons: np.ndarray, uniforms: np.ndarray, by: Investigators) -> np.ndarray:
    """Return log-normal units about the ring's size; some lines are cut to below the threshold, more with each lesson."""
    normal = normals(uniforms[:, 9], uniforms[:, 10])
    size = owners.size * np.maximum(SMALLER**lessons, LEAST)
    units = np.maximum(np.round(size[ring] * np.exp(0.4 * normal)), 2).astype(np.int64)
    heed = 1 - (1 - owners.heed[ring]) * 0.94 ** lessons[ring]
    below = by.rule_quantity - 1 - (uniforms[:, 12] * 3).astype(np.int64)
    return np.where((uniforms[:, 11] < heed) & (units > below), np.maximum(below, 1), units)


def _stores(account: np.ndarray, channel: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """Return the store that an account is used to, or any other."""
    usual = uniforms[:, 0] < KEEPS
    return np.where(usual, account * 7 % 11, (uniforms[:, 1] * 1000).astype(np.int64)) % STORES[channel]


def _remember(course: Course, ring: np.ndarray, slot: np.ndarray, time: np.ndarray, outcome: Findings) -> None:
    """Block an account at the first finding against it."""
    guilty = outcome.label == 1
    when = time[guilty] / 86400 + outcome.days[guilty]
    np.minimum.at(course.blocked, (ring[guilty], slot[guilty]), when)
