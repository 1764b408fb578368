"""Network as events and labels arrive: the graph of customers and what they share, and the walks over it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from hwds.features.live import Event, Live, Outcome, Value
from hwds.features.row_columns import LONG_AGO, NEVER, entity_of

if TYPE_CHECKING:
    from hwds.features.network import Network
    from hwds.frames.table import Table

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
        recipe: The features.
        schema: A table of the events' columns and roles, without rows.
    """

    columns = KINDS
    changing = ("_owners", "_bears", "_held", "_found", "_parent", "_size", "_newest", "_degree", "_confirmed")

    def __init__(self, recipe: Network, schema: Table) -> None:
        self._by, self._customer = recipe.by, entity_of(schema, "customer", recipe.customer)
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
        """The customer's place in the graph as it was at the event's time."""
        own = event.values.get(self._customer)
        self._owners.append(own)
        if own is None:
            return (None, None, None, None)
        self._there(own)
        for k, name in enumerate(self._by):
            value = event.values.get(name)
            if value is not None:
                self._bear(own, (k, value), event.time)
        degree, size, confirmed = self._told(own, event.time)
        return (degree, size, confirmed, confirmed / degree if degree > 0 else 0.0)

    def confirm(self, outcome: Outcome) -> None:
        """A positive label of a customer."""
        own = self._owners[outcome.place]
        if own is None or not outcome.positive:
            return
        if own not in self._found:
            for other in self._near(own, NEVER):
                self._confirmed[other] += 1
            root = self._root(own)
            self._newest[root] = max(self._newest[root], outcome.time)
        self._found[own] = min(self._found.get(own, NEVER), outcome.time)

    def _there(self, own: Any) -> None:
        if own not in self._parent:
            self._parent[own], self._size[own], self._newest[own] = own, 1, LONG_AGO

    def _bear(self, own: Any, shared: Shared, time: int) -> None:
        """A customer bears an identifier since a time."""
        born = self._bears[own].get(shared)
        if born is None:
            self._link(own, shared, time)
        if born is None or time < born:
            self._bears[own][shared] = self._held[shared][own] = time

    def _link(self, own: Any, shared: Shared, time: int) -> None:
        """For the first time."""
        near = set(self._near(own, NEVER)) if self._held[shared] else set()
        for other in self._held[shared]:
            if other not in near:
                self._degree[own] += 1
                self._degree[other] += 1
                self._confirmed[own] += other in self._found
                self._confirmed[other] += own in self._found
            self._join(own, other)
        root = self._root(own)
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

    def _root(self, own: Any) -> Any:
        parent = self._parent
        while parent[own] != own:
            parent[own] = parent[parent[own]]
            own = parent[own]
        return own

    def _told(self, own: Any, time: int) -> tuple[int, int, int]:
        """Degree, size of the component and confirmed neighbours, at a time."""
        root = self._root(own)
        if self._newest[root] <= time:
            return self._degree[own], self._size[root], self._confirmed[own]
        near = list(self._near(own, time))
        return len(near), self._reached(own, time), sum(self._found.get(other, NEVER) <= time for other in near)

    def _near(self, own: Any, time: int) -> Iterator[Any]:
        """The other customers that one is linked to by a time."""
        met = {own}
        for shared, born in self._bears[own].items():
            if born <= time:
                for other, since in self._held[shared].items():
                    if since <= time and other not in met:
                        met.add(other)
                        yield other

    def _reached(self, own: Any, time: int) -> int:
        """How many customers hang together with one by a time, itself included."""
        met, waiting, passed = {own}, [own], set[Shared]()
        while waiting:
            for shared, born in self._bears[waiting.pop()].items():
                if born > time or shared in passed:
                    continue
                passed.add(shared)
                fresh = [other for other, since in self._held[shared].items() if since <= time and other not in met]
                met.update(fresh)
                waiting += fresh
        return len(met)
