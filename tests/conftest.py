"""What all tests share."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
os.environ.setdefault("NUMBA_CACHE_DIR", str(ROOT / "outputs" / "cache" / "numba"))
"""A policy is compiled once for all tests, those in processes and folders of their own too."""


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
