"""Functions of numbers and arrays that numba compiles when they are first needed, and caches on disk.

Nothing here imports numba before `compiled` is called, so that a module of kernels can be imported to be listed or composed.
"""

from __future__ import annotations

import linecache
import os
import pickle
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from hwds.core.atomic import write_bytes
from hwds.core.cache import CHECKSUM
from hwds.core.code_digest import code_digest
from hwds.core.compiling.helpers import helper_compiler
from hwds.core.environment import numeric_environment
from hwds.core.errors import HwdsError
from hwds.core.hashing import digest, digest_bytes
from hwds.core.locks import making
from hwds.core.outputs import OUTPUTS


def with_checksums(dispatcher: Any) -> Any:
    """Return a compiled function of which numba writes and reads its files with a checksum; damaged ones are made again."""
    dispatcher._cache._cache_file.__class__ = _checked_files()
    return dispatcher


@cache
def _checked_files() -> type[Any]:
    from numba.core.caching import IndexDataCacheFile

    base: Any = IndexDataCacheFile  # it has no types

    class CheckedFiles(base):  # type: ignore[misc]
        """The index and the data files of one function. Private methods of numba's, of which a test of every release tells."""

        def _load_index(self) -> dict[Any, str]:
            content = checked_content(Path(self._index_path))
            version, stamp, overloads = pickle.loads(content) if content is not None else ("", None, {})
            return dict(overloads) if (version, stamp) == (self._version, self._source_stamp) else {}

        def _save_index(self, overloads: dict[Any, str]) -> None:
            _write(Path(self._index_path), self._dump((self._version, self._source_stamp, overloads)))

        def _load_data(self, name: str) -> Any:
            content = checked_content(Path(self._data_path(name)))
            if content is None:
                raise OSError(f"{name} is damaged")  # of which numba makes a new one
            return pickle.loads(content)

        def _save_data(self, name: str, data: Any) -> None:
            _write(Path(self._data_path(name)), self._dump(data))

    return CheckedFiles


def checked_content(path: Path) -> bytes | None:
    """Return the content of a file without its checksum; None where there is none, or it is damaged."""
    if not path.is_file():
        return None
    data = path.read_bytes()
    checksum, content = data[:CHECKSUM], data[CHECKSUM:]
    return content if digest_bytes([content]).encode() == checksum else None


def _write(path: Path, content: bytes) -> None:
    write_bytes(path, digest_bytes([content]).encode() + content)


Function = TypeVar("Function", bound=Callable[..., Any])

_HELPERS: set[Callable[..., Any]] = set()
"""The functions that compiled code may call."""

_REGISTERED: set[Callable[..., Any]] = set()
"""The helpers that are registered with numba already."""

OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "_nrt": False,
    "forceinline": True,
    "no_cfunc_wrapper": True,
}
"""Threads may run compiled code in parallel; a division by zero gives inf or nan as numpy's does; references are not counted.

Counting references to arrays makes a call cost fifty nanoseconds. Without it compiled code cannot create arrays: its caller
passes all that it needs. No function is called from C, and compiling it for that takes a tenth of the time.
"""


def helper_options() -> dict[str, Any]:
    """Return numba's options for a function that compiled code alone calls."""
    return OPTIONS | {"pipeline_class": helper_compiler()}


def helper(function: Function) -> Function:
    """Register a plain function as one that compiled code may call; it stays a plain function."""
    _HELPERS.add(function)
    return function


def compiled(function: Callable[..., Any], *parts: Callable[..., Any]) -> Any:
    """Return the function compiled for the types it is called with, cached on disk for other processes.

    Args:
        function: A plain function at the top level of a module.
        parts: Functions that are compiled into it although its module does not import them.
    """
    if len(_HELPERS) > len(_REGISTERED):  # a module with helpers was imported since
        _register_helpers()
    return _compiled(function, parts)


@cache
def _compiled(function: Callable[..., Any], parts: tuple[Callable[..., Any], ...]) -> Any:
    import numba

    # numba looks at the file of the outermost function alone, so every version of all the code has a folder of its own
    folder = cache_root() / digest([_code((function, *parts)), numba.__version__, *numeric_environment().items()])
    numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
    return _compiling_once(with_checksums(numba.njit(cache=True, **OPTIONS)(function)), folder / function.__name__)


def _compiling_once(dispatcher: Any, path: Path) -> Any:
    """Let one process compile and others wait to load that, and what cannot be compiled be refused in one line.

    numba compiles by a method that compiled calls never reach.
    """
    from numba.core.errors import NumbaError

    compile_for = dispatcher._compile_for_args

    def guarded(*arguments: Any, **named: Any) -> Any:
        try:
            with making(path):
                return compile_for(*arguments, **named)
        except NumbaError as error:
            raise HwdsError(_refusal(str(error))) from error

    dispatcher._compile_for_args = guarded
    return dispatcher


_LINE = re.compile(r'^ *File "(?P<file>[^"]+)", line (?P<line>\d+):\n *def (?P<name>\w+)', re.MULTILINE)
"""A line of source in a message of numba, the innermost first."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
"""The codes with which numba prints in colour."""

_UNMARKED = re.compile(r"Untyped global name '(\w+)': Cannot determine Numba type of <class 'function'>")

_UNKNOWN = re.compile(r"NameError: name '\w+' is not defined")


def _refusal(message: str) -> str:
    """Return numba's message of many lines as one: the file, the line, the function, and why."""
    message = _COLOURS.sub("", message)
    if unknown := _UNKNOWN.search(message):
        return f"numba: {unknown[0]}, in a function that is to be compiled."
    own = next((line for line in _LINE.finditer(message) if "/site-packages/numba/" not in line["file"]), None)
    if own is None:
        return f"numba: {' '.join(message.split())[:300]}"
    where = f"{own['file']}:{own['line']}: {own['name']}"
    reason = message[: own.start()].rstrip().rpartition("\n")[2].strip()
    if unmarked := _UNMARKED.search(reason):
        return f"{where} calls '{unmarked[1]}', which is not compiled; mark '{unmarked[1]}' with {__name__}.{helper.__name__}."
    source = linecache.getline(own["file"], int(own["line"])).strip()
    why = "" if reason.startswith("During:") else f": {reason[:200].rstrip('.')}"
    return f"{where}: numba cannot compile '{source}'{why}."


def _register_helpers() -> None:
    from numba.extending import register_jitable

    for function in _HELPERS - _REGISTERED:
        _REGISTERED.add(function)
        register_jitable(**helper_options())(function)


def cache_root() -> Path:
    """Return the folder of compiled code."""
    return Path(os.environ.get("NUMBA_CACHE_DIR") or OUTPUTS / "cache" / "numba").resolve()


def _code(functions: tuple[Callable[..., Any], ...]) -> str:
    return code_digest(None, __name__, *(function.__module__ for function in functions))
