"""Services of rows and events, and the way from a verified folder to the service that answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from numpy import ndarray

from hwds.core.errors import ConfigError, DataError, HwdsError
from hwds.core.files import Readable, write_bytes
from hwds.core.moved import current_paths
from hwds.core.onnx_graph import GraphScorer
from hwds.core.questions import ID, Fields, Json, RowRule, id_of, tier_fields
from hwds.core.registry import hook_class
from hwds.core.serialization import load_fitted
from hwds.evaluation.serving import (
    STATEFUL,
    Answer,
    Policies,
    Question,
    RowModel,
    Service,
    column_schema,
    object_schema,
    row_model,
)
from hwds.experiment.spec import Experiment, check_stored
from hwds.frames.features.base import RowFeatures
from hwds.frames.features.none import None_
from hwds.frames.images import Images
from hwds.frames.panel import Panel
from hwds.frames.rows import hidden_columns
from hwds.frames.runs import Runs
from hwds.frames.table import ROW_ID, Table
from hwds.results.event_log import Durable
from hwds.results.tables import Tables
from hwds.serve.bundle.manifest import (
    CONFIG,
    DECISION,
    GRAPH,
    MODEL,
    STATE,
    TABLES,
    BundlePath,
    Manifest,
    read_bundle,
    stored_rule,
    trusted_keys,
)
from hwds.serve.events.online import Online, RowScorer, take_report
from hwds.serve.events.reading import Reader
from hwds.serve.services.units import ImageService, PanelService, RunsService, UnitService

# Services of classifiers and detectors: rows that stand alone, and events whose features remember


class ReadRow(NamedTuple):
    """A row as it was read, by column, and its id."""

    id: str
    values: Fields


class RowService(Service):
    """Scores rows that stand alone: by the graph where there is one, else by the model itself.

    Args:
        model: What asks the model.
        schema: A table like the rows that it was fitted on, without rows.
        graph: The same model as a graph, or None.
        rule: What the run's decision says of a row, or None.
    """

    kind = "rows"

    def __init__(
        self,
        model: RowModel,
        schema: Table,
        graph: GraphScorer | None,
        rule: RowRule | None,
    ) -> None:
        self._reader = Reader(schema, ID, timed=False)
        self._model, self._schema, self._graph, self._rule = model, schema, graph, rule
        self._scorer = RowScorer(model, schema)

    def answer(self, questions: Sequence[Question], *, reasons: bool = False) -> list[Answer]:
        """See `Service`."""
        return self.score(self.read(questions), reasons=reasons)

    def read(self, questions: Sequence[Question]) -> list[ReadRow]:
        """Return the rows of the questions of one request, each with its id.

        Raises:
            DataError: One is no such question, with its id.
        """
        ids = [id_of(question, place) for place, question in enumerate(questions)]
        return [
            ReadRow(id, self._reader.read({**row, ID: id}).values)
            for id, row in zip(ids, questions, strict=True)
        ]

    def score(self, rows: Sequence[ReadRow], *, reasons: bool = False) -> list[Answer]:
        """Return the answers to rows, which may be of several requests."""
        read = [row.values for row in rows]
        if self._graph is None or reasons:
            scored, why = self._scorer.score(read, reasons)
        else:
            scored, why = self._model.from_scores(self._graph.score(read)["score"]), []
        ids = [row.id for row in rows]
        columns = (
            _as_list(each, len(rows)) for each in (scored.score, scored.probability, scored.p_value)
        )
        answers: list[Answer] = [
            {ID: id, "score": score, "probability": chance, "p_value": p_value}
            for id, score, chance, p_value in zip(ids, *columns, strict=True)
        ]
        if self._rule is not None:
            stakes = [row.get(self._rule.amount) for row in read]
            tiers = self._rule.tiers(ids, scored.probability, stakes)
            for answer, tier in zip(answers, tiers, strict=True):
                answer.update(tier_fields(tier))
        if reasons:
            for answer, reason in zip(answers, why, strict=True):
                answer["reasons"] = self._model.in_words(reason)
        return answers

    def question_schema(self) -> Json:
        """See `Service`."""
        return object_schema(question_columns(self._schema), (), "A row")


class EventService(Service):
    """Scores events in the order in which they come, and takes what became of them; what it says
    outlives `kill -9`.

    A question is an event by column, or a message: `{"label": 1, "of": "A-17"}`, `{"returned":
    true, "of": "A-17"}`.

    Args:
        online: The scorer with its store, and the rule of the run's decision.
        schema: A table like the events, without rows.
    """

    kind = "events"
    stateful = True

    def __init__(self, online: Online, schema: Table) -> None:
        self._online, self._schema = online, schema
        self._time, self._key = schema.name("time"), schema.name("id") or ID

    def answer(self, questions: Sequence[Question], *, reasons: bool = False) -> list[Answer]:
        """See `Service`; events of one request are all there or none, messages are taken one by
        one, after them.
        """
        for place, question in enumerate(questions):
            id_of(question, place)
        messages = [
            place
            for place, question in enumerate(questions)
            if "of" in question and "of" not in self._columns
        ]
        events = [
            self._event(question)
            for place, question in enumerate(questions)
            if place not in messages
        ]
        scored = iter(self._online.score_many(events, reasons=reasons))
        answers: list[Answer] = []
        for place, question in enumerate(questions):
            if place in messages:
                answers.append({"of": question["of"], "news": take_report(self._online, question)})
                continue
            event = next(scored)
            answer: Answer = {
                ID: event.id,
                "score": event.score,
                "probability": event.probability,
                "p_value": event.p_value,
            }
            answer |= {
                "tier": event.tier,
                "expected_gain": event.expected_gain,
                "lacks": list(event.lacks),
                "again": event.again,
            }
            answers.append(answer | ({"reasons": event.words} if reasons else {}))
        return answers

    def _event(self, question: Question) -> Question:
        """Return an event under the name that its id has in the data."""
        if self._key == ID or ID not in question:
            return question
        return {name: value for name, value in question.items() if name != ID} | {
            self._key: question[ID]
        }

    @property
    def _columns(self) -> Sequence[str]:
        return self._schema.data.columns

    def question_schema(self) -> Json:
        """See `Service`."""
        return object_schema(question_columns(self._schema), (ID, self._time), "An event")

    def close(self) -> None:
        """Close the store."""
        self._online.close()


def _as_list(column: ndarray | None, rows: int) -> list[float | None]:
    return [None] * rows if column is None else column.tolist()


def question_columns(schema: Table) -> Json:
    """Return the columns that a question may bear, each with its JSON Schema."""
    hidden = {ROW_ID, *hidden_columns(schema)}
    kinds = schema.data.schema.items()
    columns = {
        name: column_schema(kind)
        for name, kind in kinds
        if name not in hidden and not isinstance(kind, pl.Array)
    }
    amounts = [name for name in schema.roles.get("amount", ()) if name in columns]
    return columns | {
        name: columns[name] | {"minimum": 0} for name in amounts
    }  # as `Reader` has it


EVENTS = "events.db"
UNITS: dict[str, tuple[type, type[UnitService]]] = {
    "panel": (Panel, PanelService),
    "runs": (Runs, RunsService),
    "images": (Images, ImageService),
}
"""By kind of question the frame that a bundle keeps, and its service."""


@dataclass(frozen=True)
class Bundle:
    """A bundle whose signature and digests were checked.

    Its files were read into memory once, and nothing of it is read from its folder again.

    Attributes:
        folder: Its folder.
        manifest: What is in it.
        root: Its files in memory.
    """

    folder: Path
    manifest: Manifest
    root: BundlePath

    @classmethod
    def open(cls, folder: Path | str, trust: str | None = None) -> Bundle:
        """Check a folder.

        Args:
            folder: The bundle.
            trust: The place of the public keys; see `trusted_keys`.

        Raises:
            DataError: It is no bundle, unsigned, of a signer who is not trusted, or was changed.
        """
        path = Path(folder).resolve()
        return cls(path, *read_bundle(path, trusted_keys(trust)))

    @classmethod
    def of_any_signer(cls, folder: Path) -> Bundle:
        """Check a folder that was just made here, whose signer nobody needs to trust.

        Raises:
            DataError: It is no bundle, unsigned, or was changed.
        """
        return cls(folder, *read_bundle(folder, None))

    def json(self, name: str) -> Any:
        """Return a JSON file of the bundle; None where it has none."""
        file = self.root / name
        return json.loads(file.read_bytes()) if file.is_file() else None

    def copy_to(self, folder: Path) -> None:
        """Write all files, as they were checked, into a folder."""
        for name, content in self.root.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)

    def lighter(self) -> Bundle:
        """Return the bundle with what a server needs to open it once more, in less memory.

        A policy or a model of events is opened again where another bundle fails to replace it, and
        its store is there by then. Other bundles keep the files that are in no folder.
        """
        kept = (MODEL, STATE) if self.manifest.kind in STATEFUL else ()
        files = {
            name: content
            for name, content in self.root.files.items()
            if ("/" not in name and name != GRAPH) or (name.startswith(kept) and EVENTS not in name)
        }
        return replace(self, root=replace(self.root, files=files))

    def experiment(self) -> Experiment:
        """Return the run's experiment."""
        return check_stored(self.json(CONFIG))

    def load_model(self) -> Any:
        """Return the model."""
        with suppress(HwdsError):  # imports the packages of a user that stored classes are of
            self.experiment()
        return load_fitted(self.root / MODEL)

    def graph(self) -> GraphScorer | None:
        """Return the model as a graph, where there is one and onnxruntime is installed."""
        from importlib.util import find_spec

        columns = self.manifest.graph
        if "numbers" not in columns or find_spec("onnxruntime") is None:
            return None
        graph = (self.root / GRAPH).read_bytes()
        return GraphScorer(graph, columns["numbers"], columns["texts"])

    def service(self, store: Path | None = None, durable: Durable = "process") -> Service:
        """Return the service that answers by this bundle.

        Args:
            store: The file where events are kept, which a copy of the bundle's begins; of a policy
                the folder of its log. None takes a folder beside the bundle.
            durable: What an answer to an event outlives.

        Raises:
            ConfigError: A store is named for a bundle that remembers nothing.
            DataError: The bundle is of another version of hwds.
        """
        self.refuse_store(store)
        if not store:
            store = self.folder.with_name(f"{self.folder.name}.store")
            store = store / EVENTS if self.manifest.kind == "events" else store
        return service_of(self, store, durable)

    def refuse_store(self, store: Path | str | None) -> None:
        """Refuse a store that is named for a bundle that remembers nothing.

        Raises:
            ConfigError: It is.
        """
        if store is not None and self.manifest.kind not in STATEFUL:
            raise ConfigError(
                f"--store: this bundle answers {self.manifest.kind}, which remember nothing; "
                f"leave it out."
            )


def service_of(bundle: Bundle, store: Path, durable: Durable = "process") -> Service:
    """Return the service of a bundle, with its events, or the log of its policy, in a store."""
    kind, state = bundle.manifest.kind, bundle.root / STATE
    if kind == "policy":
        return policy_service(bundle, [state], store)
    if kind in UNITS:
        frame, service = UNITS[kind]
        tables = _tables(bundle.root / TABLES)
        return service(bundle.experiment(), bundle.load_model(), frame.read(state), tables)  # type: ignore[attr-defined]
    fitted, schema = bundle.load_model(), Table.read(state)
    rule = stored_rule(current_paths(bundle.json(DECISION)))
    model = row_model(fitted)
    if model is None:
        raise DataError(f"{bundle.root / MODEL}: holds no model that scores rows.")
    if kind == "rows":
        graph = (
            None if len(model.normals) else bundle.graph()
        )  # a rank among held-out rows jumps at the last bit of a score
        return RowService(model, schema, graph, rule)
    features = bundle.experiment().features
    assert isinstance(features, RowFeatures | None_)
    begin_store(state, store)
    return EventService(
        Online(fitted, features, schema, store, durable=durable, tiers=rule), schema
    )


def policy_service(bundle: Bundle, folders: Sequence[Readable], store: Path) -> Service:
    """Return the service of a policy's bundle, with its log in a folder; see `Policies.service`."""
    policy = bundle.experiment().model
    policies: type[Policies] = hook_class(type(policy), "policies", Policies)
    return policies.service(policy, folders, store)


def begin_store(state: BundlePath, store: Path) -> None:
    """Write the events of a bundle to a new store; one that is there goes on."""
    if store.is_file():
        return
    for name, content in sorted(state.contents().items(), reverse=True):
        if name.startswith(EVENTS):  # the store itself last
            write_bytes(store.with_name(store.name + name.removeprefix(EVENTS)), content)


def _tables(folder: BundlePath) -> Tables | None:
    found = sorted(folder.contents().items())
    tables = {Path(name).stem: pl.read_parquet(content) for name, content in found}
    return Tables(**tables) if tables else None
