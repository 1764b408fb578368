"""The rows that are scored, made from a log and an estimator."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.core.errors import ConfigError, DataError
from hwds.frames.table import ROW_ID
from hwds.ope.metrics.estimates import EstimatorTerms, effective_size
from hwds.ope.metrics.evidence import LogEvidence
from hwds.ope.models.base import Estimator
from hwds.ope.protocols.estimation.inquiry import Inquiry
from hwds.ope.protocols.estimation.log import Log
from hwds.ope.protocols.estimation.target import TargetPolicy

PARTS, SHARED_FIELDS = ("base", "top", "bottom"), ("limit", "limit_known", "biased", "learned")
"""Fields of an estimate that are columns of its rows, those of a row and those of all."""

WITHOUT = "_without_"
"""The separator between the name of a part and the number of the block left out."""

BY_PROPENSITY = "by_propensity"
"""The column that is true where the weights are the target's probabilities over the log's."""

EQUAL = 1e-6
"""The tolerance within which propensities are called uniform."""


def check_estimator(model: Estimator, log: Log, policy: TargetPolicy, least: float | None) -> None:
    """Refuse an estimator that this log or this policy cannot serve.

    Raises:
        ConfigError: It compares prices and the policy has none, or the other way round.
        DataError: Propensities are missing, impossible or below what is promised.
    """
    if model.asks_price and log.price is None:
        raise DataError(f"dataset.roles.price: must be given, for '{model.name}' compares prices.")
    if policy.of_prices and not model.asks_price and model.name != "truth":
        raise ConfigError(
            f"protocol.target_policy: '{model.name}' asks for arms, not prices; take model=ope/kernel, or an arm."
        )
    if log.propensity is None:
        if model.needs_propensity:
            raise DataError(
                f"dataset.roles.propensity: must be given, for '{model.name}' weighs by it; ope/dm and ope/replay do not."
            )
        return
    if not (model.asks_price or policy.of_prices):
        _refuse(log.propensity, log.propensity > 1, "is no probability")
    if least is not None:
        _refuse(log.propensity, log.propensity < least, f"is below protocol.least_propensity={least:g}")
    low, high = float(log.propensity.min()), float(log.propensity.max())
    if not model.needs_propensity and model.weighs and high > low * (1 + EQUAL):
        raise DataError(
            f"dataset.roles.propensity: '{model.name}' is right for a log that chose uniformly; these go from {low:.3g}"
            f" to {high:.3g}: take ope/snipw."
        )


def _refuse(values: np.ndarray, wrong: np.ndarray, why: str) -> None:
    bad = np.flatnonzero(wrong)
    if len(bad):
        raise DataError(f"dataset.roles.propensity: row {bad[0] + 1} has {values[bad[0]]:g}, which {why}.")


def check_size(model: Estimator, evidence: LogEvidence, policy: TargetPolicy, least: int) -> None:
    """Refuse an estimator that compares prices where the policy has none, or that weighs by too few rows.

    Raises:
        ConfigError: The policy's arms have no price of their own.
        DataError: The effective sample size is too small.
    """
    if model.asks_price and evidence.target_price is None:
        raise ConfigError(
            f"protocol.target_policy: '{model.name}' compares prices, and the policy's arms have none of their own."
        )
    weights = model.weights(evidence) if model.weighs else None
    size = np.inf if weights is None else effective_size(weights)
    if size < least:
        raise DataError(
            f"protocol.min_effective_size: {size:.1f} of {len(evidence.reward):,} rows count, {least} must: the log hardly"
            f" shows what the policy '{policy}' does, and '{model.name}' weighs by it."
        )


def rows_of(model: Estimator, inquiry: Inquiry, policy: TargetPolicy, label: str = "") -> pl.DataFrame:
    """Return the rows of one policy, one for each row of the log; none where a dataset does not know what the policy is worth.

    What is learned is learned again without each part, for its error is not in the rows: `top_without_0` and on.

    Args:
        model: The estimator.
        inquiry: The log.
        policy: The policy whose value is estimated.
        label: The policy's name in the column `policy`, empty for the target.
    """
    log, evidence = inquiry.log, inquiry.evidence(policy, model.learner)
    parts: EstimatorTerms | None = model.estimate(evidence)
    if parts is None:
        return pl.DataFrame()
    columns = {
        "reward": log.reward,
        "target": None if model.asks_price else evidence.target_logged,
        "supported": None if model.asks_price else np.sum(evidence.target[:, : len(log.arms)], axis=1),
        "weight": model.weights(evidence) if model.weighs else None,
        "base": parts.base,
        "top": parts.top,
        "bottom": parts.bottom,
        "parameter": None if parts.parameter is None else np.full(log.n, parts.parameter),
    }
    by_row = [_numbers(name, values, log.n) for name, values in columns.items()]
    fields = [pl.Series(name, np.full(log.n, getattr(parts, name))) for name in SHARED_FIELDS]
    left_out = _left_out(model, inquiry, policy) if parts.learned else []
    policies = pl.Series("policy", [label] * log.n)
    seed = pl.Series("seed", np.full(log.n, inquiry.context.seed))
    by_propensity = pl.Series(BY_PROPENSITY, [model.weighs and model.needs_propensity] * log.n)
    rows = pl.DataFrame([log.table.data[ROW_ID], policies, seed, by_propensity, *by_row, *fields, *left_out])
    shared = {"group": None if log.group is None else pl.Series(log.group), "day": log.day}
    return rows.with_columns(**{name: codes for name, codes in shared.items() if codes is not None})


def _left_out(model: Estimator, inquiry: Inquiry, policy: TargetPolicy) -> list[pl.Series]:
    """Return the parts of the estimate without each part of the rows, null in the rows that were left out."""
    columns = []
    for part, rest in enumerate(inquiry.without):
        parts = model.estimate(rest.evidence(policy, model.learner))
        for name in PARTS:
            values, full = getattr(parts, name), np.full(inquiry.log.n, np.nan)
            if values is not None:
                full[inquiry.part != part] = values
            columns.append(pl.Series(f"{name}{WITHOUT}{part}", full).fill_nan(None))
    return columns


def _numbers(name: str, values: np.ndarray | None, n: int) -> pl.Series:
    return pl.Series(name, [None] * n if values is None else values, dtype=pl.Float64, strict=False)
