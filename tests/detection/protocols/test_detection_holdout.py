"""A classifier on rows that are held out: the last ones in time, or a share of the groups."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import polars as pl
import pytest

from hwds.core.compose import compose
from hwds.core.errors import ConfigError, DataError
from hwds.core.serialization import load_fitted, save_fitted
from hwds.detection.models.classify.logistic import Logistic
from hwds.detection.protocols.detection_holdout import DetectionHoldout
from hwds.detection.rows import RowContext
from hwds.evaluation.leak_check import check_leaks
from hwds.evaluation.protocol import Cell, Tunable
from hwds.evaluation.row_folds import label_arrivals, row_arrivals
from hwds.experiment.spec import check
from hwds.frames.features.none import None_
from tests.detection.protocols.test_grouped_kfold import table
from tests.support.rows import toy_rows

CONTEXT = RowContext(0, "fold", features=None_())
PROTOCOL = DetectionHoldout(delay_days=3, decide_share=0.1, resamples=10)


def predicted(protocol, frame):
    (fold,) = protocol.split(frame)
    return protocol.evaluate_cell(Logistic(), frame, Cell("m", fold, 0, fold.units), CONTEXT)


def test_the_last_share_of_the_rows_is_scored_after_an_embargo_of_the_delay():
    frame = toy_rows()
    parts, times = PROTOCOL.parts(frame, CONTEXT), row_arrivals(frame)
    (fold,) = PROTOCOL.split(frame)
    cutoff = fold.cutoffs[0].at
    assert fold.units == len(parts["test"].data) == (times >= cutoff).sum()
    assert fold.units / len(frame.data) == pytest.approx(0.2, abs=0.01)
    spans = [
        (row_arrivals(parts[name]).min(), row_arrivals(parts[name]).max())
        for name in ("train", "stop", "calibrate", "decide")
    ]
    assert all(early[1] < late[0] for early, late in pairwise(spans))
    assert spans[-1][1] < cutoff - timedelta(days=3) <= spans[-1][1] + timedelta(days=2)
    learned = pl.concat([parts[name].data for name in ("train", "stop", "calibrate", "decide")])[
        "row_id"
    ]
    arrived = frame.data.select("row_id", label_arrivals(frame, 3).alias("known")).filter(
        pl.col("row_id").is_in(learned.implode())
    )
    assert (arrived["known"] <= cutoff).all()
    assert parts["stop"].data.height == pytest.approx(0.1 * len(learned), abs=1)


def test_where_there_is_no_time_a_share_of_the_groups_is_scored():
    frame = table()
    parts = PROTOCOL.parts(frame, CONTEXT)
    owners = {name: set(part.data["customer"]) for name, part in parts.items()}
    assert (
        sum(len(own) for own in owners.values())
        == len(set().union(*owners.values()))
        == frame.data["customer"].n_unique()
    )
    assert len(owners["test"]) / frame.data["customer"].n_unique() == pytest.approx(0.2, abs=0.1)
    assert parts["test"].column("label").null_count() == len(parts["test"].data)
    more = PROTOCOL.parts(table(n=900), CONTEXT)
    assert owners["test"] <= set(more["test"].data["customer"]), "more rows move no group"
    rows = predicted(PROTOCOL, frame)
    assert set(rows["part"]) == {"test", "decide"}
    assert set(rows["cutoff"]) == {"held-out groups"}


@pytest.mark.parametrize("frame", [toy_rows(), table()], ids=["time", "groups"])
def test_nothing_leaks_and_a_careless_one_is_caught(frame):
    class Careless(DetectionHoldout):
        """Learns from the rows that it scores."""

        def parts(self, frame, context, *, tests=True):
            own = super().parts(frame, context, tests=tests)
            label = frame.name("label")
            known = (
                own["test"]
                .data.drop(label)
                .join(frame.data.select("row_id", label), on="row_id", maintain_order="left")
            )
            told = replace(own["test"], data=known.with_columns(pl.col(label).cast(pl.Float64)))
            return own | {"train": told.filter(told.column("label").is_not_null())}

    found = list(check_leaks(PROTOCOL, "m", Logistic(), frame, CONTEXT))
    assert found == [None] * len(PROTOCOL.split(frame)[0].cutoffs)
    assert [
        leak
        for leak in check_leaks(Careless(delay_days=3), "m", Logistic(), frame, CONTEXT)
        if leak
    ]


@pytest.mark.parametrize("frame", [toy_rows(), table()], ids=["time", "groups"])
def test_a_model_is_kept_and_asked_of_the_rows_that_it_could_not_learn_from(frame, tmp_path):
    label = frame.name("label")
    frame = (
        frame
        if frame.roles.get("time")
        else replace(
            frame,
            data=frame.data.with_columns(
                pl.when(pl.int_range(pl.len()) < 9).then(None).otherwise(label).alias(label)
            ),
        )
    )
    fitted = PROTOCOL.fit_all(Logistic(), frame, CONTEXT)
    new = PROTOCOL.predict_new(fitted, frame, CONTEXT)
    save_fitted(fitted, tmp_path / "model")
    assert PROTOCOL.predict_new(load_fitted(tmp_path / "model"), frame, CONTEXT).equals(new)
    if frame.roles.get("time"):
        assert (new["time"] >= row_arrivals(frame).max() - timedelta(days=3)).all()
    assert 0 < len(new) < len(frame.data) / 2


def test_what_cannot_be_is_refused():
    with pytest.raises(
        DataError,
        match=r"^protocol\.share: no row is left to learn from, of 0 that arrived 900 days",
    ):
        DetectionHoldout(delay_days=900).split(toy_rows())
    with pytest.raises(ConfigError, match=r"^protocol\.calibrate_share: must be > 0 for 'l'"):
        DetectionHoldout(calibrate_share=0.0).check_models(
            {"l": Logistic(name="l", calibration="isotonic")}, toy_rows()
        )
    assert not isinstance(PROTOCOL, Tunable)
    words = ["dataset=handbook_simulator", "model=classify/logistic", "protocol=detection_holdout"]
    assert check(compose(words)).protocol.share == 0.2
    with pytest.raises(
        ConfigError, match=r"^sweep: protocol 'detection_holdout' has no windows before its own"
    ):
        check(compose([*words, "sweep=random"]))
