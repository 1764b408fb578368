"""Off-policy evaluation: what a policy would have earned, from the log of another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Le
from numpy import ndarray
from polars import DataFrame, Series
from pydantic import AfterValidator

from hwds.core.errors import ConfigError, nearest
from hwds.core.recipe import Level, NonNegativeInt, Small
from hwds.core.seeds import stream
from hwds.evaluation.protocol import (
    Cell,
    Contrasting,
    Evaluation,
    Fold,
    LeakTestable,
    RunContext,
    Score,
    Segmentable,
    labels_of_rows,
)
from hwds.frames.rows import late_outcomes
from hwds.frames.table import ROW_ID, Table, outcome_unit
from hwds.ope.estimates import (
    EstimatorTerms,
    bca_interval,
    bernstein_interval,
    chance_of_low_mean,
    effective_size,
    influence,
    jackknife_stderr,
    mean_error,
    refutes_propensities,
    resample_log,
    stderr,
)
from hwds.ope.family import OFF_POLICY
from hwds.ope.inquiry import (
    BY_PROPENSITY,
    LEFT_OUT_INFIX,
    SHARED_FIELDS,
    TERM_COLUMNS,
    LogInquiry,
    blocks_of_rows,
    check_estimator,
    check_size,
    policy_rows,
)
from hwds.ope.log import (
    DecisionLog,
    Reward,
    RewardRange,
    Target,
    TargetPolicy,
    read_log,
    target_choices,
)
from hwds.ope.models.base import Estimator
from hwds.ope.support import (
    SUPPORT_COLUMN,
    SUPPORT_MEANINGS,
    refuting_tests,
    support_scores,
    with_support,
)
from hwds.pricing.arm_evidence import (
    EVIDENCE,
    Certainty,
    EvidenceTable,
    Measured,
    Offer,
    PriceEvidence,
    PriceOffers,
    is_binary,
    value_by_arm,
)
from hwds.results.tables import TRUTH, Measure, Tables
from hwds.stats.effects import Z95, Effect, ReferenceDistribution
from hwds.stats.estimates import day_blocks, day_cluster, influence_effect

# The scores of an off-policy estimate: the value, the gain over the log, and how much the log
# tells.

MOST_DRAWN = 50_000
"""Rows beyond which the bootstrap draws blocks of rows: of that many sums, the interval is the same
and sooner there.
"""

BIAS_APART = ", bias apart"
"""Ends the name of an interval that leaves out how far the estimator aims beside the truth."""

ERROR_LEVEL = 0.95
"""The level of the interval of an error, whatever the level of the estimates."""

SHARED_DAYS = ", widened for shared days"
"""Ends the name of an interval that counts what rows of one day share."""

DAYS_ALONE = "of these days alone"
"""In the name of an interval that says nothing of other days, followed by the reason."""

REFUTED_STATUS = "refuted: the mean weight says that the log's propensities are wrong"
"""The status of an estimate that the log itself speaks against."""

Intervals = Literal["bootstrap", "bernstein"]
Interval = tuple[float, float]
Uncertainty = tuple[float | None, float, float, str]
"""Standard error, the ends of the interval, and how it was made."""


def off_policy_measures(
    subject: str = "", unit: str = "", confidence: float = 0.95, policy: str = ""
) -> tuple[Measure, ...]:
    """Return the measures of off-policy evaluation.

    Args:
        subject: What the reward is called.
        unit: What it is counted in.
        confidence: The level of the intervals.
        policy: The target policy, as a config writes it.
    """
    of_rows: dict[str, Any] = {"better": "none", "units": "rows"}
    earned = of_rows | {"subject": subject, "measured_in": unit, "confidence": confidence}
    value = "mean reward that the target policy would have had, as the estimator says"
    gain = "policy_value minus logged_value, its interval paired row by row"
    size = "rows of a mean without weights that is as precise: (sum w)^2 / sum w^2"
    on_page = {
        "overlap": "share of the target policy's choices that the log shows in their context",
        "mean_weight": "1 in expectation where the log shows all that the target policy does",
        "parameter": "the clip, limit, shrinkage, strength or bandwidth that was used",
    }
    return (
        Measure("policy_value", meaning=value, beside="always", called=policy, **earned),
        Measure("improvement", meaning=gain, beside="always", **earned),
        Measure(
            "error",
            meaning="policy_value minus that of the truth",
            beside="page",
            **earned | {"confidence": ERROR_LEVEL},
        ),
        Measure("logged_value", meaning="mean reward of the log itself", beside="page", **earned),
        Measure("effective_sample_size", meaning=size, beside="always", **of_rows),
        *(Measure(name, meaning=what, beside="page", **of_rows) for name, what in on_page.items()),
        *(Measure(name, meaning=what, **of_rows) for name, what in SUPPORT_MEANINGS.items()),
    )


def off_policy_scores(
    rows: DataFrame,
    intervals: Intervals,
    confidence: float,
    resamples: int,
    within: RewardRange | None,
) -> list[Score]:
    """Return all scores of the rows of one estimator.

    Args:
        rows: As `policy_rows` makes them.
        intervals: `bootstrap` or `bernstein`.
        confidence: The level of the intervals.
        resamples: The number of resamples of the bootstrap, whose stream is that of the rows' seed:
            rivals share the draws.
        within: The declared range of rewards, None for what was seen.
    """
    parts, reward, groups = _row_terms(rows), rows["reward"].to_numpy(), _row_groups(rows)
    logged = EstimatorTerms(None, reward, np.ones(len(reward)), 1.0)
    estimates = {
        "policy_value": (parts, parts.value),
        "improvement": (parts.less(reward), parts.value - logged.value),
        "logged_value": (logged, logged.value),
    }
    if intervals == "bootstrap":
        ends, method = (
            _bootstrap_intervals(estimates, rows, groups, resamples, confidence),
            "BCa bootstrap",
        )
    else:
        bounds = within or (float(reward.min()), float(reward.max()))
        ends, method = (
            _bernstein_intervals(parts, logged, bounds, confidence),
            "empirical Bernstein",
        )
        if not (within and parts.limit_known):
            method += ", bounds as seen"
    errors = {name: stderr(of, groups) for name, (of, _) in estimates.items()}
    uncertainty: dict[str, Uncertainty] = {
        name: (error, *ends[name], method) for name, error in errors.items()
    }
    if parts.learned:
        uncertainty |= _jackknife_uncertainties(rows, estimates, confidence)
    if "day" in rows.columns:
        for name, (of, value) in estimates.items():
            shared = shared_days(influence(of), value, rows, groups)
            uncertainty[name] = _widen_for_days(shared, uncertainty[name], errors[name], confidence)
    diagnostics = _diagnostic_scores(rows, groups)
    refuted = _refuted_by_weights({score.metric: score for score in diagnostics})
    scores = []
    for name, (of, value) in estimates.items():
        error, low, high, method = uncertainty[name]
        status = REFUTED_STATUS if refuted and name != "logged_value" else "ok"
        if of.biased:
            method += BIAS_APART
        scores.append(Score(name, "mean", value, error, low, high, method, n=of.n, status=status))
    return [*scores, *diagnostics]


def _refuted_by_weights(diagnostics: Mapping[str, Score]) -> bool:
    """Return whether the mean weight says that the propensities are wrong."""
    weight, overlap = diagnostics.get("mean_weight"), diagnostics.get("overlap")
    if weight is None or weight.value is None:
        return False
    shown = None if overlap is None else overlap.value
    return refutes_propensities(weight.value, weight.stderr, shown, weight.p_value)


def shared_days(errors: ndarray, value: float, rows: DataFrame, groups: ndarray | None) -> Effect:
    """Return an estimate with its variance over the draws of the log and over the days that they
    share.

    Args:
        errors: The part of each row in n times the error of the value, shape (n,).
        value: The estimate.
        rows: The rows, with the column `day`.
        groups: The number of the draw that each row belongs to; None where each row is one.
    """
    draws = np.arange(len(rows)) if groups is None else groups
    days = rows["day"].to_numpy()
    by_day = day_cluster(len(np.unique(days))), day_blocks(days)
    return influence_effect(value, errors / len(rows), ("draw", draws), by_day, "two-way")


def _widen_for_days(
    shared: Effect, own: Uncertainty, alone: float | None, confidence: float
) -> Uncertainty:
    """Return an uncertainty as much wider as the days that rows share make it, or what it says of
    their days alone.
    """
    error, low, high, method = own
    if shared.stderr is None:
        return error, low, high, f"{method}, {DAYS_ALONE}: {shared.method}"
    if not alone or error is None:
        return own
    size, normal = shared.stderr / alone, ReferenceDistribution()
    critical = shared.distribution.critical(confidence)
    wide = max(size * critical / normal.critical(confidence), 1.0)
    return (
        max(size, 1.0) * error,
        shared.value - wide * (shared.value - low),
        shared.value + wide * (high - shared.value),
        f"{method}{SHARED_DAYS}",
    )


JACKKNIFE = "delete-a-part jackknife"


def _jackknife_uncertainties(
    rows: DataFrame, estimates: Mapping[str, tuple[EstimatorTerms, float]], confidence: float
) -> dict[str, Uncertainty]:
    """Return the standard errors and intervals of what is learned, from the estimates without each
    part that has rows here.
    """
    values, gains = [], []
    for stays, parts in _estimates_without_parts(rows):
        values.append(parts.value)
        gains.append(parts.less(rows["reward"].filter(stays).to_numpy()).value)
    return {
        name: (*jackknife_stderr(estimates[name][1], np.array(without), confidence), JACKKNIFE)
        for name, without in (("policy_value", values), ("improvement", gains))
        if len(without) > 1
    }


def _estimates_without_parts(rows: DataFrame) -> Iterator[tuple[Series, EstimatorTerms]]:
    """Yield, for each block that has rows here, the rows that stay without it and the parts of the
    estimate made without it.
    """
    part = 0
    while (name := f"top{LEFT_OUT_INFIX}{part}") in rows.columns:
        stays = rows[name].is_not_null()
        if 0 < stays.sum() < len(rows):
            yield stays, _row_terms(rows.filter(stays), f"{LEFT_OUT_INFIX}{part}")
        part += 1


def true_errors(rows: Mapping[str, DataFrame]) -> Iterator[tuple[str, Score]]:
    """Yield the difference of each estimate from the truth, paired row by row.

    Nothing where there is no truth.

    Args:
        rows: The rows of each model, by its label.
    """
    if TRUTH not in rows:
        return
    for label, model_rows in rows.items():
        if label != TRUTH:
            yield label, _error_score(model_rows, rows[TRUTH])


def _error_score(rows: DataFrame, true_rows: DataFrame) -> Score:
    """Return the error of one estimate, by the jackknife where something was learned whose error
    the rows do not show.
    """
    parts, truth = _row_terms(rows), _row_terms(true_rows)
    value = parts.value - truth.value
    uncertainty = _jackknife_of_error(rows, true_rows, value) if parts.learned else None
    groups = _row_groups(rows)
    if uncertainty is None and "day" in rows.columns:
        effect = shared_days(influence(parts) - influence(truth), value, rows, groups)
        if ends := effect.interval(ERROR_LEVEL):
            uncertainty = effect.stderr, *ends, f"t, paired by row{SHARED_DAYS}"
    if uncertainty is None:
        error = mean_error(influence(parts, groups) - influence(truth, groups), parts.n) or 0.0
        half_width = Z95 * error
        uncertainty = error, value - half_width, value + half_width, "normal, paired by row"
    return Score("error", "mean", value, *uncertainty, n=parts.n)


def _jackknife_of_error(rows: DataFrame, true_rows: DataFrame, value: float) -> Uncertainty | None:
    without = [
        rest.value - _row_terms(true_rows.filter(stays)).value
        for stays, rest in _estimates_without_parts(rows)
    ]
    if len(without) < 2:
        return None
    return *jackknife_stderr(value, np.array(without), ERROR_LEVEL), JACKKNIFE


def _row_terms(rows: DataFrame, suffix: str = "") -> EstimatorTerms:
    columns = [rows[f"{name}{suffix}"] for name in TERM_COLUMNS]
    base, top, bottom = (None if column.null_count() else column.to_numpy() for column in columns)
    assert top is not None
    assert bottom is not None
    shared = {name: rows[name][0] for name in (*SHARED_FIELDS, "parameter")}
    return EstimatorTerms(base, top, bottom, **shared)


def _row_groups(rows: DataFrame) -> ndarray | None:
    """Return the groups that are there numbered from 0, for a segment has not all of them.

    None where each row is one draw.
    """
    if "group" not in rows.columns:
        return None
    return np.unique(rows["group"].to_numpy(), return_inverse=True)[1]


def _bootstrap_intervals(
    estimates: Mapping[str, tuple[EstimatorTerms, float]],
    rows: DataFrame,
    groups: ndarray | None,
    resamples: int,
    confidence: float,
) -> dict[str, Interval]:
    seed, reward = rows["seed"][0], rows["reward"].to_numpy()
    rng = stream(seed, "off_policy", "bootstrap")
    if groups is None and len(reward) > MOST_DRAWN:
        groups = stream(seed, "off_policy", "blocks").permutation(len(reward)) % MOST_DRAWN
    samples = resample_log(estimates["policy_value"][0], reward, groups, resamples, rng)
    draws = {
        "policy_value": samples.value,
        "improvement": samples.value - samples.logged,
        "logged_value": samples.logged,
    }
    return {
        name: bca_interval(draws[name], value, influence(parts, groups), confidence)
        for name, (parts, value) in estimates.items()
    }


def _bernstein_intervals(
    parts: EstimatorTerms, own: EstimatorTerms, bounds: RewardRange, confidence: float
) -> dict[str, Interval]:
    """Return the intervals: that of the gain is made of its two terms', each with half of the
    risk.
    """
    half = (1 + confidence) / 2
    ours, theirs = (bernstein_interval(each, bounds, half) for each in (parts, own))
    return {
        "policy_value": bernstein_interval(parts, bounds, confidence),
        "improvement": (ours[0] - theirs[1], ours[1] - theirs[0]),
        "logged_value": bernstein_interval(own, bounds, confidence),
    }


def _diagnostic_scores(rows: DataFrame, groups: ndarray | None) -> list[Score]:
    weights = None if rows["weight"].null_count() else rows["weight"].to_numpy()
    shown = rows["supported"].mean()
    found = {
        "effective_sample_size": None if weights is None else effective_size(weights),
        "overlap": shown,
        "mean_weight": None if weights is None else float(np.mean(weights)),
        "parameter": rows["parameter"][0],
    }
    scores = {
        name: Score(name, "mean", value, n=len(rows))
        for name, value in found.items()
        if isinstance(value, float)
    }
    if weights is not None and rows[BY_PROPENSITY].all():
        errors, draws = weights - weights.mean(), weights
        if groups is not None:
            errors, draws = np.bincount(groups, errors), np.bincount(groups, weights)
            draws = draws / len(weights) * len(draws)
        scores["mean_weight"] = replace(
            scores["mean_weight"],
            stderr=mean_error(errors, len(weights)),
            p_value=chance_of_low_mean(draws, shown) if isinstance(shown, float) else None,
        )
    return list(scores.values())


# The evidence of an off-policy estimate for a choice of price: the value of showing each arm
# always.


def log_offers(table: Table, log: DecisionLog, *, outcome: bool) -> PriceOffers:
    """Return the arms of a log.

    Args:
        table: A table with a row for each choice.
        log: The table as the protocol reads it.
        outcome: Whether the reward is the outcome itself, which may be a conversion, and not its
            money.
    """
    row = np.array(log.arms)[log.action]
    price, cost = (value_by_arm(table, role, row) for role in ("price", "cost"))
    measured: Measured = "conversions" if outcome and is_binary(table) else "money"
    return PriceOffers(
        tuple(Offer(name, price.get(name), cost.get(name)) for name in log.arms),
        measured,
        table.unit,
    )


def value_evidence(
    tables: Tables, log: DecisionLog, model: str, offers: PriceOffers
) -> EvidenceTable:
    """Return the estimate of each arm's value; see `PriceEvidence`.

    Args:
        tables: The tables of the run.
        log: The table as the protocol reads it.
        model: The estimator.
        offers: The arms.
    """
    of_arms = tables.scores.filter(
        pl.col("fold").is_null(), metric="policy_value", segment_by="arm", model=model
    )
    values = {row["segment"]: row for row in of_arms.to_dicts()}
    shown = np.bincount(log.action, minlength=len(log.arms)).tolist()
    rows_of_arm = dict(zip(log.arms, shown, strict=True))
    weight = tables.headline("mean_weight", model)
    note = ""
    if tables.headline("policy_value", model).get("status") == REFUTED_STATUS:
        note = (
            f"No estimate counts: the weights average {weight['value']:.3g} where right "
            f"propensities give 1."
        )
    elif weight.get("stderr") and len(refuting_tests(tables)):
        note = "No estimate counts: a model of the log refutes its propensities."
    blank = {"value": None, "stderr": None}
    known = {} if note else values
    rows = [
        (
            0,
            arm,
            rows_of_arm.get(arm, 0),
            None,
            None,
            value["value"],
            value["stderr"],
            offers.measured,
        )
        for arm in (offer.arm for offer in offers.all)
        for value in (known.get(arm, blank),)
    ]
    if not note and any(DAYS_ALONE in (value["ci_method"] or "") for value in values.values()):
        note = "The log is of few days: what is said of its arms is of these days alone."
    return EvidenceTable(DataFrame(rows, schema=EVIDENCE, orient="row"), note=note)


# Off-policy evaluation: what a policy would have earned, from the log of another.

TARGET_ROWS = ""
"""The value of the column `policy` in rows of the target policy."""

ARM_METRICS = ("policy_value", "improvement", "effective_sample_size")
"""The metrics that are reported for each arm."""


def _rising_range(value: RewardRange | None) -> RewardRange | None:
    if value and value[0] >= value[1]:
        raise ValueError("must rise")
    return value


@dataclass(frozen=True, slots=True)
class LogBlock:
    """A block of the log's rows, whose reward models are fitted on others.

    Attributes:
        part: Its number.
        of: How many parts there are, each of several blocks.
    """

    part: int
    of: int

    @property
    def label(self) -> str:
        """The name of the block in messages."""
        return f"block {self.part + 1}"


class OffPolicy(
    Evaluation[Estimator, Table], Segmentable, LeakTestable, Contrasting, PriceEvidence
):
    """Estimate the value of a policy from the log of another, its gain over the log, and how
    reliable both are.

    Roles: `outcome`, `arm` or `price`, `propensity` where the estimator weighs by it, `context` for
    reward models, `group` for rows that are drawn together, `time`: rows of one day share that
    day's events, and intervals allow for it. With `available_at`, rewards that the end of the log
    cut off are weighed for; if none was cut off, it changes nothing. Reward models, and policies
    made of them, are fitted without the rows that they predict.

    Attributes:
        target_policy: The policy that is evaluated; `uniform`, or one of its fields.
        each_arm: Say of each arm, too, what it would be worth to show it always: scores with
            `segment_by=arm`.
        reward: `outcome`, or `revenue`, which is price times outcome.
        reward_range: The least and the largest reward there can be; null takes what was seen, which
            makes Bernstein's intervals approximate.
        least_propensity: The least propensity that the log guarantees: it bounds the weights.
        folds: Parts into which the rows are cut for cross-fitting and for the jackknife.
        min_effective_size: The effective sample size under which an estimator that weighs rows is
            refused.
        intervals: `bootstrap` (bias-corrected and accelerated), or `bernstein`, which holds for any
            number of independent rows and is wider; rows of a cross-fitted reward model are not
            quite independent. An estimator whose reward model or parameter has an error that its
            rows do not show takes the jackknife over the parts instead; `ci_method` says which.
        confidence: The confidence of the intervals, as a share.
        resamples: The resamples of the bootstrap.
        headline: The metric that orders the leaderboard.
        segments: Columns of the table; the rows of each of their values are scored apart too.
    """

    imports = ("sklearn",)
    accepts: ClassVar[type] = Estimator
    frame_type: ClassVar[type] = OFF_POLICY.frame
    task: ClassVar[str] = OFF_POLICY.name
    keys: ClassVar[tuple[str, ...]] = ("policy", ROW_ID)
    untunable: ClassVar[str] = (
        "estimates a value that nobody knows, so that no setting of an estimator is better for "
        "what it says"
    )
    unit: ClassVar[str] = ROW_ID
    fields_not_in_key: ClassVar[tuple[str, ...]] = (
        *Evaluation.fields_not_in_key,
        *("intervals", "confidence", "resamples"),
    )

    headline: str = OFF_POLICY.headline
    target_policy: Target = TargetPolicy()
    each_arm: bool = False
    reward: Reward = "outcome"
    reward_range: Annotated[RewardRange | None, AfterValidator(_rising_range)] = None
    least_propensity: Level | None = None
    folds: Annotated[int, Ge(2), Le(10_000)] = 5
    min_effective_size: NonNegativeInt = 30
    intervals: Literal["bootstrap", "bernstein"] = "bootstrap"
    confidence: Level = 0.95
    resamples: Annotated[int, Ge(50), Le(1_000_000), Small(200)] = 1000

    def check_pricing(self, decision: str, certainty: Certainty | None, confidence: float) -> None:
        """Refuse a decision without estimates of each arm, and a risk that needs counts.

        Raises:
            ConfigError: With the field.
        """
        if not self.each_arm:
            raise ConfigError(
                f"protocol.each_arm: must be true for decision '{decision}', got false."
            )
        if certainty in ("always_valid", "test"):
            raise ConfigError(
                f"decision.certainty: must be 'posterior' for an off-policy estimate, got "
                f"'{certainty}'."
            )

    def offers(self, frame: Table) -> PriceOffers:
        """Return the arms of the log."""
        return log_offers(frame, self.log(frame), outcome=self.reward == "outcome")

    def price_evidence(
        self, tables: Tables, frame: Table, model: str, offers: PriceOffers, most: int
    ) -> EvidenceTable:
        """Return the estimate of each arm's value."""
        return value_evidence(tables, self.log(frame), model, offers)

    def split(self, frame: Table) -> Sequence[Fold]:
        """Return one fold, the whole log, after all of it was checked that does not depend on the
        estimator.
        """
        log = self.log(frame)
        if self.intervals == "bernstein" and log.group is not None:
            raise ConfigError(
                "protocol.intervals: bernstein takes rows as independent, the role group says "
                "they are not."
            )
        if not self.target_policy.learns:
            target_choices(self.target_policy, log, _no_predictions)
        blocks_of_rows(log, self.folds)
        return [
            Fold(0, "log", log.n, tuple(LogBlock(part, self.folds) for part in range(self.folds)))
        ]

    def log(self, frame: Table) -> DecisionLog:
        """Return the table as a log, checked; rewards that came are weighed for those that the end
        of the log cut off.
        """
        late = late_outcomes(frame)
        if late is None:
            return read_log(frame, self.reward, self.reward_range)
        if self.intervals == "bernstein":
            raise ConfigError(
                "protocol.intervals: bernstein needs bounded rewards, and late rewards are "
                "weighted; take bootstrap."
            )
        log = read_log(late.filled(frame), self.reward, self.reward_range)
        return replace(log, reward=log.reward * late.weight)

    def warnings_before(self, frame: Table, models: Mapping[str, Estimator]) -> list[str]:
        """Return how many rewards the end of the log cut off."""
        late = late_outcomes(frame)
        return [late.remark] if late else []

    def check_models(self, models: Mapping[str, Estimator], frame: Table) -> None:
        """Refuse an estimator that cannot work on this log.

        Raises:
            ConfigError: The target policy is none that it can evaluate.
            DataError: The log lacks what it needs, or too few rows count.
        """
        log = self.log(frame)
        for model in models.values():
            check_estimator(model, log, self.target_policy, self.least_propensity)
        if not self.target_policy.learns:
            bare = self._inquiry(log, RunContext(0)).evidence(self.target_policy, None)
            for model in models.values():
                check_size(model, bare, self.target_policy, self.min_effective_size)

    def evaluate_cell(
        self, model: Estimator, frame: Table, cell: Cell, context: RunContext
    ) -> DataFrame:
        """Return a row for each row of the log: its parts of the estimate, its weight, and the
        support of the target's choices.

        Then the same for each arm shown always, where that is asked, told apart by the column
        `policy`. The first row has what the log tells of itself.
        """
        log = self.log(frame)
        check_estimator(model, log, self.target_policy, self.least_propensity)
        inquiry = self._inquiry(log, context)
        bare = inquiry.evidence(self.target_policy, None)
        check_size(model, bare, self.target_policy, self.min_effective_size)
        arms = [(TargetPolicy(arm=arm), arm) for arm in log.arms] if self.each_arm else []
        made = [
            policy_rows(model, inquiry, policy, label)
            for policy, label in [(self.target_policy, TARGET_ROWS), *arms]
        ]
        if made[0].width and not (model.asks_price or self.target_policy.of_prices):
            weights = bare.weights if model.weighs and model.needs_propensity else None
            made[0] = with_support(made[0], log, bare, weights)
        return pl.concat(made, how="diagonal")

    def _inquiry(self, log: DecisionLog, context: RunContext) -> LogInquiry:
        return LogInquiry(log, self.folds, context, self.least_propensity)

    def rows_to_keep(self, rows: DataFrame) -> DataFrame:
        """Return the rows of the target policy, without what only their standard error is made
        of.
        """
        return _of_target(rows).select(
            pl.exclude(
                "policy", "seed", "day", BY_PROPENSITY, SUPPORT_COLUMN, f"^.*{LEFT_OUT_INFIX}.*$"
            )
        )

    def score(self, rows: DataFrame) -> list[Score]:
        """Return the value, the gain over the log with its interval, the log's own value, and how
        much the log tells.
        """
        return self._scores(_of_target(rows))

    def _scores(self, rows: DataFrame) -> list[Score]:
        if rows.is_empty():
            return []
        return off_policy_scores(
            rows, self.intervals, self.confidence, self.resamples, self.reward_range
        )

    def contrasts(self, rows: Mapping[str, DataFrame]) -> Iterator[tuple[str, Score]]:
        """Yield the error of each estimate where the truth is known, the value of each arm if
        wanted, and what a log shows.
        """
        yield from true_errors({label: _of_target(own) for label, own in rows.items()})
        for label, own in rows.items():
            for arm in own["policy"].unique(maintain_order=True):
                if arm != TARGET_ROWS:
                    scores = self._scores_of_arm(own.filter(policy=arm), arm)
                    yield from ((label, score) for score in scores)
        for label, own in list(rows.items())[:1]:
            yield from ((label, score) for score in support_scores(own))

    def _scores_of_arm(self, rows: DataFrame, arm: str) -> Iterator[Score]:
        """Yield the scores of an arm shown always; without a value where too few rows count."""
        weights = rows["weight"]
        few = (
            not weights.null_count()
            and effective_size(weights.to_numpy()) < self.min_effective_size
        )
        for score in self._scores(rows):
            if score.metric in ARM_METRICS:
                unknown = few and score.metric != "effective_sample_size"
                blank = Score(score.metric, "mean", None, n_undefined=score.n)
                yield replace(blank if unknown else score, segment_by="arm", segment=arm)

    def measures(self, frame: Table) -> tuple[Measure, ...]:
        """Return the measures of off-policy evaluation."""
        of_sales = self.reward == "revenue"
        subject = "revenue" if of_sales else frame.column("outcome").name
        unit = frame.unit if of_sales else outcome_unit(frame)
        return off_policy_measures(subject, unit, self.confidence, str(self.target_policy))

    def check_names(self) -> None:
        """Refuse a headline that is none of the task's metrics."""
        known = [measure.name for measure in off_policy_measures()]
        if self.headline not in known:
            raise ConfigError(
                f"protocol.headline: no metric '{self.headline}'{nearest(self.headline, known)}"
            )

    def labels(self, frame: Table, column: str) -> DataFrame:
        """Return any column of the table by row."""
        return labels_of_rows(frame, column)

    def corrupt_after(self, frame: Table, cutoff: LogBlock, rng: np.random.Generator) -> Table:
        """Return the table with other outcomes, inside their range, in one block."""
        log = self.log(frame)
        name = frame.column("outcome").name
        inside = blocks_of_rows(log, cutoff.of) == cutoff.part
        values = frame.column("outcome").cast(pl.Float64).to_numpy()
        changed = np.where(inside, rng.uniform(values.min(), values.max(), log.n), values)
        return replace(frame, data=frame.data.with_columns(Series(name, changed)))

    def predictions_at(self, rows: DataFrame, cutoff: LogBlock, frame: Table) -> DataFrame:
        """Return the rows of one block as estimated without their own rewards."""
        held = blocks_of_rows(self.log(frame), cutoff.of) == cutoff.part
        columns = _of_target(rows).select(ROW_ID, "base", "target", "supported")
        return columns.filter(Series(held))


def _of_target(rows: DataFrame) -> DataFrame:
    """Return the rows of the target policy."""
    return rows.filter(policy=TARGET_ROWS)


def _no_predictions(learner: str) -> ndarray:
    raise AssertionError(f"{learner} is asked before the first cell")
