"""Finished cells and results in a store beside the local disk: another disk finds them, and what is wrong is one line."""

from __future__ import annotations

import polars as pl
import pytest

from hwds.errors import ConfigError, HwdsError
from hwds.execution.bucket import MirroredCells, files_below, upload
from hwds.execution.cache import key_of
from hwds.execution.job import Outcome
from hwds.protocols.base import Cell, Fold

CELL = Cell("forecast/theta", Fold(0, "2024-01-01", 10), 0, 4)
KEY = key_of("abcdef", 0, 4)
ROWS = pl.DataFrame({"series_id": ["a", "b"], "mean": [1.0, 2.5]})


@pytest.fixture
def s3(monkeypatch):
    """A real S3 server, where moto is installed (pip install moto flask flask-cors)."""
    moto = pytest.importorskip("moto.server")
    boto3 = pytest.importorskip("boto3")
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    server = moto.ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    boto3.client("s3", endpoint_url=f"http://{host}:{port}").create_bucket(Bucket="hwds")
    yield f"s3://hwds/lab?endpoint_override={host}:{port}&scheme=http&region=us-east-1"
    server.stop()


@pytest.fixture
def mounted(tmp_path):
    return f"file://{tmp_path / 'mounted'}"


@pytest.mark.parametrize("store", ["mounted", "s3"])
def test_another_disk_goes_on_from_what_the_store_has(store, request, tmp_path, monkeypatch):
    url = request.getfixturevalue(store)
    first = MirroredCells(tmp_path / "first", url)
    assert not first.has(KEY)
    first.put(KEY, Outcome(CELL, ROWS, 1.5))
    first.put(key_of("abcdef", 4, 8), Outcome(CELL, None, 0.1, "failed"))
    second = MirroredCells(tmp_path / "second", url)
    assert second.has(KEY)
    assert second.runs("abcdef") == [(0, 4)]
    found = second.get(KEY, CELL)
    assert found.rows.equals(ROWS)
    assert (found.seconds, found.cached) == (1.5, True)
    assert second.path(KEY).read_bytes() == first.path(KEY).read_bytes()
    assert second.get(key_of("abcdef", 4, 8), CELL) is None
    monkeypatch.setattr("hwds.execution.bucket.OUTPUTS", tmp_path / "outputs")
    folder = tmp_path / "outputs" / "runs" / "x" / "1"
    folder.mkdir(parents=True)
    (folder / "scores.parquet").write_bytes(b"scores")
    (folder / ".lock").write_bytes(b"")
    upload(folder, url)
    assert [path.rpartition("lab/")[2].rpartition("mounted/")[2] for path in files_below(url, "runs")] == [
        "runs/x/1/scores.parquet"
    ]


def test_a_wrong_url_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"^compute.storage: must be a URL such as s3://bucket/path, got 'bucket': .*$"):
        MirroredCells(tmp_path, "bucket").has(KEY)


def test_a_bucket_that_is_not_there_is_one_line(tmp_path, s3):
    nowhere = s3.replace("//hwds/", "//nobody/")
    with pytest.raises(HwdsError) as refused:
        MirroredCells(tmp_path, nowhere).put(KEY, Outcome(CELL, ROWS, 1.0))
    assert str(refused.value).startswith("compute.storage: 's3://nobody/lab")
    assert "does not exist" in str(refused.value)
    assert "\n" not in str(refused.value)
