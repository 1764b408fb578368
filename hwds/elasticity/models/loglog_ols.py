"""The textbook elasticity: least squares of log(units + 1) on the log price, cell by cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Le
from numpy import ndarray

from hwds.elasticity.design import CROSS, LAG, DemandDesign, independent_columns
from hwds.elasticity.fitted import ElasticityContext, Estimates
from hwds.elasticity.models.base import (
    FEW_MOVES,
    Cluster,
    ElasticityModel,
    demand_levels,
    t_critical,
)
from hwds.elasticity.sweeping import (
    LEAST_CLUSTERS,
    RobustVariance,
    Sweeper,
    free_effects,
    number_groups,
    robust_variance,
)

# Least squares of the log of units with effects of cells and clustered errors.


@dataclass(frozen=True, eq=False)
class SweptRows:
    """Rows to learn from, less the means of their cells.

    Attributes:
        cell: The cell of each row, shape (n,).
        cluster: Within which errors may depend on each other, shape (n,).
        logs: The logs of units, shape (n,).
        price: The log price, shape (n,).
        others: The other columns, shape (n, k).
    """

    cell: ndarray
    cluster: ndarray
    logs: ndarray
    price: ndarray
    others: ndarray

    @classmethod
    def of(
        cls, design: DemandDesign, columns: Sequence[int], added: float, cluster: str
    ) -> SweptRows:
        """Sweep the means of cells out.

        Args:
            design: The rows.
            columns: The places of those of its columns that are taken.
            added: To units before the log.
            cluster: See `Design.clusters`.
        """
        used = design.used
        both = np.column_stack(
            [np.log(design.units[used] + added), design.log_price[used], design.x[used][:, columns]]
        )
        cell = design.cell[used]
        swept = Sweeper.of(number_groups(cell), None).residuals(both, np.ones(len(cell)))
        return cls(cell, design.clusters(cluster)[used], swept[:, 0], swept[:, 1], swept[:, 2:])

    def regression(self, rows: ndarray) -> tuple[ndarray, RobustVariance] | str:
        """Return which columns tell something beside the price in these rows, and the fit.

        Or why there is none, in words.
        """
        if not len(rows) or np.abs(self.price[rows]).max() < 1e-9:
            return "no price of its group ever changes"
        cell, ways = self.cell[rows], [self.cluster[rows]]
        if int(number_groups(ways[0]).max()) + 1 < LEAST_CLUSTERS:
            return FEW_MOVES
        kept = independent_columns(self.price[rows, None], self.others[rows], cell, None)
        x = np.column_stack([self.price[rows], self.others[rows][:, kept]])
        bread = np.linalg.inv(x.T @ x)
        beta = bread @ (x.T @ self.logs[rows])
        scores = x * (self.logs[rows] - x @ beta)[:, None]
        fit = robust_variance(
            beta, bread, scores, ways, lost=len(beta) + free_effects(cell, ways), rows=x
        )
        return (kept, fit) if fit.sure[0] else FEW_MOVES


# The textbook elasticity: a regression of log(units + 1) on the log price, cell by cell or
# product by product.


class LoglogOLS(ElasticityModel):
    """The textbook recipe, as a rival: least squares of log(units + 1) on the log price, cell by
    cell, few rows left out.

    Its faults: log(units + 1) pulls elasticities towards zero where few units are sold (at a true
    -2: -.96 at one unit a period, -1.78 at five; Santos Silva and Tenreyro 2006, Chen and Roth
    2024); cells with few rows go without an answer, whatever their prices tell; errors are taken as
    independent; season, promotion and substitutes are left out, so that what moves with the price
    is taken for its effect.

    With `common=sku` it is one regression for each product over all of its cells, with effects of
    cells and clustered errors (Taddy 2019, Business Data Science, chapter 2). If the prices of a
    chain move in all stores at once, a product's weeks hold all information, and this leaves out
    something else than a likelihood of counts does.

    Attributes:
        common: The cells of one regression: each `cell` has its own, or those of a product (`sku`).
        cluster: Within which errors may depend on each other, for a regression of a product.
        least_rows: The fewest rows of a regression.
        added: The number that is added to units before the log.
        controls: Take promotion, competitors' prices and other known-future columns, too.
        lagged_price: Take the price of the period before.
        substitutes_price: Take the mean price of substitutes.
        effects: `cell` always: periods of a cell are compared with each other.
    """

    effects: Literal["cell"] = "cell"
    least_rows: Annotated[int, Ge(3), Le(100_000)] = 30
    added: Annotated[float, Ge(1e-6), Le(1000)] = 1.0
    controls: bool = False
    lagged_price: bool = False
    substitutes_price: bool = False
    common: Literal["cell", "sku"] = "cell"
    cluster: Cluster = "period"

    def estimate(
        self, design: DemandDesign, identification: pl.DataFrame, context: ElasticityContext
    ) -> Estimates:
        """Return least squares of each cell or product, with Student's intervals."""
        taken = [
            j
            for j, name in enumerate(design.columns)
            if self.controls or name in (LAG, CROSS) or name in context.controls
        ]
        estimate = self._by_cell if self.common == "cell" else self._by_product
        return estimate(design, context, taken)

    def _by_cell(
        self, design: DemandDesign, context: ElasticityContext, taken: list[int]
    ) -> Estimates:
        cells, m = len(design), design.x.shape[1]
        slopes, stderr, df = (np.full(cells, np.nan) for _ in range(3))
        theta, weight = np.zeros((cells, m)), np.zeros((cells, m))
        unanswered = {}
        starts = np.searchsorted(design.cell, np.arange(cells + 1))
        for cell, (first, last) in enumerate(pairwise(starts)):
            rows = np.flatnonzero(design.used[first:last]) + first
            if few := self._few_rows(len(rows)):
                unanswered[cell] = few
                continue
            answer = _cell_regression(
                np.log(design.units[rows] + self.added),
                design.log_price[rows],
                design.x[np.ix_(rows, taken)],
            )
            if answer is None:
                unanswered[cell] = "its price has no variation of its own"
                continue
            beta, variance, df[cell] = answer
            slopes[cell], stderr[cell] = beta[0], np.sqrt(variance[0])
            theta[cell, taken], weight[cell, taken] = beta[1:], 1 / np.maximum(variance[1:], 1e-12)
        mean, errors = _weighted_means(theta, weight)
        level = demand_levels(design, slopes, mean)
        return Estimates(
            slopes,
            stderr,
            t_critical(context.level, np.nan_to_num(df)),
            level,
            mean,
            errors,
            df,
            np.where(np.isfinite(slopes), 1.0, np.nan),
            unanswered=unanswered,
            method="t, independent errors",
        )

    def _by_product(
        self, design: DemandDesign, context: ElasticityContext, taken: list[int]
    ) -> Estimates:
        known = SweptRows.of(design, taken, self.added, self.cluster)
        code, m = design.codes("sku"), design.x.shape[1]
        products = int(code.max()) + 1
        slopes, stderr, df = (np.full(products, np.nan) for _ in range(3))
        theta, weight, reasons = np.zeros((products, m)), np.zeros((products, m)), {}
        for product in range(products):
            rows = np.flatnonzero(code[known.cell] == product)
            answer = self._few_rows(len(rows)) or known.regression(rows)
            if isinstance(answer, str):
                reasons[product] = answer
                continue
            kept, fit = answer
            slopes[product], stderr[product] = fit.beta[0], fit.stderr[0]
            df[product] = fit.clusters - 1
            columns = np.array(taken, int)[kept]
            theta[product, columns] = fit.beta[1:]
            weight[product, columns] = fit.sure[1:] / np.maximum(
                fit.stderr[1:] ** 2, 1e-12
            )  # one week tells no error
        mean, errors = _weighted_means(theta, weight)
        own_theta = np.where(np.isfinite(slopes)[:, None], theta - mean, 0.0)[code]
        return Estimates(
            slopes[code],
            stderr[code],
            t_critical(context.level, np.nan_to_num(df[code])),
            demand_levels(design, slopes[code], mean, own_theta),
            mean,
            errors,
            df[code],
            np.zeros(len(design)),
            np.where(code[:, None] == code, np.nan_to_num(stderr[code] ** 2), 0.0),
            own_theta,
            unanswered={
                cell: reasons[own] for cell, own in enumerate(code.tolist()) if own in reasons
            },
            method="t, clustered errors",
        )

    def _few_rows(self, rows: int) -> str:
        """Return why so many rows give no answer; empty where they do."""
        enough = rows >= self.least_rows
        return "" if enough else f"{rows} rows, at least {self.least_rows} are asked for"


def _weighted_means(values: ndarray, weight: ndarray) -> tuple[ndarray, ndarray]:
    """Return the weighted means of columns and their standard errors, 0 and NaN where there is no
    weight, shape (m,).
    """
    total = weight.sum(axis=0)
    safe = np.where(total > 0, total, 1.0)
    return np.where(total > 0, (weight * values).sum(axis=0) / safe, 0.0), np.where(
        total > 0, 1 / np.sqrt(safe), np.nan
    )


def _cell_regression(
    y: ndarray, price: ndarray, x: ndarray
) -> tuple[ndarray, ndarray, float] | None:
    """Return coefficients of price and x, their variances and the degrees of freedom.

    None where they are not determined.
    """
    columns = np.column_stack([price, x])
    columns = columns - columns.mean(axis=0)
    moving = np.concatenate([[True], np.abs(columns[:, 1:]).max(axis=0, initial=0.0) > 1e-9])
    chosen = columns[:, moving]
    gram = chosen.T @ chosen
    if np.abs(price - price.mean()).max() < 1e-9 or np.linalg.cond(gram) > 1e12:
        return None
    inverse = np.linalg.inv(gram)
    beta = inverse @ (chosen.T @ (y - y.mean()))
    df = len(y) - 1 - len(beta)
    if df < 1:
        return None
    residual = y - y.mean() - chosen @ beta
    variance = np.diag(inverse) * float(residual @ residual) / df
    full, spread = np.zeros(columns.shape[1]), np.full(columns.shape[1], np.inf)
    full[moving], spread[moving] = beta, variance
    return full, spread, float(df)
