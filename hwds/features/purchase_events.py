"""Purchases of one event at a time: from values by column to the line that `LivePurchases` keeps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from hwds.features.live import Event, Live, Value, all_known, floats_of, microseconds, number
from hwds.features.purchase_encoding import flags_of
from hwds.features.purchase_lines import Lines
from hwds.features.purchase_live import LivePurchases
from hwds.features.row_columns import DAY, NEVER

if TYPE_CHECKING:
    from hwds.features.purchase_encoding import Rules
    from hwds.features.purchases import Purchases
    from hwds.frames.table import Table


class PurchaseEvents(Live):
    """The columns of `Purchases` for events.

    Args:
        recipe: The features.
        schema: A table of the events' columns and roles, without rows.
    """

    changing = ("_live", "_owners")

    def __init__(self, recipe: Purchases, schema: Table) -> None:
        self._columns, self._rules = recipe.read_of(schema), recipe.rules
        self._live = LivePurchases(recipe, self._columns)
        self._owners: list[Any] = []
        self._entity = schema.name("entity")
        places = self._columns.told(sorted(recipe.days), bool(recipe.tiers))
        self.columns, self._places = floats_of(tuple(places)), list(places.values())
        self.returned_at = self._columns.returned_at
        self.never_negative = (self._columns.quantity,) if self._columns.quantity else ()

    def arrive(self, event: Event) -> Sequence[Value]:
        """The windows that end with the event."""
        names, values = self._columns, event.values
        codes = (names.order, names.sku, names.store, names.channel)
        coded = tuple(values.get(name) if name else None for name in codes)
        self._owners.append(values.get(self._entity))
        told = self._live.keep(self._line(event), self._owners[-1:], (coded,))[0]
        return all_known(told[self._places])

    def returned(self, place: int, at: int) -> None:
        """Counts from the first arrival at or after that moment."""
        self._live.returned(self._owners[place], place, at)

    def _line(self, event: Event) -> Lines:
        names, values = self._columns, event.values
        quantity = number(values.get(names.quantity)) if names.quantity else 1.0
        promoted = number(values.get(names.promotion)) > 0 if names.promotion else False
        told: dict[str, Any] = {  # sequences of one serve as well as arrays, and cost less
            "time": (event.time,),
            "arrival": (event.arrival,),
            "returned": (microseconds(values.get(names.returned_at)) if names.returned_at else NEVER,),
            "quantity": (quantity,),
            "amount": (self._amount(values, quantity),),
            "codes": ((-1, -1, -1, -1),),
            "flags": (self._flags(event.time // DAY, quantity, promoted),),
        }
        return Lines(**told)

    def _amount(self, values: dict[str, Any], quantity: float) -> float:
        if self._columns.amount:
            return number(values.get(self._columns.amount))
        return quantity * number(values.get(self._columns.unit_price)) if self._columns.unit_price else float("nan")

    def _flags(self, day: int, quantity: float, promoted: bool) -> tuple[int, int, int, int]:
        weekend, quarter_end = _calendar(day, self._rules)
        over = any(quantity >= tier and 10 * (quantity - tier) < tier for tier in self._rules.tiers)
        return int(promoted), weekend, int(over), quarter_end


@lru_cache(maxsize=4096)
def _calendar(day: int, rules: Rules) -> tuple[int, int]:
    """The flags that a day alone tells."""
    flags = flags_of(np.array([day * DAY]), np.ones(1), np.zeros(1), rules)[0].tolist()
    return flags[1], flags[3]
