"""Find runs: `hwds runs [lstm_forecast] ['mase<0.9'] [--sort mase] [--json]`, `hwds runs tag RUN word`, `runs note RUN text`.

A word is an experiment, the beginning of an id, or a condition on a field of the config (`model.units>=64`), a metric
(`mase<0.9`), `tag=`, `note~`, `status=`, `seed=1,2,3`, `age<7d`. Conditions with `<` or `>` go into quotes.
`--sort -mase` orders by a field or metric, `--show model.units,mase` adds columns, `--limit 50` shows more, `--sweeps` lists
sweeps, `--json` prints data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hwds.errors import ConfigError
from hwds.flags import parsed, whole

if TYPE_CHECKING:
    from hwds.results.run_index import RunIndex

FLAGS = ("--sort", "--show", "--limit")
BARE = ("--json", "--sweeps")
VERBS = ("tag", "note")
LIMIT = 30
"""Runs that a terminal is given; `--limit 0` shows all."""


def main(words: list[str]) -> int:
    """List runs, the newest first, or give one a tag or a note."""
    if words and words[0] in VERBS:
        return label(words[0], words[1:])
    names, flags = parsed("runs", words, FLAGS, BARE)
    from hwds.results.run_index import RunIndex
    from hwds.results.run_query import ALIASES, OWN, matching, ordered, parsed_condition

    limit = whole("--limit", flags.get("--limit", str(0 if "--json" in flags else LIMIT)))
    index = RunIndex.of()
    kind = "sweep" if "--sweeps" in flags else "run"
    found = ordered(index, matching(index, names, kind), flags.get("--sort", "-modified")) if index.paths else []
    asked = [condition.name for word in names if (condition := parsed_condition(index, word))] if index.paths else []
    asked += [flags.get("--sort", "").removeprefix("-"), *flags.get("--show", "").split(",")]
    fields = list(dict.fromkeys(ALIASES.get(name, name) for name in asked if name and name not in OWN))
    show_json(index, found, limit) if "--json" in flags else show(index, found, fields, limit, kind)
    return 0


def choices() -> list[str]:
    """The words it takes, for completion."""
    from hwds.results.folder import RunFolder

    return [*VERBS, *RunFolder.names(), *FLAGS, *BARE]


def label(verb: str, words: Sequence[str]) -> int:
    """Tag or note a run.

    Raises:
        ConfigError: There is no run, no tag, or a tag is no single word.
    """
    from hwds.results.folder import RunFolder
    from hwds.results.labels import Labels

    if not words or (verb == "tag" and len(words) < 2):
        raise ConfigError(f"runs {verb}: must be followed by a run and {'tags' if verb == 'tag' else 'its text'}.")
    folder = RunFolder.find(words[0])
    labels = Labels.read(folder.path)
    labels = labels.tagged(tuple(words[1:])) if verb == "tag" else labels.noted(" ".join(words[1:]))
    labels.write(folder.path)
    print(f"{folder.title}: tags {', '.join(labels.tags) or 'none'}; note {labels.note or 'none'}")
    return 0


def show_json(index: RunIndex, found: Sequence[str], limit: int) -> None:
    """Print all facts of each."""
    from hwds.report.runs_table import as_rows
    from hwds.results.comparison import as_json
    from hwds.results.going import as_it_stands

    print(as_json(as_rows(as_it_stands(index, found[: limit or None]))))


def show(index: RunIndex, found: Sequence[str], fields: Sequence[str], limit: int, kind: str = "run") -> None:
    """Print a table, then what was passed over and why."""
    from shutil import get_terminal_size

    from rich.console import Console

    from hwds.report.leaderboard import WIDTH, print_grids
    from hwds.report.runs_table import left_out, runs_grid
    from hwds.results.going import as_it_stands
    from hwds.results.wording import counted

    status = index.column("status")
    broken = as_it_stands(index, [path for path in found if status[path] == "broken"])
    sound = [path for path in found if path not in broken]
    width = get_terminal_size((WIDTH, 24)).columns
    grid = runs_grid(list(as_it_stands(index, sound[: limit or None]).values()), fields, width)
    noted = [f"{index.root.name}/{path} is passed over: {said.get('reason')}." for path, said in broken.items()]
    known = sum(each == kind for each in index.column("kind").values())
    said = f"{len(grid):,} of {counted(known, f'{kind}s')}" + (f" ({len(sound):,} found)" if len(grid) < len(sound) else "")
    hidden = f"; not shown for want of room: {', '.join(left_out(grid))}" if len(grid) and left_out(grid) else ""
    print_grids((grid,) if len(grid) else (), noted, f"{said}{hidden}.", Console(width=width))
