"""The decision on arbitrage thresholds, its table and its picture."""

from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError, DataError
from hwds.detection.decisions.arbitrage_thresholds import ArbitrageThresholds
from hwds.detection.report.decisions import (
    ARBITRAGE_REPORT,
    MOST_LISTED_PAIRS,
    arbitrage_figure,
)
from hwds.frames.table import Table
from hwds.report.pictures import save_png

BEGIN = datetime(2024, 1, 1)
ROLES = {"time": ("time",), "label": ("confirmed",), "label_propensity": ("review_chance",)}


def lines(count=400, seed=0, cheap=60.0):
    """Half of the lines are bought in a school at `cheap`, the others in a shop for 100.

    The street pays 100.
    """
    rng = np.random.default_rng(seed)
    school = rng.random(count) < 0.5
    data = pl.DataFrame(
        {
            "time": [BEGIN + timedelta(days=int(day)) for day in rng.integers(0, 90, count)],
            "sku": rng.choice(["a", "b", "c"], count),
            "channel": np.where(school, "school", "shop"),
            "region": rng.choice(["east", "west"], count),
            "quantity": rng.integers(1, 5, count),
            "unit_price": np.where(school, cheap, 100.0),
            "street_price": 100.0,
            "confirmed": np.where(school, (np.arange(count) % 4 == 0).astype(int), 0),
            "review_chance": np.where(np.arange(count) % 2 == 0, 0.5, 0.25),
        }
    )
    return Table.build(data, ROLES, "USD")


def decided(table, **fields):
    decision = ArbitrageThresholds(name="arbitrage_thresholds", **fields)
    decision.check_data(table, None)
    return decision.decide(None, table, "", None)


def test_a_cheap_channel_is_to_be_watched():
    verdict = decided(lines())
    pays = verdict.thresholds.filter("pays")
    assert verdict.action == "WATCH"
    assert set(pays["bought_in"]) == {"school"}
    assert set(pays["sold_in"]) == {"shop", "street"}
    assert (verdict.pairs, verdict.paying, verdict.offers, verdict.leaking) == (18, 6, 6, 3)
    assert verdict.sentence.startswith(
        "WATCH: reselling pays in 6 of 18 pairs of SKU and channels.\nIt pays most with a, bought in"
    )
    assert (
        "27.00 USD a unit after all costs" in verdict.sentence
    )  # 100 - 60 - 10 - .05 * 60 within a region


def test_lines_above_the_threshold_are_told_apart_by_the_weight_of_their_reviews():
    table = lines()
    verdict = decided(table)
    school = table.data.filter(pl.col("channel") == "school")
    weights = 1 / school["review_chance"]
    assert verdict.above.lines == len(school)
    assert verdict.above.share == pytest.approx(
        (school["confirmed"] * weights).sum() / weights.sum()
    )
    assert verdict.below.share == 0.0
    bare = {role: names for role, names in table.roles.items() if role != "label_propensity"}
    assert decided(replace(table, roles=bare)).above.share == pytest.approx(
        school["confirmed"].mean()
    )


def test_where_nothing_pays_nothing_is_watched():
    verdict = decided(lines(cheap=95.0))
    assert (verdict.action, verdict.paying) == ("NONE", 0)
    assert verdict.sentence.startswith("NONE: reselling pays in none of 18 pairs")
    assert (verdict.above.lines, verdict.above.share) == (0, None)
    assert "reviewed" not in verdict.sentence


def test_prices_are_those_of_the_last_days():
    table = lines()
    dear = (
        pl.when(pl.col("time") < BEGIN + timedelta(days=50))
        .then(1000.0)
        .otherwise(pl.col("unit_price"))
    )
    old = replace(table, data=table.data.with_columns(dear.alias("unit_price")))
    assert decided(old).thresholds.equals(decided(table).thresholds)
    assert not decided(old, seen_days=90).thresholds.equals(decided(table, seen_days=90).thresholds)


def test_it_is_drawn_the_same_each_time_and_told_in_a_grid(tmp_path):
    verdict = decided(lines())
    save_png(arbitrage_figure(verdict), tmp_path / "one.png")
    save_png(arbitrage_figure(verdict), tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert len(ARBITRAGE_REPORT.grid_of(verdict)) == min(MOST_LISTED_PAIRS, 18)
    assert "school (" in ARBITRAGE_REPORT.grid_of(verdict).markdown()
    assert verdict.as_dict().keys() >= {"paying", "until"}
    assert "thresholds" not in verdict.as_dict()


def test_no_pair_draws_nothing(tmp_path):
    one = (
        lines()
        .data.filter((pl.col("channel") == "shop") & (pl.col("region") == "east"))
        .drop("row_id")
    )
    verdict = decided(
        Table.build(one.with_columns(street_price=pl.lit(None, pl.Float64)), ROLES, "USD")
    )
    assert verdict.thresholds.is_empty()
    save_png(arbitrage_figure(verdict), tmp_path / "one.png")
    assert not list(tmp_path.iterdir())
    assert not len(ARBITRAGE_REPORT.grid_of(verdict))


def test_few_sales_are_called_weak_and_given_prices_and_costs_are_taken_as_they_are(tmp_path):
    weak = decided(lines(), least_lines=1000)
    assert weak.thresholds["weak"].all()
    assert "by prices of few sales" in weak.sentence
    prices = {
        "sku": ["a", "a", "a"],
        "channel": ["school", "shop", "school"],
        "price": [80.0, 100.0, 50.0],
    }
    since = {"since": ["2024-01-01", "2024-01-01", "2024-02-01"]}
    pl.DataFrame(prices | since).write_csv(tmp_path / "prices.csv")
    pl.DataFrame({"bought_in": ["school"], "sold_in": ["shop"], "freight": [20.0]}).write_csv(
        tmp_path / "pairs.csv"
    )
    files = {"prices": str(tmp_path / "prices.csv"), "pair_costs": str(tmp_path / "pairs.csv")}
    given = decided(lines(), **files).thresholds
    row = given.filter((pl.col("bought_in") == "school") & (pl.col("sold_in") == "shop")).row(
        0, named=True
    )
    assert (row["price_paid"], row["margin"], row["margin_low"]) == (
        50.0,
        100 - 50 - 20 - 2.5,
        27.5,
    )
    (tmp_path / "bad.csv").write_text("sku,channel,price\na,shop,-3\n")
    with pytest.raises(
        DataError,
        match=r"^decision\.prices: 'price' in row 1 of .* must be a number >= 0, got -3\.$",
    ):
        decided(lines(), prices=str(tmp_path / "bad.csv"))
    german = tmp_path / "preise.csv"
    german.write_text("sku;channel;price\na;school;50,0\na;shop;1.100,5\n")
    with pytest.raises(DataError, match=r"^decision\.prices: .* row 1 has 2 fields, its header 1"):
        decided(lines(), prices=str(german))
    read = decided(lines(), prices=str(german), separator="semicolon", decimal="comma").thresholds
    assert (
        read.filter((pl.col("bought_in") == "school") & (pl.col("sold_in") == "shop"))[
            "difference"
        ].item()
        == 1050.5
    )


def test_what_it_cannot_decide_from_is_refused():
    decision = ArbitrageThresholds(name="arbitrage_thresholds", sku="skuu")
    with pytest.raises(ConfigError, match="no column 'skuu'; did you mean 'sku'"):
        decision.check_data(lines(), None)
    with pytest.raises(ConfigError, match="decides from a task of detection"):
        decision.check_protocol(SimpleNamespace(task="forecast", name="walk_forward"))
