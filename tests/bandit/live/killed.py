"""A process that decides and tells outcomes until it is killed: python killed.py FOLDER ROUNDS; not
a test by itself.

It imports once, then forks a child for each round and kills it with SIGKILL somewhere in its loop.
The child writes down what it is about to tell, in `told.txt`, then tells it, then writes down that
it was acknowledged, in `acknowledged.txt`.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np

from hwds.bandit.models.kernels.base import Arms
from hwds.bandit.models.price_thompson import PriceThompson

ARMS = Arms(("10", "20", "30"), np.array([10.0, 20.0, 30.0]), np.zeros((1, 0)))
CONVERSIONS = {"10": 0.6, "20": 0.4, "30": 0.2}


def begin(folder):
    return PriceThompson().live(ARMS, folder, seed=7, snapshot=25, propensities=True)


def loop(folder, rng):
    live = begin(folder)
    told = os.open(folder / "told.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    known = os.open(folder / "acknowledged.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    waiting = []
    lines = (folder / "told.txt").read_text().splitlines()
    if lines:  # the last may not have been acknowledged: told again, it counts once
        number, converted, _ = lines[-1].split()
        live.outcome(int(number), converted == "1")
        os.write(known, f"{number}\n".encode())
    while True:
        waiting.append(live.decide())
        if rng.random() < 0.6:
            decision = waiting.pop(rng.randrange(len(waiting)))
            converted = rng.random() < CONVERSIONS[decision.arm]
            os.write(told, f"{decision.id} {converted:d} {decision.arm}\n".encode())
            live.outcome(decision.id, converted)
            os.write(known, f"{decision.id}\n".encode())


def main(folder, rounds):
    warm = PriceThompson().live(ARMS, seed=0, propensities=True)
    warm.outcome(warm.decide().id, True)  # compiled before the fork
    for number in range(rounds):
        rng = random.Random(number)
        size = (folder / "acknowledged.txt").stat().st_size if number else 0
        child = os.fork()
        if not child:
            loop(folder, rng)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if (folder / "acknowledged.txt").is_file() and (
                folder / "acknowledged.txt"
            ).stat().st_size > size:
                break
            time.sleep(0.001)
        time.sleep(0.05 * rng.random())
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL, status


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
