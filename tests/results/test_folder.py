"""What a folder holds is read whole, or refused in a line that says which file is damaged."""

import json
from datetime import date

import polars as pl
import pytest
import yaml

from hwds.core.errors import ConfigError, HwdsError
from hwds.results.comparison import comparison_folder
from hwds.results.files import read_together
from hwds.results.folder import RunFolder
from hwds.results.index import RunIndex
from hwds.results.sweep_folder import SweepFolder


@pytest.mark.parametrize(
    ("file", "read"),
    [
        ("scores.parquet", RunFolder.read_tables),
        ("timings.parquet", RunFolder.read_tables),
        ("config.yaml", RunFolder.read_config),
        ("provenance.json", RunFolder.read_provenance),
    ],
)
def test_a_file_that_was_cut_short_is_said(made, file, read):
    folder = RunFolder(made("sales/aa11"))
    path = folder.path / file
    path.write_bytes(path.read_bytes()[:5])
    with pytest.raises(
        HwdsError,
        match=rf"aa11/{file}: is damaged: .+; delete it, and the same command makes it again\.$",
    ):
        read(folder)


def test_tables_of_many_runs_are_those_of_each(made):
    folders = [RunFolder(made(f"sales/aa{seed}", seed=seed)) for seed in range(3)]
    folders.append(RunFolder(made("units/bb", model="forecast/theta")))
    table = folders[1].read_tables().predictions
    table.with_columns(pl.lit(2.0).alias("q_0.9")).write_parquet(
        folders[1].path / "predictions.parquet"
    )  # other columns
    table.clear().write_parquet(folders[2].path / "predictions.parquet")
    (folders[3].path / "metrics.parquet").unlink()  # a run of before
    for own, folder in zip(RunFolder.tables_of(folders), folders, strict=True):
        for name, expected in vars(folder.read_tables()).items():
            assert getattr(own, name).equals(expected), (folder.title, name)
    same = [
        read_together([folder.path / "timings.parquet" for folder in folders[:2]]),
        folders[0].read_tables().timings,
    ]
    assert same[0][0].equals(same[1])


def test_of_many_runs_the_damaged_one_is_named(made):
    folders = [RunFolder(made(f"sales/aa{seed}", seed=seed)) for seed in range(3)]
    path = folders[1].path / "predictions.parquet"
    path.write_bytes(path.read_bytes()[:9])
    with pytest.raises(HwdsError, match=r"aa1/predictions.parquet: is damaged"):
        RunFolder.tables_of(folders)
    (folders[2].path / "scores.parquet").unlink()
    with pytest.raises(HwdsError, match=r"run sales/aa2 is not finished"):
        RunFolder.tables_of(folders)


def test_a_config_that_has_changed_is_refused_and_one_of_an_earlier_version_is_read(made):
    folder = RunFolder(made("sales/aa11", seed=3))
    path, plain = folder.path / "config.yaml", folder.path / ".config.json"
    told = folder.read_config()
    assert json.loads(plain.read_text())["config"] == told == yaml.safe_load(path.read_text())
    path.write_text(path.read_text().replace("seed: 3", "seed: 4"))
    with pytest.raises(
        HwdsError,
        match=r"config.yaml: is damaged: config.yaml has changed since the run wrote it; delete it",
    ):
        folder.read_config()
    plain.unlink()
    assert folder.read_config() == told | {"seed": 4}
    folder.write_config(told | {"seed": date(2024, 1, 2)})  # what JSON has not
    assert folder.read_config()["seed"] == date(2024, 1, 2)


def test_a_config_that_was_cut_short_between_two_lines_is_said(made):
    folder = RunFolder(made("sales/aa11"))
    path = folder.path / "config.yaml"
    path.write_text(path.read_text().partition("protocol:")[0])
    with pytest.raises(
        HwdsError,
        match=r"aa11/config.yaml: is damaged: config.yaml ends early: it has no protocol; delete "
        r"it",
    ):
        folder.read_config()
    assert RunIndex.of().column("reason") == {
        "runs/sales/aa11": "config.yaml ends early: it has no protocol"
    }


def test_names_are_told_apart_or_refused_alike(made, tmp_path):
    for title in ("sales/0a11", "sales/0b22", "units/0c33"):
        made(title)
    for path in (
        "sweeps/sales/0a77/sweep.json",
        "comparisons/0b99/comparison.json",
        "comparisons/0e00/comparison.json",
    ):
        (tmp_path / "outputs" / path).parent.mkdir(parents=True)
        (tmp_path / "outputs" / path).write_text("{}")
    assert RunFolder.find("0c").title == "units/0c33"
    assert SweepFolder.find_unless_run("sweeps/0a").title == "sales/0a77"
    assert comparison_folder("0e").name == "0e00"
    assert comparison_folder("0a") is None
    for asked, said in (
        (lambda: RunFolder.find("zzz"), "no run 'zzz' below outputs/runs; known: sales, units."),
        (lambda: RunFolder.find("sale"), "no run 'sale' below outputs/runs; did you mean 'sales'?"),
        (lambda: RunFolder.find("0"), "run '0': 3 runs begin so: 0a11, 0b22, 0c33."),
        (
            lambda: SweepFolder.find_unless_run("sweeps/sale"),
            "no sweep 'sweeps/sale' below outputs/sweeps; did you mean 'sweeps/sales'?",
        ),
        (
            lambda: SweepFolder.find_unless_run("0a"),
            "'0a': run sales/0a11 and sweep sales/0a77 begin so; say more of the one you mean.",
        ),
        (
            lambda: comparison_folder("0b"),
            "'0b': run sales/0b22 and comparison comparisons/0b99 begin so; say more",
        ),
        (lambda: comparison_folder("0"), "comparison '0': 2 comparisons begin so: 0b99, 0e00."),
    ):
        with pytest.raises(ConfigError) as error:  # exit code 2
            asked()
        assert str(error.value).startswith(said)


def test_the_name_of_an_experiment_is_not_the_beginning_of_an_id(made):
    for title in ("sales/d3aa", "d3/0a11"):
        made(title)
    assert RunFolder.find("d3").title == "d3/0a11"
    assert RunFolder.find("d3a").title == "sales/d3aa"
