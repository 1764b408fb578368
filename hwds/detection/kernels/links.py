"""A graph of customers that grows as rows arrive: the compiled loop of Network."""

from __future__ import annotations

from typing import NamedTuple

from numpy import ndarray

from hwds.core.compiling import helper
from hwds.frames.rows import NEVER


class CustomerGraph(NamedTuple):
    """Pairs of a customer and an identifier, numbered in the order in which they arrive.

    Attributes:
        customer: The customer of each row, -1 for none.
        pair: The pairs of each row, -1 for none, shape (n, identifiers).
        owner, shared: The customer and the identifier of each pair.
        of_owner, owner_starts: The pairs of each customer, in order, and where they begin.
        of_shared, shared_starts: The pairs of each identifier, in order, and where they begin.
        confirmed: The rows with a positive label, in the order in which the labels enter.
        enters: The places from which on they count.
    """

    customer: ndarray
    pair: ndarray
    owner: ndarray
    shared: ndarray
    of_owner: ndarray
    owner_starts: ndarray
    of_shared: ndarray
    shared_starts: ndarray
    confirmed: ndarray
    enters: ndarray


class GraphState(NamedTuple):
    """The rows that have arrived.

    Attributes:
        born: The earliest time of a row of each pair, `NEVER` where none has arrived.
        confirmed_at: The earliest time of a row with a positive label of each customer, `NEVER`
            where none has arrived.
        parent, size: The parent of each customer in the forest of components, and the size of each
            root's component.
        newest: A time for each root, after which nothing was born or confirmed in its component.
        degree: The number of other customers that share an identifier with each.
        confirmed: The number of those neighbours that are confirmed.
        stamp: The last walk that met each customer.
        passed: The last walk that met each identifier.
        queue: The customers of a walk.
        walks: The number of walks so far, one number.
    """

    born: ndarray
    confirmed_at: ndarray
    parent: ndarray
    size: ndarray
    newest: ndarray
    degree: ndarray
    confirmed: ndarray
    stamp: ndarray
    passed: ndarray
    queue: ndarray
    walks: ndarray


def grow_graph(
    order: ndarray, time: ndarray, graph: CustomerGraph, state: GraphState, out: ndarray
) -> None:
    """Let rows arrive; write for each its customer's degree, the size of its component and its
    confirmed neighbours.

    Args:
        order: The rows in the order of arrival.
        time: The time at which each row happened.
        graph: All that will arrive.
        state: The state before anything has arrived.
        out: The answer, shape (n, 3).
    """
    entered = 0
    for place in range(len(order)):
        while entered < len(graph.enters) and graph.enters[entered] <= place:
            _confirm(
                graph,
                state,
                graph.customer[graph.confirmed[entered]],
                time[graph.confirmed[entered]],
            )
            entered += 1
        row = order[place]
        customer = graph.customer[row]
        if customer < 0:
            continue
        for k in range(graph.pair.shape[1]):
            pair = graph.pair[row, k]
            if pair >= 0:
                if state.born[pair] == NEVER:
                    _link(graph, state, pair, time[row])
                state.born[pair] = min(state.born[pair], time[row])
        # Counts are kept for the newest moment; a late row walks the graph as it was at its time.
        root = _root(state.parent, customer)
        if state.newest[root] <= time[row]:
            out[row, 0] = state.degree[customer]
            out[row, 1] = state.size[root]
            out[row, 2] = state.confirmed[customer]
        else:
            _walk(graph, state, customer, time[row], out, row)


@helper
def _root(parent: ndarray, customer: int) -> int:
    while parent[customer] != customer:
        parent[customer] = parent[parent[customer]]
        customer = parent[customer]
    return customer


@helper
def _confirm(graph: CustomerGraph, state: GraphState, customer: int, time: int) -> None:
    """Add a positive label of a customer, of a row of that time."""
    if state.confirmed_at[customer] == NEVER:
        count = _fill_queue(graph, state, customer, NEVER - 1, 1)
        for k in range(1, count):
            state.confirmed[state.queue[k]] += 1
        root = _root(state.parent, customer)
        state.newest[root] = max(state.newest[root], time)
    state.confirmed_at[customer] = min(state.confirmed_at[customer], time)


@helper
def _link(graph: CustomerGraph, state: GraphState, pair: int, time: int) -> None:
    """Link a customer to an identifier that it bears for the first time."""
    customer, shared = graph.owner[pair], graph.shared[pair]
    _fill_queue(graph, state, customer, NEVER - 1, 1)
    walk = state.walks[0]
    for k in range(graph.shared_starts[shared], graph.shared_starts[shared + 1]):
        if state.born[graph.of_shared[k]] == NEVER:
            break
        other = graph.owner[graph.of_shared[k]]
        if state.stamp[other] != walk:
            state.degree[customer] += 1
            state.degree[other] += 1
            state.confirmed[customer] += state.confirmed_at[other] != NEVER
            state.confirmed[other] += state.confirmed_at[customer] != NEVER
        _join(state, customer, other)
    root = _root(state.parent, customer)
    state.newest[root] = max(state.newest[root], time)


@helper
def _join(state: GraphState, one: int, other: int) -> None:
    one, other = _root(state.parent, one), _root(state.parent, other)
    if one == other:
        return
    if state.size[one] < state.size[other]:
        one, other = other, one
    state.parent[other] = one
    state.size[one] += state.size[other]
    state.newest[one] = max(state.newest[one], state.newest[other])


@helper
def _walk(
    graph: CustomerGraph, state: GraphState, customer: int, time: int, out: ndarray, row: int
) -> None:
    """Write the degree, component size and confirmed neighbours of a customer as of a time."""
    near = _fill_queue(graph, state, customer, time, 1)
    confirmed = 0
    for k in range(1, near):
        confirmed += state.confirmed_at[state.queue[k]] <= time
    out[row, 0], out[row, 2] = near - 1, confirmed
    out[row, 1] = _fill_queue(graph, state, customer, time, len(state.queue))


@helper
def _fill_queue(
    graph: CustomerGraph, state: GraphState, customer: int, time: int, most: int
) -> int:
    """Fill the queue with a customer and those that its first `most` are linked to by a time.

    Return how many they are.
    """
    state.walks[0] += 1
    walk, count, at = state.walks[0], 1, 0
    state.queue[0] = customer
    state.stamp[customer] = walk
    while at < min(count, most):
        first = graph.owner_starts[state.queue[at]]
        for k in range(first, graph.owner_starts[state.queue[at] + 1]):
            pair = graph.of_owner[k]
            if state.born[pair] == NEVER:
                break
            shared = graph.shared[pair]
            if state.born[pair] > time or state.passed[shared] == walk:
                continue
            state.passed[shared] = walk
            for other in range(graph.shared_starts[shared], graph.shared_starts[shared + 1]):
                born = state.born[graph.of_shared[other]]
                if born == NEVER:
                    break
                met = graph.owner[graph.of_shared[other]]
                if born <= time and state.stamp[met] != walk:
                    state.stamp[met] = walk
                    state.queue[count] = met
                    count += 1
        at += 1
    return count
