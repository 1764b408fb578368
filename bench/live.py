"""The cost of losing nothing, and proof that nothing is lost: `python -m bench.live [kills]`, two minutes of a core for 50.

A policy decides and takes outcomes by threads, without a folder and with one, where calls share their waits for the disk.
Then a process does so until it is killed with SIGKILL, again and again; what it wrote down as acknowledged must be there.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from hwds.bandit.arms import Arms
from hwds.bandit.live.policy import LivePolicy
from hwds.bandit.models.price_thompson import PriceThompson
from hwds.core.serialization import dumps

ARMS = Arms(("10", "20", "30"), np.array([10.0, 20.0, 30.0]), np.zeros((1, 0)))
KILLS, THREADS, DECISIONS = 50, 32, 3_000


def begin(folder: Path | None, lose: float = 0.0) -> LivePolicy:
    """Return the policy, new or as the folder has it."""
    return PriceThompson().live(ARMS, folder, seed=7, lose=lose, propensities=True)


def cost(folder: Path | None, threads: int, lose: float) -> tuple[float, float, int]:
    """Return wall and CPU milliseconds a decision, with its outcome, and how often the disk was waited for."""
    live = begin(folder, lose)
    live.outcome(live.decide().id, converted=True)  # compiled
    waits = [0]
    if live._store is not None and live._store.log._tail is not None:
        sync = live._store.log._tail.sync

        def counted() -> None:
            waits[0] += 1
            sync()

        live._store.log._tail.sync = counted  # type: ignore[method-assign]

    def work() -> None:
        for _ in range(DECISIONS // threads):
            live.outcome(live.decide().id, converted=True)

    pool = [threading.Thread(target=work) for _ in range(threads)]
    wall, cpu = time.monotonic(), time.process_time()
    for thread in pool:
        thread.start()
    for thread in pool:
        thread.join()
    done = DECISIONS // threads * threads
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    live.close()
    return 1000 * wall / done, 1000 * cpu / done, waits[0]


def loop(folder: Path, lose: float) -> None:
    """Decide and report outcomes by threads, each written down once it is acknowledged, until the process is killed."""
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
    """Return how many calls were acknowledged, and how many of them the log lacks after so many kills.

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
        lost += row is None or row["arm"] != arm or (kind == "outcome" and row["outcome"] != (int(number) % 3 == 0))
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
    print(f"python -m bench.live {kills}\n\n{DECISIONS:,} decisions, each with its outcome: two events")
    print(f"{'':46}{'events a second':>16}{'wall ms':>9}{'CPU ms':>8}{'waits':>7}   (ms a decision with its outcome)")
    for name, kept, threads, lose in (
        ("in memory, one thread", False, 1, 0.0),
        (f"in memory, {THREADS} threads", False, THREADS, 0.0),
        ("on disk, every event, one thread", True, 1, 0.0),
        (f"on disk, every event, {THREADS} threads", True, THREADS, 0.0),
        ("on disk within 50 ms, one thread", True, 1, 50.0),
    ):
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
            wall, cpu, waits = cost(Path(folder) if kept else None, threads, lose)
        print(f"{name:46}{2000 / wall:16,.0f}{wall:9.3f}{cpu:8.3f}{waits:7,}", flush=True)
    for lose in (0.0, 50.0):
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
            calls, lost = killed(Path(folder), kills, lose)
        bound = "every event on the disk before its call returns" if not lose else f"on the disk within {lose:g} ms"
        print(f"kill -9 x {kills}, 8 threads, {bound}: {calls:,} calls acknowledged, {lost} lost, state as of the log")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else KILLS)
