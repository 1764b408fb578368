"""ReviewQueue: rank rows for reviewers with few labels or none, and how far to trust the
ranking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, NamedTuple

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series, col

from hwds.core.errors import ConfigError
from hwds.core.recipe import Folds, NonNegativeInt, PositiveInt, Small, ZeroDays, ZeroDraws
from hwds.core.seeds import stream, stream_key
from hwds.detection.cases import ScoreOf
from hwds.detection.family import QUEUE
from hwds.detection.models.base import Classifier, FittedClassifier
from hwds.detection.predictions import in_first_row, row_predictions
from hwds.detection.protocols.base import (
    END_OF_TIME,
    Detection,
    check_facts,
    check_values,
    without_truth,
)
from hwds.detection.protocols.prequential import draw_labels
from hwds.detection.rows import RowContext, entities_of_rows
from hwds.evaluation.protocol import Cell, Fold, RunContext, Score, check_headline
from hwds.evaluation.row_folds import HeldOut, Moment, first_midnight, last_midnight, row_arrivals
from hwds.frames.roles import ROLES, Roles
from hwds.frames.table import Table
from hwds.results.formatting import counted
from hwds.results.tables import Measure

# Injected anomalies: copies of rows with inputs that are wrong in a stated way, which a
# detector should find.

FEW_INPUTS = 3
"""Inputs of a row that are made extreme."""


def inject_anomalies(rows: Table, kind: str, count: int, random: np.random.Generator) -> Table:
    """Return copies of drawn rows whose inputs that are numbers were changed.

    See `INJECTION_KINDS`.

    Args:
        rows: The rows with their inputs.
        kind: One of `INJECTION_KINDS`.
        count: The number of anomalies.
        random: The generator that draws rows and inputs.
    """
    schema = rows.data.schema
    names = [
        name
        for name in rows.inputs
        if schema[name].is_numeric() and rows.data[name].drop_nulls().n_unique() > 2
    ]
    base = random.integers(0, rows.height, count)
    if kind == "cluster":
        base[:] = base[0] if count else 0
    matrix = rows.numbers(names)
    changed = INJECTION_KINDS[kind](matrix, base, random) if names else matrix[base]
    columns = [
        Series(name, column, nan_to_null=True).cast(
            schema[name] if schema[name].is_float() else pl.Float64
        )
        for name, column in zip(names, changed.T, strict=True)
    ]
    return replace(rows, data=rows.data[base].with_columns(columns))


def _drawn_inputs(matrix: ndarray, random: np.random.Generator) -> ndarray:
    inputs = matrix.shape[1]
    return random.choice(inputs, min(FEW_INPUTS, inputs), replace=False)


def _extreme(matrix: ndarray, base: ndarray, random: np.random.Generator) -> ndarray:
    rows = matrix[base]
    beyond = np.nanmax(matrix, axis=0) + np.nanstd(matrix, axis=0)
    for row in rows:
        places = _drawn_inputs(matrix, random)
        row[places] = beyond[places]
    return rows


def _mixed(matrix: ndarray, base: ndarray, random: np.random.Generator) -> ndarray:
    places = random.integers(0, len(matrix), (len(base), matrix.shape[1]))
    return np.take_along_axis(matrix, places, axis=0)


def _cluster(matrix: ndarray, base: ndarray, random: np.random.Generator) -> ndarray:
    rows, places = matrix[base], _drawn_inputs(matrix, random)
    rows[:, places] = np.nanquantile(matrix[:, places], 0.99, axis=0)
    return rows


INJECTION_KINDS: dict[str, Callable[[ndarray, ndarray, np.random.Generator], ndarray]] = {
    "extreme": _extreme,
    "mixed": _mixed,
    "cluster": _cluster,
}
"""Kinds of anomalies: `extreme` has three inputs a deviation beyond the largest of all; `mixed`
takes each input from another row, so that each is usual and they do not go together; `cluster` is
one row many times, three inputs at their 99 % quantile.
"""


# The first cases of a queue, and how many of them two queues share.


def ranked_entities(rows: DataFrame, score_of: ScoreOf) -> DataFrame:
    """Return one row an entity, the highest first: `entity`, `score`, `truth` (the largest of its
    rows).

    Args:
        rows: `row_id, entity, score` and `truth`.
        score_of: The score of an entity: the highest of its rows, or their mean.
    """
    of = col("score").mean() if score_of == "mean" else col("score").max()
    known = rows.with_columns(entity=entities_of_rows(rows))
    made = known.group_by("entity").agg(of.alias("score"), col("truth").max())
    return made.sort("score", "entity", descending=[True, False])


def overlap_share(one: frozenset[str], other: frozenset[str]) -> float:
    """Return the share of the larger of two sets that both have."""
    return len(one & other) / max(len(one), len(other), 1)


def least_score(rows: DataFrame, budget: int, score_of: ScoreOf) -> float:
    """Return the score of the last case that a budget has room for."""
    scores = ranked_entities(rows, score_of)["score"].head(budget)
    return float(scores[-1]) if len(scores) else np.inf


# ReviewQueue: rank what is there for reviewers, with few labels or none, and say how far the
# ranking can be trusted.

CHECKS_COLUMN = "checks"
"""A column of scored rows: what was measured of the model itself, in the first of them."""


class Check(NamedTuple):
    """A measure of a model's ranking.

    Attributes:
        metric: The short name.
        kind: The kind of injected anomalies; None for all.
        value: The measure.
        n: The number of rows or cases that it is made of.
    """

    metric: str
    kind: str | None
    value: float
    n: int


CHECKS_TYPE = pl.List(
    pl.Struct({"metric": pl.String, "kind": pl.String, "value": pl.Float64, "n": pl.Int64})
)
"""The type of a list of `Check`."""

REVIEWED_LABEL = "reviewed"
"""The label of a table that has none."""


class ReviewQueue(Detection):
    """Rank the entities of the last days for reviewers: without labels, with the few that came
    back, or with many.

    Models learn from all rows, those of the queue too, and all labels that are there; rows that
    have one are not in the queue any more. No later rows are left for a score, so there are three
    measures: injected anomalies (copies of rows with inputs that are wrong in a stated way); the
    share of the first cases that another seed, another half of the rows and another model would put
    first, too; and, in a simulator, the share of true cases among them. Finding what was injected
    is not finding fraud: a model that does not is blind, one that does may be.

    Attributes:
        queue_days: The days at the end of the data whose rows are ranked; 0 for all rows, and where
            rows have no time.
        budget: The number of cases that can be reviewed.
        score_of: The score of a case: the highest of its rows, or their mean.
        most_labels: Labels that are known, drawn by row; null takes all.
        other_seeds: Fits with other seeds, for the stability of the first cases.
        injected: The number of anomalies of each kind that are injected.
    """

    task = QUEUE.name
    untunable = "has nothing later to choose settings by"

    headline: str = QUEUE.headline
    delay_days: ZeroDays = 0
    queue_days: ZeroDays = 28
    budget: PositiveInt = 100
    score_of: ScoreOf = "highest"
    most_labels: NonNegativeInt | None = None
    other_seeds: Annotated[Folds, Small(1)] = 2
    injected: Annotated[ZeroDraws, Small(50)] = 200
    explained: Annotated[ZeroDraws, Small(100)] = 1000

    def prepare_frame(self, frame: Table) -> Table:
        """Return the table with a label that no row has, where it has none, and with all columns
        without a role as inputs.
        """
        roles = frame.roles
        if not roles.get("covariate"):
            taken = roles.columns(role for role in ROLES if not ROLES[role].is_input)
            inputs = [name for name in frame.data.columns if name not in taken and name != "row_id"]
            plain = [name for name in inputs if not frame.data.schema[name].is_nested()]
            kept = [name for name in plain if not frame.data.schema[name].is_temporal()]
            roles = roles | ({"covariate": tuple(kept)} if kept else {})
        if roles.get("label"):
            return replace(frame, roles=roles)
        data = frame.data.with_columns(pl.lit(None, pl.Float64).alias(REVIEWED_LABEL))
        return replace(frame, data=data, roles=roles | {"label": (REVIEWED_LABEL,)})

    def split(self, frame: Table) -> Sequence[Fold]:
        """Return the one fold: the rows of the last days."""
        return [Fold(0, "queue", max(int(self.in_queue(frame).sum()), 1), (HeldOut(0),))]

    def in_queue(self, frame: Table) -> ndarray:
        """Return a mask of the rows that are ranked: those of the last days without a label."""
        label = (
            frame.column("label").is_null().to_numpy()
            if self.most_labels is None
            else np.ones(frame.height, bool)
        )
        if not frame.roles.get("time") or not self.queue_days:
            return label
        begin = last_midnight(frame) - timedelta(days=self.queue_days)
        return label & (row_arrivals(frame) >= begin).to_numpy()

    def evaluate_cell(
        self, model: Classifier, frame: Table, cell: Cell, context: RunContext
    ) -> DataFrame:
        """Learn from all rows and rank those of the queue.

        Measure what can be measured of the ranking.
        """
        rows = RowContext.of(context)
        learned, queue = self.parts(frame, rows)
        fitted = model.fit(learned, context=rows)
        scored = row_predictions(fitted, queue, frame, "test", self.explained)
        checks = [
            *self._stability(model, scored, learned, queue, frame, rows),
            *self._injections(fitted, scored, queue, rows),
        ]
        rows_of_checks = [check._asdict() for check in checks]
        return in_first_row(scored, CHECKS_COLUMN, rows_of_checks, CHECKS_TYPE).with_columns(
            day=pl.lit(0, pl.Int32), cutoff=pl.lit(cell.fold.name)
        )

    def parts(self, frame: Table, context: RowContext) -> tuple[Table, Table]:
        """Return all rows with their inputs and labels, and those of the queue."""
        known = without_truth(frame, self.delay_days)
        if self.most_labels is not None and frame.roles.get("time"):
            known = draw_labels(
                known,
                self.most_labels,
                first_midnight(frame),
                END_OF_TIME,
                END_OF_TIME,
                context.seed,
            )
        wide = known.with_inputs(context.columns_of(known))
        return wide, wide.filter(self.in_queue(frame) & wide.column("label").is_null().to_numpy())

    def _stability(
        self,
        model: Classifier,
        scored: DataFrame,
        learned: Table,
        queue: Table,
        frame: Table,
        context: RowContext,
    ) -> Iterator[Check]:
        """Yield how many of the first cases fits under other seeds, and on halves of the rows, put
        first too.
        """

        def cases(rows: Table, seeded: RowContext) -> frozenset[str]:
            fitted = model.fit(rows, context=seeded)
            return self._first_cases(row_predictions(fitted, queue, frame, "test", 0))

        own = self._first_cases(scored)
        same = []
        for k in range(self.other_seeds):
            seeded = replace(context, seed=stream_key(context.seed, "queue", k) % 2**31)
            same.append(overlap_share(own, cases(learned, seeded)))
        yield Check("seed_overlap", None, float(np.mean(same)), len(own))
        half = np.arange(learned.height) < learned.height // 2
        halves = [cases(learned.filter(part), context) for part in (half, ~half)]
        yield Check("half_overlap", None, overlap_share(*halves), len(own))

    def _injections(
        self, fitted: FittedClassifier, scored: DataFrame, queue: Table, context: RowContext
    ) -> Iterator[Check]:
        """Yield which share of injected anomalies scores as high as the last case that the budget
        has room for.
        """
        if not self.injected or not queue.height:
            return
        bar, shares = least_score(scored, self.budget, self.score_of), []
        for kind in INJECTION_KINDS:
            random = stream(context.seed, "injected", kind)
            anomalies = inject_anomalies(queue, kind, self.injected, random)
            shares.append(float(np.mean(fitted.score_rows(anomalies).score >= bar)))
            yield Check("injected_recall", kind, shares[-1], self.injected)
        yield Check(
            "injected_recall", None, float(np.mean(shares)), len(INJECTION_KINDS) * self.injected
        )

    def _first_cases(self, rows: DataFrame) -> frozenset[str]:
        """Return the entities that the budget has room for."""
        return frozenset(ranked_entities(rows, self.score_of)["entity"].head(self.budget))

    def postprocess(self, rows: DataFrame) -> DataFrame:
        """Return the rows as they are."""
        return rows

    def score(self, rows: DataFrame) -> list[Score]:
        """Return the checks of a model, and where a simulator knows the truth how many of its first
        cases are gray.
        """
        if rows.is_empty():
            return []
        checks = [Check(**each) for each in rows[CHECKS_COLUMN][0].to_list()]
        truth = ranked_entities(rows, self.score_of)["truth"]
        if truth.null_count() < len(truth):
            reviewed = truth.head(self.budget)
            gray, every = float(reviewed.sum()), float(truth.sum())
            checks.append(
                Check("true_precision", None, gray / max(len(reviewed), 1), len(reviewed))
            )
            if every:
                checks.append(Check("true_recall", None, gray / every, int(every)))
        return [self._score(check) for check in checks]

    def _score(self, check: Check) -> Score:
        name, segment_by = f"{check.metric}@{self.budget}", "injected" if check.kind else None
        return Score(
            name, "mean", check.value, n=check.n, segment_by=segment_by, segment=check.kind
        )

    def contrasts(self, rows: Mapping[str, DataFrame]) -> Iterator[tuple[str, Score]]:
        """Yield how many of the first cases of the experiment's own model each other one puts first
        too.
        """
        scored = {label: part for label, part in rows.items() if part.width and len(part)}
        if len(scored) < 2:
            return
        own, *others = scored
        mine = self._first_cases(scored[own])
        for label in others:
            shared = overlap_share(mine, self._first_cases(scored[label]))
            yield label, self._score(Check("agreement", None, shared, len(mine)))

    def rows_to_keep(self, rows: DataFrame) -> DataFrame:
        """Return all rows without the checks."""
        return rows.drop(CHECKS_COLUMN, strict=False)

    def measures(self, frame: Table) -> Sequence[Measure]:
        """Return the metrics with their meanings."""
        shared = f"share of the first {self.budget} cases that"
        meanings = {
            "injected_recall": f"share of injected anomalies that score as high as case "
            f"{self.budget}: whether a model is blind, no more",
            "seed_overlap": f"{shared} fits with other seeds have too, mean",
            "half_overlap": f"{shared} fits on the two halves of the rows share",
            "agreement": f"{shared} the experiment's own model has too",
            "true_precision": f"{shared} are of label 1 in truth",
            "true_recall": f"share of true cases that are among the first {self.budget}",
        }
        return [
            Measure(
                f"{name}@{self.budget}",
                meaning=meaning,
                better="high",
                units="rows" if name == "injected_recall" else "cases",
                beside="always",
            )
            for name, meaning in meanings.items()
        ]

    def check_names(self) -> None:
        """Refuse a headline that is none of its metrics."""
        check_headline(self.headline, self.measures(Table(DataFrame(), Roles())))

    def check_models(self, models: Mapping[str, Classifier], frame: Table) -> None:
        """Refuse a model that learns from labels alone where there are too few, an empty queue, and
        facts that cannot be.

        Raises:
            ConfigError: With the model or the option.
        """
        check_facts(frame)
        check_values(frame)
        if not frame.inputs and not any(model.uses_features for model in models.values()):
            raise ConfigError("dataset.roles.covariate: must name what models read, got none.")
        if self.most_labels is not None and not frame.roles.get("time"):
            raise ConfigError(
                "protocol.most_labels: must be null for rows without a time, whose labels have no "
                "order."
            )
        if not self.in_queue(frame).any():
            last = (
                f"of the last {self.queue_days} days "
                if self.queue_days and frame.roles.get("time")
                else ""
            )
            raise ConfigError(
                f"protocol: no row {last}is without a label, so that none is left to be reviewed."
            )
        known = frame.column("label").cast(pl.Float64).drop_nulls()
        none = self.most_labels == 0 or known.n_unique() < 2
        lone = next((name for name, model in models.items() if model.supervised), None)
        if lone is not None and none:
            raise ConfigError(
                f"model: '{lone}' learns from labels of both kinds, of which there are none yet;"
                " take anomaly/... or classify/few_labels until some have come back."
            )

    def warnings_before(self, frame: Table, models: Mapping[str, Classifier]) -> list[str]:
        """Return how many rows and labels there are, and what the numbers can tell."""
        label = frame.column("label").cast(pl.Float64)
        known, positive = len(label.drop_nulls()), int((label == 1).sum())
        queued = int(self.in_queue(frame).sum())
        limit = (
            ""
            if self.most_labels is None
            else f", of which {self.most_labels:,} are shown to models"
        )
        seen = f"{counted(known, 'labels')} have come back, {positive:,} of them 1{limit}"
        return [
            f"{counted(queued, 'rows')} are in the queue; {seen}.",
            "Injected anomalies are the only measure without labels: who misses them is blind, "
            "who finds them may be.",
        ]

    def corrupt_after(self, frame: Table, cutoff: Any, rng: np.random.Generator) -> Table:
        """Return the table as it is: all of it is known when it is ranked, and the truth is given
        to nobody.
        """
        truth = frame.roles.get("truth", ())
        order = rng.permutation(frame.height)
        return replace(
            frame, data=frame.data.with_columns(frame.data[name][order] for name in truth)
        )

    def predictions_at(self, rows: DataFrame, cutoff: Moment | HeldOut, frame: Table) -> DataFrame:
        """Return the predictions of the rows without their outcomes."""
        return self.predictions_only(rows)

    def fit_all(self, model: Classifier, frame: Table, context: RunContext) -> FittedClassifier:
        """Return the model fitted on all rows."""
        rows = RowContext.of(context)
        return model.fit(self.parts(frame, rows)[0], context=rows)

    def predict_new(self, fitted: FittedClassifier, frame: Table, context: RunContext) -> DataFrame:
        """Return a saved model's predictions of the rows of the queue."""
        _, queue = self.parts(frame, RowContext.of(context))
        return row_predictions(fitted, queue, frame, "new", self.explained)
