import pytest

from .conftest import SALES, run_id


def test_show_finds_a_run_by_each_of_its_names(hwds, sales, tmp_path):
    assert "there is none below outputs/runs" in hwds("show adhoc").line
    shown = hwds(SALES).out
    run = run_id(tmp_path)
    names = (run, run[:4], "adhoc", f"adhoc/{run}", f"adhoc/{run[:4]}", f"outputs/runs/adhoc/{run}")
    outs = [hwds(f"show {name}").out for name in names]
    assert len(set(outs)) == 1
    assert outs[0].startswith(f"adhoc/{run}: forecast/seasonal_naive on file, holdout, seed 0\n")
    assert "dataset.path=sales.csv" in outs[0]
    table = [line for line in shown.splitlines() if line.startswith(("model", "seasonal naive "))]
    assert len(table) == 2
    assert all(line in outs[0] for line in table)


def test_show_refuses_what_is_not_there(hwds, sales, tmp_path):
    assert hwds(SALES).code == 0
    assert "no run 'adhok' below outputs/runs; did you mean 'adhoc'?" in hwds("show adhok").line
    run = run_id(tmp_path)
    assert f"did you mean '{run}'?" in hwds(f"show {run[:-2]}zz").line
    assert "must be followed by one run, got 0" in hwds("show").line
    next(tmp_path.glob("outputs/runs/adhoc/*/scores.parquet")).unlink()
    assert f"run adhoc/{run} is not finished" in hwds("show adhoc").line


@pytest.mark.parametrize(
    "asked", ["show", "report", "runs tag", "diff x", "predict", "compare", "study"]
)
@pytest.mark.parametrize("name", ["x" * 5000, "a\0b"])
def test_a_name_that_no_file_system_takes_is_no_name(hwds, asked, name):
    line = hwds([*asked.split(), name, *(["good"] if asked == "runs tag" else [])]).line
    assert line.startswith("hwds: ")
    assert "Traceback" not in line
