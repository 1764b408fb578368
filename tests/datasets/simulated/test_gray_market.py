"""The simulated gray market: rings buy only where it pays, honest buyers look alike, and labels
come late and to few.
"""

import numpy as np
import polars as pl
import pytest

from hwds.datasets.simulated.gray_market import GrayMarket, rings
from hwds.datasets.simulated.worlds.hardware import demand_plan, offers_on_sale
from hwds.datasets.simulated.worlds.orders import (
    BULK,
    CHANNEL_NAMES,
    FIRST_MONTH,
    NATURES,
    REGIONS,
    Investigators,
    coded_names,
    findings,
    honest_customers,
    market_prices,
    market_world,
)
from hwds.detection.protocols.base import check_labels
from hwds.evaluation.row_folds import Lengths, row_arrivals, window_cutoffs

SMALL = {"days": 120, "customers": 6000, "rings": 28}
COLUMNS = (
    "row_id time available_at order customer address payment contact customer_kind channel store "
    "region sku generation "
    "quantity unit_price list_price street_price promotion returned_at at_stake confirmed "
    "confirmed_at review_chance gray "
    "true_kind"
)


@pytest.fixture(scope="module")
def market():
    return GrayMarket(**SMALL).load()


@pytest.fixture(scope="module")
def rows(market):
    return market.data


def known(table):
    """All that is told of a line but its place in the table."""
    return table.drop("row_id").sort(
        "time", "order", "sku", "quantity", "unit_price", "available_at"
    )


def test_columns_and_order(market, rows):
    assert rows.columns == COLUMNS.split()
    assert rows["available_at"].is_sorted()
    assert (rows["available_at"] >= rows["time"]).all()
    assert market.roles["truth"][0] == "gray"
    assert not {"gray", "true_kind", "confirmed", "review_chance"} & set(market.inputs)
    check_labels(market)


def test_the_same_twice_and_another_for_another_seed(market):
    assert GrayMarket(**SMALL).load().fingerprint == market.fingerprint
    assert GrayMarket(**SMALL | {"seed": 1}).load().fingerprint != market.fingerprint


def test_more_days_customers_or_rings_change_nothing_before(rows):
    longer = GrayMarket(**SMALL | {"days": 150}).load().data
    end = rows["time"].max().replace(hour=23, minute=59, second=59)
    assert known(longer.filter(pl.col("time") <= end)).equals(known(rows))
    wider = GrayMarket(**SMALL | {"customers": 6500, "rings": 30}).load().data
    kept = wider.join(rows.select("order").unique(), on="order", how="semi")
    assert known(kept).equals(known(rows))


def test_prices_are_those_of_the_plan(rows):
    world = market_world(0, 120, 6)
    offers = (
        offers_on_sale(world)
        .with_row_index("offer")
        .select(pl.col("offer").cast(pl.Int64), "sku", "channel")
    )
    plan = (
        demand_plan(world, offers_on_sale(world))
        .join(offers, on="offer")
        .select("sku", "channel", "time", "price", "promotion")
    )
    home = rows.filter((pl.col("region") == "north_america") & (pl.col("quantity") < 10))
    found = home.with_columns(pl.col("time").dt.date().dt.truncate("1mo")).join(
        plan, on=["sku", "channel", "time"], how="left", suffix="_plan"
    )
    assert found["unit_price"].to_list() == found["price"].to_list()
    assert (found["promotion"] == (found["promotion_plan"] == 1)).all()
    stake = (rows["quantity"] * (rows["list_price"] - rows["unit_price"]).clip(0)).to_numpy()
    assert rows["at_stake"].to_numpy() == pytest.approx(stake, abs=0.01)


def test_rings_buy_only_where_it_pays(rows):
    prices = market_prices(0, 120, 6)
    place = {
        (prices.skus["sku"][sku], CHANNEL_NAMES[channel]): offer
        for offer, (sku, channel) in enumerate(
            zip(prices.sku.tolist(), prices.channel.tolist(), strict=True)
        )
    }
    gray = rows.filter(gray=1)
    day = (
        (gray["time"] - rows["time"].min().replace(hour=0, minute=0, second=0))
        .dt.total_days()
        .to_numpy()
    )
    offer = np.array([place[pair] for pair in gray.select("sku", "channel").iter_rows()])
    region = np.array([REGIONS.index(name) for name in gray["region"]])
    least = rings(0, 28).premium.min()
    net = prices.gain[region, offer, day] - least * gray["street_price"].to_numpy()
    assert net.min() > 0
    gain = pl.Series("gain", net) / gray["unit_price"]
    bought = gray.with_columns(gain, day=pl.Series(day)).group_by("day", "region", "sku", "channel")
    bought = bought.agg(pl.col("gain").first(), pl.col("quantity").sum())
    much = bought["gain"] > bought["gain"].median()
    assert bought.filter(much)["quantity"].mean() > 1.2 * bought.filter(~much)["quantity"].mean()


def test_honest_bulk_buyers_look_alike(rows):
    ring, bulk = (rows.filter(true_kind=kind)["quantity"] for kind in ("ring", "honest_bulk"))
    for level in (0.25, 0.5, 0.75):
        assert 0.6 < ring.quantile(level) / bulk.quantile(level) < 1.7
    carrier = rows.filter((pl.col("channel") == "carrier") & (pl.col("quantity") >= 5))
    assert carrier.filter(true_kind="honest_bulk").height > 0.5 * carrier.filter(gray=1).height
    assert rows.filter(gray=1)["customer_kind"].n_unique() == 4


def test_identifiers_are_shared_by_rings_and_by_the_honest(rows):
    for kind in ("address", "payment", "contact"):
        owners = rows.group_by(kind).agg(pl.col("customer").n_unique(), pl.col("gray").mean())
        shared = owners.filter(pl.col("customer") > 1)
        assert shared.filter(pl.col("gray") == 1).height > 5
        assert shared.filter(pl.col("gray") == 0).height > 5
        ring = (
            rows.filter(gray=1).select("customer", kind).unique().join(shared, on=kind, how="semi")
        )
        assert 0.1 < ring["customer"].n_unique() / rows.filter(gray=1)["customer"].n_unique() < 0.8


def test_labels_come_late_to_lines_that_were_looked_at(rows):
    looked = rows.filter(pl.col("confirmed").is_not_null())
    assert looked["confirmed_at"].null_count() == 0
    assert (looked["confirmed_at"] > looked["available_at"]).all()
    assert rows.filter(pl.col("confirmed").is_null())["confirmed_at"].null_count() == len(
        rows
    ) - len(looked)
    random, ruled = (
        looked.filter(pl.col("review_chance") == 0.02),
        looked.filter(pl.col("review_chance").is_null()),
    )
    assert len(random) + len(ruled) == len(looked)
    assert len(random) / len(rows) == pytest.approx(0.02, abs=0.004)
    assert ruled["quantity"].min() == 10
    assert looked.filter(gray=0)["confirmed"].sum() == 0
    missed = 1 - looked.filter(gray=1)["confirmed"].mean()
    assert missed == pytest.approx(0.15, abs=0.07)


def test_the_random_stream_gives_the_share_of_gray_without_bias():
    rows = GrayMarket(days=120, customers=6000, rings=28, review_chance=0.3, missed=0.0).load().data
    sample = rows.filter(pl.col("review_chance").is_not_null())
    share, n = rows["gray"].mean(), len(sample)
    assert abs(sample["confirmed"].mean() - share) < 4 * np.sqrt(share * (1 - share) / n)


def test_an_account_that_was_confirmed_buys_no_more(rows):
    found = rows.filter(confirmed=1).group_by("customer").agg(pl.col("confirmed_at").min())
    later = rows.join(found, on="customer").filter(
        pl.col("time") > pl.col("confirmed_at_right").dt.truncate("1d").dt.offset_by("1d")
    )
    assert later.is_empty()
    assert found.height > 20


def test_rings_adapt_or_not():
    learns, static = (
        GrayMarket(days=240, customers=500, rings=40, adapts=adapts).load().data
        for adapts in (True, False)
    )
    late = pl.col("time") > pl.col("time").min().dt.offset_by("150d")
    units = [
        rows.filter(late & (pl.col("gray") == 1))["quantity"].mean() for rows in (learns, static)
    ]
    assert units[0] < 0.85 * units[1]
    assert static.filter(confirmed=1).height > 1.2 * learns.filter(confirmed=1).height


def test_two_channels_report_late(rows):
    late = rows.filter(pl.col("available_at") > pl.col("time"))
    assert set(late["channel"].unique()) == {"carrier", "export"}
    days = (late["available_at"] - late["time"]).dt.total_hours() / 24
    assert 2.5 < days.max() <= 3
    assert (
        0.5 < len(late) / rows.filter(pl.col("channel").is_in(["carrier", "export"])).height < 0.7
    )


@pytest.mark.parametrize("decide", [0, 7])
@pytest.mark.parametrize("seed", [0, 1])
def test_small_windows_have_labels_of_both_kinds(decide, seed):
    market = GrayMarket(**SMALL | {"seed": seed}).load()
    lengths = Lengths(28, 7, 7, decide, 7, 7)
    for cutoff in window_cutoffs(market, lengths, 7, 2):
        for name, (begin, end) in lengths.edges(cutoff).items():
            if begin == end:
                continue
            window = market.filter(
                (row_arrivals(market) >= begin) & (row_arrivals(market) < end)
            ).data
            label = (
                window["confirmed"]
                if name == "test"
                else window.filter(pl.col("confirmed_at") <= cutoff)["confirmed"]
            )
            assert set(label.drop_nulls().unique()) == {0, 1}, (cutoff, name)
            assert window["gray"].sum() > 0


def test_the_truth_of_a_year():
    lines = GrayMarket().load().data
    gray = lines.filter(pl.col("gray") == 1)
    assert 200_000 < len(lines) < 400_000
    assert 0.01 < len(gray) / len(lines) < 0.031
    assert 0.08 < (gray["confirmed"] == 1).sum() / len(gray) < 0.2
    assert 5e6 < gray["at_stake"].sum() < 2e7


def test_names_do_not_meet():
    numbers = np.concatenate([np.arange(50_000), (1 << 39) + np.arange(50_000)])
    names = coded_names(0, "order", numbers)
    assert names.n_unique() == len(numbers)
    assert names[:3].to_list() != coded_names(0, "customer", numbers)[:3].to_list()


def test_fleets_come_and_go_and_others_stay():
    customers = honest_customers(market_world(0, 365, 6), 5000)
    fleet = customers.nature == len(NATURES) - 1
    lasts = customers.closed - customers.opened
    assert lasts[fleet].max() < 250
    assert lasts[~fleet].min() > 1e6
    assert (customers.nature >= BULK).mean() == pytest.approx(0.13, abs=0.015)


def test_findings_miss_some_of_the_guilty_and_accuse_nobody():
    rng = np.random.default_rng(0).random((20_000, 4))
    by, units = Investigators(0.02, 10, 0.5, 0.15, 6.0), np.tile([5, 20], 10_000)
    guilty, honest = (findings(by, units, gray, rng) for gray in (True, False))
    assert np.nanmean(guilty.label) == pytest.approx(0.85, abs=0.02)
    assert np.nansum(honest.label) == 0
    assert np.isfinite(guilty.label[units == 20]).mean() == pytest.approx(0.51, abs=0.02)
    assert np.median(guilty.days) == pytest.approx(6, rel=0.05)
    assert FIRST_MONTH == 96
