"""Detection: metrics, segments and checks that all protocols of a classifier of rows share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl

from hwds.core.errors import ConfigError
from hwds.core.recipe import Draws, Folds, NonNegative, PositiveInt, Small, UnitInterval, ZeroDraws
from hwds.detection.context import RowContext
from hwds.detection.family import DETECTION
from hwds.detection.metrics.measures import detection_measures
from hwds.detection.metrics.rule_scores import rule_measures, rule_scores
from hwds.detection.metrics.scores import behind, scores_of
from hwds.detection.models.classify.base import Classifier, FittedClassifier
from hwds.detection.models.inputs.matrix import Inputs
from hwds.detection.models.rules.conditions import check_rules
from hwds.detection.protocols.rows.checks import check_rows
from hwds.detection.protocols.rows.importances import COLUMN, importance_scores, importances, with_importances
from hwds.detection.protocols.rows.own_label import last_tested, with_label_turned
from hwds.detection.protocols.rows.scored import prediction_rows, truth_of, with_flags
from hwds.detection.protocols.rows.toys import try_classifier, try_row_features
from hwds.evaluation.abilities import Contrasting, LeakTestable, Segmentable, Trying
from hwds.evaluation.base import Deployable, Evaluation, Score
from hwds.evaluation.context import RunContext
from hwds.evaluation.leakage.leak import OWN_LABEL, Twin
from hwds.evaluation.score import check_headline
from hwds.evaluation.segments import labels_of_rows
from hwds.frames.table import ROW_ID, Table
from hwds.results.formatting import brief, counted, percent
from hwds.results.measure import Measure
from hwds.splitting.fold import Fold
from hwds.splitting.rows import RowSplitting

Unlabelled = Literal["exclude", "negative"]

FIRST_ROWS = 50
"""Rows of a table whose features tell which inputs there are."""


class Detection(RowSplitting, Evaluation[Classifier, Table], Deployable, Segmentable, LeakTestable, Contrasting, Trying):
    """Score how suspicious rows are.

    Attributes:
        headline: The metric that orders the leaderboard, by its short name: `aucpr`, `auroc`, `card_precision`, `caught_value`,
            `log_loss`, `expected_cost` ...; where a simulator knows the truth also `true_aucpr` and so on.
        delay_days: Days that labels take to arrive; where a column says when each did (role `label_time`), it counts.
        unlabelled: The use of an old row without a label in training: left out, or `negative`, an honest one.
        card_k: Entities a day that can be looked at, for `card_precision@k`.
        precision: The precision at which recall is measured, for `recall@precision`.
        recall: The recall at which precision is measured, for `precision@recall`.
        wrong_block: The cost of blocking an honest row, in the unit of `amount`, for `expected_cost`.
        resamples: The number of resamples of each bootstrap: by entity, by day, and by entities of a day.
        explained: Rows of each window, those of the highest scores, that get reasons.
        importance_rows: Rows of each window, drawn, over which importances are averaged; 0 for none.
        importance_seeds: Fits for that, each with a seed of its own, the scored one among them; importances have their
            lowest and highest.
        segments: Columns whose values are scored apart too.
    """

    accepts: ClassVar[type] = Classifier
    frame_type: ClassVar[type] = DETECTION.frame
    task: ClassVar[str] = DETECTION.name
    keys: ClassVar[tuple[str, ...]] = ("part", ROW_ID)
    unit: ClassVar[str] = ROW_ID
    comparable: ClassVar[tuple[str, ...]] = ("unlabelled",)
    fields_not_in_key: ClassVar[tuple[str, ...]] = (
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

    def postprocess(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows with a flag for each test row whose entity is among those that can be looked at on its day."""
        return with_flags(rows, self.card_k)

    def score(self, rows: pl.DataFrame) -> list[Score]:
        """Return all metrics of the test rows, against the labels and, where a simulator knows it, against the truth."""
        test = rows.filter(pl.col("part") == "test")
        return [*scores_of(test, self), *rule_scores(test)]

    def contrasts(self, rows: Mapping[str, pl.DataFrame]) -> Iterator[tuple[str, Score]]:
        """Yield how far each model is behind the best, on the same rows and resamples, and its importances."""
        scored = {label: part.filter(pl.col("part") == "test") for label, part in rows.items() if part.width}
        yield from behind(scored, self)
        for label, part in scored.items():
            yield from ((label, score) for score in importance_scores(part))

    def rows_to_keep(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return all rows, those of the deciding window too, which a decision learns its thresholds from."""
        return rows.drop(COLUMN, strict=False)

    def predictions_only(self, rows: pl.DataFrame, *, reasons: bool = True) -> pl.DataFrame:
        """Return the predictions of rows without their outcomes, for the canary; reasons as texts."""
        words = pl.col("reasons").list.eval(pl.element().struct.json_encode()).list.join(" ")
        return rows.select(*self.keys, "score", "probability", "p_value", *([words] if reasons else []))

    def twins(self, frame: Table, fold: Fold, rows: pl.DataFrame) -> Iterator[Twin]:
        """Yield the table with another label of the last tested row, where labels may be known at the row's own moment."""
        row = last_tested(frame, rows) if frame.roles.get("label_time") else None
        if row is None:
            return

        def said(rows: pl.DataFrame) -> pl.DataFrame:
            return self.predictions_only(rows.filter((pl.col("part") == "test") & (pl.col(ROW_ID) == row)))

        shows = "changed with the row's own label"
        yield Twin(OWN_LABEL, f"row {row + 1}", shows, frame, with_label_turned(frame, row), said)

    def warnings_before(self, frame: Table, models: Mapping[str, Classifier]) -> list[str]:
        """Return how many labels there are, and how many a simulator knows of."""
        return list(remarks(frame))

    def measures(self, frame: Table) -> Sequence[Measure]:
        """Return the metrics with their meanings."""
        return [*detection_measures(self, frame.unit), *rule_measures(frame.unit)]

    def check_names(self) -> None:
        """Refuse a headline that is none of the task's metrics."""
        check_headline(self.headline, [entry for entry in detection_measures(self, "") if not entry.name.startswith("behind_")])

    def check_features(self, features: Any, frame: Table) -> None:
        """Refuse features that this table has no columns for."""
        features.check(frame)

    def check_models(self, models: Mapping[str, Classifier], frame: Table) -> None:
        """Refuse a table that no classifier can score.

        Raises:
            DataError: Labels, times or amounts that cannot be, with the role, the column and the row.
        """
        check_rows(frame)

    def check_inputs(self, models: Mapping[str, Classifier], features: Any, frame: Table) -> None:
        """Refuse rules about inputs that neither the table nor the features of its first rows have."""
        rules = [rule for model in models.values() if isinstance(model, Classifier) for rule in model.written_rules]
        if rules:
            first = frame.filter(np.arange(frame.height) < FIRST_ROWS)
            check_rules(rules, Inputs.learn(first.with_inputs(features.compute(first))).plain)

    def require_calibration(self, models: Mapping[str, Classifier], field: str) -> None:
        """Refuse a model whose calibration has no rows, where a field of this protocol is 0."""
        for model in models.values():
            if model.needs_calibration() and not getattr(self, field):
                raise ConfigError(f"protocol.{field}: must be > 0 for '{model.name}' (calibration={model.calibration}), got 0.")

    def try_model(self, model: Classifier, frame: Table, fold: Fold, context: RunContext) -> None:
        """Learn from some rows of each label, and check the scores."""
        try_classifier(model, frame, RowContext.of(context))

    def try_features(self, features: Any, frame: Table) -> None:
        """Compute row features of some rows of each label."""
        try_row_features(features, frame)

    def labels(self, frame: Table, column: str) -> pl.DataFrame:
        """Return a column of the table by row."""
        return labels_of_rows(frame, column)

    def training_rows(self, rows: Table) -> Table:
        """Return the rows that models learn from: all of them, unlabelled ones as they are or with label 0."""
        if self.unlabelled == "exclude":
            return rows
        label = rows.name("label")
        return Table(rows.data.with_columns(pl.col(label).fill_null(0.0)), rows.roles, rows.unit)

    def fitted(self, model: Classifier, parts: Mapping[str, Table], context: RowContext) -> FittedClassifier:
        """Return a model fitted on the windows that it may learn from."""
        given = {name: self.training_rows(parts[name]) for name in ("train", "stop", "calibrate")}
        return model.fit(given["train"], stop=given["stop"], calibrate=given["calibrate"], context=context)

    def fit_and_score(
        self, model: Classifier, learned: Mapping[str, Table], scored: Mapping[str, Table], frame: Table, context: RowContext
    ) -> dict[str, pl.DataFrame]:
        """Fit a model and score the rows of the decision and the test, each where there are any.

        Args:
            model: The recipe.
            learned: The windows that it may learn from.
            scored: The windows whose rows it scores.
            frame: The whole table, for their outcomes.
            context: Of the fit.
        """
        fitted = self.fitted(model, learned, context)
        names = [name for name in ("decide", "test") if len(scored[name].data)]
        rows = {name: prediction_rows(fitted, scored[name], frame, name, self.explained) for name in names}

        def fit(other: RowContext) -> FittedClassifier:
            return self.fitted(model, learned, other)

        values = importances(fit, fitted, scored["test"], context, seeds=self.importance_seeds, most=self.importance_rows)
        return {name: with_importances(part, values if name == "test" else None) for name, part in rows.items()}


def remarks(table: Table) -> Iterator[str]:
    """Yield how many labels there are and, where a simulator knows it, how many positives they miss, and the loss at stake."""
    label = _numbers(table, "label")
    known = np.isfinite(label)
    rows = counted(len(label), "rows")
    if not known.all():
        yield f"{percent(float(known.mean()))} of {rows} have a label, {int((label == 1).sum()):,} of them label 1."
    truth = truth_of(table)
    if not truth:
        return
    true = table.data[truth].cast(pl.Float64).to_numpy() == 1
    confirmed = int((label[true] == 1).sum())
    share, count = percent(float(true.mean())), int(true.sum())
    yield f"By the truth {share} of {rows} are of label 1 ({count:,}); {confirmed:,} of those were found out."
    if table.roles.get("amount"):
        stake = np.nan_to_num(_numbers(table, "amount"))
        lost, whole = (brief(float(total), unit=table.unit) for total in (stake[true].sum(), stake.sum()))
        yield f"They have {lost} at stake, of {whole} in all rows."


def _numbers(table: Table, role: str) -> np.ndarray:
    return table.column(role).cast(pl.Float64).to_numpy()
