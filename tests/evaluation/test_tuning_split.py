"""What trials are scored on holds nothing of the final windows: rubbish there changes no bit of
it.
"""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from hwds.bandit.models.price_thompson import PriceThompson
from hwds.bandit.protocols.bandit_simulation import BanditSimulation
from hwds.core.compose import compose
from hwds.core.errors import DataError
from hwds.detection.protocols.grouped_kfold import GroupedKFold
from hwds.detection.protocols.prequential import Prequential
from hwds.detection.rows import RowContext
from hwds.evaluation.protocol import Cell, RunContext
from hwds.evaluation.row_folds import Lengths, label_arrivals, row_arrivals
from hwds.experiment.spec import check
from hwds.forecast.protocols.holdout import Holdout
from hwds.forecast.protocols.launch import Launch
from hwds.forecast.protocols.walk_forward import WalkForward
from hwds.frames.features.none import None_
from hwds.frames.roles import TIME
from hwds.search.sweep import tuning_split_of
from tests.detection.protocols.test_grouped_kfold import table as groups
from tests.forecast.protocols.test_launch import launches
from tests.support.panels import LastValue, monthly_panel
from tests.support.rows import toy_rows

LUCK = np.random.default_rng(7)
WALKS = [
    WalkForward(windows=3),
    WalkForward(windows=2, align="end"),
    WalkForward(windows=2, gap=2, stride=4),
    WalkForward(windows=4, refit="every_2"),
    Holdout(),
    Holdout(horizon=9),
]


def last_known(protocol, frame):
    return protocol.split(frame)[0].cutoffs[0]


@pytest.mark.parametrize("protocol", WALKS, ids=repr)
def test_rubbish_in_the_final_windows_of_a_panel_is_not_seen(protocol):
    panel = monthly_panel(months=60)
    first = last_known(protocol, panel)
    clean, poisoned = (
        protocol.tuning_split(frame, 6)
        for frame in (panel, protocol.corrupt_after(panel, first, LUCK))
    )
    assert clean.frame.fingerprint == poisoned.frame.fingerprint
    assert clean.frame.fingerprint != panel.fingerprint
    assert clean.folds == poisoned.folds


@pytest.mark.parametrize("protocol", WALKS, ids=repr)
def test_all_targets_of_inner_windows_lie_before_the_first_final_cutoff(protocol):
    panel = monthly_panel(months=60)
    inner = protocol.tuning_split(panel, 6)
    cutoffs = [cutoff for fold in inner.folds for cutoff in fold.cutoffs]
    assert len(cutoffs) == 6
    until = last_known(protocol, panel).ends(panel)
    steps = inner.protocol.steps(inner.frame)
    assert steps == protocol.steps(panel)
    assert (inner.frame.lengths == until).all()
    assert all((cutoff.ends(inner.frame) + steps <= until).all() for cutoff in cutoffs)
    assert (cutoffs[-1].ends(inner.frame) + steps == until).all()


def test_windows_lie_closer_where_the_history_is_short():
    long = WalkForward(windows=1).tuning_split(monthly_panel(months=200), 6)
    short = WalkForward(windows=1).tuning_split(monthly_panel(months=40), 6)
    assert long.protocol.stride == 6
    assert short.protocol.stride < 6
    assert len(short.folds) == 6


def test_the_test_part_of_a_data_set_is_held_out_of_the_walk():
    data = check(compose(["dataset=hardware_demand", "model=forecast/theta", "size=small"]))
    panel = data.dataset.frame()
    walk = (
        Holdout(name="holdout", levels=(0.1, 0.5, 0.9), headline="rmsse")
        .tuning_split(panel, 2)
        .protocol
    )
    assert (walk.name, walk.levels, walk.headline, walk.align) == (
        "holdout",
        (0.1, 0.5, 0.9),
        "rmsse",
        "end",
    )


def test_sums_are_made_of_what_was_known():
    words = [
        "dataset=hardware_demand",
        "model=forecast/theta",
        "size=small",
        "protocol.reconcile=bottom_up",
    ]
    experiment = check(compose(words))
    panel = experiment.dataset.frame()
    inner = experiment.protocol.tuning_split(panel, 2)
    assert inner.frame.n_series > panel.n_series
    first = last_known(experiment.protocol, experiment.protocol.prepare_frame(panel)).instant
    assert inner.frame.table[TIME].max() <= first


LENGTHS = {
    "train_days": 6,
    "stop_days": 2,
    "calibrate_days": 2,
    "decide_days": 0,
    "delay_days": 3,
    "test_days": 3,
}
PREQUENTIAL = Prequential(**LENGTHS, windows=2, resamples=10)


@pytest.mark.parametrize("label_time", [False, True])
def test_rubbish_in_the_final_windows_of_rows_is_not_seen(label_time):
    table = toy_rows(label_time=label_time)
    first = last_known(PREQUENTIAL, table)
    clean, poisoned = (
        PREQUENTIAL.tuning_split(frame, 3)
        for frame in (table, PREQUENTIAL.corrupt_after(table, first, LUCK))
    )
    assert clean.frame.data.equals(poisoned.frame.data)
    assert not clean.frame.data.equals(table.data)
    assert clean.folds == poisoned.folds


@pytest.mark.parametrize("label_time", [False, True])
def test_labels_of_inner_windows_had_arrived_by_the_first_final_cutoff(label_time):
    table = toy_rows(label_time=label_time)
    first = last_known(PREQUENTIAL, table).at
    inner = PREQUENTIAL.tuning_split(table, 3)
    assert len(inner.folds) == 3
    known = inner.frame.data.filter(pl.col("bad").is_not_null())
    assert len(known)
    assert label_arrivals(replace(inner.frame, data=known), 3).max() <= first
    assert row_arrivals(inner.frame).max() < first - timedelta(days=3)
    end = inner.folds[-1].cutoffs[0].at + timedelta(days=3)
    assert end <= first - timedelta(days=3)


def test_the_truth_is_no_part_of_it():
    table = toy_rows()
    with_truth = replace(
        table,
        data=table.data.with_columns(pl.col("bad").alias("true")),
        roles=table.roles | {"truth": ("true",)},
    )
    inner = PREQUENTIAL.tuning_split(with_truth, 2).frame
    assert "truth" not in inner.roles
    assert "true" not in inner.data.columns


def test_where_the_history_is_short_trials_learn_from_fewer_days_and_it_is_said():
    long = PREQUENTIAL.tuning_split(toy_rows(), 3)
    assert (long.protocol.train_days, long.remark) == (6, "")
    short = replace(PREQUENTIAL, train_days=9, windows=6).tuning_split(toy_rows(), 3)
    assert short.protocol.train_days == 7
    assert short.remark.startswith("Trials learn from 7 days, not from 9")


def test_where_not_even_that_fits_all_parts_are_shorter_and_labels_arrive_as_much_sooner():
    table = toy_rows()
    weeks = {"stop_days": 0, "calibrate_days": 0, "delay_days": 7, "test_days": 7}
    cut = replace(PREQUENTIAL, train_days=7, windows=1, **weeks)
    inner = cut.tuning_split(
        table.filter(table.column("time") >= table.column("time").max() - timedelta(days=20)), 2
    )
    assert inner.protocol.lengths == Lengths(
        train=4, stop=0, calibrate=0, decide=0, delay=1, test=1
    )
    assert (
        "learn from 4 days, not from 7, wait 1 for labels, not 7, are scored on 1 at a time, not "
        "on 7" in inner.remark
    )
    fold = inner.folds[0]
    parts = inner.protocol.parts(inner.frame, fold.cutoffs[0].at, RowContext(0, features=None_()))
    assert parts["train"].column("label").null_count() == 0  # by its own delay they had arrived
    assert len(parts["train"].data) > 0


LAUNCH = Launch(launches=1, horizon=3)


def test_launches_are_rehearsed_on_earlier_ones_whose_steps_are_over():
    panel = launches()
    inner = LAUNCH.tuning_split(panel, 1)
    (own,), (fold,) = LAUNCH.split(panel), inner.folds
    assert (own.name, fold.name) == ("2020-07-01", "2019-09-01")
    assert inner.frame.table[TIME].max() == own.cutoffs[0].instant
    asked = inner.protocol.evaluate_cell(
        LastValue(), inner.frame, Cell("m", fold, 0, fold.units), RunContext(0)
    )
    assert asked.filter(pl.col("step") == 3)["actual"].null_count() == 0
    assert set(asked["series_id"]) == {"late", "twin"}
    poisoned = LAUNCH.tuning_split(LAUNCH.corrupt_after(panel, own.cutoffs[0], LUCK), 1)
    assert poisoned.frame.fingerprint == inner.frame.fingerprint
    with pytest.raises(
        DataError,
        match=r"0 instants of launches .* before the first of the 2 .*protocol\.launches=1",
    ):
        replace(LAUNCH, launches=2).tuning_split(panel, 1)


def test_groups_that_are_kept_apart_are_learned_from_and_tested_by_trials_alone():
    frame, kept = groups(), GroupedKFold(folds=5, apart=0.4, resamples=10)
    assert GroupedKFold().why_not_tunable()
    assert not kept.why_not_tunable()
    inner = kept.tuning_split(frame, 4)
    assert [fold.name for fold in inner.folds] == [f"fold {number} of 4" for number in (1, 2, 3, 4)]
    apart, tested = set(inner.frame.data["customer"]), set()
    assert 0.25 < len(apart) / frame.data["customer"].n_unique() < 0.55
    for fold in kept.split(frame):
        parts = kept.parts(frame, fold.index, RowContext(0, features=None_()))
        assert apart <= set(parts["train"].data["customer"])
        tested |= set(parts["test"].data["customer"])
    assert tested == set(frame.data["customer"]) - apart
    own = pl.Series(frame.data["customer"].is_in(list(apart)))
    turned = pl.when(own).then(pl.col("fraud")).otherwise(1 - pl.col("fraud")).alias("fraud")
    rubbish = replace(frame, data=frame.data.with_columns(turned))
    assert kept.tuning_split(rubbish, 4).frame.data.equals(inner.frame.data)
    one, all_of_them = GroupedKFold(folds=5).fold_of_rows(frame), kept.fold_of_rows(frame)
    assert (
        one[all_of_them >= 0] == all_of_them[all_of_them >= 0]
    ).all()  # keeping some apart moves no other


def test_a_log_is_rehearsed_on_its_first_rows_as_far_as_their_outcomes_were_known():
    data = check(
        compose(
            ["dataset=price_log", "model=bandit/thompson", "protocol=replay", "protocol.apart=0.3"]
        )
    )
    frame, protocol = data.dataset.frame(), data.protocol
    late, inner = protocol.prepare_frame(frame), protocol.tuning_split(frame, 3)
    assert len(late.data) == round(0.7 * len(frame.data))
    assert 0.1 * len(frame.data) < len(inner.frame.data) < 0.3 * len(frame.data)
    assert inner.frame.column("available_at").max() <= late.column("time").min()
    left_out = frame.data.filter(
        ~pl.col("row_id").is_in([*inner.frame.data["row_id"], *late.data["row_id"]])
    )
    assert left_out[frame.name("time")].min() >= inner.frame.column("time").max()
    assert [fold.units for fold in inner.folds] == [7, 7, 7]
    assert inner.protocol.apart == 0
    assert replace(protocol, apart=0.0).why_not_tunable()


def test_simulations_play_other_customers():
    world = check(
        compose(["dataset=price_arms", "model=bandit/price_thompson", "protocol=bandit_simulation"])
    ).dataset.frame()
    protocol = BanditSimulation(replications=20, horizon=200)
    inner = protocol.tuning_split(world, 3)
    assert [fold.units for fold in inner.folds] == [7, 7, 7]
    folds = [*protocol.split(world), *inner.folds]
    played = [
        protocol.evaluate_cell(
            PriceThompson(), world, Cell("m", fold, 0, 7), RunContext(0, fold.name)
        )["realised_regret"].to_list()
        for fold in folds
    ]
    assert len({str(rows) for rows in played}) == 4


def test_as_many_windows_as_fit_are_found_in_few_tries():
    protocol, panel, asked = WalkForward(windows=2, horizon=3), monthly_panel(), []

    class Counted:
        def tuning_split(self, frame, windows):
            asked.append(windows)
            return protocol.tuning_split(frame, windows)

    found = tuning_split_of(Counted(), panel, 1000)
    assert len(asked) < 15
    most = len(found.folds)
    assert f"{most} inner windows, not 1000" in found.remark
    with pytest.raises(DataError):
        protocol.tuning_split(panel, most + 1)
