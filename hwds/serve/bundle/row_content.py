"""The content of a bundle of a classifier or detector: schema, events so far, real rows with the
run's own answers, graph.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from polars import DataFrame, Series

from hwds.core.errors import ConfigError
from hwds.core.extras import install_command, missing_modules
from hwds.core.onnx_graph import GraphScorer, NoGraph
from hwds.core.questions import ID, Json
from hwds.evaluation.row_folds import as_known, row_arrivals
from hwds.evaluation.serving import (
    NATIVE,
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
from hwds.frames.rows import hidden_columns
from hwds.frames.table import ROW_ID, RowScores, Table
from hwds.results.folder import RunFolder
from hwds.serve.bundle.manifest import ARROW, GRAPH
from hwds.serve.bundle.reference import (
    calibration_of,
    chances_of,
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
