"""A secret that a config takes from the environment is in nothing that is written or printed; the run can be asked again."""

import shutil

from hwds.config.build import build
from hwds.execution.ray.executor import worker_variables

from .conftest import SALES, run_id

SECRET = "planted-0123456789"
WORDS = SALES.replace(
    "model=forecast/seasonal_naive", "model=forecast/naive 'rivals=[forecast/seasonal_naive]' save_model=final"
)


def test_it_is_in_no_output_whatever_is_asked_of_a_run(hwds, sales, tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_TOKEN", SECRET)
    shutil.copy(tmp_path / "sales.csv", tmp_path / f"sales-{SECRET}.csv")
    words = WORDS.replace("sales.csv", "'sales-${oc.env:DATA_TOKEN}.csv'")
    said = [hwds(f"{words} seed={seed}") for seed in (0, 1)]
    run = run_id(tmp_path)
    said += [hwds(line) for line in (f"show {run}", f"predict {run}", f"report {run}", f"export {run} --to csv", "runs --json")]
    said += [hwds("compare --experiment adhoc"), hwds(f"predict {run} --data sales.csv"), hwds("runs dataset.path~DATA_TOKEN")]
    said += [hwds(f"plan {words}"), hwds(f"plan {words.replace('naive', 'nave', 1)}")]
    assert [each.code for each in said] == [0] * (len(said) - 1) + [2]
    assert not [each for each in said if SECRET in each.out + each.err]
    written = [path for path in (tmp_path / "outputs").rglob("*") if path.is_file()]
    assert len(written) > 30
    assert not [path for path in written if SECRET.encode() in path.read_bytes() or SECRET in path.name]
    assert "${oc.env:DATA_TOKEN}" in (tmp_path / "outputs/runs/adhoc" / run / "config.yaml").read_text()


def test_workers_of_ray_are_told_none(monkeypatch):
    monkeypatch.setenv("DATA_TOKEN", SECRET)
    monkeypatch.setenv("WANDB_API_KEY", f"{SECRET}-wandb")
    told = worker_variables(build("compute", "compute", {"name": "ray", "recipe": "ray"}))
    assert told["OMP_NUM_THREADS"] == "1"
    assert SECRET not in str(told)
