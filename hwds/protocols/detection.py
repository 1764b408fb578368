"""What all protocols share that ask a classifier of rows: their metrics, segments and checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import polars as pl
from annotated_types import Ge

from hwds.context import Context
from hwds.errors import ConfigError, nearest
from hwds.frames.table import ROW_ID, Table
from hwds.metrics.base import Measure
from hwds.models.classify.base import Classifier, FittedClassifier
from hwds.protocols.base import Evaluation, Score
from hwds.protocols.detection_flags import with_flags
from hwds.protocols.detection_measures import detection_measures
from hwds.protocols.detection_remarks import remarks
from hwds.protocols.detection_scores import behind, scores_of
from hwds.protocols.importances import COLUMN, bearing, importance_scores, importances
from hwds.protocols.judging import judged
from hwds.protocols.metric_names import check_headline
from hwds.protocols.row_checks import check_rows
from hwds.recipe import Count, Share, Small, Whole

Unlabelled = Literal["exclude", "negative"]


class Detection(Evaluation[Classifier, Table]):
    """Ask how suspicious rows are.

    Attributes:
        headline: The metric that orders the leaderboard, by its short name: `aucpr`, `auroc`, `card_precision`, `caught_value`,
            `log_loss`, `expected_cost` ...; where a simulator knows the truth also `true_aucpr` and so on.
        delay_days: Days that labels take to arrive; where a column says when each did (role `label_time`), it counts.
        unlabelled: What an old row without a label is to learners: left out, or `negative`, an honest one.
        card_k: Entities a day that can be looked at, for `card_precision@k`.
        precision: The precision at which recall is told, for `recall@precision`.
        recall: The recall at which precision is told, for `precision@recall`.
        wrong_block: What it costs to block an honest row, in the unit of `amount`, for `expected_cost`.
        resamples: Of the bootstraps by entity and by day.
        explained: Rows of each window, those of the highest scores, that get reasons.
        importance_rows: Rows of each window, drawn, over which it is told what each input adds on the average; 0 for none.
        importance_seeds: Fits for that, each with its own luck, the one that is scored among them; importances are told with
            their lowest and highest.
        segments: Columns whose values are scored apart too.
    """

    accepts: ClassVar[type] = Classifier
    cuts: ClassVar[type] = Table
    task: ClassVar[str] = "detection"
    keys: ClassVar[tuple[str, ...]] = ("part", ROW_ID)
    unit: ClassVar[str] = ROW_ID
    fits_all: ClassVar[bool] = True
    outside_cells: ClassVar[tuple[str, ...]] = (
        *Evaluation.outside_cells,
        "card_k",
        "precision",
        "recall",
        "wrong_block",
        "resamples",
    )

    headline: str = "aucpr"
    delay_days: Whole = 7
    unlabelled: Unlabelled = "exclude"
    card_k: Count = 100
    precision: Share = 0.9
    recall: Share = 0.5
    wrong_block: Annotated[float, Ge(0)] = 100.0
    resamples: Annotated[Count, Small(50)] = 200
    explained: Annotated[Whole, Small(20)] = 200
    importance_rows: Annotated[Whole, Small(100)] = 1000
    importance_seeds: Annotated[Count, Small(2)] = 1

    def settle(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with whether each test row's entity is among those that can be looked at on its day."""
        return with_flags(rows, self.card_k)

    def score(self, rows: pl.DataFrame) -> list[Score]:
        """All metrics of the test rows, against the labels and, where a simulator tells it, against the truth."""
        return scores_of(rows.filter(pl.col("part") == "test"), self)

    def contrasts(self, rows: Mapping[str, pl.DataFrame]) -> Iterator[tuple[str, Score]]:
        """By how much each model is behind the best, on the same rows and resamples; and what its inputs add to its scores."""
        scored = {label: part.filter(pl.col("part") == "test") for label, part in rows.items() if part.width}
        yield from behind(scored, self)
        for label, part in scored.items():
            yield from ((label, score) for score in importance_scores(part))

    def kept(self, rows: pl.DataFrame) -> pl.DataFrame:
        """All rows, those of the deciding window too, which a decision learns its thresholds from."""
        return rows.drop(COLUMN, strict=False)

    def said(self, rows: pl.DataFrame, *, reasons: bool = True) -> pl.DataFrame:
        """What was said of rows, without what became of them, for the canary; reasons as texts."""
        words = pl.col("reasons").list.eval(pl.element().struct.json_encode()).list.join(" ")
        return rows.select(*self.keys, "score", "probability", "p_value", *([words] if reasons else []))

    def remarks(self, frame: Table) -> list[str]:
        """How many labels there are, and what a simulator knows of them."""
        return list(remarks(frame))

    def measures(self, frame: Table) -> Sequence[Measure]:
        """What each metric says of itself."""
        return detection_measures(self, frame.unit)

    def check_names(self) -> None:
        """Refuse a headline that is none of the task's metrics."""
        check_headline(self.headline, [entry for entry in detection_measures(self, "") if not entry.name.startswith("behind_")])

    def check_features(self, features: Any, frame: Table) -> None:
        """Refuse features that this table has no columns for."""
        features.check(frame)

    def check_models(self, models: Mapping[str, Classifier], frame: Table) -> None:
        """Refuse a table that no classifier can be asked of.

        Raises:
            DataError: Labels, times or amounts that cannot be, with the role, the column and the row.
        """
        check_rows(frame)

    def labels(self, frame: Table, column: str) -> pl.DataFrame:
        """Any column of the table by row."""
        if column not in frame.data.columns:
            raise ConfigError(f"protocol.segments: no column '{column}'{nearest(column, frame.data.columns)}")
        return frame.data.select(ROW_ID, pl.col(column).alias("segment"))

    def settled_labels(self, rows: Table) -> Table:
        """The rows that learners are given: all of them, those of unknown labels as they are or called honest."""
        if self.unlabelled == "exclude":
            return rows
        label = rows.name("label")
        return Table(rows.data.with_columns(pl.col(label).fill_null(0.0)), rows.roles, rows.unit)

    def fitted(self, model: Classifier, parts: Mapping[str, Table], context: Context) -> FittedClassifier:
        """A model fitted on the windows that it may learn from."""
        given = {name: self.settled_labels(parts[name]) for name in ("train", "stop", "calibrate")}
        return model.fit(given["train"], stop=given["stop"], calibrate=given["calibrate"], context=context)

    def answered(
        self, model: Classifier, learned: Mapping[str, Table], asked: Mapping[str, Table], frame: Table, context: Context
    ) -> dict[str, pl.DataFrame]:
        """Fit a model and judge the rows of the decision and the test, each where there are any.

        Args:
            model: The recipe.
            learned: The windows that it may learn from.
            asked: Those whose rows it judges.
            frame: The whole table, for what became of them.
            context: Of the fit.
        """
        fitted = self.fitted(model, learned, context)
        names = [name for name in ("decide", "test") if len(asked[name].data)]
        rows = {name: judged(fitted, asked[name], frame, name, self.explained) for name in names}

        def fit(own: Context) -> FittedClassifier:
            return self.fitted(model, learned, own)

        told = importances(fit, fitted, asked["test"], context, seeds=self.importance_seeds, most=self.importance_rows)
        return {name: bearing(part, told if name == "test" else None) for name, part in rows.items()}
