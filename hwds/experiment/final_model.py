"""The final model: fitted on all rows, stored without pickle, and used to predict after them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from hwds.core.cache import Cache
from hwds.core.inputs import noted_inputs
from hwds.core.locks import reading
from hwds.core.outputs import OUTPUTS
from hwds.core.serialization import has_fitted, load_fitted, save_fitted
from hwds.evaluation.base import Deployable
from hwds.evaluation.context import RunContext
from hwds.execution.threads import hold_threads
from hwds.experiment.prepare import Prepared
from hwds.experiment.spec import Experiment
from hwds.results.folder import RunFolder

FOLDER = "model"


def fit_final(experiment: Experiment, frame: Any) -> Any:
    """Return the experiment's own model, fitted on all rows."""
    context = context_of(experiment)
    hold_threads(context.cpus)
    with noted_inputs():  # what members inside it have read belongs to their entries of the cache
        return _deployable(experiment).fit_all(experiment.model, frame, context)


def save_final(prepared: Prepared) -> None:
    """Fit on all rows and store the model in the run's folder."""
    save_fitted(fit_final(prepared.experiment, prepared.frame), prepared.folder.path / FOLDER)


def kept_model(folder: RunFolder) -> Path | None:
    """Return the folder of a run's stored model; None where it has none."""
    stored = folder.path / FOLDER
    return stored if has_fitted(stored) else None


def predict_new(experiment: Experiment, frame: Any, folder: RunFolder) -> pl.DataFrame:
    """Return the predictions after the data, by the run's stored model or else one fitted now.

    Raises:
        DataError: A planned column is missing.
    """
    context = context_of(experiment)
    stored = kept_model(folder)
    hold_threads(context.cpus)
    with reading(OUTPUTS / "cache"):
        fitted = load_fitted(stored) if stored else fit_final(experiment, frame)
        return _deployable(experiment).predict_new(fitted, frame, context)


def _deployable(experiment: Experiment) -> Deployable:
    assert isinstance(experiment.protocol, Deployable)
    return experiment.protocol


def context_of(experiment: Experiment) -> RunContext:
    """Return the context of a fit on all rows: its streams are those of a fold called `final`."""
    compute = experiment.compute
    cache = Cache((OUTPUTS / "cache" / "cells").resolve())
    return RunContext(experiment.seed, "final", compute.cpus_per_cell, compute.found_device(), experiment.features, cache)
