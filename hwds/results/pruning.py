"""Pruning: what may go of runs and cache, why the rest stays, and a deletion that may be killed at any moment."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hwds.errors import HwdsError
from hwds.results.holding import alone, cleaning, in_use
from hwds.results.labels import KEEP
from hwds.results.needs import joins, needed_cells, needed_runs
from hwds.results.run_index import RunIndex, signature
from hwds.results.wording import counted

TRASH = "trash"
"""Below the outputs folder: what was moved aside in one step and is being deleted."""

_UNITS = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


@dataclass(frozen=True, slots=True)
class Item:
    """A file or folder: its size in bytes, and the seconds since it was last written."""

    path: Path
    size: int
    age: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to go, in this order, and what stays although it was asked for: the reason of each."""

    going: tuple[Item, ...]
    staying: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes that go."""
        return sum(item.size for item in self.going)


def folders_plan(index: RunIndex, asked: Sequence[str], *, older: float = 0, larger: int = 0, best: int = 0) -> Plan:
    """What of some runs, sweeps or comparisons may go.

    Args:
        index: What there is.
        asked: `runs/<experiment>/<id>`, `sweeps/<experiment>/<id>` or `comparisons/<id>` of each.
        older: Seconds for which it was not written.
        larger: Bytes that it has at least.
        best: So many of the best runs or sweeps of each experiment, dataset, protocol and metric stay.
    """
    items = {path: _item(index.root / path) for path in asked}
    wanted = [path for path, item in items.items() if item.age >= older and item.size >= larger]
    staying = _protected(index, wanted, best)
    wanted = [path for path in wanted if path not in staying]
    staying |= needed_runs(index, wanted)
    going = [path for path in wanted if path not in staying]
    return Plan(tuple(items[path] for path in _dependants_first(index, going)), staying)


def _protected(index: RunIndex, wanted: Sequence[str], best: int) -> dict[str, str]:
    tags = index.column("tags")
    found = {path: f"tagged {KEEP}" for path in wanted if KEEP in str(tags.get(path) or "").split()}
    found |= {path: f"among the best {best}" for path in _best(index, best, wanted) if path in wanted}
    found |= {path: "in use" for path in wanted if in_use(index.root / path)}
    return found | {path: "cannot be written" for path in wanted if not os.access(index.root / path, os.W_OK)}


def _best(index: RunIndex, count: int, wanted: Sequence[str]) -> Iterator[str]:
    """The best folders of each question, of the kind of those that are wanted."""
    kinds = tuple({f"{path.partition('/')[0]}/" for path in wanted})
    columns = [index.column(name) for name in ("experiment", "dataset", "protocol", "metric")]
    scores = index.column("score")
    groups: dict[tuple[object, ...], list[str]] = {}
    for path in sorted(path for path in scores if path.startswith(kinds)):
        groups.setdefault(tuple(column.get(path) for column in columns), []).append(path)
    for (*_, metric), paths in groups.items():
        sign = -1 if index.better(str(metric)) == "high" else 1
        yield from sorted(paths, key=lambda path: sign * float(scores[path] or 0))[:count]


def _dependants_first(index: RunIndex, paths: Sequence[str]) -> list[str]:
    """In an order in which whoever needs another goes before it, so that no moment leaves one without what it needs."""
    joined, known = joins(index), set(paths)
    needs = {path: joined.get(path, set()) & known for path in paths}
    if not any(needs.values()):
        return list(paths)
    done: list[str] = []
    left = list(paths)
    while left:
        free = [path for path in left if not any(path in needs[other] for other in left)] or left
        done += free
        left = [path for path in left if path not in free]
    return done


def cache_plan(index: RunIndex, *, older: float = 0, most: int | None = None) -> Plan:
    """What of the cache may go: cells that no run or sweep names, and laid-out data, which any run lays out again.

    Args:
        index: What there is.
        older: Seconds for which it was not written.
        most: Bytes that may stay of all the cache: the oldest go first; None for no such bound.
    """
    needed = needed_cells(index)
    files = list(_files(index.root / "cache" / "cells"))
    frames = [_item(Path(entry.path)) for entry in _entries(index.root / "cache" / "frames")]
    total = sum(item.size for item in (*files, *frames))
    free = [item for item in files if item.path.stem not in needed]
    going = sorted((item for item in (*free, *frames) if item.age >= older), key=lambda item: (-item.age, item.path))
    if most is not None:
        going = list(_until(going, total - most))
    kept = len(files) - len(free)
    return Plan(tuple(going), {counted(kept, "cells"): "named by a run or a sweep"} if kept else {})


def _until(items: Iterable[Item], excess: int) -> Iterator[Item]:
    for item in items:
        if excess <= 0:
            return
        excess -= item.size
        yield item


def delete_folders(index: RunIndex, plan: Plan) -> Iterator[tuple[Item, str]]:
    """Delete what a plan says; each with the reason why it stays after all, empty where it is gone.

    A folder is moved aside in one step while it is held: killed at any moment, it is there whole or not at all, and what
    was moved aside goes with the next call.
    """
    empty_trash(index.root)
    for item in plan.going:
        path = item.path.relative_to(index.root).as_posix()
        with alone(item.path, 0) as free:
            if not free:
                yield item, "in use"
            elif signature(item.path) != index.signature(path):
                yield item, "changed meanwhile"
            else:
                _move_aside(index.root, item.path)
                yield item, ""
    empty_trash(index.root)


def delete_cache(index: RunIndex, plan: Plan) -> list[Item] | None:
    """Delete what a plan says but what a run names since; what is gone, None where a run is reading the cache now."""
    with cleaning(index.root / "cache") as free:
        if not free:
            return None
        needed = needed_cells(index)
        going = [item for item in plan.going if item.path.stem not in needed]
        for item in going:
            if item.path.is_dir():
                _move_aside(index.root, item.path)
            else:
                item.path.unlink(missing_ok=True)
        empty_trash(index.root)
    return going


def _move_aside(root: Path, path: Path) -> None:
    trash = root / TRASH
    try:
        trash.mkdir(exist_ok=True)
        path.rename(trash / f"{path.parent.name}-{path.name}-{os.getpid()}-{time.time_ns()}")
        if path.parent.parent in (root / "runs", root / "sweeps") and not any(path.parent.iterdir()):
            path.parent.rmdir()
    except OSError as error:
        raise HwdsError(f"{path}: cannot be deleted: {error.strerror or error}.") from error


def empty_trash(root: Path) -> None:
    """Delete what was moved aside, by this process or by one that was killed."""
    shutil.rmtree(root / TRASH, ignore_errors=True)


def _item(path: Path) -> Item:
    """A folder with all in it; its age is that of the file written last."""
    files = [Path(place) / name for place, _, names in os.walk(path) for name in names]
    stats = [file.stat() for file in files if file.exists()]
    last = max((about.st_mtime for about in stats), default=path.stat().st_mtime)
    return Item(path, sum(about.st_size for about in stats), time.time() - last)


def _files(folder: Path) -> Iterator[Item]:
    """Every cell and what else is kept beside them, and what a process that was killed left there."""
    now = time.time()
    for below in _entries(folder):
        for entry in _entries(Path(below.path)):
            about = entry.stat()
            kept = Item(Path(entry.path), about.st_size, now - about.st_mtime)
            yield _item(kept.path) if entry.is_dir() else kept


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as found:
        return sorted(found, key=lambda entry: entry.name)


def bytes_of(text: str) -> int:
    """The bytes of `500MB` or `1.5GB`.

    Raises:
        ValueError: It is no size.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kKMGT]?B)", text)
    if not found:
        raise ValueError(text)
    return int(float(found[1]) * _UNITS[found[2]])


def size_said(size: int) -> str:
    """Bytes as people read them: `12 MB`."""
    unit = next((unit for unit in ("TB", "GB", "MB", "kB") if size >= _UNITS[unit]), "B")
    shown = size / _UNITS[unit]
    return f"{shown:.1f} {unit}" if shown < 10 and unit != "B" else f"{shown:.0f} {unit}"
