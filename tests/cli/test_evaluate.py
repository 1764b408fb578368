"""Evaluation in Python: the numbers of a run, refusals in one line, and models that are fitted
without one.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import hwds
from hwds.core.compose import compose
from hwds.experiment.spec import check


def test_the_numbers_are_those_of_a_run(tmp_path, monkeypatch):
    from hwds.cli.run import run_experiment

    monkeypatch.chdir(tmp_path)
    words = [
        "dataset=classics",
        "model=forecast/drift",
        "rivals=[forecast/naive]",
        "protocol=holdout",
        "compute=serial",
    ]
    data = compose(words)
    experiment = check(data)
    tables = run_experiment(experiment, data).tables
    own, rival = experiment.model, experiment.rivals[0]
    result = hwds.evaluate(own, experiment.dataset.frame(), experiment.protocol, rivals=[rival])
    assert result.predictions.equals(tables.predictions)
    same = [name for name in tables.scores.columns if name not in ("experiment", "dataset")]
    assert result.scores.select(same).equals(tables.scores.select(same))
    assert result.leaderboard["model"][0] in ("forecast/drift", "forecast/naive")


def test_a_model_of_another_family_is_refused():
    panel = small_panel()
    with pytest.raises(hwds.ConfigError, match="'UCB1' is a UCB1; WalkForward takes a Forecaster"):
        hwds.evaluate(hwds.bandit.UCB1(), panel, hwds.forecast.WalkForward())
    with pytest.raises(hwds.ConfigError, match="the frame is a Panel; GroupedKFold takes a Table"):
        hwds.evaluate(hwds.detection.Logistic(), panel, hwds.detection.GroupedKFold())
    with pytest.raises(hwds.ConfigError, match="two models are called 'Naive'"):
        hwds.evaluate(
            hwds.forecast.Naive(),
            panel,
            hwds.forecast.WalkForward(),
            rivals=[hwds.forecast.Naive()],
        )


def test_a_model_that_fails_says_where():
    class Failing(hwds.forecast.Naive):
        def learn(self, history, *, horizon, context):
            raise ValueError("no luck with these numbers")

    with pytest.raises(
        hwds.CellError, match=r"Failing at .*: ValueError: no luck with these numbers"
    ):
        hwds.evaluate(Failing(), small_panel(), hwds.forecast.WalkForward(windows=1, horizon=3))


def small_panel():
    times = pl.date_range(pl.date(2020, 1, 1), pl.date(2023, 12, 1), "1mo", eager=True)
    rows = [
        pl.DataFrame({"shop": name, "month": times, "units": np.arange(48.0) + place})
        for place, name in enumerate("ab")
    ]
    return hwds.Panel.of(pl.concat(rows), series="shop", time="month", target="units")


def test_a_fitted_model_forecasts_the_rows_after_its_history(tmp_path):
    fitted = hwds.forecast.Naive().fit(small_panel(), horizon=2, levels=(0.2, 0.5))
    rows = fitted.predict()
    assert rows.columns == ["series_id", "time", "step", "mean", "q_0.2", "q_0.5"]
    assert rows["mean"].to_list() == [47.0, 47.0, 48.0, 48.0]
    assert rows["time"].dt.to_string("%Y-%m").to_list() == ["2024-01", "2024-02"] * 2
    assert repr(fitted).startswith(
        "ForecastModel(Naive, horizon=2, levels=(0.2, 0.5), panel=Panel(2 series, 96 rows, 2020"
    )
    fitted.save(tmp_path / "model")
    assert hwds.load_fitted(tmp_path / "model") == fitted.fitted


@pytest.mark.parametrize("horizon", [0, -3, "6", 1.5, True])
def test_a_horizon_that_is_no_count_of_steps_is_refused(horizon):
    with pytest.raises(hwds.ConfigError) as refusal:
        hwds.forecast.Naive().fit(small_panel(), horizon=horizon)
    assert str(refusal.value) == f"fit: horizon must be a whole number, 1 or more, got {horizon!r}."


def test_a_bare_frame_is_refused_as_evaluate_does():
    data = small_panel().table
    with pytest.raises(hwds.ConfigError) as refusal:
        hwds.forecast.Theta().fit(data)
    assert (
        str(refusal.value)
        == "fit: the frame is a DataFrame; Theta takes a Panel (made by hwds.Panel.of)."
    )
    with pytest.raises(hwds.ConfigError) as refusal:
        hwds.detection.Logistic().fit(data.to_pandas())
    assert (
        str(refusal.value)
        == "fit: the frame is a DataFrame; Logistic takes a Table (made by hwds.Table.of)."
    )
    with pytest.raises(hwds.ConfigError) as refusal:
        hwds.evaluate(hwds.forecast.Theta(), data, hwds.forecast.WalkForward())
    assert (
        str(refusal.value)
        == "evaluate: the frame is a DataFrame; WalkForward takes a Panel (made by hwds.Panel.of)."
    )


def test_columns_known_ahead_come_from_the_plan():
    panel = small_panel()
    data = panel.table.with_columns(price=pl.lit(2.0))
    names = {"series": "series_id", "time": "time", "target": "target", "known_future": "price"}
    model = hwds.forecast.Drift()
    with pytest.raises(
        hwds.DataError, match=r"'price' must be known for the rows to forecast: Panel\.of"
    ):
        model.fit(hwds.Panel.of(data, **names), horizon=1).predict()
    plan = pl.DataFrame({"series_id": ["a", "b"], "price": [3.0, 3.0]}).with_columns(
        time=pl.date(2024, 1, 1)
    )
    assert len(model.fit(hwds.Panel.of(data, **names, plan=plan), horizon=1).predict()) == 2


def test_a_classifier_is_fitted_on_a_table_alone():
    rng = np.random.default_rng(1)
    x = rng.normal(size=400)
    rows = pl.DataFrame(
        {
            "x": x,
            "bad": (rng.uniform(size=400) < 1 / (1 + np.exp(-2 * x))).astype(float),
            "who": np.arange(400),
        }
    )
    table = hwds.Table.of(rows, label="bad", entity="who")
    assert table.inputs == ("x",)
    fitted = hwds.detection.Logistic().fit(table)
    assert repr(fitted) == "FittedClassifier(LinearScorer, calibration='none')"
    said = fitted.predict(table)
    assert said.columns == ["row_id", "score", "probability", "p_value"]
    assert said["p_value"].null_count() == 400
    assert abs(said["probability"].mean() - rows["bad"].mean()) < 0.02
