"""A family is a folder: a toy one runs, compares, reports, sweeps, is bundled, served and streamed
from a user's package, and from inside hwds.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.support.processes import wait_until
from tests.support.slow_project import SEVERAL

ROOT = Path(__file__).resolve().parents[2]
TOY = Path(__file__).parent / "toy_family"
WORDS = (
    "dataset=lines protocol=in_order model=regression/ridge rivals=[regression/mean] compute=serial"
)


def users_package(folder):
    """The toy beside a conf/ in a folder of its own; by its path, for it is no part of hwds."""
    shutil.copytree(TOY, folder)
    for path in (folder / "conf").rglob("*.yaml"):
        group, stem = path.relative_to(folder / "conf").parts[0], path.stem
        module = {
            "dataset": "datasets",
            "model": "models",
            "protocol": "protocols",
            "decision": "decisions",
        }[group]
        class_name = "".join(word.capitalize() for word in stem.split("_"))
        path.write_text(f"{path.read_text()}recipe: regression.{module}.{stem}:{class_name}\n")
    return folder, ROOT


def inside_hwds(folder):
    """The toy as one more folder of a copy of hwds; nothing else of it is touched."""
    copy = folder / "checkout"
    for name in ("hwds", "conf"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    assert not (copy / "hwds" / "regression").exists()
    shutil.copytree(TOY / "regression", copy / "hwds" / "regression")
    for path in (copy / "hwds" / "regression").rglob("*.py"):
        path.write_text(re.sub(r'(from |")regression\.', r"\1hwds.regression.", path.read_text()))
    for path in (TOY / "conf").rglob("*.yaml"):
        target = copy / path.relative_to(TOY)
        assert not target.exists()
        target.parent.mkdir(exist_ok=True)
        shutil.copy(path, target)
    return folder, copy


def environment(code):
    """The variables of a process that finds hwds in a folder."""
    kept = {name: value for name, value in os.environ.items() if name != "HWDS_CONF"}
    return kept | {"PYTHONPATH": str(code)}


def run(folder, code, *lines):
    """Exit code, output and errors of commands, one after the other in one process."""
    command = [sys.executable, "-c", SEVERAL, json.dumps([line.split() for line in lines])]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(code),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    out, err = (text.split("\x1e") for text in (done.stdout, done.stderr))
    assert len(out) == 2 * len(lines) + 1, done.stderr[-2000:]
    return [
        (int(code), told, wrong)
        for told, code, wrong in zip(out[::2], out[1::2], err[::2], strict=False)
    ]


def words(text):
    """What a narrow terminal broke into lines."""
    return " ".join(text.split())


@pytest.mark.parametrize("place", [users_package, inside_hwds])
def test_a_family_runs_compares_reports_and_sweeps_from_its_folder_alone(place, tmp_path):
    folder, code = place(tmp_path / "project")
    done = run(
        folder,
        code,
        f"{WORDS} decision=keep_model",
        f"check-leakage {WORDS}",
        "show adhoc",
        "compare adhoc",
        "report adhoc",
        f"{WORDS} sweep=random sweep.trials=3",
        f"{WORDS} model.shrinkge=1",
    )
    for exit_code, out, err in done[:-1]:
        assert exit_code == 0, (out, err)
        assert err == ""
    ran, leak_check, shown, compared, _, swept, _ = (out for _, out, _ in done)
    for text in (ran, shown):
        assert "regression/ridge is off by 0.483 of result." in text
        assert "KEEP      regression/ridge: its squared error is 0.234 and may be 1." in text
    assert "What was kept" in ran
    assert leak_check.count("no leak (bit-identical answers at 3 cutoffs)") == 2
    assert "150 predicted rows" in compared
    assert "regression/ridge beats regression/mean by 93" in compared
    (comparison,) = folder.glob("outputs/comparisons/*/comparison.md")
    assert "other predicted rows like these, at the same first rows" in comparison.read_text()
    (page,) = folder.glob("outputs/runs/adhoc/*/report.md")
    for text in (
        "Largest errors",
        "What was kept",
        "What was predicted against what happened",
        "is off by 0.483",
    ):
        assert text in page.read_text()
    assert (page.parent / "predicted.png").is_file()
    assert "Trial 0 is the best of 3 trials on 6 inner windows" in swept
    assert done[-1][0] == 2
    assert done[-1][2] == "hwds: model: no key 'shrinkge'; did you mean 'shrinkage'?\n"


@pytest.fixture(scope="module", params=[users_package, inside_hwds])
def kept(request, tmp_path_factory):
    """The folder of a project with a run whose model is kept, and that of hwds."""
    folder, code = request.param(tmp_path_factory.mktemp("kept") / "project")
    ((exit_code, _, err),) = run(folder, code, f"{WORDS} save_model=final")
    assert exit_code == 0, err
    return folder, code


def test_a_family_is_bundled_and_served_from_its_folder_alone(kept):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("uvicorn")
    folder, code = kept
    made, proven = run(
        folder,
        code,
        "bundle adhoc --out bundle --key key.pem --budget 60000",
        "bundle bundle --check --trust key.pem.pub",
    )
    assert made[0] == proven[0] == 0, (made, proven)
    assert "200 real rows are answered as in the run by a fresh process" in made[1]
    assert "model.onnx: off by" in made[1]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = f"serve bundle --http --port {port} --workers 1 --trust key.pem.pub"
    server = subprocess.Popen(
        [sys.executable, "-m", "hwds", *words.split()], cwd=folder, env=environment(code)
    )
    try:
        asked = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations",
            json.dumps({"id": "a", "input": 1.5}).encode(),
            {"content-type": "application/json"},
        )
        wait_until(lambda: answers(port) or server.poll() is not None, 120)
        with urllib.request.urlopen(asked, timeout=60) as answer:
            said = json.loads(answer.read())
    finally:
        server.terminate()
        server.wait(60)
    assert said["id"] == "a"
    assert said["score"] == pytest.approx(1 + 2 * 1.5, abs=0.3)


def answers(port):
    """Whether a server says that it is ready."""
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5).status == 200
    except OSError:
        return False


def test_a_family_is_streamed_from_its_folder_alone(kept):
    folder, code = kept
    readings = [
        {"entity": name, "cycle": cycle, "input": 3.0 if (name, cycle // 5) == ("hot", 1) else 0.0}
        for cycle in range(20)
        for name in ("hot", "cold")
    ]
    (folder / "readings.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in readings))
    ((exit_code, out, err),) = run(
        folder, code, "stream adhoc --from readings.jsonl clear_after=2 scores=true"
    )
    assert exit_code == 0, err
    alerts = [json.loads(line) for line in out.splitlines()]
    assert [(each["machine"], each["cycle"]) for each in alerts] == [("hot", 7), ("hot", 11)]
    assert {each["sensor"] for each in alerts[:1]} == {"input"}
    assert "40 lines: 40 readings of 2 machines, 40 scored, 5 anomalous" in err


def test_a_run_is_shown_without_its_familys_report_and_without_its_family(tmp_path):
    folder, code = users_package(tmp_path / "project")
    ((exit_code, _, err),) = run(folder, code, WORDS)
    assert exit_code == 0, err

    family = folder / "regression" / "family.py"
    text = family.read_text()
    family.write_text(re.sub(r"    (report|comparison)=.*\n", "", text))
    (_, ran, _), (_, compared, _) = run(folder, code, WORDS, "compare adhoc")
    said = (
        "NOT SURE regression/ridge scores best of 2 models, squared_error 0.234 (150 rows). "
        "Note No test was made: hwds compare makes it."
    )
    assert said in " ".join(ran.split())
    assert "regression/ridge cannot be told from regression/mean." in compared, (
        "of one headline each nothing is sure"
    )

    family.write_text(text.replace("FAMILY =", "FAMILEE ="))
    (_, shown, _), (exit_code, _, _) = run(folder, code, "show adhoc", "compare adhoc")
    assert (
        "Shown without the report of task 'regression': family: module 'regression.family' has no "
        "Family 'FAMILY'" in words(shown)
    )
    assert exit_code == 2

    shutil.rmtree(folder / "regression")
    shown, reported, compared = run(folder, code, "show adhoc", "report adhoc", "compare adhoc")
    gone = "ModuleNotFoundError: No module named 'regression'"
    assert shown[0] == reported[0] == 0
    assert gone in words(shown[1])
    assert "0.234 ± 0.027" in shown[1]
    (page,) = folder.glob("outputs/runs/adhoc/*/report.md")
    assert gone in page.read_text()
    assert compared[0] == 2
    assert compared[2].count("\n") == 1
    assert gone in compared[2]
