"""The handbook's generator: payment by payment as drawn one by one, and as it was published."""

import random
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError, DataError
from hwds.datasets.simulated.handbook_simulator import HandbookSimulator

DAY = 86_400


@pytest.fixture(scope="module")
def full():
    return HandbookSimulator().load()


def one_by_one(customers, terminals, days):
    """Payments as the handbook describes them, drawn one after the other from numpy's and Python's
    own generators.
    """
    rng, rows = np.random.RandomState(0), []
    people = [
        [rng.uniform(0, 100), rng.uniform(0, 100), rng.uniform(5, 100), rng.uniform(0, 4)]
        for _ in range(customers)
    ]
    rng = np.random.RandomState(1)
    places = np.array([[rng.uniform(0, 100), rng.uniform(0, 100)] for _ in range(terminals)])
    for customer, (across, up, mean, rate) in enumerate(people):
        near = [
            int(k)
            for k in np.where(np.sqrt(np.sum((np.array([across, up]) - places) ** 2, axis=1)) < 5)[
                0
            ]
        ]
        rng, choice = np.random.RandomState(customer), random.Random(customer)
        for day in range(days):
            for _ in range(rng.poisson(rate)):
                time = int(rng.normal(DAY / 2, 20_000))
                if 0 < time < DAY:
                    amount = rng.normal(mean, mean / 2)
                    amount = np.round(rng.uniform(0, mean * 2) if amount < 0 else amount, 2)
                    if near:
                        rows.append([time + day * DAY, customer, choice.choice(near), amount, 0])
    rows.sort(key=lambda row: row[0])
    return with_frauds(rows, customers, terminals)


def with_frauds(rows, customers, terminals):
    for row in rows:
        row[4] = 1 if row[3] > 220 else 0
    last = max(row[0] // DAY for row in rows)
    for day in range(last):
        bad = set(np.random.RandomState(day).permutation(terminals)[:2])
        for row in rows:
            row[4] = 2 if row[2] in bad and day <= row[0] // DAY < day + 28 else row[4]
    for day in range(last):
        bad = set(np.random.RandomState(day).permutation(customers)[:3])
        own = [k for k, row in enumerate(rows) if row[1] in bad and day <= row[0] // DAY < day + 14]
        for k in random.Random(day).sample(own, k=int(len(own) / 3)):
            rows[k][3], rows[k][4] = rows[k][3] * 5, 3
    return rows


@pytest.mark.parametrize(("customers", "terminals", "days"), [(120, 500, 25), (40, 100, 30)])
def test_payments_are_those_drawn_one_by_one(customers, terminals, days):
    found = HandbookSimulator(customers=customers, terminals=terminals, days=days).load().data
    wanted = one_by_one(customers, terminals, days)
    start = datetime(2018, 4, 1)
    assert found["time"].to_list() == [start + timedelta(seconds=row[0]) for row in wanted]
    for place, name in ((1, "customer"), (2, "terminal"), (3, "amount"), (4, "scenario")):
        assert found[name].to_list() == [row[place] for row in wanted], name
    assert found["fraud"].to_list() == [int(row[4] > 0) for row in wanted]
    assert {row[4] for row in wanted} == {
        0,
        1,
        2,
        3,
    } or customers == 40  # some of whom have no terminal


def test_the_counts_are_the_published_ones(full):
    assert len(full.data) == 1_754_155
    counts = full.data["first_scenario"].value_counts().sort("first_scenario")["count"].to_list()
    assert counts == [1_739_474, 978, 9_099, 4_604]
    assert full.data["fraud"].mean() == 0.008369271814634397


@pytest.mark.data
def test_three_weeks_are_the_published_ones(full, data_folder):
    published = pl.read_parquet(data_folder / "fraud_handbook" / "transactions.parquet").select(
        time=pl.col("tx_datetime").cast(pl.Datetime("us")),
        customer="customer_id",
        terminal="terminal_id",
        amount="tx_amount",
        weekend=pl.col("tx_during_weekend").cast(pl.Int8),
        night=pl.col("tx_during_night").cast(pl.Int8),
        fraud=pl.col("tx_fraud").cast(pl.Int8),
        scenario="tx_fraud_scenario",
    )
    first, last = published["time"].min(), published["time"].max()
    ours = full.data.filter(pl.col("time").is_between(first, last)).select(published.columns)
    keys = ("time", "customer", "terminal", "amount")  # payments of one second stand in no order
    assert ours.sort(keys).equals(published.sort(keys))


def test_roles_tell_models_nothing_of_the_truth(full):
    assert full.inputs == ("amount", "weekend", "night")
    assert full.name("label") == "fraud"
    assert full.roles["truth"] == ("true_fraud", "scenario", "first_scenario")
    assert full.data["time"].is_sorted()


def test_a_seed_names_other_people_and_the_same_ones_again():
    def small(**more):
        return HandbookSimulator(customers=20, days=10, **more).load()

    assert small(seed=1).fingerprint == small(seed=1).fingerprint
    assert small(seed=1).fingerprint != small().fingerprint
    moved = small(start="2020-02-28").data["time"]
    assert (moved - small().data["time"]).unique().to_list() == [
        datetime(2020, 2, 28) - datetime(2018, 4, 1)
    ]


def test_bad_settings_are_refused():
    with pytest.raises(ConfigError, match="start"):
        HandbookSimulator(start="2018-13-01")
    with pytest.raises(DataError, match=r"radius: no customer has a terminal within 0\.001"):
        HandbookSimulator(customers=3, terminals=2, radius=0.001).load()
