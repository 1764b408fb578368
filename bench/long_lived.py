"""Memory and disk of a scorer that lives long: `python -m bench.long_lived windows [1000000]`,
`ever [1000000]`, `sizes [50000]`.

Events of a simulated year, .3 customers an event, are scored in micro-batches with a store; one in
ten has its label a week later. `windows` has features with windows alone and the default of
`keep`; `ever` has features that read all of the past, and keeps 100 days. After each twentieth of
the year a line says how large the process and the store are, and in the end how long 100 events
and 100 corrected labels take. Exit code 1 where the process grew by more than a tenth in the last
quarter of the year, or a corrected label takes more than ten times an event. `sizes` says how
large so many events are in memory and on the disk, and how large their entities.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl

from hwds.detection.features.handbook import Handbook
from hwds.detection.features.lowest import Lowest
from hwds.detection.features.network import Network
from hwds.detection.features.peers import Peers
from hwds.detection.features.purchases import Purchases
from hwds.detection.models.classify.logistic import Logistic
from hwds.detection.rows import RowContext
from hwds.frames.features.together import Together
from hwds.frames.table import Table
from hwds.serve.events.online import Online

YEAR = timedelta(days=365)
BEGIN = datetime(2024, 1, 1)
BATCH, PARTS, TRIES = 100, 20, 100
CUSTOMERS = 0.3
"""Customers an event."""

AMOUNT = ("amount",)
FEATURES = {
    "windows": Together(
        parts=(Handbook(), Lowest(columns=AMOUNT, days=30), Peers(columns=AMOUNT, by=("channel",)))
    ),
    "ever": Together(parts=(Purchases(), Network(by=("address",)))),
}
KEEP = {"windows": None, "ever": 100.0}
ROLES = {
    "time": ("time",),
    "entity": ("customer",),
    "amount": AMOUNT,
    "label": ("fraud",),
    "label_time": ("fraud_time",),
    "covariate": ("amount",),
}


def rows(count: int, begin: int, end: int, customers: int = 0) -> list[dict[str, Any]]:
    """Return the events from one to another of so many in a year."""
    rng = np.random.default_rng([begin, end])
    customers, size = customers or max(int(CUSTOMERS * count), 1), end - begin
    drawn = zip(
        rng.integers(0, customers, size).tolist(),
        rng.integers(0, 2000, size).tolist(),
        rng.integers(0, 2 * customers, size).tolist(),
        np.round(rng.lognormal(3, 1, size), 2).tolist(),
        strict=True,
    )
    return [
        {
            "id": str(k),
            "time": BEGIN + k * (YEAR / count),
            "customer": f"customer {who}",
            "terminal": f"terminal {where}",
            "address": f"address {address}",
            "channel": "web" if where % 2 else "shop",
            "amount": paid,
        }
        for k, (who, where, address, paid) in enumerate(drawn, begin)
    ]


def sample() -> Table:
    """Return rows with labels to fit a model on."""
    data = pl.DataFrame(rows(3000, 0, 3000)).drop("id")
    fraud = pl.Series(np.random.default_rng(0).random(3000) < 0.1).cast(pl.Float64)
    when = (pl.col("time") + timedelta(days=7)).alias("fraud_time")
    return Table.build(data.with_columns(when, fraud=fraud), ROLES)


def scorer_of(what: str, store: Path) -> Online:
    """Return the scorer of some features."""
    table, features = sample(), FEATURES[what]
    wide = table.with_inputs(features.compute(table))
    model = Logistic().fit(wide, stop=wide, calibrate=wide, context=RowContext(0))
    return Online(model, features, table, store, keep=KEEP[what])


def lived(scorer: Online, store: Path, count: int) -> Iterator[float]:
    """Yield the megabytes of the process after each part of a year."""
    week, began = int(count * 7 / 365), perf_counter()
    for begin in range(0, count, BATCH):
        scorer.score_many(rows(count, begin, min(begin + BATCH, count)))
        for k in range(max(begin - week, 0), begin - week + BATCH, 10):
            scorer.label(str(k), k % 100 == 0)
        if (begin + BATCH) * PARTS // count > begin * PARTS // count:
            disk = sum(path.stat().st_size for path in store.parent.glob(f"{store.name}*"))
            memory, seconds = resident(), perf_counter() - began
            sys.stdout.write(
                f"{365 * (begin + BATCH) / count:>8.0f} days {begin + BATCH:>11,} events "
                f"{memory:>8.0f} MB of memory {disk / 1e6:>8.0f} MB of disk {seconds:>8.0f} s\n"
            )
            sys.stdout.flush()
            yield memory


def resident() -> float:
    """Return the megabytes that the process holds."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def corrected(scorer: Online, count: int) -> float:
    """Print how long events and corrected labels take; return the ratio."""
    more = rows(count, count, count + TRIES)
    began = perf_counter()
    for event in more:
        scorer.score(event, reasons=False)
    events, week = perf_counter() - began, int(count * 7 / 365)
    told = [k for k in range(count - 3 * week, count - week - BATCH) if k % 10 == 0][-TRIES:]
    began = perf_counter()
    for k in told:
        scorer.label(str(k), k % 100 != 0, correct=True)
    labels = perf_counter() - began
    sys.stdout.write(
        f"{len(more)} events: {1e3 * events:.0f} ms; {len(told)} corrected labels: "
        f"{1e3 * labels:.0f} ms\n"
    )
    return labels / events


def grown(what: str, count: int, customers: int) -> tuple[float, float, int]:
    """Return the megabytes of memory and disk that so many events take, and their customers."""
    met: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "events.db"
        with scorer_of(what, store) as scorer:
            scorer.score_many(rows(8 * count, 0, BATCH, customers))
            before = resident()
            for begin in range(BATCH, count, BATCH):
                events = rows(8 * count, begin, begin + BATCH, customers)
                met.update(event["customer"] for event in events)
                scorer.score_many(events)
            memory = resident() - before
        return memory, store.stat().st_size / 1e6, len(met)


def sizes(count: int) -> int:
    """Print how large events and entities are: two worlds tell them apart."""
    for what in FEATURES:
        found = []
        for customers in (count // 50, count):
            # a process each, for memory that was freed is taken again
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                found.append(pool.submit(grown, what, count, customers).result())
        (few_memory, few_disk, few), (memory, disk, many) = found
        for name, small, large in (("memory", few_memory, memory), ("disk", few_disk, disk)):
            entity = (large - small) / (many - few)
            event = (small - few * entity) / count
            sys.stdout.write(
                f"{what}: {1e5 * event:.0f} MB of {name} per 100,000 events, "
                f"{1e4 * entity:.0f} MB per 10,000 entities\n"
            )
    return 0


def main(what: str, count: int) -> int:
    """Let a scorer live for a year."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "events.db"
        with scorer_of(what, store) as scorer:
            sys.stdout.write(f"{what}: {scorer.kept}\n")
            memory = list(lived(scorer, store, count))
            ratio = corrected(scorer, count)
    late = memory[3 * len(memory) // 4 :]
    grew = max(late) / late[0] - 1
    sys.stdout.write(f"grew by {100 * grew:.1f} % in the last quarter of the year\n")
    return int(grew > 0.1 or ratio > 10)


if __name__ == "__main__":
    asked = [*sys.argv[1:], *["windows", "1000000"][len(sys.argv) - 1 :]]
    if asked[0] == "sizes":
        sys.exit(sizes(int(sys.argv[2]) if len(sys.argv) > 2 else 50_000))
    sys.exit(main(asked[0], int(asked[1])))
