"""Checks of a feature set: a role that does not allow the use, a lag not known at a step, a name taken twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from hwds.core.errors import ConfigError, nearest
from hwds.core.recipe import Once, Steps, ZeroSteps
from hwds.forecast.features.columns.source import Column
from hwds.frames.roles import ROLES, SERIES, TARGET, TIME, Roles

WHY = {
    "known_future": "it must be known_future, to be read at the steps ahead",
    "static": "it must be static",
}


def has(field: str, name: str, default: str, role: Literal["known_future", "static"], roles: Roles) -> bool:
    """Return whether a panel has a column in a role; the default name and no name may be absent.

    Raises:
        ConfigError: A name that the user chose is absent, or plays another role.
    """
    if name in getattr(roles, role):
        return True
    if name in (default, ""):
        return False
    played = role_of(name, roles)
    if played:
        raise ConfigError(f"features.{field}: '{name}' is {played}; {WHY[role]}.")
    raise ConfigError(f"features.{field}: no {role} column '{name}'{nearest(name, getattr(roles, role))}")


def role_of(name: str, roles: Roles) -> str:
    """Return the role that a column plays, empty where there is no such column."""
    played = {SERIES: "the series", TIME: "the time", TARGET: "the target"}
    when = [role for role in roles.played_by(name) if not ROLES[role].beside]
    return when[-1] if when else played.get(name, "")


def known_for(field: str, lags: Sequence[int], horizon: int) -> None:
    """Refuse lags that are not known at every step of the horizon."""
    for lag in lags:
        if lag < horizon:
            unknown = f"steps {lag + 1} to {horizon}" if lag + 1 < horizon else f"step {horizon}"
            raise ConfigError(f"features.{field}: {lag} is shorter than the horizon {horizon}: unknown at {unknown}.")


def distinct(columns: Sequence[Column], roles: Roles) -> None:
    """Refuse two features of one name, or one with the name of a column of the panel."""
    seen: set[str] = set()
    for name in (column.feature.name for column in columns):
        played = role_of(name, roles)
        if played:
            raise ConfigError(f"features: '{name}' is a column of the dataset already ({played}); rename it there.")
        if name in seen:
            raise ConfigError(f"features: '{name}' would be computed twice; rename the column that it comes from.")
        seen.add(name)


Rows = Annotated[tuple[Steps, ...], Once]
RowsOrSeason = Annotated[tuple[ZeroSteps, ...], Once]
