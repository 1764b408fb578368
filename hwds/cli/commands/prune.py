"""Delete old runs, sweeps, comparisons or cached cells that nothing needs.

Without --yes it only lists them. `hwds prune runs` and `hwds prune sweeps` take the words of `hwds
runs` (`lstm_forecast`, `'mase>2'`, `status=unfinished`) and `--keep-best 3`. `hwds prune
comparisons` takes ids. Results stay if they are tagged `keep`, in use, or needed by another result
that stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

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
from hwds.core.errors import ConfigError, unknown

if TYPE_CHECKING:
    from hwds.results.index import RunIndex
    from hwds.results.pruning import Item, PruningPlan

MOST = 20
"""Folders that are named."""

OLD = 30 * 86400.0
"""The age in seconds from which cells go that nobody names, where neither age nor size is given."""


def seconds_of_span(text: str) -> float:
    """Return the seconds of `12h` or `90d`."""
    from hwds.results import index as query

    return query.parse_span(text)


def bytes_of_size(text: str) -> int:
    """Return the bytes of `500MB`."""
    from hwds.results import pruning

    return pruning.parse_bytes(text)


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
        from hwds.results.index import RunIndex

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
    from hwds.results.index import RunIndex
    from hwds.results.pruning import cache_plan, delete_cache

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
    from hwds.results.formatting import counted
    from hwds.results.pruning import size_text

    return f"{counted(len(items), what)}{where}, {size_text(sum(item.size for item in items))}"


def overview(index: RunIndex) -> list[dict[str, Any]]:
    """Return a row for each kind of files: how many there are, and which of them nothing needs."""
    from hwds.results.pruning import cache_plan, folders_plan

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
    from hwds.results.formatting import counted
    from hwds.results.pruning import size_text

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
    from hwds.core.files import OUTPUTS
    from hwds.results.index import matching_folders

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
    from hwds.results.index import RunIndex
    from hwds.results.pruning import delete_folders, folders_plan

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
    from hwds.results.formatting import counted, duration
    from hwds.results.pruning import size_text

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
