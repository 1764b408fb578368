"""Few rows of values are read as a table of them is, to the bit."""

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from hwds.frames.table import BatchSchema, RowBatch, Table

KINDS = {
    "double": pl.Float64,
    "single": pl.Float32,
    "whole": pl.Int64,
    "flag": pl.Boolean,
    "day": pl.Date,
    "text": pl.String,
    "one": pl.Enum(["a", "b"]),
    "flat": pl.Array(pl.Float32, (3,)),
    "steps": pl.Array(pl.Float64, (2, 2)),
}
ROWS = [
    {
        "double": 0.1,
        "single": 0.1,
        "whole": 2**53 + 1,
        "flag": True,
        "day": date(2024, 3, 1),
        "text": "a",
        "one": "b",
    },
    {
        "double": -0.0,
        "single": 1e-40,
        "whole": -3,
        "flag": False,
        "text": "ne'er seen",
        "one": "a",
        "flat": [1.0, 2.0, 3.5],
    },
    {"double": float("inf"), "text": "", "steps": np.array([[1.0, np.nan], [0.1, 4.0]])},
    {
        "double": 5e-324,
        "whole": None,
        "flag": None,
        "text": None,
        "single": 3e38,
        "flat": np.float32([0.1, 0.2, 0.3]),
    },
    {},
]
SCHEMA = Table(pl.DataFrame(schema=KINDS), {"covariate": tuple(KINDS)}, "EUR")


def table_of(rows):
    return replace(
        SCHEMA,
        data=pl.DataFrame(
            [pl.Series(name, [row.get(name) for row in rows], kind) for name, kind in KINDS.items()]
        ),
    )


@pytest.mark.parametrize("count", [0, 1, 2, 5])
@pytest.mark.parametrize(
    "names", [(), ("double",), ("double", "whole", "flag", "single"), ("flag", "day", "double")]
)
def test_numbers(count, names):
    rows = RowBatch(ROWS[:count], BatchSchema.of(SCHEMA))
    found, wanted = rows.numbers(names), table_of(ROWS[:count]).numbers(names)
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape == (count, len(names))
    assert np.ascontiguousarray(found).tobytes() == np.ascontiguousarray(wanted).tobytes()
    assert ("table" in vars(rows)) == ("day" in names)  # a date becomes a number by way of a table


@pytest.mark.parametrize("count", [0, 1, 5])
def test_codes_and_steps(count):
    rows, table = RowBatch(ROWS[:count], BatchSchema.of(SCHEMA)), table_of(ROWS[:count])
    for name in ("text", "one"):
        for known in ({}, {"a": 1, "": 2}, {"b": 7}):
            assert rows.codes(name, known, 0).tolist() == table.codes(name, known, 0).tolist()
    for name in ("flat", "steps"):
        assert rows.steps(name).tobytes() == table.steps(name).tobytes()
        assert rows.steps(name).shape == table.steps(name).shape
    assert rows.height == table.height == count
    assert "table" not in vars(rows)


def test_who_asks_for_a_table_gets_it():
    rows = RowBatch(ROWS, BatchSchema.of(SCHEMA))
    assert rows.data.equals(table_of(ROWS).data)
    assert (rows.table.roles, rows.table.unit) == (SCHEMA.roles, "EUR")
    assert rows.texts("whole") == table_of(ROWS).texts("whole")
    assert rows.texts("flat") == rows.texts("no column") == [None] * len(ROWS)
