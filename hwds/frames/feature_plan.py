"""Plans of feature sets: which columns they compute, and where each may be read when a forecast is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

At = Literal["origin", "step"]
Scale = Literal["level", "spread", "none"]


@dataclass(frozen=True, slots=True)
class Feature:
    """One computed column.

    A feature of row t is made from the target and past-only columns of rows before t, and from the known-future and
    static columns up to t. So at a cutoff c the first row after it, c + 1, is always lawful.

    Attributes:
        name: The column.
        at: `origin`: read at row c + 1, for every step. `step`: read at row c + step, since it needs only what is known ahead.
        scale: How it moves with the target: `level` (a + b y), `spread` (b y), or `none`; a model that normalises uses it.
    """

    name: str
    at: At
    scale: Scale = "none"


@dataclass(frozen=True, slots=True)
class Plan:
    """The columns that a feature set will compute."""

    features: tuple[Feature, ...]

    def at(self, where: At) -> tuple[Feature, ...]:
        """Return the features that are read at one place, in order."""
        return tuple(feature for feature in self.features if feature.at == where)
