"""A secret that a config takes from the environment is in nothing that is written or printed; the
run can be asked again.
"""

import html
import json
import shlex
import shutil
import subprocess
import sys
from urllib.parse import quote

from hwds.core.config import build
from hwds.evaluation.ray.executor import worker_variables

from .conftest import SALES, run_id

SECRET = "planted-0123456789"
WORDS = SALES.replace(
    "model=forecast/seasonal_naive",
    "model=forecast/naive 'rivals=[forecast/seasonal_naive]' save_model=final",
)


def test_it_is_in_no_output_whatever_is_asked_of_a_run(hwds, sales, tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_TOKEN", SECRET)
    shutil.copy(tmp_path / "sales.csv", tmp_path / f"sales-{SECRET}.csv")
    words = WORDS.replace("sales.csv", "'sales-${oc.env:DATA_TOKEN}.csv'")
    said = [hwds(f"{words} seed={seed}") for seed in (0, 1)]
    run = run_id(tmp_path)
    said += [
        hwds(line)
        for line in (
            f"show {run}",
            f"predict {run}",
            f"report {run}",
            f"export {run} --to csv",
            "runs --json",
        )
    ]
    said += [
        hwds("compare --experiment adhoc"),
        hwds(f"predict {run} --data sales.csv"),
        hwds("runs dataset.path~DATA_TOKEN"),
    ]
    said += [hwds(f"plan {words}"), hwds(f"plan {words.replace('naive', 'nave', 1)}")]
    assert [each.code for each in said] == [0] * (len(said) - 1) + [2], [each.err for each in said]
    assert not [each for each in said if SECRET in each.out + each.err]
    written = [path for path in (tmp_path / "outputs").rglob("*") if path.is_file()]
    assert len(written) > 30
    assert not [
        path for path in written if SECRET.encode() in path.read_bytes() or SECRET in path.name
    ]
    assert (
        "${oc.env:DATA_TOKEN}"
        in (tmp_path / "outputs/runs/adhoc" / run / "config.yaml").read_text()
    )


ODD = 'pa"ss<&\\word 0123 %é'
"""A password that JSON, YAML, HTML and addresses write in other ways."""


def forms(text):
    """How it may stand in a file."""
    return {
        text,
        html.escape(text),
        json.dumps(text)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
        quote(text),
        text[:14],
    }


def test_any_value_of_the_environment_is_in_no_output_however_it_is_written(
    command, sales, tmp_path, monkeypatch
):
    monkeypatch.setenv("OUR_SHOP", ODD)
    words = f"{WORDS} 'dataset.unit=${{oc.env:OUR_SHOP}}'".replace(" save_model=final", "")
    said = [command(words)]
    run = run_id(tmp_path)
    said += [
        command(line)
        for line in (
            f"show {run}",
            f"report {run}",
            f"export {run} --to csv",
            f"plan {words}",
            "runs --json",
        )
    ]
    said += [
        command(f"{SALES} 'model.name=${{oc.env:OUR_SHOP}}'"),
        command(f"{SALES} 'dataset.path=${{oc.env:OUR_SHOP}}'"),
    ]
    assert [each.code for each in said] == [0] * (len(said) - 2) + [2, 2], said
    assert "it is the label in every table" in said[-2].err
    assert not [each for each in said if any(form in each.out + each.err for form in forms(ODD))]
    written = [
        path
        for path in (tmp_path / "outputs").rglob("*")
        if path.is_file() and "cache" not in path.parts
    ]
    assert {".svg", ".png", ".html", ".md", ".json", ".csv", ".parquet"} <= {
        path.suffix for path in written
    }
    texts = {path: path.read_bytes() for path in written}
    assert not [
        path
        for path, content in texts.items()
        if any(form.encode() in content for form in forms(ODD))
    ]


def test_the_traceback_that_v_shows_has_none(tmp_path, monkeypatch):
    monkeypatch.setenv("OUR_SHOP", SECRET)
    line = [
        sys.executable,
        "-m",
        "hwds",
        "-v",
        *shlex.split(SALES),
        "dataset.path=${oc.env:OUR_SHOP}",
    ]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Traceback" in done.stderr
    assert SECRET not in done.stdout + done.stderr


def test_workers_of_ray_are_told_none(monkeypatch):
    monkeypatch.setenv("DATA_TOKEN", SECRET)
    monkeypatch.setenv("WANDB_API_KEY", f"{SECRET}-wandb")
    told = worker_variables(build("compute", "compute", {"name": "ray", "recipe": "ray"}))
    assert told["OMP_NUM_THREADS"] == "1"
    assert SECRET not in str(told)
