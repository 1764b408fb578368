"""`decision=price_experiment`: which prices to test, what that is worth and costs, and what is
handed on.
"""

import json
import shlex

import polars as pl
import pytest

from hwds.cli.words import as_override
from hwds.core.seeds import stream
from hwds.pricing import price_experiment as price_tests
from hwds.pricing.decisions.price_experiment import PriceExperiment
from hwds.pricing.demand_evidence import DemandEstimates
from hwds.pricing.price_experiment import ARMS, TRIALS
from hwds.report.pictures import save_png
from tests.support.composed import composed
from tests.support.price_worlds import price_world

WORLD = price_world(stream(6, "x"), 4, 2, stderr=(0.5, 1.0))
EVIDENCE = DemandEstimates(WORLD.cells.with_columns(units=1000 * pl.col("units")), "EUR", "week")


@pytest.fixture(scope="module")
def verdict():
    return PriceExperiment(
        name="price_experiment", draws=300, most=2, noise=0.02, largest_step=0.2
    ).of_estimates(EVIDENCE)


def test_tests_are_worth_more_than_they_cost(verdict):
    assert (verdict.trials.schema, verdict.arms.schema) == (TRIALS.schema, ARMS.schema)
    tested = verdict.trials.filter(pl.col("verdict") == "test")
    assert (verdict.action, verdict.tested, len(tested)) == ("TEST", 2, 2)
    assert (tested["net"] > 0).all()
    assert verdict.net == pytest.approx(float(tested["net"].sum()))
    assert verdict.trials["net"].is_sorted(descending=True)
    assert (tested["test_stderr"] < tested["stderr"]).all()
    assert verdict.sentence.startswith("TEST 2 of 8 cells: worth ")
    json.dumps(verdict.as_dict(), allow_nan=False)


def test_arms_have_todays_price_and_a_prior(verdict):
    cells = verdict.trials.filter(pl.col("verdict") == "test")["cell"].to_list()
    assert verdict.arms["cell"].unique(maintain_order=True).to_list() == cells
    for cell in cells:
        arms = verdict.arms.filter(pl.col("cell") == cell)
        today = EVIDENCE.cells.filter(pl.col("cell") == cell).row(0, named=True)
        own = arms.filter((pl.col("price") / today["price"] - 1).abs() < 1e-9).row(0, named=True)
        assert (own["conversion"], own["units"]) == (
            pytest.approx(0.05),
            pytest.approx(today["units"]),
        )
        assert own["prior_conversions"] + own["prior_refusals"] == pytest.approx(200)


def test_what_is_handed_on_composes(verdict):
    row = verdict.trials.row(0, named=True)
    plan, bandit = (
        composed(*map(as_override, shlex.split(row[name])[3:])) for name in ("ab_plan", "bandit")
    )
    assert plan.dataset.load().data["price"].to_list()[0] == pytest.approx(
        WORLD.column("price")[WORLD.names.index(row["cell"])]
    )
    assert set(bandit.model.known) == set(bandit.dataset.offers().arms)


def test_sure_elasticities_need_no_test():
    sure = DemandEstimates(EVIDENCE.cells.with_columns(stderr=pl.lit(0.01)), "EUR", "week")
    verdict = PriceExperiment(draws=100).of_estimates(sure)
    assert (verdict.action, verdict.rule, len(verdict.arms)) == ("HOLD", "no_value", 0)
    assert (
        verdict.sentence
        == "HOLD: none of 8 cells is worth a test.\nNot tested: 8 because the test costs more than "
        "it is worth."
    )


def test_it_is_drawn_and_tabled(verdict, tmp_path):
    save_png(price_tests.value_figure(verdict), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert len(price_tests.REPORT.grid_of(verdict, verdict.trials)) == 8


def test_a_net_value_that_is_rounding_is_no_test():
    assert not price_tests.is_worth_it(7e-11, 1000.0)
    assert not price_tests.is_worth_it(0.0, 0.0)
    assert price_tests.is_worth_it(5.0, 1000.0)
    assert price_tests.is_worth_it(5.0, -1000.0)
