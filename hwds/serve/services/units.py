"""Services that answer unit by unit: from the history of a series or of a machine, or from an
image.
"""

from __future__ import annotations

import base64
import io
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from polars import DataFrame, Series, col

from hwds.core.errors import DataError, HwdsError, nearest
from hwds.core.questions import ID, Fields, Json, id_of
from hwds.evaluation.protocol import Deployable, RunContext
from hwds.evaluation.serving import (
    NAME_SCHEMA,
    Answer,
    Question,
    Service,
    column_schema,
    json_value,
    object_schema,
)
from hwds.experiment.spec import Experiment
from hwds.frames.images import BOARD, IMAGE, KIND, Images
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TARGET, TIME, Roles
from hwds.frames.runs import CYCLE, ENTITY, KEPT, Runs
from hwds.frames.table import Table
from hwds.results.tables import Tables
from hwds.serve.events.reading import Reader

MOST_ROWS = 100_000
"""Rows of one question at most."""

FORMATS = ("PNG", "JPEG")
"""Formats of images, those of a dataset: Pillow would hand PostScript of strangers to another
program.
"""


class UnitService(Service):
    """Answers a question about one unit with the rows of `hwds predict` about it.

    Args:
        experiment: The run's experiment.
        fitted: The model.
        kept: The run's data, whose units a request may name.
        tables: The tables of the run, if its decision on new predictions reads them; else None.
    """

    kind = "units"
    unit = ""

    def __init__(
        self, experiment: Experiment, fitted: Any, kept: Any, tables: Tables | None
    ) -> None:
        self._experiment, self._fitted, self.kept, self._tables = experiment, fitted, kept, tables
        compute = experiment.compute
        self._context = RunContext(
            experiment.seed,
            "final",
            compute.cpus_per_cell,
            compute.found_device(),
            experiment.features,
        )

    def answer(self, questions: Sequence[Question], *, reasons: bool = False) -> list[Answer]:
        """See `Service`; all questions are read before the first is answered, each by itself."""
        ids = [id_of(question, place) for place, question in enumerate(questions)]
        frames = [self._frame(id, question) for id, question in zip(ids, questions, strict=True)]
        return [self._answer(id, frame) for id, frame in zip(ids, frames, strict=True)]

    def predict(self, frame: Any) -> DataFrame:
        """Return the predictions of the model for a frame, as `hwds predict` makes them."""
        protocol = self._experiment.protocol
        assert isinstance(protocol, Deployable)
        return protocol.predict_new(self._fitted, frame, self._context)

    def _answer(self, id: str, frame: Any) -> Answer:
        rows = self.predict(frame)
        answer: Answer = {
            ID: id,
            "rows": [
                json_value(row) for row in rows.drop("paths", strict=False).iter_rows(named=True)
            ],
        }
        return answer | self._decision(rows, frame)

    def _decision(self, rows: DataFrame, frame: Any) -> Json:
        """Return what the run's decision says of the predictions, by the record of the run.

        Nothing where it says nothing.
        """
        if self._tables is None:
            return {}
        experiment = self._experiment
        decision, protocol = experiment.decision, experiment.protocol
        verdict = decision.foresee(
            rows, self._tables, self._decision_data(frame), experiment.model.name, protocol
        )
        if verdict is None:
            return {"decision": None}
        tables = {
            name: [json_value(row) for row in table.iter_rows(named=True)]
            for name, table in verdict.tables().items()
        }
        return {"decision": {"action": verdict.action, "sentence": verdict.sentence, **tables}}

    def _decision_data(self, frame: Any) -> Any:
        """Return the data that a decision reads: that of the run."""
        return self.kept

    @abstractmethod
    def _frame(self, id: str, question: Question) -> Any:
        """Return the data of one question."""

    def _refuse_unknown(self, id: str, question: Question, fields: Sequence[str]) -> None:
        for name in question:
            if name not in fields:
                raise DataError(f"question '{id}': no field '{name}'{nearest(name, fields)}")

    def _name(self, id: str, question: Question, default: str | None = None) -> str:
        name = question.get(self.unit, default)
        if isinstance(name, bool) or not isinstance(name, str | int) or len(str(name)) > 1000:
            raise DataError(f"question '{id}': must name its unit under '{self.unit}', a text.")
        return str(name)

    def _rows(self, id: str, rows: Any, field: str, readers: tuple[Reader, DataFrame]) -> DataFrame:
        """Return rows of a question as a table."""
        if not isinstance(rows, list) or not rows or len(rows) > MOST_ROWS:
            raise DataError(
                f"question '{id}': '{field}' must be a list of 1 to {MOST_ROWS:,} rows."
            )
        reader, empty = readers
        values = [reader.read(_with_id(id, row, field)).values for row in rows]
        return DataFrame(
            [
                Series(name, [row.get(name) for row in values], kind)
                for name, kind in empty.schema.items()
            ]
        )


class PanelService(UnitService):
    """Forecasts of series, and units expected at planned prices.

    A question names a series; its rows are the history, else that of the run; `plan` has the
    known-future columns to come.
    """

    unit = SERIES
    kept: Panel

    def __init__(
        self, experiment: Experiment, fitted: Any, kept: Panel, tables: Tables | None
    ) -> None:
        super().__init__(experiment, fitted, kept, tables)
        columns = [name for name in kept.table.columns if name != SERIES]
        self._history = row_reader(kept.table.select(columns).clear())
        self._plan = row_reader(kept.table.select(TIME, *kept.planned).clear())
        self._places = {name: place for place, name in enumerate(kept.series_ids)}

    def predict(self, frame: Panel) -> DataFrame:
        """See `UnitService`; where a model answers all series at once, the others have the rows and
        the plan of the run.
        """
        protocol = self._experiment.protocol
        if not (isinstance(protocol, Deployable) and protocol.together):
            return super().predict(frame)
        rows = (
            super()
            .predict(with_others(frame, self.kept))
            .filter(col(SERIES).is_in(frame.series_ids.implode()))
        )
        return rows.drop("cutoff")  # that of the others

    def _frame(self, id: str, question: Question) -> Panel:
        self._refuse_unknown(id, question, (ID, SERIES, "rows", "plan"))
        name = self._name(id, question)
        named = pl.lit(name).alias(SERIES)
        if question.get("rows") is None:
            panel = self._of_run(id, name)
        else:
            rows = self._rows(id, question["rows"], "rows", self._history)
            kept = self.kept
            table = rows.with_columns(named).select(kept.table.columns)
            options = {"season": kept.season, "horizon": kept.horizon, "unit": kept.unit}
            panel = Panel.build(table, kept.frequency, roles=kept.roles, **options)  # type: ignore[arg-type]
        if question.get("plan") is not None:
            plan = self._rows(id, question["plan"], "plan", self._plan).with_columns(named)
            panel = replace(panel, plan=plan.select(SERIES, TIME, *panel.planned).sort(TIME))
        if panel.planned and panel.plan is None:
            named_columns = ", ".join(f"'{column}'" for column in panel.planned)
            raise DataError(
                f"question '{id}': 'plan' must be given, with {named_columns} for the rows to "
                f"forecast."
            )
        return panel

    def _of_run(self, id: str, name: str) -> Panel:
        if name not in self._places:
            hint = nearest(name, self._places)
            raise DataError(
                f"question '{id}': 'rows' must be given, for the run has no series '{name}'{hint}"
            )
        place = self._places[name]
        panel = self.kept.block(place, place + 1)
        plan = None if panel.plan is None else panel.plan.filter(col(SERIES) == name)
        return replace(panel, plan=plan)

    def question_schema(self) -> Json:
        """See `Service`."""
        parts = {
            "rows": _list_of(self._history[1], (TIME, TARGET)),
            "plan": _list_of(self._plan[1], (TIME,)),
        }
        return object_schema({SERIES: NAME_SCHEMA, **parts}, (SERIES,), "A series")


def with_others(panel: Panel, kept: Panel) -> Panel:
    """Return the series of a panel among the others that were kept."""
    others = ~col(SERIES).is_in(panel.series_ids.implode())
    table = pl.concat(
        [kept.table.filter(others), panel.table.select(kept.table.columns)], how="vertical_relaxed"
    )
    plans = [
        plan
        for plan in (None if kept.plan is None else kept.plan.filter(others), panel.plan)
        if plan is not None
    ]
    return replace(
        kept,
        table=table.sort(SERIES, TIME),
        plan=pl.concat(plans, how="vertical_relaxed") if plans else None,
    )


class RunsService(UnitService):
    """Remaining lives of machines, and states of sensors: a question has the rows of one machine,
    or names one of the run.
    """

    unit = ENTITY
    kept: Runs

    def __init__(
        self, experiment: Experiment, fitted: Any, kept: Runs, tables: Tables | None
    ) -> None:
        super().__init__(experiment, fitted, kept, tables)
        names = [name for role in KEPT for name in kept.roles.get(role, ())]
        self._history = row_reader(kept.data.select(CYCLE, *dict.fromkeys(names)).clear())

    def _frame(self, id: str, question: Question) -> Runs:
        self._refuse_unknown(id, question, (ID, ENTITY, "rows"))
        name = self._name(id, question, None if question.get("rows") is None else id)
        if question.get("rows") is None:
            which = np.array(self.kept.names) == name
            if not which.any():
                raise DataError(
                    f"question '{id}': 'rows' must be given, for the run has no machine '{name}'."
                )
            runs = self.kept.take(which)
            return runs.until(runs.lengths)
        rows = self._rows(id, question["rows"], "rows", self._history)
        holes = [column for column in rows.columns if rows[column].null_count()]
        if holes:
            raise DataError(
                f"question '{id}': '{holes[0]}' must be known in each row of a machine."
            )
        roles = {role: names for role in KEPT if (names := self.kept.roles.get(role))}
        runs = Runs.build(
            rows.with_columns(pl.lit(name).alias("__machine"), col(CYCLE).alias("__cycle")).drop(
                CYCLE
            ),
            {"entity": "__machine", "cycle": "__cycle", **roles},
            regimes=self.kept.regimes,
            unit=self.kept.unit,
        )
        columns = [
            column for column in self.kept.unmarked.data.columns if column in runs.data.columns
        ]
        whole = replace(runs, data=runs.data.select(columns), roles=Roles(roles))
        return whole.until(whole.lengths)

    def question_schema(self) -> Json:
        """See `Service`."""
        rows = _list_of(self._history[1], self._history[1].columns)
        return object_schema({ENTITY: NAME_SCHEMA, "rows": rows}, (), "A machine")


class ImageService(UnitService):
    """Judges images: a question has the bytes of one file (PNG or JPEG), in base64."""

    unit = IMAGE
    kept: Images

    def _frame(self, id: str, question: Question) -> Images:
        self._refuse_unknown(id, question, (ID, IMAGE, BOARD, "content"))
        pixels = self._pixels(id, question.get("content"))
        if pixels.shape != self.kept.shape:
            wanted, got = (" x ".join(map(str, shape)) for shape in (self.kept.shape, pixels.shape))
            raise DataError(
                f"question '{id}': the image must be {wanted} (height, width, channels), got {got}."
            )
        name = self._name(id, question, id)
        board = question.get(BOARD, name)
        if not isinstance(board, str):
            raise DataError(f"question '{id}': '{BOARD}' must be a text.")
        row = DataFrame({IMAGE: [name], BOARD: [board], KIND: Series([None], dtype=pl.String)})
        extra = [column for column in self.kept.static if column not in (KIND,)]
        row = row.with_columns(
            pl.lit(None, self.kept.data.schema[column]).alias(column) for column in extra
        )
        return Images(
            row.select(self.kept.data.columns), pixels[None], np.arange(1), self.kept.kinds
        )

    def _pixels(self, id: str, content: Any) -> np.ndarray:
        from PIL import Image

        try:
            with Image.open(
                io.BytesIO(base64.b64decode(content, validate=True)), formats=FORMATS
            ) as image:
                if image.width * image.height > 4 * self.kept.shape[0] * self.kept.shape[1]:
                    raise DataError(
                        f"question '{id}': the image is {image.width} x {image.height}, which is "
                        f"too large."
                    )
                pixels = np.asarray(image.convert("L" if self.kept.shape[2] == 1 else "RGB"))
        except HwdsError:
            raise
        except Exception as error:  # bytes of anybody's: Pillow fails in any way
            raise DataError(
                f"question '{id}': 'content' must be an image in base64 ({type(error).__name__})."
            ) from error
        return pixels if pixels.ndim == 3 else pixels[..., None]

    def question_schema(self) -> Json:
        """See `Service`."""
        parts = {
            BOARD: {"type": "string"},
            "content": {"type": "string", "contentEncoding": "base64"},
        }
        return object_schema({IMAGE: NAME_SCHEMA, **parts}, ("content",), "An image")


def row_reader(empty: DataFrame) -> tuple[Reader, DataFrame]:
    """Return the reader of rows like those of an empty table, and the table."""
    return Reader(Table(empty, Roles({})), "\x00id", timed=False), empty


def _with_id(id: str, row: Any, field: str) -> Fields:
    if not isinstance(row, Mapping):
        raise DataError(f"question '{id}': '{field}' must hold objects, got {type(row).__name__}.")
    return {**row, "\x00id": id}


def _list_of(empty: DataFrame, required: Sequence[str]) -> Json:
    properties = {name: column_schema(kind) for name, kind in empty.schema.items()}
    item = {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }
    return {"type": "array", "items": item, "minItems": 1, "maxItems": MOST_ROWS}
