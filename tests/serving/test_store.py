"""The store of a scorer: what was answered outlives SIGKILL, once, with the same bits; what is damaged is refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hwds.errors import HwdsError, ResumeError
from hwds.serving.log import Entry, Log
from hwds.serving.online import Online
from hwds.stored import save_fitted
from tests.serving import killed
from tests.serving.served import FEATURES, assert_as_batch, events, fitted, lines, told_of

ROOT = Path(__file__).resolve().parents[2]


def entry(k, kind="event"):
    return Entry(kind, f"e{k}", k, 1000 + k, f'{{"k": {k}}}', "[1.0]", '[["a"], [null]]', b"12345678")


def test_what_is_kept_is_there_when_it_is_opened_again(tmp_path):
    log = Log(tmp_path / "deep" / "log.db")
    log.append([entry(0), entry(1)])
    log.append([entry(1, "label")])
    log.tell("name", {"a": [1]})
    log.close()
    log = Log(tmp_path / "deep" / "log.db", "power")
    assert list(log.entries()) == [entry(0), entry(1), entry(1, "label")]
    assert log.find("event", "e1") == entry(1)
    assert log.find("event", "e2") is None
    assert log.about("name") == {"a": [1]}
    assert log.about("other") is None
    assert log._db.execute("pragma synchronous").fetchone() == (2,)
    log.close()


def test_all_entries_happen_or_none(tmp_path):
    log = Log(tmp_path / "log.db")
    log.append([entry(0)])
    with pytest.raises(ResumeError, match="UNIQUE"):
        log.append([entry(1), entry(0)])
    with pytest.raises(ZeroDivisionError):
        log.append(entry(1 // k) for k in (1, 0))
    assert list(log.entries()) == [entry(0)]
    log.append([entry(1)])
    log.close()


def test_a_file_that_is_none_of_ours_is_refused(tmp_path):
    path = tmp_path / "log.db"
    path.write_bytes(b"no database at all, but long enough to be read as a page of one" * 100)
    with pytest.raises(ResumeError, match="is damaged, or no log of events"):
        Log(path)
    other = tmp_path / "old.db"
    log = Log(other)
    log.tell("format", 99)
    log.close()
    with pytest.raises(ResumeError, match="is of format 99, this version reads 1"):
        Log(other)
    with pytest.raises(HwdsError, match="cannot be"):
        Log(path / "below.db")


def test_three_kills_cost_nothing_and_count_nothing_twice(tmp_path):
    model = fitted()
    save_fitted(model, tmp_path / "model")
    asked = [sys.executable, killed.__file__, str(tmp_path), "3"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(asked, check=False, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "orders.db.state").is_file()
    table = lines(killed.ROWS, 13, late=0.4)
    with Online(model, FEATURES, table) as never:
        unbroken = list(told_of(never, table, events(table)))
        history = never.history()
    with Online(model, FEATURES, table, tmp_path / "orders.db") as scorer:
        answers = list(scorer.answers())
        assert scorer.history().data.equals(history.data)
        assert [answer.score for answer in answers] == [answer.score for answer in unbroken]
        assert [dict(answer.features) for answer in answers] == [dict(answer.features) for answer in unbroken]
        assert_as_batch(answers, scorer, model)
        again = scorer.score(events(table)[7])
    assert again.again
    said = dict(line.rsplit(" ", 1) for line in (tmp_path / "answered.txt").read_text().splitlines())
    assert {answer.id: repr(answer.score) for answer in answers} == said
