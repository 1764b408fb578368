"""Adaptive intervals: they learn from what has come true, and from nothing else."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.forecast.postprocessing import (
    adaptive_rows,
    conformal_rows,
    inside_intervals,
    newest_rows,
)
from hwds.forecast.protocols.walk_forward import WalkForward
from tests.forecast.protocols.test_conformal import (
    LEVELS,
    SHOWN,
    Narrow,
    coverage,
    noisy,
    raw,
    settled,
)
from tests.support.panels import monthly_panel


def walk(**more):
    told = {"windows": 5, "horizon": 6, "levels": LEVELS, "intervals": "adaptive"}
    return WalkForward(**told | more)


@pytest.mark.parametrize(("refit", "stride"), [("always", 6), ("never", 6), ("every_2", 2)])
@pytest.mark.parametrize("align", ["calendar", "end"])
def test_later_actuals_change_nothing_at_a_cutoff(align, refit, stride, tmp_path):
    panel = noisy(10, 80).until(np.array([80, 80, 80, 70, 80, 80, 80, 66, 80, 80]))
    rows = raw(walk(align=align, refit=refit, stride=stride), panel, Narrow(), tmp_path)
    clean = adaptive_rows(rows, LEVELS, 3)
    for fold, window in (
        rows.filter(pl.col("window") >= 0)
        .select("fold", "window")
        .unique()
        .sort("fold", "window")
        .rows()
    ):
        here = (pl.col("fold") == fold) & (pl.col("window") == window)
        cutoffs = rows.filter(here).select("series_id", pl.col("cutoff").alias("now"))
        marked = rows.join(cutoffs.unique(), "series_id", "left", maintain_order="left")
        late = (pl.col("time") > pl.col("now").fill_null(cutoffs["now"].min())) & (
            pl.col("window") >= 0
        )
        rubbish = marked.with_columns(
            pl.when(late).then(-1e9).otherwise("actual").alias("actual")
        ).drop("now")
        keys = rows.filter(here).select("fold", "series_id", "cutoff", "step")
        wanted, got = (
            part.join(keys, keys.columns, "semi")
            for part in (clean, adaptive_rows(rubbish, LEVELS, 3))
        )
        assert wanted.select(SHOWN).equals(got.select(SHOWN))
    assert not clean.equals(conformal_rows(rows, LEVELS))


def test_the_first_cutoff_is_that_of_plain_conformal(tmp_path):
    panel = noisy(20, 80)
    first = pl.col("fold") == 0
    online = settled(walk(), panel, Narrow(), tmp_path).filter(first)
    plain = settled(walk(intervals="conformal"), panel, Narrow(), tmp_path).filter(first)
    assert online.equals(plain)


def test_they_follow_a_world_that_grows_wilder(tmp_path):
    panel = noisy(40, 150)
    rng = np.random.default_rng(1).normal(0, 1, len(panel.table))
    wild = np.where(panel.positions >= 102, 40.0, 4.0)
    panel = replace(panel, table=panel.table.with_columns(target=pl.Series(1000 + rng * wild)))
    found = {}
    for kind in ("conformal", "adaptive"):
        rows = settled(walk(windows=8, refit="never", intervals=kind), panel, Narrow(), tmp_path)
        found[kind] = [coverage(part) for _, part in rows.group_by("cutoff", maintain_order=True)]
    assert found["adaptive"][0] == found["conformal"][0] < 0.3
    assert max(found["conformal"]) < 0.3
    assert (
        0.75 < np.mean(found["adaptive"][-4:]) < 0.95
    )  # the scale of the series goes on growing with its history


def test_an_actual_that_is_not_out_yet_teaches_nothing(tmp_path):
    panel = monthly_panel(10, 80)
    out = panel.table["time"].dt.offset_by("13mo").alias("out")
    panel = replace(
        panel, table=panel.table.with_columns(out), roles=panel.roles | {"available_at": "out"}
    )
    rows = raw(walk(windows=3), panel, Narrow(), tmp_path)
    assert "available_at" in rows.columns
    rubbish = rows.with_columns(
        pl.when(pl.col("window") >= 0).then(-1e9).otherwise("actual").alias("actual")
    )
    clean, other = (adaptive_rows(part, LEVELS, 3) for part in (rows, rubbish))
    assert clean.select(SHOWN).equals(other.select(SHOWN))
    assert "available_at" not in clean.columns


def test_the_pool_keeps_the_newest_windows():
    step, order = np.ones(40, np.int64), np.repeat([-2, -1, 0, 1], 10)
    assert newest_rows(step, order, 2).all()  # few rows: all are kept
    step, order = np.ones(600, np.int64), np.repeat([-2, -1, 0, 1], 150)
    assert np.unique(order[newest_rows(step, order, 1)]).tolist() == [0, 1]
    assert np.unique(order[newest_rows(step, order, 3)]).tolist() == [-1, 0, 1]


def test_an_actual_on_an_end_may_count_as_inside_or_not():
    levels = np.array([0.1, 0.5, 0.9])
    quantiles = np.array([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]])
    least, most = inside_intervals(
        quantiles, np.array([2.0, -1.0]), np.array([[False] * 3, [True] * 3]), levels
    )
    assert least[:, 0].tolist() == [False, True]
    assert most[:, 0].tolist() == [True, True]


def test_without_inner_windows_they_learn_from_what_comes_true(tmp_path):
    rows = raw(walk(windows=6, refit="every_3"), noisy(30, 90), Narrow(), tmp_path)
    rows = adaptive_rows(rows.filter(pl.col("window") >= 0), LEVELS, 3)
    first = rows["cutoff"].min()
    assert not rows.filter(pl.col("cutoff") == first)["calibrated"].any()
    late = rows.filter(pl.col("cutoff") > first)
    assert late["calibrated"].all()
    assert coverage(late) == pytest.approx(0.8, abs=0.1)


@pytest.mark.parametrize("intervals", ["conformal", "adaptive"])
def test_the_truth_is_left_alone(intervals, tmp_path):
    class True_(Narrow):
        """Knows."""

        true_law = True

    own = settled(walk(intervals="model", windows=3), noisy(6), Narrow(), tmp_path)
    rows = settled(walk(intervals=intervals, windows=3), noisy(6), True_(), tmp_path)
    assert rows.drop("calibrated").equals(own)
