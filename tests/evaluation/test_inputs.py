"""A data file that a user's code reads is in the key of what it computes: editing it computes
again, another one does not.
"""

import json
import sys

import polars as pl
import pytest

from hwds.core import cache as inputs
from hwds.core.keys import machine_digest
from hwds.evaluation.networks import tensorflow
from hwds.results.folder import RunFolder
from tests.support.command_line import forget_options
from tests.support.slow_project import SCALED

MODEL = (
    '''
from dataclasses import dataclass
from functools import cache
from pathlib import Path
import polars as pl
from hwds.frames.panel import Forecasts
from tests.support.panels import FittedLastValue, LastValue

LOADED = float(Path("loaded.txt").read_text())

@cache
def kept():
    return float(Path("kept.txt").read_text())

class Reading(LastValue):
    """Multiplies by numbers from files."""
    table: str = "table.csv"
    times: float = 1.0

    def learn(self, history, *, horizon, context):
        factor = pl.read_csv(self.table)["factor"][0] * LOADED * kept() * self.times
        return Scaled(context.levels, factor)

'''
    + SCALED
)
WORDS = (
    "model=mine/reading dataset=file dataset.path=sales.csv dataset.roles.series=shop "
    "dataset.roles.time=month"
    " dataset.roles.target=units protocol.horizon=3 protocol=holdout"
)
MONTHS = pl.date_range(pl.date(2020, 1, 1), pl.date(2021, 12, 1), "1mo", eager=True)
SALES = pl.concat(
    [pl.DataFrame({"shop": shop, "month": MONTHS, "units": range(1, 25)}) for shop in "ab"]
)
FILES = {
    "table.csv": "factor\n1.5\n",
    "loaded.txt": "2",
    "kept.txt": "1",
    "unrelated.csv": "a\n1\n",
}


@pytest.fixture
def run(command, monkeypatch, tmp_path):
    """Run the model as a fresh process would.

    Return the id, the tables, and how many cells were computed.
    """
    monkeypatch.setattr("hwds.cli.run.draw", lambda *_: None)
    monkeypatch.setattr("hwds.cli.sweep.draw_sweep", lambda *_: [])
    (tmp_path / "conf" / "model" / "mine").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "mine" / "reading.yaml").write_text(
        "recipe: reading_models:Reading\n"
    )
    (tmp_path / "reading_models.py").write_text(MODEL)
    SALES.write_csv(tmp_path / "sales.csv")
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)

    def run(*words):
        sys.modules.pop("reading_models", None)
        inputs._READ.clear()
        forget_options()
        answer = command(f"{WORDS} {' '.join(words)}")
        assert answer.code == 0, answer
        written = (tmp_path / "outputs/runs/adhoc").glob("*/timings.parquet")
        folder = RunFolder(max(written, key=lambda path: path.stat().st_mtime_ns).parent)
        tables = folder.read_tables()
        return (
            folder.path.name,
            tables.predictions.filter(pl.col("model") == "mine/reading")["mean"],
            int((~tables.timings["cached"]).sum()),
        )

    yield run
    inputs._READ.clear()


EDITS = {"table.csv": ("factor\n3.0\n", 2), "loaded.txt": ("4", 2), "kept.txt": ("0.5", 0.5)}


def test_editing_a_file_that_is_read_computes_again_and_editing_another_does_not(run, tmp_path):
    first, before, computed = run()
    assert computed > 0
    (tmp_path / "unrelated.csv").write_text("a\n2\n")
    assert run()[::2] == (first, 0)
    known = json.loads((tmp_path / "outputs/runs/adhoc" / first / "inputs.json").read_text())
    assert {*known} == {"table.csv", "loaded.txt", "kept.txt", "checksum"}
    ids, last = {first}, before
    for name, (text, factor) in EDITS.items():
        (tmp_path / name).write_text(text)
        run_id, after, computed = run()
        assert computed > 0, name
        assert run_id not in ids, name
        assert after.to_list() == pytest.approx((last * factor).to_list())
        ids.add(run_id)
        last = after
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    again, same, _ = run()
    assert again == first
    assert same.equals(before)


def test_a_file_that_workers_read_counts_too(run, tmp_path):
    words = "compute=processes compute.workers=2 protocol=walk_forward protocol.windows=2"
    first, before, _ = run(words)
    (tmp_path / "kept.txt").write_text("3")
    second, after, computed = run(words)
    assert (first != second, computed > 0) == (True, True)
    assert after.to_list() == pytest.approx((before * 3).to_list())


def test_a_sweep_of_other_content_is_another_sweep(run, tmp_path):
    words = (
        "compute=serial sweep=grid sweep.windows=1 'sweep.space={model:{times:{choice:[1.0,0.5]}}}'"
    )
    for count, text in ((1, "1"), (2, "3"), (2, "1")):
        (tmp_path / "kept.txt").write_text(text)
        run(words)
        assert len(list((tmp_path / "outputs/sweeps/adhoc").iterdir())) == count


def test_variables_that_choose_instructions_are_in_the_keys(monkeypatch):
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    monkeypatch.setenv("PYTHONHASHSEED", "1")
    before = machine_digest()
    monkeypatch.setenv("PYTHONHASHSEED", "2")
    assert machine_digest() == before
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    assert machine_digest() != before


def test_a_network_that_was_loaded_before_changes_no_key(monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    before = machine_digest()
    tensorflow(1)
    assert machine_digest() == before


def test_the_content_of_a_file_that_changed_after_it_was_read_is_not_known(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(inputs, "_READ", {})
    (tmp_path / "kept.txt").write_text("7")
    with inputs.note_inputs():
        (tmp_path / "kept.txt").read_text()
    noted = inputs.read_so_far()
    assert inputs.are_unchanged(noted)
    (tmp_path / "kept.txt").write_text("8")
    assert not inputs.are_unchanged(noted)
    assert not inputs.are_unchanged(inputs.read_so_far())
    with inputs.note_inputs():
        (tmp_path / "kept.txt").read_text()
    assert inputs.are_unchanged(inputs.read_so_far())
