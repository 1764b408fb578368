"""The evidence of what each price earns: offers, posteriors, contrasts, and the risk of a
change.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
from polars import DataFrame

from hwds.core.errors import ConfigError, nearest
from hwds.frames.table import Table
from hwds.results.tables import Tables
from hwds.stats.distributions import NormalPosterior, Posterior, ScaledBeta, probability_best

# The prices that could be charged: arms with their prices and costs.

Measured = Literal["conversions", "quantity", "money"]
"""The unit of an arm's mean: 0 or 1, things sold, or the money they brought."""

Certainty = Literal["posterior", "adaptive", "always_valid", "test"]
"""The measure of the risk of a change; see `PriceChoice`."""

CONVERSIONS = "conversions"
"""The unit of arms without prices."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An arm before anything is known of what it earns.

    Attributes:
        arm: Its name.
        price: What a customer pays; None where the data names none, or several.
        cost: The cost of a sale; None where it is unknown.
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
        """Return the value of one measured unit: price less cost for a sale, the margin's share of
        money.
        """
        if measured == "money":
            return self.margin if self.price and self.margin is not None else 1.0
        return 1.0 if self.price is None else self.price - (self.cost or 0.0)


@dataclass(frozen=True, slots=True)
class PriceOffers:
    """The offers of all arms.

    Attributes:
        all: In the order of the data.
        measured: What the evidence of a sale is.
        unit: Of what they earn: a currency, or `conversions`; empty where the data names none.
        certainty: How the risk of a change is measured where the decision does not say it.
    """

    all: tuple[Offer, ...]
    measured: Measured
    unit: str = ""
    certainty: Certainty = "posterior"

    @property
    def arms(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(offer.arm for offer in self.all)

    def find(self, arm: str) -> Offer:
        """Return the offer of an arm."""
        return next(offer for offer in self.all if offer.arm == arm)

    def with_prices(self, prices: Mapping[str, float], cost: float | None) -> PriceOffers:
        """Return the arms with the prices and the cost that a decision gives.

        Args:
            prices: By arm, where the data names none.
            cost: The cost of a sale, in place of the data's own.

        Raises:
            ConfigError: A price is given to an arm that is not there, or that has one, or an arm is
                left without.
        """
        for arm in prices:
            if arm not in self.arms:
                raise ConfigError(f"decision.prices: no arm '{arm}'{nearest(arm, self.arms)}")
            if self.find(arm).price is not None:
                raise ConfigError(f"decision.prices: the data has the price of arm '{arm}'.")
        absent = next(
            (
                offer.arm
                for offer in self.all
                if prices and offer.price is None and offer.arm not in prices
            ),
            None,
        )
        if absent is not None:
            raise ConfigError(f"decision.prices: has no price for arm '{absent}'.")
        priced = (replace(offer, price=prices.get(offer.arm, offer.price)) for offer in self.all)
        return replace(
            self,
            all=tuple(offer if cost is None else replace(offer, cost=cost) for offer in priced),
        )

    def in_its_unit(self) -> PriceOffers:
        """Return the same without a unit that says money where arms have no prices, or conversions
        where they have some.
        """
        money = self.measured == "money" or any(offer.price is not None for offer in self.all)
        return self if money == (self.unit != CONVERSIONS) else replace(self, unit="")


def is_binary(table: Table) -> bool:
    """Return whether the first outcome of a table is 0 or 1."""
    return bool(table.data[table.roles["outcome"][0]].cast(pl.Float64).is_in([0.0, 1.0]).all())


def value_by_arm(table: Table, role: str, arm: np.ndarray) -> dict[str, float]:
    """Return the one number that a role has in each arm; arms with several are left out.

    Args:
        table: With a row a customer.
        role: `price` or `cost`.
        arm: The name of each row's arm, shape (n,).
    """
    if not table.roles.get(role):
        return {}
    rows = DataFrame({"arm": arm, "value": table.column(role).cast(pl.Float64)})
    ranges = rows.group_by("arm").agg(low=pl.col("value").min(), high=pl.col("value").max())
    return {row["arm"]: row["low"] for row in ranges.to_dicts() if row["low"] == row["high"]}


# The difference of earnings between arms by the law of the test that compared them.


@dataclass(frozen=True, slots=True)
class Contrast:
    """The difference of earnings between two arms, per unit, as a test estimates it.

    Attributes:
        gain: The estimate, in the money of the decision.
        low, high: The interval of the test's own rule; None where it has none yet.
        risk: The p-value of no difference, corrected for all comparisons that the test makes; 1
            where nothing is shown.
        rule: How the interval was made, in words: `always-valid`.
        confidence: The level of the interval.
    """

    gain: float
    low: float | None
    high: float | None
    risk: float
    rule: str
    confidence: float

    def reversed(self) -> Contrast:
        """Return what the other arm earns more than this one."""
        low, high = (None if end is None else -end for end in (self.high, self.low))
        return Contrast(-self.gain, low, high, self.risk, self.rule, self.confidence)

    @property
    def interval(self) -> tuple[float, float, float] | None:
        """The gain with its interval; None where there is none yet."""
        return None if self.low is None or self.high is None else (self.gain, self.low, self.high)

    @property
    def risk_of_loss(self) -> float:
        """The risk of a change to the arm: 1 where it does not seem to earn more."""
        return self.risk if self.gain > 0 else 1.0


Contrasts = Mapping[tuple[str, str], Contrast]
"""By arm and the arm that it is compared with; a pair may be there in one order alone."""


def contrast_of(contrasts: Contrasts, arm: str, other: str) -> Contrast | None:
    """Return the contrast of two arms in the given order.

    None where the test does not compare them.
    """
    if (arm, other) in contrasts:
        return contrasts[arm, other]
    return contrasts[other, arm].reversed() if (other, arm) in contrasts else None


# The risk that one arm earns no more than another: by posteriors, or by a bound that survives
# peeking and adaptive play.


class ArmCounts(NamedTuple):
    """The counts of an arm: customers who bought and who did not, and what a purchase earns."""

    successes: int
    failures: int
    earns: float

    @property
    def mean(self) -> float:
        """The earnings per customer."""
        return self.earns * self.successes / max(self.successes + self.failures, 1)


def posterior_risk(own: Posterior, other: Posterior) -> float:
    """Return the probability that the other arm's mean is the higher one."""
    return probability_best([other, own])[0]


def always_valid_risk(own: ArmCounts, other: ArmCounts) -> float:
    """Return a p-value of "the arm earns no more than the other", valid at any time and for any
    allocation of customers.

    For each arm the likelihood averaged over a uniform prior, over the likelihood of its true
    conversion, is a martingale of mean 1 under any rule of choice and stopping; so is the product
    of the two. By Ville's inequality the chance that it ever reaches 1/a is a; the p-value is the
    inverse of its least value where the arm does not earn more (Robbins 1970, Statistical methods
    related to the law of the iterated logarithm; Kaufmann and Koolen 2021, Mixture martingales
    revisited).
    """
    if own.mean <= other.mean:
        return 1.0
    # A sale of the other never earns, and what was seen excludes that none of the two ever sells.
    if other.earns <= 0:
        return 0.0 if own.earns >= 0 else 1.0
    conversion = _conversion_without_gain(own, other)
    if conversion <= 0:
        return 1.0
    evidence = _betting_mixture(own, conversion) + _betting_mixture(
        other, min(own.earns * conversion / other.earns, 1.0)
    )
    return float(np.exp(-max(evidence, 0.0)))


def _conversion_without_gain(own: ArmCounts, other: ArmCounts) -> float:
    """Return the likeliest conversion of the arm where both earn the same: the smaller root of the
    score, a quadratic.
    """
    ratio = own.earns / other.earns
    bought = own.successes + other.successes
    square = ratio * (bought + own.failures + other.failures)
    linear = bought * (1 + ratio) + other.failures * ratio + own.failures
    root = np.sqrt(max(linear**2 - 4 * square * bought, 0.0))
    return float(2 * bought / (linear + root)) if linear > 0 else 0.0


def _betting_mixture(arm: ArmCounts, conversion: float) -> float:
    """Return the log of the likelihood averaged over a uniform prior, over that of one
    conversion.
    """
    from scipy.special import betaln, xlog1py, xlogy

    at_conversion = xlogy(arm.successes, conversion) + xlog1py(arm.failures, -conversion)
    return float(betaln(1 + arm.successes, 1 + arm.failures) - at_conversion)


# The evidence of what each arm earns: the table that protocols give, and the posteriors made of
# it.

EVIDENCE = {
    "replication": pl.Int64,
    "arm": pl.String,
    "customers": pl.Int64,
    "successes": pl.Int64,
    "failures": pl.Int64,
    "mean": pl.Float64,
    "stderr": pl.Float64,
    "measured": pl.String,
}
"""Columns of the evidence, one row an arm (and replication, of a simulation; 0 otherwise).

`customers` is to how many the arm was offered. Either `successes` and `failures` count who bought
and who did not, or `mean` and `stderr` estimate what one customer brings, in what `measured` says
(see `Measured`); null where nothing is known. Arms are taken as independent. Of an arm without a
row nothing is known. Prices and costs are those of `Offers`.
"""

LEAST_DEVIATION = 1e-9
"""The least deviation of a posterior, where a sale earns exactly nothing."""


@dataclass(frozen=True, eq=False)
class EvidenceTable:
    """A protocol's evidence on its arms.

    Attributes:
        rows: See `EVIDENCE`.
        truth: What a customer truly brings, in what `Offers.measured` says, shape (K,) in the order
            of the offers; NaN for an arm that was never offered; None where nobody knows.
        note: What the verdict's sentence is to end with.
        contrasts: What a test says of pairs of arms; read where the certainty is `test`.
    """

    rows: DataFrame
    truth: np.ndarray | None = None
    note: str = ""
    contrasts: Contrasts = field(default_factory=dict)


class PriceEvidence(ABC):
    """A protocol that can feed a choice of price (`decision=price_choice`)."""

    def check_pricing(self, decision: str, certainty: Certainty | None, confidence: float) -> None:
        """Refuse settings under which it has no evidence; called before the data is loaded.

        Args:
            decision: The name of the decision.
            certainty: How it measures the risk of a change, where it says so.
            confidence: One minus the risk that it allows.

        Raises:
            ConfigError: With the field and its value.
        """
        if certainty == "test":
            raise ConfigError(
                "decision.certainty: test is for protocol ab_test, which compares arms; take "
                "'posterior'."
            )

    @abstractmethod
    def offers(self, frame: Any) -> PriceOffers:
        """Return the arms of a frame, with the prices and costs that it names."""

    @abstractmethod
    def price_evidence(
        self, tables: Tables, frame: Any, model: str, offers: PriceOffers, most: int
    ) -> EvidenceTable:
        """Return what a run says of every arm.

        Args:
            tables: The tables of the run.
            frame: Its data.
            model: Whose evidence counts.
            offers: The arms, with the prices that the decision knows.
            most: Replications at most.
        """


@dataclass(frozen=True, slots=True)
class ArmEvidence:
    """The evidence on one arm.

    Attributes:
        offer: The arm.
        customers: To whom it was offered.
        posterior: The posterior of what it earns per customer; None where there is no estimate.
        counts: Where it is known who bought.
    """

    offer: Offer
    customers: int = 0
    posterior: Posterior | None = None
    counts: ArmCounts | None = None

    @property
    def arm(self) -> str:
        """The arm's name."""
        return self.offer.arm

    @property
    def mean(self) -> float:
        """The posterior mean; -inf without one."""
        return -np.inf if self.posterior is None else self.posterior.mean


def from_counts(offer: Offer, successes: int, failures: int) -> ArmEvidence:
    """Return a uniform prior and counts: what a sale earns times Beta(1 + successes, 1 +
    failures).
    """
    earns = offer.earns("conversions")
    share = ScaledBeta(1.0 + successes, 1.0 + failures)
    posterior: Posterior = (
        ScaledBeta(share.a, share.b, earns)
        if earns > 0
        else _scale_posterior(share.mean, share.deviation, earns)
    )
    return ArmEvidence(
        offer, successes + failures, posterior, ArmCounts(successes, failures, earns)
    )


def from_mean(
    offer: Offer, mean: float | None, stderr: float | None, customers: int, measured: Measured
) -> ArmEvidence:
    """Return a normal posterior around a mean with a standard error.

    Nothing is known where one of them is missing or 0.
    """
    if mean is None or not stderr:
        return ArmEvidence(offer, customers)
    return ArmEvidence(offer, customers, _scale_posterior(mean, stderr, offer.earns(measured)))


def _scale_posterior(mean: float, deviation: float, earns: float) -> NormalPosterior:
    return NormalPosterior(earns * mean, max(abs(earns) * deviation, LEAST_DEVIATION))


def replications(rows: DataFrame, offers: PriceOffers) -> list[list[ArmEvidence]]:
    """Return what is known of every arm in each replication, first to last.

    Once where nothing was played again.

    Args:
        rows: See `EVIDENCE`.
        offers: The arms.
    """
    by_replication: dict[int, dict[str, Mapping[str, Any]]] = {}
    for row in rows.sort("replication", maintain_order=True).to_dicts():
        by_replication.setdefault(row["replication"], {})[row["arm"]] = row
    return [
        [_arm_evidence(offer, arms.get(offer.arm)) for offer in offers.all]
        for arms in by_replication.values()
    ]


def _arm_evidence(offer: Offer, row: Mapping[str, Any] | None) -> ArmEvidence:
    if row is None:
        return ArmEvidence(offer)
    if row["successes"] is not None:
        return from_counts(offer, row["successes"], row["failures"])
    return from_mean(offer, row["mean"], row["stderr"], row["customers"], row["measured"])
