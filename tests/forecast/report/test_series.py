"""A report's series: which are drawn, what the table of all says, and what is told when the data is
gone.
"""

from dataclasses import replace
from itertools import pairwise

import polars as pl
import pytest

from hwds.forecast import report as series
from hwds.report.page_parts import Folded, GridTable, Pictures, Text
from hwds.report.standings import standings


@pytest.fixture(scope="module")
def board(real):
    return standings(real, "mase", model="last")


def test_a_sample_goes_evenly_from_the_best_to_the_worst():
    assert series.spread_places(3) == [0, 1, 2]
    many = series.spread_places(1000)
    assert (len(many), many[0], many[-1]) == (series.DRAWN, 0, 999)
    assert {later - earlier for earlier, later in pairwise(many)} <= {43, 44}


def test_every_series_is_drawn_and_listed_the_worst_first(real, board, panel, monkeypatch):
    monkeypatch.setattr(series, "DRAWN", 2)
    told, drawn, listed = series.series_parts(real, board, panel)
    assert isinstance(told, Text)
    assert (
        "last on 6 series (2 drawn, evenly from the best to the worst), by mase[m=12]" in told.text
    )
    assert isinstance(drawn, Pictures)
    assert [picture.caption.partition(".")[0] for picture in drawn.pictures] == ["1", "6"]
    assert drawn.markdown() == ""
    assert isinstance(listed, Folded)
    (table,) = listed.parts
    assert isinstance(table, GridTable)
    columns = {column.title: column.cells for column in table.grid.columns}
    titles = ["mase[m=12], last", "mase[m=12], forecast/seasonal_naive", "mase[m=12], truth"]
    assert list(columns) == ["series", "forecasts", *titles, "inside the 90 % band"], (
        "what broke answered none"
    )
    own = [float(cell) for cell in columns["mase[m=12], last"]]
    assert own == sorted(own, reverse=True)
    value = real.overall("mase").filter(pl.col("model") == "last")["value"][0]
    assert sum(own) / 6 == pytest.approx(value, abs=0.001)


def test_without_the_data_the_windows_alone_are_drawn(real, board):
    told, drawn, _ = series.series_parts(real, board, None)
    assert told.text.endswith("The history before the forecasts is not at hand any more.")
    assert len(drawn.pictures) == 6


def test_there_is_nothing_without_a_forecast(real, board):
    bare = replace(real, predictions=real.predictions.filter(pl.col("model") != "last"))
    assert list(series.series_parts(bare, board, None)) == []
