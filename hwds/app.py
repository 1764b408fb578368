"""One composed experiment: a run, or a search for other settings and the run of the best of them."""

from __future__ import annotations

from typing import Any

from hwds.app_run import executed, exit_code
from hwds.app_search import search
from hwds.config.check import check


def main(data: dict[str, Any]) -> int:
    """Run one experiment and show what came of it; the process's exit code."""
    experiment = check(data)
    sweep: Any = experiment.sweep
    if sweep.searches:
        return search(experiment, data)
    return exit_code(*executed(experiment, data))
