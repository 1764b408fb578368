"""Binary labels: metrics of ranks and of probabilities, and maps from scores to probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal, Self

import numpy as np
from numpy import ndarray

from hwds.core.errors import DataError
from hwds.core.serialization import Serializable
from hwds.stats.distributions import EDGE, log_odds, sigmoid

# Metrics of scores that order rows of a rare binary label: average precision, the ROC,
# precision and recall at a point.

REACHED = 1 - 1e-12
"""Sums of weights differ in their last bits: a recall that is asked for counts as reached from here
on.
"""


@dataclass(frozen=True, eq=False)
class Curves:
    """Sums of weights at every threshold where there is a row of label 1, from the highest on: all
    that the metrics need.

    Attributes:
        hits: The weight of rows with label 1 at or above it, shape (weightings, thresholds); the
            last is all of them.
        misses: The weight of rows with label 0 at or above it.
        above: The weight of rows with label 0 above it.
        total: The weight of all rows with label 0, shape (weightings,).
    """

    hits: ndarray
    misses: ndarray
    above: ndarray
    total: ndarray

    @cached_property
    def positive(self) -> ndarray:
        """The weight of all rows of label 1, NaN where they have none, shape (weightings,)."""
        if not self.hits.shape[1]:
            return np.full(len(self.hits), np.nan)
        return np.where(self.hits[:, -1] > 0, self.hits[:, -1], np.nan)

    @cached_property
    def gained(self) -> ndarray:
        """The weight of the rows of label 1 at each threshold."""
        return np.diff(self.hits, prepend=0.0, axis=1)

    @cached_property
    def precision(self) -> ndarray:
        """The share of label 1 at or above each threshold, 0 where no weight lies there."""
        flagged = self.hits + self.misses
        return np.divide(self.hits, flagged, out=np.zeros(flagged.shape), where=flagged > 0)

    @property
    def average_precision(self) -> ndarray:
        """The sum over thresholds of precision times the recall gained there.

        NaN without label 1.
        """
        return np.einsum("ij,ij->i", self.gained, self.precision) / self.positive

    @property
    def auroc(self) -> ndarray:
        """The chance that a row of label 1 has a higher score than one of label 0, ties half.

        NaN with one class.
        """
        # negatives below a threshold, and half of those that tie with it
        below = self.total[:, None] - (self.misses + self.above) / 2
        total = np.where(self.total > 0, self.total, np.nan)
        return np.einsum("ij,ij->i", self.gained, below) / (self.positive * total)

    def precision_at_recall(self, recall: float) -> ndarray:
        """Return the highest precision among thresholds whose recall is at least so much.

        NaN without label 1.
        """
        reached = self.hits >= REACHED * recall * np.nan_to_num(self.positive)[:, None]
        best = np.where(reached, self.precision, 0.0).max(axis=1, initial=0.0)
        return np.where(np.isnan(self.positive), np.nan, best)

    def recall_at_precision(self, precision: float) -> ndarray:
        """Return the highest recall among thresholds of at least a precision, 0 where none is.

        NaN without label 1.
        """
        return (
            np.where(self.precision >= REACHED * precision, self.hits, 0.0).max(axis=1, initial=0.0)
            / self.positive
        )


@dataclass(frozen=True, eq=False)
class Ranking:
    """Rows by the thresholds that they lie at or between, put in order once for any number of
    weightings.

    Only scores of rows with label 1 are thresholds: between two of them recall stands still and
    precision falls.

    Attributes:
        positives, negatives: The rows of each label.
        level: The threshold of each positive row, 0 for the highest.
        place: The place of each negative row: 2t + 1 where it ties with threshold t, 2t where it
            lies right above.
        levels: The number of thresholds.
    """

    positives: ndarray
    negatives: ndarray
    level: ndarray
    place: ndarray
    levels: int

    @classmethod
    def of(cls, label: ndarray, score: ndarray) -> Self:
        """Return the ranking of rows by their scores, shape (n,) each."""
        positives, negatives = np.flatnonzero(label > 0), np.flatnonzero(label <= 0)
        # of negative scores, so that threshold 0 is the highest
        thresholds, level = np.unique(-score[positives], return_inverse=True)
        between = np.searchsorted(thresholds, -score[negatives], side="left")
        tied = between < len(thresholds)
        tied[tied] = thresholds[between[tied]] == -score[negatives][tied]
        return cls(positives, negatives, level, 2 * between + tied, len(thresholds))

    @cached_property
    def _sorted(self) -> tuple[ndarray, ndarray, ndarray, ndarray]:
        """Rows of either label from the highest on, and how many of them are at or above each of
        their places.
        """
        ordered = (
            rows[np.argsort(at, kind="stable")]
            for rows, at in ((self.positives, self.level), (self.negatives, self.place))
        )
        positives, negatives = ordered
        hits, misses = (
            np.bincount(self.level, minlength=self.levels),
            np.bincount(self.place, minlength=2 * self.levels + 1),
        )
        return positives, np.cumsum(hits), negatives, np.cumsum(misses)

    def curves(self, weight: ndarray) -> Curves:
        """Return the sums at each threshold under weightings of the rows, in their order, shape
        (weightings, n).
        """
        positives, at_level, negatives, at_place = self._sorted
        hits = np.cumsum(group_sums(weight[:, positives], at_level), axis=1)
        misses = np.cumsum(group_sums(weight[:, negatives], at_place), axis=1)
        # odd places tie with a threshold, even ones lie right above it
        return Curves(hits, misses[:, 1::2], misses[:, :-1:2], misses[:, -1])


def group_sums(values: ndarray, ends: ndarray) -> ndarray:
    """Return the sums of neighbouring columns, shape (rows, groups).

    Args:
        values: The values to sum, shape (rows, columns).
        ends: The end of each group, the last the number of columns; a group may be empty.
    """
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
    filled = ends > starts
    sums = np.zeros((len(values), len(ends)))
    if filled.any():
        sums[:, filled] = np.add.reduceat(values, starts[filled], axis=1)
    return sums


def average_precision(label: ndarray, score: ndarray) -> float:
    """Return the area under precision against recall: the mean over positives of the precision at
    the score of each.

    Rows of one score count together. As scikit-learn's `average_precision_score`.

    Args:
        label: The label of each row, 1.0 or 0.0, shape (n,).
        score: The higher the more suspicious, shape (n,).
    """
    return float(Ranking.of(label, score).curves(np.ones((1, len(label)))).average_precision[0])


# Metrics of probabilities of a binary label: proper scores, and whether they mean what they
# say.

BINS = 15
"""The bins of the expected calibration error, each of the same weight."""

LIKELY = 0.1
"""From this probability on realised positives are counted against those expected."""

STEPS = 100
"""The most steps of Newton's method."""


@dataclass(frozen=True, eq=False)
class Probabilities:
    """Proper scores and calibration of rows, as functions of sums over rows: prepared once for any
    number of weightings.

    The expected calibration error is the mean over bins of |mean probability - share of label 1|
    (Naeini, Cooper and Hauskrecht 2015, with bins of equal mass as Nixon et al. 2019); rows of one
    probability lie in one bin. Slope and intercept are those of a logistic regression of the label
    on the log odds of the probability, 1 and 0 where it is calibrated; a slope below 1 says that
    probabilities are too extreme (Cox 1958; Van Calster et al. 2019). The log loss clips at 1e-7.

    Bins are those of the base weights. The slope and the intercept under other weights are one step
    of Newton's method from those of the base weights: the usual one-step bootstrap of a
    maximum-likelihood estimate.

    Attributes:
        fit: Slope and intercept under the base weights.
        parts: The summands of each row, shape (n, columns): one, both losses, realised and expected
            among the likely, five terms of Newton's step, and probability less label in the column
            of its bin.
    """

    fit: ndarray
    parts: ndarray

    @classmethod
    def of(cls, label: ndarray, probability: ndarray, base: ndarray) -> Self:
        """Prepare the rows."""
        odds = log_odds(probability)
        fit = _fit_line(odds, label, base)
        likely = probability >= LIKELY
        sums = [np.ones(len(label)), (probability - label) ** 2, _log_losses(label, probability)]
        sums += [likely * label, likely * probability, *_newton_terms(odds, label, fit).T]
        bins = bins_of(probability, base)
        excess = np.zeros((len(label), BINS))
        excess[np.arange(len(label)), bins] = probability - label
        return cls(fit, np.column_stack([*sums, excess]))

    def values(self, sums: ndarray) -> dict[str, ndarray]:
        """Return each metric by its name, shape (weightings,), from the weighted sums of `parts`,
        (weightings, columns).
        """
        total, squared, logarithmic, realised, expected = sums[:, :5].T
        slope, intercept = self._step(sums[:, 5:10])
        mean = 1 / np.where(total > 0, total, np.nan)
        return {
            "brier": squared * mean,
            "log_loss": logarithmic * mean,
            "ece": np.abs(sums[:, 10:]).sum(axis=1) * mean,
            "calibration_slope": slope,
            "calibration_intercept": intercept,
            f"observed_to_expected[p>={LIKELY}]": realised
            / np.where(expected > 0, expected, np.nan),
        }

    def _step(self, terms: ndarray) -> tuple[ndarray, ndarray]:
        """Return slope and intercept one step of Newton's method on, NaN where its matrix is
        singular.
        """
        slope, intercept, twice, once, none = terms.T
        # the inverse of a 2 x 2 matrix in closed form, for all weightings at once
        determinant = twice * none - once**2
        whole = np.where(determinant > 1e-12 * twice * none, determinant, np.nan)
        steps = (
            (none * slope - once * intercept) / whole,
            (twice * intercept - once * slope) / whole,
        )
        return self.fit[0] + steps[0], self.fit[1] + steps[1]


def bins_of(probability: ndarray, weight: ndarray) -> ndarray:
    """Return the bin of each row: bins of about the same weight, cut where probabilities differ,
    shape (n,).
    """
    if not (weight > 0).any():
        return np.zeros(len(probability), np.int64)
    inner = np.linspace(0, 1, BINS + 1)[1:-1]
    edges = np.quantile(probability, inner, weights=weight, method="inverted_cdf")
    return np.searchsorted(np.unique(edges), probability, side="left")


def _log_losses(label: ndarray, probability: ndarray) -> ndarray:
    clipped = np.clip(probability, EDGE, 1 - EDGE)
    return -(label * np.log(clipped) + (1 - label) * np.log1p(-clipped))


def _newton_terms(odds: ndarray, label: ndarray, fit: ndarray) -> ndarray:
    """Return for each row the gradient by slope and intercept, then the three terms of the negative
    Hessian.
    """
    predicted = sigmoid(fit[0] * odds + fit[1])
    rest, spread = label - predicted, predicted * (1 - predicted)
    return np.column_stack([rest * odds, rest, spread * odds**2, spread * odds, spread])


def _fit_line(odds: ndarray, label: ndarray, weight: ndarray) -> ndarray:
    """Slope and intercept by Newton's method with halved steps.

    NaN where the likelihood has no finite maximum.
    """
    nothing = np.full(2, np.nan)
    used = weight > 0
    odds, label, weight = odds[used], label[used], weight[used]
    if len(np.unique(label)) < 2 or np.ptp(odds) == 0:
        return nothing
    if (
        odds[label == 1].min() >= odds[label == 0].max()
        or odds[label == 1].max() <= odds[label == 0].min()
    ):
        return nothing  # a threshold parts the classes: the slope would grow for ever
    fit, best = np.array([1.0, 0.0]), -np.inf
    step = np.zeros(2)
    for _ in range(STEPS):
        trial = fit + step
        line = trial[0] * odds + trial[1]
        likelihood = float(weight @ (label * line - np.logaddexp(0.0, line)))
        if likelihood < best - 1e-9 * abs(best):
            # far from the maximum Newton's step overshoots
            step = step / 2
            continue
        slope, intercept, twice, once, none = weight @ _newton_terms(odds, label, trial)
        fit, best, before = trial, likelihood, fit
        step = np.linalg.solve(
            np.array([[twice, once], [once, none]]), np.array([slope, intercept])
        )
        if np.abs(step).max() < 1e-10 * max(1.0, float(np.abs(before).max())):
            return fit + step
    return nothing


# Posterior draws of slope and intercept in the log odds, and the probabilities that they give a
# score.

SOBOL_PAIRS = 32
"""Pairs of antithetic draws."""

LEVEL = 0.95
ROW_BLOCK = 16_384
"""Rows that are computed together, which bounds memory."""


def draw_lines(line: ndarray, odds: ndarray, weight: ndarray | None, sensitivity: float) -> ndarray:
    """Return slopes and intercepts around the likeliest line, shape (64, 2), always the same ones
    for the same labels.

    Normal, with the inverse of Fisher's information as covariance (Laplace's approximation; MacKay
    1992, "The evidence framework applied to classification networks"); a slope is at least 0. Where
    rows stand for others, they inform as much as the sample of equal weights that is as sure (Kish
    1965).

    Args:
        line: Slope and intercept.
        odds: What the line is one in, shape (n,).
        weight: The weight of each row, shape (n,); None is 1.
        sensitivity: The share of positive rows whose label is 1.
    """
    from scipy.stats import norm
    from scipy.stats.qmc import Sobol

    full = np.column_stack([odds, np.ones(len(odds))])
    likely = sigmoid(full @ line)
    labelled = sensitivity * likely
    # the label is 1 with probability q = sensitivity x p: its information is q'^2 / (q (1 - q))
    steep = sensitivity * likely * (1 - likely)
    times = np.ones(len(odds)) if weight is None else weight * weight.sum() / np.sum(weight**2)
    information = (
        full.T * (times * steep**2 / np.maximum(labelled * (1 - labelled), 1e-300))
    ) @ full
    # a little of the trace keeps the matrix invertible where a slope is hardly known
    spread = np.linalg.cholesky(
        np.linalg.inv(information + 1e-9 * np.trace(information) * np.eye(2))
    )
    # antithetic pairs: the mean of the draws is the line itself
    normals = norm.ppf(Sobol(2, scramble=True, rng=0).random(SOBOL_PAIRS))
    around = np.concatenate([normals, -normals]) @ spread.T
    return np.maximum(line + around, [0.0, -np.inf])


def mean_probability(lines: ndarray, odds: ndarray) -> ndarray:
    """Return the mean probability over lines, shape (n,)."""
    totals = [
        sum(chances, start=np.zeros(chances.shape[1])) for chances in _probabilities(lines, odds)
    ]  # line by line: the same bits for few rows
    return np.concatenate([np.zeros(0), *totals]) / len(lines)


def probability_interval(lines: ndarray, odds: ndarray) -> ndarray:
    """Return the 95 % interval of probability over lines at each score, shape (2, n)."""
    ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    return np.concatenate(
        [
            np.zeros((2, 0)),
            *(np.quantile(chances, ends, axis=0) for chances in _probabilities(lines, odds)),
        ],
        axis=1,
    )


def _probabilities(lines: ndarray, odds: ndarray) -> Iterator[ndarray]:
    """Yield probabilities by line and row, for a block of rows at a time."""
    for begin in range(0, len(odds), ROW_BLOCK):
        yield sigmoid(lines[:, :1] * odds[begin : begin + ROW_BLOCK] + lines[:, 1:])


# The few lines of a logistic regression that calibrators and stacks share.

RIDGE = 1e-6
"""A pull on slopes that no figure shows, and that keeps them finite where scores part the labels
without a miss.
"""

NEWTON_STEPS = 200
NEWTON_TOLERANCE = 1e-10


def cross_entropy(odds: ndarray, target: ndarray, weight: ndarray | float = 1.0) -> float:
    """Return the sum over rows of -target log p - (1 - target) log(1 - p), each as often as its
    weight says.
    """
    return float(np.sum(weight * (np.logaddexp(0.0, odds) - target * odds)))


def logit_fit(
    inputs: ndarray,
    target: ndarray,
    given: ndarray | float = 0.0,
    weight: ndarray | None = None,
) -> ndarray:
    """Return slopes and intercept of least cross-entropy, by Newton's steps, halved where they go
    too far.

    Args:
        inputs: The inputs of each row, shape (n, k).
        target: Targets between 0 and 1, shape (n,).
        given: Log odds that are there already, shape (n,).
        weight: The weight of each row, shape (n,); None is 1.
    """
    times = np.ones(len(inputs)) if weight is None else weight
    full = np.column_stack([inputs, np.ones(len(inputs))])
    pull = np.append(np.full(inputs.shape[1], RIDGE), 0.0)

    def loss(weights: ndarray) -> float:
        return cross_entropy(given + full @ weights, target, times) + 0.5 * float(pull @ weights**2)

    # begun at the constant whose probability is the mean target
    weights = np.append(
        np.zeros(inputs.shape[1]), log_odds(np.array([np.average(target, weights=times)]), 1e-12)
    )
    for _ in range(NEWTON_STEPS):
        chance = sigmoid(given + full @ weights)
        slope = full.T @ (times * (chance - target)) + pull * weights
        curve = (full.T * (times * chance * (1 - chance))) @ full + np.diag(pull + 1e-12)
        step, least = np.linalg.solve(curve, slope), loss(weights)
        while loss(weights - step) > least and np.abs(step).max() > NEWTON_TOLERANCE:
            step = step / 2
        weights = weights - step
        if np.abs(step).max() <= NEWTON_TOLERANCE * (1 + np.abs(weights).max()):
            break
    return weights


def rising_fit(inputs: ndarray, target: ndarray, weight: ndarray | None = None) -> ndarray:
    """Return the same as `logit_fit` with slopes of at least 0: the most negative is left out and
    the rest fitted anew.
    """
    columns = list(range(inputs.shape[1]))
    while True:
        fit = logit_fit(inputs[:, columns], target, weight=weight)
        slopes = fit[:-1]
        if not len(slopes) or slopes.min() >= 0:
            break
        columns.pop(int(slopes.argmin()))
    weights = np.zeros(inputs.shape[1] + 1)
    weights[[*columns, -1]] = fit
    return weights


# From scores to probabilities: a line in the log odds, the beta map, or a rising step function.

CalibratorKind = Literal["none", "platt", "bayes", "beta", "isotonic"]

EM_ROUNDS = 200
EM_TOLERANCE = 1e-9
SAME_SCORE = 1e-15
"""Scores that are nearer to each other are one: what adds up in another order is no other score."""


@dataclass(frozen=True, eq=False)
class Calibrator(Serializable):
    """A rising map from scores to probabilities.

    Attributes:
        kind: The kind of the map.
        coefficients: The coefficients: of `platt` slope and intercept; of `bayes` those of many
            lines, shape (lines, 2); of `beta` slopes of log p and -log(1 - p), and the intercept;
            of others none.
        knots: Scores and their probabilities between which `isotonic` goes in straight lines, shape
            (2, knots).
        chance: Whether the scores are probabilities, not log odds.
        sensitivity: The chance that a positive row bears its label, by which a map to the label is
            divided; 1 where the map is one to being positive.
    """

    kind: CalibratorKind
    coefficients: ndarray
    knots: ndarray
    chance: bool = False
    sensitivity: float = 1.0

    renamed: ClassVar[Mapping[str, str]] = {"told": "coefficients", "found": "sensitivity"}

    def probability(self, score: ndarray) -> ndarray:
        """Return the probability of a row being positive, shape (n,)."""
        return np.minimum(self._label_probability(score) / self.sensitivity, 1.0)

    def interval(self, score: ndarray) -> ndarray | None:
        """Return the 95 % interval of probability over the lines of `bayes`, shape (2, n).

        None for the other maps.
        """
        return (
            probability_interval(self.coefficients, self._own_odds(score))
            if self.kind == "bayes"
            else None
        )

    def odds(self, score: ndarray) -> ndarray:
        """Return the log odds of a row being positive, shape (n,).

        Those of a line are not cut at the edges.
        """
        if self.sensitivity == 1.0 and self.kind in ("none", "platt"):
            return self._line(self._own_odds(score))
        return log_odds(self.probability(score))

    def _own_odds(self, score: ndarray) -> ndarray:
        return log_odds(score) if self.chance else score

    def _line(self, odds: ndarray) -> ndarray:
        return self.coefficients[0] * odds + self.coefficients[1] if self.kind == "platt" else odds

    def _label_probability(self, score: ndarray) -> ndarray:
        """Return the probability of the label being 1."""
        if self.kind == "isotonic":
            return np.interp(score, self.knots[0], self.knots[1])
        odds = self._own_odds(score)
        if self.kind == "beta":
            below, above = _beta_inputs(
                odds
            ).T  # no matrix product, whose last bits depend on the number of rows
            return sigmoid(
                self.coefficients[0] * below + self.coefficients[1] * above + self.coefficients[2]
            )
        return (
            mean_probability(self.coefficients, odds)
            if self.kind == "bayes"
            else sigmoid(self._line(odds))
        )


def identity_calibrator(chance: bool, sensitivity: float = 1.0) -> Calibrator:
    """Return the map that takes scores for log odds, or for probabilities, of the label."""
    return Calibrator("none", np.zeros(0), np.zeros((2, 0)), chance, sensitivity)


def fit_calibrator(
    kind: CalibratorKind,
    score: ndarray,
    label: ndarray,
    *,
    chance: bool = False,
    weight: ndarray | None = None,
    sensitivity: float = 1.0,
) -> Calibrator:
    """Return the rising map of a kind that fits the labels best.

    `platt` is the line in the log odds with Platt's targets, (N1 + 1) / (N1 + 2) and 1 / (N0 + 2),
    for labels that may be wrong either way (Platt 1999; with a `sensitivity` below 1, which says
    how they are wrong, the labels themselves); `beta` has slopes of log p and of -log(1 - p), each
    at least 0 (Kull, Silva Filho and Flach 2017): what is negative is left out and the rest fitted
    anew. Where high scores go with 0 the map is flat. `bayes` is the mean of many lines, as far
    apart as few labels leave them (`line_posterior`), around that of half a row of the other label
    in each kind (Krichevsky and Trofimov 1981): what is expected of a choice under it is not too
    good because the one fitted line happened to be a good one.

    Args:
        kind: The kind of the map.
        score: The score of each row, shape (n,).
        label: The label of each row, 1.0 or 0.0, shape (n,).
        chance: Whether scores are probabilities, not log odds.
        weight: The weight of each row, shape (n,), 1 on the average; None is 1.
        sensitivity: The share of positive rows whose label is 1; those of label 0 are taken for
            positive as far as it and the map say, and the map is one to being positive (Magder and
            Hughes 1997, "Logistic regression when the outcome is measured with uncertainty"). The
            chances of `none` and `isotonic`, which are maps to the label, are divided by it.

    Raises:
        DataError: The labels are of one kind.
    """
    nothing = np.zeros((2, 0))
    if kind == "none":
        return identity_calibrator(chance, sensitivity)
    positives = int(label.sum())
    if not 0 < positives < len(label):
        raise DataError(
            f"model.calibration: '{kind}' needs rows of 0 and of 1 in the window to calibrate by,"
            f" it has {len(label) - positives} and {positives}; take more protocol.calibrate_days."
        )
    if kind == "isotonic":
        return Calibrator(kind, np.zeros(0), _fit_steps(score, label, weight), chance, sensitivity)
    odds = log_odds(score) if chance else score
    if kind == "platt":
        target = _soften_labels(label, 1.0) if sensitivity == 1 else label
        return Calibrator(
            kind,
            _fit_calibration_line(odds[:, None], label, target, weight, sensitivity),
            nothing,
            chance,
        )
    if kind == "bayes":
        line = _fit_calibration_line(
            odds[:, None], label, _soften_labels(label, 0.5), weight, sensitivity
        )
        return Calibrator(kind, draw_lines(line, odds, weight, sensitivity), nothing, chance)
    return Calibrator(
        kind,
        _fit_calibration_line(_beta_inputs(odds), label, label, weight, sensitivity),
        nothing,
        chance,
    )


def _soften_labels(label: ndarray, rows: float) -> ndarray:
    """Return labels as if so many rows of each class bore the other one."""
    positives = float(label.sum())
    return np.where(
        label == 1,
        (positives + rows) / (positives + 2 * rows),
        rows / (len(label) - positives + 2 * rows),
    )


def _fit_calibration_line(
    inputs: ndarray,
    label: ndarray,
    target: ndarray,
    weight: ndarray | None,
    sensitivity: float,
) -> ndarray:
    """Return the fit of least cross-entropy.

    Where labels miss positives, by EM: a 0 counts as 1 by its chance.
    """
    fit = rising_fit(inputs, target, weight)
    for _ in range(EM_ROUNDS if sensitivity < 1 else 0):
        before, likely = fit, sigmoid(inputs @ fit[:-1] + fit[-1])
        missed = np.where(label == 1, 0.0, likely * (1 - sensitivity) / (1 - likely * sensitivity))
        fit = rising_fit(inputs, target + (1 - target) * missed, weight)
        if np.abs(fit - before).max() <= EM_TOLERANCE * (1 + np.abs(fit).max()):
            break
    return fit


def _beta_inputs(odds: ndarray) -> ndarray:
    clipped = np.clip(sigmoid(odds), EDGE, 1 - EDGE)
    return np.column_stack([np.log(clipped), -np.log1p(-clipped)])


def _fit_steps(score: ndarray, label: ndarray, weight: ndarray | None) -> ndarray:
    """Return the knots of the isotonic fit, shape (2, knots): the ends of each stretch of scores
    with one probability.
    """
    from scipy.optimize import isotonic_regression

    weight = np.ones(len(score)) if weight is None else weight
    order = np.lexsort((label, score))
    order = order[weight[order] > 0]
    starts = [0]
    for place, value in enumerate(values := score[order].tolist()):
        if value - values[starts[-1]] >= SAME_SCORE:
            starts.append(place)
    group = np.repeat(np.arange(len(starts)), np.diff([*starts, len(order)]))
    mass = np.bincount(group, weight[order])
    mean = np.bincount(group, weight[order] * label[order]) / mass
    share = np.clip(isotonic_regression(mean, weights=mass).x, 0.0, 1.0)
    kept = np.ones(len(share), bool)
    kept[1:-1] = (share[1:-1] != share[:-2]) | (share[1:-1] != share[2:])
    return np.stack([score[order][starts][kept], share[kept]])
