"""Ridge: least squares with shrunken slopes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge

from hwds.frames.table import Table
from regression.models.base import Line, Regressor


class Ridge(Regressor):
    """Least squares of the outcome on all inputs.

    Attributes:
        shrinkage: Of the slopes towards 0.
    """

    search_space: ClassVar[Mapping[str, Any]] = {"shrinkage": {"choice": [0.0, 10.0, 1000.0]}}

    shrinkage: Annotated[float, Ge(0)] = 0.0

    def fit(self, train: Table) -> Line:
        """Solve the normal equations."""
        x = np.column_stack([np.ones(train.height), train.numbers(train.inputs)])
        penalty = self.shrinkage * np.diag([0.0, *[1.0] * (x.shape[1] - 1)])
        outcome = train.column("outcome").to_numpy()
        return Line(train.inputs, np.linalg.solve(x.T @ x + penalty, x.T @ outcome))
