"""Inputs of rows as matrices: codes of texts, scaled numbers, rarities, and their usual values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

import numpy as np
import polars as pl
from numpy import ndarray

from hwds.core.errors import DataError
from hwds.core.serialization import Serializable
from hwds.detection.reasons import LEAST_SHARE
from hwds.frames.table import RowReader, Table

# Numbers of many kinds on one scale, by statistics of the rows that are learned from.

Spread = Literal["deviation", "robust"]

SKEWED = 2.0
"""Skewness beyond which the logarithm of a column without negative values is taken."""


@dataclass(frozen=True, eq=False)
class ColumnScaling(Serializable):
    """Centre and spread of columns, of some after a logarithm.

    Attributes:
        unit: The unit of each column's log(1 + x / unit), 0 where no logarithm is taken; shape
            (k,).
        centre: The value that becomes 0.
        spread: The distance from it that becomes 1; infinite for a column that was constant or
            never known, which becomes 0.
    """

    unit: ndarray
    centre: ndarray
    spread: ndarray

    @classmethod
    def learn(
        cls,
        matrix: ndarray,
        spread: Spread = "deviation",
        logs: bool = True,
        least: ndarray | float = 0.0,
    ) -> Self:
        """Return the scaling of columns.

        Args:
            matrix: Shape (n, k), NaN where unknown.
            spread: Mean and standard deviation, or median and median absolute deviation (the mean
                one, where that is 0: Iglewicz and Hoaglin 1993), as standard deviations of a
                normal.
            logs: Whether logarithms are taken of skewed columns; in units of the median of what is
                not 0, so that dollars and cents are scaled alike.
            least: The spread of each column at least, if it has one, shape (k,).
        """
        columns = [column[np.isfinite(column)] for column in matrix.T]
        unit = np.array([_log_unit(column) if logs else 0.0 for column in columns])
        logged = [
            np.log1p(column / one) if one else column
            for column, one in zip(columns, unit, strict=True)
        ]
        moments = [
            (_median_and_deviation if spread == "robust" else _mean_and_deviation)(column)
            if len(column)
            else (0.0, np.inf)
            for column in logged
        ]
        centre, spreads = np.array(moments).reshape(-1, 2).T
        wide = np.maximum(spreads, least)
        return cls(unit, centre, np.where(wide > 1e-9 * (1 + np.abs(centre)), wide, np.inf))

    def of(self, matrix: ndarray, clip: float) -> ndarray:
        """Return columns on the scale, cut at `clip` on both sides, shape (n, k); NaN stays NaN."""
        logs, flat = self.unit > 0, np.isinf(self.spread)
        logged = np.where(
            logs, np.log1p(np.maximum(matrix, 0) / np.where(logs, self.unit, 1)), matrix
        )
        scaled = (logged - self.centre) / np.where(flat, 1, self.spread)
        return np.clip(np.where(flat & ~np.isnan(matrix), 0.0, scaled), -clip, clip)

    def parts(self, widths: Sequence[int]) -> list[ColumnScaling]:
        """Split the scaling into parts of so many columns each, as `join_scalings` put them
        together.
        """
        cuts = np.cumsum(widths, dtype=int)[:-1]
        both = zip(
            *(np.split(part, cuts) for part in (self.unit, self.centre, self.spread)), strict=True
        )
        return [ColumnScaling(*parts) for parts in both] if len(widths) else []


def join_scalings(parts: Sequence[ColumnScaling]) -> ColumnScaling:
    """Return the scaling of all columns of several scalings."""
    nothing = np.zeros(0)
    units, centres, spreads = (
        [getattr(part, name) for part in parts] for name in ("unit", "centre", "spread")
    )
    return ColumnScaling(*(np.concatenate([nothing, *each]) for each in (units, centres, spreads)))


def _log_unit(column: ndarray) -> float:
    """Return the unit of a skewed column's logarithm, or 0."""
    if not len(column) or column.min() < 0 or column.std() == 0:
        return 0.0
    skewness = np.mean(((column - column.mean()) / column.std()) ** 3)
    return float(np.median(column[column > 0])) if skewness > SKEWED else 0.0


def _mean_and_deviation(column: ndarray) -> tuple[float, float]:
    return float(column.mean()), float(column.std())


def _median_and_deviation(column: ndarray) -> tuple[float, float]:
    """Return the median, and 1.4826 median absolute deviations or 1.2533 mean ones."""
    centre = float(np.median(column))
    away = np.abs(column - centre)
    return centre, float(1.4826 * np.median(away) or 1.2533 * away.mean())


# Inputs of rows as a matrix: numbers as they are or scaled, texts as codes or as one column a
# value.

OTHER_CODE = 0
"""The code of a text that was not seen when the codes were learned, or seen too rarely."""


@dataclass(frozen=True, eq=False)
class ModelInputs(Serializable):
    """The names and kinds of a model's inputs.

    Attributes:
        numbers: Columns of numbers (true and false are 1 and 0).
        texts: Columns of texts.
        values: The values of each text column that have a code, 1 and up; all others have 0.
        arrays: Columns that hold an array of numbers in each row.
    """

    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    arrays: tuple[str, ...]

    @classmethod
    def learn(cls, rows: Table, most: int = 200) -> Self:
        """Return the inputs of a table; of each text column the `most` frequent values get a code.

        Raises:
            DataError: The table has no inputs.
        """
        if not rows.inputs:
            raise DataError(
                "features: the model has no inputs: no column with the role 'covariate', and no "
                "features."
            )
        schema = rows.data.schema
        texts = tuple(
            name
            for name in rows.inputs
            if schema[name] in (pl.String, pl.Categorical) or isinstance(schema[name], pl.Enum)
        )
        arrays = tuple(name for name in rows.inputs if isinstance(schema[name], pl.Array))
        numbers = tuple(name for name in rows.inputs if name not in texts and name not in arrays)
        return cls(
            numbers, texts, tuple(_most_frequent(rows.data[name], most) for name in texts), arrays
        )

    def matrix(self, rows: RowReader) -> ndarray:
        """Return the numbers, NaN where there is none, shape (n, numbers)."""
        return rows.numbers(self.numbers)

    def codes(self, rows: RowReader) -> ndarray:
        """Return the codes of the texts, shape (n, texts)."""
        columns = [
            rows.codes(name, known, OTHER_CODE)
            for name, known in zip(self.texts, self._codes_of_texts, strict=True)
        ]
        return np.column_stack(columns) if columns else np.zeros((rows.height, 0), np.int32)

    @cached_property
    def _codes_of_texts(self) -> tuple[dict[str, int], ...]:
        """The codes of each text column."""
        return tuple(
            {value: code for code, value in enumerate(values, 1)} for values in self.values
        )

    @property
    def plain(self) -> tuple[str, ...]:
        """The columns of numbers and of texts."""
        return (*self.numbers, *self.texts)

    def coded(self, rows: RowReader) -> ndarray:
        """Return numbers, then the code of each text, shape (n, columns).

        Raises:
            DataError: There is neither.
        """
        if not self.plain:
            raise DataError(
                "features: the model reads numbers and texts, and the inputs are all arrays."
            )
        return np.hstack([self.matrix(rows), self.codes(rows).astype(float)])

    def one_hot(self, rows: RowReader) -> ndarray:
        """Return numbers, then one column for each coded value of each text, shape (n, columns)."""
        codes = self.codes(rows)
        hot = [
            (codes[:, [i]] == np.arange(1, len(known) + 1)).astype(float)
            for i, known in enumerate(self.values)
        ]
        return np.hstack([self.matrix(rows), *hot])


def _most_frequent(values: pl.Series, most: int) -> tuple[str, ...]:
    """Return the most frequent values, those of one count by name."""
    counts = (
        values.cast(pl.String)
        .drop_nulls()
        .value_counts()
        .sort(pl.col("count"), values.name, descending=[True, False])
    )
    return tuple(sorted(counts[values.name].head(most).to_list()))


def single_precision(matrix: ndarray) -> ndarray:
    """Return a matrix in single precision, as trees compare numbers.

    What is too large for it is its largest.
    """
    most = np.finfo(np.float32).max
    return np.ascontiguousarray(np.clip(matrix, -most, most), np.float32)


def scorer_inputs(scorer: Any) -> Iterator[ModelInputs]:
    """Yield the inputs of a scorer, or those of each of its members, as far as it exposes them."""
    held = (scorer, getattr(scorer, "reader", None), getattr(scorer, "columns", None))
    yield from (
        inputs for each in held if isinstance(inputs := getattr(each, "inputs", None), ModelInputs)
    )
    for member in getattr(scorer, "members", ()):
        yield from scorer_inputs(member.scorer)


# Inputs of rows as numbers alone, for detectors: a text is how rare it is.


@dataclass(frozen=True, eq=False)
class NumberColumns(Serializable):
    """One number for each input of a row, but for arrays, which are left out.

    Attributes:
        inputs: The names and kinds of the inputs, and the codes of texts.
        rarity: Minus the logarithm of the share of each text among the normal rows, by code, an
            array for each text column; a text that was not seen counts as if it were the next
            row's.
    """

    inputs: ModelInputs
    rarity: tuple[ndarray, ...]

    @classmethod
    def learn(cls, rows: Table) -> Self:
        """Return the columns of normal rows.

        Raises:
            DataError: There is none.
        """
        inputs, n = ModelInputs.learn(rows), len(rows.data)
        if not (inputs.numbers or inputs.texts):
            raise DataError(
                "features: a detector reads numbers and texts, and the inputs are all arrays."
            )
        codes = inputs.codes(rows).T
        counts = [
            np.bincount(column, minlength=len(known) + 1)
            for column, known in zip(codes, inputs.values, strict=True)
        ]
        return cls(inputs, tuple(-np.log(np.maximum(count, 1) / (n + 1)) for count in counts))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return self.inputs.plain

    @property
    def least_spread(self) -> ndarray:
        """The least spread of each column: 1 for texts, since some that are nearly as frequent are
        all alike. Shape (k,).
        """
        return np.repeat([0.0, 1.0], [len(self.inputs.numbers), len(self.inputs.texts)])

    def matrix(self, rows: RowReader) -> ndarray:
        """Return the numbers of rows, shape (n, k), NaN where one is not known."""
        codes = self.inputs.codes(rows)
        rare = [by_code[codes[:, [i]]] for i, by_code in enumerate(self.rarity)]
        return np.hstack([self.inputs.matrix(rows), *rare])


# Usual values of inputs: quantiles and shares among the rows that a model learned from, which
# make a value high or rare.

QUANTILES = 100
"""Quantiles lie 1 % apart."""

MOST_ROWS = 5000
"""Rows that quantiles are computed from, evenly spaced; more would move no whole percent."""


@dataclass(frozen=True, eq=False)
class UsualValues(Serializable):
    """Quantiles of the inputs that are numbers, and how common each text of the others is.

    Attributes:
        names: The names of the inputs.
        quantiles: The quantiles of each input from the least to the largest value, shape (names,
            101); NaN where no row has a value.
        texts: The share of rows that has a text, for each input that is no number, the commonest
            first and none below `LEAST_SHARE`; rows without one have the empty text.
    """

    added: ClassVar[Mapping[str, Any]] = {"texts": {}}

    names: tuple[str, ...]
    quantiles: ndarray
    texts: dict[str, dict[str, float]] = field(default_factory=dict)

    @classmethod
    def learn(cls, rows: Table) -> Self:
        """Return the quantiles and shares of a table's inputs."""
        schema = rows.data.schema
        names = tuple(
            name
            for name in rows.inputs
            if schema[name].is_numeric() or str(schema[name]) == "Boolean"
        )
        step = max(rows.height // MOST_ROWS, 1)
        some = rows.filter(np.arange(rows.height) % step == 0)
        numbers = some.numbers(names)
        quantiles = np.full((len(names), QUANTILES + 1), np.nan)
        for place, column in enumerate(numbers.T):
            known = column[np.isfinite(column)]
            if len(known):
                quantiles[place] = np.quantile(
                    known, np.linspace(0, 1, QUANTILES + 1), method="inverted_cdf"
                )
        texts = {
            name: _text_shares(some.data[name])
            for name in rows.inputs
            if name not in names and not schema[name].is_nested()
        }
        return cls(names, quantiles, texts)

    @classmethod
    def unknown(cls) -> Self:
        """Return that of no input."""
        return cls((), np.zeros((0, QUANTILES + 1)))

    def ranks(self, name: str, value: float) -> tuple[float | None, float | None]:
        """Return the share of rows with a lower value and of those with a higher one.

        None twice where that is not known.
        """
        if name not in self.names or not np.isfinite(value):
            return None, None
        grid = self.quantiles[self.names.index(name)]
        if np.isnan(grid[0]):
            return None, None
        below = np.searchsorted(grid, value, "left")
        above = len(grid) - np.searchsorted(grid, value, "right")
        return float(below) / len(grid), float(above) / len(grid)

    def text_shares(self, name: str, text: str | None) -> tuple[float | None, float | None]:
        """Return the share of rows with a text, 0 below `LEAST_SHARE`, and with a commoner one.

        None twice where not known.
        """
        if text is None or name not in self.texts:
            return None, None
        own = self.texts[name].get(text, 0.0)
        return own, sum(share for share in self.texts[name].values() if share > own)


def _text_shares(column: pl.Series) -> dict[str, float]:
    counts = (
        column.cast(pl.String)
        .fill_null("")
        .value_counts()
        .sort("count", column.name, descending=[True, False])
    )
    return {
        text: count / len(column)
        for text, count in counts.iter_rows()
        if count >= LEAST_SHARE * len(column)
    }
