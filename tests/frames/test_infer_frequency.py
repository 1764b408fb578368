"""The frequency of a table, found."""

from datetime import date, datetime

import polars as pl
import pytest

from hwds.core.errors import DataError
from hwds.frames.frequency import find_frequency


def series(**times) -> pl.DataFrame:
    return pl.concat(
        pl.DataFrame({"series_id": [name] * len(rows), "time": rows})
        for name, rows in times.items()
    )


@pytest.mark.parametrize("every", ["1mo", "3mo", "6mo", "1y", "7d", "1d", "14d"])
@pytest.mark.parametrize("start", [date(2023, 1, 1), date(2023, 1, 15), date(2023, 2, 28)])
def test_a_regular_series_has_its_own_step(every, start):
    times = pl.select(
        pl.lit(start).dt.offset_by(
            pl.format(
                "{}" + every.lstrip("0123456789"), pl.int_range(8) * int(every.rstrip("mody"))
            )
        )
    )
    assert find_frequency(series(a=times.to_series())).every == every


@pytest.mark.parametrize("every", ["1h", "1d", "1mo"])
@pytest.mark.parametrize("month", [2, 9])
def test_instants_of_a_place_whose_clocks_change(every, month):
    zone = "UTC" if every == "1h" else "Europe/Berlin"
    first, last = datetime(2024, month, 1), datetime(2024, month + 3, 20)
    times = pl.datetime_range(first, last, every, eager=True, time_zone=zone).dt.convert_time_zone(
        "Europe/Berlin"
    )
    assert find_frequency(series(a=times)).every == every


@pytest.mark.parametrize("every", ["1h", "6h", "15m", "10s", "250ms"])
def test_instants(every):
    times = pl.datetime_range(
        datetime(2024, 1, 1, 5), datetime(2024, 1, 2, 5), every, eager=True
    ).head(50)
    assert find_frequency(series(a=times)).every == every


def test_most_rows_decide_and_a_wrong_date_does_not():
    months = [date(2024, month, 1) for month in range(1, 13)]
    wrong = [*months[:5], date(2024, 6, 2), *months[6:]]
    assert find_frequency(series(a=months, b=wrong)).every == "1mo"


def test_sparse_series_are_not_mixed_where_gaps_are_let_through():
    sparse = series(a=[1, 2, 3, 5, 6], b=[1, 8, 20], c=[4, 9])
    assert find_frequency(sparse, gaps=True).every == "1i"


def test_quarters_among_months_are_mixed_even_where_gaps_are_let_through():
    months = [date(2024, month, 1) for month in range(1, 13)]
    quarters = [
        date(2023, 1, 1),
        date(2023, 4, 1),
        date(2023, 7, 1),
        date(2023, 10, 1),
        date(2024, 1, 1),
    ]
    for gaps in (False, True):
        with pytest.raises(
            DataError, match="series 'a' has steps of 1mo, series 'q' has steps of 3mo"
        ):
            find_frequency(series(a=months, q=quarters), gaps=gaps)


def test_one_row_a_series_has_no_frequency():
    with pytest.raises(DataError, match="must be given; no series has two rows"):
        find_frequency(series(a=[1], b=[2]))
