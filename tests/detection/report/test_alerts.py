"""The tables and the picture of a decision on alerts."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hwds.core.checksums import read_json
from hwds.detection.decisions.alert_policy import AlertPolicy
from hwds.detection.report.decisions import (
    ALERT_THRESHOLDS_REPORT,
    CASE_CAPTION,
    CASES_REPORT,
    alert_cost_grid,
    alert_policy_grid,
    costs_figure,
)
from hwds.report.pictures import save_png
from hwds.report.verdict import store_verdict, stored_grids, verdict_captions, verdict_markdown
from hwds.report.words import say
from hwds.results.folder import RunFolder
from tests.detection.decisions.alert_worlds import run, told, world


@pytest.fixture(scope="module")
def verdict():
    table = world(daily=100)
    decision = AlertPolicy(
        name="alert_policy", wrong_block=100.0, review_cost=10.0, capacity=12, resamples=50
    )
    return told(run(table), table, decision)


def test_every_policy_is_a_line_against_labels_and_truth(verdict):
    shown = alert_cost_grid(verdict)
    assert len(shown) == 10
    columns = {column.title: column.cells for column in shown.columns}
    assert columns["policy"][:5] == (
        "alert_policy",
        "today's rule",
        "z > 3",
        "random reviews",
        "nothing",
    )
    assert columns["gray by"] == ("labels",) * 5 + ("truth",) * 5
    assert columns["the policy saves"][0] == ""
    assert columns["the policy saves"][4] == f"{verdict.of('nothing').saving.value:,.0f}"
    assert shown.own == {0, 5}
    assert columns["of honest_bulk, %"][0]


def test_thresholds_are_those_of_the_last_window(verdict):
    shown = ALERT_THRESHOLDS_REPORT.grid_of(verdict)
    assert len(shown) == 4
    last = verdict.chosen[-1]
    stake = verdict.thresholds["at_stake"][-1]
    wrong = 100 * last.multiplier
    assert shown.columns[2].cells[-1] == f"{wrong / (wrong + stake):.4f}"


def test_the_page_has_the_sentence_and_both_tables(verdict):
    said = verdict_markdown(AlertPolicy, verdict)
    assert said.startswith(verdict.sentence)
    assert "| policy |" in said
    assert "| blocked from p |" in said
    assert "Cost of each policy, USD per day over 14 days:" in said


def test_the_first_table_has_a_row_for_each_policy_and_at_most_eight_columns(verdict):
    grid = alert_policy_grid(verdict)
    assert grid.columns[0].cells == (
        "alert_policy",
        "today's rule",
        "z > 3",
        "random reviews",
        "nothing",
    )
    assert [each.title for each in grid.columns][1::2][:2] == ["cost by labels", "cost in truth"]
    assert len(grid.columns) == 8
    only = tuple(line for line in verdict.record if line.against == "labels")
    assert len(alert_policy_grid(replace(verdict, record=only)).columns) == 6


def test_the_rule_of_the_last_window_is_told(verdict):
    last = replace(verdict.chosen[-1], multiplier=2.0, floor=30.0, formula_cost=5.0)
    told = ALERT_THRESHOLDS_REPORT.grid_of(replace(verdict, chosen=(last,))).caption
    assert (
        "blocked from p x loss >= (1 - p) x 200.00 USD, reviewed from a gain of 30.00 USD (2 x "
        "the cost of a wrong" in told
    )
    assert (
        "than which nothing was clearly cheaper"
        in ALERT_THRESHOLDS_REPORT.grid_of(
            replace(verdict, chosen=(replace(last, multiplier=1.0, floor=0.0),))
        ).caption
    )
    few = ALERT_THRESHOLDS_REPORT.grid_of(
        replace(verdict, chosen=(replace(last, positives=3, formula_cost=None),))
    ).caption
    assert "for 3 labelled gray rows before it can choose nothing" in few


@pytest.mark.parametrize("truth", [True, False])
def test_costs_are_drawn(verdict, tmp_path, truth):
    record = tuple(line for line in verdict.record if truth or line.against == "labels")
    save_png(costs_figure(replace(verdict, record=record)), tmp_path / "costs.png")
    assert (tmp_path / "costs.png").stat().st_size > 10_000
    save_png(costs_figure(replace(verdict, record=())), tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_what_was_shown_is_kept_for_the_report(verdict, tmp_path):
    store_verdict(RunFolder(tmp_path), AlertPolicy, verdict)
    assert stored_grids(tmp_path) == [
        alert_policy_grid(verdict),
        alert_cost_grid(verdict),
        ALERT_THRESHOLDS_REPORT.grid_of(verdict),
        CASES_REPORT.grid_of(verdict, verdict.cases),
    ]
    shown = tmp_path / "decision_tables.json"
    shown.write_text(json.dumps(read_json(shown)["tables"]))
    assert stored_grids(tmp_path) == [
        alert_policy_grid(verdict),
        alert_cost_grid(verdict),
        ALERT_THRESHOLDS_REPORT.grid_of(verdict),
        CASES_REPORT.grid_of(verdict, verdict.cases),
    ], "as earlier versions wrote them"
    first = tmp_path / "cases" / "C-0001.html"
    assert verdict.cases["entities"][0] in first.read_text()
    assert len(list((tmp_path / "cases").glob("C-*.csv"))) == min(len(verdict.cases), 50)
    told = verdict_captions(
        {"decision": {"name": "alert_policy"}}, RunFolder(tmp_path).read_verdict()
    )
    assert told == {"alert_costs.png": "The cost of each policy with its parts and intervals"}
    store_verdict(RunFolder(tmp_path), AlertPolicy, None)
    assert stored_grids(tmp_path) == []
    assert not list(tmp_path.iterdir())


def test_a_table_of_cases_says_how_many_there_are():
    said = {count: say(CASE_CAPTION, rows=count, shown=min(count, 10)) for count in (1, 7, 37, 120)}
    assert said[1] == "The one case; it is in cases.csv, and cases/index.html shows it:"
    assert said[7].startswith("All 7 cases; they are in cases.csv")
    assert (
        said[37]
        == "The first 10 of 37 cases; all are in cases.csv, and cases/index.html shows each:"
    )
    assert said[120].endswith("cases/index.html shows the first 50:")
