"""Double machine learning: a second opinion on elasticities, with season, trend and all else left
to boosted trees.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Le
from numpy import ndarray

from hwds.core.errors import DataError
from hwds.core.recipe import Depth, Small, Width
from hwds.elasticity.boosted import TreeSettings, cell_margins, fit_prices, fit_units, tree_features
from hwds.elasticity.design import DemandDesign
from hwds.elasticity.fitted import ElasticityContext, Estimates, reasons_where
from hwds.elasticity.models.base import (
    FEW_MOVES,
    Cluster,
    ElasticityModel,
    demand_levels,
    refuse_few_clusters,
)
from hwds.elasticity.sweeping import fit_ppml


class DML(ElasticityModel):
    """Cross-fitted partialling out (Chernozhukov et al. 2018) for counts: what trees cannot explain
    of units and of prices.

    Trees learn units and log prices from product, channel, season, time, promotion and substitutes
    on other folds; the elasticity is the pseudo-likelihood slope of units, around their
    expectation, on the price minus its expectation, with clustered errors. A fold has whole
    periods: rows of one period in several folds would let trees learn a chain's price of the week
    from sister stores, which changes the question. `residual_share` is the part of the price's
    variance within cells that is left: with little of it there is no answer.

    Attributes:
        common: The cells that share an elasticity: a product, a channel, a family or all.
        folds: The number of folds of cross-fitting.
        scheme: `periods` drawn at random, or `blocks` of time: with blocks, trees must know the
            season of a block from others, and the part that they miss stays in the answer.
        cluster: Within which errors may depend on each other.
        trees: Boosted trees of each fit.
        depth: The levels of a tree.
        rate: The share of each tree's step that is taken.
        effects: `cell` always: trees learn the season.
    """

    imports = ("xgboost",)
    search_space: ClassVar[Mapping[str, Any]] = {
        "depth": {"randint": [2, 7]},
        "trees": {"randint": [50, 401]},
    }

    effects: Literal["cell"] = "cell"
    common: Literal["sku", "channel", "family", "all"] = "all"
    folds: Annotated[int, Ge(2), Le(50), Small(3)] = 5
    scheme: Literal["periods", "blocks"] = "periods"
    cluster: Cluster = "sku_period"
    trees: Annotated[Width, Small(30)] = 150
    depth: Depth = 3
    rate: Annotated[float, Ge(1e-4), Le(1)] = 0.08

    def estimate(
        self, design: DemandDesign, identification: pl.DataFrame, context: ElasticityContext
    ) -> Estimates:
        """Return the elasticities that cells share."""
        rows = np.flatnonzero(design.used)
        expected, residual = self._cross_fitted(design, rows, context)
        code = design.codes(self.common)
        own = code[design.cell[rows]]
        price = np.where(own[:, None] == np.arange(int(code.max()) + 1), residual[:, None], 0.0)
        fit = fit_ppml(design.units[rows], price, design.cell[rows], None, offset=expected)
        known = fit.variance(
            [design.clusters(self.cluster)[rows]], context.stream("wild_bootstrap"), context.level
        )
        within = design.log_price[rows]
        sure = known.sure[code]
        refuse_few_clusters(sure, self.cluster)
        theta, slopes = np.zeros(design.x.shape[1]), np.where(sure, fit.beta[code], np.nan)
        return Estimates(
            slopes,
            np.where(sure, known.stderr[code], np.nan),
            known.critical[code],
            demand_levels(design, slopes, theta),
            theta,
            np.full(len(theta), np.nan),
            np.full(len(design), float(known.clusters - 1)),
            np.zeros(len(design)),
            np.where(np.outer(sure, sure), known.covariance[np.ix_(code, code)], 0.0),
            unanswered=reasons_where(~sure, FEW_MOVES),
            method=known.method,
            notes={"residual_share": float(np.sum(residual**2) / max(np.sum(within**2), 1e-300))},
        )

    def _cross_fitted(
        self, design: DemandDesign, rows: ndarray, context: ElasticityContext
    ) -> tuple[ndarray, ndarray]:
        """Return the log of expected units, and the log price less its expectation, each learned on
        other folds.
        """
        x, cell = tree_features(design)[rows], design.cell[rows]
        units, price = design.units[rows], design.log_price[rows]
        fold = self._folds(design.period[rows], context)
        trees = TreeSettings.of(self.trees, self.depth, self.rate, context)
        expected, residual = np.zeros(len(rows)), np.zeros(len(rows))
        for part in range(self.folds):
            out = fold == part
            rest = ~out
            if not out.any():
                continue
            margin = cell_margins(units[rest], cell[rest], len(design))
            expected[out] = fit_units(
                trees, x[rest], units[rest], margin[cell[rest]], x[out], margin[cell[out]]
            )
            residual[out] = price[out] - fit_prices(trees, x[rest], price[rest], x[out])
        return expected, residual

    def _folds(self, period: ndarray, context: ElasticityContext) -> ndarray:
        """Return the fold of each row."""
        periods = np.unique(period)
        if len(periods) < 2 * self.folds:
            raise DataError(
                f"model.folds: {self.folds} folds are too many for {len(periods)} periods."
            )
        order = np.arange(len(periods))
        if self.scheme == "periods":
            order = context.stream("folds").permutation(len(periods))
        fold = np.empty(len(periods), np.int64)
        for part, chosen in enumerate(np.array_split(order, self.folds)):
            fold[chosen] = part
        return fold[np.searchsorted(periods, period)]
