"""One record as a run of MLflow, identified by its id, so that writing it twice leaves one run, with each step once."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from hwds.tracking.curves import Curve
from hwds.tracking.record import Record
from hwds.tracking.trackers.base import refusals

if TYPE_CHECKING:
    from mlflow import MlflowClient

ID = "hwds.id"
"""The tag that identifies a run."""

MODEL = "hwds.model"
"""The tag of a run whose model is logged: the digest of the model."""

LOADER = "hwds.experiment.mlflow_pyfunc"
"""The module whose `_load_pyfunc` MLflow calls."""

QUIET = {
    "DISABLE_TELEMETRY": "true",
    "LOGGING_LEVEL": "WARNING",
    "HTTP_REQUEST_MAX_RETRIES": "1",
    "HTTP_REQUEST_TIMEOUT": "20",
}
"""MLflow's settings where the user gives none: no telemetry, no progress output, and no retries for minutes."""

METRICS, PARAMETERS = 1000, 100
"""The most metrics and parameters in a request (MLflow's REST API)."""

LONGEST = 6000
"""Characters of a parameter's value."""


def opened(address: str) -> MlflowClient:
    """Return a client of the store, whose tables exist.

    Raises:
        TrackingError: The store does not answer.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(f"MLFLOW_{name}", value)
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=address)
    with refusals():
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
        self.client = opened(address)
        self._runs: dict[str, str] = {}

    def write(self, record: Record, parent: Record | None = None) -> str:
        """Write one record, or overwrite it.

        Returns:
            MLflow's id of the run.
        """
        with refusals():
            run = self._run(record, parent)
            self._numbers(run, record)
            self._data(run, record)
            self._files(run, record)
            self._model(run, record)
            self.client.set_terminated(run, "FINISHED" if "error" not in record.labels else "FAILED", record.ended)
        return run

    def write_all(self, records: Sequence[Record]) -> list[str]:
        """Write records, those of a sweep's trials nested in the sweep's; return the address of each."""
        parent = next((record for record in records if record.kind == "sweep"), None)
        return [f"{self.address}#{self.write(record, None if record is parent else parent)}" for record in records]

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
        found = self.client.search_runs([experiment], f"tags.`{ID}` = '{record.id}'", max_results=1)
        tags = self._tags(record, parent)
        if found:
            run = str(found[0].info.run_id)
            self.client.update_run(run, name=record.name)
            self._log(run, tags=tags)
        else:
            run = str(self.client.create_run(experiment, record.started, tags, record.name).info.run_id)
        self._runs[record.id] = run
        return run

    def _tags(self, record: Record, parent: Record | None) -> dict[str, str]:
        tags = {f"hwds.{key}": str(value)[:LONGEST] for key, value in record.labels.items()}
        tags |= {ID: record.id, "hwds.kind": record.kind, "mlflow.source.name": "hwds", "mlflow.source.type": "LOCAL"}
        if record.group:
            tags["hwds.group"] = record.group
        if record.notes:
            tags["mlflow.note.content"] = record.notes
        tags |= {f"hwds.tag.{tag}": "true" for tag in record.tags}
        known = {"mlflow.user": "user", "mlflow.source.git.commit": "commit"}
        tags |= {name: record.labels[label] for name, label in known.items() if record.labels.get(label)}
        if record.measures:
            tags["hwds.metrics"] = json.dumps({key: measure.name for key, measure in record.measures.items()})[:LONGEST]
        return tags | ({"mlflow.parentRunId": self._runs[parent.id]} if parent else {})

    def _numbers(self, run: str, record: Record) -> None:
        """Log parameters and metrics."""
        self._parameters(run, record)
        self.log_points(run, [Curve("", ((0, record.summary),)), *record.curves])

    def _parameters(self, run: str, record: Record) -> None:
        """Log parameters. One cannot be written again with another value, such as an option's name."""
        logged = self.client.get_run(run).data.params
        values = _parameters(record.parameters)
        self._log(run, params={key: value for key, value in values.items() if key not in logged})

    def log_points(self, run: str, curves: Sequence[Curve]) -> None:
        """Log points. MLflow identifies one by step and time: with the run's own time it exists once."""
        from mlflow.entities import Metric

        points = [(key, float(v), step) for curve in curves for step, values in curve.points for key, v in values.items()]
        if points:
            time = self.client.get_run(run).info.start_time
            self._log(run, metrics=[Metric(_name(key), value, time, step) for key, value, step in points])

    def _log(
        self,
        run: str,
        metrics: Sequence[Any] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        from mlflow.entities import Param, RunTag

        for some in _cut(list(metrics), METRICS):
            self.client.log_batch(run, metrics=some)
        for some in _cut([Param(*item) for item in (params or {}).items()], PARAMETERS):
            self.client.log_batch(run, params=some)
        for some in _cut([RunTag(*item) for item in (tags or {}).items()], PARAMETERS):
            self.client.log_batch(run, tags=some)

    def _data(self, run: str, record: Record) -> None:
        """Log the dataset with its fingerprint."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        name, digest = record.data
        if digest:
            source = json.dumps(record.config.get("dataset", {}), default=str)[:65_000]
            data = Dataset(name=name, digest=digest[:36], source_type="hwds", source=source)
            self.client.log_inputs(run, [DatasetInput(data, [InputTag("mlflow.data.context", "evaluation")])])

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
        from hwds.tracking.mlflow.model import digest_of, log_model

        digest = digest_of(record.model)
        if self.client.get_run(run).data.tags.get(MODEL) != digest:
            log_model(self.address, run, record, LOADER, f"hwds=={version('hwds')}")
            self._log(run, tags={MODEL: digest})


def _parameters(values: Mapping[str, Any]) -> dict[str, str]:
    texts = {key: value if isinstance(value, str) else json.dumps(value, default=str) for key, value in values.items()}
    return {_name(key): value[:LONGEST] for key, value in sorted(texts.items())}


def _cut(items: list[Any], size: int) -> list[list[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _name(key: str) -> str:
    """Return a name that MLflow accepts: letters, digits, underscores, hyphens, dots, spaces, colons and slashes."""
    return re.sub(r"[^\w\-. :/]", "_", key)[:250]
