"""A process that scores events until it is killed: python score_until_killed.py FOLDER KILLS; not a
test by itself.

It imports once, then forks a child for each kill and kills it with SIGKILL somewhere in its work;
the last child may end. A child writes down how many events were answered, in `answered.txt`, after
each, and then answers five hostile lines.
"""

import io
import os
import random
import signal
import sys
import time
from pathlib import Path

import numba  # noqa: F401  # for all children at once
import xgboost  # noqa: F401

from hwds.core.serialization import load_fitted
from hwds.serve.events import store as event_store
from hwds.serve.events.online import Online, answer_lines
from tests.serve.hostile_lines import bad
from tests.serve.order_events import FEATURES, events, lines, told_of

ROWS = 400


def work(folder):
    event_store.FEWEST = 90
    table = lines(ROWS, 13, late=0.4)
    scorer = Online(load_fitted(folder / "model"), FEATURES, table, folder / "orders.db")
    known = os.open(folder / "answered.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    begin = len((folder / "answered.txt").read_text().splitlines())
    # What was under way may have happened or not: the last events are sent again.
    begin = max(begin - 2, 0)
    for k, answer in enumerate(told_of(scorer, table, events(table), begin), begin):
        if k >= len((folder / "answered.txt").read_text().splitlines()):
            os.write(known, f"{answer.id} {answer.score!r}\n".encode())
        hostile = [bad(random.Random(100 * k + place)) for place in range(5)]
        refused = list(answer_lines(scorer, io.BytesIO(b"\n".join(hostile))))
        assert len(refused) == len(hostile)
        assert all(line.startswith('{"error"') for line in refused), refused
    scorer.close()


def main(folder, kills):
    for number in range(kills + 1):
        rng = random.Random(number)
        child = os.fork()
        if not child:
            work(folder)
            os._exit(0)
        if number < kills:
            until(folder, (number + 1) * ROWS // (kills + 2))
            time.sleep(0.02 * rng.random())
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert (os.WTERMSIG(status) == signal.SIGKILL) == (number < kills), status


def until(folder, answered):
    deadline = time.monotonic() + 60
    path = folder / "answered.txt"
    while time.monotonic() < deadline and (
        not path.is_file() or path.read_bytes().count(b"\n") < answered
    ):
        time.sleep(0.001)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
