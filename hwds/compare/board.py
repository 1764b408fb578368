"""The leaderboard of a comparison, and what is to be known before it is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import polars as pl

from hwds.compare.answers import Answer
from hwds.compare.contrasts import Scale
from hwds.compare.evidence import Evidence, UnitEvidence, shares_of
from hwds.results.comparison import LEADERBOARD
from hwds.results.formatting import counted
from hwds.results.measure import Measure
from hwds.statistics.model_confidence_set import confidence_set
from hwds.statistics.ranks import rank_rows

COUNTED = ("n_undefined", "n_failed", "n_fallback")
"""The counts of the scores table that are added up over runs."""


def leaderboard(evidence: Evidence, measure: Measure, answers: Sequence[Answer], scale: Scale, metric: str) -> pl.DataFrame:
    """Return one row a model, the best first; see `hwds.results.comparison.LEADERBOARD`."""
    values, means, errors = evidence.unit_values(), evidence.means, evidence.errors
    blocks, _ = evidence.blocks()
    ranks = rank_rows(blocks, measure.better).mean(axis=0)
    wins = None if values is None else _wins(values, measure.better)
    set_p = _set_p(evidence, scale)
    counts = _counts(answers, metric) if answers else {}
    reference = evidence.models.index(measure.reference) if measure.reference in evidence.models else None
    n = len(values) if values is not None else _rows(answers)
    rows = []
    for place, model in enumerate(evidence.models):
        skill = None if reference is None else _skill(means, place, reference, scale)
        rows.append(
            (
                model,
                float(means[:, place].mean()),
                _defined(errors[place]),
                None if values is None else float(np.median(values[:, place])),
                float(ranks[place]),
                None if wins is None else float(wins[place]),
                skill,
                None if set_p is None else float(set_p[place]),
                n,
                *counts.get(model, (0, 0, 0, None)),
            )
        )
    table = pl.DataFrame(rows, schema=LEADERBOARD, orient="row")
    order = pl.Series(scale.ahead(means))
    return table.with_columns(order=order).sort("order", descending=True, maintain_order=True).drop("order")


def _set_p(evidence: Evidence, scale: Scale) -> np.ndarray | None:
    draws = evidence.draws()
    if draws is None or len(draws) < 2:
        return None
    sign = 1.0 if scale.low else -1.0
    return confidence_set(sign * shares_of(evidence.means), sign * draws)


def _skill(means: np.ndarray, place: int, reference: int, scale: Scale) -> float | None:
    return scale.as_share(float(scale.between(means[:, place], means[:, reference]).mean())) if scale.relative else None


def _wins(values: np.ndarray, better: str) -> np.ndarray:
    """Return the mean share of units that each model wins against each other, ties half, by its ranks, shape (models,)."""
    count = values.shape[1]
    return (count - rank_rows(values, better).mean(axis=0)) / (count - 1)


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _rows(answers: Sequence[Answer]) -> int:
    first = answers[0].model
    return sum(int((answer.rows["part"] == "test").sum()) for answer in answers if answer.model == first)


def _counts(answers: Sequence[Answer], metric: str) -> dict[str, tuple[int, int, int, float]]:
    """Return the undefined units, failed answers, fallbacks and seconds of each model in all its runs."""
    sources = {source: place for place, source in enumerate(dict.fromkeys(answer.source for answer in answers))}
    columns = [(each.model, sources[each.source], each.label, each.source.metric(metric)) for each in answers]
    labels = pl.DataFrame(columns, schema=["called", "source", "model", "metric"], orient="row")
    whole_run = pl.all_horizontal(pl.col("fold", "step", "segment").is_null()) & (pl.col("aggregate") == "mean")
    scores = _stacked([each.tables.scores.filter(whole_run).select("model", "metric", *COUNTED) for each in sources])
    once = scores.unique(["source", "model", "metric"], keep="first")
    seconds = _stacked([each.tables.timings.select("model", "seconds") for each in sources])
    seconds_by_model = seconds.group_by("source", "model").agg(pl.sum("seconds"))
    joined = labels.join(once, on=["source", "model", "metric"], how="left").join(
        seconds_by_model, on=["source", "model"], how="left"
    )
    total = joined.group_by("called").agg(pl.sum(*COUNTED, "seconds"))
    return {model: tuple(counts) for model, *counts in total.iter_rows()}


def _stacked(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return tables below each other, the number of each as `source`."""
    return pl.concat(tables).with_columns(source=pl.Series(np.repeat(np.arange(len(tables)), [len(each) for each in tables])))


def comparison_notes(
    evidence: Evidence,
    missing: Sequence[str],
    left_out: int,
    metrics: Mapping[str, str],
    answers: Sequence[Answer],
) -> Iterator[str]:
    """Yield the notes of a comparison, one sentence each."""
    if missing:
        yield f"Not asked of every dataset, and left out: {', '.join(missing)}."
    if left_out:
        yield f"{counted(left_out, 'rows')} left out: not answered by every model."
    if isinstance(evidence, UnitEvidence):
        yield from _matrix_notes(evidence)
    if evidence.few:
        yield evidence.few
    if len(set(metrics.values())) > 1:
        yield f"Each dataset is scored by its own definition: {', '.join(dict.fromkeys(metrics.values()))}."
    silent = dict.fromkeys(
        label for answer in answers for label in _configured_models(answer) if label not in answer.source.models
    )
    if silent:
        yield f"Without any answer, and left out: {', '.join(silent)}."


def _matrix_notes(evidence: UnitEvidence) -> Iterator[str]:
    matrix = evidence.matrix
    if matrix.left_out:
        yield f"{counted(matrix.left_out, evidence.units_called)} left out: some model has no value there."
    if matrix.unshared_seeds:
        yield f"Seeds left out, for not every model was run with them: {', '.join(map(str, matrix.unshared_seeds))}."


def _configured_models(answer: Answer) -> list[str]:
    config = answer.source.config
    return [str(node["name"]) for node in (config["model"], *config.get("rivals", ()))]
