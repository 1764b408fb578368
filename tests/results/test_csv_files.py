"""Every CSV that hwds writes is disarmed, and what is read back is what was written."""

from pathlib import Path

import polars as pl

from hwds.results.files import read_csv, write_csv

HWDS = Path(__file__).resolve().parents[2] / "hwds"
TEXTS = [
    "=1+1",
    "'=1+1",
    "''@x",
    "'plain",
    "plain",
    "-3",
    "'-3",
    None,
    "+cmd|' /C calc'!A0",
    "\t=1",
]


def test_what_is_read_back_is_what_was_written(tmp_path):
    table = pl.DataFrame({"model": TEXTS, "value": [1.5] * len(TEXTS)})
    write_csv(tmp_path / "t.csv", table)
    assert read_csv(tmp_path / "t.csv", table.schema).equals(table)
    raw = pl.read_csv(tmp_path / "t.csv")["model"]
    assert [text for text in raw if text and text[0] in "=+@\t"] == []


def test_one_module_writes_csv():
    writers = [path.stem for path in HWDS.rglob("*.py") if ".write_csv" in path.read_text()]
    assert writers == ["files"]


def test_forecasts_of_a_series_with_a_wicked_name_are_disarmed(tmp_path, command):
    rows = [
        f"{name},2020-{month:02d}-01,{month}" for name in ("=1+1", "b") for month in range(1, 13)
    ]
    (tmp_path / "sales.csv").write_text("\n".join(["sku,month,units", *rows, ""]))
    words = (
        "dataset=file dataset.path=sales.csv dataset.roles.series=sku "
        "dataset.roles.time=month dataset.roles.target=units"
    )
    done = command(
        f"{words} model=forecast/naive protocol=holdout protocol.horizon=2 rivals=[] compute=serial"
    )
    assert done.code == 0, done.err
    assert command("predict adhoc").code == 0
    (future,) = tmp_path.glob("outputs/runs/*/*/future.csv")
    text = future.read_text()
    assert "'=1+1" in text
    assert text.count("'=1+1") == text.count("=1+1")
