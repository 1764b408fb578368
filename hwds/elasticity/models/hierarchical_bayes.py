"""Hierarchical Bayes: the pooled model by Hamiltonian Monte Carlo, no deviation taken as known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le, Lt
from numpy import ndarray

from hwds.core.recipe import Small
from hwds.elasticity.crossed import (
    PRIOR_SCALE,
    VAGUE_VARIANCE,
    CrossedGroups,
    LikelihoodExpansion,
    SlopePosterior,
)
from hwds.elasticity.design import DemandDesign
from hwds.elasticity.fitted import ElasticityContext, Estimates, named_notes
from hwds.elasticity.models.base import Cluster, ElasticityModel, demand_levels
from hwds.elasticity.models.pooled import promotion_slopes
from hwds.elasticity.slopes import AWAY_FROM_ZERO, SharedError, fit_slopes, shared_error
from hwds.elasticity.sweeping import covariance_root

# Slopes of all cells by Hamiltonian Monte Carlo: around crossed groups, on the likelihood of
# the pooled model.


@dataclass(frozen=True, eq=False)
class SampledSlopes:
    """Draws of the posterior, of all chains.

    Attributes:
        slopes: Of each cell, shape (D, K).
        theta: The shared parameters, shape (D, q).
        mean: The mean slope, shape (D,).
        deviations: Standard deviations of the effects of each grouping, then of a cell's own, shape
            (D, groupings + 1).
        rhat: The largest potential scale reduction of slopes and standard deviations, near 1 where
            chains agree.
        divergences: Draws whose path left the posterior.
    """

    slopes: ndarray
    theta: ndarray
    mean: ndarray
    deviations: ndarray
    rhat: float
    divergences: int


def sampled_slopes(
    known: LikelihoodExpansion,
    groups: CrossedGroups,
    begin: SlopePosterior,
    model: HierarchicalBayes,
    seed: int,
    rng: np.random.Generator,
) -> SampledSlopes:
    """Return draws of the posterior by the no-U-turn sampler (Hoffman and Gelman 2014).

    Slopes, effects of groups and all standard deviations have the priors of `integrated`, and none
    is taken as known. What data say of a slope has the error that its group's data have in common
    (`Groups.noise`) beside. Shared parameters are integrated out of the likelihood, and drawn
    afterwards given what it sees of the slopes.

    Args:
        known: The likelihood.
        groups: The groups of the prior.
        begin: The posterior given the most likely standard deviations, where chains begin.
        model: The model, whose settings say how many chains there are and how long they are.
        seed: The seed of the chains.
        rng: Draws the shared parameters.
    """
    import jax
    from numpyro.diagnostics import split_gelman_rubin
    from numpyro.infer import MCMC, NUTS, init_to_value

    kernel = NUTS(
        _slope_model(known, groups),
        target_accept_prob=model.acceptance,
        init_strategy=init_to_value(values=_chain_start(groups, begin)),
    )
    sampler = MCMC(
        kernel, num_warmup=model.warm_up, num_samples=model.draws, num_chains=model.chains,
        chain_method="sequential", progress_bar=False,
    )  # fmt: skip
    with jax.enable_x64(True):
        sampler.run(jax.random.PRNGKey(seed), extra_fields=("diverging",))
        drawn = {
            name: np.asarray(values)
            for name, values in sampler.get_samples(group_by_chain=True).items()
        }
        divergences = int(np.asarray(sampler.get_extra_fields()["diverging"]).sum())
    spreads = np.stack([drawn[f"sd_{name}"] for name in (*groups.names, "cell")], axis=2)
    slopes = _all_chains(drawn["slopes"])
    agree = [float(np.max(split_gelman_rubin(values))) for values in (drawn["slopes"], spreads)]
    theta = _draw_shared(known, _all_chains(drawn["seen"]), rng)
    return SampledSlopes(
        slopes, theta, _all_chains(drawn["mean"]), _all_chains(spreads), max(agree), divergences
    )


def _all_chains(values: ndarray) -> ndarray:
    return values.reshape(-1, *values.shape[2:])


def _slope_model(known: LikelihoodExpansion, groups: CrossedGroups) -> Callable[[], None]:
    """Return numpyro's model.

    Groups' and cells' effects are drawn in units of their standard deviations (non-centred).
    """
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist

    weighted = np.linalg.solve(known.shared, np.column_stack([known.shared_linear, known.cross.T]))
    linear = known.linear - known.cross @ weighted[:, 0]
    square = np.diag(known.precision) - known.cross @ weighted[:, 1:]
    cells = len(linear)
    shared = [(name, code, noise) for name, code, noise in groups.with_errors() if noise.any()]

    def standard_normal(name: str, count: int) -> Any:
        return numpyro.sample(name, dist.Normal(0.0, 1.0).expand([count]).to_event(1))

    def effects(name: str, count: int) -> Any:
        spread = numpyro.sample(f"sd_{name}", dist.HalfNormal(PRIOR_SCALE))
        numpyro.factor(f"away_{name}", AWAY_FROM_ZERO * jnp.log(spread))
        return spread * standard_normal(f"z_{name}", count)

    def model() -> None:
        mean = numpyro.sample("mean", dist.Normal(0.0, float(np.sqrt(VAGUE_VARIANCE))))
        slopes = mean + effects("cell", cells)
        for name, code in zip(groups.names, groups.codes, strict=True):
            slopes = slopes + effects(name, int(code.max()) + 1)[code]
        seen = numpyro.deterministic("slopes", slopes)
        for name, code, noise in shared:
            seen = seen + (noise * standard_normal(f"noise_{name}", len(noise)))[code]
        seen = numpyro.deterministic("seen", seen)
        numpyro.factor("units", linear @ seen - 0.5 * seen @ (square @ seen))

    return model


def _chain_start(groups: CrossedGroups, begin: SlopePosterior) -> dict[str, object]:
    """Return the values that chains begin with: the most likely standard deviations, effects of
    groups 0.
    """
    rest = (begin.slopes - begin.mean[0]) / max(float(begin.deviations[-1]), 0.1)
    start: dict[str, object] = {"mean": begin.mean[0], "z_cell": np.clip(rest, -2, 2)}
    for name, code in zip(groups.names, groups.codes, strict=True):
        start[f"z_{name}"] = np.zeros(int(code.max()) + 1)
    return start | named_notes("sd_", (*groups.names, "cell"), begin.deviations)


def _draw_shared(known: LikelihoodExpansion, slopes: ndarray, rng: np.random.Generator) -> ndarray:
    """Return a draw of the shared parameters for each draw of the slopes, shape (D, q)."""
    right = known.shared_linear[:, None] - known.cross.T @ slopes.T
    mean: ndarray = np.linalg.solve(known.shared, right)
    factor: ndarray = np.linalg.cholesky(known.shared)
    away: ndarray = np.linalg.solve(factor.T, rng.standard_normal(mean.shape))
    return (mean + away).T


# Hierarchical Bayes: the pooled model by Hamiltonian Monte Carlo, with no standard deviation
# taken as known.


class HierarchicalBayes(ElasticityModel):
    """The model of `elasticity/pooled` by the no-U-turn sampler, with all standard deviations
    integrated over.

    Cell and period effects, shared slopes and the law of counts are those of the pooled model's
    fit. The pooled model averages over a few dozen sets of standard deviations and uses the
    posterior's first two moments. This model draws slopes, effects and standard deviations from
    their joint posterior: a second opinion on the intervals, ten to a hundred times slower. Here,
    too, shocks that a product's cells share are no part of the answer. The other errors within
    clusters are taken from the pooled model.

    Attributes:
        chains: One after the other; two or more tell whether they agree.
        warm_up: Draws of each chain that adapt its steps, and are not kept.
        draws: Kept draws of each chain.
        acceptance: The share of proposals to be accepted: nearer to 1 takes smaller steps.
        cluster: Within which errors may depend on each other: what that costs is added to the
            uncertainty that cells share.
    """

    imports = ("numpyro",)
    chains: Annotated[int, Ge(1), Le(16), Small(1)] = 2
    warm_up: Annotated[int, Ge(10), Le(100_000), Small(50)] = 400
    draws: Annotated[int, Ge(10), Le(100_000), Small(50)] = 400
    acceptance: Annotated[float, Gt(0.5), Lt(1)] = 0.8
    cluster: Cluster = "sku_period"

    def estimate(
        self, design: DemandDesign, identification: pl.DataFrame, context: ElasticityContext
    ) -> Estimates:
        """Return the posterior of all cells, by its draws."""
        layout = design.layout(by_period=self.by_period, own=design.promotion)
        fit = fit_slopes(layout, design.crossed, design.codes("sku"))
        assert fit.groups is not None
        sampled = sampled_slopes(
            fit.moments,
            fit.groups,
            fit.posterior,
            self,
            context.seed_for("nuts"),
            context.stream("shared"),
        )
        inflation = shared_error(design, fit, self.cluster, by_period=self.by_period)
        slopes, theta = _with_clusters(sampled, inflation, context.stream("clusters"))
        own_theta = promotion_slopes(design, design.promotion, fit.own)
        centre, middle, stderr = slopes.mean(axis=0), theta.mean(axis=0), slopes.std(axis=0, ddof=1)
        ends = np.quantile(slopes, [(1 - context.level) / 2, (1 + context.level) / 2], axis=0)
        return Estimates(
            centre,
            stderr,
            np.abs(ends - centre).T / stderr[:, None],
            demand_levels(design, centre, middle, own_theta),
            middle,
            theta.std(axis=0, ddof=1),
            np.full(len(design), np.nan),
            fit.posterior.own_weight,
            np.cov(slopes.T),
            own_theta,
            method=f"posterior, {self.chains} chains of {self.draws} draws",
            notes=_sampling_notes(sampled, design, inflation.ratio)
            | {"overdispersion": fit.overdispersion},
            sampled=(slopes, theta),
        )


def _with_clusters(
    sampled: SampledSlopes, inflation: SharedError, rng: np.random.Generator
) -> tuple[ndarray, ndarray]:
    """Return the draws of slopes and shared slopes with what clustered errors add to them."""
    cells, m = sampled.slopes.shape[1], len(inflation.theta)
    beside = np.tile(inflation.added_shared, (cells, 1))
    covariance = np.block([[inflation.added, beside], [beside.T, inflation.added_theta]])
    drawn = rng.standard_normal((len(sampled.slopes), cells + m))
    noise = drawn @ covariance_root(covariance).T
    return sampled.slopes + noise[:, :cells], sampled.theta[:, :m] + noise[:, cells:]


def _sampling_notes(sampled: SampledSlopes, design: DemandDesign, ratio: float) -> dict[str, float]:
    """Return the mean elasticity, the spread of each grouping, and whether chains agree."""
    names = (*design.crossed.names, "cell")
    return {
        "mean_elasticity": float(sampled.mean.mean()),
        "mean_stderr": float(sampled.mean.std(ddof=1)),
        **named_notes("sd_", names, sampled.deviations.mean(axis=0)),
        "cluster_ratio": ratio,
        "rhat": sampled.rhat,
        "divergences": float(sampled.divergences),
    }
