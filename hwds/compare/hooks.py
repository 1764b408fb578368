"""The way the scores of a task's models are paired: by the family's own rule, or by their headlines where it has none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from hwds.compare.answers import Answer
from hwds.compare.evidence import NAMED, Evidence, UnitEvidence
from hwds.compare.matrix import Matrix
from hwds.compare.source import Source
from hwds.core.errors import ConfigError
from hwds.core.families import Task, load, stored_task


@dataclass(frozen=True, kw_only=True)
class TaskComparison:
    """The comparison of a task's models.

    Attributes:
        evidence: From (answers, metric, resamples) what is known of the models, and how many rows were left out because some
            model lacks them.
        along: From (evidence, subject, `low` or `high`) tests along each unit; see `Comparison.along`.
        conditions: What all rows that were compared have in common, as a sentence ends: `at the same cutoffs`.
        trained: Whether what a model learns depends on the seed, so that one seed says nothing of others.
    """

    evidence: Callable[[Sequence[Answer], str, int], tuple[Evidence, int]]
    along: Callable[[Any, str, str], pl.DataFrame] | None = None
    conditions: str = ""
    trained: bool = True


def comparison_of(source: Source) -> TaskComparison:
    """Return how the models of a run are compared.

    Raises:
        ConfigError: The models of its task are no rivals, or its family cannot be imported.
    """
    task = _task(source)
    if task is not None and not task.comparable:
        raise ConfigError(f"compare: runs of task '{task.name}' have no comparison; their own report says what is known.")
    return load(task.comparison, TaskComparison) if task and task.comparison else HEADLINES


def headline_evidence(answers: Sequence[Answer], metric: str, resamples: int) -> tuple[UnitEvidence, int]:
    """Return the score of each model in each run; one dataset alone has no error, several are the units.

    Args:
        answers: Of every model, dataset and seed.
        metric: Its short or full name.
        resamples: Of each bootstrap.
    """
    rows = [(each.model, each.dataset, each.seed, "run", _score(each, metric)) for each in answers]
    table = pl.DataFrame(rows, schema={**NAMED, "unit": pl.String, "value": pl.Float64}, orient="row")
    return UnitEvidence(Matrix.of(table), "runs", resamples), 0


def whole_scores(source: Source, metric: str) -> pl.DataFrame:
    """Return the scores of a metric over a whole run, one row a model: a mean, or what is pooled where it is none."""
    whole_run = pl.col("fold").is_null() & pl.col("step").is_null() & pl.col("segment").is_null()
    scores = source.tables.scores.filter(whole_run & (pl.col("metric") == source.metric(metric)))
    means = scores.filter(pl.col("aggregate") == "mean")
    return means if len(means) else scores.filter(pl.col("aggregate") == "pooled")


def _score(answer: Answer, metric: str) -> float | None:
    values = whole_scores(answer.source, metric).filter(pl.col("model") == answer.label)["value"]
    return values[0] if len(values) else None


def _task(source: Source) -> Task | None:
    protocol = source.config["protocol"]
    try:
        return stored_task(str(protocol.get("recipe", protocol["name"])), source.task)
    except ConfigError as error:
        raise ConfigError(f"compare: run {source.title} cannot be paired: {error}") from error


HEADLINES = TaskComparison(evidence=headline_evidence)
"""The comparison of a task whose family names none."""
