"""MLflow: every record in a store of SQLite below outputs/, or where `uri` says."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator

from hwds.core.files import OUTPUTS
from hwds.core.recipe import Positive
from hwds.track.preflight import require_answer, require_installed, require_room
from hwds.track.records import Record
from hwds.track.trackers.base import Following, Tracker


def _open(value: str) -> str:
    if urlsplit(value).password:
        raise ValueError(
            "must hold no password; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        )
    return value


Address = Annotated[str, AfterValidator(_open)]
"""The address of a store, without a password."""


class Mlflow(Tracker):
    """A mirror in MLflow, nested runs for the trials of a sweep, the kept model as one that MLflow
    itself loads.

    Attributes:
        uri: The URI of the tracking store: `http://host:5000`, `sqlite:///file.db`; where empty
            `MLFLOW_TRACKING_URI`, or else `outputs/mlflow/mlflow.db`.
        patience: Seconds that a server may take to answer.
    """

    library: ClassVar[str] = "mlflow"
    uri: Address = ""
    patience: Positive = 1.5

    def begin(self) -> None:
        """Import it and open the store; the first time its tables are made."""
        from hwds.track.mlflow import open_store

        require_installed("mlflow", "'hwds[mlflow]'")
        if self.remote():
            require_answer(f"{self.address.rstrip('/')}/health", self.patience)
        else:
            require_room(mlflow_root())
        open_store(self.address)

    @property
    def address(self) -> str:
        """The store's URI."""
        return (
            self.uri
            or os.environ.get("MLFLOW_TRACKING_URI")
            or f"sqlite:///{mlflow_root() / 'mlflow.db'}"
        )

    def write(self, records: Sequence[Record]) -> list[str]:
        """Write a run of MLflow for each record.

        Those of a sweep's trials are nested in the sweep's.
        """
        from hwds.track.mlflow import Store

        return Store(self.address, (mlflow_root() / "artifacts").as_uri()).write_all(records)

    def following(self) -> Following:
        """Return the run of MLflow that grows while the run computes."""
        from hwds.track.mlflow import MlflowFollowing

        return MlflowFollowing(self.address, (mlflow_root() / "artifacts").as_uri())

    def remote(self) -> bool:
        """Return whether the store is a server."""
        return self.address.startswith("http")

    def there(self, places: Sequence[str]) -> bool:
        """Return whether the file of the store exists; a server is trusted."""
        files = [
            Path(place.partition("#")[0].removeprefix("sqlite:///"))
            for place in places
            if place.startswith("sqlite:///")
        ]
        return all(path.is_file() for path in files)

    def location(self, places: Sequence[str]) -> str:
        """Return the address of the store, or the command that shows it."""
        from hwds.core.secrets import without_secrets

        if self.remote():
            return f"MLflow: {without_secrets(self.address)}"
        path = Path(self.address.removeprefix("sqlite:///"))
        return (
            f"MLflow: `mlflow ui --backend-store-uri sqlite:///{os.path.relpath(path)}` shows it."
        )


def mlflow_root() -> Path:
    """Return the folder of the store and its artifacts."""
    return (OUTPUTS / "mlflow").resolve()
