"""Delete what is old: `hwds prune runs|sweeps|comparisons|cache [--older-than 90d] [--keep-best 3] [--yes]`.

Without --yes it only says. `hwds prune runs` and `prune sweeps` take the words of `hwds runs` (`lstm_forecast`, `'mase>2'`,
`status=unfinished`), `--older-than 90d`, `--larger-than 100MB` and `--keep-best 3`; `prune comparisons` ids, age and size;
`hwds prune cache` takes `--older-than 30d` and `--to 5GB`. What is tagged `keep`, in use, or needed by a run, a sweep, a study
or a comparison that stays, stays.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hwds.errors import ConfigError, nearest, unknown
from hwds.flags import parsed, whole

if TYPE_CHECKING:
    from hwds.results.pruning import Plan
    from hwds.results.run_index import RunIndex

FLAGS = {
    "runs": ("--older-than", "--larger-than", "--keep-best"),
    "sweeps": ("--older-than", "--larger-than", "--keep-best"),
    "comparisons": ("--older-than", "--larger-than"),
    "cache": ("--older-than", "--to"),
}
BARE = ("--yes",)
MOST = 20
"""Folders that are named."""

OLD = "30d"
"""The age from which cells go that nobody names, where neither age nor size is given."""


def main(words: list[str]) -> int:
    """Say what would go and why the rest stays; with --yes delete it; 1 where something could not be deleted."""
    from hwds.results.run_index import RunIndex

    if not words:
        print(overview(RunIndex.of()))
        return 0
    what, rest = words[0], words[1:]
    if what not in FLAGS:
        raise ConfigError(f"prune: must be followed by runs, sweeps, comparisons or cache, got '{what}'{nearest(what, FLAGS)}")
    names, flags = parsed(f"prune {what}", rest, FLAGS[what], BARE)
    return prune_cache(names, flags) if what == "cache" else prune_folders(what, names, flags)


def choices() -> list[str]:
    """The words it takes, for completion."""
    return [*FLAGS, *dict.fromkeys(flag for flags in FLAGS.values() for flag in flags), *BARE]


def overview(index: RunIndex) -> str:
    """How much there is."""
    from hwds.results.pruning import cache_plan, folders_plan, size_said
    from hwds.results.wording import counted

    lines = []
    for what in ("runs", "sweeps", "comparisons"):
        every = asked(index, what, [])
        free = folders_plan(index, every)
        command = f"hwds prune {what} --older-than 90d{' --keep-best 3' if '--keep-best' in FLAGS[what] else ''}"
        needed = f"{len(free.going):,} of them, {size_said(free.size)}, needed by nothing: {command}"
        lines += [f"{counted(len(every), what)}; {needed}"] if every or what == "runs" else []
    cache = cache_plan(index)
    lines += [f"cache: {counted(len(cache.going), 'files')}, {size_said(cache.size)}, named by no run: hwds prune cache"]
    return "\n".join([*lines, "Nothing is deleted without --yes."])


def asked(index: RunIndex, what: str, names: list[str]) -> list[str]:
    """The runs, sweeps or comparisons that all words hold for, as they lie below the outputs folder.

    Raises:
        ConfigError: A word names nothing, with the nearest that there is.
    """
    from hwds.results.folder import OUTPUTS
    from hwds.results.run_query import matching

    if what != "comparisons":
        return matching(index, names, what.removesuffix("s")) if index.paths else []
    known = sorted(path.parent.name for path in (index.root / what).glob("*/comparison.json"))
    missing = next((name for name in names if not any(each.startswith(name) for each in known)), None)
    if missing is not None:
        raise unknown("comparison", missing, OUTPUTS / what, known)
    return [f"{what}/{each}" for each in known if not names or any(each.startswith(name) for name in names)]


def prune_folders(what: str, names: list[str], flags: dict[str, str]) -> int:
    """Delete runs, sweeps or comparisons that all words and flags hold for."""
    from hwds.results.pruning import delete_folders, folders_plan, size_said
    from hwds.results.run_index import RunIndex
    from hwds.results.wording import counted

    if not names and not {*flags} & {*FLAGS[what]}:
        words = "ids" if what == "comparisons" else "words as for `hwds runs`"
        *some, last = FLAGS[what]
        raise ConfigError(f"prune {what}: must be told which: {words}, {', '.join(some)} or {last}.")
    best = whole("--keep-best", flags.get("--keep-best", "0"))
    older, larger = seconds(flags, "0d"), size(flags, "--larger-than") or 0
    index = RunIndex.of()
    plan = folders_plan(index, asked(index, what, names), older=older, larger=larger, best=best)
    tell(what, plan)
    if "--yes" not in flags:
        print(f"Would delete {counted(len(plan.going), what)}, {size_said(plan.size)}; --yes does it.")
        return 0
    done = list(delete_folders(index, plan))
    for item, why in done:
        if why:
            print(f"{item.path.parent.name}/{item.path.name} stays: {why}")
    gone = [item for item, why in done if not why]
    print(f"Deleted {counted(len(gone), what)}, {size_said(sum(item.size for item in gone))}.")
    return 0 if len(gone) == len(plan.going) else 1


def tell(what: str, plan: Plan) -> None:
    """Which go, and how many stay for which reason."""
    from hwds.results.pruning import size_said
    from hwds.results.wording import counted, duration

    for item in plan.going[:MOST]:
        days = item.age / 86400
        old = f"{days:.0f} days" if days >= 2 else duration(item.age)
        print(f"{item.path.parent.name}/{item.path.name}  {size_said(item.size)}, {old} old")
    if len(plan.going) > MOST:
        print(f"and {len(plan.going) - MOST:,} more")
    few = len(plan.staying) <= MOST
    told = Counter(plan.staying.values()).items() if not few else [(f"{path}: {why}", 0) for path, why in plan.staying.items()]
    for why, count in told:
        many = f"{counted(count, what)}, " if count else ""
        print(f"stays: {many}{why.removeprefix(f'{what}/')}")


def prune_cache(names: list[str], flags: dict[str, str]) -> int:
    """Delete what of the cache no run or sweep names."""
    from hwds.results.pruning import cache_plan, delete_cache, size_said
    from hwds.results.run_index import RunIndex
    from hwds.results.wording import counted

    if names:
        raise ConfigError(f"prune cache: takes no names, got '{names[0]}'.")
    most = size(flags, "--to")
    index = RunIndex.of()
    plan = cache_plan(index, older=seconds(flags, OLD if most is None else "0d"), most=most)
    for what, why in plan.staying.items():
        print(f"stays: {what}, {why}")
    if "--yes" not in flags:
        print(f"Would delete {counted(len(plan.going), 'files')} of the cache, {size_said(plan.size)}; --yes does it.")
        return 0
    gone = delete_cache(index, plan)
    if gone is None:
        print("The cache is in use by a run; nothing was deleted.")
        return 1
    print(f"Deleted {counted(len(gone), 'files')} of the cache, {size_said(sum(item.size for item in gone))}.")
    return 0


def seconds(flags: dict[str, str], default: str) -> float:
    """The age that `--older-than` says.

    Raises:
        ConfigError: It is none.
    """
    from hwds.results.run_query import span

    text = flags.get("--older-than", default)
    try:
        return span(text)
    except ValueError as error:
        raise ConfigError(f"--older-than: must be a span like 12h, 90d or 4w, got '{text}'.") from error


def size(flags: dict[str, str], flag: str) -> int | None:
    """The bytes that a flag says; None where it is not given.

    Raises:
        ConfigError: It is no size.
    """
    from hwds.results.pruning import bytes_of

    if flag not in flags:
        return None
    try:
        return bytes_of(flags[flag])
    except ValueError as error:
        raise ConfigError(f"{flag}: must be a size like 500MB or 5GB, got '{flags[flag]}'.") from error
