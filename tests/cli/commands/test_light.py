import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
HEAVY = {
    "tensorflow",
    "keras",
    "xgboost",
    "pandas",
    "sklearn",
    "matplotlib",
    "pmdarima",
    "wandb",
    "mlflow",
}
PROBE = f"""
import cProfile, json, sys
with cProfile.Profile(builtins=False) as profile:
    from hwds.cli.main import main
    code = main()
calls = sum(entry.callcount for entry in profile.getstats())
print(json.dumps([code, sorted({HEAVY!r} & set(sys.modules)), calls]), file=sys.stderr)
"""

PLAN = "plan +experiment=lstm_forecast model=forecast/naive"

CALLS = {
    "--help": 30_000,
    "list": 400_000,
    "list model --json": 150_000,
    "doctor": 350_000,
    "data": 1_250_000,
    "runs": 250_000,
    "prune": 200_000,
    PLAN: 1_200_000,
}
"""The most calls of Python functions that a command may take, imports included: some 1.25 times
what it takes.
"""


def probed(folder, *words, **extra):
    """Output, exit code, heavy modules and calls of Python functions of a command line in a process
    of its own.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | extra
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout, *json.loads(done.stderr.splitlines()[-1])


@pytest.mark.parametrize("line", CALLS)
def test_light_commands_import_nothing_heavy_and_do_little(tmp_path, line):
    out, code, heavy, calls = probed(tmp_path, *line.split())
    assert code == 0
    assert out
    assert heavy == []
    assert calls < CALLS[line]


def test_a_plan_parses_no_module_again_that_an_earlier_command_parsed(tmp_path):
    (tmp_path / "outputs" / "cache").mkdir(parents=True)
    _, _, _, first = probed(tmp_path, *PLAN.split(), PYTHONDONTWRITEBYTECODE="1")
    _, _, _, later = probed(tmp_path, *PLAN.split(), PYTHONDONTWRITEBYTECODE="1")
    assert later < 0.95 * first


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("hwds model=forecast/sea", ["model=forecast/seasonal_naive"]),
        ("hwds +experiment=lstm", ["+experiment=lstm_forecast"]),
        ("hwds model.seas", ["model.season="]),
        ("hwds pr", ["predict", "prune", "protocol.", "protocol="]),
        ("hwds plan model=forecast/sea", ["model=forecast/seasonal_naive"]),
        ("python -m hwds check-leakage experiment=lstm_forecast seed", ["seed="]),
        ("hwds show lst", ["lstm_forecast", "lstm_forecast/0a1b"]),
    ],
)
def test_completion(tmp_path, line, said):
    (tmp_path / "outputs" / "runs" / "lstm_forecast" / "0a1b").mkdir(parents=True)
    (tmp_path / "outputs" / "runs" / "lstm_forecast" / "0a1b" / "config.yaml").touch()
    out, _, heavy, calls = probed(
        tmp_path, "-sc", "query=bash", COMP_LINE=line, COMP_POINT=str(len(line))
    )
    assert out.split() == said
    assert heavy == []
    assert calls < 900_000


def test_list(hwds):
    told = json.loads(hwds("list --json").out)
    groups = {
        "dataset",
        "features",
        "model",
        "protocol",
        "compute",
        "decision",
        "rules",
        "sweep",
        "tracker",
        "experiment",
    }
    assert set(told) == groups
    assert all(set(row) == {"option", "about"} for options in told.values() for row in options)
    assert list(json.loads(hwds("list model --json").out)) == ["model"]
    out = hwds("list model").out
    assert out.startswith("model:\n")
    assert re.search(r"  forecast/seasonal_naive +The value of the same season a year before", out)
    assert "dataset:" not in out
    assert hwds("list mdel").line == "hwds: no group 'mdel'; did you mean 'model'?"
    assert "no flag '--jsn'; did you mean '--json'?" in hwds("list --jsn").line


def test_a_users_option_is_listed(hwds, tmp_path):
    (tmp_path / "conf" / "model" / "mine").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "mine" / "first.yaml").write_text(
        "# hwds model=mine/first\nrecipe: my_models:First\n"
    )
    (tmp_path / "my_models.py").write_text('class First:\n    """My first model."""\n')
    assert re.search(r"  mine/first +My first model\.", hwds("list model").out)


def test_doctor(hwds, monkeypatch, tmp_path):
    monkeypatch.delenv("HWDS_DATA", raising=False)
    said = hwds("doctor")
    assert said.code == 0
    assert [line.split()[0] for line in said.out.splitlines()] == [
        "python",
        "libraries",
        "extras",
        "cpu",
        "memory",
        "threads",
        "accelerator",
        "outputs",
        "data",
    ]
    assert f"{tmp_path / 'outputs'} (writable)" in said.out
    assert "HWDS_DATA is not set" in said.out
    assert not (tmp_path / "outputs").exists()
    monkeypatch.setenv("HWDS_DATA", str(tmp_path / "nowhere"))
    assert "(NOT there)" in hwds("doctor").out
    (tmp_path / "outputs").write_text("a file is in the way")
    said = hwds("doctor")
    assert said.code == 1
    assert "NOT writable" in said.out
    assert "doctor: takes no words, got 'x'" in hwds("doctor x").line


def test_data_says_whether_it_is_here(hwds, monkeypatch, tmp_path):
    monkeypatch.delenv("HWDS_DATA", raising=False)
    out = hwds("data m3_monthly").out
    assert out.startswith("m3_monthly: not here (HWDS_DATA is not set); ")
    for said in ("Mcomp", "GPL-3", "series_id, date, y", "sha256 5068b2ae"):
        assert said in out
    monkeypatch.setenv("HWDS_DATA", str(tmp_path))
    assert f"not here (no file {tmp_path}/m3/m3_monthly.parquet)" in hwds("data m3_monthly").out
    (tmp_path / "m3").mkdir()
    (tmp_path / "m3" / "m3_monthly.parquet").touch()
    assert f"m3_monthly: here ({tmp_path}/m3/m3_monthly.parquet)" in hwds("data m3_monthly").out
    assert "no dataset 'm3_montly'; did you mean 'm3_monthly'?" in hwds("data m3_montly").line
    from hwds.core.registry import options

    assert [line.split(":")[0] for line in hwds("data").out.splitlines()] == list(
        options("dataset")
    )


def test_outputs_lie_where_the_variable_says(tmp_path):
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "HWDS_OUTPUTS": str(tmp_path / "elsewhere"),
    }
    imports = (
        "from hwds.core.compiling import cache_root; from hwds.results.folder import RunFolder"
    )
    code = f"{imports}; print(cache_root(), RunFolder.of('e', 'a').path)"
    environment.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [
        str(tmp_path / "elsewhere" / rest) for rest in ("cache/numba", "runs/e/a")
    ]
