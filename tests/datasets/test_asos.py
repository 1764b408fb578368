"""Real experiments in running sums, through the analysis of tests."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from hwds.ab.models.welch import Welch
from hwds.ab.protocols.ab_test import AbTest
from hwds.core.errors import ConfigError, DataError
from hwds.datasets.asos import PUBLIC, Asos
from hwds.evaluation.protocol import Cell, RunContext


def scores(frame, **settings):
    protocol, model = AbTest(**{"replications": 0} | settings), Welch()
    fold = protocol.split(frame)[0]
    return protocol.score(
        protocol.evaluate_cell(model, frame, Cell("w", fold, 0, fold.units), RunContext(0))
    )


@pytest.mark.data
def test_an_experiment_has_the_effect_of_its_last_instant(data_folder):
    rows = pl.read_parquet(data_folder / PUBLIC.file)
    last = (
        rows.filter((pl.col("experiment_id") == "036afc") & (pl.col("metric_id") == 1))
        .sort("time_since_start")
        .row(-1, named=True)
    )
    found = scores(Asos().load(), looks=10)
    fixed = next(
        s for s in found if s.metric == "effect" and s.ci_method == "fixed" and s.step is None
    )
    assert fixed.value == pytest.approx(last["mean_t"] - last["mean_c"])
    error = np.sqrt(last["variance_t"] / last["count_t"] + last["variance_c"] / last["count_c"])
    assert fixed.stderr == pytest.approx(error)
    assert fixed.n == last["count_t"] + last["count_c"]
    assert [s.step for s in found if s.metric == "effect" and s.ci_method == "fixed"][1:] == list(
        range(1, 11)
    )


@pytest.mark.data
def test_of_real_experiments_most_can_be_read_and_some_have_a_wrong_sample_ratio(data_folder):
    ids = pl.read_parquet(data_folder / PUBLIC.file)["experiment_id"].unique().sort().to_list()
    status = []
    for experiment in ids[:20]:
        found = scores(Asos(experiment=experiment).load())
        status += [s.status for s in found if s.metric.startswith("sample_ratio")]
    assert len(status) == 20
    assert status.count("ok") > 12
    assert status.count("sample_ratio_mismatch") > 0


@pytest.mark.data
def test_an_unknown_experiment_is_refused(data_folder):
    with pytest.raises(
        ConfigError, match=r"dataset.experiment: no experiment '036afd'; did you mean '036afc'"
    ):
        Asos(experiment="036afd").load()


def test_without_the_data_it_says_where_it_is_to_be_had(monkeypatch):
    monkeypatch.delenv("HWDS_DATA", raising=False)
    with pytest.raises(DataError, match=r"CC BY 4\.0"):
        Asos().load()
