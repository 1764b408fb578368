"""Show a finished run or sweep again: its leaderboard, its config and where it lies.

`hwds show lstm_forecast` is its newest run; `hwds show lstm_forecast/4a2f` one by its id, `hwds show sweeps/NAME` a sweep.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwds.flags import one_run

if TYPE_CHECKING:
    from hwds.results.sweep_folder import SweepFolder


def main(words: list[str]) -> int:
    """Print what a run or a sweep found.

    RUN is a path, an id, its beginning, or an experiment's name for its latest run; a sweep is named likewise, with `sweeps/`
    before it where a run bears the same name.
    """
    name = one_run("show", words)
    from hwds.results.sweep_folder import SweepFolder

    sweep = SweepFolder.named(name)
    if sweep is None:
        show_run(name)
    else:
        show_sweep(sweep)
    return 0


def show_run(name: str) -> None:
    """The leaderboard of a run, and what was decided."""
    from hwds.report.standings import standings
    from hwds.report.tasks import print_run
    from hwds.results.folder import RunFolder

    folder = RunFolder.find(name)
    config, tables = folder.read_config(), folder.read_tables()
    headline = str(config["protocol"].get("headline", ""))
    origin = folder.read_provenance()
    model, dataset, protocol = (config[group]["name"] for group in ("model", "dataset", "protocol"))
    print(f"{folder.title}: {model} on {dataset}, {protocol}, seed {config['seed']}")
    print(f"{origin['command']}\n")
    print_run(tables, standings(tables, headline, model=model), folder.read_conclusion())
    verdict = folder.read_verdict()
    if verdict is not None:
        print(verdict["sentence"])
    print(f"Results: {folder.path}")


def show_sweep(folder: SweepFolder) -> None:
    """The trials of a sweep, what came of the best, what mattered, and how long it took."""
    from hwds.metrics.base import Measure
    from hwds.report.sweep import conclusion, from_dict, print_trials
    from hwds.report.sweep_failures import print_failures
    from hwds.report.sweep_importance import importance_sentence
    from hwds.report.sweep_time import time_sentence

    told, trials = folder.read_json(), folder.read_trials()
    config, sweep = told["config"], told["sweep"]["name"]
    model, dataset, protocol = (config[group]["name"] for group in ("model", "dataset", "protocol"))
    print(f"sweep {folder.title}: {sweep} of {model} on {dataset}, {protocol}, seed {config['seed']}")
    print(f"{told['command']}\n")
    found = from_dict(trials, told, Measure(told["metric"], better=told["better"]))
    print_failures(trials)
    print_trials(found)
    said = (conclusion(found), importance_sentence(told["importance"]), time_sentence(told["time"]))
    print("\n".join(line for line in said if line))
    print(f"Sweep: {folder.path}\nThe best settings run by `{folder.command}`.")


def choices() -> list[str]:
    """The runs and sweeps that there are, for completion."""
    from hwds.results.folder import RunFolder
    from hwds.results.sweep_folder import SweepFolder

    return [*RunFolder.names(), *SweepFolder.names()]
