"""Locks: a folder that cannot be written is a line, not a traceback."""

import os

import pytest

from hwds.cli.commands.prune import folders_plan
from hwds.core.errors import HwdsError
from hwds.core.files import lock_for_cleaning, lock_for_making, lock_for_reading
from hwds.results.index import RunIndex


@pytest.mark.parametrize("hold", [lock_for_reading, lock_for_cleaning])
def test_a_cache_that_cannot_be_written_is_said(tmp_path, hold):
    (tmp_path / "cache").write_text("no folder")
    with (
        pytest.raises(HwdsError, match=r"cache: cannot be written: .+\.$"),
        hold(tmp_path / "cache"),
    ):
        pass


def test_what_another_makes_can_be_left_to_it(tmp_path):
    path = tmp_path / "below" / "value"
    lock = path.with_name(".value.lock")
    with lock_for_making(path) as own, lock_for_making(path, wait=False) as other:
        assert (own, other) == (True, False)
        assert lock.exists()
    assert not lock.exists()
    lock.touch()  # of a process that was killed
    with lock_for_making(path, wait=False) as free:
        assert free
    assert not lock.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_run_that_cannot_be_written_stays_for_that_reason(made):
    path = made("sales/aa11")
    path.chmod(0o500)
    assert folders_plan(RunIndex.of(), ["runs/sales/aa11"]).staying == {
        "runs/sales/aa11": "cannot be written"
    }
    path.chmod(0o700)
