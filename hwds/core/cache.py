"""The cache: entries by key, each made by one process, and the files that a user's code read."""

from __future__ import annotations

import json
import os
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cache, lru_cache, wraps
from glob import glob, has_magic
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Any, Generic, TypeVar

from hwds.core.files import (
    OUTPUTS,
    digest_bytes,
    digest_file,
    is_sealed,
    lock_for_making,
    write_bytes,
)

# The files that this process opens while a block runs, as Python's audit events tell them.
# Libraries that open files in compiled code raise no event. Those of `NATIVE` pass every path
# through one Python function, which is made to tell it. Not seen: files that another process
# opens, and those that pyarrow's own classes (`OSFile`, `csv.read_csv`), HDF5 and other
# compiled readers are given directly.

NATIVE = {
    "polars._utils.various": "normalize_filepath",
    "pandas.io.common": "stringify_path",
    "pyarrow.fs": "_resolve_filesystem_and_path",
}
"""For each library that opens files in compiled code, the function that is given their paths."""

WRITERS = ("write_", "sink_", "_to_sink", "to_", "save")
"""The beginnings of the names of functions that pass a path to be written."""

WRITE_FLAGS = os.O_WRONLY | os.O_TRUNC
"""The flags with which compiled code opens a file that it writes."""

SYSTEM_FOLDERS = (
    "/proc/",
    "/sys/",
    "/dev/",
    "/etc/",
    "/usr/lib/",
    "/usr/lib64/",
    "/usr/share/",
    "/lib/",
    "/lib64/",
)
"""Folders of the operating system."""

IMPORTER = "<frozen importlib"
"""The beginning of the file names of Python's own import system."""


@dataclass(eq=False)
class OpenedFiles:
    """The files of a block, by absolute path. Links are not followed, and a file need not exist
    (any more).

    Attributes:
        read: The files that were opened for reading, and that the block had not made before.
        written: The files that were opened for writing.
        made: The files among them that were not there before, or were emptied first.
        imported: The files that Python's import system read.
    """

    read: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)
    imported: set[str] = field(default_factory=set)

    def data_read(self) -> set[str]:
        """Return the files that were read, without those of Python, of installed libraries and of
        the system.
        """
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


_ACTIVE: list[OpenedFiles] = []
"""The blocks that run now, of all threads."""

_QUIET = threading.local()
"""Its `on` is true while a thread is in a block of `without_watching`."""


@contextmanager
def opened_files() -> Iterator[OpenedFiles]:
    """Yield the files that all threads of this process open until the block ends, but for those
    opened in `without_watching`.
    """
    _install()
    _wrap_native_readers()
    opened = OpenedFiles()
    _ACTIVE.append(opened)
    try:
        yield opened
    finally:
        _ACTIVE.remove(opened)


@contextmanager
def without_watching() -> Iterator[None]:
    """Let this thread open the project's own files, such as entries of a cache, without their being
    noted.
    """
    before = getattr(_QUIET, "on", False)
    _QUIET.on = True
    try:
        yield
    finally:
        _QUIET.on = before


def is_unwatched() -> bool:
    """Return whether this thread is in a block of `without_watching`."""
    return getattr(_QUIET, "on", False)


def is_of_system(path: str) -> bool:
    """Return whether a file belongs to Python, to an installed library or to the operating system.

    One in memory does not, unless the environment itself lies there.
    """
    return (
        path.startswith(_folders_of_python())
        or (path.startswith(SYSTEM_FOLDERS) and not path.startswith("/dev/shm/"))
        or BYTECODE in Path(path).parts
    )


@cache
def _folders_of_python() -> tuple[str, ...]:
    places = {sys.prefix, sys.base_prefix, sys.exec_prefix, *sysconfig.get_paths().values()}
    real = {os.path.realpath(place) for place in places}
    return tuple(sorted(place.rstrip("/") + "/" for place in places | real))


@cache
def _install() -> None:
    """Install the hook, which stays for the life of the process."""
    sys.addaudithook(_on_event)


def _on_event(event: str, arguments: tuple[Any, ...]) -> None:
    if not _ACTIVE or is_unwatched():
        return
    if event == "open":
        _on_open(arguments[0], arguments[2])
    elif event == "sqlite3.connect":
        for flags in (os.O_RDONLY, os.O_RDWR):  # one that is not there yet is read all the same
            _note(_absolute(arguments[0]), flags)
    elif event == "import":
        _wrap_native_readers()


def _on_open(name: Any, flags: Any) -> None:
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
    """Return the absolute path of what was opened.

    Empty for what is no path, such as an open file's number.
    """
    if not isinstance(path, str | bytes | os.PathLike):
        return ""
    try:
        return os.path.abspath(os.fsdecode(path))
    except (OSError, ValueError):  # the current folder is gone
        return ""


def _wrap_native_readers() -> None:
    """Let the loaded libraries of `NATIVE` tell each path that they are given, in whatever module
    the function is.
    """
    for module, name in NATIVE.items():
        function = vars(sys.modules[module]).get(name) if module in sys.modules else None
        if function is None or hasattr(function, "__tells_audit__"):
            continue
        telling = _reporting(function)
        for other, loaded in list(sys.modules.items()):
            if (
                other.startswith(f"{module.partition('.')[0]}.")
                and vars(loaded).get(name) is function
            ):
                setattr(loaded, name, telling)


def _reporting(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def telling(path: Any, *args: Any, **kwargs: Any) -> Any:
        if _ACTIVE and not is_unwatched():
            _on_native_open(path, WRITE_FLAGS if _is_writing(sys._getframe(1)) else os.O_RDONLY)
        return function(path, *args, **kwargs)

    telling.__tells_audit__ = True  # type: ignore[attr-defined]
    return telling


def _on_native_open(given: Any, flags: int) -> None:
    """Take note of a path, of the files of a pattern, or of a folder with all that lies in it.

    Of nothing that is neither.
    """
    path = _absolute(given)
    if flags == WRITE_FLAGS:
        _note(path, flags)
        return
    found = (
        [path, *Path(path).rglob("*")]
        if path and os.path.isdir(path)
        else glob(path)
        if has_magic(path)
        else [path]
    )
    for file in map(str, found):
        if os.path.isfile(file) or is_sealed():  # behind walls nothing seems to be there
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


# Input files: the data files that a user's own code reads while it is imported or computes,
# each with its digest.
# A key can be made before the files are known. So what was computed is stored with the files
# that it came from, and it counts as absent once one of them has another content.

PACKAGE = str(Path(__file__).resolve().parents[1]) + os.sep
CODE_SUFFIXES = (".py", ".pyc", ".pyi", ".so")
"""Suffixes of code, which is in the keys otherwise."""

LIBRARY_FOLDERS = (".keras", ".config", ".cache", ".matplotlib", ".triton", ".nv")
"""Folders in the user's home where libraries keep settings and caches."""

Inputs = dict[str, str]
"""The digest of each file by its path, relative to the current folder where it lies below it; empty
of one that is absent. Of a folder it covers all names and files in it. A variable of the
environment has a dollar sign before its name.
"""

VARIABLE = "$"
"""The beginning of the name of a variable among inputs."""

BYTECODE = "__pycache__"
"""The folders in which Python keeps compiled modules."""

CHANGED = "changed while it was used"
"""Stands for a digest that no content has."""

_READ: Inputs = {}
"""All that this process has noted: code may keep what it has read for the next cell."""

_COLLECTING: list[Inputs] = []
"""The mappings of the blocks that collect now."""

_RECORDING: list[bool] = []
"""One item for each block that records now."""


@contextmanager
def collect_inputs() -> Iterator[Inputs]:
    """Yield a mapping that holds in the end all that `note` added in the block."""
    collected: Inputs = {}
    _COLLECTING.append(collected)
    try:
        yield collected
    finally:
        _COLLECTING.remove(collected)


@contextmanager
def note_inputs() -> Iterator[None]:
    """Note the data files that are read in the block."""
    _RECORDING.append(True)
    try:
        with opened_files() as opened:
            yield
    finally:
        _RECORDING.pop()
        note(digests(as_input(path) for path in sorted(opened.data_read()) if _is_data(path)))


def noting() -> bool:
    """Return whether a block notes what is read."""
    return bool(_RECORDING)


def note(inputs: Mapping[str, str]) -> None:
    """Add files to all that this process has noted, and to the blocks that collect now."""
    for noted in (_READ, *_COLLECTING):
        noted.update(inputs)


def read_so_far() -> Inputs:
    """Return all files that this process has noted.

    The content of one that has changed since is not known.
    """
    return read_again(_READ)


def read_again(inputs: Mapping[str, str]) -> Inputs:
    """Return files with the digests that they had; the content of one that has changed since is not
    known.
    """
    return {path: digest if _digest(path) == digest else CHANGED for path, digest in inputs.items()}


def digests(paths: Iterable[str]) -> Inputs:
    """Return files with their digests now."""
    return {path: _digest(path) for path in paths}


def are_unchanged(inputs: Mapping[str, str]) -> bool:
    """Return whether files have the digests that they had."""
    return all(_digest(path) == digest for path, digest in inputs.items())


def digest_of_changes(inputs: Mapping[str, str]) -> str:
    """Return a digest of the present content of files, by which runs of one config are told
    apart.
    """
    return digest_bytes(repr(pair).encode() for pair in sorted(digests(inputs).items()))


def _digest(path: str) -> str:
    if path.startswith(VARIABLE):
        value = os.environ.get(path.removeprefix(VARIABLE))
        return "" if value is None else digest_bytes([value.encode()])
    if os.path.isdir(path):
        inside = sorted(file for file in Path(path).rglob("*") if BYTECODE not in file.parts)
        return digest_bytes(f"{file}\0{_of_file(str(file))}\n".encode() for file in inside)
    return _of_file(path)


def _of_file(path: str) -> str:
    try:
        about = os.stat(path)
        return _of_content(path, about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino)
    except OSError:  # absent, or a folder
        return ""


@lru_cache(maxsize=4096)
def _of_content(path: str, *_: Any) -> str:
    with without_watching():
        return digest_file(Path(path))


def as_input(path: str) -> str:
    """Return the name that an absolute path has among inputs."""
    here = os.getcwd() + os.sep
    return path.removeprefix(here)


def _is_data(path: str) -> bool:
    """Return whether a file is an input: no code, and nothing of hwds, of its caches or of a
    library's settings.
    """
    if path.endswith(CODE_SUFFIXES) or path.startswith(PACKAGE) or os.path.isdir(path):
        return False
    homes = tuple(str(Path.home() / name) + os.sep for name in LIBRARY_FOLDERS)
    caches = (
        str((OUTPUTS / "cache").absolute()) + os.sep,
        os.environ.get("NUMBA_CACHE_DIR", "\0") + os.sep,
    )
    return not path.startswith((*homes, *caches))


# The cache: entries by key in a folder, written atomically, verified by checksum, each computed
# by one process at a time.

Value = TypeVar("Value")

INPUTS = b"hwds inputs\n"
"""The beginning of the content of an entry that files belong to."""

NO_INPUTS: Mapping[str, str] = MappingProxyType({})

CHECKSUM = 32
"""Bytes before the content of an entry: its checksum in hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class Codec(Generic[Value]):
    """The stored form of a kind of value.

    Attributes:
        suffix: The suffix of the file.
        encode: Returns the content of a value.
        decode: Returns the value of a content, bit for bit.
    """

    suffix: str
    encode: Callable[[Value], bytes]
    decode: Callable[[bytes], Value]


@dataclass(frozen=True)
class Cache:
    """Values by key. A key covers all that its value depends on but for files that a user's code
    read: those are in the entry.

    Attributes:
        folder: The folder of the entries.
    """

    folder: Path

    def path(self, key: str, codec: Codec[Value]) -> Path:
        """Return the path of an entry."""
        return self.folder / key[:2] / f"{key}.{codec.suffix}"

    def has(self, key: str, codec: Codec[Value]) -> bool:
        """Return whether an entry exists."""
        return self.path(key, codec).is_file()

    def keys(self, beginning: str, codec: Codec[Value]) -> list[str]:
        """Return the keys of all entries that begin so (two characters at least)."""
        return [
            path.stem for path in (self.folder / beginning[:2]).glob(f"{beginning}*.{codec.suffix}")
        ]

    def load(self, key: str, codec: Codec[Value]) -> Value | None:
        """Return the value of an entry.

        None where there is none, or a file that it was made from has changed.

        A damaged entry is deleted.
        """
        path = self.path(key, codec)
        try:
            with without_watching(), path.open("rb") as file:
                checksum, content = file.read(CHECKSUM), file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if digest_bytes([content]).encode() != checksum:
            path.unlink(missing_ok=True)
            return None
        inputs, content = _split_inputs(content)
        if not are_unchanged(inputs):
            return None
        note(inputs)
        return codec.decode(content)

    def store(
        self, key: str, codec: Codec[Value], value: Value, inputs: Mapping[str, str] = NO_INPUTS
    ) -> None:
        """Store a value, and the digests of the files that it was made from.

        Raises:
            HwdsError: The folder cannot be written.
        """
        content = _with_inputs(codec.encode(value), inputs)
        with without_watching():
            write_bytes(self.path(key, codec), digest_bytes([content]).encode() + content)

    def lock(
        self, key: str, codec: Codec[Value], *, wait: bool = True
    ) -> AbstractContextManager[bool]:
        """Return a block in which no other process makes an entry.

        While another one does, it waits, or is given False.
        """
        return lock_for_making(self.path(key, codec), wait=wait)

    def get_or_make(self, key: str, codec: Codec[Value], make: Callable[[], Value]) -> Value:
        """Return the value of an entry.

        A missing or damaged one is computed now, by one process while others wait.

        Raises:
            HwdsError: The folder cannot be written.
        """
        value = self.load(key, codec)
        if value is not None:
            return value
        with self.lock(key, codec):
            value = self.load(key, codec)
            if value is None:
                value, inputs = _make_with_inputs(make)
                self.store(key, codec, value, inputs)
        return value


@dataclass(frozen=True)
class Unkept(Cache):
    """A cache that keeps nothing: every value is computed when it is asked for."""

    folder: Path = Path()

    def get_or_make(self, key: str, codec: Codec[Value], make: Callable[[], Value]) -> Value:
        """Return the value, computed now."""
        return make()


def _make_with_inputs(make: Callable[[], Any]) -> tuple[Any, Mapping[str, str]]:
    """Return a value, and what was read for it and before it where that is noted."""
    if not noting():
        return make(), NO_INPUTS
    with note_inputs():
        value = make()
    return value, read_so_far()


def _with_inputs(content: bytes, inputs: Mapping[str, str]) -> bytes:
    """Return a content with the files that it was made from in front, where there are any."""
    if not inputs:
        return content
    text = json.dumps(dict(inputs)).encode()
    return INPUTS + len(text).to_bytes(8, "little") + text + content


def _split_inputs(content: bytes) -> tuple[Mapping[str, str], bytes]:
    if not content.startswith(INPUTS):
        return NO_INPUTS, content
    begin = len(INPUTS) + 8
    end = begin + int.from_bytes(content[len(INPUTS) : begin], "little")
    return json.loads(content[begin:end]), content[end:]
