"""What is asked of the roles that a user gives: columns by name, each in one role."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from hwds.errors import ConfigError

Names = str | tuple[str, ...] | None
"""The name of a column, a list of names, or nothing."""


def listed(names: Names) -> tuple[str, ...]:
    """The names of a role as a tuple."""
    return (names,) if isinstance(names, str) else names or ()


def refuse_shared(roles: Mapping[str, Names], together: Collection[frozenset[str]] = ()) -> None:
    """Refuse a column that has two roles, or stands in one twice.

    Args:
        roles: Role to names.
        together: Pairs of roles that one column may have.

    Raises:
        ConfigError: With the path of the second role.
    """
    seen: dict[str, list[str]] = {}
    for role, names in roles.items():
        for name in listed(names):
            for other in seen.setdefault(name, []):
                if frozenset((other, role)) not in together:
                    twice = "is named twice" if other == role else f"has the role {other} already"
                    raise ConfigError(f"dataset.roles.{role}: column '{name}' {twice}; a column has one role.")
            seen[name].append(role)


def refuse_taken(roles: Mapping[str, Names], taken: Collection[str]) -> None:
    """Refuse a column that keeps its name where hwds has given that name to another.

    Raises:
        ConfigError: With a hint to rename it.
    """
    for role, names in roles.items():
        for name in listed(names):
            if name in taken:
                raise ConfigError(
                    f"dataset.roles.{role}: hwds gives the name '{name}' to another column; rename it in the file."
                )
