import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hwds.completion import choices
from hwds.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]
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
        f"#!/bin/sh\nexec '{sys.executable}' -c 'import sys, hwds.cli; sys.argv[0] = \"hwds\"; hwds.cli.main()' \"$@\"\n"
    )
    program.chmod(0o755)
    (tmp_path / "python").write_text(f"#!/bin/sh\nexec '{sys.executable}' \"$@\"\n")
    (tmp_path / "python").chmod(0o755)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def offered(program, *line):
        words = ["bash", "-c", ASK, "bash", program, *line]
        done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.removesuffix("|")

    return offered


@pytest.mark.parametrize("program", ["hwds", "python -m hwds"])
def test_bash_completes_commands_and_overrides(bash, program):
    assert bash(program, f"{program} pl") == "plan "
    assert bash(program, f"{program} plan model=forecast/na") == "forecast/naive "  # `=` breaks words in bash


def test_bash_completes_what_stands_before_the_cursor(bash):
    assert bash("hwds", "hwds lis model=forecast/naive", "8") == "list "


def test_bash_leaves_other_programs_and_half_written_mistakes_alone(bash):
    assert bash("python -m hwds", "python -m json.to") == ""
    assert bash("hwds", "hwds --nonsense model=") == ""


def test_a_first_word_may_be_a_command_or_an_override():
    assert choices("hwds check") == (["check-leakage"], ["check"])
    assert choices(".venv/bin/python3 -m hwds -v pl") == (["plan"], ["pl"])
    assert choices("hwds") == choices("hwds ")
    assert choices("hwds -m mod") == ([], ["-m", "mod"])


def test_after_a_command_its_own_words_or_overrides():
    assert choices("hwds list mo") == (["model"], None)
    assert choices("hwds data m3_y") == (["m3_yearly"], None)
    assert choices("hwds doctor ") == ([], None)
    assert choices("hwds check-leakage experiment=x see") == ([], ["+experiment=x", "see"])


def test_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for run in ("sales/0a1b", "sales/2c3d", "units/9e9e"):
        (tmp_path / "outputs" / "runs" / run).mkdir(parents=True)
        (tmp_path / "outputs" / "runs" / run / "config.yaml").touch()
    assert choices("hwds show sal") == (["sales", "sales/0a1b", "sales/2c3d"], None)
    assert choices("hwds predict 9")[0] == ["9e9e"]
    assert choices("hwds predict 9e9e --f")[0] == ["--future"]


def test_the_users_own_folder_must_be_there():
    with pytest.raises(ConfigError, match="--config-dir: must be followed by a folder, got 'nowhere'"):
        choices("hwds --config-dir nowhere model=")
