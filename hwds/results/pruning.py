"""Pruning: the runs and cached files that may be deleted, the reasons to keep others, and an
interruptible deletion.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hwds.core.errors import HwdsError
from hwds.core.files import in_use, lock_folder, lock_for_cleaning
from hwds.results.files import DAMAGE, read_json_mapping
from hwds.results.folder import CELLS, RunFolder
from hwds.results.formatting import counted
from hwds.results.index import KIND_FOLDERS, RunIndex, folder_signature
from hwds.results.records import KEEP, Labels

MADE_AGAIN = ("frames", "numba", "source")
"""The folders of the cache that no run names: laid-out data, compiled functions, parsed modules;
each is made again at need.
"""

TRASH = "trash"
"""The folder below the outputs folder of items that were moved aside in one step and are being
deleted.
"""

_UNITS = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


@dataclass(frozen=True, slots=True)
class Item:
    """A file or folder, its size in bytes, and its age: the seconds since it was last written."""

    path: Path
    size: int
    age: float


@dataclass(frozen=True, slots=True)
class PruningPlan:
    """The items to delete, in this order, and the requested ones that stay, each with the
    reason.
    """

    to_delete: tuple[Item, ...]
    staying: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """The bytes to delete."""
        return sum(item.size for item in self.to_delete)


def folders_plan(
    index: RunIndex, paths: Sequence[str], *, older: float = 0, larger: int = 0, best: int = 0
) -> PruningPlan:
    """Return which of some runs, sweeps or comparisons may be deleted.

    Args:
        index: The index of all folders.
        paths: Each as `runs/<experiment>/<id>`, `sweeps/<experiment>/<id>` or `comparisons/<id>`.
        older: The least age in seconds.
        larger: The least size in bytes.
        best: The number of the best runs or sweeps of each experiment, dataset, protocol and metric
            that stay.
    """
    items = {path: _item(index.root / path) for path in paths}
    wanted = [path for path, item in items.items() if item.age >= older and item.size >= larger]
    staying = _protections(index, wanted, best)
    wanted = [path for path in wanted if path not in staying]
    staying |= needed_runs(index, wanted)
    to_delete = [path for path in wanted if path not in staying]
    return PruningPlan(tuple(items[path] for path in _dependants_first(index, to_delete)), staying)


def _protections(index: RunIndex, wanted: Sequence[str], best: int) -> dict[str, str]:
    tags = index.column("tags")
    reasons = {
        path: f"tagged {KEEP}" for path in wanted if KEEP in str(tags.get(path) or "").split()
    }
    reasons |= {
        path: "its tags are damaged" for path in wanted if not _has_sound_labels(index.root / path)
    }
    reasons |= {
        path: f"among the best {best}" for path in _best(index, best, wanted) if path in wanted
    }
    reasons |= {path: "in use" for path in wanted if in_use(index.root / path)}
    reasons |= {path: "watched" for path in wanted if RunFolder(index.root / path).watch.is_dir()}
    return reasons | {
        path: "cannot be written" for path in wanted if not os.access(index.root / path, os.W_OK)
    }


def _has_sound_labels(folder: Path) -> bool:
    """Return whether the tags of a folder can be read: one that is to be kept might say so in
    them.
    """
    try:
        Labels.read(folder)
    except DAMAGE:
        return False
    return True


def _best(index: RunIndex, count: int, wanted: Sequence[str]) -> Iterator[str]:
    """Yield the best folders of each experiment, dataset, protocol and metric, of the kinds of
    those that are wanted.
    """
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
    """Return the paths in an order in which each comes before those that it needs, so that none
    ever lacks one.
    """
    joined, chosen = joined_runs(index), set(paths)
    needs = {path: joined.get(path, set()) & chosen for path in paths}
    if not any(needs.values()):
        return list(paths)
    done: list[str] = []
    left = list(paths)
    while left:
        free = [path for path in left if not any(path in needs[other] for other in left)] or left
        done += free
        left = [path for path in left if path not in free]
    return done


def cache_plan(index: RunIndex, *, older: float = 0, most: int | None = None) -> PruningPlan:
    """Return what of the cache may be deleted: cells that no run or sweep names, and what is made
    again at need.

    Args:
        index: The index of all folders.
        older: The least age in seconds.
        most: The bytes that the cache may keep, the oldest files being deleted first; None for no
            bound.
    """
    needed = needed_cells(index)
    files = list(_files(index.root / "cache" / "cells"))
    others = [
        _item(Path(entry.path))
        for kind in MADE_AGAIN
        for entry in _entries(index.root / "cache" / kind)
    ]
    total = sum(item.size for item in (*files, *others))
    free = [item for item in files if item.path.stem not in needed]
    to_delete = sorted(
        (item for item in (*free, *others) if item.age >= older),
        key=lambda item: (-item.age, item.path),
    )
    if most is not None:
        to_delete = list(_items_until(to_delete, total - most))
    named = len(files) - len(free)
    return PruningPlan(
        tuple(to_delete), {counted(named, "cells"): "named by a run or a sweep"} if named else {}
    )


def _items_until(items: Iterable[Item], excess: int) -> Iterator[Item]:
    for item in items:
        if excess <= 0:
            return
        excess -= item.size
        yield item


def delete_folders(index: RunIndex, plan: PruningPlan) -> Iterator[tuple[Item, str]]:
    """Delete the items of a plan.

    Yield each with the reason why it stays after all, empty where it was deleted.

    A folder is locked and moved aside in one step: if the process is killed, the folder is intact
    or gone, and the next call deletes what was moved aside.
    """
    empty_trash(index.root)
    for item in plan.to_delete:
        path = item.path.relative_to(index.root).as_posix()
        with lock_folder(item.path, 0) as free:
            if not free:
                yield item, "in use"
            elif folder_signature(item.path) != index.signature(path):
                yield item, "changed meanwhile"
            else:
                _move_aside(index.root, item.path)
                yield item, ""
    empty_trash(index.root)


def delete_cache(index: RunIndex, plan: PruningPlan) -> list[Item] | None:
    """Delete the items of a plan that no run has named since.

    Return them, or None where a run is reading the cache now.
    """
    with lock_for_cleaning(index.root / "cache") as free:
        if not free:
            return None
        needed = needed_cells(index)
        to_delete = [item for item in plan.to_delete if item.path.stem not in needed]
        for item in to_delete:
            if item.path.is_dir():
                _move_aside(index.root, item.path)
            else:
                item.path.unlink(missing_ok=True)
        empty_trash(index.root)
    return to_delete


def _move_aside(root: Path, path: Path) -> None:
    trash = root / TRASH
    try:
        trash.mkdir(exist_ok=True)
        path.rename(trash / f"{path.parent.name}-{path.name}-{os.getpid()}-{time.time_ns()}")
        if path.parent.parent in (root / "runs", root / "sweeps") and not any(
            path.parent.iterdir()
        ):
            path.parent.rmdir()
    except OSError as error:
        raise HwdsError(f"{path}: cannot be deleted: {error.strerror or error}.") from error


def empty_trash(root: Path) -> None:
    """Delete the items that were moved aside, by this process or by one that was killed."""
    shutil.rmtree(root / TRASH, ignore_errors=True)


def _item(path: Path) -> Item:
    """Return a folder with its total size; its age is that of the file written last."""
    files = [Path(place) / name for place, _, names in os.walk(path) for name in names]
    stats = [file.stat() for file in files if file.exists()]
    last = max((about.st_mtime for about in stats), default=path.stat().st_mtime)
    return Item(path, sum(about.st_size for about in stats), time.time() - last)


def _files(folder: Path) -> Iterator[Item]:
    """Yield every cached cell and every other entry beside them, such as the rest of a process that
    was killed.
    """
    now = time.time()
    for below in _entries(folder):
        for entry in _entries(Path(below.path)):
            about = entry.stat()
            item = Item(Path(entry.path), about.st_size, now - about.st_mtime)
            yield _item(item.path) if entry.is_dir() else item


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def parse_bytes(text: str) -> int:
    """Return the bytes of `500MB` or `1.5GB`.

    Raises:
        ValueError: It is not a size.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kKMGT]?B)", text)
    if not match:
        raise ValueError(text)
    return int(float(match[1]) * _UNITS[match[2]])


def size_text(size: int) -> str:
    """Return bytes for readers: `12 MB`."""
    unit = next((unit for unit in ("TB", "GB", "MB", "kB") if size >= _UNITS[unit]), "B")
    shown = size / _UNITS[unit]
    return f"{shown:.1f} {unit}" if shown < 10 and unit != "B" else f"{shown:.0f} {unit}"


def needed_runs(index: RunIndex, gone: Iterable[str]) -> dict[str, str]:
    """Return the folders to be deleted (`runs/<experiment>/<id>`) that a remaining one needs, each
    with the reason.

    A run needs those whose forecasts its data was joined with, a sweep the run of its best trial
    and that of the experiment as it stands, a study and a comparison all of their runs.
    """
    leaving, joined = set(gone), joined_runs(index)
    needed: dict[str, str] = {}
    for path, why in _needs(index):
        if path in leaving:
            needed.setdefault(path, why)
    pending = [path for path in joined if path not in leaving] + list(needed)
    while pending:
        path = pending.pop()
        for other in joined.get(path, ()):
            if other in leaving and other not in needed:
                needed[other] = f"joined by {path.removeprefix('runs/')}"
                pending.append(other)
    return needed


def joined_runs(index: RunIndex) -> dict[str, set[str]]:
    """Return for each run with joined forecasts the runs that it reads: by its provenance, and by
    its config.
    """
    latest = _latest_runs(index)
    others_of: dict[str, set[str]] = {}
    for path, text in index.column("joined").items():
        others_of.setdefault(path, set()).update(
            f"runs/{title}" for title in re.findall(r"of run (\S+/[^\s,;]+)", str(text))
        )
    for path, text in index.column("dataset.join").items():
        for name in re.findall(r'"run": "([^"]+)"', str(text)):
            others_of.setdefault(path, set()).add(
                latest.get(name, f"runs/{'/'.join(Path(name).parts[-2:])}")
            )
    return {path: others - {path} for path, others in others_of.items()}


def needed_cells(index: RunIndex) -> set[str]:
    """Return the keys of the cells of all runs and sweeps, so that repeating a command computes
    nothing.
    """
    runs: set[str] = set()
    for below in KIND_FOLDERS.values():
        for file in (index.root / below).glob(f"*/*/{CELLS}"):
            runs.update(file.read_text(encoding="utf-8", errors="replace").split())
    return runs


def _latest_runs(index: RunIndex) -> dict[str, str]:
    """Return the latest finished run of each experiment, which the experiment's name alone refers
    to.
    """
    status, experiments, modified = (
        index.column(name) for name in ("status", "experiment", "modified")
    )
    order = sorted(
        (path for path in status if path.startswith("runs/")),
        key=lambda path: float(modified[path] or 0),
    )
    return {str(experiments[path]): path for path in order}


def _needs(index: RunIndex) -> Iterator[tuple[str, str]]:
    """Yield the runs that sweeps, the states of studies and comparisons name, each with the
    reason.
    """
    for fact, what in (("final_run", "the best of"), ("own_run", "the experiment as it stands in")):
        for path, run in index.column(fact).items():
            yield f"runs/{run}", f"{what} sweep {path.removeprefix('sweeps/')}"
    ids = {path.name: path for path in (index.root / "runs").glob("*/*")}
    for file in (index.root / "studies").glob("*/state.json"):
        for name in _texts(read_json_mapping(file).get("runs", {})):
            run_path = ids.get(name.rpartition("/")[2])
            if run_path is not None:
                yield f"runs/{run_path.parent.name}/{run_path.name}", f"study {file.parent.name}"
    for file in sorted((index.root / "comparisons").glob("*/comparison.json")):
        for title in _texts(read_json_mapping(file).get("sources", [])):
            yield f"runs/{title}", f"comparison {file.parent.name}"


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    for item in (
        node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ()
    ):
        yield from _texts(item)
