"""Checks of a log before any estimate: whether its propensities hold, and how far it shows what the target policy does."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from hwds.core.seeds import stream
from hwds.evaluation.base import Score
from hwds.ope.metrics.calibration import LEVEL, MOST_ARMS, Calibration, LogModel, log_model
from hwds.ope.metrics.estimates import effective_size
from hwds.ope.metrics.evidence import LogEvidence
from hwds.ope.models.rewards.context_matrix import as_numbers, is_named
from hwds.ope.protocols.estimation.log import Log
from hwds.results.tables import Tables

SUPPORT = "of_log"
"""The column that holds the scores of the log itself, all of them in the first row."""

CALIBRATION = "propensity_calibration"

LOG_SHARE, TARGET_SHARE, OUTCOME, PROPENSITY = "log_share", "target_share", "outcome_shown", "propensity_shown"

WEIGHT, EFFECTIVE = "weight_shown", "effective_size_shown"

MEANINGS = {
    CALIBRATION: "how often arms are shown over what their propensities say, by a model of the log; 1 where these are right",
    LOG_SHARE: "share of the log's rows",
    TARGET_SHARE: "share of the target policy's choices",
    OUTCOME: "mean reward of the rows that the log shows",
    PROPENSITY: "mean propensity of the rows that the log shows",
    WEIGHT: "mean weight of the rows that the log shows",
    EFFECTIVE: "effective sample size of the rows that the log shows",
}
"""The scores of the log itself, in the order of their table."""

ARM, CONTEXT = "arm", "context"
"""By what the scores of the log are told apart."""

MOST_COLUMNS, MOST_NAMES, PARTS = 8, 4, 3
"""Columns of the context whose groups are tested, names in a column that are groups, and parts of a column of numbers."""

MOST_TOLD = 5
"""The most groups of the context that are reported for an arm: those with the strongest evidence against their propensities."""

FIELDS = {
    "metric": pl.String,
    "value": pl.Float64,
    "stderr": pl.Float64,
    "p_value": pl.Float64,
    "n": pl.Int64,
    "segment_by": pl.String,
    "segment": pl.String,
}
"""The fields of a score that rows of the log have."""


def with_support(rows: pl.DataFrame, log: Log, evidence: LogEvidence, weights: np.ndarray | None) -> pl.DataFrame:
    """Return the rows of the target policy with the scores of the log itself in the first.

    Args:
        rows: As `rows_of` makes them.
        log: The log.
        evidence: What the target policy would have done.
        weights: Of each row, shape (n,); None where nothing is weighed.
    """
    scores = [*_by_arm(log, evidence, weights), *_by_group(log, weights)]
    if log.propensity is not None and np.all(log.propensity <= 1):
        scores += _calibrated(log)
    cells = [[{name: getattr(score, name) for name in FIELDS} for score in scores], *[None] * (len(rows) - 1)]
    return rows.with_columns(pl.Series(SUPPORT, cells, dtype=pl.List(pl.Struct(FIELDS))))


def support_scores(rows: pl.DataFrame) -> Iterator[Score]:
    """Yield the scores of the log itself, from rows as `with_support` makes them."""
    if SUPPORT in rows.columns:
        for row in rows[SUPPORT].drop_nulls().explode().struct.unnest().iter_rows(named=True):
            yield Score(aggregate="mean", **row)


def model_of_log(log: Log) -> LogModel:
    """Return the model of which arms a log shows: in order of time where each row has one, else in a random order."""
    features, place = as_numbers(log.context) if log.context.width else np.ones((log.n, 1)), _places(log)
    if place is None:
        return log_model(log.action, features, stream(0, "off_policy", "calibration").permutation(log.n), log.group)
    return log_model(log.action, np.column_stack([features, place]), np.argsort(place, kind="stable"), log.group)


def _places(log: Log) -> np.ndarray | None:
    """Return the place of each row in time, shape (n,); None where not every row has a time."""
    times = log.table.column("time") if log.table.roles.get("time") else None
    return None if times is None or times.null_count() else times.rank("min").to_numpy().astype(np.float64)


def groups_of(log: Log) -> dict[str, np.ndarray]:
    """Return the rows of a few groups, by their name, shape (n,) each: of each column of the context, and of time.

    They are the most frequent names of a column, or thirds of its numbers.
    """
    groups: dict[str, np.ndarray] = {}
    for column in log.context.get_columns()[:MOST_COLUMNS]:
        groups |= _names(column) if is_named(column) or column.n_unique() <= MOST_NAMES else _thirds(column)
    place = _places(log)
    if place is not None:
        groups |= _thirds(pl.Series("time", place), ("early", "middle", "late"))
    return {name: rows for name, rows in groups.items() if 0 < rows.sum() < len(rows)}


def _names(column: pl.Series) -> dict[str, np.ndarray]:
    texts = column.cast(pl.String)
    counts = texts.drop_nulls().value_counts(name="count").sort(["count", texts.name], descending=[True, False])
    named = counts[texts.name][:MOST_NAMES]
    return {f"{column.name}={value}": (texts == value).fill_null(value=False).to_numpy() for value in named}


def _thirds(column: pl.Series, words: tuple[str, ...] = ("low", "middle", "high")) -> dict[str, np.ndarray]:
    values = column.to_physical().cast(pl.Float64).fill_nan(None)
    ends = [values.quantile(place / PARTS) for place in range(1, PARTS)]
    part = sum(((values > end).cast(pl.Int8) for end in ends), start=pl.zeros(len(values), pl.Int8, eager=True))
    return {f"{column.name} {word}": (part == place).fill_null(value=False).to_numpy() for place, word in enumerate(words)}


def _calibrated(log: Log) -> list[Score]:
    """Return the tests as scores; that of the whole log has the smallest p-value of all, so that it alone decides."""
    assert log.propensity is not None
    tests = model_of_log(log).calibrations(log.propensity, groups_of(log))
    inside = sorted((each for each in tests if each.group and each.arm is not None), key=lambda each: each.p_value)
    reported = [each for each in tests if each.group is None or each.arm is None]
    reported += [each for each in inside if each.refuted][:MOST_TOLD]
    least = min((each.p_value for each in tests), default=1.0)
    return [_score(each, log.arms, least if each.group is None and each.arm is None else each.p_value) for each in reported]


def _score(test: Calibration, arms: tuple[str, ...], p_value: float) -> Score:
    arm = None if test.arm is None else arms[test.arm]
    by = ARM if test.group is None and arm else CONTEXT if test.group else None
    segment = ", ".join(filter(None, (test.group, f"arm {arm}" if test.group and arm else arm))) or None
    return Score(CALIBRATION, "mean", test.ratio, test.stderr, p_value=p_value, n=test.n, segment_by=by, segment=segment)


def _by_arm(log: Log, evidence: LogEvidence, weights: np.ndarray | None) -> Iterator[Score]:
    """Yield what the log shows of the arms that it shows most often, and how often the target policy chooses them."""
    chosen, shown = evidence.target.mean(axis=0), np.bincount(log.action, minlength=len(log.arms))
    for arm in np.sort(np.argsort(-shown, kind="stable")[:MOST_ARMS]):
        numbers = {TARGET_SHARE: float(chosen[arm])} | _of_rows(log, log.action == arm, weights)
        if log.propensity is not None:
            numbers[PROPENSITY] = float(log.propensity[log.action == arm].mean())
        for name, value in numbers.items():
            yield Score(name, "mean", value, n=int(shown[arm]), segment_by=ARM, segment=log.arms[arm])


def _by_group(log: Log, weights: np.ndarray | None) -> Iterator[Score]:
    """Yield what the log shows of each group of the context."""
    for group, rows in groups_of(log).items():
        for name, value in _of_rows(log, rows, weights).items():
            yield Score(name, "mean", value, n=int(rows.sum()), segment_by=CONTEXT, segment=group)


def _of_rows(log: Log, rows: np.ndarray, weights: np.ndarray | None) -> dict[str, float]:
    numbers = {LOG_SHARE: float(rows.mean()), OUTCOME: float(log.reward[rows].mean())}
    if weights is not None:
        numbers |= {WEIGHT: float(weights[rows].mean()), EFFECTIVE: effective_size(weights[rows])}
    return numbers


def any_refuted(tables: Tables) -> bool:
    """Return whether a model of the log refutes the propensities of a run."""
    tests = tables.scores.filter((pl.col("metric") == CALIBRATION) & pl.col("fold").is_null())
    return bool((tests["p_value"] < LEVEL).any())
