"""One process at a time writes a mirror."""

import pytest

from hwds.core.errors import HwdsError
from hwds.core.files import lock_file
from hwds.track.mirroring import mirror
from hwds.track.trackers.wandb import Wandb


def test_a_mirror_that_is_being_written_is_refused(tmp_path):
    with lock_file(tmp_path / ".wandb.lock") as free:
        assert free
        with pytest.raises(HwdsError, match="another process is writing it"):
            mirror(Wandb(name="wandb"), tmp_path)


def test_a_folder_that_is_gone_is_one_line(tmp_path):
    with pytest.raises(HwdsError, match=r"^FileNotFoundError: .*No such file"):
        mirror(Wandb(name="wandb"), tmp_path / "gone")
