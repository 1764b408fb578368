"""The verdict on a supply plan, as plain values, a table of steps and a table of volumes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import polars as pl

from hwds.results.verdict import Verdict

STEPS = {
    "plant": pl.String,
    "step": pl.Int64,
    "capacity": pl.Float64,
    "running": pl.Float64,
    "running_low": pl.Float64,
    "demand": pl.Float64,
    "demand_high": pl.Float64,
    "planned": pl.Float64,
    "stock": pl.Float64,
    "cover": pl.Float64,
    "fill": pl.Float64,
    "short": pl.Float64,
}
"""The columns of a plan: units with all machines running, the mean share that runs and its 10 % quantile, mean demand and its
90 % quantile, planned production, mean stock at the end, how many steps of mean demand that is, the share of demand that is
served in the step, and the chance that some is not."""

VOLUMES = {
    "deal": pl.String,
    "plant": pl.String,
    "cutoff": pl.String,
    **dict.fromkeys(
        (
            *("committed", "base", "upside"),
            *("demand_committed", "demand_base", "demand_upside"),
            *("most_committed", "most_base", "most_upside"),
            *("delivered", "delivered_running", "opening", "planned", "fill", "actual", "served"),
        ),
        pl.Float64,
    ),
}
"""The columns of volumes: quantiles of deliveries, of orders, and of what could be delivered were more of a
deal alone ordered; the mean of the first and what it would be if all machines ran, stock at the beginning, planned
production, the expected share of demand served in its step, and in the back-test what was asked for and could have been
delivered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplyVerdict(Verdict):
    """The units to make and those to commit to.

    Attributes:
        action: `COMMIT` or `HOLD`.
        levels: Of the volumes.
        committed, asked: Sums over deals of the committed volumes, and of the same quantile of demand.
        missed: What is expected not to be delivered because machines stand still.
        makeable: The stock and the capacity of all steps that there is at least, at the level of what is committed.
        free: What of it is left beyond the base volume of all demand; negative where it is not enough.
        fill: The expected share of demand that is served in its step.
        cover: The mean stock, in steps of mean demand.
        lost: The share of capacity that outages take, of all steps.
        tightest: The step and plant with the lowest fill rate.
        below, below_low, below_high: The share of back-tested deals of which less was delivered than committed to, with 95 %.
        tested: Back-tested deals.
        steps: Of the plan.
        cutoff: After which it begins.
        n_deals: In the plan.
        outages: Where the outages are from; empty for none.
        when: `back-test`, or `future`.
        unit: Of volumes.
        plan: See `STEPS`.
        volumes: See `VOLUMES`.
    """

    action: Literal["COMMIT", "HOLD"]
    levels: Mapping[str, float]
    committed: float
    asked: float
    missed: float
    makeable: float
    free: float
    fill: float
    cover: float
    lost: float
    tightest: str
    below: float | None
    below_low: float | None
    below_high: float | None
    tested: int
    steps: int
    cutoff: str
    n_deals: int
    outages: str
    when: Literal["back-test", "future"]
    unit: str
    plan: pl.DataFrame
    volumes: pl.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; plan and volumes are tables beside them."""
        return {name: value for name, value in asdict(self).items() if name not in ("plan", "volumes")}

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the plan and the volumes."""
        return {"supply_plan": self.plan, "supply_volumes": self.volumes}
