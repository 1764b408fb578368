"""The verdict on a volume contract, as plain values, a table of tiers, a tornado and a waterfall."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import polars as pl

from hwds.pricing.contract.tiers import Kind
from hwds.results.verdict import Verdict

ATTAINED = {"p10": 0.1, "p50": 0.5, "p90": 0.9}
"""The levels of the volume attained for which margins are reported."""

TIERS: dict[str, Any] = {
    "tier": pl.Int64,
    "from_units": pl.Float64,
    "discount": pl.Float64,
    "price": pl.Float64,
    "verdict": pl.String,
    **{f"margin_{name}": pl.Float64 for name in ATTAINED},
    "floor_holds": pl.Boolean,
    "zone_low": pl.Float64,
    "zone_high": pl.Float64,
    "most_leak": pl.Float64,
    "marginal_discount": pl.Float64,
    "break_even_uplift": pl.Float64,
    "needed_elasticity": pl.Float64,
    "units": pl.Float64,
    "net": pl.Float64,
    "net_low": pl.Float64,
    "net_high": pl.Float64,
    "gain": pl.Float64,
    "probability_gain": pl.Float64,
    "probability_below_floor": pl.Float64,
    "probability_shortfall": pl.Float64,
    "shortfall_units": pl.Float64,
    "clawback": pl.Float64,
    "fee": pl.Float64,
    "retro": pl.Float64,
    "cannibalised": pl.Float64,
    "leaked": pl.Float64,
    "leak_loss": pl.Float64,
}
"""Columns of the tiers, a row each, the list price first; money and units of the whole contract.

`verdict` is `offer`, `possible`, or why a tier is not offered: `margin_floor`, `risk`, `shortfall`, `no_gain`. `margin_p10` to
`margin_p90` are pocket margins, after retro rebates, where the volume attained is at that quantile. The zone is the dumping
zone below the tier, `most_leak` the most units that one buyer in it does not need; both null where there is none.
`marginal_discount` is that of incremental tiers with the same bill at the end of each tier, which have no such zone (a rebate
or a fee aside); no unit is sold below the floor price.
`break_even_uplift` and `needed_elasticity` are those against the list price, both after deductions, null where no uplift
suffices. `net` is the margin
less what other cells lose to the price (`cannibalised`, negative where they gain) and to units sold on (`leak_loss`): mean and
equal-tailed interval. `gain` is the mean of it less what is earned without a contract. `clawback`, `fee`, `retro`, `leaked` are
expected.
"""

TORNADO = {"driver": pl.String, "low": pl.Float64, "high": pl.Float64, "middle": pl.Float64, "swing": pl.Float64}
"""Columns of the tornado: net margin with each driver at its 10 % and its 90 % quantile, others at their medians."""

WATERFALL = {"step": pl.String, "amount": pl.Float64, "total": pl.Float64}
"""Columns of the waterfall from the list price to the net margin of a tier: expected amounts, and their running total."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OemVerdict(Verdict):
    """The tier of a volume contract to offer, and when to walk away; money and units of the whole contract.

    Attributes:
        action: `OFFER` or `HOLD`.
        cell, product, channel: The buyer's cell.
        unit, period, periods: Of money, and how long the contract is.
        kind: Of the tiers.
        list_price, today: Without a discount, and what the buyer pays now.
        tier, commitment, discount, price: What is offered; None on hold.
        units, net, net_low, net_high: What it is expected to sell and to earn.
        gain, probability_gain: Against no contract.
        floor: The least pocket margin.
        floor_price: The invoice price at which the pocket margin is the floor after all that is given back.
        walk_away: The price below which no contract is better, at least the floor price; None up to
            the list price.
        probability_below_floor, probability_shortfall: Of the offered tier.
        committed, base, upside: Volumes at today's price; at what levels, and from where.
        levels, source: Of these.
        deliverable: The volumes that can be delivered at most, at the same levels; None for any.
        leak: The share of units that is taken to be sold on where that pays, and where that is from.
        leak_source: See `leak`.
        level: Of the intervals.
        kept: The share of the volume that the buyer is taken to buy without a contract.
        tiers, tornado, waterfall: See `TIERS`, `TORNADO`, `WATERFALL`.
    """

    action: Literal["OFFER", "HOLD"]
    cell: str
    product: str
    channel: str
    unit: str
    period: str
    periods: int
    kind: Kind
    list_price: float
    today: float
    tier: int | None
    commitment: float | None
    discount: float | None
    price: float | None
    units: float | None
    net: float | None
    net_low: float | None
    net_high: float | None
    gain: float | None
    probability_gain: float | None
    floor: float
    floor_price: float
    walk_away: float | None
    probability_below_floor: float | None
    probability_shortfall: float | None
    committed: float
    base: float
    upside: float
    levels: tuple[float, float, float]
    source: str
    deliverable: tuple[float, float, float] | None
    leak: float
    leak_source: str
    level: float
    kept: float
    tiers: pl.DataFrame
    tornado: pl.DataFrame
    waterfall: pl.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; tiers, tornado and waterfall are tables beside them."""
        return {name: value for name, value in asdict(self).items() if name not in ("tiers", "tornado", "waterfall")}

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the tiers, the tornado and the waterfall."""
        return {"oem_tiers": self.tiers, "oem_tornado": self.tornado, "oem_waterfall": self.waterfall}
