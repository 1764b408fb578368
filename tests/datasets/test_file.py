"""A user's own series: roles, times, gaps, short series."""

from datetime import date, datetime

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError, DataError
from hwds.datasets.file import File
from hwds.frames.frequency import Frequency

MONTHS = [date(2024, month, 1) for month in range(1, 13)]


def loaded(tmp_path, table, roles=None, **settings):
    pl.DataFrame(table).write_parquet(tmp_path / "sales.parquet")
    return File(
        path=str(tmp_path / "sales.parquet"),
        roles={"time": "t", "target": "y"} | (roles or {}),
        **settings,
    ).load()


def test_the_roles_of_the_readme(tmp_path):
    table = pl.DataFrame({
        "series_id": ["a"] * 12 + ["b"] * 12,
        "date": MONTHS * 2,
        "y": np.arange(24.0),
        "split": (["train"] * 8 + ["test"] * 4) * 2,
        "left_out": ["x"] * 24,
    })  # fmt: skip
    table.sample(fraction=1, shuffle=True, seed=1).write_parquet(tmp_path / "sales.parquet")
    roles = {"series": "series_id", "time": "date", "target": "y", "split": "split"}
    panel = File(path=str(tmp_path / "sales.parquet"), roles=roles, season=4).load()
    assert panel.table.columns == ["series_id", "time", "target", "split"]
    assert panel.series(1).tolist() == list(range(12, 24))
    assert (panel.frequency, panel.season, panel.horizon) == (Frequency("1mo"), 4, 4)
    assert panel.roles.split == "split"


def test_several_series_columns_are_joined_and_become_static(tmp_path):
    table = {"state": ["N"] * 12 + ["S"] * 12, "shop": [1] * 24, "t": MONTHS * 2, "y": range(24)}
    panel = loaded(tmp_path, table, {"series": ["state", "shop"], "level": "state"})
    assert panel.series_ids.to_list() == ["N|1", "S|1"]
    assert panel.roles.static == ("state", "shop")
    assert panel.roles.level == ("state",)
    assert panel.table["shop"].dtype == pl.Int64


def test_without_a_series_column_the_file_is_one_series(tmp_path):
    assert loaded(tmp_path, {"t": MONTHS, "y": range(12)}).series_ids.to_list() == ["sales"]


def test_many_series_without_their_column_are_refused_by_its_role(tmp_path):
    with pytest.raises(
        DataError, match=r"^dataset.roles.series: must name a column: .* rows 2 and 13 are both at"
    ):
        loaded(
            tmp_path,
            {"shop": ["N"] * 12 + ["S"] * 11, "t": MONTHS + MONTHS[1:], "y": range(23)},
            horizon=1,
        )


def test_every_role_reaches_the_panel(tmp_path):
    table = {
        "t": MONTHS,
        "y": range(12),
        "price": range(12),
        "visits": [None, *range(11)],
        "colour": ["red"] * 12,
        "seen": MONTHS,
    }
    roles = {
        "known_future": "price",
        "past_only": ["visits"],
        "static": "colour",
        "available_at": "seen",
    }
    panel = loaded(tmp_path, table, roles, unit="pieces", horizon=3)
    assert panel.table.columns == [
        "series_id",
        "time",
        "target",
        "price",
        "visits",
        "colour",
        "seen",
    ]
    assert np.isnan(panel.values("visits")[0])
    assert (panel.unit, panel.horizon, panel.roles.available_at) == ("pieces", 3, "seen")


@pytest.mark.parametrize(
    ("written", "first", "every"),
    [
        (["2024-01-01", "2024-02-01", "2024-03-01"], date(2024, 1, 1), "1mo"),
        (["2024/01/01", "2024/01/02", "2024/01/03"], date(2024, 1, 1), "1d"),
        (["2024-01", "2024-02", "2024-03"], date(2024, 1, 1), "1mo"),
        (["2023Q4", "2024Q1", "2024Q2"], date(2023, 10, 1), "3mo"),
        (["2023-Q4", "2024-Q1", "2024-Q2"], date(2023, 10, 1), "3mo"),
        (
            ["2024-01-01T00:00:00", "2024-01-08T00:00:00", "2024-01-15T00:00:00"],
            date(2024, 1, 1),
            "7d",
        ),
        (
            ["2024-01-01 06:00", "2024-01-01 07:00", "2024-01-01 08:00"],
            datetime(2024, 1, 1, 6),
            "1h",
        ),
        (
            ["2024-01-01 06:00:00.5", "2024-01-01 06:00:01", "2024-01-01 06:00:01.5"],
            datetime(2024, 1, 1, 6, 0, 0, 500_000),
            "500ms",
        ),
        (["20240101", "20240201", "20240301"], date(2024, 1, 1), "1mo"),
        (["202311", "202312", "202401"], date(2023, 11, 1), "1mo"),
        (["1999", "2000", "2001"], 1999, "1i"),
        (["10", "20", "30"], 10, "10i"),
    ],
)
def test_times_in_text(tmp_path, written, first, every):
    panel = loaded(tmp_path, {"t": written, "y": [1.0, 2.0, 3.0]})
    assert panel.table["time"][0] == first
    assert panel.frequency.every == every


def test_times_with_a_zone_keep_it(tmp_path):
    panel = loaded(
        tmp_path,
        {
            "t": ["2024-01-01T22:00:00Z", "2024-01-01T23:00:00Z", "2024-01-02T00:00:00Z"],
            "y": [1, 2, 3],
        },
    )
    assert panel.table["time"].dtype.time_zone == "UTC"
    assert (panel.frequency.every, panel.season) == ("1h", 24)


def test_days_of_local_time_are_days_though_some_have_23_hours(tmp_path):
    local = pl.datetime_range(
        datetime(2024, 3, 25), datetime(2024, 4, 5), "1d", time_zone="Europe/Berlin", eager=True
    )
    assert loaded(tmp_path, {"t": local, "y": range(12)}).frequency.every == "1d"


def test_whole_times_stored_as_fractions(tmp_path):
    assert loaded(tmp_path, {"t": [1.0, 2.0, 3.0], "y": [1, 2, 3]}).table["time"].to_list() == [
        1,
        2,
        3,
    ]


def test_ends_of_months_are_followed_by_ends_of_months(tmp_path):
    panel = loaded(
        tmp_path, {"t": ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"], "y": [1, 2, 3, 4]}
    )
    assert panel.frequency == Frequency("1mo", month_end=True)


@pytest.mark.parametrize(
    ("policy", "target", "price"),
    [
        ("zero", [1, 0, 3, 0, 0, 6], [5, 5, 4, None, None, 2]),
        ("forward", [1, 1, 3, 3, 3, 6], [5, 5, 4, None, None, 2]),
        ("null", [1, None, 3, None, None, 6], [5, None, 4, None, None, 2]),
    ],
)
def test_gaps_are_filled_from_what_came_before(tmp_path, policy, target, price):
    """The row of month 4 is there without a target and a price, that of month 5 is not.

    Nothing of month 6 may fill them.
    """
    table = {
        "s": ["a"] * 4 + ["b"],
        "t": [MONTHS[0], MONTHS[2], MONTHS[3], MONTHS[5], MONTHS[8]],
        "y": [1.0, 3.0, None, 6.0, 9.0],
        "price": [5, 4, None, 2, 7],
        "colour": ["red"] * 4 + ["blue"],
    }
    roles = {"series": "s", "known_future": "price", "static": "colour"}
    panel = loaded(tmp_path, table, roles, gaps=policy, min_length=1, frequency="1mo")
    first = panel.block(0, 1).table
    assert first["target"].to_list() == target
    assert first["price"].to_list()[:4] + first["price"].to_list()[5:] == price[:4] + price[5:]
    assert first["colour"].to_list() == ["red"] * 6
    assert panel.lengths.tolist() == [6, 1]


@pytest.mark.parametrize("policy", ["zero", "forward", "null", None])
@pytest.mark.parametrize(
    "times",
    [
        pl.date_range(date(2024, 1, 31), date(2025, 12, 31), "1mo", eager=True).dt.month_end(),
        pl.date_range(date(2020, 1, 1), date(2025, 12, 1), "1q", eager=True),
        pl.datetime_range(datetime(2024, 1, 1, 6), datetime(2024, 1, 3), "1h", eager=True),
        pl.datetime_range(
            datetime(2024, 3, 25),
            datetime(2024, 4, 25),
            "1d",
            time_zone="Europe/Berlin",
            eager=True,
        ),
        pl.Series(range(10, 70, 2)),
    ],
    ids=["month ends", "quarters", "hours", "local days", "numbers"],
)
def test_gaps_are_filled_at_every_frequency(tmp_path, times, policy):
    there = [index for index in range(len(times)) if index % 5 != 2 or index == len(times) - 1]
    table = {"t": times.gather(there), "y": [float(index + 1) for index in there]}
    panel = loaded(tmp_path, table, gaps=policy)
    assert panel.table["time"].to_list() == times.to_list()
    filled = panel.series(0)[2]
    assert {
        "zero": filled == 0,
        "forward": filled == 2,
        "null": np.isnan(filled),
        None: np.isnan(filled),
    }[policy]


@pytest.mark.parametrize("gaps", ["zero", "forward", "null"])
def test_filled_rows_are_counted_in_a_remark(tmp_path, gaps):
    """Series b is left out, and its gap is not counted."""
    table = {
        "s": ["a"] * 4 + ["b"] * 2,
        "t": [MONTHS[0], MONTHS[2], MONTHS[3], MONTHS[5], MONTHS[0], MONTHS[2]],
        "y": [1.0, 3.0, None, 6.0, 9.0, 9.0],
    }
    pl.DataFrame(table).write_csv(tmp_path / "sales.csv")
    roles = {"series": "s", "time": "t", "target": "y"}
    dropped = {"short": "drop", "min_length": 4}
    path = str(tmp_path / "sales.csv")
    file = File(path=path, roles=roles, gaps=gaps, frequency="1mo", **dropped)
    filled = {"zero": "0", "forward": "the last one before it", "null": "unknown"}[gaps]
    assert file.remarks(file.load())[0] == (
        f"dataset.gaps={gaps}: the file lacks 2 rows and the target of 1 row; such a target is "
        f"{filled}."
    )


def test_a_file_without_gaps_has_no_remark_of_them(tmp_path):
    table = pl.DataFrame({"t": MONTHS, "y": range(12)})
    table.write_csv(tmp_path / "sales.csv")
    file = File(path=str(tmp_path / "sales.csv"), roles={"time": "t", "target": "y"}, gaps="zero")
    assert file.remarks(file.load()) == []


def test_a_fill_is_causal(tmp_path):
    """What comes after a row never changes it: the fill of a cut file is the cut of the filled
    file.
    """
    rng = np.random.default_rng(7)
    there = rng.random(200) < 0.6
    there[0] = True
    table = pl.DataFrame(
        {"t": np.arange(200), "y": rng.normal(size=200), "price": rng.normal(size=200)}
    ).filter(pl.Series(there))
    table = table.with_columns(
        pl.when(pl.Series(rng.random(len(table)) < 0.2)).then(None).otherwise("y").alias("y")
    )
    settings = {"roles": {"known_future": "price"}, "gaps": "forward", "frequency": "1i"}
    whole = loaded(tmp_path, table, **settings).table
    for rows in (2, 20, 60, len(table)):
        part = loaded(tmp_path, table.head(rows), **settings).table
        assert part.equals(whole.head(len(part)))


def test_short_series_are_left_out_and_the_count_is_said(tmp_path, caplog):
    table = {"s": ["a"] * 10 + ["b"] * 2, "t": [*range(10), 0, 1], "y": range(12)}
    panel = loaded(tmp_path, table, {"series": "s"}, short="drop", min_length=3)
    assert panel.series_ids.to_list() == ["a"]
    assert caplog.messages == ["dataset: 1 of 2 series left out, shorter than 3 rows."]
    settings = {"short": "drop", "min_length": 3, "season": 1}
    file = File(
        path=str(tmp_path / "sales.parquet"),
        roles={"series": "s", "time": "t", "target": "y"},
        **settings,
    )
    assert file.remarks(panel) == [
        "Series of fewer than 3 rows are left out of all that follows (dataset.short=drop)."
    ]


@pytest.mark.parametrize(
    ("times", "settings", "said"),
    [
        (
            range(12),
            {},
            "Numbered rows tell no season: none is taken, and a horizon of 1 row "
            "(protocol.horizon).",
        ),
        (range(12), {"horizon": 2}, "Numbered rows tell no season: none is taken. dataset.season"),
        (
            [datetime(2024, 1, 1, hour, half) for hour in range(6) for half in (0, 30)],
            {},
            "Rows 30m apart tell no season",
        ),
        (range(12), {"season": 1}, None),
        ([date(2000 + year, 1, 1) for year in range(12)], {}, None),
        (MONTHS, {}, None),
    ],
)
def test_a_season_that_nothing_tells_is_remarked_on(tmp_path, times, settings, said):
    table = pl.DataFrame({"t": times, "y": range(12)})
    table.write_parquet(tmp_path / "sales.parquet")
    file = File(
        path=str(tmp_path / "sales.parquet"), roles={"time": "t", "target": "y"}, **settings
    )
    remarks = file.remarks(file.load())
    assert remarks == [] if said is None else remarks[0].startswith(said)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"gaps": "mean"}, "gaps"),
        ({"frequency": "1month"}, "frequency"),
        ({"season": 0}, "season"),
        ({"seperator": ";"}, "seperator"),
    ],
)
def test_settings_are_checked_before_the_file_is_read(settings, field):
    with pytest.raises(ConfigError) as refusal:
        File(path="nowhere.csv", **settings)
    assert str(refusal.value).startswith(
        (f"File.{field}: must be", f"File: no key '{field}'; did you mean")
    )


def test_many_short_series_are_read_in_bulk(tmp_path):
    """20,000 series of 24 rows; a loop over series in Python would take many times the bound."""
    import time

    n = 20_000
    months = pl.date_range(date(2023, 1, 1), date(2024, 12, 1), "1mo", eager=True)
    table = pl.DataFrame({
        "s": np.repeat([f"s{i:05d}" for i in range(n)], 24),
        "t": pl.concat([months] * n),
        "y": np.arange(n * 24.0),
    })  # fmt: skip
    table.write_parquet(tmp_path / "sales.parquet")
    dataset = File(
        path=str(tmp_path / "sales.parquet"),
        roles={"series": "s", "time": "t", "target": "y"},
        gaps="zero",
    )
    start = time.process_time()
    assert dataset.load().n_series == n
    assert time.process_time() - start < 5
