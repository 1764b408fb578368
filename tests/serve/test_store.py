"""The store of a scorer: what was answered outlives SIGKILL, once, with the same bits."""

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from hwds.core.errors import DataError
from hwds.core.serialization import save_fitted
from hwds.frames.table import Table
from hwds.results.event_log import EventLog
from hwds.serve.events.online import Online
from hwds.serve.events.reading import Reader
from tests.serve import score_until_killed
from tests.serve.order_events import FEATURES, assert_as_batch, events, fitted, lines, told_of

ROOT = Path(__file__).resolve().parents[2]


def test_three_kills_cost_nothing_and_count_nothing_twice(tmp_path):
    model = fitted()
    save_fitted(model, tmp_path / "model")
    asked = [sys.executable, score_until_killed.__file__, str(tmp_path), "3"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        asked, check=False, env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    log = EventLog(tmp_path / "orders.db")
    assert log.read_snapshot() is not None
    log.close()
    table = lines(score_until_killed.ROWS, 13, late=0.4)
    with Online(model, FEATURES, table) as never:
        unbroken = list(told_of(never, table, events(table)))
        history = never.history()
    with Online(model, FEATURES, table, tmp_path / "orders.db") as scorer:
        answers = list(scorer.answers())
        assert scorer.history().data.equals(history.data)
        assert [answer.score for answer in answers] == [answer.score for answer in unbroken]
        assert [dict(answer.features) for answer in answers] == [
            dict(answer.features) for answer in unbroken
        ]
        assert_as_batch(answers, scorer, model)
        again = scorer.score(events(table)[7])
    assert again.again
    said = dict(
        line.rsplit(" ", 1) for line in (tmp_path / "answered.txt").read_text().splitlines()
    )
    assert {answer.id: repr(answer.score) for answer in answers} == said


def test_an_event_that_an_older_version_took_is_read_again():
    table = Table.build(
        pl.DataFrame({"time": [datetime(2024, 1, 1)], "spent": [1.0]}),
        {"time": ("time",), "covariate": ("spent",)},
    )
    reader, body = (
        Reader(table, "id"),
        '{"id": "a", "time": "2024-01-01T00:00:00", "spent": 2, "colour": null}',
    )
    with pytest.raises(DataError, match="no column 'colour'"):
        reader.read(body)
    assert reader.read_stored(body).values == {"time": datetime(2024, 1, 1), "spent": 2.0}
