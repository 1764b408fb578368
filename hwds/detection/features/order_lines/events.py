"""Purchases of one event at a time: from values by column to the line that `LivePurchases` keeps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from hwds.detection.features.order_lines.arrays import Lines
from hwds.detection.features.order_lines.encoding import LineColumns, LineRules, LineWindows, flags_of
from hwds.detection.features.order_lines.live import LivePurchases
from hwds.features.rows.columns import DAY, NEVER
from hwds.features.rows.live import Event, Live, Value, all_known, floats_of, microseconds, number


class PurchaseEvents(Live):
    """The columns of `Purchases` for events.

    Args:
        windows: The windows that end with a line.
        columns: Those that the events have.
        entity: The column that says whose a line is.
    """

    changing = ("_live", "_owners")

    def __init__(self, windows: LineWindows, columns: LineColumns, entity: str) -> None:
        self._columns, self._rules, self._entity = columns, windows.rules, entity
        self._live = LivePurchases(windows, columns)
        self._owners: list[Any] = []
        places = windows.places(columns)
        self.columns, self._places = floats_of(tuple(places)), list(places.values())
        self.returned_at = self._columns.returned_at
        self.never_negative = (self._columns.quantity,) if self._columns.quantity else ()

    def arrive(self, event: Event) -> Sequence[Value]:
        """Return the windows that end with the event."""
        names, values = self._columns, event.values
        codes = (names.order, names.sku, names.store, names.channel)
        coded = tuple(values.get(name) if name else None for name in codes)
        self._owners.append(values.get(self._entity))
        line = self._live.append(self._line(event), self._owners[-1:], (coded,))[0]
        return all_known(line[self._places])

    def returned(self, place: int, at: int) -> None:
        """Let a return count from the first arrival at or after that moment."""
        self._live.returned(self._owners[place], place, at)

    def _line(self, event: Event) -> Lines:
        names, values = self._columns, event.values
        quantity = number(values.get(names.quantity)) if names.quantity else 1.0
        promoted = number(values.get(names.promotion)) > 0 if names.promotion else False
        fields: dict[str, Any] = {  # sequences of one serve as well as arrays, and cost less
            "time": (event.time,),
            "arrival": (event.arrival,),
            "returned": (microseconds(values.get(names.returned_at)) if names.returned_at else NEVER,),
            "quantity": (quantity,),
            "amount": (self._amount(values, quantity),),
            "codes": ((-1, -1, -1, -1),),
            "flags": (self._flags(event.time // DAY, quantity, promoted),),
        }
        return Lines(**fields)

    def _amount(self, values: dict[str, Any], quantity: float) -> float:
        if self._columns.amount:
            return number(values.get(self._columns.amount))
        return quantity * number(values.get(self._columns.unit_price)) if self._columns.unit_price else float("nan")

    def _flags(self, day: int, quantity: float, promoted: bool) -> tuple[int, int, int, int]:
        weekend, quarter_end = _calendar(day, self._rules)
        over = any(quantity >= tier and 10 * (quantity - tier) < tier for tier in self._rules.tiers)
        return int(promoted), weekend, int(over), quarter_end


@lru_cache(maxsize=4096)
def _calendar(day: int, rules: LineRules) -> tuple[int, int]:
    """Return the flags that depend on the day alone: weekend and end of a quarter."""
    flags = flags_of(np.array([day * DAY]), np.ones(1), np.zeros(1), rules)[0].tolist()
    return flags[1], flags[3]
