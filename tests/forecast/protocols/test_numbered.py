"""Numbers do not tell which rows of two series fall together: a shock at the end of all is no
evidence of many origins.
"""

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from hwds.cli.notebook import evaluate
from hwds.forecast.compare import forecast_evidence
from hwds.forecast.metrics import FROM_LAST
from hwds.forecast.protocols.holdout import Holdout
from hwds.forecast.protocols.walk_forward import WalkForward
from hwds.forecast.rows import season_remarks
from hwds.frames.panel import Panel
from hwds.stats.sources import ModelRows
from tests.support.panels import LastValue

SIX = WalkForward(windows=6, horizon=1, stride=1, align="end")


def panels(n=30):
    """Series of different lengths that end together, with dates, and numbered each from its own
    beginning.
    """
    rng = np.random.default_rng(3)
    months = pl.date_range(date(2015, 1, 1), date(2022, 12, 1), "1mo", eager=True)
    dated = pl.concat(
        pl.DataFrame({"series": f"s{i}", "time": months[-rows:], "units": rng.normal(100, 9, rows)})
        for i, rows in enumerate(rng.integers(40, 90, n))
    )
    numbered = dated.with_columns(pl.int_range(1, pl.len() + 1).over("series").alias("time"))
    keys = {"series": "series", "time": "time", "target": "units", "season": 1, "horizon": 6}
    return [
        Panel.of(table, frequency=every, **keys)
        for table, every in ((dated, "1mo"), (numbered, "1i"))
    ]


@pytest.mark.parametrize("protocol", [Holdout(), WalkForward(windows=6, stride=3, align="end")])
def test_numbered_series_that_end_together_have_the_errors_of_dated_ones(protocol):
    dated, numbered = (evaluate(LastValue(), panel, protocol).tables for panel in panels())
    errors = ("metric", "aggregate", "step", "value", "stderr", "ci_low", "ci_high", "ci_method")
    assert_frame_equal(numbered.scores.select(errors), dated.scores.select(errors), rel_tol=1e-12)
    assert FROM_LAST in numbered.predictions.columns
    assert FROM_LAST not in dated.predictions.columns


def test_a_comparison_on_numbered_series_has_as_many_origins_as_windows():
    rows = evaluate(
        LastValue(), panels()[1], WalkForward(windows=6, stride=3, align="end")
    ).tables.predictions
    source = type("Source", (), {"config": {"protocol": {}}, "data": "d"})()
    new, earlier = (
        ModelRows("m", "d", 0, source, "m", rows),
        ModelRows("before", "d", 0, source, "m", rows.drop(FROM_LAST)),
    )
    for answers in (
        [new],
        [new, earlier],
        [earlier, new],
    ):  # a run of earlier code has no such column
        found, _ = forecast_evidence(answers, "mase", 100)
        assert (found.periods.least, found.span) == (6, {"d": 2})


def test_what_is_taken_for_granted_of_numbers_is_said():
    dated, numbered = panels(2)
    assert Holdout().warnings_before(dated, {}) == []
    assert (
        "at the same distance from the ends of their series count as one cutoff"
        in Holdout().warnings_before(numbered, {})[0]
    )
    assert (
        "equal numbers of two series are taken as one instant"
        in WalkForward().warnings_before(numbered, {})[0]
    )
    assert (
        FROM_LAST not in evaluate(LastValue(), numbered, WalkForward()).tables.predictions.columns
    )
    assert Holdout().warnings_before(numbered.block(0, 1), {}) == []


def test_the_cutoffs_that_a_remark_counts_are_those_of_the_intervals():
    panel = replace(panels()[1], season=12)
    said = [
        list(season_remarks(evaluate(LastValue(), panel, each).tables.predictions))
        for each in (Holdout(), SIX)
    ]
    assert said[0] == [], "thirty ends are one origin"
    assert said[1][0].startswith("6 cutoffs forecast 50 % of a season")
