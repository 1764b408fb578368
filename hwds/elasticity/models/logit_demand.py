"""Logit demand: buyers choose a product of a market or none; nests, own and cross elasticities."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Gt, Le
from numpy import ndarray

from hwds.core.errors import DataError
from hwds.elasticity.design import CROSS, DemandDesign, DemandTerms, independent_columns
from hwds.elasticity.fitted import CrossPairs, ElasticityContext, Estimates, reasons_where
from hwds.elasticity.instruments import WEAK_F, TwoStage, two_stage
from hwds.elasticity.models.base import ElasticityModel, demand_levels
from hwds.elasticity.sweeping import Sweeper, number_groups

# Nested logit: own and cross elasticities in closed form.


@dataclass(frozen=True, eq=False)
class NestedElasticities:
    """Elasticities of J products of one market, and their derivatives by the two parameters.

    Attributes:
        matrix: Of a row's share to a column's price, own ones on the diagonal, shape (J, J).
        by_slope, by_nesting: Derivatives by the slope of the price and by the nesting parameter,
            shape (J, J).
    """

    matrix: ndarray
    by_slope: ndarray
    by_nesting: ndarray


def nested_elasticities(
    price: ndarray, share: ndarray, nest: ndarray, slope: float, nesting: float
) -> NestedElasticities:
    """Return own and cross elasticities of nested logit demand (Berry 1994, Estimating
    discrete-choice models).

    Own: a p_j (1 / (1 - n) - n / (1 - n) s_j|g - s_j). To another product of the nest: -a p_k (n /
    (1 - n) s_k|g + s_k); of another nest: -a p_k s_k.

    Args:
        price: The price of each product, shape (J,).
        share: The share of each product, NaN where unknown, shape (J,).
        nest: The nest of each product from 0, shape (J,).
        slope: a.
        nesting: n.
    """
    known = np.isfinite(share)
    inside = np.bincount(nest, np.where(known, share, 0.0))
    within = share / np.maximum(inside[nest], 1e-300)
    same = nest[:, None] == nest
    away = np.eye(len(price)) - np.where(same, within, 0.0)
    by_slope = price * (np.eye(len(price)) + nesting / (1 - nesting) * away - share)
    return NestedElasticities(
        slope * by_slope, by_slope, slope * price * np.where(same, away, 0.0) / (1 - nesting) ** 2
    )


# The columns that nests add to a regression of log odds: the share within the nest, and its
# instruments.

LARGEST_NESTING = 0.99
"""The largest nesting parameter for which elasticities are reported."""


def nest_codes(design: DemandDesign, market: ndarray) -> ndarray:
    """Return the nest of each row in its market, shape (rows,)."""
    nest = design.codes("nest")[design.cell]
    return number_groups(market * (int(nest.max()) + 1) + nest)


def log_share_within(share: ndarray, nest: ndarray, rows: ndarray) -> ndarray:
    """Return the log of each row's share of what its nest sold, 0 where there is none, shape
    (rows,).
    """
    total = np.bincount(nest, np.where(rows, share, 0.0))[nest]
    return np.where(rows, np.log(np.where(rows, share, 1.0) / np.where(rows, total, 1.0)), 0.0)


def nest_instruments(
    nest: ndarray, rows: ndarray, shifters: ndarray, x: ndarray, effect: ndarray
) -> ndarray:
    """Return what moves a product's share of its nest and not its own demand: the nest's size, and
    what moves rivals in it.

    The log of the number of products in the nest, and the sums of the rivals' shifters (Berry 1994;
    Berry, Levinsohn and Pakes 1995); those that are combinations of others are left out.

    Args:
        nest: See `nest_codes`.
        rows: Which rows are used, shape (rows,).
        shifters: Instruments of the price, or the price itself where it has none, shape (rows, z).
        x: The other columns, shape (rows, m).
        effect: The effect of each row that is swept out, shape (rows,).
    """
    count = np.bincount(nest, rows)[nest]
    sums = [np.bincount(nest, np.where(rows, column, 0.0))[nest] - column for column in shifters.T]
    found = np.column_stack([np.log(np.maximum(count, 1.0)), *sums])
    kept = independent_columns(
        np.column_stack([x, shifters])[rows], found[rows], effect[rows], None
    )
    return found[:, kept]


# Parameters of demand from a regression of log odds: the price slope, the nesting parameter,
# elasticities that follow.


@dataclass(frozen=True, eq=False)
class LogitParameters:
    """The parameters of a choice by utilities.

    Attributes:
        slope: The slope of the utility by the price.
        nesting: The nesting parameter, 0 without nests.
        covariance: The covariance of the two, shape (2, 2).
        f: The first stage's of the price, and of the share within nests; inf where it has no
            instruments.
        nested: Whether there are nests.
    """

    slope: float
    nesting: float
    covariance: ndarray
    f: tuple[float, float]
    nested: bool

    @classmethod
    def of(cls, fit: TwoStage, *, nested: bool) -> LogitParameters:
        """Return the parameters that a regression has first."""
        count = 1 + nested
        covariance = np.zeros((2, 2))
        covariance[:count, :count] = fit.variance.covariance[:count, :count]
        nesting, f = (float(fit.beta[1]), float(fit.f[1])) if nested else (0.0, float(np.inf))
        return cls(float(fit.beta[0]), nesting, covariance, (float(fit.f[0]), f), nested)

    def elasticities(
        self, design: DemandDesign, price: ndarray, bought: ndarray
    ) -> tuple[ndarray, ndarray, CrossPairs]:
        """Return own elasticities, shape (K,), their derivatives by both parameters, shape (K, 2),
        and those of all pairs.

        Pairs are cells of one channel. Errors of all are those of the two parameters (delta
        method).

        Args:
            design: The cells.
            price: The price of each cell, NaN where unknown, shape (K,).
            bought: The share of its market, NaN where unknown, shape (K,).
        """
        own, by = np.full(len(design), np.nan), np.full((len(design), 2), np.nan)
        channel, nests = design.codes("channel"), design.codes("nest" if self.nested else "all")
        parts = []
        for number in range(int(channel.max()) + 1):
            cells = np.flatnonzero((channel == number) & np.isfinite(price * bought))
            if not len(cells):
                continue
            known = nested_elasticities(
                price[cells], bought[cells], number_groups(nests[cells]), self.slope, self.nesting
            )
            own[cells] = np.diag(known.matrix)
            by[cells] = np.column_stack([np.diag(known.by_slope), np.diag(known.by_nesting)])
            row, column = np.nonzero(~np.eye(len(cells), dtype=bool))
            gradient = np.column_stack([known.by_slope[row, column], known.by_nesting[row, column]])
            variance = np.einsum("pi,ij,pj->p", gradient, self.covariance, gradient)
            values = known.matrix[row, column], np.sqrt(np.maximum(variance, 0.0))
            parts.append(np.stack([cells[row].astype(float), cells[column].astype(float), *values]))
        every = np.concatenate(parts, axis=1)
        every = every[:, np.lexsort((every[1], every[0]))]
        places = every[:2].astype(np.int64)
        return (
            own,
            by,
            CrossPairs(places[0], places[1], every[2], every[3], np.zeros(every.shape[1])),
        )

    @property
    def stderr(self) -> ndarray:
        """The standard errors of slope and nesting parameter, shape (2,)."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))

    def status(self) -> tuple[str, str]:
        """Return the status and reason of every cell: those of the slope which all share."""
        for strength, what in zip(
            self.f, ("its instruments are weak", "the instruments of nests are weak"), strict=True
        ):
            if strength < WEAK_F:
                return "weak", f"{what}: the first stage's F is {strength:.1f}"
        if abs(self.slope) < 2 * self.stderr[0]:
            slope = f"the slope of all products is {self.slope:.3g}"
            return "weak", f"{slope} with a standard error of {self.stderr[0]:.2g}"
        return "identified", "by the slope that all products share"

    def notes(self) -> dict[str, float]:
        """Return the parameters, their errors and the strength of instruments."""
        notes = {"price_slope": self.slope, "price_slope_stderr": float(self.stderr[0])}
        if np.isfinite(self.f[0]):
            notes["first_stage_f"] = self.f[0]
        if self.nested:
            notes |= {"nesting": self.nesting, "nesting_stderr": float(self.stderr[1])}
        if np.isfinite(self.f[1]):
            notes["nesting_first_stage_f"] = self.f[1]
        return notes


# Logit demand: buyers choose one product of a market or none, so that own and cross
# elasticities follow from one slope.

Cluster = Literal["market", "sku", "channel", "cell"]


class LogitDemand(ElasticityModel):
    """Logit demand from market shares (Berry 1994): log(share) - log(share of no purchase) =
    product + a price + columns.

    A market is a channel in a period; its products are the cells of the channel. With the slope a
    of the price (not its log) the own elasticity is a price (1 - share), that to another product's
    price -a price share: in closed form, and so smaller the cheaper a product is. With instruments
    (`dataset.roles.cost`, `dataset.roles.instrument`) two-stage least squares estimates the slope;
    without them, least squares.

    With `nests`, products of a nest are closer substitutes than others. The log of a product's
    share of its nest is then a column; its slope, the nesting parameter, is between 0 (plain logit)
    and 1. It is endogenous; its instruments are the number of products in the nest and what moves
    the prices of rivals in it.

    Attributes:
        effects: The fixed effects, by `cell` always; those of products are `product_effects`.
        instruments: `auto` takes those that the data has; `none` takes none.
        weighting: The weighting of instruments: `gmm` weighs them by the variance of their moments
            in a second step, `two_stage` does not.
        outside: A market's size as a multiple of the most units that it ever bought: how many could
            have bought. A target of shares (at most 1 in sum) is taken as it is.
        nests: The static column of nests (`family`, `generation`); null for none.
        product_effects: The fixed effects of demand: one for each product (`sku`) or for each cell
            (`cell`).
        cluster: Within which errors may depend on each other: a market, a product, a channel or a
            cell.
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
    def terms(self) -> DemandTerms:
        """The columns that the model takes."""
        return replace(super().terms, nests=self.nests or "")

    def estimate(
        self, design: DemandDesign, identification: pl.DataFrame, context: ElasticityContext
    ) -> Estimates:
        """Return the elasticities of all cells at their last price and share."""
        market = design.codes("channel")[design.cell] * design.periods + design.period
        share, none = market_shares(design, market, self.outside)
        rows = design.used & (share > 0) & (none > 0)
        if not rows.any():
            raise DataError("dataset: no product of any market was bought.")
        fit = self._fit(design, market, share, none, rows)
        price, bought = (
            design.last_known(np.where(rows, each, np.nan)) for each in (design.price, share)
        )
        choice = LogitParameters.of(fit, nested=self.nests is not None)
        if not 0 <= choice.nesting <= LARGEST_NESTING:
            return self._without_answers(design, choice)
        own, by, pairs = choice.elasticities(design, price, bought)
        known, theta = np.isfinite(own), np.zeros(design.x.shape[1])
        by = np.nan_to_num(by)
        covariance = np.where(np.outer(known, known), by @ choice.covariance @ by.T, 0.0)
        critical = fit.variance.critical[0]
        return Estimates(
            own,
            np.where(known, np.sqrt(np.diag(covariance)), np.nan),
            np.tile(critical if choice.slope <= 0 else critical[::-1], (len(design), 1)),
            demand_levels(design, own, theta),
            theta,
            np.zeros(len(theta)),
            np.full(len(design), float(fit.variance.clusters - 1)),
            np.zeros(len(design)),
            covariance,
            pairs=pairs,
            one_slope=True,
            statuses=[choice.status()] * len(design),
            unanswered=reasons_where(~known, "nothing was sold"),
            method=fit.variance.method,
            notes=choice.notes(),
        )

    def _without_answers(self, design: DemandDesign, choice: LogitParameters) -> Estimates:
        """Return no answer for any cell: no choice by utilities has such a nesting parameter."""
        nothing, theta = np.full(len(design), np.nan), np.zeros(design.x.shape[1])
        reason = (
            f"the nesting parameter of all products is {choice.nesting:.2f}, and must be "
            f"between 0 and {LARGEST_NESTING:g}"
        )
        return Estimates(
            nothing,
            nothing,
            np.full(len(design), 1.96),
            nothing,
            theta,
            theta,
            nothing,
            nothing,
            statuses=[("weak", reason)] * len(design),
            unanswered=reasons_where(np.isnan(nothing), reason),
            method="none",
            notes=choice.notes(),
        )

    def _fit(
        self,
        design: DemandDesign,
        market: ndarray,
        share: ndarray,
        none: ndarray,
        rows: ndarray,
    ) -> TwoStage:
        """Return the regression of the log odds on the price, and on the share within nests, in the
        order of its effects.
        """
        code = design.codes("sku")[design.cell] if self.product_effects == "sku" else design.cell
        effect = number_groups(code[rows])
        order = np.argsort(effect, kind="stable")
        x = design.columns_as_given[:, [name != CROSS for name in design.columns]]
        endogenous, z = design.price[:, None], np.zeros((len(rows), 0))
        if self.instruments == "auto" and design.shifters:
            z = design.instruments(code)
        if self.nests is not None:
            nest = nest_codes(design, market)
            if np.bincount(nest[rows]).max() < 2:
                raise DataError(
                    f"model.nests: '{self.nests}' must be nests of several products, got one in "
                    f"each."
                )
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
            [number_groups(cluster[rows])[order]],
            efficient=self.weighting == "gmm",
        )

    def _refuse_few(self, endogenous: ndarray, z: ndarray) -> None:
        """Refuse nests of which no instrument is left."""
        if (
            self.instruments == "auto"
            and self.nests is not None
            and z.shape[1] < endogenous.shape[1]
        ):
            raise DataError(
                f"model.nests: '{self.nests}' has no instrument: nests must differ in size, or in "
                f"what moves their prices;"
                " model.instruments=none takes shares within nests as given."
            )


def market_shares(design: DemandDesign, market: ndarray, outside: float) -> tuple[ndarray, ndarray]:
    """Return the share of each row in its market, and that of no purchase, NaN where units are
    unknown; shape (rows,) each.

    Args:
        design: The rows.
        market: The market of each row, a number.
        outside: A market's size over the most units that its channel ever bought.
    """
    known = np.isfinite(design.units)
    codes = number_groups(market)
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
