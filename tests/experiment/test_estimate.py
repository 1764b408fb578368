"""How long cells will take: what is fixed and what each unit takes are told apart."""

import polars as pl
import pytest

from hwds.core.checksums import write_parquet
from hwds.datasets import Classics
from hwds.experiment.prepare import CellTimes, TimeEstimate, timed_before
from hwds.results.tables import TIMINGS

TRUE = {units: 0.02 + 1e-5 * units for units in (1, 50, 130, 1000, 100_000)}
"""Twenty milliseconds a cell and ten microseconds a unit."""


def timed(*sizes):
    return CellTimes(sizes, [TRUE[units] for units in sizes])


@pytest.mark.parametrize("units", [1, 50, 130, 1000, 100_000])
def test_two_sizes_tell_what_is_fixed(units):
    found = timed(50, 1000).time(units)
    assert found.seconds == pytest.approx(TRUE[units])
    assert not found.at_most


def test_from_small_cells_alone_a_large_one_is_foreseen_from_above():
    found = timed(50).time(100_000)
    assert found.at_most
    assert found.seconds > 10 * TRUE[100_000]
    assert timed(50).time(70) == TimeEstimate(pytest.approx(TRUE[50] * 1.4))


def test_a_smaller_cell_takes_no_more():
    assert timed(100_000).time(1000).seconds < 0.02 * TRUE[100_000]
    noisy = CellTimes((50, 1000), (0.05, 0.03))  # a cell that was slow for other reasons
    assert noisy.time(1000).seconds == noisy.time(50).seconds == 0.05
    assert noisy.time(10_000).seconds == pytest.approx(0.05)


def test_a_cell_is_as_large_as_it_has_units_wherever_they_begin(tmp_path, monkeypatch):
    """Cells of a whole fold, which end where they begin, have one."""
    monkeypatch.chdir(tmp_path)
    cells = [("a", 0, 50), ("a", 50, 100), ("a", 100, 103), ("b", 0, 0)]
    for run, (seconds, status) in {
        "one": (2.0, "ok"),
        "two": (4.0, "ok"),
        "bad": (90.0, "failed"),
    }.items():
        folder = tmp_path / "outputs" / "runs" / "adhoc" / run
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(
            "dataset: {name: classics}\nmodel: {name: a}\nprotocol: {name: holdout}\nseed: 0\n"
        )
        rows = [
            {"model": model, "start": start, "stop": stop, "seconds": seconds, "status": status}
            for model, start, stop in cells
        ]
        write_parquet(folder / "timings.parquet", pl.DataFrame(rows, schema=TIMINGS))
        write_parquet(folder / "scores.parquet", pl.DataFrame())
    found = timed_before(Classics(name="classics"))
    sizes = {model: (times.sizes, times.seconds) for model, times in found.items()}
    assert sizes == {"a": ([3, 50], [3.0, 3.0]), "b": ([1], [3.0])}
