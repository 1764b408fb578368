"""Logit demand: buyers choose one product of a market or none, so that own and cross elasticities follow from one slope."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Gt, Le

from hwds.core.errors import DataError
from hwds.elasticity.context import ElasticityContext
from hwds.elasticity.design.columns import CROSS, Terms
from hwds.elasticity.design.rows import Design
from hwds.elasticity.estimation.clusters import numbered
from hwds.elasticity.estimation.instruments import TwoStage, two_stage
from hwds.elasticity.estimation.sweeping import Sweeper
from hwds.elasticity.fitted import Estimates
from hwds.elasticity.models.base import ElasticityModel, levels
from hwds.elasticity.models.logit.choice import Choice
from hwds.elasticity.models.logit.nests import LARGEST, in_nests, log_share_within, nest_instruments

Cluster = Literal["market", "sku", "channel", "cell"]


class LogitDemand(ElasticityModel):
    """Logit demand from market shares (Berry 1994): log(share) - log(share of no purchase) = product + a price + columns.

    A market is a channel in a period; its products are the cells of the channel. With the slope a of the price (not its log)
    the own elasticity is a price (1 - share), that to another product's price -a price share: in closed form, and so smaller
    the cheaper a product is. With instruments (`dataset.roles.cost`, `dataset.roles.instrument`) the slope is that of two-stage
    least squares, without them of least squares.

    With `nests` products of a nest are closer substitutes than others: the log of a product's share of its nest is a column of
    its own, whose slope, the nesting parameter, is between 0 (plain logit) and 1. It is endogenous; its instruments are the
    number of products in the nest and what moves the prices of rivals in it.

    Attributes:
        effects: The fixed effects, by `cell` always; those of products are `product_effects`.
        instruments: `auto` takes those that the data has; `none` takes none.
        weighting: The weighting of instruments: `gmm` weighs them by the variance of their moments in a second step,
            `two_stage` does not.
        outside: A market's size as a multiple of the most units that it ever bought: how many could have bought. A target of
            shares (at most 1 in sum) is taken as it is.
        nests: The static column of nests (`family`, `generation`); null for none.
        product_effects: The fixed effects of demand: one for each product (`sku`) or for each cell (`cell`).
        cluster: Within which errors may depend on each other: a market, a product, a channel or a cell.
        lagged_price: Take the own price of the period before.
        substitutes_price: Never taken: the choice has all prices of a market.
    """

    local: ClassVar[bool] = False
    effects: Literal["cell"] = "cell"
    instruments: Literal["auto", "none"] = "auto"
    weighting: Literal["gmm", "two_stage"] = "gmm"
    outside: Annotated[float, Gt(1), Le(1000)] = 2.0
    nests: str | None = None
    product_effects: Literal["sku", "cell"] = "sku"
    cluster: Cluster = "market"
    lagged_price: bool = False
    substitutes_price: bool = False

    @property
    def terms(self) -> Terms:
        """The columns that the model takes."""
        return replace(super().terms, nests=self.nests or "")

    def estimate(self, design: Design, identification: pl.DataFrame, context: ElasticityContext) -> Estimates:
        """Return the elasticities of all cells at their last price and share."""
        market = design.codes("channel")[design.cell] * design.periods + design.period
        share, none = shares(design, market, self.outside)
        rows = design.used & (share > 0) & (none > 0)
        if not rows.any():
            raise DataError("dataset: no product of any market was bought.")
        fit = self._fit(design, market, share, none, rows)
        price, bought = _last(design, np.where(rows, design.price, np.nan)), _last(design, np.where(rows, share, np.nan))
        choice = Choice.of(fit, nested=self.nests is not None)
        if not 0 <= choice.nesting <= LARGEST:
            return self._unanswered(design, choice)
        own, by, pairs = choice.elasticities(design, price, bought)
        known, theta = np.isfinite(own), np.zeros(design.x.shape[1])
        by = np.nan_to_num(by)
        covariance = np.where(np.outer(known, known), by @ choice.covariance @ by.T, 0.0)
        critical = fit.variance.critical[0]
        return Estimates(
            own,
            np.where(known, np.sqrt(np.diag(covariance)), np.nan),
            np.tile(critical if choice.slope <= 0 else critical[::-1], (len(design), 1)),
            levels(design, own, theta),
            theta,
            np.zeros(len(theta)),
            np.full(len(design), float(fit.variance.clusters - 1)),
            np.zeros(len(design)),
            covariance,
            pairs=pairs,
            one_slope=True,
            statuses=[choice.status()] * len(design),
            unanswered=dict.fromkeys(np.flatnonzero(~known).tolist(), "nothing was sold"),
            method=fit.variance.method,
            notes=choice.notes(),
        )

    def _unanswered(self, design: Design, choice: Choice) -> Estimates:
        """Return no answer for any cell: no choice by utilities has such a nesting parameter."""
        nothing, theta = np.full(len(design), np.nan), np.zeros(design.x.shape[1])
        reason = f"the nesting parameter of all products is {choice.nesting:.2f}, and must be between 0 and {LARGEST:g}"
        return Estimates(
            nothing, nothing, np.full(len(design), 1.96), nothing, theta, theta, nothing, nothing,
            statuses=[("weak", reason)] * len(design),
            unanswered=dict.fromkeys(range(len(design)), reason), method="none", notes=choice.notes(),
        )  # fmt: skip

    def _fit(self, design: Design, market: np.ndarray, share: np.ndarray, none: np.ndarray, rows: np.ndarray) -> TwoStage:
        """Return the regression of the log odds on the price, and on the share within nests, in the order of its effects."""
        code = design.codes("sku")[design.cell] if self.product_effects == "sku" else design.cell
        effect = numbered(code[rows])
        order = np.argsort(effect, kind="stable")
        x = design.columns_as_given[:, [name != CROSS for name in design.columns]]
        endogenous, z = design.price[:, None], np.zeros((len(rows), 0))
        if self.instruments == "auto" and design.shifters:
            z = design.instruments(code)
        if self.nests is not None:
            nest = in_nests(design, market)
            self._refuse_single(nest[rows])
            endogenous = np.column_stack([design.price, log_share_within(share, nest, rows)])
            if self.instruments == "auto":
                z = z if z.shape[1] else design.price[:, None]
                z = np.column_stack([z, nest_instruments(nest, rows, z, x, code)])
        cluster = market if self.cluster == "market" else design.clusters(self.cluster)
        odds = np.log(np.where(rows, share, 1.0) / np.where(rows, none, 1.0))
        self._refuse_few(endogenous, z)
        return two_stage(
            odds[rows][order],
            endogenous[rows][order],
            z[rows][order],
            x[rows][order],
            Sweeper.of(effect[order], None),
            [numbered(cluster[rows])[order]],
            efficient=self.weighting == "gmm",
        )

    def _refuse_single(self, nest: np.ndarray) -> None:
        """Refuse nests of one product each, within which every share is 1."""
        if np.bincount(nest).max() < 2:
            raise DataError(f"model.nests: '{self.nests}' must be nests of several products, got one in each.")

    def _refuse_few(self, endogenous: np.ndarray, z: np.ndarray) -> None:
        """Refuse nests of which no instrument is left."""
        if self.instruments == "auto" and self.nests is not None and z.shape[1] < endogenous.shape[1]:
            raise DataError(
                f"model.nests: '{self.nests}' has no instrument: nests must differ in size, or in what moves their prices;"
                " model.instruments=none takes shares within nests as given."
            )


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
