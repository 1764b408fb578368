"""The files that a block opens, by Python and by libraries in compiled code."""

import sqlite3
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow.dataset
import pyarrow.parquet
import pytest

from hwds.core.cache import _folders_of_python, is_of_system, opened_files, without_watching

TABLE = pl.DataFrame({"a": [1.0, 2.0]})


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    TABLE.write_csv("t.csv")
    TABLE.write_parquet("t.parquet")
    TABLE.write_ipc("t.arrow")
    TABLE.write_json("t.json")
    TABLE.write_ndjson("t.ndjson")
    TABLE.write_avro("t.avro")
    np.save("t.npy", np.ones(3))
    return tmp_path


READERS = {
    "open": ("t.csv", lambda name: Path(name).read_bytes()),
    "numpy": ("t.npy", np.load),
    "numpy mapped": ("t.npy", lambda name: np.load(name, mmap_mode="r")),
    "read_csv": ("t.csv", pl.read_csv),
    "scan_csv": ("t.csv", lambda name: pl.scan_csv(name).collect()),
    "read_csv_batched": ("t.csv", lambda name: pl.scan_csv([name]).collect()),
    "read_parquet": ("t.parquet", pl.read_parquet),
    "read_parquet_schema": ("t.parquet", pl.read_parquet_schema),
    "scan_parquet": ("t.parquet", lambda name: pl.scan_parquet(name).collect()),
    "read_ipc": ("t.arrow", pl.read_ipc),
    "scan_ipc": ("t.arrow", lambda name: pl.scan_ipc(name).collect()),
    "read_json": ("t.json", pl.read_json),
    "read_ndjson": ("t.ndjson", pl.read_ndjson),
    "read_avro": ("t.avro", pl.read_avro),
    "a pattern": ("t.csv", lambda name: pl.read_csv("*.csv")),
    "pandas csv": ("t.csv", pd.read_csv),
    "pandas parquet": ("t.parquet", pd.read_parquet),
    "pyarrow": ("t.parquet", pyarrow.parquet.read_table),
    "pyarrow dataset": ("t.parquet", lambda name: pyarrow.dataset.dataset(name).to_table()),
    "sqlite": ("t.db", lambda name: sqlite3.connect(name).close()),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_file_that_a_reader_opens_is_seen(files, reader):
    name, read = READERS[reader]
    with opened_files() as opened:
        read(name)
    assert opened.data_read() == {str(files / name)}


WRITERS = {
    "open": lambda name: Path(name).write_bytes(b"x"),
    "polars csv": TABLE.write_csv,
    "polars parquet": TABLE.write_parquet,
    "polars ipc": TABLE.write_ipc,
    "polars sink": lambda name: TABLE.lazy().sink_csv(name),
    "pandas csv": TABLE.to_pandas().to_csv,
    "pandas parquet": TABLE.to_pandas().to_parquet,
    "pyarrow": lambda name: pyarrow.parquet.write_table(TABLE.to_arrow(), name),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_file_that_is_written_first_and_then_read_is_no_input(tmp_path, writer):
    path = str(tmp_path / "own")
    with opened_files() as opened:
        WRITERS[writer](path)
        Path(path).read_bytes()
    assert opened.written == {path}
    assert not opened.data_read()


def test_what_is_unseen_or_outside_the_block_is_not_noted(files):
    with opened_files() as opened, without_watching():
        pl.read_csv("t.csv")
        (files / "t.npy").read_bytes()
    pl.read_csv("t.csv")
    (files / "t.npy").read_bytes()
    assert not opened.data_read()


def test_imported_code_is_told_from_data(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "own_module_of_audit.py").write_text(
        "from pathlib import Path\nTEXT = Path(__file__).read_text()\n"
    )
    with opened_files() as opened:
        import own_module_of_audit  # noqa: F401
    assert opened.data_read() == {str(tmp_path / "own_module_of_audit.py")}
    assert str(tmp_path / "own_module_of_audit.py") in opened.imported


def test_what_is_added_to_or_changed_in_place_was_there_before(tmp_path):
    path = tmp_path / "kept"
    path.write_text("before")
    with opened_files() as opened:
        with path.open("a") as file:
            file.write("after")
        path.read_text()
    assert opened.data_read() == {str(path)}
    with opened_files() as opened, path.open("r+") as file:
        file.read()
    assert opened.data_read() == {str(path)}
    with opened_files() as opened, (tmp_path / "new").open("x+") as file:
        file.read()
    assert not opened.data_read()


def test_an_environment_in_memory_is_of_the_system_and_other_files_there_are_not(monkeypatch):
    monkeypatch.setattr(sys, "prefix", "/dev/shm/me/.venv")
    _folders_of_python.cache_clear()
    try:
        assert is_of_system("/dev/shm/me/.venv/lib/python3.11/site-packages/scipy/__init__.py")
        assert not is_of_system("/dev/shm/me/sales.csv")
    finally:
        _folders_of_python.cache_clear()
