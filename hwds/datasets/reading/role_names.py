"""RoleNames: the keys below `dataset.roles`, made of the declared roles, and what is refused of the columns they name."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar

import polars as pl

from hwds.core.errors import ConfigError, DataError
from hwds.core.recipe import Recipe
from hwds.datasets.reading.columns import numbers, times, typed
from hwds.frames.reading.files import FileSource
from hwds.frames.roles import ROLES, FrameKind, Names, Role, Roles, go_together, listed, refuse_unplaced, roles_of


class RoleNames(Recipe):
    """The columns of a file by role; a subclass has a field for each role of its kind of frame.

    `class FileRoles(RoleNames, frame="panel")` gets the fields, their types and their documentation from `ROLES`.
    """

    frame: ClassVar[FrameKind]

    def __init_subclass__(cls, frame: FrameKind, **kwargs: Any) -> None:
        cls.frame = frame
        for role in roles_of(frame):
            cls.__annotations__[role.name] = Names if role.many else str | None
            setattr(cls, role.name, None)
        fields = "\n".join(f"    {role.name}: {role.meaning}" for role in roles_of(frame))
        cls.__doc__ = f"{cls.__doc__}\n\nAttributes:\n{fields}\n"
        super().__init_subclass__(**kwargs)

    def given(self) -> Roles:
        """Return the roles that are given, in their order.

        Raises:
            ConfigError: None is given or a required one is not, a column has two roles that do not go together, or it lacks
                the role that says when it is known.
        """
        named = {role.name: listed(getattr(self, role.name)) for role in roles_of(self.frame)}
        missing = next((role for role in named if self.frame in ROLES[role].required and not named[role]), None)
        if missing:
            raise ConfigError(f"dataset.roles.{missing}: must be given.")
        if not any(named.values()):
            raise ConfigError(f"dataset.roles: one must be given; roles: {', '.join(named)}.")
        roles = Roles(named)
        _refuse_shared(roles)
        if self.frame == "panel":
            refuse_unplaced(roles)
        return roles


def _refuse_shared(roles: Roles) -> None:
    """Refuse a column that has two roles which do not go together, or stands in one twice."""
    seen: dict[str, list[str]] = {}
    for role, names in roles.items():
        for name in names:
            for other in seen.setdefault(name, []):
                if not go_together(other, role):
                    twice = "is named twice" if other == role else f"has the role {other} already"
                    raise ConfigError(f"dataset.roles.{role}: column '{name}' {twice}; a column has one role.")
            seen[name].append(role)


def refuse_taken(roles: Roles, taken: Collection[str]) -> None:
    """Refuse a column that keeps its name where hwds has given that name to another.

    Raises:
        ConfigError: With a hint to rename it.
    """
    for role, names in roles.items():
        for name in names:
            if name in taken:
                raise ConfigError(
                    f"dataset.roles.{role}: hwds gives the name '{name}' to another column; rename it in the file."
                )


def column_of(source: FileSource, name: str, roles: Roles) -> pl.Series:
    """Return a column of a file as its roles read it: times, numbers, or whatever all its values look like.

    Raises:
        DataError: A value does not fit a role, with its row.
    """
    played = [ROLES[role] for role in roles.played_by(name)]
    holds = next((role.holds for role in played if role.holds != "any"), "any")
    if holds == "times":
        return times(source, name, next(role.name for role in played if role.holds == "times")).alias(name)
    values = numbers(source, name) if holds == "numbers" else typed(source.table[name])
    for role in played:
        _refuse_outside(values, role)
    return values.alias(name)


def _refuse_outside(values: pl.Series, role: Role) -> None:
    """Refuse a number below the least value of a role, or above its greatest."""
    for bound, sign in ((role.low, ">="), (role.high, "<=")):
        if bound is None:
            continue
        rows = (values < bound if sign == ">=" else values > bound).fill_null(False).arg_true()
        if len(rows):
            row = f"row {rows[0] + 1} has {values[rows[0]]:g} in column '{values.name}'"
            raise DataError(f"dataset.roles.{role.name}: {row}; must be {sign} {bound:g}.")
