"""Boards: simulated patches of printed boards with six kinds of defects, and the ideal observer of each."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.datasets.base import Truth
from hwds.datasets.simulated.board_images.drawing import DEFECTS, GOOD
from hwds.datasets.simulated.board_images.settings import BoardSettings
from hwds.datasets.simulated.board_images.truth import BoardTruth
from hwds.frames.images import BOARD, IMAGE, KIND, Images


class Boards(BoardSettings):
    """Patches of copper traces with noise, half of them with a defect: open, short, mousebite, spur, copper or pin hole.

    Each patch without a defect is drawn around a defect that it might have had, so that nothing but the defect tells the two
    apart. Columns `size` and `contrast` say whether that defect is small or large, faint or strong: `protocol.segments` shows
    scores by them. The truth is the ideal observer, who knows the patch without noise and what might be there.

    Example:
        python -m hwds dataset=boards model=inspection/cnn protocol=board_kfold protocol.segments=[size,contrast]
    """

    def load(self) -> Images:
        """Return the patches."""
        patches, law = list(self.drawn()), self.law
        sizes, contrasts = (np.array([getattr(each, name) for each in patches]) for name in ("size", "contrast"))
        columns = {
            IMAGE: [each.name for each in patches],
            BOARD: [each.board for each in patches],
            KIND: [each.kind for each in patches],
            "size": np.where(sizes < (law.smallest + law.largest) / 2, "small", "large"),
            "contrast": np.where(contrasts < (law.faintest + 1) / 2, "faint", "strong"),
        }
        pixels = np.stack([each.pixels for each in patches])
        return Images.build(pl.DataFrame(columns), pixels, good=GOOD, kinds=DEFECTS)

    def truth(self, task: str) -> Truth | None:
        """Return the ideal observer."""
        return BoardTruth(dataset=self) if task == "inspection" else None
