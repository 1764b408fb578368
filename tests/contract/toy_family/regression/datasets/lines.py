"""Lines: rows whose outcome is a line of one column, and noise."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.core.recipe import Positive, PositiveInt
from hwds.datasets.base import Dataset
from hwds.frames.table import Table


class Lines(Dataset):
    """Rows of `outcome = 1 + 2 x input + noise`.

    Attributes:
        rows: How many.
        noise: Its standard deviation.
    """

    gives = Table

    rows: PositiveInt = 200
    noise: Positive = 0.5

    def load(self) -> Table:
        """Return the rows."""
        rng = np.random.default_rng(7)
        x = rng.normal(size=self.rows)
        data = pl.DataFrame(
            {"input": x, "result": 1 + 2 * x + rng.normal(0, self.noise, self.rows)}
        )
        return Table.build(data, {"outcome": ("result",), "covariate": ("input",)})
