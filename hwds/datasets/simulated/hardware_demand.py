"""HardwareDemand: monthly units of simulated devices by channel, with known truth."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import ClassVar

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, col

from hwds.core.errors import DataError, nearest
from hwds.core.serialization import Serializable
from hwds.datasets.base import Truth
from hwds.datasets.simulated.price_sales import known_elasticities
from hwds.datasets.simulated.worlds.hardware import (
    OUTAGE_ODDS,
    OUTAGE_SHARES,
    PERSISTENCE,
    VISITS,
    DemandLaw,
    DemandSettings,
    HardwareWorld,
    demand_law,
    demand_plan,
    price_effects,
)
from hwds.elasticity.design import CROSS, LAG, DemandDesign, DemandTerms
from hwds.elasticity.fitted import ElasticityContext, FittedElasticities
from hwds.forecast.models.base import ForecastContext
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Forecasts, Panel
from hwds.frames.roles import SERIES, TIME, Roles

# DemandTruth: the true conditional distribution of simulated demand, as a forecaster.

HALVINGS = 60
"""Steps of the bisection: enough for the last bit of a log."""


class HardwareDemandTruth(Truth):
    """The floor on `hardware_demand`: what its law says of each month to come, given history and
    plan, parameters known.

    The law is linear and normal in logs, so that the level given all sales and visits is a Kalman
    filter's (Durbin and Koopman, Time Series Analysis by State Space Methods, 2nd ed., section
    4.3); shortages to come are a mixture over the plant's Markov chain. With `dataset.unserved` the
    law is that of demand, which no shortage touches.

    Attributes:
        dataset: The simulator's settings, from which the true parameters are drawn again.
    """

    local: ClassVar[bool] = True
    uses_features: ClassVar[bool] = False
    name: str = "truth"
    dataset: DemandSettings

    def learn(self, history: Panel, *, horizon: int, context: ForecastContext) -> FittedDemandTruth:
        """Return the fitted truth; nothing is learned, for the parameters are known."""
        return FittedDemandTruth(self.dataset, context.levels)


@dataclass(frozen=True)
class FittedDemandTruth(Serializable):
    """The simulator's settings and the quantile levels."""

    dataset: DemandSettings
    levels: tuple[float, ...]

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Return the exact conditional mean and quantiles of each row of `future`, given `history`
        and the plan in both.

        Quantiles are of whole units: rounding is monotone, so that they are the rounded quantiles.
        The mean is that before rounding, which differs by far less than a unit. After a planned end
        nothing is sold; where the plan is unknown there is no answer.
        """
        law = _law_of(self.dataset, history)
        level, variance = next_level(
            self.dataset, law, history, of_demand=bool(self.dataset.unserved)
        )
        return self._of_level(
            law, level, variance, history.values("shortage")[history.offsets[1:] - 1] > 0, future
        )

    def launch(self, history: Panel, future: Panel) -> Forecasts:
        """Return the same for series without a row, given the plants' state as others have shown
        it.
        """
        law = _law_of(self.dataset, future)
        unseen = np.zeros(future.n_series)
        return self._of_level(
            law,
            unseen,
            law.level_variance(unseen),
            _out_now(self.dataset, law, history, future),
            future,
        )

    def _of_level(
        self,
        law: DemandLaw,
        level: ndarray,
        variance: ndarray,
        out: ndarray,
        future: Panel,
    ) -> Forecasts:
        """Return forecasts from the first month's level and the odds that the plant is out the
        month before, (n,) each.
        """
        log_mean, spread = _log_demand(self.dataset, law, level, variance, future)
        shares, odds = _shortages(law, out, future.lengths[0])
        if self.dataset.unserved:  # demand, whatever may be served of it
            shares, odds = np.zeros(1), np.ones((*log_mean.shape, 1))
        served = (odds * (1 - shares)).sum(axis=-1)
        mean = np.exp(log_mean + spread**2 / 2) * served
        quantiles = np.exp(
            _mixture_quantiles(log_mean, spread, np.log1p(-shares), odds, self.levels)
        )
        ended = (future.table[TIME] > future.table["planned_end"]).to_numpy().reshape(mean.shape)
        return Forecasts.of(
            np.where(ended, 0.0, mean), np.where(ended[..., None], 0.0, np.round(quantiles))
        )


def next_level(
    dataset: DemandSettings, law: DemandLaw, history: Panel, *, of_demand: bool = False
) -> tuple[ndarray, ndarray]:
    """Return the mean and variance of each series' level in the month after its history, given all
    of it; shape (n_series,).

    With `of_demand` the history's target is demand, not sales.
    """
    sales, sales_variance, visits, visits_variance = _observations(dataset, law, history, of_demand)
    begin = sales.shape[1] - history.lengths
    age = history.values("device_age")[history.offsets[:-1]]
    mean, variance = np.zeros(history.n_series), law.level_variance(age)
    for month in range(sales.shape[1]):
        mean, variance = _update_level(mean, variance, sales[:, month], sales_variance[:, month])
        begun = month >= begin
        mean = np.where(begun, PERSISTENCE * mean, mean)
        variance = np.where(begun, PERSISTENCE**2 * variance + law.drift**2, variance)
        # A month's visits show the level of the next.
        mean, variance = _update_level(mean, variance, visits[:, month], visits_variance[:, month])
    return mean, variance


def _update_level(
    mean: ndarray, variance: ndarray, value: ndarray, noise: ndarray
) -> tuple[ndarray, ndarray]:
    known = ~np.isnan(value)
    gain = np.where(known, variance / (variance + noise), 0.0)
    return mean + gain * np.where(known, value - mean, 0.0), variance * (1 - gain)


def _observations(
    dataset: DemandSettings, law: DemandLaw, history: Panel, of_demand: bool
) -> tuple[ndarray, ...]:
    """Return what each month's sales and visits say of the level, with variances.

    Shape (n_series, longest), aligned last.

    Rounding to whole units adds 1/12 to the variance of a count (Sheppard); an unknown or zero
    count says nothing.
    """
    rows = law.take(history.series_of_row)
    interest = rows.log_interest(history.table)
    served = 1 - history.values("shortage")
    counts = history.target * served if of_demand else history.target
    sold, visited = (
        np.where(values > 0, values, np.nan) for values in (counts, history.values("web_visits"))
    )
    sales = np.log(sold / served) - interest - _effects(dataset, rows, history)
    visits = np.log(visited / VISITS) - interest
    return (
        _align_ends(history, sales),
        _align_ends(history, rows.noise**2 + 1 / (12 * sold**2)),
        _align_ends(history, visits),
        _align_ends(history, rows.visits_noise**2 + 1 / (12 * visited**2)),
    )


def _effects(dataset: DemandSettings, rows: DemandLaw, panel: Panel) -> ndarray:
    """Return what prices and promotions add to the log-demand of each row, for a law of the same
    rows.
    """
    own = rows.log_effects(panel.table)
    if not dataset.cross and not dataset.pull_forward:
        return own
    known = panel.table.select(SERIES, TIME).join(
        price_effects(dataset), [SERIES, TIME], "left", maintain_order="left"
    )
    return own + known["effect"].fill_null(0.0).to_numpy()


def _align_ends(history: Panel, values: ndarray) -> ndarray:
    """Return values of rows as one row for each series, its last month in the last column.

    NaN before the first.
    """
    longest = history.lengths.max()
    aligned = np.full((history.n_series, longest), np.nan)
    ends = np.repeat(longest - history.lengths, history.lengths)
    aligned[history.series_of_row, ends + history.positions] = values
    return aligned


def _law_of(dataset: DemandSettings, panel: Panel) -> DemandLaw:
    offers, law = demand_law(dataset)
    places = {name: place for place, name in enumerate(offers[SERIES])}
    for name in panel.series_ids:
        if name not in places:
            raise DataError(
                f"dataset: series '{name}' is not of this simulated world{nearest(name, places)}"
            )
    return law.take(np.array([places[name] for name in panel.series_ids]))


def _log_demand(
    dataset: DemandSettings, law: DemandLaw, mean: ndarray, variance: ndarray, future: Panel
) -> tuple[ndarray, ndarray]:
    """Return mean and standard deviation of each month's log-demand, shape (n_series, h), from the
    level in the first month.
    """
    steps = np.arange(future.lengths[0])
    rows = law.take(future.series_of_row)
    known = (rows.log_interest(future.table) + _effects(dataset, rows, future)).reshape(
        future.n_series, -1
    )
    decay = PERSISTENCE**steps
    drift = np.outer(law.drift**2, (1 - decay**2) / (1 - PERSISTENCE**2))
    return known + np.outer(mean, decay), np.sqrt(
        np.outer(variance, decay**2) + drift + law.noise[:, None] ** 2
    )


def _out_now(dataset: DemandSettings, law: DemandLaw, history: Panel, future: Panel) -> ndarray:
    """Return whether the plant of each series in `future` is out the month before, (n_series,).

    Its odds where none tells.
    """
    offers, _ = demand_law(dataset)
    plants = dict(zip(offers[SERIES], offers["plant"], strict=True))
    month = history.frequency.after(future.table[TIME].head(1), -1)[0]
    last_month = history.table.filter(history.table[TIME] == month)
    out = {
        plants[name]: shortage > 0
        for name, shortage in last_month.select(SERIES, "shortage").iter_rows()
    }
    usual = law.outage_start / (1 + law.outage_start - law.outage_stay)
    return np.array(
        [out.get(plants[name], odds) for name, odds in zip(future.series_ids, usual, strict=True)],
        float,
    )


def _shortages(law: DemandLaw, now: ndarray, horizon: int) -> tuple[ndarray, ndarray]:
    """Return the shares that may be unserved, shape (sizes,), and their odds in each month, shape
    (n_series, h, sizes).
    """
    usual = law.outage_start / (1 + law.outage_start - law.outage_stay)
    memory = (law.outage_stay - law.outage_start)[:, None] ** np.arange(1, horizon + 1)
    out = usual[:, None] + (now - usual)[:, None] * memory
    odds = np.concatenate([(1 - out)[..., None], out[..., None] * np.array(OUTAGE_ODDS)], axis=-1)
    return np.array([0.0, *OUTAGE_SHARES]), odds


def _mixture_quantiles(
    mean: ndarray,
    spread: ndarray,
    shifts: ndarray,
    odds: ndarray,
    levels: tuple[float, ...],
) -> ndarray:
    """Return quantiles of normal laws of one spread, at `mean` + each of `shifts`, mixed by `odds`.

    Args:
        mean: Shape (n, h).
        spread: Standard deviations, shape (n, h).
        shifts: Shape (sizes,).
        odds: Shape (n, h, sizes).
        levels: Quantile levels, rising.

    Returns:
        Shape (n, h, levels).
    """
    from scipy.special import ndtr

    scores = np.array([NormalDist().inv_cdf(level) for level in levels])
    high = mean[..., None] + spread[..., None] * scores + shifts.max()
    low = high - np.ptp(shifts)  # the mixture's quantile lies between those of its parts
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        below = ndtr(
            (middle[..., None] - (mean[..., None] + shifts)[:, :, None]) / spread[..., None, None]
        )
        short = (below * odds[:, :, None]).sum(axis=-1) < levels
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    quantiles: ndarray = (low + high) / 2
    return quantiles


# HardwareDemand: monthly units of simulated devices by channel, with known truth.

ROLES = Roles(
    known_future=("price", "promotion", "device_age", "months_to_end", "successor_launched"),
    past_only=("shortage", "web_visits"),
    static=("family", "sku", "generation", "channel", "launch", "planned_end"),
    level=("family", "channel"),
    price="price",
)


class HardwareDemand(DemandSettings):
    """Monthly units of simulated devices by channel, with known truth: launches, successors,
    seasons, prices, shortages.

    One series is one generation of a product family in one channel, from its launch (or from the
    first month) to its planned end, after which it has no rows. Its successor takes 60 % of its
    demand, at an unchanged price, from the month of the successor's launch on; the month after, its
    price is cut. Known ahead: `price` (street price, in currency), `promotion` (0 or 1),
    `device_age`, `months_to_end`, `successor_launched` (0 or 1). Known once the month is over:
    `shortage` (the share of demand that the plant could not serve) and `web_visits` (which show
    next month's level, with noise). The panel's plan holds `horizon` months after the last one for
    each series still sold then, or fewer where its planned end comes first. Prices follow the
    calendar: they answer no demand, and have no cost shocks as instruments; `price_sales` has both.
    """

    def load(self) -> Panel:
        """Return the panel, with its plan."""
        offers, law = demand_law(self)
        table = _simulate(self.world(), offers, law)
        ahead = col("month") >= self.months
        plan = table.filter(ahead).sort(SERIES, TIME)
        plan = plan.select(
            SERIES, TIME, *(col(name).cast(pl.Float64) for name in ROLES.known_future)
        )
        history = table.filter(~ahead)
        return Panel.build(
            history, Frequency("1mo"), roles=ROLES, horizon=self.horizon, plan=plan, unit="units"
        )

    def truth(self, task: str) -> Truth | None:
        """Return the true conditional distribution as a forecaster, or the true elasticities as a
        model of demand.
        """
        if task == "elasticity":
            return HardwareElasticities(dataset=self)
        return HardwareDemandTruth(dataset=self) if task == "forecast" else None

    def parameters(self) -> DataFrame:
        """Return the true parameters of each series: `series_id`, the fields of `DemandLaw`,
        `season` as `season_1` and on.
        """
        offers, law = demand_law(self)
        columns = {name: value for name, value in vars(law).items() if name != "season"}
        seasons = {f"season_{month + 1}": law.season[:, month] for month in range(12)}
        return DataFrame({"series_id": offers["series_id"], **columns, **seasons})


def _simulate(world: HardwareWorld, offers: DataFrame, law: DemandLaw) -> DataFrame:
    """Return the plan's rows with static columns and, for months of history, the target and the
    past-only columns.
    """
    plan = demand_plan(world, offers)
    offer, month = plan["offer"].to_numpy(), np.minimum(plan["month"].to_numpy(), world.months - 1)
    rows = law.take(offer)
    level, sales, visits = _shocks(world, offers, law)
    outages = dict(zip(world.plants["plant"], world.outages, strict=True))
    shortage = np.stack([outages[plant] for plant in offers["plant"]])[offer, month]
    interest = rows.log_interest(plan)
    effects = rows.log_effects(plan) + rows.log_other_effects(plan, offers)
    demand = np.exp(interest + effects + level[offer, month] + rows.noise * sales[offer, month])
    seen = VISITS * np.exp(
        interest + level[offer, month + 1] + rows.visits_noise * visits[offer, month]
    )
    about = offers[offer].select(
        "series_id", "family", "sku", "generation", "channel", "launch", planned_end="end"
    )
    known = {
        "target": np.round(demand * (1 - shortage)),
        "shortage": shortage,
        "web_visits": np.round(seen),
    }
    table = pl.concat([plan, about, DataFrame(known)], how="horizontal")
    return table.with_columns(
        pl.when(col("month") < world.months).then(col(name)).alias(name) for name in known
    )


def _shocks(
    world: HardwareWorld, offers: DataFrame, law: DemandLaw
) -> tuple[ndarray, ndarray, ndarray]:
    """Return the levels and the standard noise of sales and of visits, each of shape (offers,
    months + 1).
    """
    launch = offers["launch_month"].to_numpy()
    first = np.maximum(launch, 0)
    draws = np.zeros((len(offers), world.months + 1, 3))
    for series_draws, start, pair in zip(
        draws, first, offers.select("sku", "channel").iter_rows(), strict=True
    ):
        series_draws[start:] = world.normals("demand", *pair, shape=(world.months + 1 - start, 3))
    level = np.sqrt(law.level_variance(first - launch))[:, None] * draws[..., 0]
    for month in range(1, world.months + 1):
        moved = PERSISTENCE * level[:, month - 1] + law.drift * draws[:, month, 0]
        level[:, month] = np.where(month > first, moved, level[:, month])
    return level, draws[..., 1], draws[..., 2]


class HardwareElasticities(Truth):
    """The true elasticities of `hardware_demand`, with no error: own, of other generations' prices,
    of the month before.

    Attributes:
        dataset: The simulator's settings.
    """

    name: str = "truth"
    dataset: DemandSettings

    def learn(self, history: Panel, context: ElasticityContext) -> FittedElasticities:
        """Return the truth of the cells of a history.

        Levels are those at which expected units add up to those sold.
        """
        offers, law = demand_law(self.dataset)
        design = DemandDesign.of(history, DemandTerms(), context.controls)
        known = offers.select(SERIES, "promotion").with_columns(elasticity=law.elasticity)
        shared = {LAG: self.dataset.pull_forward, CROSS: self.dataset.cross}
        return known_elasticities(design, known, shared, context)
