"""Tables that no classifier can be asked of are refused in one line, with the row."""

from dataclasses import replace
from datetime import datetime, timedelta

import polars as pl
import pytest

from hwds.core.errors import DataError
from hwds.detection.protocols.base import check_rows
from hwds.frames.table import Table

BEGIN = datetime(2024, 1, 1)
ROLES = {
    "label": ("fraud",),
    "time": ("when",),
    "label_time": ("found",),
    "available_at": ("told",),
    "amount": ("worth",),
    "label_propensity": ("chance",),
}


def table(**columns):
    days = [BEGIN + timedelta(days=i) for i in range(6)]
    told = {
        "when": days,
        "told": days,
        "found": [day + timedelta(days=1) for day in days],
        "fraud": [0, 1, 0, 1, None, 0],
        "worth": [1.0, 2.0, None, 4.0, 5.0, 6.0],
        "chance": [0.1, None, 0.2, 1.0, 0.5, 0.5],
    }
    return Table.build(pl.DataFrame(told | columns), ROLES)


def test_an_id_is_of_one_row_alone():
    table = Table.build(
        pl.DataFrame({"order": ["A-1", "A-2", "A-1"], "fraud": [0, 1, 0]}),
        {"id": ("order",), "label": ("fraud",)},
    )
    with pytest.raises(
        DataError,
        match=r"^dataset\.roles\.id: rows 1 and 3 both have 'A-1' in column 'order'; each row ",
    ):
        check_rows(table)


def test_a_good_table_passes():
    check_rows(table())
    check_rows(table(fraud=[True, False, None, True, False, None]))
    bare = table()
    check_rows(replace(bare, roles={"label": ("fraud",)}))


def test_an_infinite_number_is_refused_wherever_it_is():
    with pytest.raises(
        DataError, match=r"^dataset: column 'worth' has inf in row 2, more than 1e\+100 in size\.$"
    ):
        check_rows(table(worth=[1.0, float("inf"), None, 4.0, 5.0, 6.0]))
    with pytest.raises(DataError, match="column 'extra' has -inf in row 6"):
        check_rows(table(extra=[0.0, 0.0, 0.0, None, 0.0, float("-inf")]))


ZONED = pl.Series([BEGIN + timedelta(days=i) for i in range(6)]).dt.replace_time_zone("UTC")
WRONG = {
    "three labels": (
        {"fraud": [0, 1, 2, 0, 1, 0]},
        "dataset.roles.label: must be 0 or 1, row 3 has 2.",
    ),
    "shares": (
        {"fraud": [0.0, 1.0, 0.5, 0.0, 1.0, 0.0]},
        "dataset.roles.label: must be 0 or 1, row 3 has 0.5.",
    ),
    "text": (
        {"fraud": [None, "yes", "no", "no", "no", "no"]},
        "dataset.roles.label: column 'fraud' must hold 0 and 1, row 2 has 'yes'.",
    ),
    "one class": (
        {"fraud": [0] * 6},
        "dataset.roles.label: column 'fraud' needs rows of 0 and of 1, it has only 0.",
    ),
    "no label": (
        {"fraud": pl.Series([None] * 6, dtype=pl.Int64)},
        "dataset.roles.label: column 'fraud' needs rows of 0 and of 1, it has no label.",
    ),
    "no time": (
        {"when": [*[BEGIN] * 3, None, BEGIN, BEGIN]},
        "dataset.roles.time: row 4 has no value in column 'when'.",
    ),
    "no arrival": (
        {"told": [*[BEGIN] * 3, None, BEGIN, BEGIN]},
        "dataset.roles.available_at: row 4 has no value in column 'told'.",
    ),
    "mixed zones": (
        {"found": ZONED},
        "dataset.roles.label_time: column 'found' is in UTC, but column 'when' has no time zone;"
        " row 1 has 2024-01-01 00:00:00+00:00 and 2024-01-01 00:00:00.",
    ),
    "label without its time": (
        {"found": [BEGIN + timedelta(days=9), None, *[BEGIN + timedelta(days=9)] * 4]},
        "dataset.roles.label_time: row 2 has a label and no value in column 'found'.",
    ),
    "label before its row": (
        {"found": [BEGIN + timedelta(days=2)] * 6},
        "dataset.roles.label_time: row 4 was labelled at 2024-01-03 00:00:00, before it happened "
        "(2024-01-04 00:00:00).",
    ),
    "labels after all data": (
        {"found": [BEGIN + timedelta(days=60)] * 6},
        "dataset.roles.label_time: all labels are later than the data, which ends at 2024-01-06 "
        "00:00:00;"
        " row 1 has 2024-03-01 00:00:00.",
    ),
    "negative": (
        {"worth": [1.0, -3.0, 0.0, 0.0, 0.0, 0.0]},
        "dataset.roles.amount: row 2 has -3.0 in column 'worth'; must be >= 0.",
    ),
    "amount in words": (
        {"worth": list("abcdef")},
        "dataset.roles.amount: column 'worth' holds string values, not numbers.",
    ),
    "no chance": (
        {"chance": [0.1, 0.0, 0.1, 0.1, 0.1, 0.1]},
        "dataset.roles.label_propensity: row 2 has 0.0 in column 'chance'; must be > 0 and <= 1.",
    ),
    "more than certain": (
        {"chance": [0.1, 0.2, 0.1, 0.1, 0.1, 1.1]},
        "dataset.roles.label_propensity: row 6 has 1.1 in column 'chance'; must be > 0 and <= 1.",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_refused_in_one_line(what):
    columns, said = WRONG[what]
    with pytest.raises(DataError) as refusal:
        check_rows(table(**columns))
    assert str(refusal.value) == said
