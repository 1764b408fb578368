"""Elasticities with instruments: for prices that answer demand."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
import polars as pl
from annotated_types import Ge, Le

from hwds.core.recipe import Small
from hwds.elasticity.design import DemandDesign
from hwds.elasticity.fitted import ElasticityContext, Estimates
from hwds.elasticity.instruments import WEAK_F, DemandRows, anderson_rubin, bootstrapped_error
from hwds.elasticity.models.base import Cluster, ElasticityModel
from hwds.elasticity.models.pooled import posterior_estimates
from hwds.elasticity.slopes import fit_slopes, shared_error

RESIDUAL_COLUMN = "price_residual"


class IV(ElasticityModel):
    """The pooled model with a control function: the part of the price that instruments do not
    explain is a column of its own.

    Instruments move the price and not demand: the log of `dataset.roles.cost`, and
    `dataset.roles.instrument`. The first stage regresses the log price on them, effects swept out;
    its residual takes up what sellers saw of demand (Wooldridge 2015, Control function methods).
    Cells are shrunk as in `elasticity/pooled`. The error of the first stage is in the intervals, by
    a bootstrap of clusters. The table also has the first stage's F, the residual's t (do prices
    follow demand?) and the Anderson-Rubin interval of the common elasticity, which is valid for
    weak instruments, too.

    Attributes:
        cluster: Within which errors may depend on each other.
        draws: The resamples of the bootstrap.
    """

    cluster: Cluster = "sku_period"
    draws: Annotated[int, Ge(10), Le(10_000), Small(20)] = 100

    def estimate(
        self, design: DemandDesign, identification: pl.DataFrame, context: ElasticityContext
    ) -> Estimates:
        """Return the posterior of all cells, given the control function."""
        rows = self.rows(design)
        first = rows.residual()
        (common, reaction, *_), (error, reaction_error, *_) = rows.control_function(first.residual)
        spread = bootstrapped_error(rows, self.draws, context.stream("first_stage"))
        added = max(spread**2 - error**2, 0.0)
        low, high = anderson_rubin(rows, context.level)
        wide = _with_residual(design, first.residual)
        fit = fit_slopes(wide.layout(by_period=self.by_period), design.crossed, design.codes("sku"))
        inflation = shared_error(wide, fit, self.cluster, by_period=self.by_period)
        doubt = f"its instruments are weak: the first stage's F is {first.f:.1f}"
        return replace(
            posterior_estimates(design, fit, inflation, context.level, common_variance=added),
            doubt=doubt if first.f < WEAK_F else "",
            method="posterior, first stage bootstrapped",
            notes={
                "first_stage_f": first.f,
                "price_residual_t": float(reaction / reaction_error),
                "common_elasticity": float(common),
                "common_stderr": spread,
                "anderson_rubin_low": low,
                "anderson_rubin_high": high,
            },
        )

    def rows(self, design: DemandDesign) -> DemandRows:
        """Return the rows with their instruments."""
        used = design.used
        return DemandRows(
            design.units[used],
            design.log_price[used],
            design.instruments(by_period=self.by_period)[used],
            design.x[used],
            design.cell[used],
            design.period[used] if self.by_period else None,
            (design.clusters(self.cluster)[used],),
        )


def _with_residual(design: DemandDesign, residual: np.ndarray) -> DemandDesign:
    """Return the design with one more column."""
    column = np.zeros(len(design.cell))
    column[design.used] = residual
    centres = np.column_stack([design.column_centres, np.zeros(len(design))])
    x, columns = np.column_stack([design.x, column]), (*design.columns, RESIDUAL_COLUMN)
    return replace(design, x=x, column_centres=centres, columns=columns)
