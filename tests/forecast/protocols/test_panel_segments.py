"""Segments that are finer than series: rows by a column, classes that are known at the cutoff."""

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError
from hwds.evaluation.panel_folds import AtTime
from hwds.evaluation.protocol import NO_SEGMENT, Cell, RunContext, ScoreSegments
from hwds.forecast.protocols.holdout import Holdout
from hwds.forecast.protocols.launch import Launch
from hwds.forecast.protocols.walk_forward import WalkForward
from hwds.frames.panel import Panel
from tests.support.panels import LastValue, monthly_panel


def with_target(values) -> Panel:
    """One series for each row of `values`, of 60 months."""
    panel = monthly_panel(n_series=len(values))
    return replace(
        panel,
        table=panel.table.with_columns(
            pl.Series("target", np.concatenate(values), nan_to_null=True)
        ),
    )


def asked(protocol, panel):
    return pl.concat(
        protocol.evaluate_cell(LastValue(), panel, Cell("m", fold, 0, fold.units), RunContext(0))
        for fold in protocol.split(panel)
    )


def classes(protocol, panel, column):
    """Series and cutoff to their class."""
    labels = ScoreSegments.of(replace(protocol, segments=(column,)), panel).labels[column]
    return {
        (name, cutoff): segment
        for name, cutoff, segment in labels.select("series_id", "cutoff", "segment").iter_rows()
    }


def test_promoted_rows_are_scored_apart():
    panel = monthly_panel()
    protocol = WalkForward(horizon=4, windows=2, segments=("promotion",))
    rows = asked(protocol, panel)
    marked = rows.join(
        panel.table.select("series_id", "time", "promotion"),
        on=["series_id", "time"],
        maintain_order="left",
    )
    found = [
        score for score, _ in ScoreSegments.of(protocol, panel).scores(protocol.score, rows, ())
    ]
    assert list(dict.fromkeys(score.segment for score in found)) == ["0", "1"]
    for value in ("0", "1"):
        alone = rows.filter((marked["promotion"] == float(value)).fill_null(False))
        wanted = [
            replace(s, segment_by="promotion", segment=value)
            for s in protocol.score(alone)
            if s.step is None
        ]
        assert wanted == [s for s in found if s.segment == value]


def test_a_share_tells_apart_zero_and_not_zero_and_unknown():
    panel = monthly_panel(n_series=2)
    shortage = np.tile(np.r_[np.zeros(56), 0.3, 0.0, np.nan, 0.9], 2)
    panel = replace(
        panel, table=panel.table.with_columns(pl.Series("visits", shortage, nan_to_null=True))
    )
    protocol = Holdout(horizon=4, segments=("visits",))
    found = {
        s.segment: s.n
        for s, _ in ScoreSegments.of(protocol, panel).scores(
            protocol.score, asked(protocol, panel), ()
        )
        if s.metric == "mae" and s.aggregate == "pooled"
    }
    assert found == {"0": 2, "not 0": 4, NO_SEGMENT: 2}


def test_a_column_without_a_zero_or_of_zeros_alone_is_refused():
    panel = monthly_panel()
    for value, said in ((0.0, "is 0 in every row"), (2.0, "is 0 in no row")):
        flat = replace(panel, table=panel.table.with_columns(promotion=pl.lit(value)))
        with pytest.raises(
            ConfigError, match=f"protocol.segments: 'promotion' {said}; it separates"
        ):
            ScoreSegments.of(Holdout(segments=("promotion",)), flat)


def test_age_grows_with_the_cutoff_and_counts_from_the_launch():
    panel = monthly_panel(n_series=2, months=40)
    protocol = WalkForward(horizon=4, windows=4, stride=10)
    found = classes(protocol, panel, "age")
    cuts = [cutoff.instant for cutoff in protocol.cutoffs(panel)]
    assert [found["s0", cut] for cut in cuts] == [
        "6 to 11",
        "12 to 23",
        "24 or more",
        "24 or more",
    ]  # after 6, 16, 26, 36 rows
    launched = panel.table.with_columns(
        launch=pl.when(pl.col("series_id") == "s1").then(pl.lit(date(2017, 1, 1)))
    )
    older = replace(panel, table=launched, roles=panel.roles | {"static": ("launch",)})
    found = classes(protocol, older, "age")
    assert [found["s1", cut] for cut in cuts] == [
        "12 to 23",
        "24 or more",
        "24 or more",
        "24 or more",
    ]
    assert [found["s0", cut] for cut in cuts][:2] == ["6 to 11", "12 to 23"]


def test_volume_is_a_third_of_what_was_known_at_the_cutoff():
    panel = with_target(
        [
            np.r_[np.full(50, level), np.full(10, late)]
            for level, late in zip(range(1, 7), [99, 1, 9, 1, 9, 1], strict=True)
        ]
    )
    protocol = Holdout(horizon=10)
    found = {name: segment for (name, _), segment in classes(protocol, panel, "volume").items()}
    assert list(found.values()) == ["low", "low", "middle", "middle", "high", "high"]
    assert ScoreSegments.of(replace(protocol, segments=("volume",)), panel).values("volume") == [
        "low",
        "middle",
        "high",
    ]


def test_demand_has_the_four_classes_of_syntetos_boylan_and_croston():
    every, third = np.ones(60), (np.arange(60) % 3 == 0).astype(float)
    sizes = np.where(np.arange(60) % 2 == 0, 1.0, 20.0)
    panel = with_target(
        [
            every,
            sizes,
            third,
            third * np.where(np.arange(60) % 6 == 0, 1.0, 20.0),
            0 * every,
            np.nan * every,
        ]
    )
    found = classes(Holdout(horizon=6), panel, "intermittent")
    assert list(found.values()) == [
        "smooth",
        "erratic",
        "intermittent",
        "lumpy",
        "intermittent",
        None,
    ]
    on_the_edge = with_target(
        [np.where(np.arange(60) < 33 * 60 // 44, 1.0, 0.0)]
    )  # 1.33 rows a demand over all, fewer at the cutoff
    assert list(classes(Holdout(horizon=15), on_the_edge, "intermittent").values()) == ["smooth"]


@pytest.mark.parametrize("column", ["age", "volume", "intermittent"])
@pytest.mark.parametrize("align", ["calendar", "end"])
def test_nothing_after_the_cutoff_counts(column, align):
    panel = monthly_panel()
    protocol = WalkForward(horizon=4, windows=3, align=align)
    clean = classes(protocol, panel, column)
    last = protocol.cutoffs(panel)[0]
    rubbish = protocol.corrupt_after(panel, last, np.random.default_rng(0))
    at = {
        key: segment
        for key, segment in classes(protocol, rubbish, column).items()
        if key[1] == min(cut for _, cut in clean)
    }
    assert at
    assert at == {key: clean[key] for key in at}


def test_every_row_has_its_class_and_each_unit_is_counted_once():
    panel = monthly_panel()
    protocol = WalkForward(horizon=4, windows=3, refit="never", segments=("age", "volume"))
    rows = asked(protocol, panel)
    for column in protocol.segments:
        found = [
            s
            for s, _ in ScoreSegments.of(protocol, panel).scores(protocol.score, rows, ())
            if s.segment_by == column
        ]
        pooled = [s.n for s in found if (s.metric, s.aggregate) == ("mae", "pooled")]
        assert sum(pooled) == len(rows)
        assert NO_SEGMENT not in {s.segment for s in found}


def test_lost_series_are_counted_in_the_classes_that_they_were_of():
    panel = with_target([np.full(60, float(level)) for level in (1, 1, 5, 5, 9, 9)])
    protocol = Holdout(horizon=4, segments=("volume", "promotion"))
    rows = asked(protocol, panel).filter(pl.col("series_id").is_in(["s3", "s4", "s5"]))
    (fold,) = protocol.split(panel)
    failed = {
        s.segment: lost
        for s, lost in ScoreSegments.of(protocol, panel).scores(
            protocol.score, rows, [Cell("m", fold, 0, 3)]
        )
    }
    assert failed == {"middle": 1, "high": 0, "0": 3, "1": 3}


def test_a_users_own_column_goes_before_a_class_of_its_name():
    panel = monthly_panel(n_series=2)
    table = panel.table.with_columns(
        age=pl.when(pl.col("series_id") == "s0").then(pl.lit("old")).otherwise(pl.lit("new"))
    )
    own = replace(panel, table=table, roles=panel.roles | {"static": ("age",)})
    assert ScoreSegments.of(Holdout(segments=("age",)), own).values("age") == ["new", "old"]


def test_launches_without_a_row_are_of_no_class():
    panel = monthly_panel(n_series=3)
    late = panel.table.filter((pl.col("series_id") != "s2") | (pl.col("time") >= date(2021, 1, 1)))
    young = replace(panel, table=late)
    protocol = Launch(after=0, horizon=4)
    (cutoff,) = protocol.cutoffs(young)
    assert isinstance(cutoff, AtTime)
    for column in ("age", "volume", "intermittent"):
        assert classes(protocol, young, column) == {("s2", date(2020, 12, 1)): None}
