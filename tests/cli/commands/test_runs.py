import itertools
import json
import shlex
import shutil

import pytest

from hwds.core.errors import HwdsError
from hwds.results.folder import RunFolder

from .conftest import SALES, run_ids


@pytest.fixture
def two(hwds, sales, once, tmp_path):
    once(lambda: [run(hwds, seed) for seed in (1, 2)])
    return run_ids(tmp_path)


def run(hwds, seed):
    assert hwds(f"{SALES} seed={seed}").code == 0


def test_runs_are_found_sorted_tagged_and_noted(hwds, two):
    out = hwds("runs").out
    assert f"adhoc/{two[0][:8]}  forecast/seasonal_naive" in out
    assert "2 of 2 runs" in out
    assert hwds("runs seed=2 --json").out == hwds("runs adhoc 'seed>1' --json").out
    (only,) = json.loads(hwds("runs seed=2 --json").out)
    assert (only["run"], only["seed"], only["status"], only["protocol.horizon"]) == (
        f"adhoc/{two[1]}",
        2,
        "finished",
        6,
    )
    assert only["score"] == only["mase"] == only["mase[m=12]"]
    assert (
        hwds(f"runs tag {two[0]} keep first").out
        == f"adhoc/{two[0]}: tags first, keep; note none\n"
    )
    assert hwds(f"runs tag {two[0]} -keep").code == 0
    assert hwds(f"runs note {two[0]} 'before the launch'").code == 0
    (tagged,) = json.loads(hwds("runs tag=first --json").out)
    assert (tagged["run"], tagged["tags"], tagged["note"]) == (
        f"adhoc/{two[0]}",
        "first",
        "before the launch",
    )
    seeds = [run["seed"] for run in json.loads(hwds("runs --sort -seed --json").out)]
    assert seeds == [2, 1]
    assert json.loads(hwds("runs --sweeps --json").out) == []


LOST = '''
from hwds import Forecaster
from hwds.forecast import Naive


class Lost(Forecaster):
    """Fails."""

    def learn(self, history, *, horizon, context):
        if context.fold == "toy":
            return Naive().learn(history, horizon=horizon, context=context)
        raise ValueError("no luck")
'''


@pytest.mark.parametrize("width", [80, 160])
def test_the_table_fits_the_terminal(hwds, two, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    hwds(f"runs note {two[0]} {'a very long note ' * 5}")
    lines = hwds("runs --show protocol.horizon").out.splitlines()
    assert max(map(len, lines)) <= width, lines
    assert "forecast/seasonal_naive" in lines[2]
    assert ("holdout" in lines[2]) == (width == 160)
    assert any("room: dataset, protocol" in line for line in lines) == (width == 80)


def test_a_broken_folder_is_passed_over_with_its_reason(hwds, two, tmp_path):
    (tmp_path / "outputs/runs/adhoc" / two[0] / "config.yaml").write_text("[")
    said = hwds("runs")
    assert said.code == 0
    assert f"outputs/runs/adhoc/{two[0]} is passed over: config.yaml: is no YAML: " in " ".join(
        said.out.split()
    )
    assert two[1][:8] in said.out


def test_a_run_whose_only_model_failed_is_not_finished(hwds, sales, tmp_path):
    (tmp_path / "lost.py").write_text(LOST)
    (tmp_path / "conf" / "model").mkdir(parents=True, exist_ok=True)
    (tmp_path / "conf" / "model" / "lost.yaml").write_text("recipe: lost:Lost\n")
    assert hwds(f"{SALES} model=lost").code == 1
    (only,) = json.loads(hwds("runs status=failed --json").out)
    assert (only["model"], only["status"], only["failed"]) == ("lost", "failed", 4)
    assert " failed " in hwds("runs").out


def test_a_run_that_a_process_holds_is_running(hwds, two, tmp_path):
    folder = RunFolder(tmp_path / "outputs/runs/adhoc" / two[0])
    (folder.path / "scores.parquet").unlink()
    assert json.loads(hwds("runs status=unfinished --json").out)[0]["status"] == "unfinished"
    with folder.lock():
        assert json.loads(hwds("runs status=unfinished --json").out) == []
        assert json.loads(hwds("runs status=running --json").out)[0]["status"] == "running"


def test_a_run_that_was_ended_says_how_far_it_was_until_it_is_whole(
    hwds, two, tmp_path, monkeypatch
):
    before = {
        path.name: path.read_bytes()
        for path in (tmp_path / "outputs/runs/adhoc" / two[0]).glob("*.parquet")
    }
    shutil.rmtree(tmp_path / "outputs")

    def ended(job, frame, work, compute, cache, watch):
        watch.begin(36, 0)
        watch.finish_cell("")
        raise HwdsError("killed.")

    with monkeypatch.context() as patch:
        patch.setattr("hwds.cli.run.evaluate_cells", ended)
        assert hwds(f"{SALES} seed=1").code == 1
    assert "stopped at 1 of 36" in hwds("runs").out
    (only,) = json.loads(hwds("runs status=unfinished --json").out)
    assert (only["progress.done"], only["progress.total"]) == (1, 36)
    assert only["progress"].startswith("stopped at 1 of 36 cells after ")
    assert hwds(f"{SALES} seed=1").code == 0
    folder = tmp_path / "outputs/runs/adhoc" / two[0]
    assert not (folder / "progress.json").exists()
    assert (folder / "scores.parquet").read_bytes() == before["scores.parquet"]
    assert (folder / "predictions.parquet").read_bytes() == before["predictions.parquet"]


def test_what_is_wrong_is_refused_in_one_line(hwds, two):
    for line, said in (
        ("runs adhok", "no experiment or run 'adhok'; did you mean 'adhoc'?"),
        ("runs modle=1", "no field or metric 'modle'; did you mean 'model'?"),
        ("runs --sort masse", "no field or metric 'masse'; did you mean 'mase'?"),
        ("runs --limit x", "--limit: must be a whole number, got 'x'"),
        ("runs --jsn", "no flag '--jsn'; did you mean '--json'?"),
        ("runs tag adhoc", "runs tag: must be followed by a run and tags"),
        ("runs tag adhok x", "no run 'adhok'"),
    ):
        assert said in hwds(line).line


def test_without_runs_it_says_so(hwds):
    assert hwds("runs").out.strip() == "0 of 0 runs."
    assert json.loads(hwds("runs --json").out) == []


def test_a_run_is_named_tagged_and_noted_by_its_command(hwds, sales, tmp_path):
    assert hwds(f"{SALES} name=spring-2024 tags=[first] note='before the launch'").code == 0
    assert hwds(f"{SALES} name=spring-2024 tags=[again]").code == 0
    (folder,) = tmp_path.glob("outputs/runs/*/*")
    assert folder.parent.name == "spring-2024"
    listed = json.loads(hwds("runs tag=first --json").out)
    assert [(each["run"], each["tags"], each["note"]) for each in listed] == [
        (f"spring-2024/{folder.name}", "again first", "before the launch")
    ]
    assert hwds(SALES).code == 0
    assert {path.name for path in tmp_path.glob("outputs/runs/*/*")} == {folder.name}, (
        "a name changes no number"
    )


@pytest.mark.parametrize(
    ("word", "line"),
    [
        (
            "name=../x",
            "hwds: name: must be at most 80 letters, digits, '.', '_' and '-', and begin with a "
            "letter, got '../x'.",
        ),
        ("name=a/b", "hwds: name: must be at most"),
        ("name=.hidden", "hwds: name: must be at most"),
        ("tags=[a@b]", "hwds: tag: must be one word"),
        ("tags=first", "hwds: tags: "),
    ],
)
def test_a_name_or_tag_that_cannot_be_is_refused(hwds, sales, tmp_path, word, line):
    assert hwds([*shlex.split(SALES), word]).line.startswith(line)
    assert not list(tmp_path.glob("outputs/runs/*"))


def test_jobs_of_one_command_are_labelled_and_end_in_one_table(hwds, sales):
    done = hwds(f"-m {SALES} seed=1,2 protocol.horizon=3,6")
    assert done.code == 0
    labels = [line for line in done.out.splitlines() if line.startswith("Job ")]
    jobs = enumerate(itertools.product((3, 6), (1, 2)), 1)
    assert labels == [
        f"Job {i} of 4: protocol.horizon={horizon}, seed={seed}" for i, (horizon, seed) in jobs
    ]
    *_, header, _, _, _, _, last = done.out.splitlines()
    assert {"run", "score", "protocol.horizon", "seed"} <= set(header.split())
    assert last == "4 runs; `hwds compare` says which differ for sure."
    again = hwds(f"-m {SALES} seed=1,1")
    assert "Job 2 of 2: the same again" in again.out
