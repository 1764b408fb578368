"""The content of a bundle that answers unit by unit: forecasts, expected units, remaining lives,
states of sensors, images.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from polars import DataFrame, Series, col

from hwds.core.errors import ConfigError
from hwds.core.questions import ID, Json
from hwds.core.registry import families_of
from hwds.evaluation.protocol import Deployable
from hwds.evaluation.serving import NATIVE, SINGLE, Case, Content, Parity, json_value
from hwds.experiment.final_model import final_context
from hwds.experiment.spec import Experiment
from hwds.frames.images import BOARD, IMAGE, KIND, Images
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TIME
from hwds.frames.runs import CYCLE, ENTITY, KEPT, Runs
from hwds.results.folder import RunFolder
from hwds.serve.bundle.manifest import TABLES
from hwds.serve.bundle.reference import (
    LEAST_CASES,
    column_reference,
    reference_of,
)

CUTS = 12
"""The most cuts of the data at which units are predicted."""

FRACTIONS = (1.0, 0.8, 0.6, 0.4, 0.9, 0.7, 0.5, 0.3, 0.95, 0.85, 0.75, 0.65, 0.55, 0.45, 0.35, 0.25)
"""Shares of a run's rows after which a machine is predicted."""

KEYS = ("series_id", "entity", "image")


@dataclass(frozen=True, eq=False)
class UnitContent(Content):
    """The parts of a bundle of predictions by unit.

    Attributes:
        experiment: The run's experiment.
        fitted: Its model.
        frame: Its data.
        folder: The run's folder.
        n_cases: The number of predictions that a fresh process must make alike.
    """

    experiment: Experiment
    fitted: Any
    frame: Any
    folder: RunFolder
    n_cases: int

    def __post_init__(self) -> None:
        if isinstance(self.frame, Panel):
            if getattr(self.experiment.protocol, "reconciles", False):
                raise ConfigError(
                    "bundle: protocol.reconcile makes forecasts add up, so that no series can be "
                    "asked alone."
                )
            if self.frame.vintages:
                raise ConfigError(
                    "bundle: the data is joined with forecasts of another run, which no question "
                    "bears."
                )

    @property
    def kind(self) -> str:
        """The kind of questions: `panel`, `runs` or `images`."""
        return type(self.frame).__name__.lower()

    def write(self, state: Path, parity: Path) -> Parity:
        """Write the data, and the tables that a decision on new predictions reads."""
        self.frame.write(state)
        if self.experiment.decision.foresees:
            tables, folder = self.folder.read_tables(), state.with_name(TABLES)
            folder.mkdir()
            for name in ("scores", "predictions", "timings", "metrics"):
                getattr(tables, name).write_parquet(folder / f"{name}.parquet")
        cases: list[Case] = []
        for part in self._cases():
            cases += part
            if sum(len(case.answer["rows"]) for case in cases) >= self.n_cases:
                break
        why = "an answer is a program over a history, windows and features, which is no graph of "
        tolerance = NATIVE if self._in_doubles else SINGLE
        return Parity(cases, tolerance, {"why": f"{why}one row"})

    def reference(self) -> Json:
        """Return the statistics of what a question bears, and of the run's predictions."""
        frame = self.frame
        if isinstance(frame, Panel):
            rows = frame.table.sort(TIME)
            columns = [
                name
                for name in rows.columns
                if name not in (SERIES, TIME) and not rows.schema[name].is_temporal()
            ]
            return reference_of(rows, columns, [], TIME) | self._prediction_reference()
        if isinstance(frame, Runs):
            names = [name for role in KEPT for name in frame.roles.get(role, ())]
            return reference_of(frame.data, names, []) | self._prediction_reference()
        return {"rows": frame.n, "columns": {}, "windows": []} | self._prediction_reference()

    def _prediction_reference(self) -> Json:
        rows = self.folder.read_tables().predictions
        if "model" in rows.columns:
            rows = rows.filter(model=self.experiment.model.name)
        named = [name for name in ("mean", "score", "q_0.5", "predicted") if name in rows.columns]
        return {"predictions": {name: column_reference(rows[name]) for name in named}}

    @property
    def _in_doubles(self) -> bool:
        model = type(self.experiment.model)
        if any(family.single_precision for family in families_of(model)):
            return False
        return not any(
            part in model.__module__
            for part in ("lstm", "cnn", "mlp", "network", "xgboost", "stack")
        )

    @property
    def _together(self) -> bool:
        return (
            isinstance(self.experiment.protocol, Deployable) and self.experiment.protocol.together
        )

    def _predict(self, frame: Any) -> DataFrame:
        protocol = self.experiment.protocol
        assert isinstance(protocol, Deployable)
        return protocol.predict_new(
            self.fitted, frame, replace(final_context(self.experiment), cache=None)
        )

    def _cases(self) -> Iterator[list[Case]]:
        """Yield questions about all units at one cut, with the answers that the run's protocol
        gives to all together.
        """
        for cut, questions in self._cuts():
            rows = self._predict(cut).drop(
                "paths", *(["cutoff"] if self._together else []), strict=False
            )
            key = next(name for name in KEYS if name in rows.columns)
            by_unit = {
                str(name): part
                for (name,), part in rows.partition_by(
                    key, as_dict=True, maintain_order=True
                ).items()
            }
            yield [
                Case(
                    question,
                    {
                        ID: question[ID],
                        "rows": [json_value(row) for row in by_unit[unit].iter_rows(named=True)],
                    },
                )
                for unit, question in questions
                if unit in by_unit
            ]

    def _cuts(self) -> Iterator[tuple[Any, list[tuple[str, Json]]]]:
        frame = self.frame
        if isinstance(frame, Panel):
            protocol: Any = self.experiment.protocol  # one of forecasts, which has steps
            yield from panel_cuts(frame, protocol.steps(frame), whole=self._together)
        elif isinstance(frame, Runs):
            yield from run_cuts(frame)
        else:
            yield from image_cuts(frame)


def panel_cuts(
    panel: Panel, horizon: int, *, whole: bool = False
) -> Iterator[tuple[Panel, list[tuple[str, Json]]]]:
    """Yield a panel cut after fewer and fewer rows, with a question about each series: its rows,
    and the plan that is known.

    Args:
        panel: All rows.
        horizon: Rows of a plan.
        whole: End before a series is left without rows.
    """
    first = horizon if panel.planned and panel.plan is None else 0
    for back in range(first, first + CUTS):
        ends = panel.lengths - back
        if (ends <= 0).all() or (whole and (ends <= 0).any()):
            return
        cut = replace(panel.until(np.maximum(ends, 0)), plan=None)
        if panel.planned:
            cut = replace(cut, plan=_plan(panel, cut, horizon))
        yield (
            cut,
            [
                (name, _series_question(cut, place, f"{name}@{back}"))
                for place, name in enumerate(cut.series_ids)
            ],
        )


def _plan(panel: Panel, cut: Panel, horizon: int) -> DataFrame:
    """Return the known-future columns of the rows after a cut."""
    names = [SERIES, TIME, *panel.planned]
    rows = panel.table.select(names)
    rows = (
        rows
        if panel.plan is None
        else pl.concat([rows, panel.plan.select(names)], how="vertical_relaxed")
    )
    last = cut.ends.rename({TIME: "__last"})
    after = (
        rows.join(last, on=SERIES)
        .filter(col(TIME) > col("__last"))
        .drop("__last")
        .sort(SERIES, TIME)
    )
    return after.group_by(SERIES, maintain_order=True).head(horizon)


def _series_question(cut: Panel, place: int, id: str) -> Json:
    name, table = cut.series_ids[place], cut.block(place, place + 1).table.drop(SERIES)
    question: Json = {ID: id, SERIES: name, "rows": _known_rows(table)}
    if cut.plan is not None:
        plan = cut.plan.filter(col(SERIES) == name).drop(SERIES)
        question |= {"plan": _known_rows(plan)} if len(plan) else {}
    return question


def run_cuts(runs: Runs) -> Iterator[tuple[Runs, list[tuple[str, Json]]]]:
    """Yield runs cut after a share of their rows, with a question about each machine."""
    names = [CYCLE, *dict.fromkeys(name for role in KEPT for name in runs.roles.get(role, ()))]
    for share in FRACTIONS:
        cut = runs.unmarked.until(np.maximum((runs.lengths * share).astype(int), Runs.LEAST))
        questions = []
        for part in cut.data.partition_by(ENTITY, maintain_order=True):
            name = part[ENTITY][0]
            questions.append(
                (
                    name,
                    {
                        ID: f"{name}@{share:g}",
                        ENTITY: name,
                        "rows": _known_rows(part.select(names)),
                    },
                )
            )
        yield cut, questions


def image_cuts(images: Images) -> Iterator[tuple[Images, list[tuple[str, Json]]]]:
    """Yield the first images without their kinds, with a question about each."""
    from PIL import Image

    some = images.take(np.arange(images.n) < max(LEAST_CASES, 1))
    blank = some.with_kinds(Series(KIND, [None] * some.n, pl.String))
    questions = []
    for name, board, pixels in zip(blank.names, blank.boards, blank.pixels(), strict=True):
        buffer = io.BytesIO()
        Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(buffer, "PNG")
        content = base64.b64encode(buffer.getvalue()).decode()
        questions.append((name, {ID: name, IMAGE: name, BOARD: board, "content": content}))
    yield blank, questions


def _known_rows(table: DataFrame) -> list[Json]:
    return [
        {name: json_value(value) for name, value in row.items() if value is not None}
        for row in table.iter_rows(named=True)
    ]
