"""The leak check of rows: every registered classifier and detector; leaks that it must catch."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from hwds.core.compose import compose
from hwds.detection.models.base import Classifier, Contributions
from hwds.detection.models.classify.logistic import Logistic
from hwds.detection.protocols.grouped_kfold import GroupedKFold
from hwds.detection.protocols.prequential import Prequential
from hwds.detection.rows import RowContext
from hwds.evaluation.leak_check import check_leaks, check_row_features
from hwds.experiment.spec import check
from hwds.frames.features.base import RowFeatures
from hwds.frames.features.none import None_
from tests.contract.test_classifiers import MODELS
from tests.support.rows import toy_rows

LENGTHS = {
    "train_days": 14,
    "stop_days": 4,
    "calibrate_days": 8,
    "decide_days": 3,
    "delay_days": 3,
    "test_days": 4,
}


def protocol(**more):
    return Prequential(**(LENGTHS | {"windows": 2, "explained": 10_000} | more))


def leaks(protocol, model, table, features=None):
    return [
        leak
        for leak in check_leaks(
            protocol, "m", model, table, RowContext(0, features=features or None_())
        )
        if leak
    ]


@pytest.mark.parametrize("model", MODELS)
def test_no_classifier_leaks(model):
    recipe = check(
        compose([f"model={model}", "dataset=fraud_handbook", "protocol=prequential", "size=small"])
    ).model
    found = list(
        check_leaks(protocol(windows=1), model, recipe, toy_rows(), RowContext(0, features=None_()))
    )
    assert len(found) == 3
    assert [leak for leak in found if leak] == []


def test_labels_with_times_of_their_own_do_not_leak():
    for unlabelled in ("exclude", "negative"):
        assert (
            leaks(
                protocol(unlabelled=unlabelled),
                Logistic(calibration="platt"),
                toy_rows(label_time=True),
            )
            == []
        )


class GlobalScaling(RowFeatures):
    """Standardised by the mean and spread of all rows."""

    def compute(self, table):
        columns = ("quantity", "spent")
        return table.data.select(
            ((pl.col(name) - pl.col(name).mean()) / pl.col(name).std()).alias(f"{name}_z")
            for name in columns
        )


class TargetMean(RowFeatures):
    """The mean label of the customer's earlier rows, whether or not it had arrived."""

    def compute(self, table):
        label = pl.col(table.name("label"))
        before = label.shift(1).cum_sum() / pl.col("row_id").cum_count()
        return table.data.select(before.over(table.name("entity")).alias("customer_mean"))


class SameDayLabel(RowFeatures):
    """How many of the day's rows are bad."""

    def compute(self, table):
        day = pl.col(table.name("time")).dt.truncate("1d")
        return table.data.select(pl.col(table.name("label")).sum().over(day).alias("bad_today"))


class WhenFound(RowFeatures):
    """How long it took to find out: known only when it was."""

    def compute(self, table):
        waited = pl.col(table.name("label_time")) - pl.col(table.name("time"))
        return table.data.select(waited.dt.total_hours().cast(pl.Float64).alias("waited"))


class Lawful(RowFeatures):
    """The mean label of all rows whose label had arrived, and the number of the customer's rows so
    far.
    """

    def compute(self, table):
        data = table.data
        when, label = (
            data[table.name("label_time")].to_numpy(),
            data[table.name("label")].to_numpy(),
        )
        time = data[table.name("time")].to_numpy()
        told = [np.nanmean(label[known]) if (known := when <= at).any() else 0.0 for at in time]
        own = data.select(
            pl.col("row_id").cum_count().over(table.name("entity")).cast(pl.Float64).alias("own")
        )
        return own.with_columns(pl.Series("told", told))


@pytest.mark.parametrize(
    "table", [toy_rows(), toy_rows(label_time=True)], ids=["delay", "label_time"]
)
@pytest.mark.parametrize("features", [GlobalScaling, TargetMean, SameDayLabel, WhenFound, Lawful])
def test_features_that_leak_are_caught_and_no_others(features, table):
    found = [leak for leak in check_row_features("f", features(), table, 3) if leak]
    lawful = features is Lawful or (features is WhenFound and not table.roles.get("label_time"))
    assert not found if lawful else found


@pytest.mark.parametrize("features", [GlobalScaling, TargetMean, Lawful])
def test_scores_made_of_such_features_are_caught(features):
    found = leaks(protocol(), Logistic(), toy_rows(), features())
    assert not found if features is Lawful else found


@dataclass(frozen=True)
class PopulationScorer:
    """How far a row lies from the mean of those that it is scored with."""

    def score(self, rows):
        spent = rows.data["spent"].to_numpy()
        return (spent - spent.mean()) / spent.std()

    def explain(self, rows):
        return Contributions(("spent",), 0.0, self.score(rows)[:, None])


class PopulationZ(Classifier):
    """Its z-score is over the scored population."""

    def learn(self, train, *, stop, context):
        return PopulationScorer()


class Peeks(Prequential):
    """Hands to the model what it will be scored on."""

    def parts(self, frame, cutoff, context):
        found = super().parts(frame, cutoff, context)
        label = frame.name("label")
        told = (
            found["test"]
            .data.drop(label)
            .join(frame.data.select("row_id", label), on="row_id", how="left")
        )
        test = replace(found["test"], data=told.select(found["test"].data.columns))
        return found | {"train": test}


class Carries(Logistic):
    """Goes on from what it learned before."""

    def learn(self, train, *, stop, context):
        CARRIED.append(super().learn(train, stop=stop, context=context))
        return replace(CARRIED[-1], weights=np.mean([fit.weights for fit in CARRIED], axis=0))


CARRIED: list = []


def test_a_z_score_over_the_scored_population_is_caught():
    assert leaks(protocol(), PopulationZ(), toy_rows())


@dataclass(frozen=True)
class PopulationReasons(PopulationScorer):
    """A lawful score with reasons that compare it with the others that are asked."""

    def score(self, rows):
        return rows.data["spent"].to_numpy()

    def explain(self, rows):
        spent = self.score(rows)
        return Contributions(("spent",), float(spent.mean()), (spent - spent.mean())[:, None])


class Compared(Classifier):
    """Its reasons are against the scored population."""

    def learn(self, train, *, stop, context):
        return PopulationReasons()


def test_reasons_against_the_scored_population_are_caught():
    assert leaks(protocol(), Compared(), toy_rows())
    assert not leaks(protocol(explained=0), Compared(), toy_rows())


def test_windows_share_no_row_and_follow_one_another():
    table, asked = toy_rows(), protocol()
    for fold in asked.split(table):
        parts = asked.parts(table, fold.cutoffs[0].at, RowContext(0, features=None_()))
        rows = [set(part.data["row_id"]) for part in parts.values()]
        assert list(parts) == ["train", "stop", "calibrate", "decide", "test"]
        assert all(rows)
        assert len(set().union(*rows)) == sum(len(part) for part in rows)
        times = [part.data["time"] for part in parts.values()]
        assert all(a.max() < b.min() for a, b in itertools.pairwise(times))
        assert (times[-1].min() - times[-2].max()).days >= asked.delay_days - 1
        for part in parts.values():
            told = part.data.filter(pl.col("bad").is_not_null())["bad_time"]
            assert told.is_empty() or told.max() <= fold.cutoffs[0].at


def test_a_protocol_that_trains_on_what_it_scores_is_caught():
    assert leaks(Peeks(windows=1, **LENGTHS), Logistic(), toy_rows())
    assert not leaks(Prequential(windows=1, **LENGTHS), Logistic(), toy_rows())


def test_weights_carried_from_window_to_window_are_caught():
    CARRIED.clear()
    assert leaks(protocol(), Carries(), toy_rows())


def test_early_labels_are_caught():
    class NoDelay(Prequential):
        """Learns from labels of rows that are too young."""

        def parts(self, frame, cutoff, context):
            shifted = replace(self, delay_days=0, train_days=self.train_days + self.delay_days)
            return Prequential.parts(shifted, frame, cutoff, context)

    assert leaks(NoDelay(windows=1, **LENGTHS), Logistic(), toy_rows())


def test_a_return_that_lies_ahead_is_caught():
    class Returned(RowFeatures):
        """Whether the row's own goods come back some day."""

        def compute(self, table):
            waited = (pl.col("returned_at") - pl.col("time")).dt.total_hours()
            return table.data.select(waited.cast(pl.Float64).alias("waited"))

    table = toy_rows()
    at = [
        time + timedelta(days=9) if place % 3 else None
        for place, time in enumerate(table.data["time"])
    ]
    table = replace(table, data=table.data.with_columns(pl.Series("returned_at", at)))
    assert [leak for leak in check_row_features("f", Returned(), table, 3) if leak]


class ByRows(GroupedKFold):
    """Cuts rows, so that a customer lies on both sides."""

    def fold_of_rows(self, frame):
        return frame.data["row_id"].to_numpy() % self.folds


def test_a_customer_on_both_sides_of_a_cut_is_caught():
    told = {"folds": 5, "ignore_time": True, "explained": 20}
    assert leaks(ByRows(**told), Logistic(), toy_rows())
    assert not leaks(GroupedKFold(**told), Logistic(), toy_rows())


def test_features_of_labels_of_tested_customers_are_caught():
    class Leaky(GroupedKFold):
        """Shows all labels to features."""

        def parts(self, frame, fold, context):
            whole = frame.with_inputs(context.columns_of(frame))
            return super().parts(whole, fold, replace(context, features=None_()))

    class CustomerMean(RowFeatures):
        """The mean label of all of the customer's rows."""

        def compute(self, table):
            return table.data.select(pl.col("bad").mean().over("customer").alias("customer_mean"))

    told = {"folds": 5, "ignore_time": True, "explained": 0}
    assert leaks(Leaky(**told), Logistic(), toy_rows(), CustomerMean())
    assert not leaks(GroupedKFold(**told), Logistic(), toy_rows(), CustomerMean())
