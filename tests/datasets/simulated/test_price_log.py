"""The simulated log: its propensities are those it drew with, and its truth is the truth."""

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError
from hwds.datasets.simulated.price_log import PriceLog, contexts


@pytest.fixture(scope="module")
def log():
    return PriceLog(rows=60_000).load()


def test_kinds_are_as_frequent_as_they_say(log):
    kinds = contexts()
    assert kinds["share"].sum() == pytest.approx(1)
    found = log.data.group_by("channel", "visits").len().join(kinds, on=["channel", "visits"])
    assert (found["len"] / 60_000 - found["share"]).abs().max() < 0.01


def test_propensities_and_conversions_are_those_of_the_law(log):
    dataset, kinds = PriceLog(), contexts()
    law, conversion = dataset.logging(kinds), dataset.conversion(kinds)
    assert law.sum(axis=1) == pytest.approx(np.ones(len(kinds)))
    place = {pair: row for row, pair in enumerate(kinds.select("channel", "visits").iter_rows())}
    for (channel, visits, price), rows in log.data.group_by("channel", "visits", "price"):
        kind, arm = place[channel, visits], dataset.prices.index(price)
        assert rows["propensity"].unique().to_list() == pytest.approx([law[kind, arm]])
        n = len(rows)
        shown = int(log.data.filter(channel=channel, visits=visits).height)
        assert abs(n - shown * law[kind, arm]) < 5 * np.sqrt(shown * law[kind, arm])
        sold = rows["revenue"].sum() / price
        assert abs(sold - n * conversion[kind, arm]) < 5 * np.sqrt(n * conversion[kind, arm]) + 1


def test_the_target_is_better_than_the_log_and_adds_up(log):
    dataset, kinds = PriceLog(), contexts()
    share, revenue = kinds["share"].to_numpy(), dataset.revenue(kinds)
    target = share @ np.sum(dataset.target(kinds) * revenue, axis=1)
    assert target > 1.05 * (share @ np.sum(dataset.logging(kinds) * revenue, axis=1))
    columns = [f"target_{price:g}" for price in dataset.prices]
    assert log.data.select(pl.sum_horizontal(columns)).to_series().to_numpy() == pytest.approx(
        np.ones(60_000)
    )


def test_a_log_is_uniform_if_asked_and_the_same_twice():
    uniform = PriceLog(rows=500, exploration=1).load()
    assert uniform.data["propensity"].to_numpy() == pytest.approx(0.2)
    assert uniform.fingerprint == PriceLog(rows=500, exploration=1).load().fingerprint
    assert uniform.fingerprint != PriceLog(rows=500, exploration=1, seed=1).load().fingerprint


def test_continuous_prices_have_a_density_that_integrates_to_one():
    table = PriceLog(rows=50_000, continuous=True).load()
    assert "arm" not in table.roles
    price, density = (table.data[name].to_numpy() for name in ("price", "propensity"))
    assert price.min() >= 79
    assert price.max() <= 199
    assert np.mean(1 / density) == pytest.approx(120, rel=0.02)  # the length of what is shown


def test_prices_must_rise():
    with pytest.raises(ConfigError, match="must rise"):
        PriceLog(prices=(99, 79))
