"""Names that give nothing away: numbers under a one-to-one code, and identifiers that some accounts share."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.core.seeds import stream_key

BITS = 40
RINGS = 1 << 26
"""Accounts of rings are numbered from here, honest customers from 0."""

ACCOUNTS = 1 << 12
"""The most accounts that one ring ever has."""

POOLS = 1 << 34
"""Identifiers that accounts share are numbered from here: those of places first, then those of each ring."""

CAMPUSES, FORWARDERS = 40, 25
"""Addresses at which many unrelated honest customers live, or from which goods are sent on; rings use the latter, too."""

KINDS = ("address", "payment", "contact")


def named(seed: int, kind: str, numbers: np.ndarray) -> pl.Series:
    """Return a text for each number below 2**40, different for each, in no order: a multiplication and a shift, twice.

    Both are one-to-one on 40 bits, so that no two numbers meet in one name, as hashes may.
    """
    key, mask, half = stream_key(seed, "gray", "names", kind), np.uint64((1 << BITS) - 1), np.uint64(BITS // 2)
    factors = [np.uint64(key >> place & int(mask) | 1) for place in (0, BITS)]
    codes = numbers.astype(np.uint64)
    for factor in factors:
        codes = codes * factor & mask
        codes ^= codes >> half
    return pl.select(pl.concat_str(pl.lit(f"{kind}-"), pl.Series(kind, codes).cast(pl.String))).to_series().alias(kind)


def honest_identifiers(uniforms: np.ndarray, consumer: np.ndarray, bulk: np.ndarray) -> np.ndarray:
    """Return address, payment and contact of each honest customer, shape (n, 3); one without ties has three of its own.

    Families share an address with the customer before them, four in ten of them the payment, too; bulk buyers with several
    accounts share the payment, and most of them the contact, with the bulk buyer before them; consumers live on campuses, and
    anyone may send through a forwarder.

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
    ids[:, 0] = np.where(sends, POOLS + CAMPUSES + (uniforms[:, 3] * FORWARDERS).astype(np.int64), ids[:, 0])
    last = np.maximum.accumulate(np.where(bulk, np.arange(n), -1))
    earlier = np.where(np.arange(n) > 0, last[np.maximum(np.arange(n) - 1, 0)], -1)
    several = bulk & (uniforms[:, 4] < 0.4) & (earlier >= 0)
    ids[:, 1] = np.where(several, earlier, ids[:, 1])
    ids[:, 2] = np.where(several & (uniforms[:, 5] < 0.7), earlier, ids[:, 2])
    return ids


def ring_identifiers(account: np.ndarray, ring: np.ndarray, shared: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """Return address, payment and contact of accounts of rings, shape (n, 3): some of three that the ring has, some new.

    Args:
        account: Their numbers.
        ring: Their rings.
        shared: The odds that each kind of identifier comes from the ring's, shape (n, 3).
        uniforms: Uniform, shape (n, 5).
    """
    common = POOLS + 1000 + 16 * ring[:, None] + (3 * uniforms[:, 3:4]).astype(np.int64)
    ids = np.where(uniforms[:, :3] < shared, common, account[:, None])
    forwarder = uniforms[:, 4] < 0.15
    ids[:, 0] = np.where(forwarder, POOLS + CAMPUSES + (uniforms[:, 4] / 0.15 * FORWARDERS).astype(np.int64), ids[:, 0])
    return ids
