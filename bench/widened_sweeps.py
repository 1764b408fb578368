"""A widened sweep beside a fresh one of as many new trials: `python -m bench.widened_sweeps >
bench/widened_sweeps.txt`.

On each of ten worlds of device sales a sweep of gradient boosting first tries a narrow space at
random, one of two. Then it is widened to that of the class, and each search tries eight new trials
in it, of which four are proposed: once with the earlier trials as evidence, once without. `python
-m bench.widened_sweeps 10 20` has other ten seeds. The figures are the best trial's mean absolute
scaled error on the inner windows, and how many earlier trials counted.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO

import numpy as np
from scipy import stats

from hwds.cli.experiment import run_composed
from hwds.cli.notebook import StoredSweep, load_sweep
from hwds.core.compose import compose

SEARCHES = {
    "optuna": ("sweep.startup=4", "sweep.batch=2"),
    "bohb": ("sweep.startup=4", "sweep.batch=4"),
}
EARLIER, NEW = 10, 8
"""Trials of the narrow sweep, and of each after it."""

WORDS = (
    *(
        "model=forecast/xgboost",
        "model.trees=15",
        "model.patience=0",
        "features=lags",
        "dataset=hardware_demand",
    ),
    *(
        "dataset.families=1",
        "protocol=holdout",
        "protocol.horizon=3",
        "compute=serial",
        "pictures=false",
        "sweep.windows=2",
    ),
)
NARROW = {
    "slow and shallow": ("learning_rate=[0.01,0.03]", "depth=[2,4]"),
    "large leaves, few columns": ("leaf_rows=[100,500]", "column_share=[0.3,0.5]"),
}
"""The space of the earlier sweep."""


def main(first: int = 0, end: int = 10) -> None:
    """Print a row for each space, search and seed from the first to the end (excluded), and what is
    seen over the seeds.
    """
    for space in NARROW:
        for search in SEARCHES:
            show(space, search, {seed: _of_seed(space, search, seed) for seed in range(first, end)})


def show(space: str, search: str, of_seed: Mapping[int, tuple[float, ...]]) -> None:
    """Print the rows of the seeds of one space and search, and the mean difference with its Student
    interval over seeds.
    """
    print(
        f"{space}\n{'search':<8}{'seed':>5}{'earlier':>9}{'lawful':>8}{'counted':>9}{'widened':>9}{'fresh':>9}"
    )
    for seed, (earlier, lawful, counted, widened, fresh) in of_seed.items():
        print(
            f"{search:<8}{seed:>5}{earlier:>9.4f}{lawful:>8.0f}{counted:>9.0f}{widened:>9.4f}{fresh:>9.4f}"
        )
    own, other = np.array(list(of_seed.values()))[:, 3:].T
    better, worse = int((own < other - 1e-12).sum()), int((own > other + 1e-12).sum())
    percent = 100 * np.log(own / other)
    half = stats.t.ppf(0.975, len(percent) - 1) * stats.sem(percent)
    print(
        f"{search}: {better} better, {len(own) - better - worse} equal, {worse} worse; mean "
        f"{own.mean():.4f} against",
        end="",
    )
    print(
        f" {other.mean():.4f}: {percent.mean():+.2f} % (95 %: {percent.mean() - half:.2f} to "
        f"{percent.mean() + half:.2f})\n",
        flush=True,
    )


def _of_seed(space: str, search: str, seed: int) -> tuple[float, ...]:
    """Return the narrow sweep's best, how many of its trials lie in the wide space, how many
    counted, and both bests there.
    """
    words = (*WORDS, f"dataset.seed={seed}", f"sweep.seed={seed}")
    narrow = ("sweep=random", *(f"sweep.space.model.{leaf}" for leaf in NARROW[space]))
    wide = (*words, f"sweep={search}", f"sweep.trials={NEW}", *SEARCHES[search])
    with (
        tempfile.TemporaryDirectory() as folder,
        chdir(folder),
        redirect_stdout(StringIO()),
        redirect_stderr(StringIO()),
    ):
        earlier = _swept(*words, *narrow, f"sweep.trials={EARLIER}")
        widened, fresh = _swept(*wide), _swept(*wide, "sweep.reuse=false")
        lawful = (
            int((earlier.trials["status"] == "finished").sum()) - 1
        )  # trial 0 is the experiment as it stands in both
        return (
            earlier.result.inner.value or np.nan,
            lawful,
            int((widened.trials["source"] != "").sum()),
            widened.result.inner.value or np.nan,
            fresh.result.inner.value or np.nan,
        )


def _swept(*words: str) -> StoredSweep:
    """Return the sweep of these words, run in this process."""
    run_composed(compose(list(words)))
    return load_sweep("sweeps/adhoc")


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
