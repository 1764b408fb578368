"""What is known of what each arm earns: from a bandit's counts, a test's table or an off-policy estimate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from hwds.decisions.price_offers import Measured, Offer, Offers
from hwds.metrics.ab_bayes import Normal, Posterior, ScaledBeta
from hwds.metrics.gain_risk import Counts
from hwds.protocols.bandit_rows import seen_counts
from hwds.results.tables import Tables

LEAST_DEVIATION = 1e-9
"""Of a posterior, where a sale earns exactly nothing."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an arm.

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
        """Its name."""
        return self.offer.arm

    @property
    def mean(self) -> float:
        """Of the posterior; -inf without one."""
        return -np.inf if self.posterior is None else self.posterior.mean


def from_counts(offer: Offer, successes: int, failures: int) -> Known:
    """A uniform prior and counts: what a sale earns times Beta(1 + successes, 1 + failures)."""
    earns = offer.earns("conversions")
    share = ScaledBeta(1.0 + successes, 1.0 + failures)
    posterior: Posterior = ScaledBeta(share.a, share.b, earns) if earns > 0 else _scaled(share.mean, share.deviation, earns)
    return Known(offer, successes + failures, posterior, Counts(successes, failures, earns))


def from_mean(offer: Offer, mean: float | None, stderr: float | None, customers: int, measured: Measured) -> Known:
    """A normal posterior around a mean with a standard error; nothing is known where one of them is missing or 0."""
    if mean is None or not stderr:
        return Known(offer, customers)
    return Known(offer, customers, _scaled(mean, stderr, offer.earns(measured)))


def _scaled(mean: float, deviation: float, earns: float) -> Normal:
    return Normal(earns * mean, max(abs(earns) * deviation, LEAST_DEVIATION))


def evidence_of(tables: Tables, frame: Any, model: str, offers: Offers, protocol: Any) -> list[Known]:
    """What a run says of every arm.

    Args:
        tables: Of the run.
        frame: Its data.
        model: Whose evidence counts.
        offers: The arms.
        protocol: What wrote the tables.
    """
    if protocol.task == "bandit":
        return next(iter(replications(tables, model, offers, 1)), [Known(offer) for offer in offers.all])
    if protocol.task == "ab":
        return _of_test(tables.predictions.filter(pl.col("model") == model), offers)
    log = protocol.log(frame)
    shown = dict(zip(log.arms, np.bincount(log.action, minlength=len(log.arms)).tolist(), strict=True))
    return _of_log(tables.scores.filter(pl.col("model") == model), offers, shown)


def replications(tables: Tables, model: str, offers: Offers, most: int) -> list[list[Known]]:
    """What is known at the end of each of a policy's first replications."""
    if "replication" not in tables.predictions.columns:
        return []
    rows = tables.predictions.filter(pl.col("model") == model).sort("replication").head(most)
    return [[_counted(offer, row) for offer in offers.all] for row in rows.to_dicts()]


def _counted(offer: Offer, row: Mapping[str, Any]) -> Known:
    offered, wins = seen_counts(row, offer.arm)
    return from_counts(offer, wins, offered - wins)


def _of_test(rows: pl.DataFrame, offers: Offers) -> list[Known]:
    """The counts of the first outcome, or its mean; the money that the table tells of where arms have no price of their own."""
    if "metric" not in rows.columns:
        return [Known(offer) for offer in offers.all]
    whole = rows.filter(pl.col("look").is_null() & pl.col("arm").is_not_null())
    means = {(row["metric"], row["arm"]): row for row in whole.to_dicts()}
    return [_tested(offer, means, offers.measured) for offer in offers.all]


def _tested(offer: Offer, means: Mapping[tuple[str, str], Mapping[str, Any]], measured: Measured) -> Known:
    money = next((means[name, offer.arm] for name in MONEY_MEANS if (name, offer.arm) in means), None)
    if money is not None and offer.price is None:
        return from_mean(offer, money["value"], money["stderr"], money["n"], "money")
    row = means.get(("arm_mean", offer.arm))
    if row is None:
        return Known(offer)
    if measured == "conversions" and row["successes"] is not None:
        return from_counts(offer, row["successes"], row["failures"])
    return from_mean(offer, row["value"], row["stderr"], row["n"], measured)


MONEY_MEANS = ("arm_mean[margin]", "arm_mean[revenue]")
"""What a test says of the money that an arm brings, the best first."""


def _of_log(scores: pl.DataFrame, offers: Offers, shown: Mapping[str, int]) -> list[Known]:
    """The value of showing each arm always; estimates of arms are taken as independent."""
    own = scores.filter((pl.col("metric") == "policy_value") & (pl.col("segment_by") == "arm") & pl.col("fold").is_null())
    told = {row["segment"]: row for row in own.to_dicts()}
    blank = {"value": None, "stderr": None}
    return [
        from_mean(offer, row["value"], row["stderr"], shown.get(offer.arm, 0), offers.measured)
        for offer in offers.all
        for row in (told.get(offer.arm, blank),)
    ]
