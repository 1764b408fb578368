"""The settings, the guardrails and the decisions of a policy in production."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy import ndarray

from hwds.bandit.live.state import CHANCE_DRAWS, Exposures
from hwds.bandit.models.kernels.base import Arms
from hwds.core.errors import ConfigError, DataError, HwdsError, ResumeError, nearest

# The settings and the results of a policy in production.


@dataclass(frozen=True, slots=True)
class LiveDecision:
    """The arm to offer a customer.

    Attributes:
        id: Names the decision when its outcome is reported: decisions are numbered from 0.
        arm: The arm's name.
        value: What a conversion of it earns, in currency.
        propensity: The chance that this arm had; None where it was not asked for.
        again: Whether an earlier call with the same id of the caller's has made it.
    """

    id: int
    arm: str
    value: float
    propensity: float | None = None
    again: bool = False


@dataclass(frozen=True, slots=True)
class LiveTerms:
    """The settings of a policy in production; those in `fingerprint` must be the same after a
    restart.

    Attributes:
        seed: Names the random numbers of the decisions.
        window: Time after which an exposure without a conversion counts as refused; None where
            `expire` says it.
        batch: Decisions between two updates.
        propensities: Whether each decision has and keeps its arm's chance; then all events are
            kept, for `log`.
        draws: Choices from which a chance is counted where the policy has no formula.
        snapshot: Events between two snapshots.
        lose: Milliseconds of acknowledged events that a loss of power may take; 0 loses none.
        ahead: How far a time may be ahead of this machine's clock, in seconds; None for any.
        fingerprint: Of the policy and its arms.
        code: Digest of the policy's code, where all events are kept; a snapshot made by other code
            is not read then.
    """

    seed: int
    window: float | None = None
    batch: int = 1
    propensities: bool = False
    draws: int = CHANCE_DRAWS
    snapshot: int = 10_000
    lose: float = 0.0
    ahead: float | None = None
    fingerprint: str = ""
    code: str = ""

    @property
    def label(self) -> dict[str, Any]:
        """The terms that must be the same after a restart."""
        names = ("fingerprint", "seed", "window", "batch", "propensities")
        return {name: getattr(self, name) for name in names}

    def check(self, saved: dict[str, Any], folder: Path) -> None:
        """Refuse a folder that was begun on other terms.

        Raises:
            ResumeError: It was.
        """
        different = next(
            (name for name, value in self.label.items() if saved.get(name) != value), None
        )
        if different == "fingerprint":
            raise ResumeError(f"{folder}: holds another policy or other arms; take another folder.")
        if different:
            raise ResumeError(
                f"{folder}: was begun with {different} {saved.get(different)}, got "
                f"{self.label[different]}."
            )


# Guardrails of a policy in production: which arms a customer may be offered whatever the policy
# has learned.

STOPPED = "stopped"
"""The switch that is on while everyone is offered the arm in force."""


@dataclass(frozen=True, slots=True)
class Guardrails:
    """The limits of a policy; they may be other ones after a restart, for the log has what was
    offered and with what chance.

    Attributes:
        current: The arm in force: the one of customers held out, of all while the policy is
            stopped, and where no other is left.
        holdout: The share of customers who are offered the current arm, drawn by lot among those
            who may be offered it.
        floor: Arms that earn less per conversion are not offered.
        caps: The largest share of all customers that an arm is offered to, by arm.
    """

    current: str | None = None
    holdout: float = 0.0
    floor: float | None = None
    caps: Mapping[str, float] = field(default_factory=dict)

    def check(self, arms: Arms) -> None:
        """Refuse guardrails that do not fit the arms.

        Raises:
            ConfigError: An arm is unknown, a share is none, or nothing is left to offer.
        """
        for name in filter(None, (self.current, *self.caps)):
            if name not in arms.names:
                raise ConfigError(f"guardrails: no arm '{name}'{nearest(name, arms.names)}")
        shares = {f"caps.{arm}": cap for arm, cap in self.caps.items()}
        for name, share in {"holdout": self.holdout, **shares}.items():
            if not 0 <= share <= 1:
                raise ConfigError(f"guardrails.{name}: must be 0 to 1, got {share:g}.")
        current = self.current_of(arms)
        if current is None and (self.holdout or self.caps or self.floor is not None):
            raise ConfigError("guardrails.current: must be given with other guardrails.")
        if self.floor is not None and arms.values[current] < self.floor:
            raise ConfigError(
                f"guardrails.current: '{self.current}' is itself below the floor of {self.floor:g}."
            )

    def check_switches(self, arms: Arms, exposures: Exposures) -> None:
        """Refuse guardrails under which a switch that was turned before could not be kept.

        Raises:
            ConfigError: The arm in force is needed and not given, or retired.
        """
        current = self.current_of(arms)
        if current is None and exposures.is_on(STOPPED):
            raise ConfigError(
                "guardrails.current: must be given: the policy is stopped, and everyone is "
                "offered that arm."
            )
        if current is not None and exposures.is_on(f"retired {current}"):
            raise ConfigError(f"guardrails.current: '{self.current}' is retired.")

    def held_share(self, arms: Arms, active: ndarray, exposures: Exposures) -> float:
        """Return the chance that a customer is offered the arm in force whatever was learned: 1
        while the policy is stopped.
        """
        current, stopped = self.current_of(arms), exposures.is_on(STOPPED)
        if current is None or stopped:
            return float(stopped)
        return self.holdout if active[current] else 0.0

    def current_of(self, arms: Arms) -> int | None:
        """Return the number of the arm in force."""
        return None if self.current is None else arms.names.index(self.current)

    def offered(self, arms: Arms, active: ndarray, exposures: Exposures) -> ndarray:
        """Return the arms that a customer may be offered, shape (K,), read-only.

        Args:
            arms: The arms.
            active: Those that may be offered by the caller, shape (K,).
            exposures: What was offered so far, and the arms that are retired.

        Raises:
            DataError: None of those of the caller is left.
            HwdsError: None at all is left, whatever a caller allows.
        """
        retired = [arm for arm in range(arms.count) if exposures.is_on(f"retired {arm}")]
        if self.floor is None and not self.caps and not retired:
            return active
        left = active.copy()
        left[retired] = False
        allowed = self.allowed(arms, left, exposures.shown(arms.count))
        if not allowed.any():
            kept = [name for arm, name in enumerate(arms.names) if arm not in retired]
            if not kept:
                raise HwdsError(
                    "no arm may be offered: every one is retired, and Guardrails.current names "
                    "none."
                )
            raise DataError(
                f"active: no arm may be offered: those named are retired; left are "
                f"{', '.join(kept)}."
            )
        allowed.flags.writeable = False
        return allowed

    def allowed(self, arms: Arms, offered: ndarray, shown: ndarray) -> ndarray:
        """Return the arms that a customer may be offered, shape (K,).

        The current one where no other is left.

        Args:
            arms: The arms.
            offered: Those that may be offered by the caller and that are not retired, shape (K,).
            shown: How many customers each was offered to so far, shape (K,).
        """
        left = offered.copy()
        if self.floor is not None:
            left &= arms.values >= self.floor
        for name, cap in self.caps.items():
            arm = arms.names.index(name)
            left[arm] &= shown[arm] + 1 <= cap * (shown.sum() + 1)
        current = self.current_of(arms)
        if not left.any() and current is not None:
            left[current] = True
        return left
