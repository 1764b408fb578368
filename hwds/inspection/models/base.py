"""InspectionModel: the recipe of a model of images, calibrated on boards that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy import ndarray

from hwds.core.errors import DataError
from hwds.core.recipe import Recipe
from hwds.core.serialization import Serializable
from hwds.evaluation.protocol import RunContext
from hwds.frames.images import Images
from hwds.frames.table import check_frame

# One temperature for all log odds of a classifier.

HOTTEST = 20.0
"""The highest temperature, and one over the lowest."""

SOFT = 1e-4
"""The least probability of what happened, so that one certain error does not decide the temperature
alone.
"""

FEWEST_DEFECTS = 10
"""The fewest defects that a temperature is fitted to.

Fitted to fewer, it mostly made the mean log loss of new images larger than a temperature of 1 does,
in draws of log odds that are right and of ones that are twice too large. Without a defect the least
loss is often at a temperature near 0.
"""


def softmax(logits: ndarray) -> ndarray:
    """Return probabilities from log odds up to a constant, shape (n, kinds)."""
    shifted = np.asarray(logits, float) - np.max(logits, axis=1, keepdims=True)
    powers = np.exp(shifted)
    return powers / powers.sum(axis=1, keepdims=True)


def best_temperature(logits: ndarray, codes: ndarray) -> float:
    """Return the temperature of least log loss (Guo et al. 2017, "On calibration of modern neural
    networks").

    Args:
        logits: Shape (n, kinds).
        codes: The kind that each shows, 0 where it is good, -1 where it is not known; shape (n,).

    Returns:
        1 where fewer than `FEWEST_DEFECTS` of them show a defect.
    """
    from scipy.optimize import minimize_scalar

    known = codes >= 0
    if (codes > 0).sum() < FEWEST_DEFECTS:
        return 1.0
    rows = np.arange(int(known.sum()))

    def loss(log_temperature: float) -> float:
        chance = softmax(logits[known] / np.exp(log_temperature))[rows, codes[known]]
        return float(-np.log(np.maximum(chance, SOFT)).mean())

    reach = float(np.log(HOTTEST))
    return float(
        np.exp(
            minimize_scalar(
                loss, bounds=(-reach, reach), method="bounded", options={"xatol": 1e-6}
            ).x
        )
    )


# InspectionModel: the recipe of a model of images; what it learns is calibrated on boards that
# it has not seen.

GRID = 8
"""Cells of a saliency map along each side."""


class FittedInspection(Protocol):
    """The result of `InspectionModel.learn`."""

    @property
    def knows_kinds(self) -> bool:
        """True where it tells kinds of defects apart."""

    def evidence(self, images: Images) -> ndarray:
        """Return the log odds of each kind up to a constant, shape (n, kinds).

        A model that knows no kinds returns how far each image is from good ones, shape (n, 1).
        """

    def saliency(self, images: Images) -> ndarray | None:
        """Return where in each image a defect is seen, 0 to 1, shape (n, GRID, GRID).

        None of a model that cannot say.
        """


class InspectionModel(Recipe):
    """A model of whether a part is good, by its picture, and which defect it has."""

    def check_images(self, images: Images) -> None:
        """Refuse images that the model cannot read; called before the first cell.

        Raises:
            ConfigError: A setting does not go with their size.
        """

    def learn(self, images: Images, context: RunContext) -> FittedInspection:
        """Return the model fitted to images whose kinds are known."""
        raise NotImplementedError(f"{type(self).__name__}.learn")

    def inspector(
        self, images: Images, calibrate: Images, budget: float, context: RunContext
    ) -> Inspector:
        """Return the model learned from some boards, with a temperature and a threshold by
        others.
        """
        return Inspector.calibrated(self.learn(images, context), calibrate, budget)

    def fit(
        self,
        images: Images,
        calibrate: Images,
        *,
        budget: float = 0.05,
        context: RunContext | None = None,
    ) -> Inspector:
        """Return the calibrated model, in Python and without a run of an experiment.

        Args:
            images: The images to learn from.
            calibrate: The images of other boards, for the temperature and the threshold.
            budget: The share of good images that may be flagged.
            context: Random streams and threads; seed 0 and one thread where it is not given.

        Raises:
            ConfigError: The frame is of another kind.
            DataError: The images are all good, or none is.

        Example:
            >>> hwds.inspection.CNN().fit(images, others).judge(new).score  # doctest: +SKIP
        """
        for frame in (images, calibrate):
            check_frame("fit", frame, Images, self)
            refuse_one_class(frame)
        return self.inspector(images, calibrate, budget, context or RunContext(0))


def refuse_one_class(images: Images) -> None:
    """Refuse images of which none is good, or none has a defect.

    Raises:
        DataError: With the kind that they all have.
    """
    known = images.codes[images.codes >= 0]
    if not len(known):
        raise DataError("dataset: no image has a label.")
    if (known == 0).all() or (known > 0).all():
        what = f"'{images.good}'" if (known == 0).all() else f"defects, none is '{images.good}'"
        raise DataError(
            f"dataset: all {len(known):,} images are {what}; good ones and defects are needed to "
            f"tell them apart."
        )


@dataclass(frozen=True, eq=False)
class Judgements:
    """The answers of an inspector to images.

    Attributes:
        score: The suspicion of each image: the probability of a defect, or the distance from good
            ones; shape (n,).
        probability: The probability of each kind, shape (n, kinds); None of a model that knows no
            kinds.
    """

    score: ndarray
    probability: ndarray | None


@dataclass(frozen=True, eq=False)
class Inspector(Serializable):
    """A fitted model with its temperature and its threshold.

    Attributes:
        fitted: The model.
        temperature: The divisor of its log odds (Guo et al. 2017).
        threshold: An image of a higher score is flagged: of good images like those that calibrate
            at most the budget's share is; of those of new boards so few are only where many boards
            calibrate.
    """

    fitted: FittedInspection
    temperature: float
    threshold: float

    @classmethod
    def calibrated(cls, fitted: FittedInspection, images: Images, budget: float) -> Inspector:
        """Return the model with the temperature of least log loss on images, and the threshold of a
        budget of false alarms.

        Args:
            fitted: The model, learned from other boards.
            images: The images to calibrate by.
            budget: The share of good images that may be flagged.

        Raises:
            DataError: None of the images is good.
        """
        temperature = (
            best_temperature(fitted.evidence(images), images.codes) if fitted.knows_kinds else 1.0
        )
        return cls.at_temperature(fitted, temperature, images, budget)

    @classmethod
    def at_temperature(
        cls, fitted: FittedInspection, temperature: float, images: Images, budget: float
    ) -> Inspector:
        """Return the model at a temperature, with the threshold of a budget of false alarms at that
        temperature.

        Args:
            fitted: The model, learned from other boards.
            temperature: The divisor of its log odds.
            images: The images to choose the threshold by.
            budget: The share of good images that may be flagged.

        Raises:
            DataError: None of the images is good.
        """
        raw = cls(fitted, temperature, np.inf)
        good = raw.judge(images).score[images.codes == 0]
        if not len(good):
            raise DataError(
                "protocol.calibrate: none of the boards that calibrate has a good image; take "
                "more of them."
            )
        return cls(fitted, temperature, budget_threshold(good, budget))

    def over_boards(self, images: Images, budget: float) -> Inspector:
        """Return the model with a threshold whose budget holds for good images of new boards.

        Args:
            images: The images to choose the threshold by.
            budget: The share of their good images that may be flagged.
        """
        good = images.take(images.codes == 0)
        return replace(
            self,
            threshold=threshold_over_boards(self.judge(good).score, good.boards.to_numpy(), budget),
        )

    def judge(self, images: Images) -> Judgements:
        """Return the predictions of images."""
        evidence = self.fitted.evidence(images)
        if not self.fitted.knows_kinds:
            return Judgements(evidence[:, 0], None)
        probability = softmax(evidence / self.temperature)
        return Judgements(1 - probability[:, 0], probability)

    def saliency(self, images: Images) -> ndarray | None:
        """Return where in each image a defect is seen, 0 to 1, shape (n, GRID, GRID).

        None where the model cannot say.
        """
        return self.fitted.saliency(images)


def budget_threshold(good: ndarray, budget: float) -> float:
    """Return the score that another good image exceeds with at most the budget's probability (Vovk
    et al. 2005).

    Infinite where so few good images promise nothing: fewer than 1 / budget - 1.

    Args:
        good: Scores of good images, exchangeable with the other one, shape (n,).
        budget: The probability.
    """
    rank = int(np.ceil((1 - budget) * (len(good) + 1) - 1e-9))
    return float(np.sort(good)[rank - 1]) if rank <= len(good) else np.inf


def threshold_over_boards(good: ndarray, boards: ndarray, budget: float) -> float:
    """Return the score that a good image of a new board exceeds with at most the budget's
    probability.

    Each board counts the same, and the new one as if all its images scored higher (Lee, Barber and
    Willett 2023, "Distribution-free inference with hierarchical data"). Infinite where there are
    fewer boards than `boards_needed`.

    Args:
        good: Scores of good images, shape (n,).
        boards: The board of each, exchangeable with the new one; shape (n,).
        budget: The probability.
    """
    _, place, sizes = np.unique(boards, return_inverse=True, return_counts=True)
    order = np.argsort(good, kind="stable")
    below = np.cumsum(1 / sizes[place[order]]) / (len(sizes) + 1)
    rank = int(np.searchsorted(below, 1 - budget - 1e-9))
    return float(good[order[rank]]) if rank < len(good) else np.inf


def false_alarms_at_most(budget: float, boards: int) -> float:
    """Return the most good images of new boards, as a share, that a threshold of `budget_threshold`
    flags.

    Boards are exchangeable and have equally many good images each; those of one board may be alike
    as much as they will. The bound is that of conformal prediction with groups (Lee, Barber and
    Willett 2023, "Distribution-free inference with hierarchical data"), for a quantile of the
    images instead of one that a new board is counted in.

    Args:
        budget: The share that the threshold was chosen by.
        boards: The number of boards that it was chosen on.
    """
    return budget + (1 - budget) / (boards + 1)


def boards_needed(budget: float) -> int:
    """Return from how many boards that calibrate on at most twice the budget's share of new boards'
    good images is flagged.
    """
    return int(np.ceil(1 / budget - 1 - 1e-9))
