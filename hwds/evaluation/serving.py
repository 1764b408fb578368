"""Serving: what a family offers so that its models are bundled, served and streamed.

A family names in its `family.py` the classes that derive from those here: a `RowModel`, a
`StreamModel`, `Policies`. A family whose models are asked about whole series, machines or images
needs none: its protocols are `Deployable`, and that is enough.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import polars as pl
from numpy import ndarray

from hwds.core.files import Readable
from hwds.core.onnx_graph import NoGraph
from hwds.core.questions import ID
from hwds.core.recipe import Recipe
from hwds.core.registry import hook_class
from hwds.evaluation.protocol import RunContext
from hwds.frames.runs import RowsOfRuns
from hwds.frames.table import RowReader, RowScores, Table

# Service: what answers questions by a bundle's model, whoever asks (HTTP, files, a Lambda), one
# answer a question.

STATEFUL = ("events", "policy")
"""Kinds of questions whose answers depend on earlier ones; one process owns their store."""

Question = Mapping[str, Any]
Answer = dict[str, Any]


class Service(ABC):
    """A model that answers questions.

    Class attributes: `kind`, the kind of question; `stateful`, whether answers depend on earlier
    questions, so that one process must own all of them; `threads`, calls that may come at once, of
    which each waits for something else than a core.
    """

    kind: ClassVar[str] = ""
    stateful: ClassVar[bool] = False
    threads: ClassVar[int] = 1

    @abstractmethod
    def answer(self, questions: Sequence[Question], *, reasons: bool = False) -> list[Answer]:
        """Return an answer to each question, in their order; all or none.

        Args:
            questions: Objects of `question_schema`.
            reasons: Whether answers say why, where the model can.

        Raises:
            DataError: One is no such question, with its id.
        """

    @abstractmethod
    def question_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of a question."""

    def close(self) -> None:  # noqa: B027  most hold nothing
        """Give back what the service holds."""


def json_value(value: Any) -> Any:
    """Return a value as JSON has it: no NaN, dates as texts, lists of numbers."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, np.generic):
        return json_value(value.item())
    if isinstance(value, Mapping):
        return {str(key): json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | ndarray | pl.Series):
        return [json_value(item) for item in value]
    return value


def column_schema(kind: pl.DataType) -> dict[str, Any]:
    """Return the JSON Schema of a column's values; any may be null."""
    if isinstance(kind, pl.Enum):
        return {"enum": [*kind.categories.to_list(), None]}
    names = {pl.Boolean: "boolean", pl.String: "string", pl.Categorical: "string"}
    name = (
        "integer"
        if kind.is_integer()
        else "number"
        if kind.is_float()
        else names.get(type(kind), "string")
    )
    formats = {"Date": "date", "Datetime": "date-time"}
    more: dict[str, Any] = (
        {"format": formats[kind.base_type().__name__]}
        if kind.base_type().__name__ in formats
        else {}
    )
    if kind.is_integer():
        bounds = np.iinfo(str(kind).lower())
        more = {"minimum": int(bounds.min), "maximum": int(bounds.max)}
    return {"type": [name, "null"], **more}


NAME_SCHEMA = {"type": ["string", "integer"]}
"""The JSON Schema of an id, and of the name of a unit."""


def object_schema(
    properties: Mapping[str, Any], required: Sequence[str], title: str
) -> dict[str, Any]:
    """Return the JSON Schema of an object with properties and an id."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "type": "object",
        "properties": {
            ID: NAME_SCHEMA if ID in required else {"type": [*NAME_SCHEMA["type"], "null"]},
            **properties,
        },
        "required": list(required),
        "additionalProperties": False,
    }


# Content: what a bundle keeps of its run, and the run's own answers to real questions.

NATIVE, SINGLE = 1e-9, 1e-4
"""Largest differences of an answer from that of the run, as shares of 1 + the largest number of
their column: of models in double precision, and of networks and trees in single precision, whose
last bits depend on what stands beside a row.
"""


@dataclass(frozen=True)
class Case:
    """A question and the run's answer, as far as it is compared."""

    question: Mapping[str, Any]
    answer: Mapping[str, Any]


class Parity(NamedTuple):
    """The run's own answers, which a process that knows nothing but the bundle must give alike.

    Attributes:
        cases: Real questions with their answers, in the order in which they are asked.
        tolerance: The largest difference of an answer, as a share of 1 + its size.
        graph: The columns of the model's graph, or under `why` the reason why it has none.
    """

    cases: list[Case]
    tolerance: float
    graph: Mapping[str, Any]


class Content(ABC):
    """The parts of a bundle that depend on the kind of its questions."""

    @property
    @abstractmethod
    def kind(self) -> str:
        """The kind of questions."""

    @abstractmethod
    def write(self, state: Path, parity: Path) -> Parity:
        """Write what answers need into one folder, and what the proof needs into another one; both
        are there and empty.
        """

    @abstractmethod
    def reference(self) -> dict[str, Any]:
        """Return the statistics of what questions bear and of what is answered."""


# RowModel: a fitted model that is asked about rows, each by itself.

Reasons = list[dict[str, object]]
"""The contributions of a row's main inputs to its score, the largest first."""

STOP, CALIBRATE = 0.7, 0.85
"""The shares of a refit's rows, in the order of time, after which come those to stop early by, and
those to calibrate by.
"""


class GraphOfRows(NamedTuple):
    """A model as an ONNX graph.

    Attributes:
        model: The graph.
        numbers: The columns of numbers that it reads, in order.
        texts: The columns of texts.
        tolerance: The largest difference of its score from the model's, as a share of 1 + its size.
    """

    model: Any
    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    tolerance: float


class RowModel(ABC):
    """A fitted model as serving asks it about rows; the family's `rows`.

    A family overrides what its models can do beyond scores.

    Args:
        fitted: The model.

    Attributes:
        reads: The columns that the model reads, as far as it exposes them.
        texts: The texts that it has a code for, by column, as far as it exposes them.
        normals: Scores of held-out normal rows, rising, among which a row has its p-value.
    """

    reads: Sequence[str] = ()
    texts: Mapping[str, frozenset[str]] = {}
    normals: ndarray = np.zeros(0)

    def __init__(self, fitted: Any) -> None:
        self.fitted = fitted

    @abstractmethod
    def score(self, rows: RowReader) -> RowScores:
        """Return the scores of rows; what is said of a row must not depend on those beside it."""

    def columns(self, table: Table, context: RunContext) -> pl.DataFrame:
        """Return the columns that the run's feature set adds to a table."""
        columns: pl.DataFrame = context.features.compute(table)
        return columns

    def from_scores(self, score: ndarray) -> RowScores:
        """Return the same for scores that are known already, shape (n,)."""
        return RowScores(score)

    def reasons(self, rows: RowReader) -> list[Reasons]:
        """Return the reasons of the score of each row."""
        return [[] for _ in range(rows.height)]

    def in_words(self, reasons: Sequence[Mapping[str, Any]]) -> list[str]:
        """Return the reasons of a row as sentences."""
        return []

    def graph(self) -> GraphOfRows:
        """Return the model as a graph.

        Raises:
            NoGraph: It has none, with the reason.
        """
        raise NoGraph(f"a '{type(self.fitted).__name__}' is written in no operators of ONNX here")

    @staticmethod
    def learns(model: Recipe) -> bool:
        """Return whether `refit` can fit a model to labelled rows."""
        return False

    @classmethod
    def refit(cls, model: Any, table: Table, learned: ndarray, context: RunContext) -> Self:
        """Return a model fitted to rows, which come in the order of time.

        Args:
            model: The recipe.
            table: All rows.
            learned: The places of those to learn from, of which `STOP` and `CALIBRATE` are shares.
            context: Random streams and threads.
        """
        raise NotImplementedError(f"{cls.__name__}.refit")


def row_model(fitted: Any) -> RowModel | None:
    """Return what asks a fitted model about rows; None where its family scores no rows."""
    offer = hook_class(type(fitted), "rows", RowModel)
    return None if offer is None else offer(fitted)


# StreamModel: a fitted model that follows machines row by row.


@dataclass(frozen=True, eq=False)
class LiveScores:
    """The scores of new rows.

    Attributes:
        score: The scores, above 1 where a row is anomalous, NaN where it has none; shape (rows,).
        reason: The sensor that adds most to each row above 1, None elsewhere.
    """

    score: ndarray
    reason: list[str | None]


class StreamModel(ABC):
    """A fitted model that scores new rows of machines by what was seen of each so far; the family's
    `stream`.

    Args:
        fitted: The model.

    Raises:
        ConfigError: The model cannot follow a stream.
    """

    @abstractmethod
    def __init__(self, fitted: Any) -> None: ...

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """The sensors, then the settings, that each row must have."""

    @property
    @abstractmethod
    def sensors(self) -> int:
        """The number of sensors among them."""

    @abstractmethod
    def new_state(self) -> Any:
        """Return the state of a machine before its first row, which can be stored
        (`hwds.core.serialization`).
        """

    @abstractmethod
    def advance(self, states: Sequence[Any], rows: RowsOfRuns) -> LiveScores:
        """Return how odd new rows are, and let the states of their machines go on.

        Args:
            states: The states of the machines that have new rows.
            rows: The new rows, in the order of the states.
        """


# Policies: the policies of a family in production.


class Policies(ABC):
    """What puts the policy of a run into production; the family's `policies`.

    Class attribute: `settings`, the recipe of what people choose in the YAML of `hwds bundle
    --live`.
    """

    settings: ClassVar[type[Recipe]]

    @staticmethod
    @abstractmethod
    def content(
        policy: Any, protocol: Any, world: Any, seed: int, settings: Any, n_cases: int
    ) -> Content:
        """Return the content of a bundle of a policy.

        Args:
            policy: The recipe.
            protocol: The run's protocol, which has played it.
            world: The run's world.
            seed: The run's seed.
            settings: An object of the class `settings`.
            n_cases: The number of decisions that a fresh process must repeat.

        Raises:
            ConfigError: A setting is missing, or does not fit the run.
        """

    @staticmethod
    @abstractmethod
    def service(policy: Any, folders: Sequence[Readable], store: Path) -> Service:
        """Return the service of a policy, with its log in a folder.

        Args:
            policy: The recipe.
            folders: Folders of a bundle, of which the first that holds a market counts.
            store: The folder of the log.
        """
