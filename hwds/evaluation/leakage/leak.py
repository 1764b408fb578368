"""Leak: what was found where, and by which check; the comparison of two answers to the bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

FUTURE, STATE, FILES, PROTOCOL, TWINS, IMPLAUSIBLE, OWN_LABEL, GIVEAWAY = (
    "future",
    "state",
    "files",
    "protocol",
    "twins",
    "implausible",
    "own label",
    "giveaway",
)

TRIED = {
    FUTURE: "rubbish after each cutoff",
    STATE: "folds asked first to last, last to first in a fresh process, and under another seed",
    FILES: "files, connections and processes that are opened while it is imported, fitted and asked",
    PROTOCOL: "whether the rubbish replaces all that is due, and reaches the rows that are scored",
    TWINS: "worlds that no customer tells apart",
    IMPLAUSIBLE: "whether more is earned than the arms chosen are expected to earn",
    OWN_LABEL: "the label of a row turned, and that row computed and scored again",
    GIVEAWAY: "columns, missing values and orders of rows that give away what is predicted",
}
"""The description of each check that the command prints."""

UNSEEN = (
    "a walk through the process's memory that uses neither the stack nor the garbage collector, or that takes these checks"
    " apart; what is written into code, or into a file that a setting names; files that a process of the model's own opens, or"
    " other compiled code than that of polars, pandas and pyarrow; columns that follow the future loosely, and an order of rows"
    " without times; a policy that knows of few customers"
)
"""Ways of leaking that no check here sees."""


@dataclass(frozen=True, slots=True)
class Leak:
    """A place where answers depend on what could not be known.

    Attributes:
        where: The model or feature set.
        fold: The fold or cutoff.
        changed: How many answers changed.
        asked: The number of answers that were compared.
        check: The check that found it, a key of `TRIED`.
        shows: What was found, in words; empty for answers that changed with the data after the cutoff.
    """

    where: str
    fold: str
    changed: int = 0
    asked: int = 0
    check: str = FUTURE
    shows: str = ""

    def __str__(self) -> str:
        """Return one line."""
        shows = self.shows or "changed with the data after the cutoff"
        counted = f"{self.changed} of {self.asked} answers " if self.asked else ""
        return f"{self.where} at {self.fold}: {counted}{shows}."


def compared(
    where: str, fold: str, wanted: pl.DataFrame, got: pl.DataFrame, check: str = FUTURE, shows: str = ""
) -> Leak | None:
    """Return None where two tables hold the same bits, else the leak."""
    if wanted.height != got.height:
        return Leak(where, fold, abs(wanted.height - got.height), max(wanted.height, got.height), check, shows)
    same = np.ones(wanted.height, bool)
    for name in wanted.columns:
        same &= _bits(wanted[name]) == _bits(got[name])
    return None if same.all() else Leak(where, fold, int((~same).sum()), len(same), check, shows)


def _bits(column: pl.Series) -> np.ndarray:
    """Return a column as something that is equal only where the bits are: floats as integers."""
    if column.dtype == pl.Float64:
        return column.fill_null(float("nan")).to_numpy().view(np.int64)
    if column.dtype == pl.Float32:
        return column.fill_null(float("nan")).to_numpy().view(np.int32)
    if isinstance(column.dtype, pl.Array):
        return np.array([values.tobytes() for values in column.to_numpy()], object)
    return column.cast(pl.String).fill_null("").to_numpy()


@dataclass(frozen=True, slots=True)
class Twin:
    """A pair of frames.

    Attributes:
        check: The check that it is, a key of `leak.TRIED`.
        label: The place of the test, in words.
        shows: What an answer that differs shows, in words that follow `3 of 9 answers`.
        one: A frame.
        other: The other one.
        answers: From raw rows to those that must agree.
        part: The first of the fold's units that is run and the one after the last; None runs all.
    """

    check: str
    label: str
    shows: str
    one: Any
    other: Any
    answers: Callable[[pl.DataFrame], pl.DataFrame]
    part: tuple[int, int] | None = None
