"""The final model: fitted on all rows, kept without pickle, asked for what comes next."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import polars as pl

from hwds.config.spec import Experiment
from hwds.context import Context, Features
from hwds.execution.base import Compute
from hwds.execution.inner import InnerWindows
from hwds.execution.prepare import Prepared
from hwds.execution.threads import hold_threads
from hwds.results.folder import OUTPUTS, RunFolder
from hwds.results.holding import reading
from hwds.stored import load_fitted, save_fitted

FOLDER = "model"


def fit_final(experiment: Experiment, frame: Any) -> Any:
    """The experiment's own model fitted on all rows."""
    protocol: Any = experiment.protocol
    context = context_of(experiment)
    hold_threads(context.cpus)
    return protocol.fit_all(experiment.model, frame, context)


def save_final(prepared: Prepared) -> None:
    """Fit on all rows and keep the model in the run's folder."""
    save_fitted(fit_final(prepared.experiment, prepared.frame), prepared.folder.path / FOLDER)


def kept_model(folder: RunFolder) -> Path | None:
    """Where a run has kept its model; None where it has kept none."""
    kept = folder.path / FOLDER
    return kept if (kept / "class.json").is_file() else None


def foresee(experiment: Experiment, frame: Any, folder: RunFolder) -> pl.DataFrame:
    """What the model that the run has kept, or else one fitted now, says of what comes after the data.

    Raises:
        DataError: A planned column is missing.
    """
    protocol: Any = experiment.protocol
    context = context_of(experiment)
    kept = kept_model(folder)
    hold_threads(context.cpus)
    with reading(OUTPUTS / "cache"):
        fitted = load_fitted(kept) if kept else fit_final(experiment, frame)
        forecasts: pl.DataFrame = protocol.foresee(fitted, frame, context)
    return forecasts


def context_of(experiment: Experiment) -> Context:
    """The context of a fit on all rows: its streams are those of a fold called `final`."""
    compute, features = experiment.compute, cast("Features", experiment.features)
    assert isinstance(compute, Compute)
    answers = InnerWindows((OUTPUTS / "cache" / "cells").resolve())
    device = compute.found_device()
    return Context(experiment.seed, "final", features=features, cpus=compute.cpus_per_cell, device=device, answers=answers)
