"""MLflow: every record in a store of SQLite below outputs/, or where `uri` says; bundles as
versions of its registry.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import yaml
from pydantic import AfterValidator

from hwds.core.config import extras_of_node
from hwds.core.files import OUTPUTS, digest_bytes
from hwds.core.recipe import Positive
from hwds.core.secrets import without_secrets
from hwds.track.records import Curve, Record, ShownPoints
from hwds.track.trackers.base import (
    Tracker,
    TrackingError,
    require_answer,
    require_room,
    tracking_errors,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

URI_VARIABLE = "MLFLOW_TRACKING_URI"
"""The variable in which MLflow passes the address to processes that it starts."""

ID_TAG = "hwds.id"
"""The tag that identifies a run, so that writing it twice leaves one, with each step once."""

MODEL_TAG = "hwds.model"
"""The tag of a run whose model is logged: the digest of the model."""

LOADER = "hwds.experiment.mlflow_pyfunc"
"""The module whose `_load_pyfunc` MLflow calls with the folder of a model, without pickle."""

BUNDLE_TAG = "hwds.bundle"
"""The tag of a version: the digest of its bundle."""

BUNDLES_EXPERIMENT = "hwds bundles"
"""The experiment of MLflow whose runs hold the files of bundles."""

QUIET = {
    "DISABLE_TELEMETRY": "true",
    "LOGGING_LEVEL": "WARNING",
    "HTTP_REQUEST_MAX_RETRIES": "1",
    "HTTP_REQUEST_TIMEOUT": "20",
}
"""MLflow's settings where the user gives none: no telemetry, no progress output, and no retries for
minutes.
"""

LONGEST_PARAMETER = 6000
"""Characters of a parameter's value."""


def _open(value: str) -> str:
    if urlsplit(value).password:
        raise ValueError(
            "must hold no password; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        )
    return value


Address = Annotated[str, AfterValidator(_open)]
"""The address of a store, without a password."""


class Mlflow(Tracker):
    """Mirror in MLflow, with nested runs for the trials of a sweep and a model that MLflow itself
    loads.

    Attributes:
        uri: The URI of the tracking store: `http://host:5000`, `sqlite:///file.db`; if empty,
            `MLFLOW_TRACKING_URI`; without that, `outputs/mlflow/mlflow.db`.
        patience: Seconds that a server may take to answer.
    """

    imports = ("mlflow",)
    uri: Address = ""
    patience: Positive = 1.5

    @property
    def address(self) -> str:
        """The store's URI."""
        default = f"sqlite:///{mlflow_root() / 'mlflow.db'}"
        return self.uri or os.environ.get(URI_VARIABLE) or default

    def begin(self) -> None:
        """Import it and open the store; the first time its tables are made."""
        if self.remote():
            require_answer(f"{self.address.rstrip('/')}/health", self.patience)
        else:
            require_room(mlflow_root())
        open_store(self.address)

    def write(self, records: Sequence[Record]) -> list[str]:
        """Write a run of MLflow for each record.

        Those of a sweep's trials are nested in the sweep's.
        """
        return self.following().finish(records)

    def following(self) -> Store:
        """Return the run of MLflow that grows while the run computes."""
        return Store(self.address)

    def remote(self) -> bool:
        """Return whether the store is a server."""
        return self.address.startswith("http")

    def exist(self, places: Sequence[str]) -> bool:
        """Return whether the file of the store exists; a server is trusted."""
        files = {place.partition("#")[0] for place in places if place.startswith("sqlite:///")}
        return all(Path(file.removeprefix("sqlite:///")).is_file() for file in files)

    def location(self, places: Sequence[str]) -> str:
        """Return the address of the store, or the command that shows it."""
        if self.remote():
            return f"MLflow: {without_secrets(self.address)}"
        path = os.path.relpath(self.address.removeprefix("sqlite:///"))
        return f"MLflow: `mlflow ui --backend-store-uri sqlite:///{path}` shows it."


def mlflow_root() -> Path:
    """Return the folder of the store and its artifacts."""
    return (OUTPUTS / "mlflow").resolve()


def open_store(address: str) -> MlflowClient:
    """Return a client of the store, whose tables exist."""
    for name, value in QUIET.items():
        os.environ.setdefault(f"MLFLOW_{name}", value)
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=address)
    client.search_experiments(max_results=1)
    return client


class Store:
    """A tracking store, and the run in it that grows while it is computed.

    Args:
        address: Its URI.
    """

    def __init__(self, address: str) -> None:
        self.address, self.client = address, open_store(address)
        self.live, self.logged = "", ShownPoints()

    def show(self, record: Record) -> None:
        """Log what is new."""
        if not self.live:
            self.live = self._run(record)
            self.client.update_run(self.live, status="RUNNING")
            self._log_parameters(self.live, record)
        self._log_points(self.live, map(self.logged.new, record.curves))

    def finish(self, records: Sequence[Record]) -> list[str]:
        """Write records, or overwrite them; those of a sweep's trials are nested in the sweep's.

        Return the address of each.
        """
        first, *others = records
        run = self._write(first)
        runs = [run, *(self._write(record, {"mlflow.parentRunId": run}) for record in others)]
        return [f"{self.address}#{run}" for run in runs]

    def abandon(self) -> None:
        """Mark the run as ended without results."""
        if self.live:
            self.client.set_terminated(self.live, "KILLED")

    def _write(self, record: Record, parent: Mapping[str, str] | None = None) -> str:
        """Write one record, read it back, and return MLflow's id of its run."""
        run = self._run(record, parent)
        self._log_parameters(run, record)
        self._log_points(run, [Curve("", ((0, record.summary),)), *record.curves])
        self._log_data(run, record)
        for path in record.pictures:
            self.client.log_artifact(run, str(path), "pictures")
        for path in _files(record):
            self.client.log_artifact(run, str(path))
        self._log_model(run, record)
        self.require_whole(run, record)
        status = "FAILED" if "error" in record.labels else "FINISHED"
        self.client.set_terminated(run, status, record.ended)
        return run

    def _run(self, record: Record, parent: Mapping[str, str] | None = None) -> str:
        """Return the run of a record: the one with its id, or a new one."""
        from mlflow.entities import RunTag

        artifacts = f"{(mlflow_root() / 'artifacts').as_uri()}/{record.experiment}"
        location = artifacts if self.address.startswith("sqlite") else None
        experiment = experiment_id(self.client, record.experiment, location)
        same = f"tags.`{ID_TAG}` = '{record.id}'"
        tags = {**_tags(record), **(parent or {})}
        if found := self.client.search_runs([experiment], same, max_results=1):
            run = str(found[0].info.run_id)
            self.client.update_run(run, name=record.name)
            self.client.log_batch(run, tags=[RunTag(*item) for item in tags.items()])
            return run
        run = self.client.create_run(experiment, record.started, tags, record.name)
        return str(run.info.run_id)

    def _log_parameters(self, run: str, record: Record) -> None:
        """Log parameters. One cannot be written again with another value, such as an option's
        name.
        """
        from mlflow.entities import Param

        logged, values = self.client.get_run(run).data.params, _parameters(record)
        new = [Param(key, value) for key, value in values.items() if key not in logged]
        self.client.log_batch(run, params=new)

    def _log_points(self, run: str, curves: Iterable[Curve]) -> None:
        """Log points. MLflow identifies one by step and time: with the run's own time it exists
        once.
        """
        from mlflow.entities import Metric

        time = self.client.get_run(run).info.start_time
        points = [
            Metric(_allowed_name(key), float(value), time, step)
            for curve in curves
            for step, values in curve.points
            for key, value in values.items()
        ]
        self.client.log_batch(run, metrics=points)

    def _log_data(self, run: str, record: Record) -> None:
        """Log the dataset with its fingerprint."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        name, digest = record.data
        if digest:
            source = json.dumps(record.config.get("dataset", {}), default=str)[:65_000]
            data = Dataset(name=name, digest=digest[:36], source_type="hwds", source=source)
            context = InputTag("mlflow.data.context", "evaluation")
            self.client.log_inputs(run, [DatasetInput(data, [context])])

    def _log_model(self, run: str, record: Record) -> None:
        """Log the saved model, once: MLflow would create a second one."""
        if record.model is None:
            return
        digest = model_digest(record.model)
        if self.client.get_run(run).data.tags.get(MODEL_TAG) != digest:
            log_pyfunc(self.address, run, record)
            self.client.set_tag(run, MODEL_TAG, digest)

    def require_whole(self, run: str, record: Record) -> None:
        """Refuse a run that lacks something when it is read back.

        Raises:
            TrackingError: Something is missing.
        """
        data = self.client.get_run(run).data
        kept = {
            *data.metrics,
            *data.params,
            *(file.path for file in self.client.list_artifacts(run)),
        }
        names = [*record.summary, *(name for curve in record.curves for name in curve.names)]
        given = {*map(_allowed_name, names), *_parameters(record)}
        if missing := (given | {path.name for path in _files(record)}) - kept:
            raise TrackingError(f"MLflow has not kept {', '.join(sorted(missing)[:5])}.")


def experiment_id(client: MlflowClient, name: str, artifacts: str | None = None) -> str:
    """Return the id of an experiment, which is created where it does not exist."""
    if found := client.get_experiment_by_name(name):
        return str(found.experiment_id)
    return str(client.create_experiment(name, artifact_location=artifacts))


def _files(record: Record) -> list[Path]:
    further = [record.page, record.predictions and record.predictions[0]]
    return [*record.files, *filter(None, further)]


def _tags(record: Record) -> dict[str, str]:
    labels = {f"hwds.{key}": str(value) for key, value in record.labels.items()}
    standard = {"mlflow.user": "user", "mlflow.source.git.commit": "commit"}
    metrics = {key: measure.name for key, measure in record.measures.items()}
    further = {
        "hwds.group": record.group,
        "mlflow.note.content": record.notes,
        "hwds.metrics": json.dumps(metrics) if metrics else "",
        "hwds.predictions.sha256": record.predictions[1] if record.predictions else "",
        **{name: record.labels.get(label, "") for name, label in standard.items()},
    }
    tags = labels | {name: value for name, value in further.items() if value}
    tags |= {ID_TAG: record.id, "hwds.kind": record.kind}
    tags |= {"mlflow.source.name": "hwds", "mlflow.source.type": "LOCAL"}
    tags |= {f"hwds.tag.{tag}": "true" for tag in record.tags}
    return {name: value[:LONGEST_PARAMETER] for name, value in tags.items()}


def _parameters(record: Record) -> dict[str, str]:
    texts = {
        key: value if isinstance(value, str) else json.dumps(value, default=str)
        for key, value in record.parameters.items()
    }
    return {_allowed_name(key): value[:LONGEST_PARAMETER] for key, value in sorted(texts.items())}


def _allowed_name(key: str) -> str:
    """Return a name that MLflow accepts: letters, digits, underscores, hyphens, dots, spaces,
    colons and slashes.
    """
    return re.sub(r"[^\w\-. :/]", "_", key)[:250]


def model_digest(folder: Path) -> str:
    """Return the digest of a saved model: names and bytes of its files."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return digest_bytes(
        part for path in files for part in (path.name.encode(), b"\0", path.read_bytes())
    )


def log_pyfunc(address: str, run: str, record: Record) -> None:
    """Log the model and the config for its predictions, under the name `model`.

    Args:
        address: The store's URI.
        run: MLflow's id of the run.
        record: The record of the run.
    """
    import mlflow

    assert record.model is not None
    extras = ",".join(extras_of_node("model", record.config["model"]))
    package = f"hwds[{extras}]" if extras else "hwds"
    config = yaml.safe_dump(_serving_config(record), sort_keys=False, allow_unicode=True)
    with (
        _tracking_uri(address),
        tempfile.TemporaryDirectory() as scratch,
        mlflow.start_run(run_id=run),
    ):
        data = Path(scratch, "run")
        shutil.copytree(record.model, data / "model")
        (data / "config.yaml").write_text(config, encoding="utf-8")
        mlflow.pyfunc.log_model(
            name="model",
            loader_module=LOADER,
            data_path=str(data),
            pip_requirements=[f"{package}=={version('hwds')}"],
            metadata={"hwds_run": record.labels.get("run", "")},
        )


@contextmanager
def _tracking_uri(address: str) -> Iterator[None]:
    """Direct MLflow's fluent calls to this store within the block.

    The environment is restored afterwards: another tracker may take its address from there.
    """
    import mlflow

    before = os.environ.get(URI_VARIABLE)
    mlflow.set_tracking_uri(address)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(None)
        os.environ.pop(URI_VARIABLE, None)
        os.environ.update({URI_VARIABLE: before} if before else {})


def _serving_config(record: Record) -> dict[str, Any]:
    """Return the config with the horizon, which new data without a test part does not determine."""
    config = dict(record.config)
    dataset, steps = config["dataset"], record.labels.get("horizon")
    if (dataset.get("roles") or {}).get("split") and not dataset.get("horizon") and steps:
        config["dataset"] = {**dataset, "horizon": int(steps)}
    return config


def mirror_bundle(
    address: str,
    name: str,
    folder: Path,
    digest: str,
    tags: Mapping[str, str],
    aliases: Mapping[str, bool],
) -> str:
    """Write a bundle as a version of a registered model, or what is new of it.

    Return the number of the version.

    Args:
        address: The store's URI.
        name: The registered model.
        folder: The bundle.
        digest: The digest of the bundle, which has one version however often it is written.
        tags: The tags of the version: the verdicts of gates.
        aliases: By alias whether it is to name this version; one that is not is taken away from it,
            and left to others.

    Raises:
        TrackingError: The store does not answer, or refuses.
    """
    with tracking_errors():
        client = open_store(address)
        number = _version(client, name, digest) or _create_version(client, name, folder, digest)
        for tag, value in tags.items():
            client.set_model_version_tag(name, number, tag, value)
        named = client.get_model_version(name, number).aliases
        for alias, is_held in aliases.items():
            if is_held:
                client.set_registered_model_alias(name, alias, number)
            elif alias in named:
                client.delete_registered_model_alias(name, alias)
    return number


def _version(client: MlflowClient, name: str, digest: str) -> str | None:
    """Return the version of a bundle; None where there is none."""
    versions = client.search_model_versions(f"name='{name}'")
    return next(
        (str(each.version) for each in versions if each.tags.get(BUNDLE_TAG) == digest), None
    )


def _create_version(client: MlflowClient, name: str, folder: Path, digest: str) -> str:
    """Upload a bundle as artifacts of a run, and make a version of it."""
    tags = {BUNDLE_TAG: digest}
    run = client.create_run(experiment_id(client, BUNDLES_EXPERIMENT), tags=tags, run_name=digest)
    client.log_artifacts(run.info.run_id, str(folder), "bundle")
    client.set_terminated(run.info.run_id)
    if not client.search_registered_models(f"name='{name}'"):
        client.create_registered_model(name)
    source = f"{run.info.artifact_uri}/bundle"
    version = client.create_model_version(name, source, run.info.run_id, tags=tags)
    return str(version.version)
