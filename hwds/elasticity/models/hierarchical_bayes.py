"""Hierarchical Bayes: the pooled model by Hamiltonian Monte Carlo, with no standard deviation taken as known."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le, Lt

from hwds.core.errors import ConfigError
from hwds.core.recipe import Small
from hwds.elasticity.context import ElasticityContext
from hwds.elasticity.design.rows import Design
from hwds.elasticity.estimation.dependence import SharedError, shared_error
from hwds.elasticity.estimation.nuts import Chains, SampledSlopes, sampled_slopes
from hwds.elasticity.estimation.slopes import fit_slopes
from hwds.elasticity.fitted import Estimates
from hwds.elasticity.models.base import Cluster, ElasticityModel, levels


class HierarchicalBayes(ElasticityModel):
    """The model of `elasticity/pooled` by the no-U-turn sampler, with all standard deviations integrated over.

    Cell and period effects, shared slopes and the law of counts are those of the pooled model's fit. Where that averages over
    a few dozen sets of standard deviations, and takes the posterior's first two moments, this draws slopes, effects and
    standard deviations from their joint posterior: a second opinion on its intervals, ten to a hundred times slower. Shocks
    that a product's cells share are no part of its answer here, too, and what other errors within clusters add is that of the
    pooled model. Needs numpyro: pip install 'hwds[bayes]'.

    Attributes:
        chains: One after the other; two or more tell whether they agree.
        warm_up: Draws of each chain that adapt its steps, and are not kept.
        draws: Kept draws of each chain.
        acceptance: The share of proposals to be accepted: nearer to 1 takes smaller steps.
        cluster: Within which errors may depend on each other: what that costs is added to the uncertainty that cells share.
    """

    chains: Annotated[int, Ge(1), Le(16), Small(1)] = 2
    warm_up: Annotated[int, Ge(10), Le(100_000), Small(50)] = 400
    draws: Annotated[int, Ge(10), Le(100_000), Small(50)] = 400
    acceptance: Annotated[float, Gt(0.5), Lt(1)] = 0.8
    cluster: Cluster = "sku_period"

    def check_installed(self) -> None:
        """Refuse a machine without numpyro.

        Raises:
            ConfigError: With the command that installs it.
        """
        if find_spec("numpyro") is None:
            raise ConfigError("model: 'elasticity/hierarchical_bayes' needs numpyro: pip install 'hwds[bayes]'.")

    def estimate(self, design: Design, identification: pl.DataFrame, context: ElasticityContext) -> Estimates:
        """Return the posterior of all cells, by its draws."""
        self.check_installed()
        layout = design.layout(by_period=self.by_period, own=design.promotion)
        fit = fit_slopes(layout, design.crossed, design.codes("sku"))
        assert fit.groups is not None
        chains = Chains(self.chains, self.warm_up, self.draws, self.acceptance)
        sampled = sampled_slopes(
            fit.moments, fit.groups, fit.posterior, chains, context.seed_for("nuts"), context.stream("shared")
        )
        inflation = shared_error(design, fit, self.cluster, by_period=self.by_period)
        m = design.x.shape[1]
        slopes, theta = _with_clusters(sampled, inflation, context.stream("clusters"))
        own_theta = np.zeros((len(design), m))
        if design.promotion is not None:
            own_theta[:, design.promotion] = fit.own
        centre, middle, stderr = slopes.mean(axis=0), theta.mean(axis=0), slopes.std(axis=0, ddof=1)
        ends = np.quantile(slopes, [(1 - context.level) / 2, (1 + context.level) / 2], axis=0)
        return Estimates(
            centre,
            stderr,
            np.abs(ends - centre).T / stderr[:, None],
            levels(design, centre, middle, own_theta),
            middle,
            theta.std(axis=0, ddof=1),
            np.full(len(design), np.nan),
            fit.posterior.own_weight,
            np.cov(slopes.T),
            own_theta,
            method=f"posterior, {self.chains} chains of {self.draws} draws",
            notes=_notes(sampled, design, inflation.ratio) | {"overdispersion": fit.overdispersion},
            sampled=(slopes, theta),
        )


def _with_clusters(sampled: SampledSlopes, inflation: SharedError, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the draws of slopes and shared slopes with what clustered errors add to them."""
    cells, m = sampled.slopes.shape[1], len(inflation.theta)
    beside = np.tile(inflation.added_shared, (cells, 1))
    covariance = np.block([[inflation.added, beside], [beside.T, inflation.added_theta]])
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    noise = rng.standard_normal((len(sampled.slopes), cells + m)) @ (vectors * np.sqrt(np.maximum(values, 0.0))).T
    return sampled.slopes + noise[:, :cells], sampled.theta[:, :m] + noise[:, cells:]


def _notes(sampled: SampledSlopes, design: Design, ratio: float) -> dict[str, float]:
    """Return the mean elasticity, the spread of each grouping, and whether chains agree."""
    spreads = {
        f"sd_{name}": float(value)
        for name, value in zip((*design.crossed.names, "cell"), sampled.deviations.mean(axis=0), strict=True)
    }
    return {
        "mean_elasticity": float(sampled.mean.mean()),
        "mean_stderr": float(sampled.mean.std(ddof=1)),
        **spreads,
        "cluster_ratio": ratio,
        "rhat": sampled.rhat,
        "divergences": float(sampled.divergences),
    }
