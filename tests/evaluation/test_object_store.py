"""Finished cells and results in a store beside the local disk: another disk finds them, and what is
wrong is one line.
"""

from __future__ import annotations

import polars as pl
import pytest

from hwds.core.errors import ConfigError, HwdsError
from hwds.evaluation.cells import ROWS as TABLE
from hwds.evaluation.cells import CellCache, CellOutcome, cell_key
from hwds.evaluation.compute.cluster import MirroredCache, files_below, upload
from hwds.evaluation.protocol import Cell, Fold
from tests.support.aws import moto_server

CELL = Cell("forecast/theta", Fold(0, "2024-01-01", 10), 0, 4)
KEY = cell_key("abcdef", 0, 4)
ROWS = pl.DataFrame({"series_id": ["a", "b"], "mean": [1.0, 2.5]})


@pytest.fixture
def s3():
    """A real S3 server."""
    import boto3

    with moto_server() as address:
        boto3.client("s3").create_bucket(Bucket="hwds")
        yield f"s3://hwds/lab?endpoint_override={address}&scheme=http&region=us-east-1"


@pytest.fixture
def mounted(tmp_path):
    return f"file://{tmp_path / 'mounted'}"


@pytest.mark.parametrize("store", ["mounted", "s3"])
def test_another_disk_goes_on_from_what_the_store_has(store, request, tmp_path, monkeypatch):
    url = request.getfixturevalue(store)
    first = CellCache(MirroredCache(tmp_path / "first", url))
    assert not first.has(KEY)
    first.put(KEY, CellOutcome(CELL, ROWS, 1.5))
    first.put(cell_key("abcdef", 4, 8), CellOutcome(CELL, None, 0.1, "failed"))
    second = CellCache(MirroredCache(tmp_path / "second", url))
    assert second.has(KEY)
    assert second.runs("abcdef") == [(0, 4)]
    found = second.get(KEY, CELL)
    assert found.rows.equals(ROWS)
    assert (found.seconds, found.cached) == (1.5, True)
    assert (
        second.entries.path(KEY, TABLE).read_bytes() == first.entries.path(KEY, TABLE).read_bytes()
    )
    assert second.get(cell_key("abcdef", 4, 8), CELL) is None
    monkeypatch.setattr("hwds.evaluation.compute.cluster.OUTPUTS", tmp_path / "outputs")
    folder = tmp_path / "outputs" / "runs" / "x" / "1"
    folder.mkdir(parents=True)
    (folder / "scores.parquet").write_bytes(b"scores")
    (folder / ".lock").write_bytes(b"")
    upload(folder, url)
    assert [
        path.rpartition("lab/")[2].rpartition("mounted/")[2] for path in files_below(url, "runs")
    ] == ["runs/x/1/scores.parquet"]


def test_what_is_damaged_here_is_fetched_again_and_what_is_damaged_there_is_absent(
    mounted, tmp_path
):
    first = CellCache(MirroredCache(tmp_path / "first", mounted))
    first.put(KEY, CellOutcome(CELL, ROWS, 1.5))
    here = first.entries.path(KEY, TABLE)
    here.write_bytes(here.read_bytes()[:-9])
    assert first.get(KEY, CELL).rows.equals(ROWS)
    (there,) = (tmp_path / "mounted").rglob(here.name)
    there.write_bytes(flipped(there.read_bytes(), 99))
    second = CellCache(MirroredCache(tmp_path / "second", mounted))
    assert second.get(KEY, CELL) is None
    assert not second.has(KEY)
    second.put(KEY, CellOutcome(CELL, ROWS, 1.5))
    assert there.read_bytes() == here.read_bytes()


def flipped(content, place):
    """The bytes with one bit changed."""
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def test_a_wrong_url_is_one_line(tmp_path):
    with pytest.raises(
        ConfigError,
        match=r"^compute.storage: must be a URL such as s3://bucket/path, got 'bucket': .*$",
    ):
        CellCache(MirroredCache(tmp_path, "bucket")).has(KEY)


def test_a_bucket_that_is_not_there_is_one_line(tmp_path, s3):
    nowhere = s3.replace("//hwds/", "//nobody/")
    with pytest.raises(HwdsError) as refused:
        CellCache(MirroredCache(tmp_path, nowhere)).put(KEY, CellOutcome(CELL, ROWS, 1.0))
    assert str(refused.value).startswith("compute.storage: 's3://nobody/lab")
    assert "does not exist" in str(refused.value)
    assert "\n" not in str(refused.value)
