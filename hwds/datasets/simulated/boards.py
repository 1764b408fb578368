"""Boards: simulated patches of printed boards with six kinds of defects, and the ideal observer of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le, Lt

from hwds.core.errors import ConfigError
from hwds.core.recipe import Seed, Small
from hwds.core.seeds import stream
from hwds.core.serialization import Serializable
from hwds.datasets.base import Dataset, Truth
from hwds.datasets.simulated.board_images.drawing import DEFECTS, GOOD, Patch, PatchLaw, drawn_patch
from hwds.evaluation.context import RunContext
from hwds.frames.images import BOARD, IMAGE, KIND, Images
from hwds.inspection.models.base import Inspector

BOARD_LEVEL = 10.0
"""The standard deviation of a board's own grey level of copper."""

MOST_PIXELS = 100_000_000


class BoardSettings(Dataset):
    """Patches of printed boards, half of them with a defect of one of six kinds.

    Attributes:
        boards: The number of boards.
        patches: The patches of each board.
        side: Pixels along each side of a patch.
        defective: The share of patches with a defect.
        smallest: Size of a defect, in pixels, at least.
        largest: Size of a defect, in pixels, at most; at least `smallest` counts.
        faintest: Contrast of a defect against that of copper and substrate, at least; at most it is 1.
        noise: The standard deviation of the noise, in grey levels of 255.
        world_seed: Names the draws of the world.
    """

    gives = Images

    boards: Annotated[int, Ge(4), Le(100_000), Small(48)] = 200
    patches: Annotated[int, Ge(1), Le(10_000), Small(12)] = 16
    side: Annotated[int, Ge(16), Le(1_024), Small(16)] = 32
    defective: Annotated[float, Gt(0.01), Lt(0.99)] = 0.5
    smallest: Annotated[float, Ge(1), Le(500)] = 3.0
    largest: Annotated[float, Ge(1), Le(500)] = 7.0
    faintest: Annotated[float, Gt(0.001), Le(1)] = 0.25
    noise: Annotated[float, Ge(1), Le(100)] = 40.0
    world_seed: Seed = 0

    @property
    def law(self) -> PatchLaw:
        """The law by which patches are drawn."""
        largest = max(self.largest, self.smallest)
        return PatchLaw(self.side, self.defective, self.smallest, largest, self.faintest, self.noise)

    def drawn(self) -> Iterator[Patch]:
        """Yield all patches, board by board.

        Raises:
            ConfigError: There are more pixels than memory holds.
        """
        pixels = self.boards * self.patches * self.side**2
        if pixels > MOST_PIXELS:
            raise ConfigError(f"dataset.patches: all together have {pixels:,} pixels, more than {MOST_PIXELS:,}.")
        for board in range(self.boards):
            rng = stream(self.world_seed, "board", board)
            level = BOARD_LEVEL * float(rng.standard_normal())
            for patch in range(self.patches):
                name = f"board {board + 1:03d} patch {patch + 1:02d}"
                yield drawn_patch(self.law, name, f"board {board + 1:03d}", level, rng)


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
