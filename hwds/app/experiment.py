"""One composed experiment: a run, or a search for other settings and the run of the best of them."""

from __future__ import annotations

from typing import Any

from hwds.app.run import exit_code, run_experiment
from hwds.app.sweep import run_sweep
from hwds.experiment.check import check
from hwds.tuning.search_settings import Searching


def main(data: dict[str, Any]) -> int:
    """Run one experiment or its search, print the results and return the exit code of the process."""
    experiment = check(data)
    if isinstance(experiment.sweep, Searching):
        return run_sweep(experiment, data)
    return exit_code(run_experiment(experiment, data))
