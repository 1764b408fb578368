"""The features of the Fraud Detection Handbook as events and labels arrive: the loops of its kernels over one entity."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import polars as pl

from hwds.features.entity_risk_live import LiveRisk
from hwds.features.handbook import FRIDAY, NIGHT
from hwds.features.handbook_runs import RUNS, USUAL
from hwds.features.live import Event, Live, Outcome, Past, Value, floats_of, known, number
from hwds.features.row_columns import DAY, entity_of

if TYPE_CHECKING:
    from hwds.features.handbook import Handbook
    from hwds.features.handbook_plus import HandbookPlus
    from hwds.frames.table import Table

HOUR = DAY // 24


class LiveHandbook(Live):
    """The columns of `Handbook`.

    Args:
        recipe: The features.
        schema: A table of the events' columns and roles, without rows.
    """

    changing: tuple[str, ...] | None = ("_risk", "_past")

    def __init__(self, recipe: Handbook, schema: Table) -> None:
        days = sorted(recipe.days)
        self._customer, self._paid = entity_of(schema, "customer", recipe.customer), recipe.spent(schema)
        self._reach = [each * DAY for each in days]
        self._risk = LiveRisk((recipe.terminal,), recipe.days, 0.0)
        names = list(self._risk.columns)
        self._places = [names.index(f"{recipe.terminal}_{what}_{each}d") for each in days for what in ("labels", "risk")]
        self.columns = {"weekend": pl.Int8, "night": pl.Int8}
        for each in days:
            self.columns |= floats_of((f"customer_count_{each}d", f"customer_mean_{each}d"))
            self.columns |= {f"terminal_count_{each}d": pl.Int64, f"terminal_risk_{each}d": pl.Float64}
        self._past: defaultdict[Any, Past] = defaultdict(Past)

    def arrive(self, event: Event) -> Sequence[Value]:
        """Weekend and night, then of each window the customer's payments and the terminal's labels."""
        risk = self._risk.arrive(event)
        customer, paid = event.values.get(self._customer), number(event.values.get(self._paid))
        weekday = (event.time // DAY + 3) % 7 + 1  # 1970 began on a Thursday
        found: list[Value] = [int(weekday > FRIDAY), int(event.time % DAY // HOUR <= NIGHT)]
        windows = self._trailing(customer, paid, event.time)
        for window, (count, mean) in enumerate(windows):
            found += (count, known(mean), risk[self._places[2 * window]], risk[self._places[2 * window + 1]])
        return found

    def confirm(self, outcome: Outcome) -> None:
        """A label enters the windows of its terminal."""
        self._risk.confirm(outcome)

    def _trailing(self, customer: Any, paid: float, time: int) -> list[tuple[float, float]]:
        """Of each window the payments and their mean, added up from the latest back as `look_back` does."""
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
    """The columns of `HandbookPlus`."""

    changing = ("_risk", "_past", "_terminals", "_labels")

    def __init__(self, recipe: HandbookPlus, schema: Table) -> None:
        super().__init__(recipe, schema)
        self._habit, self._recent, self._run = recipe.habit_days * DAY, recipe.recent_days * DAY, recipe.run_days * DAY
        self._terminal, self._terminals = recipe.terminal, list[Any]()
        self._labels: defaultdict[Any, list[tuple[int, int, int]]] = defaultdict(list)
        self.columns = {**self.columns, **floats_of((*USUAL, *(f"terminal_{name}" for name in RUNS)))}

    def arrive(self, event: Event) -> Sequence[Value]:
        """The handbook's columns, then these."""
        customer, paid = event.values.get(self._customer), number(event.values.get(self._paid))
        usual = self._usual(customer, paid, event.time)
        terminal = event.values.get(self._terminal)
        self._terminals.append(terminal)
        runs = self._runs(self._labels.get(terminal, []) if terminal is not None else [], event.time)
        return [*super().arrive(event), *map(known, usual), *map(known, runs)]

    def confirm(self, outcome: Outcome) -> None:
        """A label is known at its terminal."""
        super().confirm(outcome)
        terminal = self._terminals[outcome.place]
        if terminal is not None:
            labels, label = self._labels[terminal], (outcome.time, outcome.place, int(outcome.positive))
            labels.insert(bisect_left(labels, label), label)

    def _usual(self, customer: Any, paid: float, time: int) -> tuple[float, float, float]:
        """As `look_usual`, before the payment is kept."""
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
        """As `look_runs`."""
        day, found = 1.0 / DAY, [0.0, math.nan, math.nan, math.nan, 0.0]
        seen = frauds = since = 0
        unbroken = True
        for place in range(bisect_left(labels, (time + 1,)) - 1, -1, -1):
            age, positive = time - labels[place][0], labels[place][2]
            if age >= self._run:
                break
            seen += 1
            if not positive:
                if unbroken:
                    found[2] = age * day
                unbroken = False
                continue
            frauds, since = frauds + 1, seen
            found[3] = age * day
            if unbroken:
                found[0] += 1
                found[1] = age * day
        if since:
            found[4] = frauds / since
        return found
