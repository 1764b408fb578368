"""Compare models over finished runs: `hwds compare RUN... | --experiment X [--model M] [--margin 0.01] [--json]`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from hwds.errors import ConfigError, nearest
from hwds.flags import parsed

if TYPE_CHECKING:
    from hwds.compare.source import Source
    from hwds.results.comparison import Comparison
    from hwds.results.folder import RunFolder

FLAGS = ("--experiment", "--metric", "--model", "--margin", "--resamples")
"""Flags that are followed by a value."""

BARE = ("--json",)


def main(words: list[str]) -> int:
    """Say which model is better, by how much and how sure that is, on the rows that all of them answered."""
    names, flags = parsed("compare", words, FLAGS, BARE)
    if not names and "--experiment" not in flags:
        raise ConfigError("compare: must be followed by runs, or by --experiment and its name.")
    as_data = flags.pop("--json", None) is not None
    margin = number("--margin", flags["--margin"]) if "--margin" in flags else None
    resamples = int(number("--resamples", flags.get("--resamples", "2000")))
    if resamples < 100:
        raise ConfigError(f"--resamples: must be at least 100, got {resamples}.")
    from hwds.compare.comparing import compare
    from hwds.compare.source import Source
    from hwds.hashing import digest
    from hwds.report.comparison_words import sentence
    from hwds.results.comparison import as_json
    from hwds.results.folder import OUTPUTS

    sources, passed_over = latest([Source.read(folder) for folder in folders(names, flags.get("--experiment", ""))], names)
    found = compare(
        sources, metric=flags.get("--metric", ""), model=flags.get("--model", ""), margin=margin, resamples=resamples
    )
    asked = sorted((flag, said) for flag, said in flags.items() if flag != "--experiment")
    folder = (OUTPUTS / "comparisons" / digest([sorted(found.sources), asked])).resolve()
    keep(found, folder, shlex.join(["python", "-m", "hwds", "compare", *(word for word in words if word != "--json")]))
    if as_data:
        print(as_json({"sentence": sentence(found), "folder": str(folder)} | found.as_dict()))
        return 0
    show(found, passed_over)
    print(f"Comparison: {folder}")
    return 0


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
    from hwds.report.comparison import grids
    from hwds.report.comparison_words import sentence
    from hwds.report.leaderboard import print_grids

    older = [f"Earlier runs of the same settings left out: {', '.join(passed_over)}."] if passed_over else []
    print_grids(grids(found), [*found.notes, *older], sentence(found))
