"""What becomes of a trial by the reports that Ray Tune has of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hwds.execution.sweep import FAILED, Record
from hwds.execution.trials import Trial
from hwds.execution.tuner import _settle


def test_a_trial_is_told_with_the_host_that_computed_it():
    lot = SimpleNamespace(cells_of=lambda trial: {})
    stops, rehearsal = SimpleNamespace(stops=True), SimpleNamespace(folds=[])
    search: Any = SimpleNamespace(lot_of=lambda trial: lot, rehearsal=rehearsal, rungs=(), sweep=stops)
    there, here = Record(Trial(1, {}, {})), Record(Trial(2, {}, {}))
    own = here.host
    _settle(search, there, {"folds": 0, "error": "window 2020-01: no luck", "hostname": "node7"}, set(), over=False)
    _settle(search, here, None, set(), over=True)
    assert (there.host, there.status, here.host) == ("node7", FAILED, own)
