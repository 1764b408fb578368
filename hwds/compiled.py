"""Plain functions of numbers and arrays that numba compiles when they are first needed, and keeps on disk.

Nothing here imports numba before `compiled` is called, so that a module of kernels can be imported to be listed or composed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from hwds.hashing import digest, digest_source, package_of

Function = TypeVar("Function", bound=Callable[..., Any])

_HELPERS: set[Callable[..., Any]] = set()
"""What compiled code may call."""

_TAUGHT: set[Callable[..., Any]] = set()
"""Those that numba knows already."""

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False, "forceinline": True}
"""Threads may run compiled code side by side; a division by zero gives inf or nan as numpy's does; and arrays are not counted.

Counting who holds an array makes a call cost fifty nanoseconds. Without it no array can be made inside compiled code: what it
needs is handed to it.
"""


def helper(function: Function) -> Function:
    """Mark a plain function as one that compiled code may call; it stays a plain function."""
    _HELPERS.add(function)
    return function


def compiled(function: Callable[..., Any], *parts: Callable[..., Any]) -> Any:
    """The function compiled for the types it is called with, kept on disk for other processes.

    Args:
        function: A module's plain function.
        parts: The functions that are compiled into it without being named by it, of other packages perhaps.
    """
    if len(_HELPERS) > len(_TAUGHT):  # by a module that was imported since
        _teach()
    return _compiled(function, parts)


@cache
def _compiled(function: Callable[..., Any], parts: tuple[Callable[..., Any], ...]) -> Any:
    import numba

    # numba looks at the file of the outermost function alone, so every version of all the code has a folder of its own
    folder = _root() / digest([_code((function, *parts)), numba.__version__])
    numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
    return numba.njit(cache=True, **OPTIONS)(function)


def _teach() -> None:
    from numba.extending import register_jitable

    for function in _HELPERS - _TAUGHT:
        _TAUGHT.add(function)
        register_jitable(**OPTIONS)(function)


def _root() -> Path:
    return Path(os.environ.get("NUMBA_CACHE_DIR") or Path("outputs", "cache", "numba")).resolve()


def _code(functions: tuple[Callable[..., Any], ...]) -> str:
    return digest(sorted({digest_source(package_of(function.__module__)) for function in functions}))
