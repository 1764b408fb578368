"""What a sweep is foreseen to take."""

from math import exp, log
from types import SimpleNamespace
from typing import Any

import pytest

from hwds.evaluation.compute.processes import Processes
from hwds.evaluation.compute.serial import Serial
from hwds.evaluation.protocol import Cell, Fold
from hwds.search.results import (
    LOAD_SPREAD,
    UNTRIED_SPREAD,
    cells_at_once,
    expected_windows,
    sum_spread,
)
from hwds.search.sweeps.asha import ASHA
from hwds.search.sweeps.random import Random


def foreseen(sweep, there, trials=9, windows=6):
    """The expected number of computed windows, where `there` says which are cached, by trial and
    place.
    """
    folds = [Fold(index, f"w{index}", 1) for index in range(windows)]
    known = [SimpleNamespace(number=number, experiment=True, source="") for number in range(trials)]
    search: Any = SimpleNamespace(
        trials=known,
        tuning_split=SimpleNamespace(folds=folds),
        sweep=sweep,
        rungs=sweep.rungs(windows),
        place=lambda fold: fold.index,
    )
    cells = {
        Cell(f"trial {number}", fold, 0, 1): there(number, fold.index)
        for number in range(trials)
        for fold in folds
    }
    shares = expected_windows(search, cells)
    return sum(shares[cell.model, cell.fold.index] for cell, cached in cells.items() if not cached)


@pytest.mark.parametrize(
    ("sweep", "there", "windows"),
    [
        (Random(), lambda number, place: False, 54),
        (Random(), lambda number, place: number < 4, 30),
        (ASHA(), lambda number, place: False, 9 + 2 * 3 + 3 * 1),
        (ASHA(), lambda number, place: number < (9, 3, 3, 1, 1, 1)[place], 0),
        (ASHA(), lambda number, place: place == 0, 2 * 3 + 3 * 1),
        (ASHA(), lambda number, place: place == 0 and number < 5, 4 + 2 * 3 + 3 * 1),
        (ASHA(), lambda number, place: number < 3, 6 + 2 * 3 * 6 / 9 + 3 * 6 / 9),
    ],
    ids=[
        "random",
        "random goes on",
        "asha",
        "asha done",
        "after a rung",
        "killed in a rung",
        "some finished by another sweep",
    ],
)
def test_what_is_still_computed_follows_from_what_is_there(sweep, there, windows):
    assert foreseen(sweep, there) == pytest.approx(windows)


def test_the_range_is_wide_where_only_the_default_was_timed_and_narrows_with_trials():
    assert exp(sum_spread(None, 1)) > 2
    assert sum_spread(None, 1) == sum_spread(None, 1000) > UNTRIED_SPREAD
    assert sum_spread(0.5, 4) > sum_spread(0.5, 100) > LOAD_SPREAD
    assert sum_spread(0.0, 1) == pytest.approx(LOAD_SPREAD) == pytest.approx(log(1.25))


def test_cells_at_once():
    assert cells_at_once(Serial(), Random()) == 1
    assert cells_at_once(Processes(workers=3), Random()) == 3
    assert cells_at_once(Processes(workers=3), Random(concurrent=2)) == 2
    assert cells_at_once(Processes(), Random(cpus_per_trial=1000)) == 1
