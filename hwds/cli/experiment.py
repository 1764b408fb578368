"""Composed experiments: a run, or a search for other settings and the run of the best of them;
several one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from hwds.cli.run import exit_code, run_experiment
from hwds.core.files import OUTPUTS
from hwds.core.registry import GROUPS
from hwds.experiment.spec import check
from hwds.report.leaderboard import print_grids
from hwds.report.standings import run_conclusion, stored_standings
from hwds.results.folder import RunFolder
from hwds.results.formatting import counted
from hwds.results.index import RunIndex, flatten_config

if TYPE_CHECKING:
    from hwds.results.sweep_folder import SweepFolder

Folder: TypeAlias = "RunFolder | SweepFolder"


def main(jobs: Sequence[dict[str, Any]]) -> tuple[int, list[Folder]]:
    """Run experiments, print the results of each and a table of all, and return the highest exit
    code and the folders.

    Args:
        jobs: The composed config of each.
    """
    names = differing_settings(jobs)
    outcomes = []
    for number, data in enumerate(jobs, 1):
        if len(jobs) > 1:
            print(
                f"{chr(10) if number > 1 else ''}Job {number} of {len(jobs)}: "
                f"{job_label(data, names) or 'the same again'}"
            )
        outcomes.append(run_composed(data))
    folders = [folder for _, folder in outcomes]
    runs = [each for each in folders if isinstance(each, RunFolder)]
    if len(jobs) > 1 and runs:
        print_jobs([run.path for run in runs], names)
    return max(code for code, _ in outcomes), folders


def run_composed(data: dict[str, Any]) -> tuple[int, Folder]:
    """Run one experiment or its search, and return the exit code and the folder."""
    experiment = check(data)
    if experiment.sweep.searches:
        from hwds.cli.sweep import run_sweep

        return run_sweep(experiment, data)
    result = run_experiment(experiment, data)
    return exit_code(result), result.prepared.folder


def differing_settings(jobs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the paths of settings that are not the same in all jobs.

    Of an option that differs, its name alone.
    """
    settings = [dict(flatten_config(data)) for data in jobs]
    paths = dict.fromkeys(path for each in settings for path in each)
    names = [path for path in paths if len({str(each.get(path)) for each in settings}) > 1]
    chosen = {path for path in names if path in GROUPS}
    return [path for path in names if path in chosen or path.partition(".")[0] not in chosen]


def job_label(data: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return `seed=2, model=forecast/theta`: what tells a job from the others."""
    settings = dict(flatten_config(data))
    return ", ".join(f"{name}={_plain(settings.get(name))}" for name in names)


def print_jobs(folders: Sequence[Path], names: Sequence[str]) -> None:
    """Print a table of runs, a row each: what tells them apart, and the score of each one's
    model.
    """
    from hwds.report.runs import runs_grid

    index = RunIndex.of()
    paths = [path.relative_to(OUTPUTS.resolve()).as_posix() for path in folders]
    shown = {"run", "status", "metric", "score", "stderr", "model", *names}
    runs = [
        {name: value for name, value in each.items() if name in shown}
        for each in index.fields(dict.fromkeys(paths)).values()
    ]
    print()
    print_grids(
        (runs_grid(runs, names),),
        (),
        f"{counted(len(runs), 'runs')}; `hwds compare` says which differ for sure.",
    )


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def stored_record(folder: Folder) -> dict[str, Any]:
    """Return what a finished run or sweep found as plain data."""
    if not isinstance(folder, RunFolder):
        return _sweep_record(folder)
    config, tables = folder.read_config(), folder.read_tables()
    board = stored_standings(config, tables)
    return {
        "run": folder.title,
        "folder": str(folder.path),
        "command": folder.read_provenance()["command"],
        **{group: config[group]["name"] for group in ("model", "dataset", "protocol")},
        "seed": config["seed"],
        "conclusion": folder.read_conclusion() or run_conclusion(board),
        "verdict": folder.read_verdict(),
        "leaderboard": board.as_table(),
        "remarks": folder.read_remarks(),
        "failed": int((tables.timings["status"] != "ok").sum()),
    }


def _sweep_record(folder: SweepFolder) -> dict[str, Any]:
    from hwds.report.sweep import stored_result, sweep_conclusion

    record, result = folder.read_json(), stored_result(folder)
    named = ("best", "untuned", "tuned", "run", "own_run", "command")
    return {
        "sweep": folder.title,
        "folder": str(folder.path),
        "conclusion": sweep_conclusion(result),
        **{name: record[name] for name in named},
        "trials": result.trials,
    }
