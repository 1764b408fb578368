"""OpenBanditTruth: what a policy earned when it ran itself."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hwds.datasets.base import Truth
from hwds.datasets.open_bandit import PREFIX, OpenBandit, logged
from hwds.metrics.ope import Parts
from hwds.metrics.ope_evidence import Evidence


class OpenBanditTruth(Truth):
    """The mean click of the target policy in its own log: not the truth itself, but its best estimate, with a standard error.

    Attributes:
        dataset: Whose log is evaluated; the other one's rows are the answer.
    """

    task: ClassVar[str] = "ope"
    needs_propensity: ClassVar[bool] = False
    weighs: ClassVar[bool] = False
    asks_price: ClassVar[bool] = False
    learner: ClassVar[None] = None
    name: str = "truth"
    dataset: OpenBandit

    def estimate(self, log: Evidence) -> Parts | None:
        """A mean; None where the target is neither of the two policies."""
        other = "thompson" if self.dataset.log == "random" else "random"
        ran = next((policy for policy, shares in self._policies(log, other).items() if _same(log.target, shares)), None)
        if ran is None:
            return None
        clicks = logged(ran)["click"].cast(float).to_numpy()
        return Parts(None, clicks, np.ones(len(clicks)))

    def _policies(self, log: Evidence, other: str) -> dict[str, np.ndarray]:
        uniform = np.full(log.target.shape, 1 / log.target.shape[1])
        items = [name for name in log.table.columns if name.startswith(PREFIX)]
        return {other: log.table.select(items).to_numpy(), "random": uniform}

    def weights(self, log: Evidence) -> None:
        """It weighs nothing."""
        return


def _same(target: np.ndarray, shares: np.ndarray) -> bool:
    return target.shape == shares.shape and bool(np.allclose(target, shares))
