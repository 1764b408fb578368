"""GrayMarket: order lines of honest customers and of arbitrage rings, with known truth."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Le

from hwds.core.recipe import Positive, PositiveInt, Seed, Small, UnitInterval
from hwds.datasets.base import Dataset
from hwds.datasets.simulated.demand.catalogue import FAMILIES
from hwds.datasets.simulated.gray.columns import market_table
from hwds.datasets.simulated.gray.customers import honest_customers
from hwds.datasets.simulated.gray.investigations import Investigators
from hwds.datasets.simulated.gray.orders import honest_lines, joined
from hwds.datasets.simulated.gray.prices import market_prices, market_world
from hwds.datasets.simulated.gray.rings import ring_lines
from hwds.frames.table import Table

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
    """A year of simulated order lines of devices, some of them of arbitrage rings, of which investigations find some.

    The devices, channels, subsidies and prices are those of `hardware_demand`; the open market has a street price of its own.
    A ring is one hidden owner of three to seven accounts. It buys a device in a channel only where the best region's street
    price, less freight, duty, the price paid and its premium for the risk, is above zero, the more the more it gains; it
    splits over stores and accounts, keeps some lines below the rule's threshold, and shares some of its accounts' addresses,
    payments and contacts. An account is blocked once a line of it is confirmed: a new one takes its place, which shares less,
    and the ring's lines get smaller and its days of purchase more. Honest buyers of large quantities buy as much, some of them
    what is cheapest, whatever the street price is; families, campuses, forwarders and buyers with several accounts share
    identifiers, too.

    Only lines that were investigated have a label: those of a random stream (`review_chance`) and some of those that today's
    rule names (quantity; no known chance). Two channels report up to three days late. Labels, returns and late reports are
    told as of the day on which the last of them was known, which is after the last order. `at_stake` is the quantity times
    what was paid below the list price: the subsidy, discounts and promotions.

    Attributes:
        seed: The world's seed; experiments with other seeds share the data.
        days: The days over which orders come.
        customers: The number of honest customers.
        rings: Arbitrage rings; they begin at different times, from before the first day on.
        families: Product families, in the order of `catalogue.FAMILIES`.
        review_chance: The chance of any line to be in the random stream of reviews.
        rule_quantity: From how many units on today's rule asks for an investigation.
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
        by = Investigators(self.review_chance, self.rule_quantity, self.rule_share, self.missed, self.confirm_days)
        customers = honest_customers(world, self.customers)
        honest = honest_lines(world, self.days, customers, prices, by)
        gray, lessons = ring_lines(self.seed, self.days, self.rings, prices, by, self.adapts)
        rows = market_table(world, prices, customers, joined([honest, gray]), lessons)
        return Table.build(rows, dict(ROLES), "USD")
