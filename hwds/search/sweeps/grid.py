"""Grid search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np

from hwds.core.recipe import Folds, Small, Trials
from hwds.core.search_space import Leaf
from hwds.core.seeds import stream
from hwds.search.sweeps.base import Searching, grid_combinations


class Grid(Searching):
    """Every combination of values; of a range, points with the same distance (in its logarithm for
    `loguniform`).

    Attributes:
        trials: The most; of a larger grid so many combinations are tried, taken at random.
        points: The number of values that each range is divided into.
    """

    every: ClassVar[bool] = True

    trials: Annotated[Trials, Small(3)] = 100
    points: Folds = 3

    def settings(self, leaves: Sequence[Leaf]) -> Iterator[dict[str, Any]]:
        """Yield the combinations, in order where all of them are tried."""
        every = list(grid_combinations(leaves, self.points))
        order = np.arange(len(every))
        if len(every) > self.trials:
            order = stream(self.seed, "grid").permutation(len(every))
        yield from (every[place] for place in order)
