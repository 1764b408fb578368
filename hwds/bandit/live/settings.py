"""The settings and the results of a policy in production."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwds.bandit.models.kernels.propensity import DRAWS
from hwds.core.errors import ResumeError


@dataclass(frozen=True, slots=True)
class Decision:
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
    """The settings of a policy in production; those in `fingerprint` must be the same after a restart.

    Attributes:
        seed: Names the random numbers of the decisions.
        window: Time after which an exposure without a conversion counts as refused; None where `expire` says it.
        batch: Decisions between two updates.
        propensities: Whether each decision has and keeps its arm's chance; then all events are kept, for `log`.
        draws: Choices from which a chance is counted where the policy has no formula.
        snapshot: Events between two snapshots.
        lose: Milliseconds of acknowledged events that a loss of power may take; 0 loses none.
        ahead: How far a time may be ahead of this machine's clock, in seconds; None for any.
        fingerprint: Of the policy and its arms.
        code: Digest of the policy's code, where all events are kept; a snapshot made by other code is not read then.
    """

    seed: int
    window: float | None = None
    batch: int = 1
    propensities: bool = False
    draws: int = DRAWS
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
        different = next((name for name, value in self.label.items() if saved.get(name) != value), None)
        if different == "fingerprint":
            raise ResumeError(f"{folder}: holds another policy or other arms; take another folder.")
        if different:
            raise ResumeError(f"{folder}: was begun with {different} {saved.get(different)}, got {self.label[different]}.")
