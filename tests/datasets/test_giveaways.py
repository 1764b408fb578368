"""Give-aways of any shape: a world of known truth for each, and its lawful twin, which is left
alone.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import DataError
from hwds.datasets.reading.leakage import giveaways
from hwds.experiment.prepare import likely_giveaways
from hwds.frames.roles import Roles
from hwds.frames.runs import Runs
from hwds.frames.table import Table
from tests.support.panels import monthly_panel

ROLES = {"entity": "pump", "cycle": "hour", "event": "failed"}


def pumps(column, seed=0, **roles):
    """Forty pumps that run to their failure, with one more column made of what is left, the age,
    the life, and noise.
    """
    rng = np.random.default_rng(seed)
    lives = rng.integers(60, 200, 40)
    rows = pl.concat(
        pl.DataFrame(
            {
                "pump": [str(number)] * life,
                "hour": np.arange(1, life + 1),
                "failed": np.arange(1, life + 1) == life,
                "heat": np.arange(1, life + 1) / life + rng.normal(0, 0.3, life),
                "given": column(life - np.arange(1, life + 1), life, rng),
            }
        )
        for number, life in enumerate(lives.tolist())
    )
    return Runs.of(rows, **ROLES, sensor=("heat",), **roles) if roles else rows


TOLD_BY_RUNS = {
    "reciprocal": (lambda left, life, rng: 1 / (1 + left), "sensor", "how long a run still lasts"),
    "near the end": (lambda left, life, rng: left < 30.0, "sensor", "how long a run still lasts"),
    "capped": (lambda left, life, rng: np.minimum(left, 50), "sensor", "still lasts|correlation"),
    "share": (lambda left, life, rng: 1 - left / life, "sensor", "the share of its life"),
    "whole life": (
        lambda left, life, rng: np.full(life, life),
        "static",
        "the whole life is 1.000",
    ),
    "its log": (lambda left, life, rng: np.full(life, np.log(life)), "setting", "the whole life"),
}


@pytest.mark.parametrize("name", TOLD_BY_RUNS)
def test_columns_that_follow_from_the_end_of_a_run_are_refused_until_they_are_trusted(name):
    column, role, said = TOLD_BY_RUNS[name]
    rows = pumps(column).with_columns(pl.col("given").cast(pl.Float64))
    roles = ROLES | {"sensor": ("heat",)}
    roles |= {role: ("heat", "given") if role == "sensor" else ("given",)}
    with pytest.raises(DataError, match=f"column 'given' gives the remaining life away: .*{said}"):
        Runs.of(rows, **roles)
    trusted = Runs.of(rows, **roles, trust=("given",))
    assert "given" in trusted.roles.names
    assert len(list(giveaways(trusted))) == 1
    assert list(giveaways(trusted, ("given",))) == []


@pytest.mark.parametrize(
    ("column", "told"),
    [
        (lambda left, life, rng: left + rng.normal(0, 9, life), 1),
        (lambda left, life, rng: np.full(life, life + rng.normal(0, 12)), 1),
        (lambda left, life, rng: left + rng.normal(0, 60, life), 0),
        (lambda left, life, rng: (life - left) * 1.0, 0),
        (lambda left, life, rng: (life - left) // 10 + rng.normal(0, 1, life), 0),
        (lambda left, life, rng: np.full(life, round(life, -2) + rng.normal(0, 90)), 0),
        (lambda left, life, rng: rng.normal(0, 1, life), 0),
        (lambda left, life, rng: left < rng.integers(5, 45), 0),
        (lambda left, life, rng: 1 - left / life + rng.normal(0, 0.05, life), 0),  # wear, measured
    ],
)
def test_columns_that_follow_it_loosely_are_remarked(column, told):
    rows = pumps(column).with_columns(pl.col("given").cast(pl.Float64))
    runs = Runs.of(rows, **ROLES, sensor=("heat", "given"))
    found = list(likely_giveaways(runs))
    assert len(found) == told
    assert all(line.startswith("Column 'given' likely gives the remaining life") for line in found)
    assert list(likely_giveaways(runs, ("given",))) == []


def cases(seed=0, n=4000):
    """Cases of which a fifth are bad, more of them where the amount is high."""
    rng = np.random.default_rng(seed)
    amount = rng.gamma(2, 50, n)
    bad = rng.random(n) < 0.1 + 0.2 * (amount > 120)
    day = datetime(2024, 1, 1)
    return rng, pl.DataFrame(
        {
            "at": [day + timedelta(minutes=13 * row) for row in range(n)],
            "amount": amount,
            "visits": rng.poisson(3, n),
            "bad": bad.astype(int),
        }
    )


def as_table(data):
    inputs = tuple(name for name in data.columns if name not in ("at", "bad"))
    return Table.build(data, Roles({"label": ("bad",), "time": ("at",), "covariate": inputs}))


def test_lawful_cases_have_nothing_to_say():
    for seed in range(20):
        table = as_table(cases(seed)[1])
        assert list(giveaways(table)) == list(likely_giveaways(table)) == []


def test_a_band_of_values_that_is_the_label_is_found():
    rng, data = cases()
    wide = rng.uniform(-3, 3, len(data))
    band = np.where(data["bad"] == 1, rng.uniform(-0.5, 0.5, len(data)), wide + np.sign(wide))
    (told,) = giveaways(as_table(data.with_columns(given=pl.Series(band))))
    assert told.startswith("column 'given' alone gives the label away: average precision 0.9")
    assert told.endswith("of the mean label of values beside it")


def test_a_value_that_tells_the_label_beside_its_time_alone_is_found():
    rng, data = cases()
    numbers = np.arange(len(data)) * 10.0 + 9000 * data["bad"].to_numpy()
    table = as_table(data.with_columns(given=pl.Series(numbers + rng.normal(0, 50, len(data)))))
    (told,) = giveaways(table)
    assert told.endswith("of the mean label of values beside it at its time")
    assert list(giveaways(table, ("given",))) == []


def test_a_time_that_lies_long_after_its_row_where_the_label_is_1_is_found():
    rng, data = cases()
    days = np.where(data["bad"] == 1, 40, 3) + rng.integers(0, 20, len(data))
    closed = data["at"] + pl.Series(days * 86_400_000_000).cast(pl.Duration("us"))
    (told,) = giveaways(as_table(data.with_columns(closed=closed)))
    assert told.startswith("column 'closed' alone gives the label away")


def test_a_count_that_grows_while_a_case_is_looked_into_is_remarked():
    rng, data = cases()
    grown = 1 + rng.poisson(0.4 + 1.6 * data["bad"].to_numpy())
    table = as_table(data.with_columns(versions=pl.Series(grown)))
    (told,) = likely_giveaways(table)
    assert told.startswith("Count 'versions' alone orders labels far better than other inputs do")
    longer = rng.poisson(40 + 25 * data["bad"].to_numpy() * rng.random(len(data)))
    both = as_table(table.data.drop("row_id").with_columns(note_len=pl.Series(longer)))
    assert [line.split("'")[1] for line in likely_giveaways(both)] == ["note_len", "versions"]
    assert list(giveaways(table)) == []
    assert list(likely_giveaways(table, ("versions",))) == []
    lawful = as_table(data.with_columns(versions=pl.Series(1 + rng.poisson(0.4, len(data)))))
    assert list(likely_giveaways(lawful)) == []


def test_copies_of_rows_at_another_time_are_remarked():
    _, data = cases()
    again = data.tail(100).with_columns(pl.col("at") + timedelta(days=3))
    (told,) = likely_giveaways(as_table(pl.concat([data, again])))
    assert told == (
        "200 rows (4.9%) are exact copies of a row at another 'at', 100% of them with its label: a "
        "model that has seen the one knows the other."
    )
    twice = pl.concat([data, data.tail(100)])
    assert list(likely_giveaways(as_table(twice))) == []
    few = data.with_columns(amount=pl.col("amount") // 10)
    assert list(likely_giveaways(as_table(few))) == []


def sold(seed=0, n_series=40, ended=12):
    """Products of which some are no longer sold, with what a column would say of them."""
    panel, rng = monthly_panel(n_series=n_series, months=48, horizon=6), np.random.default_rng(seed)
    noise = rng.normal(0, 20, len(panel.table))
    growth = np.repeat(rng.normal(0, 0.3, n_series), 48)
    place = np.tile(np.arange(48), n_series)
    late = np.where(place >= 42, growth, 0.0)
    ends = np.repeat(np.where(np.arange(n_series) < ended, 30 + np.arange(n_series), 99), 48)
    target = np.maximum(200 + noise, 1) * np.exp(late)
    target = np.where(place < ends, target, 0.0)
    return panel, rng, target, growth, place, ends


def with_given(panel, target, given, role):
    table = panel.table.with_columns(
        target=pl.Series(target), given=pl.Series(given, nan_to_null=True)
    )
    return replace(panel, table=table, roles=panel.roles | {role: ("given",)})


def test_missing_values_that_tell_which_series_end_are_found():
    panel, rng, target, _, place, ends = sold()
    target = np.where(rng.random(len(target)) < 0.4, 0.0, target)  # and on many other days no sale
    price = rng.normal(10, 1, len(target))
    telling = with_given(panel, target, np.where(place < ends, price, np.nan), "known_future")
    (told,) = giveaways(telling)
    assert told == (
        "column 'given' gives the target away: it is missing from the row on from which a series "
        "has ended (12 have)"
    )
    assert list(giveaways(telling, ("given",))) == []
    other = with_given(panel, target, np.where(place < ends[::-1], price, np.nan), "known_future")
    assert list(giveaways(other)) == []


def test_the_side_of_a_limit_on_which_the_target_lies_is_found():
    panel, rng, target, *_ = sold(ended=0)
    (told,) = giveaways(with_given(panel, target, (target > 205) * 1.0, "known_future"))
    assert told == (
        "column 'given' gives the target away: it tells on which side of a limit the target of its "
        "own row lies"
    )
    action = rng.random(len(target)) < 0.3
    for effect in (1.2, 3.0):  # an action that is known early may lift the target as much as it can
        lifted = np.where(action, target * effect, target)
        assert list(giveaways(with_given(panel, lifted, action * 1.0, "known_future"))) == []


def test_a_noisy_static_column_of_late_growth_is_remarked():
    panel, rng, target, growth, *_ = sold(n_series=80, ended=0)
    known = growth + np.repeat(rng.normal(0, 0.2, 80), 48)
    told = list(likely_giveaways(with_given(panel, target, known, "static")))
    assert len(told) == 1
    assert told[0].startswith(
        "Column 'given' likely gives the end of its series away (it tells the"
    )
    always = np.exp(growth * np.tile(np.arange(48), 80) / 24)  # growth that it tells at any time
    assert list(likely_giveaways(with_given(panel, target * always, known, "static"))) == []
    for seed in range(20):
        noise = np.repeat(np.random.default_rng(seed).normal(0, 1, 80), 48)
        assert list(likely_giveaways(with_given(panel, target, noise, "static"))) == []
