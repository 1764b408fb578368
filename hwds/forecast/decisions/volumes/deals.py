"""Every deal's volumes: the quantiles of the sum over its series and steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from hwds.core.seeds import stream
from hwds.forecast.decisions.volumes.terms import VolumeTerms
from hwds.forecast.decisions.volumes.verdict import BANDS
from hwds.forecast.decisions.volumes.windows import DealWindows
from hwds.statistics.coupling import coupled_sum, inverse, middles, ranks_of, scores_of

BOUNDED = ("committed", "upside")
"""The bands that are also computed as if the steps were independent, and as if they moved together."""

SCHEMES = ("independent", "together")

VOLUMES = (*BANDS, *(f"{band}_{scheme}" for band in BOUNDED for scheme in SCHEMES), "naive", "actual")
"""The volumes in a table of deals; `actual` and `naive` are null for the months to come, a band where it is unknown."""


@dataclass(frozen=True, eq=False)
class Deals:
    """Sums up windows.

    Attributes:
        windows: The windows to sum.
        past: The windows of the back-test, whose errors couple them.
        terms: The rule.
        seed: Names the random draws.
        calibrated: Whether the quantiles are others than the model's own, whose law the paths have.
        ranks: Those that were drawn, by moment, members and steps: deals of one cutoff share them.
    """

    windows: DealWindows
    past: DealWindows
    terms: VolumeTerms
    seed: int
    calibrated: bool = False
    ranks: dict[tuple[int, ...], tuple[np.ndarray | None, int]] = field(default_factory=dict)

    def table(self) -> pl.DataFrame:
        """Return one row a deal and cutoff, oldest first: `deal, cutoff, latest, first, last, steps, series, VOLUMES, vectors`.

        The volumes of a deal are null where a series of it has no forecast. The latest deals are those of the last cutoff, or
        of each series' own last one where cutoffs are counted from the ends of series.
        """
        keys, lengths = self.windows.keys.with_row_index("window"), self.windows.lengths
        groups = keys.group_by("moment", "deal", maintain_order=True).agg("window", pl.col("cutoff", "last").max())
        starts = keys.group_by("moment", "deal", maintain_order=True).agg(pl.col("first").min())["first"]
        made: list[dict[str, Any]] = []
        for row, first in zip(groups.iter_rows(named=True), starts, strict=True):
            members = np.array(row["window"])
            length = int(lengths[members].max())
            known = {"deal": row["deal"], "cutoff": row["cutoff"], "latest": row["moment"] == keys["moment"].max()}
            known |= {"first": first, "last": row["last"], "steps": length, "series": len(members)}
            # a series without a forecast would be missing from the sum
            made.append(known | (self._volumes(members, length) if lengths[members].all() else {}))
        cutoff, *ends = (self.windows.keys.schema[name] for name in ("cutoff", "first", "last"))
        schema: dict[str, Any] = {"deal": pl.String, "cutoff": cutoff, "latest": pl.Boolean, "first": ends[0], "last": ends[1]}
        schema |= {"steps": pl.Int32, "series": pl.Int32, **dict.fromkeys(VOLUMES, pl.Float64), "vectors": pl.Int64}
        return pl.DataFrame(made, schema=schema)

    def joint_draws(self, members: np.ndarray) -> tuple[np.ndarray, str]:
        """Return joint draws of several series of one cutoff, and what couples them, `paths`, `errors`, or `independent`.

        Steps are coupled by sample paths, else by the rank order of past errors. Sample paths of several series are put in the
        order that past errors of whole windows say, as in the volumes of deals. Nothing is coupled where there are too few.

        Args:
            members: The places of the windows.

        Returns:
            The draws, shape (members, steps, n), 0 beyond a series' last forecast step.
        """
        length = int(self.windows.lengths[members].max())
        if self.windows.paths is not None:
            return self._joint_paths(members, length)
        moment, n = int(self.windows.moments[members[0]]), self.terms.draws
        ranks, _ = self._ranks(moment, len(members), length, n, whole=False)
        source = "independent" if ranks is None else "errors"
        ranks = self._apart(len(members), length) if ranks is None else ranks
        scores, out = middles(n), np.zeros((len(members), length, n))
        for place, member in enumerate(members.tolist()):
            steps = int(self.windows.lengths[member])
            laws = [inverse(self.windows.levels, step, scores) for step in self.windows.quantiles[member, :steps]]
            out[place, :steps] = np.take_along_axis(self.terms.bounded(np.stack(laws)), ranks[:, place, :steps].T, axis=1)
        return out, source

    def series_draws(self, member: int) -> tuple[np.ndarray, str]:
        """Return joint draws of the steps of one window, shape (steps, n), and what couples them; see `joint_draws`.

        Args:
            member: The place of the window.
        """
        draws, source = self.joint_draws(np.array([member]))
        return draws[0], source

    def _joint_paths(self, members: np.ndarray, length: int) -> tuple[np.ndarray, str]:
        """Return sample paths, of which the k-th smallest sum of a series goes where its k-th smallest past error stood."""
        mine = np.arange(length) < self.windows.lengths[members][:, None]
        paths = np.where(mine[..., None], self.terms.bounded(self._paths(members)[:, :length]), 0.0)
        if len(members) == 1:
            return paths, "paths"
        moment = int(self.windows.moments[members[0]])
        ranks, _ = self._ranks(moment, len(members), length, paths.shape[2], whole=True)
        if ranks is None:
            return paths, "independent"
        order = np.take_along_axis(paths.sum(axis=1).argsort(axis=1, kind="stable"), ranks[..., 0].T, axis=1)
        return np.take_along_axis(paths, order[:, None], axis=2), "paths"

    def _volumes(self, members: np.ndarray, length: int) -> dict[str, Any]:
        """Return the bands, their bounds, and what happened."""
        levels = self.terms.levels
        parts = [(i, step) for i, member in enumerate(members) for step in range(self.windows.lengths[member])]
        who, when = np.array(parts).T
        quantiles = self.windows.quantiles[members][who, when]
        scores = middles(self.terms.draws)
        draws = self.terms.bounded(np.stack([inverse(self.windows.levels, part, scores) for part in quantiles]))
        sums, vectors = self._sums(members, length, draws, (who, when))
        volumes: dict[str, Any] = dict.fromkeys(VOLUMES) | {"vectors": vectors}
        if sums is not None:
            volumes |= dict(zip(BANDS, np.quantile(sums, list(levels.values())).tolist(), strict=True))
        apart = coupled_sum(draws, self._apart(len(members), length)[:, who, when])
        for band in BOUNDED:
            volumes[f"{band}_independent"] = float(np.quantile(apart, levels[band]))
            level_score = scores_of(np.array([levels[band]]))
            each = np.array([inverse(self.windows.levels, part, level_score)[0] for part in quantiles])
            volumes[f"{band}_together"] = float(self.terms.bounded(each).sum())
        for name in ("naive", "actual"):
            total = float(getattr(self.windows, name)[members][who, when].sum())
            volumes[name] = None if np.isnan(total) else total
        return volumes

    def _sums(
        self, members: np.ndarray, length: int, draws: np.ndarray, parts: tuple[np.ndarray, np.ndarray]
    ) -> tuple[np.ndarray | None, int | None]:
        """Return draws of the sum, and the number of error vectors behind them; None where there are too few vectors."""
        moment = int(self.windows.moments[members[0]])
        if self.windows.paths is None:
            ranks, vectors = self._ranks(moment, len(members), length, self.terms.draws, whole=False)
            return (None if ranks is None else coupled_sum(draws, ranks[:, *parts])), vectors
        paths = self.terms.bounded(self._paths(members))
        mine = np.arange(paths.shape[1]) < self.windows.lengths[members][:, None]
        sums = np.where(mine[..., None], paths, 0).sum(1)
        if len(members) == 1:
            return sums[0], None
        ranks, vectors = self._ranks(moment, len(members), length, paths.shape[2], whole=True)
        return (None if ranks is None else coupled_sum(np.sort(sums, 1), ranks[..., 0])), vectors

    def _paths(self, members: np.ndarray) -> np.ndarray:
        """Return draws of each series, shape (members, steps, n); if calibrated, of those quantiles in the order of the paths.

        Ensemble copula coupling: Schefzik, Thorarinsdottir and Gneiting (2013), "Uncertainty quantification in complex
        simulation models using ensemble copula coupling", Statistical Science 28.
        """
        assert self.windows.paths is not None
        paths = self.windows.paths[members].astype(np.float64)
        if not self.calibrated:
            return paths
        scores, ranks = middles(paths.shape[2]), paths.argsort(2, kind="stable").argsort(2, kind="stable")
        quantiles = self.windows.quantiles[members]
        laws = [[inverse(self.windows.levels, step, scores) for step in member] for member in quantiles]
        return np.take_along_axis(np.array(laws), ranks, 2)

    def _ranks(self, moment: int, members: int, length: int, n: int, *, whole: bool) -> tuple[np.ndarray | None, int]:
        key = (moment, members, length, n, whole)
        if key not in self.ranks:
            templates = Templates(self.past, whole)
            usable = templates.usable(moment, length)
            ranks = None
            if len(usable) >= self.terms.least_vectors:
                rng = stream(self.seed, "volume_bands", *map(int, key))
                ranks = ranks_of(templates.vectors(usable, members, length, n, rng), rng)
            self.ranks[key] = ranks, len(usable)
        return self.ranks[key]

    def _apart(self, members: int, length: int) -> np.ndarray:
        """Return ranks of independent parts."""
        key = (members, length)
        if key not in self.ranks:
            n = self.terms.draws
            rows = np.broadcast_to(np.arange(n)[:, None, None], (n, members, length))
            self.ranks[key] = stream(self.seed, "volume_bands", *key).permuted(rows, axis=0), n
        ranks = self.ranks[key][0]
        assert ranks is not None
        return ranks


@dataclass(frozen=True, eq=False)
class Templates:
    """The error vectors of past windows.

    Attributes:
        windows: Of the back-test.
        whole: Take the error of a window's sum in place of the errors of its steps: what the sums of paths are coupled by.
    """

    windows: DealWindows
    whole: bool = False

    @cached_property
    def errors(self) -> np.ndarray:
        """The actual less the median, over the width between the outermost quantiles; NaN without a width; shape (w, s)."""
        width = self.windows.spreads
        known = width > 0
        return np.where(known, (self.windows.actual - self.windows.medians) / np.where(known, width, 1), np.nan)

    def usable(self, moment: int, length: int) -> np.ndarray:
        """Return the windows whose first `length` steps were all known by a moment, and have errors."""
        known = (self.windows.known[:, :length] <= moment).all(1)
        return np.flatnonzero(known & ~np.isnan(self.errors[:, :length]).any(1))

    def vectors(self, usable: np.ndarray, members: int, length: int, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw n error vectors, shape (n, members, length), or (n, members, 1) of whole sums.

        Of several members a draw takes windows of one past cutoff, those of one deal before others, so that what moves series
        together moves them here.
        """
        chosen = even(usable, n, rng)[:, None] if members == 1 else self._together(usable, members, n, rng)
        if not self.whole:
            return self.errors[chosen, :length]
        width = self.windows.spreads[:, :length]
        error = (self.windows.actual - self.windows.medians)[:, :length].sum(1) / width.sum(1)
        picked: np.ndarray = error[chosen][..., None]
        return picked

    def _together(self, usable: np.ndarray, members: int, n: int, rng: np.random.Generator) -> np.ndarray:
        moments = self.windows.moments[usable]
        deals = self.windows.keys["deal"].rank("dense").to_numpy()[usable]
        picks = np.empty((n, members), np.int64)
        for row, lead in enumerate(even(np.arange(len(usable)), n, rng)):
            same_moment = rng.permutation(np.flatnonzero(moments == moments[lead]))
            near = same_moment[np.argsort(deals[same_moment] != deals[lead], kind="stable")]
            picks[row] = usable[np.resize(near, members)]
        return picks


def even(things: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return n of them in random order, each as often as any other, give or take one."""
    rounds = [rng.permutation(things) for _ in range(-(-n // len(things)))]
    return rng.permutation(np.concatenate(rounds)[:n])
