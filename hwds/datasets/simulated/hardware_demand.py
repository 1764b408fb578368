"""HardwareDemand: monthly units of simulated devices by channel, with known truth."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated

import numpy as np
import polars as pl
from annotated_types import Ge, Le, Lt

from hwds.datasets.base import PanelDataset
from hwds.datasets.simulated.catalogue import CHANNELS, FAMILIES
from hwds.datasets.simulated.demand_law import PERSISTENCE, VISITS, DemandLaw
from hwds.datasets.simulated.demand_plan import demand_plan, offers_on_sale
from hwds.datasets.simulated.world import HardwareWorld
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TIME, PanelRoles
from hwds.recipe import Count, Positive, Small, Whole

if TYPE_CHECKING:
    from hwds.datasets.simulated.demand_truth import DemandTruth

ROLES = PanelRoles(
    known_future=("price", "promotion", "device_age", "months_to_end", "successor_launched"),
    past_only=("shortage", "web_visits"),
    static=("family", "sku", "generation", "channel", "launch", "planned_end"),
    level=("family", "channel"),
)


class HardwareDemand(PanelDataset):
    """Monthly units of simulated devices by channel, with known truth: launches, successors, seasons, prices, shortages.

    One series is one generation of a product family in one channel, from its launch (or from the first month) to its planned
    end, after which it has no rows. Its successor takes 60 % of its demand, at an unchanged price, from the month of the
    successor's launch on; the month after, its price is cut. Known ahead: `price` (street price, in currency), `promotion` (0
    or 1), `device_age`, `months_to_end`, `successor_launched` (0 or 1). Known once the month is over: `shortage` (the share of
    demand that the plant could not serve) and `web_visits` (which show next month's level, with noise). The panel's plan holds
    `horizon` months after the last one for each series still sold then, or fewer where its planned end comes first.

    Attributes:
        seed: The world's seed; experiments with other seeds share the data.
        families: Product families, in the order of `catalogue.FAMILIES`.
        channels: Channels, in the order of `catalogue.CHANNELS`.
        months: Months of history.
        horizon: Months of the plan, and to forecast by default.
        cannibalisation: The share of demand that a successor takes from its launch on.
        noise: Standard deviation of the log of one month's demand.
        drift: Standard deviation of a month's change of a series' own level, in logs.

    Example:
        python -m hwds dataset=hardware_demand
    """

    seed: Whole = 0
    families: Annotated[Count, Le(len(FAMILIES)), Small(2)] = 4
    channels: Annotated[Count, Le(len(CHANNELS)), Small(2)] = 4
    months: Annotated[int, Ge(24), Small(72)] = 108
    horizon: Count = 12
    cannibalisation: Annotated[float, Ge(0), Lt(1)] = 0.6
    noise: Positive = 0.18
    drift: Positive = 0.12

    def world(self) -> HardwareWorld:
        """The entities that the demand is about."""
        return HardwareWorld(self.seed, self.months, self.horizon, self.families, self.channels)

    def load(self) -> Panel:
        """The panel, with its plan."""
        offers, law = demand_law(self)
        table = _simulate(self.world(), offers, law)
        ahead = pl.col("month") >= self.months
        plan = table.filter(ahead).sort(SERIES, TIME)
        plan = plan.select(SERIES, TIME, *(pl.col(name).cast(pl.Float64) for name in ROLES.known_future))
        history = table.filter(~ahead)
        return Panel.build(history, Frequency("1mo"), roles=ROLES, horizon=self.horizon, plan=plan, unit="units")

    def truth(self) -> DemandTruth:
        """The true conditional distribution as a forecaster."""
        from hwds.datasets.simulated.demand_truth import DemandTruth

        return DemandTruth(dataset=self)

    def parameters(self) -> pl.DataFrame:
        """The true parameters of each series: `series_id`, the fields of `DemandLaw`, `season` as `season_1` and on."""
        offers, law = demand_law(self)
        columns = {name: value for name, value in vars(law).items() if name != "season"}
        seasons = {f"season_{month + 1}": law.season[:, month] for month in range(12)}
        return pl.DataFrame({"series_id": offers["series_id"], **columns, **seasons})


@cache
def demand_law(dataset: HardwareDemand) -> tuple[pl.DataFrame, DemandLaw]:
    """The offers of a dataset, each a series, and their law."""
    world = dataset.world()
    offers = offers_on_sale(world)
    law = DemandLaw.of(world, offers, cannibalisation=dataset.cannibalisation, noise=dataset.noise, drift=dataset.drift)
    return offers, law


def _simulate(world: HardwareWorld, offers: pl.DataFrame, law: DemandLaw) -> pl.DataFrame:
    """The plan's rows with static columns and, for months of history, the target and what is known only after the month."""
    plan = demand_plan(world, offers)
    offer, month = plan["offer"].to_numpy(), np.minimum(plan["month"].to_numpy(), world.months - 1)
    rows = law.take(offer)
    level, sales, visits = _luck(world, offers, law)
    outages = dict(zip(world.plants["plant"], world.outages, strict=True))
    shortage = np.stack([outages[plant] for plant in offers["plant"]])[offer, month]
    interest = rows.log_interest(plan)
    demand = np.exp(interest + rows.log_effects(plan) + level[offer, month] + rows.noise * sales[offer, month])
    seen = VISITS * np.exp(interest + level[offer, month + 1] + rows.visits_noise * visits[offer, month])
    about = offers[offer].select("series_id", "family", "sku", "generation", "channel", "launch", planned_end="end")
    known = {"target": np.round(demand * (1 - shortage)), "shortage": shortage, "web_visits": np.round(seen)}
    table = pl.concat([plan, about, pl.DataFrame(known)], how="horizontal")
    return table.with_columns(pl.when(pl.col("month") < world.months).then(pl.col(name)).alias(name) for name in known)


def _luck(world: HardwareWorld, offers: pl.DataFrame, law: DemandLaw) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The levels and the standard noise of sales and of visits, each of shape (offers, months + 1)."""
    launch = offers["launch_month"].to_numpy()
    first = np.maximum(launch, 0)
    draws = np.zeros((len(offers), world.months + 1, 3))
    for own, start, pair in zip(draws, first, offers.select("sku", "channel").iter_rows(), strict=True):
        own[start:] = world.normals("demand", *pair, shape=(world.months + 1 - start, 3))
    level = np.sqrt(law.level_variance(first - launch))[:, None] * draws[..., 0]
    for month in range(1, world.months + 1):
        moved = PERSISTENCE * level[:, month - 1] + law.drift * draws[:, month, 0]
        level[:, month] = np.where(month > first, moved, level[:, month])
    return level, draws[..., 1], draws[..., 2]
