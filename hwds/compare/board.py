"""The leaderboard of a comparison, and what is to be known before it is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import polars as pl

from hwds.compare.answers import Answer
from hwds.compare.confidence_set import confidence_set
from hwds.compare.contrasts import Scale
from hwds.compare.evidence import Evidence, UnitEvidence, shares_of
from hwds.compare.ranks import rank_rows, rounded
from hwds.compare.spread import LEAST_CLUSTERS
from hwds.metrics.base import Measure
from hwds.results.comparison import LEADERBOARD
from hwds.results.wording import counted


def leaderboard(evidence: Evidence, measure: Measure, answers: Sequence[Answer], scale: Scale, metric: str) -> pl.DataFrame:
    """One row a model, the best first; see `hwds.results.comparison.LEADERBOARD`."""
    values, means = evidence.unit_values(), evidence.means
    blocks, _ = evidence.blocks()
    ranks = rank_rows(blocks, measure.better).mean(axis=0)
    in_set = _set_p(evidence, scale)
    reference = evidence.models.index(measure.reference) if measure.reference in evidence.models else None
    n = len(values) if values is not None else _rows(answers)
    rows = []
    for place, model in enumerate(evidence.models):
        skill = None if reference is None else _skill(means, place, reference, scale)
        rows.append(
            (
                model,
                float(means[:, place].mean()),
                _known(evidence.errors[place]),
                None if values is None else float(np.median(values[:, place])),
                float(ranks[place]),
                None if values is None else _wins(values, place, scale),
                skill,
                None if in_set is None else float(in_set[place]),
                n,
                *_counts(answers, model, metric),
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
    return scale.told(float(scale.between(means[:, place], means[:, reference]).mean())) if scale.relative else None


def _wins(values: np.ndarray, place: int, scale: Scale) -> float:
    """The mean share of units won against each other model, ties half."""
    held = rounded(values)
    others = np.delete(held, place, axis=1)
    own = held[:, place, None]
    won = own < others if scale.low else own > others
    return float(np.mean(won + (own == others) / 2))


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _rows(answers: Sequence[Answer]) -> int:
    first = answers[0].model
    return sum(int((answer.rows["part"] == "test").sum()) for answer in answers if answer.model == first)


def _counts(answers: Sequence[Answer], model: str, metric: str) -> tuple[int, int, int, float | None]:
    """Undefined units, failed answers, fallbacks and seconds of a model in all its runs."""
    undefined, failed, fallback, seconds = 0, 0, 0, []
    for answer in (answer for answer in answers if answer.model == model):
        tables = answer.source.tables
        whole = tables.scores.filter(
            (pl.col("model") == answer.label) & (pl.col("metric") == answer.source.metric(metric)) & pl.col("fold").is_null()
            & pl.col("step").is_null() & pl.col("segment").is_null() & (pl.col("aggregate") == "mean")
        )  # fmt: skip
        if len(whole):
            undefined, failed = undefined + whole["n_undefined"][0], failed + whole["n_failed"][0]
            fallback += whole["n_fallback"][0]
        seconds.append(float(tables.timings.filter(pl.col("model") == answer.label)["seconds"].sum()))
    return undefined, failed, fallback, sum(seconds) if seconds else None


def notes_of(
    evidence: Evidence,
    measure: Measure,
    missing: Sequence[str],
    left_out: int,
    metrics: Mapping[str, str],
    answers: Sequence[Answer],
) -> Iterator[str]:
    """What is to be known before the numbers are read, one sentence each."""
    if missing:
        yield f"Not asked of every dataset, and left out: {', '.join(missing)}."
    if left_out:
        yield f"{counted(left_out, 'rows')} left out: not every model answered them."
    if isinstance(evidence, UnitEvidence):
        yield from _matrix_notes(evidence)
    if len(set(metrics.values())) > 1:
        yield f"Each dataset is scored by its own definition: {', '.join(dict.fromkeys(metrics.values()))}."
    silent = dict.fromkeys(label for answer in answers for label in _asked(answer) if label not in answer.source.models)
    if silent:
        yield f"Without any answer, and left out: {', '.join(silent)}."


def _matrix_notes(evidence: UnitEvidence) -> Iterator[str]:
    matrix = evidence.matrix
    if matrix.left_out:
        yield f"{counted(matrix.left_out, evidence.units_called)} left out: some model has no value there."
    if matrix.unshared_seeds:
        yield f"Seeds left out, for not every model was run with them: {', '.join(map(str, matrix.unshared_seeds))}."
    least = min(map(len, matrix.strata))
    if 1 < least < LEAST_CLUSTERS:
        where = " of a dataset" if len(matrix.datasets) > 1 else ""
        yield (
            f"Only {counted(least, evidence.units_called)}{where}: intervals are Student's t, which holds where differences are"
            " about symmetric."
        )


def _asked(answer: Answer) -> list[str]:
    config = answer.source.config
    return [str(node["name"]) for node in (config["model"], *config.get("rivals", ()))]
