"""Slopes of all cells by Hamiltonian Monte Carlo: around crossed groups, on the likelihood of the pooled model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hwds.elasticity.estimation.crossed import PRIOR_SCALE, VAGUE, Groups, SlopePosterior
from hwds.elasticity.estimation.integrated import AWAY_FROM_ZERO
from hwds.elasticity.estimation.layout import LikelihoodExpansion


@dataclass(frozen=True, slots=True)
class Chains:
    """The length of the sampling.

    Attributes:
        chains: One after the other.
        warm_up, draws: Of each.
        acceptance: That steps are adapted to.
    """

    chains: int
    warm_up: int
    draws: int
    acceptance: float


@dataclass(frozen=True, eq=False)
class SampledSlopes:
    """Draws of the posterior, of all chains.

    Attributes:
        slopes: Of each cell, shape (D, K).
        theta: The shared parameters, shape (D, q).
        mean: The mean slope, shape (D,).
        deviations: Standard deviations of the effects of each grouping, then of a cell's own, shape (D, groupings + 1).
        rhat: The largest potential scale reduction of slopes and standard deviations, near 1 where chains agree.
        divergences: Draws whose path left the posterior.
    """

    slopes: np.ndarray
    theta: np.ndarray
    mean: np.ndarray
    deviations: np.ndarray
    rhat: float
    divergences: int


def sampled_slopes(
    known: LikelihoodExpansion, groups: Groups, begin: SlopePosterior, chains: Chains, seed: int, rng: np.random.Generator
) -> SampledSlopes:
    """Return draws of the posterior by the no-U-turn sampler (Hoffman and Gelman 2014).

    Slopes, effects of groups and all standard deviations have the priors of `integrated`, and none is taken as known. What data
    say of a slope has the error that its group's data have in common (`Groups.noise`) beside. Shared parameters are integrated
    out of the likelihood, and drawn afterwards given what it sees of the slopes.

    Args:
        known: The likelihood.
        groups: Of the prior.
        begin: The posterior given the most likely standard deviations, where chains begin.
        chains: How long.
        seed: Of the chains.
        rng: Draws the shared parameters.
    """
    import jax
    from numpyro.diagnostics import split_gelman_rubin
    from numpyro.infer import MCMC, NUTS, init_to_value

    kernel = NUTS(
        _model(known, groups), target_accept_prob=chains.acceptance, init_strategy=init_to_value(values=_start(groups, begin))
    )
    sampler = MCMC(
        kernel, num_warmup=chains.warm_up, num_samples=chains.draws, num_chains=chains.chains,
        chain_method="sequential", progress_bar=False,
    )  # fmt: skip
    with jax.enable_x64(True):
        sampler.run(jax.random.PRNGKey(seed), extra_fields=("diverging",))
        drawn = {name: np.asarray(values) for name, values in sampler.get_samples(group_by_chain=True).items()}
        divergences = int(np.asarray(sampler.get_extra_fields()["diverging"]).sum())
    spreads = np.stack([drawn[f"sd_{name}"] for name in (*groups.names, "cell")], axis=2)
    slopes = _all_chains(drawn["slopes"])
    agree = [float(np.max(split_gelman_rubin(values))) for values in (drawn["slopes"], spreads)]
    theta = _shared_given(known, _all_chains(drawn["seen"]), rng)
    return SampledSlopes(slopes, theta, _all_chains(drawn["mean"]), _all_chains(spreads), max(agree), divergences)


def _all_chains(values: np.ndarray) -> np.ndarray:
    return values.reshape(-1, *values.shape[2:])


def _model(known: LikelihoodExpansion, groups: Groups) -> Callable[[], None]:
    """Return numpyro's model; groups' and cells' effects are drawn in units of their standard deviations (non-centred)."""
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist

    weighted = np.linalg.solve(known.shared, np.column_stack([known.shared_linear, known.cross.T]))
    linear = known.linear - known.cross @ weighted[:, 0]
    square = np.diag(known.precision) - known.cross @ weighted[:, 1:]
    cells = len(linear)
    shared = [(name, code, noise) for name, code, noise in groups.with_errors() if noise.any()]

    def effects(name: str, count: int) -> object:
        spread = numpyro.sample(f"sd_{name}", dist.HalfNormal(PRIOR_SCALE))
        numpyro.factor(f"away_{name}", AWAY_FROM_ZERO * jnp.log(spread))
        return spread * numpyro.sample(f"z_{name}", dist.Normal(0.0, 1.0).expand([count]).to_event(1))

    def model() -> None:
        slopes = numpyro.sample("mean", dist.Normal(0.0, float(np.sqrt(VAGUE)))) + effects("cell", cells)
        for name, code in zip(groups.names, groups.codes, strict=True):
            slopes = slopes + effects(name, int(code.max()) + 1)[code]  # type: ignore[index]
        seen = numpyro.deterministic("slopes", slopes)
        for name, code, noise in shared:
            seen = (
                seen + (noise * numpyro.sample(f"noise_{name}", dist.Normal(0.0, 1.0).expand([len(noise)]).to_event(1)))[code]
            )
        seen = numpyro.deterministic("seen", seen)
        numpyro.factor("units", linear @ seen - 0.5 * seen @ (square @ seen))

    return model


def _start(groups: Groups, begin: SlopePosterior) -> dict[str, object]:
    """Return the values that chains begin with: the most likely standard deviations, effects of groups 0."""
    rest = (begin.slopes - begin.mean[0]) / max(float(begin.deviations[-1]), 0.1)
    start: dict[str, object] = {"mean": begin.mean[0], "z_cell": np.clip(rest, -2, 2)}
    start |= {f"z_{name}": np.zeros(int(code.max()) + 1) for name, code in zip(groups.names, groups.codes, strict=True)}
    return start | {f"sd_{name}": value for name, value in zip((*groups.names, "cell"), begin.deviations, strict=True)}


def _shared_given(known: LikelihoodExpansion, slopes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a draw of the shared parameters for each draw of the slopes, shape (D, q)."""
    right = known.shared_linear[:, None] - known.cross.T @ slopes.T
    mean: np.ndarray = np.linalg.solve(known.shared, right)
    factor: np.ndarray = np.linalg.cholesky(known.shared)
    away: np.ndarray = np.linalg.solve(factor.T, rng.standard_normal(mean.shape))
    return (mean + away).T
