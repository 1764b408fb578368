"""Thresholds of reselling against a loop over all routes, and by hand."""

import numpy as np
import polars as pl
import pytest

from hwds.detection.reselling import STREET, THRESHOLDS, Reselling, resale_thresholds, shrink_prices

COSTS = Reselling(freight=5.0, duty=0.1, risk=0.05)


def lines(rows):
    columns = ("sku", "channel", "region", "quantity", "unit_price", "street_price")
    return pl.DataFrame(rows, columns, orient="row", infer_schema_length=None)


def by_pair(table):
    return {(row["sku"], row["bought_in"], row["sold_in"]): row for row in table.to_dicts()}


def random_lines(seed, count=300):
    rng = np.random.default_rng(seed)
    skus, channels, regions = (
        rng.choice(names, count) for names in (["a", "b"], ["p", "q", "r"], ["east", "west"])
    )
    prices = rng.integers(50, 200, (2, count)).astype(float)
    return lines(
        list(
            zip(
                skus,
                channels,
                regions,
                rng.integers(1, 9, count).astype(float),
                *prices,
                strict=True,
            )
        )
    )


def slow(table, costs, least):
    cells = {}
    for row in table.to_dicts():
        cells.setdefault((row["sku"], row["channel"], row["region"]), []).append(row)
    price = {
        key: float(np.median([row["unit_price"] for row in rows]))
        for key, rows in cells.items()
        if len(rows) >= least
    }
    found = {}
    for (sku, channel, region), paid in price.items():
        ends = [
            (other[1], other[2], there)
            for other, there in price.items()
            if other[0] == sku and other[1:] != (channel, region)
        ]
        street = [row["street_price"] for row in table.to_dicts() if row["sku"] == sku]
        for sold, to, there in [*ends, (STREET, None, float(np.median(street)))]:
            threshold = costs.freight + (costs.risk + costs.duty * (to != region)) * paid
            margin = there - paid - threshold
            pair = sku, channel, sold
            if pair not in found or margin > found[pair][0]:
                found[pair] = margin, threshold, there - paid
    return found


@pytest.mark.parametrize("seed", range(4))
def test_it_equals_a_loop_over_all_routes(seed):
    table = random_lines(seed)
    got, wanted = resale_thresholds(table, COSTS, shrink=False), slow(table, COSTS, 1)
    assert tuple(got.columns) == THRESHOLDS
    assert set(by_pair(got)) == set(wanted)
    for pair, row in by_pair(got).items():
        assert np.allclose((row["margin"], row["threshold"], row["difference"]), wanted[pair])
        assert row["pays"] == (row["difference"] > row["threshold"])
    assert got["margin"].to_list() == sorted(got["margin"], reverse=True)


def test_a_pair_by_hand():
    table = lines(
        [("a", "school", "east", 4.0, 100.0, 160.0), ("a", "shop", "east", 2.0, 130.0, 160.0)]
    )
    pairs = by_pair(resale_thresholds(table, COSTS, shrink=False))
    near, street = pairs["a", "school", "shop"], pairs["a", "school", STREET]
    assert (near["threshold"], near["margin"], near["pays"]) == (10.0, 20.0, True)
    assert (street["threshold"], street["margin"], street["to_region"]) == (20.0, 40.0, None)
    assert (near["lines"], near["units"]) == (1, 4.0)
    assert not pairs["a", "shop", "school"]["pays"]


@pytest.mark.parametrize("seed", range(3))
def test_at_the_price_of_pays_below_reselling_gains_nothing(seed):
    got = resale_thresholds(random_lines(seed), COSTS)
    share = (got["threshold"] - COSTS.freight) / got["price_paid"]
    at = got["pays_below"]
    assert np.allclose(got["price_there"] - at, COSTS.freight + share * at)
    assert ((got["price_paid"] < at) == got["pays"]).all()


def test_one_channel_is_resold_in_another_region_and_nothing_in_its_own():
    table = lines([("a", "p", "east", 1.0, 100.0, None), ("a", "p", "west", 1.0, 150.0, None)])
    got = resale_thresholds(table, COSTS)
    assert got["weak"].to_list() == [False]
    assert got.select("bought_in", "sold_in", "from_region", "to_region").rows() == [
        ("p", "p", "east", "west")
    ]
    assert got["margin"][0] == pytest.approx(150 - 100 - 5 - 15)


def test_lines_without_a_price_or_a_name_are_left_out():
    table = lines(
        [
            ("a", None, "east", 1.0, 9.0, 99.0),
            ("a", "p", "east", 1.0, None, 99.0),
            (None, "p", "east", 1.0, 9.0, 99.0),
        ]
    )
    table = table.cast({"unit_price": pl.Float64})
    assert resale_thresholds(table, COSTS).is_empty()


def test_few_sales_are_drawn_to_what_sku_and_market_say():
    rng = np.random.default_rng(0)
    sku, market = np.divmod(np.arange(60), 6)
    true = 300 * np.exp(
        rng.normal(0, 0.3, 10)[sku] + rng.normal(0, 0.2, 6)[market] + rng.normal(0, 0.05, 60)
    )
    lines, spread = rng.integers(1, 4, 60).astype(float), np.full(60, 0.1)
    seen = true * np.exp(rng.normal(0, 0.1 * np.sqrt(np.pi / 2 / lines)))
    made = shrink_prices(seen, lines, spread, sku, market)
    assert np.mean((np.log(made.mean) - np.log(true)) ** 2) < 0.6 * np.mean(
        (np.log(seen) - np.log(true)) ** 2
    )
    assert np.all((made.own > 0.05) & (made.own < 0.6))
    assert np.mean(np.abs(made.mean - true) < 1.96 * made.deviation) >= 0.9
    many = shrink_prices(seen, np.full(60, 1e9), spread, sku, market)
    assert np.allclose(many.mean, seen, rtol=1e-6)
    alone = shrink_prices(seen[:1], lines[:1], spread[:1], sku[:1], market[:1])
    assert alone.own.tolist() == [1.0]
