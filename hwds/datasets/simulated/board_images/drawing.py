"""Patches of printed boards: copper traces with noise, and a defect where there is one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

GOOD = "ok"
DEFECTS = ("open", "short", "mousebite", "spur", "copper", "pin_hole")
"""A trace that is cut; two that touch; a bite out of an edge, and copper beyond it; copper between traces; a hole in one."""

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
        size: Of that defect, in pixels.
        contrast: Of that defect, against the difference of copper and substrate.
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
    clean: np.ndarray
    change: np.ndarray
    pixels: np.ndarray


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


def drawn_patch(law: PatchLaw, name: str, board: str, level: float, rng: np.random.Generator) -> Patch:
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
    change = (-1.0 if might in ("open", "mousebite", "pin_hole") else 1.0) * contrast * lighter * mask
    seen = clean + bad * change + law.noise * rng.standard_normal(clean.shape)
    pixels = np.round(np.clip(seen, 0, 255)).astype(np.uint8)
    return Patch(name, board, might if bad else GOOD, might, size, contrast, clean, change, pixels)


def traces_and_defect(side: int, kind: str, size: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of copper in each pixel, and the share of it that a defect changes; shapes (side, side).

    Args:
        side: Pixels along each side.
        kind: Of the defect, near the centre.
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


def _share(inside: np.ndarray) -> np.ndarray:
    """Return the share of each pixel within a border, by how far inside its centre lies."""
    return np.clip(inside + 0.5, 0.0, 1.0)
