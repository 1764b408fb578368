"""The tail of a log: a crash at any moment leaves each acknowledged entry once, in the tail, in the
database or in both.
"""

import resource
import shutil
from contextlib import contextmanager

import pytest

from hwds.core.errors import HwdsError, ResumeError
from hwds.results.event_log import EventLog, LogEntry


def entry(k, **changes):
    return LogEntry(
        "decision", None, k, 0.1 + k, f'{{"k":{k},"name":"\U0001f600\\n"}}', "1"
    )._replace(**changes)


def entries(count):
    return [entry(k) for k in range(count)]


def log_of(folder, count, durable="power"):
    log = EventLog(folder / "log.db", durable)
    for k in range(log.last, count):
        log.append([entry(k)])
    return log


def crashed(folder, to):
    """Return a copy of the files as they are now."""
    return shutil.copytree(folder, to)


def read(folder, durable="power"):
    log = EventLog(folder / "log.db", durable)
    kept = list(log.entries())
    assert [each.name for each in folder.iterdir() if each.name.endswith("-tail")] == []
    log.close()
    return kept


@pytest.mark.parametrize("durable", ["process", "power"])
def test_entries_of_a_process_that_died_are_taken_up_once_and_others_follow(tmp_path, durable):
    log = log_of(tmp_path / "live", 3)
    died = crashed(tmp_path / "live", tmp_path / "died")
    assert (died / "log.db-tail").stat().st_size > 0
    log.close()
    assert read(died, durable) == read(died, durable) == entries(3) == read(tmp_path / "live")
    again = log_of(died, 6, durable)
    assert (list(again.entries()), again.last) == (entries(6), 6)
    again.close()


def test_every_line_waits_for_the_disk(tmp_path, monkeypatch):
    import os

    sync, synced = os.fdatasync, []
    monkeypatch.setattr(os, "fdatasync", lambda file: synced.append(sync(file)))
    log = log_of(tmp_path, 5)
    assert len(synced) == 5
    log.close()


def test_a_line_that_a_crash_tore_did_not_happen_wherever_it_was_torn(tmp_path):
    log = log_of(tmp_path / "live", 2)
    whole = (tmp_path / "live" / "log.db-tail").stat().st_size
    mark = (tmp_path / "live" / "log.db-last").read_bytes()
    log.append([entry(2)])
    end = (tmp_path / "live" / "log.db-tail").stat().st_size
    for size in range(whole, end - 1, 7):
        torn = crashed(tmp_path / "live", tmp_path / f"torn-{size}")
        with (torn / "log.db-tail").open("r+b") as file:
            file.truncate(size)
        with pytest.raises(
            ResumeError,
            match=r"acknowledged entry 3 is lost; to go on without, delete log\.db-last\.$",
        ):
            read(torn)
        (torn / "log.db-last").write_bytes(mark)  # it was not acknowledged
        assert read(torn) == entries(2)
    for size, happened in ((end - 1, 3), (end, 3)):
        torn = crashed(tmp_path / "live", tmp_path / f"torn-{size}-whole")
        with (torn / "log.db-tail").open("r+b") as file:
            file.truncate(size)
        assert read(torn) == entries(happened)
    log.close()


def test_a_text_that_no_file_can_hold_is_refused_before_anything_happens(tmp_path):
    log = log_of(tmp_path, 1)
    with pytest.raises(UnicodeEncodeError):
        log.append([entry(1, body="\ud800")])
    assert (list(log.entries()), log.last) == (entries(1), 1)
    log.close()


def test_zeros_after_the_last_line_are_no_line(tmp_path):
    log = log_of(tmp_path / "live", 2)
    died = crashed(tmp_path / "live", tmp_path / "died")
    with (died / "log.db-tail").open("ab") as file:
        file.write(bytes(5000))
    assert read(died) == entries(2)
    log.close()


@pytest.mark.parametrize("moved", [1, 3, 5])
def test_entries_that_were_moved_when_the_process_died_before_it_emptied_the_tail_count_once(
    tmp_path, moved
):
    log = log_of(tmp_path, moved)
    tail = crashed(tmp_path, tmp_path / "before") / "log.db-tail"
    assert list(log.entries()) == entries(moved)  # moves them
    assert (tmp_path / "log.db-tail").stat().st_size == 0
    both = crashed(tmp_path, tmp_path / "both")
    shutil.copy(tail, both / "log.db-tail")
    log.append([entry(moved)])
    with (both / "log.db-tail").open(
        "ab"
    ) as file:  # and where emptying failed, and the process went on
        file.write((tmp_path / "log.db-tail").read_bytes())
    log.close()
    assert read(both) == read(both) == entries(moved + 1)


def test_a_damaged_or_missing_line_is_refused(tmp_path):
    log = log_of(tmp_path / "live", 3)
    lines = (tmp_path / "live" / "log.db-tail").read_bytes().splitlines(keepends=True)
    wrong = {
        "line 2 is damaged": lines[0] + lines[1].replace(b"k", b"q") + lines[2],
        "entry 2 is missing": lines[0] + lines[2],
    }
    for number, (words, data) in enumerate(wrong.items()):
        died = crashed(tmp_path / "live", tmp_path / str(number))
        (died / "log.db-tail").write_bytes(data)
        with pytest.raises(ResumeError, match=words):
            EventLog(died / "log.db")
        assert (died / "log.db-tail").read_bytes() == data
    log.close()


def test_the_tail_is_moved_when_it_is_long_and_before_what_does_not_go_there(tmp_path, monkeypatch):
    monkeypatch.setattr("hwds.results.event_log.MOST_IN_TAIL", 4)
    log, known = log_of(tmp_path / "live", 9), entry(9, id="e9")
    assert len((tmp_path / "live" / "log.db-tail").read_bytes().splitlines()) == 1
    log.append([known])
    with_data = entry(10, data=b"1234")
    log.append([with_data])
    log.append([entry(11)])
    log.append([entry(12), entry(13)])
    log.append([entry(14)])
    expected = [*entries(9), known, with_data, *entries(15)[11:]]
    died = crashed(tmp_path / "live", tmp_path / "died")
    assert log.append([known]) == 0
    assert list(log.entries()) == expected
    log.write_snapshot(b"all", drop=True)
    log.append([entry(15)])
    dropped = crashed(tmp_path / "live", tmp_path / "dropped")
    log.close()
    assert read(died) == expected
    again = EventLog(dropped / "log.db")
    assert (list(again.entries()), again.first, again.last) == ([entry(15)], 16, 16)
    again.close()


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
def test_what_a_full_disk_refused_is_not_there(tmp_path, room):
    log = log_of(tmp_path / "live", 2)
    tail = tmp_path / "live" / "log.db-tail"
    size = tail.stat().st_size
    with full_at(size + room), pytest.raises(HwdsError, match=r"log\.db: cannot be written: "):
        log.append([entry(2)])
    assert (log.last, tail.stat().st_size) == (2, size)
    died = crashed(tmp_path / "live", tmp_path / "died")
    assert read(died) == entries(2)
    log.append([entry(2, body="other")])
    assert list(log.entries()) == [*entries(2), entry(2, body="other")]
    log.close()


def test_entries_wait_in_the_tail_while_the_database_cannot_grow(tmp_path, monkeypatch):
    monkeypatch.setattr("hwds.results.event_log.MOST_IN_TAIL", 50)
    log = EventLog(tmp_path / "log.db", "power")
    log._db.execute("pragma max_page_count = 8")
    long = [entry(k, body="x" * 1000) for k in range(51)]
    for each in long[:50]:
        log.append([each])
    with pytest.raises(HwdsError, match="database or disk is full"):
        log.append([long[50]])
    died = crashed(tmp_path, tmp_path / "died")
    assert log.last == 50
    with pytest.raises(HwdsError, match="database or disk is full"):
        log.close()
    assert read(tmp_path) == read(died) == long[:50]
