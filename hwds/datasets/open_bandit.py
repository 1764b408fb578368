"""The Open Bandit Dataset: recommendations of a fashion shop, logged with their propensities (Saito
et al. 2021).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl
from numpy import ndarray

from hwds.datasets.base import Dataset, PublicFile, Truth
from hwds.datasets.simulated.price_log import LogTruth
from hwds.frames.table import Table
from hwds.ope.estimates import EstimatorTerms, LogEvidence

_COLUMNS = (
    "timestamp",
    "item_id",
    "position",
    "click",
    "propensity_score",
    *(f"user_feature_{i}" for i in range(4)),
)
_ORIGIN, _LICENCE = "the repository st-tech/zr-obp, obd/{}/men", "Apache-2.0"
_FILES = {
    "random": PublicFile(
        file="open_bandit/random_men.parquet",
        origin=_ORIGIN.format("random"),
        licence=_LICENCE,
        columns=_COLUMNS,
        rows=10_000,
        sha256="e3898fc2c0f017462b4ca6bcc5d5d3aeaeec6ac87a13f93ebb7d988b02978acb",
    ),
    "thompson": PublicFile(
        file="open_bandit/bts_men.parquet",
        origin=_ORIGIN.format("bts"),
        licence=_LICENCE,
        columns=_COLUMNS,
        rows=10_000,
        sha256="939c0265220825678bb2b6cb1bfa568a6f6cff706bd19f8e60f7b72e751a11bd",
    ),
}
ROLES = {
    "context": ("position", *(f"user_feature_{i}" for i in range(4))),
    "arm": ("item_id",),
    "propensity": ("propensity_score",),
    "outcome": ("click",),
    "time": ("timestamp",),
}
PREFIX = "target_"


class OpenBandit(Dataset):
    """Ten thousand recommendations of 34 items with clicks and propensities, by a uniform policy or
    by Thompson sampling.

    Both policies ran in the same week, so that each log tells what the other policy is worth. The
    columns `target_0` to `target_33` hold the other policy's probabilities: uniform, or the shares
    of the items in the Thompson log by position, since that policy saw no context and its full
    distribution was not logged.

    Attributes:
        log: `random` or `thompson`: whose log is loaded.
    """

    gives = Table
    log: Literal["random", "thompson"] = "random"

    def load(self) -> Table:
        """Return the log.

        Raises:
            DataError: It does not lie below $HWDS_DATA.
        """
        rows = read_log(self.log)
        shares = other_policy(self.log, rows)
        columns = [pl.Series(f"{PREFIX}{item}", share) for item, share in enumerate(shares.T)]
        return Table.build(rows.with_columns(columns), ROLES)

    def truth(self, task: str) -> Truth | None:
        """Return the clicks of the policy that is evaluated, where its own log is there, for
        off-policy evaluation.
        """
        return OpenBanditTruth(dataset=self) if task == "ope" else None

    def source(self) -> str:
        """Return where it is to be had."""
        return " And ".join(file.source() for file in _FILES.values())


class OpenBanditTruth(LogTruth):
    """The mean click of the target policy in its own log: not the truth itself, but its best
    estimate, with a standard error.

    Attributes:
        dataset: Whose log is evaluated; the other one's rows are the answer.
    """

    dataset: OpenBandit

    def estimate(self, log: LogEvidence) -> EstimatorTerms | None:
        """Return a mean; None where the target is neither of the two policies."""
        other = "thompson" if self.dataset.log == "random" else "random"
        policies = self._policies(log, other).items()
        ran = next((policy for policy, shares in policies if _same(log.target, shares)), None)
        if ran is None:
            return None
        clicks = read_log(ran)["click"].cast(float).to_numpy()
        return EstimatorTerms(None, clicks, np.ones(len(clicks)))

    def _policies(self, log: LogEvidence, other: str) -> dict[str, ndarray]:
        uniform = np.full(log.target.shape, 1 / log.target.shape[1])
        items = [name for name in log.table.columns if name.startswith(PREFIX)]
        return {other: log.table.select(items).to_numpy(), "random": uniform}


def read_log(policy: str) -> pl.DataFrame:
    """Return the log of a policy, in the order of time."""
    table = _FILES[policy].read().select(_COLUMNS)
    instant = (
        pl.col("timestamp").str.slice(0, 19).str.to_datetime("%Y-%m-%d %H:%M:%S", time_zone="UTC")
    )
    position = pl.col("position").replace_strict({1: "left", 2: "middle", 3: "right"})
    return table.with_columns(instant, position)


def other_policy(log: str, rows: pl.DataFrame) -> ndarray:
    """Return the item probabilities of the policy that did not make the log, for each of its rows,
    shape (n, items).
    """
    items = int(rows["item_id"].max()) + 1  # type: ignore[arg-type]
    if log == "thompson":
        return np.full((len(rows), items), 1 / items)
    other = read_log("thompson")
    place = {name: index for index, name in enumerate(("left", "middle", "right"))}
    counts = np.zeros((len(place), items))
    np.add.at(
        counts,
        (other["position"].replace_strict(place).to_numpy(), other["item_id"].to_numpy()),
        1.0,
    )
    return (counts / counts.sum(axis=1, keepdims=True))[
        rows["position"].replace_strict(place).to_numpy()
    ]


def _same(target: ndarray, shares: ndarray) -> bool:
    return target.shape == shares.shape and bool(np.allclose(target, shares))
