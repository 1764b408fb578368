"""Parameters of demand from a regression of log odds: the price slope, the nesting parameter, elasticities that follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.elasticity.design.rows import Design
from hwds.elasticity.estimation.clusters import numbered
from hwds.elasticity.estimation.instruments import WEAK_F, TwoStage
from hwds.elasticity.estimation.nested_logit import nested_elasticities
from hwds.elasticity.fitted import CrossPairs


@dataclass(frozen=True, eq=False)
class Choice:
    """The parameters of a choice by utilities.

    Attributes:
        slope: Of the utility by the price.
        nesting: The nesting parameter, 0 without nests.
        covariance: Of the two, shape (2, 2).
        f: The first stage's of the price, and of the share within nests; inf where it has no instruments.
        nested: Whether there are nests.
    """

    slope: float
    nesting: float
    covariance: np.ndarray
    f: tuple[float, float]
    nested: bool

    @classmethod
    def of(cls, fit: TwoStage, *, nested: bool) -> Choice:
        """Return the parameters that a regression has first."""
        count = 1 + nested
        covariance = np.zeros((2, 2))
        covariance[:count, :count] = fit.variance.covariance[:count, :count]
        nesting, f = (float(fit.beta[1]), float(fit.f[1])) if nested else (0.0, float(np.inf))
        return cls(float(fit.beta[0]), nesting, covariance, (float(fit.f[0]), f), nested)

    def elasticities(self, design: Design, price: np.ndarray, bought: np.ndarray) -> tuple[np.ndarray, np.ndarray, CrossPairs]:
        """Return own elasticities, shape (K,), their derivatives by both parameters, shape (K, 2), and those of all pairs.

        Pairs are cells of one channel. Errors of all are those of the two parameters (delta method).

        Args:
            design: The cells.
            price: Of each cell, NaN where unknown, shape (K,).
            bought: The share of its market, NaN where unknown, shape (K,).
        """
        own, by = np.full(len(design), np.nan), np.full((len(design), 2), np.nan)
        channel = design.codes("channel")
        nests = design.codes("nest") if self.nested else np.zeros(len(design), np.int64)
        parts = []
        for number in range(int(channel.max()) + 1):
            cells = np.flatnonzero((channel == number) & np.isfinite(price * bought))
            if not len(cells):
                continue
            known = nested_elasticities(price[cells], bought[cells], numbered(nests[cells]), self.slope, self.nesting)
            own[cells] = np.diag(known.matrix)
            by[cells] = np.column_stack([np.diag(known.by_slope), np.diag(known.by_nesting)])
            row, column = np.nonzero(~np.eye(len(cells), dtype=bool))
            gradient = np.column_stack([known.by_slope[row, column], known.by_nesting[row, column]])
            variance = np.einsum("pi,ij,pj->p", gradient, self.covariance, gradient)
            values = known.matrix[row, column], np.sqrt(np.maximum(variance, 0.0))
            parts.append(np.stack([cells[row].astype(float), cells[column].astype(float), *values]))
        every = np.concatenate(parts, axis=1)
        every = every[:, np.lexsort((every[1], every[0]))]
        places = every[:2].astype(np.int64)
        return own, by, CrossPairs(places[0], places[1], every[2], every[3], np.zeros(every.shape[1]))

    @property
    def stderr(self) -> np.ndarray:
        """The standard errors of slope and nesting parameter, shape (2,)."""
        return np.asarray(np.sqrt(np.maximum(np.diag(self.covariance), 0.0)))

    def status(self) -> tuple[str, str]:
        """Return the status and reason of every cell: those of the slope which all share."""
        for strength, what in zip(self.f, ("its instruments are weak", "the instruments of nests are weak"), strict=True):
            if strength < WEAK_F:
                return "weak", f"{what}: the first stage's F is {strength:.1f}"
        if abs(self.slope) < 2 * self.stderr[0]:
            return "weak", f"the slope of all products is {self.slope:.3g} with a standard error of {self.stderr[0]:.2g}"
        return "identified", "by the slope that all products share"

    def notes(self) -> dict[str, float]:
        """Return the parameters, their errors and the strength of instruments."""
        notes = {"price_slope": self.slope, "price_slope_stderr": float(self.stderr[0])}
        if np.isfinite(self.f[0]):
            notes["first_stage_f"] = self.f[0]
        if self.nested:
            notes |= {"nesting": self.nesting, "nesting_stderr": float(self.stderr[1])}
        if np.isfinite(self.f[1]):
            notes["nesting_first_stage_f"] = self.f[1]
        return notes
