"""Evaluate models in Python, without YAML and without a folder: frames and recipes in, tables out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hwds.app.scored import Scored
from hwds.core.errors import CellError, ConfigError, with_article
from hwds.core.recipe import Recipe, uses_features
from hwds.evaluation.abilities import KnowsTruth
from hwds.evaluation.base import Cell, Evaluation
from hwds.evaluation.segments import Segments
from hwds.execution.compute_cell import compute_cell
from hwds.execution.job import Job, Outcome
from hwds.execution.run import Work, tables
from hwds.features.base import FeatureSet
from hwds.features.none import None_
from hwds.frames.base import check_frame
from hwds.results.tables import Tables


@dataclass(frozen=True, eq=False)
class Evaluated(Scored):
    """The result of an evaluation in Python.

    Attributes:
        tables: The tables that a run writes, with the same columns.
        headline: The metric that orders the leaderboard.
        model: The label of the model that the evaluation is about.
    """

    tables: Tables
    headline: str
    model: str


def evaluate(
    model: Recipe,
    frame: Any,
    protocol: Evaluation[Any, Any],
    *,
    rivals: Sequence[Recipe] = (),
    features: FeatureSet | None = None,
    seed: int = 0,
    cpus: int = 1,
) -> Evaluated:
    """Evaluate models on a frame by a protocol, in this process; nothing is kept, and the numbers are those of a run.

    Args:
        model: The recipe that the evaluation is about.
        frame: A `Panel`, a `Table` or a `World`, as the protocol takes it.
        protocol: Cuts the frame, asks the models and scores them.
        rivals: Other models on the same folds.
        features: Computed columns, for models that use some.
        seed: Names every random stream.
        cpus: Threads that a model may use.

    Returns:
        Scores, predictions and the leaderboard. A model without a name is labelled by its class.

    Raises:
        ConfigError: A model, or a feature, does not go with the protocol or the frame; two models have the same label.
        DataError: The frame does not suffice for the protocol.
        CellError: A model fails.

    Example:
        >>> from hwds.forecast import Theta, WalkForward
        >>> hwds.evaluate(Theta(), panel, WalkForward(windows=3)).leaderboard  # doctest: +SKIP
    """
    models = _labelled([model, *rivals])
    _check(models, frame, protocol)
    prepared, columns = protocol.prepare_frame(frame), features or None_()
    folds = protocol.split(prepared)
    if any(uses_features(each) for each in models.values()):
        protocol.check_features(columns, prepared)
    protocol.check_models(models, prepared)
    protocol.check_inputs(models, columns, prepared)
    with TemporaryDirectory() as folder:
        job = Job(protocol, models, columns, seed, cpus, "cpu", type(prepared), Path(folder), Path(folder, "cells"))
        cells = {Cell(label, fold, 0, fold.units): "" for fold in folds for label in models}
        outcomes: dict[tuple[str, int], list[Outcome]] = {}
        for cell in cells:
            outcomes[cell.model, cell.fold.index] = [_computed(job, prepared, cell)]
        labels: dict[str, str | int] = {"experiment": "python", "dataset": type(frame).__name__.lower()}
        labels |= {"task": protocol.task, "seed": seed}
        oracle = protocol.oracle_scores(prepared) if isinstance(protocol, KnowsTruth) else ()
        measures = protocol.measures(prepared)
        work = Work(cells, folds, labels, Segments.of(protocol, prepared), measures, oracle)
        return Evaluated(tables(job, work, outcomes), protocol.headline, next(iter(models)))


def _computed(job: Job, frame: Any, cell: Cell) -> Outcome:
    outcome = compute_cell(job, frame, cell)
    if outcome.rows is None:
        raise CellError(f"{cell.title}: {outcome.error}")
    return outcome


def _labelled(models: Sequence[Recipe]) -> dict[str, Recipe]:
    labels = [model.name or type(model).__name__ for model in models]
    repeated = next((label for label in labels if labels.count(label) > 1), None)
    if repeated is not None:
        raise ConfigError(f"evaluate: two models are called '{repeated}'; give one a name, {repeated}(name='...').")
    return dict(zip(labels, models, strict=True))


def _check(models: dict[str, Recipe], frame: Any, protocol: Evaluation[Any, Any]) -> None:
    for label, model in models.items():
        if not isinstance(model, protocol.accepts):
            given, wanted = (with_article(each.__name__) for each in (type(model), protocol.accepts))
            raise ConfigError(f"evaluate: '{label}' is {given}; {type(protocol).__name__} takes {wanted}.")
    check_frame("evaluate", frame, protocol.frame_type, protocol)
    protocol.check_names()
