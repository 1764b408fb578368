"""What a run about sensors says and draws, and how its models are compared."""

import polars as pl
import pytest

from hwds.cli.notebook import evaluate
from hwds.core.errors import ConfigError
from hwds.sensors.models.forecast_residual import ForecastResidual
from hwds.sensors.models.pca import PCA
from hwds.sensors.protocols.runs_in_time import RunsInTime
from hwds.sensors.report import (
    by_run_grid,
    runs_figure,
    sensor_evidence,
    sensor_sentence,
    sensors_figure,
    typical_run,
)
from hwds.stats.sources import ModelRows
from tests.support.figures import points, texts
from tests.support.sensor_runs import sensor_runs


@pytest.fixture(scope="module")
def runs():
    return sensor_runs()


@pytest.fixture(scope="module")
def done(runs):
    rival = ForecastResidual(name="sensors/forecast_residual", ahead=5)
    return evaluate(PCA(name="sensors/pca"), runs, RunsInTime(train_rows=80), rivals=[rival])


def test_the_sentence_stands_beside_flagging_everything_and_nothing(done):
    said = sensor_sentence(None, done.tables, "sensors/pca")
    f1 = done.tables.headline("f1", "sensors/pca")["value"]
    assert said.startswith(f"BETTER: sensors/pca finds anomalous rows with F1 {f1:.3f}, ")
    assert "above flagging every row (95 %: " in said
    assert "; 5 runs)." in said
    assert ", flagging none 0.2." in said
    assert "seconds after the beginning on average" in said
    assert "F1 of the others: sensors/forecast_residual" in said
    assert sensor_sentence(None, done.tables, "nobody") == ""


def test_pictures_and_the_table_by_run(done, runs):
    typical = typical_run(done.tables.predictions)
    own = done.tables.predictions.filter(model="sensors/pca")
    drawn = sensors_figure(runs, done.tables, "sensors/pca")
    assert f"{typical} by sensors/pca: the run with the median F1" in texts(drawn)
    assert {"flow", "heat", "noise", "age, seconds"} <= set(texts(drawn))
    assert len(drawn.axes) == len(runs.sensors) + 1
    assert set(points(drawn.axes[-1])) == {"score", "limit", "alarm"}
    assert len(points(drawn.axes[-1])["score"]) == len(own.filter(entity=typical))
    drawn = runs_figure(runs, done.tables, "sensors/pca")
    panels = {axes.get_title(loc="left"): axes for axes in drawn.axes if axes.get_title(loc="left")}
    assert panels.keys() == set(own["entity"])
    for name, axes in panels.items():
        rows = own.filter(entity=name)
        assert points(axes)["score"][:, 0].tolist() == sorted(rows["cycle"])
        assert len(axes.patches) == bool(rows["label"].sum()), "one anomaly, shaded"
    assert sensors_figure(runs, done.tables, "nobody") is None
    assert runs_figure(runs, done.tables, "nobody") is None
    grid = by_run_grid(done.tables, "sensors/pca")
    assert [len(column.cells) for column in grid.columns] == [5] * 7
    assert grid.columns[6].cells[:4] == ["flow"] * 4 or "flow" in grid.columns[6].cells
    assert typical_run(done.tables.predictions) in runs.names[:4]


class Named:
    """A run whose metrics have no settings."""

    def metric(self, short):
        return short


def test_models_are_compared_by_run(done):
    rows = done.tables.predictions
    labels = ("sensors/pca", "sensors/forecast_residual")
    answers = [
        ModelRows(label, "runs", 0, Named(), label, rows.filter(pl.col("model") == label))
        for label in labels
    ]
    for metric in ("f1", "far", "mar"):
        found, left_out = sensor_evidence(answers, metric, 50)
        assert found.means[0] == pytest.approx(
            [done.tables.headline(metric, label)["value"] for label in labels]
        )
        assert left_out == 0
    with pytest.raises(ConfigError, match="sensor anomalies cannot be compared by 'delay'"):
        sensor_evidence(answers, "delay", 50)
