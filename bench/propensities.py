"""Shares of right and of wrong propensities that are called wrong: `python -m bench.propensities
[logs]`, 15 minutes of a core.

Six laws of logs, each with 2,000 and 20,000 rows, and what may be wrong with their propensities. A
log is called wrong where the model of the log refutes them (`LogModel`) or the mean weight of the
policy that shows all arms on offer as often, as a run says it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from hwds.core.seeds import stream
from hwds.datasets.simulated.price_log import PriceLog, contexts
from hwds.frames.table import Table
from hwds.ope.estimates import chance_of_low_mean, refutes_propensities
from hwds.ope.log import DecisionLog, read_log
from hwds.ope.support import context_groups, model_of_log

LOGS = 100
SIZES = (2_000, 20_000)
WIDTH, VISITS = 5, 4
"""Columns of numbers, and rows of one visitor."""

FACTOR = 1.2


@dataclass(frozen=True, eq=False)
class Drawn:
    """A log's context, the law by which arms were drawn, that of another policy, and the arms;
    shapes (n, arms) and (n,).
    """

    context: pl.DataFrame
    law: np.ndarray
    other: np.ndarray
    action: np.ndarray
    group: np.ndarray | None = None
    timed: bool = False


def softmax(score: np.ndarray) -> np.ndarray:
    """Return shares in proportion to exp(score), row by row."""
    odds = np.exp(score - score.max(axis=-1, keepdims=True))
    return odds / odds.sum(axis=-1, keepdims=True)


def drawn(law: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return an arm for each row."""
    return np.minimum(
        (np.cumsum(law, axis=1) < rng.random((len(law), 1))).sum(axis=1), law.shape[1] - 1
    )


def numbers(rng: np.random.Generator, n: int) -> pl.DataFrame:
    """Return columns of normal numbers."""
    return pl.DataFrame(rng.normal(size=(n, WIDTH)), schema=[f"x{place}" for place in range(WIDTH)])


def ladder(rng: np.random.Generator, n: int) -> Drawn:
    """A rule of thumb by channel and visits, three tenths explored: five prices."""
    kinds, log = contexts(), PriceLog()
    kind = rng.choice(len(kinds), n, p=kinds["share"].to_numpy())
    law = log.logging(kinds)[kind]
    return Drawn(
        kinds[kind].select("channel", "visits"), law, log.target(kinds)[kind], drawn(law, rng)
    )


def linear(rng: np.random.Generator, n: int) -> Drawn:
    """A softmax of ten lines in five numbers."""
    context = numbers(rng, n)
    law, other = (
        softmax(context.to_numpy() @ rng.normal(size=(WIDTH, 10)) * 0.7) for _ in range(2)
    )
    return Drawn(context, law, other, drawn(law, rng))


def greedy(rng: np.random.Generator, n: int) -> Drawn:
    """The best of twenty lines but for a tenth of the time: propensities of .005 and .905."""
    context = numbers(rng, n)
    scores = [context.to_numpy() @ rng.normal(size=(WIDTH, 20)) for _ in range(2)]
    law, other = (0.1 / 20 + 0.9 * np.eye(20)[score.argmax(axis=1)] for score in scores)
    return Drawn(context, law, other, drawn(law, rng))


def on_offer(rng: np.random.Generator, n: int) -> Drawn:
    """A softmax of eight arms of which each region has four, never another."""
    region, channel = rng.integers(4, size=n), rng.integers(3, size=n)
    offered = (np.arange(8)[None, :] + 2 * region[:, None]) % 8 < 4
    score = [rng.normal(size=(3, 8))[channel] for _ in range(2)]
    law, other = (softmax(np.where(offered, each, -1e9)) for each in score)
    context = pl.DataFrame(
        {"region": [f"r{each}" for each in region], "channel": [f"c{each}" for each in channel]}
    )
    return Drawn(context, law, other, drawn(law, rng))


def learning(rng: np.random.Generator, n: int) -> Drawn:
    """A softmax of six arms' conversions so far, learned every 100 rows, in order of time.

    No context.
    """
    truth, wins, shown = rng.uniform(0.05, 0.3, 6), np.ones(6), np.full(6, 5.0)
    law, action = np.empty((n, 6)), np.empty(n, np.int64)
    for start in range(0, n, 100):
        rows = slice(start, min(start + 100, n))
        law[rows] = 0.02 + 0.88 * softmax(wins / shown * 15)
        action[rows] = drawn(law[rows], rng)
        wins += np.bincount(action[rows], rng.random(len(action[rows])) < truth[action[rows]], 6)
        shown += np.bincount(action[rows], minlength=6)
    return Drawn(pl.DataFrame(), law, np.roll(law, 1, axis=1), action, timed=True)


def visitors(rng: np.random.Generator, n: int) -> Drawn:
    """As `linear`, but each visitor keeps arm and context for four rows, which are one draw."""
    few = linear(rng, n // VISITS)
    again = np.repeat(np.arange(n // VISITS), VISITS)
    return Drawn(few.context[again], few.law[again], few.other[again], few.action[again], again)


LAWS: tuple[Callable[[np.random.Generator, int], Drawn], ...] = (
    ladder,
    linear,
    greedy,
    on_offer,
    learning,
    visitors,
)


def faults(log: Drawn, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the propensities that a log may bear, by what is wrong with them."""
    n, arms = log.law.shape
    rows, right = np.arange(n), log.law[np.arange(n), log.action]
    most = log.action == np.bincount(log.action).argmax()
    part = np.arange(n) < n / 3 if not log.context.width else _third(log.context)
    return {
        "right": right,
        "x 1.2": np.minimum(right * FACTOR, 1),
        "/ 1.2": right / FACTOR,
        "permuted": rng.permutation(right),
        "another's": np.maximum(log.other[rows, log.action], 1e-6),
        "uniform": np.full(n, 1 / arms),
        "arm's share": (np.bincount(log.action, minlength=arms) / n)[log.action],
        "an arm / 1.2": np.where(most, right / FACTOR, right),
        "a third / 1.2": np.where(part, right / FACTOR, right),
        "1 % off": np.minimum(right * 1.01, 1),
    }


def _third(context: pl.DataFrame) -> np.ndarray:
    first = context.to_series(0)
    return (
        first < first.quantile(1 / 3) if first.dtype.is_numeric() else first == first[0]
    ).to_numpy()


def logged(log: Drawn) -> DecisionLog:
    """Return a log as a run reads it."""
    n = len(log.action)
    columns = {
        "arm": [f"a{arm:02}" for arm in log.action],
        "propensity": np.ones(n),
        "outcome": np.ones(n),
    }
    roles = {
        "arm": ("arm",),
        "propensity": ("propensity",),
        "outcome": ("outcome",),
        "context": tuple(log.context.columns),
    }
    if log.group is not None:
        columns, roles = columns | {"group": log.group}, roles | {"group": ("group",)}
    if log.timed:
        times = [datetime(2025, 1, 1) + timedelta(minutes=row) for row in range(n)]
        columns, roles = columns | {"time": times}, roles | {"time": ("time",)}
    table = (
        pl.concat([pl.DataFrame(columns), log.context], how="horizontal")
        if log.context.width
        else pl.DataFrame(columns)
    )
    return read_log(
        Table.build(table, {role: names for role, names in roles.items() if names}), "outcome", None
    )


def mean_refuted(log: DecisionLog, target: np.ndarray) -> bool:
    """Return whether the mean weight refutes the propensities, of a policy that shows each arm with
    these, shape (n,).
    """
    assert log.propensity is not None
    weights = target / log.propensity
    errors = weights - weights.mean()
    draws = errors if log.group is None else np.bincount(log.group, errors)
    sums = weights if log.group is None else np.bincount(log.group, weights) * len(draws) / log.n
    chance = chance_of_low_mean(sums, 1.0)
    return refutes_propensities(
        float(weights.mean()), float(np.sqrt(np.sum(draws**2))) / log.n, 1.0, chance
    )


def main(logs: int) -> None:
    """Print the percentage of logs that are called wrong: by either test, by the model of the log,
    by the mean weight.
    """
    print(
        f"Percentage of {logs} logs that are called wrong: by either test (by the model of the "
        f"log, by the mean weight)"
    )
    for law in LAWS:
        for n in SIZES:
            called = _called(law, n, logs)
            print(f"\n{law.__name__}, {n:,} rows: {(law.__doc__ or '').strip()}")
            for name, pairs in called.items():
                either, model, weight = 100 * np.mean([(a or b, a, b) for a, b in pairs], axis=0)
                print(f"  {name:14} {either:4.0f}  ({model:3.0f}, {weight:3.0f})", flush=True)


def _called(
    law: Callable[[np.random.Generator, int], Drawn], n: int, logs: int
) -> dict[str, list[tuple[bool, bool]]]:
    called: dict[str, list[tuple[bool, bool]]] = {}
    for number in range(logs):
        rng = stream(number, "bench", law.__name__)
        made = law(rng, n)
        log, offered = logged(made), made.law > 0
        target, model, groups = 1 / offered.sum(axis=1), model_of_log(log), context_groups(log)
        for name, propensity in faults(made, rng).items():
            own = replace(log, propensity=propensity)
            refuted = any(test.refuted for test in model.calibrations(propensity, groups))
            called.setdefault(name, []).append((refuted, mean_refuted(own, target)))
    return called


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else LOGS)
