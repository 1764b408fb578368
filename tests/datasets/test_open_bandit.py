"""The Open Bandit Dataset, where it lies below HWDS_DATA."""

import numpy as np
import polars as pl
import pytest

from hwds.datasets.open_bandit import OpenBandit


@pytest.mark.data
@pytest.mark.parametrize(("log", "click"), [("random", 0.0046), ("thompson", 0.0069)])
def test_mean_clicks_are_the_published_ones(log, click, data_folder):
    table = OpenBandit(log=log).load()
    assert len(table.data) == 10_000
    assert table.column("outcome").mean() == pytest.approx(click, abs=1e-12)
    assert table.column("arm").n_unique() == 34
    assert table.data["timestamp"].is_sorted()


@pytest.mark.data
def test_the_other_policy_is_a_distribution_by_position(data_folder):
    table = OpenBandit().load()
    target = table.data.select(pl.col("^target_.*$"))
    assert target.width == 34
    assert target.sum_horizontal().to_numpy() == pytest.approx(np.ones(10_000))
    assert len(target.with_columns(table.data["position"]).unique()) == 3
    assert (OpenBandit(log="thompson").load().data["target_5"] == 1 / 34).all()


def test_without_the_files_it_says_where_they_are_to_be_had(monkeypatch):
    from hwds.core.errors import DataError

    monkeypatch.delenv("HWDS_DATA", raising=False)
    with pytest.raises(DataError, match=r"random_men.*HWDS_DATA.*zr-obp"):
        OpenBandit().load()
    assert "bts_men.parquet" in OpenBandit().source()
