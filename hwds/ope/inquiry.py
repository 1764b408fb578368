"""A log on which any policy can be estimated: reward models, parts left out, rows to score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series

from hwds.core.errors import ConfigError, DataError
from hwds.core.seeds import stream
from hwds.evaluation.protocol import RunContext
from hwds.frames.table import ROW_ID
from hwds.ope.estimates import EstimatorTerms, LogEvidence, effective_size
from hwds.ope.log import DecisionLog, TargetPolicy, context_cells, target_choices
from hwds.ope.models.base import Estimator, Learner
from hwds.ope.support import supported_share

# Reward models: the expected reward of each arm in each context, fitted without the rows that
# are predicted.

PULL_ROWS = 10.0
"""Rows that the mean of all arms counts as beside an arm's own, and the arm's beside a cell's."""

NEWTON_STEPS = 12
"""Steps of the logistic fit, which starts near enough for six."""

TREES, DEPTH, RATE = 100, 4, 0.1
"""XGBoost's settings: shallow, for rewards are noisy."""


@dataclass(frozen=True, eq=False)
class RewardRows:
    """Logged rows to learn from, or to predict.

    Attributes:
        context: Numbers, the first column ones, shape (n, width).
        cell: The number of each row's combination of names, shape (n,).
        action: The number of the logged arm, shape (n,).
        reward: Shape (n,).
        arms: How many arms there are.
        cpus: The number of threads.
        seed: The seed of learners that draw.
    """

    context: ndarray
    cell: ndarray
    action: ndarray
    reward: ndarray
    arms: int
    cpus: int = 1
    seed: int = 0

    def rows(self, which: ndarray) -> RewardRows:
        """Return some of the rows."""
        names = ("context", "cell", "action", "reward")
        return replace(self, **{name: getattr(self, name)[which] for name in names})


def cross_fitted(learner: Learner, logged: RewardRows, part: ndarray) -> ndarray:
    """Return the expected reward of each arm in each row, from a model fitted on the other parts,
    shape (n, arms).

    Predictions are held inside the range of the rewards that were learned from.

    Args:
        learner: The kind of reward model.
        logged: The log.
        part: The number of the part that each row is in, shape (n,).
    """
    expected = np.empty((len(part), logged.arms))
    for held_out in np.unique(part):
        fit_rows, new_rows = logged.rows(part != held_out), logged.rows(part == held_out)
        least, most = fit_rows.reward.min(), fit_rows.reward.max()
        expected[part == held_out] = np.clip(LEARNERS[learner](fit_rows, new_rows), least, most)
    return expected


def predict_frequency(fit_rows: RewardRows, new_rows: RewardRows) -> ndarray:
    """Return mean rewards by arm and combination of names, each pulled to the arm's mean, and that
    to the mean of all.
    """
    everywhere = _pull_means(
        fit_rows, fit_rows.action, np.full(fit_rows.arms, float(np.mean(fit_rows.reward)))
    )
    width = 1 + int(max(fit_rows.cell.max(), new_rows.cell.max()))
    place = fit_rows.cell * fit_rows.arms + fit_rows.action
    inside = _pull_means(fit_rows, place, np.tile(everywhere, width)).reshape(width, fit_rows.arms)
    return inside[new_rows.cell]


def _pull_means(fit_rows: RewardRows, place: ndarray, towards: ndarray) -> ndarray:
    size = len(towards)
    return (np.bincount(place, fit_rows.reward, size) + PULL_ROWS * towards) / (
        np.bincount(place, minlength=size) + PULL_ROWS
    )


def predict_ridge(fit_rows: RewardRows, new_rows: RewardRows) -> ndarray:
    """Return the predictions of a line for each arm, shrunk to one line for all."""
    return new_rows.context @ _arm_lines(fit_rows, fit_rows.reward, np.ones(len(fit_rows.reward))).T


def predict_logistic(fit_rows: RewardRows, new_rows: RewardRows) -> ndarray:
    """Return the logistic form of `predict_ridge` for rewards within their range, by Newton's
    method (iteratively reweighted ridge).
    """
    least, most = float(fit_rows.reward.min()), float(fit_rows.reward.max())
    if least == most:
        return np.full((len(new_rows.action), fit_rows.arms), least)
    share = (fit_rows.reward - least) / (most - least)
    middle = (np.sum(share) + 0.5) / (len(share) + 1)
    lines = np.zeros((fit_rows.arms, fit_rows.context.shape[1]))
    lines[:, 0] = np.log(middle / (1 - middle))
    for _ in range(NEWTON_STEPS):
        score = np.clip(np.sum(fit_rows.context * lines[fit_rows.action], axis=1), -30, 30)
        odds = 1 / (1 + np.exp(-score))
        weight = np.maximum(odds * (1 - odds), 1e-9)
        lines = _arm_lines(fit_rows, score + (share - odds) / weight, weight, middle * (1 - middle))
    return least + (most - least) / (1 + np.exp(-np.clip(new_rows.context @ lines.T, -30, 30)))


def predict_xgboost(fit_rows: RewardRows, new_rows: RewardRows) -> ndarray:
    """Return boosted trees on the context and the arm."""
    from xgboost import DMatrix, train

    names = np.eye(fit_rows.arms)
    settings = {
        "max_depth": DEPTH,
        "eta": RATE,
        "nthread": fit_rows.cpus,
        "seed": fit_rows.seed,
        "tree_method": "hist",
    }
    rows = DMatrix(np.hstack([fit_rows.context, names[fit_rows.action]]), fit_rows.reward)
    booster = train(settings | {"base_score": float(np.mean(fit_rows.reward))}, rows, TREES)
    n = len(new_rows.action)
    each = [
        booster.predict(DMatrix(np.hstack([new_rows.context, np.tile(name, (n, 1))])))
        for name in names
    ]
    return np.stack(each, axis=1).astype(np.float64)


def _arm_lines(
    fit_rows: RewardRows, target: ndarray, weight: ndarray, unit: float = 1.0
) -> ndarray:
    """Return a weighted least-squares line for each arm, shape (arms, width), shrunk towards a
    common line.

    The common line is solved for first, each arm's line given it (the two levels of a mixed model;
    Gelman and Hill 2007, chapter 12).

    Args:
        fit_rows: The rows.
        target: The values that the lines should give, shape (n,).
        weight: The weight of each row, shape (n,).
        unit: A typical weight, by which the penalty is scaled.
    """
    width, pull = fit_rows.context.shape[1], PULL_ROWS * unit * np.eye(fit_rows.context.shape[1])
    left, right, solutions = 1e-6 * len(target) * unit * np.eye(width), np.zeros(width), []
    for arm in range(fit_rows.arms):
        rows = fit_rows.action == arm
        weighted = fit_rows.context[rows] * weight[rows, None]
        square, product = weighted.T @ fit_rows.context[rows], weighted.T @ target[rows]
        solved = np.linalg.solve(square + pull, np.column_stack([square, product]))
        left += square - square @ solved[:, :width]
        right += product - square @ solved[:, width]
        solutions.append(solved)
    common = np.linalg.solve(left, right)
    return np.stack(
        [common + solved[:, width] - solved[:, :width] @ common for solved in solutions]
    )


LEARNERS: dict[Learner, Callable[[RewardRows, RewardRows], ndarray]] = {
    "frequency": predict_frequency,
    "ridge": predict_ridge,
    "logistic": predict_logistic,
    "xgboost": predict_xgboost,
}


# A log on which any policy can be estimated: reward models fitted once, parts that can be left
# out.


@dataclass(frozen=True, eq=False)
class LogInquiry:
    """A log and the settings of its estimates.

    Attributes:
        log: The log.
        folds: The number of parts of the cross-fitting.
        context: The threads, and the seed of parts and reward models.
        least: The least propensity that the log promises; None where it promises none.
        fitted: The expectations of reward models so far, by kind and number of arms.
    """

    log: DecisionLog
    folds: int
    context: RunContext
    least: float | None = None
    fitted: dict[tuple[Learner, int], ndarray] = field(default_factory=dict)

    def predictions(self, learner: Learner, arms: int | None = None) -> ndarray:
        """Return a cross-fitted reward model's expectation of each arm, the log's first, in each
        row; shape (n, arms).
        """
        key = (learner, arms or len(self.log.arms))
        if key not in self.fitted:
            self.fitted[key] = cross_fitted(
                learner, replace(self._reward_rows, arms=key[1]), self.part
            )
        return self.fitted[key]

    def evidence(self, policy: TargetPolicy, learner: Learner | None) -> LogEvidence:
        """Return the input of an estimator.

        Args:
            policy: The policy whose value is estimated.
            learner: The reward model that the estimator wants; None for none.
        """
        log, chosen = self.log, target_choices(policy, self.log, self.predictions)
        return LogEvidence(
            log.reward,
            np.zeros(log.n, np.int64) if policy.of_prices else log.action,
            chosen.probability,
            log.propensity,
            self.predictions(learner, len(chosen.arms)) if learner else None,
            None if self.least is None else 1 / self.least,
            log.price,
            chosen.price,
            chosen.arms,
            log.table.data,
        )

    @cached_property
    def part(self) -> ndarray:
        """The part that each row is in, shape (n,)."""
        return parts_of_rows(self.log, self.folds, self.context.seed)

    @cached_property
    def without(self) -> tuple[LogInquiry, ...]:
        """The same of the log without each part, in which all that is learned is learned again."""
        return tuple(
            replace(self, log=self.log.rows(self.part != left), fitted={})
            for left in range(self.folds)
        )

    @cached_property
    def _reward_rows(self) -> RewardRows:
        log = self.log
        cell = context_cells(log.context) if log.context.width else np.zeros(log.n, np.int64)
        seed = self.context.seed_for("off_policy", "rewards")
        return RewardRows(
            log.features, cell, log.action, log.reward, len(log.arms), self.context.cpus, seed
        )


PART_BLOCKS = 20
"""Blocks of each part: a block stays together under every seed, so that the leakage check need not
know the seed.
"""


def parts_of_rows(log: DecisionLog, folds: int, seed: int) -> ndarray:
    """Return the part that each row is in, shape (n,): whole blocks, dealt out anew by every seed.

    Raises:
        DataError: There are fewer rows or groups than parts.
    """
    block = blocks_of_rows(log, folds)
    dealt = stream(seed, "off_policy", "parts").permutation(int(block.max()) + 1) % folds
    return dealt[block]


def blocks_of_rows(log: DecisionLog, folds: int) -> ndarray:
    """Return the block that each row is in, shape (n,).

    Rows of one group are in one block. Made from the number of rows alone.

    Raises:
        DataError: There are fewer rows or groups than parts.
    """
    count = log.n if log.group is None else int(log.group.max()) + 1
    if count < folds:
        what = "rows" if log.group is None else "groups"
        raise DataError(
            f"protocol.folds: {folds} parts of {count} {what}; ask for at most {count}."
        )
    block = stream(0, "off_policy", "blocks").permutation(count) % min(count, folds * PART_BLOCKS)
    return block if log.group is None else block[log.group]


# The rows that are scored, made from a log and an estimator.

TERM_COLUMNS, SHARED_FIELDS = (
    ("base", "top", "bottom"),
    ("limit", "limit_known", "biased", "learned"),
)
"""Fields of an estimate that are columns of its rows, those of a row and those of all."""

LEFT_OUT_INFIX = "_without_"
"""The separator between the name of a part and the number of the block left out."""

BY_PROPENSITY = "by_propensity"
"""The column that is true where the weights are the target's probabilities over the log's."""

UNIFORM_TOLERANCE = 1e-6
"""The tolerance within which propensities are called uniform."""


def check_estimator(
    model: Estimator, log: DecisionLog, policy: TargetPolicy, least: float | None
) -> None:
    """Refuse an estimator that this log or this policy cannot serve.

    Raises:
        ConfigError: It compares prices and the policy has none, or the other way round.
        DataError: Propensities are missing, impossible or below what is promised.
    """
    if model.asks_price and log.price is None:
        raise DataError(f"dataset.roles.price: must be given, for '{model.name}' compares prices.")
    if policy.of_prices and not model.asks_price and model.name != "truth":
        raise ConfigError(
            f"protocol.target_policy: '{model.name}' asks for arms, not prices; take "
            f"model=ope/kernel, or an arm."
        )
    if log.propensity is None:
        if model.needs_propensity:
            raise DataError(
                f"dataset.roles.propensity: must be given, for '{model.name}' weighs by it; "
                f"ope/dm and ope/replay do not."
            )
        return
    if not (model.asks_price or policy.of_prices):
        _refuse_estimator(log.propensity, log.propensity > 1, "is no probability")
    if least is not None:
        _refuse_estimator(
            log.propensity, log.propensity < least, f"is below protocol.least_propensity={least:g}"
        )
    low, high = float(log.propensity.min()), float(log.propensity.max())
    if not model.needs_propensity and model.weighs and high > low * (1 + UNIFORM_TOLERANCE):
        raise DataError(
            f"dataset.roles.propensity: '{model.name}' is right for a log that chose uniformly; "
            f"these go from {low:.3g}"
            f" to {high:.3g}: take ope/snipw."
        )


def _refuse_estimator(values: ndarray, wrong: ndarray, why: str) -> None:
    bad = np.flatnonzero(wrong)
    if len(bad):
        raise DataError(
            f"dataset.roles.propensity: row {bad[0] + 1} has {values[bad[0]]:g}, which {why}."
        )


def check_size(model: Estimator, evidence: LogEvidence, policy: TargetPolicy, least: int) -> None:
    """Refuse an estimator that compares prices where the policy has none, or that weighs by too few
    rows.

    Raises:
        ConfigError: The policy's arms have no price of their own.
        DataError: The effective sample size is too small.
    """
    if model.asks_price and evidence.target_price is None:
        raise ConfigError(
            f"protocol.target_policy: '{model.name}' compares prices, and the policy's arms have "
            f"none of their own."
        )
    weights = model.weights(evidence) if model.weighs else None
    size = np.inf if weights is None else effective_size(weights)
    if size < least:
        raise DataError(
            f"protocol.min_effective_size: {size:.1f} of {len(evidence.reward):,} rows count, "
            f"{least} must: the log hardly"
            f" shows what the policy '{policy}' does, and '{model.name}' weighs by it."
        )


def policy_rows(
    model: Estimator, inquiry: LogInquiry, policy: TargetPolicy, label: str
) -> DataFrame:
    """Return the rows of one policy, one for each row of the log.

    None where a dataset does not know what the policy is worth.

    What is learned is learned again without each part, for its error is not in the rows:
    `top_without_0` and on.

    Args:
        model: The estimator.
        inquiry: The log.
        policy: The policy whose value is estimated.
        label: The policy's name in the column `policy`, empty for the target.
    """
    log, evidence = inquiry.log, inquiry.evidence(policy, model.learner)
    parts: EstimatorTerms | None = model.estimate(evidence)
    if parts is None:
        return DataFrame()
    of_arms = not model.asks_price
    supported = supported_share(log, evidence.target) if of_arms else None
    numbers = {
        "reward": log.reward,
        "target": evidence.target_logged if of_arms else None,
        "supported": supported,
        "weight": model.weights(evidence) if model.weighs else None,
        **{name: getattr(parts, name) for name in TERM_COLUMNS},
    }
    shared = {"group": None if log.group is None else Series(log.group), "day": log.day}
    return log.table.data.select(
        ROW_ID,
        policy=pl.lit(label),
        seed=pl.lit(inquiry.context.seed, pl.Int64),
        by_propensity=pl.lit(model.weighs and model.needs_propensity),
        **{
            name: pl.lit(None if values is None else Series(values), pl.Float64)
            for name, values in numbers.items()
        },
        parameter=pl.lit(parts.parameter, pl.Float64),
        **{name: pl.lit(getattr(parts, name)) for name in SHARED_FIELDS},
        **(_left_out_columns(model, inquiry, policy) if parts.learned else {}),
        **{name: codes for name, codes in shared.items() if codes is not None},
    )


def _left_out_columns(
    model: Estimator, inquiry: LogInquiry, policy: TargetPolicy
) -> dict[str, Series]:
    """Return the parts of the estimate without each part of the rows, null in the rows that were
    left out.
    """
    columns = {}
    for part, rest in enumerate(inquiry.without):
        parts = model.estimate(rest.evidence(policy, model.learner))
        for name in TERM_COLUMNS:
            values, full = getattr(parts, name), np.full(inquiry.log.n, np.nan)
            if values is not None:
                full[inquiry.part != part] = values
            columns[f"{name}{LEFT_OUT_INFIX}{part}"] = Series(full).fill_nan(None)
    return columns
