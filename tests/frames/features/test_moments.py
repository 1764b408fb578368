"""When rows and labels count, and tables in which there is next to nothing."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError, DataError
from hwds.detection.features.arbitrage import Arbitrage
from hwds.detection.features.entity_risk import EntityRisk
from hwds.detection.features.network import Network
from hwds.detection.features.recent import Recent
from hwds.frames.rows import (
    DAY_MICROSECONDS,
    NEVER,
    codes_of,
    entity_of,
    instants_of,
    label_arrivals_of,
)
from hwds.frames.table import Table
from tests.detection.features.moment_rows import BEGIN, order_lines

ALL = (Arbitrage(), EntityRisk(), Network(), Recent())


def table_of(**columns):
    roles = {
        role: (role,) for role in ("time", "available_at", "label", "label_time") if role in columns
    }
    return Table.build(pl.DataFrame(columns), roles)


def days(*numbers):
    return [None if number is None else BEGIN + timedelta(days=number) for number in numbers]


def test_rows_of_one_arrival_stand_as_in_the_table_and_one_that_never_arrives_is_last():
    moments = instants_of(table_of(time=days(3, 1, 2, 0), available_at=days(5, None, 5, 4)))
    assert moments.order.tolist() == [3, 0, 2, 1]
    assert moments.place.tolist() == [1, 3, 2, 0]
    assert moments.arrival[1] == NEVER
    assert np.diff(moments.time[[3, 1, 2, 0]]).tolist() == [DAY_MICROSECONDS] * 3


def test_a_label_counts_from_its_own_arrival_on_and_never_for_rows_before_its_own():
    table = table_of(time=days(0, 1, 2, 3), label=[1, 0, None, 1], label_time=days(2, 0, 1, None))
    labels = label_arrivals_of(table, instants_of(table))
    assert labels.row.tolist() == [1, 0]
    assert labels.value.tolist() == [0, 1]
    assert labels.enters.tolist() == [2, 2]


@pytest.mark.parametrize(
    "times",
    [
        [date(2024, 1, 1), date(2024, 1, 3)],
        pl.Series([datetime(2024, 1, 1), datetime(2024, 1, 3)], dtype=pl.Datetime("ns")),
        pl.Series([datetime(2024, 1, 1), datetime(2024, 1, 3)]).dt.replace_time_zone("Asia/Tokyo"),
    ],
)
def test_days_units_and_zones_are_the_clock_on_the_wall(times):
    moments = instants_of(table_of(time=times))
    assert moments.time[0] == (date(2024, 1, 1) - date(1970, 1, 1)).days * DAY_MICROSECONDS
    assert moments.time[1] - moments.time[0] == 2 * DAY_MICROSECONDS


def test_times_that_are_none_are_refused():
    with pytest.raises(
        DataError, match="column 'time' must hold dates or instants, it holds Int64"
    ):
        instants_of(table_of(time=[1, 2]))
    with pytest.raises(DataError, match="column 'time' has no instant in row 2"):
        instants_of(table_of(time=days(1, None)))


@pytest.mark.parametrize(
    "values",
    [
        ["b", "a", None, "b"],
        [2, 1, None, 2],
        pl.Series(["b", "a", None, "b"], dtype=pl.Categorical),
    ],
)
def test_codes_are_in_the_order_of_first_appearance(values):
    assert codes_of(pl.Series(values)).tolist() == [0, 1, -1, 0]


def test_the_entity_is_that_of_the_role_or_of_the_field():
    table = order_lines(0)
    assert entity_of(table, "entity", None) == "customer"
    assert entity_of(table, "entity", "store") == "store"
    with pytest.raises(ConfigError, match=r"features\.entity: must name a column"):
        entity_of(replace(table, roles={}), "entity", None)


@pytest.mark.parametrize("features", ALL, ids=lambda features: type(features).__name__)
def test_one_row_no_label_and_no_value_are_fine(features):
    table = order_lines(0)
    one = replace(table, data=table.data.head(1))
    texts = [name for name, kind in table.data.schema.items() if kind == pl.String]
    empty = table.data.with_columns(
        pl.lit(None, table.data.schema[name]).alias(name) for name in (*texts, "confirmed")
    )
    for rows in (one, replace(table, data=empty)):
        assert len(features.compute(rows)) == len(rows.data)


@pytest.mark.parametrize("features", ALL, ids=lambda features: type(features).__name__)
def test_the_table_stays_as_it_is_and_twice_gives_the_same(features):
    table = order_lines(3)
    before = table.data.clone()
    first = features.compute(table)
    assert features.compute(table).equals(first)
    assert table.data.equals(before)
