"""Calibration: the reference implementations' numbers, maps that rise, refusals."""

from dataclasses import replace
from hashlib import blake2b

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import DataError
from hwds.core.serialization import STORED_MARK, dumps, load_fitted, loads, save_fitted
from hwds.detection.models.base import Classifier
from hwds.detection.rows import labelled_rows, representative_rows
from hwds.frames.table import Table
from hwds.stats.binary_labels import fit_calibrator, identity_calibrator, logit_fit
from hwds.stats.distributions import EDGE, log_odds, sigmoid

KINDS = ("platt", "bayes", "beta", "isotonic")


def scored(n=4000, seed=0, slope=0.6, shift=-3.0, sign=1.0):
    """Scores, and labels whose log odds are a line in them."""
    rng = np.random.default_rng(seed)
    score = rng.normal(0, 3, n)
    return score, (rng.random(n) < sigmoid(sign * slope * score + shift)).astype(float)


def sklearns(method, score, label):
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    class Given(ClassifierMixin, BaseEstimator):
        """Scores are the input."""

        def fit(self, inputs, target):
            self.classes_ = np.array([0, 1])
            return self

        def decision_function(self, inputs):
            return inputs[:, 0]

        def predict(self, inputs):
            return (inputs[:, 0] > 0).astype(int)

    given = FrozenEstimator(Given().fit(None, None))
    return CalibratedClassifierCV(given, method=method, ensemble=False).fit(
        score[:, None], label.astype(int)
    )


@pytest.mark.parametrize(("kind", "method"), [("platt", "sigmoid"), ("isotonic", "isotonic")])
@pytest.mark.parametrize("n", [60, 4000])
def test_it_is_what_scikit_learn_finds(kind, method, n):
    score, label = scored(n)
    asked = np.linspace(-12, 12, 301)
    wanted = sklearns(method, score, label).predict_proba(asked[:, None])[:, 1]
    np.testing.assert_allclose(
        fit_calibrator(kind, score, label).probability(asked), wanted, atol=1e-5
    )


def loss(weights, inputs, label):
    odds = inputs @ weights[:-1] + weights[-1]
    return np.sum(np.logaddexp(0, odds) - label * odds)


@pytest.mark.parametrize("n", [60, 4000])
def test_beta_is_the_optimum_that_scipy_finds(n):
    from scipy.optimize import minimize

    score, label = scored(n)
    held = np.clip(sigmoid(score), EDGE, 1 - EDGE)
    inputs = np.column_stack([np.log(held), -np.log1p(-held)])
    best = minimize(
        loss,
        np.zeros(3),
        (inputs, label),
        method="L-BFGS-B",
        bounds=[(0, None), (0, None), (None, None)],
    )
    found = fit_calibrator("beta", score, label)
    assert loss(found.coefficients, inputs, label) <= best.fun + 1e-5
    assert found.coefficients[:2].min() >= 0


def test_beta_leaves_out_what_would_be_negative_and_fits_the_rest_anew():
    rng = np.random.default_rng(3)
    chance = rng.random(5000)
    truth = sigmoid(-0.5 * np.log(chance) - 2.0 * np.log1p(-chance) - 2.0)  # falls with log p
    label = (rng.random(5000) < truth).astype(float)
    found = fit_calibrator("beta", log_odds(chance, EDGE), label)
    assert found.coefficients[0] == 0.0
    alone = logit_fit(-np.log1p(-chance)[:, None], label)
    np.testing.assert_allclose(found.coefficients[1:], alone, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("chance", [False, True])
def test_a_map_never_falls(kind, sign, chance):
    score, label = scored(800, sign=sign)
    score = sigmoid(score) if chance else score
    found = fit_calibrator(kind, score, label, chance=chance)
    asked = np.sort(np.append(score, [-60.0, 60.0] if not chance else [0.0, 1.0]))
    told = found.probability(asked)
    assert np.diff(told).min() >= 0
    assert told.min() >= 0
    assert told.max() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_expected_is_what_comes(kind):
    told = fit_calibrator(kind, *scored(40_000)).probability(scored(40_000, seed=1)[0])
    label = scored(40_000, seed=1)[1]
    assert told.mean() == pytest.approx(label.mean(), rel=0.05)
    for low, high in ((0.02, 0.1), (0.1, 0.3), (0.3, 1.0)):
        within = (told >= low) & (told < high)
        assert told[within].mean() == pytest.approx(label[within].mean(), rel=0.12)


def test_where_labels_miss_some_a_map_is_the_likeliest_to_what_is_there():
    from scipy.optimize import minimize

    score, there = scored(40_000)
    label = there * (np.random.default_rng(5).random(len(there)) < 0.7)
    held = np.clip(sigmoid(score), EDGE, 1 - EDGE)
    inputs = np.column_stack([np.log(held), -np.log1p(-held)])

    def unlikely(weights):
        chance = 0.7 * sigmoid(inputs @ weights[:-1] + weights[-1])
        return -np.sum(np.where(label == 1, np.log(chance), np.log1p(-chance)))

    found = fit_calibrator("beta", score, label, sensitivity=0.7)
    best = minimize(
        unlikely,
        np.array([1.0, 1.0, 0.0]),
        method="L-BFGS-B",
        bounds=[(0, None), (0, None), (None, None)],
    )
    assert unlikely(found.coefficients) <= best.fun + 1e-4
    np.testing.assert_allclose(
        fit_calibrator("platt", score, label, sensitivity=0.7).coefficients, [0.6, -3.0], atol=0.06
    )
    assert (
        fit_calibrator("platt", score, label).coefficients[0] < 0.55
    )  # a line to labels that level off is too flat


@pytest.mark.parametrize("kind", KINDS)
def test_where_labels_miss_some_expected_is_what_is_there(kind):
    score, there = scored(40_000)
    label = there * (np.random.default_rng(6).random(len(there)) < 0.7)
    told = fit_calibrator(kind, score, label, sensitivity=0.7).probability(
        scored(40_000, seed=1)[0]
    )
    truth = scored(40_000, seed=1)[1]
    for low, high in ((0.02, 0.1), (0.1, 0.3), (0.3, 0.7), (0.7, 1.01)):
        within = (told >= low) & (told < high)
        assert told[within].mean() == pytest.approx(truth[within].mean(), rel=0.12)


@pytest.mark.parametrize("sensitivity", [1.0, 0.8])
def test_the_reach_of_bayes_holds_the_truth_as_often_as_it_says(sensitivity):
    asked = np.array([-3.0, 0.0, 3.0, 6.0])
    truth, inside = sigmoid(0.6 * asked - 3.0), []
    for seed in range(300):
        score, label = scored(500, seed)
        label = label * (np.random.default_rng((seed, 1)).random(len(label)) < sensitivity)
        found = fit_calibrator("bayes", score, label, sensitivity=sensitivity)
        low, high = found.interval(asked)
        assert (low < found.probability(asked)).all()
        assert (found.probability(asked) < high).all()
        inside.append((low <= truth) & (truth <= high))
    assert 0.91 <= np.mean(inside) <= 0.98
    assert fit_calibrator("platt", score, label).interval(asked) is None


def test_bayes_is_platt_where_labels_are_many_and_less_sure_where_they_are_few():
    asked = np.linspace(-6, 12, 50)
    many, few = scored(400_000), scored(150, 3)
    np.testing.assert_allclose(
        fit_calibrator("bayes", *many).probability(asked),
        fit_calibrator("platt", *many).probability(asked),
        rtol=2e-3,
    )
    line = logit_fit(few[0][:, None], few[1])
    assert fit_calibrator("bayes", *few).probability(np.array([12.0]))[0] < sigmoid(
        line[0] * 12 + line[1]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_scores_that_part_the_labels_without_a_miss_give_finite_numbers(kind):
    score = np.array([-3.0, -2.0, -1.0, 1.0, 2.0])
    found = fit_calibrator(kind, score, (score > 0).astype(float))
    assert np.isfinite(found.coefficients).all()
    assert np.isfinite(found.probability(score)).all()


def test_platt_is_as_sure_as_its_targets():
    score = np.repeat([-5.0, 5.0], [8, 3])
    told = fit_calibrator("platt", score, (score > 0).astype(float)).probability(
        np.array([-5.0, 5.0])
    )
    np.testing.assert_allclose(told, [1 / 10, 4 / 5], rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_kind_of_label_is_refused(kind, label):
    with pytest.raises(
        DataError, match=r"needs rows of 0 and of 1 .* take more protocol.calibrate_days"
    ):
        fit_calibrator(kind, np.arange(5.0), np.full(5, label))


def test_without_calibration_scores_are_taken_at_their_word():
    np.testing.assert_allclose(
        identity_calibrator(False).probability(np.array([-2.0, 0.0])), [0.11920292, 0.5]
    )
    told = np.array([0.0, 0.25, 1.0])
    np.testing.assert_allclose(identity_calibrator(True).probability(told), told, atol=1.1 * EDGE)


@pytest.mark.parametrize("kind", KINDS)
def test_log_odds_are_those_of_the_probability(kind):
    found = fit_calibrator(kind, *scored(500))
    score = np.linspace(-8, 4, 50)
    np.testing.assert_allclose(
        found.odds(score), log_odds(found.probability(score), EDGE), atol=1e-9
    )


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_same_from_disk(kind, tmp_path):
    found = fit_calibrator(kind, *scored(500), chance=False)
    save_fitted(found, tmp_path)
    again = load_fitted(tmp_path)
    asked = np.linspace(-9, 9, 100)
    assert again.probability(asked).tobytes() == found.probability(asked).tobytes()
    data = dumps(found)
    names = {
        b'"coefficients"': b'"told"',
        b'"sensitivity"': b'"found"',
    }  # as older versions called them
    size = int.from_bytes(data[len(STORED_MARK) + 16 : len(STORED_MARK) + 24], "little")
    text, arrays = data[len(STORED_MARK) + 24 :][:size], data[len(STORED_MARK) + 24 + size :]
    for name, old in names.items():
        assert name in text
        text = text.replace(name, old)
    body = len(text).to_bytes(8, "little") + text + arrays
    older = loads(STORED_MARK + blake2b(body, digest_size=16).digest() + body, "an older run")
    assert older.probability(asked).tobytes() == found.probability(asked).tobytes()


@pytest.mark.parametrize("kind", ["beta", "isotonic"])
def test_a_weight_is_how_often_a_row_is_there(kind):
    score, label = scored(800)
    times = np.random.default_rng(1).integers(1, 5, 800)
    weighted = fit_calibrator(kind, score, label, weight=times.astype(float))
    repeated = fit_calibrator(kind, np.repeat(score, times), np.repeat(label, times))
    asked = np.linspace(-9, 5, 200)
    np.testing.assert_allclose(weighted.probability(asked), repeated.probability(asked), atol=1e-5)


def investigated(n=40_000):
    """Rows of which suspicious ones are looked at for unknown reasons, and some by chances that
    differ; all find 1 alike.
    """
    rng = np.random.default_rng(0)
    score = rng.normal(-2, 2, n)
    hidden = rng.random(n) < 0.5  # what the score does not know, and investigators see
    positive = rng.random(n) < sigmoid(score - 2 * hidden)
    chance = np.where(score > 0, 0.2, 0.05)
    drawn, named = rng.random(n) < chance, hidden & (rng.random(n) < 0.9)
    label = np.where(drawn | named, positive.astype(float), np.nan)
    columns = {
        "score": score,
        "bad": pl.Series(label, nan_to_null=True),
        "chance": pl.Series(chance),
    }
    told = pl.DataFrame(columns).with_columns(
        pl.when(pl.Series(drawn)).then("chance").alias("chance")
    )
    return Table.build(told, {"label": ("bad",), "label_propensity": ("chance",)}), positive


def test_rows_that_were_looked_for_by_chance_alone_calibrate():
    class Given:
        def score(self, rows):
            return rows.data["score"].to_numpy()

    rows, positive = investigated()
    plain = replace(rows, roles={"label": ("bad",)})
    fair, biased = (
        Classifier(calibration="beta").calibrated(Given(), each) for each in (rows, plain)
    )
    expected, wrong = (found.probability(Given().score(rows)).sum() for found in (fair, biased))
    assert abs(expected / positive.sum() - 1) < 0.06
    assert wrong / positive.sum() < 0.8


def test_rows_by_chance_of_one_kind_leave_it_to_all():
    rows, _ = investigated()
    honest = replace(rows, data=rows.data.filter(pl.col("chance").is_null() | (pl.col("bad") == 0)))
    assert len(representative_rows(labelled_rows(honest))[0].data) == len(
        labelled_rows(honest).data
    )
    counted, many = representative_rows(labelled_rows(rows))
    assert len(counted.data) == rows.data.filter(pl.col("chance").is_not_null())["bad"].count()
    assert many.mean() == pytest.approx(1)
    assert many.max() / many.min() == pytest.approx(4)
