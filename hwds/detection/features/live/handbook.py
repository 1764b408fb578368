"""The features of the Fraud Detection Handbook as events and labels arrive: the loops of its kernels over one entity."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import polars as pl

from hwds.detection.features.kernels.handbook_runs import RUNS, USUAL
from hwds.detection.features.kernels.handbook_windows import FRIDAY, NIGHT
from hwds.detection.features.live.entity_risk import LiveRisk
from hwds.features.rows.columns import DAY
from hwds.features.rows.live import Event, Live, Outcome, Past, Value, floats_of, known, number

HOUR = DAY // 24


class PaymentColumns(NamedTuple):
    """The columns of a payment: who paid, where, and how much."""

    customer: str
    terminal: str
    amount: str


class WindowLengths(NamedTuple):
    """Lengths of windows in microseconds: of what is usual, of the highest amount, and of a terminal's labels."""

    habit: int
    recent: int
    run: int


class LiveHandbook(Live):
    """The columns of `Handbook`.

    Args:
        payment: The columns that are read.
        lengths: Days of the windows.
    """

    changing: tuple[str, ...] | None = ("_risk", "_past")

    def __init__(self, payment: PaymentColumns, lengths: tuple[int, ...]) -> None:
        days = sorted(lengths)
        self._customer, self._terminal, self._paid = payment
        self._reach = [each * DAY for each in days]
        self._risk = LiveRisk((self._terminal,), lengths, 0.0)
        names = list(self._risk.columns)
        self._places = [names.index(f"{self._terminal}_{what}_{each}d") for each in days for what in ("labels", "risk")]
        self.columns = {"weekend": pl.Int8, "night": pl.Int8}
        for each in days:
            self.columns |= floats_of((f"customer_count_{each}d", f"customer_mean_{each}d"))
            self.columns |= {f"terminal_count_{each}d": pl.Int64, f"terminal_risk_{each}d": pl.Float64}
        self._past: defaultdict[Any, Past] = defaultdict(Past)

    def arrive(self, event: Event) -> Sequence[Value]:
        """Return weekend and night, then for each window the customer's payments and the terminal's labels."""
        risk = self._risk.arrive(event)
        customer, paid = event.values.get(self._customer), number(event.values.get(self._paid))
        weekday = (event.time // DAY + 3) % 7 + 1  # 1970 began on a Thursday
        features: list[Value] = [int(weekday > FRIDAY), int(event.time % DAY // HOUR <= NIGHT)]
        windows = self._trailing(customer, paid, event.time)
        for window, (count, mean) in enumerate(windows):
            features += (count, known(mean), risk[self._places[2 * window]], risk[self._places[2 * window + 1]])
        return features

    def confirm(self, outcome: Outcome) -> None:
        """Let a label enter the windows of its terminal."""
        self._risk.confirm(outcome)

    def _trailing(self, customer: Any, paid: float, time: int) -> list[tuple[float, float]]:
        """Return the payments of each window and their mean, added up from the latest back as `look_back` does."""
        many = len(self._reach)
        count, valued, total = [0.0] * many, [0.0] * many, [0.0] * many
        if customer is not None:
            past, window = self._past[customer], 0
            for place in range(past.put(time, paid), -1, -1):
                age = time - past.times[place]
                while window < many and age >= self._reach[window]:
                    window += 1
                if window == many:
                    break
                count[window] += 1
                if not math.isnan(past.items[place]):
                    valued[window] += 1
                    total[window] += past.items[place]
        sums = zip(accumulate(count), accumulate(valued), accumulate(total), strict=True)
        return [(counted, added / below if below > 0 else math.nan) for counted, below, added in sums]


class LiveHandbookPlus(LiveHandbook):
    """The columns of `HandbookPlus`.

    Args:
        payment: The columns that are read.
        lengths: Days of the windows.
        reach: How far back the others look.
    """

    changing = ("_risk", "_past", "_terminals", "_labels")

    def __init__(self, payment: PaymentColumns, lengths: tuple[int, ...], reach: WindowLengths) -> None:
        super().__init__(payment, lengths)
        self._habit, self._recent, self._run = reach
        self._terminals = list[Any]()
        self._labels: defaultdict[Any, list[tuple[int, int, int]]] = defaultdict(list)
        self.columns = {**self.columns, **floats_of((*USUAL, *(f"terminal_{name}" for name in RUNS)))}

    def arrive(self, event: Event) -> Sequence[Value]:
        """Return the handbook's columns, then these."""
        customer, paid = event.values.get(self._customer), number(event.values.get(self._paid))
        usual = self._usual(customer, paid, event.time)
        terminal = event.values.get(self._terminal)
        self._terminals.append(terminal)
        runs = self._runs(self._labels.get(terminal, []) if terminal is not None else [], event.time)
        return [*super().arrive(event), *map(known, usual), *map(known, runs)]

    def confirm(self, outcome: Outcome) -> None:
        """Store a label at its terminal."""
        super().confirm(outcome)
        terminal = self._terminals[outcome.place]
        if terminal is not None:
            labels, label = self._labels[terminal], (outcome.time, outcome.place, int(outcome.positive))
            labels.insert(bisect_left(labels, label), label)

    def _usual(self, customer: Any, paid: float, time: int) -> tuple[float, float, float]:
        """Return the same as `look_usual`, before the payment is kept."""
        past = self._past.get(customer) if customer is not None else None
        count, total, highest = 0, 0.0, math.nan
        for place in range(past.upto(time) - 1, -1, -1) if past else ():
            age, seen = time - past.times[place], past.items[place]  # type: ignore[union-attr]
            if age >= self._habit:
                break
            if not math.isnan(seen):
                count, total = count + 1, total + seen
                if age < self._recent and not seen <= highest:
                    highest = seen
        if not (count and total > 0):
            return 0.0, math.nan, math.nan
        return float(count), paid / (total / count), highest / (total / count)

    def _runs(self, labels: list[tuple[int, int, int]], time: int) -> list[float]:
        """Return the same as `look_runs`."""
        day, features = 1.0 / DAY, [0.0, math.nan, math.nan, math.nan, 0.0]
        seen = frauds = since = 0
        unbroken = True
        for place in range(bisect_left(labels, (time + 1,)) - 1, -1, -1):
            age, positive = time - labels[place][0], labels[place][2]
            if age >= self._run:
                break
            seen += 1
            if not positive:
                if unbroken:
                    features[2] = age * day
                unbroken = False
                continue
            frauds, since = frauds + 1, seen
            features[3] = age * day
            if unbroken:
                features[0] += 1
                features[1] = age * day
        if since:
            features[4] = frauds / since
        return features
