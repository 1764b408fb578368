"""Searching: what all searches share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from annotated_types import Ge

from hwds.config.space import Leaf
from hwds.recipe import Count, Positive, Small, Whole
from hwds.sweeps.base import Sweep
from hwds.sweeps.drawing import drawn


class Told(NamedTuple):
    """What a search that learns is told of a trial: its settings, and its score after each rung, the lower the better."""

    settings: Mapping[str, Any]
    rungs: Mapping[int, float]


class Searching(Sweep):
    """A search: trials are scored on windows before the experiment's own, and the best alone on those.

    Class attributes: `stops`, whether trials are stopped between windows; `every`, whether the space alone says how many trials
    there are, and `trials` the most; `learns`, whether settings are proposed by the scores
    of those before; `needs`, a package that is not installed with hwds.

    Attributes:
        metric: What trials are compared by, the short name of a metric; empty takes the protocol's headline (of one against
            the truth that of labels, for nobody knows the truth who chooses).
        mode: Which side of it is good; `auto` takes what the metric says of itself.
        trials: How many different settings are tried. More later go on from those that were tried.
        windows: The most inner windows, all of which end before the first cutoff of the experiment's own; each is a rung. They
            overlap where the history is too short to lie side by side, and where it is shorter still there are fewer, which
            is said.
        seconds: After which no new trial is begun; null for no limit. What was not finished goes on with more seconds.
        seconds_per_trial: What the windows of one trial may take together, those of earlier executions included; a trial that
            takes more has failed, for it is ended where it stands. Null for no limit.
        memory_per_trial: GiB that a trial may hold resident, libraries included (TensorFlow alone takes half a GiB); one that
            takes more is ended too. Null for no limit.
        cpus_per_trial: Threads of each trial, XGBoost, TensorFlow, BLAS, polars and numba alike; null takes
            `compute.cpus_per_cell`.
        gpus_per_trial: GPUs of each, or a part of one; null takes `compute.gpus_per_cell`. Ray alone gives them out.
        concurrent: The most trials at once; null for as many as there are CPUs for.
        baseline: Whether trial 0 is the experiment as it stands; it is never stopped, and scored on the final windows too.
        seed: Names the draws.
    """

    searches: ClassVar[bool] = True
    stops: ClassVar[bool] = False
    every: ClassVar[bool] = False
    learns: ClassVar[bool] = False
    needs: ClassVar[str] = ""

    metric: str = ""
    mode: Literal["auto", "min", "max"] = "auto"
    trials: Annotated[Count, Small(3)] = 20
    windows: Annotated[Count, Small(2)] = 6
    seconds: Positive | None = None
    seconds_per_trial: Positive | None = None
    memory_per_trial: Positive | None = None
    cpus_per_trial: Count | None = None
    gpus_per_trial: Annotated[float, Ge(0)] | None = None
    concurrent: Count | None = None
    baseline: bool = True
    seed: Whole = 0

    def settings(self, leaves: Sequence[Leaf]) -> Iterator[dict[str, Any]]:
        """Values by path, one mapping after the other; the first so many do not depend on how many are asked for."""
        number = 0
        while True:
            yield drawn(leaves, self.seed, number)
            number += 1

    @property
    def at_first(self) -> int:
        """How many of them there are before any has a score."""
        return self.trials

    def proposals(self, leaves: Sequence[Leaf], told: Sequence[Told], folds: int) -> Iterator[dict[str, Any]]:
        """Values by path, by what is told of all trials before; `folds` is how many windows a trial has that finishes."""
        raise NotImplementedError(f"{type(self).__name__}.proposals")

    def rungs(self, folds: int) -> tuple[int, ...]:
        """After how many folds trials are compared; the last is all of them."""
        return (folds,)

    def scheduler(self, folds: int) -> tuple[str, dict[str, Any]]:
        """The scheduler of Ray Tune that does the same without waiting, and its settings; `folds` is what it counts."""
        return "FIFOScheduler", {}

    def kept(self, rung: int, folds: int, scores: Mapping[int, float]) -> set[int]:
        """The trials that go on from a rung.

        Args:
            rung: Folds behind them.
            folds: All folds.
            scores: The running score of each trial that is in, the lower the better.
        """
        return set(scores)
