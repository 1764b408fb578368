"""Records as runs of MLflow, while they are computed too; saved models; bundles as versions."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from hwds.core.files import digest_bytes
from hwds.track.records import Curve, Record, ShownPoints
from hwds.track.trackers.base import tracking_errors

if TYPE_CHECKING:
    from mlflow import MlflowClient


# The saved model of a run as a pyfunc: MLflow loads it by the name of a module of hwds, without
# pickle.

URI_VARIABLE = "MLFLOW_TRACKING_URI"
"""The variable in which MLflow passes the address to processes that it starts."""


def model_digest(folder: Path) -> str:
    """Return the digest of a saved model: names and bytes of its files."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return digest_bytes(
        part for path in files for part in (path.name.encode(), b"\0", path.read_bytes())
    )


def log_pyfunc(address: str, run: str, record: Record, loader: str, requirement: str) -> None:
    """Log the model and the config for its predictions, under the name `model`.

    Args:
        address: The store's URI.
        run: MLflow's id of the run.
        record: The record of the run.
        loader: The module whose `_load_pyfunc` is called with the folder.
        requirement: The package that must be installed to load it.
    """
    import mlflow

    assert record.model is not None
    with (
        _tracking_uri(address),
        tempfile.TemporaryDirectory() as beside,
        mlflow.start_run(run_id=run),
    ):
        data = Path(beside, "run")
        shutil.copytree(record.model, data / "model")
        (data / "config.yaml").write_text(
            yaml.safe_dump(_serving_config(record), sort_keys=False, allow_unicode=True),
            encoding="utf-8",
        )
        mlflow.pyfunc.log_model(
            name="model",
            loader_module=loader,
            data_path=str(data),
            pip_requirements=[requirement],
            metadata={"hwds_run": record.labels.get("run", "")},
        )


@contextmanager
def _tracking_uri(address: str) -> Iterator[None]:
    """Direct MLflow's fluent calls to this store within the block.

    The environment is restored afterwards.
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


# One record as a run of MLflow, identified by its id, so that writing it twice leaves one run,
# with each step once.

ID_TAG = "hwds.id"
"""The tag that identifies a run."""

MODEL_TAG = "hwds.model"
"""The tag of a run whose model is logged: the digest of the model."""

LOADER = "hwds.experiment.mlflow_pyfunc"
"""The module whose `_load_pyfunc` MLflow calls."""

QUIET = {
    "DISABLE_TELEMETRY": "true",
    "LOGGING_LEVEL": "WARNING",
    "HTTP_REQUEST_MAX_RETRIES": "1",
    "HTTP_REQUEST_TIMEOUT": "20",
}
"""MLflow's settings where the user gives none: no telemetry, no progress output, and no retries for
minutes.
"""

METRICS_A_REQUEST, PARAMETERS_A_REQUEST = 1000, 100
"""The most metrics and parameters in a request (MLflow's REST API)."""

LONGEST_PARAMETER = 6000
"""Characters of a parameter's value."""


def open_store(address: str) -> MlflowClient:
    """Return a client of the store, whose tables exist.

    Raises:
        TrackingError: The store does not answer.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(f"MLFLOW_{name}", value)
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=address)
    with tracking_errors():
        client.search_experiments(max_results=1)
    return client


class Store:
    """A tracking store.

    Args:
        address: Its URI.
        artifacts: The folder of artifacts, for a store that keeps none itself.
    """

    def __init__(self, address: str, artifacts: str) -> None:
        self.address, self.artifacts = address, artifacts
        self.client = open_store(address)
        self._runs: dict[str, str] = {}

    def write(self, record: Record, parent: Record | None = None) -> str:
        """Write one record, or overwrite it.

        Returns:
            MLflow's id of the run.
        """
        with tracking_errors():
            run = self._run(record, parent)
            self._numbers(run, record)
            self._data(run, record)
            self._files(run, record)
            self._model(run, record)
            self.client.set_terminated(
                run, "FINISHED" if "error" not in record.labels else "FAILED", record.ended
            )
        return run

    def write_all(self, records: Sequence[Record]) -> list[str]:
        """Write records, those of a sweep's trials nested in the sweep's.

        Return the address of each.
        """
        parent = next((record for record in records if record.kind == "sweep"), None)
        return [
            f"{self.address}#{self.write(record, None if record is parent else parent)}"
            for record in records
        ]

    def begin(self, record: Record) -> str:
        """Begin a run, or take up the one with its id; return MLflow's id of it."""
        run = self._run(record, None)
        self.client.update_run(run, status="RUNNING")
        self._parameters(run, record)
        return run

    def experiment(self, name: str) -> str:
        """Return the id of an experiment, which is created where it does not exist."""
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        own = f"{self.artifacts}/{name}" if self.address.startswith("sqlite") else None
        return str(self.client.create_experiment(name, artifact_location=own))

    def _run(self, record: Record, parent: Record | None) -> str:
        """Return the run of a record: the one with its id, or a new one."""
        experiment = self.experiment(record.experiment)
        found = self.client.search_runs(
            [experiment], f"tags.`{ID_TAG}` = '{record.id}'", max_results=1
        )
        tags = self._tags(record, parent)
        if found:
            run = str(found[0].info.run_id)
            self.client.update_run(run, name=record.name)
            self._log(run, tags=tags)
        else:
            run = str(
                self.client.create_run(experiment, record.started, tags, record.name).info.run_id
            )
        self._runs[record.id] = run
        return run

    def _tags(self, record: Record, parent: Record | None) -> dict[str, str]:
        tags = {
            f"hwds.{key}": str(value)[:LONGEST_PARAMETER] for key, value in record.labels.items()
        }
        tags |= {
            ID_TAG: record.id,
            "hwds.kind": record.kind,
            "mlflow.source.name": "hwds",
            "mlflow.source.type": "LOCAL",
        }
        if record.group:
            tags["hwds.group"] = record.group
        if record.notes:
            tags["mlflow.note.content"] = record.notes
        tags |= {f"hwds.tag.{tag}": "true" for tag in record.tags}
        known = {"mlflow.user": "user", "mlflow.source.git.commit": "commit"}
        tags |= {
            name: record.labels[label] for name, label in known.items() if record.labels.get(label)
        }
        if record.measures:
            tags["hwds.metrics"] = json.dumps(
                {key: measure.name for key, measure in record.measures.items()}
            )[:LONGEST_PARAMETER]
        return tags | ({"mlflow.parentRunId": self._runs[parent.id]} if parent else {})

    def _numbers(self, run: str, record: Record) -> None:
        """Log parameters and metrics."""
        self._parameters(run, record)
        self.log_points(run, [Curve("", ((0, record.summary),)), *record.curves])

    def _parameters(self, run: str, record: Record) -> None:
        """Log parameters. One cannot be written again with another value, such as an option's
        name.
        """
        logged = self.client.get_run(run).data.params
        values = _parameters(record.parameters)
        self._log(run, params={key: value for key, value in values.items() if key not in logged})

    def log_points(self, run: str, curves: Sequence[Curve]) -> None:
        """Log points. MLflow identifies one by step and time: with the run's own time it exists
        once.
        """
        from mlflow.entities import Metric

        points = [
            (key, float(v), step)
            for curve in curves
            for step, values in curve.points
            for key, v in values.items()
        ]
        if points:
            time = self.client.get_run(run).info.start_time
            self._log(
                run,
                metrics=[
                    Metric(_allowed_name(key), value, time, step) for key, value, step in points
                ],
            )

    def _log(
        self,
        run: str,
        metrics: Sequence[Any] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        from mlflow.entities import Param, RunTag

        for some in _parts_of(list(metrics), METRICS_A_REQUEST):
            self.client.log_batch(run, metrics=some)
        for some in _parts_of(
            [Param(*item) for item in (params or {}).items()], PARAMETERS_A_REQUEST
        ):
            self.client.log_batch(run, params=some)
        for some in _parts_of(
            [RunTag(*item) for item in (tags or {}).items()], PARAMETERS_A_REQUEST
        ):
            self.client.log_batch(run, tags=some)

    def _data(self, run: str, record: Record) -> None:
        """Log the dataset with its fingerprint."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        name, digest = record.data
        if digest:
            source = json.dumps(record.config.get("dataset", {}), default=str)[:65_000]
            data = Dataset(name=name, digest=digest[:36], source_type="hwds", source=source)
            self.client.log_inputs(
                run, [DatasetInput(data, [InputTag("mlflow.data.context", "evaluation")])]
            )

    def _files(self, run: str, record: Record) -> None:
        for path in record.pictures:
            self.client.log_artifact(run, str(path), "pictures")
        further = [record.page, record.predictions and record.predictions[0]]
        for path in filter(None, (*record.files, *further)):
            self.client.log_artifact(run, str(path))
        if record.predictions:
            self._log(run, tags={"hwds.predictions.sha256": record.predictions[1]})

    def _model(self, run: str, record: Record) -> None:
        """Log the saved model, once: MLflow would create a second one."""
        if record.model is None:
            return

        digest = model_digest(record.model)
        if self.client.get_run(run).data.tags.get(MODEL_TAG) != digest:
            log_pyfunc(self.address, run, record, LOADER, f"hwds=={version('hwds')}")
            self._log(run, tags={MODEL_TAG: digest})


def _parameters(values: Mapping[str, Any]) -> dict[str, str]:
    texts = {
        key: value if isinstance(value, str) else json.dumps(value, default=str)
        for key, value in values.items()
    }
    return {_allowed_name(key): value[:LONGEST_PARAMETER] for key, value in sorted(texts.items())}


def _parts_of(items: list[Any], size: int) -> list[list[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _allowed_name(key: str) -> str:
    """Return a name that MLflow accepts: letters, digits, underscores, hyphens, dots, spaces,
    colons and slashes.
    """
    return re.sub(r"[^\w\-. :/]", "_", key)[:250]


# A run of MLflow while it is computed: its metrics grow, and it is marked as running.


class MlflowFollowing:
    """The run of MLflow of a run that is being computed.

    Args:
        address: The store's URI.
        artifacts: The folder of artifacts, for a store that keeps none itself.
    """

    def __init__(self, address: str, artifacts: str) -> None:
        self.address, self.artifacts = address, artifacts
        self.store: Store | None = None
        self.run = ""
        self.logged = ShownPoints()

    def show(self, record: Record) -> None:
        """Log what is new."""
        with tracking_errors():
            if self.store is None:
                self.store = Store(self.address, self.artifacts)
                self.run = self.store.begin(record)
            self.store.log_points(self.run, [self.logged.new(curve) for curve in record.curves])

    def finish(self, records: Sequence[Record]) -> list[str]:
        """Complete the run, and write those of a sweep's trials."""
        return (self.store or Store(self.address, self.artifacts)).write_all(records)

    def abandon(self) -> None:
        """Mark it as ended without results."""
        if self.store is not None:
            self.store.client.set_terminated(self.run, "KILLED")


# The registry of MLflow as a mirror of bundles: a version each, with tags of gates' verdicts
# and aliases of stages passed.

BUNDLE_TAG = "hwds.bundle"
"""The tag of a version: the digest of its bundle."""

BUNDLES_EXPERIMENT = "hwds bundles"
"""The experiment of MLflow whose runs hold the files of bundles."""


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
        digest: Of the bundle; it has one version, however often it is written.
        tags: Of the version.
        aliases: By alias whether it is to name this version; one that is not is taken away from it,
            and left to others.

    Raises:
        TrackingError: The store does not answer, or refuses.
    """
    client = open_store(address)
    with tracking_errors():
        version = _version(client, name, digest) or _created(client, name, folder, digest)
        for tag, value in tags.items():
            client.set_model_version_tag(name, version, tag, value)
        held = client.get_model_version(name, version).aliases
        for alias, is_held in aliases.items():
            if is_held:
                client.set_registered_model_alias(name, alias, version)
            elif alias in held:
                client.delete_registered_model_alias(name, alias)
    return version


def _version(client: Any, name: str, digest: str) -> str | None:
    """Return the version of a bundle; None where there is none."""
    versions = client.search_model_versions(f"name='{name}'")
    return next(
        (str(each.version) for each in versions if each.tags.get(BUNDLE_TAG) == digest), None
    )


def _created(client: Any, name: str, folder: Path, digest: str) -> str:
    """Upload a bundle as artifacts of a run, and make a version of it."""
    experiment = client.get_experiment_by_name(BUNDLES_EXPERIMENT)
    number = (
        client.create_experiment(BUNDLES_EXPERIMENT)
        if experiment is None
        else experiment.experiment_id
    )
    run = client.create_run(number, tags={BUNDLE_TAG: digest}, run_name=digest)
    client.log_artifacts(run.info.run_id, str(folder), "bundle")
    client.set_terminated(run.info.run_id)
    if not client.search_registered_models(f"name='{name}'"):
        client.create_registered_model(name)
    source = f"{run.info.artifact_uri}/bundle"
    return str(
        client.create_model_version(
            name, source, run.info.run_id, tags={BUNDLE_TAG: digest}
        ).version
    )
