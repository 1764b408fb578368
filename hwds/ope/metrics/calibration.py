"""Tests of logged propensities against a model of the log, arm by arm and group by group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

BLOCKS = 5
"""Parts of the log: the model is fitted on all before a part, and predicts that part."""

TOLERANCE = 0.01
"""The largest distance of a ratio from 1 that counts as none: propensities may be written with two digits."""

MOST_WEIGHT = 10.0
"""The largest weight: larger ones become this in the test of too much, which no right propensity then brings about."""

HELD = (1.0, MOST_WEIGHT)
"""Caps on shares in further tests, as multiples of an arm's least propensity: no weight is larger than these."""

TINY = 1e-9
"""Sums below this are 0 but for rounding."""

RARE = 0.02
"""The share of an arm's contexts whose propensities are taken as too small to be seen in the test of too little."""

LEAST_SHOWN = 30
"""Rows of an arm, as the model expects them, that a test needs; draws where rows are drawn together."""

LEAST_LARGE = 10
"""Rows of the largest weight that would make up what is expected, of which a test needs so many."""

MOST_ARMS = 50
"""Arms that are tested: those that the log shows most often."""

LEAVES, LEAF_ROWS = 64, 50
"""The size of the model of the log: a tree with so many leaves, each of so many rows (or draws) or more."""

MOST_ROWS = 200_000
"""Rows beyond which so many of them, drawn at random, are tested."""

LEVEL = 0.005
"""The share of logs with right propensities of which any test may say that they are wrong."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The frequency of arms in a log, over that which their propensities state.

    Attributes:
        arm: The number of the arm; None for all arms together.
        group: The name of the group of rows; None for all rows.
        ratio: 1 in expectation where propensities are right; 1.2 where they are 1.2 times too small.
        stderr: Its standard error.
        p_value: Of a ratio within the tolerance, corrected for the number of all tests.
        n: The rows that were tested.
    """

    arm: int | None
    group: str | None
    ratio: float
    stderr: float
    p_value: float
    n: int

    @property
    def refuted(self) -> bool:
        """True where propensities are wrong by this test."""
        return self.p_value < LEVEL


@dataclass(frozen=True, eq=False)
class ModelledPart:
    """A part of a log.

    Attributes:
        rows: Its rows.
        share: The share of each arm that the model expects, shape (rows, arms).
        shown: The arm that each row shows, shape (rows,).
        cluster: The draw that each row belongs to, shape (rows,); None where each is one.
    """

    rows: np.ndarray
    share: np.ndarray
    shown: np.ndarray
    cluster: np.ndarray | None

    @property
    def together(self) -> float:
        """The rows of a draw, as a row meets them on average."""
        return 1.0 if self.cluster is None else _together(self.cluster)


@dataclass(frozen=True, eq=False)
class LogModel:
    """A model of which arms a log shows, by which propensities are tested.

    Attributes:
        arms: The numbers of the arms from the most often shown; the first of them are tested.
        shown: The rows that show each arm that is tested.
        parts: The parts of the log but the first, each with the shares of arms by a model of the rows before it.
    """

    arms: tuple[int, ...]
    shown: tuple[np.ndarray, ...]
    parts: tuple[ModelledPart, ...]

    def calibrations(self, propensity: np.ndarray, groups: Mapping[str, np.ndarray]) -> list[Calibration]:
        """Return the test of all rows, of each arm, of each group of rows, and of each arm in each group.

        For any shares q of arms in a context that sum to s, the mean of q(arm shown) / propensity(arm shown) is s. Where the
        shares are near the true ones this has little variance, and a log of another policy has a mean of 1 + chi-square of the
        one from the other. The z-scores of the parts are added with weights (Stouffer 1949). The three kinds of tests (all
        arms; each arm; groups) have a third of the risk each, shared evenly (Bonferroni).

        Args:
            propensity: With which the arm was shown, shape (n,).
            groups: The rows of each group, by its name, shape (n,) of truth values each.
        """
        if not self.parts:
            return []
        inside = np.stack([np.ones(len(propensity)), *groups.values()])
        least = np.array([_least(propensity[rows]) for rows in self.shown])
        sums = [_sums(part, propensity[part.rows], least, inside[:, part.rows]) for part in self.parts]
        found = _combined(sums, [None, *groups], [None, *self.arms])
        families = [[each for each in found if _family(each) == kind] for kind in range(FAMILIES)]
        return [replace(each, p_value=min(1.0, each.p_value * len(kind) * FAMILIES)) for kind in families for each in kind]


def log_model(action: np.ndarray, features: np.ndarray, order: np.ndarray, clusters: np.ndarray | None = None) -> LogModel:
    """Return the model of a log: of each part, a tree of all rows before it, so that each part's error has mean 0 given these.

    Args:
        action: The number of the arm that was shown, shape (n,).
        features: What the log's policy may have read, shape (n, width).
        order: The rows from first to last: by time, or at random.
        clusters: The number of the draw that each row belongs to, shape (n,); None where each row is one.
    """
    arms = np.argsort(-np.bincount(action), kind="stable")
    shown = _numbered(action)
    parts = _parts(shown, features, _blocks(order, clusters), clusters)
    tested = tuple(np.flatnonzero(shown == arm) for arm in range(shown.max(initial=-1) + 1))
    return LogModel(tuple(int(arm) for arm in arms), tested, tuple(parts))


FAMILIES = 3
"""Kinds of tests: of all rows, of each arm, of groups of rows."""


def _family(test: Calibration) -> int:
    return 2 if test.group is not None else 0 if test.arm is None else 1


def _numbered(action: np.ndarray) -> np.ndarray:
    """Return the arms numbered from the most often shown; those beyond the most have -1."""
    ranks = np.argsort(np.argsort(-np.bincount(action), kind="stable"), kind="stable")
    shown = ranks[action]
    return np.where(shown < MOST_ARMS, shown, -1)


def _blocks(order: np.ndarray, clusters: np.ndarray | None) -> list[np.ndarray]:
    """Return the rows of each part, from first to last; those of one draw are in one part, that of its first row."""
    if clusters is None:
        some = order if len(order) <= MOST_ROWS else order[np.linspace(0, len(order) - 1, MOST_ROWS).astype(np.int64)]
        return np.array_split(some, BLOCKS)
    _, first, draw = np.unique(clusters[order], return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))[draw]
    return [order[rank * BLOCKS // len(first) == block] for block in range(BLOCKS)]


def _together(cluster: np.ndarray) -> float:
    counts = np.unique(cluster, return_counts=True)[1]
    return float(np.sum(counts**2) / np.sum(counts))


def _parts(
    shown: np.ndarray, features: np.ndarray, blocks: Sequence[np.ndarray], clusters: np.ndarray | None
) -> Iterator[ModelledPart]:
    """Yield each part but the first, with the shares by a model of the rows before it."""
    arms = int(shown.max(initial=-1)) + 1
    for place in range(1, len(blocks)):
        past, rows = np.concatenate(blocks[:place]), blocks[place]
        if not len(past) or not len(rows):
            continue
        least = LEAF_ROWS if clusters is None else int(LEAF_ROWS * _together(clusters[past]))
        share = _shares(features[past], shown[past], features[rows], arms, least)
        yield ModelledPart(rows, share, shown[rows], None if clusters is None else clusters[rows])


def _least(propensity: np.ndarray) -> float:
    """Return the propensity that an arm has or exceeds in all but a rare share of the contexts, as its rows' 1/p weigh them."""
    if not len(propensity):
        return 0.0
    ordered = np.sort(propensity)
    mass = np.cumsum(1 / ordered)
    return float(ordered[np.searchsorted(mass, RARE * mass[-1])])


def _shares(past: np.ndarray, shown: np.ndarray, new: np.ndarray, arms: int, least: int) -> np.ndarray:
    """Return the share of each arm in a row's leaf of a tree, shape (rows, arms); arms without a number have none."""
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(max_leaf_nodes=LEAVES, min_samples_leaf=least, random_state=0).fit(past, shown)
    share = np.zeros((len(new), arms + 1))
    share[:, tree.classes_] = tree.predict_proba(new)
    return share[:, :arms]


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums of one part by group and arm, the first of both for all of them; shape (groups + 1, arms + 1).

    Attributes:
        weighted: Sums of shares over propensities.
        expected: What they are expected to be.
        variance: Their variance.
        scores: The z-scores of the one-sided tests, shape (tests, groups + 1, arms + 1).
        large: How many of the largest weights would make up what each test expects, of the same shape.
        rows: The rows of each group, shape (groups + 1,).
        together: The rows of a draw.
    """

    weighted: np.ndarray
    expected: np.ndarray
    variance: np.ndarray
    scores: np.ndarray
    large: np.ndarray
    rows: np.ndarray
    together: float


def _sums(part: ModelledPart, propensity: np.ndarray, least: np.ndarray, inside: np.ndarray) -> _Sums:
    """Return the sums of one part.

    Too much is asked of weights that are cut, and of shares that are held so that none is large. Too little is asked of the
    latter alone, and what is missing may be a few large weights, whose variance is added.

    Args:
        part: Of the log.
        propensity: Of its rows, shape (rows,).
        least: The least propensity of each arm that is not rare, shape (arms,).
        inside: Which of its rows are in each group, shape (groups + 1, rows).
    """
    weight, share = _weights(part, propensity, part.share)
    expected, capped, together = inside @ share, np.minimum(weight, MOST_WEIGHT), part.together
    scores = [_z(inside @ capped - expected * (1 + TOLERANCE), _variance(capped, share, inside, part))]
    large = [expected / MOST_WEIGHT]
    for most in HELD:
        held, foreseen = _weights(part, propensity, np.minimum(part.share, most * least))
        sums, wanted, variance = inside @ held, inside @ foreseen, _variance(held, foreseen, inside, part)
        scores.append(_z(sums - wanted * (1 + TOLERANCE), variance))
        scores.append(
            _z(
                wanted * (1 - TOLERANCE - RARE) - sums,
                variance + most * together * np.maximum(wanted - sums, 0),
            )
        )
        large += [wanted / most] * 2
    return _Sums(
        inside @ weight,
        expected,
        _variance(weight, share, inside, part),
        np.stack(scores),
        np.stack(large),
        inside.sum(axis=1),
        together,
    )


def _weights(part: ModelledPart, propensity: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return shares of the arm shown over its propensity, and what is expected of them, shape (rows, arms + 1) each."""
    shown = np.arange(share.shape[1]) == part.shown[:, None]
    weight = np.where(shown, share, 0.0) / propensity[:, None]
    with_all = [np.column_stack([each.sum(axis=1), each]) for each in (weight, share)]
    return with_all[0], with_all[1]


def _variance(weight: np.ndarray, share: np.ndarray, inside: np.ndarray, part: ModelledPart) -> np.ndarray:
    """Return the variance of sums of weights, by the draws that rows belong to: that seen, or that of choices if it is more."""
    errors, cluster = weight - share, part.cluster
    if cluster is None:
        seen = inside @ errors**2 - (inside @ errors) ** 2 / len(errors)
    else:
        order = np.argsort(cluster, kind="stable")
        starts = np.flatnonzero(np.diff(cluster[order], prepend=cluster[order[0]] - 1))
        drawn = [np.add.reduceat((errors * rows[:, None])[order], starts) for rows in inside]
        seen = np.stack([np.sum((each - each.mean(axis=0)) ** 2, axis=0) for each in drawn])
    return np.maximum(seen, part.together * (inside @ (share * (1 - share))))


def _z(excess: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Return sums over their standard errors: without a bound where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(variance > TINY, excess / np.sqrt(variance), np.where(excess > TINY, np.inf, 0.0))


def _combined(parts: Sequence[_Sums], groups: Sequence[str | None], arms: Sequence[int | None]) -> list[Calibration]:
    """Return the tests of all parts together that have rows enough, their p-values not yet corrected."""
    expected = np.stack([part.expected for part in parts])
    total = np.maximum(expected.sum(axis=0), TINY)
    draws = np.sum([part.expected / part.together for part in parts], axis=0)
    scores = np.sum([np.sqrt(part.expected / total) * part.scores for part in parts], axis=0)
    large = np.sum([part.large / part.together for part in parts], axis=0)
    scores = np.where(large >= LEAST_LARGE, scores, -np.inf).max(axis=0)
    ratio = np.sum([part.weighted for part in parts], axis=0) / total
    error = np.sqrt(np.sum([part.variance for part in parts], axis=0)) / total
    rows, tests, normal = np.sum([part.rows for part in parts], axis=0), len(parts[0].scores), NormalDist()
    return [
        Calibration(
            arms[arm],
            groups[group],
            float(ratio[group, arm]),
            float(error[group, arm]),
            min(1.0, tests * normal.cdf(-float(scores[group, arm]))),
            int(rows[group]),
        )
        for group, arm in np.argwhere(draws >= LEAST_SHOWN)
    ]
