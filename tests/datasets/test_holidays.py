"""Public holidays as a column: what a row counts, at every step, and what is refused."""

from dataclasses import replace
from datetime import date, datetime

import polars as pl
import pytest

from hwds.core.errors import ConfigError
from hwds.datasets.base import with_holidays
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel


def panel(times, every, *, month_end=False):
    table = pl.DataFrame({"series_id": "a", "time": times, "target": 1.0})
    return Panel.build(table, Frequency(every, month_end=month_end), season=1, horizon=1)


@pytest.mark.parametrize(
    ("times", "every", "month_end", "counts"),
    [
        (
            [date(2024, 12, day) for day in range(24, 28)],
            "1d",
            False,
            [0, 1, 1, 0],
        ),  # Christmas Day, St Stephen's Day
        ([date(2024, 12, 16), date(2024, 12, 23), date(2024, 12, 30)], "1w", False, [0, 2, 1]),
        ([date(2024, 11, 1), date(2024, 12, 1), date(2025, 1, 1)], "1mo", False, [0, 2, 1]),
        ([date(2024, 11, 30), date(2024, 12, 31), date(2025, 1, 31)], "1mo", True, [0, 2, 1]),
        (
            [datetime(2024, 12, 24, 23), datetime(2024, 12, 25), datetime(2024, 12, 25, 1)],
            "1h",
            False,
            [0, 1, 1],
        ),
    ],
)
def test_a_row_counts_the_holidays_in_it(times, every, month_end, counts):
    told = with_holidays(panel(times, every, month_end=month_end), "DE")
    assert told.table["holidays"].to_list() == counts
    assert told.roles.known_future == ("holidays",)


def test_a_part_of_a_country_has_its_own():
    days = panel([date(2024, 1, 5), date(2024, 1, 6)], "1d")  # Epiphany, in Bavaria alone
    assert with_holidays(days, "DE-BY").table["holidays"].to_list() == [0, 1]
    assert with_holidays(days, "DE").table["holidays"].to_list() == [0, 0]


@pytest.mark.parametrize(
    ("country", "refusal"),
    [
        ("GERMANY", "no country 'GERMANY'"),
        ("DE-BZ", "DE has no part 'BZ'"),
        ("de", "no country 'de'"),
    ],
)
def test_an_unknown_country_is_refused_in_a_line(country, refusal):
    with pytest.raises(ConfigError, match=rf"^dataset\.country: {refusal}"):
        with_holidays(panel([date(2024, 1, 5), date(2024, 1, 6)], "1d"), country)


def test_time_without_dates_is_refused():
    with pytest.raises(ConfigError, match="holidays have dates"):
        with_holidays(panel([1, 2, 3], "1i"), "DE")


def test_the_rows_of_a_plan_count_theirs():
    rows = panel([date(2024, 12, 23), date(2024, 12, 24)], "1d")
    plan = pl.DataFrame({"series_id": "a", "time": [date(2024, 12, 25), date(2024, 12, 27)]})
    assert with_holidays(replace(rows, plan=plan), "DE").plan["holidays"].to_list() == [1, 0]
