"""The protocols of remaining life: physical cuts, an official test that one model alone is scored
on, and the leak check.
"""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError, DataError
from hwds.core.serialization import load_fitted, save_fitted
from hwds.datasets.simulated.engines import Engines
from hwds.evaluation.leak_check import check_leaks
from hwds.evaluation.protocol import Cell, RunContext
from hwds.frames.features.signal_windows import SignalWindows
from hwds.frames.runs import Runs
from hwds.lifetime.models.linear_age import LinearAge
from hwds.lifetime.models.mean_life import MeanLife
from hwds.lifetime.models.xgboost_windows import XGBoostWindows
from hwds.lifetime.protocols.last_window import LastWindow
from hwds.lifetime.protocols.prequential_runs import PrequentialRuns

KFOLD = LastWindow(folds=3, cuts=4, least=10, resamples=50)
FLEET = PrequentialRuns(reviews=2, resamples=50)
TREES = XGBoostWindows(trees=20, inner_folds=2)
CONTEXT = RunContext(0, features=SignalWindows(windows=(20,)))


@pytest.fixture(scope="module")
def runs():
    return Engines(engines=60, mean_life=50, sensors=3, regimes=2).load()


@pytest.fixture(scope="module")
def with_test(runs):
    """The same runs, of which the last third is kept for an official test, cut at half of their
    life.
    """
    test = np.arange(runs.n) >= 40
    cut = runs.until(np.where(test, np.maximum(runs.lengths // 2, 12), runs.lengths))
    left = np.where(test & runs.events, runs.ages - cut.ages, np.nan)
    ends = cut.ends.with_columns(
        pl.Series("event", runs.events & ~test),
        pl.Series("remaining", np.where(runs.events & ~test, 0.0, left), nan_to_null=True),
        pl.Series("split", np.where(test, "test", "train")),
    )
    return replace(cut, ends=ends)


def answered(protocol, model, runs):
    rows = [
        protocol.evaluate_cell(
            model, runs, Cell("m", fold, 0, fold.units), replace(CONTEXT, fold=fold.name)
        )
        for fold in protocol.split(runs)
    ]
    return pl.concat([part.sort(protocol.keys) for part in rows])


def values(scores):
    return {score.metric.partition("[")[0]: score.value for score in scores}


@pytest.fixture(scope="module")
def rows(runs):
    return {
        model: answered(KFOLD, model, runs)
        for model in (TREES, MeanLife(), LinearAge(inner_folds=2))
    }


def test_every_machine_is_held_out_once_and_asked_at_each_cut(runs, rows):
    table = rows[TREES]
    asked = table.group_by("entity").len()
    assert len(asked) == int((runs.lengths > 10).sum())
    assert set(asked["len"]) == {4}
    known = table.filter(pl.col("failed"))
    ends = dict(zip(runs.names, runs.ages.tolist(), strict=True))
    assert all(
        age + left == ends[name]
        for name, age, left in known.select("entity", "age", "actual").iter_rows()
    )
    assert table.filter(~pl.col("failed"))["actual"].is_null().all()


def test_sensors_beat_counting_lives(runs, rows):
    scored = {model: values(KFOLD.score(table)) for model, table in rows.items()}
    assert scored[TREES]["crps"] < 0.8 * min(
        scored[model]["crps"] for model in rows if model is not TREES
    )
    assert scored[TREES]["concordance"] > 0.75
    assert {measure.short for measure in KFOLD.measures(runs)} == set(scored[TREES])


def test_the_official_test_is_scored_for_the_model_that_the_folds_chose_alone(with_test):
    protocol = replace(KFOLD, official_test="once")
    rows = {
        "trees": answered(protocol, TREES, with_test),
        "mean": answered(protocol, MeanLife(), with_test),
    }
    assert protocol.chosen(rows) == "trees"
    told = list(protocol.contrasts(rows))
    assert {label for label, _ in told} == {"trees"}
    assert {score.metric.partition("[")[0] for _, score in told} >= {
        "test_rmse_capped",
        "test_rmse_uncapped",
        "test_nasa_score",
    }
    for table in rows.values():
        kept = protocol.rows_to_keep(table).filter(pl.col("part") == "test")
        assert len(kept) == 20
        assert kept.select(pl.col("actual", "seen", "failed").is_null().all()).row(0) == (
            True,
            True,
            True,
        )
        no_test = table.filter(pl.col("part") == "kfold")
        assert values(protocol.score(table)) == values(protocol.score(no_test))
    with pytest.raises(
        ConfigError,
        match=r"^protocol\.headline: 'test_rmse_capped' does not order models|no metric",
    ):
        replace(protocol, headline="test_rmse_capped").check_names()
    assert "would keep some to choose on" in protocol.why_not_tunable()


def test_trials_choose_on_machines_that_no_fold_tests(with_test):
    protocol = replace(KFOLD, official_test="once", apart=0.4, folds=2)
    split = protocol.tuning_split(with_test, 2)
    chosen_on = set(split.frame.names)
    assert (set(split.frame.ends["split"]), split.protocol.official_test) == ({"train"}, "none")
    assert 6 <= len(chosen_on) <= 28
    place = protocol.fold_of_runs(with_test.learnable, 0)
    assert {
        name for name, fold in zip(with_test.learnable.names, place, strict=True) if fold < 0
    } == chosen_on


def test_no_official_test_where_the_data_keeps_none(runs):
    with pytest.raises(
        DataError, match=r"^protocol\.official_test: must be none, for the data keeps no machines"
    ):
        replace(KFOLD, official_test="once").split(runs)


def test_a_review_learns_from_what_had_ended_and_from_what_was_running(runs):
    first = FLEET.split(runs)[0]
    instant = first.cutoffs[0]
    table = FLEET.evaluate_cell(MeanLife(), runs, Cell("m", first, 0, first.units), CONTEXT)
    start = dict(zip(runs.names, runs.ends["start"].to_list(), strict=True))
    assert all(
        start[name] + age <= instant.at < start[name] + age + seen
        for name, age, seen in table.select("entity", "age", "seen").iter_rows()
    )
    assert len(table) == first.units
    lone = replace(runs, ends=runs.ends.with_columns(pl.lit(None, pl.Float64).alias("start")))
    with pytest.raises(DataError, match=r"^dataset\.roles\.start: must be given for each run"):
        FLEET.split(lone)


class Peeking(LastWindow):
    """Moves each point by what the first sensor says in the last row of the whole run."""

    def evaluate_cell(self, model, frame, cell, context):
        runs = frame.learnable
        last = dict(
            zip(
                runs.names,
                runs.numbers(runs.sensors[:1])[runs.offsets[1:] - 1, 0].tolist(),
                strict=True,
            )
        )
        moved = pl.col("predicted") + pl.col("entity").replace_strict(last, return_dtype=pl.Float64)
        return super().evaluate_cell(model, frame, cell, context).with_columns(moved)


class Counting(LastWindow):
    """Says how long each machine truly lasts beyond the cut, by its number of rows or by the age at
    its end.
    """

    def evaluate_cell(self, model, frame, cell, context):
        ends = frame.ends.select("entity", pl.col("age").alias("end")).with_columns(
            rows=pl.Series(frame.lengths)
        )
        rows = (
            super()
            .evaluate_cell(model, frame, cell, context)
            .join(ends, "entity", "left", maintain_order="left")
        )
        end = "rows" if self.resamples == 50 else "end"
        return rows.with_columns(
            (pl.col(end) - pl.col("age")).cast(pl.Float64).alias("predicted")
        ).drop("end", "rows")


@pytest.mark.parametrize("resamples", [50, 51], ids=["rows", "age"])
def test_the_canary_catches_a_look_at_how_long_a_run_lasts(runs, resamples):
    counting = Counting(folds=2, cuts=2, least=10, resamples=resamples)
    leaks = list(check_leaks(counting, "mean", MeanLife(), runs, CONTEXT))
    assert {leak.check for leak in leaks if leak} == {"future"}
    assert sum(leak is not None for leak in leaks) == 4  # at each of two cuts of two folds


def test_the_canary_passes_and_catches_a_look_at_the_end_of_a_run(runs, with_test):
    few = replace(KFOLD, folds=2, cuts=2)
    assert set(check_leaks(few, "trees", TREES, runs, CONTEXT)) == {None}
    assert set(
        check_leaks(replace(few, official_test="once"), "mean", MeanLife(), with_test, CONTEXT)
    ) == {None}
    assert set(check_leaks(FLEET, "mean", MeanLife(), runs, CONTEXT)) == {None}
    peeking = Peeking(folds=2, cuts=2, least=10, resamples=50)
    assert {
        leak.check for leak in check_leaks(peeking, "mean", MeanLife(), runs, CONTEXT) if leak
    } == {"future"}


def test_a_model_is_kept_and_asked_of_machines_that_run(runs, tmp_path):
    fitted = KFOLD.fit_all(TREES, runs, CONTEXT)
    said = KFOLD.predict_new(fitted, runs, CONTEXT)
    assert len(said) == int((~runs.events).sum())
    save_fitted(fitted, tmp_path)
    assert KFOLD.predict_new(load_fitted(tmp_path), runs, CONTEXT).equals(said)


def test_new_machines_in_which_a_sensor_stands_still_are_predicted(runs):
    """They have all columns that the model was learned from, be they for a test or a few rows
    alone.
    """
    fitted = KFOLD.fit_all(TREES, runs, CONTEXT)
    few = runs.data.filter(pl.col("entity").is_in(runs.names[:3]) & (pl.col("cycle") <= 12))
    table = few.with_columns(
        pl.lit(0.5).alias(runs.sensors[0]), pl.lit("test").alias("part"), pl.lit(0).alias("failed")
    )
    roles = {
        "entity": "entity",
        "cycle": "cycle",
        "sensor": runs.sensors,
        "setting": runs.settings,
        "event": "failed",
    }
    said = [
        KFOLD.predict_new(fitted, Runs.build(table, roles | more), CONTEXT)
        for more in ({}, {"split": "part"})
    ]
    assert said[0].equals(said[1])
    assert said[0]["entity"].to_list() == list(runs.names[:3])


def test_runs_that_are_too_short_and_machines_that_all_failed_are_refused(runs):
    short = runs.take(runs.lengths <= np.sort(runs.lengths)[30])
    with pytest.raises(
        DataError,
        match=r"^protocol\.least: must be below \d+, the rows of the longest run of a fold, got "
        r"400\.$",
    ):
        replace(KFOLD, least=400).split(short)
    with pytest.raises(
        DataError,
        match=r"^dataset: all machines have failed in their last row, so that there is none to",
    ):
        KFOLD.predict_new(
            MeanLife().learn(runs, KFOLD.context(CONTEXT)), runs.take(runs.events), CONTEXT
        )


@pytest.mark.parametrize("protocol", [KFOLD, FLEET])
def test_a_cap_that_does_not_fit_the_lives_is_refused(runs, protocol):
    """Lives of thousands of hours: at 125 all points are alike, and the mean life ranks first."""
    hours = replace(
        runs,
        data=runs.data.with_columns(cycle=60 * pl.col("cycle")),
        ends=runs.ends.with_columns(age=60 * pl.col("age")),
        unit="hours",
    )
    with pytest.raises(ConfigError, match=r"must be given for lives in hours.*Set protocol.cap="):
        protocol.check_features(SignalWindows(), hours)
    with pytest.raises(ConfigError, match=r"more than 125 hours left for 9. % of their lives"):
        replace(protocol, cap=125.0).check_features(SignalWindows(), hours)
    replace(protocol, cap=125.0, headline="crps").check_features(SignalWindows(), hours)
    replace(protocol, cap=2000.0).check_features(SignalWindows(), hours)
    protocol.check_features(SignalWindows(), runs)
    assert protocol.terms().cap == 125


def test_too_few_failures_are_refused(runs):
    with pytest.raises(
        DataError, match=r"^protocol\.folds: 5 folds need 15 runs that failed, got 3\.$"
    ):
        LastWindow().split(runs.take(runs.events & (np.cumsum(runs.events) <= 3)))
