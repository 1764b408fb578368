"""The law of simulated demand: the true parameters of each series, and what they make of a plan."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import polars as pl

from hwds.datasets.simulated.demand.world import HardwareWorld

RUN_OFF = 6
"""Months before its end over which a device is delisted, in equal steps."""

QUIET_LAUNCH = 0.55
"""The share of its demand that a device lacks in the month of its launch."""

PERSISTENCE = 0.97
"""The autocorrelation of a series' own level from month to month."""

LAUNCH_SPREAD = 0.3
"""The standard deviation of the log of a launch's success."""

VISITS = 8.0
"""Web visits for each unit of demand."""


@dataclass(frozen=True, eq=False)
class DemandLaw:
    """True parameters, one entry for each series.

    Demand in a month is exp(interest + elasticity x + cross mean x of the family's other generations on sale in the channel +
    pull_forward x of the month before + promotion + level + noise), x being log(price / street_price). The share 1 - shortage
    of it is sold. The level is a first-order autoregression that starts with the launch's success. Web visits show interest
    and next month's level, with noise of their own. So the logs are linear and normal, and outages a Markov chain that is
    seen: the truth can be computed.

    Attributes:
        units: Units a month at a device's best.
        street_price: At launch, in currency.
        elasticity: Of own price.
        cross: Elasticity to the mean price of the family's other generations on sale in the channel.
        pull_forward: Elasticity to the own price of the month before.
        promotion: Log-lift of a promoted month at an unchanged price.
        ramp: Months in which what is lacking at launch falls to 1/e of itself.
        decline: Months in which interest falls to 1/e of itself.
        season: Log-lift by calendar month from January, mean zero, shape (series, 12).
        outage_start: The odds that the plant's next month is one of outage after one that was not.
        outage_stay: The same after one that was.
        cannibalisation: The share of interest that goes to the successor from its launch on.
        noise: Standard deviation of the log of one month's demand.
        drift: Standard deviation of a month's change of the level.
        visits_noise: Standard deviation of the log of a month's visits.
    """

    units: np.ndarray
    street_price: np.ndarray
    elasticity: np.ndarray
    promotion: np.ndarray
    ramp: np.ndarray
    decline: np.ndarray
    season: np.ndarray
    outage_start: np.ndarray
    outage_stay: np.ndarray
    cannibalisation: np.ndarray
    cross: np.ndarray
    pull_forward: np.ndarray
    noise: np.ndarray
    drift: np.ndarray
    visits_noise: np.ndarray

    @classmethod
    def of(
        cls,
        world: HardwareWorld,
        offers: pl.DataFrame,
        *,
        cannibalisation: float,
        noise: float,
        drift: float,
        cross: float = 0.0,
        pull_forward: float = 0.0,
    ) -> DemandLaw:
        """Return the law of these offers (a table of `offers_on_sale`)."""
        about = (
            offers.join(world.families.select("family", "ramp", "decline", "giftable"), on="family", maintain_order="left")
            .join(world.channels.select("channel", "holiday", "school", "quarter"), on="channel", maintain_order="left")
            .join(world.plants, on="plant", maintain_order="left")
        )
        by_offer = {
            name: about[name].to_numpy() for name in ("units", "street_price", "elasticity", "promotion", "ramp", "decline")
        }
        chain = {name: about[name].to_numpy() for name in ("outage_start", "outage_stay")}
        shared = {"cannibalisation": cannibalisation, "cross": cross, "pull_forward": pull_forward}
        shared |= {"noise": noise, "drift": drift, "visits_noise": 1.25 * noise}
        constant = {name: np.full(len(about), value) for name, value in shared.items()}
        return cls(**by_offer, **chain, **constant, season=_season(about))

    def take(self, series: np.ndarray) -> DemandLaw:
        """Return the law of these series, or of the rows that belong to them."""
        return replace(self, **{field.name: getattr(self, field.name)[series] for field in fields(self)})

    def log_interest(self, plan: pl.DataFrame) -> np.ndarray:
        """Return the expected log-demand at the launch price without promotion, for a law and a plan of the same rows."""
        age, left = plan["device_age"].to_numpy(), plan["months_to_end"].to_numpy()
        course = np.log1p(-QUIET_LAUNCH * np.exp(-age / self.ramp)) - age / self.decline
        run_off = np.log(np.clip(left + 1, 1, RUN_OFF + 1) / (RUN_OFF + 1))
        succeeded = np.log1p(-self.cannibalisation) * plan["successor_launched"].to_numpy()
        season = self.season[np.arange(len(plan)), plan["time"].dt.month().to_numpy() - 1]
        interest: np.ndarray = np.log(self.units) + course + run_off + succeeded + season
        return interest

    def log_effects(self, plan: pl.DataFrame) -> np.ndarray:
        """Return what price and promotion add to the log-demand of each row."""
        relative = np.log(plan["price"].to_numpy() / self.street_price)
        effects: np.ndarray = self.elasticity * relative + self.promotion * plan["promotion"].to_numpy()
        return effects

    def log_other_effects(self, plan: pl.DataFrame, offers: pl.DataFrame) -> np.ndarray:
        """Return what other generations' prices and the month before's add to the log-demand of each row of the plan.

        Args:
            plan: Of all offers (`demand_plan`), with a law of the same rows.
            offers: The offers.
        """
        relative = pl.Series("x", np.log(plan["price"].to_numpy() / self.street_price))
        about = offers.select("family", "channel")[plan["offer"]]
        rows = plan.select("offer", "month").hstack(about).with_columns(relative)
        beside = ("family", "channel", "month")
        others = (pl.col("x").sum().over(beside) - pl.col("x")) / (pl.len().over(beside) - 1).clip(1)
        before = pl.col("x").shift(1).over("offer", order_by="month").fill_null(pl.col("x"))
        known = rows.select(others=others, before=before)
        effects: np.ndarray = self.cross * known["others"].to_numpy() + self.pull_forward * known["before"].to_numpy()
        return effects

    def level_variance(self, age: np.ndarray) -> np.ndarray:
        """Return the variance of the level so many months after the launch, before anything is seen."""
        decay = PERSISTENCE ** (2 * age)
        return LAUNCH_SPREAD**2 * decay + self.drift**2 * (1 - decay) / (1 - PERSISTENCE**2)


def _season(about: pl.DataFrame) -> np.ndarray:
    """Return holidays (by channel and family), back to school and quarter's end (by channel), from January, mean zero."""
    holiday, school, quarter = np.zeros((3, 12))
    holiday[[9, 10, 11]] = 0.15, 0.7, 1.0
    school[[6, 7, 8]] = 0.4, 1.0, 0.7
    quarter[[2, 5, 8, 11]] = 0.8, 0.9, 0.7, 1.0
    gifts = (about["holiday"] * about["giftable"]).to_numpy()
    season = np.outer(gifts, holiday) + np.outer(about["school"], school) + np.outer(about["quarter"], quarter)
    centred: np.ndarray = season - season.mean(axis=1, keepdims=True)
    return centred
