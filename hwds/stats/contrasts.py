"""Values of every model on every unit and in every period, and contrasts of pairs of models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, inf, log
from typing import Self

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series, col

from hwds.core.errors import DataError
from hwds.core.seeds import stream
from hwds.results.formatting import brief, first_few, percent
from hwds.stats.effects import LEVEL, student_critical
from hwds.stats.estimates import codes_of
from hwds.stats.periods import (
    Cells,
    PeriodPart,
    deciders,
    largest_break,
    period_part,
    period_shocks,
    pooled_part,
    shared_path,
)

# Matrix: the value of every model on every unit that all of them share.

KEYS = ("dataset", "seed", "unit")
"""The columns that identify a value beside its model."""


@dataclass(frozen=True, eq=False)
class Matrix:
    """Values by unit, seed and model, without a hole.

    Attributes:
        models: Their labels.
        values: The values, shape (units, seeds, models).
        dataset: The number of each unit's dataset, shape (units,).
        datasets: Their names.
        seeds: The seeds that all models share; one where seeds have units of their own.
        left_out: Units that some model has no value for.
        unshared_seeds: Seeds that some model was not run with.
        names: The dataset and the unit of each, shape (units,).
    """

    models: tuple[str, ...]
    values: ndarray
    dataset: ndarray
    datasets: tuple[str, ...]
    seeds: tuple[int, ...]
    left_out: int = 0
    unshared_seeds: tuple[int, ...] = ()
    names: DataFrame = field(default_factory=DataFrame)

    @classmethod
    def of(cls, table: DataFrame, *, nested: bool = False) -> Self:
        """Return the matrix of a long table.

        Args:
            table: Columns `model`, `dataset`, `seed`, `unit` and `value`, one row each; null and
                NaN are no value.
            nested: Whether a unit is another one under another seed (a replication), and not the
                same (a series).

        Raises:
            DataError: No seed, or no unit, is shared by all models.
        """
        models = tuple(table["model"].unique(maintain_order=True))
        all_seeds = table["seed"].unique().sort().to_list()
        seeds = all_seeds if nested else _shared_seeds(table, models)
        if not seeds:
            raise DataError(
                f"compare: no seed is shared by {first_few(models, 6)}; run them under the same "
                f"seeds."
            )
        shared = table.filter(col("seed").is_in(seeds))
        if nested:
            shared = shared.with_columns(
                unit=pl.concat_str(
                    col("seed").cast(pl.String), col("unit").cast(pl.String), separator=":"
                )
            )
            shared = shared.with_columns(seed=pl.lit(0, pl.Int64))
        defined = shared.filter(col("value").is_not_null() & col("value").is_not_nan())
        wide = defined.pivot("model", index=list(KEYS), values="value").drop_nulls()
        width = 1 if nested else len(seeds)
        whole = (
            wide.filter(pl.len().over("dataset", "unit") == width)
            if len(models) <= wide.width - len(KEYS)
            else wide.clear()
        )
        units = shared.select("dataset", "unit").unique().height
        if whole.is_empty():
            raise DataError(
                f"compare: no row is shared by {first_few(models, 6)}: they predicted different "
                f"ones."
            )
        ordered = whole.sort("dataset", "unit", "seed")
        names = tuple(ordered["dataset"].unique(maintain_order=True))
        values = ordered.select(models).to_numpy().reshape(-1, width, len(models))
        codes = ordered["dataset"].rank("dense").to_numpy().astype(np.int64)[::width] - 1
        left_out, unshared = (
            units - len(values),
            tuple(seed for seed in all_seeds if seed not in seeds),
        )
        return cls(
            models,
            np.ascontiguousarray(values),
            codes,
            names,
            (0,) if nested else tuple(seeds),
            left_out,
            unshared,
            ordered.select("dataset", "unit").gather_every(width),
        )

    @property
    def means(self) -> ndarray:
        """The mean of each model over units and seeds of each dataset, shape (datasets, models)."""
        return np.stack([self.values[rows].mean(axis=(0, 1)) for rows in self.strata])

    @property
    def strata(self) -> list[ndarray]:
        """The units of each dataset."""
        return [np.flatnonzero(self.dataset == code) for code in range(len(self.datasets))]

    @property
    def units(self) -> ndarray:
        """Values averaged over seeds, shape (units, models)."""
        return self.values.mean(axis=1)

    def place(self, model: str) -> int:
        """Return the number of a model."""
        return self.models.index(model)


def _shared_seeds(table: DataFrame, models: Sequence[str]) -> list[int]:
    """Return the seeds that every model has on every dataset."""
    have = table.select("dataset", "model", "seed").unique()
    expected = len(models) * have["dataset"].n_unique()
    counts = have.group_by("seed").len()
    return counts.filter(len=expected)["seed"].sort().to_list()


# Contrasts: pairs of models as numbers whose mean is how much better the first one is.

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Scale:
    """The scale on which a difference is measured.

    Relative: the logarithm of the ratio of means, over several datasets the mean of it (their
    geometric mean), told as the share that the first model is better. Absolute, where a mean is not
    above 0: the difference of means.

    Attributes:
        low: Whether a low value is good.
        relative: Whether the scale is the relative one.
    """

    low: bool
    relative: bool

    @classmethod
    def of(cls, means: ndarray, better: str) -> Scale:
        """Return the scale that means allow: relative where all are above 0."""
        return cls(better == "low", bool((means > 0).all()))

    def between(self, first: ndarray, second: ndarray) -> ndarray:
        """Return how much better `first` is than `second`: means of the same datasets on the last
        axis, equal in all others.
        """
        ahead, behind = (second, first) if self.low else (first, second)
        return np.log(ahead / behind) if self.relative else ahead - behind

    def gains(self, means: ndarray) -> list[float]:
        """Return how much better each model is than the first, averaged over datasets.

        Means of shape (datasets, models).
        """
        return [
            float(self.between(means[:, place], means[:, 0]).mean())
            for place in range(means.shape[1])
        ]

    def as_share(self, value: float) -> float:
        """Return the share that stands for a value on this scale: `0.021` for 2.1 % better."""
        if not self.relative:
            return value
        ratio = exp(min(-value if self.low else value, 700.0))  # the largest number is near
        return 1 - ratio if self.low else ratio - 1

    def words(self, value: float) -> str:
        """Return a value on this scale for readers: `12 % better`."""
        share = self.as_share(value)
        size = percent(abs(share)) if self.relative else brief(abs(share))
        return f"{size} {'better' if share > 0 else 'worse'}"

    def bounds(self, margin: float) -> tuple[float, float]:
        """Return the values between which two models are alike, where the margin is a share or an
        absolute difference.
        """
        if not self.relative:
            return -margin, margin
        return (
            (-log(1 + margin), -log(1 - margin)) if self.low else (log(1 - margin), log(1 + margin))
        )


def contrast_values(matrix: Matrix, pairs: Sequence[Pair], scale: Scale) -> ndarray:
    """Return numbers whose mean within a dataset, averaged over datasets, is how much better the
    first of each pair is.

    Of a ratio they are its linearisation at the means: the effect plus what each unit adds
    (Cochran, Sampling Techniques, 6.4).

    Returns:
        Shape (units, seeds, pairs).
    """
    means = matrix.means
    gains = deviations(matrix.values, means[matrix.dataset][:, None, :], pairs, scale)
    if not scale.relative:
        return gains
    firsts, seconds = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
    return scale.between(means[:, firsts], means[:, seconds])[matrix.dataset][:, None, :] + gains


def deviations(values: ndarray, means: ndarray, pairs: Sequence[Pair], scale: Scale) -> ndarray:
    """Return what each value adds to the effect of each pair.

    Models on the last axis, pairs on that of the result.

    Args:
        values: The values of models.
        means: The mean of each over the whole dataset, which values are shares of where the scale
            is relative.
        pairs: Pairs of models.
        scale: The scale of effects.
    """
    firsts, seconds = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
    shares = values / means if scale.relative else values
    return (1.0 if scale.low else -1.0) * (shares[..., seconds] - shares[..., firsts])


# Periods: the values of every model on each unit in each period, for units that share their
# periods.


@dataclass(frozen=True, slots=True)
class Reach:
    """The reach of a dataset's windows.

    Attributes:
        span: Periods that one error reaches over.
        season_seen: The share of a season that all of them cover; infinite without a season.
        gap: The time from one period to the next, in windows.
        steps: The steps of a window.
    """

    span: int = 1
    season_seen: float = inf
    gap: float = 1.0
    steps: int = 1


@dataclass(frozen=True, eq=False)
class Periods:
    """Values by unit, period and model.

    Attributes:
        values: Averaged over seeds, of each dataset of shape (cells, models).
        cells: The unit and the period of each, by dataset.
        paths: The means over units of each block of each period, shape (periods, blocks, models),
            by dataset; see `shared_path`.
        blocks: The value of each block of each cell, shape (cells, blocks, models), by dataset.
        names: The names of units and of periods, by dataset.
    """

    values: tuple[ndarray, ...]
    cells: tuple[Cells, ...]
    paths: tuple[ndarray, ...]
    blocks: tuple[ndarray, ...] = ()
    names: tuple[tuple[Series, Series], ...] = ()

    @classmethod
    def of(
        cls,
        table: DataFrame,
        matrix: Matrix,
        reach: Mapping[str, Reach],
        blocks: Mapping[str, Mapping[str, ndarray]],
    ) -> Self:
        """Return the periods of a table.

        Args:
            table: Columns `dataset`, `unit`, `period`, `row` and one of each model, in the order of
                time, `cluster` if units are drawn together, and `instant`, the name of the period,
                if it has one.
            matrix: The values of the same units over all periods.
            reach: The reach of each dataset's windows.
            blocks: The value of each block of steps of each row, of shape (rows, blocks), by
                dataset and model.
        """
        values, cells, paths, whole, names = [], [], [], [], []
        for dataset in matrix.datasets:
            part = table.filter(dataset=dataset).drop_nulls(matrix.models).drop_nans(matrix.models)
            unit, period = (
                part[name].rank("dense").to_numpy().astype(np.int64) - 1
                for name in ("unit", "period")
            )
            values.append(part.select(matrix.models).to_numpy())
            cluster = codes_of(part["cluster"]) if "cluster" in part.columns else None
            far = reach[dataset]
            reached = far.span, far.season_seen, far.gap, far.steps
            cells.append(Cells(unit, period, *reached, cluster))
            rows = part["row"].to_numpy()
            of_models = [blocks[dataset][model][rows] for model in matrix.models]
            whole.append(np.stack(of_models, axis=2))
            paths.append(shared_path(whole[-1], cells[-1]))
            instants = part.unique("period").sort("period")
            named = "instant" if "instant" in part.columns else "period"
            names.append((part["unit"].unique().sort(), instants[named]))
        return cls(tuple(values), tuple(cells), tuple(paths), tuple(whole), tuple(names))

    def doubts(
        self, means: ndarray, pair: Pair, scale: Scale, units_called: str, than: str
    ) -> Iterator[str]:
        """Yield what a break in time and few that decide make of the effect of a pair, for one
        dataset.

        Args:
            means: The means of models, shape (1, models).
            pair: The pair of models.
            scale: The scale of effects.
            units_called: What a unit is, in the plural; empty if few that decide are not told.
            than: The second model, ` from m/b`.
        """
        cells, (units, instants) = self.cells[0], self.names[0]
        blocks = self.gains(means, pair, scale)
        if cells.refusal:
            return
        path = shared_path(blocks[:, :, None], cells)[:, :, 0].mean(axis=1)
        by_unit = np.bincount(cells.unit, blocks.mean(axis=1)) / np.bincount(cells.unit)
        broken = largest_break(path + by_unit.mean(), cells)
        remark = "" if broken is None else broken.remark(instants, scale.words, than)
        if remark:
            yield remark
        found = deciders(blocks.mean(axis=1), cells, blocks) if units_called else []
        for each in found:
            if each.kind == "unit":
                yield each.remark(units, units_called, than)
            else:
                yield each.remark(instants, "cutoffs", than)

    def gains(self, means: ndarray, pair: Pair, scale: Scale) -> ndarray:
        """Return how much better the first of a pair is in each block of each cell of the first
        dataset, shape (cells, blocks); arguments as of `doubts`.
        """
        added: ndarray = deviations(self.blocks[0], means[0], [pair], scale)[:, :, 0]
        first, second = pair
        apart = scale.between(means[:1, first], means[:1, second]) if scale.relative else 0.0
        return added + apart

    @property
    def refusal(self) -> str:
        """The reason why some dataset's periods cannot tell how they vary; empty where they can."""
        return next((each.refusal for each in self.cells if each.refusal), "")

    @property
    def count(self) -> int:
        """The number of values."""
        return sum(map(len, self.values))

    @property
    def least(self) -> int:
        """The periods of the dataset that has fewest."""
        return min(each.periods for each in self.cells)

    def part(self, means: ndarray, pairs: Sequence[Pair], scale: Scale) -> PeriodPart:
        """Return what the periods add to the effect of each pair.

        Args:
            means: The means of models, shape (datasets, models).
            pairs: Pairs of models.
            scale: The scale of effects.
        """
        parts = []
        for mean, cells, *by_model in zip(means, self.cells, self.values, self.paths, strict=True):
            values, path = (deviations(each, mean, pairs, scale) for each in by_model)
            parts.append(period_part(values, cells, path))
        return pooled_part(parts)

    def own_part(self) -> PeriodPart:
        """Return what the periods make each model's own mean vary."""
        parts = map(period_part, self.values, self.cells, self.paths)
        return pooled_part(list(parts))

    def lasting(self, means: ndarray, pairs: Sequence[Pair], scale: Scale) -> str:
        """Return what a remark says of how long shocks last, of the dataset and the pair of models
        where it costs most; empty where nothing needs be said.

        Args:
            means: The means of models, shape (datasets, models).
            pairs: Pairs of models.
            scale: The scale of effects.
        """
        found = []
        for mean, cells, path in zip(means, self.cells, self.paths, strict=True):
            lasts = cells.persistence(deviations(path, mean, pairs, scale))
            if lasts is not None:
                worst = int(np.argmin(lasts.kept))
                found.append((float(lasts.kept[worst]), lasts.remark(worst, cells.periods)))
        return min(found, default=(0.0, ""))[1]

    def draws(self, means: ndarray, resamples: int) -> ndarray:
        """Return what shocks of periods add to the models' mean shares, drawn anew, shape
        (resamples, models).

        Each is a normal number, spread so widely that its 95 % point is that of Student's t.

        Args:
            means: The means of models, shape (datasets, models).
            resamples: The number of resamples.
        """
        rng, total = stream(0, "compare", "periods"), np.zeros((resamples, means.shape[1]))
        for values, cells, path, mean in zip(
            self.values, self.cells, self.paths, means, strict=True
        ):
            shocks, df = period_shocks(values / mean.mean(), cells, path)
            wide = np.array([student_critical(each, LEVEL) for each in df.tolist()])
            wide /= student_critical(inf, LEVEL)
            total += wide * (rng.normal(size=(resamples, len(shocks))) @ shocks) / len(self.cells)
        return total

    def means(self) -> ndarray:
        """Return the mean of each model over the units of each period that shares no window with
        another, (periods, models).
        """
        blocks = []
        for values, cells in zip(self.values, self.cells, strict=True):
            counts = np.bincount(cells.period)
            sums = np.stack([np.bincount(cells.period, column) for column in values.T], axis=1)
            blocks.append((sums / counts[:, None])[:: cells.span])
        return np.concatenate(blocks)
