"""HardwareDemand: monthly units of simulated devices by channel, with known truth."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.datasets.base import Truth
from hwds.datasets.simulated.demand.law import PERSISTENCE, VISITS, DemandLaw
from hwds.datasets.simulated.demand.plan import demand_plan
from hwds.datasets.simulated.demand.settings import DemandSettings, demand_law
from hwds.datasets.simulated.demand.truth import DemandTruth
from hwds.datasets.simulated.demand.world import HardwareWorld
from hwds.datasets.simulated.sales.truth import known_elasticities
from hwds.elasticity.context import ElasticityContext
from hwds.elasticity.design.columns import CROSS, LAG, Terms
from hwds.elasticity.design.rows import Design
from hwds.elasticity.fitted import FittedElasticities
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TIME, Roles

ROLES = Roles(
    known_future=("price", "promotion", "device_age", "months_to_end", "successor_launched"),
    past_only=("shortage", "web_visits"),
    static=("family", "sku", "generation", "channel", "launch", "planned_end"),
    level=("family", "channel"),
    price="price",
)


class HardwareDemand(DemandSettings):
    """Monthly units of simulated devices by channel, with known truth: launches, successors, seasons, prices, shortages.

    One series is one generation of a product family in one channel, from its launch (or from the first month) to its planned
    end, after which it has no rows. Its successor takes 60 % of its demand, at an unchanged price, from the month of the
    successor's launch on; the month after, its price is cut. Known ahead: `price` (street price, in currency), `promotion` (0
    or 1), `device_age`, `months_to_end`, `successor_launched` (0 or 1). Known once the month is over: `shortage` (the share of
    demand that the plant could not serve) and `web_visits` (which show next month's level, with noise). The panel's plan holds
    `horizon` months after the last one for each series still sold then, or fewer where its planned end comes first. Prices
    follow the calendar: they answer no demand, and have no cost shocks as instruments; `price_sales` has both.
    """

    def load(self) -> Panel:
        """Return the panel, with its plan."""
        offers, law = demand_law(self)
        table = _simulate(self.world(), offers, law)
        ahead = pl.col("month") >= self.months
        plan = table.filter(ahead).sort(SERIES, TIME)
        plan = plan.select(SERIES, TIME, *(pl.col(name).cast(pl.Float64) for name in ROLES.known_future))
        history = table.filter(~ahead)
        return Panel.build(history, Frequency("1mo"), roles=ROLES, horizon=self.horizon, plan=plan, unit="units")

    def truth(self, task: str) -> Truth | None:
        """Return the true conditional distribution as a forecaster, or the true elasticities as a model of demand."""
        if task == "elasticity":
            return HardwareElasticities(dataset=self)
        return DemandTruth(dataset=self) if task == "forecast" else None

    def parameters(self) -> pl.DataFrame:
        """Return the true parameters of each series: `series_id`, the fields of `DemandLaw`, `season` as `season_1` and on."""
        offers, law = demand_law(self)
        columns = {name: value for name, value in vars(law).items() if name != "season"}
        seasons = {f"season_{month + 1}": law.season[:, month] for month in range(12)}
        return pl.DataFrame({"series_id": offers["series_id"], **columns, **seasons})


def _simulate(world: HardwareWorld, offers: pl.DataFrame, law: DemandLaw) -> pl.DataFrame:
    """Return the plan's rows with static columns and, for months of history, the target and the past-only columns."""
    plan = demand_plan(world, offers)
    offer, month = plan["offer"].to_numpy(), np.minimum(plan["month"].to_numpy(), world.months - 1)
    rows = law.take(offer)
    level, sales, visits = _shocks(world, offers, law)
    outages = dict(zip(world.plants["plant"], world.outages, strict=True))
    shortage = np.stack([outages[plant] for plant in offers["plant"]])[offer, month]
    interest = rows.log_interest(plan)
    effects = rows.log_effects(plan) + rows.log_other_effects(plan, offers)
    demand = np.exp(interest + effects + level[offer, month] + rows.noise * sales[offer, month])
    seen = VISITS * np.exp(interest + level[offer, month + 1] + rows.visits_noise * visits[offer, month])
    about = offers[offer].select("series_id", "family", "sku", "generation", "channel", "launch", planned_end="end")
    known = {"target": np.round(demand * (1 - shortage)), "shortage": shortage, "web_visits": np.round(seen)}
    table = pl.concat([plan, about, pl.DataFrame(known)], how="horizontal")
    return table.with_columns(pl.when(pl.col("month") < world.months).then(pl.col(name)).alias(name) for name in known)


def _shocks(world: HardwareWorld, offers: pl.DataFrame, law: DemandLaw) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the levels and the standard noise of sales and of visits, each of shape (offers, months + 1)."""
    launch = offers["launch_month"].to_numpy()
    first = np.maximum(launch, 0)
    draws = np.zeros((len(offers), world.months + 1, 3))
    for series_draws, start, pair in zip(draws, first, offers.select("sku", "channel").iter_rows(), strict=True):
        series_draws[start:] = world.normals("demand", *pair, shape=(world.months + 1 - start, 3))
    level = np.sqrt(law.level_variance(first - launch))[:, None] * draws[..., 0]
    for month in range(1, world.months + 1):
        moved = PERSISTENCE * level[:, month - 1] + law.drift * draws[:, month, 0]
        level[:, month] = np.where(month > first, moved, level[:, month])
    return level, draws[..., 1], draws[..., 2]


class HardwareElasticities(Truth):
    """The true elasticities of `hardware_demand`, with no error: own, of other generations' prices, of the month before.

    Attributes:
        dataset: The simulator's settings.
    """

    name: str = "truth"
    dataset: DemandSettings

    def learn(self, history: Panel, context: ElasticityContext) -> FittedElasticities:
        """Return the truth of the cells of a history; levels are those at which expected units add up to those sold."""
        offers, law = demand_law(self.dataset)
        design = Design.of(history, Terms(), context.controls)
        known = offers.select(SERIES, "promotion").with_columns(elasticity=law.elasticity)
        true = design.names.select(SERIES).join(known, SERIES, "left", maintain_order="left")
        shared = {LAG: self.dataset.pull_forward, CROSS: self.dataset.cross, "promotion": float(true["promotion"].mean())}  # type: ignore[arg-type]
        return known_elasticities(design, true["elasticity"].to_numpy(), shared, context)
