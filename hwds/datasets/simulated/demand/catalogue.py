"""The simulated world's catalogue: product families, channels, kinds of customers, outages."""

from __future__ import annotations

from typing import NamedTuple


class Family(NamedTuple):
    """A product family.

    Attributes:
        name: The first part of its SKUs' names.
        list_price: Of its first generation, in currency.
        units: A month over all channels, of one generation at its best.
        elasticity: Own-price elasticity of demand.
        giftable: Scale of its holiday season.
    """

    name: str
    list_price: float
    units: float
    elasticity: float
    giftable: float


class Channel(NamedTuple):
    """A way to the customer.

    Attributes:
        name: The last part of its series' names.
        share: Of a device's units.
        subsidy: Share of the list price that the maker pays for each unit sold here.
        discount: Share of the list price that the channel forgoes.
        elasticity: Added to the family's.
        promotion: Log-lift of a promoted month, at an unchanged price.
        holiday: Log-lift of December for a family with `giftable` 1.
        school: Log-lift of August.
        quarter: Log-lift of a quarter's last month.
    """

    name: str
    share: float
    subsidy: float
    discount: float
    elasticity: float
    promotion: float
    holiday: float
    school: float
    quarter: float


class CustomerKind(NamedTuple):
    """A kind of customer: its share of all customers and the fewest units that one buys in a year."""

    name: str
    share: float
    units: float


FAMILIES = (
    Family("phone", 699, 64_000, -1.7, 1.0),
    Family("laptop", 1099, 19_000, -1.4, 0.6),
    Family("tablet", 449, 27_000, -1.9, 1.2),
    Family("watch", 299, 31_000, -1.8, 1.3),
    Family("earbuds", 149, 48_000, -2.1, 1.2),
    Family("console", 399, 16_000, -1.6, 1.5),
    Family("camera", 549, 9_000, -1.5, 0.9),
    Family("router", 129, 22_000, -1.2, 0.3),
)
CHANNELS = (
    Channel("retail", 0.36, 0.0, 0.02, 0.0, 0.16, 0.85, 0.22, 0.0),
    Channel("online", 0.30, 0.03, 0.05, -0.4, 0.20, 0.65, 0.16, 0.0),
    Channel("carrier", 0.22, 0.28, 0.0, 0.2, 0.14, 0.42, 0.05, 0.05),
    Channel("enterprise", 0.12, 0.08, 0.06, 0.4, 0.08, -0.18, 0.0, 0.30),
    Channel("education", 0.08, 0.18, 0.02, 0.3, 0.10, -0.20, 0.70, 0.0),
    Channel("export", 0.10, 0.10, 0.08, -0.2, 0.12, 0.25, 0.0, 0.12),
)
CUSTOMER_KINDS = (
    CustomerKind("consumer", 0.90, 0.5),
    CustomerKind("small_business", 0.08, 6.0),
    CustomerKind("enterprise", 0.02, 120.0),
)

ASSEMBLY_PLANTS = 2
"""The first plants assemble devices, the others make parts, so that one more plant moves no family to another."""

OUTAGE_SHARES = (0.15, 0.3, 0.5)
"""The shares of a month's demand that an outage of a plant may leave unserved."""

OUTAGE_ODDS = (0.5, 0.3, 0.2)
"""The odds of each of them in a month of outage."""
