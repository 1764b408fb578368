"""Changes of prices: isoelastic and never below zero, with intervals, substitutes, and what is only
brought forward.
"""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.core.seeds import stream
from hwds.pricing.demand_draws import DemandDraws
from hwds.pricing.demand_evidence import DemandEstimates
from hwds.pricing.revenue_impact import ImpactTerms, best_change, impacts, rows_at_change
from tests.support.price_worlds import price_world


def one_cell(elasticity, stderr=0.0, lag=0.0, cost=60.0):
    row = {
        "cell": ["a"],
        "product": ["p"],
        "channel": ["web"],
        "price": [100.0],
        "cost": [cost],
        "units": [10.0],
        "low": [80.0],
    }
    row |= {
        "high": [125.0],
        "elasticity": [elasticity],
        "stderr": [stderr],
        "lag": [lag],
        "status": ["identified"],
    }
    return DemandEstimates(pl.DataFrame(row), "EUR", "week")


def rows_of(evidence, *changes, scope="cell", draws=2):
    return impacts(evidence, draws, stream(0, "test"), ImpactTerms(changes, scope, 0.95))


@pytest.mark.parametrize(
    ("elasticity", "change", "units", "revenue"),
    [
        (-1.2, -0.2, 1.307, 0.046),
        (-2.0, -0.2, 1.562, 0.25),
        (-2.0, 0.2, 0.694, -0.167),
        (-3.0, 0.4, 0.364, -0.49),
    ],
)
def test_units_follow_a_power_of_the_price(elasticity, change, units, revenue):
    row = rows_of(one_cell(elasticity), change).row(0, named=True)
    assert 1 + row["units"] / row["units_now"] == pytest.approx(units, abs=5e-4)
    assert row["revenue"] / row["revenue_now"] == pytest.approx(revenue, abs=6e-4)


def test_the_interval_is_that_of_the_elasticity():
    row = rows_of(one_cell(-2.0, 0.5), -0.2, draws=20_000).row(0, named=True)
    ends = [10 * 0.8 ** (-2 + sign * 1.96 * 0.5) - 10 for sign in (1, -1)]
    assert [row["units_low"], row["units_high"]] == pytest.approx(ends, rel=0.03)


def test_what_a_cut_brings_forward_does_not_stay():
    row = rows_of(one_cell(-2.5, lag=0.5), -0.1).row(0, named=True)
    assert row["first_units"] == pytest.approx(10 * (0.9**-2.5 - 1))
    assert row["units"] == pytest.approx(10 * (0.9**-2.0 - 1))
    assert row["brought_forward"] == pytest.approx(row["first_units"] - row["units"])


def test_substitutes_lose_what_a_cut_takes_from_them():
    evidence = price_world(stream(2, "impact"), 4, 1, cross=0.5)
    rows = rows_of(evidence, -0.1).filter(pl.col("scope") != "all cells")
    assert (rows["others_units"] <= 0).all()
    assert (rows["others_units"] < 0).any()
    apart = evidence.cross[:, 0]
    price, cost = evidence.column("price"), evidence.column("cost")
    lost = (evidence.column("units") * (0.9**apart - 1) * (price - cost)).sum()
    exact = rows_of(DemandEstimates(evidence.cells, cross=evidence.cross), -0.1)
    assert rows_at_change(exact, -0.1, [evidence.names[0]])["others_margin"][0] == pytest.approx(
        lost, rel=1e-9
    )


def test_prices_that_were_not_observed_are_flagged_and_not_recommended():
    rows = rows_of(one_cell(-3.0, cost=20.0), -0.3, -0.1, 0.1)
    assert rows.filter(pl.col("scope") == "all cells")["beyond"].to_list() == [1, 0, 0]
    assert rows["margin"].max() == rows_at_change(rows, -0.3)["margin"][0]
    assert best_change(rows, 0.8)["change"] == -0.1


def test_cells_without_an_estimate_or_a_cost_are_said():
    cells = one_cell(-2.0).cells
    unknown = cells.with_columns(
        cell=pl.lit("b"),
        channel=pl.lit("oem"),
        elasticity=pl.lit(None, pl.Float64),
        stderr=pl.lit(None, pl.Float64),
    )
    rows = rows_of(DemandEstimates(pl.concat([cells, unknown])), 0.1)
    assert rows["cells"].to_list() == [1, 1]
    costless = rows_of(DemandEstimates(cells.with_columns(cost=pl.lit(None, pl.Float64))), 0.1)
    assert costless["margin"].null_count() == len(costless)
    assert best_change(costless, 0.5) is None


def test_scopes_change_together():
    evidence = price_world(stream(5, "impact"), 2, 3)
    products = rows_of(evidence, 0.1, scope="product")
    assert products["scope"].to_list() == ["all cells", "p0", "p1"]
    assert products["cells"].to_list() == [6, 3, 3]
    channels = rows_of(evidence, 0.1, scope="channel")
    assert np.isclose(
        channels.filter(pl.col("scope") != "all cells")["units_now"].sum(), channels["units_now"][0]
    )


def test_the_interval_of_all_cells_is_that_of_the_slope_that_they_share():
    """Twenty substitutes, a cross elasticity of .6 +- .3 spread over them, all prices 10 % up."""
    count = 20
    cells = pl.concat(
        one_cell(-2.0).cells.with_columns(cell=pl.lit(f"a{place}"), product=pl.lit(f"p{place}"))
        for place in range(count)
    )
    beside = (1 - np.eye(count)) / (count - 1)
    row = rows_of(
        DemandEstimates(cells, cross=0.6 * beside, cross_stderr=0.3 * beside),
        0.1,
        scope="channel",
        draws=10_000,
    ).row(0, named=True)
    ends = [1.1 ** (-2 + 0.6 + sign * 1.96 * 0.3) - 1 for sign in (-1, 1)]
    assert [row[f"units_{end}"] / row["units_now"] for end in ("low", "high")] == pytest.approx(
        ends, rel=0.03
    )


@pytest.mark.parametrize("scope", ["cell", "product"])
def test_a_change_is_that_of_the_demand_at_the_changed_prices(scope):
    """Draw by draw, with substitutes and an effect of last period's price, against the demand of
    all cells.
    """
    plain = price_world(stream(7, "impact"), 4, 3, cross=0.4)
    cells = plain.cells.with_columns(lag=pl.lit(0.3), lag_stderr=pl.lit(0.1))
    evidence = DemandEstimates(cells, cross=plain.cross, cross_stderr=plain.cross_stderr)
    rows = rows_of(evidence, -0.2, scope=scope, draws=300)
    demand = DemandDraws.of(evidence, 300, stream(0, "test"), objective="profit")
    for row in rows.iter_rows(named=True):
        own = (
            np.full(len(cells), True)
            if row["scope"] == "all cells"
            else (cells[scope] == row["scope"]).to_numpy()
        )
        prices = np.where(own, 0.8 * demand.price, demand.price)
        margin = demand.units_at(prices) * demand.margin(prices) - demand.units * demand.margin(
            demand.price
        )
        assert row["margin"] == pytest.approx(margin.sum(1).mean())
        assert [row["margin_low"], row["margin_high"]] == pytest.approx(
            np.quantile(margin.sum(1), [0.025, 0.975])
        )
        assert row["others_margin"] == pytest.approx(margin[:, ~own].sum(1).mean(), abs=1e-9)
        first = replace(demand, own=demand.own - demand.lag).units_at(prices) - demand.units
        assert row["first_units"] == pytest.approx(first[:, own].sum(1).mean())


def test_the_answer_to_a_price_is_that_of_its_substitutes_alone():
    evidence = price_world(stream(8, "impact"), 60, 1, cross=0.3)
    demand = DemandDraws.of(evidence, 10, stream(0, "test"), objective="profit")
    logs, place = demand.answer_to(np.array([3]))
    answering = np.flatnonzero(evidence.cross[:, 3])
    assert place.tolist() == [3, *answering.tolist()]
    assert np.allclose(logs[:, 1:].mean(0), evidence.cross[answering, 3], atol=0.2)
    assert np.array_equal(logs[:, 0], demand.own[:, 3])
