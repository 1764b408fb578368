"""The final model: fitted on all rows, stored, and asked of new rows or of a plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from hwds.core.cache import Cache, note_inputs
from hwds.core.errors import ConfigError, DataError
from hwds.core.files import OUTPUTS, lock_for_reading, write_bytes
from hwds.core.serialization import FILE, has_fitted, load_fitted
from hwds.datasets.base import HOLIDAYS, PanelDataset, count_holidays
from hwds.datasets.file import File
from hwds.datasets.reading.columns import due_rows, read_plan
from hwds.evaluation.cells import Final
from hwds.evaluation.panel_folds import PanelSplitting
from hwds.evaluation.protocol import Deployable, RunContext
from hwds.evaluation.workers import ask_apart, hold_threads
from hwds.experiment.prepare import Prepared
from hwds.experiment.spec import Experiment
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TIME
from hwds.results.folder import RunFolder

# The final model: fitted on all rows, stored without pickle, and used to predict after them.

FOLDER = "model"


def fit_final(experiment: Experiment, frame: Any) -> Any:
    """Return the experiment's own model, fitted on all rows."""
    context = final_context(experiment)
    hold_threads(context.cpus)
    with note_inputs():  # what members inside it have read belongs to their entries of the cache
        return _deployable(experiment).fit_all(experiment.model, frame, context)


def save_final(prepared: Prepared) -> None:
    """Fit on all rows and store the model in the run's folder."""
    job, call = prepared.job, Final(prepared.experiment.model.name)
    hold_threads(job.cpus)
    content = ask_apart(job, call) if job.sealed else call.answer(job, prepared.frame)
    write_bytes(prepared.folder.path / FOLDER / FILE, content)


def kept_model(folder: RunFolder) -> Path | None:
    """Return the folder of a run's stored model; None where it has none."""
    stored = folder.path / FOLDER
    return stored if has_fitted(stored) else None


def predict_new(experiment: Experiment, frame: Any, folder: RunFolder) -> pl.DataFrame:
    """Return the predictions after the data, by the run's stored model or else one fitted now.

    Raises:
        DataError: A planned column is missing.
    """
    context = final_context(experiment)
    stored = kept_model(folder)
    hold_threads(context.cpus)
    with lock_for_reading(OUTPUTS / "cache"):
        fitted = load_fitted(stored) if stored else fit_final(experiment, frame)
        return _deployable(experiment).predict_new(fitted, frame, context)


def _deployable(experiment: Experiment) -> Deployable:
    assert isinstance(experiment.protocol, Deployable)
    return experiment.protocol


def final_context(experiment: Experiment) -> RunContext:
    """Return the context of a fit on all rows: its streams are those of a fold called `final`."""
    compute = experiment.compute
    cache = Cache((OUTPUTS / "cache" / "cells").resolve())
    return RunContext(
        experiment.seed,
        "final",
        compute.cpus_per_cell,
        compute.found_device(),
        experiment.features,
        cache,
    )


# New rows for the stored model of a run: other data of the same roles, and a plan of
# known-future columns.


def with_data(data: dict[str, Any], path: str, folder: RunFolder) -> dict[str, Any]:
    """Return the config with other data of the same roles.

    All its rows are history, so that a split is not asked for.

    Raises:
        ConfigError: The run's dataset reads no file.
    """
    dataset = data["dataset"]
    if "path" not in dataset:
        raise ConfigError(
            f"--data: dataset '{dataset['name']}' reads no file of yours; the run must be on "
            f"dataset=file."
        )
    changes: dict[str, Any] = {"path": path, "sha256": None}
    if dataset["roles"].get("split"):
        changes["roles"] = dataset["roles"] | {"split": None}
        # The horizon was the length of the test part, which new data does not have.
        changes["horizon"] = dataset.get("horizon") or int(
            folder.read_tables().predictions["step"].max()  # type: ignore[arg-type]
        )
    return data | {"dataset": dataset | changes}


def with_plan(experiment: Experiment, frame: Panel, path: str) -> Panel:
    """Return the frame with a plan of known-future columns from a file, whose columns bear the
    names of the dataset's roles.
    """
    if not frame.planned:
        raise ConfigError(
            f"--future: dataset '{experiment.dataset.name}' has no known-future column to plan."
        )
    dataset, protocol = experiment.dataset, experiment.protocol
    assert isinstance(protocol, PanelSplitting)
    written: dict[str, Any] = {}
    if isinstance(dataset, File):
        roles = dataset.given_roles()
        written = {"series": roles.get("series", ()), "time": roles["time"][0]}
        written |= {"form": dataset.text_format}
    return replace(frame, plan=read_plan(path, frame, protocol.steps(frame), **written))


def plan_template(experiment: Experiment, frame: Panel) -> pl.DataFrame:
    """Return the rows that a plan must have, its columns named as in the dataset's file, those to
    fill in empty.

    The holidays of the dataset's country are there.

    Raises:
        ConfigError: There is no known-future column to plan.
    """
    if not frame.planned:
        raise ConfigError(
            f"--template: dataset '{experiment.dataset.name}' has no known-future column to plan."
        )
    dataset, protocol = experiment.dataset, experiment.protocol
    assert isinstance(protocol, PanelSplitting)
    rows = due_rows(frame, protocol.steps(frame)).sort(SERIES, TIME)
    rows = count_holidays(rows, frame, country) if (country := _country(experiment)) else rows
    roles = (
        dataset.given_roles()
        if isinstance(dataset, File)
        else {"series": (SERIES,), "time": (TIME,)}
    )
    series, time = roles.get("series", ()), roles["time"][0]
    if len(series) > 1:
        names = frame.table.group_by(SERIES).agg(pl.col(name).last() for name in series)
        rows = rows.join(names, on=SERIES, how="left", maintain_order="left")
    elif series:
        rows = rows.rename({SERIES: series[0]}) if series[0] != SERIES else rows
    empty = [
        pl.lit(None, pl.Float64).alias(name) for name in frame.planned if name not in rows.columns
    ]
    return rows.rename({TIME: time}).with_columns(empty).select(*series, time, *frame.planned)


def _country(experiment: Experiment) -> str:
    return experiment.dataset.country if isinstance(experiment.dataset, PanelDataset) else ""


def _of_calendar(experiment: Experiment, frame: Panel) -> Panel:
    """Return the frame with a plan where holidays are all that is to be planned."""
    country, protocol = _country(experiment), experiment.protocol
    if not country or frame.plan is not None or frame.planned != (HOLIDAYS,):
        return frame
    assert isinstance(protocol, PanelSplitting)
    return replace(
        frame, plan=count_holidays(due_rows(frame, protocol.steps(frame)), frame, country)
    )


def require_plan(experiment: Experiment, frame: Panel, path: str) -> Panel:
    """Return the frame with the plan of a file.

    A frame that lacks its plan is refused before the fit.

    Raises:
        DataError: There are known-future columns and no plan.
    """
    frame = with_plan(experiment, frame, path) if path else _of_calendar(experiment, frame)
    if frame.planned and frame.plan is None:
        names = ", ".join(f"'{name}'" for name in frame.planned)
        raise DataError(
            f"--future: must be given, a file that plans {names} for the rows to forecast; "
            f"--template FILE writes its rows."
        )
    return frame
