"""Checks of a log before any estimate: its propensities, and how far it shows the target policy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series

from hwds.core.seeds import stream
from hwds.evaluation.protocol import Score
from hwds.ope.estimates import LogEvidence, effective_size
from hwds.ope.log import DecisionLog, holds_names, rows_of_names
from hwds.results.tables import Tables

# Tests of logged propensities against a model of the log, arm by arm and group by group.

LOG_PARTS = 5
"""Parts of the log: the model is fitted on all before a part, and predicts that part."""

RATIO_TOLERANCE = 0.01
"""The largest distance of a ratio from 1 that counts as none: propensities may be written with two
digits.
"""

MOST_WEIGHT = 10.0
"""The largest weight: larger ones become this in the test of too much, which no right propensity
then brings about.
"""

SHARE_CAPS = (1.0, MOST_WEIGHT)
"""Caps on shares in further tests, as multiples of an arm's least propensity: no weight is larger
than these.
"""

ZERO_SUM = 1e-9
"""Sums below this are 0 but for rounding."""

RARE_SHARE = 0.02
"""The share of an arm's contexts whose propensities are taken as too small to be seen in the test
of too little.
"""

LEAST_SHOWN = 30
"""Rows of an arm, as the model expects them, that a test needs; draws where rows are drawn
together.
"""

LEAST_LARGE = 10
"""Rows of the largest weight that would make up what is expected, of which a test needs so many."""

MOST_ARMS = 50
"""Arms that are tested: those that the log shows most often."""

LEAVES, LEAF_ROWS = 64, 50
"""The size of the model of the log: a tree with so many leaves, each of so many rows (or draws) or
more.
"""

MOST_ROWS = 200_000
"""Rows beyond which so many of them, drawn at random, are tested."""

REFUTATION_LEVEL = 0.005
"""The share of logs with right propensities of which any test may say that they are wrong."""


TEST_FAMILIES = 3
"""Kinds of tests: of all rows, of each arm, of groups of rows."""


@dataclass(frozen=True, slots=True)
class ArmCalibration:
    """The frequency of arms in a log, over that which their propensities state.

    Attributes:
        arm: The number of the arm; None for all arms together.
        group: The name of the group of rows; None for all rows.
        ratio: 1 in expectation where propensities are right; 1.2 where they are 1.2 times too
            small.
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
        return self.p_value < REFUTATION_LEVEL

    @property
    def family(self) -> int:
        """The number of its kind among the kinds of tests."""
        return 2 if self.group is not None else 0 if self.arm is None else 1


@dataclass(frozen=True, eq=False)
class ModelledPart:
    """A part of a log.

    Attributes:
        rows: Its rows.
        share: The share of each arm that the model expects, shape (rows, arms).
        shown: The arm that each row shows, shape (rows,).
        cluster: The draw that each row belongs to, shape (rows,); None where each is one.
    """

    rows: ndarray
    share: ndarray
    shown: ndarray
    cluster: ndarray | None

    @property
    def together(self) -> float:
        """The rows of a draw, as a row meets them on average."""
        return 1.0 if self.cluster is None else _effective_cluster_size(self.cluster)


@dataclass(frozen=True, eq=False)
class LogModel:
    """A model of which arms a log shows, by which propensities are tested.

    Attributes:
        arms: The numbers of the arms from the most often shown; the first of them are tested.
        shown: The rows that show each arm that is tested.
        parts: The parts of the log but the first, each with the shares of arms by a model of the
            rows before it.
    """

    arms: tuple[int, ...]
    shown: tuple[ndarray, ...]
    parts: tuple[ModelledPart, ...]

    def calibrations(
        self, propensity: ndarray, groups: Mapping[str, ndarray]
    ) -> list[ArmCalibration]:
        """Return the test of all rows, of each arm, of each group of rows, and of each arm in each
        group.

        For any shares q of arms in a context that sum to s, the mean of q(arm shown) /
        propensity(arm shown) is s. Where the shares are near the true ones this has little
        variance, and a log of another policy has a mean of 1 + chi-square of the one from the
        other. The z-scores of the parts are added with weights (Stouffer 1949). The three kinds of
        tests (all arms; each arm; groups) have a third of the risk each, shared evenly
        (Bonferroni).

        Args:
            propensity: The probability with which the arm was shown, shape (n,).
            groups: The rows of each group, by its name, shape (n,) of truth values each.
        """
        if not self.parts:
            return []
        inside = np.stack([np.ones(len(propensity)), *groups.values()])
        least = np.array([_least_propensity(propensity[rows]) for rows in self.shown])
        sums = [
            _part_sums(part, propensity[part.rows], least, inside[:, part.rows])
            for part in self.parts
        ]
        found = _combine_parts(sums, [None, *groups], [None, *self.arms])
        many = Counter(each.family for each in found)
        return [
            replace(each, p_value=min(1.0, each.p_value * many[each.family] * TEST_FAMILIES))
            for each in sorted(found, key=lambda each: each.family)
        ]


def fit_log_model(
    action: ndarray, features: ndarray, order: ndarray, clusters: ndarray | None = None
) -> LogModel:
    """Return the model of a log: of each part, a tree of all rows before it, so that each part's
    error has mean 0 given these.

    Args:
        action: The number of the arm that was shown, shape (n,).
        features: What the log's policy may have read, shape (n, width).
        order: The rows from first to last: by time, or at random.
        clusters: The number of the draw that each row belongs to, shape (n,); None where each row
            is one.
    """
    arms = np.argsort(-np.bincount(action), kind="stable")
    ranks = np.argsort(arms, kind="stable")[action]
    shown = np.where(ranks < MOST_ARMS, ranks, -1)
    parts = _modelled_parts(shown, features, _log_blocks(order, clusters), clusters)
    tested = tuple(np.flatnonzero(shown == arm) for arm in range(shown.max(initial=-1) + 1))
    return LogModel(tuple(int(arm) for arm in arms), tested, tuple(parts))


def _log_blocks(order: ndarray, clusters: ndarray | None) -> list[ndarray]:
    """Return the rows of each part, from first to last.

    Those of one draw are in one part, that of its first row.
    """
    if clusters is None:
        if len(order) > MOST_ROWS:
            order = order[np.linspace(0, len(order) - 1, MOST_ROWS).astype(np.int64)]
        return np.array_split(order, LOG_PARTS)
    _, first, draw = np.unique(clusters[order], return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))[draw]
    return [order[rank * LOG_PARTS // len(first) == block] for block in range(LOG_PARTS)]


def _effective_cluster_size(cluster: ndarray) -> float:
    counts = np.unique(cluster, return_counts=True)[1]
    return float(np.sum(counts**2) / np.sum(counts))


def _modelled_parts(
    shown: ndarray,
    features: ndarray,
    blocks: Sequence[ndarray],
    clusters: ndarray | None,
) -> Iterator[ModelledPart]:
    """Yield each part but the first, with the shares by a model of the rows before it."""
    arms = int(shown.max(initial=-1)) + 1
    for place in range(1, len(blocks)):
        past, rows = np.concatenate(blocks[:place]), blocks[place]
        if not len(past) or not len(rows):
            continue
        least = LEAF_ROWS
        if clusters is not None:
            least = int(LEAF_ROWS * _effective_cluster_size(clusters[past]))
        share = _modelled_shares(features[past], shown[past], features[rows], arms, least)
        yield ModelledPart(rows, share, shown[rows], None if clusters is None else clusters[rows])


def _least_propensity(propensity: ndarray) -> float:
    """Return the propensity that an arm has or exceeds in all but a rare share of the contexts, as
    its rows' 1/p weigh them.
    """
    if not len(propensity):
        return 0.0
    ordered = np.sort(propensity)
    mass = np.cumsum(1 / ordered)
    return float(ordered[np.searchsorted(mass, RARE_SHARE * mass[-1])])


def _modelled_shares(past: ndarray, shown: ndarray, new: ndarray, arms: int, least: int) -> ndarray:
    """Return the share of each arm in a row's leaf of a tree, shape (rows, arms).

    Arms without a number have none.
    """
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(
        max_leaf_nodes=LEAVES, min_samples_leaf=least, random_state=0
    ).fit(past, shown)
    share = np.zeros((len(new), arms + 1))
    share[:, tree.classes_] = tree.predict_proba(new)
    return share[:, :arms]


@dataclass(frozen=True, eq=False)
class _PartSums:
    """Sums of one part by group and arm, the first of both for all of them; shape (groups + 1, arms
    + 1).

    Attributes:
        weighted: Sums of shares over propensities.
        expected: What they are expected to be.
        variance: Their variance.
        scores: The z-scores of the one-sided tests, shape (tests, groups + 1, arms + 1).
        large: How many of the largest weights would make up what each test expects, of the same
            shape.
        rows: The rows of each group, shape (groups + 1,).
        together: The rows of a draw.
    """

    weighted: ndarray
    expected: ndarray
    variance: ndarray
    scores: ndarray
    large: ndarray
    rows: ndarray
    together: float


def _part_sums(
    part: ModelledPart, propensity: ndarray, least: ndarray, inside: ndarray
) -> _PartSums:
    """Return the sums of one part.

    Too much is asked of weights that are cut, and of shares that are held so that none is large.
    Too little is asked of the latter alone, and what is missing may be a few large weights, whose
    variance is added.

    Args:
        part: A part of the log.
        propensity: The propensities of its rows, shape (rows,).
        least: The least propensity of each arm that is not rare, shape (arms,).
        inside: The rows of it that are in each group, as zeros and ones, shape (groups + 1, rows).
    """
    weight, share = _capped_weights(part, propensity, part.share)
    expected, capped, together = inside @ share, np.minimum(weight, MOST_WEIGHT), part.together
    scores = [
        _z_scores(
            inside @ capped - expected * (1 + RATIO_TOLERANCE),
            _excess_variance(capped, share, inside, part),
        )
    ]
    large = [expected / MOST_WEIGHT]
    for most in SHARE_CAPS:
        held, foreseen = _capped_weights(part, propensity, np.minimum(part.share, most * least))
        sums, wanted, variance = (
            inside @ held,
            inside @ foreseen,
            _excess_variance(held, foreseen, inside, part),
        )
        scores.append(_z_scores(sums - wanted * (1 + RATIO_TOLERANCE), variance))
        scores.append(
            _z_scores(
                wanted * (1 - RATIO_TOLERANCE - RARE_SHARE) - sums,
                variance + most * together * np.maximum(wanted - sums, 0),
            )
        )
        large += [wanted / most] * 2
    return _PartSums(
        inside @ weight,
        expected,
        _excess_variance(weight, share, inside, part),
        np.stack(scores),
        np.stack(large),
        inside.sum(axis=1),
        together,
    )


def _capped_weights(
    part: ModelledPart, propensity: ndarray, share: ndarray
) -> tuple[ndarray, ndarray]:
    """Return shares of the arm shown over its propensity, and what is expected of them, shape
    (rows, arms + 1) each.
    """
    shown = np.arange(share.shape[1]) == part.shown[:, None]
    weight = np.where(shown, share, 0.0) / propensity[:, None]
    with_all = [np.column_stack([each.sum(axis=1), each]) for each in (weight, share)]
    return with_all[0], with_all[1]


def _excess_variance(
    weight: ndarray, share: ndarray, inside: ndarray, part: ModelledPart
) -> ndarray:
    """Return the variance of sums of weights, by the draws that rows belong to: that seen, or that
    of choices if it is more.
    """
    errors, cluster = weight - share, part.cluster
    if cluster is None:
        seen = inside @ errors**2 - (inside @ errors) ** 2 / len(errors)
    else:
        order = np.argsort(cluster, kind="stable")
        starts = np.flatnonzero(np.diff(cluster[order], prepend=cluster[order[0]] - 1))
        drawn = [np.add.reduceat((errors * rows[:, None])[order], starts) for rows in inside]
        seen = np.stack([np.sum((each - each.mean(axis=0)) ** 2, axis=0) for each in drawn])
    return np.maximum(seen, part.together * (inside @ (share * (1 - share))))


def _z_scores(excess: ndarray, variance: ndarray) -> ndarray:
    """Return sums over their standard errors: without a bound where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(
            variance > ZERO_SUM,
            excess / np.sqrt(variance),
            np.where(excess > ZERO_SUM, np.inf, 0.0),
        )


def _combine_parts(
    parts: Sequence[_PartSums], groups: Sequence[str | None], arms: Sequence[int | None]
) -> list[ArmCalibration]:
    """Return the tests of all parts together that have rows enough, their p-values not yet
    corrected.
    """
    expected = np.stack([part.expected for part in parts])
    total = np.maximum(expected.sum(axis=0), ZERO_SUM)
    draws = np.sum([part.expected / part.together for part in parts], axis=0)
    scores = np.sum([np.sqrt(part.expected / total) * part.scores for part in parts], axis=0)
    large = np.sum([part.large / part.together for part in parts], axis=0)
    scores = np.where(large >= LEAST_LARGE, scores, -np.inf).max(axis=0)
    ratio = np.sum([part.weighted for part in parts], axis=0) / total
    error = np.sqrt(np.sum([part.variance for part in parts], axis=0)) / total
    rows, tests, normal = (
        np.sum([part.rows for part in parts], axis=0),
        len(parts[0].scores),
        NormalDist(),
    )
    return [
        ArmCalibration(
            arms[arm],
            groups[group],
            float(ratio[group, arm]),
            float(error[group, arm]),
            min(1.0, tests * normal.cdf(-float(scores[group, arm]))),
            int(rows[group]),
        )
        for group, arm in np.argwhere(draws >= LEAST_SHOWN)
    ]


# Checks of a log before any estimate: whether its propensities hold, and how far it shows what
# the target policy does.

SUPPORT_COLUMN = "of_log"
"""The column that holds the scores of the log itself, all of them in the first row."""

CALIBRATION_METRIC = "propensity_calibration"

LOG_SHARE, TARGET_SHARE, OUTCOME, PROPENSITY = (
    "log_share",
    "target_share",
    "outcome_shown",
    "propensity_shown",
)

WEIGHT, EFFECTIVE = "weight_shown", "effective_size_shown"

OVERLAP_SHOWN = "overlap_shown"

SUPPORT_MEANINGS = {
    CALIBRATION_METRIC: "how often arms are shown over what their propensities say, by a model of "
    "the log; 1 where these are right",
    LOG_SHARE: "share of the log's rows",
    TARGET_SHARE: "share of the target policy's choices",
    OUTCOME: "mean reward of the rows that the log shows",
    PROPENSITY: "mean propensity of the rows that the log shows",
    WEIGHT: "mean weight of the rows that the log shows",
    EFFECTIVE: "effective sample size of the rows that the log shows",
    OVERLAP_SHOWN: "share of the target policy's choices that the log shows in this context",
}
"""The scores of the log itself, in the order of their table."""

ARM_SEGMENT, CONTEXT_SEGMENT = "arm", "context"
"""By what the scores of the log are told apart."""

MOST_COLUMNS, MOST_NAME_GROUPS, NUMBER_GROUPS = 8, 4, 3
"""Columns of the context whose groups are tested, names in a column that are groups, and parts of a
column of numbers.
"""

LEAST_UNSEEN = 20
"""The rows that a group of the context would have of an arm, by the whole log, from which it is
called unseen there.
"""

MOST_GROUPS_OF_ARM = 5
"""The most groups of the context that are reported for an arm: those with the strongest evidence
against their propensities.
"""

SCORE_FIELDS = {
    "metric": pl.String,
    "value": pl.Float64,
    "stderr": pl.Float64,
    "p_value": pl.Float64,
    "n": pl.Int64,
    "segment_by": pl.String,
    "segment": pl.String,
}
"""The fields of a score that rows of the log have."""


def with_support(
    rows: DataFrame, log: DecisionLog, evidence: LogEvidence, weights: ndarray | None
) -> DataFrame:
    """Return the rows of the target policy with the scores of the log itself in the first.

    Args:
        rows: The rows, as `policy_rows` makes them.
        log: The log.
        evidence: What the target policy would have done.
        weights: The weight of each row, shape (n,); None where nothing is weighed.
    """
    scores = list(_segment_scores(log, evidence, weights))
    if log.propensity is not None and np.all(log.propensity <= 1):
        scores += _calibration_scores(log)
    first = [{name: getattr(score, name) for name in SCORE_FIELDS} for score in scores]
    cells = [first, *[None] * (len(rows) - 1)]
    return rows.with_columns(Series(SUPPORT_COLUMN, cells, dtype=pl.List(pl.Struct(SCORE_FIELDS))))


def support_scores(rows: DataFrame) -> Iterator[Score]:
    """Yield the scores of the log itself, from rows as `with_support` makes them."""
    if SUPPORT_COLUMN in rows.columns:
        scores = rows[SUPPORT_COLUMN].drop_nulls().explode().struct.unnest()
        yield from (Score(aggregate="mean", **row) for row in scores.iter_rows(named=True))


def model_of_log(log: DecisionLog) -> LogModel:
    """Return the model of which arms a log shows: in order of time where each row has one, else in
    a random order.
    """
    place = _time_places(log)
    if place is None:
        order = stream(0, "off_policy", "calibration").permutation(log.n)
        return fit_log_model(log.action, log.features, order, log.group)
    features = np.column_stack([log.features, place])
    return fit_log_model(log.action, features, np.argsort(place, kind="stable"), log.group)


def _time_places(log: DecisionLog) -> ndarray | None:
    """Return the place of each row in time, shape (n,); None where not every row has a time."""
    times = log.times
    return None if times is None else times.rank("min").to_numpy().astype(np.float64)


def context_groups(log: DecisionLog) -> dict[str, ndarray]:
    """Return the rows of a few groups, by their name, shape (n,) each: of each column of the
    context, and of time.

    They are the most frequent names of a column, or thirds of its numbers.
    """
    groups: dict[str, ndarray] = {}
    for column in log.context.get_columns()[:MOST_COLUMNS]:
        if holds_names(column) or column.n_unique() <= MOST_NAME_GROUPS:
            named = rows_of_names(column, MOST_NAME_GROUPS)
            groups |= {f"{column.name}={name}": rows for name, rows in named.items()}
        else:
            groups |= _number_thirds(column)
    place = _time_places(log)
    if place is not None:
        groups |= _number_thirds(Series("time", place), ("early", "middle", "late"))
    return {name: rows for name, rows in groups.items() if 0 < rows.sum() < len(rows)}


def unseen_choices(log: DecisionLog) -> Iterator[tuple[str, ndarray, ndarray]]:
    """Yield the groups of the context in which arms are never shown that others show: the group's
    name, its rows and the numbers of these arms.

    Groups are the values of a column, thirds of its numbers, and combinations of names. An arm
    counts if the group would show it `LEAST_UNSEEN` times at its share of the whole log.
    """
    arms, known = len(log.arms), np.zeros((log.n, len(log.arms)), bool)
    share = np.bincount(log.action, minlength=arms) / log.n
    for labels in _context_labels(log):
        codes = labels.fill_null("").rank("dense").to_numpy().astype(np.int64) - 1
        counts = np.zeros((int(codes.max()) + 1, arms))
        np.add.at(counts, (codes, log.action), 1)
        expected = counts.sum(axis=1, keepdims=True) * share
        unseen = (counts == 0) & (expected >= LEAST_UNSEEN)
        for group in np.flatnonzero(unseen.any(axis=1)):
            rows, absent = codes == group, np.flatnonzero(unseen[group])
            name, cells = labels.filter(Series(rows))[0], np.ix_(rows, absent)
            if name and not known[cells].all():
                known[cells] = True
                yield name, rows, absent


def supported_share(log: DecisionLog, target: ndarray) -> ndarray:
    """Return the share of the target policy's choices that each row's context shows, shape (n,)."""
    shown = target[:, : len(log.arms)].copy()
    for _, rows, arms in unseen_choices(log):
        shown[np.ix_(rows, arms)] = 0.0
    return np.asarray(shown.sum(axis=1))


def _context_labels(log: DecisionLog) -> Iterator[Series]:
    """Yield the name of each row's group, by column and by all columns of names together."""
    named = []
    for column in log.context.get_columns()[:MOST_COLUMNS]:
        if holds_names(column) or column.n_unique() <= MOST_NAME_GROUPS:
            named.append(Series(column.name, f"{column.name}=" + column.cast(pl.String)))
            yield named[-1]
        else:
            label = np.full(log.n, "", object)
            for name, rows in _number_thirds(column).items():
                label[rows] = name
            yield Series(label, dtype=pl.String)
    if len(named) > 1:
        yield DataFrame(named).select(pl.concat_str(pl.all(), separator=", ")).to_series()


def _number_thirds(
    column: Series, words: tuple[str, ...] = ("low", "middle", "high")
) -> dict[str, ndarray]:
    values = column.to_physical().cast(pl.Float64).fill_nan(None)
    ends = [values.quantile(place / NUMBER_GROUPS) for place in range(1, NUMBER_GROUPS)]
    above = [values > end for end in ends]
    parts = ~above[0], above[0] & ~above[1], above[1]
    return {
        f"{column.name} {word}": part.fill_null(value=False).to_numpy()
        for part, word in zip(parts, words, strict=True)
    }


def _calibration_scores(log: DecisionLog) -> list[Score]:
    """Return the tests as scores.

    That of the whole log has the smallest p-value of all, so that it alone decides.
    """
    assert log.propensity is not None
    tests = model_of_log(log).calibrations(log.propensity, context_groups(log))
    least = min((each.p_value for each in tests), default=1.0)
    inside = (each for each in tests if each.group is not None and each.arm is not None)
    reported = [each for each in tests if each.group is None or each.arm is None]
    clearest = sorted((each for each in inside if each.refuted), key=lambda each: each.p_value)
    reported += clearest[:MOST_GROUPS_OF_ARM]
    return [
        _calibration_score(each, log.arms, least if each.family == 0 else each.p_value)
        for each in reported
    ]


def _calibration_score(test: ArmCalibration, arms: tuple[str, ...], p_value: float) -> Score:
    arm = None if test.arm is None else arms[test.arm]
    by, segment = (None, ARM_SEGMENT, CONTEXT_SEGMENT)[test.family], test.group or arm
    if test.group and arm:
        segment = f"{test.group}, arm {arm}"
    return Score(
        CALIBRATION_METRIC,
        "mean",
        test.ratio,
        test.stderr,
        p_value=p_value,
        n=test.n,
        segment_by=by,
        segment=segment,
    )


def _segment_scores(
    log: DecisionLog, evidence: LogEvidence, weights: ndarray | None
) -> Iterator[Score]:
    """Yield what the log shows of the arms that it shows most often, how often the target policy
    chooses them, and what it shows of each group of the context.
    """
    chosen, shown = evidence.target.mean(axis=0), np.bincount(log.action, minlength=len(log.arms))
    for arm in np.sort(np.argsort(-shown, kind="stable")[:MOST_ARMS]):
        rows = log.action == arm
        numbers = {TARGET_SHARE: float(chosen[arm])} | _numbers_of_rows(log, rows, weights)
        if log.propensity is not None:
            numbers[PROPENSITY] = float(log.propensity[rows].mean())
        yield from _scores_of(numbers, rows, ARM_SEGMENT, log.arms[arm])
    supported = supported_share(log, evidence.target)
    unseen = {name: rows for name, rows, _ in unseen_choices(log) if supported[rows].mean() < 1}
    for group, rows in (unseen | context_groups(log)).items():
        numbers = _numbers_of_rows(log, rows, weights) | {OVERLAP_SHOWN: supported[rows].mean()}
        yield from _scores_of(numbers, rows, CONTEXT_SEGMENT, group)


def _scores_of(
    numbers: Mapping[str, float], rows: ndarray, by: str, segment: str
) -> Iterator[Score]:
    for name, value in numbers.items():
        yield Score(name, "mean", value, n=int(rows.sum()), segment_by=by, segment=segment)


def _numbers_of_rows(log: DecisionLog, rows: ndarray, weights: ndarray | None) -> dict[str, float]:
    numbers = {LOG_SHARE: float(rows.mean()), OUTCOME: float(log.reward[rows].mean())}
    if weights is not None:
        numbers |= {WEIGHT: float(weights[rows].mean()), EFFECTIVE: effective_size(weights[rows])}
    return numbers


def refuting_tests(tables: Tables) -> DataFrame:
    """Return the tests by which a model of the log refutes the propensities of a run."""
    wrong = pl.col("fold").is_null() & (pl.col("p_value") < REFUTATION_LEVEL)
    return tables.scores.filter(wrong, metric=CALIBRATION_METRIC)
