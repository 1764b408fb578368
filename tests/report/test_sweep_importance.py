"""Which settings mattered, or why that is not said; the trials as lines through them."""

import numpy as np
import polars as pl
import pytest

from hwds.report.pictures import save_png
from hwds.report.sweep import (
    UNUSED_SETTING,
    SweepResult,
    axis_places,
    first_scores,
    settings_matrix,
    varied_settings,
)
from hwds.report.sweep_pictures import (
    draw_sweep,
    importance_figure,
    importance_of,
    importance_page,
    importance_sentence,
    parallel_figure,
)
from hwds.results.tables import Measure


def sweep(trials=40, noise=0.05, better="low"):
    """A search whose score follows the rate alone.

    Trials but the first ten were stopped after one window.
    """
    rng = np.random.default_rng(0)
    rate, form = 10 ** rng.uniform(-3, -1, trials), rng.choice(["a", "b"], trials)
    score = np.abs(np.log10(rate) + 2) + noise * rng.normal(size=trials)
    power = [
        float(value) if kind == "a" else None
        for value, kind in zip(rng.random(trials), form, strict=True)
    ]
    done = np.arange(trials) < 10
    table = pl.DataFrame(
        {
            "trial": range(trials),
            "status": np.where(done, "finished", "stopped"),
            "windows": np.where(done, 6, 1),
            "score": score,
            "stderr": [0.1] * trials,
            "error": [""] * trials,
            "model.rate": rate,
            "model.form": form,
            "model.power": power,
            "model.same": [1] * trials,
            "seconds": [1.0] * trials,
            "cached": [0] * trials,
            "host": ["h"] * trials,
        }
    )
    found = SweepResult(
        table, Measure("mase[m=12]", better=better), better, 6, 3, "forecast/xgboost"
    )
    runs = {
        f"trial {i}": {1: float(score[i])} | ({6: float(score[i])} if done[i] else {})
        for i in range(trials)
    }
    took = {label: {rung: float(rung) for rung in rungs} for label, rungs in runs.items()}
    return found, runs, took


def test_the_setting_that_drives_the_score_comes_first():
    found, runs, _ = sweep()
    told = importance_of(found, runs)
    assert told.shares["setting"][0] == "model.rate"
    assert set(told.shares["setting"]) == {"model.rate", "model.form", "model.power"}
    assert told.windows == 1
    told_of = told.as_dict()
    assert told_of["settings"]["model.rate"]["share"] > 0.6
    assert importance_sentence(told_of).startswith("Shares in the spread of scores: model.rate ")
    page = importance_page(told)
    assert "![importance](importance.png)" in page
    assert "| model.rate |" in page
    figure = importance_figure(found, told)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == told.shares[
        "setting"
    ].to_list()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (sweep(trials=9), "9 trials have a score; with 3 settings at least 12 are needed"),
        (sweep(trials=40, noise=100.0), "The settings do not foretell the scores"),
    ],
)
def test_what_cannot_be_said_is_refused_in_words_and_not_drawn(asked, said, tmp_path):
    found, runs, _ = asked
    told = importance_of(found, runs)
    assert told.refused.startswith(said)
    assert told.refused in importance_page(told)
    assert importance_sentence(told.as_dict()) == told.refused
    (tmp_path / "importance.png").write_text("of before")
    save_png(importance_figure(found, told), tmp_path / "importance.png")
    assert not list(tmp_path.iterdir())


def test_without_a_setting_that_differs_there_is_nothing_to_say():
    found, runs, _ = sweep()
    alike = SweepResult(
        found.trials.drop("model.rate", "model.form", "model.power"),
        found.measure,
        "low",
        6,
        3,
        "m",
    )
    assert importance_of(alike, runs).refused.startswith("No setting differs")
    assert parallel_figure(alike, runs) is None


def test_settings_as_a_forest_reads_them():
    found, runs, _ = sweep()
    table = first_scores(found, runs)
    assert table["compared"].unique().to_list() == [1]
    assert varied_settings(table) == ["model.rate", "model.form", "model.power"]
    where, names = axis_places(pl.Series(["b", None, "a"]))
    assert (where.tolist(), names) == ([1.0, 2.0, 0.0], ["a", "b", UNUSED_SETTING])
    power = settings_matrix(table, ["model.power"])[:, 0]
    unused = table["model.power"].is_null().to_numpy()
    assert power[unused].max() < power[~unused].min()


def test_lines_run_through_the_settings_to_the_score_with_the_good_end_up():
    for better in ("low", "high"):
        found, runs, _ = sweep(better=better)
        axes = parallel_figure(found, runs, ["model.rate"]).axes[0]
        lines = [line for line in axes.lines if line.get_marker() == "o"]
        assert len(lines) == 40
        assert {line.get_xdata()[-1] for line in lines} == {3}, "past unused settings, too"
        ends = np.array([line.get_ydata()[-1] for line in lines])
        score = found.trials["score"].to_numpy()
        assert np.argmax(ends) == (np.argmin(score) if better == "low" else np.argmax(score))
        assert {"rate", "form", "power", "mase"} <= {text.get_text() for text in axes.texts}


def test_all_pictures(tmp_path):
    found, runs, took = sweep()
    shown = draw_sweep(found, importance_of(found, runs), runs, took, ["model.rate"], tmp_path)
    assert shown == ["![sweep](sweep.png)", "![parallel](parallel.png)"]
    assert all(
        (tmp_path / f"{name}.png").stat().st_size > 10_000
        for name in ("sweep", "parallel", "importance")
    )
