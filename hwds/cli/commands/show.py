"""Show a finished run or sweep again: its results, its config and its folder.

`hwds show lstm_forecast` is its newest run, `hwds show lstm_forecast/4a2f` one by its id, `hwds
show sweeps/NAME` a sweep.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwds.cli.words import AS_JSON, ONE_RUN_OR_SWEEP, command, print_json

if TYPE_CHECKING:
    from hwds.results.sweep_folder import SweepFolder


@command(help=__doc__)
@ONE_RUN_OR_SWEEP
@AS_JSON
def main(run: str, as_json: bool) -> int:
    """Print what a run or a sweep found.

    RUN is a path, an id, its beginning, or an experiment's name for its latest run; a sweep is
    named likewise, with `sweeps/` before it where a run bears the same name.
    """
    from hwds.results.sweep_folder import SweepFolder

    sweep = SweepFolder.find_unless_run(run)
    if as_json:
        from hwds.cli.experiment import stored_record
        from hwds.results.folder import RunFolder

        print_json(stored_record(sweep or RunFolder.find(run)))
    elif sweep is None:
        show_run(run)
    else:
        show_sweep(sweep)
    return 0


def show_run(name: str) -> None:
    """The leaderboard of a run, and what was decided."""
    from hwds.cli.run import show_stored
    from hwds.report.hooks import stored_report
    from hwds.report.runs import short_run_title
    from hwds.report.standings import run_conclusion, stored_standings
    from hwds.report.verdict import stored_grids
    from hwds.results.folder import RunFolder

    folder = RunFolder.find(name)
    config, tables = folder.read_config(), folder.read_tables()
    board, verdict = stored_standings(config, tables), folder.read_verdict()
    model, dataset, protocol = (config[group]["name"] for group in ("model", "dataset", "protocol"))
    print(f"{folder.title}: {model} on {dataset}, {protocol}, seed {config['seed']}")
    print(f"{folder.read_provenance()['command']}\n")
    show_stored(
        folder,
        tables,
        board,
        stored_report(config, tables),
        said=folder.read_conclusion() or run_conclusion(board),
        decided=str(verdict["sentence"]) if verdict else "",
        action=str(verdict["action"]) if verdict else "",
        decision=stored_grids(folder.path),
        remarks=folder.read_remarks(),
        report=f"hwds report {short_run_title(folder.title)}",
    )


def show_sweep(folder: SweepFolder) -> None:
    """The trials of a sweep, what came of the best, what mattered, and how long it took."""
    from hwds.report.sweep import print_sweep, stored_result, time_sentence
    from hwds.report.sweep_pictures import importance_sentence

    record = folder.read_json()
    print(f"{record['command']}\n")
    remarks = importance_sentence(record["importance"]), time_sentence(record["time"])
    print_sweep(folder, stored_result(folder), (), remarks)
