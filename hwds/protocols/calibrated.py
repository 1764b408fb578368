"""A fitted model kept with what its recipe's errors before the end have taught, which belongs to it and to no other fit."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from hwds.metrics.conformal import Calibration
from hwds.metrics.error_vectors import ErrorVectors
from hwds.stored import load_fitted, save_fitted


class Beside:
    """Saves each field of a dataclass in a folder of its own."""

    def save(self, folder: Path) -> None:
        """Every field by its name."""
        for field in fields(self):  # type: ignore[arg-type]
            save_fitted(getattr(self, field.name), folder / field.name)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote."""
        return cls(**{field.name: load_fitted(folder / field.name) for field in fields(cls)})  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Calibrated(Beside):
    """What is saved where intervals are conformal.

    Attributes:
        model: The fitted model.
        calibration: Learned from what its recipe forecast on inner windows of the same history.
    """

    model: Any
    calibration: Calibration


@dataclass(frozen=True, eq=False)
class Coherent(Beside):
    """What is saved where forecasts are reconciled.

    Attributes:
        model: The fitted model, or a calibrated one.
        errors: Of its recipe on inner windows of the same history.
    """

    model: Any
    errors: ErrorVectors
