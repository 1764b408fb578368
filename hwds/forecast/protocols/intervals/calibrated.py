"""A fitted model kept with what its recipe's errors before the end have taught, which belongs to it and to no other fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hwds.core.serialization import Serializable
from hwds.forecast.metrics.error_vectors import ErrorVectors
from hwds.statistics.conformal import Calibration


@dataclass(frozen=True, eq=False)
class Calibrated(Serializable):
    """The saved model where intervals are conformal.

    Attributes:
        model: The fitted model.
        calibration: Learned from what its recipe forecast on inner windows of the same history.
    """

    model: Any
    calibration: Calibration


@dataclass(frozen=True, eq=False)
class Coherent(Serializable):
    """The saved model where forecasts are reconciled.

    Attributes:
        model: The fitted model, or a calibrated one.
        errors: Of its recipe on inner windows of the same history.
    """

    model: Any
    errors: ErrorVectors
