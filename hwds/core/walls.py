"""Walls around a process, by Linux alone and without privileges: what is outside is out of reach.

Each wall stands by itself, for kernels and containers differ in what they allow:

- `files`: Landlock (Linux 5.13) opens nothing but what is named, and no memory of other processes.
- `names`: a mount namespace has nothing but that, so that no name, size or attribute tells more.
- `network`: a network namespace has no interface; Landlock alone closes TCP (6.7).
- `memory`: an IPC namespace has no segment or queue of others.

Landlock: https://docs.kernel.org/userspace-api/landlock.html; namespaces(7), pivot_root(2).
"""

from __future__ import annotations

import ctypes
import locale
import os
import struct
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from hwds.core.files import WRITABLE

FIXED = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0"}
"""Variables that are the same in every process that computes."""


def fix_environment() -> None:
    """Give this process these variables, with the zone and the language that they name.

    Python reads the seed of its hashes at its start alone.
    """
    os.environ.update(FIXED)
    time.tzset()
    locale.setlocale(locale.LC_ALL, "C")
    with suppress(locale.Error):  # macOS before 15 has no such language
        locale.setlocale(locale.LC_CTYPE, FIXED["LANG"])


def is_environment_fixed() -> bool:
    """Return whether this process has these variables, and has begun with their hashes."""
    return not sys.flags.hash_randomization and os.environ.items() >= FIXED.items()


WALLS = ("files", "names", "network", "memory")

CREATE_RULESET, ADD_RULE, RESTRICT_SELF, PIVOT_ROOT = 444, 445, 446, {"x86_64": 155, "aarch64": 41}
"""Numbers of system calls that the C library has no function for; all but one are the same on
every machine.
"""

NEW_MOUNTS, NEW_IPC, NEW_USER, NEW_NETWORK = 0x20000, 0x8000000, 0x10000000, 0x40000000
BIND, RECURSIVE, PRIVATE, DETACH = 0x1000, 0x4000, 0x40000, 2
NO_NEW_PRIVILEGES = 38

EXECUTE, WRITE_FILE, READ_FILE, READ_FOLDER = 1, 2, 4, 8
OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | 1 << 14 | 1 << 15
"""The rights that a file can have, and not a folder alone; the last are truncate and ioctl."""

RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
"""How many rights on files a version of Landlock knows; later ones know 16."""

SYSTEM = (
    "/usr",
    "/bin",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/fonts",
    "/etc/ssl",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/sys/devices/system/cpu",
    "/dev/urandom",
    "/dev/random",
    "/dev/zero",
)
"""What libraries read of a system; nothing of it is a user's."""

WRITTEN = ("/dev/null", "/dev/shm")
"""What libraries write; the second is new and empty behind a wall of names."""


def seal(readable: Iterable[Path], scratch: Path, shared: Sequence[Path] = ()) -> tuple[str, ...]:
    """Wall this process in for good, with all that it will start.

    It must have one thread, or namespaces are refused. It may read the system, Python and its
    packages, and what is named. It may write one folder and what is shared. Its own memory,
    environment and open files are what they were before: who seals a process has started it without
    any of the truth.

    Args:
        readable: Files, and folders with all in them.
        scratch: The folder that it may write, which exists.
        shared: Folders that it may write as others do; for code that is trusted.

    Returns:
        The walls that could not be put up; empty where all stand.
    """
    shared = [path for path in shared if path.is_dir()]
    WRITABLE.extend((scratch, *shared))
    inside = [path for path in (*system_paths(), *map(Path, readable), *shared) if path.exists()]
    lacking = _leave_namespaces()
    if not lacking and not _leave_mounts(inside, scratch):
        lacking = ("names",)
    if _restrict_files(inside, (scratch, *shared), private="names" not in lacking):
        return lacking
    return ("files", *lacking)


def landlock_version() -> int:
    """Return the version of Landlock that the kernel has; 0 where it has none."""
    if sys.platform != "linux":
        return 0
    return max(0, int(_libc().syscall(CREATE_RULESET, None, 0, 1)))


def system_paths() -> list[Path]:
    """Return what Python, its packages and the libraries of the system are read from."""
    packages = [place for place in sys.path if "site-packages" in place]
    own = Path(__file__).resolve().parents[1]
    own_paths = (str(own), str(own.parent / "conf"))
    named = (sys.prefix, sys.base_prefix, *packages, *own_paths, *SYSTEM)
    return list(dict.fromkeys(map(Path, named)))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: int | bytes | None) -> None:
    """Call a function of the C library; a failure is an OSError."""
    if getattr(_libc(), name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


# Namespaces


def _leave_namespaces() -> tuple[str, ...]:
    """Leave the users, mounts, network and shared memory of the system; return what could not be
    left.
    """
    user, group = os.geteuid(), os.getegid()
    try:
        _call("unshare", NEW_USER | NEW_MOUNTS | NEW_NETWORK | NEW_IPC)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    except OSError:
        return WALLS[1:]
    return ()


def _leave_mounts(inside: Iterable[Path], scratch: Path) -> bool:
    """Change to a root that has nothing but some paths and the scratch folder; return whether it
    could be done.
    """
    here = Path.cwd()
    try:
        _call("mount", None, b"/", None, RECURSIVE | PRIVATE, None)
        with _new_root(scratch) as (root, kept):
            shared = root / WRITTEN[1].lstrip("/")
            shared.mkdir(parents=True)
            _mount_memory(shared)  # before what may lie in it
            for path in _outermost((*inside, *map(Path, WRITTEN[:1]), Path("/proc"))):
                _bind(path, root)
            _bind(scratch, root, kept)
            (root / str(here).lstrip("/")).mkdir(parents=True, exist_ok=True)
            os.chdir(root)
            _call("syscall", PIVOT_ROOT[os.uname().machine], b".", b".")
            _call("umount2", b".", DETACH)
    except (OSError, KeyError):
        return False
    os.chdir(here)
    return True


@contextmanager
def _new_root(scratch: Path) -> Iterator[tuple[Path, str]]:
    """Yield an empty root, mounted over the scratch folder for want of another place, and the path
    by which that folder is still reached; the mount goes where the block fails.
    """
    handle = os.open(scratch, os.O_PATH)
    try:
        _mount_memory(scratch)
        try:
            yield scratch, f"/proc/self/fd/{handle}"
        except BaseException:
            with suppress(OSError):
                _call("umount2", os.fsencode(scratch), DETACH)
            raise
    finally:
        os.close(handle)


def _mount_memory(folder: Path) -> None:
    _call("mount", b"tmpfs", os.fsencode(folder), b"tmpfs", 0, b"mode=0755")


def _outermost(paths: Iterable[Path]) -> list[Path]:
    """Return the paths that lie in none of the others."""
    every = set(paths)
    return sorted(path for path in every if not every & set(path.parents))


def _bind(path: Path, root: Path, source: str = "") -> None:
    """Show a path in a new root at its place; a link is made again."""
    place = root / str(path).lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink() and not source:
        place.symlink_to(os.readlink(path))
        return
    if path.is_dir():
        place.mkdir(exist_ok=True)
    else:
        place.touch()
    below = 0 if source else RECURSIVE  # what is mounted over the scratch folder is the root itself
    _call("mount", os.fsencode(source or path), os.fsencode(place), None, BIND | below, None)


# Landlock


def _restrict_files(inside: Iterable[Path], own: Iterable[Path], *, private: bool) -> bool:
    """Open nothing any more but some paths; return whether the kernel can."""
    version = landlock_version()
    if not version:
        return False
    rights = (1 << RIGHTS.get(version, 16)) - 1
    network, scopes = 3 if version >= 4 else 0, 3 if version >= 6 else 0
    size = 8 if version < 4 else 16 if version < 6 else 24
    rules = _libc().syscall(CREATE_RULESET, struct.pack("QQQ", rights, network, scopes), size, 0)
    for path in inside:
        _allow(rules, path, rights & (EXECUTE | READ_FILE | READ_FOLDER))
    for written in (Path(WRITTEN[0]), *([Path(WRITTEN[1])] if private else []), *own):
        _allow(rules, written, rights)
    _call("prctl", NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    _call("syscall", RESTRICT_SELF, rules, 0)
    os.close(rules)
    return True


def _allow(rules: int, path: Path, rights: int) -> None:
    """Add the rights on a path, and on all below it, to a set of rules."""
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        allowed = rights if path.is_dir() else rights & OF_A_FILE
        _call("syscall", ADD_RULE, rules, 1, struct.pack("=Qi", allowed, handle), 0)
    finally:
        os.close(handle)
