"""Volumes of deals: evidence of forecasts, windows, joint draws, terms and verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series, col

from hwds.core.seeds import stream
from hwds.evaluation.protocol import CLUSTER_COLUMN
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TIME
from hwds.stats.distributions import (
    coupled_sum,
    interpolate_quantiles,
    middle_scores,
    ranks_of,
    scores_of_levels,
)
from hwds.stats.estimates import clustered_wilson, fewest, pooled_ratio

# The evidence that a decision on volumes reads: forecasts on the clock of what was known when.

NEVER = np.iinfo(np.int64).max
"""When an actual is known that never becomes available."""


def with_clock(rows: DataFrame, panel: Panel, *, calendar: bool) -> DataFrame:
    """Return the rows with `moment` and `known`.

    Rows of a cutoff that the data no longer has are left out.

    Args:
        rows: Forecasts of a model: `series_id, cutoff, time, step`.
        panel: The data.
        calendar: Whether cutoffs are instants that series share, or places counted back from each
            series' own end.
    """
    if not calendar:
        back = pl.int_range(pl.len()).over(SERIES) - pl.len().over(SERIES)
        places = panel.table.select(SERIES, cutoff=TIME, moment=back.cast(pl.Int64))
        rows = rows.join(places, on=[SERIES, "cutoff"], how="inner")
        return rows.with_columns(known=col("moment") + col("step"))
    rows = rows.with_columns(moment=_as_ticks(rows, "cutoff"), known=_as_ticks(rows, TIME))
    column = panel.roles.available_at
    if column is None:
        return rows
    published = panel.table.select(SERIES, TIME, published=_as_ticks(panel.table, column))
    rows = rows.join(published, on=[SERIES, TIME], how="left")
    return rows.with_columns(pl.max_horizontal("known", col("published").fill_null(NEVER)))


def _as_ticks(table: DataFrame, column: str) -> pl.Expr:
    """Return a time as a whole number; dates and datetimes on one clock."""
    temporal = table.schema[column].is_temporal()
    return col(column).dt.epoch("us") if temporal else col(column).cast(pl.Int64)


# A model's forecasts laid out by window: one series at one cutoff, with what was forecast and
# what is known of it when.


@dataclass(frozen=True, eq=False)
class DealWindows:
    """w windows over s steps.

    Attributes:
        keys: `series_id`, `cutoff`, `deal` (what it is summed in), `first` and `last` (times), one
            row a window.
        levels: The levels of the quantiles, rising.
        quantiles: Shape (w, s, levels), NaN where there is no forecast.
        paths: Draws, shape (w, s, n); None where there are none.
        actual: The demand, NaN where it is not known, shape (w, s).
        naive: The seasonal naive's forecasts, NaN where there are none, shape (w, s).
        moments: The time of each window, on a clock that series share, shape (w,).
        known: The time when each step's actual was known, on the same clock, shape (w, s).
    """

    keys: DataFrame
    levels: ndarray
    quantiles: ndarray
    paths: ndarray | None
    actual: ndarray
    naive: ndarray
    moments: ndarray
    known: ndarray

    @property
    def lengths(self) -> ndarray:
        """The steps of each window before the first without a forecast, shape (w,)."""
        present = ~np.isnan(self.quantiles).any(2)
        return np.where(present.all(1), present.shape[1], np.argmin(present, 1))

    @property
    def spreads(self) -> ndarray:
        """The width between the outermost quantiles, shape (w, s)."""
        return self.quantiles[..., -1] - self.quantiles[..., 0]

    @property
    def medians(self) -> ndarray:
        """The quantile nearest to one half, shape (w, s)."""
        return self.quantiles[..., np.argmin(np.abs(self.levels - 0.5))]


def deal_windows(
    rows: DataFrame, panel: Panel, steps: tuple[int, int], deal: Sequence[str], *, paths: bool
) -> DealWindows:
    """Lay out the evidence of one model, or of a forecast of the months to come.

    Args:
        rows: The evidence, see `VolumeEvidence.volume_evidence`.
        panel: The data.
        steps: The first and the last step of a deal.
        deal: Static or level columns whose values make a deal of several series; empty for each
            series alone.
        paths: Whether to take draws.
    """
    rows = rows.filter(col("step").is_between(*steps))
    rows = _with_deals(rows, panel, deal).sort("moment", "cutoff", SERIES, "step")
    shared = [CLUSTER_COLUMN] if CLUSTER_COLUMN in rows.columns else []
    keys = rows.group_by("cutoff", SERIES, maintain_order=True).agg(
        col("deal", "moment", *shared).first(), first=col(TIME).min(), last=col(TIME).max()
    )
    window = rows.select(pl.struct("cutoff", SERIES).rle_id()).to_series().to_numpy()
    place = rows["step"].to_numpy() - steps[0]
    names = sorted(
        (name for name in rows.columns if name.startswith("q_")), key=lambda name: float(name[2:])
    )

    def lay_out(values: ndarray, empty: Any = np.nan) -> ndarray:
        out = np.full((len(keys), steps[1] - steps[0] + 1, *values.shape[1:]), empty, values.dtype)
        out[window, place] = values
        return out

    return DealWindows(
        keys,
        np.array([float(name[2:]) for name in names]),
        lay_out(np.stack([_float_column(rows, name) for name in names], -1)),
        lay_out(rows["paths"].to_numpy()) if paths and has_paths(rows) else None,
        lay_out(_float_column(rows, "actual")),
        lay_out(_float_column(rows, "seasonal_naive")),
        keys["moment"].to_numpy(),
        lay_out(rows["known"].to_numpy(), NEVER),
    )


def has_paths(rows: DataFrame) -> bool:
    """Return whether all rows have draws."""
    return "paths" in rows.columns and len(rows) > 0 and not rows["paths"].null_count()


def _float_column(rows: DataFrame, name: str) -> ndarray:
    if name not in rows.columns:
        return np.full(len(rows), np.nan)
    return rows[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _with_deals(rows: DataFrame, panel: Panel, deal: Sequence[str]) -> DataFrame:
    """Return the rows with the name of the deal that each series is a part of."""
    if not deal:
        return rows.with_columns(deal=SERIES)
    name = pl.concat_str(
        [col(column).cast(pl.String).fill_null("(none)") for column in deal], separator=" / "
    )
    names = panel.table.select(SERIES, deal=name)[panel.offsets[:-1]]
    return rows.join(names, on=SERIES, how="inner")


# The verdict on volumes, as plain values and a table of deals.

BANDS = ("committed", "base", "upside", "optimal")
"""The reported quantiles of a deal's volume, and the columns of a verdict's `deals` that hold
them.
"""

Coupling = Literal["paths", "errors", "none"]
When = Literal["back-test", "future"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BandRecord:
    """The outcome of one volume as the commitment, over the deals of the back-test.

    Attributes:
        band: `committed`, `base`, `upside`, `optimal`, or `naive`: the sum of the seasonal naive's
            forecasts. With `[independent]` or `[together]` behind it, what it would be if the steps
            had nothing to do with each other, or if each were at that same quantile (the sum of the
            steps' quantiles).
        level: The share of deals that should be below it; None for the naive.
        below, below_low, below_high: The share in which demand was below it, and its 95 % interval
            (Wilson's, of so many independent deals as the clusters of one deal at several cutoffs
            are worth).
        deals, clusters: The number of deals, and of their names.
        cost, cost_stderr: Mean cost of a deal, and its standard error clustered by name.
        saving, saving_low, saving_high: 1 - cost over that of the naive, with its 95 % interval;
            None without a naive.
    """

    band: str
    level: float | None
    below: float
    below_low: float
    below_high: float
    deals: int
    clusters: int
    cost: float
    cost_stderr: float | None
    saving: float | None
    saving_low: float | None
    saving_high: float | None


def last_deals(deals: DataFrame) -> DataFrame:
    """Return the deals of the last cutoff on the clock that series share.

    Tables of earlier code have the cutoff alone.
    """
    return deals.filter(
        col("latest") if "latest" in deals.columns else col("cutoff") == col("cutoff").max()
    )


# The settings of a decision on volumes.


@dataclass(frozen=True, slots=True)
class VolumeTerms:
    """The rule.

    Attributes:
        committed, base, upside: Levels of the bands.
        over: The cost of a unit committed and not demanded.
        under: The cost of a unit demanded and not committed.
        floor: The lower bound of a month's demand; None where it may be anything.
        draws: The number of draws of a sum.
        least_vectors: Past error vectors that a deal needs.
        least_deals: Back-tested deals that a commitment needs.
    """

    committed: float
    base: float
    upside: float
    over: float
    under: float
    floor: float | None
    draws: int
    least_vectors: int
    least_deals: int

    @property
    def optimal(self) -> float:
        """The level whose quantile costs least on average: under / (under + over).

        One more unit is wasted with probability F(q) and saves a shortage with 1 - F(q): over F(q)
        = under (1 - F(q)) (Arrow, Harris and Marschak 1951, "Optimal inventory policy"; the
        newsvendor).
        """
        return self.under / (self.under + self.over)

    @property
    def levels(self) -> dict[str, float]:
        """By band."""
        return dict(zip(BANDS, (self.committed, self.base, self.upside, self.optimal), strict=True))

    def cost(self, committed: ndarray, demanded: ndarray) -> ndarray:
        """Return the cost of commitments, given demand."""
        return self.over * np.maximum(committed - demanded, 0) + self.under * np.maximum(
            demanded - committed, 0
        )

    def bound(self, demand: ndarray) -> ndarray:
        """Return draws of a month's demand, not below the floor."""
        return demand if self.floor is None else np.maximum(demand, self.floor)


def law_of_draws(draws: int, least_vectors: int) -> VolumeTerms:
    """Return terms for joint draws alone, whose levels and costs nothing reads.

    Args:
        draws: The number of draws.
        least_vectors: The past error vectors below which steps are independent.
    """
    return VolumeTerms(0.1, 0.5, 0.9, 1.0, 1.0, 0.0, draws, least_vectors, 1)


def share_short(deals: DataFrame, short: ndarray) -> tuple[float, float, float]:
    """Return the share of deals that fall short, and its 95 % interval, clustered by name.

    Args:
        deals: The deals, see `Deals.table`.
        short: Whether each falls short.
    """
    names = name_codes(drawn_names(deals))
    share = pooled_ratio(np.bincount(names, short), np.bincount(names).astype(float))
    assert share.value is not None
    return share.value, *clustered_wilson(share.value, len(deals), share.n, share.stderr)


def deciding_names(deals: DataFrame, short: ndarray, level: float) -> list[str]:
    """Return the fewest names without whose deals the share that falls short is not surely above a
    level; none if it is not with all of them, or stays so.

    Args:
        deals: The deals, see `Deals.table`.
        short: Whether each falls short.
        level: The share that is meant.
    """
    drawn = drawn_names(deals)
    names, codes = drawn.unique().sort(), name_codes(drawn)

    def sure(left_out: ndarray) -> bool:
        kept = ~np.isin(codes, left_out)
        return share_short(deals.filter(kept), short[kept])[1] > level

    few = fewest(np.bincount(codes, short - level), sure) if sure(np.zeros(0, np.int64)) else ()
    return [str(names[code]) for code in few]


def drawn_names(deals: DataFrame) -> Series:
    """Return the name by which each deal is drawn: the cluster of its series, or its own."""
    return deals[CLUSTER_COLUMN if CLUSTER_COLUMN in deals.columns else "deal"]


def name_codes(names: Series) -> ndarray:
    """Return the place of each name among all names in order."""
    return names.rank("dense").to_numpy().astype(np.int64) - 1


# Every deal's volumes: the quantiles of the sum over its series and steps.

BOUNDED = ("committed", "upside")
"""The bands that are also computed as if the steps were independent, and as if they moved together.
"""

SCHEMES = ("independent", "together")

DEAL_VOLUMES = (
    *BANDS,
    *(f"{band}_{scheme}" for band in BOUNDED for scheme in SCHEMES),
    "naive",
    "actual",
)
"""The volumes in a table of deals; `actual` and `naive` are null for the months to come, a band
where it is unknown.
"""


@dataclass(frozen=True, eq=False)
class Deals:
    """Sums up windows.

    Attributes:
        windows: The windows to sum.
        past: The windows of the back-test, whose errors couple them.
        terms: The rule.
        seed: The seed of the random draws.
        calibrated: Whether the quantiles are others than the model's own, whose law the paths have.
        ranks: The ranks that were drawn, by moment, members and steps: deals of one cutoff share
            them.
    """

    windows: DealWindows
    past: DealWindows
    terms: VolumeTerms
    seed: int
    calibrated: bool = False
    ranks: dict[tuple[int, ...], tuple[ndarray | None, int]] = field(default_factory=dict)

    def table(self) -> DataFrame:
        """Return one row a deal and cutoff, oldest first: `deal, cutoff, latest, first, last,
        steps, series, VOLUMES, vectors`.

        The volumes of a deal are null where a series of it has no forecast. The latest deals are
        those of the last cutoff, or of each series' own last one where cutoffs are counted from the
        ends of series.
        """
        keys, lengths = self.windows.keys.with_row_index("window"), self.windows.lengths
        shared = [CLUSTER_COLUMN] if CLUSTER_COLUMN in keys.columns else []
        rows = keys.group_by("moment", "deal", maintain_order=True).agg(
            "window",
            col("cutoff", "last").max(),
            col("first").min(),
            # a deal of several clusters is drawn alone
            *(
                pl.when(col(name).n_unique() == 1)
                .then(col(name).first())
                .otherwise(col("deal").first())
                .alias(name)
                for name in shared
            ),
        )
        made: list[dict[str, Any]] = []
        for row in rows.iter_rows(named=True):
            members = np.array(row.pop("window"))
            length = int(lengths[members].max())
            row |= {
                "latest": row["moment"] == keys["moment"].max(),
                "steps": length,
                "series": len(members),
            }
            # a series without a forecast would be missing from the sum
            made.append(row | (self._volumes(members, length) if lengths[members].all() else {}))
        schema: dict[str, Any] = {
            "deal": pl.String,
            "cutoff": keys.schema["cutoff"],
            "latest": pl.Boolean,
            "first": keys.schema["first"],
            "last": keys.schema["last"],
            "steps": pl.Int32,
            "series": pl.Int32,
            **dict.fromkeys(DEAL_VOLUMES, pl.Float64),
            "vectors": pl.Int64,
            **dict.fromkeys(shared, pl.String),
        }
        return DataFrame(made, schema)

    def joint_draws(self, members: ndarray) -> tuple[ndarray, str]:
        """Return joint draws of several series of one cutoff, and what couples them, `paths`,
        `errors`, or `independent`.

        Steps are coupled by sample paths, else by the rank order of past errors. Sample paths of
        several series are put in the order that past errors of whole windows say, as in the volumes
        of deals. Nothing is coupled where there are too few.

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
        ranks = self._independent_ranks(len(members), length) if ranks is None else ranks
        laws = self._laws(self.windows.quantiles[members][:, :length], n)
        draws = np.take_along_axis(laws, ranks.transpose(1, 2, 0), axis=2)
        return self._forecast_steps(members, draws), source

    def _forecast_steps(self, members: ndarray, draws: ndarray) -> ndarray:
        """Return draws within their bounds, 0 beyond a series' last forecast step.

        Args:
            members: The places of the windows.
            draws: The draws, shape (members, steps, n).
        """
        forecast = np.arange(draws.shape[1]) < self.windows.lengths[members][:, None]
        return np.where(forecast[..., None], self.terms.bound(draws), 0.0)

    def _laws(self, quantiles: ndarray, n: int) -> ndarray:
        """Return n equally likely values of each law, rising, shape (..., n).

        Args:
            quantiles: The quantiles of each law at the levels of the windows, shape (..., levels).
            n: The number of values.
        """
        levels, scores = self.windows.levels, middle_scores(n)
        return np.apply_along_axis(
            lambda law: interpolate_quantiles(levels, law, scores), -1, quantiles
        )

    def series_draws(self, member: int) -> tuple[ndarray, str]:
        """Return joint draws of the steps of one window, shape (steps, n), and what couples them.

        See `joint_draws`.

        Args:
            member: The place of the window.
        """
        draws, source = self.joint_draws(np.array([member]))
        return draws[0], source

    def _joint_paths(self, members: ndarray, length: int) -> tuple[ndarray, str]:
        """Return sample paths, of which the k-th smallest sum of a series goes where its k-th
        smallest past error stood.
        """
        paths = self._paths(members)[:, :length]
        if len(members) == 1:
            return paths, "paths"
        moment = int(self.windows.moments[members[0]])
        ranks, _ = self._ranks(moment, len(members), length, paths.shape[2], whole=True)
        if ranks is None:
            return paths, "independent"
        order = np.take_along_axis(
            paths.sum(axis=1).argsort(axis=1, kind="stable"), ranks[..., 0].T, axis=1
        )
        return np.take_along_axis(paths, order[:, None], axis=2), "paths"

    def _volumes(self, members: ndarray, length: int) -> dict[str, Any]:
        """Return the bands, their bounds, and what happened."""
        levels, lengths = self.terms.levels, self.windows.lengths[members]
        who, when = np.nonzero(np.arange(length) < lengths[:, None])
        quantiles = self.windows.quantiles[members][who, when]
        draws = self.terms.bound(self._laws(quantiles, self.terms.draws))
        sums, vectors = self._sums(members, length, draws, (who, when))
        volumes: dict[str, Any] = dict.fromkeys(DEAL_VOLUMES) | {"vectors": vectors}
        if sums is not None:
            bands = np.quantile(sums, list(levels.values())).tolist()
            volumes |= dict(zip(BANDS, bands, strict=True))
        ranks = self._independent_ranks(len(members), length)[:, who, when]
        independent = coupled_sum(draws, ranks)
        for band in BOUNDED:
            volumes[f"{band}_independent"] = float(np.quantile(independent, levels[band]))
            score = scores_of_levels(np.array([levels[band]]))
            each = [interpolate_quantiles(self.windows.levels, law, score)[0] for law in quantiles]
            volumes[f"{band}_together"] = float(self.terms.bound(np.array(each)).sum())
        for name in ("naive", "actual"):
            total = float(getattr(self.windows, name)[members][who, when].sum())
            volumes[name] = None if np.isnan(total) else total
        return volumes

    def _sums(
        self,
        members: ndarray,
        length: int,
        draws: ndarray,
        parts: tuple[ndarray, ndarray],
    ) -> tuple[ndarray | None, int | None]:
        """Return draws of the sum, and the number of error vectors behind them.

        None where there are too few vectors.
        """
        moment, many = int(self.windows.moments[members[0]]), len(members)
        if self.windows.paths is None:
            ranks, vectors = self._ranks(moment, many, length, self.terms.draws, whole=False)
            return (None if ranks is None else coupled_sum(draws, ranks[:, *parts])), vectors
        sums = self._paths(members).sum(1)
        if many == 1:
            return sums[0], None
        ranks, vectors = self._ranks(moment, many, length, sums.shape[1], whole=True)
        return (None if ranks is None else coupled_sum(np.sort(sums, 1), ranks[..., 0])), vectors

    def _paths(self, members: ndarray) -> ndarray:
        """Return draws of each series, 0 beyond its last forecast step, shape (members, steps, n).

        If calibrated, of those quantiles in the order of the paths.

        Ensemble copula coupling: Schefzik, Thorarinsdottir and Gneiting (2013), "Uncertainty
        quantification in complex simulation models using ensemble copula coupling", Statistical
        Science 28.
        """
        assert self.windows.paths is not None
        paths = self.windows.paths[members].astype(np.float64)
        if self.calibrated:
            ranks = paths.argsort(2, kind="stable").argsort(2, kind="stable")
            laws = self._laws(self.windows.quantiles[members], paths.shape[2])
            paths = np.take_along_axis(laws, ranks, 2)
        return self._forecast_steps(members, paths)

    def _ranks(
        self, moment: int, members: int, length: int, n: int, *, whole: bool
    ) -> tuple[ndarray | None, int]:
        key = (moment, members, length, n, whole)
        if key not in self.ranks:
            templates = ErrorTemplates(self.past, whole)
            usable = templates.usable(moment, length)
            ranks = None
            if len(usable) >= self.terms.least_vectors:
                rng = stream(self.seed, "volume_bands", *map(int, key))
                ranks = ranks_of(templates.vectors(usable, members, length, n, rng), rng)
            self.ranks[key] = ranks, len(usable)
        return self.ranks[key]

    def _independent_ranks(self, members: int, length: int) -> ndarray:
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
class ErrorTemplates:
    """The error vectors of past windows.

    Attributes:
        windows: The windows of the back-test.
        whole: Take the error of a window's sum in place of the errors of its steps: what the sums
            of paths are coupled by.
    """

    windows: DealWindows
    whole: bool = False

    @cached_property
    def errors(self) -> ndarray:
        """The actual less the median, over the width between the outermost quantiles.

        NaN without a width; shape (w, s).
        """
        width = self.windows.spreads
        known = width > 0
        return np.where(
            known, (self.windows.actual - self.windows.medians) / np.where(known, width, 1), np.nan
        )

    def usable(self, moment: int, length: int) -> ndarray:
        """Return the windows whose first `length` steps were all known by a moment, and have
        errors.
        """
        known = (self.windows.known[:, :length] <= moment).all(1)
        return np.flatnonzero(known & ~np.isnan(self.errors[:, :length]).any(1))

    def vectors(
        self, usable: ndarray, members: int, length: int, n: int, rng: np.random.Generator
    ) -> ndarray:
        """Draw n error vectors, shape (n, members, length), or (n, members, 1) of whole sums.

        Of several members a draw takes windows of one past cutoff, those of one deal before others,
        so that what moves series together moves them here.
        """
        chosen = (
            draw_evenly(usable, n, rng)[:, None]
            if members == 1
            else self._vectors_together(usable, members, n, rng)
        )
        if not self.whole:
            return self.errors[chosen, :length]
        width = self.windows.spreads[:, :length]
        error = (self.windows.actual - self.windows.medians)[:, :length].sum(1) / width.sum(1)
        return error[chosen][..., None]

    def _vectors_together(
        self, usable: ndarray, members: int, n: int, rng: np.random.Generator
    ) -> ndarray:
        moments = self.windows.moments[usable]
        deals = self.windows.keys["deal"].rank("dense").to_numpy()[usable]
        picks = np.empty((n, members), np.int64)
        for row, lead in enumerate(draw_evenly(np.arange(len(usable)), n, rng)):
            same_moment = rng.permutation(np.flatnonzero(moments == moments[lead]))
            near = same_moment[np.argsort(deals[same_moment] != deals[lead], kind="stable")]
            picks[row] = usable[np.resize(near, members)]
        return picks


def draw_evenly(things: ndarray, n: int, rng: np.random.Generator) -> ndarray:
    """Return n of them in random order, each as often as any other, give or take one."""
    rounds = [rng.permutation(things) for _ in range(-(-n // len(things)))]
    return rng.permutation(np.concatenate(rounds)[:n])
