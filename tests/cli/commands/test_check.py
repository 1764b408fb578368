"""`hwds check`: the verdict, the findings with their cures, and the settings that fit a file."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

SERIES = (
    "check dataset=file dataset.path=sales.csv dataset.roles.series=sku dataset.roles.time=month "
    "dataset.roles.target=units"
)


@pytest.fixture
def sales(tmp_path, monkeypatch):
    """Twelve products over four years; from the third on, four of them count in another unit."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    months = pl.date_range(pl.date(2020, 1, 1), pl.date(2023, 12, 1), "1mo", eager=True)
    tables = []
    for number in range(12):
        units = 200 + rng.normal(0, 8, len(months))
        units[24:] *= 10 if number < 4 else 1
        tables.append(pl.DataFrame({"sku": f"p{number}", "month": months, "units": units.round(1)}))
    table = pl.concat(tables)
    table.write_csv("sales.csv")
    return table


def test_a_break_is_found_with_its_cure_and_is_accepted_by_name(hwds, sales):
    said = hwds(SERIES)
    assert said.code == 0
    assert "PASS      1 warning found." in said.out
    text = " ".join(said.out.split())
    assert (
        "Warning level-break: The target changes by the factor 9.94 at 2022-01-01 in 4 of 12"
        in text
    )
    assert max(map(len, said.out.splitlines())) <= 100
    found = json.loads(hwds(f"{SERIES} --json").out)
    assert (found["verdict"], [each["check"] for each in found["findings"]]) == (
        "PASS",
        ["level-break"],
    )
    assert [each["column"] for each in found["columns"]] == ["series_id", "time", "target"]
    accepted = hwds(f"{SERIES} dataset.accept=[level-break]")
    assert "PASS      nothing found." in accepted.out
    assert "no check 'level-brake'; did you mean 'level-break'" in " ".join(
        hwds(f"{SERIES} dataset.accept=[level-brake]").err.split()
    )


def test_a_file_that_is_refused_fails_with_the_settings_that_fit_it(hwds, sales):
    dates = sales["month"].dt.strftime("%d.%m.%Y")
    sales.with_columns(month=dates).write_csv("sales.csv", separator=";")
    said = hwds(SERIES)
    assert said.code == 1
    assert "FAIL" in said.out
    line = next(line for line in said.out.splitlines() if line.startswith("Next"))
    assert "dataset.separator=semicolon" in line
    fitting = " ".join(line.split()[1:])
    assert hwds(f"{SERIES} {fitting}").code == 0
