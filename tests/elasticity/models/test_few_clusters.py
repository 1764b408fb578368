"""Clusters that cannot tell how they vary are refused, and draws are as wide as the intervals."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import DataError
from hwds.core.seeds import stream
from hwds.elasticity.fitted import ElasticityContext
from hwds.elasticity.models.logit_demand import LogitDemand
from hwds.elasticity.models.pooled import Pooled
from hwds.elasticity.models.ppml import PPML
from hwds.elasticity.protocols.placebo import Placebo
from hwds.elasticity.sweeping import robust_variance
from hwds.evaluation.protocol import Cell, RunContext
from hwds.frames.panel import Panel


def panel(channels, moving=None, seed=0, weeks=30):
    """Sales of four products in channels with elasticity -2.

    Prices move in the first `moving` channels alone.
    """
    rng = stream(seed, "few_clusters")
    sku, channel, week = (
        each.ravel() for each in np.meshgrid(range(4), range(channels), range(weeks), indexing="ij")
    )
    price = np.exp(0.15 * rng.standard_normal(len(sku)) * (channel < (moving or channels)))
    units = rng.poisson(20 * price**-2.0 * np.exp(0.1 * rng.standard_normal(len(sku)))).astype(
        float
    )
    table = pl.DataFrame(
        {"sku": sku, "channel": channel, "week": week, "units": units, "price": 100 * price}
    )
    named = table.with_columns(pl.col("sku", "channel").cast(pl.String))
    keys = {"series": ["sku", "channel"], "time": "week", "target": "units", "frequency": "1i"}
    return Panel.of(
        named, known_future=("price",), static=("sku", "channel"), price="price", **keys
    )


def learn(model, data, level=0.95):
    return model.learn(data, ElasticityContext(0, level=level))


@pytest.mark.parametrize(
    "model",
    [
        PPML(common="all", cluster="channel"),
        Pooled(cluster="channel"),
        LogitDemand(instruments="none", cluster="channel"),
    ],
    ids=["ppml", "pooled", "logit"],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_fewer_than_four_clusters_are_refused_in_a_line(model, channels):
    with pytest.raises(
        DataError, match=f"model.cluster: must make at least 4 clusters of rows, got {channels}"
    ):
        learn(model, panel(channels))


def test_a_price_that_moves_in_few_clusters_has_no_answer():
    with pytest.raises(
        DataError, match=r"model\.cluster: 'channel' has too few clusters in which a price moves"
    ):
        learn(PPML(common="all", cluster="channel"), panel(6, moving=1))
    fitted = learn(
        PPML(common="channel", cluster="channel", effects="cell", second_cluster="sku"), panel(5)
    )
    assert (
        fitted.table["elasticity"].null_count() == 0
    )  # four products, in each of which every channel's price moves
    with pytest.raises(DataError, match=r"model\.cluster: 'channel' has too few clusters"):
        learn(PPML(common="channel", cluster="channel"), panel(5))
    some = learn(PPML(common="channel", cluster="sku", effects="cell"), panel(5, moving=3))
    assert some.table["elasticity"].is_null().to_list() == [
        int(name) >= 3 for name in some.table["channel"]
    ]


def test_the_clusters_that_a_coefficient_moves_in_are_counted_by_their_weight():
    cluster = np.repeat(np.arange(10), 6)
    first = np.where(cluster < 1, np.tile([1.0, -1, 1, -1, 1, -1], 10), 0.0)
    every = np.tile([1.0, -1, -1, 1, 0, 0], 10)
    rows = np.column_stack([first, every])
    known = robust_variance(np.zeros(2), np.linalg.inv(rows.T @ rows), rows, [cluster], rows=rows)
    assert known.sure.tolist() == [False, True]
    assert known.even[1] == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize("level", [0.95, 0.8])
def test_draws_are_as_wide_as_the_intervals_of_few_clusters(level):
    fitted = learn(PPML(common="all", cluster="channel"), panel(5), level)
    drawn = fitted.draws(40_000, stream(0, "draws"))[:, 0]
    ends = np.array([fitted.table["ci_low"][0], fitted.table["ci_high"][0]])
    assert np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]) == pytest.approx(
        ends, abs=0.05 * (ends[1] - ends[0])
    )
    assert ends[1] - ends[0] > 1.1 * 2 * 1.96 * fitted.table["stderr"][0] or level < 0.95


def test_a_placebo_of_few_clusters_is_tested_as_they_allow():
    protocol, model = Placebo(ahead=1), PPML(common="all", cluster="channel")
    fold = protocol.split(panel(5))[0]
    rows = protocol.evaluate_cell(
        model, panel(5), Cell("own", fold, 0, fold.units), RunContext(0, fold.name)
    )
    effect = {score.metric: score for score in protocol.score(rows)}["placebo_effect"]
    assert effect.ci_high - effect.ci_low > 1.1 * 2 * 1.96 * effect.stderr
    assert (effect.p_value < 0.05) == (not effect.ci_low <= 0 <= effect.ci_high)
