"""The effect by day: its last day is the test itself, its days are those of the units, its picture
has what it should.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from hwds.ab.models.welch import Welch
from hwds.ab.protocols.ab_test import AbTest
from hwds.ab.report.run import by_day_figure, by_day_grid, effects_by_day
from hwds.ab.units import day_ends
from hwds.core.seeds import stream
from hwds.evaluation.protocol import Cell, RunContext
from hwds.frames.table import Table
from hwds.results.tables import SCORES, TIMINGS, Tables, metrics_table


@pytest.fixture(scope="module")
def tables():
    """A test of 1,000 units over ten days, of two outcomes."""
    rng = stream("by day", 2)
    data = pl.DataFrame(
        {
            "arm": rng.permutation(np.repeat(["control", "new"], 500)),
            "bought": rng.random(1000) < 0.3,
            "spent": rng.exponential(10, 1000),
            "day": [date(2025, 3, 1) + timedelta(each // 100) for each in range(1000)],
        }
    )
    frame = Table.build(
        data, {"arm": ("arm",), "outcome": ("bought", "spent"), "time": ("day",)}, unit="EUR"
    )
    protocol, model = AbTest(name="ab_test", replications=0), Welch(name="ab/welch")
    cell = Cell(model.name, protocol.split(frame)[0], 0, 1000)
    scores = protocol.score(protocol.evaluate_cell(model, frame, cell, RunContext(0, "all units")))
    rows = [
        {name: getattr(each, name) for name in SCORES if hasattr(each, name)}
        | {"model": model.name}
        for each in scores
    ]
    measures = metrics_table(protocol.measures(frame))
    return Tables(
        pl.DataFrame(rows, schema=SCORES), pl.DataFrame(), pl.DataFrame(schema=TIMINGS), measures
    )


def test_the_last_day_is_the_test_itself(tables):
    days = effects_by_day(tables, "ab/welch")
    assert [(day.outcome, day.units) for day in days] == [
        (name, 100 * n) for name in ("bought", "spent") for n in range(1, 11)
    ]
    whole = tables.scores.filter(pl.col("step").is_null() & (pl.col("ci_method") == "always_valid"))
    for outcome in ("bought", "spent"):
        last = [day for day in days if day.outcome == outcome][-1]
        for metric, ends in (("effect", last.effect), ("lift", last.lift)):
            row = whole.filter(pl.col("metric") == f"{metric}[{outcome}]").row(0, named=True)
            assert ends == (row["value"], row["ci_low"], row["ci_high"])
    assert days[9].day == "2025-03-10"


def test_the_page_has_a_row_for_each_day_and_the_picture_a_band(tables):
    found = by_day_grid(tables, "ab/welch")
    assert len(found) == 20
    assert [column.title for column in found.columns] == [
        *("outcome", "arm", "day", "units", "lift, %", "effect", "95 % interval"),
    ]
    figure = by_day_figure(tables, "ab/welch")
    assert [len(axes.lines[0].get_xdata()) for axes in figure.axes] == [
        9,
        10,
    ]  # on the first day the control may have sold nothing
    assert all(axes.collections for axes in figure.axes)
    assert by_day_figure(tables, "ab/cuped") is None


def test_instants_belong_to_dates_and_many_days_are_thinned_to_the_last():
    instants = pl.Series(
        [datetime(2025, 3, 1, 8), datetime(2025, 3, 1, 23), datetime(2025, 3, 2, 1)]
    )
    assert day_ends(instants, 9) == [("2025-03-01", 2), ("2025-03-02", 3)]
    assert day_ends(pl.Series(range(100)), 4) == [("0", 1), ("33", 34), ("66", 67), ("99", 100)]
