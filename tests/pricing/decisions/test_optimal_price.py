"""`decision=optimal_price`: a verdict in money with intervals, its tables and pictures, and
mistakes in one line.
"""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError, DataError
from hwds.core.seeds import stream
from hwds.frames.panel import Panel
from hwds.pricing import optimal_price
from hwds.pricing import optimal_price as price_curves
from hwds.pricing.decisions.optimal_price import OptimalPrice
from hwds.pricing.demand_evidence import DemandEstimates
from hwds.pricing.optimal_price import CURVES, PRICES
from hwds.report.pictures import save_png
from tests.support.price_limits import breaches
from tests.support.price_worlds import price_world

EVIDENCE = price_world(stream(1, "decision"), 4, 2)


@pytest.fixture(scope="module")
def verdict():
    return OptimalPrice(name="optimal_price", rounding=1, ending=0.01, draws=300).of_estimates(
        EVIDENCE
    )


def test_every_cell_has_a_row(verdict):
    assert verdict.prices.schema == PRICES.schema
    assert verdict.prices["cell"].to_list() == list(EVIDENCE.names)
    assert sum(verdict.statuses.values()) == verdict.cells == len(EVIDENCE)
    held = {cell for cells in verdict.excluded.values() for cell in cells}
    assert held == set(verdict.prices.filter(pl.col("status") == "HOLD")["cell"])


def test_prices_are_those_of_the_terms(verdict):
    choice = OptimalPrice(rounding=1, ending=0.01)
    assert breaches(EVIDENCE, choice.guardrails(), verdict.prices["recommended"].to_numpy()) == []
    trails = verdict.prices.filter(pl.col("status") != "HOLD")["trail"]
    assert trails.str.starts_with("free ").all()
    assert trails.str.contains(" > allowed ").all()


def test_money_adds_up(verdict):
    assert verdict.action == "CHANGE"
    assert verdict.gain_low <= verdict.gain <= verdict.gain_high
    assert verdict.now > 0
    assert verdict.value_of_knowing >= verdict.value_of_test >= 0
    assert 0 < verdict.reached.share <= 1
    assert verdict.sentence.startswith(f"CHANGE {verdict.changed} of 8 cells: profit +")
    assert "By the true demand they gain" in verdict.sentence


def test_curves_pass_through_today_and_the_recommended_price(verdict):
    assert verdict.curves.schema == CURVES.schema
    curve = verdict.curves.filter(pl.col("cell") == verdict.curves["cell"][0])
    row = verdict.prices.filter(pl.col("cell") == curve["cell"][0]).row(0, named=True)
    price, units = curve["price"].to_numpy(), curve["units"].to_numpy()
    assert np.interp(row["recommended"], price, units) == pytest.approx(row["units_then"], rel=0.01)
    assert (np.diff(units) < 0).all()


def test_it_is_stored_and_drawn(verdict, tmp_path):
    assert (
        json.loads(json.dumps(verdict.as_dict(), allow_nan=False))["reached"]["share"]
        == verdict.reached.share
    )
    assert len(optimal_price.PRICES_REPORT.grid_of(verdict)) == 8
    small = OptimalPrice(draws=50).of_estimates(price_world(stream(2, "drawn"), 1, 2))
    save_png(optimal_price.price_figure(small), tmp_path / "a.png")
    save_png(price_curves.curves_figure(small), tmp_path / "b.png")
    assert (
        (tmp_path / "a.png").read_bytes()[:4] == (tmp_path / "b.png").read_bytes()[:4] == b"\x89PNG"
    )


def test_the_same_seed_gives_the_same_prices(verdict):
    again = OptimalPrice(name="optimal_price", rounding=1, ending=0.01, draws=300).of_estimates(
        EVIDENCE
    )
    assert again.prices.equals(verdict.prices)
    assert again.sentence == verdict.sentence


def test_mistakes_are_one_line():
    with pytest.raises(ConfigError, match=r"^decision\.capacity: no product 'p9'; known: p0"):
        OptimalPrice(capacity={"p9": 10}).of_estimates(EVIDENCE)
    dear = DemandEstimates(EVIDENCE.cells.with_columns(cost=2 * pl.col("price")))
    with pytest.raises(DataError, match=r"^evidence: cell 'p0/c0' has cost .* sold at a loss\.$"):
        OptimalPrice().of_estimates(dear)
    assert (
        OptimalPrice(objective="revenue", draws=50).of_estimates(dear).rails.objective == "revenue"
    )
    with pytest.raises(
        ConfigError, match=r"currency: must be a currency, such as EUR, got 'units'"
    ):
        OptimalPrice(currency="units")
    with pytest.raises(ConfigError, match=r"currency: must be a currency, such as EUR, got 'EURO'"):
        OptimalPrice(currency="EURO")


def test_prices_in_two_currencies_are_refused():
    rows = pl.DataFrame(
        {"sku": ["a", "b"] * 2, "week": [0, 0, 1, 1], "units": 1.0, "price": 9.0, "cost": 5.0}
    )
    mixed = rows.with_columns(
        currency=pl.when(pl.col("sku") == "a").then(pl.lit("EUR")).otherwise(pl.lit("USD"))
    )
    roles = {"series": ["sku"], "time": "week", "target": "units", "price": "price", "cost": "cost"}
    roles |= {"known_future": ("price", "cost"), "static": ("currency",)}
    with pytest.raises(
        ConfigError,
        match=r"^dataset: prices must be in one currency for decision 'x', got EUR, USD in column",
    ):
        OptimalPrice(name="x").check_data(Panel.of(mixed, **roles), None)
    OptimalPrice(name="x").check_data(
        Panel.of(mixed.with_columns(currency=pl.lit("EUR")), **roles), None
    )


def test_values_of_knowing_are_said_to_be_of_each_by_itself(verdict):
    assert "to know the elasticities, each by itself, is worth " in verdict.sentence
    assert "at most" not in verdict.sentence


def test_without_any_estimate_all_is_on_hold():
    blank = EVIDENCE.cells.with_columns(
        elasticity=pl.lit(None, pl.Float64),
        stderr=pl.lit(None, pl.Float64),
        status=pl.lit("no_variation"),
    )
    verdict = OptimalPrice(draws=50).of_estimates(DemandEstimates(blank))
    assert (verdict.action, verdict.rule, verdict.gain) == ("HOLD", "no_estimate", 0.0)
    assert verdict.sentence.startswith("HOLD: no price of 8 cells changes.\nOn hold: 8 ")
    assert price_curves.curves_figure(verdict) is None


def test_a_cell_below_its_cost_is_held_and_the_others_are_decided(verdict):
    one = EVIDENCE.cells.with_columns(
        cost=pl.when(pl.col("cell") == "p0/c0").then(2 * pl.col("price")).otherwise(pl.col("cost"))
    )
    held = OptimalPrice(draws=300).of_estimates(DemandEstimates(one))
    row = held.prices.filter(cell="p0/c0").row(0, named=True)
    assert (row["status"], row["recommended"]) == ("HOLD", row["price"])
    assert held.excluded["below_cost"] == ("p0/c0",)
    assert "1 (sold below its cost)" in held.sentence
    assert held.changed > 1


def test_a_total_gain_that_is_less_sure_than_a_product_has_to_be_changes_nothing():
    """A price that gains with about three in four is no change where nine in ten are asked."""
    cells = price_world(stream(4, "unsure"), 1, 1, statuses=(1, 0, 0)).cells
    cells = cells.with_columns(
        elasticity=pl.lit(-2.1), stderr=pl.lit(0.9), cost=0.5 * pl.col("price"),
        low=0.5 * pl.col("price"), high=1.5 * pl.col("price"),
    )  # fmt: skip
    evidence = DemandEstimates(cells)
    loose = OptimalPrice(draws=2000, confidence=0.5)
    made = loose.recommended(evidence, stream(0, "unsure"))
    chance = float((made.gains > 0).mean())
    assert made.status[0] != "HOLD"
    assert 0.5 < chance < 0.97
    terms = {"level": 0.95, "periods": 52, "test_stderr": 0.3}
    asked = replace(loose.guardrails(), confidence=(chance + 1) / 2)
    verdict = optimal_price.optimal_price_verdict("x", evidence, made, asked, **terms)
    assert (verdict.action, verdict.changed, verdict.gain) == ("HOLD", 0, 0.0)
    assert verdict.excluded == {"not_sure": ("p0/c0",)}
