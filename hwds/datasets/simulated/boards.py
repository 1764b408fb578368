"""Boards: simulated patches of printed boards with six kinds of defects, and ideal observers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le, Lt
from numpy import ndarray

from hwds.core.errors import ConfigError
from hwds.core.recipe import Seed, Small
from hwds.core.seeds import stream
from hwds.core.serialization import Serializable
from hwds.datasets.base import Dataset, Truth
from hwds.evaluation.protocol import RunContext
from hwds.frames.images import BOARD, IMAGE, KIND, Images
from hwds.inspection.models.base import Inspector

# Patches of printed boards: copper traces with noise, and a defect where there is one.

GOOD = "ok"
DEFECTS = ("open", "short", "mousebite", "spur", "copper", "pin_hole")
"""A trace that is cut; two that touch; a bite out of an edge, and copper beyond it; copper between
traces; a hole in one.
"""

SUBSTRATE, COPPER = 60.0, 190.0
"""Grey levels of the two, before each board's own."""

ANGLES = (0.0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)
"""Directions of traces."""


@dataclass(frozen=True, eq=False)
class Patch:
    """A patch of a board.

    Attributes:
        name: Its name.
        board: That of its board.
        kind: What it shows.
        might: The defect that it has, or would have if it had one.
        size: The size of that defect, in pixels.
        contrast: The contrast of that defect, against the difference of copper and substrate.
        clean: Grey levels without noise and defect, shape (side, side).
        change: What the defect changes, or would change, shape (side, side).
        pixels: What is seen, of type uint8, shape (side, side).
    """

    name: str
    board: str
    kind: str
    might: str
    size: float
    contrast: float
    clean: ndarray
    change: ndarray
    pixels: ndarray


@dataclass(frozen=True)
class PatchLaw:
    """The law by which patches are drawn.

    Attributes:
        side: Pixels along each side.
        defective: The share of patches with a defect.
        smallest: Size of a defect, in pixels, at least.
        largest: At most.
        faintest: Contrast of a defect at least; 1 at most.
        noise: Standard deviation of the noise, in grey levels.
    """

    side: int
    defective: float
    smallest: float
    largest: float
    faintest: float
    noise: float


def draw_patch(
    law: PatchLaw, name: str, board: str, level: float, rng: np.random.Generator
) -> Patch:
    """Return a patch of a board.

    Args:
        law: How it is drawn.
        name: Its name.
        board: That of its board.
        level: What this board's copper is lighter than usual.
        rng: Draws it.
    """
    might = DEFECTS[int(rng.integers(len(DEFECTS)))]
    size, contrast = rng.uniform(law.smallest, law.largest), rng.uniform(law.faintest, 1.0)
    bad = bool(rng.random() < law.defective)
    copper, mask = traces_and_defect(law.side, might, size, rng)
    lighter = COPPER + level - SUBSTRATE
    clean = SUBSTRATE + lighter * copper
    change = (
        (-1.0 if might in ("open", "mousebite", "pin_hole") else 1.0) * contrast * lighter * mask
    )
    seen = clean + bad * change + law.noise * rng.standard_normal(clean.shape)
    pixels = np.round(np.clip(seen, 0, 255)).astype(np.uint8)
    return Patch(name, board, might if bad else GOOD, might, size, contrast, clean, change, pixels)


def traces_and_defect(
    side: int, kind: str, size: float, rng: np.random.Generator
) -> tuple[ndarray, ndarray]:
    """Return the share of copper in each pixel, and the share of it that a defect changes.

    Shapes (side, side).

    Args:
        side: Pixels along each side.
        kind: The kind of the defect, near the centre.
        size: Its size, in pixels.
        rng: Draws direction, pitch and width of the traces, and where the defect is.
    """
    angle = ANGLES[int(rng.integers(len(ANGLES)))]
    pitch = rng.uniform(0.28, 0.45) * side
    width = rng.uniform(0.4, 0.6) * pitch
    x, y = np.meshgrid(np.arange(side) - (side - 1) / 2, np.arange(side) - (side - 1) / 2)
    at_x, at_y = rng.uniform(-side / 10, side / 10, 2)
    across = (x - at_x) * np.cos(angle) + (y - at_y) * np.sin(angle)
    along = (y - at_y) * np.cos(angle) - (x - at_x) * np.sin(angle)
    edge = width / 2 * (1.0 if rng.random() < 0.5 else -1.0)
    off = {"open": 0.0, "pin_hole": 0.0, "short": pitch / 2, "copper": pitch / 2}.get(kind, edge)
    from_line = np.abs((across - off + pitch / 2) % pitch - pitch / 2)
    copper = _share(width / 2 - from_line)
    if kind in ("open", "short"):
        reach = (width if kind == "open" else pitch - width) / 2 + 1
        spot = _share(size / 2 - np.abs(along)) * _share(reach - np.abs(across))
    else:
        room = {"pin_hole": width / 2 - 1, "copper": (pitch - width) / 2 - 1}.get(kind, np.inf)
        spot = _share(max(min(size / 2, room), 0.5) - np.hypot(across, along))
    removes = kind in ("open", "mousebite", "pin_hole")
    return copper, spot * (copper if removes else 1 - copper)


def _share(inside: ndarray) -> ndarray:
    """Return the share of each pixel within a border, by how far inside its centre lies."""
    return np.clip(inside + 0.5, 0.0, 1.0)


# Boards: simulated patches of printed boards with six kinds of defects, and the ideal observer
# of each.

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
        faintest: The smallest contrast of a defect, as a share of the contrast of copper and
            substrate; the largest is 1.
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
        return PatchLaw(
            self.side, self.defective, self.smallest, largest, self.faintest, self.noise
        )

    def drawn(self) -> Iterator[Patch]:
        """Yield all patches, board by board.

        Raises:
            ConfigError: There are more pixels than memory holds.
        """
        pixels = self.boards * self.patches * self.side**2
        if pixels > MOST_PIXELS:
            raise ConfigError(
                f"dataset.patches: all together have {pixels:,} pixels, more than {MOST_PIXELS:,}."
            )
        for board in range(self.boards):
            rng = stream(self.world_seed, "board", board)
            level = BOARD_LEVEL * float(rng.standard_normal())
            for patch in range(self.patches):
                name = f"board {board + 1:03d} patch {patch + 1:02d}"
                yield draw_patch(self.law, name, f"board {board + 1:03d}", level, rng)


NEVER = -1e3
"""The log odds of a kind that a patch cannot show."""


class Boards(BoardSettings):
    """Patches of copper traces with noise, half of them with a defect: open, short, mousebite,
    spur, copper or pin hole.

    Each patch without a defect is drawn around a defect that it might have had, so that nothing but
    the defect tells the two apart. Columns `size` and `contrast` say whether that defect is small
    or large, faint or strong: `protocol.segments` shows scores by them. The truth is the ideal
    observer, who knows the patch without noise and what might be there.

    Example:
        python -m hwds dataset=boards model=inspection/cnn protocol=board_kfold \
            protocol.segments=[size,contrast]
    """

    def load(self) -> Images:
        """Return the patches."""
        patches, law = list(self.drawn()), self.law
        sizes, contrasts = (
            np.array([getattr(each, name) for each in patches]) for name in ("size", "contrast")
        )
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
    """The probability of a defect given the patch without noise and the very defect that it would
    have: what no camera knows.

    The log likelihood ratio of a known change in noise of known size (the matched filter; Green and
    Swets 1966), exact but for pixels that end at 0 or 255.

    Attributes:
        dataset: The simulator's settings.
    """

    name: str = "truth"
    dataset: BoardSettings

    def inspector(
        self, images: Images, calibrate: Images, budget: float, context: RunContext
    ) -> Inspector:
        """Return the observer with the threshold of a budget of false alarms.

        Nothing else is learned.
        """
        return Inspector.at_temperature(KnownPatches(self.dataset), 1.0, calibrate, budget)


@dataclass(frozen=True, eq=False)
class KnownPatches(Serializable):
    """The patches of a world.

    Attributes:
        dataset: The simulator's settings.
    """

    dataset: BoardSettings
    knows_kinds: ClassVar[bool] = True

    def evidence(self, images: Images) -> ndarray:
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
                odds[place, images.kinds.index(patch.might)] = (
                    prior + ratio.sum() / self.dataset.noise**2
                )
        return odds

    def saliency(self, images: Images) -> None:
        """Return None: it looks at the defect that might be there."""
