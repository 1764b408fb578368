"""The columns of the gray market's table: names, prices and times of simulated lines."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.core.seeds import stream
from hwds.datasets.simulated.demand.world import HardwareWorld
from hwds.datasets.simulated.gray.customers import BULK, DECLARED, Customers, drawn
from hwds.datasets.simulated.gray.names import ACCOUNTS, KINDS, RINGS, named, ring_identifiers
from hwds.datasets.simulated.gray.orders import Lines
from hwds.datasets.simulated.gray.prices import ASKED, CHANNEL_NAMES, REGIONS, MarketPrices, first_day

LATE_CHANNELS, LATE_SHARE, LATE_DAYS = ("carrier", "export"), 0.6, 3.0
"""The channels that report late, the share of their lines that is late, and the most days."""

TIERS, REBATES = np.array([10, 25, 50]), np.array([0.0, 0.01, 0.025, 0.04])
"""Units of a line from which on its price falls, and by how much."""

RING_DECLARED = np.array([0.22, 0.40, 0.12, 0.26])
"""The shares of the kinds that accounts of rings declare, in the order of `DECLARED`."""

SHARED, SHARED_LESS = np.array([0.45, 0.30, 0.30]), 0.95
"""The odds that a ring's account shares its address, payment and contact, and the factor of them for each account lost."""


def market_table(
    world: HardwareWorld, prices: MarketPrices, customers: Customers, lines: Lines, lessons: dict[int, int]
) -> pl.DataFrame:
    """Return one row a line, in the order of arrival."""
    day, begin = lines.time // 86400, np.datetime64(first_day(world), "us")
    late = np.isin(lines.channel, [CHANNEL_NAMES.index(name) for name in LATE_CHANNELS]) & (lines.late < LATE_SHARE)
    arrival = lines.time + (late * lines.late / LATE_SHARE * LATE_DAYS * 86400).astype(np.int64)
    about = {"time": _when(begin, lines.time), "available_at": _when(begin, arrival)}
    columns = about | _who(world.seed, customers, lines, lessons) | _what(prices, lines, day) | _found(begin, lines, arrival)
    truth = {"gray": (lines.account >= RINGS).astype(np.int64), "true_kind": _true_kind(customers, lines)}
    order = np.lexsort((np.arange(len(day)), lines.order, lines.time, arrival))
    return pl.DataFrame(columns | truth)[order].select(
        *about, "order", "customer", *KINDS, "customer_kind", "channel", "store", "region", "sku", "generation", "quantity",
        "unit_price", "list_price", "street_price", "promotion", "returned_at", "at_stake", "confirmed", "confirmed_at",
        "review_chance", "gray", "true_kind",
    )  # fmt: skip


def _who(seed: int, customers: Customers, lines: Lines, lessons: dict[int, int]) -> dict[str, pl.Series]:
    """Return names of the order, the account and its identifiers, and its declared kind; each account named once."""
    accounts, row = np.unique(lines.account, return_inverse=True)
    honest = accounts[accounts < RINGS]
    crooked = accounts[accounts >= RINGS]
    declared, identifiers = _ring_accounts(seed, crooked, np.array([lessons[number] for number in crooked.tolist()]))
    kinds = np.concatenate([customers.declared[honest], declared])
    shared = np.concatenate([customers.identifiers[honest], identifiers])
    names = {kind: named(seed, kind, numbers)[row] for kind, numbers in zip(KINDS, shared.T, strict=True)}
    texts = pl.Series("customer_kind", DECLARED)
    return {
        "order": named(seed, "order", lines.order),
        "customer": named(seed, "customer", accounts)[row],
        "customer_kind": texts[kinds][row],
    } | names


def _ring_accounts(seed: int, accounts: np.ndarray, lessons: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what accounts of rings say they are, and their identifiers."""
    ring, serial = (accounts - RINGS) // ACCOUNTS, (accounts - RINGS) % ACCOUNTS
    uniforms = np.zeros((len(accounts), 6))
    for number in np.unique(ring):
        here = ring == number
        uniforms[here] = stream(seed, "gray", "ring accounts", int(number)).random((serial[here].max() + 1, 6))[serial[here]]
    shared = SHARED * SHARED_LESS ** lessons[:, None]
    return drawn(RING_DECLARED, uniforms[:, 5]), ring_identifiers(accounts, ring, shared, uniforms[:, :5])


def _what(prices: MarketPrices, lines: Lines, day: np.ndarray) -> dict[str, pl.Series | np.ndarray]:
    """Return where and what was bought, and for how much."""
    month, sku = prices.month[day], prices.sku[lines.offer]
    rebate = REBATES[np.searchsorted(TIERS, lines.quantity, side="right")]
    paid = np.round(prices.price[lines.offer, month] * ASKED[lines.region] * (1 - rebate), 2)
    listed = prices.list_price[sku, month]
    region, channel = pl.Series(REGIONS)[lines.region], pl.Series(CHANNEL_NAMES)[lines.channel]
    return {
        "channel": channel,
        "store": pl.select(pl.concat_str(region, channel, pl.Series(lines.store + 1), separator=".")).to_series(),
        "region": region,
        "sku": prices.skus["sku"][sku],
        "generation": prices.skus["generation"][sku],
        "quantity": lines.quantity,
        "unit_price": paid,
        "list_price": listed,
        "street_price": prices.street[sku, day],
        "promotion": prices.promoted[lines.offer, month],
        "at_stake": np.round(lines.quantity * np.maximum(listed - paid, 0), 2),
    }


def _found(begin: np.datetime64, lines: Lines, arrival: np.ndarray) -> dict[str, pl.Series]:
    """Return the times of returns, and the findings; null where there is none."""
    looked = np.isfinite(lines.label)
    confirmed = pl.Series(lines.label, nan_to_null=True).cast(pl.Int64)
    return {
        "returned_at": _when(begin, lines.time + 86400 * lines.returned),
        "confirmed": confirmed,
        "confirmed_at": _when(begin, np.where(looked, arrival + 86400 * lines.days, np.nan)),
        "review_chance": pl.Series(lines.chance, nan_to_null=True),
    }


def _true_kind(customers: Customers, lines: Lines) -> pl.Series:
    honest = np.minimum(lines.account, len(customers.nature) - 1)
    kind = np.where(lines.account >= RINGS, 2, (customers.nature[honest] >= BULK).astype(np.int64))
    return pl.Series(("honest", "honest_bulk", "ring"))[kind]


def _when(begin: np.datetime64, seconds: np.ndarray) -> pl.Series:
    """Return instants so many seconds after the beginning."""
    known = np.isfinite(seconds)
    whole = np.where(known, seconds, 0).astype(np.int64).astype("timedelta64[s]")
    instants = np.where(known, begin + whole, np.datetime64("NaT"))
    return pl.Series(instants.astype("datetime64[us]"))
