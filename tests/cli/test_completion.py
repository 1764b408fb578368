import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hwds.cli.main import PROGRAM, Bash, answer_shell
from hwds.core import registry
from hwds.core.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
ASK = """
eval "$($1 -sc install=bash)"
read -ra COMP_WORDS <<< "$2"
COMP_LINE=$2 COMP_POINT=${3:-${#2}} COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
_hwds_completion
printf '%s|' "${COMPREPLY[@]}"
"""


@pytest.fixture
def bash(tmp_path):
    """What bash offers for a line, with `hwds` and `python` found on its path."""
    if not shutil.which("bash"):
        pytest.skip("no bash")
    program = tmp_path / "hwds"
    program.write_text(
        f"#!/bin/sh\nexec '{sys.executable}' -c 'import sys; from hwds.cli.main import main; "
        f'sys.argv[0] = "hwds"; main()\''
        ' "$@"\n'
    )
    program.chmod(0o755)
    (tmp_path / "python").write_text(f"#!/bin/sh\nexec '{sys.executable}' \"$@\"\n")
    (tmp_path / "python").chmod(0o755)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def offered(program, *line):
        words = ["bash", "-c", ASK, "bash", program, *line]
        done = subprocess.run(
            words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.removesuffix("|")

    return offered


@pytest.mark.parametrize("program", ["hwds", "python -m hwds"])
def test_bash_completes_commands_and_overrides(bash, program):
    assert bash(program, f"{program} pl") == "plan "
    assert (
        bash(program, f"{program} plan model=forecast/na") == "forecast/naive "
    )  # `=` breaks words in bash


def test_bash_completes_what_stands_before_the_cursor(bash):
    assert bash("hwds", "hwds lis model=forecast/naive", "8") == "list "


def test_bash_leaves_other_programs_alone(bash):
    assert bash("python -m hwds", "python -m json.to") == ""


@pytest.fixture
def choices(monkeypatch, tmp_path):
    """What hwds offers for a line."""
    from hydra.core.global_hydra import GlobalHydra

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["hwds"])
    for name in ("HWDS_CONF", "HYDRA_FULL_ERROR"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)

    def offered(line):
        GlobalHydra.instance().clear()
        monkeypatch.setenv("COMP_LINE", line)
        return Bash(PROGRAM, {}, "hwds", "").complete().split()

    yield offered
    GlobalHydra.instance().clear()


def test_a_first_word_may_be_a_command_or_an_override(choices):
    assert choices("hwds check") == ["check", "check-leakage"]
    assert choices(".venv/bin/python3 -m hwds -v pl") == ["plan"]
    assert {"plan", "show", "model", "protocol."} <= set(choices("hwds"))
    assert choices("hwds") == choices("hwds ")
    assert choices("hwds -m model=forecast/na") == ["model=forecast/naive"]
    assert choices("hwds --mu") == ["--multirun"]
    assert choices("hwds --cfg j") == ["job"]


def test_after_a_command_its_own_words_or_overrides(choices):
    assert choices("hwds list mo") == ["model"]
    assert choices("hwds list model/forecast/sea") == ["model/forecast/seasonal_naive"]
    assert choices("hwds list --j") == ["--json"]
    assert choices("hwds data m3_y") == ["m3_yearly"]
    assert choices("hwds doctor ") == []
    assert choices("hwds check-leakage experiment=lstm_forecast see") == ["seed="]
    assert choices("hwds plan experiment=lstm") == ["+experiment=lstm_forecast"]
    assert choices("hwds export x --to ") == ["csv", "parquet", "xlsx"]
    assert choices("hwds export x --to=c") == ["--to=csv"]
    assert choices("hwds prune ru") == ["runs"]
    assert choices("hwds prune runs --k") == ["--keep-best"]


def test_runs_and_studies(choices, tmp_path):
    for run in ("sales/0a1b", "sales/2c3d", "units/9e9e"):
        (tmp_path / "outputs" / "runs" / run).mkdir(parents=True)
        (tmp_path / "outputs" / "runs" / run / "config.yaml").touch()
    (tmp_path / "experiments" / "which").mkdir(parents=True)
    (tmp_path / "experiments" / "which" / "study.yaml").touch()
    assert choices("hwds show sal") == ["sales", "sales/0a1b", "sales/2c3d"]
    assert choices("hwds predict 9") == ["9e9e"]
    assert choices("hwds predict 9e9e --f") == ["--future"]
    assert choices("hwds diff 9e9e 2") == ["2c3d"]
    assert choices("hwds runs tag 9") == ["9e9e"]
    assert (
        choices("hwds study w")
        == choices("hwds report w")
        == choices("hwds compare --study ")
        == ["which"]
    )


def test_the_users_own_options_are_completed(choices, tmp_path):
    registry.conf_dirs.cache_clear()
    (tmp_path / "own" / "model" / "mine").mkdir(parents=True)
    (tmp_path / "own" / "model" / "mine" / "first.yaml").write_text("recipe: forecast/naive\n")
    assert choices("hwds --config-dir own model=mine/f") == ["model=mine/first"]
    registry.conf_dirs.cache_clear()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_by_the_scripts_of_click(shell, tmp_path):
    def run(*words, **extra):
        words = [sys.executable, "-m", "hwds", *words]
        environment = os.environ | {"PYTHONPATH": str(ROOT)} | extra
        done = subprocess.run(
            words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    script = run("-sc", f"install={shell}")
    assert f"_HWDS_COMPLETE={shell}_complete" in script
    asked = {"COMP_WORDS": "hwds lis", "COMP_CWORD": "1" if shell == "zsh" else "lis"}
    assert "list" in run(_HWDS_COMPLETE=f"{shell}_complete", **asked)


def test_a_shell_that_is_not_known_is_refused():
    with pytest.raises(
        ConfigError,
        match="-sc: must be followed by install=, uninstall= or query= and a shell, got "
        "'install=ksh'",
    ):
        answer_shell(PROGRAM, ["install=ksh"])
