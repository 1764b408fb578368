"""A network of demand: embeddings, an LSTM of past prices, and an answer to the own price that never rises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Gt, Le

from hwds.core.recipe import Depth, Draws, Folds, Positive, Small, Steps, Width
from hwds.elasticity.context import ElasticityContext
from hwds.elasticity.design.identification import identify
from hwds.elasticity.design.rows import Design
from hwds.elasticity.fitted import Estimates
from hwds.elasticity.models.base import Cluster, ElasticityModel, balanced_levels, normal_critical
from hwds.elasticity.models.networks.effects import base_of
from hwds.elasticity.models.networks.fitted import FittedNetwork
from hwds.elasticity.models.networks.heads import head_notes, outlook
from hwds.elasticity.models.networks.inputs import HISTORY, Scaling, gap_spread
from hwds.elasticity.models.networks.missed import Missed, missed
from hwds.elasticity.models.networks.second_opinion import second_opinion
from hwds.elasticity.models.networks.shape import CODES, DemandShape
from hwds.elasticity.models.networks.training import Trained, TrainingPlan, trained
from hwds.elasticity.models.pooled import Pooled
from hwds.frames.panel import Panel
from hwds.learners.networks.training import Schedule

LEAST_SLOPE = 0.1
"""The elasticity's size that training begins from at least: the pooled mean may have the wrong sign."""

LEAST_OVERDISPERSION = 0.01
"""a at least, of which a logarithm is taken."""


class Network(ElasticityModel):
    """An ensemble of Keras networks with a path of the own price on which demand never rises, whatever the weights are.

    Embeddings of product, channel and family and an LSTM of past prices make the elasticity at low and at high prices, each
    minus a softplus. Three heads share them: today's units, the next period's price gap to the product's other channels, and
    the risk that it is wide enough for arbitrage. What one head is to say is no input of another: units are read by none, and
    the two others look one period ahead. Cell and period effects and the slopes of other columns are those of
    `elasticity/pooled`, and its mean elasticity is where training begins and what it is pulled to. The answer is the gradient
    by the log price, averaged over the cell's rows and the networks.

    Intervals are what networks miss of elasticities on clusters of rows that were held out: they hold few rows, other first
    weights and the pull to the mean, and hold on average over cells, not for a cell that differs from all others. Where the
    interval of the pooled model excludes an answer, that cell is `weak` and the reason says so.

    Attributes:
        spread: The standard deviation of elasticities between cells that is expected: less pulls more to the mean.
        steps: Past periods that the LSTM reads.
        units: The units of the LSTM.
        seeds: The number of networks that are averaged.
        epochs: The passes over the rows.
        batch: Rows a step at most.
        learning_rate: The step size of Adam.
        least_steps: Steps of an epoch at least: with few rows a step takes fewer of them.
        folds: Parts of the clusters that are held out in turn.
        cluster: Within which errors may depend on each other: such rows are held out together.
        heads_weight: The weight of the heads of gap and risk in the loss; that of units is 1.
        arbitrage_gap: The log price beyond the cheapest other channel's from which moving goods pays.
    """

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

    def learn(self, history: Panel, context: ElasticityContext) -> FittedNetwork:
        """Return the elasticities of all cells of a history, with the networks.

        Raises:
            DataError: There is no price, or none that ever changes.
        """
        design = Design.of(history, self.terms, context.controls)
        identification = identify(design, by_period=self.by_period)
        beside = self._pooled().estimate(design, identification, context)
        base, scaling = base_of(design, beside, by_period=self.by_period), self._scaling(design, beside)
        known = trained(design, base, scaling, design.clusters(self.cluster), self._plan(design), context)
        estimates = second_opinion(self._estimates(known, beside, context), beside, identification)
        fitted = self.fitted(design, estimates, identification, context)
        foreseen = outlook(design, known.mean, scaling)
        return FittedNetwork(**vars(fitted), networks=known.networks, scaling=scaling, outlook=foreseen)

    def _pooled(self) -> Pooled:
        """Return the model that gives effects and a second opinion, with the same columns."""
        fields = ("effects", "sku", "channel", "family", "lagged_price", "substitutes_price", "cluster")
        return Pooled(**{name: getattr(self, name) for name in fields})

    def _plan(self, design: Design) -> TrainingPlan:
        many = tuple(int(design.codes(name).max()) + 1 for name in CODES)
        shape = DemandShape(self.steps, HISTORY, many, self.units, self.heads_weight)
        schedule = Schedule(self.epochs, self.epochs, self.batch, self.learning_rate, self.least_steps)
        return TrainingPlan(shape, schedule, self.seeds, self.folds)

    def _scaling(self, design: Design, beside: Estimates) -> Scaling:
        """Return the scales of prices and gaps, where training begins, and the pull to it.

        The pull is that of a normal prior on each cell's elasticity, spread over its rows; the level is a log, of which a
        standard deviation of the elasticity is that over the derivative of softplus.
        """
        price = float(design.log_price[design.used].std())
        mean = max(-beside.notes["mean_elasticity"], LEAST_SLOPE) * price
        deviation = self.spread * price / -np.expm1(-mean)
        over = float(np.log(max(beside.notes["overdispersion"], LEAST_OVERDISPERSION)))
        pull = len(design) / int(design.used.sum()) / (2 * deviation**2)
        start = float(np.log(np.expm1(mean)))
        return Scaling(self.steps, price, gap_spread(design), start, over, pull, self.arbitrage_gap)

    def _estimates(self, known: Trained, beside: Estimates, context: ElasticityContext) -> Estimates:
        """Return the answers of the networks, with the other slopes of the pooled model."""
        design, by_network, lacks = known.design, known.slopes(), self._missed(known, beside)
        slopes = by_network.mean(axis=0)
        there, none = np.isfinite(slopes), np.full(len(design), np.nan)
        part = known.without_effects + beside.other_effects(design.x[design.used], design.cell[design.used])
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
            unanswered=dict.fromkeys(np.flatnonzero(~there).tolist(), "no row has units, a price and all columns of the model"),
            method="what networks miss on held-out clusters",
            notes=self._notes(known, beside, by_network, lacks),
        )

    def _missed(self, known: Trained, beside: Estimates) -> Missed:
        """Return what the networks miss; of the error that all cells share the pooled model's."""
        assert beside.covariance is not None
        over, common = float(np.exp(known.scaling.log_overdispersion)), float(beside.covariance.mean())
        return missed(known.design, known.unseen, over, common, by_period=self.by_period)

    def _notes(self, known: Trained, beside: Estimates, by_network: np.ndarray, lacks: Missed) -> dict[str, float]:
        """Return the mean of the pooled model, the spread of what is missed and between networks, and the heads' skill."""
        between = float(np.nanmean(by_network.std(axis=0, ddof=1))) if self.seeds > 1 else np.nan
        spreads = {f"missed_{name}": float(value) for name, value in zip(lacks.names, lacks.deviations, strict=True)}
        heads = head_notes(known.unseen.said, known.goal)
        return {"pooled_mean": float(np.nanmean(beside.slopes)), "between_networks": between, **spreads, **heads}
