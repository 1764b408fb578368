"""Delete old runs and cache: `hwds prune runs|cache [--older-than 90d] [--keep-best 3] [--yes]`; without --yes it only says.

`hwds prune runs` takes the words of `hwds runs` (`lstm_forecast`, `'mase>2'`, `status=unfinished`), `--older-than 90d`,
`--larger-than 100MB` and `--keep-best 3`; `hwds prune cache` takes `--older-than 30d` and `--to 5GB`. What is tagged `keep`, in
use, or needed by a run, a sweep or a study that stays, stays.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hwds.errors import ConfigError, nearest
from hwds.flags import parsed, whole

if TYPE_CHECKING:
    from hwds.results.pruning import Plan
    from hwds.results.run_index import RunIndex

FLAGS = {"runs": ("--older-than", "--larger-than", "--keep-best"), "cache": ("--older-than", "--to")}
BARE = ("--yes",)
MOST = 20
"""Runs that are named."""

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
        raise ConfigError(f"prune: must be followed by runs or cache, got '{what}'{nearest(what, FLAGS)}")
    names, flags = parsed(f"prune {what}", rest, FLAGS[what], BARE)
    return prune_runs(names, flags) if what == "runs" else prune_cache(names, flags)


def choices() -> list[str]:
    """The words it takes, for completion."""
    return [*FLAGS, *dict.fromkeys((*FLAGS["runs"], *FLAGS["cache"])), *BARE]


def overview(index: RunIndex) -> str:
    """How much there is."""
    from hwds.results.pruning import cache_plan, runs_plan, size_said
    from hwds.results.wording import counted

    runs = [path for path in index.paths if path.startswith("runs/")]
    every, cache = runs_plan(index, runs), cache_plan(index)
    size = sum(item.size for item in every.going)
    lines = [
        f"{counted(len(runs), 'runs')}; {len(every.going):,} of them, {size_said(size)}, are needed by nothing: "
        "hwds prune runs --older-than 90d --keep-best 3",
        f"cache: {counted(len(cache.going), 'files')}, {size_said(cache.size)}, are named by no run: hwds prune cache",
        "Nothing is deleted without --yes.",
    ]
    return "\n".join(lines)


def prune_runs(names: list[str], flags: dict[str, str]) -> int:
    """Delete runs that all words and flags hold for."""
    from hwds.results.pruning import delete_runs, runs_plan, size_said
    from hwds.results.run_index import RunIndex
    from hwds.results.run_query import matching
    from hwds.results.wording import counted

    if not names and not {*flags} & {*FLAGS["runs"]}:
        raise ConfigError(
            "prune runs: must be told which: words as for `hwds runs`, --older-than, --larger-than or --keep-best."
        )
    best = whole("--keep-best", flags.get("--keep-best", "0"))
    older, larger = seconds(flags, "0d"), size(flags, "--larger-than") or 0
    index = RunIndex.of()
    plan = runs_plan(index, matching(index, names) if index.paths else [], older=older, larger=larger, best=best)
    tell_runs(index, plan)
    if "--yes" not in flags:
        print(f"Would delete {counted(len(plan.going), 'runs')}, {size_said(plan.size)}; --yes does it.")
        return 0
    done = list(delete_runs(index, plan))
    for item, why in done:
        if why:
            print(f"{item.path.parent.name}/{item.path.name} stays: {why}")
    gone = [item for item, why in done if not why]
    print(f"Deleted {counted(len(gone), 'runs')}, {size_said(sum(item.size for item in gone))}.")
    return 0 if len(gone) == len(plan.going) else 1


def tell_runs(index: RunIndex, plan: Plan) -> None:
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
        many = f"{counted(count, 'runs')}, " if count else ""
        print(f"stays: {many}{why.removeprefix('runs/')}")


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
