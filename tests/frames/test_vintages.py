"""Vintages: what was forecast by an instant, against a plain loop; physically gone where it was
made later.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.frames.panel import Panel, Vintages, with_aggregates, without_aggregates
from tests.support.panels import monthly_panel

COLUMNS = ["series_id", "time", "made_at", "column", "value"]


def forecasts(panel, seed=3, names=("s0", "s1", "elsewhere")):
    """Forecasts of up to six steps at most instants, with holes.

    One series has none, another is not in the panel.
    """
    rng = np.random.default_rng(seed)
    clock = panel.table["time"].unique().sort().to_list()
    clock += [panel.frequency.after(pl.Series(clock[-1:]), ahead)[0] for ahead in (1, 2, 3)]
    rows = [
        (name, clock[made + step], clock[made], "rival", float(rng.normal()))
        for name in names
        for made in range(len(clock))
        for step in range(1, 7)
        if made + step < len(clock) and made % 5 and rng.random() < 0.8
    ]
    return Vintages(
        pl.DataFrame(rows, schema=COLUMNS, orient="row"), {"rival": "the mean of run a/b"}
    )


@pytest.fixture
def panel():
    plain = monthly_panel(3, 40)
    return plain.with_vintages(forecasts(plain))


def said(panel, series, when, by):
    """The last of all forecasts of an instant that were made by another, in a loop."""
    there = forecasts(panel).table.filter(
        pl.col("series_id") == series, pl.col("time") == when, pl.col("made_at") <= by
    )
    return there.sort("made_at")["value"].to_list()[-1] if len(there) else None


def test_a_row_of_the_past_has_what_was_said_before_it(panel):
    assert panel.roles.known_future == ("promotion", "rival")
    assert panel.planned == ("promotion",)
    before = panel.frequency.after(panel.table["time"], -1)
    wanted = [
        said(panel, *key, by)
        for key, by in zip(panel.table.select("series_id", "time").iter_rows(), before, strict=True)
    ]
    assert panel.table["rival"].to_list() == wanted
    assert 40 < panel.table["rival"].null_count() < 60


def test_what_was_made_after_the_end_or_of_other_series_is_left_out(panel):
    assert forecasts(panel).table["made_at"].max() > panel.table["time"].max()
    assert panel.vintages.table["made_at"].max() <= panel.table["time"].max()
    assert set(panel.vintages.table["series_id"]) == {"s0", "s1"}


def test_a_cut_panel_has_nothing_that_was_made_after_its_end(panel):
    ends = np.array([20, 31, 5])
    cut = panel.until(ends)
    last = dict(cut.ends.iter_rows())
    assert len(cut.vintages.table)
    assert all(
        made <= last[name]
        for name, made in cut.vintages.table.select("series_id", "made_at").iter_rows()
    )
    anew = replace(cut, vintages=None).with_vintages(forecasts(panel))
    assert anew.table.equals(cut.table)
    assert anew.vintages.table.equals(cut.vintages.table)


def test_they_are_part_of_the_fingerprint_and_survive_the_disk(panel, tmp_path):
    panel.write(tmp_path)
    again = Panel.read(tmp_path)
    assert again.vintages.table.equals(panel.vintages.table)
    assert dict(again.vintages.sources) == dict(panel.vintages.sources)
    assert again.fingerprint == panel.fingerprint
    other = replace(
        panel.vintages,
        table=panel.vintages.table.with_columns(value=pl.col("value") + (pl.col("value") > 2)),
    )
    assert not other.table.equals(panel.vintages.table)
    assert replace(panel, vintages=other).fingerprint != panel.fingerprint


def test_an_aggregate_has_the_mean_of_those_that_were_made_at_one_instant():
    plain = monthly_panel(3, 40)
    levelled = replace(plain, table=plain.table.with_columns(family=pl.lit("f")))
    levelled = replace(levelled, roles=plain.roles | {"static": ("family",), "level": ("family",)})
    own = levelled.with_vintages(forecasts(plain))
    whole = with_aggregates(own, grouped=False)
    when, made = own.vintages.table.select("time", "made_at").row(100)
    parts = own.vintages.table.filter(pl.col("time") == when, pl.col("made_at") == made)
    total = whole.vintages.table.filter(
        pl.col("series_id") == "total", pl.col("time") == when, pl.col("made_at") == made
    )
    assert total["value"].to_list() == [pytest.approx(parts["value"].mean())]
    back = without_aggregates(whole)
    assert back.vintages.table.equals(own.vintages.table)
    assert back.table.equals(own.table)
