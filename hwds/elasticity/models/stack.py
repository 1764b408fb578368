"""A weighted mean of several models of demand, weighed on price moves before the cutoff."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le, MinLen

from hwds.core.recipe import Small
from hwds.elasticity.context import ElasticityContext
from hwds.elasticity.design.identification import identify
from hwds.elasticity.design.rows import Design
from hwds.elasticity.models.base import ElasticityModel
from hwds.elasticity.models.stacking.fitted import FittedStack, combined, weights_by_cell
from hwds.elasticity.models.stacking.weights import best_weights, held_out_moves, simplex_weights
from hwds.elasticity.notes import WEIGHT
from hwds.frames.panel import Panel


class Stack(ElasticityModel):
    """Combine models of demand: their elasticities are averaged with weights learned on price moves that none was fitted to.

    Each member is fitted before each of the last `windows` horizons of the history, and predicts how demand answers to the
    price moves in it. Weights judge the units before and after a move by their binomial deviance. Those of the least deviance
    follow what the moves of few windows have in common by chance, so that the default goes half way from them to equal ones
    (Diebold and Shin 2019, "partially egalitarian"). Every member is then fitted on all rows. A member without an answer for a
    cell leaves its weight to the others there.

    Attributes:
        members: Models of demand, at least two.
        combine: `shrunk`, half way from `simplex` (of the least deviance, at least 0) to `equal`; or the `best` member alone.
        windows: Windows that the weights are learned on; fewer where they would leave less than half of the periods.
        threshold: The least absolute change of the log price that is a move: .05 is 5 %.
    """

    search_space: ClassVar[Mapping[str, Any]] = {"combine": {"choice": ["shrunk", "simplex", "equal", "best"]}}

    members: Annotated[tuple[ElasticityModel, ...], MinLen(2)]
    combine: Literal["shrunk", "simplex", "equal", "best"] = "shrunk"
    windows: Annotated[int, Ge(1), Le(100), Small(1)] = 2
    threshold: Annotated[float, Ge(0), Le(10)] = 0.05

    def learn(self, history: Panel, context: ElasticityContext) -> FittedStack:
        """Learn weights from inner windows, then fit every member on all rows.

        Raises:
            DataError: There is no price, or none that ever changes.
        """
        design = Design.of(history, self.terms, context.controls)
        shares = self._weights(history, context)
        members = tuple(member.learn(history, context) for member in self.members)
        weights = weights_by_cell(members, shares)
        notes = {f"{WEIGHT}{member.name}": float(share) for member, share in zip(self.members, shares, strict=True)}
        estimates = combined(design, members, weights, context.level, notes)
        known = self.fitted(design, estimates, identify(design, by_period=self.by_period), context)
        return FittedStack(**vars(known), members=members, weights=weights)

    def _weights(self, history: Panel, context: ElasticityContext) -> np.ndarray:
        """Return the weights of the members; equal ones where no price moved in a window."""
        equal = np.full(len(self.members), 1 / len(self.members))
        if self.combine == "equal":
            return equal
        moves = held_out_moves(self.members, history, self.windows, self.threshold, context)
        if not len(moves.after):
            return equal
        if self.combine == "best":
            return best_weights(moves)
        least = simplex_weights(moves)
        return least if self.combine == "simplex" else (least + equal) / 2
