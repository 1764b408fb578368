"""A model, the readings of its machines as lines, and what the batch says of them."""

import numpy as np
import pytest

from tests.support.streams import FIRST, followed_machines, streamed


@pytest.fixture(scope="session")
def made():
    return followed_machines()


@pytest.fixture(scope="session")
def runs(made):
    return made[0]


@pytest.fixture(scope="session")
def followed(made):
    return made[1]


@pytest.fixture(scope="session")
def lines(made):
    """One a reading, second after second."""
    return made[2]


@pytest.fixture(scope="session")
def batch(runs, followed):
    """The score of each machine and second by the batch."""
    score = followed.fitted.predict(runs).score
    rows = zip(runs.data["entity"], runs.cycles.tolist(), score.tolist(), strict=True)
    place = np.arange(len(score)) - runs.offsets[:-1][runs.run_of_row]
    return {
        (name, cycle): each
        for (name, cycle, each), at in zip(rows, place, strict=True)
        if at >= FIRST
    }


@pytest.fixture(scope="session")
def plain(followed, lines, tmp_path_factory):
    """The folder of a stream in which nothing went wrong."""
    folder = tmp_path_factory.mktemp("plain")
    assert streamed(folder, followed, lines)["readings"] == len(lines)
    return folder
