"""A stream from lines to alerts: the batch's scores to the bit, each reading and each alert once,
refusals in a line.
"""

import json
import random
import resource
import shutil
from contextlib import contextmanager
from dataclasses import replace

import pytest

from bench.streamed import Until
from hwds.core.errors import ConfigError, HwdsError, ResumeError
from hwds.serve.stream.machines import StreamRules, stream_rules
from hwds.serve.stream.shard import FILES, NumberedLines, Shard
from hwds.serve.stream.sinks import NotSent
from hwds.serve.stream.sources import Batch, JsonLines
from tests.serve.hostile_lines import HOSTILE
from tests.support.streams import RULES, laid, messages, scores, streamed, told

FAR = "1" + "0" * 76 + "..."
"""A whole number that no float holds, as a refusal shows it."""


def test_the_scores_are_those_of_the_batch_to_the_bit(plain, batch):
    assert scores(plain) == batch
    said = messages(plain)
    assert {row["machine"] for row in said} == {"m0", "m1", "m2", "m3"}
    assert {row["sensor"] for row in said} == {"flow"}
    assert [row["number"] for row in told(plain, "alerts")] == list(range(1, len(said) + 1))
    assert json.loads((plain / "progress.json").read_text())["running"] is False


def test_alerts_are_the_episodes_of_the_batch_where_one_row_raises_them(
    followed, lines, batch, tmp_path
):
    streamed(tmp_path, followed, lines, StreamRules(raise_after=1, clear_after=11, clear_below=1.0))
    opened = {
        (row["machine"], row["cycle"])
        for row in told(tmp_path, "alerts")
        if row["what"] == "opened"
    }
    wanted, last = set(), {}
    for (machine, cycle), score in sorted(batch.items()):
        if score > 1.0:
            if cycle - last.get(machine, -99) > 11:
                wanted.add((machine, cycle))
            last[machine] = cycle
    assert opened == wanted
    assert opened


def test_disorder_duplicates_and_any_cut_of_the_lines_change_nothing(
    followed, lines, plain, batch, tmp_path
):
    rng = random.Random(3)
    numbered = [
        (place + rng.uniform(0, 20), line) for place, line in enumerate(lines)
    ]  # five machines: up to 4 seconds
    again = [
        (place + rng.uniform(0, 60), line) for place, line in enumerate(lines) if rng.random() < 0.2
    ]
    mixed = [line for _, line in sorted(numbered + again)]
    totals = streamed(tmp_path, followed, mixed, replace(RULES, late=5, batch=7))
    assert scores(tmp_path) == batch
    assert messages(tmp_path) == messages(plain)
    assert (
        totals
        | {"lines": len(mixed), "readings": len(lines), "duplicates": len(again), "refused": 0}
        == totals
    )


def test_what_is_late_or_contradicts_is_kept_apart(followed, lines, batch, tmp_path):
    one = json.loads(lines[5])
    other = json.dumps(one | {"flow": 99.0})
    totals = streamed(
        tmp_path,
        followed,
        [*lines[:10], lines[12], *lines[13:40], lines[10], lines[11], other, lines[5]],
    )
    dead = told(tmp_path, "dead")
    assert [row["why"] for row in dead] == [
        "reading of 'm0' in cycle 3: is late: cycle 8 has passed.",
        "reading of 'm1' in cycle 3: is late: cycle 8 has passed.",
        "reading of 'm0' in cycle 2: has come before with other numbers.",
    ]
    assert [row["line"] for row in dead] == [lines[10], lines[11], other]
    assert (totals["late"], totals["duplicates"], totals["refused"]) == (2, 1, 3)
    assert totals["lines"] == totals["readings"] + totals["duplicates"] + totals["refused"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (
            "{",
            "reading: is no JSON (Expecting property name enclosed in double quotes: line 1 "
            "column 2 (char 1)).",
        ),
        ("[1]", "reading: must be a JSON object, got list."),
        (
            '{"second": 1}',
            "reading: must have the machine's name under 'machine', 200 characters at most, got "
            "None.",
        ),
        ('{"machine": "m0"}', "reading of 'm0': must have a number under 'second', got None."),
        (
            '{"machine": "m0", "second": true}',
            "reading of 'm0': must have a number under 'second', got True.",
        ),
        (
            '{"machine": "m0", "second": 1, "flow": "5"}',
            "reading of 'm0': 'flow' must be a number, got '5'.",
        ),
        (
            '{"machine": "m0", "second": 1, "flow": 1e101}',
            "reading of 'm0': 'flow' must be within 1e+100, got 1e+101.",
        ),
        (
            '{"machine": "m0", "second": 1, "flwo": 5}',
            "reading of 'm0': no sensor 'flwo'; did you mean 'flow'?",
        ),
        (
            '{"machine": "m9", "second": 1, "heat": 5, "flow": 1}',
            "reading of 'm9' in cycle 1: 'noise' has no number yet.",
        ),
        ('{"of": "m7", "maintenance": true}', "message: no machine 'm7' has been heard of."),
        ('{"of": "m0", "maintenance": 1}', "message: 'maintenance' must be true or false, got 1."),
        (
            '{"machine": "m0", "second": 1' + "0" * 90 + "e99}",
            "reading of 'm0': must have a number under 'second', got 1e+189.",
        ),
        (
            '{"machine": "m0", "second": 1' + "0" * 400 + "}",
            f"reading of 'm0': must have a number under 'second', got {FAR}.",
        ),
        (
            '{"of": "m0", "maintenance": true, "at": 1' + "0" * 400 + "}",
            f"message: 'at' must be a cycle, and goes with maintenance alone, got {FAR}.",
        ),
        (
            '{"of": "m0", "ended": true, "at": 5}',
            "message: 'at' must be a cycle, and goes with maintenance alone, got 5.",
        ),
    ],
)
def test_a_bad_line_is_kept_with_the_reason(followed, lines, tmp_path, line, why):
    streamed(tmp_path, followed, [*lines[:5], line, *lines[5:10]])
    assert [row["why"] for row in told(tmp_path, "dead")] == [why]


def test_hostile_lines_are_each_refused_and_the_others_count(followed, lines, tmp_path):
    (tmp_path / "readings.jsonl").write_bytes(
        b"\n".join([lines[0].encode(), *HOSTILE, lines[1].encode()])
    )
    with Shard(followed, tmp_path, RULES) as shard:
        shard.run(JsonLines(tmp_path / "readings.jsonl"))
        totals = shard.state.totals
    assert totals["readings"] == 2
    assert (
        totals["refused"] == totals["lines"] - 2 >= len([line for line in HOSTILE if line.strip()])
    )


def test_short_gaps_are_filled_as_in_a_batch_and_longer_ones_refused(followed, lines, tmp_path):
    own = [json.loads(line) for line in lines if '"m1"' in line][:10]
    for row in own[3:7]:
        row["flow"] = None
    streamed(tmp_path, followed, map(json.dumps, own))
    assert [row["why"] for row in told(tmp_path, "dead")] == [
        f"reading of 'm1' in cycle {cycle}: 'flow' has had no number for {gap} readings, more "
        f"than dataset.longest_gap=2."
        for cycle, gap in ((6, 3), (7, 4))
    ]


class Taking:
    """A sink that remembers, and refuses what it is told to."""

    name = "taking"

    def __init__(self, refused=()):
        self.taken, self.refused = [], list(refused)

    def send(self, alert, id):
        number = json.loads(alert)["number"]
        if number in self.refused:
            raise NotSent("busy")
        self.taken.append(number)

    def close(self):
        pass


def test_an_alert_that_is_not_taken_ends_the_stream_and_nothing_is_lost(
    followed, lines, plain, tmp_path
):
    sink = Taking(refused=[3])
    with pytest.raises(
        HwdsError, match=r"^stream: --to taking: alert 3 was not taken \(busy\); nothing is lost"
    ):
        streamed(tmp_path, followed, lines, replace(RULES, batch=20), [sink])
    assert sink.taken == [1, 2]
    again = Taking()
    streamed(tmp_path, followed, lines, replace(RULES, batch=20), [again])
    assert again.taken == list(range(3, len(messages(plain)) + 1))
    assert messages(tmp_path) == messages(plain)


def test_a_damaged_note_of_what_was_sent_is_refused(followed, lines, tmp_path):
    streamed(tmp_path, followed, lines, sinks=[Taking()])
    (note,) = tmp_path.glob("sent-*")
    for wrong in (b"9" + note.read_bytes()[1:], note.read_bytes()[:7], b"x" * 30):
        note.write_bytes(wrong)
        with pytest.raises(
            ResumeError,
            match=r"sent-\w+: is damaged; if you delete it, taking gets what comes from now "
            r"on",
        ):
            Shard(followed, tmp_path, RULES, [Taking()])


def test_a_reading_of_a_clock_that_is_wrong_makes_no_other_late(followed, lines, tmp_path):
    wrong = json.dumps(json.loads(lines[10]) | {"second": 2e9})
    mixed = [*lines[:10], wrong, *lines[10:20]]
    totals = streamed(tmp_path, followed, mixed, replace(RULES, most_ahead=50))
    assert [row["why"] for row in told(tmp_path, "dead")] == [
        "reading of 'm0' in cycle 2e+09: is more than most_ahead=50 ahead of cycle 2."
    ]
    assert (totals["readings"], totals["late"]) == (20, 0)


def test_a_machine_that_has_gone_on_far_ahead_is_believed_the_second_time(
    followed, lines, tmp_path
):
    own = [json.loads(line) for line in lines if '"m0"' in line][:8]
    ahead = [row | {"second": row["second"] + 1000} for row in own]
    once, again = (
        own[:3] + ahead[3:4] * 2 + own[3:5],
        [*ahead[5:6], *own[5:6], ahead[6], ahead[7], own[6]],
    )
    streamed(tmp_path, followed, map(json.dumps, once + again), replace(RULES, most_ahead=50))
    assert [
        row["why"].removeprefix("reading of 'm0' in cycle ") for row in told(tmp_path, "dead")
    ] == [
        *["1004: is more than most_ahead=50 ahead of cycle 3."] * 2,
        "1006: is more than most_ahead=50 ahead of cycle 5.",
        "1007: is more than most_ahead=50 ahead of cycle 6.",
        "7: is late: cycle 1008 has passed.",
    ]


def test_a_machine_that_begins_again_repeats_no_id(followed, lines, plain, tmp_path):
    ill = messages(plain)[0]["machine"]
    own = [line for line in lines if json.loads(line)["machine"] == ill]
    streamed(tmp_path, followed, [*own, json.dumps({"of": ill, "ended": True}), *own])
    rows = told(tmp_path, "alerts")
    assert len(rows) % 2 == 0
    first, again = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    assert [row["alert"] + "~1" for row in first] == [row["alert"] for row in again]
    assert len({row["id"] for row in rows}) == len(rows)


def test_a_log_that_outlives_a_loss_of_power_says_the_same(followed, lines, plain, batch, tmp_path):
    for part in (300, len(lines)):
        with Shard(followed, tmp_path, replace(RULES, batch=60), durable="power") as shard:
            shard.run(laid(tmp_path, lines[:part]))
    assert scores(tmp_path) == batch
    assert messages(tmp_path) == messages(plain)


def test_a_stream_goes_on_where_it_was_and_the_log_stays_short(
    followed, lines, plain, batch, tmp_path
):
    for part in (200, 430, len(lines)):
        with Shard(followed, tmp_path, replace(RULES, snapshot_after=100, batch=30)) as shard:
            shard.run(laid(tmp_path, lines[:part]))
            assert shard._log.last - shard._log.first < 10
    assert scores(tmp_path) == batch
    assert messages(tmp_path) == messages(plain)


def test_a_source_that_was_read_further_without_lines_is_not_asked_for_it_again(
    followed, lines, tmp_path
):
    class Shards:
        name, ends, asked = "shards", False, []

        def batches(self, position, most, stop):
            self.asked.append(position)
            if position is None:
                yield Batch(lines[:5], {"a": "1"})
                yield Batch([], {"a": "end"})

    with Shard(followed, tmp_path, RULES) as shard:
        shard.run(Shards())
    with Shard(followed, tmp_path, RULES) as shard:
        shard.run(Shards())
        assert shard.state.totals["lines"] == 5
    assert Shards.asked == [None, {"a": "end"}]


def test_another_file_model_or_settings_are_refused_and_settings_may_change_after_an_end(
    followed, lines, tmp_path
):
    streamed(tmp_path, followed, lines[:100])
    with Shard(followed, tmp_path, replace(RULES, raise_after=9)) as shard:
        with pytest.raises(
            ResumeError, match=r"is not the file of which [\d,]+ bytes were read\.$"
        ):
            shard.run(laid(tmp_path, lines[1:150]))
        with pytest.raises(ResumeError, match="another process uses it"):
            Shard(followed, tmp_path, RULES)
    with pytest.raises(ResumeError, match="follows another model; take another folder"):
        Shard(replace(followed, longest_gap=7), tmp_path, RULES)


def test_after_a_crash_it_goes_on_under_the_same_settings_alone(
    followed, lines, plain, batch, tmp_path
):
    """The folder as it stands while a process has it open is what a crash leaves."""
    open_one, left = tmp_path / "open", tmp_path / "left"
    with Shard(followed, open_one, replace(RULES, batch=50)) as shard:
        shard.run(Until(laid(open_one, lines), shard, 600))
        shutil.copytree(open_one, left)
    with pytest.raises(
        ResumeError,
        match=r"^stream\.raise_after: must be 3 once more, for it was stopped amid readings",
    ):
        Shard(followed, left, replace(RULES, raise_after=9))
    with Shard(followed, left, RULES) as shard:
        assert shard.state.totals["lines"] == 600
        shard.run(JsonLines(open_one / "readings.jsonl"))
    assert scores(left) == batch
    assert messages(left) == messages(plain)


def test_a_file_that_lost_lines_is_refused(followed, lines, tmp_path):
    streamed(tmp_path, followed, lines)
    path = tmp_path / FILES["alerts"]
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(
        ResumeError,
        match=r"alerts\.jsonl: ends with line \d+, where \d+ were written; take another folder",
    ):
        Shard(followed, tmp_path, RULES)


@contextmanager
def files_of_at_most(size):
    """A limit of the size of files, as a disk that is full has one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_line_that_did_not_fit_leaves_no_part_of_it(tmp_path):
    lines = NumberedLines(tmp_path / "lines.jsonl")
    first, second = '{"number": 1}', '{"number": 2, "more": "so much"}'
    lines.write([(1, first)])
    with (
        files_of_at_most(len(first) + 9),
        pytest.raises(HwdsError, match=r"lines\.jsonl: cannot be written: File too large\.$"),
    ):
        lines.write([(2, second)])
    assert lines.path.read_text() == f"{first}\n"
    assert lines.write([(1, first), (2, second)]) == [(2, second)]
    assert lines.path.read_text() == f"{first}\n{second}\n"
    lines.close()


@pytest.mark.parametrize("size", [900, 6_000, 30_000])
def test_a_stream_on_a_disk_that_was_full_says_what_it_would_have_said(
    followed, lines, plain, batch, tmp_path, size
):
    source = laid(tmp_path, lines)
    with (
        files_of_at_most(size),
        pytest.raises(HwdsError, match=r"cannot be (used|written): "),
        Shard(followed, tmp_path, replace(RULES, batch=50)) as shard,
    ):
        shard.run(source)
    with Shard(followed, tmp_path, replace(RULES, batch=50)) as shard:
        shard.run(source)
    assert scores(tmp_path) == batch
    assert messages(tmp_path) == messages(plain)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["raise_aftr=3"], "stream: no setting 'raise_aftr'; did you mean 'raise_after'?"),
        (["raise_after=0"], "stream.raise_after: must be >= 1, got 0."),
        (["raise_after=true"], "stream.raise_after: must be a number, got true."),
        (["late=-1"], "stream.late: must be >= 0.0, got -1."),
        (["late=[1"], "stream.late: must be a number, got '[1'."),
        (["batch=1", "batch=2"], "stream.batch: is given twice."),
    ],
)
def test_wrong_settings_are_refused_in_a_line(words, message):
    with pytest.raises(ConfigError) as refusal:
        stream_rules(words)
    assert str(refusal.value) == message
