"""The log of events: what was acknowledged is there, once and in order; what is damaged or of
another version is refused.
"""

import os
import random
import resource
import shutil
import signal
import sqlite3
import time
from contextlib import contextmanager

import pytest

from hwds.core.errors import DataError, HwdsError, ResumeError
from hwds.results.event_log import EventLog, LogEntry


def entry(k, kind="event", **changes):
    return LogEntry(kind, f"e{k}", k, 1000 + k, f'{{"k": {k}}}', "[1.0]", b"12345678")._replace(
        **changes
    )


def test_what_is_kept_is_there_when_it_is_opened_again(tmp_path):
    odd = LogEntry("odd", None, -1, -0.0, "\U0001f600", None, b"")
    log = EventLog(tmp_path / "deep" / "log.db")
    assert log.append([entry(0), entry(1)]) == 2
    assert log.append([entry(1, "label"), odd]) == 2
    log.append([odd, odd._replace(at=0.1 + 0.2)])
    log.set_metadata("name", {"a": [1]})
    log.close()
    log = EventLog(tmp_path / "deep" / "log.db", "power")
    kept = list(log.entries())
    assert kept == [entry(0), entry(1), entry(1, "label"), odd, odd, odd._replace(at=0.1 + 0.2)]
    assert [repr(each.at) for each in kept] == [
        "1000",
        "1001",
        "1001",
        "-0.0",
        "-0.0",
        "0.30000000000000004",
    ]
    assert list(log.entries(4)) == kept[4:]
    assert log.find("event", "e1") == entry(1)
    assert log.find("event", "e2") is None
    assert (log.first, log.last) == (1, 6)
    assert log.metadata("name") == {"a": [1]}
    assert log.metadata("other") is None
    log.close()


def test_what_outlives_a_loss_of_power_waits_for_the_disk_each_time_or_until_sync(
    tmp_path, monkeypatch
):
    sync, synced = os.fdatasync, []
    monkeypatch.setattr(os, "fdatasync", lambda file: synced.append(sync(file)))
    log = EventLog(tmp_path / "log.db", "power")
    log.append([entry(0)])
    log.append([entry(1), entry(2)])
    log.write_snapshot(b"small")
    assert len(synced) == 3
    for k in (3, 4):
        log.append([entry(k)], wait=False)
    assert len(synced) == 3
    log.sync(log.last)
    log.sync(log.last)
    assert len(synced) == 4
    log.close()
    log = EventLog(tmp_path / "log.db", "process")
    log.append([entry(5)])
    log.sync(log.last)
    assert (list(log.entries()), len(synced)) == ([entry(k) for k in range(6)], 4)
    log.close()


def test_a_disk_that_fails_once_takes_no_more(tmp_path, monkeypatch):
    def fail(file):
        raise OSError(5, "Input/output error")

    log, sync = EventLog(tmp_path / "log.db", "power"), os.fdatasync
    log.append([entry(0)])
    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(HwdsError, match=r"log\.db: cannot be written: Input/output error\.$"):
        log.append([entry(1)])
    monkeypatch.setattr(os, "fdatasync", sync)
    with pytest.raises(HwdsError, match="Input/output error"):
        log.append([entry(2)])
    log.close()


def test_a_text_that_no_file_can_hold_is_refused_before_anything_happens(tmp_path):
    log = EventLog(tmp_path / "log.db", "power")
    with pytest.raises(UnicodeEncodeError):
        log.append([entry(0, body="\ud800")])
    assert (list(log.entries()), log.last) == ([], 0)
    log.close()


def test_the_write_ahead_log_of_entries_that_outlive_a_loss_of_power_is_written_again_from_its_begin(
    tmp_path,
):
    log = EventLog(tmp_path / "log.db", "power")
    for k in range(200):  # two pages each
        log.append([entry(k)])
    assert (tmp_path / "log.db-wal").stat().st_size < 300 * 4120
    assert list(log.entries()) == [entry(k) for k in range(200)]
    log.close()


def test_all_entries_happen_or_none(tmp_path):
    log = EventLog(tmp_path / "log.db")
    log.append([entry(0)])
    with pytest.raises(DataError, match=r"^event 'e0': has come before with another content\.$"):
        log.append([entry(1), entry(0, body="other")])
    with pytest.raises(DataError, match=r"^event 'e2': has come before with another content\.$"):
        log.append([entry(2), entry(2, body="other")])
    with pytest.raises(ZeroDivisionError):
        log.append(entry(1 // k) for k in (1, 0))
    assert list(log.entries()) == [entry(0)]
    log.append([entry(1)])
    assert (list(log.entries()), log.last) == ([entry(0), entry(1)], 2)
    log.close()


def test_an_entry_that_comes_again_counts_once(tmp_path):
    log = EventLog(tmp_path / "log.db")
    assert log.append([entry(0)]) == 1
    assert log.append([entry(0, reply="[2.0]")]) == 0
    assert log.append([entry(0), entry(1), entry(1), entry(2)]) == 2
    assert list(log.entries()) == [entry(0), entry(1), entry(2)]
    log.close()


def test_a_snapshot_may_drop_what_it_covers_and_numbers_go_on(tmp_path):
    log = EventLog(tmp_path / "log.db")
    log.append([entry(0), entry(1)])
    assert log.read_snapshot() is None
    log.write_snapshot(b"first")
    log.write_snapshot(b"second", drop=True)
    assert (log.first, log.last) == (3, 2)
    log.close()
    log = EventLog(tmp_path / "log.db")
    assert (log.read_snapshot(), log.first, log.last) == (b"second", 3, 2)
    log.append([entry(2)])
    assert (list(log.entries(2)), log.first, log.last) == ([entry(2)], 3, 3)
    log.close()


def test_a_large_snapshot_lies_in_several_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("hwds.results.event_log.SNAPSHOT_PART", 1000)
    log, data = EventLog(tmp_path / "log.db"), random.Random(0).randbytes(12_345)
    log.write_snapshot(data)
    assert log.read_snapshot() == data
    log.close()


@contextmanager
def full_at(size):
    """Let no file grow beyond a size, as on a full disk: a write stops in its middle."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("room", [0, 30])
def test_what_a_write_ahead_log_without_room_refused_is_not_there(tmp_path, room):
    log = EventLog(tmp_path / "log.db", "power")
    log.append([entry(0)])
    size = (tmp_path / "log.db-wal").stat().st_size
    with full_at(size + room), pytest.raises(HwdsError, match=r"log\.db: cannot be used: "):
        log.append([entry(1)])
    log.append([entry(1, body="other")])
    assert list(log.entries()) == [entry(0), entry(1, body="other")]
    log.close()


def test_what_a_full_disk_refused_is_not_there(tmp_path):
    log = EventLog(tmp_path / "log.db")
    log.append([entry(0)])
    log.write_snapshot(b"small")
    log._db.execute("pragma max_page_count = 12")
    with pytest.raises(HwdsError, match="cannot be used: database or disk is full"):
        log.append(entry(k, body="x" * 1000) for k in range(1, 100))
    with pytest.raises(HwdsError, match="disk is full"):
        log.write_snapshot(b"x" * 100_000, drop=True)
    assert (list(log.entries()), log.read_snapshot(), log.first) == ([entry(0)], b"small", 1)
    log.append([entry(1)])
    log.close()


@pytest.mark.parametrize("rubbish", [b"", b"half a page", b"\0" * 5000])
def test_what_a_crash_tore_did_not_happen(rubbish, tmp_path):
    log = EventLog(tmp_path / "log.db")
    log.append([entry(0)])
    log.append([entry(1)])
    for end in ("", "-wal"):
        shutil.copy(tmp_path / f"log.db{end}", tmp_path / f"torn.db{end}")
    with (tmp_path / "torn.db-wal").open("ab") as file:
        file.write(rubbish)
    torn = EventLog(tmp_path / "torn.db")
    assert list(torn.entries()) == [entry(0), entry(1)]
    torn.close()
    log.close()


@pytest.mark.parametrize("durable", ["process", "power"])
def test_kills_lose_nothing_that_was_acknowledged(tmp_path, durable):
    path = tmp_path / "acknowledged.txt"
    for number in range(5):
        size = path.stat().st_size if number else 0
        child = os.fork()
        if not child:
            append_for_ever(tmp_path, durable)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not (path.is_file() and path.stat().st_size > size):
            time.sleep(0.001)
        time.sleep(0.03 * random.Random(number).random())
        os.kill(child, signal.SIGKILL)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    acknowledged = path.read_text().split()
    log = EventLog(tmp_path / "log.db")
    assert list(log.entries()) == [entry(k) for k in range(log.last)]
    assert len(acknowledged) == len(set(acknowledged)) >= 5
    assert set(acknowledged) <= {str(k) for k in range(log.last)}
    assert log.last - len(acknowledged) <= 5
    log.close()


def append_for_ever(folder, durable):
    log = EventLog(folder / "log.db", durable)
    file = os.open(folder / "acknowledged.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    while True:
        number = log.last
        log.append([entry(number)])
        os.write(file, f"{number}\n".encode())


def changed(path, statement):
    with sqlite3.connect(path) as db:
        db.execute(statement)
    db.close()


CHANGES = {"body": "'{}'", "data": "x'00'", "at": "1001.0", "reply": "null", "place": "7"}


def test_a_changed_or_missing_entry_is_refused(tmp_path):
    log = EventLog(tmp_path / "log.db")
    log.append([entry(k) for k in range(4)])
    log.close()
    for column, value in CHANGES.items():
        shutil.copy(tmp_path / "log.db", tmp_path / "other.db")
        changed(tmp_path / "other.db", f"update entries set {column} = {value} where number = 2")
        with pytest.raises(ResumeError, match=r"other\.db: entry 2 is damaged\.$"):
            EventLog(tmp_path / "other.db")
    changed(tmp_path / "log.db", "delete from entries where number = 3")
    with pytest.raises(ResumeError, match=r"log\.db: entry 3 is missing\.$"):
        EventLog(tmp_path / "log.db")
    changed(tmp_path / "log.db", "delete from entries where number = 1")
    with pytest.raises(ResumeError, match=r"log\.db: entry 1 is missing\.$"):
        EventLog(tmp_path / "log.db")


def test_acknowledged_entries_that_are_lost_are_counted(tmp_path):
    log = EventLog(tmp_path / "log.db")
    log.append([entry(k) for k in range(3)])
    shutil.copy(tmp_path / "log.db", tmp_path / "copy.db")
    for k in range(3, 8):
        log.append([entry(k)])
    for end in ("", "-last"):
        shutil.copy(tmp_path / f"log.db{end}", tmp_path / f"torn.db{end}")
    wal = (tmp_path / "log.db-wal").read_bytes()
    log.close()
    (tmp_path / "torn.db-wal").write_bytes(wal[: len(wal) * 2 // 3])
    with pytest.raises(
        ResumeError, match=r"\d acknowledged entries are lost \(\d to 8\); to go on without"
    ):
        EventLog(tmp_path / "torn.db")
    (tmp_path / "torn.db-last").unlink()
    log = EventLog(tmp_path / "torn.db")
    assert list(log.entries()) == [entry(k) for k in range(log.last)]
    log.close()
    (tmp_path / "log.db").unlink()
    with pytest.raises(ResumeError, match=r"log\.db: 8 acknowledged entries are lost \(1 to 8\)"):
        EventLog(tmp_path / "log.db")


def test_a_file_that_is_none_of_ours_is_refused(tmp_path):
    path = tmp_path / "log.db"
    path.write_bytes(b"no database at all, but long enough to be read as a page of one" * 100)
    with pytest.raises(ResumeError, match="is damaged, or no log of events"):
        EventLog(path)
    with pytest.raises(HwdsError, match="cannot be"):
        EventLog(path / "below.db")


def test_a_file_of_an_older_version_is_refused(tmp_path):
    with sqlite3.connect(tmp_path / "old.db") as db:
        db.execute("create table about (name text primary key, told text not null)")
        db.execute("insert into about values ('format', '1')")
    db.close()
    with pytest.raises(
        ResumeError, match=r"is of format 1, this version reads 2; take another file\.$"
    ):
        EventLog(tmp_path / "old.db")


def test_a_file_is_held_until_it_is_closed(tmp_path):
    log = EventLog(tmp_path / "log.db")
    with pytest.raises(
        ResumeError, match="another process uses it; stop that, or take another file"
    ):
        EventLog(tmp_path / "log.db")
    log.close()
    EventLog(tmp_path / "log.db").close()
