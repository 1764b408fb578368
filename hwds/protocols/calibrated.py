"""A fitted model kept with what its recipe's errors before the end have taught, which belongs to it and to no other fit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from hwds.metrics.conformal import Calibration
from hwds.metrics.error_vectors import ErrorVectors
from hwds.stored import load_fitted, save_fitted


@dataclass(frozen=True, eq=False)
class Calibrated:
    """What is saved where intervals are conformal.

    Attributes:
        model: The fitted model.
        calibration: Learned from what its recipe forecast on inner windows of the same history.
    """

    model: Any
    calibration: Calibration

    def save(self, folder: Path) -> None:
        """Each in a folder of its own."""
        save_fitted(self.model, folder / "fitted")
        save_fitted(self.calibration, folder / "calibration")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote."""
        return cls(load_fitted(folder / "fitted"), load_fitted(folder / "calibration"))


@dataclass(frozen=True, eq=False)
class Coherent:
    """What is saved where forecasts are reconciled.

    Attributes:
        model: The fitted model, or a calibrated one.
        errors: Of its recipe on inner windows of the same history.
    """

    model: Any
    errors: ErrorVectors

    def save(self, folder: Path) -> None:
        """Each in a folder of its own."""
        save_fitted(self.model, folder / "fitted")
        save_fitted(self.errors, folder / "errors")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote."""
        return cls(load_fitted(folder / "fitted"), load_fitted(folder / "errors"))
