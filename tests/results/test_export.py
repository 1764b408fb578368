"""Exports are exact, the same each time, and no text in them becomes a formula."""

import sys
import zipfile
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from hwds.core.errors import HwdsError
from hwds.results.difference import export_tables, write_export
from hwds.results.files import disarm_formulas
from hwds.results.folder import RunFolder

WICKED = [
    "=1+1",
    "+1+1",
    "-1-1",
    "@sum(a1)",
    "\t=1",
    '=HYPERLINK("http://x")',
    "https://x.example",
    "plain",
    None,
]


@pytest.fixture
def table():
    return pl.DataFrame(
        {
            "=name": WICKED,
            "day": [date(2024, 1, 1)] * 9,
            "value": [-1.5, float("nan"), float("inf"), *[0.1234567890123] * 6],
            "paths": [[1.0, 2.0]] * 9,
            "reasons": [[{"why": "=x"}]] * 9,
        }
    )


def test_csv_has_an_apostrophe_where_a_spreadsheet_would_compute(table, tmp_path):
    write_export({"t": table}, "csv", tmp_path)
    read = pl.read_csv(tmp_path / "t.csv")
    assert read.columns[0] == "'=name"
    assert read["'=name"].to_list()[:6] == [f"'{text}" for text in WICKED[:6]]
    assert read["'=name"].to_list()[6:] == WICKED[6:]
    assert read["value"][0] == -1.5, "a number below zero is a number"
    assert read["paths"][0] == "[1.0, 2.0]"
    assert '"why": "=x"' in read["reasons"][0]


@pytest.mark.parametrize("text", ["-3", "+3", "-0.5", "-.5", "-3.", "-1e-05", "+2.5E+3"])
def test_a_number_with_its_sign_stays_a_number(text):
    assert disarm_formulas(pl.DataFrame({"value": [text]}))["value"].to_list() == [text]


@pytest.mark.parametrize(
    "text", ["-3+1", "-A1", "+", "-", "--3", "-3 ", "-1e", "-.", "-3\n=1", "-inf", "\r-3"]
)
def test_what_is_no_number_is_disarmed(text):
    assert disarm_formulas(pl.DataFrame({"value": [text]}))["value"].to_list() == [f"'{text}"]


def test_parquet_is_the_table_itself(table, tmp_path):
    write_export({"t": table}, "parquet", tmp_path)
    assert pl.read_parquet(tmp_path / "t.parquet").equals(table)


def test_a_workbook_has_texts_and_no_formula_and_the_same_bytes(table, tmp_path):
    pytest.importorskip("xlsxwriter", reason="XlsxWriter is not installed: hwds[xlsx]")
    for name in ("one.xlsx", "two.xlsx"):
        write_export({"t": table, "u": table.head(0)}, "xlsx", tmp_path / name)
    assert (tmp_path / "one.xlsx").read_bytes() == (tmp_path / "two.xlsx").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.xlsx") as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
        texts = book.read("xl/sharedStrings.xml").decode()
        assert not any("externalLink" in name for name in book.namelist())
    assert "<f>=" not in sheet
    assert "1+1" not in sheet
    assert "=1+1" in texts
    assert "hyperlink" not in sheet.lower()
    assert "0.1234567890123" in sheet, "all digits, whatever is shown"


def test_a_run_is_exported_with_its_settings(made, tmp_path):
    tables = export_tables(RunFolder(made("sales/aa11", units=64)))
    assert list(tables) == ["scores", "predictions", "timings", "metrics", "settings", "provenance"]
    assert tables["settings"].filter(pl.col("name") == "model.units")["value"][0] == "64"
    negative = export_tables(RunFolder(made("sales/bb22", units=-3)))["settings"]
    assert disarm_formulas(negative).filter(pl.col("name") == "model.units")["value"][0] == "-3"
    assert disarm_formulas(tables["predictions"])["series_id"][0] == "'=1+1"


def test_what_cannot_be_done_is_said(table, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with pytest.raises(HwdsError, match=r"needs XlsxWriter: pip install 'hwds\[xlsx\]'"):
        write_export({"t": table}, "xlsx", tmp_path / "a.xlsx")
    monkeypatch.undo()
    pytest.importorskip("xlsxwriter", reason="XlsxWriter is not installed: hwds[xlsx]")
    long = pl.DataFrame({"a": range(1_048_576)})
    with pytest.raises(HwdsError, match="t has 1,048,576 rows, a sheet 1,048,575"):
        write_export({"t": long}, "xlsx", tmp_path / "a.xlsx")
    assert not Path(tmp_path / "a.xlsx").exists()
