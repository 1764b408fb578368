"""The work of forecasters before it is done: laws that rise with what costs, and none for what
nobody has measured.
"""

import math

import pytest

from hwds.core.compose import compose
from hwds.core.registry import options
from hwds.evaluation.workers import seconds_per_unit
from hwds.experiment.spec import check
from hwds.forecast.models.lstm import LSTM
from hwds.forecast.models.stack import Stack
from hwds.forecast.models.theta import Theta
from hwds.forecast.models.xgboost import XGBoost
from hwds.forecast.work import PanelSize, backtest_work, cell_work, work_of
from tests.support.panels import LastValue

SIZE = PanelSize(series=150, length=142.0, season=52, horizon=8, columns=2)

UNMEASURED = {
    "forecast/auto_arima_pmdarima",
    "forecast/auto_arima_statsforecast",
    "forecast/since_break",
    "forecast/unobserved_components",
}


@pytest.mark.parametrize(
    "name", [name for name in options("model") if name.startswith("forecast/")]
)
def test_every_forecaster_has_a_law(name):
    model = check(compose([f"model={name}", "dataset=classics"])).model
    assert (work_of(model, SIZE) is None) == (name in UNMEASURED)


def test_the_floor_of_simulated_demand_has_a_law_so_that_a_plan_can_say_how_long():
    truth = check(compose(["dataset=hardware_demand"])).dataset.truth("forecast")
    assert 0 < work_of(truth, SIZE).total < work_of(truth, SIZE._replace(series=1500)).total < 1


def test_a_model_of_ones_own_has_none():
    assert work_of(LastValue(), SIZE) is None
    assert cell_work(LastValue(), SIZE, 1, 0) is None


def test_work_rises_with_rows_trees_and_epochs():
    plain, more = XGBoost(trees=60, patience=0), XGBoost(trees=240, patience=0)
    assert work_of(plain, SIZE).total < work_of(more, SIZE).total < 5 * work_of(plain, SIZE).total
    assert (
        work_of(LSTM(), SIZE).fit
        < work_of(LSTM(epochs=6), SIZE).fit
        < work_of(LSTM(epochs=6, patience=3), SIZE).fit
    )
    assert work_of(Theta(), SIZE).ask < work_of(Theta(), SIZE._replace(series=1500)).ask
    pair = Stack(members=(Theta(origins=0), plain))
    assert work_of(pair, SIZE).fit > 4 * work_of(plain, SIZE.shorter(24)).fit


def test_inner_windows_are_of_one_fit_but_for_local_models():
    network, local = LSTM(), Theta(origins=0)
    assert backtest_work(network, SIZE, 3).fit == work_of(network, SIZE.shorter(24)).fit
    assert backtest_work(local, SIZE, 3).ask == 3 * work_of(local, SIZE.shorter(24)).ask


def test_this_machine_has_a_speed():
    assert 0.05 < seconds_per_unit() < math.inf  # a busy machine is slow without bound
    assert seconds_per_unit() == seconds_per_unit()
