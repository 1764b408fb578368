"""The kept model of a run as a pyfunc: MLflow loads it by the name of a module of ours, without pickle."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from hwds.hashing import digest_bytes
from hwds.tracking.record import Record

VARIABLE = "MLFLOW_TRACKING_URI"
"""Where MLflow notes it for processes that it starts."""


def digest_of(folder: Path) -> str:
    """The digest of a kept model: names and bytes of its files."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return digest_bytes(part for path in files for part in (path.name.encode(), b"\0", path.read_bytes()))


def log_model(address: str, run: str, record: Record, loader: str, requirement: str) -> None:
    """Log the model and the config that it is asked by, under the name `model`.

    Args:
        address: The store's URI.
        run: MLflow's id of the run.
        record: Whose model it is.
        loader: The module whose `_load_pyfunc` gets the folder.
        requirement: What must be installed to load it.
    """
    import mlflow

    assert record.model is not None
    with _talking_to(address), tempfile.TemporaryDirectory() as beside, mlflow.start_run(run_id=run):
        data = Path(beside, "run")
        shutil.copytree(record.model, data / "model")
        (data / "config.yaml").write_text(yaml.safe_dump(_asked(record), sort_keys=False, allow_unicode=True), encoding="utf-8")
        mlflow.pyfunc.log_model(
            name="model",
            loader_module=loader,
            data_path=str(data),
            pip_requirements=[requirement],
            metadata={"hwds_run": record.labels.get("run", "")},
        )


@contextmanager
def _talking_to(address: str) -> Iterator[None]:
    """MLflow's fluent calls go to this store, and what stood in the environment stands there again."""
    import mlflow

    before = os.environ.get(VARIABLE)
    mlflow.set_tracking_uri(address)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(None)
        os.environ.pop(VARIABLE, None)
        os.environ.update({VARIABLE: before} if before else {})


def _asked(record: Record) -> dict[str, Any]:
    """The config with the horizon that new data, which has no test part, cannot tell."""
    config = dict(record.config)
    dataset, steps = config["dataset"], record.labels.get("horizon")
    if (dataset.get("roles") or {}).get("split") and not dataset.get("horizon") and steps:
        config["dataset"] = {**dataset, "horizon": int(steps)}
    return config
