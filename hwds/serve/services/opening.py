"""Opening a bundle: from a verified folder to the service that answers by it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwds.core.errors import ConfigError, DataError, HwdsError
from hwds.core.moved import current_paths
from hwds.core.onnx_graph import GraphScorer
from hwds.core.registry import hook_class
from hwds.core.serialization import load_fitted
from hwds.evaluation.serving import STATEFUL, Policies, Service, row_model
from hwds.experiment.spec import Experiment, check_stored
from hwds.frames.features.base import RowFeatures
from hwds.frames.features.none import None_
from hwds.frames.images import Images
from hwds.frames.panel import Panel
from hwds.frames.runs import Runs
from hwds.frames.table import Table
from hwds.results.event_log import Durable
from hwds.results.files import read_table
from hwds.results.tables import Tables
from hwds.serve.bundle.manifest import (
    CONFIG,
    DECISION,
    GRAPH,
    MODEL,
    STATE,
    TABLES,
    Manifest,
    stored_rule,
    trusted_keys,
)
from hwds.serve.events.online import Online
from hwds.serve.services.rows import EventService, RowService
from hwds.serve.services.units import ImageService, PanelService, RunsService, UnitService

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

    Attributes:
        folder: Its folder.
        manifest: What is in it.
    """

    folder: Path
    manifest: Manifest

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
        return cls(path, Manifest.read(path, trusted_keys(trust)))

    def json(self, name: str) -> Any:
        """Return a JSON file of the bundle; None where it has none."""
        path = self.folder / name
        return json.loads(path.read_bytes()) if path.is_file() else None

    def experiment(self) -> Experiment:
        """Return the run's experiment."""
        return check_stored(self.json(CONFIG))

    def load_model(self) -> Any:
        """Return the model."""
        with suppress(HwdsError):  # imports the packages of a user that stored classes are of
            self.experiment()
        return load_fitted(self.folder / MODEL)

    def graph(self) -> GraphScorer | None:
        """Return the model as a graph, where there is one and onnxruntime is installed."""
        from importlib.util import find_spec

        columns = self.manifest.graph
        if "numbers" not in columns or find_spec("onnxruntime") is None:
            return None
        return GraphScorer(self.folder / GRAPH, columns["numbers"], columns["texts"])

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
    kind, state = bundle.manifest.kind, bundle.folder / STATE
    if kind == "policy":
        return policy_service(bundle, [state], store)
    if kind in UNITS:
        frame, service = UNITS[kind]
        tables = _tables(bundle.folder / TABLES)
        return service(bundle.experiment(), bundle.load_model(), frame.read(state), tables)  # type: ignore[attr-defined]
    fitted, schema = bundle.load_model(), Table.read(state)
    rule = stored_rule(current_paths(bundle.json(DECISION)))
    model = row_model(fitted)
    if model is None:
        raise DataError(f"{bundle.folder / MODEL}: holds no model that scores rows.")
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


def policy_service(bundle: Bundle, folders: Sequence[Path], store: Path) -> Service:
    """Return the service of a policy's bundle, with its log in a folder; see `Policies.service`."""
    policy = bundle.experiment().model
    policies: type[Policies] = hook_class(type(policy), "policies", Policies)
    return policies.service(policy, folders, store)


def begin_store(state: Path, store: Path) -> None:
    """Copy the events of a bundle to a new store; one that is there goes on."""
    store.parent.mkdir(parents=True, exist_ok=True)
    if store.is_file():
        return
    for path in sorted(state.glob(f"{EVENTS}*"), reverse=True):
        target = store.with_name(store.name + path.name.removeprefix(EVENTS))
        shutil.copyfile(path, target.with_name(f".{target.name}.part"))
        target.with_name(f".{target.name}.part").replace(target)


def _tables(folder: Path) -> Tables | None:
    if not folder.is_dir():
        return None
    return Tables(**{path.stem: read_table(path) for path in sorted(folder.glob("*.parquet"))})
