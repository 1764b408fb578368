"""Every registered feature set of rows: what it promises of moments, order and repetition."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import polars as pl
import pytest

from hwds.core.compose import compose
from hwds.core.registry import options
from hwds.evaluation.leak_check import check_row_features
from hwds.experiment.spec import check
from hwds.frames.table import Table
from tests.support.composed import class_of

HANDBOOK = "dataset=handbook_simulator dataset.customers=40 dataset.terminals=80 dataset.days=75"
MARKET = "dataset=gray_market dataset.days=75 dataset.customers=500 dataset.rings=6"
WORLDS = {"handbook": HANDBOOK, "handbook_plus": HANDBOOK}
"""Where the gray market has not the columns that a set of features asks for."""

MORE = {"peers": ["features.columns=[quantity,list_price]"]}
"""Settings without which a set has nothing to compute: `peers` compares what others have made."""


RUN = ["model=classify/logistic", "protocol=prequential"]


@cache
def rows_of(world):
    """Rows without the truth, of which labels arrive within a week where nothing else is said."""
    table = check(compose([*world.split(), *RUN])).dataset.load()
    roles = {role: names for role, names in table.roles.items() if role != "truth"}
    if roles.get("label_time"):
        return replace(table, roles=roles)
    data = table.data.with_columns(known=pl.col("time") + pl.duration(days=7))
    return replace(table, data=data, roles=roles | {"label_time": ("known",)})


def sets_of_rows():
    return [name for name in options("features") if class_of("features", name).of is Table]


@pytest.fixture(scope="module", params=sets_of_rows())
def asked(request):
    """A feature set of rows, and rows that have its columns."""
    name = request.param
    world = WORLDS.get(name, MARKET)
    words = [*world.split(), f"features={name}", *MORE.get(name, [])]
    features = check(compose([*words, *RUN])).features
    features.check(rows_of(world))
    return features, rows_of(world)


def test_every_set_of_rows_is_asked():
    """A set of another kind of data is in tests/contract/test_leakage.py."""
    assert {"handbook", "handbook_plus", "peers", "gray_market"} <= set(sets_of_rows())


def test_rows_know_nothing_of_what_comes_later(asked):
    features, market = asked
    found = list(check_row_features(features.name, features, market, 7))
    assert len(found) == 3
    assert [leak for leak in found if leak] == []


def test_there_is_one_row_of_numbers_texts_or_arrays_for_each_row(asked):
    features, market = asked
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


def test_the_table_is_left_as_it_is_and_asked_twice_it_says_the_same(asked):
    features, market = asked
    before = market.data.clone()
    assert features.compute(market).equals(features.compute(market))
    assert market.data.equals(before)
