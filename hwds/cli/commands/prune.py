"""Delete old runs, sweeps, comparisons or cached cells that nothing needs.

Without --yes it only lists them. `hwds prune runs` and `hwds prune sweeps` take the words of `hwds
runs` (`lstm_forecast`, `'mase>2'`, `status=unfinished`) and `--keep-best 3`. `hwds prune
comparisons` takes ids. Results stay if they are tagged `keep`, in use, or needed by another result
that stays.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click

from hwds.cli.words import (
    JSON_ALONE,
    Group,
    KnownWord,
    ReadValue,
    WholeNumber,
    print_json,
    run_names,
    sweep_names,
)
from hwds.core.errors import ConfigError, HwdsError, unknown
from hwds.core.files import OUTPUTS, in_use, lock_folder, lock_for_cleaning
from hwds.results.files import DAMAGE, read_json_mapping
from hwds.results.folder import CELLS, RunFolder
from hwds.results.formatting import counted, duration
from hwds.results.index import (
    KIND_FOLDERS,
    RunIndex,
    folder_signature,
    matching_folders,
    parse_span,
)
from hwds.results.records import KEEP, Labels

# What may be deleted: runs and cached files, the reasons to keep others, and the deletion.

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


# The command.

MOST = 20
"""Folders that are named."""

OLD = 30 * 86400.0
"""The age in seconds from which cells go that nobody names, where neither age nor size is given."""


def seconds_of_span(text: str) -> float:
    """Return the seconds of `12h` or `90d`."""
    return parse_span(text)


def bytes_of_size(text: str) -> int:
    """Return the bytes of `500MB`."""
    return parse_bytes(text)


def comparison_names() -> list[str]:
    """Return the ids of the comparisons below the current folder."""
    from hwds.results.comparison import comparison_folders

    return list(comparison_folders())


SIZE = ReadValue("size", bytes_of_size, "a size like 500MB or 5GB")
OLDER = click.option(
    "--older-than",
    "older",
    type=ReadValue("span", seconds_of_span, "a span like 12h, 90d or 4w"),
    help="Older than `90d`.",
)
LARGER = click.option("--larger-than", "larger", type=SIZE, help="Larger than `100MB`.")
BEST = click.option(
    "--keep-best",
    "best",
    type=WholeNumber(),
    metavar="NUMBER",
    help="Not the best so many of each experiment.",
)
YES = click.option("--yes", is_flag=True, help="Delete; without it nothing goes.")


@click.group(cls=Group, invoke_without_command=True, help=__doc__)
@JSON_ALONE
@click.pass_context
def main(ctx: click.Context, as_json: bool) -> int:
    """Show what could be deleted, unless something is named."""
    if ctx.invoked_subcommand is None:
        rows = overview(RunIndex.of())
        print("\n".join([*map(overview_line, rows), "Nothing is deleted without --yes."]))
        if as_json:
            print_json(rows)
    return 0


@main.command("runs")
@click.argument("words", nargs=-1, type=KnownWord("word", run_names))
@OLDER
@LARGER
@BEST
@YES
@JSON_ALONE
def prune_runs(words: tuple[str, ...], yes: bool, as_json: bool, **limits: float | None) -> int:
    """Delete runs that all words and flags hold for."""
    return prune_folders("runs", words, limits, yes, as_json)


@main.command("sweeps")
@click.argument("words", nargs=-1, type=KnownWord("word", sweep_names))
@OLDER
@LARGER
@BEST
@YES
@JSON_ALONE
def prune_sweeps(words: tuple[str, ...], yes: bool, as_json: bool, **limits: float | None) -> int:
    """Delete sweeps that all words and flags hold for."""
    return prune_folders("sweeps", words, limits, yes, as_json)


@main.command("comparisons")
@click.argument("ids", nargs=-1, type=KnownWord("id", comparison_names))
@OLDER
@LARGER
@YES
@JSON_ALONE
def prune_comparisons(
    ids: tuple[str, ...], yes: bool, as_json: bool, **limits: float | None
) -> int:
    """Delete comparisons that all ids and flags hold for."""
    return prune_folders("comparisons", ids, limits, yes, as_json)


@main.command("cache")
@OLDER
@click.option("--to", "most", type=SIZE, help="The oldest, until `5GB` are left.")
@YES
@JSON_ALONE
def prune_cache(older: float | None, most: int | None, yes: bool, as_json: bool) -> int:
    """Delete what of the cache no run or sweep names, from 30d of age unless a flag says other."""
    index = RunIndex.of()
    age = older if older is not None else OLD if most is None else 0.0
    plan = cache_plan(index, older=age, most=most)
    for what, why in plan.staying.items():
        print(f"stays: {what}, {why}")
    if as_json:
        print_json(_plan_record("cache", plan, yes))
    if not yes:
        print(f"Would delete {deletion(plan.to_delete, 'files', ' of the cache')}; --yes does it.")
        return 0
    gone = delete_cache(index, plan)
    if gone is None:
        print("The cache is in use by a run; nothing was deleted.")
        return 1
    print(f"Deleted {deletion(gone, 'files', ' of the cache')}.")
    return 0


def deletion(items: Sequence[Item], what: str, where: str = "") -> str:
    """Return how many items are deleted, and their size."""
    return f"{counted(len(items), what)}{where}, {size_text(sum(item.size for item in items))}"


def overview(index: RunIndex) -> list[dict[str, Any]]:
    """Return a row for each kind of files: how many there are, and which of them nothing needs."""
    rows = list[dict[str, Any]]()
    for what in ("runs", "sweeps", "comparisons"):
        every = matching_paths(index, what, ())
        free = folders_plan(index, every)
        command = (
            f"hwds prune {what} --older-than 90d{'' if what == 'comparisons' else ' --keep-best 3'}"
        )
        free_of = {"free": len(free.to_delete), "free_bytes": free.size, "command": command}
        rows += [{"what": what, "number": len(every), **free_of}] if every or what == "runs" else []
    files = cache_plan(index).to_delete
    of_cache = {"what": "cache", "number": None, "free": len(files)}
    size = sum(item.size for item in files)
    return [*rows, {**of_cache, "free_bytes": size, "command": "hwds prune cache"}]


def overview_line(row: dict[str, Any]) -> str:
    """Return a row of the overview as a line."""
    size = size_text(row["free_bytes"])
    if row["what"] == "cache":
        return f"cache: {counted(row['free'], 'files')}, {size}, named by no run: {row['command']}"
    free = f"{row['free']:,} of them, {size}, needed by nothing"
    return f"{counted(row['number'], row['what'])}; {free}: {row['command']}"


def matching_paths(index: RunIndex, what: str, names: Sequence[str]) -> list[str]:
    """Return the runs, sweeps or comparisons that all words hold for, as they lie below the outputs
    folder.

    Raises:
        ConfigError: A word names nothing, with the nearest that there is.
    """
    if what != "comparisons":
        return matching_folders(index, names, what.removesuffix("s")) if index.paths else []
    known = sorted(path.parent.name for path in (index.root / what).glob("*/comparison.json"))
    missing = next(
        (name for name in names if not any(each.startswith(name) for each in known)), None
    )
    if missing is not None:
        raise unknown("comparison", missing, OUTPUTS / what, known)
    return [
        f"{what}/{each}"
        for each in known
        if not names or any(each.startswith(name) for name in names)
    ]


def prune_folders(
    what: str, names: Sequence[str], limits: dict[str, Any], yes: bool, as_json: bool
) -> int:
    """Delete runs, sweeps or comparisons that all words and limits hold for.

    Args:
        what: `runs`, `sweeps` or `comparisons`.
        names: Words as for `hwds runs`, or ids of comparisons.
        limits: `older` in seconds, `larger` in bytes and `best`; None where a flag is not given.
        yes: Whether they are deleted, or only named.
        as_json: Print the plan as data, too.

    Returns:
        1 where something could not be deleted.

    Raises:
        ConfigError: Nothing says which.
    """
    given = {name: limit for name, limit in limits.items() if limit is not None}
    if not names and not given:
        words = "ids" if what == "comparisons" else "words as for `hwds runs`"
        flags = (
            "--older-than or --larger-than"
            if what == "comparisons"
            else "--older-than, --larger-than or --keep-best"
        )
        raise ConfigError(f"prune {what}: must be given which: {words}, {flags}.")
    index = RunIndex.of()
    plan = folders_plan(index, matching_paths(index, what, names), **given)
    print_plan(what, plan)
    if as_json:
        print_json(_plan_record(what, plan, yes))
    if not yes:
        print(f"Would delete {deletion(plan.to_delete, what)}; --yes does it.")
        return 0
    outcomes = list(delete_folders(index, plan))
    for item, why in outcomes:
        if why:
            print(f"{item.path.parent.name}/{item.path.name} stays: {why}")
    gone = [item for item, why in outcomes if not why]
    print(f"Deleted {deletion(gone, what)}.")
    return 0 if len(gone) == len(plan.to_delete) else 1


def print_plan(what: str, plan: PruningPlan) -> None:
    """Print which go, and how many stay for which reason."""
    for item in plan.to_delete[:MOST]:
        days = item.age / 86400
        old = f"{days:.0f} days" if days >= 2 else duration(item.age)
        print(f"{item.path.parent.name}/{item.path.name}  {size_text(item.size)}, {old} old")
    if len(plan.to_delete) > MOST:
        print(f"and {len(plan.to_delete) - MOST:,} more")
    few = len(plan.staying) <= MOST
    each = [(f"{path}: {why}", 0) for path, why in plan.staying.items()]
    reasons = each if few else Counter(plan.staying.values()).items()
    for why, count in reasons:
        many = f"{counted(count, what)}, " if count else ""
        print(f"stays: {many}{why.removeprefix(f'{what}/')}")


def _plan_record(what: str, plan: PruningPlan, yes: bool) -> dict[str, Any]:
    """Return a plan as plain data."""
    return {
        "what": what,
        "deletes": yes,
        "to_delete": [{**asdict(item), "path": str(item.path)} for item in plan.to_delete],
        "staying": [{"path": str(path), "why": why} for path, why in plan.staying.items()],
    }
