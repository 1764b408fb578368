"""A panel with more columns knows its rows still, and has a name of its own."""

import polars as pl

from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel


def test_where_series_begin():
    empty = pl.DataFrame(schema={"series_id": pl.String, "time": pl.Int64, "target": pl.Float64})
    for ids, offsets in (([], [0]), (["a"], [0, 1]), (["a", "a", "b", "c", "c"], [0, 2, 3, 5])):
        rows = pl.DataFrame(
            {"series_id": ids, "time": range(len(ids)), "target": [1.0] * len(ids)},
            schema=empty.schema,
        )
        assert Panel(rows, roles=None, frequency=Frequency("1i")).offsets.tolist() == offsets


def test_widened_keeps_the_rows_and_not_the_fingerprint():
    table = pl.DataFrame(
        {"series_id": ["a", "a", "b"], "time": [1, 2, 1], "target": [1.0, 2.0, 3.0]}
    )
    panel = Panel.build(table, Frequency("1i"))
    before = panel.fingerprint
    wide = panel.with_table(panel.table.with_columns(more=pl.col("target") * 2))
    assert wide.values("more").tolist() == [2.0, 4.0, 6.0]
    assert wide.offsets.tolist() == panel.offsets.tolist() == [0, 2, 3]
    assert wide.fingerprint != before == panel.fingerprint
    assert "more" not in panel.table.columns
