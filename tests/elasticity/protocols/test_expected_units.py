"""What cells are expected to sell: with competitors' prices, once nothing is sold any more, and
before units are published.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from hwds.core.seeds import stream
from hwds.elasticity.fitted import ElasticityContext
from hwds.elasticity.models.ppml import PPML
from hwds.elasticity.protocols.price_change import PriceChange
from hwds.elasticity.rows import expected_units, price_scenario
from hwds.evaluation.panel_folds import AtTime, panel_known_at
from hwds.evaluation.protocol import Cell, RunContext
from hwds.frames.panel import Panel

WEEKS, LEVEL = 60, 20.0
OWN = PPML(lagged_price=False, substitutes_price=False)


def sales(skus=4, rival=0.8):
    """Sales of products in two channels at prices and competitors' prices near 100, elasticity
    -2.
    """
    rng = stream(0, "expected_units")
    sku, channel, week = (
        each.ravel() for each in np.meshgrid(range(skus), range(2), range(WEEKS), indexing="ij")
    )
    own, other = 0.15 * rng.standard_normal((2, len(sku)))
    return pl.DataFrame(
        {
            "sku": [f"s{i}" for i in sku],
            "channel": [f"c{i}" for i in channel],
            "week": [date(2024, 1, 1) + timedelta(weeks=int(i)) for i in week],
            "units": rng.poisson(LEVEL * np.exp(-2 * own + rival * other)).astype(float),
            "price": 100 * np.exp(own),
            "rival": 100 * np.exp(other),
        }
    )


def panel(table, known=("price", "rival"), **roles):
    keys = {
        "series": ["sku", "channel"],
        "time": "week",
        "target": "units",
        "frequency": "1w",
        "static": ("sku", "channel"),
    }
    return Panel.of(table, known_future=known, price="price", **keys, **roles)


def moved(data, **settings):
    """The rows of held-out weeks."""
    protocol = PriceChange(horizon=8, **settings)
    fold = protocol.split(data)[-1]
    return protocol, protocol.evaluate_cell(
        OWN, data, Cell("own", fold, 0, fold.units), RunContext(0, fold.name)
    )


def test_units_are_expected_at_the_last_competitors_price():
    table = sales()
    fitted = OWN.learn(panel(table, competitor_price="rival"), ElasticityContext(0))
    last = table.group_by("sku", "channel", maintain_order=True).last()
    law = LEVEL * (last["price"] / 100) ** -2.0 * (last["rival"] / 100) ** 0.8
    assert expected_units(fitted) == pytest.approx(law.to_numpy(), rel=0.25)


def test_an_unknown_competitors_price_is_taken_as_the_mean():
    protocol, rows = moved(
        panel(sales(rival=0.3), known=("price",), competitor_price="rival", past_only="rival")
    )
    errors = {score.metric: score.value for score in protocol.score(rows)}
    assert errors["level_rmse"] < 0.4


def test_a_cell_that_stopped_selling_does_not_come_back_to_life():
    first, late = (
        pl.col("sku") == "s0",
        pl.col("week") >= date(2024, 1, 1) + timedelta(weeks=WEEKS - 28),
    )
    dead = sales().with_columns(units=pl.when(first & late).then(0.0).otherwise(pl.col("units")))
    assert expected_units(OWN.learn(panel(dead), ElasticityContext(0)))[:2].max() < 0.1
    ended = expected_units(OWN.learn(panel(sales().filter(~(first & late))), ElasticityContext(0)))
    assert np.isnan(ended[:2]).all()
    assert np.isfinite(ended[2:]).all()


def test_units_that_were_not_yet_published_set_no_level():
    week = pl.col("week")
    cutoff = date(2024, 1, 1) + timedelta(weeks=WEEKS - 9)
    late = (week > cutoff - timedelta(weeks=10)) & (week <= cutoff)
    table = sales().with_columns(out=pl.when(late).then(week + timedelta(weeks=10)).otherwise(week))
    many = table.with_columns(
        units=pl.when(late).then(pl.col("units") * 10).otherwise(pl.col("units"))
    )
    once, again = (panel(each, available_at="out") for each in (table, many))
    assert moved(once)[1]["log_predicted"].to_list() == moved(again)[1]["log_predicted"].to_list()
    asked, after = price_scenario(again, panel_known_at(again, AtTime(cutoff)), AtTime(cutoff), 8)
    assert after.sum() == 8 * 8
    assert np.isnan(asked.target.reshape(8, -1)[:, -18:]).all()
    assert np.isfinite(asked.target.reshape(8, -1)[:, :-18]).all()
