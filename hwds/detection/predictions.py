"""Predictions of rows with what metrics and decisions need, importances and records of rules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

import numpy as np
import polars as pl
from polars import DataFrame, Series, col

from hwds.core.errors import ConfigError
from hwds.core.seeds import stream, stream_key
from hwds.detection.inputs import UsualValues
from hwds.detection.metrics import flag_top_entities
from hwds.detection.models.base import REST, Contributions, FittedClassifier
from hwds.detection.reasons import companion_inputs, input_subject
from hwds.detection.rows import RowContext, distinct_codes, draw_by_id, entities_of_rows
from hwds.evaluation.protocol import Score
from hwds.evaluation.row_folds import label_arrivals, row_arrivals
from hwds.frames.table import ROW_ID, RowReader, Table
from hwds.results.tables import Measure, Tables
from hwds.stats.estimates import clustered_wilson

# The back-test of rules: how many rows to come each named, how many of those were of label 1,
# and their money.

RULE_COLUMN = "rules"
"""A column of scored rows: the names of the rules that a row meets; null for models without any."""

RULE_RATE, RULE_HITS, RULE_MONEY = "rule_hit_rate", "rule_rows", "rule_money"


def rule_scores(rows: DataFrame) -> Iterator[Score]:
    """Yield for each rule of one model its rows, the share of label 1 among those looked at, and
    the money in that.
    """
    if RULE_COLUMN not in rows.columns or not rows[RULE_COLUMN].count():
        return
    each = rows.drop_nulls(RULE_COLUMN).explode(RULE_COLUMN).drop_nulls(RULE_COLUMN)
    for (name,), part in each.group_by(RULE_COLUMN, maintain_order=True):

        def score(metric: str, value: float, n: int, rule: str = str(name), **ends: Any) -> Score:
            return Score(metric, "pooled", value, n=n, segment_by="rule", segment=rule, **ends)

        yield score(RULE_HITS, float(len(part)), len(part))
        known = part.filter(col("label").is_not_null(), col("weight") > 0)
        found, looked = part.filter(label=1), len(known)
        if looked:
            share = int((known["label"] == 1).sum()) / looked
            low, high = clustered_wilson(share, looked, entities_of_rows(known).n_unique(), None)
            yield score(RULE_RATE, share, looked, ci_low=low, ci_high=high, ci_method="Wilson")
        if part["amount"].count():
            yield score(RULE_MONEY, float(found["amount"].sum()), len(part))


def rule_measures(unit: str) -> list[Measure]:
    """Return the meanings of these metrics."""
    meanings = {
        RULE_HITS: "rows to come that a rule named",
        RULE_RATE: "share of label 1 among those of them that were looked at",
        RULE_MONEY: "the amount of those of label 1",
    }
    return [
        Measure(
            name,
            meaning=meaning,
            better="none",
            units="rows",
            measured_in=unit if name == RULE_MONEY else "",
        )
        for name, meaning in meanings.items()
    ]


# Importances: the mean absolute contribution of each input to scores, under several seeds of
# the fit.

IMPORTANCE_COLUMN = "importances"
"""A column of scored rows: the result of `mean_contributions` for their window, in its first row.
"""

IMPORTANCES_TYPE = pl.List(
    pl.Struct(
        {"seed": pl.Int32, "of": pl.String, "name": pl.String, "adds": pl.Float64, "n": pl.Int64}
    )
)
"""The mean absolute contribution over n rows of each input, and of all inputs of one subject
(`of`), by the seed of the fit.
"""

INPUT, SUBJECT = "input", "subject"
IMPORTANCE_SUM, IMPORTANCE_SHARE = "importance", "importance_share"

FitRows = Callable[[RowContext], FittedClassifier]


def mean_contributions(
    fit: FitRows,
    first: FittedClassifier,
    rows: Table,
    context: RowContext,
    *,
    seeds: int,
    most: int,
) -> list[dict[str, object]] | None:
    """Return the mean absolute contributions of inputs over rows; None where there are no rows.

    Args:
        fit: The function that fits the model again, under a context's seed.
        first: The model that scored the rows.
        rows: The rows with their inputs.
        context: The context of the first fit.
        seeds: Fits, the first one included.
        most: Rows that the mean is over, drawn by their ids: the same for every model.
    """
    shown = draw_rows(rows, most, context.seed)
    return list(_by_seed(fit, first, shown, context, seeds)) if len(shown.data) else None


def in_first_row(rows: DataFrame, name: str, value: Any, kind: Any) -> DataFrame:
    """Return the rows with a column that is filled in the first of them."""
    values = [value, *[None] * (len(rows) - 1)][: len(rows)]
    return rows.with_columns(Series(name, values, dtype=kind))


def with_importances(rows: DataFrame, values: list[dict[str, object]] | None) -> DataFrame:
    """Return scored rows with a column for importances, filled in the first of them."""
    return in_first_row(rows, IMPORTANCE_COLUMN, values, IMPORTANCES_TYPE)


def draw_rows(rows: Table, most: int, seed: int) -> Table:
    """Return so many of the rows at most, drawn at random by their ids, in their order."""
    ids = rows.data[ROW_ID].to_numpy()
    return rows.filter(draw_by_id(ids, most, stream(seed, "importances")))


def _by_seed(
    fit: FitRows, first: FittedClassifier, rows: Table, context: RowContext, seeds: int
) -> Iterator[dict[str, object]]:
    """Yield importances by seed.

    A model whose second fit equals the first to the bit is fitted no more.
    """
    parts = [first.explain(rows)]
    for seed in range(1, seeds):
        if seed == 2 and np.array_equal(parts[0].values, parts[1].values):
            parts += [parts[0]] * (seeds - 2)
            break
        seeded = replace(context, seed=stream_key(context.seed, "importances", seed) % 2**31)
        parts.append(fit(seeded).explain(rows))
    for seed, contributions in enumerate(parts):
        by_subject = contributions_by_subject(contributions)
        for of, part in ((INPUT, contributions), (SUBJECT, by_subject)):
            means = np.abs(part.values).mean(axis=0).tolist()
            for name, adds in zip(part.names, means, strict=True):
                yield {"seed": seed, "of": of, "name": name, "adds": adds, "n": len(part.values)}


def contributions_by_subject(contributions: Contributions) -> Contributions:
    """Return contributions by subject: those of inputs that share one sentence of reasons as
    one.
    """
    subjects = [input_subject(name) for name in contributions.names]
    names = tuple(dict.fromkeys(subjects))
    place = {name: i for i, name in enumerate(names)}
    values = np.zeros((len(contributions.values), len(names)))
    for i, each in enumerate(subjects):
        values[:, place[each]] += contributions.values[:, i]
    return Contributions(names, contributions.base, values)


def importance_scores(rows: DataFrame) -> Iterator[Score]:
    """Yield the mean absolute contribution of each input, and its share of the sum: over all
    windows, then of each.

    The interval is the lowest and the highest of the seeds, each the mean over its windows: it says
    how far importances depend on the seed of a fit, and nothing about other rows.

    Args:
        rows: The test rows of one model, of all its windows.
    """
    column = rows.get_column(IMPORTANCE_COLUMN, default=None)
    if column is None or not column.count():
        return
    each = DataFrame({"window": rows["cutoff"], "importance": column}).drop_nulls()
    total = col("adds").sum().over("window", "seed", "of")
    shared = (
        each.explode("importance")
        .unnest("importance")
        .with_columns(share=(col("adds") / total).fill_nan(0.0))
    )
    windows = shared.partition_by("window", as_dict=True, maintain_order=True)
    yield from _window_importances(shared, len(windows), None)
    if len(windows) > 1:
        for (window,), part in windows.items():
            yield from _window_importances(part, 1, str(window))


def _window_importances(rows: DataFrame, windows: int, cutoff: str | None) -> Iterator[Score]:
    """Yield the scores of windows; an input that a window does not have adds nothing there."""
    seeds = rows["seed"].n_unique()
    sums = rows.group_by("of", "name", "seed", maintain_order=True).agg(
        col("adds", "share").sum() / windows, col("n").sum()
    )
    for part in sums.partition_by("of", "name", maintain_order=True):
        of, name = part.row(0)[:2]
        for metric, column in ((IMPORTANCE_SUM, "adds"), (IMPORTANCE_SHARE, "share")):
            values = [*part[column].to_list(), *[0.0] * (seeds - len(part))]
            low, high = min(values), max(values)
            ends: dict[str, Any] = (
                {"ci_low": low, "ci_high": high, "ci_method": f"range of {seeds} seeds"}
                if seeds > 1
                else {}
            )
            yield Score(
                metric,
                "mean",
                float(np.mean(values)) if low < high else low,
                n=int(part["n"].max()),  # type: ignore[arg-type]
                segment_by=of,
                segment=name,
                cutoff=cutoff,
                **ends,
            )


# Scored rows: the predictions of a fitted classifier, with all that metrics need.

REASONS_TYPE = pl.List(
    pl.Struct(
        {"input": pl.String, "value": pl.String}
        | dict.fromkeys(("adds", "below", "above", "share"), pl.Float64)
    )
)
"""The contributions of a row's main inputs to its score, the largest first; see
`reasons.sentences.Fact`.
"""

MOST_INPUTS = 5
"""Inputs that a row's reasons name."""

NO_ROWS = DataFrame(
    schema={
        **dict.fromkeys(("model", "part", "cutoff", "entity"), pl.String),
        **dict.fromkeys(("fold", "row_id", "day"), pl.Int64),
        **dict.fromkeys(("label", "truth", "weight", "score", "probability"), pl.Float64),
        "reasons": REASONS_TYPE,
    }
)
"""The rows of a run that predicted nothing."""


def scored_rows(tables: Tables, **which: str) -> DataFrame:
    """Return the scored rows of a run whose columns have these values."""
    return (tables.predictions if tables.predictions.width else NO_ROWS).filter(**which)


def row_predictions(
    fitted: FittedClassifier, rows: Table, source: Table, part: str, explained: int
) -> DataFrame:
    """Return one row for each scored row: its number, id, time and entity, its outcome, and its
    predictions.

    Args:
        fitted: The model.
        rows: The rows with all inputs; its labels are not read.
        source: The whole table, for their outcomes.
        part: The name of their window.
        explained: Rows, those of the highest scores, that get reasons.
    """
    scored = fitted.score_rows(rows)
    facts = rows.data.select(ROW_ID).join(source.data, on=ROW_ID, how="left", maintain_order="left")
    low, high = (None, None) if scored.interval is None else scored.interval
    truth = truth_column(source)
    columns = {
        ROW_ID: facts[ROW_ID],
        "id": _role_column(source, facts, "id", pl.String),
        "part": pl.repeat(part, len(facts), eager=True),
        "time": _role_column(source, facts, "time", None),
        "entity": _role_column(source, facts, "entity", pl.String),
        "label": _role_column(source, facts, "label"),
        "truth": facts[truth].cast(pl.Float64) if truth else None,
        "weight": _label_weights(source, facts),
        "amount": _role_column(source, facts, "amount"),
        "score": scored.score,
        "probability": scored.probability,
        "probability_low": low,
        "probability_high": high,
        "p_value": scored.p_value,
        "reasons": _top_reasons(fitted, rows, scored.score, explained),
        RULE_COLUMN: _rules_met(fitted.scorer, rows),
    }
    kinds: dict[str, Any] = {"id": pl.String, "time": pl.Datetime("us"), "entity": pl.String}
    return DataFrame(
        {
            name: _null_column(len(facts), kinds.get(name, pl.Float64))
            if column is None
            else column
            for name, column in columns.items()
        }
    )


def _rules_met(scorer: Any, rows: Table) -> Series:
    """Return the rules that each row meets, of a scorer or of the members of a stack.

    Null where there are none.
    """
    ruled = [
        each
        for each in (scorer, *(member.scorer for member in getattr(scorer, "members", ())))
        if hasattr(each, "hits")
    ]
    if not ruled:
        return _null_column(rows.height, pl.List(pl.String))
    parts = [each.hits(rows) for each in ruled]
    return Series(
        [[name for part in row for name in part] for row in zip(*parts, strict=True)],
        dtype=pl.List(pl.String),
    )


def with_flags(rows: DataFrame, k: int) -> DataFrame:
    """Return the rows with `flagged`: true for test rows of one of the k entities with the highest
    scores of their day.

    Labelled or not, all rows of a fold compete; those of the deciding window are null.

    Args:
        rows: Scored rows of one model, of one fold or of several, with the number of each one's
            `fold`.
        k: Entities that can be looked at on a day.
    """
    test = (rows["part"] == "test").to_numpy()
    flags, tested = np.zeros(len(rows), bool), rows.filter(test)
    if len(tested):
        day = tested.select(pl.struct("fold", col("day").fill_null(0))).to_series()
        entities = distinct_codes(entities_of_rows(tested))
        scores = tested["score"].to_numpy()
        flags[test] = flag_top_entities(scores, entities, distinct_codes(day), k)
    return rows.with_columns(flagged=pl.when(Series(test)).then(Series(flags)))


def truth_column(table: Table) -> str:
    """Return the column of the truth; empty where there is none, or where it equals the labels."""
    names = table.roles.get("truth", ())
    label = table.column("label").cast(pl.Float64)
    if not names or label.eq_missing(table.data[names[0]].cast(pl.Float64)).all():
        return ""
    return names[0]


def _role_column(
    source: Table, rows: DataFrame, role: str, kind: Any = pl.Float64
) -> Series | None:
    """Return the column of a role as some kind, or as it is; None where there is none."""
    names = source.roles.get(role, ())
    if not names:
        return None
    return rows[names[0]] if kind is None else rows[names[0]].cast(kind)


def _null_column(n: int, kind: pl.DataType | type[pl.DataType]) -> Series:
    return Series([None], dtype=kind).new_from_index(0, n)


def _label_weights(source: Table, rows: DataFrame) -> Series:
    """Return how many rows each labelled one stands for: one over the chance that its label was
    looked for.

    0 where that chance is not known: a row investigated on suspicion stands for no other. 1 where
    the data has no such role.
    """
    chance = _role_column(source, rows, "label_propensity")
    if chance is None:
        return pl.repeat(1.0, len(rows), eager=True)
    return (1 / chance).fill_null(0.0)


def _top_reasons(
    fitted: FittedClassifier, table: Table, score: np.ndarray, explained: int
) -> Series:
    """Return the reasons of the rows with the highest scores; null for all others."""
    reasons: list[list[dict[str, object]] | None] = [None] * len(score)
    top = np.sort(np.argsort(-score, kind="stable")[:explained])
    if len(top):
        rows = table.filter(np.isin(np.arange(len(score)), top))
        inputs = main_inputs(fitted.explain(rows), rows, fitted.usual)
        for place, of_row in zip(top.tolist(), inputs, strict=True):
            reasons[place] = of_row
    return Series("reasons", reasons, dtype=REASONS_TYPE)


def main_inputs(
    contributions: Contributions, rows: RowReader, usual: UsualValues
) -> list[list[dict[str, object]]]:
    """Return for each row the inputs that add the most to its score, the largest first, with their
    values as text.

    Those that make one of them readable come behind, whatever they add: what peers do, and what
    they are compared with.

    Args:
        contributions: The contributions of the inputs of each row.
        rows: The rows.
        usual: Quantiles and shares of the inputs among the rows that were learned from.
    """
    numbers = rows.numbers(usual.names)
    columns = {name: place for place, name in enumerate(usual.names)}
    places = {name: place for place, name in enumerate(contributions.names)}
    order = np.argsort(-contributions.values, axis=1, kind="stable")[:, :MOST_INPUTS]
    texts = cache(rows.texts)

    def reason(row: int, name: str) -> dict[str, object]:
        adds = float(contributions.values[row, places[name]]) if name in places else 0.0
        text = contributions.records.get(name, texts(name)[row])
        if name in columns:
            below, above = usual.ranks(name, numbers[row, columns[name]])
            share = None
        else:
            below, (share, above) = None, usual.text_shares(name, text)
        shares = {"below": below, "above": above, "share": share}
        return {"input": name, "value": text, "adds": adds, **shares}

    reasons = []
    for row, first in enumerate(order.tolist()):
        main = [
            contributions.names[place]
            for place in first
            if contributions.values[row, place] > 0 and contributions.names[place] != REST
        ]
        companions = [
            other
            for name in main
            for other in companion_inputs(name)
            if other in places or name in contributions.records
        ]
        reasons.append([reason(row, name) for name in dict.fromkeys((*main, *companions))])
    return reasons


# The evidence that a decision on alerts reads: scored rows with their day, what is at stake, and

PREDICTED = (
    "fold",
    "cutoff",
    "part",
    ROW_ID,
    "id",
    "time",
    "entity",
    "label",
    "truth",
    "weight",
    "score",
    "probability",
    "probability_low",
    "probability_high",
    "p_value",
    "reasons",
)
"""The columns of predictions that evidence has as they are."""

EVIDENCE = (*PREDICTED, "loss", "day_id", "known_at", "kind", "unlabelled")
"""Columns of the evidence, one row a scored row, in the order of part, fold, day and row.

`part` is `decide` for rows before a cutoff from which a rule is chosen and `test` for those after
it. `loss` is what is at stake, in the frame's unit; `day_id` the day of arrival, counted from 1970;
`known_at` when the label arrives; `kind` the kind of buyer, null where nobody says; `unlabelled`
what a row without a label counts as, null where it is left out.
"""


class AlertEvidence(ABC):
    """A protocol whose results a policy of alerts can be chosen from and tested on
    (`decision=alert_policy`).

    Attributes:
        wrong_block: What it costs to block an honest row; None where the decision has to say so.
    """

    wrong_block: float | None

    def check_alerts(self, decision: str) -> None:
        """Refuse settings under which it has no evidence; called before the data is loaded.

        Args:
            decision: The name of the decision.

        Raises:
            ConfigError: With the field and its value.
        """
        return

    @abstractmethod
    def alert_evidence(self, tables: Tables, frame: Table, model: str, kind: str) -> DataFrame:
        """Return the scored rows of a model; see `EVIDENCE`.

        Args:
            tables: The tables of the run.
            frame: The data of the run.
            model: The model whose scores count.
            kind: The column of kinds of buyers; empty where there is none.

        Raises:
            ConfigError: The model has no probabilities.
        """


def alert_evidence_rows(
    tables: Tables, frame: Table, model: str, kind: str, *, delay_days: int, unlabelled: str
) -> DataFrame:
    """Return the evidence of scored rows; see `AlertEvidence.alert_evidence`.

    Args:
        tables: The tables of the run.
        frame: The data of the run.
        model: The model whose scores count.
        kind: The column of kinds of buyers; empty where there is none.
        delay_days: The days after which a label arrives, where the data does not say.
        unlabelled: `exclude`, or else rows without a label are honest and each stands for itself.

    Raises:
        ConfigError: The model has no probabilities.
    """
    predictions = scored_rows(tables, model=model)
    if predictions.is_empty():
        return predictions
    if predictions["probability"].null_count():
        raise ConfigError(
            f"decision: model '{model}' has no probabilities for its scores;"
            " set model.calibration (platt, bayes, beta, isotonic)."
        )
    day = row_arrivals(frame).dt.date().cast(pl.Int32).cast(pl.Int64)
    facts = frame.data.select(
        ROW_ID,
        day_id=day,
        known_at=label_arrivals(frame, delay_days),
        kind=col(kind).cast(pl.String) if kind else pl.lit(None, pl.String),
    )
    rows = predictions.select(*PREDICTED, loss=col("amount")).join(
        facts, on=ROW_ID, how="left", maintain_order="left"
    )
    honest = unlabelled != "exclude"
    rows = rows.with_columns(
        weight=pl.lit(1.0) if honest else col("weight"),
        unlabelled=pl.lit(0.0 if honest else None, pl.Float64),
    )
    return rows.select(EVIDENCE).sort("part", "fold", "day_id", ROW_ID)


def rows_tested(rows: DataFrame) -> DataFrame:
    """Return the test rows, with the labels that they got in the end."""
    return rows.filter(part="test").with_columns(col("label").fill_null(col("unlabelled")))


def deciding_rows(rows: DataFrame, cutoff: str) -> DataFrame:
    """Return the rows of all deciding windows up to that of a cutoff, with the labels that had
    arrived by it.

    Each day of each window counts apart, for its rows were scored by a model of its own.
    """
    begin = datetime.fromisoformat(cutoff)
    early = rows.filter(col("cutoff") <= cutoff, part="decide")
    known = pl.when(col("known_at") <= begin).then(col("label"))
    apart = (col("fold").cast(pl.Int64) * 10_000_000 + col("day_id")).alias("day_id")
    return early.with_columns(known.fill_null(col("unlabelled")).alias("label"), apart)
