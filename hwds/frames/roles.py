"""What the columns of a panel may be used for."""

from __future__ import annotations

from dataclasses import dataclass

SERIES, TIME, TARGET = "series_id", "time", "target"
"""The names that these three columns have in every panel, whatever they were called in the user's file."""


@dataclass(frozen=True, slots=True)
class PanelRoles:
    """The roles of a panel's columns beside `series_id`, `time` and `target`.

    Attributes:
        known_future: Numbers known for future rows too (a plan of prices, promotions, launches).
        past_only: Numbers known only once their row has passed.
        static: Constant within a series.
        level: Static columns that form a hierarchy, coarsest first.
        available_at: The column that says when a row's target and past-only values became known.
        split: The column that says `train` or `test`.
    """

    known_future: tuple[str, ...] = ()
    past_only: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    level: tuple[str, ...] = ()
    available_at: str | None = None
    split: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Every column that has a role, each once, in the order of the roles."""
        single = [name for name in (self.available_at, self.split) if name]
        return tuple(dict.fromkeys((*self.known_future, *self.past_only, *self.static, *self.level, *single)))
