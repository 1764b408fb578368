"""Scores by segment: any protocol's own `score` over the rows of each value of a column, beside the total."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from hwds.core.errors import ConfigError, nearest
from hwds.evaluation.abilities import Segmentable
from hwds.evaluation.base import Cell, Evaluation, Score
from hwds.frames.table import ROW_ID, Table

ABSENT = "(none)"
"""The segment of units without a value; a null segment is the total."""

TEXT = "__segment__"

SEGMENT, PLACE, FOLD = "segment", "__place__", "__fold__"
"""Columns of labels: the segment; and where labels are finer than units, the unit's place and the fold, for counts of failures.
All others are keys, which the rows bear too."""


@dataclass(frozen=True, eq=False)
class Segments:
    """The segments that a run's scores are also shown by.

    Attributes:
        unit: The column of the rows that names a unit.
        labels: For each column `unit` and `segment` of every unit, in order, or of finer parts that are named by more of the
            rows' columns (`cutoff`, `time`); None where the rows bear the column themselves.
    """

    unit: str = ""
    labels: Mapping[str, pl.DataFrame | None] = field(default_factory=dict)

    @classmethod
    def of(cls, protocol: Evaluation[Any, Any], frame: Any) -> Segments:
        """Return the segments that a protocol's config names.

        Raises:
            ConfigError: The protocol is not `Segmentable`, or the frame has no such column.
        """
        if not protocol.segments:
            return cls(protocol.unit)
        if not isinstance(protocol, Segmentable):
            raise ConfigError(f"protocol.segments: protocol '{protocol.name}' has no segments, got '{protocol.segments[0]}'.")
        return cls(protocol.unit, {column: protocol.labels(frame, column) for column in protocol.segments})

    def values(self, column: str) -> list[str]:
        """Return the segments of a column, in order; empty where only the rows know them."""
        labels = self.labels[column]
        return [] if labels is None else _in_order(labels[SEGMENT])

    def scores(self, protocol: Evaluation[Any, Any], rows: pl.DataFrame, lost: Sequence[Cell]) -> Iterator[tuple[Score, int]]:
        """Yield the scores of each segment that has rows, without those of single steps, and its number of failed units.

        Args:
            protocol: Scores each part as it scores the whole.
            rows: All rows of one model and one fold, or of all its folds.
            lost: The cells of the same that failed.
        """
        for column, labels in self.labels.items():
            for value, part in self._parts(column, rows):
                failed = sum(_units(labels, cell, value) for cell in lost)
                for score in protocol.score(part):
                    if score.step is None:
                        yield replace(score, segment_by=column, segment=value), failed

    def _parts(self, column: str, rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
        """Return the rows of each segment, in their order."""
        labels = self.labels[column]
        if labels is None:
            values = rows[column]
        else:
            keys = [name for name in labels.columns if name not in (SEGMENT, PLACE, FOLD)]
            by_key = labels.select(*keys, SEGMENT)
            values = rows.select(keys).join(by_key, keys, "left", maintain_order="left", nulls_equal=True)[SEGMENT]
        marked = rows.with_columns(_text(values).alias(TEXT))
        parts = marked.partition_by(TEXT, as_dict=True, include_key=False, maintain_order=True)
        return ((value, parts[(value,)]) for value in _in_order(values))


def _text(values: pl.Series) -> pl.Series:
    return values.cast(pl.String).fill_null(ABSENT)


def _in_order(values: pl.Series) -> list[str]:
    """Return the distinct values as text, numbers and dates by size, none last."""
    return list(dict.fromkeys(_text(values.unique().sort(nulls_last=True))))


def _units(labels: pl.DataFrame | None, cell: Cell, value: str) -> int:
    """Return the number of units of a cell in a segment: all of them where each has a part in every segment."""
    if labels is None:
        return cell.stop - cell.start
    if PLACE in labels.columns:
        in_cell = labels.filter(pl.col(PLACE).is_between(cell.start, cell.stop - 1), _text(labels[SEGMENT]) == value)
        in_cell = in_cell.filter(pl.col(FOLD) == cell.fold.index) if FOLD in labels.columns else in_cell
        return in_cell[PLACE].n_unique()
    return int((_text(labels[SEGMENT][cell.start : cell.stop]) == value).sum())


def labels_of_rows(frame: Table, column: str) -> pl.DataFrame:
    """Return the `segment` of each row of a table: the value of any of its columns.

    Raises:
        ConfigError: There is no such column.
    """
    if column not in frame.data.columns:
        raise ConfigError(f"protocol.segments: no column '{column}'{nearest(column, frame.data.columns)}")
    return frame.data.select(ROW_ID, pl.col(column).alias(SEGMENT))
