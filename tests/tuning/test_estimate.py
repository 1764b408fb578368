"""What a sweep is foreseen to take."""

from math import exp, log

import pytest

from hwds.execution.compute.processes import Processes
from hwds.execution.compute.serial import Serial
from hwds.tuning.estimate import LOAD, UNTRIED, cells_at_once, share_left, spread
from hwds.tuning.sweeps.random import Random


def test_of_what_is_kept_none_is_asked_again():
    assert share_left(120, 120, 0.35) == pytest.approx(0.35)
    assert share_left(240, 189, 0.35) * 189 == pytest.approx(84 - 51)
    assert share_left(120, 70, 1.0) == 1.0
    assert share_left(120, 0, 1.0) == 0.0
    assert share_left(120, 20, 0.35) == 0.0


def test_the_range_is_wide_where_only_the_default_was_timed_and_narrows_with_trials():
    assert exp(spread(None, 1)) > 2
    assert spread(None, 1) == spread(None, 1000) > UNTRIED
    assert spread(0.5, 4) > spread(0.5, 100) > LOAD
    assert spread(0.0, 1) == pytest.approx(LOAD) == pytest.approx(log(1.25))


def test_cells_at_once():
    assert cells_at_once(Serial(), Random()) == 1
    assert cells_at_once(Processes(workers=3), Random()) == 3
    assert cells_at_once(Processes(workers=3), Random(concurrent=2)) == 2
    assert cells_at_once(Processes(), Random(cpus_per_trial=1000)) == 1
