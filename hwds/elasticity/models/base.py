"""ElasticityModel: the recipe of a model of demand, which says of every cell how its units answer
to its price.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import polars as pl
from numpy import ndarray

from hwds.core.errors import DataError
from hwds.core.recipe import Recipe
from hwds.elasticity.design import DemandDesign, DemandTerms, identify
from hwds.elasticity.fitted import ElasticityContext, Estimates, FittedElasticities
from hwds.elasticity.sweeping import LEAST_CLUSTERS, group_means
from hwds.frames.panel import Panel

Effects = Literal["cell_period", "cell"]
"""Effects that are taken out: of cells and of periods, or of cells alone."""

Cluster = Literal["sku_period", "period", "sku", "channel", "cell"]
"""Within which errors may depend on each other: the level at which prices are set."""

RECENT_ROWS = 26
"""The last rows of a cell of which its level is taken: half a year of weeks."""

UNITS_FOR_NONE = 0.5
"""The units that a cell is taken to have sold in its last rows where it sold none, of which its
level is made.
"""


FEW_MOVES = "its price moves in too few clusters to tell its error"
"""Why a cell has no answer where its slope has no standard error."""


class ElasticityModel(Recipe):
    """The recipe that `model=elasticity/...` chooses.

    A cell is a series of the panel: a product in a channel. The log of the price, less its mean in
    the cell, has a slope for each cell; the price of the period before, that of substitutes,
    promotion, competitors' prices and other known-future columns have slopes that all cells share.
    Periods with a stock-out are left out, as is the first one of a cell where the price before it
    is not known.

    Class attribute: `local`, always False: cells are fitted together.

    Attributes:
        effects: `cell_period` compares cells within a period, so that what moves all of them
            (season, a holiday) is no answer to a price; `cell` compares periods within a cell: for
            prices that move together in all cells.
        sku: The static column of products.
        channel: The same, for channels.
        family: The column of families, within which products are substitutes.
        lagged_price: Take the own price of the period before, which tells demand that a cut brings
            forward.
        substitutes_price: Take the mean log price of the family's other products in the channel.
    """

    local: ClassVar[bool] = False

    effects: Effects = "cell_period"
    sku: str = "sku"
    channel: str = "channel"
    family: str = "family"
    lagged_price: bool = True
    substitutes_price: bool = True

    @property
    def terms(self) -> DemandTerms:
        """The columns that the model takes."""
        return DemandTerms(
            self.sku,
            self.channel,
            self.family,
            self.lagged_price,
            self.substitutes_price,
            self.by_period,
        )

    @property
    def by_period(self) -> bool:
        """True where period effects are taken out."""
        return self.effects == "cell_period"

    def learn(self, history: Panel, context: ElasticityContext) -> FittedElasticities:
        """Return the elasticities of all cells of a history.

        Raises:
            DataError: There is no price, or none that ever changes.
        """
        design = DemandDesign.of(history, self.terms, context.controls)
        identification = identify(design, by_period=self.by_period)
        estimates = self.estimate(design, identification, context)
        return self.fitted(design, estimates, identification, context)

    def fitted(
        self,
        design: DemandDesign,
        estimates: Estimates,
        identification: pl.DataFrame,
        context: ElasticityContext,
    ) -> FittedElasticities:
        """Return the fitted model of estimates."""
        return FittedElasticities.of(design, self.terms, estimates, identification, context)

    def estimate(
        self, design: DemandDesign, identification: pl.DataFrame, context: ElasticityContext
    ) -> Estimates:
        """Return the estimates of all cells."""
        raise NotImplementedError(f"{type(self).__name__}.estimate")


def normal_critical(level: float) -> float:
    """Return the normal quantile of half an interval."""
    from scipy.special import ndtri

    return float(ndtri((1 + level) / 2))


def t_critical(level: float, df: ndarray) -> ndarray:
    """Return Student's quantile of half an interval, NaN where there is no degree of freedom."""
    from scipy.special import stdtrit

    return np.where(df > 0, stdtrit(np.maximum(df, 1e-9), (1 + level) / 2), np.nan)


def refuse_few_clusters(sure: ndarray, cluster: str) -> None:
    """Refuse shared slopes of which none moves in enough clusters for a standard error."""
    if not sure.any():
        raise DataError(
            f"model.cluster: '{cluster}' has too few clusters in which a price moves; "
            f"{LEAST_CLUSTERS} tell an error."
        )


def demand_levels(
    design: DemandDesign, slopes: ndarray, theta: ndarray, own_theta: ndarray | None = None
) -> ndarray:
    """Return the log mean of each cell at its mean price, so that fitted units add up to those sold
    in its last periods.

    Args:
        design: The rows.
        slopes: Of price, NaN for cells without an answer, shape (K,).
        theta: Slopes of the other columns, shape (m,).
        own_theta: What a cell's are more, shape (K, m); None for nothing.
    """
    rows, cell = design.used, design.cell[design.used]
    part = np.nan_to_num(slopes)[cell] * design.log_price[rows] + design.x[rows] @ theta
    if own_theta is not None:
        part = part + np.einsum("ij,ij->i", design.x[rows], own_theta[cell])
    return np.where(np.isfinite(slopes), balanced_levels(design, part), np.nan)


def balanced_levels(design: DemandDesign, part: ndarray) -> ndarray:
    """Return what must be added to the log means of each cell's last rows so that they add up to
    the units sold, shape (K,).

    Args:
        design: The rows.
        part: Log means of the rows to learn from, shape (used rows,).

    Returns:
        NaN for a cell without such rows.
    """
    cell, units = design.cell[design.used], design.units[design.used]
    recent = _recent(cell)
    sold = np.bincount(cell[recent], units[recent], len(design))
    bottom = np.bincount(cell[recent], np.exp(part[recent]), len(design))
    out = np.log(np.maximum(sold, UNITS_FOR_NONE) / np.where(bottom > 0, bottom, 1.0))
    return np.where(bottom > 0, out, np.nan)


def recent_units(design: DemandDesign) -> ndarray:
    """Return the mean units of each cell's last `RECENT_ROWS` rows to learn from, 0 where it has
    none, shape (K,).
    """
    recent = np.flatnonzero(design.used)[_recent(design.cell[design.used])]
    return group_means(design.units[recent], design.cell[recent], len(design))


def _recent(cell: ndarray) -> ndarray:
    """Return which rows are among the last `RECENT_ROWS` of their cell; rows are sorted by cell."""
    return np.searchsorted(cell, cell, "right") - np.arange(len(cell)) <= RECENT_ROWS
