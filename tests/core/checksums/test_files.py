"""Files with a checksum of themselves: every flipped bit and every truncation is refused, and files
of before are read.
"""

import json
import random
import struct

import polars as pl
import pytest

from hwds.core.checksums import (
    Damaged,
    check_parquet,
    read_json,
    read_parquet,
    write_json,
    write_parquet,
)

CONTENT = {
    "score": 0.1 + 0.2,
    "text": "naïve \U0001f600",
    "list": [1, None, {"a": True}],
    "nested": {"checksum": "x"},
}
TABLE = pl.DataFrame(
    {"series_id": ["a", "b"], "step": [1, 2], "mean": [0.1, float("nan")], "q": [[1.0], []]}
)


def test_what_is_written_is_read(tmp_path):
    write_json(tmp_path / "a.json", CONTENT, ensure_ascii=False)
    write_parquet(tmp_path / "a.parquet", TABLE)
    write_parquet(tmp_path / "empty.parquet", TABLE.clear(), compression="uncompressed")
    assert read_json(tmp_path / "a.json") == CONTENT
    assert read_parquet(tmp_path / "a.parquet").equals(TABLE)
    assert pl.read_parquet(tmp_path / "a.parquet").equals(TABLE), "by anybody"
    assert read_parquet(tmp_path / "a.parquet", ["step"]).columns == ["step"]
    assert read_parquet(tmp_path / "empty.parquet").schema == TABLE.schema


def test_files_without_a_checksum_are_read(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(CONTENT))
    TABLE.write_parquet(tmp_path / "a.parquet")
    assert read_json(tmp_path / "a.json") == CONTENT
    assert read_parquet(tmp_path / "a.parquet").equals(TABLE)
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises((ValueError, TypeError)):
        read_json(tmp_path / "list.json")


@pytest.mark.parametrize("kind", ["json", "parquet"])
def test_flips_and_truncations_give_the_same_content_or_are_refused(tmp_path, kind):
    path, rng = tmp_path / f"a.{kind}", random.Random(5)
    write_json(path, CONTENT) if kind == "json" else write_parquet(path, TABLE)
    whole = path.read_bytes()
    for turn in range(400):
        data = bytearray(whole)
        place = rng.randrange(len(data))
        data[place] ^= 1 << rng.randrange(8)
        path.write_bytes(data if turn % 4 else whole[:place])
        try:
            same = read_json(path) if kind == "json" else read_parquet(path)
        except (ValueError, pl.exceptions.PolarsError):
            continue
        assert same == CONTENT if kind == "json" else same.equals(TABLE)


def test_a_changed_value_is_said_to_be_damage(tmp_path):
    write_parquet(tmp_path / "a.parquet", TABLE, compression="uncompressed")
    data = (tmp_path / "a.parquet").read_bytes()
    place = data.index(struct.pack("<d", 0.1))
    (tmp_path / "a.parquet").write_bytes(data[:place] + b"\x9b" + data[place + 1 :])
    for read in (read_parquet, check_parquet):
        with pytest.raises(Damaged, match="has another checksum than when it was written"):
            read(tmp_path / "a.parquet")
