"""Sealed processes: forked within milliseconds from one that has imported libraries and no data."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any

from hwds.core.keys import is_of_package, modules_in, modules_reached
from hwds.core.walls import seal

# A fork server is started with an environment of its own, before its parent has loaded any data,
# and runs no user's code: what it forks inherits libraries, and none of the truth. Each fork walls
# itself in before it imports or reads what is a user's. Nothing that it answers is unpickled.

KEPT = ("PATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
"""Variables of the parent that tell where libraries are."""

FIXED = {"LANG": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0"}
"""Variables that are the same in every sealed process."""

INSTALLED = "site-packages"

FORK, LOAD, END = b"fork", b"load", b"end"
"""What a fork server is asked: each is answered once it is done."""


@dataclass(frozen=True)
class Given:
    """What a sealed process is given.

    Attributes:
        modules: The files of a user's modules by their full names; no other can be imported.
        files: Files and folders that it may read.
        folder: The current folder, of which it sees nothing but what is given.
        variables: Variables of its environment, beside those of its fork server.
        shared: Folders that it may write as others do; for code of hwds alone.
    """

    modules: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[str] = ()
    folder: str = "/"
    variables: Mapping[str, str] = field(default_factory=dict)
    shared: Sequence[str] = ()


def given_code(plain: Any, files: Iterable[str | Path] = ()) -> Given:
    """Return what the code of plain settings may import, the files beside it that it names, and
    some other files; the current folder stays the same.
    """
    reached = modules_reached(modules_in(plain))
    own = {name: source for name, source in reached.items() if not is_of_package(source.file)}
    beside = {str(path) for source in own.values() for path in source.data_files}
    readable = sorted(beside | set(map(str, files)))
    return Given({name: str(source.file) for name, source in own.items()}, readable, os.getcwd())


class SealedProcess:
    """A process behind walls, with a pipe to it; at its end it is killed and its files are gone.

    Attributes:
        pipe: For bytes in both directions; what comes from there is data and is never unpickled.
        lacking: The walls that this kernel does not give.
    """

    def __init__(self, server: ForkServer, entry: str, given: Given) -> None:
        self._server = server
        self._scratch = Path(tempfile.mkdtemp(prefix="hwds-sealed-")).resolve()
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = server.fork(theirs)
        self.pipe = Connection(ours.detach())
        terms = {"entry": entry, "scratch": str(self._scratch), **asdict(given)}
        self.pipe.send_bytes(json.dumps(terms).encode())
        self.lacking: tuple[str, ...] = tuple(json.loads(self.pipe.recv_bytes()))

    def __enter__(self) -> SealedProcess:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process, and delete what it has written."""
        self.close()

    def close(self) -> None:
        """End the process, and delete what it has written."""
        self.pipe.close()
        self._server.kill(self._process)
        shutil.rmtree(self._scratch, ignore_errors=True)


class ForkServer:
    """Starts sealed processes.

    Args:
        modules: What it imports before it forks: libraries and modules of hwds.
        variables: Variables of its environment, beside `KEPT` and `FIXED`.
    """

    def __init__(
        self, modules: Iterable[str] = (), variables: Mapping[str, str] | None = None
    ) -> None:
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            handle = theirs.fileno()
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__, str(handle), *modules],
                env=kept | FIXED | {"PYTHONPATH": str(_root())} | dict(variables or {}),
                pass_fds=[handle],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
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

    def kill(self, process: int) -> None:
        """End a process with all that it has started."""
        self._control.send(b" ".join((END, str(process).encode())))
        self._control.recv(32)

    def __enter__(self) -> ForkServer:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the server, and with it all that it has forked."""
        self._control.close()
        self._process.wait()


def _root() -> Path:
    """Return the folder from which hwds is imported."""
    return Path(__file__).resolve().parents[2]


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
            _end(int(what))
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


def _end(process: int) -> None:
    with suppress(ProcessLookupError):  # it may have no group yet
        os.killpg(process, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


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
        os.environ.update({"HOME": str(scratch), "TMPDIR": str(scratch)} | dict(given.variables))
        tempfile.tempdir = None
        readable = map(Path, (*given.files, *given.modules.values()))
        lacking = seal(readable, scratch, [*map(Path, given.shared)])
        pipe.send_bytes(json.dumps(lacking).encode())
        seen = {"", given.folder, str(_root())}  # what is imported already needs no folder
        sys.path[:] = [place for place in sys.path if INSTALLED in place or place not in seen]
        sys.meta_path.insert(0, NamedModules(given.modules))
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
    """

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a module is; None for one that is not in the table."""
        file = self.files.get(fullname)
        if file is not None:
            inside = [str(Path(file).parent)] if Path(file).name == "__init__.py" else None
            return spec_from_file_location(fullname, file, submodule_search_locations=inside)
        if any(name.startswith(f"{fullname}.") for name in self.files):  # a folder without a file
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = []
            return spec
        return None


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
