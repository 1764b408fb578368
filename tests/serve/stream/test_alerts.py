"""The alert of one machine, row by row: hysteresis, severity, escalation, quiet, maintenance."""

import json
from math import inf
from sys import float_info

import pytest

from hwds.serve.stream.machines import AlertState, StreamRules

RULES = StreamRules(raise_after=2, clear_after=3, clear_below=0.8, critical=3)


def said(scores, rules=RULES, before=lambda alert, cycle: None):
    """What is said of rows, as (cycle, what, severity, why)."""
    alert, messages = AlertState(), []
    for cycle, score in enumerate(scores):
        before(alert, cycle)
        messages += alert.advance("m", float(cycle), score, "flow", rules)
    return [(row["cycle"], row["what"], row["severity"], row["why"]) for row in messages]


@pytest.mark.parametrize(
    ("scores", "messages"),
    [
        ([2, 0, 2, 0, 2], []),
        ([0, 2, 2, 2, 2], [(2, "opened", "warning", "score")]),
        ([2, 2, 0.9, 0.9, 0.9, 0.9], [(1, "opened", "warning", "score")]),
        (
            [2, 2, 0, 0, 1.5, 0, 0, 0],
            [(1, "opened", "warning", "score"), (7, "closed", "warning", "normal")],
        ),
        ([4, 4], [(1, "opened", "critical", "score")]),
        (
            [2, 2, 4, 4, 4],
            [(1, "opened", "warning", "score"), (3, "escalated", "critical", "score")],
        ),
    ],
)
def test_an_alert_is_opened_and_closed_by_rows_in_a_row(scores, messages):
    assert said(scores) == messages


def test_what_nobody_acknowledges_is_escalated_once():
    rules = StreamRules(raise_after=1, escalate_after=3)
    assert said([2] * 9, rules) == [
        (0, "opened", "warning", "score"),
        (3, "escalated", "critical", "unacknowledged"),
    ]

    def seen(alert, cycle):
        alert.acknowledged = alert.acknowledged or cycle == 2

    assert said([2] * 9, rules, seen) == [(0, "opened", "warning", "score")]


def test_a_quiet_time_holds_back_all_but_critical_alerts():
    rules = StreamRules(raise_after=1, clear_after=1, quiet=4)
    assert [row[:2] for row in said([2, 0, 2, 0, 2, 2, 2], rules)] == [
        (0, "opened"),
        (1, "closed"),
        (5, "opened"),
    ]
    assert [row[:3] for row in said([2, 0, 9], rules)][2] == (2, "opened", "critical")


def test_maintenance_closes_an_alert_and_holds_back_the_next():
    def repaired(alert, cycle):
        if cycle == 4:
            alert.maintain(True, None, 3.0)
        if cycle == 8:
            alert.maintain(False, 8.0, 7.0)

    assert said([2] * 10, before=repaired) == [
        (1, "opened", "warning", "score"),
        (4, "closed", "warning", "maintenance"),
        (9, "opened", "warning", "score"),
    ]


def test_an_infinite_score_is_a_number_that_json_holds():
    (said_of,) = AlertState().advance("m", 0.0, inf, "flow", StreamRules(raise_after=1))
    assert said_of["score"] == float_info.max
    assert json.loads(json.dumps(said_of, allow_nan=False)) == said_of


def test_a_machine_that_is_gone_has_no_open_alert():
    alert = AlertState()
    assert alert.end("m", 0.0) == []
    alert.advance("m", 0.0, 5.0, "flow", StreamRules(raise_after=1))
    assert [(row["what"], row["why"], row["score"]) for row in alert.end("m", 7.0)] == [
        ("closed", "ended", None)
    ]
    assert not alert.key


def test_alerts_have_names_of_their_own_however_large_cycles_are():
    alert, ids = AlertState(), []
    for second, score in enumerate([2, 0, 2, 0, 2]):
        row = alert.advance(
            "m", 1_764_386_031.25 + second, score, "flow", StreamRules(raise_after=1, clear_after=1)
        )
        ids += [each["id"] for each in row]
    assert ids[::2] == ["m@1764386031.25#1", "m@1764386033.25#1", "m@1764386035.25#1"]
    assert len(set(ids)) == len(ids) == 5
