"""The ideal observer of simulated boards: it knows each patch without its noise, and the defect that might be there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwds.core.serialization import Serializable
from hwds.datasets.base import Truth
from hwds.datasets.simulated.board_images.settings import BoardSettings
from hwds.evaluation.context import RunContext
from hwds.frames.images import Images
from hwds.inspection.models.base import Inspector

NEVER = -1e3
"""The log odds of a kind that a patch cannot show."""


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
