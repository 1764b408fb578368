"""The files that this process opens while a block runs, as Python's audit events tell them.

Libraries that open files in compiled code raise no event. Those of `NATIVE` pass every path through one Python function, which
is made to tell it. Not seen: files that another process opens, and those that pyarrow's own classes (`OSFile`, `csv.read_csv`),
HDF5 and other compiled readers are given directly.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, wraps
from glob import glob, has_magic
from pathlib import Path
from types import FrameType
from typing import Any

NATIVE = {
    "polars._utils.various": "normalize_filepath",
    "pandas.io.common": "stringify_path",
    "pyarrow.fs": "_resolve_filesystem_and_path",
}
"""For each library that opens files in compiled code, the function that is given their paths."""

WRITERS = ("write_", "sink_", "_to_sink", "to_", "save")
"""The beginnings of the names of functions that pass a path to be written."""

EMPTIED = os.O_WRONLY | os.O_TRUNC
"""The flags with which compiled code opens a file that it writes."""

SYSTEM = ("/proc", "/sys", "/dev", "/etc", "/usr/lib", "/usr/lib64", "/usr/share", "/lib", "/lib64")
"""Folders of the operating system."""

IMPORTER = "<frozen importlib"
"""The beginning of the file names of Python's own import system."""


@dataclass(eq=False)
class Opened:
    """The files of a block, by absolute path. Links are not followed, and a file need not exist (any more).

    Attributes:
        read: The files that were opened for reading, and that the block had not made before.
        written: The files that were opened for writing.
        made: Those of them that were not there before, or were emptied first.
        imported: The files that Python's import system read.
    """

    read: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)
    imported: set[str] = field(default_factory=set)

    def data_read(self) -> set[str]:
        """Return the files that were read, without those of Python, of installed libraries and of the system."""
        return {path for path in self.read if not is_of_system(path)}

    def add(self, path: str, flags: int) -> None:
        """Take note of a file that is opened with some flags."""
        access = flags & os.O_ACCMODE
        if access != os.O_RDONLY:
            self.written.add(path)
            if flags & os.O_TRUNC or not os.path.exists(path):
                self.made.add(path)
        if access != os.O_WRONLY and path not in self.made:
            self.read.add(path)


_ACTIVE: list[Opened] = []
"""The blocks that run now, of all threads."""

_QUIET = threading.local()
"""Its `on` is true while a thread is in a block of `unseen`."""


@contextmanager
def opened_files() -> Iterator[Opened]:
    """Yield the files that all threads of this process open until the block ends, but for those opened in `unseen`."""
    _install()
    _make_native_libraries_tell()
    opened = Opened()
    _ACTIVE.append(opened)
    try:
        yield opened
    finally:
        _ACTIVE.remove(opened)


@contextmanager
def unseen() -> Iterator[None]:
    """Let this thread open the project's own files, such as entries of a cache, without their being noted."""
    before = getattr(_QUIET, "on", False)
    _QUIET.on = True
    try:
        yield
    finally:
        _QUIET.on = before


def is_of_system(path: str) -> bool:
    """Return whether a file belongs to Python, to an installed library or to the operating system; one in memory does not."""
    return (path.startswith(_system_folders()) and not path.startswith("/dev/shm/")) or "__pycache__" in Path(path).parts


@cache
def _system_folders() -> tuple[str, ...]:
    places = {*SYSTEM, sys.prefix, sys.base_prefix, sys.exec_prefix, *sysconfig.get_paths().values()}
    return tuple(sorted({place.rstrip("/") + "/" for each in places for place in (each, os.path.realpath(each))}))


@cache
def _install() -> None:
    """Install the hook, which stays for the life of the process."""
    sys.addaudithook(_heed)


def _heed(event: str, arguments: tuple[Any, ...]) -> None:
    if not _ACTIVE or getattr(_QUIET, "on", False):
        return
    if event == "open":
        _heed_open(arguments[0], arguments[2])
    elif event == "sqlite3.connect":
        for flags in (os.O_RDONLY, os.O_RDWR):  # one that is not there yet is read all the same
            _note(_absolute(arguments[0]), flags)
    elif event == "import":
        _make_native_libraries_tell()


def _heed_open(name: Any, flags: Any) -> None:
    path = _absolute(name)
    frame = sys._getframe(2)
    if path and frame.f_code.co_filename.startswith(IMPORTER):
        for opened in _ACTIVE:
            opened.imported.add(path)
    else:
        _note(path, flags if isinstance(flags, int) else os.O_RDONLY)


def _note(path: str, flags: int) -> None:
    for opened in _ACTIVE if path else ():
        opened.add(path, flags)


def _absolute(path: Any) -> str:
    """Return the absolute path of what was opened; empty for what is no path, such as an open file's number."""
    if not isinstance(path, str | bytes | os.PathLike):
        return ""
    try:
        return os.path.abspath(os.fsdecode(path))
    except (OSError, ValueError):  # the current folder is gone
        return ""


def _make_native_libraries_tell() -> None:
    """Let the loaded libraries of `NATIVE` tell each path that they are given, in whatever module the function is."""
    for module, name in NATIVE.items():
        function = vars(sys.modules[module]).get(name) if module in sys.modules else None
        if function is None or hasattr(function, "__tells_audit__"):
            continue
        telling = _telling(function)
        for other, loaded in list(sys.modules.items()):
            if other.startswith(f"{module.partition('.')[0]}.") and vars(loaded).get(name) is function:
                setattr(loaded, name, telling)


def _telling(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def telling(path: Any, *args: Any, **kwargs: Any) -> Any:
        if _ACTIVE and not getattr(_QUIET, "on", False):
            _heed_native(path, EMPTIED if _is_writing(sys._getframe(1)) else os.O_RDONLY)
        return function(path, *args, **kwargs)

    telling.__tells_audit__ = True  # type: ignore[attr-defined]
    return telling


def _heed_native(given: Any, flags: int) -> None:
    """Take note of a path, of the files of a pattern, or of a folder with all that lies in it; of nothing that is neither."""
    path = _absolute(given)
    if flags == EMPTIED:
        _note(path, flags)
        return
    found = [path, *Path(path).rglob("*")] if path and os.path.isdir(path) else glob(path) if has_magic(path) else [path]
    for file in map(str, found):
        if os.path.isfile(file):
            _note(file, flags)


def _is_writing(frame: FrameType | None) -> bool:
    """Return whether one of the nearest functions writes, by its name."""
    for _ in range(4):
        if frame is None:
            return False
        if frame.f_code.co_name.startswith(WRITERS):
            return True
        frame = frame.f_back
    return False
