"""The readers of $HWDS_DATA: published shapes and figures, and what is said where the data is not
at hand.
"""

from datetime import date

import numpy as np
import polars as pl
import pytest

from hwds.core.compose import compose
from hwds.core.errors import DataError
from hwds.datasets.apple_units import AppleUnits
from hwds.datasets.aus_retail import AusRetail
from hwds.datasets.carparts import Carparts
from hwds.datasets.hospital import Hospital
from hwds.datasets.m3 import M3
from hwds.experiment.spec import check
from hwds.forecast.models.base import ForecastContext
from hwds.forecast.models.seasonal_naive import SeasonalNaive

ALL = [
    *(M3(subset=name) for name in ("monthly", "quarterly", "yearly", "other")),
    Hospital(),
    Carparts(),
    AusRetail(),
    AppleUnits(),
]


def seasonal_naive_mase(panel) -> float:
    """The mean over series of the MASE of the last `horizon` rows.

    Series without a scale are left out.
    """
    history, future = panel.until(panel.lengths - panel.horizon), panel.last(panel.horizon)
    context = ForecastContext(seed=0, levels=(0.5,), season=panel.season)
    mean = (
        SeasonalNaive()
        .learn(history, horizon=panel.horizon, context=context)
        .predict(history, future)
        .mean
    )
    errors = np.abs(future.target.reshape(mean.shape) - mean).mean(axis=1)
    m = panel.season
    scales = np.array(
        [np.abs(y[m:] - y[:-m]).mean() for y in map(history.series, range(history.n_series))]
    )
    return float((errors[scales > 0] / scales[scales > 0]).mean())


@pytest.mark.data
@pytest.mark.parametrize(
    ("dataset", "series", "season", "horizon", "mase"),
    [
        (M3(), 1428, 12, 18, 1.146),
        (M3(subset="quarterly"), 756, 4, 8, 1.425),
        (M3(subset="yearly"), 645, 1, 6, 3.172),
        (M3(subset="other"), 174, 1, 8, 3.089),
        (Hospital(), 767, 12, 12, 0.921),
        (Carparts(), 2509, 12, 12, 1.201),
    ],
    ids=["m3_monthly", "m3_quarterly", "m3_yearly", "m3_other", "hospital", "carparts"],
)
def test_published_shapes_and_seasonal_naive(data_folder, dataset, series, season, horizon, mase):
    panel = dataset.load()
    assert (panel.n_series, panel.season, panel.horizon) == (series, season, horizon)
    if panel.roles.split:
        tests = np.add.reduceat(
            (panel.table["split"] == "test").to_numpy().astype(int), panel.offsets[:-1]
        )
        assert set(tests.tolist()) == {horizon}
    assert round(seasonal_naive_mase(panel), 3) == mase


@pytest.mark.data
def test_aus_retail_has_its_hierarchy(data_folder):
    panel = AusRetail().load()
    assert (panel.n_series, panel.roles.level) == (152, ("state", "industry"))
    assert panel.table["state"].n_unique() == 8


@pytest.mark.data
def test_apple_units_begin_at_the_launch(data_folder):
    panel = AppleUnits().load()
    spans = {
        row[0]: row[1:]
        for row in panel.table.group_by("series_id")
        .agg(pl.col("time").min(), pl.col("target").first())
        .rows()
    }
    assert spans["iPhone"] == (date(2007, 4, 1), 0.27)
    assert spans["Mac"] == (date(1998, 10, 1), 0.944)
    assert panel.season == 4


@pytest.mark.parametrize(
    "dataset", ALL, ids=lambda dataset: f"{type(dataset).__name__}-{getattr(dataset, 'subset', '')}"
)
@pytest.mark.parametrize("folder", ["", "there"])
def test_where_the_data_is_absent_all_is_said_in_a_line(dataset, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HWDS_DATA", str(tmp_path / folder) if folder else "")
    with pytest.raises(DataError) as refusal:
        dataset.load()
    message = str(refusal.value)
    assert message.endswith(dataset.source())
    assert "\n" not in message
    for word in (
        "is not at hand",
        "$HWDS_DATA/",
        "columns",
        "licence" if "Apple" in str(type(dataset)) else "(",
        "sha256",
    ):
        assert word in message


def test_a_file_of_other_rows_or_columns_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("HWDS_DATA", str(tmp_path))
    (tmp_path / "hospital").mkdir()
    table = pl.DataFrame({"series_id": ["a"], "date": [date(2024, 1, 1)], "y": [1.0]})
    table.write_parquet(tmp_path / "hospital" / "hospital.parquet")
    with pytest.raises(DataError, match="has 1 rows, the published data 64,428"):
        Hospital().load()
    table.drop("y").write_parquet(tmp_path / "hospital" / "hospital.parquet")
    with pytest.raises(DataError, match=r"^dataset: '.*' has no column 'y'"):
        Hospital().load()


@pytest.mark.data
def test_an_even_sample_of_the_series_is_taken(data_folder):
    whole, some = M3(subset="yearly").load(), M3(subset="yearly", series=5).load()
    names = whole.series_ids.to_list()
    assert some.series_ids.to_list() == [names[place] for place in (0, 161, 322, 483, 644)]
    assert check(compose(["dataset=hospital", "size=small"])).dataset.load().n_series == 30
