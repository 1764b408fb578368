"""Detection: metrics, segments, checks and parts that all protocols of a classifier share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series, col

from hwds.core.errors import ConfigError, DataError, with_article
from hwds.core.recipe import Draws, Folds, NonNegative, PositiveInt, Small, UnitInterval, ZeroDraws
from hwds.detection.family import DETECTION
from hwds.detection.inputs import ModelInputs
from hwds.detection.models.base import Classifier, Contributions, FittedClassifier
from hwds.detection.predictions import (
    IMPORTANCE_COLUMN,
    importance_scores,
    mean_contributions,
    row_predictions,
    rule_measures,
    rule_scores,
    truth_column,
    with_flags,
    with_importances,
)
from hwds.detection.rows import RowContext, labels_of, with_labels
from hwds.detection.rules import check_rules
from hwds.detection.scores import behind_scores, detection_measures, detection_scores
from hwds.evaluation.protocol import (
    OWN_LABEL_LEAK,
    Contrasting,
    Deployable,
    Evaluation,
    Fold,
    LeakTestable,
    RunContext,
    Score,
    Segmentable,
    Trying,
    Twin,
    WrongAnswerError,
    check_headline,
    labels_of_rows,
)
from hwds.evaluation.row_folds import PARTS, RowSplitting, as_known, row_arrivals, rows_between
from hwds.frames.table import ROW_ID, Table
from hwds.results.formatting import brief, counted, percent
from hwds.results.tables import Measure

# The rows of each part with their inputs, and labels as far as a part may know them.

END_OF_TIME = datetime(9999, 12, 31)


def parts_in_time(
    seen: Table,
    edges: Mapping[str, tuple[datetime, datetime]],
    cutoff: datetime,
    context: RowContext,
) -> dict[str, Table]:
    """Return the rows that arrived between the edges of each part.

    Labels as far as they had arrived by the cutoff.

    Args:
        seen: The rows and the labels that had arrived by the last edge.
        edges: The beginning of each part, and its end (excluded).
        cutoff: The last instant that a learner may know.
        context: The context, which computes the inputs.
    """
    wide = seen.with_inputs(context.columns_of(seen))
    label, when = col(wide.name("label")), col(wide.name("label_time"))
    return rows_between(with_labels(wide, pl.when(when <= cutoff).then(label)), edges)


def parts_of_groups(known: Table, part: ndarray, context: RowContext) -> dict[str, Table]:
    """Return the rows of each part.

    Inputs are made of labels of training rows alone, and scored rows have no label.

    Args:
        known: All rows, without the truth.
        part: The part of each row.
        context: The context, which computes the inputs.
    """
    label = known.column("label")
    hidden = with_labels(known, pl.when(Series(part == "train")).then(label))
    wide = hidden.with_inputs(context.columns_of(hidden))
    learned = Series(np.isin(part, ("train", "stop", "calibrate")))
    given = with_labels(wide, pl.when(learned).then(label))
    return {name: given.filter(part == name) for name in PARTS}


def without_truth(frame: Table, delay: int) -> Table:
    """Return all rows and labels, without columns that only a simulator knows."""
    if frame.roles.get("time"):
        return as_known(frame, END_OF_TIME, delay)
    numbers = with_labels(frame, frame.column("label").cast(pl.Float64))
    truth, roles = frame.roles.get("truth", ()), frame.roles.without("truth")
    return replace(numbers, data=numbers.data.drop(truth), roles=roles)


def with_labels_turned(frame: Table, groups: Series, tested: ndarray) -> Table:
    """Return the table with flipped labels in all rows of the groups that have a tested row."""
    label = frame.column("label")
    flipped = groups.is_in(groups.filter(Series(tested)).implode())
    return with_labels(frame, pl.when(flipped).then(1 - label.cast(pl.Float64)).otherwise(label))


def rows_arrived_by(rows: DataFrame, frame: Table, instant: datetime) -> DataFrame:
    """Return the rows that had arrived by an instant."""
    arrived = frame.data.select("row_id", __arrived=row_arrivals(frame))
    return rows.join(arrived, on="row_id", how="left", maintain_order="left").filter(
        col("__arrived") <= instant
    )


def days_since(rows: Table, cutoff: datetime) -> Series:
    """Return days from a cutoff's midnight to the arrival of each row: a late one is scored on the
    day that it arrives.
    """
    midnight = cutoff.replace(hour=0, minute=0, second=0, microsecond=0)
    return (
        (row_arrivals(rows).dt.truncate("1d") - midnight)
        .dt.total_days()
        .cast(pl.Int32)
        .alias("day")
    )


# Twins of a table that differ in the label of one scored row: no prediction of that row may
# change.


def last_tested_row(frame: Table, rows: DataFrame) -> int | None:
    """Return the id of the labelled test row that arrived last, of which no other row may depend.

    None where there is none.
    """
    tested = rows.filter(col("label").is_not_null(), part="test") if rows.width else rows
    if tested.is_empty():
        return None
    arrived = frame.data.select(ROW_ID, arrived=row_arrivals(frame))
    both = tested.select(ROW_ID).join(arrived, on=ROW_ID, how="left").sort("arrived", ROW_ID)
    return int(both[ROW_ID][-1])


def with_label_turned(frame: Table, row: int) -> Table:
    """Return the table with another label in one row."""
    label = frame.column("label").cast(pl.Float64)
    return with_labels(frame, label.zip_with(frame.data[ROW_ID] != row, 1 - label))


# Refusals of a table that no classifier can score: labels, times and amounts that cannot be.

TIMES = ("time", "available_at", "label_time")


def check_rows(table: Table) -> None:
    """Refuse labels that are no 0 and 1 or of one kind, times that are missing, mixed or out of
    order, amounts below 0.

    Raises:
        DataError: With the role, the column and the first row.
    """
    check_labels(table)
    check_facts(table)


def check_facts(table: Table) -> None:
    """Refuse all of that but labels: ids that two rows have, times, amounts and chances that cannot
    be.

    Raises:
        DataError: With the role, the column and the first row.
    """
    if table.roles.get("id"):
        _check_ids(table)
    if table.roles.get("time"):
        _check_times(table)
    _check_finite(table)
    _check_range(table, "amount", 0.0, np.inf, ">= 0")
    _check_range(table, "label_propensity", np.nextafter(0.0, 1.0), 1.0, "> 0 and <= 1")


def _refuse_rows(bad: Series, problem: Callable[[int], str]) -> None:
    """Refuse the first row of a mask; `problem` says in words what is wrong with it."""
    rows = bad.fill_null(False).arg_true()
    if len(rows):
        raise DataError(problem(rows[0]))


def _check_finite(table: Table) -> None:
    """Refuse infinite numbers: no model learns from them, and a mean of them is none."""
    for column in table.data.select(pl.selectors.float()):
        bad = column.is_infinite().fill_null(False).arg_true()
        if len(bad):
            shown = f"row {bad[0] + 1} has {column[bad[0]]}"
            raise DataError(f"dataset: column '{column.name}' must be finite or missing, {shown}.")


def _check_ids(table: Table) -> None:
    """Refuse a row without an id, and two rows of one."""
    ids = table.column("id")
    _refuse_missing(table, "id")
    _refuse_rows(
        ~ids.is_first_distinct(),
        lambda row: (
            f"dataset.roles.id: rows {(ids == ids[row]).arg_true()[0] + 1} and {row + 1} both have "
            f"{ids[row]!r} in column '{ids.name}'; each row needs an id of its own."
        ),
    )


def _refuse_missing(table: Table, role: str) -> None:
    column = table.column(role)
    _refuse_rows(
        column.is_null(),
        lambda row: f"dataset.roles.{role}: row {row + 1} has no value in column '{column.name}'.",
    )


def check_labels(table: Table) -> None:
    """Refuse labels that are no 0 and 1, or of one kind.

    Raises:
        DataError: With the value and its row, or the one class that is there.
    """
    check_values(table)
    kinds = np.unique(table.column("label").cast(pl.Float64).drop_nulls().to_numpy())
    if len(kinds) < 2:
        seen = f"only {kinds[0]:g}" if len(kinds) else "no label"
        raise DataError(
            f"dataset.roles.label: column '{table.name('label')}' needs rows of 0 and of 1, it "
            f"has {seen}."
        )


def check_values(table: Table) -> None:
    """Refuse labels that are neither 0 nor 1 nor missing.

    Raises:
        DataError: With the value and its row.
    """
    label = table.column("label")
    if not (label.dtype.is_numeric() or label.dtype == pl.Boolean):
        must = f"dataset.roles.label: column '{label.name}' must hold 0 and 1"
        _refuse_rows(label.is_not_null(), lambda row: f"{must}, row {row + 1} has {label[row]!r}.")
        raise DataError(f"{must}, no row has a value.")
    _refuse_rows(
        ~label.cast(pl.Float64).is_in([0.0, 1.0]),
        lambda row: f"dataset.roles.label: must be 0 or 1, row {row + 1} has {label[row]}.",
    )


def _check_times(table: Table) -> None:
    """Refuse missing times, mixed kinds of time zones, and labels before their rows or after the
    data ended.
    """
    columns = {role: table.column(role) for role in TIMES if table.roles.get(role)}
    for role in ("time", "available_at"):
        if role in columns:
            _refuse_missing(table, role)
    zones = {role: _zone(column) for role, column in columns.items() if column.dtype.is_temporal()}
    for role, zone in zones.items():
        if (zone is None) != (zones["time"] is None):
            here, there = (
                "has no time zone" if each is None else f"is in {each}"
                for each in (zone, zones["time"])
            )
            raise DataError(
                f"dataset.roles.{role}: column '{columns[role].name}' {here}, but column "
                f"'{columns['time'].name}' {there}; row 1 has {columns[role][0]} and "
                f"{columns['time'][0]}."
            )
    if "label_time" in zones:
        _check_label_times(table, columns)


def _check_label_times(table: Table, columns: Mapping[str, Series]) -> None:
    instants = {
        role: column.cast(pl.Datetime("us", _zone(column))) for role, column in columns.items()
    }
    known, when = table.column("label").is_not_null(), instants["label_time"]
    _refuse_rows(
        known & when.is_null(),
        lambda row: (
            f"dataset.roles.label_time: row {row + 1} has a label and no value in column "
            f"'{when.name}'."
        ),
    )
    _refuse_rows(
        known & (when < instants["time"]),
        lambda row: (
            f"dataset.roles.label_time: row {row + 1} was labelled at "
            f"{columns['label_time'][row]}, before it happened ({columns['time'][row]})."
        ),
    )
    last = instants.get("available_at", instants["time"]).max()
    late = known & (when > last)
    if late.sum() == known.sum():
        _refuse_rows(
            known,
            lambda row: (
                f"dataset.roles.label_time: all labels are later than the data, which ends at "
                f"{last!s}; row {row + 1} has {when[row]}."
            ),
        )


def _check_range(table: Table, role: str, least: float, most: float, wanted: str) -> None:
    if not table.roles.get(role):
        return
    column = table.column(role)
    if not column.dtype.is_numeric():
        raise DataError(
            f"dataset.roles.{role}: column '{column.name}' holds {str(column.dtype).lower()} "
            f"values, not numbers."
        )
    _refuse_rows(
        ~column.is_between(least, most),
        lambda row: (
            f"dataset.roles.{role}: row {row + 1} has {column[row]} in column '{column.name}'; "
            f"must be {wanted}."
        ),
    )


def _zone(column: Series) -> str | None:
    return getattr(column.dtype, "time_zone", None)


# A classifier and row features of a user's own, run on two toy cells: some rows of each label,
# then half of them.

TOY_ROWS = 60
"""The most rows of each label."""


def toy_rows(table: Table) -> Table:
    """Return the first rows of each label, in their order."""
    label = table.column("label").cast(pl.Float64).to_numpy()
    chosen = [np.flatnonzero(label == kind)[:TOY_ROWS] for kind in (0, 1)]
    kept = np.zeros(table.height, bool)
    kept[np.concatenate(chosen)] = True
    return table.filter(kept)


def try_classifier(model: Classifier, table: Table, context: RowContext) -> None:
    """Learn from toys, and score them.

    Raises:
        WrongAnswerError: The scores are no array of one finite number a row, or they are not
            explained.
    """
    toy = toy_rows(table)
    wide = toy.with_inputs(context.columns_of(toy))
    scorer = model.learn(wide, stop=wide.filter(np.zeros(wide.height, bool)), context=context)
    for rows in (wide, wide.filter(np.arange(wide.height) % 2 == 0)):
        check_scores(scorer.score(rows), rows.height)
        check_contributions(scorer.explain(rows), rows.height)


def check_scores(score: Any, rows: int) -> None:
    """Refuse scores of so many rows that are not what a scorer must return.

    Raises:
        WrongAnswerError: They are no array of one finite number a row.
    """
    must = f"score of {counted(rows, 'rows')} must return an array of numbers of shape ({rows},)"
    if not isinstance(score, ndarray):
        raise WrongAnswerError(f"{must}, got {with_article(type(score).__name__)}")
    if score.shape != (rows,) or score.dtype.kind not in "iuf":
        raise WrongAnswerError(f"{must}, got {score.dtype} of shape {score.shape}")
    if not np.isfinite(score).all():
        raise WrongAnswerError(
            f"{must}, got {int((~np.isfinite(score)).sum())} that are not finite"
        )


def check_contributions(answer: Any, rows: int) -> None:
    """Refuse contributions to the scores of so many rows that are not what a scorer must return.

    Raises:
        WrongAnswerError: They are no `Contributions`, or their values have another shape.
    """
    asked = f"explain of {counted(rows, 'rows')} must return"
    if not isinstance(answer, Contributions):
        raise WrongAnswerError(
            f"{asked} hwds.detection.Contributions, got {with_article(type(answer).__name__)}"
        )
    shape, got = (rows, len(answer.names)), np.shape(answer.values)
    if got != shape:
        raise WrongAnswerError(f"{asked} values of shape {shape}, one for each name, got {got}")


def try_row_features(features: Any, table: Table) -> None:
    """Compute row features of toys.

    Raises:
        WrongAnswerError: The answer is no table of as many rows.
    """
    toy = toy_rows(table)
    answer = features.compute(toy)
    rows = counted(toy.height, "rows")
    if not isinstance(answer, DataFrame):
        raise WrongAnswerError(
            f"compute of {rows} must return a polars DataFrame, got "
            f"{with_article(type(answer).__name__)}"
        )
    if answer.width and answer.height != toy.height:
        raise WrongAnswerError(
            f"compute of {rows} must return as many, in their order, got {answer.height:,}"
        )


# Detection: metrics, segments and checks that all protocols of a classifier of rows share.

Unlabelled = Literal["exclude", "negative"]

FIRST_ROWS = 50
"""Rows of a table whose features tell which inputs there are."""


class Detection(
    RowSplitting,
    Evaluation[Classifier, Table],
    Deployable,
    Segmentable,
    LeakTestable,
    Contrasting,
    Trying,
):
    """Score how suspicious rows are.

    Attributes:
        headline: The metric that orders the leaderboard, by its short name: `aucpr`, `auroc`,
            `card_precision`, `caught_value`, `log_loss`, `expected_cost` ...; where a simulator
            knows the truth also `true_aucpr` and so on.
        delay_days: Days that labels take to arrive; where a column says when each did (role
            `label_time`), it counts.
        unlabelled: The use of an old row without a label in training: left out, or `negative`, an
            honest one.
        card_k: Entities a day that can be looked at, for `card_precision@k`.
        precision: The precision at which recall is measured, for `recall@precision`.
        recall: The recall at which precision is measured, for `precision@recall`.
        wrong_block: The cost of blocking an honest row, in the unit of `amount`, for
            `expected_cost`.
        resamples: The number of resamples of each bootstrap: by entity, by day, and by entities of
            a day.
        explained: Rows of each window, those of the highest scores, that get reasons.
        importance_rows: Rows of each window, drawn, over which importances are averaged; 0 for
            none.
        importance_seeds: Fits for that, each with a seed of its own, the scored one among them;
            importances have their lowest and highest.
        segments: Columns whose values are scored apart too.
    """

    accepts = Classifier
    frame_type = DETECTION.frame
    task = DETECTION.name
    keys = ("part", ROW_ID)
    unit = ROW_ID
    comparable = ("unlabelled",)
    fields_not_in_key = (
        *Evaluation.fields_not_in_key,
        "card_k",
        "precision",
        "recall",
        "wrong_block",
        "resamples",
    )

    headline: str = DETECTION.headline
    unlabelled: Unlabelled = "exclude"
    card_k: PositiveInt = 100
    precision: UnitInterval = 0.9
    recall: UnitInterval = 0.5
    wrong_block: NonNegative = 100.0
    resamples: Annotated[Draws, Small(50)] = 200
    explained: Annotated[ZeroDraws, Small(20)] = 200
    importance_rows: Annotated[ZeroDraws, Small(100)] = 1000
    importance_seeds: Annotated[Folds, Small(2)] = 1

    def postprocess(self, rows: DataFrame) -> DataFrame:
        """Return the rows with a flag for each test row whose entity is among those that can be
        looked at on its day.
        """
        return with_flags(rows, self.card_k)

    def score(self, rows: DataFrame) -> list[Score]:
        """Return all metrics of the test rows, against the labels and, where a simulator knows it,
        against the truth.
        """
        test = rows.filter(part="test")
        return [*detection_scores(test, self), *rule_scores(test)]

    def contrasts(self, rows: Mapping[str, DataFrame]) -> Iterator[tuple[str, Score]]:
        """Yield how far each model is behind the best, on the same rows and resamples, and its
        importances.
        """
        scored = {label: part.filter(part="test") for label, part in rows.items() if part.width}
        yield from behind_scores(scored, self)
        for label, part in scored.items():
            yield from ((label, score) for score in importance_scores(part))

    def rows_to_keep(self, rows: DataFrame) -> DataFrame:
        """Return all rows, those of the deciding window too, which a decision learns its thresholds
        from.
        """
        return rows.drop(IMPORTANCE_COLUMN, strict=False)

    def predictions_only(self, rows: DataFrame, *, reasons: bool = True) -> DataFrame:
        """Return the predictions of rows without their outcomes, for the leak check.

        Reasons as texts.
        """
        words = col("reasons").list.eval(pl.element().struct.json_encode()).list.join(" ")
        return rows.select(
            *self.keys, "score", "probability", "p_value", *([words] if reasons else [])
        )

    def twins(self, frame: Table, fold: Fold, rows: DataFrame) -> Iterator[Twin]:
        """Yield the table with another label of the last tested row, where labels may be known at
        the row's own moment.
        """
        row = last_tested_row(frame, rows) if frame.roles.get("label_time") else None
        if row is None:
            return

        def predictions(rows: DataFrame) -> DataFrame:
            return self.predictions_only(rows.filter(col(ROW_ID) == row, part="test"))

        shows = "changed with the row's own label"
        twin = with_label_turned(frame, row)
        yield Twin(OWN_LABEL_LEAK, f"row {row + 1}", shows, frame, twin, predictions)

    def warnings_before(self, frame: Table, models: Mapping[str, Classifier]) -> list[str]:
        """Return how many labels there are, and how many a simulator knows of."""
        return list(label_remarks(frame))

    def measures(self, frame: Table) -> Sequence[Measure]:
        """Return the metrics with their meanings."""
        return [*detection_measures(self, frame.unit), *rule_measures(frame.unit)]

    def check_names(self) -> None:
        """Refuse a headline that is none of the task's metrics."""
        measures = detection_measures(self, "")
        own = [each for each in measures if not each.name.startswith("behind_")]
        check_headline(self.headline, own)

    def check_features(self, features: Any, frame: Table) -> None:
        """Refuse features that this table has no columns for."""
        features.check(frame)

    def check_models(self, models: Mapping[str, Classifier], frame: Table) -> None:
        """Refuse a table that no classifier can score.

        Raises:
            DataError: Labels, times or amounts that cannot be, with the role, the column and the
                row.
        """
        check_rows(frame)

    def check_inputs(self, models: Mapping[str, Classifier], features: Any, frame: Table) -> None:
        """Refuse rules about inputs that neither the table nor the features of its first rows
        have.
        """
        rules = [
            rule
            for model in models.values()
            if isinstance(model, Classifier)
            for rule in model.written_rules
        ]
        if rules:
            first = frame.filter(np.arange(frame.height) < FIRST_ROWS)
            check_rules(rules, ModelInputs.learn(first.with_inputs(features.compute(first))).plain)

    def require_calibration(self, models: Mapping[str, Classifier], field: str) -> None:
        """Refuse a model whose calibration has no rows, where a field of this protocol is 0."""
        for model in models.values():
            if model.needs_calibration() and not getattr(self, field):
                raise ConfigError(
                    f"protocol.{field}: must be > 0 for '{model.name}' "
                    f"(calibration={model.calibration}), got 0."
                )

    def try_model(self, model: Classifier, frame: Table, fold: Fold, context: RunContext) -> None:
        """Learn from some rows of each label, and check the scores."""
        try_classifier(model, frame, RowContext.of(context))

    def try_features(self, features: Any, frame: Table) -> None:
        """Compute row features of some rows of each label."""
        try_row_features(features, frame)

    def labels(self, frame: Table, column: str) -> DataFrame:
        """Return a column of the table by row."""
        return labels_of_rows(frame, column)

    def training_rows(self, rows: Table) -> Table:
        """Return the rows that models learn from: all of them, unlabelled ones as they are or with
        label 0.
        """
        if self.unlabelled == "exclude":
            return rows
        return with_labels(rows, rows.column("label").fill_null(0.0))

    def fit_model(
        self, model: Classifier, parts: Mapping[str, Table], context: RowContext
    ) -> FittedClassifier:
        """Return a model fitted on the windows that it may learn from."""
        given = {name: self.training_rows(parts[name]) for name in ("train", "stop", "calibrate")}
        return model.fit(
            given["train"], stop=given["stop"], calibrate=given["calibrate"], context=context
        )

    def fit_and_score(
        self,
        model: Classifier,
        learned: Mapping[str, Table],
        scored: Mapping[str, Table],
        frame: Table,
        context: RowContext,
    ) -> dict[str, DataFrame]:
        """Fit a model and score the rows of the decision and the test, each where there are any.

        Args:
            model: The recipe.
            learned: The windows that it may learn from.
            scored: The windows whose rows it scores.
            frame: The whole table, for their outcomes.
            context: The context of the fit.
        """
        fitted = self.fit_model(model, learned, context)
        names = [name for name in ("decide", "test") if len(scored[name].data)]
        rows = {
            name: row_predictions(fitted, scored[name], frame, name, self.explained)
            for name in names
        }

        values = mean_contributions(
            lambda other: self.fit_model(model, learned, other),
            fitted,
            scored["test"],
            context,
            seeds=self.importance_seeds,
            most=self.importance_rows,
        )
        return {
            name: with_importances(part, values if name == "test" else None)
            for name, part in rows.items()
        }


def label_remarks(table: Table) -> Iterator[str]:
    """Yield how many labels there are and, where a simulator knows it, how many positives they
    miss, and the loss at stake.
    """
    label = labels_of(table)
    known = np.isfinite(label)
    rows = counted(len(label), "rows")
    if not known.all():
        yield (
            f"{percent(float(known.mean()))} of {rows} have a label, "
            f"{int((label == 1).sum()):,} of them label 1."
        )
    truth = truth_column(table)
    if not truth:
        return
    true = table.data[truth].cast(pl.Float64).to_numpy() == 1
    confirmed = int((label[true] == 1).sum())
    share, count = percent(float(true.mean())), int(true.sum())
    yield (
        f"By the truth {share} of {rows} are of label 1 ({count:,}); {confirmed:,} of those "
        f"were found out."
    )
    if table.roles.get("amount"):
        stake = np.nan_to_num(table.column("amount").cast(pl.Float64).to_numpy())
        lost, whole = (brief(float(each.sum()), unit=table.unit) for each in (stake[true], stake))
        yield f"They have {lost} at stake, of {whole} in all rows."
