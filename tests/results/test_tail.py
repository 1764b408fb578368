"""The tail that an earlier version left beside a log: each acknowledged entry is taken up once."""

import json
import shutil
from zlib import crc32

import pytest

from hwds.core.errors import ResumeError
from hwds.results.event_log import EventLog, LogEntry


def entry(k):
    return LogEntry("decision", None, k, 0.1 + k, f'{{"k":{k},"name":"\U0001f600\\n"}}', "1")


def entries(count):
    return [entry(k) for k in range(count)]


def line(number):
    text = json.dumps([number, *entry(number - 1)], ensure_ascii=False).encode()
    return b"%08x %b\n" % (crc32(text), text)


def left_behind(folder, moved, tail):
    """Write a log with so many entries, as of a process that died, and a tail beside it."""
    log = EventLog(folder / "live.db")
    log.append(entries(moved))
    for end in ("", "-wal"):
        shutil.copy(folder / f"live.db{end}", folder / f"log.db{end}")
    log.close()
    (folder / "log.db-tail").write_bytes(tail)


def read(folder, durable):
    log = EventLog(folder / "log.db", durable)
    kept = list(log.entries())
    assert not (folder / "log.db-tail").exists()
    log.close()
    return kept


@pytest.mark.parametrize("durable", ["process", "power"])
@pytest.mark.parametrize("moved", [0, 1, 2, 4])
def test_entries_are_taken_up_once_and_others_follow(tmp_path, durable, moved):
    left_behind(tmp_path, moved, b"".join(map(line, range(2 if moved else 1, 5))))
    assert read(tmp_path, durable) == read(tmp_path, durable) == entries(4)
    log = EventLog(tmp_path / "log.db", durable)
    log.append([entry(4)])
    assert (list(log.entries()), log.last) == (entries(5), 5)
    log.close()


@pytest.mark.parametrize("rubbish", [line(3)[:9], line(3)[:-2], bytes(5000)])
def test_what_a_crash_tore_did_not_happen(tmp_path, rubbish):
    left_behind(tmp_path, 0, line(1) + line(2) + rubbish)
    assert read(tmp_path, "power") == entries(2)


def test_a_torn_line_that_was_acknowledged_is_lost(tmp_path):
    left_behind(tmp_path, 0, line(1) + line(2) + line(3)[:-2])
    text = b"%016d %b" % (3, b"-" * 32)
    (tmp_path / "log.db-last").write_bytes(text + b" %08x\n" % crc32(text))
    with pytest.raises(
        ResumeError, match=r"acknowledged entry 3 is lost; to go on without, delete log\.db-last\.$"
    ):
        read(tmp_path, "power")


@pytest.mark.parametrize(
    ("tail", "words"),
    [
        (line(1) + line(2).replace(b"k", b"q") + line(3), "line 2 is damaged"),
        (line(1) + line(3), "entry 2 is missing"),
    ],
)
def test_a_damaged_or_missing_line_is_refused(tmp_path, tail, words):
    left_behind(tmp_path, 0, tail)
    with pytest.raises(ResumeError, match=words):
        EventLog(tmp_path / "log.db")
    assert (tmp_path / "log.db-tail").read_bytes() == tail
