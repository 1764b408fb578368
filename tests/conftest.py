"""What all tests share."""

import gc
import os
import signal
import sys
from pathlib import Path
from shutil import disk_usage

import pytest
from hypothesis import HealthCheck, settings

from hwds.evaluation.workers import READ_ONCE, THREAD_VARIABLES
from tests.support import browser, mosquitto, tansu

pytest_plugins = ["tests.support.command_line"]
ROOT = Path(__file__).resolve().parents[1]
os.environ.setdefault("NUMBA_CACHE_DIR", str(ROOT / "outputs" / "cache" / "numba"))
"""A policy is compiled once for all tests, those in processes and folders of their own too."""
THREADS = dict.fromkeys((*THREAD_VARIABLES, *READ_ONCE), "1")
"""Set before any library is loaded: threads that wait for one another on shared cores take three
times what the work does.
"""
os.environ.update(THREADS)
for name in [name for name in os.environ if name.startswith("HWDS_") and name != "HWDS_DATA"]:
    del os.environ[
        name
    ]  # a developer's own folders and keys: with $HWDS_OUTPUTS set, two dozen tests looked elsewhere
IN_MEMORY = Path("/dev/shm")
"""Folders of tests lie there: a run flushes thirty files, for each of which a disk takes as long as
a model for its fit.
"""
if IN_MEMORY.is_dir() and disk_usage(IN_MEMORY).free > 4 << 30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))

settings.register_profile("hwds", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hwds")
"""What a busy machine draws or runs slowly is no fault."""

if (
    signal.getsignal(signal.SIGINT) == signal.SIG_IGN
):  # begun in a script's background, where processes would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)


LINES = [line.split() for line in (ROOT / "tests" / "slow.txt").read_text().splitlines()]
SLOW = {file: float(seconds) for seconds, file, *_ in LINES}
"""Seconds of CPU of the files that take long."""
PROCESSES = {file: name for _, file, *names in LINES for name in names}
"""The process that files share: loading TensorFlow takes five seconds, and MLflow with its tables
as long.
"""


def pytest_xdist_make_scheduler(config, log):
    """Run each file in one process, and in one process the files that share it."""
    from xdist.scheduler import LoadFileScheduling

    class SharedProcesses(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return PROCESSES.get(file, file)

    return SharedProcesses(config, log)


def pytest_collection_modifyitems(items):
    """Mark what is slow and what is skipped.

    Slow files go first, so that no worker is left alone with one at the end.
    """
    lacking = {"data": "HWDS_DATA is not set"} if not os.environ.get("HWDS_DATA") else {}
    lacking |= {"chromium": "there is no Chromium"} if browser.PATH is None else {}
    lacking |= {"kafka": "there is no Tansu"} if tansu.PATH is None else {}
    lacking |= {"mosquitto": "there is no Mosquitto"} if mosquitto.PATH is None else {}
    for item in items:
        if item.location[0] in SLOW:
            item.add_marker(pytest.mark.slow)
        for marker, why in lacking.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=f"{item.name}: {why}"))
    items.sort(key=lambda item: -SLOW.get(item.location[0], 0.0))


def pytest_configure():
    """Let absl log to the process's own stream.

    Its handler is made with the stream of the moment, which is pytest's once tests run, and closes
    it as soon as a library configures logging anew.
    """
    from absl import logging

    logging.get_absl_handler().python_handler.stream = sys.__stderr__


def pytest_collection_finish():
    """Spare the garbage collector what stays to the end anyway: it is a twentieth of the time."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture
def data_folder() -> Path:
    """The folder of public data sets (tests that use it are marked `data`)."""
    return Path(os.environ["HWDS_DATA"])
