"""Files as people have them: other dates, thousands, yes and no, duplicates, names."""

from datetime import date

import polars as pl
import pytest

from hwds.core.errors import DataError
from hwds.core.recipe import canonical
from hwds.datasets.file import File
from hwds.datasets.runs import Runs
from hwds.datasets.table import Table


def panel(tmp_path, text, roles=None, **settings):
    (tmp_path / "sales.csv").write_text(text)
    given = {"time": "day", "target": "units"} if roles is None else roles
    return File(path=str(tmp_path / "sales.csv"), roles=given, min_length=1, **settings).load()


@pytest.mark.parametrize(
    ("form", "texts"),
    [
        ("%d.%m.%Y", ["01.02.2024", "02.02.2024", "03.02.2024"]),
        ("%m/%d/%y", ["02/01/24", "02/02/24", "02/03/24"]),
    ],
)
def test_dates_of_another_form(tmp_path, form, texts):
    text = "day,units\n" + "".join(f"{day},{i}\n" for i, day in enumerate(texts))
    assert panel(tmp_path, text, dates=form).table["time"].to_list() == [
        date(2024, 2, day) for day in (1, 2, 3)
    ]
    with pytest.raises(DataError, match=f"dataset.dates='{form}'"):
        panel(tmp_path, text)


def test_both_forms_of_a_date_are_named(tmp_path):
    with pytest.raises(DataError, match=r"dataset.dates='%d/%m/%Y' or dataset.dates='%m/%d/%Y'"):
        panel(tmp_path, "day,units\n03/04/2024,1\n04/04/2024,2\n")


def test_months_and_weeks_need_no_day(tmp_path):
    months = panel(tmp_path, "day,units\n01/2024,1\n02/2024,2\n", dates="%m/%Y")
    assert months.table["time"].to_list() == [date(2024, 1, 1), date(2024, 2, 1)]
    weeks = panel(tmp_path, "day,units\n2024-W01,1\n2024-W02,2\n", dates="%G-W%V")
    assert weeks.table["time"].to_list() == [date(2024, 1, 1), date(2024, 1, 8)]


@pytest.mark.parametrize(
    ("settings", "number", "value"),
    [
        ({"thousands": "point"}, "1.101", 1101),
        ({"thousands": "none"}, "1.101", 1.101),
        ({"decimal": "comma"}, "1.101", 1101),
        ({"thousands": "comma"}, '"1,101.5"', 1101.5),
        ({"thousands": "space"}, "1 101.5", 1101.5),
        ({"thousands": "space", "decimal": "comma"}, '"1\u202f101,5"', 1101.5),
        ({"thousands": "apostrophe"}, "1'101.50", 1101.5),
        ({}, "EUR 12.5", 12.5),
        ({"decimal": "comma"}, '"1.012,50 €"', 1012.5),
        ({}, "ja", 1),
    ],
)
def test_numbers_as_they_are_written(tmp_path, settings, number, value):
    text = f"day,units\n2024-01-01,{number}\n2024-01-02,{number}\n"
    assert panel(tmp_path, text, **settings).series(0).tolist() == [value, value]


@pytest.mark.parametrize("number", ["1.101", '"1,101"'])
def test_a_number_with_two_readings_is_asked_about(tmp_path, number):
    text = f"day,units\n2024-01-01,{number}\n2024-01-02,7\n"
    with pytest.raises(DataError, match=r"two readings: dataset.thousands=.* reads 1101"):
        panel(tmp_path, text)
    (tmp_path / "rows.csv").write_text(f"weight,units\n{number},1\n")
    with pytest.raises(DataError, match=r"two readings"):
        Table(path=str(tmp_path / "rows.csv"), roles={"outcome": "weight"}).load()


@pytest.mark.parametrize("other", ["0.250", "1.5", "1250", "12345.678"])
def test_another_row_can_answer(tmp_path, other):
    text = f"day,units\n2024-01-01,1.101\n2024-01-02,{other}\n"
    assert panel(tmp_path, text).series(0)[0] == 1.101


def test_two_currencies_in_a_column_are_refused(tmp_path):
    with pytest.raises(DataError, match="amounts in € and in USD"):
        panel(tmp_path, "day,units\n2024-01-01,12.5 €\n2024-01-02,12.5 USD\n")


@pytest.mark.parametrize(
    ("how", "target", "price"), [("sum", 5, 3), ("mean", 2.5, 3), ("last", 3, 4)]
)
def test_duplicates(tmp_path, how, target, price):
    text = "day,units,price\n2024-01-01,2,2\n2024-01-01,3,4\n2024-01-02,1,1\n"
    roles = {"time": "day", "target": "units", "known_future": "price"}
    loaded = panel(tmp_path, text, roles, duplicates=how)
    assert loaded.series(0).tolist() == [target, 1]
    assert loaded.table["price"].to_list() == [price, 1]
    with pytest.raises(DataError, match=r"dataset.duplicates may be sum, mean or last"):
        panel(tmp_path, text, roles)


def test_copies_of_rows_of_a_table(tmp_path):
    (tmp_path / "rows.csv").write_text("a,y\n1,ja\n1,ja\n2,nein\n")
    rows = Table(path=str(tmp_path / "rows.csv"), roles={"outcome": "y"})
    assert rows.load().data["y"].to_list() == [1, 1, 0]
    dropped = Table(path=rows.path, roles=rows.roles, duplicates="drop")
    assert dropped.load().height == 2


def test_totals_are_left_out_and_columns_renamed(tmp_path):
    text = "Tag,Menge\n2024-01-01,2\n2024-01-02,3\nSumme,5\n"
    loaded = panel(tmp_path, text, rename={"Tag": "day", "Menge": "units"}, omit=("Summe",))
    assert loaded.series(0).tolist() == [2, 3]


def test_nixtlas_names_need_no_roles(tmp_path):
    text = "unique_id,ds,y\na,2024-01-01,1\na,2024-01-02,2\n"
    assert panel(tmp_path, text, {}).series_ids.to_list() == ["a"]


def test_times_count_as_cycles(tmp_path):
    times = ["2024-01-01 00:00", "2024-01-01 12:00", "2024-03-01 06:00", "2024-03-01 12:00"]
    heat = [1.0, 2.0, 3.0, 5.0]
    table = pl.DataFrame({"pump": [*"aabb"], "at": times, "heat": heat, "failed": [0, 1, 0, 0]})
    table.write_csv(tmp_path / "runs.csv")
    roles = {"entity": ("pump",), "cycle": "at", "event": "failed"}
    path = str(tmp_path / "runs.csv")
    runs = Runs(path=path, roles=roles).load()
    assert (runs.data["cycle"].to_list(), runs.unit) == ([0, 12, 0, 6], "hours")
    assert Runs(path=path, roles=roles, unit="days").load().data["cycle"][1] == 0.5


def test_a_file_read_as_before_keeps_its_key(tmp_path):
    file = File(path="a.csv", roles={"time": "t", "target": "y"})
    assert not {"thousands", "dates", "rename", "omit", "accept", "duplicates"} & set(
        canonical(file)
    )
    other = File(path="a.csv", roles={"time": "t", "target": "y"}, dates="%d.%m.%Y")
    assert canonical(other)["dates"] == "%d.%m.%Y"
