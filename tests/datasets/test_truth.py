"""What a dataset knows is asked by task: the right recipe for its own, None for any other."""

import pytest

from hwds.datasets.file import File
from hwds.datasets.open_bandit import OpenBandit, OpenBanditTruth
from hwds.datasets.simulated.hardware_demand import HardwareDemand, HardwareDemandTruth
from hwds.datasets.simulated.price_log import PriceLog, PriceLogTruth
from hwds.datasets.simulated.price_test import PriceTest, PriceTestTruth

KNOWN = [
    (HardwareDemand(), "forecast", HardwareDemandTruth),
    (PriceTest(), "ab", PriceTestTruth),
    (PriceLog(), "ope", PriceLogTruth),
    (OpenBandit(), "ope", OpenBanditTruth),
]


@pytest.mark.parametrize(
    ("dataset", "task", "truth"), KNOWN, ids=[type(dataset).__name__ for dataset, _, _ in KNOWN]
)
def test_a_truth_is_asked_by_task(dataset, task, truth):
    assert isinstance(dataset.truth(task), truth)
    assert [
        dataset.truth(other) for other in {"forecast", "ab", "ope", "bandit", "detection"} - {task}
    ] == [None] * 4


def test_nobody_knows_the_truth_of_a_users_file():
    assert File(path="sales.csv").truth("forecast") is None
