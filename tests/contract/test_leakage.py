"""The leak check: every registered forecaster and feature set; and leaks that it must catch."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pytest

from hwds.core.compose import compose
from hwds.core.registry import options
from hwds.datasets.simulated.engines import Engines
from hwds.evaluation.leak_check import check_leaks, check_run_features, check_series_features
from hwds.evaluation.panel_folds import panel_known_at
from hwds.evaluation.protocol import RunContext
from hwds.experiment.spec import check
from hwds.forecast.models.base import Forecaster
from hwds.forecast.networks import Network
from hwds.forecast.protocols.holdout import Holdout
from hwds.forecast.protocols.walk_forward import WalkForward
from hwds.frames.features.base import Feature, PanelFeatures, Plan
from hwds.frames.features.none import None_
from hwds.frames.panel import Forecasts
from hwds.frames.runs import Runs
from hwds.frames.table import Table
from tests.support.composed import class_of
from tests.support.panels import AskedAnew, FittedLastValue, LastValue, monthly_panel

FORECASTERS = [name for name in options("model") if name.startswith(("forecast/", "foreign/"))]
PROTOCOLS = {
    "holdout": ["protocol=holdout_conformal", "protocol.horizon=4", "protocol.calibration=1"],
    "walk_forward": [
        "protocol=walk_forward",
        "protocol.horizon=4",
        "protocol.windows=2",
        "protocol.refit=every_2",
        "protocol.gap=1",
    ],
}


CHEAP = ["model.members=[forecast/drift,{forecast/xgboost:{trees:20}}]"]
FEWER_ORDERS = ["model.most_ordinary=1", "model.most_seasonal=1"]
FEWER = {
    "forecast/sarima": [*FEWER_ORDERS, "model.most_total=2"],
    "forecast/auto_arima_pmdarima": ["model.most_ordinary=1", "model.season=1", "model.longest=30"],
    "forecast/auto_arima_statsforecast": FEWER_ORDERS,
    "forecast/auto": ["model.members=[forecast/drift,forecast/theta]", "model.most=2"],
    "forecast/stack": CHEAP,
    "forecast/stack_devices": CHEAP,
    "forecast/select": CHEAP,
    "forecast/cnn": ["model.seeds=1"],
    "forecast/mlp": ["model.seeds=1"],
    "forecast/lstm": ["model.seeds=1"],
}
"""Cheap members, for each member is asked alone as well; fewer orders and one network, for more of
them see no more.
"""


@pytest.fixture(scope="module")
def panel():
    return check(
        compose(["dataset=hardware_demand", "size=small", "dataset.months=60"])
    ).dataset.load()


def asked():
    """Every class under a holdout and a walk forward: by its first option the latter, by all others
    (or the one) the former.

    Networks differ in their layers alone: the holdout of one is that of all.
    """
    by_class = {}
    for name in FORECASTERS:
        by_class.setdefault(class_of("model", name), []).append(name)
    for kind, names in by_class.items():
        yield names[0], "walk_forward"
        yield from (
            (name, "holdout") for name in names[1:] or ([] if issubclass(kind, Network) else names)
        )


@pytest.mark.parametrize(("model", "protocol"), list(asked()))
def test_no_forecaster_leaks(model, protocol, panel, tmp_path):
    words = [
        f"model={model}",
        "features=lags",
        "dataset=hardware_demand",
        "size=small",
        *PROTOCOLS[protocol],
    ]
    experiment = check(compose([*words, *FEWER.get(model, [])]))

    context = RunContext(0, features=experiment.features, cache=AskedAnew(tmp_path))
    few = panel.block(0, 2) if experiment.model.local else panel
    found = list(check_leaks(experiment.protocol, model, experiment.model, few, context))
    assert len(found) == (1 if protocol == "holdout" else 2)
    assert [leak for leak in found if leak] == []


def sets_of_series_and_runs():
    """Those of rows are in tests/contract/test_row_features.py."""
    return [name for name in options("features") if class_of("features", name).of is not Table]


@pytest.mark.parametrize("name", sets_of_series_and_runs())
def test_no_feature_set_leaks(name, panel):
    features = check(compose([f"features={name}"])).features
    if features.of is Runs:
        runs = Engines(engines=8, mean_life=30, sensors=3).load()
        assert [leak for leak in check_run_features(name, features, runs) if leak] == []
        return
    assert [leak for leak in check_series_features(name, features, panel, 4) if leak] == []


def caught(protocol, model, panel=None):
    return [
        leak
        for leak in check_leaks(
            protocol, "m", model, panel or monthly_panel(), RunContext(0, features=None_())
        )
        if leak
    ]


class Peeking(WalkForward):
    """A protocol that forgets to cut what it hands to `fit`, as careless code does."""

    def evaluate_cell(self, model, frame, cell, context):
        original = panel_known_at(frame, cell.fold.cutoffs[0])
        fitted = model.learn(
            frame, horizon=self.steps(frame), context=self._context(context, frame)
        )

        class Given(Forecaster):
            def learn(self, history, *, horizon, context):
                assert history.table.equals(original.table)
                return fitted

        return WalkForward.evaluate_cell(self, Given(), frame, cell, context)


@dataclass(frozen=True)
class Shifted(FittedLastValue):
    """The last value moved by a learned amount."""

    shift: float = 0.0

    def predict(self, history, future):
        plain = super().predict(history, future)
        return Forecasts.of(plain.mean + self.shift, plain.quantiles + self.shift)


class ScalerOnAllRows(Forecaster):
    """Learns the mean of all rows that it is given."""

    def learn(self, history, *, horizon, context):
        return Shifted(context.levels, float(history.target.mean()))


class StopsOnTheScoredWindow(Forecaster):
    """Chooses the shift that does best on the last rows that it is given."""

    def learn(self, history, *, horizon, context):
        last = history.last(horizon)
        before = last.target.reshape(-1, horizon)
        errors = {
            shift: np.abs(before - before[:, :1] - shift).mean()
            for shift in (-10.0, 0.0, 10.0, 1e5, -1e5)
        }
        return Shifted(context.levels, min(errors, key=errors.get))


class CentredMean(PanelFeatures):
    """A rolling mean that looks both ways."""

    def columns(self, roles, horizon):
        return Plan((Feature("centred", "origin", "level"),))

    def compute(self, panel):
        centred = (
            pl.col("target")
            .rolling_mean(5, center=True, min_samples=1)
            .over("series_id")
            .alias("centred")
        )
        return replace(panel, table=panel.table.with_columns(centred))


class Carries(LastValue):
    """Goes on from the weights of the fit before."""

    def learn(self, history, *, horizon, context):
        WEIGHTS.append(float(history.target[-1]))
        return Shifted(context.levels, float(np.mean(WEIGHTS)))


WEIGHTS: list[float] = []


def test_a_scaler_fitted_on_all_rows_is_caught():
    assert caught(Peeking(windows=2), ScalerOnAllRows())
    assert not caught(WalkForward(windows=2), ScalerOnAllRows())


def test_early_stopping_on_the_scored_window_is_caught():
    assert caught(Peeking(windows=2), StopsOnTheScoredWindow())
    assert not caught(WalkForward(windows=2), StopsOnTheScoredWindow())


def test_weights_carried_from_fold_to_fold_are_caught():
    WEIGHTS.clear()
    assert caught(WalkForward(windows=2), Carries())


def test_a_centred_rolling_mean_is_caught():
    assert [
        leak for leak in check_series_features("centred", CentredMean(), monthly_panel(), 6) if leak
    ]


@pytest.mark.parametrize("intervals", ["conformal", "adaptive"])
@pytest.mark.parametrize("align", ["calendar", "end"])
def test_intervals_do_not_leak(intervals, align, tmp_path):
    protocol = WalkForward(
        windows=4, stride=2, horizon=4, align=align, refit="every_2", intervals=intervals
    )
    assert [leak for leak in checked(protocol, LastValue(), tmp_path) if leak] == []


def test_intervals_calibrated_on_the_scored_window_are_caught(tmp_path):
    class Looks(WalkForward):
        """Learns from the rows that are scored."""

        def postprocess(self, rows):
            marked = rows.with_columns(pl.lit(-1, pl.Int32).alias("window"))
            return super().postprocess(pl.concat([rows, marked]))

    for intervals in ("conformal", "adaptive"):
        found = checked(Looks(windows=3, horizon=4, intervals=intervals), LastValue(), tmp_path)
        assert [leak for leak in found if leak]


def test_a_model_whose_back_test_looks_beyond_the_cutoff_is_caught(tmp_path):
    panel = monthly_panel()
    truth = [panel]

    class Careless(LastValue):
        """Back-tests itself on all that there is."""

        def backtest(self, history, windows, *, horizon, context):
            return LastValue().backtest(truth[-1], windows, horizon=horizon, context=context)

    class Watched(Holdout):
        """Lets the model find the whole data."""

        def evaluate_cell(self, model, frame, cell, context):
            truth.append(frame)
            return super().evaluate_cell(model, frame, cell, context)

    assert [
        leak
        for leak in checked(Watched(horizon=4, intervals="conformal"), Careless(), tmp_path)
        if leak
    ]
    assert not [
        leak
        for leak in checked(Watched(horizon=4, intervals="conformal"), LastValue(), tmp_path)
        if leak
    ]


def checked(protocol, model, folder):
    """What the leak check finds where nothing of the clean answers is kept for the poisoned ones."""
    return list(
        check_leaks(
            protocol,
            "m",
            model,
            monthly_panel(),
            RunContext(0, features=None_(), cache=AskedAnew(folder)),
        )
    )


def test_a_forecast_made_of_future_covariates_that_were_not_known_is_caught():
    class Careless(Holdout):
        """Lets the past-only column of the future through."""

        def evaluate_cell(self, model, frame, cell, context):
            rows = super().evaluate_cell(model, frame, cell, context)
            visits = frame.table.select("series_id", "time", "visits")
            joined = rows.join(visits, on=["series_id", "time"], how="left", maintain_order="left")
            return joined.with_columns(mean=pl.col("mean") + pl.col("visits")).drop("visits")

    assert caught(Careless(horizon=4), LastValue())
    assert not caught(Holdout(horizon=4), LastValue())
