"""Models of normal readings: limits, what PCA says against its formulas, and a stream that has the
bits of a batch.
"""

import numpy as np
import pytest

from hwds.core.errors import DataError
from hwds.evaluation.trees import read_isolation_trees
from hwds.frames.runs import Runs
from hwds.sensors.models.base import WINDOWS, Departures, SensorContext, conformal_limits
from hwds.sensors.models.forecast_residual import ForecastResidual
from hwds.sensors.models.isolation_forest import Forest, IsolationForest
from hwds.sensors.models.pca import PCA, Components
from tests.support.sensor_runs import ROLES, sensor_runs, sensor_table

CONTEXT = SensorContext(0, first=80)


@pytest.fixture(scope="module")
def runs():
    return sensor_runs()


def test_limits_are_conformal_quantiles_with_equal_parts_of_the_false_alarms():
    held = np.column_stack([np.arange(1.0, 100), np.arange(99.0, 0, -1)])
    assert conformal_limits(held, 0.1).tolist() == [95.0, 95.0]  # the rank is 100 x (1 - .1 / 2)
    assert conformal_limits(held[:, :1], 0.1).tolist() == [90.0]
    with pytest.raises(
        DataError,
        match=r"^protocol\.false_alarms: must be >= 0\.02 with 99 held-out rows, got 0\.01\.$",
    ):
        conformal_limits(held, 0.01)


def test_new_normal_rows_raise_as_many_alarms_as_are_allowed():
    rng = np.random.default_rng(1)
    rates = [
        (rng.chisquare(3, (2000, 2)) > conformal_limits(rng.chisquare(3, (400, 2)), 0.1))
        .any(axis=1)
        .mean()
        for _ in range(40)
    ]
    assert abs(np.mean(rates) - 0.1) < 0.01


def test_t2_and_q_are_hotellings_and_the_residual():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(500, 4)) @ rng.normal(size=(4, 4))
    spread, axes = np.linalg.eigh(values.T @ values / 500)
    components = Components(np.ascontiguousarray(axes[:, ::-1]), spread[::-1], 2)
    said = components.statistics(values, np.zeros(500, int))
    inner = values @ axes[:, ::-1][:, :2]
    np.testing.assert_allclose(said[:, 0], (inner**2 / spread[::-1][:2]).sum(axis=1))
    np.testing.assert_allclose(
        said[:, 1], ((values - inner @ axes[:, ::-1][:, :2].T) ** 2).sum(axis=1)
    )
    whole = Components(components.axes, components.spread, 4).statistics(
        values, np.zeros(500, int)
    )[:, 0]
    np.testing.assert_allclose(
        whole, np.einsum("ij,jk,ik->i", values, np.linalg.inv(values.T @ values / 500), values)
    )


def test_the_forest_is_scikit_learns():
    from sklearn.ensemble import IsolationForest as Isolation

    values = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    forest = Isolation(n_estimators=10, max_samples=64, random_state=0).fit(values)
    own = Forest(read_isolation_trees(forest.estimators_, 64)).statistics(
        values.astype(float), np.zeros(300, int)
    )[:, 0]
    np.testing.assert_allclose(own, -forest.score_samples(values), rtol=1e-6)


@pytest.mark.parametrize("model", [PCA(), IsolationForest(trees=10), ForecastResidual(ahead=5)])
def test_a_stream_has_the_bits_of_a_batch(model, runs):
    fitted = model.fit(runs, context=CONTEXT)
    batch = fitted.predict(runs.unmarked)
    ends = runs.offsets[1:]
    for rows in (81, 113, 149):
        known = runs.until(np.full(runs.n, rows)).unmarked
        said = fitted.predict(known)
        place = ends - runs.lengths + rows - 1
        assert said.score[known.offsets[1:] - 1].tolist() == batch.score[place].tolist()
        assert [said.reason[i - 1] for i in known.offsets[1:]] == [batch.reason[i] for i in place]


def test_a_run_alone_is_scored_as_beside_others(runs):
    fitted = PCA().fit(runs, context=CONTEXT)
    batch = fitted.predict(runs.unmarked).score
    one = fitted.predict(runs.unmarked.take(np.arange(runs.n) == 3)).score
    assert one.tolist() == batch[runs.offsets[3] : runs.offsets[4]].tolist()


def test_a_level_is_each_machines_own_and_what_wanders_is_judged_by_its_wandering(runs):
    shifted = Runs.build(sensor_table().with_columns(flow=sensor_table()["flow"] + 1000.0), ROLES)
    one = PCA().fit(runs, context=CONTEXT).predict(runs.unmarked).score
    other = PCA().fit(shifted, context=CONTEXT).predict(shifted.unmarked).score
    np.testing.assert_allclose(one, other, rtol=1e-6)
    departures = Departures.learn(WINDOWS, runs.until(np.full(5, 80)).unmarked, 0.4)
    growth = dict(zip(departures.features.names, departures.growth.tolist(), strict=True))
    assert growth["heat mean_10"] > growth["noise mean_10"]
    assert departures.sensors == ("heat", "noise", "flow")
