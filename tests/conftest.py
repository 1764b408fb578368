"""What all tests share."""

import os
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items):
    if os.environ.get("HWDS_DATA"):
        return
    for item in items:
        if item.get_closest_marker("data"):
            item.add_marker(pytest.mark.skip(reason=f"{item.name}: HWDS_DATA is not set"))


@pytest.fixture
def data_folder() -> Path:
    """The folder of public data sets (tests that use it are marked `data`)."""
    return Path(os.environ["HWDS_DATA"])
