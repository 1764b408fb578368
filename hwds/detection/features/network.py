"""Network: customers linked by a shared address, payment or contact."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import polars as pl
from annotated_types import MinLen

from hwds.core.numba_cache import compiled
from hwds.core.recipe import Names
from hwds.detection.features.kernels.network import Graph, State, grow
from hwds.detection.features.live.network import LiveNetwork
from hwds.features.base import RowFeatures
from hwds.features.rows.columns import LONG_AGO, NEVER, codes_of, entity_of, must_have, needs
from hwds.features.rows.live import Live
from hwds.features.rows.moments import Labels, Moments, labels_of, moments_of
from hwds.frames.table import Table

COLUMNS = ("network_degree", "network_size", "network_confirmed", "network_confirmed_share")


class Network(RowFeatures):
    """The links of a row's customer to others over identifiers that they share, as of the row's moment.

    Two customers are linked where rows of both that count for this one bear the same address, payment or contact. Columns:
    `network_degree`, the other customers that are linked to this one; `network_size`, those that can be reached over any
    number of links, itself included; `network_confirmed`, those linked to it that had a positive label by then (two hops away:
    over an identifier), and `network_confirmed_share`, of the degree, 0 where that is 0. A row without a customer has none.

    Links grow as rows arrive; a row that arrived late asks the graph as it was at its own time, which costs a walk over its
    component where that has grown since.

    Attributes:
        by: Columns of identifiers; no value is no link, and values of two columns are never the same.
        customer: The column of who is linked; null takes the one with the role `entity`.
    """

    by: Annotated[Names, MinLen(1)] = ("address", "payment", "contact")
    customer: str | None = None

    def check(self, table: Table) -> None:
        """Refuse a table without a customer or a label, or without a column that is named."""
        must_have(table, "by", self.by)
        entity_of(table, "customer", self.customer)
        needs(table, "network", "time", "label")

    def live(self, schema: Table) -> Live:
        """Return the same for rows as they arrive."""
        self.check(schema)
        return LiveNetwork(self.by, entity_of(schema, "customer", self.customer))

    def compute(self, table: Table) -> pl.DataFrame:
        """Return the four columns.

        Raises:
            ConfigError: No column says when labels arrived.
            DataError: A row has no time.
        """
        self.check(table)
        moments = moments_of(table)
        customer = codes_of(table.data[entity_of(table, "customer", self.customer)])
        graph = _graph(moments, customer, [codes_of(table.data[name]) for name in self.by], labels_of(table, moments))
        counts = np.full((len(customer), 3), -1)
        compiled(grow)(moments.order, moments.time, graph, _start(graph), counts)
        degree, _, confirmed = counts.T
        share = np.where(degree > 0, confirmed / np.maximum(degree, 1), 0.0)
        columns = dict(zip(COLUMNS, (*counts.T, share), strict=True))
        return pl.DataFrame(columns).select(
            pl.when(pl.Series(customer >= 0)).then(pl.col(name)).alias(name) for name in COLUMNS
        )


def _graph(moments: Moments, customer: np.ndarray, identifiers: list[np.ndarray], labels: Labels) -> Graph:
    """Return pairs of a customer and an identifier, numbered in the order in which they are first seen."""
    base, apart = 0, []
    for codes in identifiers:
        apart.append(np.where((codes >= 0) & (customer >= 0), codes + base, -1))
        base += int(codes.max(initial=-1)) + 1
    there = np.column_stack(apart)[moments.order]  # in the order of arrival
    keys = np.where(there >= 0, customer[moments.order][:, None] * base + there, -1)
    numbers = codes_of(pl.Series(keys.ravel()).replace(-1, None))
    pair = np.full(keys.shape, -1)
    pair[moments.order] = numbers.reshape(keys.shape)
    first = np.unique(numbers, return_index=True)[1][int((numbers < 0).any()) :]
    owner, shared = np.divmod(keys.ravel()[first], base) if len(first) else np.zeros((2, 0), np.int64)
    customers = int(customer.max(initial=-1)) + 1
    positive = (labels.value == 1) & (customer[labels.row] >= 0)
    known = np.flatnonzero(positive)[np.argsort(labels.enters[positive], kind="stable")]
    return Graph(
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


def _start(graph: Graph) -> State:
    """Return the state before anything has arrived."""
    customers, identifiers = len(graph.owner_starts) - 1, len(graph.shared_starts) - 1
    return State(
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
