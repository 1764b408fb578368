"""A run's stored model as MLflow loads it: from a table of new rows to the predictions of `hwds
predict`.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from polars import DataFrame

from hwds.experiment.final_model import predict_new, require_plan, with_data
from hwds.experiment.spec import check_asked
from hwds.frames.panel import Panel
from hwds.frames.roles import as_names
from hwds.results.folder import RunFolder

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class KeptModel:
    """The model that `mlflow.pyfunc.load_model` loads.

    Attributes:
        folder: The folder of its config and its fitted model.
    """

    folder: RunFolder

    def predict(
        self, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Return the predictions of `hwds predict RUN --data FILE` with these rows.

        Without rows, of `hwds predict RUN`.

        Of data with known-future columns the last rows of each series, those whose target is null,
        are the plan.
        """
        with tempfile.TemporaryDirectory() as scratch:
            rows = pl.from_pandas(model_input) if len(model_input) else None
            return self._predict(rows, Path(scratch)).to_pandas()

    def _predict(self, rows: DataFrame | None, scratch: Path) -> DataFrame:
        data, plan = self.folder.read_config(secrets=True), ""
        if rows is not None:
            past, ahead = split_plan(rows, data["dataset"])
            past.write_parquet(scratch / "rows.parquet")
            data = with_data(data, str(scratch / "rows.parquet"), self.folder)
            if len(ahead):
                plan = str(scratch / "plan.parquet")
                ahead.write_parquet(plan)
        experiment = check_asked(data)
        frame = experiment.dataset.frame()
        if isinstance(frame, Panel):
            frame = experiment.protocol.prepare_frame(require_plan(experiment, frame, plan))
        return predict_new(experiment, frame, self.folder)


def split_plan(rows: DataFrame, dataset: dict[str, Any]) -> tuple[DataFrame, ...]:
    """Return the rows of the past, and those of the plan: none where no column is known of the
    future.
    """
    roles = dataset.get("roles") or {}
    if not roles.get("known_future"):
        return rows, rows.clear()
    is_past = pl.col(roles["target"]).is_not_null().cum_max(reverse=True)
    series = as_names(roles.get("series"))
    past = rows.sort(roles["time"], maintain_order=True).with_columns(
        (is_past.over(series) if series else is_past).alias("__past")
    )
    return tuple(
        part.drop("__past") for part in (past.filter("__past"), past.filter(~pl.col("__past")))
    )


def _load_pyfunc(path: str) -> KeptModel:
    """Return the model of a logged folder; MLflow calls this."""
    return KeptModel(RunFolder(Path(path)))
