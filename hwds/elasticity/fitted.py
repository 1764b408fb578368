"""What models of demand are given and what they say of every cell: context, estimates, demand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series

from hwds.core.serialization import Serializable
from hwds.elasticity.design import CROSS, LAG, PAIR, DemandDesign, DemandTerms
from hwds.elasticity.sweeping import covariance_root
from hwds.evaluation.protocol import RunContext
from hwds.frames.panel import Panel

# ElasticityContext: what a model of demand is given besides the history.


@dataclass(frozen=True, slots=True)
class ElasticityContext(RunContext):
    """The settings of a run, and what a protocol asks of a model beside its own settings.

    Attributes:
        level: The level of the intervals.
        controls: Columns of the panel to take beside the model's own, each with a slope that all
            cells share.
    """

    level: float = 0.95
    controls: tuple[str, ...] = ()


# FittedElasticities: what a model says of every cell, and the demand that follows from prices.

CELL_COLUMNS = (
    "series_id",
    "sku",
    "channel",
    "family",
    "elasticity",
    "stderr",
    "df",
    "ci_low",
    "ci_high",
    "weight_own",
    "lag",
    "lag_stderr",
    "cross",
    "cross_stderr",
    "status",
    "reason",
)
"""Columns of the cells, one row each, whether or not a model has an answer.

`elasticity` is d log units / d log price in the same period; with `stderr`, `df` (null for a normal
law), `ci_low` and `ci_high` it is null where a model has no answer. `weight_own` is the share that
the cell's own data decide. `lag` is the elasticity to the own price of the period before, `cross`
that to the mean price of the cell's substitutes; 0 where the model takes neither. `status` is one
of `identification.STATUSES`, `reason` says why in words.
"""


ROUNDING = 1e-12
"""The share of the largest eigenvalue of a covariance under which another is none."""


@dataclass(frozen=True, eq=False)
class CrossPairs(Serializable):
    """The cross elasticities of pairs of cells: of the units of a row's cell to the price of a
    column's.

    Attributes:
        rows, columns: The places of the cells, rows rising, shape (P,).
        value, stderr: Shape (P,).
        own_stderr: The part of the errors that is each pair's own; the rest is that of one slope,
            so that it moves together.
    """

    rows: ndarray
    columns: ndarray
    value: ndarray
    stderr: ndarray
    own_stderr: ndarray

    def totals(self, cells: int) -> tuple[ndarray, ndarray]:
        """Return each cell's elasticity to all its substitutes' prices together and its standard
        error, shape (cells,).
        """
        return np.bincount(self.rows, self.value, cells), np.hypot(*self.total_errors(cells))

    def total_errors(self, cells: int) -> tuple[ndarray, ndarray]:
        """Return the standard error of each total that all cells share, and that which is its own,
        each of shape (cells,).
        """
        shared = np.sqrt(np.maximum(self.stderr**2 - self.own_stderr**2, 0.0))
        return np.bincount(self.rows, shared, cells), np.sqrt(
            np.bincount(self.rows, self.own_stderr**2, cells)
        )

    def drawn_totals(self, error: ndarray, cells: int, rng: np.random.Generator) -> ndarray:
        """Return draws of each cell's total, shape (D, cells).

        Args:
            error: By how many standard errors the slope that all share is off, shape (D,).
            cells: K.
            rng: Draws each pair's own errors.
        """
        shared, own = self.total_errors(cells)
        return (
            self.totals(cells)[0]
            + shared * error[:, None]
            + own * rng.standard_normal((len(error), cells))
        )


@dataclass(frozen=True, eq=False)
class Estimates(Serializable):
    """The estimates of an estimator, as arrays; NaN where there is none.

    Attributes:
        slopes: Own-price elasticities, shape (K,).
        stderr: Shape (K,).
        critical: What a standard error is multiplied by below and above an estimate, shape (K,), or
            (K, 2) where they differ.
        level: Log mean at the cell's mean price and columns, without a promotion, shape (K,).
        theta: Slopes of the design's other columns, shape (m,).
        theta_stderr: Shape (m,).
        theta_critical: What their standard errors are multiplied by below and above, shape (m, 2);
            None for a normal law.
        theta_p_values: The p-values of no effect, shape (m,); None for a normal law.
        theta_covariance: Joint, of the slopes of the other columns, shape (m, m); None where it is
            not known.
        shared_covariance: Of the cells' slopes with those of the other columns, shape (K, m); given
            with `theta_covariance`.
        df: Degrees of freedom, NaN for a normal law, shape (K,).
        own_weight: Shape (K,).
        covariance: Joint, of the cells with an answer, shape (K, K); None for independent cells.
        own_theta: What a cell's slopes of the other columns are more, shape (K, m); None for
            nothing.
        sampled: Draws of the joint posterior, where it was sampled: of the elasticities, shape (D,
            K), and of the slopes of the other columns, shape (D, m); None where the covariance says
            all.
        pairs: Cross elasticities of pairs of cells, where they differ beyond those to the mean
            price; None for none.
        cross, cross_stderr: Elasticities to the mean price of each cell's substitutes, where they
            are no column; shape (K,).
        one_slope: Whether all elasticities follow from one slope, or nearly: where own ones are
            larger in size, cross ones are.
        doubt: Why no cell counts as identified, whatever its prices; empty for no such reason.
        statuses: The status and reason of each cell where they are not those of its own prices.
        unanswered: Why cells have no answer, by the cell's place.
        method: How intervals are made, in words.
        notes: Facts about the fit: names and numbers.
    """

    slopes: ndarray
    stderr: ndarray
    critical: ndarray
    level: ndarray
    theta: ndarray
    theta_stderr: ndarray
    df: ndarray
    own_weight: ndarray
    covariance: ndarray | None = None
    own_theta: ndarray | None = None
    cross: ndarray | None = None
    cross_stderr: ndarray | None = None
    doubt: str = ""
    statuses: list[tuple[str, str]] | None = None
    unanswered: dict[int, str] = field(default_factory=dict)
    method: str = ""
    notes: dict[str, float] = field(default_factory=dict)
    theta_critical: ndarray | None = None
    theta_p_values: ndarray | None = None
    theta_covariance: ndarray | None = None
    shared_covariance: ndarray | None = None
    pairs: CrossPairs | None = None
    one_slope: bool = False
    sampled: tuple[ndarray, ndarray] | None = None

    @property
    def both_sides(self) -> ndarray:
        """The critical values below and above each estimate, shape (2, K)."""
        return np.broadcast_to(np.atleast_2d(self.critical.T), (2, len(self.slopes)))

    def other_effects(self, x: ndarray, cell: ndarray) -> ndarray:
        """Return what the other columns add to the log mean of rows, shape (n,)."""
        shared = x @ self.theta
        return (
            shared
            if self.own_theta is None
            else shared + np.einsum("ij,ij->i", x, self.own_theta[cell])
        )


@dataclass(frozen=True, eq=False)
class FittedElasticities(Serializable):
    """A fitted model of demand: units = exp(level + elasticity log(price / mean price) + slopes of
    other columns).

    Attributes:
        table: See `CELL_COLUMNS`.
        effects: The slopes that all cells share: `name`, `value`, `stderr`, `p_value`, `ci_low`,
            `ci_high`.
        identification: See `identification.identify`.
        design: The rows that it was fitted to.
        terms: The columns that the model takes.
        controls: Those that the protocol added.
        estimates: As arrays.
        level: The level of the intervals.
    """

    table: DataFrame
    effects: DataFrame
    identification: DataFrame
    design: DemandDesign
    terms: DemandTerms
    controls: Sequence[str]
    estimates: Estimates
    level: float

    @classmethod
    def of(
        cls,
        design: DemandDesign,
        terms: DemandTerms,
        estimates: Estimates,
        identification: DataFrame,
        context: ElasticityContext,
    ) -> FittedElasticities:
        """Return the table of the cells and of the shared slopes."""
        table = cells_table(design, estimates, identification)
        shared = [name for name in design.columns if not name.startswith(PAIR)]
        effects = effects_table(shared, estimates, context.level)
        return cls(
            table,
            effects,
            identification,
            design,
            terms,
            context.controls,
            estimates,
            context.level,
        )

    def log_demand(self, panel: Panel) -> ndarray:
        """Return the log of expected units of each row, NaN where the model has no answer, shape
        (rows,).

        Args:
            panel: The cells that the model was fitted to, with prices and the other columns; units
                are not read.
        """
        design = DemandDesign.of(panel, self.terms, self.controls, like=self.design)
        known = self.estimates
        part = known.slopes[design.cell] * design.log_price + known.other_effects(
            np.nan_to_num(design.x), design.cell
        )
        return known.level[design.cell] + part

    @property
    def price_evidence(self) -> DataFrame:
        """What the prices of each cell can say, as it stands beside the answers, a row a cell."""
        known = self.identification.drop("series_id", "units", "status", "reason")
        return known.rename({"lag": "lag_correlation"})

    def further_columns(self) -> DataFrame:
        """Return what a model says of every cell beside `CELL_COLUMNS`, a row a cell.

        Usually nothing.
        """
        return DataFrame()

    def draws(self, count: int, rng: np.random.Generator) -> ndarray:
        """Return joint draws of the elasticities, NaN where there is no answer, shape (count, K).

        Of a multivariate t where there are degrees of freedom. Each side is stretched as its
        interval is, where that comes from a bootstrap: the draws' quantiles at the level are the
        ends of the interval.
        """
        return self.joint_draws(count, rng)[0]

    def joint_draws(self, count: int, rng: np.random.Generator) -> tuple[ndarray, ndarray | None]:
        """Return draws of the elasticities, and of the slopes of the other columns that go with
        them, shape (count, m).

        The latter are None where their covariance with the elasticities is not known. A slope of
        the period before's price and the own elasticity are told apart by the same price changes:
        their errors are correlated, and their sum, the effect of a price that stays, is more
        certain than independent draws of the two would have it.
        """
        from scipy.special import ndtri, stdtrit

        known = self.estimates
        if known.sampled is not None:
            taken = rng.choice(len(known.sampled[0]), count, replace=count > len(known.sampled[0]))
            return known.sampled[0][taken], known.sampled[1][taken]
        there = np.isfinite(known.slopes)
        out = np.full((count, len(there)), np.nan)
        normal, df = rng.standard_normal((count, int(there.sum()))), known.df[there]
        half = (1 + self.level) / 2
        scale: ndarray | float = 1.0
        if known.covariance is not None:
            df = np.full(len(df), np.min(df, initial=np.inf, where=np.isfinite(df)))
            values, vectors = np.linalg.eigh(known.covariance[np.ix_(there, there)])
            away = normal @ (vectors * np.sqrt(np.maximum(values, 0.0))).T
        else:
            away = normal * known.stderr[there]
        free = np.where(np.isfinite(df), df, 1e6)
        law = np.where(np.isfinite(df), stdtrit(free, half), ndtri(half))
        if np.isfinite(df).any():
            chosen = (count, 1) if known.covariance is not None else normal.shape
            scale = np.sqrt(
                free / rng.chisquare(free[:1] if known.covariance is not None else free, chosen)
            )
            away = away * scale
        below, above = known.both_sides[:, there] / law
        out[:, there] = known.slopes[there] + away * np.where(away < 0, below, above)
        if (
            known.covariance is None
            or known.shared_covariance is None
            or known.theta_covariance is None
        ):
            return out, None
        roots = np.sqrt(np.where(values > ROUNDING * values.max(initial=0.0), values, np.inf))
        gain = (vectors / roots).T @ known.shared_covariance[there]
        rest = covariance_root(known.theta_covariance - gain.T @ gain)
        beside = normal @ gain + rng.standard_normal((count, len(rest))) @ rest.T
        return out, known.theta + beside * (scale[:, :1] if isinstance(scale, ndarray) else scale)


def number_columns(columns: Mapping[str, ndarray]) -> list[Series]:
    """Return arrays as columns, null for NaN."""
    return [Series(name, values, pl.Float64).fill_nan(None) for name, values in columns.items()]


def reasons_where(cells: ndarray, reason: str) -> dict[int, str]:
    """Return the reason for each of the cells that are true, by their place."""
    return dict.fromkeys(np.flatnonzero(cells).tolist(), reason)


def named_notes(prefix: str, names: Iterable[str], numbers: Iterable[float]) -> dict[str, float]:
    """Return the notes of some numbers, by a prefix and the name of each."""
    return {f"{prefix}{name}": float(value) for name, value in zip(names, numbers, strict=True)}


def cells_table(design: DemandDesign, estimates: Estimates, identification: DataFrame) -> DataFrame:
    """Return the table of the cells; see `CELL_COLUMNS`."""
    below, above = estimates.both_sides * estimates.stderr
    shared = {name: shared_slope(design, estimates, name) for name in (LAG, CROSS)}
    cross = (estimates.cross, estimates.cross_stderr)
    if estimates.pairs is not None:
        cross = estimates.pairs.totals(len(design))
    alone = design.groups < 0
    columns = {
        "elasticity": estimates.slopes,
        "stderr": estimates.stderr,
        "df": estimates.df,
        "ci_low": estimates.slopes - below,
        "ci_high": estimates.slopes + above,
        "weight_own": estimates.own_weight,
        "lag": np.full(len(design), shared[LAG][0]),
        "lag_stderr": np.full(len(design), shared[LAG][1]),
        "cross": np.where(alone, 0.0, shared[CROSS][0]) if cross[0] is None else cross[0],
        "cross_stderr": np.where(alone, 0.0, shared[CROSS][1]) if cross[1] is None else cross[1],
    }
    status, reason = identification["status"].to_list(), identification["reason"].to_list()
    if estimates.statuses is not None:
        status, reason = map(list, zip(*estimates.statuses, strict=True))
    if estimates.doubt:
        reason = [
            estimates.doubt if each == "identified" else why
            for each, why in zip(status, reason, strict=True)
        ]
        status = ["weak" if each == "identified" else each for each in status]
    for place, why in estimates.unanswered.items():
        reason[place] = why
    table = design.names.hstack(number_columns(columns)).with_columns(
        Series("status", status), Series("reason", reason)
    )
    return table.select(CELL_COLUMNS)


def shared_slope(design: DemandDesign, estimates: Estimates, name: str) -> tuple[float, float]:
    """Return the slope of a column that all cells share and its standard error, 0 without it."""
    if name not in design.columns:
        return 0.0, 0.0
    place = design.columns.index(name)
    return float(estimates.theta[place]), float(estimates.theta_stderr[place])


def effects_table(names: Sequence[str], estimates: Estimates, level: float) -> DataFrame:
    """Return the slopes that all cells share, with p-values of no effect and intervals."""
    from scipy.special import ndtr, ndtri

    value, stderr = estimates.theta[: len(names)], estimates.theta_stderr[: len(names)]
    with np.errstate(invalid="ignore", divide="ignore"):
        normal = 2 * ndtr(-np.abs(value / stderr))
    p_value = normal if estimates.theta_p_values is None else estimates.theta_p_values[: len(names)]
    usual = np.full((len(names), 2), ndtri((1 + level) / 2))
    critical = usual if estimates.theta_critical is None else estimates.theta_critical[: len(names)]
    low, high = value - critical[:, 0] * stderr, value + critical[:, 1] * stderr
    columns = {"value": value, "stderr": stderr, "p_value": p_value, "ci_low": low, "ci_high": high}
    return DataFrame([Series("name", list(names), pl.String), *number_columns(columns)])
