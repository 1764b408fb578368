"""Folds of runs, the cycles at which held-out runs are cut, a fleet's clock; folds of boards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le, Lt
from numpy import ndarray
from polars import Series, col

from hwds.core.errors import DataError
from hwds.core.recipe import Folds, Recipe, Small, Steps, ZeroSteps
from hwds.core.seeds import stream
from hwds.evaluation.panel_folds import with_rubbish
from hwds.evaluation.protocol import Fold
from hwds.evaluation.row_folds import hash_of, held_out_folds, is_kept_apart
from hwds.frames.images import BOARD, Images
from hwds.frames.runs import CYCLE, ENTITY, Runs

# Folds of runs, the cycles at which held-out runs are cut, and instants of a fleet's clock.

LEAST = 3
"""The fewest runs of a fold, and the fewest failures to learn from."""


APART = -1
"""The fold number of runs that are kept for the trials of a sweep."""


@dataclass(frozen=True, slots=True)
class HeldOutCut:
    """The runs that a fold tests, as they were known at one of their cuts.

    Attributes:
        repeat: The number of the division into folds.
        fold: The number of the fold within it.
        cut: The number of the cut.
        rows: The number of known rows of each of these runs, in their order; chosen when the runs
            are divided, so that how long a run lasts is not read after that.
    """

    repeat: int
    fold: int
    cut: int
    rows: tuple[int, ...] = field(default=(), repr=False)

    @property
    def label(self) -> str:
        """The name in messages."""
        repeat = f"repeat {self.repeat + 1}, " if self.repeat else ""
        return f"{repeat}fold {self.fold + 1}, cut {self.cut + 1}"


@dataclass(frozen=True, slots=True)
class LastRow:
    """The last row of the runs that are for the test."""

    @property
    def label(self) -> str:
        """The name in messages."""
        return "test"


class RunKFold(Recipe):
    """Divide runs into folds, so that all rows of a run are on one side, and cut the held-out ones
    at several ages.

    Attributes:
        folds: Parts of the runs; each is tested once in every repeat.
        repeats: The number of new divisions of the machines into folds.
        cuts: Ages at which a held-out run is cut, each drawn from its share of the run's life.
        every: Rows between the cuts of a held-out run, after its first `least` rows: the ages at
            which a machine is inspected. 0 for `cuts` drawn from its life.
        least: Rows that are known at the first cut at least; runs without more are left out of the
            folds.
        apart: The share of the runs, by their names, that is never tested but by the trials of a
            sweep; the experiment learns from them.
    """

    folds: Annotated[int, Ge(2), Le(1_000), Small(3)] = 5
    repeats: Annotated[Folds, Small(1)] = 1
    cuts: Annotated[int, Ge(1), Le(1_000), Small(4)] = 10
    every: ZeroSteps = 0
    least: Steps = 30
    apart: Annotated[float, Ge(0), Lt(1)] = 0.0

    def split_runs(self, runs: Runs) -> list[Fold]:
        """Return the folds of the runs to learn from.

        Raises:
            DataError: They do not suffice.
        """
        runs = runs.learnable
        failed = int((runs.events & ~self.is_apart(runs)).sum())
        if failed < LEAST * self.folds:
            raise DataError(
                f"protocol.folds: {self.folds} folds need {LEAST * self.folds} runs that failed, "
                f"got {failed}."
            )
        out: list[Fold] = []
        for repeat in range(self.repeats):
            place, rows = self.fold_of_runs(runs, repeat), self.cut_rows(runs, repeat)
            for fold in range(self.folds):
                places = rows[place == fold]
                if not places.any():
                    longest = int(runs.lengths[place == fold].max())
                    raise DataError(
                        f"protocol.least: must be below {longest}, the rows of the longest run of "
                        f"a fold, got {self.least}."
                    )
                cuts = np.flatnonzero(places.any(axis=0)).tolist()
                cutoffs = tuple(
                    HeldOutCut(repeat, fold, cut, tuple(places[:, cut].tolist())) for cut in cuts
                )
                name = f"fold {fold + 1} of {self.folds}" + (
                    f", repeat {repeat + 1}" if repeat else ""
                )
                out.append(Fold(len(out), name, int((place == fold).sum()), cutoffs))
        return out

    def fold_of_runs(self, runs: Runs, repeat: int) -> ndarray:
        """Return the fold of each run, shape (n,): dealt out in the order of a hash of their names.

        `APART` for others.
        """
        learned = np.flatnonzero(~self.is_apart(runs)).tolist()
        order = sorted(learned, key=lambda place: hash_of(runs.names[place], b"r%d" % repeat))
        fold = np.full(runs.n, APART)
        fold[order] = np.arange(len(order)) % self.folds
        return fold

    def is_apart(self, runs: Runs) -> ndarray:
        """Return which runs are kept for the trials of a sweep, shape (n,)."""
        return np.array([is_kept_apart(name, self.apart) for name in runs.names], bool)

    def cut_rows(self, runs: Runs, repeat: int) -> ndarray:
        """Return how many rows of each run are known at each cut, shape (n, cuts).

        0 where the run is too short.

        A run's cuts follow from its name and its number of rows: one in each of equal shares of the
        rows between the first cut and its last row but one; with `every` they follow from neither,
        and end before its last row.
        """
        if self.every:
            ages = np.arange(
                self.least, max(int(runs.lengths.max(initial=0)), self.least + 1), self.every
            )
            return np.where(ages < runs.lengths[:, None], ages, 0)
        out = np.zeros((runs.n, self.cuts), np.int64)
        for place, (name, length) in enumerate(zip(runs.names, runs.lengths.tolist(), strict=True)):
            room = length - self.least
            if room > 0:
                drawn = stream(0, "cuts", repeat, name).random(self.cuts)
                out[place] = self.least + np.floor(
                    (np.arange(self.cuts) + drawn) / self.cuts * room
                ).astype(np.int64)
        return out


def corrupt_runs(runs: Runs, lengths: ndarray, rng: np.random.Generator) -> Runs:
    """Return runs with random values for all that was not known of some: what sensors say later,
    and when and how they end.

    Of the later rows some are gone, and the cycles of the others lie farther from the last that is
    known, so that neither the number of rows nor the age at the end says how long a run lasted.

    Args:
        runs: All runs.
        lengths: The number of known rows of each, -1 for a run of which everything is; shape (n,).
        rng: The generator of the random values.
    """
    place = np.arange(len(runs.data)) - runs.offsets[:-1][runs.run_of_row]
    late = (lengths[runs.run_of_row] >= 0) & (place >= lengths[runs.run_of_row])
    columns = [
        name
        for name in runs.data.columns
        if name not in (ENTITY, CYCLE, *runs.roles.get("static", ()))
    ]
    data = with_rubbish(runs.data, Series(late), columns, rng)
    more = rng.integers(1, 500, runs.n).astype(float)
    kept = (
        np.floor(rng.random(runs.n) * (runs.lengths - lengths - 1)).astype(int) + lengths + 1
    )  # of later rows one at least
    last_cycle = np.where(
        lengths > 0, runs.cycles[runs.offsets[:-1] + np.clip(lengths, 1, runs.lengths) - 1], 0.0
    )[runs.run_of_row]
    cycles = np.where(
        late,
        last_cycle + (runs.cycles - last_cycle) * rng.uniform(1.5, 3, runs.n)[runs.run_of_row],
        runs.cycles,
    )
    data = data.with_columns(Series(CYCLE, cycles)).filter(
        Series(~late | (place < kept[runs.run_of_row]))
    )
    ends = data.group_by(ENTITY, maintain_order=True).agg(col(CYCLE).last().alias("age"))
    open_ = Series(lengths >= 0)
    ends = runs.ends.with_columns(
        ends["age"],
        (col("remaining") + pl.when(open_).then(Series(more)).otherwise(0.0)).alias("remaining"),
        pl.when(open_).then(False).otherwise(col("event")).alias("event"),
    )
    return Runs(data, ends, runs.roles, runs.regimes, runs.unit)


@dataclass(frozen=True, slots=True)
class FleetInstant:
    """An instant of the clock that all runs share.

    Attributes:
        at: The instant.
    """

    at: float

    @property
    def label(self) -> str:
        """The name in messages and of random streams."""
        return f"{self.at:g}"

    def known_rows(self, runs: Runs) -> ndarray:
        """Return how many rows of each run are known at it, shape (n,)."""
        then = (
            runs.ends["start"].to_numpy()[runs.run_of_row] + runs.data[CYCLE].to_numpy() <= self.at
        )
        return np.bincount(runs.run_of_row[then], minlength=runs.n)

    def have_ended(self, runs: Runs) -> ndarray:
        """Return which runs were seen to their last row by then, shape (n,)."""
        return self.known_rows(runs) == runs.lengths


def review_instants(runs: Runs, reviews: int) -> Sequence[FleetInstant]:
    """Return instants, evenly spread from the first at which a quarter of the failures has happened
    to before the last one.

    Raises:
        DataError: A run has no start, or too few have failed.
    """
    start = runs.ends["start"]
    if start.null_count():
        raise DataError(
            "dataset.roles.start: must be given for each run, so that runs have a clock in common."
        )
    failures = np.sort((start.to_numpy() + runs.ages)[runs.events])
    if len(failures) < 4 * LEAST:
        raise DataError(
            f"protocol.reviews: a fleet's clock needs {4 * LEAST} runs that failed, got "
            f"{len(failures)}."
        )
    first, last = failures[len(failures) // 4], failures[-LEAST]
    return [FleetInstant(float(at)) for at in np.round(np.linspace(first, last, reviews), 6)]


# Folds of boards: images that were cut from one board never lie on both sides of a cut.

BOARDS_APART = -1
"""The fold number of boards that are kept for the trials of a sweep."""

UNLABELLED = -2
"""The fold number of boards of which no image has a label: no fold tests them."""


class BoardFolds(Recipe):
    """Divide boards into folds, so that all images of a board are on one side.

    Attributes:
        folds: Parts of the boards; each is tested once.
        calibrate: The share of the boards to learn from that is set apart for the temperature and
            the threshold.
        apart: The share of the boards, by their names, that is never tested but by the trials of a
            sweep; the experiment learns from them.
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
        boards = images.boards.filter(Series(place >= 0)).n_unique()
        if boards < self.folds:
            raise DataError(
                f"protocol.folds: must be at most {boards}, the labelled boards that are tested, "
                f"got {self.folds}."
            )
        sizes = np.bincount(place[(place >= 0) & (images.codes >= 0)], minlength=self.folds)
        return held_out_folds(sizes.tolist())

    def fold_of_images(self, images: Images) -> ndarray:
        """Return the fold of each image's board, shape (n,).

        Boards with a label are dealt out in the order of a hash of their names. `BOARDS_APART` and
        `UNLABELLED` are of no fold.
        """
        labelled = images.boards.filter(Series(images.codes >= 0)).unique(maintain_order=True)
        tested = [name for name in labelled if not is_kept_apart(name, self.apart)]
        places = dict.fromkeys(images.boards, UNLABELLED) | dict.fromkeys(labelled, BOARDS_APART)
        for number, name in enumerate(_in_hash_order(tested, b"board")):
            places[name] = number % self.folds
        return _by_board(images, places)

    def calibrates(self, images: Images) -> ndarray:
        """Return which of the images to learn from are of the boards that are set apart for
        calibration, shape (n,).

        Raises:
            DataError: There are fewer than two boards.
        """
        boards = images.boards.unique(maintain_order=True).to_list()
        if len(boards) < 2:
            raise DataError(
                f"protocol.calibrate: needs two boards to learn from, got {len(boards)}."
            )
        count = min(max(round(self.calibrate * len(boards)), 1), len(boards) - 1)
        chosen = set(_in_hash_order(boards, b"calibrate")[:count])
        return _by_board(images, {name: int(name in chosen) for name in boards}) == 1


def with_kinds_changed(images: Images, which: ndarray, rng: np.random.Generator) -> Images:
    """Return the images with another kind for some of them, drawn among all others.

    Args:
        images: All images.
        which: A mask of shape (n,).
        rng: Draws the kinds.
    """
    kinds, codes = len(images.kinds), images.codes
    other = (codes + rng.integers(1, kinds, images.n)) % kinds
    turned = Series(np.where(which & (codes >= 0), other, codes)).replace_strict(
        {-1: None} | dict(enumerate(images.kinds)), return_dtype=pl.String
    )
    return images.with_kinds(turned)


def _in_hash_order(names: list[str], purpose: bytes) -> list[str]:
    return sorted(names, key=lambda name: hash_of(name, purpose))


def _by_board(images: Images, numbers: dict[str, int]) -> ndarray:
    return images.data[BOARD].replace_strict(numbers, return_dtype=pl.Int64).to_numpy()
