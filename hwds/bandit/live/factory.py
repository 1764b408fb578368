"""The way a policy goes into production: its arguments are checked, and named by a fingerprint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from hwds.bandit.arms import Arms
from hwds.bandit.live.events import LiveBehaviour
from hwds.bandit.live.guardrails import Guardrails
from hwds.bandit.live.policy import LivePolicy
from hwds.bandit.live.settings import LiveTerms
from hwds.bandit.models.kernels.base import BatchKernel, Kernel
from hwds.bandit.models.kernels.rehearsal import rehearse
from hwds.core.code_digest import code_digest
from hwds.core.errors import ConfigError
from hwds.core.hashing import digest, digest_bytes
from hwds.core.recipe import Recipe, canonical

MOST_LOST = 60_000
"""Milliseconds of events that a loss of power may take at most."""


def live_policy(
    policy: Recipe,
    kernel: Callable[[Arms], Kernel | BatchKernel],
    arms: Arms,
    folder: Path | None,
    terms: LiveTerms,
    guardrails: Guardrails,
) -> LivePolicy:
    """Return a policy in production: see `Policy.live`."""
    _check_terms(terms)
    code = code_digest([policy], __name__) if folder is not None and terms.propensities else ""

    def behaviour(known: Arms) -> LiveBehaviour:
        checked = checked_arms(known)
        law = kernel(checked)
        rehearse(policy.name or type(policy).__name__, law, checked)
        return LiveBehaviour(law, checked, replace(terms, fingerprint=fingerprint(policy, checked), code=code))

    return LivePolicy(behaviour, arms, folder, guardrails)


def fingerprint(policy: Recipe, arms: Arms) -> str:
    """Return the digest of the policy's settings and of all that it knows of the arms."""
    arrays = digest_bytes([arms.values.tobytes(), repr(arms.contexts.shape).encode(), arms.contexts.tobytes()])
    late = [arms.delay, arms.window] if arms.delay or arms.window else []
    return digest([canonical(policy), list(arms.names), arms.horizon, arms.range, arrays, *late])


def checked_arms(arms: Arms) -> Arms:
    """Return the arms with arrays of the right type.

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


def _check_terms(terms: LiveTerms) -> None:
    for name in ("batch", "snapshot"):
        if getattr(terms, name) < 1:
            raise ConfigError(f"live.{name}: must be >= 1, got {getattr(terms, name)}.")
    if not 0 <= terms.lose <= MOST_LOST:
        raise ConfigError(f"live.lose: must be 0 to {MOST_LOST:,} milliseconds, got {terms.lose:g}.")
    if terms.ahead is not None and not terms.ahead >= 0:
        raise ConfigError(f"live.ahead: must be >= 0, got {terms.ahead}.")
    if terms.window is not None and not 0 < terms.window < float("inf"):
        raise ConfigError(f"live.window: must be > 0, got {terms.window}.")
