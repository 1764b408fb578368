"""The README's section on one's own model works as it stands, in an empty folder."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def section(title: str) -> str:
    text = (ROOT / "README.md").read_text()
    return text.split(f"## {title}\n")[1].split("\n## ")[0]


def test_a_users_own_model_and_csv_run_in_an_empty_folder(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    environment.pop("HWDS_CONF", None)
    for name, _, code in re.findall(r"\*\*`([^`]+)`\*\*[^\n]*\n\n```(\w+)\n(.*?)```", section("Your own model"), re.S):
        if name.endswith(".csv"):
            subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
            continue
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(code)
    (commands,) = re.findall(r"```console\n(.*?)```", section("Your own model"), re.S)
    outputs = []
    for line in commands.strip().splitlines():
        words = [sys.executable, "-m", "hwds", *shlex.split(line)[1:]]
        done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    assert "mine/drifting_season" in outputs[0]
    assert "no leak" in outputs[1]
    assert "LEAKS" not in outputs[1]
    assert "48 rows" in outputs[2]
    assert list(tmp_path.glob("outputs/runs/adhoc/*/forecasts.png"))
