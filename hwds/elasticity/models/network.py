"""A network of demand: embeddings, an LSTM of past prices, an own-price answer that never rises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Gt, Le
from numpy import ndarray
from polars import DataFrame

from hwds.core.recipe import Depth, Draws, Folds, Positive, Small, Steps, Width
from hwds.elasticity.design import NO_ROW, DemandDesign, identify
from hwds.elasticity.fitted import (
    ElasticityContext,
    Estimates,
    FittedElasticities,
    named_notes,
    reasons_where,
)
from hwds.elasticity.models.base import Cluster, ElasticityModel, balanced_levels, normal_critical
from hwds.elasticity.models.pooled import Pooled
from hwds.elasticity.networks import (
    EMBEDDED_COLUMNS,
    HISTORY_COLUMNS,
    DemandEnsemble,
    DemandShape,
    EnsemblePlan,
    HeldOutError,
    OutputColumns,
    PriceScaling,
    RelativePrices,
    TargetColumns,
    TrainedEnsemble,
    demand_examples,
    gap_spread,
    held_out_error,
    train_and_judge,
)
from hwds.evaluation.networks import Schedule
from hwds.frames.panel import Panel

# Demand without the own price: the effects of cells and periods around a model's other slopes.

MOST_ROUNDS, SETTLED_CHANGE = 200, 1e-8
"""Turns of the iteration at most, and the change of log effects at which it ends."""

LEAST_UNITS = 0.1
"""The units that a cell or a period is taken to have sold at least."""


def demand_without_price(design: DemandDesign, known: Estimates, *, by_period: bool) -> ndarray:
    """Return the log mean of each row without the own price's part, shape (rows,).

    Effects are those at which the model's expected units add up to the sold ones in every cell, and
    in every period (iterative proportional fitting: the Poisson likelihood's). That of a period
    without rows to learn from is 0.

    Args:
        design: The rows.
        known: Slopes, of price and of other columns.
        by_period: Whether there are effects of periods.
    """
    used, cells = design.used, len(design)
    other = known.other_effects(np.nan_to_num(design.x), design.cell)
    part = (other + np.nan_to_num(known.slopes)[design.cell] * np.nan_to_num(design.log_price))[
        used
    ]
    cell, period, units = design.cell[used], design.period[used], design.units[used]
    of_cell, of_period = np.zeros(cells), np.zeros(design.periods)
    for _ in range(MOST_ROUNDS):
        before = of_cell
        of_cell = _balance_effects(part + of_period[period], cell, units, cells)
        if not by_period:
            break
        of_period = _balance_effects(part + of_cell[cell], period, units, design.periods)
        of_period -= of_period[period].mean()
        if np.abs(of_cell - before).max() < SETTLED_CHANGE:
            break
    here = np.bincount(period, minlength=design.periods) > 0
    return other + of_cell[design.cell] + np.where(here, of_period, 0.0)[design.period]


def _balance_effects(part: ndarray, code: ndarray, units: ndarray, count: int) -> ndarray:
    """Return the effects at which expected units add up to the sold ones in each group, 0 for one
    without rows.
    """
    sold, expected = np.bincount(code, units, count), np.bincount(code, np.exp(part), count)
    there = expected > 0
    return np.where(
        there, np.log(np.maximum(sold, LEAST_UNITS) / np.where(there, expected, 1.0)), 0.0
    )


# FittedNetwork: the elasticities of an ensemble, with the networks that predict demand.


@dataclass(frozen=True, eq=False)
class FittedDemandNetwork(FittedElasticities):
    """Elasticities, with the networks that predict demand.

    Attributes:
        networks: The networks of which the mean of the logs is the prediction.
        scaling: The scaling of their inputs.
        outlook: What is expected of the next period's prices; see `heads.outlook`.
    """

    networks: DemandEnsemble
    scaling: PriceScaling
    outlook: DataFrame

    def further_columns(self) -> DataFrame:
        """Return `price_gap` and `arbitrage_risk` of the next period."""
        return self.outlook

    def log_demand(self, panel: Panel) -> ndarray:
        """Return the log of expected units of each row, NaN where the model has no answer, shape
        (rows,).
        """
        design = DemandDesign.of(panel, self.terms, self.controls, like=self.design)
        base = self.estimates.level[design.cell] + self.estimates.other_effects(
            np.nan_to_num(design.x), design.cell
        )
        inputs = demand_examples(design, np.nan_to_num(base), self.scaling).inputs
        outputs = self.networks.answers(inputs).log_mean.mean(axis=0)
        return np.where(np.isfinite(design.log_price) & np.isfinite(base), outputs, np.nan)


# Predictions of the heads of gap and risk for the next period, and their scores on rows that
# were held out.


def head_notes(outputs: OutputColumns, goal: TargetColumns) -> dict[str, float]:
    """Return the share of the variance of gaps' changes, and of the deviance of wide gaps, that
    held-out rows explain.

    NaN without gaps, and where none or all are wide.
    """
    gap, wide = np.isfinite(goal.gap), np.isfinite(goal.risk)
    out = {"price_gap_r2": np.nan, "arbitrage_skill": np.nan}
    if gap.any() and (change := goal.gap[gap].astype(np.float64)).any():
        out["price_gap_r2"] = 1 - float(
            np.mean((outputs.gap[gap] - change) ** 2) / np.mean(change**2)
        )
    if wide.any() and 0 < (mean := float(goal.risk[wide].mean())) < 1:
        odds, happened = outputs.risk[wide], goal.risk[wide].astype(np.float64)
        deviance = float(np.mean(np.logaddexp(0, odds) - happened * odds))
        out["arbitrage_skill"] = 1 + deviance / (
            mean * np.log(mean) + (1 - mean) * np.log(1 - mean)
        )
    return out


def next_period_outlook(
    design: DemandDesign, outputs: OutputColumns, scaling: PriceScaling
) -> DataFrame:
    """Return what is expected of each cell in the period after its last price.

    Null where its product has no other channel.

    Args:
        design: The rows.
        outputs: The mean answer for every row of the panel, columns of shape (rows,).
        scaling: The unit of gaps.

    Returns:
        Columns `price_gap` (log price less the mean of the product's other channels) and
        `arbitrage_risk` (probability that it is beyond the cheapest of them by more than the
        threshold), a row a cell.
    """
    last = np.full(len(design), -1)
    priced = np.flatnonzero(np.isfinite(design.log_price))
    last[design.cell[priced]] = priced  # of equal places the last counts
    today = RelativePrices.of(design).gap[np.arange(len(design)), design.period[last]]
    known = (last >= 0) & np.isfinite(today)
    gap = np.where(known, today + outputs.gap[last] * scaling.gap, np.nan)
    risk = np.where(known, 1 / (1 + np.exp(-outputs.risk[last])), np.nan)
    return DataFrame({"price_gap": gap, "arbitrage_risk": risk}).fill_nan(None)


# The pooled model as a second opinion: which answers its intervals exclude.


def pooled_opinion(own: Estimates, beside: Estimates, identification: DataFrame) -> Estimates:
    """Return the estimates with a status and a reason in words where another model's interval
    excludes an answer.

    Args:
        own: The estimates of all cells.
        beside: Those of the pooled model.
        identification: The status of each cell by its own prices.
    """
    below, above = beside.both_sides * beside.stderr
    low, high = beside.slopes - below, beside.slopes + above
    outside = (own.slopes < low) | (own.slopes > high)
    statuses = identification.select("status", "reason").rows()
    for cell in np.flatnonzero(outside).tolist():
        status, reason = statuses[cell]
        excluded = (
            f"the interval of elasticity/pooled, {low[cell]:.2f} to {high[cell]:.2f}, excludes "
            f"the network's answer"
        )
        statuses[cell] = (
            "weak" if status == "identified" else status,
            f"{reason}; {excluded}" if reason else excluded,
        )
    known, share, apart = np.isfinite(own.slopes) & np.isfinite(beside.slopes), np.nan, np.nan
    if known.any() and beside.covariance is not None:
        share = float(outside[known].mean())
        error = float(np.sqrt(beside.covariance[np.ix_(known, known)].mean()))
        if error > 0:
            apart = float((own.slopes[known] - beside.slopes[known]).mean()) / error
    doubt = own.doubt
    if abs(apart) > float(own.critical[0]):
        doubt = (
            f"its mean elasticity is {abs(apart):.1f} standard errors from that of "
            f"elasticity/pooled"
        )
    return replace(
        own,
        statuses=statuses,
        doubt=doubt,
        notes=own.notes | {"outside_pooled": share, "mean_apart": apart},
    )


# A network of demand: embeddings, an LSTM of past prices, and an answer to the own price that
# never rises.

LEAST_SLOPE = 0.1
"""The elasticity's size that training begins from at least: the pooled mean may have the wrong
sign.
"""

LEAST_OVERDISPERSION = 0.01
"""a at least, of which a logarithm is taken."""


class Network(ElasticityModel):
    """An ensemble of Keras networks with a path of the own price on which demand never rises,
    whatever the weights are.

    Embeddings of product, channel and family and an LSTM of past prices make the elasticity at low
    and at high prices, each minus a softplus. Three heads share them: today's units, the next
    period's price gap to the product's other channels, and the risk that it is wide enough for
    arbitrage. The target of one head is no input of another: no head reads units, and the two
    others look one period ahead. Cell and period effects and the slopes of other columns are those
    of `elasticity/pooled`, and its mean elasticity is where training begins and what it is pulled
    to. The answer is the gradient by the log price, averaged over the cell's rows and the networks.

    Intervals come from the errors on held-out clusters of rows. They cover few rows, other first
    weights and the pull to the mean. They are valid on average over cells, not for a cell that
    differs from all others. If the pooled model's interval excludes an answer, that cell is `weak`,
    with the reason.

    Attributes:
        spread: The standard deviation of elasticities between cells that is expected: less pulls
            more to the mean.
        steps: Past periods that the LSTM reads.
        units: The units of the LSTM.
        seeds: The number of networks that are averaged.
        epochs: The passes over the rows.
        batch: Rows a step at most.
        learning_rate: The step size of Adam.
        least_steps: Steps of an epoch at least: with few rows a step takes fewer of them.
        folds: Parts of the clusters that are held out in turn.
        cluster: Within which errors may depend on each other: such rows are held out together.
        heads_weight: The weight of the heads of gap and risk in the loss; the loss of units has the
            weight 1.
        arbitrage_gap: The log price beyond the cheapest other channel's from which moving goods
            pays.
    """

    imports = ("keras", "tensorflow")
    search_space: ClassVar[Mapping[str, Any]] = {
        "spread": {"loguniform": [0.2, 2.0]},
        "units": {"choice": [4, 8, 16]},
        "epochs": {"choice": [10, 20, 40]},
    }

    spread: Annotated[float, Gt(0.001), Le(100)] = 0.7
    steps: Annotated[Steps, Le(520)] = 8
    units: Width = 8
    seeds: Annotated[Depth, Small(1)] = 3
    epochs: Annotated[Folds, Small(2)] = 20
    batch: Width = 256
    learning_rate: Positive = 5e-3
    least_steps: Annotated[Draws, Small(10)] = 40
    folds: Annotated[int, Ge(2), Le(50), Small(2)] = 4
    cluster: Cluster = "sku_period"
    heads_weight: Annotated[float, Ge(0), Le(1000)] = 0.1
    arbitrage_gap: Annotated[float, Ge(0), Le(10)] = 0.1

    def learn(self, history: Panel, context: ElasticityContext) -> FittedDemandNetwork:
        """Return the elasticities of all cells of a history, with the networks.

        Raises:
            DataError: There is no price, or none that ever changes.
        """
        design = DemandDesign.of(history, self.terms, context.controls)
        identification = identify(design, by_period=self.by_period)
        beside = self._pooled().estimate(design, identification, context)
        base = demand_without_price(design, beside, by_period=self.by_period)
        scaling = self._scaling(design, beside)
        known = train_and_judge(
            design, base, scaling, design.clusters(self.cluster), self._plan(design), context
        )
        estimates = pooled_opinion(self._estimates(known, beside, context), beside, identification)
        fitted = self.fitted(design, estimates, identification, context)
        foreseen = next_period_outlook(design, known.mean, scaling)
        return FittedDemandNetwork(
            **vars(fitted), networks=known.networks, scaling=scaling, outlook=foreseen
        )

    def _pooled(self) -> Pooled:
        """Return the model that gives effects and a second opinion, with the same columns."""
        fields = (
            "effects",
            "sku",
            "channel",
            "family",
            "lagged_price",
            "substitutes_price",
            "cluster",
        )
        return Pooled(**{name: getattr(self, name) for name in fields})

    def _plan(self, design: DemandDesign) -> EnsemblePlan:
        many = tuple(int(design.codes(name).max()) + 1 for name in EMBEDDED_COLUMNS)
        shape = DemandShape(self.steps, HISTORY_COLUMNS, many, self.units, self.heads_weight)
        schedule = Schedule(
            self.epochs, self.epochs, self.batch, self.learning_rate, self.least_steps
        )
        return EnsemblePlan(shape, schedule, self.seeds, self.folds)

    def _scaling(self, design: DemandDesign, beside: Estimates) -> PriceScaling:
        """Return the scales of prices and gaps, where training begins, and the pull to it.

        The pull is that of a normal prior on each cell's elasticity, spread over its rows; the
        level is a log, of which a standard deviation of the elasticity is that over the derivative
        of softplus.
        """
        price = float(design.log_price[design.used].std())
        mean = max(-beside.notes["mean_elasticity"], LEAST_SLOPE) * price
        deviation = self.spread * price / -np.expm1(-mean)
        over = float(np.log(max(beside.notes["overdispersion"], LEAST_OVERDISPERSION)))
        pull = len(design) / int(design.used.sum()) / (2 * deviation**2)
        start = float(np.log(np.expm1(mean)))
        return PriceScaling(
            self.steps, price, gap_spread(design), start, over, pull, self.arbitrage_gap
        )

    def _estimates(
        self, known: TrainedEnsemble, beside: Estimates, context: ElasticityContext
    ) -> Estimates:
        """Return the answers of the networks, with the other slopes of the pooled model."""
        design, by_network, lacks = (
            known.design,
            known.slopes(),
            self._held_out_error(known, beside),
        )
        slopes = by_network.mean(axis=0)
        there, none = np.isfinite(slopes), np.full(len(design), np.nan)
        part = known.without_effects + beside.other_effects(
            design.x[design.used], design.cell[design.used]
        )
        return replace(
            beside,
            slopes=slopes,
            stderr=np.where(there, np.sqrt(np.diag(lacks.covariance)), np.nan),
            critical=np.full(len(design), normal_critical(context.level)),
            level=np.where(there, balanced_levels(design, part), np.nan),
            own_weight=none,
            df=none,
            covariance=np.where(np.outer(there, there), lacks.covariance, 0.0),
            shared_covariance=None,
            unanswered=reasons_where(~there, NO_ROW),
            method="what networks miss on held-out clusters",
            notes=self._notes(known, beside, by_network, lacks),
        )

    def _held_out_error(self, known: TrainedEnsemble, beside: Estimates) -> HeldOutError:
        """Return what the networks miss; of the error that all cells share the pooled model's."""
        assert beside.covariance is not None
        over = float(np.exp(known.scaling.log_overdispersion))
        common = float(beside.covariance.mean())
        return held_out_error(known.design, known.unseen, over, common, by_period=self.by_period)

    def _notes(
        self, known: TrainedEnsemble, beside: Estimates, by_network: ndarray, lacks: HeldOutError
    ) -> dict[str, float]:
        """Return the mean of the pooled model, the spread of what is missed and between networks,
        and the heads' skill.
        """
        between = float(np.nanmean(by_network.std(axis=0, ddof=1))) if self.seeds > 1 else np.nan
        spreads = named_notes("missed_", lacks.names, lacks.deviations)
        heads = head_notes(known.unseen.outputs, known.goal)
        return {
            "pooled_mean": float(np.nanmean(beside.slopes)),
            "between_networks": between,
            **spreads,
            **heads,
        }
