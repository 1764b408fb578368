"""Demand evidence: what a model of demand says of every cell, a product in a channel, to decisions
on prices.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, col

from hwds.core.errors import DataError, nearest
from hwds.results.formatting import is_money
from hwds.results.tables import Tables

DEMAND_CELLS = {
    "cell": pl.String,
    "product": pl.String,
    "channel": pl.String,
    "family": pl.String,
    "price": pl.Float64,
    "list_price": pl.Float64,
    "cost": pl.Float64,
    "units": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "elasticity": pl.Float64,
    "stderr": pl.Float64,
    "df": pl.Float64,
    "lag": pl.Float64,
    "lag_stderr": pl.Float64,
    "status": pl.String,
    "reason": pl.String,
}
"""Columns of the cells, one row a cell (a product in a channel), whether or not its elasticity is
known.

`family` groups products (a device and its generations). `price` is today's, `list_price` what it is
a discount from (null where nobody said), `cost` that of one unit (null where it is unknown).
`units` are expected in a period at today's prices. `low` and `high` are the lowest and the highest
price that were observed. `elasticity` is d log units / d log own price of the same period, `stderr`
its standard error or posterior deviation; both are null where there is no estimate. `df` are the
degrees of freedom of its law, null for a normal one. `lag` is d log units / d log own price of the
period before (positive where a cut brings demand forward), 0 where it was not estimated;
`lag_stderr` is its standard error, of one slope that all cells share. `status` is one of
`CELL_STATUSES`, `reason` says why in words.
"""

CELL_STATUSES = ("identified", "weak", "no_variation", "endogenous?")
"""The statuses of a cell: its prices identify the elasticity; they hardly do; they hardly changed;
they may answer demand.
"""

SQUARE_ARRAYS = ("covariance", "cross", "cross_stderr", "cross_own_stderr")
"""Arrays with a row and a column for each cell."""

OPTIONAL_COLUMNS = ("list_price", "cost", "elasticity", "stderr", "df")
"""Columns that may be null."""


@dataclass(frozen=True, eq=False)
class TrueDemand:
    """The true demand of a simulated world, K cells in the order of the evidence.

    Attributes:
        units: Expected in a period at today's prices, shape (K,).
        elasticities: Of the units of a row's cell to the price of a column's, own ones on the
            diagonal, shape (K, K).
        lag: The elasticity of the units to the own price of the period before, shape (K,).
    """

    units: ndarray
    elasticities: ndarray
    lag: ndarray


@dataclass(frozen=True, eq=False)
class ElasticityDraws:
    """D draws of the elasticities of K cells; those of one row go together.

    Attributes:
        own: To the own price of the same period, NaN where there is no estimate, shape (D, K).
        cross: The cross elasticities of the pairs of cells that have one, shape (D, P).
        lag: To the own price of the period before, shape (D, K).
    """

    own: ndarray
    cross: ndarray
    lag: ndarray


@dataclass(frozen=True, eq=False)
class DemandEstimates:
    """The estimates of a model of demand on K cells; refused where a value cannot be.

    Demand is isoelastic: a cell's units are those at today's prices, times (price / today's price)
    ** elasticity for its own price and that of every cell with a cross elasticity.

    Attributes:
        cells: See `DEMAND_CELLS`; K rows.
        unit: Of money: a sign or a code in capitals (`EUR`); empty where the data names none.
        period: What `units` are counted in: `week`.
        draws: Draws of the own elasticities' joint posterior, shape (D, K), NaN where a cell has no
            estimate; None for none.
        draws_lag: Of the elasticities to the price of the period before, each of the same draw,
            shape (D, K); None for draws that are independent of those of the own elasticities.
        draws_cross: Likewise by how many standard errors the slope that cross elasticities share is
            off, shape (D,).
        covariance: Their joint covariance, shape (K, K), which is read where there are no draws;
            None for independent cells with the standard errors of `cells`.
        cross: d log units of the row's cell / d log price of the column's; 0 on the diagonal and
            where it was not estimated, shape (K, K); None for no cross effects.
        cross_stderr: Of `cross`, all errors of one slope, so that they move together; shape (K, K);
            None for 0.
        cross_own_stderr: The part of `cross_stderr` that is each pair's own, independent of the
            others; None for nothing.
        truth: The true demand of a simulated world; None where nobody knows.
        note: What a verdict's sentence is to end with.

    Raises:
        DataError: A column is missing, a price is not above 0, a cost or units are negative, a
            number is NaN, a status is unknown, a cell is there twice, a shape is wrong, or the unit
            is no currency.
    """

    cells: DataFrame
    unit: str = ""
    period: str = "period"
    draws: ndarray | None = None
    draws_lag: ndarray | None = None
    draws_cross: ndarray | None = None
    covariance: ndarray | None = None
    cross: ndarray | None = None
    cross_stderr: ndarray | None = None
    cross_own_stderr: ndarray | None = None
    truth: TrueDemand | None = None
    note: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "cells", _typed_cells(self.cells))
        _check_cells(self.cells)
        _check_arrays(self)
        if self.unit and not is_money(self.unit):
            raise DataError(f"evidence.unit: must be a currency, such as EUR, got '{self.unit}'.")

    def __len__(self) -> int:
        return len(self.cells)

    def column(self, name: str) -> ndarray:
        """Return a numeric column, NaN for null, shape (K,)."""
        return self.cells[name].cast(pl.Float64).fill_null(float("nan")).to_numpy().copy()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the cells."""
        return tuple(self.cells["cell"])

    @cached_property
    def pairs(self) -> ndarray:
        """The pairs (row, column) of cells with a cross elasticity, shape (P, 2)."""
        return np.empty((0, 2), np.int64) if self.cross is None else np.argwhere(self.cross)

    @cached_property
    def known(self) -> ndarray:
        """True for each cell that has an estimate, shape (K,)."""
        return self.cells["elasticity"].is_not_null().to_numpy()

    @property
    def below_cost(self) -> set[int]:
        """The places of the cells whose price does not cover their cost."""
        return set(np.flatnonzero((self.cells["cost"] >= self.cells["price"]).fill_null(False)))

    def require_costs(self, what: str, sold: Sequence[str] | None = None) -> None:
        """Refuse cells without a cost, and those whose price does not cover it.

        Args:
            what: What needs them, as the refusal names it: `decision.objective=profit`.
            sold: The cells whose price must cover their cost; None for all.

        Raises:
            DataError: With the first such cell.
        """
        for cell, price, cost in self.cells.select("cell", "price", "cost").iter_rows():
            if cost is None:
                raise DataError(
                    f"evidence: {what} needs the cost of a unit, and cell '{cell}' has none."
                )
            if cost >= price and (sold is None or cell in sold):
                raise DataError(
                    f"evidence: cell '{cell}' has cost {cost:g} and price {price:g}: sold at a "
                    f"loss."
                )

    def sample(self, count: int, rng: np.random.Generator) -> ElasticityDraws:
        """Return draws of all elasticities' joint posterior.

        Given draws are taken without replacement as long as there are enough. Without them a cell
        with `df` degrees of freedom has the law of Student's t, stretched by nothing: its scale is
        `stderr`.
        """
        if self.draws is None:
            return ElasticityDraws(
                self._own(count, rng), self._cross(count, rng, None), self._lag(count, rng)
            )
        chosen = rng.choice(len(self.draws), count, replace=count > len(self.draws))
        cross = self._cross(
            count, rng, None if self.draws_cross is None else self.draws_cross[chosen]
        )
        lag = self._lag(count, rng) if self.draws_lag is None else self.draws_lag[chosen]
        return ElasticityDraws(self.draws[chosen], cross, lag)

    def _own(self, count: int, rng: np.random.Generator) -> ndarray:
        normal = rng.standard_normal((count, len(self)))
        df = self.cells["df"].fill_null(np.inf).to_numpy()
        finite = np.isfinite(df)
        normal[:, finite] *= np.sqrt(
            df[finite] / rng.chisquare(df[finite], (count, int(finite.sum())))
        )
        return self.column("elasticity") + _spread_over_cells(
            normal, self.column("stderr"), self.covariance, self.known
        )

    def _cross(self, count: int, rng: np.random.Generator, common: ndarray | None) -> ndarray:
        """Return draws of `pairs`: one error for all, times the standard error of each, and each
        pair's own.

        Args:
            count: D.
            rng: The random generator of the draws.
            common: The error of all in standard errors, shape (D,); None to draw it.
        """
        if self.cross is None:
            return np.zeros((count, 0))
        rows, columns = self.pairs.T
        stderr = (
            np.zeros(len(rows)) if self.cross_stderr is None else self.cross_stderr[rows, columns]
        )
        normal = rng.standard_normal((count, 1)) if common is None else common[:, None]
        if self.cross_own_stderr is None:
            return self.cross[rows, columns] + stderr * normal
        own = self.cross_own_stderr[rows, columns]
        shared = np.sqrt(np.maximum(stderr**2 - own**2, 0.0))
        return (
            self.cross[rows, columns]
            + shared * normal
            + own * rng.standard_normal((count, len(own)))
        )

    def _lag(self, count: int, rng: np.random.Generator) -> ndarray:
        return self.column("lag") + self.column("lag_stderr") * rng.standard_normal((count, 1))


class DemandEvidence(ABC):
    """A protocol whose models of demand decisions on prices can read (`decision=optimal_price`,
    `revenue_impact`, ...).
    """

    @abstractmethod
    def demand_evidence(self, tables: Tables, frame: Any, model: str) -> DemandEstimates | None:
        """Return what a run says of every cell as of the last cutoff.

        None where the model answered nothing.

        Args:
            tables: The tables of the run.
            frame: Its data.
            model: Whose evidence counts.
        """


def _typed_cells(cells: DataFrame) -> DataFrame:
    """Return the columns of `DEMAND_CELLS` in order.

    Null for those that may be, empty text and a lag of 0 where they are missing.
    """
    empty: dict[str, Any] = {
        **dict.fromkeys(OPTIONAL_COLUMNS),
        "family": "",
        "reason": "",
        "lag": 0.0,
        "lag_stderr": 0.0,
    }
    for name in DEMAND_CELLS:
        if name not in cells.columns and name not in empty:
            raise DataError(f"evidence: no column '{name}'{nearest(name, cells.columns)}")
    absent = [pl.lit(empty[name]).alias(name) for name in DEMAND_CELLS if name not in cells.columns]
    return cells.with_columns(absent).select(
        col(name).cast(kind) for name, kind in DEMAND_CELLS.items()
    )


def _check_cells(cells: DataFrame) -> None:
    if cells.is_empty():
        raise DataError("evidence: no cells.")
    finite = {
        name: col(name).is_nan() | col(name).is_infinite()
        for name, kind in DEMAND_CELLS.items()
        if kind == pl.Float64
    }
    missing = {name: col(name).is_null() for name in DEMAND_CELLS if name not in OPTIONAL_COLUMNS}
    refusals = [
        *((name, bad, "must be a number") for name, bad in finite.items()),
        *((name, bad, "must be given") for name, bad in missing.items()),
        *(
            (name, col(name) <= 0, "must be > 0")
            for name in ("price", "list_price", "low", "high", "df")
        ),
        *(
            (name, col(name) < 0, "must be >= 0")
            for name in ("cost", "units", "stderr", "lag_stderr")
        ),
        ("high", col("high") < col("low"), "must be >= low"),
        (
            "stderr",
            col("stderr").is_null() != col("elasticity").is_null(),
            "must be there where elasticity is",
        ),
        (
            "status",
            ~col("status").is_in(CELL_STATUSES),
            f"must be one of {', '.join(CELL_STATUSES)}",
        ),
        ("cell", col("cell").is_duplicated(), "must be there once"),
        (
            "channel",
            pl.struct("product", "channel").is_duplicated(),
            "must be there once for its product",
        ),
    ]
    for name, bad, rule in refusals:
        wrong = cells.filter(bad)
        if len(wrong):
            raise DataError(
                f"evidence: cell '{wrong['cell'][0]}': {name} {rule}, got {wrong[name][0]}."
            )


def _check_arrays(evidence: DemandEstimates) -> None:
    """Refuse arrays of another shape than the cells have, or with values that cannot be."""
    count = len(evidence)
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(SQUARE_ARRAYS, (count, count))
    if evidence.draws is not None:
        shapes["draws"] = shapes["draws_lag"] = (len(evidence.draws), count)
        shapes["draws_cross"] = (len(evidence.draws),)
    for name, shape in shapes.items():
        array = getattr(evidence, name)
        if array is None:
            continue
        if array.shape != shape or not shape[0]:
            raise DataError(f"evidence.{name}: must have the shape {shape}, got {array.shape}.")
        known = (
            evidence.known if name in ("draws", "draws_lag", "covariance") else np.ones(count, bool)
        )
        checked = (
            array
            if name == "draws_cross"
            else array[:, known]
            if "draws" in name
            else array[np.ix_(known, known)]
        )
        if not np.isfinite(checked).all():
            raise DataError(f"evidence.{name}: must hold numbers.")
    if evidence.draws is None and (
        evidence.draws_lag is not None or evidence.draws_cross is not None
    ):
        raise DataError(
            "evidence.draws: must be given with draws_lag and draws_cross, which go with them."
        )
    if evidence.cross is not None and np.diag(evidence.cross).any():
        raise DataError(
            "evidence.cross: must be 0 on the diagonal, for own elasticities are in the cells."
        )
    if evidence.cross_stderr is not None and (evidence.cross_stderr < 0).any():
        raise DataError("evidence.cross_stderr: must be >= 0.")
    if evidence.cross_own_stderr is not None and (
        evidence.cross_stderr is None
        or (evidence.cross_own_stderr < 0).any()
        or (evidence.cross_own_stderr > evidence.cross_stderr * (1 + 1e-9)).any()
    ):
        raise DataError(
            "evidence.cross_own_stderr: must be between 0 and cross_stderr, which must be given."
        )
    if evidence.cross_stderr is not None and evidence.cross is None:
        raise DataError("evidence.cross: must be given with cross_stderr.")
    if evidence.covariance is not None:
        _check_covariance(evidence.covariance[np.ix_(evidence.known, evidence.known)])


def _check_covariance(covariance: ndarray) -> None:
    scale = float(np.abs(covariance).max(initial=0.0))
    if not np.allclose(covariance, covariance.T, rtol=1e-6, atol=1e-9 * scale):
        raise DataError("evidence.covariance: must be symmetric.")
    if len(covariance) and np.linalg.eigvalsh(covariance)[0] < -1e-6 * scale:
        raise DataError("evidence.covariance: must have no negative eigenvalue.")


def _spread_over_cells(
    normal: ndarray, stderr: ndarray, covariance: ndarray | None, known: ndarray
) -> ndarray:
    """Return standard draws with the covariance of the cells that have an estimate.

    Shape (D, K).
    """
    if covariance is None:
        return normal * stderr
    values, vectors = np.linalg.eigh(covariance[np.ix_(known, known)])
    spread = np.full_like(normal, np.nan)
    spread[:, known] = normal[:, known] @ (vectors * np.sqrt(np.maximum(values, 0.0))).T
    return spread
