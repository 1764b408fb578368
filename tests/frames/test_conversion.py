"""Frames of other libraries as panels and tables."""

from __future__ import annotations

import datetime

import pandas as pd
import polars as pl
import pytest

import hwds

MONTHS = [datetime.date(2023, month, 1) for month in range(1, 13)]
DATA = pl.DataFrame(
    {
        "sku": ["x"] * 12,
        "shop": ["1"] * 12,
        "month": MONTHS,
        "units": range(12),
        "price": [2.5] * 12,
    }
)


def test_pandas_and_polars_give_the_same_panel():
    words = {"series": ["sku", "shop"], "time": "month", "target": "units", "past_only": "price"}
    ours, theirs = hwds.Panel.of(DATA, **words), hwds.Panel.of(DATA.to_pandas(), **words)
    assert ours.fingerprint == theirs.fingerprint
    assert ours.series_ids.to_list() == ["x|1"]
    assert (ours.season, ours.horizon, ours.roles.past_only) == (12, 12, ("price",))
    assert hwds.Panel.of(DATA.lazy(), **words).fingerprint == ours.fingerprint


def test_all_rows_may_be_one_series_of_whole_numbers():
    panel = hwds.Panel.of({"t": [1, 2, 3], "y": [1.0, 2.0, float("nan")]}, time="t", target="y")
    assert panel.n_series == 1
    assert panel.table["target"].to_list() == [1.0, 2.0, None]


def test_missing_values_of_pandas_are_unknown():
    table = hwds.Table.of(pd.DataFrame({"x": [1.0, None], "bad": [1, None]}), label="bad")
    assert table.data["bad"].to_list() == [1.0, None]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (DATA.rename({"units": "unitz"}), r"no column 'units'; did you mean 'unitz'\?"),
        (
            DATA.with_columns(month=pl.col("month").cast(pl.String)),
            "'month' must hold dates, datetimes or whole numbers, got String",
        ),
        ([1, 2], "must be a frame of polars, pandas or Arrow, got list"),
    ],
)
def test_what_is_no_panel_is_refused(data, message):
    with pytest.raises(hwds.DataError, match=message):
        hwds.Panel.of(data, time="month", target="units", series="sku")


def test_a_role_that_is_not_there_is_refused():
    with pytest.raises(hwds.DataError, match="no role 'lable'; did you mean 'label'"):
        hwds.Table.of(DATA, lable="units")


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        (
            "units",
            [str(i) for i in range(11)] + ["many"],
            "frame: column 'units' must hold numbers, row 12 has 'many'.",
        ),
        (
            "price",
            ["2", *["dear"] * 11],
            "frame: column 'price' must hold numbers, row 2 has 'dear'.",
        ),
        ("units", [[1]] * 12, "frame: column 'units' must hold numbers, got List(Int64)."),
    ],
)
def test_a_column_of_something_else_than_numbers_is_refused_in_one_line(column, values, message):
    data = DATA.with_columns(pl.Series(column, values))
    with pytest.raises(hwds.DataError) as refusal:
        hwds.Panel.of(data, series="sku", time="month", target="units", past_only="price")
    assert str(refusal.value) == message
    with pytest.raises(hwds.DataError) as refusal:
        hwds.Table.of(data, label=column)
    assert str(refusal.value) == message


def test_numbers_that_are_text_are_read():
    data = DATA.with_columns(pl.col("units").cast(pl.String))
    same = [
        hwds.Panel.of(each, series="sku", time="month", target="units").fingerprint
        for each in (DATA, data)
    ]
    assert same[0] == same[1]


def test_a_frame_prints_as_one_line():
    panel = hwds.Panel.of(DATA, series="sku", time="month", target="units", past_only="price")
    assert (
        repr(panel) == "Panel(1 series, 12 rows, 2023-01-01 to 2023-12-01 by 1mo; past_only: price)"
    )
    assert repr(panel.until(panel.lengths * 0)) == "Panel(0 series, 0 rows; past_only: price)"
    wide = pl.DataFrame({"bad": [0, 1]} | {f"x{i}": [0, 1] for i in range(9)})
    assert (
        repr(hwds.Table.of(wide, label="bad"))
        == "Table(2 rows; label: bad; covariate: x0, x1, x2, x3, x4, ... (9))"
    )
