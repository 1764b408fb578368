"""Boosted trees of demand in which a higher price never sells more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le, Lt
from numpy import ndarray

from hwds.core.recipe import Depth, Small, Width
from hwds.elasticity.boosted import (
    TreeSettings,
    cell_margins,
    log_units,
    monotone_boosters,
    tree_features,
)
from hwds.elasticity.design import DemandDesign, identify
from hwds.elasticity.fitted import ElasticityContext, Estimates, FittedElasticities, reasons_where
from hwds.elasticity.models.base import ElasticityModel, t_critical
from hwds.elasticity.sweeping import group_means
from hwds.evaluation.trees import load_booster
from hwds.frames.panel import Panel


class MonotoneBoosting(ElasticityModel):
    """XGBoost with a Poisson likelihood and a monotone constraint on the price; elasticities by
    finite differences.

    A cell's elasticity is the mean change of log units over its rows, from a low to a high quantile
    of its observed prices, divided by the change of the log price. Nothing is estimated beyond
    these prices. The price may interact with product, channel, season and promotion. Errors are the
    spread over fits with new random weights of the periods; trees pull towards zero, which no
    spread shows: a second opinion, not a first.

    Attributes:
        trees: Boosted trees of each fit.
        depth: The levels of a tree.
        rate: The share of each tree's step that is taken.
        fits: Fits with new random weights; their mean is the answer.
        low: The quantile of a cell's prices from which differences are taken.
        high: The quantile of a cell's prices to which they are taken.
        effects: `cell` always: trees learn the season.
    """

    imports = ("xgboost",)
    search_space: ClassVar[Mapping[str, Any]] = {
        "depth": {"randint": [2, 7]},
        "trees": {"randint": [50, 601]},
    }

    effects: Literal["cell"] = "cell"
    trees: Annotated[Width, Small(40)] = 300
    depth: Depth = 4
    rate: Annotated[float, Ge(1e-4), Le(1)] = 0.05
    fits: Annotated[int, Ge(2), Le(1000), Small(3)] = 10
    low: Annotated[float, Ge(0), Lt(0.5)] = 0.1
    high: Annotated[float, Gt(0.5), Le(1)] = 0.9

    def estimate(
        self, design: DemandDesign, identification: pl.DataFrame, context: ElasticityContext
    ) -> Estimates:
        """Return the elasticities of all cells."""
        return self._grow(design, context)[0]

    def learn(self, history: Panel, context: ElasticityContext) -> FittedElasticities:
        """Return the elasticities of all cells, with the trees that predict.

        Raises:
            DataError: There is no price, or none that ever changes.
        """
        design = DemandDesign.of(history, self.terms, context.controls)
        estimates, boosters, margin = self._grow(design, context)
        known = self.fitted(design, estimates, identify(design, by_period=False), context)
        stored = [bytes(booster.save_raw("ubj")) for booster in boosters]
        return FittedBoosting(**vars(known), boosters=stored, margin=margin, cpus=context.cpus)

    def _grow(
        self, design: DemandDesign, context: ElasticityContext
    ) -> tuple[Estimates, list[Any], ndarray]:
        rows = np.flatnonzero(design.used)
        x, cell = tree_features(design)[rows], design.cell[rows]
        units, price = design.units[rows], design.log_price[rows]
        margin = cell_margins(units, cell, len(design))
        trees = TreeSettings.of(self.trees, self.depth, self.rate, context)
        weights = [
            context.stream("weights", fit).exponential(size=design.periods)[design.period[rows]]
            for fit in range(self.fits)
        ]
        boosters = monotone_boosters(trees, x, price, units, margin[cell], weights)
        low, high = _ranges(cell, price, len(design), (self.low, self.high))
        wide = high - low > 1e-6
        by_fit = np.stack(
            [self._slopes(booster, x, cell, margin, low, high) for booster in boosters]
        )
        slopes = np.where(wide, by_fit.mean(axis=0), np.nan)
        stderr = np.where(wide, by_fit.std(axis=0, ddof=1), np.nan)
        theta = np.zeros(design.x.shape[1])
        df = np.full(len(design), float(self.fits - 1))
        estimates = Estimates(
            slopes,
            stderr,
            t_critical(context.level, df),
            margin,
            theta,
            np.full(len(theta), np.nan),
            df,
            np.full(len(design), np.nan),
            np.where(np.outer(wide, wide), np.cov(by_fit.T), 0.0),
            unanswered=reasons_where(~wide, "its observed prices have no range"),
            method="t, fits to rows weighed anew",
        )
        return estimates, boosters, margin

    @staticmethod
    def _slopes(
        booster: object,
        x: ndarray,
        cell: ndarray,
        margin: ndarray,
        low: ndarray,
        high: ndarray,
    ) -> ndarray:
        """Return the mean change of log units over that of the log price, by cell, shape (K,)."""
        ends = [log_units(booster, x, price[cell], margin[cell]) for price in (low, high)]
        return group_means(ends[1] - ends[0], cell, len(margin)) / np.where(
            high > low, high - low, 1.0
        )


@dataclass(frozen=True, eq=False)
class FittedBoosting(FittedElasticities):
    """Elasticities, with the trees that predict demand.

    Attributes:
        boosters: As bytes, of which the mean of the logs is the prediction.
        margin: The log mean units of each cell, shape (K,).
        cpus: Threads.
    """

    boosters: list[bytes]
    margin: ndarray
    cpus: int

    def log_demand(self, panel: Panel) -> ndarray:
        """Return the log of expected units of each row, NaN without a price, shape (rows,)."""
        design = DemandDesign.of(panel, self.terms, self.controls, like=self.design)
        x, margin = tree_features(design), self.margin[design.cell]
        price = np.nan_to_num(design.log_price)
        mean = np.mean(
            [log_units(load_booster(each, self.cpus), x, price, margin) for each in self.boosters],
            axis=0,
        )
        return np.where(np.isfinite(design.log_price), mean, np.nan)


def _ranges(
    cell: ndarray, price: ndarray, cells: int, levels: tuple[float, float]
) -> tuple[ndarray, ndarray]:
    """Return two quantiles of each cell's log prices, 0 for a cell without rows, shape (cells,)
    each.
    """
    out = np.zeros((2, cells))
    bounds = np.searchsorted(cell, np.arange(cells + 1))
    for place in range(cells):
        own = price[bounds[place] : bounds[place + 1]]
        if len(own):
            out[:, place] = np.quantile(own, levels)
    return out[0], out[1]
