from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError
from hwds.evaluation.protocol import (
    NO_SEGMENT,
    Cell,
    Evaluation,
    Fold,
    RunContext,
    Score,
    ScoreSegments,
    Segmentable,
)
from hwds.forecast.protocols.holdout import Holdout
from hwds.forecast.protocols.walk_forward import WalkForward
from hwds.frames.panel import Panel
from hwds.frames.table import Table
from tests.support.panels import LastValue, monthly_panel

FOLD = Fold(0, "all", 6)


def panel_with(static=(), level=(), **columns) -> Panel:
    """Six series; each column is given by its six values."""
    panel = monthly_panel(n_series=6)
    each = [
        pl.Series(name, pl.Series(values).gather(np.repeat(range(6), panel.lengths)))
        for name, values in columns.items()
    ]
    roles = panel.roles | {
        "static": static or tuple(name for name in columns if name not in level),
        "level": level,
    }
    return replace(panel, table=panel.table.with_columns(each), roles=roles)


def asked(protocol, panel):
    return pl.concat(
        protocol.evaluate_cell(LastValue(), panel, Cell("m", fold, 0, fold.units), RunContext(0))
        for fold in protocol.split(panel)
    )


def scored(protocol, panel, rows=None, lost=()):
    return list(
        ScoreSegments.of(protocol, panel).scores(
            protocol.score, asked(protocol, panel) if rows is None else rows, lost
        )
    )


@pytest.mark.parametrize("cls", [WalkForward, Holdout])
def test_a_segment_has_the_scores_of_its_series_alone(cls):
    panel = panel_with(channel=["web", "shop", "web", "shop", "web", "web"])
    protocol = cls(horizon=4, segments=("channel",))
    rows = asked(protocol, panel)
    found = [score for score, _ in scored(protocol, panel, rows)]
    alone = {"web": ["s0", "s2", "s4", "s5"], "shop": ["s1", "s3"]}
    assert list(dict.fromkeys(score.segment for score in found)) == ["shop", "web"]
    for value, series in alone.items():
        wanted = [
            s
            for s in protocol.score(rows.filter(pl.col("series_id").is_in(series)))
            if s.step is None
        ]
        assert [replace(s, segment_by="channel", segment=value) for s in wanted] == [
            s for s in found if s.segment == value
        ]
    mase = next(
        s for s in found if (s.metric, s.aggregate, s.segment) == ("mase[m=12]", "mean", "web")
    )
    assert mase.n == 4
    assert mase.stderr > 0


def test_the_total_is_what_it_is_without_segments():
    panel = panel_with(channel=["web", "shop", "web", "shop", "web", "web"])
    rows = asked(WalkForward(horizon=4), panel)
    assert rows.equals(asked(WalkForward(horizon=4, segments=("channel",)), panel))
    assert WalkForward(horizon=4).score(rows) == WalkForward(
        horizon=4, segments=("channel",)
    ).score(rows)
    assert scored(WalkForward(horizon=4), panel) == []


def test_values_are_text_in_the_order_of_their_own_kind_and_null_is_none():
    panel = panel_with(generation=[10, 9, None, 10, 2, 2], level=("generation",))
    protocol = Holdout(horizon=4, segments=("generation",))
    assert ScoreSegments.of(protocol, panel).values("generation") == ["2", "9", "10", NO_SEGMENT]
    assert list(dict.fromkeys(score.segment for score, _ in scored(protocol, panel))) == [
        "2",
        "9",
        "10",
        NO_SEGMENT,
    ]


def test_what_has_no_value_goes_with_what_says_so():
    panel = panel_with(channel=[NO_SEGMENT, None, "web", "web", "web", None])
    found = [score for score, _ in scored(Holdout(horizon=4, segments=("channel",)), panel)]
    assert [(s.segment, s.n) for s in found if (s.metric, s.aggregate) == ("wape", "mean")] == [
        (NO_SEGMENT, 3),
        ("web", 3),
    ]


def test_a_column_may_bear_the_name_of_one_of_the_rows():
    panel = panel_with(season=["winter", "summer"] * 3, mean=["a", "b", "b"] * 2)
    found = [score for score, _ in scored(Holdout(horizon=4, segments=("season", "mean")), panel)]
    assert {(score.segment_by, score.segment) for score in found} == {
        ("season", "winter"),
        ("season", "summer"),
        ("mean", "a"),
        ("mean", "b"),
    }
    assert all(score.metric != "season" for score in found)


def test_failures_are_counted_where_they_were():
    panel = panel_with(channel=["web", "shop", "web", "shop", "web", "web"])
    protocol = Holdout(horizon=4, segments=("channel",))
    rows = asked(protocol, panel).filter(pl.col("series_id").is_in(["s3", "s4", "s5"]))
    failed = {
        score.segment: count
        for score, count in scored(protocol, panel, rows, [Cell("m", FOLD, 0, 3)])
    }
    assert failed == {"shop": 1, "web": 2}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("chanel", "protocol.segments: no column 'chanel'; did you mean 'channel'?"),
        (
            "region",
            "protocol.segments: no column 'region'; known: age, channel, family, intermittent, "
            "promotion, visits, volume.",
        ),
        (
            "visits",
            "protocol.segments: 'visits' is 0 in no row; it separates rows with 0 from the others.",
        ),
        (
            "target",
            "protocol.segments: 'target' is the target; it must be static, level, known_future or "
            "past_only.",
        ),
    ],
)
def test_a_column_that_cannot_be_is_refused(name, said):
    panel = panel_with(static=("channel",), level=("family",), channel=["a"] * 6, family=["f"] * 6)
    with pytest.raises(ConfigError) as refusal:
        ScoreSegments.of(WalkForward(segments=("channel", name)), panel)
    assert str(refusal.value) == said


class Share(Evaluation, Segmentable):
    """The share of rows that were right: a classifier's protocol in small."""

    unit = "row_id"

    def score(self, rows):
        return [Score("share", "mean", float(rows["right"].mean()), n=len(rows))]

    def labels(self, frame, column):
        return frame.data.select("row_id", pl.col(column).alias("segment"))


def test_slices_of_a_table_go_the_same_way():
    data = pl.DataFrame({"country": ["de", "fr", "de", "de"], "label": [1, 0, 1, 0]})
    table = Table.build(data, {"slice": ("country",), "label": ("label",)})
    rows = pl.DataFrame({"row_id": [3, 1, 0], "right": [True, False, False]})
    found = scored(Share(segments=("country",)), table, rows, [Cell("m", FOLD, 2, 3)])
    assert [(s.segment, s.value, s.n, lost) for s, lost in found] == [
        ("de", 0.5, 2, 1),
        ("fr", 0.0, 1, 0),
    ]


class Loss(Evaluation, Segmentable):
    """Mean loss of replications, in each of which customers of several segments came: a bandit's
    protocol in small.
    """

    unit = "replication"

    def score(self, rows):
        return [Score("loss", "mean", float(rows["loss"].mean()), n=rows["replication"].n_unique())]

    def labels(self, frame, column):
        return None


def test_segments_inside_a_unit_are_borne_by_the_rows():
    rows = pl.DataFrame(
        {"replication": [0, 0, 1, 1], "customers": ["new", "old"] * 2, "loss": [1.0, 2.0, 3.0, 6.0]}
    )
    found = scored(Loss(segments=("customers",)), None, rows, [Cell("m", FOLD, 2, 6)])
    assert [(s.segment, s.value, s.n, lost) for s, lost in found] == [
        ("new", 2.0, 2, 4),
        ("old", 4.0, 2, 4),
    ]
    assert ScoreSegments.of(Loss(segments=("customers",)), None).values("customers") == []


def test_a_protocol_without_segments_says_so():
    class Plain(Evaluation):
        """Scores all together."""

    with pytest.raises(
        ConfigError, match=r"protocol\.segments: protocol 'plain' has no segments, got 'x'"
    ):
        ScoreSegments.of(Plain(name="plain", segments=("x",)), None)
