"""Rows as they were known at an instant."""

from datetime import datetime

import polars as pl

from hwds.evaluation.row_folds import as_known
from hwds.frames.table import Table


def test_a_column_that_is_called_like_the_arrival_of_labels_stays():
    days = [datetime(2024, 1, day) for day in (1, 2, 3)]
    data = pl.DataFrame(
        {"row_id": [0, 1, 2], "time": days, "gray": [0, 1, 0], "gray_time": [5.0, 6.0, 7.0]}
    )
    known = as_known(Table(data, {"time": ("time",), "label": ("gray",)}), datetime(2024, 1, 5), 2)
    assert known.data["gray_time"].to_list() == [5.0, 6.0, 7.0]
    assert known.name("label_time") == "gray_time_"
    assert known.data["gray"].to_list() == [0.0, 1.0, None]
