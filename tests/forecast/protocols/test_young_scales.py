"""Young series are scored in units of the others' mean scale, cutoff by cutoff."""

import polars as pl
import pytest

from hwds.forecast.rows import fill_young_scales


def rows(*lines):
    names = ("fold", "series_id", "cutoff", "step", "scale_abs", "short_scale_abs")
    made = pl.DataFrame(lines, schema=names, orient="row", infer_schema_length=None)
    return made.with_columns(
        scale_sq=pl.col("scale_abs") ** 2, short_scale_sq=pl.col("short_scale_abs") ** 2
    )


def test_a_young_series_has_the_mean_scale_of_the_others_at_its_cutoff():
    made = fill_young_scales(
        rows(
            (0, "old", 9, 1, 2.0, None),
            (0, "old", 9, 2, 2.0, None),  # counts once
            (0, "older", 9, 1, 4.0, None),
            (0, "young", 9, 1, None, 0.001),
            (0, "zero", 9, 1, None, None),
            (0, "old", 10, 1, 8.0, None),  # a later cutoff is none of its business
            (1, "young", 11, 1, None, 0.001),
        )
    )
    assert made["short_scale_abs"].to_list() == [None, None, None, 3.0, None, None, 0.001]
    assert made["short_scale_sq"].to_list() == [
        None,
        None,
        None,
        pytest.approx(10.0),
        None,
        None,
        pytest.approx(1e-6),
    ]
    assert made["scale_abs"].to_list() == [2.0, 2.0, 4.0, None, None, 8.0, None]
