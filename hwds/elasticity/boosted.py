"""Boosted trees for demand and for prices: the features that they read, and their fits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from hwds.elasticity.design import DemandDesign
from hwds.evaluation.protocol import Device, RunContext
from hwds.evaluation.trees import compute_device

COUNTS = {"objective": "count:poisson", "max_delta_step": 0.7}
"""XGBoost's parameters of a Poisson likelihood."""


@dataclass(frozen=True, slots=True)
class TreeSettings:
    """The settings of boosted trees.

    Attributes:
        trees: How many.
        depth: Splits below each other.
        rate: The share of each tree's step that is taken.
        seed: The seed of their draws.
        cpus: Threads.
        device: Where they are grown.
    """

    trees: int
    depth: int
    rate: float
    seed: int
    cpus: int
    device: Device

    @classmethod
    def of(cls, trees: int, depth: int, rate: float, context: RunContext) -> TreeSettings:
        """Return the settings of a model in a run."""
        seed = context.seed_for("trees")
        return cls(trees, depth, rate, seed, context.cpus, context.device)

    def settings(self) -> dict[str, object]:
        """Return XGBoost's parameters."""
        return {
            "max_depth": self.depth,
            "eta": self.rate,
            "min_child_weight": 5.0,
            "subsample": 0.8,
            "seed": self.seed,
            "nthread": self.cpus,
            "tree_method": "hist",
            "device": compute_device(self.device),
        }


def tree_features(design: DemandDesign) -> ndarray:
    """Return what trees read beside the price: product, channel, family, season, time, other
    columns; shape (rows, f).
    """
    angle = 2 * np.pi * design.period / max(design.season, 2)
    codes = [design.codes(name)[design.cell].astype(float) for name in ("sku", "channel", "family")]
    return np.column_stack(
        [*codes, np.sin(angle), np.cos(angle), design.period, design.columns_as_given]
    )


def cell_margins(units: ndarray, cell: ndarray, cells: int) -> ndarray:
    """Return the log mean units of each cell, a period of the mean of all added, shape (cells,)."""
    whole = max(float(np.mean(units)), 1e-9)
    total, count = np.bincount(cell, units, cells), np.bincount(cell, minlength=cells)
    return np.log((total + whole) / (count + 1))


def fit_units(
    trees: TreeSettings,
    x: ndarray,
    units: ndarray,
    margin: ndarray,
    new_x: ndarray,
    new_margin: ndarray,
) -> ndarray:
    """Return the log of expected units of new rows, by trees with a Poisson likelihood around a
    margin, shape (new,).
    """
    from xgboost import DMatrix, train

    settings = trees.settings() | COUNTS
    booster = train(settings, DMatrix(x, units, base_margin=margin), trees.trees)
    return np.log(
        np.maximum(booster.predict(DMatrix(new_x, base_margin=new_margin)).astype(float), 1e-12)
    )


def fit_prices(trees: TreeSettings, x: ndarray, price: ndarray, new_x: ndarray) -> ndarray:
    """Return the expected log price of new rows, by trees with a squared error, shape (new,)."""
    from xgboost import DMatrix, train

    settings = trees.settings() | {
        "objective": "reg:squarederror",
        "base_score": float(np.mean(price)),
    }
    booster = train(settings, DMatrix(x, price), trees.trees)
    return booster.predict(DMatrix(new_x)).astype(float)


def monotone_boosters(
    trees: TreeSettings,
    x: ndarray,
    price: ndarray,
    units: ndarray,
    margin: ndarray,
    weights: list[ndarray],
) -> list[object]:
    """Return boosters of units in which no unit is gained by a higher price, one for each weighting
    of the rows.
    """
    from xgboost import DMatrix, train

    signs = "(" + ",".join(["-1", *["0"] * x.shape[1]]) + ")"
    settings = trees.settings() | COUNTS | {"monotone_constraints": signs}
    columns = np.column_stack([price, x])
    return [
        train(settings, DMatrix(columns, units, weight=weight, base_margin=margin), trees.trees)
        for weight in weights
    ]


def log_units(booster: object, x: ndarray, price: ndarray, margin: ndarray) -> ndarray:
    """Return the log of expected units of rows at prices, shape (n,)."""
    from xgboost import Booster, DMatrix

    assert isinstance(booster, Booster)
    predicted = booster.predict(DMatrix(np.column_stack([price, x]), base_margin=margin)).astype(
        float
    )
    return np.log(np.maximum(predicted, 1e-12))
