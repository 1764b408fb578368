"""SKAB: its runs, their labels, and where it is to be had."""

import numpy as np
import pytest

from hwds.core.errors import DataError
from hwds.datasets.skab import SENSORS, Skab


@pytest.mark.data
def test_sixteen_runs_have_an_anomaly_each_after_their_first_rows():
    runs = Skab().load()
    assert (runs.n, len(runs.data), runs.sensors, runs.events.any()) == (
        16,
        18_160,
        SENSORS,
        np.False_,
    )
    assert runs.names[:2] == ("valve1 0", "valve1 1")
    label = runs.marks("label")
    begins = [
        int(np.flatnonzero(label[a:b] == 1)[0])
        for a, b in zip(runs.offsets[:-1], runs.offsets[1:], strict=True)
    ]
    assert min(begins) > 400
    assert runs.cycles[runs.offsets[:-1]].tolist() == [0.0] * 16
    assert (np.diff(runs.ends["start"].to_numpy()) > 0).all()
    whole = Skab(anomaly_free=True).load()
    assert (whole.n, whole.names[0], whole.marks("label")[: whole.lengths[0]].any()) == (
        17,
        "anomaly-free",
        np.False_,
    )


def test_where_it_is_to_be_had_is_said_where_it_is_not(monkeypatch):
    monkeypatch.delenv("HWDS_DATA", raising=False)
    with pytest.raises(
        DataError,
        match=r"^dataset: skab_valve1 is not at hand, for HWDS_DATA names no folder: Skoltech",
    ):
        Skab().load()
