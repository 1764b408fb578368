"""C-MAPSS: published shapes, both forms of its files, and what is said where they are not at
hand.
"""

import polars as pl
import pytest

from hwds.core.errors import DataError
from hwds.datasets.cmapss import SENSORS, Cmapss


@pytest.mark.data
def test_fd001_has_its_engines_and_fourteen_sensors_and_reads_the_same_as_nasa_wrote_it(
    data_folder, tmp_path
):
    runs = Cmapss().load()
    assert (runs.n, runs.learnable.n, len(runs.learnable.data), int(runs.events.sum())) == (
        200,
        100,
        20_631,
        100,
    )
    left = {f"sensor_{i}" for i in (1, 5, 6, 10, 16, 18, 19)}
    assert set(runs.sensors) == set(SENSORS) - left
    assert (runs.names[100], runs.remaining[100]) == ("test 001", 112.0)
    for part, name in (("train", "train"), ("test", "test"), ("rul", "RUL")):
        table = pl.read_parquet(data_folder / "cmapss" / f"fd001_{part}.parquet")
        table = table.select("rul") if part == "rul" else table
        table.write_csv(tmp_path / f"{name}_FD001.txt", separator=" ", include_header=False)
    assert Cmapss(path=str(tmp_path)).load().fingerprint == runs.fingerprint


def test_a_file_that_is_not_there_or_not_as_published(tmp_path):
    with pytest.raises(DataError, match=r"there is no file '.*fd003_train\.parquet': NASA"):
        Cmapss(subset="FD003", path=str(tmp_path)).load()
    (tmp_path / "train_FD003.txt").write_text(" ".join(["1"] * 26) + "\n")
    with pytest.raises(
        DataError, match=r"the train file of FD003 has 1 engines, the published one 100\."
    ):
        Cmapss(subset="FD003", path=str(tmp_path)).load()
    (tmp_path / "train_FD003.txt").write_text("1 2 3\n")
    with pytest.raises(DataError, match=r"line 1 has 3 numbers, not 26\."):
        Cmapss(subset="FD003", path=str(tmp_path)).load()
