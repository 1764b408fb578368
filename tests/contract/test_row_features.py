"""Every registered feature set of rows on the gray market: what it promises of moments, order and
repetition.
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from hwds.core.compose import compose
from hwds.core.errors import ConfigError
from hwds.core.registry import options
from hwds.datasets.simulated.gray_market import GrayMarket
from hwds.evaluation.leak_check import check_row_features
from hwds.experiment.spec import check
from hwds.frames.table import Table


@pytest.fixture(scope="module")
def market():
    table = GrayMarket(days=75, customers=500, rings=6).load()
    return replace(
        table, roles={role: names for role, names in table.roles.items() if role != "truth"}
    )


@pytest.fixture(scope="module", params=options("features"))
def features(request, market):
    """A feature set of rows that the gray market has the columns for.

    Others have tests of their own.
    """
    words = [
        f"features={request.param}",
        "dataset=gray_market",
        "model=classify/logistic",
        "protocol=prequential",
    ]
    try:
        found = check(compose(words)).features
        found.check(market)
        found.compute(market.filter(pl.int_range(len(market.data), eager=True) < 2))
    except ConfigError as refused:
        pytest.skip(str(refused))
    if found.of is not Table:
        pytest.skip("of no rows alone")
    return found


def test_rows_know_nothing_of_what_comes_later(features, market):
    found = list(check_row_features(features.name, features, market, 7))
    assert len(found) == 3
    assert [leak for leak in found if leak] == []


def test_there_is_one_row_of_numbers_texts_or_arrays_for_each_row(features, market):
    got = features.compute(market)
    assert len(got) == len(market.data)
    for name, kind in got.schema.items():
        assert kind.is_numeric() or kind in (pl.Boolean, pl.String) or isinstance(kind, pl.Array), (
            name
        )
        assert not kind.is_float() or not got[name].is_nan().any(), (
            f"{name}: null is what is not known"
        )
        assert got[name].null_count() < len(got), f"{name} is never known"


def test_the_table_is_left_as_it_is_and_asked_twice_it_says_the_same(features, market):
    before = market.data.clone()
    assert features.compute(market).equals(features.compute(market))
    assert market.data.equals(before)
