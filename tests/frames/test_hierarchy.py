"""Aggregates of a panel: what they are the sum of, what they are called, and what is refused."""

from dataclasses import replace
from datetime import date

import polars as pl
import pytest

from hwds.core.errors import DataError
from hwds.frames.frequency import Frequency
from hwds.frames.panel import (
    Panel,
    aggregates_of,
    aggregates_of_series,
    with_aggregates,
    without_aggregates,
)
from hwds.frames.roles import Roles

MONTHS = pl.date_range(date(2020, 1, 1), date(2020, 6, 1), "1mo", eager=True).to_list()


def panel_of(series, roles=None, **extra):
    """From (id, state, industry, first month, values)."""
    parts = []
    for name, state, industry, first, values in series:
        times = MONTHS[first : first + len(values)]
        columns = {
            "series_id": [name] * len(values),
            "time": times,
            "target": values,
            "state": state,
            "industry": industry,
        }
        parts.append(
            pl.DataFrame(
                columns | {key: value(name, times) for key, value in extra.items()}, strict=False
            )
        )
    roles = roles or Roles(static=("state", "industry"), level=("state", "industry"))
    return Panel.build(pl.concat(parts, how="vertical_relaxed"), Frequency("1mo"), roles=roles)


FOUR = [
    ("a", "N", "food", 0, [1.0, 2.0, 3.0, 4.0]),
    ("b", "N", "toys", 0, [10.0, 20.0, 30.0, 40.0]),
    ("c", "S", "food", 1, [100.0, 200.0, 300.0]),
    ("d", "S", "toys", 0, [1000.0, 2000.0]),
]


def target(panel, name):
    return panel.table.filter(pl.col("series_id") == name)["target"].to_list()


def test_sums_of_each_level_over_the_series_that_are_there():
    panel = with_aggregates(panel_of(FOUR), grouped=False)
    assert panel.series_ids.to_list() == ["a", "b", "c", "d", "state=N", "state=S", "total"]
    assert target(panel, "total") == [1011, 2122, 233, 344]
    assert target(panel, "state=S") == [1000, 2100, 200, 300]
    labels = panel.table[panel.offsets[:-1]]
    assert labels["level"].to_list() == ["series"] * 4 + ["state", "state", "total"]
    assert labels["state"].to_list() == ["N", "N", "S", "S", "N", "S", None]
    assert labels["industry"].to_list()[4:] == [None] * 3
    assert panel.roles.static == ("state", "industry", "level")


def test_levels_that_cross_are_summed_alone_too():
    panel = panel_of(FOUR)
    assert aggregates_of(panel, grouped=True)["aggregate"].unique(
        maintain_order=True
    ).to_list() == ["total", "state=N", "state=S", "industry=food", "industry=toys"]
    assert aggregates_of_series(panel, grouped=True).row(2) == (
        "c",
        ["total", "state=S", "industry=food"],
    )
    assert aggregates_of_series(with_aggregates(panel, grouped=True), grouped=True).equals(
        aggregates_of_series(panel, grouped=True)
    )


def test_an_aggregate_of_one_series_or_of_the_same_as_a_coarser_one_is_left_out():
    rows = [("a", "N", "x", 0, [1.0]), ("b", "N", "x", 0, [1.0]), ("c", "S", "y", 0, [1.0])]
    assert aggregates_of(panel_of(rows), grouped=True)["aggregate"].unique(
        maintain_order=True
    ).to_list() == [
        "total",
        "state=N",
    ]


def test_a_sum_with_an_unknown_part_is_unknown_and_so_is_one_of_none():
    rows = [
        ("a", "N", "x", 0, [1.0, None]),
        ("b", "N", "x", 0, [1.0, 1.0]),
        ("c", "N", "x", 4, [5.0, 6.0]),
    ]
    panel = with_aggregates(panel_of(rows), grouped=False)
    assert target(panel, "total") == [2, None, None, None, 5, 6]
    assert panel.table.filter(pl.col("series_id") == "total")["level"].to_list() == ["total"] * 6


def test_a_price_stays_a_price_and_a_sum_is_out_when_its_last_part_is():
    roles = Roles(
        known_future=("price",), past_only=("visits",), level=("state",), available_at="out"
    )
    delays = {"a": 5, "b": 9}
    panel = panel_of(
        [("a", "N", "x", 0, [1.0, 1.0]), ("b", "N", "y", 0, [1.0, 1.0])],
        roles,
        price=lambda name, times: {"a": 10.0, "b": 20.0}[name],
        visits=lambda name, times: {"a": None, "b": 7.0}[name],
        out=lambda name, times: [date(2020, delays[name], 1)] * len(times),
    )
    plan = pl.DataFrame(
        {"series_id": ["a", "b"], "time": [date(2020, 3, 1)] * 2, "price": [1.0, 4.0]}
    )
    whole = with_aggregates(replace(panel, plan=plan), grouped=False)
    total = whole.table.filter(pl.col("series_id") == "total").row(0, named=True)
    assert (total["price"], total["visits"], total["out"]) == (15, 7, date(2020, 9, 1))
    assert whole.plan.filter(pl.col("series_id") == "total")["price"].to_list() == [2.5]
    back = without_aggregates(whole)
    assert back.table.equals(panel.table)
    assert back.plan.equals(plan)
    assert back.roles == panel.roles


def test_what_cannot_be_summed_is_refused():
    with pytest.raises(DataError, match="series 'total' has the name of an aggregate"):
        with_aggregates(panel_of([*FOUR, ("total", "S", "x", 0, [1.0])]), grouped=False)
    with pytest.raises(DataError, match="no two series to sum"):
        with_aggregates(panel_of(FOUR[:1]), grouped=False)
    named = panel_of(FOUR, Roles(level=("level",)), level=lambda name, times: "x")
    with pytest.raises(DataError, match="column 'level' has the name"):
        with_aggregates(named, grouped=False)
    splits = {"a": "train", "b": "test"}
    apart = panel_of(
        FOUR[:2], Roles(level=("state",), split="split"), split=lambda name, times: splits[name]
    )
    with pytest.raises(DataError, match="at 2020-01-01 some series are train and others test"):
        with_aggregates(apart, grouped=False)
    days = pl.date_range(date(2020, 1, 1), date(2020, 2, 1), "1d", eager=True)
    weekly = [
        pl.DataFrame(
            {"series_id": name, "time": days.gather_every(7, first), "target": 1.0, "g": "x"}
        )
        for name, first in (("a", 0), ("b", 3))
    ]
    crossed = Panel.build(pl.concat(weekly), Frequency("7d"), roles=Roles(level=("g",)))
    with pytest.raises(DataError, match="do not share one clock"):
        with_aggregates(crossed, grouped=False)
