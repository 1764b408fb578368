"""The index of runs never lies: what changes in a folder is seen, what is damaged is told, and it
may be thrown away.
"""

import json
import os
import time

import polars as pl
import pytest

from hwds.core.errors import ConfigError
from hwds.results import index as run_index
from hwds.results.folder import RunFolder
from hwds.results.index import RunIndex, matching_folders, order_folders, parse_span
from hwds.results.records import Labels


@pytest.fixture
def settled(monkeypatch):
    """Files count as old at once.

    A change within one tick of the clock is then not seen, so tests wait for one.
    """
    monkeypatch.setattr(run_index, "SETTLED", -1.0)


def tick():
    time.sleep(0.02)


def test_what_a_run_says_is_flat(made):
    made("sales/aa11", seed=3)
    index = RunIndex.of()
    fields = index.fields(["runs/sales/aa11"])["runs/sales/aa11"]
    assert fields["model"] == "forecast/lstm"
    assert fields["model.units"] == 32
    assert fields["model.rates"] == "0.1, 0.5"
    assert fields["rivals"] == "forecast/naive"
    assert fields["dataset.roles.series"] == "shop, region"
    assert (fields["metric"], fields["score"], fields["stderr"], fields["status"]) == (
        "mase[m=12]",
        0.8,
        0.02,
        "finished",
    )
    assert fields["mase"] == fields["mase[m=12]"] == 0.8, (
        "the mean over all folds and steps of the own model"
    )
    assert "dataset.roles.time" not in fields
    assert (index.better("mase"), index.better("accuracy"), index.better("seed")) == (
        "low",
        "high",
        "",
    )


def test_a_second_look_reads_nothing_and_every_change_is_seen(made, settled, tmp_path):
    first, second = made("sales/aa11", seed=1), made("sales/bb22", seed=2)
    assert RunIndex.of().read == 2
    assert RunIndex.of().read == 0
    tick()
    config = first / "config.yaml"
    before = config.stat()
    (first / ".config.json").unlink()  # as earlier versions wrote it
    config.write_text(config.read_text().replace("units: 32", "units: 64"))  # the same size
    import os

    os.utime(config, ns=(before.st_atime_ns, before.st_mtime_ns))  # and the same time, if one lies
    index = RunIndex.of()
    assert (index.read, index.column("model.units")["runs/sales/aa11"]) == (1, 64)
    Labels(("good",)).write(second)
    assert RunIndex.of().column("tags")["runs/sales/bb22"] == "good"
    (second / "scores.parquet").unlink()
    assert RunIndex.of().column("status")["runs/sales/bb22"] == "unfinished"
    for path in sorted(first.iterdir()):
        path.unlink()
    assert RunIndex.of().paths == ["runs/sales/bb22"]
    (file,) = tmp_path.glob("outputs/cache/runs-*.parquet")
    whole = RunIndex.of().table
    file.write_bytes(file.read_bytes()[:50])
    assert RunIndex.of().table.equals(whole), "a damaged index is made again"
    file.unlink()
    assert RunIndex.of().table.equals(whole)


def test_what_changed_just_now_is_not_trusted_the_next_time(made):
    made("sales/aa11")
    assert RunIndex.of().read == 1
    assert RunIndex.of().read == 1


def test_a_damaged_folder_is_told_and_the_others_are_read(made):
    made("sales/aa11")
    (made("sales/bb22") / "scores.parquet").write_bytes(b"PAR1 and no more")
    (made("sales/cc33") / "config.yaml").write_text("a: [1")
    (made("sales/dd44") / "config.yaml").write_text("only text")
    (made("sales/ee55") / "labels.json").write_text("{")
    pl.DataFrame({"model": ["x"]}).write_parquet(made("sales/ff66") / "scores.parquet")
    index = RunIndex.of()
    reasons = index.column("reason")
    assert {
        path: status for path, status in index.column("status").items() if status != "broken"
    } == {"runs/sales/aa11": "finished"}
    assert "config.yaml: is no YAML: " in reasons["runs/sales/cc33"]
    assert reasons["runs/sales/dd44"] == "config.yaml holds no config"
    assert all(reasons.values())
    assert len(reasons) == 5


def test_sweeps_are_there_too(made, tmp_path):
    made("sales/aa11")
    folder = tmp_path / "outputs/sweeps/sales/55ee"
    folder.mkdir(parents=True)
    said = {
        "config": {"model": {"name": "forecast/lstm"}},
        "sweep": {"name": "asha", "trials": 9},
        "metric": "mase[m=12]",
    }
    said |= {
        "better": "low",
        "trials": 9,
        "best": {"trial": 3, "inner": 0.7, "final": 0.75},
        "run": "sales/aa11",
    }
    (folder / "sweep.json").write_text(json.dumps(said))
    index = RunIndex.of()
    assert matching_folders(index, [], "run") == ["runs/sales/aa11"]
    assert matching_folders(index, ["sweep=asha", "score<0.8"], "sweep") == ["sweeps/sales/55ee"]


CASES = [
    (["model=forecast/*"], "abc"),
    (["model=forecast/lstm"], "ab"),
    (["model!=forecast/lstm"], "c"),
    (["mase<0.8"], "b"),
    (["mase[m=12]<=0.8", "seed=1,2"], "ab"),
    (["seed>=2"], "bc"),
    (["model.units=64"], "b"),
    (["tag=good"], "b"),
    (["tag!=good"], "ac"),
    (["note~why"], "b"),
    (["sales"], "ab"),
    (["sal*"], "ab"),
    (["id=cc"], "c"),
    (["units/cc"], "c"),
    (["age<2d"], "ab"),
    (["status=unfinished"], ""),
]


@pytest.fixture
def three(made):
    made("sales/aa11", seed=1, **{"mase[m=12]": 0.8, "accuracy": 0.5})
    b = made("sales/bb22", seed=2, units=64, **{"mase[m=12]": 0.7, "accuracy": 0.4})
    Labels(("good", "new"), "Why not").write(b)
    made(
        "units/cc33", seed=3, model="forecast/theta", days=5, **{"mase[m=12]": 0.9, "accuracy": 0.6}
    )
    return RunIndex.of()


@pytest.mark.parametrize(("words", "wanted"), CASES)
def test_queries(three, words, wanted):
    assert "".join(path.rpartition("/")[2][0] for path in matching_folders(three, words)) == wanted


@pytest.mark.parametrize(
    ("by", "wanted"),
    [
        ("mase", "bac"),
        ("-mase", "cab"),
        ("accuracy", "cab"),
        ("seed", "abc"),
        ("-seed", "cba"),
        ("age", "bac"),
        ("note", "acb"),
    ],
)
def test_order(three, by, wanted):
    found = order_folders(three, ["runs/sales/bb22", "runs/sales/aa11", "runs/units/cc33"], by)
    assert "".join(path.rpartition("/")[2][0] for path in found) == wanted


def test_what_is_not_there_is_refused_with_the_nearest(three):
    for words, said in (
        (["modle=x"], "no field or metric 'modle'; did you mean 'model'?"),
        (["mace<1"], "no field or metric 'mace'; did you mean 'mase'?"),
        (["sale"], "no experiment or run 'sale'; did you mean 'sales'?"),
        (["seed<x"], "seed: must be compared with a number, got 'x'"),
    ):
        with pytest.raises(ConfigError) as error:
            matching_folders(three, words)
        assert said in str(error.value)
    with pytest.raises(ConfigError, match="no field or metric 'scor'; did you mean 'score'"):
        order_folders(three, [], "scor")


def test_spans_and_labels():
    assert [parse_span(text) for text in ("30min", "12h", "1.5d", "2w")] == [
        1800,
        43200,
        129600,
        1209600,
    ]
    with pytest.raises(ValueError, match="7 days"):
        parse_span("7 days")
    assert Labels(("b",)).with_tags(("a", "-b")).tags == ("a",)
    assert Labels().with_note(" two\nlines ").note == "two lines"
    with pytest.raises(ConfigError, match="must be one word"):
        Labels().with_tags(("two words",))


def test_the_order_of_runs_is_that_of_their_records_wherever_their_files_were_copied_to(made):
    for title, when in (
        ("e/aa11", "2026-03-02T10:00:00.5+00:00"),
        ("e/bb22", "2026-03-01T10:00:00.5+00:00"),
        ("e/cc33", None),
    ):
        path = made(title)
        origin = RunFolder(path).read_provenance() | ({"when": when} if when else {})
        RunFolder(path).write_provenance(
            {name: value for name, value in origin.items() if name != "checksum"}
        )
    os.utime(
        "outputs/runs/e/cc33/scores.parquet", (1.7e9, 1.7e9)
    )  # an earlier version's, of November 2023
    index = RunIndex.of()
    assert order_folders(index, index.paths, "-modified") == [
        "runs/e/aa11",
        "runs/e/bb22",
        "runs/e/cc33",
    ]
    assert index.column("when")["runs/e/aa11"] == "2026-03-02 10:00"
    assert RunFolder.find("e").title == "e/aa11"
