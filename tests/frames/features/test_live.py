"""Features of rows as they arrive: the same as of the whole table, with late rows, ties, labels and
returns.
"""

from contextlib import nullcontext
from dataclasses import replace
from heapq import heappop, heappush

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError, DataError
from hwds.detection.features.arbitrage import Arbitrage
from hwds.detection.features.entity_risk import EntityRisk
from hwds.detection.features.handbook import Handbook
from hwds.detection.features.handbook_plus import HandbookPlus
from hwds.detection.features.network import Network
from hwds.detection.features.peers import Peers
from hwds.detection.features.purchases import Purchases
from hwds.detection.features.recent import Recent
from hwds.frames.features.base import RowFeatures
from hwds.frames.features.none import None_
from hwds.frames.features.together import Together
from hwds.frames.rows import NEVER, RowEvent, RowOutcome, microseconds
from tests.detection.features.moment_rows import order_lines
from tests.detection.features.purchase_tables import bought

COUNTS = (pl.Int8, pl.Int64)


def schema_of(table):
    return replace(table, data=table.data.clear())


def one_by_one(features, table):
    """The columns of a table whose rows arrive one at a time, in the order of the table."""
    live, told, waiting = features.live(schema_of(table)), [], []
    rows = table.data.to_dicts()
    for place, row in enumerate(rows):
        event = RowEvent(
            place, microseconds(row["time"]), microseconds(row["available_at"]), dict(row)
        )
        while waiting and waiting[0][0] <= event.arrival:
            at, other = heappop(waiting)
            live.confirm(
                RowOutcome(
                    other, microseconds(rows[other]["time"]), at, rows[other]["confirmed"] == 1
                )
            )
        told.append(live.arrive(event))
        if row["confirmed"] is not None:
            heappush(waiting, (microseconds(row["confirmed_at"]), place))
    made = {
        name: pl.Series(name, [row[k] for row in told], dtype=kind)
        for k, (name, kind) in enumerate(live.columns.items())
    }
    return pl.DataFrame(made)


def in_arrival(table):
    return replace(table, data=table.data.sort("available_at", maintain_order=True))


def assert_alike(found, wanted):
    assert found.columns == wanted.columns
    for name in wanted.columns:
        exact = wanted[name].dtype in COUNTS or isinstance(wanted[name].dtype, pl.Array)
        if exact or found[name].equals(wanted[name]):
            assert found[name].equals(wanted[name].cast(found[name].dtype)), name
            continue
        ours, theirs = (values[name].fill_null(-1e300).to_numpy() for values in (found, wanted))
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=0, err_msg=name)


RISK = EntityRisk(by=("store", "channel", "customer"), days=(14, 5))
HANDBOOK = Handbook(days=(7, 2), amount="unit_price", terminal="store")
PLUS = HandbookPlus(amount="unit_price", terminal="store", habit_days=20, recent_days=4, run_days=9)
ALL = [
    RISK,
    EntityRisk(by=("address",), days=(9,), shrink=0),
    Arbitrage(seen_days=9),
    Arbitrage(region=None),
    HANDBOOK,
    PLUS,
    Recent(length=4),
    Network(),
    Peers(columns=("quantity", "unit_price"), by=("channel", "region"), window=9, shrink=3),
    None_(),
]


@pytest.mark.parametrize("features", ALL, ids=lambda features: type(features).__name__)
@pytest.mark.parametrize(("seed", "late"), [(0, 0.0), (1, 0.3), (2, 0.9)])
def test_rows_one_by_one_are_told_what_the_whole_table_is(features, seed, late):
    table = in_arrival(order_lines(seed, 500, late=late))
    assert_alike(one_by_one(features, table), features.compute(table))


def test_several_sets_read_one_another():
    table = in_arrival(bought(600, seed=5, customers=5))
    several = Together(
        parts=(
            Purchases(days=(7, 30), tiers=(3, 5)),
            Peers(columns=("quantity_30d", "orders_30d"), by=("channel",)),
            EntityRisk(by=("store", "customer"), days=(14,)),
        )
    )
    found = one_by_one(several, table)
    assert_alike(found, several.compute(table))
    assert found.width > 20


def test_a_return_that_is_told_later_counts_from_then_on():
    table = in_arrival(bought(300, seed=4, late=0.2))
    recipe = Purchases(days=(30,))
    live, rows = recipe.live(schema_of(table)), table.data.to_dicts()
    waiting = sorted(
        (microseconds(row["returned_at"]), place)
        for place, row in enumerate(rows)
        if row["returned_at"]
    )
    told, first = [], {}
    for place, row in enumerate(rows):
        arrival = microseconds(row["available_at"])
        for at, other in [
            each for each in waiting if each[1] in first and first[each[1]] < each[0] <= arrival
        ]:
            live.returned(other, at)
            waiting.remove((at, other))
        first[place] = arrival
        # what comes back later is not known when the line arrives
        known = row | {
            "returned_at": row["returned_at"]
            if microseconds(row["returned_at"]) <= arrival
            else None
        }
        if known["returned_at"]:
            waiting.remove((microseconds(row["returned_at"]), place))
        told.append(live.arrive(RowEvent(place, microseconds(row["time"]), arrival, known)))
    place = list(live.columns).index("return_rate_30d")
    assert [row[place] for row in told] == recipe.compute(table)["return_rate_30d"].to_list()
    assert live.returned_at == "returned_at"
    assert microseconds(None) == NEVER


def test_features_without_a_live_form_say_so():
    class Still(RowFeatures):
        """No live form."""

    with pytest.raises(
        ConfigError, match=r"^features: 'Still' has no live form; it cannot be computed of events"
    ):
        Still().live(schema_of(order_lines(0)))
    with pytest.raises(ConfigError, match="'Still' has no live form"):
        Together(parts=(RISK, Still())).live(schema_of(order_lines(0)))


def test_a_live_form_refuses_what_the_table_does():
    with pytest.raises(
        ConfigError, match=r"^features\.by: no column 'stor'; did you mean 'store'\?$"
    ):
        EntityRisk(by=("stor",)).live(schema_of(order_lines(0)))


@pytest.mark.parametrize("features", [*ALL, Purchases()], ids=lambda each: type(each).__name__)
def test_a_number_below_0_is_refused_in_a_table_just_where_it_is_in_an_event(features):
    table = order_lines(0, 20)
    refused = features.live(schema_of(table)).never_negative
    for column in ("quantity", "unit_price", "street_price"):
        below = replace(table, data=table.data.with_columns(pl.lit(-2).alias(column)))
        message = f"column '{column}' must be >= 0, row 1 has -2."
        with pytest.raises(DataError, match=message) if column in refused else nullcontext():
            features.check(below)
