"""What all tests share."""

import os
import signal
from pathlib import Path

import pytest

from tests import chromium

ROOT = Path(__file__).resolve().parents[1]
os.environ.setdefault("NUMBA_CACHE_DIR", str(ROOT / "outputs" / "cache" / "numba"))
"""A policy is compiled once for all tests, those in processes and folders of their own too."""

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # begun in a script's background, where processes would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    lacking = {"data": "HWDS_DATA is not set"} if not os.environ.get("HWDS_DATA") else {}
    lacking |= {"chromium": "there is no Chromium"} if chromium.PATH is None else {}
    for item in items:
        for marker, why in lacking.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=f"{item.name}: {why}"))


@pytest.fixture
def data_folder() -> Path:
    """The folder of public data sets (tests that use it are marked `data`)."""
    return Path(os.environ["HWDS_DATA"])
