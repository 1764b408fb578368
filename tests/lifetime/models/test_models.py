"""Models of remaining life: what each knows, what it says of machines it has not seen, and that it
is kept whole.
"""

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError, DataError
from hwds.core.recipe import construct
from hwds.core.serialization import dumps, loads
from hwds.datasets.simulated.engines import Engines
from hwds.frames.features.signal_windows import SignalWindows
from hwds.frames.runs import Runs
from hwds.frames.signals import RegimeScales as Scales
from hwds.lifetime.models.base import LifetimeContext
from hwds.lifetime.models.linear_age import LinearAge
from hwds.lifetime.models.mean_life import MeanLife
from hwds.lifetime.models.similarity import Similarity
from hwds.lifetime.models.stack import Stack
from hwds.lifetime.models.wear_rate import WearRate
from hwds.lifetime.models.xgboost_windows import XGBoostWindows

CONTEXT = LifetimeContext(0, cap=80.0, least=10, features=SignalWindows(windows=(20, 60)))
TREES, LIKE = (
    XGBoostWindows(trees=40, inner_folds=2, leaf_rows=10),
    Similarity(inner_folds=2, neighbours=5),
)
MODELS = {"trees": TREES, "similarity": LIKE, "age": LinearAge(inner_folds=2), "mean": MeanLife()}
MODELS["wear"] = WearRate(inner_folds=2)
MODELS["stack"] = Stack(members=(TREES, LIKE), inner_folds=2)


@pytest.fixture(scope="module")
def runs():
    return Engines(engines=70, mean_life=50, sensors=4, regimes=2, noise=0.02).load()


@pytest.fixture(scope="module")
def cut(runs):
    """Machines that no model has seen, as they were after 30 cycles."""
    unseen = runs.take((np.arange(runs.n) >= 50) & runs.events & (runs.lengths > 30))
    return unseen.until(np.full(unseen.n, 30)), unseen.lengths - 30


@pytest.fixture(scope="module")
def fitted(runs):
    return {
        name: model.learn(runs.take(np.arange(runs.n) < 50), CONTEXT)
        for name, model in MODELS.items()
    }


def errors(fitted, cut):
    asked, left = cut
    return {
        name: float(np.sqrt(((one.predict(asked).point - left) ** 2).mean()))
        for name, one in fitted.items()
    }


def test_what_sees_wear_beats_what_counts_cycles(fitted, cut):
    found = errors(fitted, cut)
    assert max(found[name] for name in ("trees", "similarity", "stack", "wear")) < 0.8 * min(
        found["age"], found["mean"]
    )
    assert found["stack"] <= max(found["trees"], found["similarity"])


@pytest.mark.parametrize("name", MODELS)
def test_a_law_rises_holds_lives_and_is_kept_whole(name, fitted, cut):
    asked, left = cut
    lives = fitted[name].predict(asked)
    assert lives.quantiles.shape == (asked.n, 19)
    assert (np.diff(lives.quantiles, axis=1) >= 0).all()
    assert (lives.quantiles >= 0).all()
    inside = (left >= lives.quantiles[:, 0]) & (left <= lives.quantiles[:, -1])
    assert inside.mean() >= 0.7
    again = loads(dumps(fitted[name]), "memory").predict(asked)
    assert (again.point == lives.point).all()
    assert (again.quantiles == lives.quantiles).all()
    one = asked.take(np.arange(asked.n) == 3)
    assert fitted[name].predict(one).point[0] == lives.point[3]


def test_a_course_that_is_known_is_its_own_nearest(runs):
    known = runs.take(runs.events)
    one = Similarity(neighbours=1).regress(known, CONTEXT)
    seen, _ = known.remaining_of_rows()
    assert (one.points(known) == np.minimum(seen, 80)).mean() > 0.99


def test_weights_of_a_stack_find_the_member_that_is_right(runs):
    learned = runs.take(runs.events)
    seen, _ = learned.remaining_of_rows()
    target = np.minimum(seen, CONTEXT.cap)
    rng = np.random.default_rng(0)
    held = np.column_stack(
        [target + rng.normal(0, 2, len(target)), target + rng.normal(0, 20, len(target))]
    )
    stack = MODELS["stack"]
    weights = stack.weights(held, learned, CONTEXT)
    share = stack.shrinkage / (stack.shrinkage + learned.n)
    assert weights.sum() == pytest.approx(1)
    assert weights[0] == pytest.approx((1 - share) * (400 / 404) + share / 2, abs=0.02)


def test_a_stack_is_no_member_of_a_stack():
    with pytest.raises(
        ConfigError, match=r"^model\.members: must be models of points by themselves, got a stack"
    ):
        construct(Stack, "model", {"members": (TREES, MODELS["stack"])})


def test_censored_machines_make_lives_longer(runs):
    naive = MeanLife().learn(runs.take(runs.events), CONTEXT)
    new = runs.until(np.full(runs.n, 1)).take(np.arange(runs.n) == 0)
    cut = runs.until(np.minimum(runs.lengths, 52))
    short = cut.ends.with_columns(event=(runs.lengths <= 52) & runs.events)
    known = MeanLife().learn(type(runs)(cut.data, short, cut.roles, cut.regimes, cut.unit), CONTEXT)
    assert known.predict(new).quantiles[0, 9] == pytest.approx(
        naive.predict(new).quantiles[0, 9], abs=6
    )


def test_too_few_failures(runs):
    with pytest.raises(DataError, match=r"needs 3 runs that failed to learn from, got 0\.$"):
        LinearAge().fit(runs.take(~runs.events))


def test_a_network_of_two_branches_has_its_masks_as_inputs(runs, cut):
    """Conformal intervals hold more than those of dropout.

    The mean network is that of masks of ones.
    """
    from hwds.lifetime.models.lstm_cnn import LSTMCNN

    small = LSTMCNN(
        units=4,
        filters=4,
        window=10,
        epochs=4,
        every=2,
        draws=10,
        inner_folds=2,
        intervals="mc_dropout",
    )
    learned = small.learn(runs.take(np.arange(runs.n) < 50), CONTEXT)
    asked, left = cut
    lives = learned.predict(asked)
    assert np.sqrt(((lives.point - left) ** 2).mean()) < 1.2 * left.std()
    assert ((left >= lives.quantiles[:, 0]) & (left <= lives.quantiles[:, -1])).mean() < 0.8
    windows = learned.network.windows(asked, asked.offsets[1:] - 1)
    plain = learned.network.predict_windows(windows, learned.network.shape.ones(asked.n))
    assert plain == pytest.approx(learned.network.points(asked)[asked.offsets[1:] - 1], abs=1e-3)
    masked = learned.network.predict_windows(
        windows, [np.zeros_like(part) for part in learned.network.shape.ones(asked.n)]
    )
    assert (
        len(set(masked.round(4).tolist())) == 1
    )  # nothing of the windows comes through masks of zeros
    again = loads(dumps(learned), "memory").predict(asked)
    assert (again.quantiles == lives.quantiles).all()


def test_levels_of_conditions_are_told_within_runs():
    """The second condition only comes when machines are worn: means of its rows have the wear,
    differences within runs not.
    """
    rng = np.random.default_rng(0)
    parts = []
    for number in range(6):
        age = np.arange(1, 61)
        regime = ((age > 20 + 5 * number) & (age % 4 > 0)).astype(float)
        sensor = age / 60 + 2 * regime + 0.01 * rng.normal(size=60)
        parts.append(pl.DataFrame({"m": f"m{number}", "t": age, "load": regime, "x": sensor}))
    worn = Runs.build(
        pl.concat(parts), {"entity": "m", "cycle": "t", "setting": "load", "sensor": "x"}, regimes=2
    )
    scales = Scales.learn(worn)
    assert float(np.ptp(scales.mean)) > 2.2
    assert float(np.ptp(scales.within_runs(worn).mean)) == pytest.approx(2, abs=0.02)


def test_sensors_that_know_nothing_of_wear_make_no_endless_lives():
    """Chance alone makes wear of almost none or below it, over which a rate is thousands of
    cycles.
    """
    rng, parts = np.random.default_rng(0), []
    for number in range(8):
        age = np.arange(1, int(rng.weibull(2) * 100) + 21)
        parts.append(
            pl.DataFrame(
                {
                    "m": f"m{number}",
                    "t": age,
                    "x": rng.normal(size=len(age)),
                    "y": rng.normal(size=len(age)),
                }
            )
        )
    noise = Runs.build(pl.concat(parts), {"entity": "m", "cycle": "t", "sensor": ["x", "y"]})
    young = noise.until(np.minimum(15, noise.lengths - 1))
    assert (
        WearRate(inner_folds=2).fit(noise, context=CONTEXT).predict(young).quantiles.max()
        < 2 * noise.ages.max()
    )
