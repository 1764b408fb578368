"""The README's section on one's own model works as it stands, in an empty folder."""

from __future__ import annotations

import json
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


def follow(title: str, folder: Path) -> list[str]:
    """Lay the files of a section into a folder and run its commands there; what each printed."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    environment.pop("HWDS_CONF", None)
    for name, _, code in re.findall(r"\*\*`([^`]+)`\*\*[^\n]*\n\n```(\w+)\n(.*?)```", section(title), re.S):
        if name.endswith(".csv"):
            subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(code)
    (commands,) = re.findall(r"```console\n(.*?)```", section(title), re.S)
    outputs = []
    for line in commands.strip().splitlines():
        words = [sys.executable, "-m", "hwds", *shlex.split(line)[1:]]
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    return outputs


def test_a_users_own_model_and_csv_run_in_an_empty_folder(tmp_path):
    outputs = follow("Your own model", tmp_path)
    assert "mine/drifting_season" in outputs[0]
    assert "no leak" in outputs[1]
    assert "LEAKS" not in outputs[1]
    assert "48 rows" in outputs[2]
    assert list(tmp_path.glob("outputs/runs/adhoc/*/forecasts.png"))


def test_a_users_own_policy_is_one_file_and_one_yaml(tmp_path):
    outputs = follow("Your own policy", tmp_path)
    assert "less than uniform play" in " ".join(outputs[0].split())
    assert "no leak" in outputs[1]
    assert "LEAKS" not in outputs[1]
    assert list(tmp_path.glob("outputs/runs/bandit_regret/*/regret.png"))


def test_one_run_feeds_another_and_the_months_to_come(tmp_path):
    outputs = follow("One run feeds another", tmp_path)
    assert "expected_visits is the mean of run visits/" in " ".join(outputs[1].split())
    assert "12 rows, 4 series, 2024-01-01 to 2024-03-01" in outputs[3]
    (run,) = tmp_path.glob("outputs/runs/demand/*/provenance.json")
    (source,) = tmp_path.glob("outputs/runs/visits/*")
    assert json.loads(run.read_text())["joined"] == {"expected_visits": f"the mean of run visits/{source.name}"}
