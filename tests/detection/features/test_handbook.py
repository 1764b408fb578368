"""The handbook's features against loops over all pairs, and against the handbook's own columns."""

from dataclasses import replace
from datetime import datetime, timedelta
from math import isclose

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError
from hwds.datasets.fraud_handbook import FraudHandbook
from hwds.detection.features.handbook import Handbook
from hwds.detection.features.handbook_plus import HandbookPlus
from tests.detection.features.moment_rows import (
    counting,
    knows,
    moved_by_order,
    order_lines,
    seen_ahead,
)

NAMES = {"amount": "unit_price", "terminal": "store"}
PLUS = HandbookPlus(**NAMES, habit_days=20, recent_days=5, run_days=25)


def days(number):
    return timedelta(days=number)


def same(found, wanted):
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert (one is None) == (other is None)
        assert one is None or isclose(one, other, rel_tol=1e-12, abs_tol=1e-12)


def own(rows, there, place, name):
    """Which of the rows that count are of the same customer or store."""
    mine = rows[place][name]
    return [] if mine is None else [other for other in there if rows[other][name] == mine]


def slow_means(table, window):
    count, mean = [], []
    for place, there, rows in counting(table):
        seen = [
            k
            for k in own(rows, there, place, "customer")
            if rows[place]["time"] - rows[k]["time"] < days(window)
        ]
        paid = [rows[k]["unit_price"] for k in seen if rows[k]["unit_price"] is not None]
        count.append(len(seen))
        mean.append(sum(paid) / len(paid) if paid else None)
    return count, mean


@pytest.mark.parametrize("seed", range(4))
def test_counts_and_means_equal_a_loop_over_all_pairs(seed):
    table = order_lines(seed)
    found = Handbook(days=(30, 7), **NAMES).compute(table)
    for window in (7, 30):
        count, mean = slow_means(table, window)
        assert found[f"customer_count_{window}d"].to_list() == count
        same(found[f"customer_mean_{window}d"].to_list(), mean)


def slow_usual(table):
    found = []
    for place, there, rows in counting(table):
        earlier = [
            k
            for k in own(rows, there, place, "customer")
            if k != place and rows[k]["unit_price"] is not None
        ]
        age = {k: rows[place]["time"] - rows[k]["time"] for k in earlier}
        habit = [rows[k]["unit_price"] for k in earlier if age[k] < days(20)]
        recent = [rows[k]["unit_price"] for k in earlier if age[k] < days(5)]
        usual, paid = sum(habit) / len(habit) if habit else None, rows[place]["unit_price"]
        ratio = paid / usual if usual and paid is not None else None
        found.append((len(habit), ratio, max(recent) / usual if recent else None))
    return found


def slow_runs(table):
    found = []
    for place, there, rows in counting(table):
        age = {
            k: (rows[place]["time"] - rows[k]["time"]) / days(1)
            for k in own(rows, there, place, "store")
        }
        known = [k for k in age if age[k] < 25 and knows(rows, place, k)]
        bad = [k for k in known if rows[k]["confirmed"]]
        honest = [position for position, k in enumerate(known) if not rows[k]["confirmed"]]
        run = known[honest[-1] + 1 :] if honest else known
        since = known[known.index(bad[0]) :] if bad else []
        last = age[known[honest[-1]]] if honest else None
        first = age[bad[0]] if bad else None
        found.append(
            (
                len(run),
                age[run[0]] if run else None,
                last,
                first,
                len(bad) / len(since) if since else 0.0,
            )
        )
    return found


@pytest.mark.parametrize("seed", range(4))
def test_what_is_usual_and_how_it_turned_out_equal_a_loop_over_all_pairs(seed):
    table = order_lines(seed, count=200)
    got = PLUS.compute(table)
    usual = ("usual_count", "usual_ratio", "highest_ratio")
    runs = tuple(
        f"terminal_{name}" for name in ("run", "run_age", "honest_age", "first_age", "fraud_share")
    )
    for names, wanted in ((usual, slow_usual(table)), (runs, slow_runs(table))):
        for name, values in zip(names, zip(*wanted, strict=True), strict=True):
            same(got[name].to_list(), values)
    assert got["terminal_run"].max() > 1
    assert got["highest_ratio"].null_count() < 200


@pytest.mark.parametrize("features", [Handbook(**NAMES), PLUS], ids=["handbook", "plus"])
@pytest.mark.parametrize("seed", range(3))
def test_what_comes_later_changes_nothing(seed, features):
    table = order_lines(seed)
    assert not seen_ahead(features, table)
    assert not moved_by_order(features, table)


def test_weekend_and_night():
    table = order_lines(0)
    table = replace(
        table,
        data=table.data.with_columns(
            time=datetime(2024, 1, 4) + pl.duration(hours=pl.col("row_id"))
        ),
    )
    table = replace(table, data=table.data.with_columns(available_at=pl.col("time")))
    found = Handbook(**NAMES).compute(table)
    assert found["weekend"][:96].to_list() == [0] * 48 + [1] * 48  # from a Thursday on
    assert found["night"][:24].to_list() == [1] * 7 + [0] * 17


def test_names_that_are_not_there_are_refused():
    table = order_lines(0)
    with pytest.raises(ConfigError, match="no column 'stor'; did you mean 'store'"):
        Handbook(amount="unit_price", terminal="stor").check(table)
    with pytest.raises(ConfigError, match=r"features\.amount: column 'sku' must hold numbers"):
        Handbook(amount="sku", terminal="store").check(table)
    with pytest.raises(
        ConfigError, match=r"features\.recent_days: must be <= habit_days \(20\), got 21"
    ):
        HandbookPlus(**NAMES, habit_days=20, recent_days=21).check(table)
    with pytest.raises(ConfigError, match="needs the role 'amount'"):
        Handbook(terminal="store").check(table)


@pytest.mark.data
def test_they_are_those_of_the_handbook():
    table = FraudHandbook().load()
    week = pl.col("tx_datetime") + timedelta(days=7)
    table = replace(
        table,
        data=table.data.with_columns(known=week),
        roles=table.roles | {"label_time": ("known",)},
    )
    found = Handbook(days=(1, 7), terminal="terminal_id").compute(table)
    late = (
        table.data["tx_datetime"] >= datetime(2018, 8, 10)
    ).to_numpy()  # the data begins 16 days earlier
    names = {"customer_count": "customer_id_nb_tx", "customer_mean": "customer_id_avg_amount"}
    names |= {"terminal_count": "terminal_id_nb_tx", "terminal_risk": "terminal_id_risk"}
    for window in (1, 7):
        for ours, theirs in names.items():
            apart = np.abs(
                (
                    found[f"{ours}_{window}d"] - table.data[f"{theirs}_{window}day_window"]
                ).to_numpy()[late]
            )
            assert (apart > 1e-9).sum() <= 4, (
                ours
            )  # rows of one customer and one second, which stand in no order
    for ours in ("weekend", "night"):
        assert found[ours].to_list() == table.data[f"tx_during_{ours}"].to_list()
