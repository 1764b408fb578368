"""Importances: means of all exact contributions, over windows and over the luck of fits."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.detection.models.classify.logistic import Logistic
from hwds.detection.models.classify.random_forest import RandomForest
from hwds.detection.predictions import draw_rows, importance_scores
from hwds.detection.protocols.prequential import Prequential
from hwds.detection.rows import RowContext
from hwds.evaluation.protocol import Cell
from hwds.frames.features.none import None_
from tests.support.rows import toy_rows

PROTOCOL = Prequential(
    windows=2,
    train_days=14,
    stop_days=2,
    calibrate_days=4,
    decide_days=2,
    delay_days=2,
    test_days=5,
    importance_rows=60,
)


CONTEXT = RowContext(3, features=None_())


def rows_of(model, protocol=PROTOCOL):
    frame = toy_rows()
    cells = [Cell("m", fold, 0, fold.units) for fold in protocol.split(frame)]
    return pl.concat([protocol.evaluate_cell(model, frame, cell, CONTEXT) for cell in cells])


def told(rows, metric="importance_share", of="input", cutoff=None):
    test = rows.filter(pl.col("part") == "test")
    lines = [
        each
        for each in importance_scores(test)
        if (each.metric, each.segment_by, each.cutoff) == (metric, of, cutoff)
    ]
    return {each.segment: each for each in lines}


def test_they_are_the_means_of_all_inputs_contributions():
    frame, rows = toy_rows(), rows_of(Logistic())
    fold = PROTOCOL.split(frame)[1]
    parts = PROTOCOL.for_model(Logistic()).parts(frame, fold.cutoffs[0].at, CONTEXT)
    fitted = PROTOCOL.fit_model(Logistic(), parts, replace(CONTEXT, fold=fold.name))
    shown = draw_rows(parts["test"], 60, CONTEXT.seed)
    found = fitted.explain(shown)
    assert len(shown.data) == 60
    sizes = dict(zip(found.names, np.abs(found.values).mean(axis=0), strict=True))
    window = told(rows, "importance", cutoff=fold.name)
    assert {name: each.value for name, each in window.items()} == pytest.approx(sizes)
    assert {each.n for each in window.values()} == {60}
    whole, other = (
        told(rows, "importance"),
        told(rows, "importance", cutoff=PROTOCOL.split(frame)[0].name),
    )
    assert whole["spent"].value == pytest.approx((window["spent"].value + other["spent"].value) / 2)
    assert sum(each.value for each in told(rows).values()) == pytest.approx(1)
    assert whole["spent"].ci_low is None


def test_inputs_of_one_subject_are_added_before_sizes_are_taken():
    rows = rows_of(RandomForest(trees=8, depth=3))
    single, together = told(rows, "importance"), told(rows, "importance", of="subject")
    assert set(together) == {"spent", "quantity", "channel", "promoted", "visits"}
    assert together["channel"].value == single["channel"].value


def test_seeds_have_the_luck_of_a_fit_and_a_model_without_luck_is_not_fitted_for_all_of_them(
    monkeypatch,
):
    protocol, fits = replace(PROTOCOL, importance_seeds=4), []
    learn = Logistic.learn
    monkeypatch.setattr(
        Logistic, "learn", lambda self, *args, **told: fits.append(1) or learn(self, *args, **told)
    )
    plain, lucky = (
        told(rows_of(Logistic(), protocol)),
        told(rows_of(RandomForest(trees=8, depth=3), protocol)),
    )
    assert len(fits) == 2 * 2
    assert all(each.ci_low == each.value == each.ci_high for each in plain.values())
    assert all(each.ci_low <= each.value <= each.ci_high for each in lucky.values())
    assert lucky["spent"].ci_low < lucky["spent"].ci_high
    assert lucky["spent"].ci_method == "range of 4 seeds"
    assert rows_of(RandomForest(trees=8, depth=3), protocol).equals(
        rows_of(RandomForest(trees=8, depth=3), protocol)
    )


def test_every_model_is_told_of_the_same_rows_and_none_where_none_are_asked():
    frame = toy_rows()
    fewer = draw_rows(frame, 20, 3).data["row_id"]
    assert set(fewer) < set(draw_rows(frame, 50, 3).data["row_id"])
    rows = rows_of(Logistic(), replace(PROTOCOL, importance_rows=0))
    assert not list(importance_scores(rows.filter(pl.col("part") == "test")))
    assert "importances" not in PROTOCOL.rows_to_keep(rows).columns
