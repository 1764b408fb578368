"""The line of a sweep, its sentences and its table."""

from dataclasses import replace

import polars as pl
import pytest

from hwds.report.pictures import save_png
from hwds.report.progress import SweepLine
from hwds.report.standings import ScoreValue
from hwds.report.sweep import (
    SweepResult,
    TunedEffect,
    rank_trials,
    result_as_dict,
    result_from_dict,
    sweep_conclusion,
    sweep_markdown,
    trials_grid,
)
from hwds.report.sweep_pictures import (
    front_figure,
    front_page,
    front_sentence,
    sweep_figure,
    time_spent,
)
from hwds.results.tables import Measure

TRIALS = pl.DataFrame(
    {
        "trial": [0, 1, 2, 3, 4],
        "status": ["finished", "stopped", "finished", "failed", "stopped"],
        "windows": [6, 1, 6, 2, 3],
        "score": [1.0, 0.2, 0.8, None, 2.0],
        "stderr": [0.1, 0.1, 0.1, None, 0.1],
        "error": ["", "", "", "window a: ValueError: no", ""],
        "source": [""] * 5,
        "model.depth": [6, 3, 4, 5, 2],
        "seconds": [1.0] * 5,
        "cached": [0] * 5,
        "host": ["h"] * 5,
    }
)
NUMBERS = {
    "inner": ScoreValue(0.8, 0.1, 0.6, 1.0),
    "final": ScoreValue(0.9, 0.1, 0.7, 1.1),
    "untuned_inner": ScoreValue(1.0, 0.1),
    "untuned_final": ScoreValue(1.2, 0.1),
}


def found(best=2, better="low", **numbers):
    return SweepResult(
        TRIALS,
        Measure("mase[m=12]", better=better),
        better,
        6,
        best,
        "forecast/xgboost",
        **(NUMBERS | numbers),
    )


def test_only_trials_with_all_windows_compete():
    assert rank_trials(found())["trial"].to_list() == [2, 0, 4, 1, 3]
    assert rank_trials(found(better="high"))["trial"].to_list() == [0, 2, 4, 1, 3]


def test_the_conclusion_says_what_is_left_of_the_choice():
    assert sweep_conclusion(found()) == (
        "NOT SURE: forecast/xgboost, tuned, is 25.0 % better than as it stood on the final "
        "windows.\n"
        "Trial 2 is the best of 2 trials on 6 inner windows (2 trials stopped on the way): mase "
        "0.80 (95 %: 0.60 to 1.00).\n"
        "On the final windows, which no trial has seen, it has 0.90 (95 %: 0.70 to 1.10): "
        "optimism (inner less final) -0.100"
        " ± 0.141, which may be chance.\nforecast/xgboost as it stood has 1.00 on the inner and "
        "1.20 on the final windows."
    )
    assert "25.0 % worse than as it stood" in sweep_conclusion(found(better="high"))
    assert sweep_conclusion(found(best=0)).startswith(
        "HOLD: forecast/xgboost stays as it stood: tuning found nothing better.\n"
    )
    alone = sweep_conclusion(found(untuned_final=ScoreValue()))
    assert alone.startswith("ESTIMATE: forecast/xgboost, tuned, was not compared")


def test_trials_of_earlier_sweeps_are_counted_apart_and_have_a_column():
    reused = replace(
        found(), trials=TRIALS.with_columns(source=pl.Series(["", "", "shop/1a2b", "", ""]))
    )
    assert (
        "is the best of 2 trials on 6 inner windows (1 of them of earlier sweeps; 2 trials "
        "stopped on the way)" in sweep_conclusion(reused)
    )
    assert (
        "| **2** | finished | 6/6 | 0.800 ± 0.100 | 4 | shop/1a2b |"
        in trials_grid(reused).markdown()
    )


FRONT = {
    "objectives": [{"name": "mase[m=12]", "better": "low"}, {"name": "seconds", "better": "low"}],
    "trials": [
        {"trial": 0, "values": [1.0, 9.0], "front": False},
        {"trial": 2, "values": [0.8, 5.0], "front": True},
        {"trial": 4, "values": [0.9, 0.5], "front": True},
    ],
}


def test_the_front_is_a_sentence_a_table_and_a_picture(tmp_path):
    said = (
        "Pareto front of mase and seconds, which no other trial beats in all of them: trials 2 "
        "and 4 (2 of 3)."
    )
    assert front_sentence(FRONT) == said
    page = front_page(FRONT, TRIALS, drawn=True)
    assert said in page
    assert "| 2 | 0.800 | 5.000 | 4 |\n| 4 | 0.900 | 0.500 | 2 |" in page
    figure = front_figure(FRONT, 2)
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_xscale()) == (
        "seconds",
        "mase[m=12]",
        "log",
    )
    assert sorted(zip(*axes.lines[0].get_data(), strict=True)) == [(0.5, 0.9), (5.0, 0.8)]
    assert [text.get_text() for text in axes.texts] == ["0, as it stood", "2, best", "4"]
    assert save_png(figure, tmp_path / "front.png")
    assert "front.png" in page
    assert "front.png" not in front_page(FRONT, TRIALS, drawn=False)
    assert (front_sentence({}), front_page({}, TRIALS, drawn=False), front_figure({}, 2)) == (
        "",
        "",
        None,
    )


def test_where_no_trial_has_all_objectives_there_is_no_front():
    none = FRONT | {"trials": []}
    assert (
        front_sentence(none)
        == "No Pareto front: no finished trial has a value of all of mase and seconds."
    )
    assert (
        front_page(none, TRIALS, drawn=False)
        == f"## The Pareto front\n\n{front_sentence(none)}\n\n"
    )


def test_the_conclusion_says_how_sure_the_choice_is():
    sure = found(tuned=TunedEffect(0.24, 0.05, 0.4, 0.01))
    assert sweep_conclusion(sure).startswith(
        "BETTER: forecast/xgboost, tuned, is 24.0 % better than as it stood on the final windows "
        "(95 %: 5.0 to 40.0).\n"
    )
    unsure = found(tuned=TunedEffect(0.24, -0.05, 0.5, 0.2))
    assert sweep_conclusion(unsure).startswith(
        "NOT SURE: forecast/xgboost, tuned, is 24.0 % better "
    )
    assert "(95 %: -5.0 to 50.0).\n" in sweep_conclusion(unsure)
    worse = found(tuned=TunedEffect(-0.1, -0.2, -0.01, 0.03))
    assert sweep_conclusion(worse).startswith(
        "WORSE: forecast/xgboost, tuned, is 10.0 % worse than "
    )
    few = found(tuned=TunedEffect(0.24, reason="one cutoff cannot tell"))
    assert sweep_conclusion(few).startswith("NOT SURE: ")
    assert "on the final windows (one cutoff cannot tell).\n" in sweep_conclusion(few)
    same = found(untuned_final=ScoreValue(0.9, 0.1), tuned=TunedEffect(0.0, 0.0, 0.0, 1.0))
    assert "is as good as it stood on the final windows, to the last digit." in sweep_conclusion(
        same
    )
    below = found(
        untuned_final=ScoreValue(-1.2),
        final=ScoreValue(-1.5),
        tuned=TunedEffect(0.3, 0.1, 0.5, 0.01),
    )
    assert "25.0 % better than as it stood on the final windows (95 %: 0.100 to 0.500)." in (
        sweep_conclusion(below)
    )


def test_the_numbers_of_the_end():
    told = result_as_dict(found())
    ends = {"inner": 0.8, "inner_stderr": 0.1, "final": 0.9, "final_stderr": 0.1}
    ends |= {"inner_low": 0.6, "inner_high": 1.0, "final_low": 0.7, "final_high": 1.1}
    assert told["best"] == {
        "trial": 2,
        **ends,
        "optimism": pytest.approx(-0.1),
        "optimism_stderr": pytest.approx(0.02**0.5),
    }
    config = {
        "config": {"model": {"name": "forecast/xgboost"}},
        "windows": ["a"] * 6,
        "better": "low",
    }
    assert told["tuned"]["effect"] is None
    again = result_from_dict(TRIALS, {**told, **config}, Measure("mase[m=12]", better="low"))
    assert sweep_conclusion(again) == sweep_conclusion(found())
    assert found(final=ScoreValue()).optimism is None


def test_the_page_has_all_trials_and_their_errors():
    page = sweep_markdown(found(), "Sweep x", "hwds +experiment=best", ("![sweep](sweep.png)", ""))
    assert "runs them.\n\n![sweep](sweep.png)\n\n## Trials\n\n|" in page
    assert page.startswith("# Sweep x\n")
    assert "| **2** | finished | 6/6 | 0.800 ± 0.100 | 4 |" in page
    assert "- trial 3: window a: ValueError: no" in page


def test_the_line():
    line = SweepLine(4, "mase", "low", 6)
    line.begin(24, 6)
    line.trial("trial 0", "finished", 6, 0.7, 0)
    line.trial("trial 1", "stopped", 1, 0.9, 5)
    assert line.line().startswith("trials 2/4 · cells 6/19 · 6 kept")
    assert line.line().endswith("best mase 0.7 (trial 0)")
    line.trial("trial 2", "finished", 6, 0.6, 0)
    line.trial("trial 3", "unfinished", 1, 0.1, 0)
    assert line.line().endswith("best mase 0.6 (trial 2)")
    higher = SweepLine(4, "aucpr", "high", 6)
    for label, value in (("trial 0", 0.7), ("trial 1", 0.6)):
        higher.trial(label, "finished", 6, value, 0)
    assert higher.line().endswith("best aucpr 0.7 (trial 0)")
    line.end()


RUNS = {
    "trial 0": {1: 1.1, 6: 1.0},
    "trial 1": {1: 0.2},
    "trial 2": {1: 0.9, 3: 0.85, 6: 0.8},
    "trial 4": {1: 1.5, 3: 2.0},
}


TOOK = {
    "trial 0": {1: 10.0, 6: 60.0},
    "trial 1": {1: 10.0},
    "trial 2": {1: 20.0, 3: 60.0, 6: 120.0},
    "trial 4": {1: 5.0, 3: 15.0},
}


def test_the_time_when_each_trial_came_to_each_rung():
    spent = time_spent(TOOK)
    assert [spent[number, 1] for number in (0, 1, 2, 4)] == [10.0, 20.0, 40.0, 45.0]
    assert (spent[2, 3], spent[4, 3]) == (85.0, 95.0)
    assert (spent[0, 6], spent[2, 6]) == (145.0, 205.0)


def test_the_picture(tmp_path):
    told = found()
    trials, time, rungs, depth = sweep_figure(told, RUNS, TOOK).axes
    assert list(time.lines[0].get_xdata()) == [145.0 / 60, 205.0 / 60]
    assert time.get_xlabel() == "minutes of one core, all trials together"
    assert [label.get_text() for label in rungs.get_xticklabels()] == [
        "1\n4 trials",
        "3\n2 trials",
        "6\n2 trials",
    ]
    assert trials.get_xlabel() == "trial"
    assert list(trials.lines[0].get_ydata()) == [1.0, 0.8]
    assert [list(line.get_xdata()) for line in rungs.lines] == [[1, 6], [1], [1, 3, 6], [1, 3]]
    assert depth.get_xlabel() == "model.depth"
    save_png(sweep_figure(told, RUNS, TOOK, ["model.depth"]), tmp_path / "sweep.png")
    assert (tmp_path / "sweep.png").stat().st_size > 10_000


def test_settings_that_are_words_and_a_sweep_without_scores():
    words = TRIALS.with_columns(pl.Series("model.form", ["a", "b", None, "a", "b"])).drop(
        "model.depth"
    )
    figure = sweep_figure(SweepResult(words, Measure("mase"), "low", 6, 2, "m"), RUNS, TOOK)
    assert [label.get_text() for label in figure.axes[3].get_xticklabels()] == ["a", "b"]
    none = SweepResult(
        words.with_columns(score=pl.lit(None, pl.Float64)), Measure("m"), "low", 6, 2, "m"
    )
    assert sweep_figure(none, {}, {}) is None
