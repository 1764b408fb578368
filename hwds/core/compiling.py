"""Functions that numba compiles when they are first needed, cached on disk with checksums."""

from __future__ import annotations

import linecache
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from hwds.core.errors import HwdsError
from hwds.core.files import OUTPUTS, digest, digest_file, lock_for_making, may_keep, write_bytes
from hwds.core.keys import code_digest, file_of_module, is_installed, numeric_environment

# The compiler of helpers: functions that compiled code calls and Python never does.
# numba optimises and turns into machine code each function by itself, and then once more inside
# whatever calls it. For a helper the first is work for nothing. A third of the time of
# compiling a policy goes that way.


@cache
def helper_compiler() -> type[Any]:
    """Return the pipeline (numba's `pipeline_class`) that stops at LLVM's code of a function, which
    its callers link in.

    Compiled callers are the same to the bit: the whole is optimised where everything is linked.
    """
    from numba.core.compiler import CompilerBase, DefaultPassBuilder
    from numba.core.typed_passes import NativeLowering

    lowering = _lowering()
    base: Any = CompilerBase  # it has no types

    class HelperCompiler(base):  # type: ignore[misc]
        """numba's own passes but for the last."""

        def define_pipelines(self) -> list[Any]:
            manager = DefaultPassBuilder.define_nopython_pipeline(self.state)  # type: ignore[no-untyped-call]
            manager.add_pass_after(lowering, NativeLowering)
            manager.passes = [entry for entry in manager.passes if entry[0] is not NativeLowering]
            manager.finalize()
            return [manager]

    return HelperCompiler


@cache
def _lowering() -> type[Any]:
    from numba import _dynfunc  # type: ignore[attr-defined]
    from numba.core.compiler_machinery import register_pass
    from numba.core.typed_passes import NativeLowering

    base: Any = NativeLowering  # it has no types

    @register_pass(mutates_CFG=True, analysis_only=False)  # type: ignore[no-untyped-call]
    class HelperLowering(base):  # type: ignore[misc]
        """numba's lowering without machine code. It uses private methods, which a test tries on
        each release of numba.
        """

        _name = "helper_lowering"

        def run_pass(self, state: Any) -> bool:
            library = state.library = _without_optimisation(
                state.targetctx.codegen().create_library(state.func_id.func_qualname)
            )
            state.flags.no_compile = True
            super().run_pass(state)
            lowered = state["cr"]
            # Callers look a function up by an object of this kind; its address is never called.
            name = lowered.fndesc.qualname.rpartition(".")[2]
            entry = _dynfunc.make_function(
                lowered.fndesc.lookup_module(), name, "", 0, lowered.env, (library,)
            )
            state.targetctx.insert_user_function(entry, lowered.fndesc, [library])
            state.reload_init.extend(library._reload_init)
            state["cr"] = lowered._replace(cfunc=entry)
            return True

    return HelperLowering


def _without_optimisation(library: Any) -> Any:
    """Return a library whose code is linked into others alone."""

    def finalise() -> None:
        library._finalize_dynamic_globals()
        library._finalized = True

    library.enable_object_caching()
    library._optimize_final_module = lambda: None
    library._finalize_final_module = finalise
    return library


# Functions of numbers and arrays that numba compiles when they are first needed, and caches on
# disk.
# Nothing here imports numba before `compiled` is called, so that a module of kernels can be
# imported to be listed or composed.


def _drop_damaged(files: Iterable[Path]) -> None:
    """Delete the files of numba's cache that are not as `_note_digests` saw them.

    numba makes new ones.
    """
    for file in files:
        note = _note_of(file)
        if not note.is_file() or note.read_bytes() != digest_file(file).encode():
            file.unlink(missing_ok=True)


def _note_digests(files: Iterable[Path]) -> None:
    """Write the digest of each file beside it, where it is not there yet."""
    for file in files:
        note, digest = _note_of(file), digest_file(file).encode()
        if not note.is_file() or note.read_bytes() != digest:
            write_bytes(note, digest)


def _note_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.digest")


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
"""Threads may run compiled code in parallel; a division by zero gives inf or nan as numpy's does;
references are not counted.

Counting references to arrays makes a call cost fifty nanoseconds. Without it compiled code cannot
create arrays: its caller passes all that it needs. No function is called from C, and compiling it
for that takes a tenth of the time.
"""


def helper_options() -> dict[str, Any]:
    """Return numba's options for a function that compiled code alone calls."""
    return OPTIONS | {"pipeline_class": helper_compiler()}


def helper(function: Function) -> Function:
    """Register a plain function as one that compiled code may call; it stays a plain function."""
    _HELPERS.add(function)
    return function


def compiled(function: Callable[..., Any], *parts: Callable[..., Any]) -> Any:
    """Return the function compiled for the types it is called with, cached on disk for other
    processes.

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

    # numba looks at the file of the outermost function alone, so every version of all the code has
    # a folder of its own
    folder = cache_root() / digest(
        [
            _code((function, *parts)),
            numba.__version__,
            *numeric_environment().items(),
            *_read_by((function, *parts)),
        ]
    )
    config: Any = numba.config  # it has no types
    before, config.CACHE_DIR = config.CACHE_DIR, str(folder)
    classes, config.CACHE_LOCATOR_CLASSES = config.CACHE_LOCATOR_CLASSES, ""
    try:
        return _compiling_once(numba.njit(cache=True, **OPTIONS)(function), folder)
    finally:
        config.CACHE_DIR, config.CACHE_LOCATOR_CLASSES = before, classes


def _compiling_once(dispatcher: Any, folder: Path) -> Any:
    """Let one process compile and others wait to load that, and what cannot be compiled be refused
    in one line.

    numba compiles by a method that compiled calls never reach.
    """
    from numba.core.errors import NumbaError

    compile_for, name = dispatcher._compile_for_args, dispatcher.__name__
    pattern = f"*.{name}-*.nb[ic]"

    def guarded(*arguments: Any, **named: Any) -> Any:
        try:
            if not may_keep(folder):  # compiled for this process alone
                return compile_for(*arguments, **named)
            with lock_for_making(folder / name):
                _drop_damaged(folder.rglob(pattern))
                made = compile_for(*arguments, **named)
                _note_digests(folder.rglob(pattern))
                return made
        except NumbaError as error:
            raise HwdsError(_refusal(str(error))) from error

    dispatcher._compile_for_args = guarded
    return dispatcher


_LINE = re.compile(
    r'^ *File "(?P<file>[^"]+)", line (?P<line>\d+):\n *def (?P<name>\w+)', re.MULTILINE
)
"""A line of source in a message of numba, the innermost first."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
"""The codes with which numba prints in colour."""

_UNMARKED = re.compile(
    r"Untyped global name '(\w+)': Cannot determine Numba type of <class 'function'>"
)

_UNKNOWN = re.compile(r"NameError: name '\w+' is not defined")


def _refusal(message: str) -> str:
    """Return numba's message of many lines as one: the file, the line, the function, and why."""
    message = _COLOURS.sub("", message)
    if unknown := _UNKNOWN.search(message):
        return f"numba: {unknown[0]}, in a function that is to be compiled."
    first = next(
        (line for line in _LINE.finditer(message) if "/site-packages/numba/" not in line["file"]),
        None,
    )
    if first is None:
        return f"numba: {' '.join(message.split())[:300]}"
    where = f"{first['file']}:{first['line']}: {first['name']}"
    reason = message[: first.start()].rstrip().rpartition("\n")[2].strip()
    if unmarked := _UNMARKED.search(reason):
        return (
            f"{where} calls '{unmarked[1]}', which is not compiled; mark '{unmarked[1]}' with "
            f"{__name__}.{helper.__name__}."
        )
    source = linecache.getline(first["file"], int(first["line"])).strip()
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


def _read_by(functions: Iterable[Callable[..., Any]]) -> list[str]:
    """Return the digest of what a user's functions may have read: a number that is read when a
    module is imported is a constant of its compiled code.
    """
    read = os.environ.get(INPUTS_VARIABLE, "")
    return [read] if read and not all(map(_of_library, functions)) else []


def _code(functions: tuple[Callable[..., Any], ...]) -> str:
    return code_digest(None, __name__, *(function.__module__ for function in functions))


# A user's own `@njit(cache=True)`: numba looks at the file of the outermost function alone, and
# would take a helper of another module as it was compiled before that was edited. So its functions
# have a folder by the code of all modules that theirs reaches.

LOCATORS = "NUMBA_CACHE_LOCATOR_CLASSES"
"""The variable of numba with the classes that say where compiled code is kept."""

INPUTS_VARIABLE = "HWDS_INPUTS"
"""The variable with the digest of what a user's code is given to read."""


def own_compiled_variables() -> dict[str, str]:
    """Return the environment in which numba keeps a user's functions by all their code."""
    others = ("UserProvided", "InTree", "UserWide", "IPython", "Zip")
    locators = (f"{__name__}.OwnCode", *(f"{name}CacheLocator" for name in others))
    return {LOCATORS: ",".join(locators)}


@contextmanager
def own_code_by_digest() -> Iterator[None]:
    """Have numba do so in this process, where it is loaded by now or is loaded in the block."""
    if "numba" in sys.modules:
        config: Any = sys.modules["numba"].config  # it has no types
        config.CACHE_LOCATOR_CLASSES = own_compiled_variables()[LOCATORS]
    before = os.environ.get(LOCATORS)
    os.environ.update(own_compiled_variables())
    try:
        yield
    finally:
        os.environ.pop(LOCATORS)
        os.environ.update({} if before is None else {LOCATORS: before})


class OwnCode:
    """Where numba keeps a compiled function of a user's own.

    Args:
        function: The function.
        file: Its source.
    """

    def __init__(self, function: Callable[..., Any], file: str) -> None:
        parts = [_code((function,)), *_read_by((function,))]
        self.folder = cache_root() / "own" / digest(parts)
        self.line = function.__code__.co_firstlineno

    @classmethod
    def from_function(cls, function: Callable[..., Any], file: str) -> OwnCode | None:
        """Return the place of a function; None for one that is not in a user's module."""
        source = file_of_module(function.__module__ or "")
        if source is None or str(source) != os.path.realpath(file) or _of_library(function):
            return None
        return cls(function, file)

    def ensure_cache_path(self) -> None:
        """Make the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def get_cache_path(self) -> str:
        """Return the folder."""
        return str(self.folder)

    def get_source_stamp(self) -> str:
        """Return the digest of the code."""
        return self.folder.name

    def get_disambiguator(self) -> str:
        """Return the line of the function, which tells it from others of its name."""
        return str(self.line)


def _of_library(function: Callable[..., Any]) -> bool:
    """Return whether a function is of hwds or of an installed library."""
    top = (function.__module__ or "").partition(".")[0]
    return top == "hwds" or is_installed(top)
