"""Compare models over finished runs, on the rows that all of them forecast.

Only rows that all of them forecast count. Runs are named by the beginning of their ids or by their
folders. Runs of other rows, other data or another definition of the metric are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwds.cli.words import (
    JSON_ALONE,
    NUMBER,
    QUIET,
    RUN,
    KnownWord,
    WholeNumber,
    command,
    number_option,
    print_json,
    run_names,
    study_names,
    sweep_names,
)
from hwds.core.errors import ConfigError, nearest

if TYPE_CHECKING:
    from hwds.results.comparison import Comparison
    from hwds.results.folder import RunFolder
    from hwds.stats.sources import RunSource

SELECTING = ("experiment", "sweep", "study")
"""Flags that say which runs."""

MOST = 40
"""Models that a terminal is given."""


def experiment_names() -> list[str]:
    """Return the experiments that have runs below the current folder."""
    return sorted({name.partition("/")[0] for name in run_names() if "/" in name})


@command(help=__doc__)
@click.argument("runs", nargs=-1, type=RUN)
@click.option(
    "--experiment",
    type=KnownWord("name", experiment_names),
    help="All finished runs of an experiment.",
)
@click.option(
    "--sweep",
    type=KnownWord("name", sweep_names),
    help="The best trial of a sweep, and the experiment as it stands.",
)
@click.option("--study", type=KnownWord("name", study_names), help="The runs of a study.")
@click.option("--metric", metavar="NAME", help="Compare by another metric than the headline.")
@click.option("--model", metavar="NAME", help="The model that the conclusion is about.")
@click.option(
    "--margin",
    type=NUMBER,
    metavar="SHARE",
    help='What does not matter: `0.01` is 1 %, so that "as good as" is a finding.',
)
@number_option("--resamples", WholeNumber(100), "Draw more often; 2,000 is usual.")
@JSON_ALONE
@QUIET
def main(runs: tuple[str, ...], as_json: bool, **flags: Any) -> int:
    """Say which model is better, by how much and how sure that is."""
    given = {name: value for name, value in flags.items() if value is not None}
    selecting = [f"--{name}" for name in SELECTING if name in given]
    if not runs and not selecting:
        raise ConfigError(
            "compare: must be followed by runs, or by --experiment, --sweep or --study and its "
            "name."
        )
    if len(selecting) > 1 or (runs and selecting not in ([], ["--experiment"])):
        raise ConfigError(
            f"compare: {selecting[-1]} says which runs; drop "
            f"{selecting[0] if len(selecting) > 1 else runs[0]}."
        )
    settings = [
        (f"--{name}", str(value)) for name, value in sorted(given.items()) if name not in SELECTING
    ]
    for title, comparison, older in selected_comparisons(runs, **given):
        folder = keep_comparison(comparison, settings)
        if as_json:
            print_comparison_json(comparison, folder)
        else:
            print(f"{title}:\n" if title else "", end="")
            show_comparison(comparison, older)
            print(f"Comparison: {folder}")
    return 0


def selected_comparisons(
    runs: Sequence[str],
    *,
    experiment: str = "",
    sweep: str = "",
    study: str = "",
    metric: str = "",
    model: str = "",
    margin: float | None = None,
    resamples: int = 2000,
) -> Iterator[tuple[str, Comparison, list[str]]]:
    """Yield a title, where there are several, each comparison, and the earlier runs that it leaves
    out.

    Raises:
        ConfigError: A study is asked with a metric or a model, which it has decided.
    """
    if study:
        from hwds.cli.study import study_comparisons

        decided = "--metric" if metric else "--model" if model else ""
        if decided:
            raise ConfigError(f"compare: {decided} is what the study has decided; drop it.")
        yield from (
            (name, comparison, [])
            for name, comparison in study_comparisons(study, margin, resamples).items()
        )
        return
    from hwds.results.sweep_folder import SweepFolder, candidates
    from hwds.stats.compare import compare
    from hwds.stats.sources import RunSource, model_labels

    older, choices = list[str](), 1
    if sweep:
        best, stood = RunSource.read(of_sweep(sweep))
        choices = candidates(SweepFolder.find(sweep).read_trials())
        sources = [best.with_config_of(stood), stood]
        model = model or model_labels(sources)[0][best.model]
    else:
        sources, older = latest_of_same_settings(RunSource.read(folders(runs, experiment)), runs)
    yield (
        "",
        compare(
            sources,
            metric=metric,
            model=model,
            margin=margin,
            resamples=resamples,
            remember=True,
            choices=choices,
        ),
        older,
    )


def print_comparison_json(comparison: Comparison, folder: Path) -> None:
    """Print a comparison as data."""
    from hwds.report.comparison import comparison_sentence

    said = {"sentence": comparison_sentence(comparison), "folder": str(folder)}
    print_json(said | comparison.as_dict())


def of_sweep(name: str) -> list[RunFolder]:
    """The run of a sweep's best trial, and that of the experiment as it stood, both on windows that
    chose nothing.

    Raises:
        HwdsError: There is no such sweep, or there are no two runs.
    """
    from hwds.core.errors import HwdsError
    from hwds.results.folder import RunFolder
    from hwds.results.sweep_folder import SweepFolder

    folder = SweepFolder.find(name)
    record = folder.read_json()
    if "run" not in record or not record.get("own_run"):
        why = (
            "it is not finished"
            if "run" not in record
            else "it did not try the experiment as it stands (sweep.baseline=true)"
        )
        raise HwdsError(f"--sweep: {folder.title} has no two runs to compare: {why}.")
    if record["run"] == record["own_run"]:
        raise HwdsError(
            f"--sweep: the best trial of {folder.title} is the experiment as it stands: there is "
            f"nothing to compare."
        )
    return [RunFolder.of_title(record[key]) for key in ("run", "own_run")]


def folders(names: Sequence[str], experiment: str) -> list[RunFolder]:
    """The folders of the runs named, each once, and of all finished runs of an experiment."""
    from hwds.core.files import OUTPUTS
    from hwds.results.files import last_ran
    from hwds.results.folder import RunFolder

    runs = [RunFolder.find(name) for name in names]
    if experiment:
        finished = sorted(
            (OUTPUTS / "runs" / experiment).glob("*/scores.parquet"),
            key=lambda path: last_ran(path.parent),
        )
        if not finished:
            experiments = {
                path.parent.parent.name for path in (OUTPUTS / "runs").glob("*/*/scores.parquet")
            }
            raise ConfigError(
                f"--experiment: no finished run of '{experiment}'{nearest(experiment, experiments)}"
            )
        runs += [RunFolder(path.parent.resolve()) for path in finished]
    return list({folder.path: folder for folder in runs}.values())


def latest_of_same_settings(
    sources: list[RunSource], names: Sequence[str]
) -> tuple[list[RunSource], list[str]]:
    """Return the last of runs of the same settings, data and seed, unless each was named.

    And the titles of the others.
    """
    if names:
        return sources, []
    last = {
        repr(
            ({**source.config, "compute": None, "decision": None, "tracker": None}, source.data)
        ): source
        for source in sources
    }
    return list(last.values()), [source.title for source in sources if source not in last.values()]


def keep_comparison(comparison: Comparison, settings: Sequence[tuple[str, str]]) -> Path:
    """Write the tables, the page and the picture of a comparison.

    Return the folder, named by its runs and settings.
    """
    from hwds.core.files import OUTPUTS, digest
    from hwds.report.comparison import (
        coefficients_figure,
        comparison_figure,
        comparison_markdown,
        comparison_sentence,
        critical_difference_figure,
    )
    from hwds.report.pictures import save_png
    from hwds.results.files import write_markdown
    from hwds.results.records import command_line

    folder = (
        OUTPUTS / "comparisons" / digest([sorted(comparison.sources), list(settings)])
    ).resolve()
    command = command_line()
    comparison.write(folder, comparison_sentence(comparison), command)
    save_png(coefficients_figure(comparison), folder / "coefficients.png")
    save_png(comparison_figure(comparison), folder / "forest.png")
    save_png(critical_difference_figure(comparison), folder / "critical_difference.png")
    write_markdown(folder / "comparison.md", comparison_markdown(comparison, command))
    return folder


def show_comparison(comparison: Comparison, passed_over: list[str]) -> None:
    """Print the tables, what is to be known before they are read, and what they mean."""
    from dataclasses import replace

    from hwds.report.comparison import (
        comparison_grids,
        comparison_sentence,
        comparison_title,
        specification_grid,
    )
    from hwds.report.grid import Grid
    from hwds.report.verdict import MOST_COLUMNS, Shown, print_shown
    from hwds.results.formatting import counted

    older = (
        [f"Earlier runs of the same settings left out: {', '.join(passed_over)}."]
        if passed_over
        else []
    )
    specified = specification_grid(comparison)
    many = max(
        len(comparison.leaderboard) - MOST,
        len(specified.columns) - MOST_COLUMNS if specified else 0,
    )
    cut = (
        [
            f"{counted(many, 'models')} more, and the rivals further from {comparison.subject}: "
            f"comparison.md has all."
        ]
        if many > 0
        else []
    )
    nearest_first = comparison.pairs["effect"].abs().arg_sort()[:MOST].sort()
    shown = replace(comparison, pairs=comparison.pairs[nearest_first])
    tables = [*([specified] if specified else []), *comparison_grids(shown)]
    board, *grids = [each.cut(MOST) for each in tables] or [Grid(())]
    print_shown(
        Shown(
            title=comparison_title(comparison),
            decision=[replace(board, caption="")],
            grids=grids,
            said=comparison_sentence(comparison),
            notes=[*cut, *comparison.notes, *older],
        )
    )
