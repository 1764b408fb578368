"""Thompson sampling on the conversion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Len
from numpy import ndarray
from pydantic import BeforeValidator

from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels import beta_thompson
from hwds.bandit.models.kernels.base import Arms, Kernel
from hwds.core.errors import ConfigError, nearest
from hwds.core.recipe import NonNegative, Positive
from hwds.frames.table import arm_name

Prior = Annotated[tuple[Positive, ...], Len(2, 2)]


def _as_names(known: Any) -> Any:
    """Return counts by the names of arms; a price is written as its arm's name."""
    if not isinstance(known, Mapping):
        return known
    return {
        arm_name(arm) if isinstance(arm, int | float) else arm: counts
        for arm, counts in known.items()
    }


Counts = Annotated[tuple[NonNegative, ...], Len(2, 2)]
KnownCounts = Annotated[dict[str, Counts], BeforeValidator(_as_names)]


class Thompson(Policy):
    """Thompson sampling of the conversion with a Beta prior; prices are not looked at.

    Thompson (1933); asymptotically optimal for Bernoulli rewards (Kaufmann, Korda and Munos 2012).
    If arms have prices, use `price_thompson`.

    Attributes:
        prior: Conversions and refusals of the Beta prior of each arm; (1, 1) is uniform.
        known: By arm, conversions and refusals seen before, which are added to the prior: an A/B
            run's `prior.yaml`.
    """

    search_space: ClassVar = {
        "prior": {
            "choice": [
                [1, 1],
                [0.5, 0.5],
                [1, 2],
                [1, 4],
                [1, 9],
                [1, 19],
                [1, 49],
                [2, 18],
                [5, 45],
            ]
        }
    }

    prior: Prior = (1.0, 1.0)
    known: KnownCounts = field(default_factory=dict)

    def kernel(self, arms: Arms) -> Kernel:
        """Return the kernel of exact draws by screening."""
        return beta_kernel(np.ones(arms.count), *prior_counts(arms, self.prior, self.known))


def prior_counts(
    arms: Arms, prior: tuple[float, ...], known: KnownCounts
) -> tuple[ndarray, ndarray]:
    """Return conversions and refusals of each arm before the first customer, shape (K,) each.

    Raises:
        ConfigError: An arm is unknown.
    """
    for name in known:
        if name not in arms.names:
            raise ConfigError(f"model.known: no arm '{name}'{nearest(name, arms.names)}")
    before = np.array([known.get(name, (0.0, 0.0)) for name in arms.names], float)
    return prior[0] + before[:, 0], prior[1] + before[:, 1]


def beta_kernel(values: ndarray, alpha: ndarray, beta: ndarray) -> Kernel:
    """Return the kernel that ranks conversion x value."""
    law = beta_thompson
    functions = law.init, law.select, law.update, law.propensity
    return Kernel(beta_settings(values, alpha, beta), law.beta_size(len(values)), *functions)


def beta_settings(values: ndarray, alpha: ndarray, beta: ndarray) -> beta_thompson.BetaArms:
    """Return the arguments of the kernel for arms with these values and prior counts."""
    equal_values = bool(values[0] > 0 and np.all(values == values[0]))
    whole_counts = bool(np.all(alpha == np.round(alpha)) and np.all(beta == np.round(beta)))
    return beta_thompson.BetaArms(values, alpha, beta, equal_values, whole_counts)
