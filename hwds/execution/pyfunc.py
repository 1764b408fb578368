"""A run's kept model as MLflow loads it: a table of new rows in, what `hwds predict` says of them out."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from hwds.config.check import check
from hwds.datasets.asked import listed
from hwds.execution.final import foresee
from hwds.execution.new_rows import planned, with_data
from hwds.frames.panel import Panel
from hwds.results.folder import RunFolder

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class KeptModel:
    """What `mlflow.pyfunc.load_model` gives.

    Attributes:
        folder: Of its config and its fitted model.
    """

    folder: RunFolder

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """As `hwds predict RUN --data FILE` with these rows; without any row, as `hwds predict RUN`.

        Of data with known-future columns the last rows of each series, those whose target is null, are the plan.
        """
        with tempfile.TemporaryDirectory() as beside:
            rows = pl.from_pandas(model_input) if len(model_input) else None
            return self._predict(rows, Path(beside)).to_pandas()

    def _predict(self, rows: pl.DataFrame | None, beside: Path) -> pl.DataFrame:
        data, plan = self.folder.read_config(secrets=True), ""
        if rows is not None:
            past, ahead = parted(rows, data["dataset"])
            past.write_parquet(beside / "rows.parquet")
            data = with_data(data, str(beside / "rows.parquet"), self.folder)
            if len(ahead):
                plan = str(beside / "plan.parquet")
                ahead.write_parquet(plan)
        experiment: Any = check(data)
        frame = experiment.dataset.frame()
        if isinstance(frame, Panel):
            frame = experiment.protocol.framed(planned(experiment, frame, plan))
        return foresee(experiment, frame, self.folder)


def parted(rows: pl.DataFrame, dataset: dict[str, Any]) -> tuple[pl.DataFrame, ...]:
    """The rows of the past, and those of the plan: none where no column is known of the future."""
    roles = dataset.get("roles") or {}
    if not roles.get("known_future"):
        return rows, rows.clear()
    known = pl.col(roles["target"]).is_not_null().cum_max(reverse=True)
    series = listed(roles.get("series"))
    past = rows.sort(roles["time"], maintain_order=True).with_columns((known.over(series) if series else known).alias("__past"))
    return tuple(part.drop("__past") for part in (past.filter("__past"), past.filter(~pl.col("__past"))))


def _load_pyfunc(path: str) -> KeptModel:
    """Called by MLflow with the folder that was logged."""
    return KeptModel(RunFolder(Path(path)))
