"""Twin: two frames that nothing told to a model tells apart, so that its answers to both must agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl


@dataclass(frozen=True, slots=True)
class Twin:
    """A pair of frames.

    Attributes:
        check: The check that it is, a key of `leak.TRIED`.
        label: What is asked at, in words.
        shows: What an answer that differs shows, in words that follow `3 of 9 answers`.
        one: A frame.
        other: The other one.
        answers: From raw rows to those that must agree.
        part: The first of the fold's units that is asked and the one after the last; None asks all.
    """

    check: str
    label: str
    shows: str
    one: Any
    other: Any
    answers: Callable[[pl.DataFrame], pl.DataFrame]
    part: tuple[int, int] | None = None
