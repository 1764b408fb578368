"""Matrix: the value of every model on every unit that all of them share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl

from hwds.core.errors import DataError
from hwds.results.formatting import first_few

KEYS = ("dataset", "seed", "unit")
"""The columns that identify a value beside its model."""


@dataclass(frozen=True, eq=False)
class Matrix:
    """Values by unit, seed and model, without a hole.

    Attributes:
        models: Their labels.
        values: Shape (units, seeds, models).
        dataset: The number of each unit's dataset, shape (units,).
        datasets: Their names.
        seeds: The seeds that all models share; one where seeds have units of their own.
        left_out: Units that some model has no value for.
        unshared_seeds: Seeds that some model was not run with.
    """

    models: tuple[str, ...]
    values: np.ndarray
    dataset: np.ndarray
    datasets: tuple[str, ...]
    seeds: tuple[int, ...]
    left_out: int = 0
    unshared_seeds: tuple[int, ...] = ()

    @classmethod
    def of(cls, table: pl.DataFrame, *, nested: bool = False) -> Self:
        """Return the matrix of a long table.

        Args:
            table: Columns `model`, `dataset`, `seed`, `unit` and `value`, one row each; null and NaN are no value.
            nested: Whether a unit is another one under another seed (a replication), and not the same (a series).

        Raises:
            DataError: No seed, or no unit, is shared by all models.
        """
        models = tuple(table["model"].unique(maintain_order=True))
        all_seeds = table["seed"].unique().sort().to_list()
        seeds = all_seeds if nested else _shared_seeds(table, models)
        if not seeds:
            raise DataError(f"compare: no seed is shared by {first_few(models, 6)}; run them under the same seeds.")
        shared = table.filter(pl.col("seed").is_in(seeds))
        if nested:
            shared = shared.with_columns(
                unit=pl.concat_str(pl.col("seed").cast(pl.String), pl.col("unit").cast(pl.String), separator=":")
            )
            shared = shared.with_columns(seed=pl.lit(0, pl.Int64))
        defined = shared.filter(pl.col("value").is_not_null() & pl.col("value").is_not_nan())
        wide = defined.pivot("model", index=list(KEYS), values="value").drop_nulls()
        width = 1 if nested else len(seeds)
        whole = (
            wide.filter(pl.len().over("dataset", "unit") == width) if len(models) <= wide.width - len(KEYS) else wide.clear()
        )
        units = shared.select("dataset", "unit").unique().height
        if whole.is_empty():
            raise DataError(f"compare: no row is shared by {first_few(models, 6)}: they predicted different ones.")
        ordered = whole.sort("dataset", "unit", "seed")
        names = tuple(ordered["dataset"].unique(maintain_order=True))
        values = ordered.select(models).to_numpy().reshape(-1, width, len(models))
        codes = ordered["dataset"].rank("dense").to_numpy().astype(np.int64)[::width] - 1
        left_out, unshared = units - len(values), tuple(seed for seed in all_seeds if seed not in seeds)
        return cls(models, np.ascontiguousarray(values), codes, names, (0,) if nested else tuple(seeds), left_out, unshared)

    @property
    def means(self) -> np.ndarray:
        """The mean of each model over units and seeds of each dataset, shape (datasets, models)."""
        return np.stack([self.values[rows].mean(axis=(0, 1)) for rows in self.strata])

    @property
    def strata(self) -> list[np.ndarray]:
        """The units of each dataset."""
        return [np.flatnonzero(self.dataset == code) for code in range(len(self.datasets))]

    @property
    def units(self) -> np.ndarray:
        """Values averaged over seeds, shape (units, models)."""
        return self.values.mean(axis=1)

    def place(self, model: str) -> int:
        """Return the number of a model."""
        return self.models.index(model)


def _shared_seeds(table: pl.DataFrame, models: Sequence[str]) -> list[int]:
    """Return the seeds that every model has on every dataset."""
    have = table.select("dataset", "model", "seed").unique()
    expected = len(models) * have["dataset"].n_unique()
    counts = have.group_by("seed").len()
    return counts.filter(pl.col("len") == expected)["seed"].sort().to_list()
