"""Questions to a user's code, and who asks them: this process, or sealed ones that have nothing but
the question.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import polars as pl
from polars import DataFrame

from hwds.core.cache import (
    NO_INPUTS,
    PACKAGE,
    Cache,
    Codec,
    Value,
    is_of_system,
    opened_files,
)
from hwds.core.compiling import cache_root
from hwds.core.errors import HwdsError
from hwds.core.files import OUTPUTS, digest_bytes
from hwds.core.keys import syntax_folder as sources
from hwds.core.recipe import canonical, rebuild, texts_in
from hwds.core.sealed import ForkServer, Given, SealedProcess, given_code
from hwds.evaluation.protocol import (
    Cell,
    Fold,
    RunContext,
)

# Memory: a cache that lies in this process alone, so that nothing lawful is read from disk
# while a model predicts.


@dataclass(frozen=True)
class MemoryCache(Cache):
    """Values by key, each made once, as long as this object lives."""

    values: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def empty(cls) -> MemoryCache:
        """Return one without a value."""
        return cls(Path())

    def load(self, key: str, codec: Codec[Value]) -> Value | None:
        """Return the value as it would be read, None where there is none."""
        content = self.values.get(key)
        return None if content is None else codec.decode(content)

    def store(
        self, key: str, codec: Codec[Value], value: Value, inputs: Mapping[str, str] = NO_INPUTS
    ) -> None:
        """Keep a value as it would be written."""
        self.values[key] = codec.encode(value)

    def lock(
        self, key: str, codec: Codec[Value], *, wait: bool = True
    ) -> AbstractContextManager[bool]:
        """Return a block that keeps nobody out, for no other process has this cache."""
        return nullcontext(True)

    def __reduce__(self) -> tuple[Callable[[], MemoryCache], tuple[()]]:
        """Send no value: another process has a cache of its own."""
        return _cache_of_process, ()


@cache
def _cache_of_process() -> MemoryCache:
    return MemoryCache.empty()


# Ways out of a fit that are no files: connections, other processes, and a walk through frames
# and objects of this one.

PROCESSES = {"subprocess.Popen", "os.system", "os.posix_spawn", "os.exec", "os.fork", "os.forkpty"}
OBJECTS = {"gc.get_objects", "gc.get_referrers", "gc.get_referents"}
FRAMES = {"sys._getframe", "sys._current_frames"}
WALKS = "walks through the memory of its process"
"""Audit events; those alone count that a user's own code raises: libraries start helpers and look
at frames, too.
"""

_ACTIVE: list[list[str]] = []
_BUSY = threading.local()


@contextmanager
def watch_escapes() -> Iterator[list[str]]:
    """Yield a list of what was tried until the block ends, in words."""
    _install()
    found: list[str] = []
    _ACTIVE.append(found)
    try:
        yield found
    finally:
        _ACTIVE[:] = [other for other in _ACTIVE if other is not found]


@cache
def _install() -> None:
    sys.addaudithook(_on_escape_event)


def _on_escape_event(event: str, arguments: tuple[Any, ...]) -> None:
    if not _ACTIVE or getattr(_BUSY, "on", False):
        return
    _BUSY.on = True  # looking at the frame raises an event, too
    try:
        reason = _describe_escape(event, arguments)
    finally:
        _BUSY.on = False
    if reason:
        for found in _ACTIVE:
            found.append(reason)


def _describe_escape(event: str, arguments: tuple[Any, ...]) -> str:
    """Return what was tried, in words; empty for what is nobody's concern."""
    if event == "socket.connect" and not isinstance(
        arguments[1], str | bytes
    ):  # those are of this machine
        return f"connects to {arguments[1]}"
    if (
        event in PROCESSES
        and not _is_multiprocessing(sys._getframe(2))
        and _is_own(_outside_of_python(sys._getframe(2)))
    ):
        return f"starts another process ({event})"
    walks = arguments[1] if event == "object.__getattr__" else event
    if walks in (*OBJECTS, *FRAMES, "tb_frame"):
        caller = sys._getframe(2)
        if _is_own(_outside_of_inspect(caller) if walks in FRAMES else caller):
            return f"{WALKS} ({walks})"
    return ""


def _is_own(frame: FrameType | None) -> bool:
    """Return whether code is a user's: neither Python's, nor a library's, nor that of hwds."""
    if frame is None:
        return False
    file = frame.f_code.co_filename
    return not (file.startswith((PACKAGE, "<frozen")) or is_of_system(file))


def _outside_of_python(frame: FrameType | None) -> FrameType | None:
    """Return the nearest frame whose code is not Python's own."""
    while frame is not None and frame.f_code.co_filename.startswith(("<frozen", _python())):
        frame = frame.f_back
    return frame


def _is_multiprocessing(frame: FrameType | None) -> bool:
    """Return whether the nearest function is multiprocessing's, which spreads the work of a fit."""
    return frame is not None and str(frame.f_globals.get("__name__")).startswith("multiprocessing.")


def _outside_of_inspect(frame: FrameType | None) -> FrameType | None:
    while frame is not None and frame.f_globals.get("__name__") == "inspect":
        frame = frame.f_back
    return frame


@cache
def _python() -> str:
    """Return the folder of Python's own modules."""
    return str(Path(threading.__file__).parent)


# Files that are not declared, connections and processes that a model opens while it is
# imported, fitted and predicts.

LIBRARIES = (".keras", ".config/matplotlib", ".cache/matplotlib")
"""Settings of libraries in the user's home, which they read when they are imported."""

CODE = (".py", ".pyc", ".nbi", ".nbc")
"""Suffixes of code, which is part of a cell's key and is read to make that, and of what numba makes
of it.
"""

PACKAGES = (".egg-info", ".dist-info")
"""Endings of folders that say what is installed."""

_WRITTEN: set[str] = set()
"""All that this process has written while it was watched: whoever reads it later carries something
from fit to fit.
"""


@dataclass(frozen=True)
class FileWatch:
    """Sees what is opened.

    Attributes:
        data: The files that the dataset was read from: no model may open them, declared or not.
        outputs: Where results and caches lie: nothing there may be opened either.
    """

    data: frozenset[str] = frozenset()
    outputs: str = str(OUTPUTS)

    @contextmanager
    def watching(self, *recipes: Any) -> Iterator[list[str]]:
        """Yield a list that holds in the end what was opened and may not be, in words.

        Args:
            recipes: Settings whose texts may name files: those are declared.
        """
        found: list[str] = []
        with opened_files() as opened, watch_escapes() as escaped:
            try:
                yield found
            finally:
                found += self.judged(opened.read, declared_files(*recipes), _WRITTEN)
                found += list(dict.fromkeys(escaped))
                _WRITTEN.update(opened.written)

    def judged(self, read: Iterable[str], declared: Set[str], written: Set[str]) -> list[str]:
        """Return the files that may not be read, in words.

        Args:
            read: Paths that were opened.
            declared: Paths that settings name.
            written: Paths that the same process wrote before.
        """
        there = sorted(path for path in read if os.path.exists(path) and not _of_library(path))
        return [said for path in there if (said := self._told(path, declared, written))]

    def is_data(self, path: str) -> bool:
        """Return whether a file is one of the data, or has the content of one."""
        return bool({path, os.path.realpath(path)} & self.data) or _digest(path) in {
            _digest(own) for own in self.data
        }

    def _told(self, path: str, declared: Set[str], written: Set[str]) -> str:
        """Return a file that may not be read, in words; empty for one that may."""
        real = os.path.realpath(path)
        shown = os.path.relpath(path) if path.startswith(os.getcwd() + os.sep) else path
        if {path, real} & self.data or (path in declared and self.is_data(path)):
            return f"reads {shown}, the data's own file"
        if real.startswith(os.path.realpath(self.outputs) + os.sep):
            return f"reads {shown}, what another run left"
        if path in written:
            return f"reads {shown}, which it wrote before"
        lawful = path in declared or path.endswith(CODE) or _of_system(real)
        return "" if lawful else f"reads {shown}, which no setting names"


def _of_system(path: str) -> bool:
    """Return whether a file is Python's, a library's or the system's.

    A folder of caches is not, nor is memory of a process.
    """
    private = "__pycache__" in Path(path).parts or path.endswith("/mem")
    return is_of_system(path) and not private


def _digest(path: str) -> str:
    """Return the digest of a file's content; empty for one that is gone."""
    return digest_bytes([Path(path).read_bytes()]) if os.path.isfile(path) else ""


def _of_library(path: str) -> bool:
    """Return whether a file is one of hwds, of a library's settings, or compiled code."""
    homes = tuple(str(Path.home() / name) + os.sep for name in LIBRARIES)
    own = (str(cache_root()) + os.sep, str(sources().absolute()) + os.sep)
    installed = any(part.endswith(PACKAGES) for part in Path(path).parts)
    return installed or path.startswith((PACKAGE, *own, *homes))


# Asking for the rows of a fold or for features: in this process, or in one that has nothing but
# the question.


class Question(Protocol):
    """What can be asked anywhere: plain settings of a user's code, and data.

    Recipes are instances, or `canonical`: the process that asks need not import a user's modules.
    """

    @property
    def label(self) -> str:
        """Who is asked about what, in words."""

    @property
    def recipes(self) -> tuple[Any, ...]:
        """The settings whose code is run and whose texts may name files."""

    def rows(self) -> DataFrame:
        """Return the answer."""


def recipe_of(plain: Any) -> Any:
    """Return the recipe of `canonical` settings, in one process always the same object, as in a
    worker; a recipe as it is.
    """
    return _recipe_of(json.dumps(plain)) if isinstance(plain, dict) else plain


@cache
def _recipe_of(text: str) -> Any:
    return rebuild(json.loads(text))


@dataclass(frozen=True)
class FoldQuestion:
    """The rows of a model's fold, of a frame; of all units, or from the first of `part` to before
    the other.
    """

    protocol: Any
    model_label: str
    model: Any
    frame: Any
    fold: Fold
    context: RunContext
    part: tuple[int, int] | None = None

    @property
    def label(self) -> str:
        """The model and the fold."""
        return f"{self.model_label} at {self.fold.name}"

    @property
    def recipes(self) -> tuple[Any, ...]:
        """The model, the protocol and the features."""
        return self.model, self.protocol, self.context.features

    def rows(self) -> DataFrame:
        """Return the raw rows with the fold's number."""
        cell = Cell(self.model_label, self.fold, *(self.part or (0, self.fold.units)))
        context = replace(
            self.context, fold=self.fold.name, features=recipe_of(self.context.features)
        )
        rows: DataFrame = self.protocol.evaluate_cell(
            recipe_of(self.model), self.frame, cell, context
        )
        number = pl.lit(self.fold.index, pl.Int32).alias("fold")
        return rows.select(number, pl.all()) if rows.width else rows


@dataclass(frozen=True)
class FeatureQuestion:
    """The columns of a feature set.

    Attributes:
        features: The feature set.
        compute: Computes its columns from the feature set and `data`: a function of a module.
        data: What they are computed from.
    """

    features: Any
    compute: Callable[..., DataFrame]
    data: tuple[Any, ...]

    @property
    def label(self) -> str:
        """Nothing but what it is."""
        return "the feature set"

    @property
    def recipes(self) -> tuple[Any, ...]:
        """The features."""
        return (self.features,)

    def rows(self) -> DataFrame:
        """Return the columns."""
        return self.compute(recipe_of(self.features), *self.data)


@dataclass(frozen=True)
class AskedRows:
    """The raw rows, what was opened that may not be, and why there is no answer, in words."""

    rows: DataFrame
    opened: tuple[str, ...] = ()
    failed: str = ""

    def known(self) -> DataFrame:
        """Return the rows.

        Raises:
            _UnansweredError: There are none.
        """
        if self.failed:
            raise _UnansweredError(self.failed)
        return self.rows


class _UnansweredError(HwdsError):
    """A user's code fails where it has nothing but its question: nothing can be compared."""


@contextmanager
def note_failures(opened: dict[str, str]) -> Iterator[None]:
    """End a comparison that has no answer, and note why."""
    try:
        yield
    except _UnansweredError as error:
        opened.setdefault(f"fails where it has nothing but its question ({error})", "any fold")


class Ask(Protocol):
    """A caller that asks a model for answers."""

    def __call__(self, question: Question) -> AskedRows:
        """Return the answer."""


@dataclass(frozen=True)
class AskHere:
    """Asks in this process.

    Attributes:
        watch: Sees what is opened meanwhile.
    """

    watch: FileWatch = field(default_factory=FileWatch)

    def __call__(self, question: Question) -> AskedRows:
        """Return the answer."""
        with self.watch.watching(*question.recipes) as opened:
            rows = question.rows()
        return AskedRows(rows, tuple(opened))


class AskSealed:
    """Asks in sealed processes, which have the question and nothing else: of this process they
    share neither memory nor files, and of each other nothing at all.

    A model arrives there as it arrives at a worker: its modules are imported behind the walls.
    What a process tells is data. Which of the files that it tried to read are lawful is judged
    here. Code of hwds alone stays in one process, so that features are computed once for all
    models.

    Args:
        server: Forks the processes.
        watch: Knows the data's files.
        kept: Whether a user's code, too, stays in one process for all questions, in the order in
            which they are asked, and does not have a new one each.
    """

    def __init__(self, server: ForkServer, watch: FileWatch, *, kept: bool = False) -> None:
        self.server, self.watch, self.kept = server, watch, kept
        self._processes: dict[str, SealedProcess] = {}
        self._written: set[str] = set()

    def __call__(self, question: Question) -> AskedRows:
        """Return the answer.

        Raises:
            HwdsError: The question cannot be sent, or the process died.
        """
        try:
            asked = pickle.dumps(question)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise HwdsError(
                f"check-leakage: {question.label} cannot be sent to a fresh process: {error}"
            ) from error
        given = given_to(question.recipes, self.watch)
        facts, rows = self._answer(given, asked, question.label)
        found = self.watch.judged(facts["read"], declared_files(*question.recipes), self._written)
        self._written.update(facts["written"])
        opened = (*found, *facts["escaped"])
        return AskedRows(pl.read_ipc(rows, use_pyarrow=False), opened, facts["failed"])

    def _answer(self, given: Given, asked: bytes, label: str) -> tuple[dict[str, Any], bytes]:
        """Return what a process tells and its rows, from the one that such code is kept in."""
        key = json.dumps(asdict(given))
        process = self._processes.pop(key, None) or self.server.start(ENTRY, given)
        try:
            process.pipe.send_bytes(asked)
            answer = json.loads(process.pipe.recv_bytes()), process.pipe.recv_bytes()
        except (EOFError, OSError) as error:
            process.close()
            raise HwdsError(f"check-leakage: the process asked for {label} died.") from error
        if self.kept or not given.modules:
            self._processes[key] = process
        else:
            process.close()
        return answer

    def close(self) -> None:
        """End the processes that there are."""
        for process in self._processes.values():
            process.close()
        self._processes.clear()

    def __enter__(self) -> AskSealed:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes that there are."""
        self.close()


def declared_files(*recipes: Any) -> set[str]:
    """Return the absolute paths that texts of settings would name."""
    return {os.path.abspath(text) for recipe in recipes for text in texts_in(canonical(recipe))}


def given_to(recipes: Sequence[Any], watch: FileWatch) -> Given:
    """Return what the code of recipes may import and read: its modules, the files beside them that
    they name, and the files that settings name, unless they are the data's own.
    """
    plain = canonical(list(recipes))
    named = {path for path in declared_files(*recipes) if os.path.exists(path)}
    code = given_code(plain, named)
    files = [path for path in code.files if not watch.is_data(path)]
    compiled = () if code.modules else (str(cache_root()),)  # a user's code leaves nothing there
    return replace(code, files=files, shared=compiled)


ENTRY = f"{__name__}:answer_questions"


def answer_questions(pipe: Connection) -> None:
    """Answer until the pipe is closed, in a sealed process."""
    while True:
        asked, failed, rows = pipe.recv_bytes(), "", pl.DataFrame()
        with opened_files() as opened, watch_escapes() as escaped:
            try:
                rows = pickle.loads(asked).rows()
            except Exception as error:  # a user's own code may fail in any way
                failed = f"{type(error).__name__}: {' '.join(str(error).split())}"
        facts = {
            "read": sorted(opened.read - {os.devnull}),
            "written": sorted(opened.written),
            "escaped": list(dict.fromkeys(escaped)),
            "failed": failed,
        }
        pipe.send_bytes(json.dumps(facts).encode())
        pipe.send_bytes(rows.write_ipc(None).getvalue())
