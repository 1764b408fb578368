"""Logit demand: buyers choose one product of a market or none, so that own and cross elasticities follow from one slope."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Gt, Le

from hwds.core.errors import DataError
from hwds.elasticity.context import ElasticityContext
from hwds.elasticity.design.columns import CROSS
from hwds.elasticity.design.rows import Design
from hwds.elasticity.estimation.clusters import numbered
from hwds.elasticity.estimation.instruments import WEAK_F, TwoStage, two_stage
from hwds.elasticity.estimation.sweeping import Sweeper
from hwds.elasticity.fitted import Estimates
from hwds.elasticity.models.base import ElasticityModel, levels

Cluster = Literal["market", "sku", "channel", "cell"]


class LogitDemand(ElasticityModel):
    """Logit demand from market shares (Berry 1994): log(share) - log(share of no purchase) = product + a price + columns.

    A market is a channel in a period; its products are the cells of the channel. With the slope a of the price (not its log)
    the own elasticity is a price (1 - share), that to another product's price -a price share: in closed form, and so smaller
    the cheaper a product is. With instruments (`dataset.roles.cost`, `dataset.roles.instrument`) the slope is that of two-stage
    least squares, without them of least squares.

    Attributes:
        effects: `cell` always; see `product_effects`.
        instruments: `auto` takes those that the data has; `none` takes none.
        weighting: Of instruments: `gmm` weighs them by the variance of their moments in a second step, `two_stage` does not.
        outside: A market's size as a multiple of the most units that it ever bought: how many could have bought. A target of
            shares (at most 1 in sum) is taken as it is.
        product_effects: Of products (`sku`), or of cells (`cell`).
        cluster: Within which errors may depend on each other: a market, a product, a channel or a cell.
        lagged_price: Take the own price of the period before.
        substitutes_price: Never taken: the choice has all prices of a market.

    Example:
        python -m hwds model=elasticity/logit_demand dataset=nevo protocol=elasticity_estimate
    """

    local: ClassVar[bool] = False
    effects: Literal["cell"] = "cell"
    instruments: Literal["auto", "none"] = "auto"
    weighting: Literal["gmm", "two_stage"] = "gmm"
    outside: Annotated[float, Gt(1), Le(1000)] = 2.0
    product_effects: Literal["sku", "cell"] = "sku"
    cluster: Cluster = "market"
    lagged_price: bool = False
    substitutes_price: bool = False

    def estimate(self, design: Design, identification: pl.DataFrame, context: ElasticityContext) -> Estimates:
        """Return the elasticities of all cells at their last price and share."""
        market = design.codes("channel")[design.cell] * design.periods + design.period
        share, none = shares(design, market, self.outside)
        rows = design.used & (share > 0) & (none > 0)
        if not rows.any():
            raise DataError("dataset: no product of any market was bought.")
        odds = np.where(rows, share, 1.0) / np.where(rows, none, 1.0)
        fit = self._fit(design, market, np.log(odds), rows)
        slope, error = float(fit.beta[0]), float(fit.variance.stderr[0])
        price, bought = _last(design, np.where(rows, design.price, np.nan)), _last(design, np.where(rows, share, np.nan))
        factor = price * (1 - bought)
        critical = fit.variance.critical[0]
        theta = np.zeros(design.x.shape[1])
        cross = -slope * _others(design, price * bought)
        doubt = f"its instruments are weak: the first stage's F is {fit.f:.1f}" if fit.f < WEAK_F else ""
        known = np.isfinite(factor)
        return Estimates(
            slope * factor,
            error * np.abs(factor),
            np.tile(critical if slope <= 0 else critical[::-1], (len(design), 1)),
            levels(design, slope * factor, theta),
            theta,
            np.zeros(len(theta)),
            np.full(len(design), float(fit.variance.clusters - 1)),
            np.zeros(len(design)),
            np.where(np.outer(known, known), error**2 * np.outer(np.nan_to_num(factor), np.nan_to_num(factor)), 0.0),
            cross=np.nan_to_num(cross),
            cross_stderr=np.nan_to_num(np.abs(cross) * error / max(abs(slope), 1e-300)),
            statuses=_statuses(slope, error, doubt, len(design)),
            unanswered=dict.fromkeys(np.flatnonzero(~known).tolist(), "nothing was sold"),
            method=fit.variance.method,
            notes={"price_slope": slope, "price_slope_stderr": error}
            | ({"first_stage_f": fit.f} if np.isfinite(fit.f) else {}),
        )

    def _fit(self, design: Design, market: np.ndarray, utility: np.ndarray, rows: np.ndarray) -> TwoStage:
        """Return the regression of the log odds on the price, in the order of its effects."""
        code = design.codes("sku")[design.cell] if self.product_effects == "sku" else design.cell
        effect = numbered(code[rows])
        order = np.argsort(effect, kind="stable")
        z = design.instruments(code)[rows] if self.instruments == "auto" and design.shifters else np.zeros((int(rows.sum()), 0))
        x = design.columns_as_given[rows][:, [name != CROSS for name in design.columns]]
        cluster = market if self.cluster == "market" else design.clusters(self.cluster)
        return two_stage(
            utility[rows][order],
            design.price[rows][order],
            z[order],
            x[order],
            Sweeper.of(effect[order], None),
            [numbered(cluster[rows])[order]],
            efficient=self.weighting == "gmm",
        )


def _statuses(slope: float, error: float, doubt: str, cells: int) -> list[tuple[str, str]]:
    """Return the status and reason of every cell: that of the one slope which all share."""
    if doubt or abs(slope) < 2 * error:
        return [("weak", doubt or f"the slope of all products is {slope:.3g} with a standard error of {error:.2g}")] * cells
    return [("identified", "by the slope that all products share")] * cells


def shares(design: Design, market: np.ndarray, outside: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of each row in its market, and that of no purchase, NaN where units are unknown; shape (rows,) each.

    Args:
        design: The rows.
        market: Of each row, a number.
        outside: A market's size over the most units that its channel ever bought.
    """
    known = np.isfinite(design.units)
    codes = numbered(market)
    total = np.bincount(codes, np.where(known, design.units, 0.0))[codes]
    if total.max() <= 1:
        size = np.ones(len(total))
    else:
        channel = design.codes("channel")[design.cell]
        most = np.zeros(int(channel.max()) + 1)
        np.maximum.at(most, channel, total)
        size = outside * most[channel]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known, design.units / size, np.nan), 1 - total / size


def _last(design: Design, values: np.ndarray) -> np.ndarray:
    """Return the last known value of each cell, shape (K,)."""
    out = np.full(len(design), np.nan)
    there = np.isfinite(values)
    out[design.cell[there]] = values[there]
    return out


def _others(design: Design, values: np.ndarray) -> np.ndarray:
    """Return the sum over the other cells of a channel, shape (K,)."""
    channel = design.codes("channel")
    known = np.nan_to_num(values)
    return np.bincount(channel, known)[channel] - known
