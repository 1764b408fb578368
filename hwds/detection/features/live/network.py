"""Network as events and labels arrive: the graph of customers and what they share, and the walks over it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from hwds.features.rows.columns import LONG_AGO, NEVER
from hwds.features.rows.live import Event, Live, Outcome, Value

KINDS = {
    "network_degree": pl.Int64,
    "network_size": pl.Int64,
    "network_confirmed": pl.Int64,
    "network_confirmed_share": pl.Float64,
}

Shared = tuple[int, Any]
"""An identifier: which column it is of, and its value."""


class LiveNetwork(Live):
    """The columns of `Network`.

    Args:
        by: Columns of identifiers.
        customer: The column of who is linked.
    """

    columns = KINDS
    changing = ("_owners", "_bears", "_held", "_found", "_parent", "_size", "_newest", "_degree", "_confirmed")

    def __init__(self, by: Sequence[str], customer: str) -> None:
        self._by, self._customer = tuple(by), customer
        self._owners: list[Any] = []
        self._bears: defaultdict[Any, dict[Shared, int]] = defaultdict(dict)
        self._held: defaultdict[Shared, dict[Any, int]] = defaultdict(dict)
        self._found: dict[Any, int] = {}
        self._parent: dict[Any, Any] = {}
        self._size: dict[Any, int] = {}
        self._newest: dict[Any, int] = {}
        self._degree: defaultdict[Any, int] = defaultdict(int)
        self._confirmed: defaultdict[Any, int] = defaultdict(int)

    def arrive(self, event: Event) -> Sequence[Value]:
        """Return the customer's place in the graph as it was at the event's time."""
        customer = event.values.get(self._customer)
        self._owners.append(customer)
        if customer is None:
            return (None, None, None, None)
        self._there(customer)
        for k, name in enumerate(self._by):
            value = event.values.get(name)
            if value is not None:
                self._bear(customer, (k, value), event.time)
        degree, size, confirmed = self._as_of(customer, event.time)
        return (degree, size, confirmed, confirmed / degree if degree > 0 else 0.0)

    def confirm(self, outcome: Outcome) -> None:
        """Count a positive label of a customer."""
        customer = self._owners[outcome.place]
        if customer is None or not outcome.positive:
            return
        if customer not in self._found:
            for other in self._near(customer, NEVER):
                self._confirmed[other] += 1
            root = self._root(customer)
            self._newest[root] = max(self._newest[root], outcome.time)
        self._found[customer] = min(self._found.get(customer, NEVER), outcome.time)

    def _there(self, customer: Any) -> None:
        if customer not in self._parent:
            self._parent[customer], self._size[customer], self._newest[customer] = customer, 1, LONG_AGO

    def _bear(self, customer: Any, shared: Shared, time: int) -> None:
        """Record that a customer bears an identifier since a time."""
        born = self._bears[customer].get(shared)
        if born is None:
            self._link(customer, shared, time)
        if born is None or time < born:
            self._bears[customer][shared] = self._held[shared][customer] = time

    def _link(self, customer: Any, shared: Shared, time: int) -> None:
        """Link a customer to the others that bear an identifier, the first time that it does."""
        near = set(self._near(customer, NEVER)) if self._held[shared] else set()
        for other in self._held[shared]:
            if other not in near:
                self._degree[customer] += 1
                self._degree[other] += 1
                self._confirmed[customer] += other in self._found
                self._confirmed[other] += customer in self._found
            self._join(customer, other)
        root = self._root(customer)
        self._newest[root] = max(self._newest[root], time)

    def _join(self, one: Any, other: Any) -> None:
        one, other = self._root(one), self._root(other)
        if one == other:
            return
        if self._size[one] < self._size[other]:
            one, other = other, one
        self._parent[other] = one
        self._size[one] += self._size[other]
        self._newest[one] = max(self._newest[one], self._newest[other])

    def _root(self, customer: Any) -> Any:
        parent = self._parent
        while parent[customer] != customer:
            parent[customer] = parent[parent[customer]]
            customer = parent[customer]
        return customer

    def _as_of(self, customer: Any, time: int) -> tuple[int, int, int]:
        """Return degree, size of the component and confirmed neighbours, at a time."""
        root = self._root(customer)
        if self._newest[root] <= time:
            return self._degree[customer], self._size[root], self._confirmed[customer]
        near = list(self._near(customer, time))
        return len(near), self._reached(customer, time), sum(self._found.get(other, NEVER) <= time for other in near)

    def _near(self, customer: Any, time: int) -> Iterator[Any]:
        """Yield the other customers that one is linked to by a time."""
        met = {customer}
        for shared, born in self._bears[customer].items():
            if born <= time:
                for other, since in self._held[shared].items():
                    if since <= time and other not in met:
                        met.add(other)
                        yield other

    def _reached(self, customer: Any, time: int) -> int:
        """Return how many customers are linked with one by a time, itself included."""
        met, waiting, passed = {customer}, [customer], set[Shared]()
        while waiting:
            for shared, born in self._bears[waiting.pop()].items():
                if born > time or shared in passed:
                    continue
                passed.add(shared)
                fresh = [other for other, since in self._held[shared].items() if since <= time and other not in met]
                met.update(fresh)
                waiting += fresh
        return len(met)
