"""The data of the page of streams: of one that runs, that has ended, that is silent or damaged."""

import json
import time
from dataclasses import replace

import pytest

from hwds.core.checksums import read_json, write_json
from hwds.report.ui.data import streams_data
from hwds.results.records import STREAM_ALERTS, STREAM_PROGRESS, STREAMS_FOLDER
from hwds.serve.stream.shard import Shard
from tests.support.streams import RULES, Slowly, laid, streamed, told


@pytest.fixture
def root(followed, lines, tmp_path):
    """The outputs folder with one stream that has ended."""
    folder = tmp_path / STREAMS_FOLDER / "press"
    folder.mkdir(parents=True)
    streamed(folder, followed, lines)
    return tmp_path


def test_a_stream_says_how_it_stands_and_what_its_alerts_were(root, followed, lines, monkeypatch):
    monkeypatch.setattr("hwds.serve.stream.state.PROGRESS_PAUSE", 0.0)
    seen = []
    folder = root / STREAMS_FOLDER / "hall" / "pumps"
    folder.mkdir(parents=True)
    with Shard(followed, folder, replace(RULES, batch=250)) as shard:
        shard.run(
            Slowly(laid(folder, lines), [lambda: seen.append(streams_data(root, "hall/pumps"))])
        )
    assert [each["name"] for each in seen[0]["streams"]] == ["hall/pumps", "press"]
    assert [each["standing"] for each in seen[0]["streams"]] == ["running", "ended"]
    ended = streams_data(root, "")["shown"]
    assert (ended["name"], ended["standing"], ended["readings"]) == (
        "hall/pumps",
        "ended",
        len(lines),
    )
    assert seen[0]["shown"]["lines_a_second"] > ended["lines_a_second"] == 0.0, (
        "none has come since it wrote the last time"
    )
    assert ended["messages"] == told(folder, "alerts")[::-1][:50]
    first = ended["shown"][0]
    assert ended["open"] == sum(bool(each["alert"]) for each in ended["shown"])
    rows = {
        row["second"]: row for row in map(json.loads, lines) if row["machine"] == first["machine"]
    }
    assert [row[0] for row in first["trace"]] == [50.0, 100.0, 150.0]
    assert [row[1] is None for row in first["trace"]] == [True, False, False], (
        "its first rows are its reference"
    )
    assert all(
        row[2:] == [rows[row[0]][name] for name in ended["sensors"]] for row in first["trace"]
    )


def test_a_stream_without_a_word_is_silent_a_damaged_one_is_said_and_a_torn_line_waits(root):
    folder = root / STREAMS_FOLDER / "press"
    content = read_json(folder / STREAM_PROGRESS)
    write_json(folder / STREAM_PROGRESS, content | {"running": True, "at": time.time() - 60})
    with (folder / STREAM_ALERTS).open("a") as file:
        file.write('{"number": 99, "al')
    shown = streams_data(root, "none")["shown"]
    assert (shown["standing"], shown["messages"][0]["number"]) == ("silent", content["alerts"])
    (folder / STREAM_PROGRESS).write_text((folder / STREAM_PROGRESS).read_text()[:-9])
    assert streams_data(root, "press")["shown"]["standing"] == "damaged"
    for other in ("{}", "[]", "null", '{"running": true, "at": "noon"}'):
        (folder / STREAM_PROGRESS).write_text(other)
        assert streams_data(root, "press")["shown"]["standing"] == "damaged"
    assert streams_data(root / "none", "") == {"streams": [], "shown": None}
