"""Computed columns stand beside a table's own inputs, and never in the place of anything else."""

import polars as pl
import pytest

from hwds.core.errors import ConfigError
from hwds.frames.table import Table

DATA = pl.DataFrame(
    {"when": [1, 2], "bad": [0, 1], "spent": [3.0, 4.0], "weekend": [0, 1], "store": ["a", "b"]}
)
TABLE = Table.build(
    DATA,
    {"time": ("when",), "label": ("bad",), "amount": ("spent",), "covariate": ("spent", "weekend")},
)


def test_new_columns_are_inputs_and_an_input_of_the_same_name_gives_way():
    wide = TABLE.with_inputs(pl.DataFrame({"weekend": [1, 1], "share": [0.5, 0.6]}))
    assert wide.inputs == ("spent", "weekend", "share")
    assert wide.data["weekend"].to_list() == [1, 1]
    assert TABLE.data["weekend"].to_list() == [0, 1]
    assert TABLE.with_inputs(pl.DataFrame()) is TABLE


@pytest.mark.parametrize("name", ["bad", "when", "spent", "store", "row_id"])
def test_what_plays_another_role_or_none_does_not_give_way(name):
    with pytest.raises(ConfigError) as caught:
        TABLE.with_inputs(pl.DataFrame({"share": [0.5, 0.6], name: [0, 0]}))
    assert (
        str(caught.value)
        == f"features: make the column '{name}', which the table has already; rename it in the "
        f"data."
    )
