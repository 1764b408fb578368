"""Boards: simulated patches of printed boards with six kinds of defects, and the ideal observer of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl

from hwds.core.serialization import Serializable
from hwds.datasets.base import Truth
from hwds.datasets.simulated.board_images.drawing import DEFECTS, GOOD
from hwds.datasets.simulated.board_images.settings import BoardSettings
from hwds.evaluation.context import RunContext
from hwds.frames.images import BOARD, IMAGE, KIND, Images
from hwds.inspection.models.base import Inspector

NEVER = -1e3
"""The log odds of a kind that a patch cannot show."""


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


class BoardTruth(Truth):
    """The probability of a defect given the patch without noise and the very defect that it would have: what no camera knows.

    The log likelihood ratio of a known change in noise of known size (the matched filter; Green and Swets 1966), exact but for
    pixels that end at 0 or 255.

    Attributes:
        dataset: The simulator's settings.
    """

    name: str = "truth"
    dataset: BoardSettings

    def inspector(self, images: Images, calibrate: Images, budget: float, context: RunContext) -> Inspector:
        """Return the observer with the threshold of a budget of false alarms; nothing else is learned."""
        return Inspector.at_temperature(KnownPatches(self.dataset), 1.0, calibrate, budget)


@dataclass(frozen=True, eq=False)
class KnownPatches(Serializable):
    """The patches of a world.

    Attributes:
        dataset: The simulator's settings.
    """

    dataset: BoardSettings
    knows_kinds: ClassVar[bool] = True

    def evidence(self, images: Images) -> np.ndarray:
        """Return the log odds of each kind, shape (n, kinds)."""
        places = {name: place for place, name in enumerate(images.names)}
        pixels = images.pixels()[..., 0].astype(float)
        prior = np.log(self.dataset.defective / (1 - self.dataset.defective))
        odds = np.full((images.n, len(images.kinds)), NEVER)
        odds[:, 0] = 0.0
        for patch in self.dataset.drawn():
            place = places.get(patch.name)
            if place is not None:
                ratio = (pixels[place] - patch.clean - patch.change / 2) * patch.change
                odds[place, images.kinds.index(patch.might)] = prior + ratio.sum() / self.dataset.noise**2
        return odds

    def saliency(self, images: Images) -> None:
        """Return None: it looks at the defect that might be there."""
