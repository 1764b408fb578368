"""Decisions a second, the cost of losing nothing, and proof that nothing is lost: `python -m
bench.live [kills]`.

A policy decides and takes outcomes by threads, without a folder and with one, where calls share
their waits for the disk: as fast as it can, and then at 1,000 decisions a second that come at
random, each with its outcome, as a shop's customers do. Then a process does so until it is killed
with SIGKILL, again and again; what it wrote down as acknowledged must be there. Three minutes for
50 kills.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwds.bandit.live.policy import LivePolicy
from hwds.bandit.models.kernels.base import Arms
from hwds.bandit.models.price_thompson import PriceThompson
from hwds.core.serialization import dumps

ARMS = Arms(("10", "20", "30"), np.array([10.0, 20.0, 30.0]), np.zeros((1, 0)))
KILLS, THREADS, DECISIONS, RATE = 50, 32, 6_000, 1_000


def begin(folder: Path | None, lose: float = 0.0) -> LivePolicy:
    """Return the policy, new or as the folder has it."""
    return PriceThompson().live(ARMS, folder, seed=7, lose=lose, propensities=True)


@dataclass(frozen=True)
class Cost:
    """What decisions with their outcomes cost.

    Attributes:
        rate: Decisions a second.
        cpu: Milliseconds of CPU for each.
        waits: Milliseconds from a call, or from when its customer came, to its return, of each
            decision.
        syncs: How often the disk was waited for.
    """

    rate: float
    cpu: float
    waits: np.ndarray
    syncs: int

    def __str__(self) -> str:
        """Return one line."""
        middle, late = np.quantile(self.waits, [0.5, 0.99])
        return f"{self.rate:14,.0f}{self.cpu:10.3f}{middle:10.2f}{late:10.2f}{self.syncs:8,}"


def cost(folder: Path | None, threads: int, lose: float, *, per_second: float = 0.0) -> Cost:
    """Return the cost of decisions as fast as threads can make them, or as customers come, so many
    a second.
    """
    live = begin(folder, lose)
    live.outcome(live.decide().id, converted=True)  # compiled
    syncs = _counted_syncs(live)
    gaps = (
        np.random.default_rng(5).exponential(1.0, DECISIONS) / per_second
        if per_second
        else np.zeros(DECISIONS)
    )
    comes, numbers, waits = np.cumsum(gaps), itertools.count(), np.zeros(DECISIONS)
    wall, cpu = time.perf_counter(), time.process_time()

    def work() -> None:
        while (number := next(numbers)) < DECISIONS:
            due = wall + comes[number] if per_second else time.perf_counter()
            time.sleep(max(due - time.perf_counter(), 0.0))
            decision = live.decide()
            waits[number] = time.perf_counter() - due
            live.outcome(decision.id, converted=number % 3 == 0)

    pool = [threading.Thread(target=work) for _ in range(threads)]
    for thread in pool:
        thread.start()
    for thread in pool:
        thread.join()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    live.close()
    return Cost(DECISIONS / wall, 1000 * cpu / DECISIONS, 1000 * waits, syncs[0])


def _counted_syncs(live: LivePolicy) -> list[int]:
    """Return a list whose number rises with each wait for the disk."""
    count = [0]
    if live._store is not None:
        sync = live._store.log._flush

        def counted() -> None:
            count[0] += 1
            sync()

        live._store.log._flush = counted  # type: ignore[method-assign]
    return count


def _sync_time(count: int = 200) -> float:
    """Return the milliseconds that the disk takes for a short line, the median of so many."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        file = os.open(Path(folder) / "line", os.O_WRONLY | os.O_CREAT)
        taken = []
        for number in range(count):
            begun = time.perf_counter()
            os.pwrite(file, b"x" * 120, 120 * number)
            os.fdatasync(file)
            taken.append(time.perf_counter() - begun)
        os.close(file)
    return 1000 * float(np.median(taken))


def loop(folder: Path, lose: float) -> None:
    """Decide and report outcomes by threads, each written down once it is acknowledged, until the
    process is killed.
    """
    live = begin(folder, lose)
    file = os.open(folder / "acknowledged.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def work() -> None:
        while True:
            decision = live.decide()
            os.write(file, f"decided {decision.id} {decision.arm}\n".encode())
            live.outcome(decision.id, converted=decision.id % 3 == 0)
            os.write(file, f"outcome {decision.id} {decision.arm}\n".encode())

    for _ in range(7):
        threading.Thread(target=work, daemon=True).start()
    work()


def killed(folder: Path, kills: int, lose: float) -> tuple[int, int]:
    """Return how many calls were acknowledged, and how many of them the log lacks after so many
    kills.

    Raises:
        AssertionError: The state is not to the bit what the log makes of a new one.
    """
    rng, lines = random.Random(3), folder / "acknowledged.txt"
    for _ in range(kills):
        size = lines.stat().st_size if lines.is_file() else 0
        child = os.fork()
        if not child:
            loop(folder, lose)
        while not lines.is_file() or lines.stat().st_size == size:
            time.sleep(0.001)
        time.sleep(0.2 * rng.random())
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    live = begin(folder, lose)
    known = {row["id"]: row for row in live.log().to_dicts()}
    calls = [line.split() for line in lines.read_text().splitlines()]
    lost = 0
    for kind, number, arm in calls:
        row = known.get(int(number))
        lost += (
            row is None
            or row["arm"] != arm
            or (kind == "outcome" and row["outcome"] != (int(number) % 3 == 0))
        )
    state = dumps(live._behaviour.dump(live._state))
    anew = live._behaviour.new()
    assert live._store is not None
    for entry in live._store.log.entries():
        live._behaviour.apply(anew, entry)
    assert dumps(live._behaviour.dump(anew)) == state
    live.close()
    return len(calls), lost


def main(kills: int) -> None:
    """Print what durability costs, and what was lost."""
    disk = f"{os.cpu_count()} cores, a sync of the disk takes {_sync_time():.2f} ms"
    print(
        f"python -m bench.live {kills}\n\n{DECISIONS:,} decisions, each with its outcome; {disk}\n"
    )
    print(f"{'':50}{'decisions/s':>14}{'CPU ms':>10}{'median ms':>10}{'99 % ms':>10}{'syncs':>8}")
    for name, kept, threads, lose, per_second in (
        ("in memory, one thread", False, 1, 0.0, 0.0),
        (f"in memory, {THREADS} threads", False, THREADS, 0.0, 0.0),
        ("on disk, every event, one thread", True, 1, 0.0, 0.0),
        (f"on disk, every event, {THREADS} threads", True, THREADS, 0.0, 0.0),
        (f"on disk, every event, {2 * THREADS} threads", True, 2 * THREADS, 0.0, 0.0),
        (f"on disk, every event, {RATE:,} customers a second", True, 4 * THREADS, 0.0, float(RATE)),
        ("on disk within 50 ms, one thread", True, 1, 50.0, 0.0),
        (
            f"on disk within 50 ms, {RATE:,} customers a second",
            True,
            4 * THREADS,
            50.0,
            float(RATE),
        ),
    ):
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
            print(
                f"{name:50}{cost(Path(folder) if kept else None, threads, lose, per_second=per_second)}",
                flush=True,
            )
    for lose in (0.0, 50.0):
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
            calls, lost = killed(Path(folder), kills, lose)
        bound = (
            "every event on the disk before its call returns"
            if not lose
            else f"on the disk within {lose:g} ms"
        )
        print(
            f"kill -9 x {kills}, 8 threads, {bound}: {calls:,} calls acknowledged, {lost} lost, "
            f"state as of the log"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else KILLS)
