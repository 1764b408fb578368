"""Which past error vectors a deal may learn from, and draws of them: nothing that was not known at its cutoff."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hwds.decisions.volume_windows import Windows


@dataclass(frozen=True, eq=False)
class Templates:
    """The error vectors of past windows.

    Attributes:
        windows: Of the back-test.
        whole: Take the error of a window's sum in place of the errors of its steps: what the sums of paths are coupled by.
    """

    windows: Windows
    whole: bool = False

    @cached_property
    def errors(self) -> np.ndarray:
        """What happened less the median over the width between the outermost quantiles; NaN without a width; shape (w, s)."""
        width = self.windows.spreads
        known = width > 0
        return np.where(known, (self.windows.actual - self.windows.medians) / np.where(known, width, 1), np.nan)

    def usable(self, moment: int, length: int) -> np.ndarray:
        """The windows whose first `length` steps were all known by a moment, and have errors."""
        known = (self.windows.known[:, :length] <= moment).all(1)
        return np.flatnonzero(known & ~np.isnan(self.errors[:, :length]).any(1))

    def vectors(self, usable: np.ndarray, members: int, length: int, n: int, luck: np.random.Generator) -> np.ndarray:
        """Draw n error vectors, shape (n, members, length), or (n, members, 1) of whole sums.

        Of several members a draw takes windows of one past cutoff, those of one deal before others, so that what moves series
        together moves them here.
        """
        chosen = even(usable, n, luck)[:, None] if members == 1 else self._together(usable, members, n, luck)
        if not self.whole:
            return self.errors[chosen, :length]
        width = self.windows.spreads[:, :length]
        error = (self.windows.actual - self.windows.medians)[:, :length].sum(1) / width.sum(1)
        picked: np.ndarray = error[chosen][..., None]
        return picked

    def _together(self, usable: np.ndarray, members: int, n: int, luck: np.random.Generator) -> np.ndarray:
        moments = self.windows.moments[usable]
        deals = self.windows.keys["deal"].rank("dense").to_numpy()[usable]
        picks = np.empty((n, members), np.int64)
        for row, lead in enumerate(even(np.arange(len(usable)), n, luck)):
            beside = luck.permutation(np.flatnonzero(moments == moments[lead]))
            near = beside[np.argsort(deals[beside] != deals[lead], kind="stable")]
            picks[row] = usable[np.resize(near, members)]
        return picks


def even(things: np.ndarray, n: int, luck: np.random.Generator) -> np.ndarray:
    """N of them in random order, each as often as any other but for one."""
    rounds = [luck.permutation(things) for _ in range(-(-n // len(things)))]
    return luck.permutation(np.concatenate(rounds)[:n])
