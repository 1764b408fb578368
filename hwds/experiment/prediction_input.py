"""New rows for the stored model of a run: other data of the same roles, and a plan of known-future columns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl

from hwds.core.errors import ConfigError, DataError
from hwds.datasets.base import PanelDataset
from hwds.datasets.file import File
from hwds.datasets.reading.plan import due, read_plan
from hwds.datasets.reading.public_holidays import COLUMN, counted
from hwds.experiment.spec import Experiment
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TIME
from hwds.results.folder import RunFolder
from hwds.splitting.panels import PanelSplitting


def with_data(data: dict[str, Any], path: str, folder: RunFolder) -> dict[str, Any]:
    """Return the config with other data of the same roles; all its rows are history, so that a split is not asked for.

    Raises:
        ConfigError: The run's dataset reads no file.
    """
    dataset = data["dataset"]
    if "path" not in dataset:
        raise ConfigError(f"--data: dataset '{dataset['name']}' reads no file of yours; the run must be on dataset=file.")
    changes: dict[str, Any] = {"path": path, "sha256": None}
    if dataset["roles"].get("split"):
        changes["roles"] = dataset["roles"] | {"split": None}
        # The horizon was the length of the test part, which new data does not have.
        changes["horizon"] = dataset.get("horizon") or int(folder.read_tables().predictions["step"].max())  # type: ignore[arg-type]
    return data | {"dataset": dataset | changes}


def with_plan(experiment: Experiment, frame: Panel, path: str) -> Panel:
    """Return the frame with a plan of known-future columns from a file, whose columns bear the names of the dataset's roles."""
    if not frame.planned:
        raise ConfigError(f"--future: dataset '{experiment.dataset.name}' has no known-future column to plan.")
    dataset, protocol = experiment.dataset, experiment.protocol
    assert isinstance(protocol, PanelSplitting)
    written: dict[str, Any] = {}
    if isinstance(dataset, File):
        roles = dataset.roles.given()
        written = {"series": roles.get("series", ()), "time": roles["time"][0]}
        written |= {"form": dataset.text_format}
    return replace(frame, plan=read_plan(path, frame, protocol.steps(frame), **written))


def template(experiment: Experiment, frame: Panel) -> pl.DataFrame:
    """Return the rows that a plan must have, its columns named as in the dataset's file, those to fill in empty.

    The holidays of the dataset's country are there.

    Raises:
        ConfigError: There is no known-future column to plan.
    """
    if not frame.planned:
        raise ConfigError(f"--template: dataset '{experiment.dataset.name}' has no known-future column to plan.")
    dataset, protocol = experiment.dataset, experiment.protocol
    assert isinstance(protocol, PanelSplitting)
    rows = due(frame, protocol.steps(frame)).sort(SERIES, TIME)
    rows = counted(rows, frame, country) if (country := _country(experiment)) else rows
    roles = dataset.roles.given() if isinstance(dataset, File) else {"series": (SERIES,), "time": (TIME,)}
    series, time = roles.get("series", ()), roles["time"][0]
    if len(series) > 1:
        names = frame.table.group_by(SERIES).agg(pl.col(name).last() for name in series)
        rows = rows.join(names, on=SERIES, how="left", maintain_order="left")
    elif series:
        rows = rows.rename({SERIES: series[0]}) if series[0] != SERIES else rows
    empty = [pl.lit(None, pl.Float64).alias(name) for name in frame.planned if name not in rows.columns]
    return rows.rename({TIME: time}).with_columns(empty).select(*series, time, *frame.planned)


def _country(experiment: Experiment) -> str:
    return experiment.dataset.country if isinstance(experiment.dataset, PanelDataset) else ""


def _of_calendar(experiment: Experiment, frame: Panel) -> Panel:
    """Return the frame with a plan where holidays are all that is to be planned."""
    country, protocol = _country(experiment), experiment.protocol
    if not country or frame.plan is not None or frame.planned != (COLUMN,):
        return frame
    assert isinstance(protocol, PanelSplitting)
    return replace(frame, plan=counted(due(frame, protocol.steps(frame)), frame, country))


def planned(experiment: Experiment, frame: Panel, path: str) -> Panel:
    """Return the frame with the plan of a file; a frame that lacks its plan is refused before the fit.

    Raises:
        DataError: There are known-future columns and no plan.
    """
    frame = with_plan(experiment, frame, path) if path else _of_calendar(experiment, frame)
    if frame.planned and frame.plan is None:
        names = ", ".join(f"'{name}'" for name in frame.planned)
        raise DataError(
            f"--future: must be given, a file that plans {names} for the rows to forecast; --template FILE writes its rows."
        )
    return frame
