"""EntityRisk against a loop over all pairs, and against the handbook's own columns."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError
from hwds.datasets.fraud_handbook import FraudHandbook
from hwds.detection.features.entity_risk import EntityRisk
from hwds.frames.table import Table
from tests.detection.features.moment_rows import (
    counting,
    knows,
    moved_by_order,
    order_lines,
    seen_ahead,
)

DAYS = (7, 30)


def slow(table, by, shrink):
    found = []
    for place, there, rows in counting(table):
        line = {}
        for days in DAYS:
            since = rows[place]["available_at"] - timedelta(days=days)
            known = [k for k in there if knows(rows, place, k) and rows[k]["confirmed_at"] > since]
            for name in by:
                own = [
                    rows[k]["confirmed"]
                    for k in known
                    if rows[k][name] == rows[place][name] and rows[k][name] is not None
                ]
                rate = sum(rows[k]["confirmed"] for k in known) / len(known) if known else 0.0
                line[f"{name}_risk_{days}d"] = (
                    (sum(own) + shrink * rate) / (len(own) + shrink) if len(own) + shrink else 0.0
                )
                line[f"{name}_labels_{days}d"], line[f"{name}_confirmed_{days}d"] = (
                    len(own),
                    sum(own),
                )
        found.append(line)
    return pl.DataFrame(found)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("shrink", [0.0, 7.0])
def test_it_equals_a_loop_over_all_pairs(seed, shrink):
    table, by = order_lines(seed), ("store", "address", "customer")
    got = EntityRisk(by=by, days=DAYS, shrink=shrink).compute(table)
    wanted = slow(table, by, shrink)
    assert got.columns == [name for by in by for days in DAYS for name in _names(by, days)]
    for name in got.columns:
        if "risk" in name:
            assert np.allclose(got[name], wanted[name], rtol=1e-12)
        else:
            assert got[name].to_list() == wanted[name].to_list()
    assert got["store_confirmed_30d"].sum() > 0


def _names(by, days):
    return f"{by}_risk_{days}d", f"{by}_labels_{days}d", f"{by}_confirmed_{days}d"


@pytest.mark.parametrize("seed", range(3))
def test_what_comes_later_changes_nothing(seed):
    table = order_lines(seed)
    assert not seen_ahead(EntityRisk(days=DAYS), table)
    assert not moved_by_order(EntityRisk(days=DAYS), table)


def test_the_own_label_never_counts():
    table = order_lines(1, count=40)
    at_once = table.data.with_columns(
        pl.col("time").alias("available_at"), pl.col("time").alias("confirmed_at")
    )
    turned = at_once.with_columns(1 - pl.col("confirmed"))
    features = EntityRisk(by=("store",), days=(30,))
    last = at_once["time"].arg_max()
    one = features.compute(replace(table, data=at_once))
    later = at_once["time"] == at_once["time"][last]
    changed = (
        pl.when(pl.col("row_id") == last)
        .then(turned["confirmed"])
        .otherwise(pl.col("confirmed"))
        .alias("confirmed")
    )
    other = features.compute(replace(table, data=at_once.with_columns(changed)))
    assert one[last].equals(other[last])
    assert later[last]


def test_labels_after_a_fixed_delay_give_the_handbooks_terminal_risk():
    """The rolling counts of chapter 3: those of delay and window, less those of the delay."""
    rng, delay, count = np.random.default_rng(3), timedelta(days=7), 300
    time = np.sort(rng.choice(30 * 86_400, count, replace=False))
    data = pl.DataFrame(
        {"at": time, "terminal": rng.integers(0, 6, count), "fraud": rng.integers(0, 2, count)}
    )
    data = data.with_columns(pl.from_epoch("at", "s").alias("time")).with_columns(
        (pl.col("time") + delay).alias("known")
    )
    table = Table.build(data, {"time": ("time",), "label": ("fraud",), "label_time": ("known",)})
    got = EntityRisk(by=("terminal",), days=(1, 7), shrink=0.0).compute(table)
    frame = data.sort("time").with_row_index()
    for days in (1, 7):
        sums = [
            frame.rolling("time", period=f"{period}d", group_by="terminal")
            .agg(pl.col("index").last(), pl.col("fraud").sum(), pl.len())
            .sort("index")
            for period in (7 + days, 7)
        ]
        count, positive = (
            sums[0][name].cast(int) - sums[1][name].cast(int) for name in ("len", "fraud")
        )
        assert got[f"terminal_labels_{days}d"].to_list() == count.to_list()
        assert got[f"terminal_risk_{days}d"].to_list() == (positive / count).fill_nan(0.0).to_list()


@pytest.mark.data
def test_it_is_the_handbooks_own_column(data_folder):
    table = FraudHandbook().load()
    time = table.name("time")
    data = table.data.with_columns((pl.col(time) + timedelta(days=7)).alias("known"))
    roles = table.roles | {"label_time": ("known",)}
    got = EntityRisk(by=("terminal_id",), days=(1, 7), shrink=0.0).compute(
        replace(table, data=data, roles=roles)
    )
    for days in (1, 7):
        whole = data[time] >= data[time].min() + timedelta(days=7 + days)
        own = data.filter(whole)
        assert got.filter(whole)[f"terminal_id_labels_{days}d"].equals(
            own[f"terminal_id_nb_tx_{days}day_window"].cast(int)
        )
        assert np.array_equal(
            got.filter(whole)[f"terminal_id_risk_{days}d"],
            own[f"terminal_id_risk_{days}day_window"],
        )


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"by": ("stor",)}, "features.by: no column 'stor'; did you mean 'store'?"),
        ({"by": ("confirmed",)}, "is label"),
    ],
)
def test_columns_that_cannot_be_are_refused(fields, told):
    with pytest.raises(ConfigError) as caught:
        EntityRisk(**fields).check(order_lines(0))
    assert told in str(caught.value)


def test_a_table_without_labels_or_their_times_is_refused():
    table = order_lines(0)
    for role in ("label", "label_time"):
        bare = replace(
            table, roles={name: value for name, value in table.roles.items() if name != role}
        )
        with pytest.raises(ConfigError, match=f"need.* the role '{role}'"):
            EntityRisk().compute(bare)


@pytest.mark.parametrize(
    "fields", [{"by": ()}, {"days": ()}, {"days": (7, 7)}, {"days": (0,)}, {"shrink": -1.0}]
)
def test_fields_that_cannot_be_are_refused(fields):
    with pytest.raises(ConfigError, match=" must "):
        EntityRisk(**fields)
