"""Compare models over finished runs: `hwds compare RUN... | --experiment X | --sweep S | --study F [--margin 0.01]`.

Runs are named by the beginning of their ids or by their folders. `--metric mase` compares by another metric than the
headline, `--model M` says which model the conclusion is about, `--margin 0.01` that less than 1 % does not matter, so that
"as good as" is a finding; `--resamples 5000` draws more often (2,000 is usual), `--json` prints data. Runs of other rows,
other data or another definition of the metric are refused.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hwds.errors import ConfigError, nearest
from hwds.flags import parsed, whole

if TYPE_CHECKING:
    from hwds.compare.source import Source
    from hwds.results.comparison import Comparison
    from hwds.results.folder import RunFolder

WHICH = ("--experiment", "--sweep", "--study")
"""Flags that say which runs."""

FLAGS = (*WHICH, "--metric", "--model", "--margin", "--resamples")
"""Flags that are followed by a value."""

BARE = ("--json",)

MOST = 40
"""Models that a terminal is given."""


def main(words: list[str]) -> int:
    """Say which model is better, by how much and how sure that is, on the rows that all of them answered."""
    names, flags = parsed("compare", words, FLAGS, BARE)
    as_data = flags.pop("--json", None) is not None
    said = [flag for flag in WHICH if flag in flags]
    if not names and not said:
        raise ConfigError("compare: must be followed by runs, or by --experiment, --sweep or --study and its name.")
    if len(said) > 1 or (names and said not in ([], ["--experiment"])):
        raise ConfigError(f"compare: {said[-1]} says which runs; drop {said[0] if len(said) > 1 else names[0]}.")
    command = shlex.join(["python", "-m", "hwds", "compare", *(word for word in words if word != "--json")])
    for title, found, passed_over in comparisons(names, flags):
        told(title, found, passed_over, flags, command, as_data=as_data)
    return 0


def comparisons(names: list[str], flags: dict[str, str]) -> Iterator[tuple[str, Comparison, list[str]]]:
    """What was asked for: of each comparison a title, where there are several, and the runs that were passed over."""
    margin = number("--margin", flags["--margin"]) if "--margin" in flags else None
    resamples = whole("--resamples", flags.get("--resamples", "2000"))
    if resamples < 100:
        raise ConfigError(f"--resamples: must be at least 100, got {resamples}.")
    if "--study" in flags:
        from hwds.app_study import of_study

        decided = next((flag for flag in ("--metric", "--model") if flag in flags), None)
        if decided:
            raise ConfigError(f"compare: {decided} is what the study has decided; drop it.")
        yield from ((name, found, []) for name, found in of_study(flags["--study"], margin, resamples).items())
        return
    from hwds.compare.comparing import compare
    from hwds.compare.source import Source

    model = flags.get("--model", "")
    if "--sweep" in flags:
        sources, passed_over = Source.read(of_sweep(flags["--sweep"])), list[str]()
        model = model or best_of(sources)
    else:
        read = Source.read(folders(names, flags.get("--experiment", "")))
        sources, passed_over = latest(read, names)
    yield "", compare(sources, metric=flags.get("--metric", ""), model=model, margin=margin, resamples=resamples), passed_over


def told(title: str, found: Comparison, passed_over: list[str], flags: dict[str, str], command: str, *, as_data: bool) -> None:
    """Keep a comparison, and print it."""
    from hwds.hashing import digest
    from hwds.report.comparison_words import sentence
    from hwds.results.comparison import as_json
    from hwds.results.folder import OUTPUTS

    asked = sorted((flag, said) for flag, said in flags.items() if flag not in WHICH)
    folder = (OUTPUTS / "comparisons" / digest([sorted(found.sources), asked])).resolve()
    keep(found, folder, command)
    if as_data:
        print(as_json({"sentence": sentence(found), "folder": str(folder)} | found.as_dict()))
        return
    if title:
        print(f"{title}:")
    show(found, passed_over)
    print(f"Comparison: {folder}")


def of_sweep(name: str) -> list[RunFolder]:
    """The run of a sweep's best trial, and that of the experiment as it stood, both on windows that chose nothing.

    Raises:
        HwdsError: There is no such sweep, or there are no two runs.
    """
    from hwds.errors import HwdsError
    from hwds.results.folder import OUTPUTS, RunFolder
    from hwds.results.sweep_folder import PREFIX, SweepFolder

    path = (Path(name) / "sweep.json").is_file()
    found = SweepFolder.named(name if path else f"{PREFIX}{name.removeprefix(PREFIX)}")
    assert found is not None  # with the prefix none is an error of its own
    said = found.read_json()
    if "run" not in said or not said.get("own_run"):
        why = "it is not finished" if "run" not in said else "it did not try the experiment as it stands (sweep.baseline=true)"
        raise HwdsError(f"--sweep: {found.title} has no two runs to compare: {why}.")
    if said["run"] == said["own_run"]:
        raise HwdsError(
            f"--sweep: the best trial of {found.title} is the experiment as it stands: there is nothing to compare."
        )
    return [RunFolder((OUTPUTS / "runs" / said[key]).resolve()) for key in ("run", "own_run")]


def best_of(sources: list[Source]) -> str:
    """How the own model of the first run is called beside that of the second."""
    from hwds.compare.telling_apart import model_labels

    return model_labels(sources)[0][sources[0].model]


def choices() -> list[str]:
    """The runs that there are, and the flags, for completion."""
    from hwds.results.folder import RunFolder

    return [*RunFolder.names(), *FLAGS, *BARE]


def number(flag: str, text: str) -> float:
    """The number that a flag is followed by.

    Raises:
        ConfigError: It is none.
    """
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(f"{flag}: must be a number, got '{text}'.") from error


def folders(names: list[str], experiment: str) -> list[RunFolder]:
    """The folders of the runs named, each once, and of all finished runs of an experiment."""
    from hwds.results.folder import OUTPUTS, RunFolder

    found = [RunFolder.find(name) for name in names]
    if experiment:
        own = sorted((OUTPUTS / "runs" / experiment).glob("*/scores.parquet"), key=lambda path: path.stat().st_mtime)
        if not own:
            known = {path.parent.parent.name for path in (OUTPUTS / "runs").glob("*/*/scores.parquet")}
            raise ConfigError(f"--experiment: no finished run of '{experiment}'{nearest(experiment, known)}")
        found += [RunFolder(path.parent.resolve()) for path in own]
    return list({folder.path: folder for folder in found}.values())


def latest(sources: list[Source], names: list[str]) -> tuple[list[Source], list[str]]:
    """Of runs of the same settings, data and seed the last, unless each was named; and the titles of the others."""
    if names:
        return sources, []
    kept = {
        repr(({**source.config, "compute": None, "decision": None, "tracker": None}, source.data)): source for source in sources
    }
    return list(kept.values()), [source.title for source in sources if source not in kept.values()]


def keep(found: Comparison, folder: Path, command: str) -> None:
    """The tables, the page and the picture in the folder of the comparison."""
    from hwds.report.comparison import page
    from hwds.report.comparison_plot import critical_difference_png
    from hwds.report.comparison_words import sentence
    from hwds.results.atomic import write_text

    found.write(folder, sentence(found), command)
    critical_difference_png(found, folder / "critical_difference.png")
    write_text(folder / "comparison.md", page(found, command))


def show(found: Comparison, passed_over: list[str]) -> None:
    """Print the tables, what is to be known before they are read, and what they mean."""
    from dataclasses import replace

    from hwds.report.comparison import grids
    from hwds.report.comparison_words import sentence
    from hwds.report.leaderboard import print_grids
    from hwds.results.wording import counted

    older = [f"Earlier runs of the same settings left out: {', '.join(passed_over)}."] if passed_over else []
    many = len(found.leaderboard) - MOST
    cut = (
        [f"{counted(many, 'models')} more, and the rivals further from {found.subject}: comparison.md has all."]
        if many > 0
        else []
    )
    nearest_first = found.pairs["effect"].abs().arg_sort()[:MOST].sort()
    shown = replace(found, pairs=found.pairs[nearest_first])
    print_grids([each.cut(MOST) for each in grids(shown)], [*cut, *found.notes, *older], sentence(found))
