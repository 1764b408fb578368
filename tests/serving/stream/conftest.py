"""A model, the readings of its machines as lines, and what the batch says of them."""

import json

import numpy as np
import pytest

from hwds.sensors.context import SensorContext
from hwds.sensors.models.pca import PCA
from hwds.serving.stream.shard import Followed
from tests.support.sensor_runs import ROLES, sensor_runs
from tests.support.streams import streamed

FIRST = 80


@pytest.fixture(scope="session")
def runs():
    return sensor_runs(rows=150)


@pytest.fixture(scope="session")
def followed(runs):
    return Followed(PCA().fit(runs, context=SensorContext(0, first=FIRST)), ("machine",), "second", 2)


@pytest.fixture(scope="session")
def lines(runs):
    """One a reading, second after second."""
    rows = runs.data.sort("cycle", maintain_order=True).rename({"entity": "machine", "cycle": "second"})
    return [json.dumps(row) for row in rows.select("machine", "second", *ROLES["sensor"]).to_dicts()]


@pytest.fixture(scope="session")
def batch(runs, followed):
    """The score of each machine and second by the batch."""
    score = followed.fitted.predict(runs).score
    rows = zip(runs.data["entity"], runs.cycles.tolist(), score.tolist(), strict=True)
    place = np.arange(len(score)) - runs.offsets[:-1][runs.run_of_row]
    return {(name, cycle): each for (name, cycle, each), at in zip(rows, place, strict=True) if at >= FIRST}


@pytest.fixture(scope="session")
def plain(followed, lines, tmp_path_factory):
    """The folder of a stream in which nothing went wrong."""
    folder = tmp_path_factory.mktemp("plain")
    assert streamed(folder, followed, lines)["readings"] == len(lines)
    return folder
