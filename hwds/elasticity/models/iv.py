"""Elasticities with instruments: for prices that answer demand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
from numpy import ndarray

from hwds.core.errors import DataError
from hwds.elasticity.design import LAG, DemandDesign
from hwds.elasticity.fitted import ElasticityContext, Estimates
from hwds.elasticity.instruments import WEAK_F, DemandRows, anderson_rubin
from hwds.elasticity.models.base import Cluster, ElasticityModel
from hwds.elasticity.models.pooled import posterior_estimates
from hwds.elasticity.slopes import fit_slopes, shared_error
from hwds.elasticity.sweeping import covariance_root, values_before

RESIDUAL_COLUMNS = ("price_residual", "lagged_price_residual")


class IV(ElasticityModel):
    """The pooled model with a control function: the part of the price that instruments do not
    explain is a column of its own.

    Instruments move the price and not demand: the log of `dataset.roles.cost`, and
    `dataset.roles.instrument`. The first stage regresses the log price on them, effects swept out;
    its residual takes up what sellers saw of demand (Wooldridge 2015, Control function methods).
    The price of the period before answers demand that lasts, too: it has the instruments of its
    period, and a residual of its own. Cells are shrunk as in `elasticity/pooled`. The error of the
    first stage is in the intervals. Errors may depend on each other within `cluster`, and within a
    cell over time. The table also has the F of the weakest first stage, the residual's t (do
    prices follow demand?) and the Anderson-Rubin interval of the common elasticity, which is valid
    for weak instruments, too.

    Attributes:
        cluster: Within which errors may depend on each other, apart from those of a cell.
    """

    cluster: Cluster = "sku_period"

    def estimate(
        self, design: DemandDesign, identification: pl.DataFrame, context: ElasticityContext
    ) -> Estimates:
        """Return the posterior of all cells, given the control function."""
        rows = self.rows(design)
        count = rows.endogenous.shape[1]
        residuals, strength = rows.residuals(), float(rows.strengths().min())
        known, within = rows.control_function(residuals)
        low, high = anderson_rubin(rows, context.level)
        wide = _with_residuals(design, residuals)
        fit = fit_slopes(wide.layout(by_period=self.by_period), design.crossed, design.codes("sku"))
        inflation = shared_error(wide, fit, self.cluster, by_period=self.by_period)
        plain = posterior_estimates(design, fit, inflation, context.level)
        more = known.covariance - fit.serial * within  # the posterior has the latter
        root = covariance_root(more[:count, :count])
        estimates = _with_common_error(plain, design, root @ root.T)
        common = float(known.beta[0])
        return replace(
            estimates,
            doubt=_doubt(strength, common, (low, high)),
            method="posterior, errors of the first stage in it",
            notes={
                "first_stage_f": strength,
                "price_residual_t": float(known.beta[count] / known.stderr[count]),
                "common_elasticity": common,
                "common_stderr": float(known.stderr[0]),
                "anderson_rubin_low": low,
                "anderson_rubin_high": high,
            },
        )

    def rows(self, design: DemandDesign) -> DemandRows:
        """Return the rows with their instruments.

        Raises:
            DataError: There are fewer instruments than prices that answer demand.
        """
        used, lagged = design.used, LAG in design.columns
        places = [place for place, name in enumerate(design.columns) if name != LAG]
        prices = (
            [design.log_price, *design.x.T[[design.columns.index(LAG)]]]
            if lagged
            else [design.log_price]
        )
        given = _with_earlier(design) if lagged else design
        instruments = given.instruments(by_period=self.by_period)[used]
        if instruments.shape[1] < len(prices):
            raise DataError(
                "model.lagged_price: the instruments of the period before add nothing, so that "
                "they cannot tell its price from today's; set model.lagged_price=false."
            )
        cluster = design.clusters(self.cluster)[used]
        ways = (cluster,) if self.cluster == "cell" else (cluster, design.cell[used])
        return DemandRows(
            design.units[used],
            np.column_stack(prices)[used],
            instruments,
            design.x[used][:, places],
            design.cell[used],
            design.period[used] if self.by_period else None,
            ways,
        )


def _with_earlier(design: DemandDesign) -> DemandDesign:
    """Return the design with the instruments of the period before, next to today's."""
    earlier = {
        f"{name} before": values_before(values, design.cell)
        for name, values in design.shifters.items()
    }
    return replace(design, shifters={**design.shifters, **earlier})


def _doubt(strength: float, common: float, interval: tuple[float, float]) -> str:
    """Return why no cell counts as identified, empty for no reason."""
    if strength < WEAK_F:
        return f"its instruments are weak: the first stage's F is {strength:.1f}"
    low, high = interval
    if low <= common <= high or np.isnan(low):
        return ""
    return (
        f"the Anderson-Rubin interval ({low:.2f} to {high:.2f}) excludes the common elasticity, "
        f"{common:.2f}"
    )


def _with_common_error(estimates: Estimates, design: DemandDesign, more: ndarray) -> Estimates:
    """Return estimates whose common slopes have a further covariance.

    Args:
        estimates: Given the residuals of the first stage.
        design: The columns.
        more: Of the slopes of the price and of the lagged price, shape (e, e).
    """
    assert estimates.covariance is not None
    covariance = estimates.covariance + more[0, 0]
    own = replace(estimates, covariance=covariance, stderr=np.sqrt(np.diag(covariance)))
    if len(more) == 1:
        return own
    assert own.theta_covariance is not None
    assert own.shared_covariance is not None
    lag = np.zeros(len(design.columns))
    lag[design.columns.index(LAG)] = 1.0
    return replace(
        own,
        theta_stderr=np.sqrt(own.theta_stderr**2 + more[1, 1] * lag),
        theta_covariance=own.theta_covariance + more[1, 1] * np.outer(lag, lag),
        shared_covariance=own.shared_covariance + more[0, 1] * lag,
    )


def _with_residuals(design: DemandDesign, residuals: ndarray) -> DemandDesign:
    """Return the design with the residuals of the first stages behind its columns."""
    columns = np.zeros((len(design.cell), residuals.shape[1]))
    columns[design.used] = residuals
    centres = np.column_stack([design.column_centres, np.zeros((len(design), columns.shape[1]))])
    names = (*design.columns, *RESIDUAL_COLUMNS[: columns.shape[1]])
    x = np.column_stack([design.x, columns])
    return replace(design, x=x, column_centres=centres, columns=names)
