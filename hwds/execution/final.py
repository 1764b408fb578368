"""The final model: fitted on all rows, kept without pickle, asked for what comes next."""

from __future__ import annotations

from typing import Any

import polars as pl

from hwds.context import Context
from hwds.execution.prepare import Prepared
from hwds.execution.threads import hold_threads
from hwds.stored import load_fitted, save_fitted

FOLDER = "model"


def fit_final(prepared: Prepared) -> Any:
    """The experiment's own model fitted on all rows."""
    hold_threads(prepared.job.cpus)
    return prepared.job.protocol.fit_all(prepared.experiment.model, prepared.frame, context_of(prepared))


def save_final(prepared: Prepared) -> None:
    """Fit on all rows and keep the model in the run's folder."""
    save_fitted(fit_final(prepared), prepared.folder.path / FOLDER)


def final_model(prepared: Prepared) -> Any:
    """The model that the run has kept, or else one fitted now."""
    kept = prepared.folder.path / FOLDER
    if not (kept / "class.json").is_file():
        return fit_final(prepared)
    hold_threads(prepared.job.cpus)
    return load_fitted(kept)


def foresee(prepared: Prepared) -> pl.DataFrame:
    """What the final model says of what comes after the data.

    Raises:
        DataError: A planned column is missing.
    """
    return prepared.job.protocol.foresee(final_model(prepared), prepared.frame, context_of(prepared))


def context_of(prepared: Prepared) -> Context:
    """The context of a fit on all rows: its streams are those of a fold called `final`."""
    job = prepared.job
    return Context(job.seed, "final", features=job.features, cpus=job.cpus, device=job.device)
