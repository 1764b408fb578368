"""Losses of fits: nothing is recorded unless a run asks, names are told apart, and a file is
written once a second at most.
"""

import json

import numpy as np
import pytest
import xgboost

from hwds.evaluation.cells import inner_fit, learning_curve, recorded_learning
from hwds.evaluation.trees import observe_losses
from hwds.results.records import (
    LEARNING_FILE,
    LEARNING_FOLDER,
    latest_losses,
    read_learning,
    write_learning,
)


def test_nothing_is_recorded_unless_asked(tmp_path):
    with recorded_learning(None, "lstm", "2023", 0), inner_fit("lstm", "2022"):
        curve = learning_curve("network 1", "epoch")
        curve.report(1, 0.5)
    assert not curve.wanted
    with recorded_learning(tmp_path / LEARNING_FOLDER, "naive", "2023", 0):
        pass
    assert list(tmp_path.iterdir()) == []
    assert read_learning(tmp_path).is_empty()


def test_fits_of_a_cell_are_told_apart_and_inner_ones_say_what_they_are_of(tmp_path):
    with recorded_learning(tmp_path / LEARNING_FOLDER, "stack", "2023", 0):
        for _ in range(2):
            learning_curve("booster", "round").report(1, 0.5, 0.6)
        with inner_fit("lstm", "2023, inner window 2 of 12"):
            learning_curve("network 1", "epoch").report(1, np.nan)
        with inner_fit("stack", "2023, inner window 1 of 12"):
            learning_curve("booster", "round").report(1, 0.1)
    rows = read_learning(tmp_path)
    assert rows["fit"].to_list() == [
        "booster", "booster (2)", "lstm, inner window 2 of 12, network 1", "inner window 1 of 12, "
                                                                           "booster"
    ]  # fmt: skip
    assert rows["train"].to_list() == [0.5, 0.5, None, 0.1]
    assert rows["validation"].to_list() == [0.6, 0.6, None, None]


def test_a_file_is_written_once_a_second_at_most(tmp_path, monkeypatch):
    clock = iter(np.arange(0, 100, 0.25))
    monkeypatch.setattr("hwds.evaluation.cells.time.monotonic", lambda: float(next(clock)))
    sizes = set()
    with recorded_learning(tmp_path / LEARNING_FOLDER, "lstm", "2023", 0):
        curve = learning_curve("network 1", "epoch")
        for epoch in range(1, 41):
            curve.report(epoch, 1 / epoch)
            sizes.add(
                sum(path.stat().st_size for path in (tmp_path / LEARNING_FOLDER).glob("*.jsonl"))
            )
    assert len(sizes) <= 1 + 41 / 4
    assert read_learning(tmp_path)["step"].to_list() == list(range(1, 41))


def test_a_half_written_line_is_left_out_and_an_earlier_table_keeps_other_cells(tmp_path):
    for model in ("a", "b"):
        with recorded_learning(tmp_path / LEARNING_FOLDER, model, "2023", 0):
            learning_curve("network 1", "epoch").report(1, 0.5)
    write_learning(tmp_path)
    assert not (tmp_path / LEARNING_FOLDER).exists()
    assert (tmp_path / LEARNING_FILE).is_file()
    with recorded_learning(tmp_path / LEARNING_FOLDER, "b", "2023", 0):
        for epoch in (1, 2):
            learning_curve("network 1", "epoch").report(epoch, 0.25)
    (file,) = (tmp_path / LEARNING_FOLDER).glob("*.jsonl")
    with file.open("a") as text:
        text.write('{"fit": "network')
    assert read_learning(tmp_path).select("model", "train").rows() == [
        ("a", 0.5),
        ("b", 0.25),
        ("b", 0.25),
    ]
    assert latest_losses(tmp_path)["step"] == 2
    assert json.loads(file.read_text().splitlines()[0]) == {
        "model": "b",
        "fold": "2023",
        "start": 0,
    }


@pytest.mark.parametrize("patience", [0, 3])
def test_a_booster_that_is_observed_is_the_same_to_the_byte(tmp_path, patience):
    rng = np.random.default_rng(0)
    rows, later = rng.normal(size=(80, 3)), rng.normal(size=(40, 3))
    train, stop = (
        xgboost.QuantileDMatrix(rows, rows[:, 0] ** 2),
        xgboost.DMatrix(later, later[:, 0] ** 2),
    )
    settings = {"nthread": 1, "max_depth": 2, "eta": 0.5}
    options = (
        {"evals": [(stop, "stop")], "early_stopping_rounds": patience, "verbose_eval": False}
        if patience
        else {}
    )

    def grown():
        booster = xgboost.train(
            settings,
            train,
            12,
            **observe_losses(options, train, learning_curve("booster", "round")),
        )
        return bytes(booster.save_raw("ubj"))

    alone = grown()
    with recorded_learning(tmp_path / LEARNING_FOLDER, "xgboost", "2023", 0):
        assert grown() == alone
    losses = read_learning(tmp_path)
    assert losses["step"].to_list() == list(range(1, len(losses) + 1))
    assert losses["train"].is_sorted(descending=True)
    assert losses["validation"].null_count() == (0 if patience else len(losses))
