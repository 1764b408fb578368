from threading import Event

from hwds.report import progress
from hwds.report.progress import Heartbeat, ProgressLine, SweepLine
from hwds.results.index import PROGRESS_FILE, RunProgress

LONG = 60


def test_a_folder_says_how_a_run_goes(tmp_path):
    line = ProgressLine()
    line.record_in(tmp_path)
    line.begin(12, 3)
    line.began -= 10
    line.finish_cell("")
    line.finish_cell("ValueError: no")
    line.show_score("forecast/naive", "2021", "mase", 0.49)
    line.end()
    going = RunProgress.read(tmp_path)
    assert (going.done, going.total, going.failed) == (5, 12, 1)
    assert going.score == "forecast/naive at 2021: mase 0.490"
    assert 30 < going.left < 40
    line.finish_cell("")
    line.end()
    assert RunProgress.read(tmp_path) == going, "the folder is another run's by now"


def test_no_time_is_said_where_one_cell_takes_longer_than_all_were_to():
    line = ProgressLine()
    line.begin(401, 0)
    line.done, line.began, line.ended_last = (
        400,
        line.began - 40,
        line.began - 30,
    )  # a rival's many cells were quick
    assert line.left is None
    assert line.line() == "cells 400/401"
    line.end()


def test_what_others_compute_is_waited_for_and_said(tmp_path):
    line = ProgressLine()
    line.record_in(tmp_path)
    line.begin(4, 0)
    line.show_score("forecast/naive", "2021", "mase", 0.49)
    line.finish_cell("")
    line.wait()
    line.end()
    assert line.line() == "cells 1/4 · waits for another run's cells"
    going = RunProgress.read(tmp_path)
    assert (going.score, going.left) == ("waits for another run's cells", None)
    line.take_cell()
    assert line.line().startswith("cells 2/4 · 1 kept")
    assert line.line().endswith("forecast/naive at 2021: mase 0.490")


def test_a_sweep_tells_its_trials_too(tmp_path):
    line = SweepLine(4, "mase", "low", 6)
    line.record_in(tmp_path)
    line.begin(24, 0)
    line.finish_cell("")
    line.trial("trial 0", "finished", 6, 0.7, 0)
    line.end()
    going = RunProgress.read(tmp_path)
    assert (going.done, going.total, going.score) == (
        1,
        24,
        "1 of 4 trials, best mase 0.7 (trial 0)",
    )


def test_nothing_is_written_where_nothing_is_to_be_done_or_nothing_can_be(tmp_path):
    line = ProgressLine()
    line.record_in(tmp_path)
    line.begin(12, 12)
    line.end()
    assert not list(tmp_path.iterdir())
    (tmp_path / PROGRESS_FILE).mkdir()
    line.record_in(tmp_path)
    line.begin(1, 0)
    line.end()
    assert [path.name for path in tmp_path.iterdir()] == [PROGRESS_FILE], "no run fails by it"


def test_a_line_is_said_now_and_then_where_there_is_no_terminal(monkeypatch, capsys):
    monkeypatch.setattr(progress, "PLAIN", 0.0)
    line, said = ProgressLine(), Event()
    say = line.beats[-1].beat
    line.beats[-1].beat = lambda: (say(), said.set())
    line.begin(12, 3)
    assert said.wait(LONG)
    line.end()
    assert capsys.readouterr().err.splitlines()[0] == "hwds: after < 0.1 s: cells 3/12 · 3 kept"


def test_it_beats_until_it_is_stopped_and_again():
    calls, twice = [], Event()
    heart = Heartbeat(lambda: (calls.append(0), twice.set() if len(calls) > 1 else None), 0.001)
    heart.start()
    assert twice.wait(LONG)
    heart.stop()
    assert heart.thread is None
    known = len(calls)
    twice.clear()
    heart.start()
    assert twice.wait(LONG)
    heart.stop()
    assert len(calls) > known


def test_pauses_grow_with_the_time_that_has_gone():
    heart = Heartbeat(lambda: None, 30.0, 0.05)
    heart.began = heart.last - 36000
    assert 1799 < heart._wait() <= 1800
