"""The evidence of what each arm earns: the table that protocols give, and the posteriors made of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from hwds.core.errors import ConfigError
from hwds.pricing.contrasts import Contrasts
from hwds.pricing.gain_risk import Counts
from hwds.pricing.offers import Certainty, Measured, Offer, Offers
from hwds.results.tables import Tables
from hwds.statistics.arm_posteriors import Normal, Posterior, ScaledBeta

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

`customers` is to how many the arm was offered. Either `successes` and `failures` count who bought and who did not, or `mean`
and `stderr` estimate what one customer brings, in what `measured` says (see `Measured`); null where nothing is known. Arms are
taken as independent. Of an arm without a row nothing is known. Prices and costs are those of `Offers`.
"""

LEAST_DEVIATION = 1e-9
"""The least deviation of a posterior, where a sale earns exactly nothing."""


@dataclass(frozen=True, eq=False)
class EvidenceTable:
    """A protocol's evidence on its arms.

    Attributes:
        rows: See `EVIDENCE`.
        truth: What a customer truly brings, in what `Offers.measured` says, shape (K,) in the order of the offers; NaN for an
            arm that was never offered; None where nobody knows.
        note: What the verdict's sentence is to end with.
        contrasts: What a test says of pairs of arms; read where the certainty is `test`.
    """

    rows: pl.DataFrame
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
            raise ConfigError("decision.certainty: test is for protocol ab_test, which compares arms; take 'posterior'.")

    @abstractmethod
    def offers(self, frame: Any) -> Offers:
        """Return the arms of a frame, with the prices and costs that it names."""

    @abstractmethod
    def price_evidence(self, tables: Tables, frame: Any, model: str, offers: Offers, most: int) -> EvidenceTable:
        """Return what a run says of every arm.

        Args:
            tables: Of the run.
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
        posterior: Of what it earns per customer; None where there is no estimate.
        counts: Where it is known who bought.
    """

    offer: Offer
    customers: int = 0
    posterior: Posterior | None = None
    counts: Counts | None = None

    @property
    def arm(self) -> str:
        """The arm's name."""
        return self.offer.arm

    @property
    def mean(self) -> float:
        """The posterior mean; -inf without one."""
        return -np.inf if self.posterior is None else self.posterior.mean


def from_counts(offer: Offer, successes: int, failures: int) -> ArmEvidence:
    """Return a uniform prior and counts: what a sale earns times Beta(1 + successes, 1 + failures)."""
    earns = offer.earns("conversions")
    share = ScaledBeta(1.0 + successes, 1.0 + failures)
    posterior: Posterior = ScaledBeta(share.a, share.b, earns) if earns > 0 else _scaled(share.mean, share.deviation, earns)
    return ArmEvidence(offer, successes + failures, posterior, Counts(successes, failures, earns))


def from_mean(offer: Offer, mean: float | None, stderr: float | None, customers: int, measured: Measured) -> ArmEvidence:
    """Return a normal posterior around a mean with a standard error; nothing is known where one of them is missing or 0."""
    if mean is None or not stderr:
        return ArmEvidence(offer, customers)
    return ArmEvidence(offer, customers, _scaled(mean, stderr, offer.earns(measured)))


def _scaled(mean: float, deviation: float, earns: float) -> Normal:
    return Normal(earns * mean, max(abs(earns) * deviation, LEAST_DEVIATION))


def replications(rows: pl.DataFrame, offers: Offers) -> list[list[ArmEvidence]]:
    """Return what is known of every arm in each replication, first to last; once where nothing was played again.

    Args:
        rows: See `EVIDENCE`.
        offers: The arms.
    """
    by_replication: dict[int, dict[str, Mapping[str, Any]]] = {}
    for row in rows.sort("replication", maintain_order=True).to_dicts():
        by_replication.setdefault(row["replication"], {})[row["arm"]] = row
    return [[_arm_evidence(offer, arms.get(offer.arm)) for offer in offers.all] for arms in by_replication.values()]


def _arm_evidence(offer: Offer, row: Mapping[str, Any] | None) -> ArmEvidence:
    if row is None:
        return ArmEvidence(offer)
    if row["successes"] is not None:
        return from_counts(offer, row["successes"], row["failures"])
    return from_mean(offer, row["mean"], row["stderr"], row["customers"], row["measured"])
