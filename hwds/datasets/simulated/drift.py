"""Simulated rows whose law changes on known days: what a monitor must see, and what it must not."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import numpy as np
import polars as pl
from annotated_types import Ge, Le

from hwds.core.errors import ConfigError
from hwds.core.recipe import Amount, Days, NonNegative, Rows, Seed, Small, UnitInterval
from hwds.core.seeds import stream
from hwds.datasets.base import Dataset
from hwds.frames.table import Table

BEGIN = datetime(2024, 1, 1)
CHANNELS = ("online", "retail", "education", "carrier")

ROLES = {
    "time": ("time",),
    "label": ("bad",),
    "truth": ("true_bad", "true_chance", "changes"),
    "amount": ("spent",),
    "covariate": ("spent", "visits", "channel"),
}

INTERCEPT, OF_SPENT, OF_VISITS, OF_EDUCATION = -3.0, 0.5, 1.0, 1.0
"""The log odds of a bad row, and what they gain by a standard deviation of each input, or by the
channel.
"""

MOST_ROWS = 20_000_000


class Drift(Dataset):
    """Simulated orders that are alike each day, until inputs shift, labels follow another law, or
    values go missing.

    Each change comes once, on the day that stands at its share of all days, and stays; at 1 it
    never comes. Log odds of a bad order are -3 + .5 z(log spent) + `visits` + 1 in education.
    Columns: `time`, `spent` (log-normal), `visits` (standard normal, with a weekly season),
    `channel`, `bad`; the truth is `true_bad` (the same), `true_chance`, and `changes`, the number
    of changes that have come.

    Attributes:
        daily: Orders of a day.
        days: From the first order to the last.
        inputs_at: The share of the days after which `visits` is shifted.
        inputs_shift: Standard deviations by which `visits` is shifted from then on.
        labels_at: The share of the days after which the effect of `visits` is another one.
        labels_shift: Log odds a standard deviation that the effect of `visits` loses from then on.
        missing_at: The share of the days after which values of `visits` are missing.
        missing_share: The share of the values of `visits` that is missing from then on.
        season: The amplitude of the week in `visits`, in standard deviations; it is no change.
        seed: Names the draws of the world.
    """

    gives = Table
    daily: Annotated[Rows, Small(50)] = 100
    days: Annotated[Days, Ge(10), Le(3650), Small(90)] = 180
    inputs_at: UnitInterval = 0.6
    inputs_shift: Amount = 0.5
    labels_at: UnitInterval = 0.8
    labels_shift: Amount = 2.0
    missing_at: UnitInterval = 1.0
    missing_share: UnitInterval = 0.2
    season: NonNegative = 0.0
    seed: Seed = 0

    def load(self) -> Table:
        """Return the orders in the order of time.

        Raises:
            ConfigError: There are more than memory holds.
        """
        if self.daily * self.days > MOST_ROWS:
            raise ConfigError(
                f"dataset.daily: {self.daily:,} orders on {self.days:,} days are more than "
                f"{MOST_ROWS:,}."
            )
        rng, n = stream(self.seed, "drift"), self.daily * self.days
        at = np.sort(rng.random(n)) * self.days
        visits = (
            rng.normal(size=n)
            + self.season * np.sin(2 * np.pi * at / 7)
            + self.inputs_shift * self._after(self.inputs_at, at)
        )
        spent, channel = rng.normal(size=n), rng.integers(0, len(CHANNELS), n)
        effect = OF_VISITS - self.labels_shift * self._after(self.labels_at, at)
        odds = (
            INTERCEPT
            + OF_SPENT * spent
            + effect * visits
            + OF_EDUCATION * (channel == CHANNELS.index("education"))
        )
        chance = 1 / (1 + np.exp(-odds))
        bad = (rng.random(n) < chance).astype(float)
        missing = self._after(self.missing_at, at) & (rng.random(n) < self.missing_share)
        data = pl.DataFrame(
            {
                "time": np.datetime64(BEGIN, "us") + (at * 86_400e6).astype("timedelta64[us]"),
                "spent": np.exp(4 + 0.5 * spent),
                "visits": visits,
                "channel": np.array(CHANNELS)[channel],
                "bad": bad,
                "true_bad": bad,
                "true_chance": chance,
                "changes": sum(self._after(share, at).astype(int) for share in self._shares),
            }
        )
        return Table.build(
            data.with_columns(visits=pl.when(~pl.Series(missing)).then("visits")), ROLES
        )

    @property
    def _shares(self) -> tuple[float, float, float]:
        return self.inputs_at, self.labels_at, self.missing_at

    def _after(self, share: float, at: np.ndarray) -> np.ndarray:
        """Return whether an instant, in days, is on the day at a share of all days or behind it."""
        return at >= np.ceil(
            round(share * self.days, 6)
        )  # .28 of 25 days are 7, and 7.000000000000001 in binary
