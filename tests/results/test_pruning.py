"""Pruning: what is needed, tagged or in use stays; a kill at any moment leaves each run whole or
gone.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from hwds.cli.commands.prune import (
    cache_plan,
    delete_cache,
    delete_folders,
    folders_plan,
    parse_bytes,
    size_text,
)
from hwds.core.errors import HwdsError
from hwds.core.files import in_use, lock_for_cleaning, lock_for_reading
from hwds.results.folder import RunFolder, write_config
from hwds.results.index import RunIndex
from hwds.results.records import Labels

ROOT = Path(__file__).resolve().parents[2]
SWEPT = {
    "config": {"model": {"name": "m"}},
    "sweep": {"name": "asha"},
    "metric": "mase",
    "better": "low",
    "run": "best/ee55",
}


def plan_of(older=0.0, **more):
    index = RunIndex.of()
    return index, folders_plan(
        index, [path for path in index.paths if path[:4] == "runs"], older=older, **more
    )


def titles(plan):
    return sorted(f"{item.path.parent.name}/{item.path.name}" for item in plan.to_delete)


def test_age_size_and_the_best(made):
    for name, mase, days in (
        ("aa11", 0.9, 40),
        ("bb22", 0.7, 40),
        ("cc33", 0.8, 40),
        ("dd44", 0.6, 1),
    ):
        made(f"sales/{name}", days=days, **{"mase[m=12]": mase})
    assert titles(plan_of(30 * 86400)[1]) == ["sales/aa11", "sales/bb22", "sales/cc33"]
    _, plan = plan_of(30 * 86400, best=2)
    assert titles(plan) == ["sales/aa11", "sales/cc33"]
    assert plan.staying == {"runs/sales/bb22": "among the best 2"}, (
        "the other of the two is not old enough to be asked for"
    )
    (Path("outputs/runs/sales/aa11") / "big.bin").write_bytes(b"x" * 100_000)
    assert titles(plan_of(larger=90_000)[1]) == ["sales/aa11"]


def test_a_run_whose_tags_are_damaged_stays(made):
    kept, other = made("sales/aa11", days=40), made("sales/bb22", days=40)
    Labels(("keep",)).write(kept)
    (kept / "labels.json").write_bytes(
        (kept / "labels.json").read_bytes().replace(b"keep", b"kedp")
    )
    index, plan = plan_of()
    assert titles(plan) == [f"sales/{other.name}"]
    assert plan.staying == {"runs/sales/aa11": "its tags are damaged"}
    assert index.column("status")["runs/sales/aa11"] == "broken"


def test_high_is_good_where_the_metric_says_so(made):
    for name, value in (("aa11", 0.9), ("bb22", 0.7)):
        folder = made(f"sales/{name}", accuracy=value)
        config = folder / "config.yaml"
        write_config(
            config,
            yaml.safe_load(config.read_text().replace("headline: mase", "headline: accuracy")),
        )
    assert titles(plan_of(best=1)[1]) == ["sales/bb22"]


def test_what_is_needed_stays_with_its_reason(made, tmp_path):
    made("visits/aa11", days=40)
    made("visits/bb22", days=40)
    made("demand/cc33", joined="visits/aa11", days=1)
    made("demand/dd44", joined="visits/bb22", days=40)
    made("best/ee55", days=40)
    made("asked/ff66", days=40)
    Labels(("keep",)).write(made("loved/0a0a", days=40))
    os.utime("outputs/runs/loved/0a0a/labels.json", (1, 1))
    sweep = SWEPT | {"own_run": "best/0b0b"}
    made("best/0b0b", days=40)
    made("rival/0c0c", days=40)
    for path, said in (
        ("sweeps/best/1", sweep),
        ("studies/why", {"runs": {"a": {"0": "asked/ff66"}}}),
    ):
        (tmp_path / "outputs" / path).mkdir(parents=True)
        name = "sweep.json" if path[:2] == "sw" else "state.json"
        (tmp_path / "outputs" / path / name).write_text(json.dumps(said))
    compared(tmp_path, "c1", "rival/0c0c")
    _, plan = plan_of(30 * 86400)
    assert plan.staying == {
        "runs/visits/aa11": "joined by demand/cc33",
        "runs/best/ee55": "the best of sweep best/1",
        "runs/best/0b0b": "the experiment as it stands in sweep best/1",
        "runs/asked/ff66": "study why",
        "runs/rival/0c0c": "comparison c1",
        "runs/loved/0a0a": "tagged keep",
    }
    assert [item.path.name for item in plan.to_delete] == ["dd44", "bb22"], (
        "who needs another goes first"
    )


def compared(folder, name, *runs):
    path = folder / "outputs/comparisons" / name
    path.mkdir(parents=True)
    (path / "comparison.json").write_text(json.dumps({"sources": runs}))
    return path


def test_sweeps_and_comparisons_go_and_free_their_runs(made, tmp_path):
    made("best/ee55", days=40)
    for name, score, days in (("1a", 0.9, 40), ("2b", 0.7, 40), ("3c", 0.8, 1)):
        sweep = tmp_path / "outputs/sweeps/best" / name
        sweep.mkdir(parents=True)
        (sweep / "sweep.json").write_text(json.dumps(SWEPT | {"best": {"final": score}}))
        os.utime(sweep / "sweep.json", (time.time() - days * 86400,) * 2)
    compared(tmp_path, "c1", "best/ee55")
    index = RunIndex.of()
    every = [f"sweeps/best/{name}" for name in ("1a", "2b", "3c")]
    plan = folders_plan(index, every, older=30 * 86400, best=1)
    assert (titles(plan), plan.staying) == (["best/1a"], {"sweeps/best/2b": "among the best 1"})
    assert titles(folders_plan(index, ["runs/best/ee55"])) == []
    with RunFolder(tmp_path / "outputs/sweeps/best/2b").lock():
        gone = {
            item.path.name: why
            for item, why in delete_folders(index, folders_plan(index, [*every, "comparisons/c1"]))
        }
    assert gone == {"1a": "", "3c": "", "c1": ""}
    assert folders_plan(RunIndex.of(), ["runs/best/ee55"]).staying == {
        "runs/best/ee55": "the best of sweep best/2b"
    }
    assert all(not why for _, why in delete_folders(index, folders_plan(index, ["sweeps/best/2b"])))
    assert titles(folders_plan(RunIndex.of(), ["runs/best/ee55"])) == ["best/ee55"]
    assert not list((tmp_path / "outputs/sweeps").iterdir())


def test_a_comparison_that_is_damaged_is_said_before_anything_goes(made, tmp_path):
    made("sales/aa11", days=40)
    (compared(tmp_path, "c1") / "comparison.json").write_text("{")
    with pytest.raises(HwdsError, match=r"comparisons/c1/comparison.json: is damaged"):
        plan_of()


def test_a_config_that_joins_by_name_needs_the_latest(made):
    made("visits/aa11", days=40)
    made("visits/bb22", days=39)
    demand = made("demand/cc33") / "config.yaml"
    text = demand.read_text().replace(
        "  path: a.csv", "  path: a.csv\n  join:\n  - {run: visits, column: mean}"
    )
    write_config(demand, yaml.safe_load(text))
    _, plan = plan_of(30 * 86400)
    assert titles(plan) == ["visits/aa11"]


def test_a_folder_in_use_and_one_that_changed_stay(made):
    held, changed, free = (made(f"sales/{name}") for name in ("aa11", "bb22", "cc33"))
    with RunFolder(held).lock():
        assert in_use(held)
        assert titles(plan_of()[1]) == ["sales/bb22", "sales/cc33"]
    index, plan = plan_of()
    Labels(("new",)).write(changed)
    with RunFolder(held).lock():
        said = {item.path.name: why for item, why in delete_folders(index, plan)}
    assert said == {"aa11": "in use", "bb22": "changed meanwhile", "cc33": ""}
    assert held.is_dir()
    assert changed.is_dir()
    assert not free.exists()
    assert not Path("outputs/trash").exists()


def test_the_cache_keeps_what_runs_name_and_is_left_alone_while_one_reads(made):
    run = made("sales/aa11")
    RunFolder(run).write_cells(["ab1-0-4"])
    cells, frame = Path("outputs/cache/cells/ab"), Path("outputs/cache/frames/f1")
    for folder in (cells, frame):
        folder.mkdir(parents=True)
    for name, days in (
        ("ab1-0-4.parquet", 90),
        ("ab2-0-4.parquet", 90),
        ("ab3.npz", 50),
        (".ab4.parquet.7.part", 1),
    ):
        (cells / name).write_bytes(b"x" * 1000)
        os.utime(cells / name, (time.time() - days * 86400,) * 2)
    (frame / "data.arrow").write_bytes(b"x" * 1000)
    index = RunIndex.of()
    plan = cache_plan(index, older=30 * 86400)
    assert [item.path.name for item in plan.to_delete] == ["ab2-0-4.parquet", "ab3.npz"]
    assert plan.staying == {"1 cell": "named by a run or a sweep"}
    assert [item.path.name for item in cache_plan(index, most=3500).to_delete] == [
        "ab2-0-4.parquet",
        "ab3.npz",
    ]
    with lock_for_reading(Path("outputs/cache")), lock_for_reading(Path("outputs/cache")):
        assert delete_cache(index, plan) is None
    with lock_for_cleaning(Path("outputs/cache")) as free:
        assert free
    RunFolder(run).write_cells(["ab1-0-4", "ab3"])  # a run that came meanwhile
    assert [item.path.name for item in delete_cache(index, plan)] == ["ab2-0-4.parquet"]
    assert len(delete_cache(index, cache_plan(index))) == 2, (
        "what a killed process left, and the laid-out data"
    )
    assert sorted(path.name for path in cells.iterdir()) == ["ab1-0-4.parquet", "ab3.npz"]
    assert not frame.exists()


def test_of_what_is_made_again_the_old_goes(made):
    made("sales/aa11")
    for entry, days in (
        ("source/c9/c9aa.json", 40),
        ("source/d1/d1bb.json", 2),
        ("numba/ab12/kernel.nbi", 40),
    ):
        file = Path("outputs/cache", entry)
        file.parent.mkdir(parents=True)
        file.write_bytes(b"x" * 1000)
        os.utime(file, (time.time() - days * 86400,) * 2)
    index = RunIndex.of()
    plan = cache_plan(index, older=30 * 86400)
    assert sorted(item.path.name for item in plan.to_delete) == ["ab12", "c9"]
    assert delete_cache(index, plan) == list(plan.to_delete)
    assert [path.name for path in Path("outputs/cache").glob("*/*") if path.is_dir()] == ["d1"]
    assert not Path("outputs/trash").exists()


KILLED = """
import sys
from hwds.cli.commands.prune import delete_folders, folders_plan
from hwds.results.index import RunIndex
index = RunIndex.of()
plan = folders_plan(index, [path for path in index.paths if "/keep" not in path])
print("ready", flush=True)
for item, why in delete_folders(index, plan):
    assert not why, why
"""


def test_killed_at_any_moment_each_run_is_whole_or_gone(made, tmp_path):
    source = made("sales/keep0")
    whole = sorted(path.name for path in source.iterdir())
    for number in range(60):
        shutil.copytree(source, source.parent / f"aa{number:02}")
    rng, left = random.Random(3), 60
    for _ in range(4):
        command = [sys.executable, "-c", KILLED]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.0, 0.02))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        runs = sorted(source.parent.iterdir())
        assert all(
            sorted(path.name for path in run.iterdir() if path.name != ".lock") == whole
            for run in runs
        )
        assert source in runs
        left = min(left, len(runs) - 1)
    index, plan = plan_of()
    assert all(not why for _, why in delete_folders(index, plan))
    assert not Path("outputs/trash").exists()
    assert not Path("outputs/runs/sales").exists()


def test_sizes():
    assert [parse_bytes(text) for text in ("10B", "1.5kB", "2 MB", "5GB")] == [
        10,
        1500,
        2_000_000,
        5_000_000_000,
    ]
    assert [size_text(size) for size in (0, 999, 1500, 12_345_678)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "12 MB",
    ]
    with pytest.raises(ValueError, match="five"):
        parse_bytes("five")
