"""Scores of alarms: against counts by hand, against scikit-learn, and what flagging everything or
nothing has.
"""

import numpy as np
import polars as pl
import pytest

from hwds.sensors.metrics import (
    count_rows,
    flagged_stretches,
    run_average_precision,
    sensor_scores,
)


def rows_of(label, alarm, name="a", score=None):
    score = np.where(alarm, 2.0, 0.5) if score is None else score
    columns = {
        "entity": [name] * len(label),
        "cycle": np.arange(10.0, 10 + len(label)),
        "label": label,
        "score": score,
    }
    return pl.DataFrame(columns | {"alarm": np.array(alarm, bool)})


def values(rows, merge=0):
    return {score.metric: score.value for score in sensor_scores(rows, merge)}


def test_stretches_merge_over_short_pauses():
    flags = np.array([0, 1, 1, 0, 1, 0, 0, 0, 1], bool)
    assert flagged_stretches(flags).tolist() == [[1, 3], [4, 5], [8, 9]]
    assert flagged_stretches(flags, 1).tolist() == [[1, 5], [8, 9]]
    assert flagged_stretches(np.zeros(3, bool)).tolist() == []


def test_counts_by_hand():
    label = np.array([0, 0, 1, 1, 1, 0, 0, 1, 1, 0.0])
    alarm = np.array([1, 0, 0, 1, 1, 1, 0, 0, 0, 0], bool)
    counts = count_rows(label, alarm, np.arange(0.0, 20, 2), 0)
    assert (counts.hits, counts.missed, counts.false, counts.right) == (2, 3, 2, 3)
    assert (counts.events, counts.seen, counts.fresh, counts.delays) == (2, 1, 1, (2.0,))
    assert (counts.episodes, counts.met) == (2, 1)
    said = values(rows_of(label, alarm))
    assert said["f1"] == said["f1_pooled"] == pytest.approx(2 * 2 / (2 * 2 + 2 + 3))
    assert (said["far"], said["mar"], said["event_recall"], said["event_precision"]) == (
        0.4,
        0.6,
        0.5,
        0.5,
    )
    assert said["delay"] == 1.0
    assert said["episodes"] == pytest.approx(200.0)


def test_everything_and_nothing():
    label = np.array([0, 0, 0, 1.0])
    everything, nothing = values(rows_of(label, np.ones(4))), values(rows_of(label, np.zeros(4)))
    assert everything["f1"] == everything["f1_everything"] == pytest.approx(0.4)
    assert (
        everything["f1_gain"],
        everything["far"],
        everything["mar"],
        everything["event_recall"],
    ) == (0.0, 1.0, 0.0, 1.0)
    assert (nothing["f1"], nothing["far"], nothing["mar"], nothing["event_precision"]) == (
        0.0,
        0.0,
        1.0,
        None,
    )


def test_a_run_without_an_anomaly_counts_by_the_rows_that_are_not_flagged():
    rows = pl.concat([rows_of(np.array([0, 1.0]), [0, 1]), rows_of(np.zeros(4), [1, 0, 0, 0], "b")])
    said = {score.metric: score for score in sensor_scores(rows, 0)}
    assert (said["f1"].value, said["f1"].n, said["f1"].n_undefined) == (0.875, 2, 0)
    assert said["f1_everything"].value == pytest.approx(1 / 3)
    assert (said["far"].value, said["far"].n) == (0.125, 2)
    counts = count_rows(np.zeros(4), np.zeros(4, bool), np.arange(4.0), 0)
    assert (counts.f1, counts.f1_everything) == (1.0, 0.0)


def test_false_alarms_on_a_healthy_machine_cost_the_headline():
    """181 of 400 healthy rows flagged: the model stands behind one that flags none and misses a
    little.
    """
    label = np.array([0, 1, 1, 1.0])
    healthy = np.arange(400) < 181
    noisy = pl.concat([rows_of(label, label), rows_of(np.zeros(400), healthy, "b")])
    quiet = pl.concat([rows_of(label, [0, 1, 1, 0]), rows_of(np.zeros(400), 0 * healthy, "b")])
    assert values(noisy)["f1"] == pytest.approx((1 + 219 / 400) / 2)
    assert values(quiet)["f1"] == pytest.approx((0.8 + 1) / 2)


def test_rows_whose_label_is_not_known_count_for_nothing():
    known = values(rows_of(np.array([0, 1, 1.0]), [1, 1, 0]))
    assert values(rows_of(np.array([0, 1, 1, np.nan]), [1, 1, 0, 1]))["far"] == known["far"]


def test_average_precision_is_scikit_learns():
    from sklearn.metrics import average_precision_score

    rng = np.random.default_rng(0)
    label, score = (rng.random(200) < 0.3).astype(float), np.round(rng.random(200), 1)
    assert run_average_precision(label, score) == pytest.approx(
        average_precision_score(label, score)
    )


def test_the_interval_of_few_runs_is_students():
    rows = pl.concat(
        [
            rows_of(np.array([0, 1, 1, 1.0]), [0, *([1] * n), *([0] * (3 - n))], str(n))
            for n in (1, 2, 3)
        ]
    )
    f1 = next(score for score in sensor_scores(rows, 0) if score.metric == "f1")
    each = np.array([0.5, 0.8, 1.0])
    half = 4.302652729911275 * each.std(ddof=1) / np.sqrt(3)
    assert (f1.ci_low, f1.ci_high) == pytest.approx((each.mean() - half, each.mean() + half))
    assert f1.ci_method == "t over runs"


def test_events_go_on_over_rows_whose_label_is_not_known():
    label = np.array([0, 0, 1, np.nan, 1, 1, 0, np.nan, np.nan, 0.0])
    alarm = np.array([0, 0, 0, 1, 1, 1, 0, 1, 1, 0], dtype=bool)
    counts = count_rows(label, alarm, np.arange(10.0), 0)
    assert (counts.events, counts.seen, counts.fresh, counts.delays) == (1, 1, 1, (2.0,))
    assert (counts.episodes, counts.met) == (1, 1)


def test_pooled_scores_of_few_runs_have_students_interval():
    rows = pl.concat([rows_of(np.zeros(20), [1] * n + [0] * (20 - n), str(n)) for n in (1, 2, 6)])
    far = next(score for score in sensor_scores(rows, 0) if score.metric == "far_pooled")
    half = 4.302652729911275 * far.stderr
    assert (far.ci_low, far.ci_high) == pytest.approx((far.value - half, far.value + half))
