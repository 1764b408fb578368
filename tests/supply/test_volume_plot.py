"""The picture and the table of a decision on volumes."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from hwds.report.pictures import save_png
from hwds.supply.volume_bands import MOST_DEALS, REPORT, pick_deals, volume_figure, volume_verdict
from hwds.supply.volumes import DEAL_VOLUMES, VolumeTerms

TERMS = VolumeTerms(0.1, 0.5, 0.9, 1.0, 3.0, 0.0, 1000, 20, 20)


def verdict(count, banded=True, when="back-test"):
    rng = np.random.default_rng(0)
    base = rng.lognormal(7, 2, count)
    sizes = {"committed": 0.8, "base": 1.0, "upside": 1.3, "optimal": 1.1, "naive": 0.9}
    sizes |= {
        "committed_independent": 0.85,
        "committed_together": 0.7,
        "upside_independent": 1.2,
        "upside_together": 1.5,
    }
    columns = {name: base * size for name, size in sizes.items()} | {
        "actual": base * rng.normal(1, 0.2, count)
    }
    times = {"cutoff": date(2024, 1, 1), "first": date(2024, 2, 1), "last": date(2025, 1, 1)}
    names = {"deal": [f"sku-{i}_$x" for i in range(count)]} | times | {"steps": 12, "series": 1}
    deals = pl.DataFrame(names | {name: columns[name] for name in DEAL_VOLUMES} | {"vectors": 30})
    if not banded:
        deals = deals.with_columns(
            pl.lit(None, pl.Float64).alias(name)
            for name in ("committed", "base", "upside", "optimal")
        )
    tested = deals
    if when == "future":
        deals = deals.with_columns(pl.lit(None, pl.Float64).alias("actual"))
    return volume_verdict(
        "volume_bands",
        deals,
        tested,
        TERMS,
        coupling="errors",
        steps=(1, 12),
        unit="units",
        when=when,
    )


@pytest.mark.parametrize(
    ("count", "banded", "when"),
    [(40, True, "back-test"), (1, False, "back-test"), (25, True, "future")],
)
def test_deals_are_drawn_with_and_without_bands_and_demand(tmp_path, count, banded, when):
    told = verdict(count, banded, when)
    save_png(volume_figure(told), tmp_path / "volume_bands.png")
    drawn = (tmp_path / "volume_bands.png").read_bytes()
    assert drawn[:4] == b"\x89PNG"
    save_png(volume_figure(told), tmp_path / "again.png")
    assert (tmp_path / "again.png").read_bytes() == drawn
    assert len(pick_deals(told.deals)) == min(count, MOST_DEALS)
    assert bool(len(REPORT.grid_of(told))) == banded


def test_no_deal_draws_nothing(tmp_path):
    save_png(volume_figure(verdict(0)), tmp_path / "volume_bands.png")
    assert not list(tmp_path.iterdir())


def test_the_largest_and_the_smallest_deal_are_among_those_shown():
    shown = pick_deals(verdict(200).deals)["base"]
    assert len(shown) == MOST_DEALS
    assert (shown[0], shown[-1]) == (
        verdict(200).deals["base"].max(),
        verdict(200).deals["base"].min(),
    )


def test_the_table_says_shares_costs_and_savings():
    cells = {column.title: column.cells for column in REPORT.grid_of(verdict(40)).columns}
    assert cells["volume"][:4] == ("committed", "base", "upside", "optimal")
    assert cells["should be below, %"][:4] == ("10", "50", "90", "75")
    assert cells["volume"][-1] == "seasonal naive, summed"
    assert cells["saves against the seasonal naive, %"][-1] == ""


def test_three_deals_have_the_standard_error_that_they_have():
    told = verdict(3)
    cost, naive = (
        TERMS.cost(told.deals[name].to_numpy(), told.deals["actual"].to_numpy())
        for name in ("base", "naive")
    )
    ratio = cost.sum() / naive.sum()
    error = np.sqrt(3 / 2 * np.sum((cost - ratio * naive) ** 2)) / naive.sum()
    line = next(line for line in told.record if line.band == "base")
    assert line.saving_low == 0 < line.saving
    cells = {column.title: column.cells for column in REPORT.grid_of(told).columns}
    assert (
        cells["saves against the seasonal naive, %"][1]
        == f"{100 * (1 - ratio):+.1f} ± {100 * error:.1f}"
    )
