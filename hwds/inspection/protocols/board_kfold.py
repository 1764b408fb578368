"""K folds of boards: no image of a board that is tested was learned from, or calibrated on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le, Lt
from polars import DataFrame, Series, col

from hwds.core.errors import ConfigError, DataError, nearest
from hwds.core.recipe import Draws, Positive, Small
from hwds.evaluation.protocol import (
    Cell,
    Deployable,
    Evaluation,
    Fold,
    LeakTestable,
    RunContext,
    Score,
    Segmentable,
    Tunable,
    TuningSplit,
    check_headline,
)
from hwds.evaluation.row_folds import HeldOut
from hwds.evaluation.run_folds import BOARDS_APART, BoardFolds, with_kinds_changed
from hwds.frames.images import BOARD, IMAGE, Images
from hwds.inspection.family import INSPECTION
from hwds.inspection.judged import judged_rows, with_saliency
from hwds.inspection.metrics import CHANCE, InspectionTerms, inspection_measures, inspection_scores
from hwds.inspection.models.base import (
    FEWEST_DEFECTS,
    GRID,
    InspectionModel,
    Inspector,
    boards_needed,
    budget_threshold,
    false_alarms_at_most,
    refuse_one_class,
)
from hwds.results.tables import Measure


class BoardKFold(
    BoardFolds, Evaluation[InspectionModel, Images], Deployable, Segmentable, LeakTestable, Tunable
):
    """Divide boards into folds, and judge the images of each by models that have seen none of its
    boards.

    All images of a board are on one side. Some training boards are set apart: they choose the
    temperature of the probabilities and the threshold for the budget of false alarms.

    Attributes:
        headline: The metric that orders the leaderboard, by its short name (`recall`, `accuracy`,
            `cost`).
        budget: The share of good images that may be flagged.
        holds_for: The good images that the budget of the chosen threshold is valid for: `images`
            like the calibration images, or images of new `boards`, of which fewer are flagged.
        missed_cost: The cost of passing a defect.
        false_alarm_cost: The cost of rejecting a good image.
        explained: Images of each kind in each fold that get a map of where they look suspicious,
            from the best judged to the worst.
        resamples: The number of resamples of the bootstrap over boards.
        segments: Static columns of the images, whose values are scored apart too.
    """

    accepts: ClassVar[type] = InspectionModel
    frame_type: ClassVar[type] = INSPECTION.frame
    task: ClassVar[str] = INSPECTION.name
    keys: ClassVar[tuple[str, ...]] = (IMAGE,)
    unit: ClassVar[str] = IMAGE
    fields_not_in_key: ClassVar[tuple[str, ...]] = (
        *Evaluation.fields_not_in_key,
        "resamples",
        "missed_cost",
        "false_alarm_cost",
    )

    headline: str = INSPECTION.headline
    budget: Annotated[float, Ge(0.0001), Lt(1)] = 0.05
    holds_for: Literal["images", "boards"] = "images"
    missed_cost: Positive = 5.0
    false_alarm_cost: Positive = 1.0
    explained: Annotated[int, Ge(0), Le(1_000)] = 3
    resamples: Annotated[Draws, Small(100)] = 1000

    def split(self, frame: Images) -> Sequence[Fold]:
        """Return a fold for each part of the boards.

        Raises:
            DataError: The boards do not suffice, or the images to learn from, or to calibrate by,
                are of one class.
        """
        refuse_one_class(frame)
        folds = self.split_boards(frame)
        for fold in folds:
            self._refuse_few(*self._parts(frame, fold.index))
        return folds

    def _refuse_few(self, learn: Images, calibrate: Images, _: Images) -> None:
        refuse_one_class(learn)
        good = np.zeros(int((calibrate.codes == 0).sum()))
        if not np.isfinite(budget_threshold(good, self.budget)):
            least = int(np.ceil(1 / self.budget - 1 - 1e-9))
            raise DataError(
                f"protocol.budget: a threshold of {self.budget:g} needs {least} good images on "
                f"the boards that calibrate, got"
                f" {len(good)}; take a larger protocol.calibrate or protocol.budget."
            )

        boards = _good_boards(calibrate)
        needed = boards_needed(self.budget)
        if self.holds_for == "boards" and boards < needed:
            raise DataError(
                f"protocol.holds_for: a threshold of {self.budget:g} over boards needs {needed} "
                f"that calibrate,"
                f" got {boards}; take a larger protocol.calibrate or protocol.budget."
            )

    def _inspector(
        self, model: InspectionModel, learn: Images, calibrate: Images, context: RunContext
    ) -> Inspector:
        """Return a model with the threshold of the budget, over images or over boards."""
        inspector = model.inspector(learn, calibrate, self.budget, context)
        return (
            inspector.over_boards(calibrate, self.budget)
            if self.holds_for == "boards"
            else inspector
        )

    def _parts(self, frame: Images, fold: int | None) -> tuple[Images, Images, Images]:
        """Return the images to learn from, to calibrate by and to test where one fold is tested, or
        none.
        """
        known = frame.take(frame.codes >= 0)
        mine = self.fold_of_images(known) == fold if fold is not None else np.zeros(known.n, bool)
        rest = known.take(~mine)
        calibrates = self.calibrates(rest)
        return rest.take(~calibrates), rest.take(calibrates), known.take(mine)

    def evaluate_cell(
        self, model: InspectionModel, frame: Images, cell: Cell, context: RunContext
    ) -> DataFrame:
        """Learn and calibrate on the boards of the other folds; judge the images of this one."""
        learn, calibrate, held = self._parts(frame, cell.fold.index)
        inspector = self._inspector(model, learn, calibrate, context)
        return with_saliency(judged_rows(inspector, held), inspector, held, self.explained)

    def terms(self, good: str) -> InspectionTerms:
        """Return what scores are made by."""
        return InspectionTerms(
            good, self.budget, self.missed_cost, self.false_alarm_cost, self.resamples
        )

    def score(self, rows: DataFrame) -> list[Score]:
        """Return all metrics; the first column of probabilities is that of the good kind."""
        good = next(
            (name for name in rows.columns if name.startswith(CHANCE)), CHANCE
        ).removeprefix(CHANCE)
        return inspection_scores(rows, self.terms(good))

    def measures(self, frame: Images) -> Sequence[Measure]:
        """Return the metrics with their meanings."""
        return inspection_measures(self.terms(frame.good), frame.kinds[1:])

    def check_names(self) -> None:
        """Refuse a headline that is none of the task's metrics."""
        check_headline(self.headline, inspection_measures(self.terms("")))

    def check_models(self, models: Mapping[str, InspectionModel], frame: Images) -> None:
        """Refuse images that are too small, or that a model cannot read.

        Raises:
            ConfigError: A setting of a model does not go with their size.
            DataError: They have fewer pixels than a map has cells.
        """
        height, width, _ = frame.shape
        if min(height, width) < GRID:
            raise DataError(
                f"dataset: images must have {GRID} pixels along each side at least, got {width} x "
                f"{height}."
            )
        for model in models.values():
            if isinstance(model, InspectionModel):  # the truth reads images of any size
                model.check_images(frame)

    def warnings_before(self, frame: Images, models: Mapping[str, InspectionModel]) -> list[str]:
        """Return how many images other boards have too, how many have no label, and where few
        boards calibrate.
        """
        shared, several = frame.copies()
        unknown = int((frame.codes < 0).sum())
        out = []
        if shared:
            kinds = f", {several} of them under several labels" if several else ""
            out.append(
                f"{shared} of {frame.n} images have the very pixels of an image of another "
                f"board{kinds}."
            )
        if unknown:
            out.append(
                f"{unknown} of {frame.n} images have no label; nothing is learned from them."
            )
        return [*out, *self._remarks_on_calibration(frame)]

    def _remarks_on_calibration(self, frame: Images) -> Iterator[str]:
        """Yield what the boards that calibrate are too few for."""
        parts = [self._parts(frame, number)[1] for number in range(self.folds)]
        boards, needed = min(map(_good_boards, parts)), boards_needed(self.budget)
        if self.holds_for == "images" and boards < needed:
            yield (
                f"The threshold of a fold is chosen on the good images of {boards} boards: at "
                f"most {100 * self.budget:.3g} % of"
                f" other good images of these boards are flagged, but of those of new boards up to"
                f" {100 * false_alarms_at_most(self.budget, boards):.2g} % may be, for images of "
                f"one board are alike. At least"
                f" {needed} boards, by a larger protocol.calibrate, are better."
            )
        defects = min(int((part.codes > 0).sum()) for part in parts)
        if defects < FEWEST_DEFECTS:
            yield (
                f"Where fewer than {FEWEST_DEFECTS} defects are on the boards that calibrate a "
                f"fold ({defects} in one) the temperature"
                " of its probabilities is 1, not fitted; take a larger protocol.calibrate."
            )

    def labels(self, frame: Images, column: str) -> DataFrame:
        """Return a static column by image.

        Raises:
            ConfigError: There is no such column.
        """
        if column not in frame.static:
            raise ConfigError(
                f"protocol.segments: no static column '{column}'{nearest(column, frame.static)}"
            )
        known = frame.data.filter(Series(frame.codes >= 0))
        return known.select(IMAGE, segment=col(column))

    def why_not_tunable(self) -> str:
        """Return why trials have no boards to choose on, where none are set apart; else empty."""
        return (
            ""
            if self.apart
            else "tests every board, of which protocol.apart=0.3 would keep some to choose on"
        )

    def tuning_split(self, frame: Images, windows: int) -> TuningSplit:
        """Return folds of the boards that are set apart; no others are there.

        Raises:
            DataError: They do not suffice.
        """
        inner = replace(self, folds=max(windows, 2), apart=0.0, segments=(), explained=0)
        images = frame.take(self.fold_of_images(frame) == BOARDS_APART)
        return TuningSplit(inner, images, inner.split(images)[:windows])

    def corrupt_after(self, frame: Images, cutoff: HeldOut, rng: np.random.Generator) -> Images:
        """Return the images with another kind for each of the boards that a fold tests."""
        return with_kinds_changed(frame, self.fold_of_images(frame) == cutoff.fold, rng)

    def predictions_at(self, rows: DataFrame, cutoff: HeldOut, frame: Images) -> DataFrame:
        """Return the predictions of the images, without their labels and what was chosen by
        these.
        """
        chances = [name for name in rows.columns if name.startswith(CHANCE)]
        return rows.select(IMAGE, BOARD, "predicted", "score", "threshold", *chances)

    def fit_all(self, model: InspectionModel, frame: Images, context: RunContext) -> Inspector:
        """Return the model learned from all boards but those that calibrate it."""
        learn, calibrate, _ = self._parts(frame, None)
        self._refuse_few(learn, calibrate, learn)
        return self._inspector(model, learn, calibrate, context)

    def predict_new(self, fitted: Inspector, frame: Images, context: RunContext) -> DataFrame:
        """Return the predictions of the images without a label.

        Raises:
            DataError: All images have one.
        """
        new = frame.take(frame.codes < 0)
        if not new.n:
            raise DataError("dataset: all images have a label, so that there is none to judge.")
        rows = judged_rows(fitted, new).drop("actual")
        return rows.with_columns(flagged=col("score") > col("threshold"))


def _good_boards(images: Images) -> int:
    """Return how many boards have a good image."""
    return images.boards.filter(Series(images.codes == 0)).n_unique()
