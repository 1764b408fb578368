"""A member of a stack, fitted when it is first asked for what is not kept: its forecasts are computed once for all who ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from hwds.execution.cache import alone
from hwds.frames.forecasts import Forecasts
from hwds.frames.panel import Panel
from hwds.hashing import digest
from hwds.models.forecast.base import FittedForecaster
from hwds.results.atomic import write_atomically


@dataclass
class KeptMember:
    """A fitted forecaster whose answers lie beside the cells, each under a key of all that it depends on.

    Attributes:
        key: Names the model, its settings and what it is fitted on.
        folder: Where finished cells lie.
        fit: Makes the fitted model.
    """

    key: str
    folder: Path
    fit: Callable[[], FittedForecaster]

    @cached_property
    def own(self) -> FittedForecaster:
        """The fitted model itself: what is saved."""
        return self.fit()

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """What was kept, or what the model says now."""
        key = digest([self.key, history.fingerprint, future.fingerprint])
        path = self.folder / key[:2] / f"{key}.npz"
        with alone(path):
            kept = _read(path) if path.is_file() else None
            if kept is not None:
                return kept
            said = self.own.predict(history, future)
            write_atomically(path, lambda part: _write(part, said))
            return said


def _read(path: Path) -> Forecasts | None:
    """None where the file is damaged; it is computed again."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Forecasts(arrays["mean"], arrays["quantiles"], arrays["fallback"])
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        path.unlink(missing_ok=True)
        return None


def _write(part: Path, said: Forecasts) -> None:
    with part.open("wb") as file:
        np.savez(file, mean=said.mean, quantiles=said.quantiles, fallback=said.fallback)
