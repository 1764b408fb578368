"""One process at a time writes a mirror."""

import pytest

from hwds.core.errors import HwdsError
from hwds.track.mirroring import Ledger


def test_a_mirror_that_is_being_written_is_refused_and_free_afterwards(tmp_path):
    ledger = Ledger(tmp_path)
    with ledger.held("wandb"):
        with pytest.raises(HwdsError, match="another process is writing it"), ledger.held("wandb"):
            pass
        with ledger.held("mlflow"):
            pass
    with ledger.held("wandb"):
        pass


def test_a_folder_that_is_gone_is_one_line(tmp_path):
    with (
        pytest.raises(HwdsError, match="cannot be written: No such file"),
        Ledger(tmp_path / "gone").held("wandb"),
    ):
        pass
