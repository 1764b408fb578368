"""Which trials are scored on the same answers."""

from typing import Any

import polars as pl
import pytest

from hwds.evaluation.protocol import TuningSplit
from hwds.frames.table import Table
from hwds.search.sweep import why_incomparable

NO_PROTOCOL: Any = None
ROWS = pl.DataFrame(
    {"bad": [0, 1, 0], "card": ["a", "b", "a"], "shop": ["x", "x", "y"], "worth": [1.0, 2.0, 3.0]}
)


def split(**roles):
    return TuningSplit(NO_PROTOCOL, Table.build(ROWS, {"label": ("bad",), **roles}), ())


@pytest.mark.parametrize(
    ("roles", "same"),
    [
        ({"entity": ("card",), "amount": ("worth",)}, True),
        ({"entity": ("card",), "amount": ("worth",), "covariate": ("shop",)}, True),
        ({"group": ("card",), "amount": ("worth",)}, False),
        ({"entity": ("card",), "cost": ("worth",)}, False),
    ],
    ids=["same", "another input", "no entity", "no amount"],
)
def test_a_column_that_scores_read_keeps_its_role(roles, same):
    why = why_incomparable(split(entity=("card",), amount=("worth",)), split(**roles))
    assert why == "" if same else "have other roles" in why
