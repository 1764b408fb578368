"""Compressed text is read as what it is; what is damaged, grows without end or is no number is
refused in a line.
"""

import gzip

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from hwds.core.errors import DataError
from hwds.datasets.table import Table
from hwds.frames import files as text
from hwds.frames.files import read_files
from hwds.frames.panel import Panel

TEXT = "sku,month,units\na,2020-01-01,1\n007,2020-02-01,2\n"


def zstd(data):
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as stream:
        stream.write(data)
    return out.getvalue().to_pybytes()


PACKED = {"gz": gzip.compress, "zst": zstd}


@pytest.mark.parametrize("kind", PACKED)
def test_a_compressed_file_is_read_as_what_it_is(kind, tmp_path):
    (tmp_path / "s.csv").write_text(TEXT)
    (tmp_path / f"s.csv.{kind}").write_bytes(PACKED[kind](TEXT.encode()))
    (tmp_path / f"s.tsv.{kind}").write_bytes(PACKED[kind](TEXT.replace(",", "\t").encode()))
    plain = read_files(str(tmp_path / "s.csv")).table
    for name in ("csv", "tsv"):
        assert read_files(str(tmp_path / f"s.{name}.{kind}")).table.equals(plain)


@pytest.mark.parametrize("kind", PACKED)
def test_a_damaged_one_and_one_that_grows_are_refused(kind, tmp_path, monkeypatch):
    path = tmp_path / f"s.csv.{kind}"
    for content in (TEXT.encode(), PACKED[kind](TEXT.encode())[:-6], b""):
        path.write_bytes(content)
        with pytest.raises(
            DataError, match=rf"cannot be read as {kind} \(it is damaged\)|is empty"
        ):
            read_files(str(path))
    monkeypatch.setattr("hwds.frames.files.MOST_FREE", 1 << 20)
    path.write_bytes(PACKED[kind](b"0" * (1 << 24)))
    with pytest.raises(DataError, match=r"has more than \d+ MB in a file of a 200th of that"):
        read_files(str(path))


def test_the_names_of_many_columns_are_not_counted_one_by_one(tmp_path, monkeypatch):
    class Names(list):
        def count(self, name):
            raise AssertionError("looks at every name for every name: 80 s for 100,000 columns")

    names = [f"c{i}" for i in range(2_000)]
    (tmp_path / "wide.csv").write_text(
        ",".join(["units", *names]) + "\n" + ",".join(["1"] * 2_001) + "\n"
    )
    monkeypatch.setattr(text.csv, "reader", lambda *_, **__: iter([Names(["units", *names])]))
    assert read_files(str(tmp_path / "wide.csv"), ["units"]).table.shape == (1, 1)


@pytest.mark.parametrize("value", [float("inf"), -float("inf"), 1e308])
def test_a_number_that_cannot_be_squared_is_refused(value):
    from hwds.frames.table import Table as Rows

    with pytest.raises(DataError, match=r"column 'x' has .* in row 2, more than 1e\+100 in size"):
        Rows.build(pl.DataFrame({"y": [0, 1], "x": [1.0, value]}), {"label": "y"})
    dates = pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 12, 1), "1mo", eager=True)
    with pytest.raises(DataError, match=r"has target .* at 2020-12-01"):
        Panel.of(
            pl.DataFrame({"t": dates, "v": np.append(np.ones(11), value)}),
            time="t",
            target="v",
            frequency="1mo",
        )


def test_bytes_are_no_input(tmp_path):
    pl.DataFrame({"y": [0, 1], "blob": [b"x", b"y"]}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(
        DataError,
        match=r"dataset.roles.ignore: column 'blob' holds Binary, no input; name it there",
    ):
        Table(path=str(tmp_path / "t.parquet"), roles={"label": "y"}).load()
