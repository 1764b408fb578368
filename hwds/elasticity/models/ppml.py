"""Poisson pseudo-likelihood elasticities: of each cell by itself, or common to a product, a
channel, a family or all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
from numpy import ndarray

from hwds.elasticity.crossed import centred
from hwds.elasticity.design import DemandDesign
from hwds.elasticity.fitted import ElasticityContext, Estimates, reasons_where
from hwds.elasticity.models.base import (
    FEW_MOVES,
    Cluster,
    ElasticityModel,
    demand_levels,
    refuse_few_clusters,
    t_critical,
)
from hwds.elasticity.slopes import FittedSlopes, fit_slopes
from hwds.elasticity.sweeping import fit_ppml

CommonSlope = Literal["cell", "sku", "channel", "family", "all"]
"""The units that share an elasticity."""

LARGEST_SLOPE = 30.0
"""The absolute slope beyond which a cell's own data put no bound on it."""

LEAST_INFORMATION = 1e-6
"""The information about a slope, in units of 1 / variance, under which there is none."""


class PPML(ElasticityModel):
    """Poisson pseudo-likelihood with two-way effects, without a prior: unbiased for few units, and
    as unsure as the data are.

    With `common=cell` each cell has a slope of its own, with errors robust to any variance; with
    another value, cells of a product, channel, family or all cells share one, with errors clustered
    by the level at which prices are set. With fewer than 40 clusters, intervals come from the wild
    cluster bootstrap.

    Attributes:
        common: The cells that share one elasticity: each `cell` has its own, or those of a SKU,
            channel or family, or all.
        cluster: Within which errors may depend on each other, for a shared elasticity.
        second_cluster: A second, crossed way of clusters; none for one way alone.
    """

    search_space: ClassVar[Mapping[str, Any]] = {
        "effects": {"choice": ["cell_period", "cell"]},
        "common": {"choice": ["cell", "sku", "channel", "family", "all"]},
    }

    common: CommonSlope = "cell"
    cluster: Cluster = "sku_period"
    second_cluster: Cluster | Literal["none"] = "none"

    def estimate(
        self, design: DemandDesign, identification: pl.DataFrame, context: ElasticityContext
    ) -> Estimates:
        """Return the estimates of cells, or those that they share."""
        return (self._by_cell if self.common == "cell" else self._shared)(design, context)

    def _by_cell(self, design: DemandDesign, context: ElasticityContext) -> Estimates:
        fit = fit_slopes(design.layout(by_period=self.by_period), None, poisson=True)
        posterior, m = fit.posterior, design.x.shape[1]
        stderr, df = own_errors(design, fit)
        unanswered = _without_answer(design, fit)
        slopes = posterior.slopes.copy()
        slopes[list(unanswered)] = np.nan
        theta = posterior.theta[:m]
        return Estimates(
            slopes,
            np.where(np.isfinite(slopes), stderr, np.nan),
            t_critical(context.level, df),
            demand_levels(design, slopes, theta),
            theta,
            np.sqrt(np.diag(posterior.theta_covariance)[:m]),
            df,
            np.where(np.isfinite(slopes), 1.0, np.nan),
            unanswered=unanswered,
            method="t, robust",
        )

    def _shared(self, design: DemandDesign, context: ElasticityContext) -> Estimates:
        rows, code = design.used, design.codes(self.common)
        own = code[design.cell[rows]][:, None] == np.arange(int(code.max()) + 1)
        price = np.where(own, design.log_price[rows][:, None], 0.0)
        moving = np.abs(price).max(axis=0) > 1e-9
        fit = fit_ppml(
            design.units[rows],
            np.column_stack([price[:, moving], design.x[rows]]),
            design.cell[rows],
            design.period[rows] if self.by_period else None,
        )
        known = fit.variance(self.ways(design), context.stream("wild_bootstrap"), context.level)
        count = int(moving.sum())
        place, sure = np.maximum(np.cumsum(moving) - 1, 0), moving.copy()
        sure[moving] = known.sure[:count]
        refuse_few_clusters(sure, self.cluster)
        place, sure, moving = place[code], sure[code], moving[code]
        slopes, own_covariance = np.where(sure, fit.beta[place], np.nan), known.covariance[place]
        unanswered = reasons_where(~sure, FEW_MOVES) | reasons_where(
            ~moving, "no price of its group ever changes"
        )
        return Estimates(
            slopes,
            np.where(sure, known.stderr[place], np.nan),
            np.where(sure[:, None], known.critical[place], np.nan),
            demand_levels(design, slopes, fit.beta[count:]),
            fit.beta[count:],
            np.where(known.sure, known.stderr, np.nan)[count:],
            np.full(len(design), float(known.clusters - 1)),
            np.zeros(len(design)),
            np.where(np.outer(sure, sure), own_covariance[:, place], 0.0),
            unanswered=unanswered,
            method=known.method,
            notes={"clusters": float(known.clusters)},
            theta_covariance=known.covariance[count:, count:] if known.sure.all() else None,
            shared_covariance=own_covariance[:, count:] if known.sure.all() else None,
            theta_critical=known.critical[count:],
            theta_p_values=np.where(known.sure, known.p_values, np.nan)[count:],
        )

    def ways(self, design: DemandDesign) -> list[ndarray]:
        """Return the clusterings of the rows to learn from."""
        names = dict.fromkeys((self.cluster, self.second_cluster))
        return [design.clusters(name)[design.used] for name in names if name != "none"]


def own_errors(design: DemandDesign, fit: FittedSlopes) -> tuple[ndarray, ndarray]:
    """Return the robust standard error of each cell's own slope, and its degrees of freedom.

    The sandwich of its own rows, times n / (n - 2), and what the shared parameters' error adds.
    """
    known, mean = fit.moments, fit.mean
    layout = design.layout(by_period=True)
    price = np.where(layout.seen, centred(layout.log_price, mean), 0.0)
    squares = ((price * (layout.units - mean)) ** 2).sum(axis=1)
    information = (mean * price**2).sum(axis=1)
    rows = layout.seen.sum(axis=1)
    safe = np.maximum(information, 1e-100)
    shared = known.cross / np.maximum(known.precision, 1e-100)[:, None]
    added = np.einsum("ij,jk,ik->i", shared, fit.posterior.theta_covariance, shared)
    variance = squares / safe**2 * rows / np.maximum(rows - 2, 1) + added
    return np.sqrt(variance), np.maximum(rows - 2, 0).astype(float)


def _without_answer(design: DemandDesign, fit: FittedSlopes) -> dict[int, str]:
    """Return why cells have no answer, by place."""
    out = {}
    rows = design.rows
    for cell, (slope, information) in enumerate(
        zip(fit.posterior.slopes, fit.moments.precision, strict=True)
    ):
        if not np.isfinite(fit.level[cell]):
            out[cell] = "nothing was sold"
        elif information < LEAST_INFORMATION:
            out[cell] = "its price has no variation of its own"
        elif rows[cell] < 3:
            out[cell] = f"{rows[cell]} rows"
        elif abs(slope) > LARGEST_SLOPE:
            out[cell] = f"its own data put no bound on its elasticity (beyond {LARGEST_SLOPE:g})"
    return out
