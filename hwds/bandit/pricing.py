"""The evidence of a simulated bandit for a choice of price: counts of each replication, and the truth of the world."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.bandit.protocols.simulation.rows import seen_counts
from hwds.core.errors import ConfigError
from hwds.frames.world import World
from hwds.pricing.evidence import EVIDENCE, EvidenceTable
from hwds.pricing.offers import CONVERSIONS, Offer, Offers
from hwds.results.tables import Tables


def world_offers(world: World, horizon: int) -> Offers:
    """Return the arms of a world; those that the last step does not offer are absent, those of conversions alone have no price.

    Args:
        world: Of the simulation.
        horizon: Steps that are played.

    Raises:
        ConfigError: Purchases bring amounts, so that counts do not say what an arm earns.
    """
    if world.brings_amounts:
        raise ConfigError("decision: a price is chosen by counts and prices; the purchases of this market bring other amounts.")
    last = np.flatnonzero(world.moments(horizon) - world.moments(horizon - 1))[0]
    absent = (~world.present[last]).tolist()
    if world.unit == CONVERSIONS:
        arms = tuple(Offer(arm, absent=gone) for arm, gone in zip(world.arms, absent, strict=True))
    else:
        costs = (world.prices - world.values).tolist()
        arms = tuple(Offer(*each) for each in zip(world.arms, world.prices.tolist(), costs, absent, strict=True))
    return Offers(arms, "conversions", world.unit, "adaptive")


def replication_evidence(tables: Tables, world: World, model: str, horizon: int, most: int) -> EvidenceTable:
    """Return what was seen of every arm by the end of each of a policy's first replications; see `PriceEvidence`.

    Args:
        tables: Of the run.
        world: What was played.
        model: The policy.
        horizon: Steps that were played.
        most: Replications at most.
    """
    note = ""
    if len(world.segments) > 1:
        pooled = f"Counts are pooled over {len(world.segments)} segments"
        note = f"{pooled}: they compare arms only if the policy offers them to all alike."
    return EvidenceTable(_rows(tables.predictions, world, model, most), true_conversions(world, horizon), note)


def true_conversions(world: World, horizon: int) -> np.ndarray:
    """Return the share of customers whom each arm truly wins at the steps that offer it, shape (K,); NaN if none does.

    Args:
        world: Of the simulation.
        horizon: Steps that are played.
    """
    offered = world.moments(horizon)[:, None] * world.present
    steps = offered.sum(axis=0)
    lasts = np.divide(offered, steps, out=np.full(offered.shape, np.nan), where=steps > 0)
    return np.asarray(np.einsum("mk,s,msk->k", lasts, world.shares, world.conversions))


def _rows(predictions: pl.DataFrame, world: World, model: str, most: int) -> pl.DataFrame:
    if "replication" not in predictions.columns:
        return pl.DataFrame(schema=EVIDENCE)
    own = predictions.filter(pl.col("model") == model).sort("replication").head(most)
    rows = [
        (row["replication"], arm, offered, wins, offered - wins, None, None, "conversions")
        for row in own.to_dicts()
        for arm in world.arms
        for offered, wins in (seen_counts(row, arm),)
    ]
    return pl.DataFrame(rows, schema=EVIDENCE, orient="row")
