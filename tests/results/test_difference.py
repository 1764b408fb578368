"""Only what differs between two runs, and in words."""

import shutil

import pytest

from hwds.core.checksums import read_json, write_json
from hwds.core.errors import HwdsError
from hwds.report.runs import difference_grids, difference_text
from hwds.results.difference import run_difference
from hwds.results.folder import RunFolder


def told(first, second):
    found = run_difference(RunFolder(first), RunFolder(second))
    return found, {each.name: (each.first, each.second) for each in found.changes}


def test_equal_runs_differ_in_nothing(made):
    first = made("sales/aa11")
    second = first.parent / "bb22"
    shutil.copytree(first, second)
    found, changes = told(first, second)
    assert (changes, found.scores) == ({}, ())
    assert not list(difference_grids(found))
    assert difference_text(found).startswith("Nothing differs between sales/aa11 and sales/bb22")


def test_settings_scores_and_versions(made):
    first = made("sales/aa11", **{"mase[m=12]": 0.8, "accuracy": 0.5, "bias": 0.1})
    second = made(
        "sales/bb22", units=64, seed=1, **{"mase[m=12]": 0.7, "accuracy": 0.5, "bias": 0.2}
    )
    path = second / "provenance.json"
    write_json(path, read_json(path) | {"versions": {"python": "3.11", "numpy": "2.5"}})
    found, changes = told(first, second)
    assert changes == {"model.units": (32, 64), "seed": (0, 1), "numpy": ("2.4", "2.5")}
    assert found.comparable
    assert [(each.model, each.metric) for each in found.scores][:2] == [
        ("forecast/lstm", "mase[m=12]"),
        ("forecast/naive", "mase[m=12]"),
    ]
    assert found.same_scores == 2
    settings, origin, scores = (grid.markdown() for grid in difference_grids(found))
    assert "| model.units | 32 | 64 |" in settings
    assert "| versions: numpy | 2.4 | 2.5 |" in origin
    assert "| forecast/lstm | mase[m=12] | 0.8000 | 0.7000 | -0.1000 | better |" in scores.replace(
        "**", ""
    )
    assert difference_text(found).splitlines() == [
        "Settings and versions differ; the data, the code and the machine are the same.",
        "mase[m=12] of forecast/lstm: 0.800 ± 0.020, then 0.700 ± 0.020: better, if it is no "
        "chance.",
        "How sure that is says `hwds compare sales/aa11 sales/bb22`.",
    ]


def test_a_setting_is_shown_with_all_its_digits(made):
    found, _ = told(
        made("sales/aa11", seed=1234567, units=0.30000000001),
        made("sales/bb22", seed=1234568, units=0.3),
    )
    settings = next(iter(difference_grids(found))).markdown()
    assert "| seed | 1234567 | 1234568 |" in settings
    assert "| model.units | 0.30000000001 | 0.3 |" in settings


def test_other_data_do_not_compare(made):
    first, second = made("sales/aa11"), made("sales/bb22", model="forecast/theta", accuracy=0.7)
    path = second / "provenance.json"
    write_json(path, read_json(path) | {"data": "d2", "joined": {"visits": "the mean of run v/1"}})
    found, changes = told(first, second)
    assert changes["fingerprint"] == ("d1", "d2")
    assert changes["joined visits"] == (None, "the mean of run v/1")
    assert not found.comparable
    assert difference_text(found).endswith("answer different questions and do not compare.")
    assert {
        each.metric: (each.first, each.second)
        for each in found.scores
        if each.model == "the own model"
    } == {
        "mase[m=12]": (0.8, None),
        "accuracy": (0.5, 0.7),
    }


def test_own_models_stand_beside_each_other(made):
    first = made("sales/aa11", **{"mase[m=12]": 0.8})
    second = made("sales/bb22", model="forecast/theta", **{"mase[m=12]": 0.7})
    found, changes = told(first, second)
    assert changes == {"model": ("forecast/lstm", "forecast/theta")}, (
        "of another option its name says it"
    )
    assert [(each.model, each.first, each.second) for each in found.scores] == [
        ("the own model", 0.8, 0.7),
        ("forecast/naive", 1.8, 1.7),
    ]


def test_an_unfinished_run_has_no_scores(made):
    found, _ = told(made("sales/aa11"), made("sales/bb22", finished=False, units=1))
    assert found.unfinished == ("sales/bb22",)
    assert "Run sales/bb22 is not finished: it has no scores." in difference_text(found)


def test_a_damaged_folder_is_said(made):
    first, second = made("sales/aa11"), made("sales/bb22")
    (second / "scores.parquet").write_bytes(b"PAR1")
    with pytest.raises(HwdsError, match="bb22: is damaged"):
        told(first, second)
