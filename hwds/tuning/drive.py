"""The run of all trials of a sweep: from rung to rung by the experiment's compute, or by Ray Tune where that is Ray's."""

from __future__ import annotations

from hwds.core.errors import ConfigError
from hwds.execution.compute.processes import usable_cores
from hwds.execution.ray.executor import OnRay
from hwds.experiment.warm_up import warmed
from hwds.tuning.ray.tuner import tuned
from hwds.tuning.rungs import SweepListener, TrialRecord, run_search
from hwds.tuning.search import Search


def run_trials(search: Search, watch: SweepListener) -> list[TrialRecord]:
    """Run all trials of a sweep; a rung is complete before the next begins, but for Ray Tune, which stops trials at once.

    Args:
        search: The trials and their cells.
        watch: The listener that is called for each cell and trial.

    Raises:
        ConfigError: A trial is to have more threads than there are cores.
    """
    compute = search.experiment.compute
    if isinstance(compute, OnRay):
        return tuned(compute, search, watch)
    wanted = search.sweep.cpus_per_trial or 1
    if wanted > usable_cores():
        raise ConfigError(f"sweep.cpus_per_trial: must be <= {usable_cores()}, the cores there are, got {wanted}.")
    return run_search(search, watch)


def warm_up_trials(search: Search) -> dict[str, float]:
    """Warm up the first trial of each option that has cells to compute: the others differ in numbers alone."""
    took: dict[str, float] = {}
    for group in search.trial_groups:
        labels = dict.fromkeys(cell.model for cell, key in group.cells.items() if not search.cache.has(key))
        first = {group.job.models[label].name: label for label in reversed(list(labels))}
        took |= warmed(group.job, group.frame, first)
    return took
