"""`decision=revenue_impact`: what changes of all prices bring, which of them pays, and its
picture.
"""

import json

import polars as pl
import pytest

from hwds.core.seeds import stream
from hwds.pricing import revenue_impact
from hwds.pricing.decisions.revenue_impact import RevenueImpact
from hwds.pricing.demand_evidence import DemandEstimates
from hwds.report.pictures import save_png
from tests.support.figures import texts
from tests.support.price_worlds import price_world

WORLD = price_world(stream(1, "x"), 8, 3)
EVIDENCE = DemandEstimates(
    WORLD.cells.with_columns(high=1.2 * pl.col("price"), lag=pl.lit(0.4)),
    "EUR",
    "week",
    cross=WORLD.cross,
)


def test_the_change_that_pays_most_is_said():
    verdict = RevenueImpact(draws=200).of_estimates(EVIDENCE)
    of_all = verdict.impacts.filter(pl.col("scope") == "all cells")
    assert len(verdict.impacts) == 9 * len(of_all)
    assert (verdict.action, verdict.change) == ("RAISE", 0.2)
    assert (
        of_all.filter(pl.col("margin") == of_all["margin"].max())["change"][0] == 0.3
    )  # beyond what was observed
    assert verdict.sentence.startswith("RAISE all prices by 20 %: margin +")
    assert " only come earlier" in verdict.sentence
    json.dumps(verdict.as_dict(), allow_nan=False)


def test_it_is_drawn_and_tabled(tmp_path):
    verdict = RevenueImpact(draws=50, changes=(-0.1, 0.1), scope="channel").of_estimates(EVIDENCE)
    save_png(revenue_impact.impact_figure(verdict), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    drawn = revenue_impact.impact_figure(verdict)
    assert "RAISE: +10 %; 24 prices together, a week" in texts(drawn)
    labels = [axes.get_title(loc="left") for axes in drawn.axes]
    assert labels == ["units, %", "revenue, %", "margin, %"]
    every = verdict.impacts.filter(scope="all cells")
    for axes, name in zip(drawn.axes, ("units", "revenue", "margin"), strict=True):
        assert axes.get_xlim() == pytest.approx((-10, 10))
        low, high = 100 * every[name] / every[f"{name}_now"]
        shown = axes.get_lines()[0].get_xydata()
        assert shown.ravel() == pytest.approx([-10, low, 0, 0, 10, high])
    assert len(revenue_impact.REPORT.grid_of(verdict)) == 2
    assert verdict.impacts["scope"].unique().sort().to_list() == ["all cells", "c0", "c1", "c2"]


def test_without_an_estimate_or_a_cost_it_holds():
    blank = EVIDENCE.cells.with_columns(
        elasticity=pl.lit(None, pl.Float64), stderr=pl.lit(None, pl.Float64)
    )
    verdict = RevenueImpact(draws=50).of_estimates(DemandEstimates(blank))
    assert (verdict.action, verdict.rule) == ("HOLD", "no_estimate")
    costless = DemandEstimates(EVIDENCE.cells.with_columns(cost=pl.lit(None, pl.Float64)))
    verdict = RevenueImpact(draws=50).of_estimates(costless)
    assert verdict.sentence.startswith(
        "HOLD: margins are not known, for not all cells have a cost (dataset.roles.cost)."
    )
    drawn = revenue_impact.impact_figure(verdict)
    assert [axes.get_title(loc="left") for axes in drawn.axes] == ["units, %", "revenue, %"]
