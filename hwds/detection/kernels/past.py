"""The past of each row's customer, place or market as of that row; compiled by numba."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from hwds.core.compiling import compiled, helper
from hwds.frames.kernels import place_after
from hwds.frames.rows import DAY_MICROSECONDS, NEVER, Instants, LabelArrivals

# Counts and means over trailing windows of rows of the same entity: compiled.

FRIDAY, NIGHT = 5, 6
"""The last weekday before the weekend, counted from Monday as 1, and the last hour of the night."""


def trailing_windows(
    code: ndarray, value: ndarray, moments: Instants, reach: ndarray
) -> tuple[ndarray, ndarray]:
    """Return how many rows of its entity each row sees in the windows that end with it, itself
    included, and their mean.

    A row looks back over those of its entity one by one, the latest first, so that a sum is added
    up in the same order whatever comes later, and a row that arrived late is passed over; the cost
    grows with the rows of an entity in the longest window.

    Args:
        code: The entity of each row, shape (n,); rows without one (-1) see none.
        value: The value that is averaged, NaN where it is not known, shape (n,).
        moments: The times at which rows happened and arrived.
        reach: The windows' lengths in microseconds, rising, shape (k,).

    Returns:
        Counts and means, each of shape (n, k); a mean of nothing is NaN.
    """
    order = order_by_entity(code, moments.time, moments.place)
    count, valued, total = np.zeros((3, len(code), len(reach)))
    compiled(fill_trailing)(
        order, code, moments.time, moments.place, value, reach, count, valued, total
    )
    below = np.cumsum(valued, axis=1)
    mean = np.divide(
        np.cumsum(total, axis=1), below, out=np.full(below.shape, np.nan), where=below > 0
    )
    return np.cumsum(count, axis=1), mean


def order_by_entity(code: ndarray, time: ndarray, place: ndarray) -> ndarray:
    """Return the rows of entities by entity, then time, then arrival.

    Arguments as in `fill_trailing`.
    """
    order = np.lexsort((place, time, code))
    return order[np.searchsorted(code[order], 0) :]


def fill_trailing(
    order: ndarray,
    code: ndarray,
    time: ndarray,
    place: ndarray,
    value: ndarray,
    reach: ndarray,
    count: ndarray,
    valued: ndarray,
    total: ndarray,
) -> None:
    """Count each row that is seen in the shortest window that holds it.

    Args:
        order: Rows by entity, then time, then arrival.
        code: The entity of each row.
        time: The time at which each row happened.
        place: The place of each row in the order of arrival.
        value: The value that is summed.
        reach: The windows' lengths, rising.
        count: The number of rows by window, to be filled; one column a window.
        valued: The number of rows with a value, to be filled.
        total: The sum of the values, to be filled.
    """
    for at in range(len(order)):
        row, back, window = order[at], at, 0
        while back >= 0 and code[order[back]] == code[row]:
            seen = order[back]
            while window < len(reach) and time[row] - time[seen] >= reach[window]:
                window += 1
            if window == len(reach):
                break
            if place[seen] <= place[row]:
                count[row, window] += 1
                if not np.isnan(value[seen]):
                    valued[row, window] += 1
                    total[row, window] += value[seen]
            back -= 1


# The usual payment of a customer, and the outcomes of the latest known payments at a terminal:
# compiled.
# As in `handbook_windows`, each row looks back one by one, in an order that nothing later can
# change.

USUAL = ("usual_count", "usual_ratio", "highest_ratio")
RUNS = ("run", "run_age", "honest_age", "first_age", "fraud_share")


class RowMoments(NamedTuple):
    """The rows as compiled code reads them: numbers, moments in microseconds."""

    code: ndarray
    time: ndarray
    place: ndarray


class EntityLabels(NamedTuple):
    """Labels by entity and by the time of their rows; `first` of each entity, and the end."""

    first: ndarray
    time: ndarray
    enters: ndarray
    value: ndarray


def compute_usual(
    code: ndarray, amount: ndarray, moments: Instants, habit: int, recent: int
) -> ndarray:
    """Return each row's amount, and the highest one of its entity before it, over the mean of what
    the entity paid before.

    Args:
        code: The entity of each row, shape (n,); rows without one (-1) have no past.
        amount: The amount that was paid, NaN where it is not known, shape (n,).
        moments: The times at which rows happened and arrived.
        habit: Microseconds before the row over which the mean is taken.
        recent: Microseconds before the row in which the highest amount is sought, no more than
            `habit`.

    Returns:
        The columns of `USUAL`, shape (n, 3): the rows behind the mean, and the two ratios, NaN
        where there is none.
    """
    order = order_by_entity(code, moments.time, moments.place)
    out = np.full((len(code), len(USUAL)), np.nan)
    out[:, 0] = 0.0
    compiled(fill_usual)(
        order, RowMoments(code, moments.time, moments.place), amount, habit, recent, out
    )
    return out


def compute_runs(code: ndarray, labels: LabelArrivals, moments: Instants, reach: int) -> ndarray:
    """Return how the latest payments at each row's entity turned out, as far as that had become
    known.

    Args:
        code: The entity of each row, shape (n,).
        labels: The labels and their arrivals.
        moments: The times at which rows happened and arrived.
        reach: Microseconds before the row beyond which payments do not count.

    Returns:
        The columns of `RUNS`, shape (n, 5): frauds since the last honest payment; days since the
        first of these; since the last honest payment; since the first fraud; the share of fraud
        since then. What there is none of is NaN, in the first and the last column 0.
    """
    entity, time = code[labels.row], moments.time[labels.row]
    order = order_by_entity(entity, time, moments.place[labels.row])
    first = np.searchsorted(entity[order], np.arange(code.max(initial=-1) + 2))
    known = EntityLabels(first, time[order], labels.enters[order], labels.value[order])
    out = np.full((len(code), len(RUNS)), np.nan)
    out[:, 0] = out[:, -1] = 0.0
    compiled(fill_runs)(
        RowMoments(code, moments.time, moments.place), known, reach, 1.0 / DAY_MICROSECONDS, out
    )
    return out


def fill_usual(
    order: ndarray,
    rows: RowMoments,
    amount: ndarray,
    habit: int,
    recent: int,
    out: ndarray,
) -> None:
    """Fill the columns of `USUAL`."""
    code, time, place = rows.code, rows.time, rows.place
    for at in range(len(order)):
        row, back = order[at], at - 1
        count, total, highest = 0, 0.0, math.nan
        while (
            back >= 0 and code[order[back]] == code[row] and time[row] - time[order[back]] < habit
        ):
            seen = order[back]
            if place[seen] < place[row] and not math.isnan(amount[seen]):
                count += 1
                total += amount[seen]
                if time[row] - time[seen] < recent and not amount[seen] <= highest:
                    highest = amount[seen]
            back -= 1
        if count and total > 0:
            out[row, 0] = count
            out[row, 1] = amount[row] / (total / count)
            out[row, 2] = highest / (total / count)


def fill_runs(rows: RowMoments, known: EntityLabels, reach: int, day: float, out: ndarray) -> None:
    """Fill the columns of `RUNS`."""
    code, time, place = rows.code, rows.time, rows.place
    first, when, enters, value = known.first, known.time, known.enters, known.value
    for row in range(len(code)):
        if code[row] < 0:
            continue
        begin = first[code[row]]
        end = place_after(when, begin, first[code[row] + 1], time[row])
        seen = frauds = since = 0
        unbroken = True
        for back in range(end - 1, begin - 1, -1):
            age = time[row] - when[back]
            if age >= reach:
                break
            if enters[back] > place[row]:
                continue
            seen += 1
            if value[back] == 0:
                if unbroken:
                    out[row, 2] = age * day
                unbroken = False
                continue
            frauds += 1
            since = seen
            out[row, 3] = age * day
            if unbroken:
                out[row, 0] += 1
                out[row, 1] = age * day
        if since:
            out[row, 4] = frauds / since


# Counts of the labels of a group as of each row: the compiled loop of EntityRisk.

POSITIVE = 1 << 32
"""The addition of a positive label to a count beside 1: two counts in one number."""


class LabelArrays(NamedTuple):
    """The labels of all groups, in the order in which they arrived.

    Attributes:
        group: The group of each label.
        value: The number that each label adds to a count.
        rank: Its place among all labels by group, then by time.
        times: The times of the labels' rows in that order.
        starts: The first rank of each group, and the end.
        enters, leaves: The places of the first row that counts it, and of the first that does so no
            more; the latter rise.
        entering: The labels in the order of `enters`.
    """

    group: ndarray
    value: ndarray
    rank: ndarray
    times: ndarray
    starts: ndarray
    enters: ndarray
    leaves: ndarray
    entering: ndarray


def count_known_labels(
    order: ndarray,
    time: ndarray,
    group: ndarray,
    labels: LabelArrays,
    held: ndarray,
    newest: ndarray,
    tree: ndarray,
    counts: ndarray,
) -> None:
    """Fill `counts` with the sum of `value` over the labels that count for each row.

    Those are of its group, have entered and not left by its place, and are of rows that happened no
    later than it. Sums of all that have entered answer, unless one of them is of a later row: then
    a Fenwick tree over the times of the group does.

    Args:
        order: The rows in the order of arrival.
        time: The time at which each row happened.
        group: The group of each row, -1 for none.
        labels: The labels that may count.
        held: Scratch of shape (n_groups,): zeros.
        newest: Scratch of shape (n_groups,): the least number.
        tree: Scratch of shape (n_labels,): zeros.
        counts: The answer, one for each row: zeros.
    """
    entered, left, count = 0, 0, len(labels.entering)
    for place in range(len(order)):
        while entered < count and labels.enters[labels.entering[entered]] <= place:
            which = labels.entering[entered]
            code = labels.group[which]
            if labels.leaves[which] > labels.enters[which]:
                held[code] += labels.value[which]
                _add(tree, labels, which, labels.value[which])
                newest[code] = max(newest[code], labels.times[labels.rank[which]])
            entered += 1
        while left < count and labels.leaves[left] <= place:
            if labels.leaves[left] > labels.enters[left]:
                held[labels.group[left]] -= labels.value[left]
                _add(tree, labels, left, -labels.value[left])
            left += 1
        # Sums answer where no label is of a later row; else the tree sums up to the row's time.
        row = order[place]
        code = group[row]
        if code >= 0:
            counts[row] = (
                held[code] if newest[code] <= time[row] else _until(tree, labels, code, time[row])
            )


@helper
def _add(tree: ndarray, labels: LabelArrays, which: int, value: int) -> None:
    """Put a value at the label's rank within its group."""
    start = labels.starts[labels.group[which]]
    size = labels.starts[labels.group[which] + 1] - start
    node = labels.rank[which] - start + 1
    while node <= size:
        tree[start + node - 1] += value
        node += node & -node


@helper
def _until(tree: ndarray, labels: LabelArrays, code: int, time: int) -> int:
    """Return the sum of what is held of a group's rows that happened by a time."""
    start = labels.starts[code]
    total, node = 0, place_after(labels.times, start, labels.starts[code + 1], time) - start
    while node > 0:
        total += tree[start + node - 1]
        node -= node & -node
    return total


# The lowest value over a trailing window of rows of the same entity: compiled.


def fill_lowest(
    order: ndarray,
    code: ndarray,
    time: ndarray,
    place: ndarray,
    value: ndarray,
    reach: int,
    out: ndarray,
) -> None:
    """Fill in the lowest value that each row sees in the window that ends with it, itself included.

    Args:
        order: Rows by entity, then time, then arrival.
        code: The entity of each row.
        time: The time at which each row happened, in microseconds.
        place: The place of each row in the order of arrival.
        value: NaN where it is not known.
        reach: The window's length in microseconds.
        out: NaN where nothing is known, shape (n,).
    """
    for at in range(len(order)):
        row, back = order[at], at
        lowest = math.inf
        while (
            back >= 0 and code[order[back]] == code[row] and time[row] - time[order[back]] < reach
        ):
            seen = order[back]
            if place[seen] <= place[row] and value[seen] < lowest:
                lowest = value[seen]
            back -= 1
        if lowest < math.inf:
            out[row] = lowest


# The last rows of an entity as of each row: the compiled loop of Recent.

TIME_INPUTS = 2
"""Inputs of each step that are made of the rows' times: whether there is a row, and the days since
the one before.
"""


def signed_log(values: ndarray) -> ndarray:
    """Return sign(x) log(1 + |x|), on which a thousand is not far from a hundred.

    0 where there is no number.
    """
    return np.nan_to_num(np.sign(values) * np.log1p(np.abs(values)), nan=0.0)


def fill_last_rows(
    order: ndarray,
    time: ndarray,
    values: ndarray,
    days: float,
    before: ndarray,
    after: ndarray,
    out: ndarray,
) -> None:
    """Fill `out` with the last rows of each row's entity, itself last.

    Rows are visited from the last to arrive to the first, and taken out of the chain of their
    entity: those left had arrived before.

    Args:
        order: The rows in the order of arrival.
        time: The time at which each row happened.
        values: The inputs of each row, shape (n, inputs).
        days: The length of a unit of time in days.
        before: The row before each one in its entity's chain, -1 for none; taken apart.
        after: The row after it.
        out: The answer, shape (n, length, 2 + inputs): zeros.
    """
    length, inputs = out.shape[1], values.shape[1]
    for place in range(len(order) - 1, -1, -1):
        row = order[place]
        current = row
        for step in range(length - 1, -1, -1):
            earlier = before[current]
            out[row, step, 0] = 1.0
            if earlier >= 0:
                out[row, step, 1] = math.log1p((time[current] - time[earlier]) * days)
            for k in range(inputs):
                out[row, step, 2 + k] = values[current, k]
            if earlier < 0:
                break
            current = earlier
        if before[row] >= 0:
            after[before[row]] = after[row]
        if after[row] >= 0:
            before[after[row]] = before[row]


# The last price of each market as of each row: the compiled loop of Arbitrage.


class MarketCells(NamedTuple):
    """Rows by cell, which is a SKU in a market; those of one SKU stand side by side, rows in the
    order of time and arrival.

    Attributes:
        rows: The rows in that order: a slot for each.
        times: The time at which the row of each slot happened.
        starts: The first slot of each cell, and the end.
        skus: The first cell of each SKU, and the end.
        sku: The SKU of each row of the table.
        region: The region of each row of the table.
        cell: The cell of each row of the table, -1 for none.
        slot: The slot of each row of the table, -1 for none.
    """

    rows: ndarray
    times: ndarray
    starts: ndarray
    skus: ndarray
    sku: ndarray
    region: ndarray
    cell: ndarray
    slot: ndarray


def fill_best_elsewhere(
    order: ndarray,
    time: ndarray,
    paid: ndarray,
    cost_near: ndarray,
    cost_far: ndarray,
    market: MarketCells,
    memory: int,
    links: ndarray,
    best: ndarray,
    rank: ndarray,
    seen: ndarray,
) -> None:
    """Fill `best`, `rank` and `seen` of each row that has a cell.

    Rows are visited from the last to arrive to the first, and taken out: those left had arrived
    before. `links` leads from a slot, plus 1, to the last one at or before it that is left (a
    union-find with halved paths).

    Args:
        order: The rows in the order of arrival.
        time: The time at which each row happened.
        paid: The price of each row.
        cost_near: The cost of a unit that is resold in its region.
        cost_far: The cost of a unit that is resold in another region.
        market: The rows by cell.
        memory: The largest age of a price, in the unit of time.
        links: Scratch of shape (n_slots + 1,): 0, 1, 2 ...
        best: The largest spread to another cell of the SKU.
        rank: 1 and the number of other cells whose last price is lower.
        seen: 1 and the number of other cells.
    """
    for place in range(len(order) - 1, -1, -1):
        row = order[place]
        home = market.cell[row]
        if home < 0:
            continue
        rank[row], seen[row] = 1.0, 1.0
        sku = market.sku[row]
        for cell in range(market.skus[sku], market.skus[sku + 1]):
            last = _last_row(market, links, cell, time[row]) if cell != home else -1
            if last < 0 or time[last] <= time[row] - memory:
                continue
            near = market.region[last] == market.region[row]
            spread = paid[last] - (cost_near[row] if near else cost_far[row])
            if not best[row] >= spread:  # which a first one, beside no number, is not
                best[row] = spread
            rank[row] += paid[last] < paid[row]
            seen[row] += 1.0
        links[market.slot[row] + 1] = market.slot[row]


@helper
def _last_row(market: MarketCells, links: ndarray, cell: int, time: int) -> int:
    """Return the last row left of a cell that happened by a time; -1 where there is none."""
    start = market.starts[cell]
    low = place_after(market.times, start, market.starts[cell + 1], time)
    while links[low] != low:
        links[low] = links[links[low]]
        low = links[low]
    return market.rows[low - 1] if low > start else -1


# A graph of customers that grows as rows arrive: the compiled loop of Network.


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
