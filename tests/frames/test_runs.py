"""Runs: what is refused, what a cut leaves, and how runs are stored."""

import logging

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError, DataError
from hwds.frames.runs import Runs
from hwds.frames.signals import RegimeScales

ROLES = {"entity": "pump", "cycle": "hour", "sensor": ("heat", "noise"), "event": "failed"}


def rows(**changes):
    columns = {
        "pump": ["a", "a", "a", "b", "b", "b", "b"],
        "hour": [1.0, 2, 3, 1, 2, 3, 4],
        "heat": [0.1, 0.2, 0.9, 0.1, 0.3, 0.2, 0.4],
        "noise": [5.0, 6, 7, 4, 5, 6, 5],
        "failed": [0, 0, 1, 0, 0, 0, 0],
    }
    return pl.DataFrame(columns | changes, strict=False)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"hour": [1, 2, 2, 1, 2, 3, 4]},
            "dataset: run 'a' has cycle 2 after cycle 2 (row 3); cycles must rise; "
            "dataset.duplicates may be mean or last.",
        ),
        ({"failed": [0, 1, 1, 0, 0, 0, 0]}, "dataset: run 'a' fails twice (rows 2 and 3)."),
        ({"failed": [0, 1, 0, 0, 0, 0, 0]}, "dataset: run 'a' goes on after its failure in row 2."),
        (
            {"failed": [0, 0, 2, 0, 0, 0, 0]},
            "dataset.roles.event: row 3 has 2 in column 'failed'; must be 0 or 1.",
        ),
        ({"pump": [None, "a", "a", "b", "b", "b", "b"]}, "dataset: row 1 has no entity."),
        (
            {"heat": [None, 0.2, 0.9, 0.1, 0.3, 0.2, 0.4]},
            "dataset: run 'a' begins without a number in column 'heat' (row 1).",
        ),
        (
            {"heat": [0.1, 0.2, 0.9, 0.1, None, float("nan"), 0.4]},
            "dataset: run 'b' has no number in column 'heat' in 2 rows in a row (rows 5 to 6), "
            "more than"
            " dataset.longest_gap=1.",
        ),
        (
            {"ill": [0, 0, 1, 0, 2, 0, 0]},
            "dataset.roles.label: row 5 has 2 in column 'ill'; must be 0 or 1.",
        ),
        (
            {"ill": list("abcdefg")},
            "dataset.roles.label: column 'ill' must hold 0 and 1, row 1 has 'a'.",
        ),
        ({"heat": list("abcdefg")}, "dataset: column 'heat' must hold numbers, row 1 has 'a'."),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(changes, said):
    with pytest.raises(DataError) as error:
        Runs.build(
            rows(**changes), ROLES | ({"label": "ill"} if "ill" in changes else {}), longest_gap=1
        )
    assert str(error.value) == said


def test_a_static_column_a_split_and_a_start_are_one_of_each_run():
    kinds = rows(kind=["x", "x", "y", "z", "z", "z", "z"])
    with pytest.raises(
        DataError, match=r"^dataset\.roles\.static: column 'kind' changes in run 'a' \(row 3\)\.$"
    ):
        Runs.build(kinds, ROLES | {"static": "kind"})
    with pytest.raises(
        DataError, match=r"^dataset: run 'a' has split 'dev'; it must say 'train' or 'test'\.$"
    ):
        Runs.build(rows(part=["dev"] * 3 + ["test"] * 4), ROLES | {"split": "part"})


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"part": [None] * 7}, "dataset: run 'a' has split None; it must say 'train' or 'test'."),
        (
            {"left": [None] * 3 + [-20.0] * 4},
            "dataset.roles.remaining: run 'b' has -20; must be >= 0.",
        ),
        (
            {"left": [20.0] * 3 + [None] * 4},
            "dataset.roles.remaining: run 'a' has 20, but failed in its last row; "
            "dataset.roles.event says which runs failed:"
            " without it all did but those of the test.",
        ),
    ],
)
def test_a_split_and_a_remaining_life_are_what_they_can_be(more, said):
    roles = ROLES | {{"part": "split", "left": "remaining"}[name]: name for name in more}
    for given in (roles, {role: name for role, name in roles.items() if role != "event"}):
        with pytest.raises(DataError) as error:
            Runs.build(rows(**more), given)
        assert str(error.value) == said


@pytest.mark.parametrize("name", ["entity", "cycle"])
def test_the_names_of_the_machine_and_the_cycle_are_kept_for_them(name):
    table = rows().rename({"heat": name})
    said = (
        rf"^dataset\.roles\.sensor: hwds gives the name '{name}' to another column; rename it "
        rf"in the data\.$"
    )
    with pytest.raises(ConfigError, match=said):
        Runs.of(table, entity="pump", cycle="hour", event="failed")
    assert Runs.of(table, entity="pump", cycle="hour", event="failed", ignore=name).sensors == (
        "noise",
    )
    assert (
        "count"
        in Runs.of(
            rows().rename({"heat": "count"}), entity="pump", cycle="hour", event="failed"
        ).sensors
    )


def test_a_column_that_is_the_remaining_life_is_no_sensor():
    lives = [
        (name, t, (t * 7919) % 13 / 3, life - t)
        for name, life in {"a": 12, "b": 9}.items()
        for t in range(1, life + 1)
    ]
    table = pl.DataFrame(lives, schema=["pump", "hour", "age", "RUL"], orient="row")
    with pytest.raises(DataError, match=r"^dataset: column 'RUL' gives the remaining life away"):
        Runs.of(table, entity="pump", cycle="hour")
    assert Runs.of(table, entity="pump", cycle="hour", trust=("RUL",)).sensors == ("age", "RUL")


def test_a_sensor_that_hardly_changes_is_left_out_and_named(caplog):
    with caplog.at_level(logging.WARNING):
        runs = Runs.build(rows(noise=[1.0] * 7), ROLES)
    assert runs.sensors == ("heat",)
    assert (
        runs.numbers(("noise",)).tolist() == [[1.0]] * 7
    )  # for a model of runs in which it changed
    assert "1 of 2 sensors hardly change and are left out: noise." in caplog.text


def test_new_runs_in_which_no_sensor_changes_keep_them_all_and_are_not_learned_from():
    still = Runs.build(rows(heat=[0.1] * 7, noise=[1.0] * 7), ROLES)
    assert still.sensors == ("heat", "noise")
    with pytest.raises(
        DataError, match=r"^dataset\.roles\.sensor: no sensor changes in the runs to learn from\.$"
    ):
        RegimeScales.learn(still)
    tests = Runs.build(rows(part=["test"] * 7), ROLES | {"split": "part"})
    assert (tests.sensors, tests.learnable.n) == (("heat", "noise"), 0)


def test_a_short_gap_takes_the_last_number_and_never_a_later_one():
    runs = Runs.build(rows(heat=[0.1, None, 0.9, 0.1, None, 0.2, 0.4]), ROLES, longest_gap=1)
    assert runs.numbers(("heat",))[:, 0].tolist() == [0.1, 0.1, 0.9, 0.1, 0.1, 0.2, 0.4]


def test_a_cut_run_is_one_that_is_censored_there():
    runs = Runs.build(rows(), ROLES)
    assert runs.events.tolist() == [True, False]
    seen, failed = runs.remaining_of_rows()
    assert (seen.tolist(), failed.tolist()) == ([2, 1, 0, 3, 2, 1, 0], [True] * 3 + [False] * 4)
    cut = runs.until(np.array([2, 0]))
    assert (cut.names, cut.ages.tolist(), cut.events.tolist()) == (("a",), [2.0], [False])
    assert np.isnan(cut.remaining).all()
    assert len(cut.data) == 2


def test_rows_of_runs_may_lie_among_each_other_and_nothing_is_lost_on_disk(tmp_path):
    runs = Runs.build(rows(), ROLES)
    mixed = Runs.build(rows()[[0, 3, 1, 4, 2, 5, 6]], ROLES)
    assert mixed.fingerprint == runs.fingerprint
    runs.write(tmp_path)
    assert Runs.read(tmp_path).fingerprint == runs.fingerprint
    assert runs.take(np.array([True, False])).fingerprint != runs.fingerprint


def test_test_runs_have_a_life_beyond_their_last_row_and_are_not_learned_from():
    data = rows(part=["train"] * 3 + ["test"] * 4, left=[None] * 3 + [9.0] * 4)
    runs = Runs.build(data, ROLES | {"split": "part", "remaining": "left"})
    assert runs.remaining.tolist() == [0.0, 9.0]
    assert runs.learnable.names == ("a",)


def test_labels_by_row_stay_with_their_rows_and_are_hidden_from_models(tmp_path):
    marked = rows(ill=[0, 1, 0, 0, None, 1, 0], turned=[0, 1, 1, 0, 0, 1, 1])
    runs = Runs.build(marked, ROLES | {"label": "ill", "changepoint": "turned"})
    assert runs.take(np.array([False, True])).marks("changepoint").tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(runs.until(np.array([2, 3])).marks("label"), [0, 1, 0, np.nan, 1])
    hidden = runs.unmarked
    assert (hidden.data.columns, hidden.marks("label")) == (
        ["entity", "cycle", "heat", "noise"],
        None,
    )
    runs.write(tmp_path)
    assert Runs.read(tmp_path).fingerprint == runs.fingerprint
