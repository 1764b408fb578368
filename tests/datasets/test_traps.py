"""Each trap of data in a world with known truth: found where it is, silent where it is not."""

import logging
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from bench.data_traps import TRAPS, counts, decisions, sales
from hwds.core.errors import ConfigError, DataError
from hwds.datasets.file import File
from hwds.datasets.reading.file_traps import fitting_settings
from hwds.datasets.reading.traps import CHECKS, Finding, findings_of, first_lines
from hwds.datasets.table import Table

WORLDS = 6


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.ERROR)


@pytest.mark.parametrize("trap", TRAPS)
def test_a_trap_is_found_and_none_is_invented(trap):
    found, false = counts(trap, WORLDS)
    assert (found, false) == (WORLDS, 0)


def test_every_check_has_a_world():
    told = {"refused", "likely-leak", "remark"}  # by the reader itself
    assert {check for check, _ in TRAPS.values()} == set(CHECKS) - told


def test_an_accepted_check_is_silent_and_a_wrong_name_refused():
    panel = sales(np.random.default_rng(0), "currency")
    assert {each.check for each in findings_of(panel)} == {"level-break"}
    assert findings_of(panel, ("level-break",)) == []
    with pytest.raises(ConfigError, match=r"no check 'levelbreak'; did you mean 'level-break'"):
        findings_of(panel, ("levelbreak",))


def test_the_factor_and_the_time_of_a_break_are_named():
    (found,) = (
        each
        for each in findings_of(sales(np.random.default_rng([0, 1]), "currency"))
        if each.column == "price"
    )
    assert 115 < float(found.what.partition("factor ")[2].partition(" ")[0]) < 145
    assert "in 15 of 30 series" in found.what or "in 14 of 30 series" in found.what


def test_propensities_and_costs_keep_checks_silent():
    rows = decisions(np.random.default_rng(0))
    assert findings_of(rows) == []
    panel = sales(np.random.default_rng(1), "price same week")
    assert [each.check for each in findings_of(panel)] == ["price-follows"]
    costly = replace(panel, roles=panel.roles | {"cost": ("price",)})
    assert findings_of(costly) == []


def test_a_start_says_at_most_three_lines(monkeypatch):
    dataset = File(path="a.csv", roles={"time": "t", "target": "y"})
    many = [Finding("clock", "error", "", f"Jump {i}.", "") for i in range(5)]
    monkeypatch.setattr("hwds.datasets.reading.traps.findings_of", lambda *_: many)
    lines = first_lines(dataset, None)
    assert lines[:2] == ["error clock: Jump 0. ", "error clock: Jump 1. "]
    assert lines[2] == "3 more: hwds check shows all."
    assert first_lines(None, None) == []


GERMAN = "Artikel;Monat;Menge;Preis;Aktion"


def german(path):
    """A German spreadsheet with all of the review's dirt."""
    rng = np.random.default_rng(3)
    rows = [
        f"{name};01.{month:02}.{year};{int(rng.integers(1000, 9000)):,};{rng.uniform(9, 99):.2f};"
        for name in ("Kühler", "Lüfter", "Netzteil")
        for year in range(2020, 2024)
        for month in range(1, 13)
    ]
    rows = [row.replace(".", "#", 2) for row in rows]
    rows = [row.replace(",", "!").replace(".", ",").replace("!", ".") for row in rows]
    rows = [row.replace("#", ".") + ("ja" if i % 3 else "nein") for i, row in enumerate(rows)]
    text = "\r\n".join([GERMAN, *rows, rows[5], "Gesamt;01.12.2023;240.123;;"])
    path.write_bytes(f"{text}\r\n".encode("cp1252"))


def test_a_german_export_is_read_after_two_refusals(tmp_path):
    german(tmp_path / "export.csv")
    roles = {
        "series": ("Artikel",),
        "time": "Monat",
        "target": "Menge",
        "known_future": ("Preis", "Aktion"),
    }
    dataset = File(path=str(tmp_path / "export.csv"), roles=roles)
    words, choices = fitting_settings(dataset)
    with pytest.raises(DataError) as refusal:
        dataset.load()
    assert " ".join(words) in str(refusal.value)
    assert choices == ["dataset.duplicates=sum, mean or last"]
    settings = {}
    for word in words:
        name, _, value = word.removeprefix("dataset.").partition("=")
        settings[name] = tuple(value[1:-1].split(",")) if value[0] == "[" else value.strip("'")
    fitting = replace(dataset, **settings)
    with pytest.raises(DataError, match=r"dataset.duplicates may be sum, mean or last.$"):
        fitting.load()
    panel = replace(fitting, duplicates="last").load()
    assert (panel.n_series, len(panel.table)) == (3, 144)
    assert panel.table["target"].min() >= 1000
    assert 9 < panel.table["Preis"].min() < panel.table["Preis"].max() < 99
    assert set(panel.table["Aktion"]) == {0.0, 1.0}
    assert fitting_settings(replace(fitting, duplicates="last")) == ([], [])


def test_a_table_of_another_separator_names_it(tmp_path):
    (tmp_path / "rows.csv").write_text("a;y\n1;0\n2;1\n")
    with pytest.raises(
        DataError, match=r"These settings fit the file: dataset.separator=semicolon"
    ):
        Table(path=str(tmp_path / "rows.csv"), roles={"label": "y"}).load()


def test_a_file_that_no_setting_mends_has_no_cure(tmp_path):
    (tmp_path / "rows.csv").write_text("day,units\n2024-01-01,x\n2024-01-02,2\n")
    file = File(path=str(tmp_path / "rows.csv"), roles={"time": "day", "target": "units"})
    with pytest.raises(DataError, match=r"has 'x' in column 'units', not a number.$"):
        file.load()
    pl.DataFrame({"a": ["x"]}).write_parquet(tmp_path / "rows.parquet")
    assert fitting_settings(replace(file, path=str(tmp_path / "rows.parquet"))) == ([], [])
