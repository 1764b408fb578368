"""Frame: the data of a dataset, whatever its kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import polars as pl

from hwds.core.errors import ConfigError, with_article


class Frame(Protocol):
    """A Panel, a Table or a World: it can be named by its content, and laid where workers read it."""

    @property
    def fingerprint(self) -> str:
        """The digest of the content: part of the key of all that is computed from it."""

    def write(self, folder: Path) -> None:
        """Write it into an empty folder."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return what `write` wrote."""


def check_frame(call: str, frame: Any, wanted: type, taker: object) -> None:
    """Refuse a frame of another kind than is taken, in what is called from Python.

    Args:
        call: The function that was called: `evaluate`, `fit`.
        frame: Its argument.
        wanted: The kind that is taken.
        taker: The protocol or model that takes it.

    Raises:
        ConfigError: With both kinds.
    """
    if not isinstance(frame, wanted):
        given, kind = with_article(type(frame).__name__), with_article(wanted.__name__)
        made = f" (made by hwds.{wanted.__name__}.of)" if hasattr(wanted, "of") else ""
        raise ConfigError(f"{call}: the frame is {given}; {type(taker).__name__} takes {kind}{made}.")


class RowReader(Protocol):
    """Rows as models read them: a `Table`, or a `RowBatch` of a few that have just arrived."""

    @property
    def data(self) -> pl.DataFrame:
        """The rows as a frame; of a batch it is made for whoever asks."""

    @property
    def height(self) -> int:
        """The number of rows."""

    def numbers(self, names: Sequence[str]) -> np.ndarray:
        """Return columns as numbers, true and false as 1 and 0, NaN where there is none, shape (n, names)."""

    def codes(self, name: str, known: Mapping[str, int], other: int) -> np.ndarray:
        """Return the code of each text of a column, `other` where there is none or it has none, shape (n,)."""

    def steps(self, name: str) -> np.ndarray:
        """Return a column of arrays as numbers of steps, NaN for what is not there, shape (n, steps, a)."""

    def texts(self, name: str) -> Sequence[str | None]:
        """Return a column as polars writes it; nothing of arrays, and of a name that no column has."""
