"""Threads share their waits for the disk: nobody returns before their entries are there, nobody
waits for ever.
"""

import threading
import time

import pytest

from hwds.results.event_log import SharedSyncs


class Disk:
    """What was appended, and what has reached the disk."""

    def __init__(self):
        self.last = self.durable = self.syncs = 0
        self.lock = threading.Lock()
        self.error = None

    def append(self):
        with self.lock:
            self.last += 1
            return self.last

    def sync(self):
        last = self.last
        self.syncs += 1
        time.sleep(0.001)
        if self.error is not None:
            raise self.error
        self.durable = last


def started(work, count):
    threads = [threading.Thread(target=work, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


def test_threads_share_syncs_and_each_has_its_own_entry_on_the_disk():
    disk, syncs, early = Disk(), SharedSyncs(), []

    def work():
        for _ in range(40):
            number = disk.append()
            syncs.wait(number, lambda: disk.last, disk.sync)
            early.append(disk.durable < number)

    for thread in started(work, 12):
        thread.join(timeout=60)
        assert not thread.is_alive()
    assert len(early) == 480
    assert not any(early)
    assert disk.syncs < 240


def test_after_a_failure_all_who_wait_and_all_who_come_are_refused():
    disk, syncs, refused = Disk(), SharedSyncs(), []
    disk.error = OSError(5, "Input/output error")

    def work():
        with pytest.raises(OSError, match="Input/output"):
            syncs.wait(disk.append(), lambda: disk.last, disk.sync)
        refused.append(1)

    for thread in started(work, 8):
        thread.join(timeout=60)
    disk.error = None
    with pytest.raises(OSError, match="Input/output"):
        syncs.wait(disk.append(), lambda: disk.last, disk.sync)
    assert (len(refused), disk.syncs) == (8, 1)
    with syncs.hold_off():
        assert disk.durable == 0
