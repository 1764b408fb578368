"""How a policy goes into production: what it is given is checked, and named by a fingerprint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from hwds.errors import ConfigError
from hwds.hashing import digest, digest_bytes
from hwds.models.bandit.base import Arms, Policy
from hwds.models.bandit.live import LivePolicy
from hwds.models.bandit.terms import Terms
from hwds.recipe import canonical


def live_policy(policy: Policy, arms: Arms, folder: Path | None, terms: Terms) -> LivePolicy:
    """See `Policy.live`."""
    _check_terms(terms)
    arms = checked_arms(arms)
    return LivePolicy(policy.kernel(arms), arms, folder, replace(terms, fingerprint=fingerprint(policy, arms)))


def fingerprint(policy: Policy, arms: Arms) -> str:
    """The digest of the policy's settings and of all that it knows of the arms."""
    arrays = digest_bytes([arms.values.tobytes(), repr(arms.contexts.shape).encode(), arms.contexts.tobytes()])
    return digest([canonical(policy), list(arms.names), arms.horizon, arms.range, arrays])


def checked_arms(arms: Arms) -> Arms:
    """The arms with arrays of the right type.

    Raises:
        ConfigError: Names repeat, numbers are missing or not finite.
    """
    values = np.ascontiguousarray(arms.values, np.float64)
    contexts = np.ascontiguousarray(arms.contexts, np.float64)
    if not arms.names:
        raise ConfigError("arms.names: must name one arm or more.")
    repeated = next((name for name in arms.names if arms.names.count(name) > 1), None)
    if repeated is not None:
        raise ConfigError(f"arms.names: must not repeat '{repeated}'.")
    if values.shape != (arms.count,):
        raise ConfigError(f"arms.values: must be one for each of the {arms.count} arms, got {values.size}.")
    if contexts.ndim != 2 or not len(contexts):
        raise ConfigError("arms.contexts: must have a row for each segment, one or more.")
    for name, numbers in (("values", values), ("contexts", contexts)):
        if not np.isfinite(numbers).all():
            raise ConfigError(f"arms.{name}: must be finite, got {numbers[~np.isfinite(numbers)][0]}.")
    return replace(arms, values=values, contexts=contexts)


def _check_terms(terms: Terms) -> None:
    for name in ("batch", "snapshot"):
        if getattr(terms, name) < 1:
            raise ConfigError(f"live.{name}: must be >= 1, got {getattr(terms, name)}.")
    if terms.window is not None and not 0 < terms.window < float("inf"):
        raise ConfigError(f"live.window: must be > 0, got {terms.window}.")
