"""The saved model of a run as a pyfunc: MLflow loads it by the name of a module of hwds, without pickle."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from hwds.core.hashing import digest_bytes
from hwds.tracking.record import Record

VARIABLE = "MLFLOW_TRACKING_URI"
"""The variable in which MLflow passes the address to processes that it starts."""


def digest_of(folder: Path) -> str:
    """Return the digest of a saved model: names and bytes of its files."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return digest_bytes(part for path in files for part in (path.name.encode(), b"\0", path.read_bytes()))


def log_model(address: str, run: str, record: Record, loader: str, requirement: str) -> None:
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
    with _tracking_uri(address), tempfile.TemporaryDirectory() as beside, mlflow.start_run(run_id=run):
        data = Path(beside, "run")
        shutil.copytree(record.model, data / "model")
        (data / "config.yaml").write_text(
            yaml.safe_dump(_serving_config(record), sort_keys=False, allow_unicode=True), encoding="utf-8"
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
    """Direct MLflow's fluent calls to this store within the block; the environment is restored afterwards."""
    import mlflow

    before = os.environ.get(VARIABLE)
    mlflow.set_tracking_uri(address)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(None)
        os.environ.pop(VARIABLE, None)
        os.environ.update({VARIABLE: before} if before else {})


def _serving_config(record: Record) -> dict[str, Any]:
    """Return the config with the horizon, which new data without a test part does not determine."""
    config = dict(record.config)
    dataset, steps = config["dataset"], record.labels.get("horizon")
    if (dataset.get("roles") or {}).get("split") and not dataset.get("horizon") and steps:
        config["dataset"] = {**dataset, "horizon": int(steps)}
    return config
