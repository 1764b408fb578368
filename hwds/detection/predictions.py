"""Predictions of rows with all that metrics need, importances of inputs, the record of rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import polars as pl

from hwds.core.seeds import stream, stream_key
from hwds.detection.inputs import UsualValues
from hwds.detection.metrics import flag_top_entities
from hwds.detection.models.base import REST, Contributions, FittedClassifier
from hwds.detection.reasons import companion_inputs, input_subject
from hwds.detection.rows import RowContext, distinct_codes, entities_of_rows
from hwds.evaluation.protocol import Score
from hwds.frames.table import ROW_ID, RowReader, Table
from hwds.results.tables import Measure
from hwds.stats.estimates import clustered_wilson

# The back-test of rules: how many rows to come each named, how many of those were of label 1,
# and their money.

RULE_COLUMN = "rules"
"""A column of scored rows: the names of the rules that a row meets; null for models without any."""

RULE_RATE, RULE_HITS, RULE_MONEY = "rule_hit_rate", "rule_rows", "rule_money"


def rule_scores(rows: pl.DataFrame) -> Iterator[Score]:
    """Yield for each rule of one model its rows, the share of label 1 among those looked at, and
    the money in that.
    """
    if RULE_COLUMN not in rows.columns or not rows[RULE_COLUMN].count():
        return
    each = rows.drop_nulls(RULE_COLUMN).explode(RULE_COLUMN).drop_nulls(RULE_COLUMN)
    for (name,), part in each.group_by(RULE_COLUMN, maintain_order=True):
        fields = {"segment_by": "rule", "segment": str(name)}
        known = part.filter(pl.col("label").is_not_null() & (pl.col("weight") > 0))
        yield Score(RULE_HITS, "pooled", float(len(part)), n=len(part), **fields)  # type: ignore[arg-type]
        if len(known):
            found = int((known["label"] == 1).sum())
            low, high = clustered_wilson(
                found / len(known), len(known), entities_of_rows(known).n_unique(), None
            )
            ends = {"ci_low": low, "ci_high": high, "ci_method": "Wilson"}
            yield Score(RULE_RATE, "pooled", found / len(known), n=len(known), **ends, **fields)  # type: ignore[arg-type]
        if part["amount"].count():
            gray = float(part.filter(label=1)["amount"].sum())
            yield Score(RULE_MONEY, "pooled", gray, n=len(part), **fields)  # type: ignore[arg-type]


def rule_measures(unit: str) -> list[Measure]:
    """Return the meanings of these metrics."""
    return [
        Measure(RULE_HITS, meaning="rows to come that a rule named", better="none", units="rows"),
        Measure(
            RULE_RATE,
            meaning="share of label 1 among those of them that were looked at",
            better="none",
            units="rows",
        ),
        Measure(
            RULE_MONEY,
            meaning="the amount of those of label 1",
            better="none",
            units="rows",
            measured_in=unit,
        ),
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
        fit: Fits the model anew under a context's seed.
        first: The model that scored the rows.
        rows: The rows with their inputs.
        context: Of the first fit.
        seeds: Fits, the first one included.
        most: Rows that the mean is over, drawn by their ids: the same for every model.
    """
    shown = draw_rows(rows, most, context.seed)
    return list(_by_seed(fit, first, shown, context, seeds)) if len(shown.data) else None


def with_importances(rows: pl.DataFrame, values: list[dict[str, object]] | None) -> pl.DataFrame:
    """Return scored rows with a column for importances, filled in the first of them."""
    borne = [values, *[None] * (len(rows) - 1)][: len(rows)]
    return rows.with_columns(pl.Series(IMPORTANCE_COLUMN, borne, dtype=IMPORTANCES_TYPE))


def draw_rows(rows: Table, most: int, seed: int) -> Table:
    """Return so many of the rows at most, drawn at random by their ids, in their order."""
    ids = rows.data[ROW_ID].to_numpy()
    random = stream(seed, "importances").random(int(ids.max(initial=-1)) + 1)[ids]
    chosen = np.zeros(len(ids), bool)
    chosen[np.argsort(random, kind="stable")[:most]] = True
    return rows.filter(chosen)


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
        for of, part in (
            (INPUT, contributions),
            (SUBJECT, contributions_by_subject(contributions)),
        ):
            for name, adds in zip(
                part.names, np.abs(part.values).mean(axis=0).tolist(), strict=True
            ):
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


def importance_scores(rows: pl.DataFrame) -> Iterator[Score]:
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
    each = (
        pl.DataFrame({"window": rows["cutoff"], "importance": column})
        .drop_nulls()
        .explode("importance")
        .unnest("importance")
    )
    share = (
        (pl.col("adds") / pl.col("adds").sum().over("window", "seed", "of"))
        .fill_nan(0.0)
        .alias("share")
    )
    shared = each.with_columns(share)
    windows = shared.partition_by("window", as_dict=True, maintain_order=True)
    yield from _window_importances(shared, len(windows), None)
    if len(windows) > 1:
        for (window,), part in windows.items():
            yield from _window_importances(part, 1, str(window))


def _window_importances(rows: pl.DataFrame, windows: int, cutoff: str | None) -> Iterator[Score]:
    """Yield the scores of windows; an input that a window does not have adds nothing there."""
    seeds = rows["seed"].n_unique()
    sums = rows.group_by("of", "name", "seed", maintain_order=True).agg(
        pl.col("adds", "share").sum() / windows, pl.col("n").sum()
    )
    for (of, name), part in sums.partition_by(
        "of", "name", as_dict=True, maintain_order=True
    ).items():
        fields = {
            "n": int(part["n"].max()),  # type: ignore[arg-type]
            "segment_by": str(of),
            "segment": str(name),
            "cutoff": cutoff,
        }
        for metric, column in ((IMPORTANCE_SUM, "adds"), (IMPORTANCE_SHARE, "share")):
            yield _importance_score(
                metric, [*part[column].to_list(), *[0.0] * (seeds - len(part))], fields
            )


def _importance_score(metric: str, values: Sequence[float], fields: dict[str, Any]) -> Score:
    mean = float(np.mean(values)) if min(values) < max(values) else values[0]
    if len(values) == 1:
        return Score(metric, "mean", mean, **fields)
    return Score(
        metric,
        "mean",
        mean,
        ci_low=min(values),
        ci_high=max(values),
        ci_method=f"range of {len(values)} seeds",
        **fields,
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


def row_predictions(
    fitted: FittedClassifier, rows: Table, source: Table, part: str, explained: int
) -> pl.DataFrame:
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
    return pl.DataFrame(
        {
            ROW_ID: facts[ROW_ID],
            "id": _role_column(source, facts, "id").cast(pl.String),
            "part": pl.Series([part]).new_from_index(0, len(facts)),
            "time": facts[source.name("time")]
            if source.roles.get("time")
            else _null_column(len(facts), pl.Datetime("us")),
            "entity": _role_column(source, facts, "entity").cast(pl.String),
            "label": facts[source.name("label")].cast(pl.Float64),
            "truth": (
                facts[truth]
                if (truth := truth_column(source))
                else _null_column(len(facts), pl.Float64)
            ).cast(pl.Float64),
            "weight": _label_weights(source, facts),
            "amount": _role_column(source, facts, "amount").cast(pl.Float64),
            "score": scored.score,
            "probability": _number_column(scored.probability, len(facts)),
            "probability_low": _number_column(
                scored.interval[0] if scored.interval is not None else None, len(facts)
            ),
            "probability_high": _number_column(
                scored.interval[1] if scored.interval is not None else None, len(facts)
            ),
            "p_value": _number_column(scored.p_value, len(facts)),
            "reasons": _top_reasons(fitted, rows, scored.score, explained),
            RULE_COLUMN: _rules_met(fitted.scorer, rows),
        }
    )


def _rules_met(scorer: Any, rows: Table) -> pl.Series:
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
    return pl.Series(
        [[name for part in row for name in part] for row in zip(*parts, strict=True)],
        dtype=pl.List(pl.String),
    )


def with_flags(rows: pl.DataFrame, k: int) -> pl.DataFrame:
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
        day = tested.select(pl.struct("fold", pl.col("day").fill_null(0))).to_series()
        flags[test] = flag_top_entities(
            tested["score"].to_numpy(),
            distinct_codes(entities_of_rows(tested)),
            distinct_codes(day),
            k,
        )
    return rows.with_columns(
        flagged=pl.when(pl.col("part") == "test").then(pl.Series("flagged", flags))
    )


def truth_column(table: Table) -> str:
    """Return the column of the truth; empty where there is none, or where it equals the labels."""
    names = table.roles.get("truth", ())
    if (
        not names
        or table.column("label")
        .cast(pl.Float64)
        .eq_missing(table.data[names[0]].cast(pl.Float64))
        .all()
    ):
        return ""
    return names[0]


def _role_column(source: Table, rows: pl.DataFrame, role: str) -> pl.Series:
    names = source.roles.get(role, ())
    return rows[names[0]] if names else _null_column(len(rows), pl.Float64)


def _null_column(n: int, kind: pl.DataType | type[pl.DataType]) -> pl.Series:
    return pl.Series([None], dtype=kind).new_from_index(0, n)


def _number_column(values: np.ndarray | None, n: int) -> pl.Series:
    return _null_column(n, pl.Float64) if values is None else pl.Series(values, dtype=pl.Float64)


def _label_weights(source: Table, rows: pl.DataFrame) -> pl.Series:
    """Return how many rows each labelled one stands for: one over the chance that its label was
    looked for.

    0 where that chance is not known: a row investigated on suspicion stands for no other. 1 where
    the data has no such role.
    """
    if not source.roles.get("label_propensity"):
        return pl.Series([1.0]).new_from_index(0, len(rows))
    return (1 / _role_column(source, rows, "label_propensity").cast(pl.Float64)).fill_null(0.0)


def _top_reasons(
    fitted: FittedClassifier, table: Table, score: np.ndarray, explained: int
) -> pl.Series:
    """Return the reasons of the rows with the highest scores; null for all others."""
    reasons: list[list[dict[str, object]] | None] = [None] * len(score)
    top = np.sort(np.argsort(-score, kind="stable")[:explained])
    if len(top):
        mask = np.zeros(len(score), bool)
        mask[top] = True
        rows = table.filter(mask)
        for place, inputs in zip(
            top.tolist(), main_inputs(fitted.explain(rows), rows, fitted.usual), strict=True
        ):
            reasons[place] = inputs
    return pl.Series("reasons", reasons, dtype=REASONS_TYPE)


def main_inputs(
    contributions: Contributions, rows: RowReader, usual: UsualValues
) -> list[list[dict[str, object]]]:
    """Return for each row the inputs that add the most to its score, the largest first, with their
    values as text.

    Those that make one of them readable come behind, whatever they add: what peers do, and what
    they are compared with.

    Args:
        contributions: Of the inputs of each row.
        rows: The rows.
        usual: Quantiles and shares of the inputs among the rows that were learned from.
    """
    numbers = rows.numbers(usual.names)
    columns = {name: place for place, name in enumerate(usual.names)}
    order = np.argsort(-contributions.values, axis=1, kind="stable")[:, :MOST_INPUTS]
    places = {name: place for place, name in enumerate(contributions.names)}
    texts = cache(rows.texts)
    reasons: list[list[dict[str, object]]] = []
    for row, first in enumerate(order.tolist()):
        main = [
            contributions.names[place]
            for place in first
            if contributions.values[row, place] > 0 and contributions.names[place] != REST
        ]
        beside = (
            other
            for name in main
            for other in companion_inputs(name)
            if other in places or name in contributions.records
        )
        adds = {
            name: float(contributions.values[row, places[name]]) if name in places else 0.0
            for name in (*main, *beside)
        }
        reasons.append([])
        for name, added in adds.items():
            text = contributions.records.get(name, texts(name)[row])
            number = columns.get(name)
            below, above = (
                (None, None) if number is None else usual.ranks(name, numbers[row, number])
            )
            share, above = usual.text_shares(name, text) if number is None else (None, above)
            said = {
                "input": name,
                "value": text,
                "adds": added,
                "below": below,
                "above": above,
                "share": share,
            }
            reasons[-1].append(said)
    return reasons
