"""XGBoost boosters: loading one from its bytes, and the device that trains it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hwds.core.errors import ConfigError
from hwds.evaluation.context import Device


def load_booster(booster: bytes, cpus: int) -> Any:
    """Return the booster of these bytes."""
    import xgboost

    loaded = xgboost.Booster({"nthread": cpus})
    loaded.load_model(bytearray(booster))
    return loaded


def compute_device(device: Device) -> str:
    """Return the device that XGBoost trains on: a GPU where there is one and it is allowed.

    Raises:
        ConfigError: A GPU is required and there is none, or this XGBoost is built without.
    """
    import xgboost

    there = bool(xgboost.build_info().get("USE_CUDA")) and any(Path("/dev").glob("nvidia[0-9]*"))
    if device == "gpu" and not there:
        raise ConfigError("compute.device: 'gpu', but there is none that XGBoost can use; use 'auto' or 'cpu'.")
    return "cuda" if there and device != "cpu" else "cpu"
