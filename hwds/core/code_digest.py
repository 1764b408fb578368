"""The digest of the code that produces the numbers: a part of cache keys and of run ids."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from hwds.core.errors import ConfigError
from hwds.core.hashing import digest, digest_bytes
from hwds.core.moved import current_path
from hwds.core.recipe import canonical
from hwds.core.source import module_file, modules_reached, save_parsed

_NAMED = re.compile(r"([A-Za-z_]\w*(?:[.]\w+)*):\S+")
"""A setting that names a member of a module: `my_pkg.metrics:bias`."""


def code_digest(settings: Any, *modules: str) -> str:
    """Return a digest (16 hexadecimal digits) of all source that numbers can depend on under some settings.

    It covers every module that is reached by imports, those inside functions too, from the class of each recipe in the
    settings, from the members that they name (`my_pkg.metrics:bias`) and from `modules`: in hwds and in a user's packages.
    It covers data files beside a module that names them. It does not cover comments, docstrings and layout, nor installed
    libraries, whose versions are in the key. Nothing is imported for it.

    Args:
        settings: A recipe, or a collection of recipes and plain data.
        modules: Further modules by their full names.

    Raises:
        ConfigError: A module has no source.
    """
    return _digest(frozenset(modules) | set(modules_in(canonical(settings))))


def modules_in(plain: Any) -> Iterator[str]:
    """Yield the modules that canonical settings name: those of recipes, and of members such as `my_pkg.metrics:bias`."""
    if isinstance(plain, dict):
        if isinstance(plain.get("recipe"), str):
            yield plain["recipe"].partition(":")[0]
        plain = list(plain.values())
    if isinstance(plain, list):
        for item in plain:
            yield from modules_in(item)
    elif isinstance(plain, str):
        named = _NAMED.fullmatch(current_path(plain))
        if named and module_file(named[1]) is not None:
            yield named[1]


@cache
def _digest(roots: frozenset[str]) -> str:
    absent = sorted(root for root in roots if module_file(root) is None)
    if absent:
        raise ConfigError(f"module '{absent[0]}' has no source file, so that nothing can name its code; put it into a file.")
    reached = sorted(modules_reached(roots).items())
    save_parsed()
    read = any(source.syntax.reads_docstrings for _, source in reached)
    return digest(
        [
            [name, digest_bytes([source.text]) if read else source.syntax.code, [digest_bytes([data]) for data in source.data]]
            for name, source in reached
        ]
    )
