"""Sealed processes: forked within milliseconds from one that has imported libraries and no data."""

from __future__ import annotations

import atexit
import gc
import io
import json
import locale
import os
import posix
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache, wraps
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, NoReturn

from hwds.core.cache import VARIABLE, is_of_system, is_unwatched
from hwds.core.files import digest_bytes
from hwds.core.keys import is_of_package, modules_in, modules_reached
from hwds.core.walls import FIXED, fix_environment, landlock_version, seal, system_paths

# A fork server is started with an environment of its own, before its parent has loaded any data,
# and runs no user's code: what it forks inherits libraries, and none of the truth. Each fork walls
# itself in before it imports or reads what is a user's. Nothing that it answers is unpickled.

KEPT = ("PATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
"""Variables of the parent that tell where libraries are."""

INSTALLED = "site-packages"

FORK, LOAD, END = b"fork", b"load", b"end"
"""What a fork server is asked: each is answered once it is done."""


@dataclass(frozen=True)
class Given:
    """What a sealed process is given.

    Attributes:
        modules: The files of a user's modules by their full names.
        files: Files and folders that it may read.
        folder: The current folder, of which it sees nothing but what is given.
        variables: Variables of its environment, beside those of its fork server.
        shared: Folders that it may write as others do; for code that is trusted not to read there
            what it has no name for.
        roots: Folders from which a user's other modules are imported, where they may be read.
    """

    modules: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[str] = ()
    folder: str = "/"
    variables: Mapping[str, str] = field(default_factory=dict)
    shared: Sequence[str] = ()
    roots: Sequence[str] = ()


def given_code(plain: Any, files: Iterable[str | Path] = ()) -> Given:
    """Return what the code of plain settings may import, the files beside it that it names, and
    some other files; the current folder stays the same.
    """
    reached = modules_reached(modules_in(plain))
    own = {name: source for name, source in reached.items() if not is_of_package(source.file)}
    beside = {str(path) for source in own.values() for path in source.data_files}
    readable = sorted(beside | set(map(str, files)))
    modules = {name: str(source.file) for name, source in own.items()}
    return Given(modules, files=readable, folder=os.getcwd())


class SealedProcess:
    """A process behind walls, with a pipe to it; at its end it is killed and its files are gone.

    Attributes:
        pipe: For bytes in both directions; what comes from there is data and is never unpickled.
        pid: Its number.
        scratch: The folder that it may write.
        lacking: The walls that this kernel does not give.
    """

    def __init__(self, server: ForkServer, entry: str, given: Given) -> None:
        self._server = server
        self.scratch = _new_scratch()
        ours, theirs = socket.socketpair()
        with theirs:
            self.pid = server.fork(theirs)
        self.pipe = Connection(ours.detach())
        terms = {"entry": entry, "scratch": str(self.scratch), **asdict(given)}
        self.pipe.send_bytes(json.dumps(terms).encode())
        self.lacking: tuple[str, ...] = tuple(json.loads(self.pipe.recv_bytes()))

    def __enter__(self) -> SealedProcess:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process, and delete what it has written."""
        self.close()

    def close(self) -> int:
        """End the process, delete what it has written, and return its exit code."""
        self.pipe.close()
        code = self._server.kill(self.pid)
        shutil.rmtree(self.scratch, ignore_errors=True)
        return code


# A scratch folder bears the number and the start of the process that has made it. Whoever is killed
# leaves its folders, and the next server deletes them.

SCRATCH = "hwds-sealed"


def _new_scratch() -> Path:
    """Return a new folder that this process owns."""
    owner = f"{_system()}-{os.getpid()}-{_start_of(os.getpid())}"
    return Path(tempfile.mkdtemp(prefix=f"{SCRATCH}-{owner}-")).resolve()


def delete_left_scratch() -> None:
    """Delete the folders of processes of this system that are gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{SCRATCH}-{_system()}-*-*-*"):
        _, _, _, process, start, _ = folder.name.split("-")
        if _start_of(int(process)) != start:
            shutil.rmtree(folder, ignore_errors=True)


@cache
def _system() -> str:
    """Return what tells the numbers of processes from those of another machine, boot or container
    that has the same temporary folder.
    """
    boot = Path("/proc/sys/kernel/random/boot_id").read_bytes()
    return digest_bytes([boot, os.readlink("/proc/self/ns/pid").encode()])[:8]


def _start_of(process: int) -> str:
    """Return when a process has begun, in ticks since the boot; empty if it is gone."""
    try:
        state, *facts = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in "ZX" else facts[18]


class ForkServer:
    """Starts sealed processes.

    Args:
        modules: What it imports before it forks: libraries and modules of hwds.
        variables: Variables of its environment, beside `KEPT` and `FIXED`.
        quiet: Whether nothing that is printed there is shown.
    """

    def __init__(
        self,
        modules: Iterable[str] = (),
        variables: Mapping[str, str] | None = None,
        *,
        quiet: bool = True,
    ) -> None:
        delete_left_scratch()
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            handle = theirs.fileno()
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", START, str(handle), *modules],
                env=kept | FIXED | {"PYTHONPATH": str(_root())} | dict(variables or {}),
                pass_fds=[handle],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if quiet else None,
                start_new_session=True,
            )

    def start(self, entry: str, given: Given) -> SealedProcess:
        """Return a new process that is behind its walls and calls `entry` (`module:function`) with
        its pipe.
        """
        return SealedProcess(self, entry, given)

    def fork(self, pipe: socket.socket) -> int:
        """Return the number of a new process that has been given this socket."""
        socket.send_fds(self._control, [FORK], [pipe.fileno()])
        return int(self._control.recv(32))

    def load(self, module: str) -> None:
        """Import a library once for all processes that are forked from now on."""
        self._control.send(b" ".join((LOAD, module.encode())))
        self._control.recv(32)

    def kill(self, process: int) -> int:
        """End a process with all that it has started, and return its exit code."""
        self._control.send(b" ".join((END, str(process).encode())))
        return int(self._control.recv(32) or -signal.SIGKILL)

    def __enter__(self) -> ForkServer:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the server, and with it all that it has forked."""
        self.close()

    def close(self) -> None:
        """End the server, and with it all that it has forked."""
        self._control.close()
        self._wait()

    def _wait(self) -> None:
        self._process.wait()


# A command forks its server from itself, just before it imports the first module of a user's own:
# by then it has imported all of hwds that a cell needs, and has read no data. That spares a process
# half a second of imports.

_EARLY: list[EarlyServer] = []
"""The server of this process, where it has one."""

QUIET_THREADS = ("jemalloc_bg_thd", "polars-ooc-clea")
"""Threads of libraries that a fork may do without."""


class EarlyServer(ForkServer):
    """A server that is forked from this process; its environment is that of any other."""

    def __init__(self) -> None:
        delete_left_scratch()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sys.stdout.flush()
        sys.stderr.flush()
        self._pid = os.fork()
        if self._pid == 0:
            self._control.close()
            _serve_forked(theirs)
        theirs.close()

    def _wait(self) -> None:
        os.waitpid(self._pid, 0)


def early_server() -> ForkServer | None:
    """Return the server that `fork_early` has forked; None where it has not."""
    return _EARLY[0] if _EARLY else None


def fork_early() -> None:
    """Fork a server of sealed processes from this process, where it is a command of hwds whose
    hashes are fixed, and has run nothing yet that does not survive a fork.
    """
    if not _EARLY and _is_command() and _may_fork():
        server = EarlyServer()
        _EARLY.append(server)
        atexit.register(server.close)


def _is_command() -> bool:
    """Return whether this process is a command of hwds, and nobody's notebook."""
    mains = (sys.modules.get(name) for name in ("__main__", "hwds.__main__"))
    return any(getattr(main, "BEGUN_ANEW", False) for main in mains)


def _may_fork() -> bool:
    """Return whether a fork of this process is as a new one would be."""
    if "hwds.evaluation.workers" not in sys.modules or sys.flags.hash_randomization:
        return False
    if not landlock_version() or locale.getpreferredencoding(False).lower() != "utf-8":
        return False
    tasks = list(Path("/proc/self/task").iterdir())
    names = {(task / "comm").read_text().strip() for task in tasks}
    own = Path("/proc/self/comm").read_text().strip()
    return threading.active_count() == 1 and names <= {own, *QUIET_THREADS}


def _serve_forked(control: socket.socket) -> NoReturn:
    """Serve in a fork of a command, which keeps nothing of its environment but what any server
    has.
    """
    try:
        os.setsid()
        die_with_parent()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        os.environ.clear()
        os.environ.update(kept)
        fix_environment()
        sys.path[:] = [place for place in sys.path if is_of_system(f"{place}/")]
        sys.path_importer_cache.clear()
        serve(control, ())
    finally:
        os._exit(0)


def _root() -> Path:
    """Return the folder from which hwds is imported."""
    return Path(__file__).resolve().parents[2]


START = f"from {__name__} import begin; begin()"
"""What a server runs."""


def begin() -> None:
    """Serve the socket that the command line gives."""
    serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])


def serve(control: socket.socket, modules: Sequence[str]) -> None:
    """Import modules, then fork whenever it is asked until the parent has gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in modules:
        import_module(name)
    while True:
        message, handles, _, _ = socket.recv_fds(control, 256, 1)
        if not message:
            return
        asked, _, what = message.partition(b" ")
        if asked == LOAD:
            import_module(what.decode())
        elif asked == END:
            what = str(_end(int(what))).encode()
        else:
            what = str(_fork(control, handles[0])).encode()
        control.send(what)


def _fork(control: socket.socket, handle: int) -> int:
    """Return the number of a new process, which has one end of a pipe and nothing of the server."""
    gc.freeze()  # the pages of what is there stay shared
    process = os.fork()
    if process == 0:
        control.close()
        _live(Connection(handle))
    os.close(handle)
    return process


def _end(process: int) -> int:
    """Return the exit code of a process that ends now, or has ended before."""
    with suppress(ProcessLookupError):  # it may have no group yet
        os.killpg(process, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _live(pipe: Connection) -> None:
    """Wall this process in and do what it is for; nothing of its server goes on in it."""
    code = 1
    try:
        os.setsid()
        die_with_parent()
        terms = json.loads(pipe.recv_bytes())
        entry, scratch = terms.pop("entry"), Path(terms.pop("scratch"))
        given = Given(**terms)
        if os.path.isdir(given.folder):
            os.chdir(given.folder)
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)  # what is not printed by then is lost
        os.environ.update({"HOME": str(scratch), "TMPDIR": str(scratch)} | dict(given.variables))
        tempfile.tempdir = None
        readable = map(Path, (*given.files, *given.modules.values()))
        lacking = seal(readable, scratch, [*map(Path, given.shared)])
        pipe.send_bytes(json.dumps(lacking).encode())
        seen = {"", given.folder, str(_root())}  # what is imported already needs no folder
        sys.path[:] = [place for place in sys.path if INSTALLED in place or place not in seen]
        sys.meta_path.insert(0, NamedModules(given.modules, given.roots))
        module, _, function = entry.partition(":")
        getattr(import_module(module), function)(pipe)
        code = 0
    except EOFError:  # whoever asked needs no answer any more
        code = 0
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(code)


def die_with_parent() -> None:
    """Have the kernel end this process when its parent ends (PR_SET_PDEATHSIG)."""
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class NamedModules(MetaPathFinder):
    """Finds modules by a table of files, so that no folder need be listed.

    Args:
        files: The file of each module by its full name.
        roots: Folders from which others are imported, where their files may be read.
    """

    def __init__(self, files: Mapping[str, str], roots: Sequence[str] = ()) -> None:
        self.files, self.roots = files, roots
        self.packages = {name.partition(".")[0] for name in files}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a module is; None for one that is not in the table."""
        file, folders = self.files.get(fullname), []
        if file is None and not any(name.startswith(f"{fullname}.") for name in self.files):
            file = self._file_in_roots(fullname)
            below = fullname.replace(".", os.sep)
            folders = [f"{root}/{below}" for root in self.roots if os.path.isdir(f"{root}/{below}")]
            if file is None and not folders:
                return None
        if file is not None:
            inside = [str(Path(file).parent)] if Path(file).name == "__init__.py" else None
            return spec_from_file_location(fullname, file, submodule_search_locations=inside)
        spec = ModuleSpec(fullname, None, is_package=True)  # a folder without a file
        spec.submodule_search_locations = folders
        return spec

    def _file_in_roots(self, fullname: str) -> str | None:
        """Return the file of a module that is not in the table but may be read; None for none."""
        below = fullname.replace(".", os.sep)
        for root in self.roots:
            for file in (f"{root}/{below}/__init__.py", f"{root}/{below}.py"):
                try:
                    posix.stat(file)
                except OSError:
                    if fullname.partition(".")[0] in self.packages:
                        _ASKED.add(file)
                    continue
                return file
        return None


# What code behind walls asks for and is not given: so a cell that would be another with it can be
# refused in words. Nothing is safe by this, and a reader in compiled code passes it: what cannot
# be read is as if it were not there, whoever asks.

_ASKED: set[str] = set()
"""What was opened, and what was looked for and not found or not listed; variables have a dollar
sign before.
"""

_STDLIB = (os.path.dirname(os.__file__) + os.sep, "<frozen")

NEAREST = 16
"""Frames that are looked at for the one that asks."""

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def watch_asked(sources: Iterable[str]) -> None:
    """Note from now on what any code opens, and which files, folders and variables the code of some
    files looks for in vain.
    """
    own = frozenset(sources)

    def on_event(event: str, arguments: tuple[Any, ...]) -> None:
        if is_unwatched():
            return
        if event == "open":
            if not (isinstance(arguments[2], int) and arguments[2] & WRITING):
                note_asked(arguments[0])
        elif event == "ctypes.dlopen":
            if os.sep in str(arguments[0]):
                note_asked(arguments[0])
        elif event in ("os.listdir", "os.scandir") and _asks(own, sys._getframe(1)):
            note_asked(arguments[0])

    is_of_system(os.sep)  # what it keeps is looked for before it is watched
    for name in ("stat", "lstat", "access"):
        setattr(os, name, _noting(getattr(os, name), own))
    os.environ.__class__ = _noting_variables(own)
    sys.addaudithook(on_event)


def asked() -> list[str]:
    """Return what was asked for so far."""
    return sorted(_ASKED)


def _asks(own: frozenset[str], frame: FrameType | None) -> bool:
    """Return whether the nearest code that is not of Python's library lies in some files."""
    for _ in range(NEAREST):
        if frame is None:
            return False
        file = frame.f_code.co_filename
        if file != __file__ and (not file.startswith(_STDLIB) or INSTALLED in file):
            return file in own
        frame = frame.f_back
    return False


def note_asked(*paths: Any) -> None:
    """Note paths that were asked for, but for those of the system."""
    for path in paths:
        if isinstance(path, str | bytes | os.PathLike) and os.fspath(path):
            whole = os.path.abspath(os.fsdecode(path))
            if not is_of_system(whole):
                _ASKED.add(whole)


def _noting(function: Callable[..., Any], own: frozenset[str]) -> Callable[..., Any]:
    """Return a function that looks at a path, and notes one that is not there."""

    @wraps(function)
    def call(path: Any, *args: Any, **kwargs: Any) -> Any:
        found = False
        try:
            found = function(path, *args, **kwargs)
        finally:
            if found is False and _asks(own, sys._getframe(1)):
                note_asked(path)
        return found

    return call


def _noting_variables(own: frozenset[str]) -> type[Any]:
    """Return the class of an environment that notes the names of variables that are not in it."""

    class Environment(os._Environ):  # type: ignore[type-arg]
        """Variables of this process."""

        def __getitem__(self, key: str) -> str:
            try:
                value: str = super().__getitem__(key)
                return value
            except KeyError:
                if _asks(own, sys._getframe(1)):
                    _ASKED.add(f"{VARIABLE}{key}")
                raise

    return Environment


class Lawful:
    """What a sealed process may read, as who has started it knows.

    Args:
        given: What the process is given.
        scratch: The folder that it may write.
    """

    def __init__(self, given: Given, scratch: Path) -> None:
        self.given = given
        places = (*map(str, system_paths()), os.devnull, "/proc", str(scratch), *given.shared)
        self.places = (*places, *given.files, *given.modules.values())

    def unlawful(self, names: Iterable[str]) -> list[str]:
        """Return those of some files, folders and variables that it was not given."""
        return [name for name in names if not self._was_given(name)]

    def _was_given(self, name: str) -> bool:
        if name.startswith(VARIABLE):
            return name.removeprefix(VARIABLE) in self.given.variables
        return any(name == place or name.startswith(f"{place}{os.sep}") for place in self.places)

    def refusal(self, names: Iterable[str]) -> str:
        """Return why an answer does not count that asked for some things which it was not given:
        the first that is there, in a line with its cure. Empty where none is.
        """
        for name in self.unlawful(names):
            variable = name.removeprefix(VARIABLE)
            if variable != name and variable in os.environ:
                return (
                    f"reads the environment variable {variable}, which no key names; name it in "
                    f"compute.environment: [{variable}]"
                )
            if os.path.exists(name):
                shown = name.removeprefix(f"{self.given.folder}{os.sep}")
                return (
                    f"reads '{shown}', which no key names; name it in inputs: [{shown}], or by a "
                    f"setting"
                )
        return ""
