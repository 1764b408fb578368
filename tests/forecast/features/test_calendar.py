"""Calendar: cycles as the frequency warrants, the life of a device, changes of price."""

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError
from hwds.forecast.features.calendar import Calendar
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import Roles

START = datetime(2024, 1, 1)


def panel_of(times, every, *, month_end=False, known=(), **static):
    n = len(times)
    columns = {
        "series_id": ["a"] * n,
        "time": times,
        "target": np.arange(n, dtype=float),
        **dict(known),
    }
    columns |= {name: [value] * n for name, value in static.items()}
    roles = Roles(known_future=tuple(dict(known)), static=tuple(static))
    return Panel.build(pl.DataFrame(columns), Frequency(every, month_end=month_end), roles=roles)


def months(n, day=1):
    return [date(2024 + i // 12, i % 12 + 1, day) for i in range(n)]


@pytest.mark.parametrize(
    ("times", "every", "present"),
    [
        (list(range(5)), "1i", set()),
        ([date(2020 + i, 1, 1) for i in range(5)], "1y", set()),
        ([date(2020 + i, 1, 1) for i in range(5)], "12mo", set()),
        (months(24), "1mo", {"year"}),
        (months(24)[::3], "3mo", {"year"}),
        ([date(2024, 1, 1) + timedelta(weeks=i) for i in range(60)], "1w", {"year"}),
        ([date(2024, 1, 1) + timedelta(days=i) for i in range(60)], "1d", {"year", "week"}),
        ([START + timedelta(hours=i) for i in range(60)], "1h", {"year", "week", "day"}),
        ([START + timedelta(minutes=15 * i) for i in range(200)], "15m", {"year", "week", "day"}),
    ],
)
def test_cycles_are_there_as_the_frequency_warrants(times, every, present):
    table = Calendar().compute(panel_of(times, every)).table
    for cycle in ("year", "week", "day"):
        sin, cos = table[f"{cycle}_sin"], table[f"{cycle}_cos"]
        if cycle in present:
            np.testing.assert_allclose(sin.to_numpy() ** 2 + cos.to_numpy() ** 2, 1.0)
            assert (
                len(
                    table.select(
                        (pl.col(f"{cycle}_sin").round(9), pl.col(f"{cycle}_cos").round(9))
                    ).unique()
                )
                > 1
            )
        else:
            assert sin.is_null().all()
            assert cos.is_null().all()


def test_december_stands_beside_january():
    table = Calendar().compute(panel_of(months(24), "1mo")).table
    points = table.select("year_sin", "year_cos").to_numpy()
    np.testing.assert_allclose(points[0], [0, 1], atol=1e-15)
    np.testing.assert_allclose(points[:12], points[12:])
    distance = np.linalg.norm(np.diff(points, axis=0), axis=1)
    np.testing.assert_allclose(distance, distance[0])


def test_days_and_hours_have_their_places():
    hours = [START + timedelta(hours=i) for i in range(200)]
    table = Calendar().compute(panel_of(hours, "1h")).table
    assert table["day_sin"][6] == pytest.approx(1)
    assert table["day_cos"][12] == pytest.approx(-1)
    assert table["week_sin"][25] == pytest.approx(
        np.sin(2 * np.pi / 7)
    )  # 1 January 2024 was a Monday
    days = Calendar().compute(panel_of([date(2023, 12, 31), date(2024, 1, 1)], "1d")).table
    assert days["year_cos"].to_list() == pytest.approx([np.cos(2 * np.pi * 364 / 365), 1])


def test_age_and_end_in_months():
    panel = panel_of(months(4), "1mo", launch=date(2024, 2, 15), planned_end=date(2024, 3, 1))
    table = Calendar().compute(panel).table
    assert table["device_age"].to_list() == [-1, 0, 1, 2]
    assert table["launch_flag"].to_list() == [0, 1, 0, 0]
    assert table["months_to_end"].to_list() == [2, 1, 0, -1]


def test_age_of_daily_rows_has_a_fraction():
    days = [date(2024, 1, 31), date(2024, 2, 1), date(2024, 2, 2)]
    table = Calendar().compute(panel_of(days, "1d", launch=datetime(2024, 2, 1, 9))).table
    assert table["device_age"].to_list() == pytest.approx([-1 / 31, 0, 1 / 29])
    assert table["launch_flag"].to_list() == [0, 1, 0]


@pytest.mark.parametrize(
    ("launch", "flags"),
    [(date(2024, 2, 29), [0, 1, 0]), (date(2024, 2, 1), [0, 1, 0]), (date(2024, 1, 31), [1, 0, 0])],
)
def test_a_row_at_the_end_of_its_month_holds_that_month(launch, flags):
    ends = [date(2024, 1, 31), date(2024, 2, 29), date(2024, 3, 31)]
    table = Calendar().compute(panel_of(ends, "1mo", month_end=True, launch=launch)).table
    assert table["launch_flag"].to_list() == flags


def test_whole_numbers_count_in_their_own_unit():
    table = Calendar().compute(panel_of([3, 4, 5], "1i", launch=4, planned_end=9)).table
    assert table["device_age"].to_list() == [-1, 0, 1]
    assert table["launch_flag"].to_list() == [0, 1, 0]
    assert table["months_to_end"].to_list() == [6, 5, 4]


def test_text_is_read_as_iso_dates():
    table = Calendar().compute(panel_of(months(2), "1mo", launch="2024-01-01")).table
    assert table["device_age"].to_list() == [0, 1]


def test_an_unknown_launch_has_no_age():
    for times, every in ((months(2), "1mo"), ([1, 2], "1i")):
        table = Calendar().compute(panel_of(times, every, launch=None)).table
        assert table["device_age"].to_list() == table["launch_flag"].to_list() == [None, None]


@pytest.mark.parametrize(
    ("times", "launch", "wanted"),
    [
        (months(2), "spring", "dates"),
        (months(2), 3.0, "dates"),
        ([1, 2], date(2024, 1, 1), "whole numbers"),
    ],
)
def test_a_launch_that_is_no_instant_is_refused(times, launch, wanted):
    panel = panel_of(times, "1i" if wanted == "whole numbers" else "1mo", launch=launch)
    with pytest.raises(
        ConfigError,
        match=f"features.launch: column 'launch' holds .*, must hold {wanted}.*features.launch='' "
        f"leaves it out",
    ):
        Calendar().compute(panel)
    assert "device_age" not in Calendar(launch="").compute(panel).table.columns


def test_what_the_dataset_knows_already_is_left_alone():
    panel = panel_of(months(2), "1mo", known={"device_age": [7.0, 8.0]}, launch=date(2024, 1, 1))
    names = [feature.name for feature in Calendar().columns(panel.roles, 6).features]
    assert "device_age" not in names
    assert "launch_flag" in names
    assert Calendar().compute(panel).table["device_age"].to_list() == [7, 8]


def test_price_changes_by_its_log_ratio():
    panel = panel_of(months(14), "1mo", known={"price": [2.0, 1.0, 0.0, 4.0, *[4.0] * 8, 1.0, 4.0]})
    table = Calendar().compute(panel).table
    assert table["price_change"].to_list()[:5] == [
        None,
        pytest.approx(np.log(0.5)),
        None,
        None,
        0.0,
    ]
    assert table["price_change_season"].to_list()[11:] == [
        None,
        pytest.approx(np.log(0.5)),
        pytest.approx(np.log(4)),
    ]


def test_the_default_columns_may_be_absent_or_play_another_role():
    plain = {feature.name for feature in Calendar().columns(Roles(), 3).features}
    assert plain == {
        f"{cycle}_{part}" for cycle in ("year", "week", "day") for part in ("sin", "cos")
    }
    assert {
        feature.name
        for feature in Calendar().columns(Roles(past_only=("price", "launch")), 3).features
    } == plain


def test_all_is_read_at_the_step():
    roles = Roles(known_future=("price",), static=("launch", "planned_end"))
    assert not Calendar().columns(roles, 3).at("origin")
    assert len(Calendar().columns(roles, 3).at("step")) == 11


def test_events_tell_what_was_before_and_how_long_ago_they_began():
    known = {
        "promotion": [0.0, 1.0, 1.0, 0.0, 0.0, 1.0],
        "launched": [1.0, 1.0, 0.0, None, 2.0, 2.0],
    }
    table = (
        Calendar(events=("promotion", "launched"))
        .compute(panel_of(months(6), "1mo", known=known))
        .table
    )
    assert table["promotion_before"].to_list() == [None, 0, 1, 1, 0, 0]
    assert table["promotion_since"].to_list() == [None, 0, 1, 2, 3, 0]
    assert table["launched_since"].to_list() == [0, 1, 2, 3, 0, 1]


def test_events_of_one_series_are_not_those_of_the_next():
    both = [
        panel_of(months(4), "1mo", known={"promotion": values}).table
        for values in ([0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0])
    ]
    table = pl.concat([both[0], both[1].with_columns(series_id=pl.lit("b"))])
    panel = Panel.build(table, Frequency("1mo"), roles=Roles(known_future=("promotion",)))
    found = Calendar(events=("promotion",)).compute(panel).table
    assert found["promotion_before"].to_list() == [None, 0, 1, 0, None, 0, 0, 1]
    assert found["promotion_since"].to_list() == [None, 0, 1, 0, None, None, 0, 1]


@pytest.mark.parametrize(
    ("name", "said"),
    [("promotions", "did you mean 'promotion'"), ("visits", "'visits' is past_only")],
)
def test_an_event_must_be_known_ahead(name, said):
    roles = Roles(known_future=("promotion",), past_only=("visits",))
    with pytest.raises(ConfigError, match=f"features.events: .*{said}"):
        Calendar(events=(name,)).columns(roles, 3)
