"""Off-policy evaluation: what a policy would have earned, from the log of another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge
from pydantic import AfterValidator

from hwds.context import Context
from hwds.errors import ConfigError, nearest
from hwds.frames.table import ROW_ID, Table
from hwds.metrics.base import Measure
from hwds.metrics.ope import effective_size
from hwds.models.ope.base import Estimator
from hwds.protocols.base import Cell, Evaluation, Fold, Score
from hwds.protocols.off_policy_asking import WITHOUT, check_able, check_size, rows_of
from hwds.protocols.off_policy_inquiry import Inquiry, blocks_of_rows
from hwds.protocols.off_policy_log import Log, Range, Reward, read_log
from hwds.protocols.off_policy_scores import errors, measures, scores
from hwds.protocols.off_policy_target import Target, TargetPolicy, choices
from hwds.protocols.rewards import outcome_unit
from hwds.recipe import Level, Small, Whole

TARGET = ""
"""What the column `policy` says of the target policy's rows."""

OF_ARMS = ("policy_value", "improvement", "effective_sample_size")
"""The metrics that are told of each arm."""


def _rising(value: Range | None) -> Range | None:
    if value and value[0] >= value[1]:
        raise ValueError("must rise")
    return value


@dataclass(frozen=True, slots=True)
class Held:
    """A block of the log's rows, whose reward models are fitted on others.

    Attributes:
        part: Its number.
        of: How many parts there are, each of several blocks.
    """

    part: int
    of: int

    @property
    def label(self) -> str:
        """How it is called in a message."""
        return f"block {self.part + 1}"


class OffPolicy(Evaluation[Estimator, Table]):
    """Say what a policy would have earned from the log of another: its value, the gain over the log, and how far to trust both.

    Roles: `outcome`, `arm` or `price`, `propensity` where the estimator weighs by it, `context` for reward models, `group` for
    rows that are drawn together. A row whose outcome came later is as complete as any: `time` and `available_at` may be
    there and change nothing. Reward models, and policies made of them, are fitted without the rows they are asked about.

    Attributes:
        target_policy: The policy that is evaluated; `uniform`, or one of its fields.
        each_arm: Say of each arm, too, what it would be worth to show it always: scores with `segment_by=arm`.
        reward: `outcome`, or `revenue`, which is price times outcome.
        reward_range: The least and the largest reward there can be; null takes what was seen, which makes Bernstein's intervals
            approximate.
        least_propensity: What the log promises of every propensity: it bounds the weights.
        folds: Parts into which the rows are cut for cross-fitting and for the jackknife.
        min_effective_size: The effective sample size under which an estimator that weighs rows is refused.
        intervals: `bootstrap` (bias-corrected and accelerated), or `bernstein`, which holds for any number of independent rows
            and is wider; rows of a cross-fitted reward model are not quite independent. An estimator whose reward model or
            parameter has an error that its rows do not show takes the jackknife over the parts instead; `ci_method` says which.
        confidence: Of the intervals.
        resamples: Of the bootstrap.
        headline: The metric that orders the leaderboard.
        segments: Columns of the table; the rows of each of their values are scored apart too.

    Example:
        python -m hwds model=ope/dr dataset=price_log protocol=off_policy protocol.target_policy.arm=119
    """

    accepts: ClassVar[type] = Estimator
    cuts: ClassVar[type] = Table
    task: ClassVar[str] = "ope"
    keys: ClassVar[tuple[str, ...]] = ("policy", ROW_ID)
    unit: ClassVar[str] = ROW_ID
    outside_cells: ClassVar[tuple[str, ...]] = (*Evaluation.outside_cells, "intervals", "confidence", "resamples")

    headline: str = "policy_value"
    target_policy: Target = TargetPolicy()
    each_arm: bool = False
    reward: Reward = "outcome"
    reward_range: Annotated[Range | None, AfterValidator(_rising)] = None
    least_propensity: Level | None = None
    folds: Annotated[int, Ge(2)] = 5
    min_effective_size: Whole = 30
    intervals: Literal["bootstrap", "bernstein"] = "bootstrap"
    confidence: Level = 0.95
    resamples: Annotated[int, Ge(50), Small(200)] = 1000

    def unrehearsed(self) -> str:
        """The higher of two estimates is not the better one."""
        return "estimates a value that nobody knows, so that no setting of an estimator is better for what it says"

    def split(self, frame: Table) -> Sequence[Fold]:
        """One fold, the whole log, after all of it was checked that does not depend on the estimator."""
        log = self.log(frame)
        if self.intervals == "bernstein" and log.group is not None:
            raise ConfigError("protocol.intervals: bernstein takes rows as independent, the role group says they are not.")
        if not self.target_policy.learns:
            choices(self.target_policy, log, _no_predictions)
        blocks_of_rows(log, self.folds)
        return [Fold(0, "log", log.n, tuple(Held(part, self.folds) for part in range(self.folds)))]

    def log(self, frame: Table) -> Log:
        """The table as a log, checked."""
        return read_log(frame, self.reward, self.reward_range)

    def check_models(self, models: Mapping[str, Estimator], frame: Table) -> None:
        """Refuse an estimator that cannot be asked of this log.

        Raises:
            ConfigError: The target policy is none that it can evaluate.
            DataError: The log lacks what it needs, or too few rows count.
        """
        log = self.log(frame)
        for model in models.values():
            check_able(model, log, self.target_policy, self.least_propensity)
        if not self.target_policy.learns:
            bare = self._inquiry(log, Context(0)).evidence(self.target_policy, None)
            for model in models.values():
                check_size(model, bare, self.target_policy, self.min_effective_size)

    def ask(self, model: Estimator, frame: Table, cell: Cell, context: Context) -> pl.DataFrame:
        """One row for each row of the log: its parts of the estimate, its weight and the support of the target's choices.

        Then the same for each arm shown always, where that is asked, told apart by the column `policy`.
        """
        log = self.log(frame)
        check_able(model, log, self.target_policy, self.least_propensity)
        inquiry = self._inquiry(log, context)
        bare = inquiry.evidence(self.target_policy, None)
        check_size(model, bare, self.target_policy, self.min_effective_size)
        arms = [(TargetPolicy(arm=arm), arm) for arm in log.arms] if self.each_arm else []
        made = [rows_of(model, inquiry, policy, label) for policy, label in [(self.target_policy, TARGET), *arms]]
        found = [rows for rows in made if rows.width]
        return pl.concat(found) if found else pl.DataFrame()

    def _inquiry(self, log: Log, context: Context) -> Inquiry:
        return Inquiry(log, self.folds, context, self.least_propensity)

    def kept(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows of the target policy, without what only their standard error is made of."""
        return rows.filter(pl.col("policy") == TARGET).select(pl.exclude("policy", "seed", f"^.*{WITHOUT}.*$"))

    def score(self, rows: pl.DataFrame) -> list[Score]:
        """The value, the gain over the log with its interval, the log's own value, and how much the log tells."""
        return self._scores(rows.filter(pl.col("policy") == TARGET))

    def _scores(self, rows: pl.DataFrame) -> list[Score]:
        return scores(rows, self.intervals, self.confidence, self.resamples, self.reward_range) if len(rows) else []

    def contrasts(self, rows: Mapping[str, pl.DataFrame]) -> Iterator[tuple[str, Score]]:
        """How far each estimate is from the truth, where the dataset knows it; what each arm is worth, where that is asked."""
        yield from errors({label: own.filter(pl.col("policy") == TARGET) for label, own in rows.items()})
        for label, own in rows.items():
            for arm in own["policy"].unique(maintain_order=True):
                if arm != TARGET:
                    yield from ((label, score) for score in self._of_arm(own.filter(pl.col("policy") == arm), arm))

    def _of_arm(self, rows: pl.DataFrame, arm: str) -> Iterator[Score]:
        """The scores of an arm shown always; without a value where too few rows count."""
        weights = rows["weight"]
        few = not weights.null_count() and effective_size(weights.to_numpy()) < self.min_effective_size
        for score in self._scores(rows):
            if score.metric in OF_ARMS:
                shown = replace(score, segment_by="arm", segment=arm)
                estimated = few and score.metric != "effective_sample_size"
                yield (
                    Score(score.metric, "mean", None, n_undefined=score.n, segment_by="arm", segment=arm)
                    if estimated
                    else shown
                )

    def measures(self, frame: Table) -> tuple[Measure, ...]:
        """What each metric says of itself."""
        of_sales = self.reward == "revenue"
        subject = "revenue" if of_sales else frame.column("outcome").name
        return measures(subject, frame.unit if of_sales else outcome_unit(frame), self.confidence)

    def check_names(self) -> None:
        """Refuse a headline that is none of the task's metrics."""
        known = [measure.name for measure in measures()]
        if self.headline not in known:
            raise ConfigError(f"protocol.headline: no metric '{self.headline}'{nearest(self.headline, known)}")

    def labels(self, frame: Table, column: str) -> pl.DataFrame:
        """Any column of the table by row."""
        if column not in frame.data.columns:
            raise ConfigError(f"protocol.segments: no column '{column}'{nearest(column, frame.data.columns)}")
        return frame.data.select(ROW_ID, pl.col(column).alias("segment"))

    def poisoned(self, frame: Table, cutoff: Held, luck: np.random.Generator) -> Table:
        """The table with other outcomes, inside their range, in one block."""
        log = self.log(frame)
        name = frame.column("outcome").name
        held = blocks_of_rows(log, cutoff.of) == cutoff.part
        values = frame.column("outcome").cast(pl.Float64).to_numpy()
        rubbish = np.where(held, luck.uniform(values.min(), values.max(), log.n), values)
        return replace(frame, data=frame.data.with_columns(pl.Series(name, rubbish)))

    def answers(self, rows: pl.DataFrame, cutoff: Held, frame: Table) -> pl.DataFrame:
        """Of the rows of one block, what was said of them without their own rewards."""
        held = blocks_of_rows(self.log(frame), cutoff.of) == cutoff.part
        return rows.filter(pl.col("policy") == TARGET).filter(pl.Series(held)).select(ROW_ID, "base", "target", "supported")

    def fit_all(self, model: Estimator, frame: Table, context: Context) -> Any:
        """Nothing is fitted that could be used later.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(f"save_model: '{model.name}' says what a log tells; there is no model to keep.")


def _no_predictions(learner: str) -> np.ndarray:
    raise AssertionError(f"{learner} is asked before the first cell")
