"""Experiments run from Python: the bytes of the command, its refusals as errors, and what is stored
as a frame.
"""

import shlex
import shutil
import subprocess
import sys

import pytest

import hwds
from hwds.cli.notebook import _pass_on
from hwds.core.errors import ConfigError

SMALL = "size=small model=forecast/naive rivals=[] compute=serial protocol=holdout"


def test_a_run_has_the_bytes_of_the_command_and_is_found(command, monkeypatch, tmp_path):
    monkeypatch.setattr("hwds.cli.run.draw", lambda *_: None)
    assert command(f"+experiment=lstm_forecast {SMALL}").code == 0
    (folder,) = tmp_path.glob("outputs/runs/lstm_forecast/*")
    folder.rename(tmp_path / "by_command")
    shutil.rmtree(tmp_path / "outputs" / "cache")
    run = hwds.run("lstm_forecast", *shlex.split(SMALL))
    assert run.folder.path == folder
    for name in ("scores.parquet", "predictions.parquet"):
        assert (folder / name).read_bytes() == (tmp_path / "by_command" / name).read_bytes()
    assert (
        run.provenance["command"]
        == f"python -m hwds +experiment=lstm_forecast {shlex.join(SMALL.split())}"
    )
    found = hwds.runs("lstm_forecast", "model=forecast/*", sort="mase")
    assert found["run"].to_list() == [run.title]
    assert found["dataset.months"].to_list() == [108]
    assert hwds.runs("seed=7").is_empty()
    assert hwds.runs(sweeps=True).is_empty()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["lstm_forecst"], "experiment: no option 'lstm_forecst'; did you mean 'lstm_forecast'?"),
        (["model=forecast/naive", "model.seasn=3"], "model: no key 'seasn'"),
        (["lstm_forecast", "--info"], "--info: is a flag of the command line"),
        (["-m", "lstm_forecast", "seed=1,2"], "-m: is a flag of the command line"),
    ],
)
def test_a_refusal_is_an_error_with_its_line(words, line, command):
    with pytest.raises(ConfigError) as refused:
        hwds.run(*words)
    assert str(refused.value).startswith(line)


def test_a_sweep_needs_a_search_and_a_comparison_runs_that_are_there(command):
    with pytest.raises(ConfigError, match="sweep: must have a search among its words"):
        hwds.sweep("lstm_forecast", "sweep=none")
    with pytest.raises(ConfigError, match="no run"):
        hwds.compare_runs("nothing")
    with pytest.raises(ConfigError, match="no sweep"):
        hwds.load_sweep("nothing")


def test_what_a_process_says_is_passed_on_but_for_its_last_line(capsys):
    code = (
        "import sys; print('7 sensors are left out.', file=sys.stderr); print('hwds: "
        "refused.', file=sys.stderr)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    last = []
    _pass_on(process, last)
    process.communicate()
    assert (last, capsys.readouterr().err) == (["hwds: refused."], "7 sensors are left out.\n")
