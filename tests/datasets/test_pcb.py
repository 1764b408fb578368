"""DeepPCB: as published, and what is said where it is not at hand."""

import numpy as np
import pytest

from hwds.core.errors import DataError
from hwds.datasets.pcb import KINDS, Pcb


@pytest.mark.data
def test_it_has_its_patches_kinds_and_boards():
    images = Pcb().load()
    assert (images.n, images.shape, images.boards.n_unique()) == (8278, (64, 64, 1), 600)
    assert np.bincount(images.codes).tolist() == [4139, 773, 626, 828, 682, 611, 619]
    assert images.kinds == ("ok", *KINDS)
    assert set(np.unique(images.store[:100])) == {0, 255}
    assert Pcb(boards=2).load().boards.n_unique() == 2


def test_it_is_said_where_it_is_not_at_hand(tmp_path, monkeypatch):
    monkeypatch.delenv("HWDS_DATA", raising=False)
    with pytest.raises(
        DataError,
        match=r"^dataset: pcb is not at hand, for HWDS_DATA names no folder: patches of 64 x 64",
    ):
        Pcb().load()
    with pytest.raises(
        DataError, match=r"^dataset: there is no file '.*x\.npz': patches of 64 x 64"
    ):
        Pcb(path=str(tmp_path / "x.npz")).load()
    np.savez(
        tmp_path / "x.npz",
        x_packed=np.zeros((2, 4, 1), np.uint8),
        y=np.array([0, 9]),
        board=np.array([1, 2]),
    )
    with pytest.raises(DataError, match=r"x\.npz' is not the published file"):
        Pcb(path=str(tmp_path / "x.npz")).load()
