"""What could be charged: the arms of a world, a test or a log, with their prices and costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Literal

import numpy as np
import polars as pl

from hwds.errors import ConfigError, nearest
from hwds.frames.table import Table
from hwds.frames.world import World
from hwds.metrics.ab_sample import Needs
from hwds.protocols.ab_sums import Sums
from hwds.protocols.ab_test import AbTest
from hwds.protocols.off_policy import OffPolicy

Measured = Literal["conversions", "quantity", "money"]
"""What the mean of an arm is a mean of: 0 or 1, things sold, or what they brought."""


CONVERSIONS = "conversions"
"""The unit of a world without prices."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An arm before anything is known of what it earns.

    Attributes:
        arm: Its name.
        price: What a customer pays; None where the data names none, or several.
        cost: Of a sale; None where nobody said.
        absent: It was no longer offered at the end.
    """

    arm: str
    price: float | None = None
    cost: float | None = None
    absent: bool = False

    @property
    def margin(self) -> float | None:
        """(price - cost) / price; None where one of them is unknown."""
        if self.price is None or self.cost is None:
            return None
        return (self.price - self.cost) / self.price if self.price else -inf

    def earns(self, measured: Measured) -> float:
        """What one of what was measured is worth: price less cost for a sale, the margin's share of money."""
        if measured == "money":
            return self.margin if self.price and self.margin is not None else 1.0
        return 1.0 if self.price is None else self.price - (self.cost or 0.0)


@dataclass(frozen=True, slots=True)
class Offers:
    """All arms.

    Attributes:
        all: In the order of the data.
        measured: What the evidence of a sale is.
        unit: Of what they earn: a currency, or `conversions`; empty where the data names none.
    """

    all: tuple[Offer, ...]
    measured: Measured
    unit: str = ""

    @property
    def arms(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(offer.arm for offer in self.all)

    def find(self, arm: str) -> Offer:
        """The offer of an arm."""
        return next(offer for offer in self.all if offer.arm == arm)


def offers_of(frame: Any, protocol: Any, prices: Mapping[str, float], cost: float | None) -> Offers:
    """The arms of a run's data.

    Args:
        frame: A world, or a table.
        protocol: How it is read.
        prices: By arm, where the data names none.
        cost: Of a sale, in place of the data's own.

    Raises:
        ConfigError: A price is given to an arm that is not there, or that has one.
    """
    found = _of_world(frame, protocol) if isinstance(frame, World) else _of_table(frame, protocol)
    termed = with_terms(found, prices, cost)
    money = termed.measured == "money" or any(offer.price is not None for offer in termed.all)
    return termed if money == (termed.unit != CONVERSIONS) else replace(termed, unit="")


def with_terms(found: Offers, prices: Mapping[str, float], cost: float | None) -> Offers:
    """The arms with the prices and the cost that the config gives.

    Raises:
        ConfigError: A price is given to an arm that is not there, or that has one.
    """
    for arm in prices:
        if arm not in found.arms:
            raise ConfigError(f"decision.prices: no arm '{arm}'{nearest(arm, found.arms)}")
        if found.find(arm).price is not None:
            raise ConfigError(f"decision.prices: the data has the price of arm '{arm}'.")
    absent = next((offer.arm for offer in found.all if prices and offer.price is None and offer.arm not in prices), None)
    if absent is not None:
        raise ConfigError(f"decision.prices: has no price for arm '{absent}'.")
    termed = (replace(offer, price=prices.get(offer.arm, offer.price)) for offer in found.all)
    return replace(found, all=tuple(offer if cost is None else replace(offer, cost=cost) for offer in termed))


def _of_world(world: World, protocol: Any) -> Offers:
    """Arms of conversions alone have no price; those that the last step does not offer are absent."""
    played = protocol.game(world).horizon
    last = np.flatnonzero(world.moments(played) - world.moments(played - 1))[0]
    absent = (~world.present[last]).tolist()
    if world.unit == CONVERSIONS:
        bare = (Offer(arm, absent=gone) for arm, gone in zip(world.arms, absent, strict=True))
        return Offers(tuple(bare), "conversions", world.unit)
    terms = zip(world.arms, world.prices.tolist(), (world.prices - world.values).tolist(), absent, strict=True)
    return Offers(tuple(Offer(*each) for each in terms), "conversions", world.unit)


def _of_table(table: Table, protocol: Any) -> Offers:
    if isinstance(protocol, OffPolicy):
        log = protocol.log(table)
        names, row = log.arms, np.array(log.arms)[log.action]
        measured: Measured = "conversions" if protocol.reward == "outcome" and _binary(table) else "money"
    else:
        assert isinstance(protocol, AbTest)
        names, row = protocol.evidence(table).arms, table.column("arm").cast(pl.String).to_numpy()
        measured = _of_test(table, protocol)
    price, cost = (_by_arm(table, role, row) for role in ("price", "cost"))
    return Offers(tuple(Offer(name, price.get(name), cost.get(name)) for name in names), measured, table.unit)


def _of_test(table: Table, protocol: AbTest) -> Measured:
    """What the first outcome of a test is; running sums of conversions are known by their variance."""
    found = protocol.evidence(table)
    if isinstance(found, Sums):
        return "conversions" if all(arm.price == 1 for arm in found.sample("", Needs(), found.n).arms) else "money"
    if table.roles.get("amount") and not table.roles.get("price"):
        return "money"
    if _binary(table):
        return "conversions"
    return "quantity" if table.roles.get("price") else "money"


def _binary(table: Table) -> bool:
    """Whether the first outcome is 0 or 1."""
    return bool(table.data[table.roles["outcome"][0]].cast(pl.Float64).is_in([0.0, 1.0]).all())


def _by_arm(table: Table, role: str, arm: np.ndarray) -> dict[str, float]:
    """The one number that a role has in each arm; arms with several are left out."""
    if not table.roles.get(role):
        return {}
    rows = pl.DataFrame({"arm": arm, "value": table.column(role).cast(pl.Float64)})
    told = rows.group_by("arm").agg(pl.col("value").min().alias("low"), pl.col("value").max().alias("high"))
    return {row["arm"]: row["low"] for row in told.to_dicts() if row["low"] == row["high"]}
