"""How arms are called, and what outcomes are counted in."""

import numpy as np
import polars as pl
import pytest

from hwds.frames.table import Table, arm_name, outcome_unit


@pytest.mark.parametrize(
    ("columns", "roles", "unit"),
    [
        ({"sold": [0, 1]}, {}, ""),
        ({"sold": [0.0, 19.0]}, {}, "EUR"),
        ({"sold": [0, 19], "paid": [19, 19]}, {"price": ("paid",)}, "EUR"),
        ({"sold": [0, 3], "paid": [19, 19]}, {"price": ("paid",)}, ""),
        ({"sold": [0, 3], "spent": [0, 57]}, {"amount": ("spent",)}, ""),
    ],
)
def test_an_outcome_is_money_where_nothing_says_otherwise(columns, roles, unit):
    roles = {"outcome": ("sold",), **roles}
    assert outcome_unit(Table.build(pl.DataFrame(columns), roles, "EUR")) == unit
    assert outcome_unit(Table.build(pl.DataFrame(columns), roles)) == ""


def test_a_table_keeps_its_unit(tmp_path):
    table = Table.build(pl.DataFrame({"sold": [0, 1]}), {"outcome": ("sold",)}, "EUR")
    table.write(tmp_path)
    assert Table.read(tmp_path).unit == "EUR"
    assert (
        table.fingerprint
        != Table.build(pl.DataFrame({"sold": [0, 1]}), {"outcome": ("sold",)}).fingerprint
    )


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (99.0, "99"),
        (9.99, "9.99"),
        (np.float64(9.99), "9.99"),
        (14999010.0, "14999010"),
        (7, "7"),
        ("A", "A"),
    ],
)
def test_two_numbers_never_have_one_name(value, name):
    assert arm_name(value) == name
