"""Network: customers linked by a shared address, payment or contact."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import numpy as np
import polars as pl
from annotated_types import MinLen
from polars import DataFrame, Series

from hwds.core.compiling import compiled
from hwds.core.recipe import Names
from hwds.detection.kernels.past import CustomerGraph, GraphState, grow_graph
from hwds.frames.features.base import RowFeatures
from hwds.frames.rows import (
    LONG_AGO,
    NEVER,
    ByPlace,
    Instants,
    LabelArrivals,
    Live,
    RowEvent,
    RowOutcome,
    Value,
    codes_of,
    entity_of,
    instants_of,
    label_arrivals_of,
    require_known_columns,
    require_role,
)
from hwds.frames.table import Table

# Network as events and labels arrive: the graph of customers and what they share, and the walks
# over it.

COLUMN_TYPES = {
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

    columns = COLUMN_TYPES
    changing = (
        "_owners",
        "_seen",
        "_positives",
        "_bears",
        "_held",
        "_found",
        "_parent",
        "_size",
        "_newest",
        "_degree",
        "_confirmed",
    )

    def __init__(self, by: Sequence[str], customer: str) -> None:
        self._by, self._customer = tuple(by), customer
        self._owners = ByPlace()
        self._seen: dict[Any, int] = {}
        self._positives: defaultdict[Any, list[int]] = defaultdict(list)
        self._bears: defaultdict[Any, dict[Shared, int]] = defaultdict(dict)
        self._held: defaultdict[Shared, dict[Any, int]] = defaultdict(dict)
        self._found: dict[Any, int] = {}
        self._parent: dict[Any, Any] = {}
        self._size: dict[Any, int] = {}
        self._newest: dict[Any, int] = {}
        self._degree: defaultdict[Any, int] = defaultdict(int)
        self._confirmed: defaultdict[Any, int] = defaultdict(int)

    def arrive(self, event: RowEvent) -> Sequence[Value]:
        """Return the customer's place in the graph as it was at the event's time."""
        customer = event.values.get(self._customer)
        self._owners.put(event.place, customer)
        if customer is None:
            return (None, None, None, None)
        self._seen[customer] = max(self._seen.get(customer, LONG_AGO), event.time)
        self._begin(customer)
        for k, name in enumerate(self._by):
            value = event.values.get(name)
            if value is not None:
                self._record_identifier(customer, (k, value), event.time)
        degree, size, confirmed = self._as_of(customer, event.time)
        return (degree, size, confirmed, confirmed / degree if degree > 0 else 0.0)

    def confirm(self, outcome: RowOutcome) -> None:
        """Count a positive label of a customer."""
        customer = self._owners[outcome.place]
        if customer is None or not outcome.positive:
            return
        self._positives[customer].append(outcome.time)
        if customer not in self._found:
            for other in self._neighbours(customer, NEVER):
                self._confirmed[other] += 1
            root = self._root(customer)
            self._newest[root] = max(self._newest[root], outcome.time)
        self._found[customer] = min(self._found.get(customer, NEVER), outcome.time)

    def retract(self, outcome: RowOutcome, now: int) -> None:
        """Take a positive label of a customer back; those that are left count."""
        customer = self._owners[outcome.place]
        if outcome.time not in self._positives.get(customer, ()) or not outcome.positive:
            return
        self._positives[customer].remove(outcome.time)
        if self._positives[customer]:
            self._found[customer] = min(self._positives[customer])
            return
        del self._positives[customer], self._found[customer]
        for other in self._neighbours(customer, NEVER):
            self._confirmed[other] -= 1

    def forget(self, oldest: int, place: int) -> None:
        """Drop customers without a row since then, once they are a quarter of all: the graph is
        made anew of the others.
        """
        self._owners.drop_before(place)
        silent = {customer for customer, seen in self._seen.items() if seen < oldest}
        if 4 * len(silent) <= len(self._seen):
            return
        for one in (self._seen, self._found, self._positives, self._bears):
            for customer in silent & one.keys():
                del one[customer]
        self._link_anew({customer: {**pairs} for customer, pairs in self._bears.items()})

    def _link_anew(self, bears: dict[Any, dict[Shared, int]]) -> None:
        """Make the graph of the customers that are there."""
        for part in (self._parent, self._size, self._newest, self._degree, self._confirmed):
            part.clear()
        self._bears.clear()
        self._held.clear()
        for customer in self._seen:
            self._begin(customer)
        for customer, pairs in bears.items():
            for shared, time in pairs.items():
                self._record_identifier(customer, shared, time)
        for customer, time in self._found.items():
            root = self._root(customer)
            self._newest[root] = max(self._newest[root], time)

    def _begin(self, customer: Any) -> None:
        """Let a customer be there, linked to nobody."""
        if customer not in self._parent:
            self._parent[customer] = customer
            self._size[customer] = 1
            self._newest[customer] = LONG_AGO

    def _record_identifier(self, customer: Any, shared: Shared, time: int) -> None:
        """Record that a customer bears an identifier since a time."""
        born = self._bears[customer].get(shared)
        if born is None:
            self._link(customer, shared, time)
        if born is None or time < born:
            self._bears[customer][shared] = self._held[shared][customer] = time

    def _link(self, customer: Any, shared: Shared, time: int) -> None:
        """Link a customer to the others that bear an identifier, the first time that it does."""
        near = set(self._neighbours(customer, NEVER)) if self._held[shared] else set()
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
        near = list(self._neighbours(customer, time))
        return (
            len(near),
            self._component_size(customer, time),
            sum(self._found.get(other, NEVER) <= time for other in near),
        )

    def _neighbours(self, customer: Any, time: int) -> Iterator[Any]:
        """Yield the other customers that one is linked to by a time."""
        met = {customer}
        for shared, born in self._bears[customer].items():
            if born <= time:
                for other, since in self._held[shared].items():
                    if since <= time and other not in met:
                        met.add(other)
                        yield other

    def _component_size(self, customer: Any, time: int) -> int:
        """Return how many customers are linked with one by a time, itself included."""
        met, waiting, passed = {customer}, [customer], set[Shared]()
        while waiting:
            for shared, born in self._bears[waiting.pop()].items():
                if born > time or shared in passed:
                    continue
                passed.add(shared)
                fresh = [
                    other
                    for other, since in self._held[shared].items()
                    if since <= time and other not in met
                ]
                met.update(fresh)
                waiting += fresh
        return len(met)


# Network: customers linked by a shared address, payment or contact.

COLUMNS = ("network_degree", "network_size", "network_confirmed", "network_confirmed_share")


class Network(RowFeatures):
    """The links of a row's customer to others over identifiers that they share, as of the row's
    moment.

    Two customers are linked where rows of both that count for this one bear the same address,
    payment or contact. Columns: `network_degree`, the other customers that are linked to this one;
    `network_size` counts all that any number of links reaches, itself included;
    `network_confirmed`, those linked to it that had a positive label by then (two hops away: over
    an identifier), and `network_confirmed_share`, of the degree, 0 where that is 0. A row without a
    customer has none.

    Links grow as rows arrive. A late row uses the graph as it was at its own time, which costs a
    walk over its component if that has grown since.

    Attributes:
        by: Columns of identifiers; no value is no link, and values of two columns are never the
            same.
        customer: The column of who is linked; null takes the one with the role `entity`.
    """

    by: Annotated[Names, MinLen(1)] = ("address", "payment", "contact")
    customer: str | None = None

    def check(self, table: Table) -> None:
        """Refuse a table without a customer or a label, or without a column that is named."""
        require_known_columns(table, "by", self.by)
        entity_of(table, "customer", self.customer)
        require_role(table, "network", "time", "label")

    def live(self, schema: Table) -> Live:
        """Return the same for rows as they arrive."""
        self.check(schema)
        return LiveNetwork(self.by, entity_of(schema, "customer", self.customer))

    def compute(self, table: Table) -> DataFrame:
        """Return the four columns.

        Raises:
            ConfigError: No column says when labels arrived.
            DataError: A row has no time.
        """
        self.check(table)
        moments = instants_of(table)
        customer = codes_of(table.data[entity_of(table, "customer", self.customer)])
        graph = _graph(
            moments,
            customer,
            [codes_of(table.data[name]) for name in self.by],
            label_arrivals_of(table, moments),
        )
        counts = np.full((len(customer), 3), -1)
        compiled(grow_graph)(moments.order, moments.time, graph, _start(graph), counts)
        degree, _, confirmed = counts.T
        share = np.where(degree > 0, confirmed / np.maximum(degree, 1), 0.0)
        columns = dict(zip(COLUMNS, (*counts.T, share), strict=True))
        return DataFrame(columns).select(
            pl.when(Series(customer >= 0)).then(pl.col(name)).alias(name) for name in COLUMNS
        )


def _graph(
    moments: Instants, customer: np.ndarray, identifiers: list[np.ndarray], labels: LabelArrivals
) -> CustomerGraph:
    """Return pairs of a customer and an identifier, numbered in the order in which they are first
    seen.
    """
    base, apart = 0, []
    for codes in identifiers:
        apart.append(np.where((codes >= 0) & (customer >= 0), codes + base, -1))
        base += int(codes.max(initial=-1)) + 1
    there = np.column_stack(apart)[moments.order]  # in the order of arrival
    keys = np.where(there >= 0, customer[moments.order][:, None] * base + there, -1)
    numbers = codes_of(Series(keys.ravel()).replace(-1, None))
    pair = np.full(keys.shape, -1)
    pair[moments.order] = numbers.reshape(keys.shape)
    first = np.unique(numbers, return_index=True)[1][int((numbers < 0).any()) :]
    owner, shared = (
        np.divmod(keys.ravel()[first], base) if len(first) else np.zeros((2, 0), np.int64)
    )
    customers = int(customer.max(initial=-1)) + 1
    positive = (labels.value == 1) & (customer[labels.row] >= 0)
    known = np.flatnonzero(positive)[np.argsort(labels.enters[positive], kind="stable")]
    return CustomerGraph(
        customer=customer,
        pair=pair,
        owner=np.ascontiguousarray(owner),
        shared=np.ascontiguousarray(shared),
        of_owner=np.argsort(owner, kind="stable"),
        owner_starts=np.searchsorted(np.sort(owner), np.arange(customers + 1)),
        of_shared=np.argsort(shared, kind="stable"),
        shared_starts=np.searchsorted(np.sort(shared), np.arange(base + 1)),
        confirmed=labels.row[known],
        enters=labels.enters[known],
    )


def _start(graph: CustomerGraph) -> GraphState:
    """Return the state before anything has arrived."""
    customers, identifiers = len(graph.owner_starts) - 1, len(graph.shared_starts) - 1
    return GraphState(
        born=np.full(len(graph.owner), NEVER),
        confirmed_at=np.full(customers, NEVER),
        parent=np.arange(customers),
        size=np.ones(customers, np.int64),
        newest=np.full(customers, LONG_AGO),
        degree=np.zeros(customers, np.int64),
        confirmed=np.zeros(customers, np.int64),
        stamp=np.zeros(customers, np.int64),
        passed=np.zeros(identifiers, np.int64),
        queue=np.zeros(customers, np.int64),
        walks=np.zeros(1, np.int64),
    )
