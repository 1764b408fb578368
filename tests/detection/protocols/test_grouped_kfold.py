"""Folds of groups: who is where, what is known where, what is refused."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError, DataError
from hwds.detection.models.classify.logistic import Logistic
from hwds.detection.protocols.grouped_kfold import GroupedKFold
from hwds.detection.rows import RowContext
from hwds.evaluation.leak_check import check_leaks
from hwds.evaluation.protocol import Cell
from hwds.frames.features.base import RowFeatures
from hwds.frames.features.none import None_
from hwds.frames.table import Table


def context(features=None):
    return RowContext(0, "fold", features=features or None_())


def table(n=600, time=False, **roles):
    rng = np.random.default_rng(0)
    customer = rng.integers(0, 120, n)
    spend = rng.normal(size=n)
    label = (rng.random(n) < 1 / (1 + np.exp(1 - spend - (customer % 5 == 0)))).astype(float)
    columns = {
        "customer": [f"c{number}" for number in customer],
        "spend": spend,
        "fraud": label,
        "owner": customer // 3,
    }
    columns |= {
        "when": pl.datetime_range(
            pl.datetime(2024, 1, 1), pl.datetime(2024, 6, 1), "1h", eager=True
        )[:n]
    }
    known = {"entity": ("customer",), "label": ("fraud",), "covariate": ("spend",)} | (
        {"time": ("when",)} if time else {}
    )
    return Table.build(pl.DataFrame(columns), known | roles)


def asked(protocol, frame, index=0, model=None, features=None):
    fold = protocol.split(frame)[index]
    return protocol.evaluate_cell(
        model or Logistic(), frame, Cell("m", fold, 0, fold.units), context(features)
    )


PROTOCOL = GroupedKFold(folds=6, decide_folds=1, resamples=20)


def test_every_row_is_tested_once_and_a_group_lies_on_one_side():
    frame = table()
    folds = PROTOCOL.split(frame)
    tested = [asked(PROTOCOL, frame, fold.index).filter(pl.col("part") == "test") for fold in folds]
    assert sorted(pl.concat(tested)["row_id"].to_list()) == list(range(600))
    assert [fold.units for fold in folds] == [len(rows) for rows in tested]
    for fold in folds:
        parts = PROTOCOL.parts(frame, fold.index, context())
        groups = {name: set(part.data["customer"]) for name, part in parts.items()}
        assert all(groups.values())
        assert sum(map(len, groups.values())) == len(set.union(*groups.values()))


def test_the_role_group_goes_before_entity():
    frame = table(group=("owner",))
    parts = PROTOCOL.parts(frame, 0, context())
    owners = [set(part.data["owner"]) for part in parts.values()]
    assert sum(map(len, owners)) == len(set.union(*owners))


def test_more_rows_move_no_group():
    frame = table()
    more = Table.build(
        pl.concat([frame.data.drop("row_id")[300:], table(900).data.drop("row_id")]), frame.roles
    )
    own = dict(zip(frame.data["customer"], PROTOCOL.fold_of_rows(frame).tolist(), strict=True))
    grown = dict(zip(more.data["customer"], PROTOCOL.fold_of_rows(more).tolist(), strict=True))
    assert all(grown[name] == fold for name, fold in own.items())


def test_rows_have_the_schema_of_all_detection():
    rows = asked(PROTOCOL, table())
    assert set(rows["part"]) == {"decide", "test"}
    assert set(rows["cutoff"]) == {"fold 1 of 6"}
    assert rows["day"].to_list() == [0] * len(rows)
    assert rows["time"].null_count() == len(rows)
    scored = PROTOCOL.postprocess(rows.with_columns(fold=pl.lit(0, pl.Int32)))
    found = {score.metric: score for score in PROTOCOL.score(scored.drop("fold"))}
    assert 0 < found["aucpr"].value < 1
    assert found["aucpr"].ci_method == "bootstrap by entity"  # there is one day


class Seen(RowFeatures):
    """The label as features see it."""

    def compute(self, table):
        return table.data.select(pl.col("fraud").alias("seen"))


def test_features_see_labels_of_training_groups_alone():
    parts = PROTOCOL.parts(table(), 2, context(Seen()))
    assert parts["train"].data["seen"].null_count() == 0
    for name in ("stop", "calibrate", "decide", "test"):
        assert parts[name].data["seen"].null_count() == len(parts[name].data)
    for name in ("train", "stop", "calibrate"):
        assert parts[name].data["fraud"].null_count() == 0
    for name in ("decide", "test"):
        assert parts[name].data["fraud"].null_count() == len(parts[name].data)


def test_the_truth_is_given_to_no_model():
    frame = table(truth=("owner",))
    assert all(
        "owner" not in part.data.columns for part in PROTOCOL.parts(frame, 0, context()).values()
    )


def test_data_with_times_is_refused_unless_it_is_said():
    with pytest.raises(
        ConfigError, match=r"^protocol\.ignore_time: .*column 'when'.*protocol=prequential"
    ):
        PROTOCOL.split(table(time=True))
    frame = table(time=True)
    assert len(replace(PROTOCOL, ignore_time=True).split(frame)) == 6
    rows = asked(replace(PROTOCOL, ignore_time=True), frame)
    assert rows["time"].null_count() == 0


def test_refusals():
    with pytest.raises(ConfigError, match=r"^protocol\.folds: must be >= 4, .* got 3\.$"):
        GroupedKFold(folds=3).split(table())
    with pytest.raises(
        DataError, match=r"^protocol\.folds: fold \d+ of 500 has no group; take fewer\.$"
    ):
        GroupedKFold(folds=500).split(table())
    holed = table()
    holed = replace(
        holed,
        data=holed.data.with_columns(
            pl.when(pl.col("row_id") != 4).then("customer").alias("customer")
        ),
    )
    with pytest.raises(DataError, match="row 5 has no group in column 'customer'"):
        PROTOCOL.split(holed)
    with pytest.raises(ConfigError, match=r"protocol\.calibrate_folds: must be > 0"):
        GroupedKFold(calibrate_folds=0).check_models(
            {"m": Logistic(name="m", calibration="platt")}, table()
        )
    with pytest.raises(ConfigError, match=r"model\.refit: must be always for protocol"):
        GroupedKFold().check_models({"m": Logistic(name="m", refit="never")}, table())
    bare = table()
    bare = replace(
        bare, roles={role: names for role, names in bare.roles.items() if role != "entity"}
    )
    with pytest.raises(DataError, match=r"dataset\.roles\.entity: must name one column"):
        PROTOCOL.split(bare)


def leaks(protocol, frame, features=None):
    found = check_leaks(protocol, "m", Logistic(calibration="platt"), frame, context(features))
    return [leak for leak in found if leak]


class MeanLabel(RowFeatures):
    """The mean label of the customer over all rows that features see."""

    def compute(self, table):
        return table.data.select(pl.col("fraud").mean().over("owner").fill_null(0.1).alias("mean"))


class ByRow(GroupedKFold):
    """Cuts rows instead of groups: one customer lies on both sides."""

    def parts(self, frame, fold, context):
        rows = replace(
            frame, data=frame.data.with_columns(customer=pl.col("row_id").cast(pl.String))
        )
        return super().parts(rows, fold, context)


class Open(GroupedKFold):
    """Shows features the labels of all groups."""

    def parts(self, frame, fold, context):
        found = super().parts(frame, fold, context)
        columns = MeanLabel().compute(frame).with_columns(frame.data["row_id"])
        return {
            name: replace(
                part,
                data=part.data.drop("mean").join(
                    columns, on="row_id", how="left", maintain_order="left"
                ),
            )
            for name, part in found.items()
        }


def test_the_canary_finds_nothing_in_folds_of_groups():
    assert leaks(PROTOCOL, table()) == []
    assert leaks(PROTOCOL, table(), MeanLabel()) == []


def test_a_customer_on_both_sides_is_caught():
    assert leaks(ByRow(folds=6), table())


def test_a_target_mean_over_all_groups_is_caught():
    assert leaks(Open(folds=6), table(), MeanLabel())


def test_the_final_model_learns_from_all_but_those_that_stop_and_calibrate():
    frame = table()
    fitted = PROTOCOL.fit_all(Logistic(), frame, context())
    parts = PROTOCOL.parts(frame, None, context())
    assert len(parts["train"].data) + len(parts["stop"].data) + len(parts["calibrate"].data) == 600
    assert len(fitted.score_rows(parts["train"]).score) == len(parts["train"].data)
