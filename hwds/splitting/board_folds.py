"""Folds of boards: images that were cut from one board never lie on both sides of a cut."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le, Lt

from hwds.core.errors import DataError
from hwds.core.recipe import Recipe, Small
from hwds.frames.images import BOARD, Images
from hwds.splitting.fold import Fold
from hwds.splitting.rows import HeldOut, hash_of

APART = -1
"""The fold number of boards that are kept for the trials of a sweep."""

UNLABELLED = -2
"""The fold number of boards of which no image has a label: no fold tests them."""


class BoardFolds(Recipe):
    """Divide boards into folds, so that all images of a board are on one side.

    Attributes:
        folds: Parts of the boards; each is tested once.
        calibrate: The share of the boards to learn from that is set apart for the temperature and the threshold.
        apart: The share of the boards, by their names, that is never tested but by the trials of a sweep; the experiment learns
            from them.
    """

    folds: Annotated[int, Ge(2), Le(1_000), Small(2)] = 5
    calibrate: Annotated[float, Gt(0.001), Lt(1)] = 0.15
    apart: Annotated[float, Ge(0), Lt(1)] = 0.0

    def split_boards(self, images: Images) -> list[Fold]:
        """Return the folds of the images whose kind is known.

        Raises:
            DataError: The boards do not suffice for them.
        """
        place = self.fold_of_images(images)
        boards = images.boards.filter(pl.Series(place >= 0)).n_unique()
        if boards < self.folds:
            raise DataError(f"protocol.folds: must be at most {boards}, the labelled boards that are tested, got {self.folds}.")
        sizes = np.bincount(place[(place >= 0) & (images.codes >= 0)], minlength=self.folds).tolist()
        names = [f"fold {number + 1} of {self.folds}" for number in range(self.folds)]
        return [Fold(number, names[number], size, (HeldOut(number),)) for number, size in enumerate(sizes)]

    def fold_of_images(self, images: Images) -> np.ndarray:
        """Return the fold of each image's board, shape (n,).

        Boards with a label are dealt out in the order of a hash of their names. `APART` and `UNLABELLED` are of no fold.
        """
        labelled = images.boards.filter(pl.Series(images.codes >= 0)).unique(maintain_order=True)
        tested = [name for name in labelled if hash_of(name, b"apart") >= self.apart * 2**64]
        fold = {name: number % self.folds for number, name in enumerate(_hashed(tested, b"board"))}
        places = dict.fromkeys(images.boards, UNLABELLED) | dict.fromkeys(labelled, APART) | fold
        return _by_board(images, places)

    def calibrates(self, images: Images) -> np.ndarray:
        """Return which of the images to learn from are of the boards that are set apart for calibration, shape (n,).

        Raises:
            DataError: There are fewer than two boards.
        """
        boards = images.boards.unique(maintain_order=True).to_list()
        if len(boards) < 2:
            raise DataError(f"protocol.calibrate: needs two boards to learn from, got {len(boards)}.")
        count = min(max(round(self.calibrate * len(boards)), 1), len(boards) - 1)
        chosen = set(_hashed(boards, b"calibrate")[:count])
        return _by_board(images, {name: int(name in chosen) for name in boards}) == 1


def with_kinds_changed(images: Images, which: np.ndarray, rng: np.random.Generator) -> Images:
    """Return the images with another kind for some of them, drawn among all others.

    Args:
        images: All images.
        which: A mask of shape (n,).
        rng: Draws the kinds.
    """
    kinds, codes = len(images.kinds), images.codes
    other = (codes + rng.integers(1, kinds, images.n)) % kinds
    turned = pl.Series(np.where(which & (codes >= 0), other, codes)).replace_strict(
        {-1: None} | dict(enumerate(images.kinds)), return_dtype=pl.String
    )
    return images.labelled(turned)


def _hashed(names: list[str], purpose: bytes) -> list[str]:
    return sorted(names, key=lambda name: hash_of(name, purpose))


def _by_board(images: Images, numbers: dict[str, int]) -> np.ndarray:
    return images.data[BOARD].replace_strict(numbers, return_dtype=pl.Int64).to_numpy()
