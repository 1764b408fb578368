"""The content of a bundle: schema, state, real questions with the run's own answers, graph."""

from __future__ import annotations

import base64
import io
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from polars import DataFrame, Series, col

from hwds.core.errors import ConfigError
from hwds.core.extras import install_command, missing_modules
from hwds.core.onnx_graph import GraphScorer, NoGraph
from hwds.core.questions import ID, Json
from hwds.core.registry import families_of
from hwds.evaluation.protocol import Deployable
from hwds.evaluation.row_folds import as_known, row_arrivals
from hwds.evaluation.serving import (
    NATIVE,
    SINGLE,
    Case,
    Content,
    GraphOfRows,
    Parity,
    RowModel,
    json_value,
    row_model,
)
from hwds.experiment.final_model import final_context
from hwds.experiment.spec import Experiment
from hwds.frames.features.base import RowFeatures
from hwds.frames.features.none import None_
from hwds.frames.images import BOARD, IMAGE, KIND, Images
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TIME
from hwds.frames.rows import hidden_columns
from hwds.frames.runs import CYCLE, ENTITY, KEPT, Runs
from hwds.frames.table import ROW_ID, RowScores, Table
from hwds.results.folder import RunFolder
from hwds.serve.bundle.manifest import ARROW, GRAPH, TABLES
from hwds.serve.bundle.reference import (
    LEAST_CASES,
    calibration_of,
    chances_of,
    column_reference,
    reference_of,
    segments_of,
    tested_rows,
)
from hwds.serve.events.online import Online
from hwds.serve.events.store import schema_of
from hwds.serve.services.opening import EVENTS

INPUTS = "inputs.parquet"
"""The table of rows with their features and scores by which the graph is checked."""

SCORED_AT_ONCE = 10_000
"""Rows that the graph scores at once for the reference."""


@dataclass(frozen=True, eq=False)
class RowContent(Content):
    """The parts of a classifier's bundle.

    Attributes:
        experiment: The run's experiment.
        folder: The run's folder.
        model: What asks its model.
        table: Its rows as known at their end, in the order of arrival.
        inputs: The same rows with their features.
        scored: The model's scores of all of them.
        n_cases: The number of last rows that a fresh process must answer alike.
    """

    experiment: Experiment
    folder: RunFolder
    model: RowModel
    table: Table
    inputs: Table
    scored: RowScores
    n_cases: int

    @classmethod
    def of(
        cls, experiment: Experiment, folder: RunFolder, fitted: Any, frame: Table, n_cases: int
    ) -> RowContent:
        """Score a run's rows as the run does.

        Raises:
            ConfigError: The run's model scores no rows one by one.
        """
        model = row_model(fitted)
        if model is None:
            raise ConfigError(f"bundle: '{experiment.model.name}' scores no rows.")
        if not isinstance(experiment.features, RowFeatures | None_):
            raise ConfigError(
                f"bundle: features '{experiment.features.name}' have no form for rows as they "
                f"arrive."
            )
        table = frame
        if frame.roles.get("time"):
            table = known_at_end(experiment, frame)
            order = (
                row_arrivals(table)
                .cast(pl.Datetime("us"))
                .to_physical()
                .to_numpy()
                .argsort(kind="stable")
            )
            table = Table(table.data[order], table.roles, table.unit)
        inputs = table.with_inputs(model.columns(table, final_context(experiment)))
        n_cases = min(n_cases, table.height)
        return cls(experiment, folder, model, table, inputs, model.score(inputs), n_cases)

    @property
    def kind(self) -> str:
        """`events` where features remember rows before, else `rows`."""
        return "rows" if isinstance(self.experiment.features, None_) else "events"

    def write(self, state: Path, parity: Path) -> Parity:
        """Write state, parity, the columns of a question and the graph; see `Content`."""
        schema = schema_of(self.table) if self.kind == "events" else self._empty_rows()
        schema.write(state)
        self._columns().write_ipc_stream(state.with_name(ARROW))
        if self.kind == "events":
            self._write_events(state, parity)
        return Parity(list(self._cases()), NATIVE, self._write_graph(parity))

    def reference(self) -> Json:
        """Return the statistics of what a question bears, and of the answers, of all rows and by
        segment, with the calibration on the run's test rows, which no model had learned from.

        The answers are those of the graph if a server answers by it, for they differ from the
        model's in the last bits.
        """
        name = self.experiment.model.name
        tested = tested_rows(self.folder.read_tables().predictions, name)
        time = self.table.name("time")
        taken = (*self.table.roles.get("entity", ()), time, self.table.name("available_at"))
        columns = [
            name
            for name, kind in self._question_columns.items()
            if name not in taken and not kind.is_nested() and not kind.is_temporal()
        ]
        answers = _columns_of(self._served())
        rows, names = self.table.data.with_columns(answers), [each.name for each in answers]
        reference = reference_of(rows, columns, names, time)
        if tested is None:
            return reference
        checked = tested.select(ROW_ID, "probability", "label").join(
            self.table.data.select(ROW_ID, *columns), on=ROW_ID
        )
        segments = segments_of(rows, columns, names, checked, time)
        return reference | {
            "calibration": calibration_of(*chances_of(tested)),
            "segments": segments,
        }

    def _served(self) -> RowScores:
        """Return the scores of all rows by what answers: the graph, or else the model itself."""
        graph = self._graph
        if isinstance(graph, str) or self.kind != "rows" or len(self.model.normals):
            return self.scored
        if missing_modules(("onnxruntime",)):
            return self.scored
        scorer = GraphScorer(graph.model.SerializeToString(), graph.numbers, graph.texts)
        parts = _read_by(graph, self.inputs).iter_slices(SCORED_AT_ONCE)
        scores = [scorer.score(part.to_dicts())["score"] for part in parts]
        return self.model.from_scores(np.concatenate(scores))

    @cached_property
    def _graph(self) -> GraphOfRows | str:
        """The model as a graph, or why there is none."""
        if missing_modules(("onnx",)):
            return f"onnx is not installed: {install_command(('onnx',))}"
        try:
            return self.model.graph()
        except NoGraph as error:
            return str(error)

    @property
    def _question_columns(self) -> dict[str, pl.DataType]:
        """The columns that a question may bear, and their types."""
        table = self.table if self.kind == "events" else self._empty_rows()
        hidden = hidden_columns(self.table)
        return {
            name: kind
            for name, kind in table.data.schema.items()
            if name not in hidden and name != ROW_ID
        }

    def _columns(self) -> DataFrame:
        """Return the columns of a question in Arrow's types, without rows."""
        return DataFrame(schema={ID: pl.String} | self._question_columns | {ID: pl.String})

    def _empty_rows(self) -> Table:
        """Return the rows' columns and roles without rows, but for those that no model reads."""
        kept = [
            name
            for name in self.table.data.columns
            if name in (*self.table.inputs, *self.table.roles.get("amount", ()))
        ]
        roles = {
            role: self.table.roles[role]
            for role in ("covariate", "amount")
            if self.table.roles.get(role)
        }
        return Table(
            self.table.data.select(kept).clear(),
            self.table.roles.without(*self.table.roles) | roles,
            self.table.unit,
        )

    def _cases(self) -> Iterator[Case]:
        """Yield the last rows as questions with the run's answers, each followed by its label where
        it was known in time.
        """
        events, answers = self.kind == "events", _columns_of(self.scored)
        label, when = self.table.name("label"), self.table.name("label_time")
        key = next(
            (name for name in (self.table.name("id"), ID) if name in self.table.data.columns),
            ROW_ID,
        )
        kept = [name for name in self._question_columns if name not in (ID, key)]
        first = self.table.height - self.n_cases
        for place, row in enumerate(self.table.data.slice(first).iter_rows(named=True), first):
            id = str(row[key])
            bears = {name: value for name in kept if (value := json_value(row[name])) is not None}
            scores = {each.name: float(each[place]) for each in answers}
            yield Case({ID: id, **bears}, {ID: id, **scores})
            if events and label and row[label] is not None:
                yield Case(
                    {"of": id, "label": int(row[label] == 1), "at": json_value(row[when])},
                    {"of": id},
                )

    def _write_events(self, state: Path, parity: Path) -> None:
        """Write the store of all rows, and beside the questions the one before the first of
        them.
        """
        first = self.table.height - self.n_cases
        features = self.experiment.features
        assert isinstance(features, RowFeatures)
        before = Table(self.table.data.slice(0, first), self.table.roles, self.table.unit)
        for rows in (before, self.table):
            with Online(self.model.fitted, features, self.table, state / EVENTS) as online:
                if rows.height:
                    online.backfill(rows)
            if rows is before:
                for path in state.glob(f"{EVENTS}*"):
                    shutil.copyfile(path, parity / path.name)

    def _write_graph(self, parity: Path) -> Json:
        """Write the graph and the rows by which it is checked.

        Return its columns, or why there is none.
        """
        graph = self._graph
        if isinstance(graph, str):
            return {"why": graph}
        import onnx

        onnx.save(graph.model, parity.with_name(GRAPH))
        named = [Series(f"__{each.name}", each) for each in _columns_of(self.scored)]
        rows = _read_by(graph, self.inputs).with_columns(named)
        rows.tail(max(self.n_cases, 256)).write_parquet(parity / INPUTS)
        columns = {"numbers": list(graph.numbers), "texts": list(graph.texts)}
        return columns | {"tolerance": graph.tolerance}


def _columns_of(scored: RowScores) -> list[Series]:
    named = {
        "score": scored.score,
        "probability": scored.probability,
        "p_value": scored.p_value,
    }
    return [Series(name, values) for name, values in named.items() if values is not None]


def _read_by(graph: GraphOfRows, rows: Table) -> DataFrame:
    """Return the columns that a graph reads."""
    return rows.data.select(*graph.numbers, pl.col(list(graph.texts)).cast(pl.String))


def known_at_end(experiment: Experiment, frame: Table) -> Table:
    """Return the rows of a run with their labels, as far as these had arrived when the rows end."""
    delay = getattr(experiment.protocol, "delay_days", 0)
    return as_known(frame, row_arrivals(frame).max(), delay)


# The content of a bundle that answers unit by unit: forecasts, expected units, remaining lives,

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
