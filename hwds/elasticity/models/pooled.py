"""Pooled elasticities: each cell's own data, shrunk to its family, product and channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
from numpy import ndarray

from hwds.elasticity.cross_prices import add_pair_slopes
from hwds.elasticity.design import CROSS, DemandDesign, DemandTerms
from hwds.elasticity.fitted import ElasticityContext, Estimates, FittedElasticities, named_notes
from hwds.elasticity.models.base import Cluster, ElasticityModel, demand_levels, normal_critical
from hwds.elasticity.slopes import FittedSlopes, SharedError, fit_slopes, shared_error


class Pooled(ElasticityModel):
    """The default: crossed empirical Bayes over family, product and channel on a two-way
    quasi-likelihood of counts.

    Cell and period effects, the slopes that all cells share and every cell's elasticity are fitted
    at once, with the variance mean + a mean^2 of counts. The elasticity of a cell is drawn around
    the sum of a mean and effects of its family, its product and its channel; all four standard
    deviations are integrated over. The answer is the posterior, joint over cells: a cell without
    price changes takes the answer of its group, a cell with many has its own. `weight_own` says
    which.

    Attributes:
        cross: Whether all substitutes have one effect (`mean`: that of the mean of their prices),
            or each its own (`pairs`), shrunk to the mean of its family.
        promotion: Whether a promotion has one effect in all cells (`shared`), or one in each,
            shrunk to the mean (`cell`).
        cluster: Within which errors may depend on each other: what that costs is added to the
            uncertainty that cells share.
    """

    search_space: ClassVar[Mapping[str, Any]] = {
        "effects": {"choice": ["cell_period", "cell"]},
        "promotion": {"choice": ["cell", "shared"]},
        "substitutes_price": {"choice": [True, False]},
        "lagged_price": {"choice": [True, False]},
    }

    cross: Literal["mean", "pairs"] = "mean"
    promotion: Literal["cell", "shared"] = "cell"
    cluster: Cluster = "sku_period"

    @property
    def terms(self) -> DemandTerms:
        """The columns that the model takes."""
        return replace(super().terms, pairs=self.by_pair)

    @property
    def by_pair(self) -> bool:
        """True where each substitute has an effect of its own."""
        return self.cross == "pairs" and self.substitutes_price

    def estimate(
        self, design: DemandDesign, identification: pl.DataFrame, context: ElasticityContext
    ) -> Estimates:
        """Return the posterior of all cells."""
        own = design.promotion if self.promotion == "cell" else None
        layout = design.layout(by_period=self.by_period, own=own)
        fit = fit_slopes(layout, design.crossed, design.codes("sku"))
        inflation = shared_error(design, fit, self.cluster, by_period=self.by_period)
        own_theta = promotion_slopes(design, own, fit.own)
        estimates = replace(
            posterior_estimates(design, fit, inflation, context.level, own_theta),
            method="posterior",
            notes=_pooling_notes(fit, design, inflation.ratio),
        )
        return (
            add_pair_slopes(design, layout, fit, estimates)
            if self.by_pair and CROSS in design.columns
            else estimates
        )

    def fitted(
        self,
        design: DemandDesign,
        estimates: Estimates,
        identification: pl.DataFrame,
        context: ElasticityContext,
    ) -> FittedElasticities:
        """Return the fitted model, whose design has the prices of single substitutes where they
        have slopes.
        """
        wide = design if estimates.pairs is None else design.with_pairs()
        return super().fitted(wide, estimates, identification, context)


def promotion_slopes(design: DemandDesign, place: int | None, slopes: ndarray) -> ndarray:
    """Return what cells add to the shared slopes: that of the promotion, where its column has a
    place, shape (K, m).
    """
    out = np.zeros((len(design), design.x.shape[1]))
    if place is not None:
        out[:, place] = slopes
    return out


def posterior_estimates(
    design: DemandDesign,
    fit: FittedSlopes,
    inflation: SharedError,
    level: float,
    own_theta: ndarray | None = None,
    common_variance: float = 0.0,
) -> Estimates:
    """Return the estimates of a posterior, widened by what dependent errors add.

    Args:
        design: The columns; a fit may have more of them behind.
        fit: The posterior.
        inflation: What dependent errors add.
        level: The level of intervals.
        own_theta: What cells add to the shared slopes.
        common_variance: A further variance that all cells share.
    """
    posterior, m, cells = fit.posterior, design.x.shape[1], len(design)
    covariance = posterior.covariance + inflation.added + common_variance
    theta = posterior.theta[:m]
    return Estimates(
        posterior.slopes,
        np.sqrt(np.diag(covariance)),
        np.full(cells, normal_critical(level)),
        demand_levels(design, posterior.slopes, theta, own_theta),
        theta,
        np.sqrt(np.diag(posterior.theta_covariance)[:m]) * inflation.theta[:m],
        np.full(cells, np.nan),
        posterior.own_weight,
        covariance,
        own_theta,
        theta_covariance=posterior.theta_covariance[:m, :m] + inflation.added_theta[:m, :m],
        shared_covariance=posterior.shared_covariance[:, :m] + inflation.added_shared[:m],
    )


def _pooling_notes(fit: FittedSlopes, design: DemandDesign, ratio: float) -> dict[str, float]:
    """Return the mean elasticity, the spread of each grouping and the dispersion."""
    posterior = fit.posterior
    names = (*design.crossed.names, "cell")
    return {
        "mean_elasticity": posterior.mean[0],
        "mean_stderr": posterior.mean[1],
        **named_notes("sd_", names, posterior.deviations),
        "sd_promotion": fit.own_deviation,
        "overdispersion": fit.overdispersion,
        "cluster_ratio": ratio,
        "serial_ratio": fit.serial,
    }
