"""Find, tag and note runs.

A word is an experiment, the beginning of an id, or a condition. Conditions are on a field of the
config (`model.units>=64`), a metric (`mase<0.9`), `tag=`, `note~`, `status=`, `seed=1,2,3`,
`age<7d`. Put conditions with `<` or `>` into quotes. `hwds runs note RUN text` writes a note.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from hwds.cli.words import AS_JSON, Command, KnownWord, WholeNumber, number_option, run_names
from hwds.core.errors import ConfigError

if TYPE_CHECKING:
    from hwds.results.index import RunIndex

VERBS = ("tag", "note")
LIMIT = 30
"""Runs that a terminal is given; `--limit 0` shows all."""


class WithVerbs(Command):
    """The command whose words behind `tag` and `note` are none of its flags."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words."""
        plain = args[:1] and args[0] in VERBS and not {"-h", "--help"} & set(args)
        return super().parse_args(ctx, ["--", *args] if plain else args)


@click.command(cls=WithVerbs, help=__doc__)
@click.argument("words", nargs=-1, type=KnownWord("word", lambda: [*VERBS, *run_names()]))
@click.option(
    "--sort", metavar="FIELD", help="Order by a field or metric; `-mase` is the largest first."
)
@click.option("--show", default="", metavar="FIELD,FIELD", help="Add columns: `model.units,mase`.")
@number_option("--limit", WholeNumber(), "Show so many; 0 shows all.")
@click.option("--sweeps", is_flag=True, help="List sweeps.")
@AS_JSON
def main(
    words: tuple[str, ...],
    sort: str | None,
    show: str,
    limit: int | None,
    sweeps: bool,
    as_json: bool,
) -> int:
    """List runs, the newest first, or give one a tag or a note."""
    if words and words[0] in VERBS:
        return label_run(words[0], words[1:])
    from hwds.results.index import (
        ALIASES,
        DERIVED,
        RunIndex,
        matching_folders,
        order_folders,
        parse_condition,
    )

    index = RunIndex.of()
    kind = "sweep" if sweeps else "run"
    if limit is None:
        limit = 0 if as_json else LIMIT
    paths, names = list[str](), list[str]()
    if index.paths:
        paths = order_folders(index, matching_folders(index, words, kind), sort or "-modified")
        conditions = (parse_condition(index, word) for word in words)
        names = [condition.name for condition in conditions if condition]
    if as_json:
        print_runs_json(index, paths, limit)
        return 0
    names += [(sort or "").removeprefix("-"), *show.split(",")]
    fields = list(
        dict.fromkeys(ALIASES.get(name, name) for name in names if name and name not in DERIVED)
    )
    print_table(index, paths, fields, limit, kind)
    return 0


def label_run(verb: str, words: Sequence[str]) -> int:
    """Tag or note a run.

    Raises:
        ConfigError: There is no run, no tag, or a tag is no single word.
    """
    from hwds.results.files import refuse_damage
    from hwds.results.folder import RunFolder
    from hwds.results.records import LABELS_FILE, Labels

    if not words or (verb == "tag" and len(words) < 2):
        raise ConfigError(
            f"runs {verb}: must be followed by a run and {'tags' if verb == 'tag' else 'its text'}."
        )
    name, *rest = words
    folder = RunFolder.find(name)
    with refuse_damage(folder.path / LABELS_FILE):
        labels = Labels.read(folder.path)
    labels = labels.with_tags(tuple(rest)) if verb == "tag" else labels.with_note(" ".join(rest))
    labels.write(folder.path)
    print(f"{folder.title}: tags {', '.join(labels.tags) or 'none'}; note {labels.note or 'none'}")
    return 0


def print_runs_json(index: RunIndex, paths: Sequence[str], limit: int) -> None:
    """Print all fields of each."""
    from hwds.report.runs import runs_as_rows
    from hwds.results.comparison import as_json
    from hwds.results.index import current_fields

    print(as_json(runs_as_rows(current_fields(index, paths[: limit or None]))))


def print_table(
    index: RunIndex, paths: Sequence[str], fields: Sequence[str], limit: int, kind: str
) -> None:
    """Print a table, then what was passed over and why."""
    from shutil import get_terminal_size

    from rich.console import Console

    from hwds.report.leaderboard import print_grids
    from hwds.report.runs import omitted_columns, runs_grid
    from hwds.results.formatting import WIDTH, counted
    from hwds.results.index import current_fields

    status = index.column("status")
    broken = current_fields(index, [path for path in paths if status[path] == "broken"])
    sound = [path for path in paths if path not in broken]
    width = get_terminal_size((WIDTH, 24)).columns
    grid = runs_grid(list(current_fields(index, sound[: limit or None]).values()), fields, width)
    noted = [
        f"{index.root.name}/{path} is passed over: {fields.get('reason')}."
        for path, fields in broken.items()
    ]
    total = sum(each == kind for each in index.column("kind").values())
    summary = f"{len(grid):,} of {counted(total, f'{kind}s')}" + (
        f" ({len(sound):,} found)" if len(grid) < len(sound) else ""
    )
    hidden = (
        f"; not shown for want of room: {', '.join(omitted_columns(grid))}"
        if len(grid) and omitted_columns(grid)
        else ""
    )
    print_grids((grid,) if len(grid) else (), noted, f"{summary}{hidden}.", Console(width=width))
