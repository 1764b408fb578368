"""Positive and unlabelled: the chance of being found, and probabilities corrected by it."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError, DataError
from hwds.detection.models.anomaly.robust_z import RobustZ
from hwds.detection.models.classify.logistic import Logistic
from hwds.detection.models.classify.positive_unlabelled import PositiveUnlabelled
from hwds.detection.models.classify.xgboost import XGBoost
from hwds.detection.rows import labels_of
from tests.support.rows import context, relabelled, toy_rows, windows


def found_by_chance(chance, n=12_000):
    """Positives that stand apart, of which only some are found; nobody else has a label."""
    table = toy_rows(n)
    rng = np.random.default_rng(1)
    bad = rng.random(n) < 0.3
    spent = np.where(bad, 6.0, 0.0) + rng.normal(size=n)
    data = table.data.with_columns(pl.Series("spent", spent), pl.Series("truth", bad.astype(float)))
    table = replace(table, data=data, roles=table.roles | {"covariate": ("spent",)})
    label = np.where(bad & (rng.random(n) < chance), 1.0, np.nan)
    return relabelled(table, pl.Series(label, nan_to_null=True))


def fitted(model, parts):
    train, stop, calibrate, _ = parts
    return model.fit(train, stop=stop, calibrate=calibrate, context=context())


LEVELS_OFF = [(XGBoost(trees=60, patience=0, depth=2), "none"), (Logistic(), "isotonic")]
"""What is found levels off at the chance; a line in the log odds can only do so with steps behind
it.
"""


@pytest.mark.parametrize(("member", "calibration"), LEVELS_OFF)
@pytest.mark.parametrize("chance", [0.2, 0.6])
def test_the_chance_of_being_found_and_the_truth_are_found(chance, member, calibration):
    parts = windows(found_by_chance(chance))
    found = fitted(PositiveUnlabelled(member=member, calibration=calibration), parts)
    assert found.calibrator.sensitivity == pytest.approx(chance, rel=0.1)
    test = parts[3]
    said, truth = found.score_rows(test), test.data["truth"].to_numpy()
    assert said.probability.mean() == pytest.approx(truth.mean(), rel=0.1)
    assert said.probability.max() <= 1.0
    assert said.probability[truth == 1].mean() > 0.95
    why = found.explain(test)
    np.testing.assert_allclose(why.base + why.values.sum(axis=1), said.score, atol=1e-5)


def test_the_order_is_the_members_with_all_others_honest():
    parts = windows(found_by_chance(0.5, 3000))
    negative = tuple(relabelled(part, part.data["bad"].fill_null(0.0)) for part in parts)
    found = fitted(PositiveUnlabelled(member=Logistic()), parts).score_rows(parts[3])
    assert (
        found.score.tobytes() == fitted(Logistic(), negative).score_rows(parts[3]).score.tobytes()
    )
    assert (
        found.probability >= fitted(Logistic(), negative).score_rows(parts[3]).probability
    ).all()


def test_labels_of_honest_rows_are_taken_as_they_are():
    parts = windows(toy_rows())
    assert np.isfinite(
        fitted(PositiveUnlabelled(member=Logistic()), parts).score_rows(parts[3]).probability
    ).all()
    assert set(np.unique(labels_of(parts[0]))) == {0.0, 1.0}


def test_no_positive_held_out_is_refused():
    train, stop, calibrate, _ = windows(toy_rows())
    nobody = calibrate.filter(np.zeros(len(calibrate.data), bool))
    honest = relabelled(calibrate, np.zeros(len(calibrate.data)))
    for rows in (nobody, honest):
        with pytest.raises(DataError, match="needs found positives that were not learned from"):
            PositiveUnlabelled(member=Logistic()).fit(
                train, stop=stop, calibrate=rows, context=context()
            )


@pytest.mark.parametrize(
    ("member", "said"),
    [
        (Logistic(calibration="beta"), "'none'"),
        (Logistic(refit="every_2"), "'always'"),
        (RobustZ(), "learns from labels"),
    ],
)
def test_members_that_do_not_fit_are_refused(member, said):
    with pytest.raises(ConfigError, match=said):
        PositiveUnlabelled(member=member)
