"""Survival regressions agree with lifelines' own examples, and with censored machines say what is
true.
"""

from dataclasses import replace

import numpy as np
import pytest

from hwds.core.serialization import dumps, loads
from hwds.datasets.simulated.engines import Engines
from hwds.lifetime.models import base as landmarks
from hwds.lifetime.models.base import LifetimeContext
from hwds.lifetime.models.cox import Cox, Hazards
from hwds.lifetime.models.mean_life import MeanLife
from hwds.lifetime.models.weibull_aft import WeibullAFT, WeibullLaw

CONTEXT = LifetimeContext(0, cap=80.0, least=10)


@pytest.fixture(scope="module")
def lifelines():
    return pytest.importorskip("lifelines", reason="the extra `survival` is not installed")


@pytest.fixture(scope="module")
def rossi(lifelines):
    from lifelines.datasets import load_rossi

    return load_rossi()


def test_cox_is_that_of_the_example_of_recidivism(lifelines, rossi):
    """Coefficients of lifelines' page "Survival regression", after Rossi et al. 1980 and Allison
    1995.
    """
    fitter = lifelines.CoxPHFitter().fit(rossi, "week", "arrest")
    hazards = Hazards.of(fitter)
    wanted = {
        "fin": -0.38,
        "age": -0.06,
        "race": 0.31,
        "wexp": -0.15,
        "mar": -0.43,
        "paro": -0.08,
        "prio": 0.09,
    }
    assert dict(zip(wanted, hazards.beta.round(2).tolist(), strict=True)) == wanted
    people = rossi[list(wanted)].iloc[:20]
    told = fitter.predict_survival_function(people).T[hazards.times].to_numpy()
    assert hazards.survival(people.to_numpy(float)) == pytest.approx(told, abs=1e-12)


def test_weibull_is_that_of_the_same_example(lifelines, rossi):
    fitter = lifelines.WeibullAFTFitter().fit(rossi, "week", "arrest")
    names = ["fin", "age", "race", "wexp", "mar", "paro", "prio"]
    law, people = WeibullLaw.of(fitter, names), rossi[names].iloc[:20]
    assert law.beta.round(2).tolist() == [0.27, 0.04, -0.22, 0.11, 0.31, 0.06, -0.07]
    assert (round(law.intercept, 2), round(float(np.log(law.shape)), 2)) == (3.99, 0.34)
    times = np.array([5.0, 20.0, 52.0])
    told = fitter.predict_survival_function(people, times=times).T.to_numpy()
    assert law.survival(people.to_numpy(float), times) == pytest.approx(told, abs=1e-12)
    assert law.quantiles(people.to_numpy(float))[:, 9] == pytest.approx(
        fitter.predict_median(people).to_numpy()
    )


def test_the_mean_of_an_exponential_law_is_its_scale_up_to_the_cap():
    """A Weibull law of shape 1 and scale s has E[min(life, cap)] = s (1 - exp(-cap / s))."""
    law = WeibullLaw(0.0, np.array([1.0]), 1.0)
    scale = np.array([2.0, 20.0, 500.0])
    wanted = scale * -np.expm1(-125 / scale)
    assert law.restricted_mean(np.log(scale)[:, None], 125.0) == pytest.approx(wanted, rel=0.005)


@pytest.mark.parametrize(
    "model", [Cox(landmarks=6), WeibullAFT(landmarks=6)], ids=["cox", "weibull"]
)
def test_lives_of_unseen_machines(model, lifelines):
    """Judged by the lives of machines of which none is taken out of service, for short ones are
    seen to end more often.
    """
    world = Engines(engines=80, mean_life=50, sensors=3, regimes=2, censored=0.4, noise=0.02)
    runs, whole = world.load(), replace(world, censored=0.0).load()
    fitted = model.learn(runs.take(np.arange(runs.n) < 55), CONTEXT)
    unseen = whole.take((np.arange(runs.n) >= 55) & (whole.lengths > 30))
    lives, left = fitted.predict(unseen.until(np.full(unseen.n, 30))), unseen.lengths - 30
    counting = (
        MeanLife()
        .learn(runs.take(np.arange(runs.n) < 55), CONTEXT)
        .predict(unseen.until(np.full(unseen.n, 30)))
    )
    assert ((lives.point - left) ** 2).mean() < 0.75 * ((counting.point - left) ** 2).mean()
    assert np.corrcoef(lives.point, left)[0, 1] > 0.5
    again = loads(dumps(fitted), "memory").predict(unseen.until(np.full(unseen.n, 30)))
    assert (again.quantiles == lives.quantiles).all()


def test_landmarks_are_late_enough_and_as_many_as_are_asked_for():
    runs = Engines(engines=10, mean_life=50, sensors=2).load()
    rows = landmarks.landmark_rows(runs, LifetimeContext(0, least=10, by_share=True), 5)
    counts = np.bincount(runs.run_of_row[rows], minlength=runs.n)
    assert set(counts[runs.lengths > 15].tolist()) == {5}
    place = rows - runs.offsets[:-1][runs.run_of_row[rows]]
    assert place.min() >= 9
    assert (runs.remaining_of_rows()[0][rows] > 0).all()
