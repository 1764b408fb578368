"""The settings of simulated boards, which their truth reads too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt

from hwds.core.recipe import Seed, Small
from hwds.core.seeds import stream
from hwds.datasets.base import Dataset
from hwds.datasets.simulated.board_images.drawing import Patch, PatchLaw, drawn_patch
from hwds.frames.images import Images

BOARD_LEVEL = 10.0
"""The standard deviation of a board's own grey level of copper."""


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
        """Yield all patches, board by board."""
        for board in range(self.boards):
            rng = stream(self.world_seed, "board", board)
            level = BOARD_LEVEL * float(rng.standard_normal())
            for patch in range(self.patches):
                name = f"board {board + 1:03d} patch {patch + 1:02d}"
                yield drawn_patch(self.law, name, f"board {board + 1:03d}", level, rng)
