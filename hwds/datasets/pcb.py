"""DeepPCB: patches of printed boards with six kinds of defects (Tang et al. 2019), one bit a
pixel.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl

from hwds.core.errors import DataError
from hwds.core.recipe import PositiveInt, Small
from hwds.datasets.base import Dataset
from hwds.datasets.reading.pictures import open_archive
from hwds.frames.images import BOARD, IMAGE, KIND, Images

FILE = "pcb/pcb_patches.npz"
KINDS = ("open", "short", "mousebite", "spur", "copper", "pin_hole")
ORIGIN = (
    "patches of 64 x 64 pixels cut from the repository tangsanli5201/DeepPCB (MIT); lay them at "
    "$HWDS_DATA/pcb/pcb_patches.npz"
    " with the arrays x_packed (bits of the last axis), y (0 good, 1 to 6 the kinds of defects) "
    "and board: 8,278 patches"
)


class Pcb(Dataset):
    """8,278 patches of 600 boards, half of them with a defect in the centre: the real task.

    Attributes:
        path: The file; $HWDS_DATA/pcb/pcb_patches.npz where it is empty.
        boards: At most, the first ones.
    """

    gives = Images
    path: str = ""
    boards: Annotated[PositiveInt, Small(48)] = 100_000

    def load(self) -> Images:
        """Return the patches.

        Raises:
            DataError: The file is not there, or is not the published file.
        """
        arrays = open_archive(self._file(), ("x_packed", "y", "board"))
        packed, kind, board = (arrays[name] for name in ("x_packed", "y", "board"))
        if (
            packed.ndim != 3
            or packed.dtype != np.uint8
            or not len(packed) == len(kind) == len(board)
            or kind.max() > len(KINDS)
        ):
            raise DataError(f"dataset.path: '{self._file()}' is not the published file: {ORIGIN}.")
        first = np.isin(board, np.unique(board)[: self.boards])
        pixels = 255 * np.unpackbits(packed[first], axis=-1)
        table = pl.DataFrame(
            {
                IMAGE: [f"patch {place:04d}" for place in np.flatnonzero(first).tolist()],
                BOARD: board[first].astype(str),
                KIND: np.array(("ok", *KINDS))[kind[first]],
            }
        )
        return Images.build(table, pixels, good="ok", kinds=KINDS)

    def source(self) -> str:
        """Return where it is to be had."""
        return f"{ORIGIN}."

    def _file(self) -> Path:
        """Return the file.

        Raises:
            DataError: It is not there.
        """
        folder = os.environ.get("HWDS_DATA")
        if not self.path and not folder:
            raise DataError(
                f"dataset: pcb is not at hand, for HWDS_DATA names no folder: {ORIGIN}."
            )
        file = Path(self.path or Path(str(folder)) / FILE).expanduser()
        if not file.is_file():
            raise DataError(f"dataset: there is no file '{file}': {ORIGIN}.")
        return file
