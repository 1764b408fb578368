"""Every deal's volumes: the quantiles of the sum over its series and steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from hwds.decisions.volume_templates import Templates
from hwds.decisions.volume_terms import Terms
from hwds.decisions.volume_windows import Windows
from hwds.metrics.coupling import coupled_sum, inverse, middles, ranks_of, scores_of
from hwds.results.volume_verdict import BANDS
from hwds.seeds import stream

BOUNDED = ("committed", "upside")
"""The bands that are also told as if the steps were independent, and as if they moved together."""

SCHEMES = ("independent", "together")

VOLUMES = (*BANDS, *(f"{band}_{scheme}" for band in BOUNDED for scheme in SCHEMES), "naive", "actual")
"""The volumes in a table of deals; `actual` and `naive` are null for the months to come, a band where it is unknown."""


@dataclass(frozen=True, eq=False)
class Deals:
    """Sums up windows.

    Attributes:
        asked: The windows to sum.
        past: The windows of the back-test, whose errors couple them.
        terms: The rule.
        seed: Names the random draws.
        calibrated: Whether the quantiles are others than the model's own, whose law the paths have.
        ranks: Those that were drawn, by moment, members and steps: deals of one cutoff share them.
    """

    asked: Windows
    past: Windows
    terms: Terms
    seed: int
    calibrated: bool = False
    ranks: dict[tuple[int, ...], tuple[np.ndarray | None, int]] = field(default_factory=dict)

    def table(self) -> pl.DataFrame:
        """One row a deal and cutoff, oldest first: `deal, cutoff, first, last, steps, series`, `VOLUMES`, `vectors`.

        The volumes of a deal are null where a series of it has no forecast.
        """
        keys, lengths = self.asked.keys.with_row_index("window"), self.asked.lengths
        groups = keys.group_by("moment", "deal", maintain_order=True).agg("window", pl.col("cutoff", "last").max())
        starts = keys.group_by("moment", "deal", maintain_order=True).agg(pl.col("first").min())["first"]
        made: list[dict[str, Any]] = []
        for row, first in zip(groups.iter_rows(named=True), starts, strict=True):
            members = np.array(row["window"])
            length = int(lengths[members].max())
            known = {"deal": row["deal"], "cutoff": row["cutoff"], "first": first, "last": row["last"]}
            known |= {"steps": length, "series": len(members)}
            # a series without a forecast would be missing from the sum
            made.append(known | (self._volumes(members, length) if lengths[members].all() else {}))
        schema: dict[str, Any] = {"deal": pl.String}
        schema |= {name: self.asked.keys.schema[name] for name in ("cutoff", "first", "last")}
        schema |= {"steps": pl.Int32, "series": pl.Int32, **dict.fromkeys(VOLUMES, pl.Float64), "vectors": pl.Int64}
        return pl.DataFrame(made, schema=schema)

    def _volumes(self, members: np.ndarray, length: int) -> dict[str, Any]:
        """The bands, their bounds, and what happened."""
        levels = self.terms.levels
        parts = [(i, step) for i, member in enumerate(members) for step in range(self.asked.lengths[member])]
        who, when = np.array(parts).T
        quantiles = self.asked.quantiles[members][who, when]
        scores = middles(self.terms.draws)
        draws = self.terms.bounded(np.stack([inverse(self.asked.levels, part, scores) for part in quantiles]))
        sums, vectors = self._sums(members, length, draws, (who, when))
        told: dict[str, Any] = dict.fromkeys(VOLUMES) | {"vectors": vectors}
        if sums is not None:
            told |= dict(zip(BANDS, np.quantile(sums, list(levels.values())).tolist(), strict=True))
        apart = coupled_sum(draws, self._apart(len(members), length)[:, who, when])
        for band in BOUNDED:
            told[f"{band}_independent"] = float(np.quantile(apart, levels[band]))
            own = scores_of(np.array([levels[band]]))
            each = np.array([inverse(self.asked.levels, part, own)[0] for part in quantiles])
            told[f"{band}_together"] = float(self.terms.bounded(each).sum())
        for name in ("naive", "actual"):
            total = float(getattr(self.asked, name)[members][who, when].sum())
            told[name] = None if np.isnan(total) else total
        return told

    def _sums(
        self, members: np.ndarray, length: int, draws: np.ndarray, parts: tuple[np.ndarray, np.ndarray]
    ) -> tuple[np.ndarray | None, int | None]:
        """Draws of the sum, None where too little is known of how its parts move together; and the vectors behind them."""
        moment = int(self.asked.moments[members[0]])
        if self.asked.paths is None:
            ranks, vectors = self._ranks(moment, len(members), length, self.terms.draws, whole=False)
            return (None if ranks is None else coupled_sum(draws, ranks[:, *parts])), vectors
        paths = self.terms.bounded(self._paths(members))
        mine = np.arange(paths.shape[1]) < self.asked.lengths[members][:, None]
        sums = np.where(mine[..., None], paths, 0).sum(1)
        if len(members) == 1:
            return sums[0], None
        ranks, vectors = self._ranks(moment, len(members), length, paths.shape[2], whole=True)
        return (None if ranks is None else coupled_sum(np.sort(sums, 1), ranks[..., 0])), vectors

    def _paths(self, members: np.ndarray) -> np.ndarray:
        """Draws of each series, shape (members, steps, n); of calibrated quantiles, where they are, in the paths' order.

        Ensemble copula coupling: Schefzik, Thorarinsdottir and Gneiting (2013), "Uncertainty quantification in complex
        simulation models using ensemble copula coupling", Statistical Science 28.
        """
        assert self.asked.paths is not None
        paths = self.asked.paths[members].astype(np.float64)
        if not self.calibrated:
            return paths
        scores, ranks = middles(paths.shape[2]), paths.argsort(2, kind="stable").argsort(2, kind="stable")
        quantiles = self.asked.quantiles[members]
        laws = [[inverse(self.asked.levels, step, scores) for step in member] for member in quantiles]
        return np.take_along_axis(np.array(laws), ranks, 2)

    def _ranks(self, moment: int, members: int, length: int, n: int, *, whole: bool) -> tuple[np.ndarray | None, int]:
        key = (moment, members, length, n, whole)
        if key not in self.ranks:
            templates = Templates(self.past, whole)
            usable = templates.usable(moment, length)
            ranks = None
            if len(usable) >= self.terms.least_vectors:
                luck = stream(self.seed, "volume_bands", *map(int, key))
                ranks = ranks_of(templates.vectors(usable, members, length, n, luck), luck)
            self.ranks[key] = ranks, len(usable)
        return self.ranks[key]

    def _apart(self, members: int, length: int) -> np.ndarray:
        """Ranks of parts that have nothing to do with each other."""
        key = (members, length)
        if key not in self.ranks:
            n = self.terms.draws
            rows = np.broadcast_to(np.arange(n)[:, None, None], (n, members, length))
            self.ranks[key] = stream(self.seed, "volume_bands", *key).permuted(rows, axis=0), n
        ranks = self.ranks[key][0]
        assert ranks is not None
        return ranks
