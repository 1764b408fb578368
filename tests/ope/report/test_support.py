"""What a log shows of arms and groups: scores by hand, tables, and what is said to be too little or
wrong.
"""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import polars as pl
import pytest

from hwds.datasets.simulated.price_log import PriceLog
from hwds.evaluation.protocol import Cell, RunContext
from hwds.frames.table import Table
from hwds.ope.log import read_log
from hwds.ope.models.dm import DM
from hwds.ope.models.snipw import SNIPW
from hwds.ope.protocols.off_policy import OffPolicy, off_policy_measures
from hwds.ope.report import (
    ope_conclusion,
    ope_grids,
    ope_page_grids,
    refutation_words,
    thin_segments,
)
from hwds.ope.support import context_groups, refuting_tests
from hwds.results.tables import SCORES, TIMINGS, Tables, metrics_table


@pytest.fixture(scope="module")
def table():
    return PriceLog(rows=3000).load()


def told(table, model, **settings):
    """The result tables of one estimator."""
    protocol = OffPolicy(resamples=50, **settings)
    (fold,) = protocol.split(table)
    rows = protocol.evaluate_cell(
        model, table, Cell(model.name, fold, 0, fold.units), RunContext(0, fold.name)
    )
    scores = [
        *protocol.score(rows),
        *(score for _, score in protocol.contrasts({model.name: rows})),
    ]
    labels = {
        "experiment": "trial",
        "dataset": "log",
        "task": "ope",
        "seed": 0,
        "model": f"ope/{type(model).__name__.lower()}",
        "n_failed": 0,
    }
    lines = pl.DataFrame([asdict(score) | labels for score in scores], schema=SCORES)
    return Tables(
        lines,
        protocol.rows_to_keep(rows),
        pl.DataFrame(schema=TIMINGS),
        metrics_table(protocol.measures(table)),
    )


def cells(grid):
    """The rows of a grid by the first cell, each by its titles."""
    titles = [column.title for column in grid.columns]
    return {
        row[0]: dict(zip(titles, row, strict=True))
        for row in zip(*(column.cells for column in grid.columns), strict=True)
    }


def wrong(table, propensity):
    """The table with other propensities."""
    return Table(table.data.with_columns(propensity=propensity), table.roles, table.unit)


def test_the_table_of_arms_is_that_of_the_log(table):
    tables = told(table, SNIPW())
    _, arms = ope_grids(tables, "ope/snipw")
    row, rows = cells(arms)["119"], table.data.filter(pl.col("price") == 119)
    weights = 0.2 / rows["propensity"].to_numpy()
    assert row["rows"] == f"{len(rows):,}"
    assert row["share of the policy's choices"] == "20 %"
    assert float(row["mean propensity"]) == pytest.approx(rows["propensity"].mean(), abs=0.001)
    assert float(row["mean weight"]) == pytest.approx(weights.mean(), abs=0.001)
    assert float(row["effective sample size"]) == pytest.approx(
        weights.sum() ** 2 / np.sum(weights**2), abs=0.51
    )
    assert float(row["mean outcome"]) == pytest.approx(rows["revenue"].mean(), abs=0.01)
    (groups,) = ope_page_grids(tables, "ope/snipw")
    assert list(cells(groups))[:2] == ["channel=retail", "channel=carrier"]
    assert (refutation_words(tables), thin_segments(tables)) == ("", [])
    assert refuting_tests(tables).is_empty()
    assert ope_conclusion(tables, "ope/snipw").startswith(
        "NOT SURE: ope/snipw puts the mean revenue of a policy that shows every logged arm"
    )
    assert "of_log" not in tables.predictions.columns


def test_wrong_propensities_come_first_and_their_place_is_named(table):
    online = (
        pl.when(pl.col("channel") == "online")
        .then(pl.col("propensity") / 2)
        .otherwise(pl.col("propensity"))
    )
    tables = told(wrong(table, online), SNIPW())
    assert len(refuting_tests(tables))
    said = ope_conclusion(tables, "ope/snipw")
    assert said.startswith("NOT SURE: do not trust what follows: ")
    assert (
        "a model of the log refutes its propensities (p < 0.0001), most clearly in channel=online"
        in said
    )


def test_an_estimator_that_does_not_weigh_is_not_doubted_for_propensities(table):
    tables = told(wrong(table, pl.col("propensity") / 2), DM())
    assert len(refuting_tests(tables))
    assert ope_conclusion(tables, "ope/dm").startswith("NOT SURE: ope/dm puts")
    _, arms = ope_grids(tables, "ope/dm")
    assert {row["mean weight"] for row in cells(arms).values()} == {""}


def test_arms_and_groups_of_which_few_rows_count_are_said(table):
    few = Table.build(table.data.drop("row_id")[:300], table.roles, table.unit)
    tables = told(few, SNIPW(), target_policy={"columns": "target_"}, min_effective_size=0)
    assert thin_segments(tables)[0].startswith("arm 79 (")
    said = ope_conclusion(tables, "ope/snipw")
    assert " Hardly shown by the log: arm 79 (" in said
    assert " more. The intervals are of these days alone" in said


def test_groups_are_the_frequent_names_the_thirds_of_numbers_and_of_time(table):
    log = read_log(table, "outcome", None)
    groups = context_groups(log)
    names = [
        "channel=retail",
        "channel=carrier",
        "channel=online",
        "visits low",
        "visits middle",
        "visits high",
    ]
    assert list(groups) == [*names, "time early", "time middle", "time late"]
    assert [int(groups[name].sum()) for name in names[:3]] == [
        int((table.data["channel"] == name).sum()) for name in ("retail", "carrier", "online")
    ]
    assert np.flatnonzero(groups["time early"])[-1] == pytest.approx(1000, abs=1)
    assert np.flatnonzero(groups["time late"])[0] == pytest.approx(2000, abs=1)
    for group in ("channel", "visits", "time"):
        assert (
            sum(rows.astype(int) for name, rows in groups.items() if name.startswith(group)).max()
            == 1
        )


def test_every_metric_of_the_log_has_its_meaning(table):
    known = {measure.name for measure in off_policy_measures()}
    assert set(told(table, SNIPW()).scores["metric"]) <= known
