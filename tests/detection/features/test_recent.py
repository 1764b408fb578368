"""Recent against a loop over all pairs of rows."""

from dataclasses import replace
from math import copysign, log1p

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError
from hwds.detection.features.recent import Recent
from hwds.detection.kernels.past import TIME_INPUTS
from tests.detection.features.moment_rows import counting, moved_by_order, order_lines, seen_ahead

INPUTS = ("quantity", "unit_price")


def slow(table, length):
    found = np.zeros((len(table.data), length, TIME_INPUTS + len(INPUTS)), np.float32)
    for place, there, rows in counting(table):
        own = [
            k
            for k in there
            if k == place or rows[k]["customer"] == rows[place]["customer"] is not None
        ]
        assert own[-1] == place
        for back, k in enumerate(reversed(own[-length:])):
            before = len(own) - 2 - back
            gap = rows[k]["time"] - rows[own[before]]["time"] if before >= 0 else None
            days = gap.total_seconds() / 86_400 if gap is not None else 0.0
            values = [0.0 if rows[k][name] is None else rows[k][name] for name in INPUTS]
            found[place, length - 1 - back] = [
                1.0,
                log1p(days),
                *(copysign(log1p(abs(value)), value) for value in values),
            ]
    return found


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("length", [1, 4, 40])
def test_it_equals_a_loop_over_all_rows(seed, length):
    table = order_lines(seed)
    refund = (
        pl.when(pl.col("row_id") % 5 == 0).then(-pl.col("quantity")).otherwise(pl.col("quantity"))
    )
    table = replace(table, data=table.data.with_columns(refund.alias("quantity")))
    got = Recent(length=length).compute(table)
    assert got.schema == {"recent": pl.Array(pl.Float32, (length, 4))}
    assert np.allclose(got["recent"].to_numpy(), slow(table, length), rtol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_what_comes_later_changes_nothing(seed):
    table = order_lines(seed)
    assert not seen_ahead(Recent(length=5), table)
    assert not moved_by_order(Recent(length=5), table)


def test_the_row_itself_is_last_and_zeros_stand_in_front():
    table = order_lines(1, nulls=False)
    got = Recent(length=6).compute(table)["recent"].to_numpy()
    assert (got[:, -1, 0] == 1).all()
    assert np.allclose(got[:, -1, TIME_INPUTS], np.log1p(table.data["quantity"].to_numpy()))
    assert (np.diff(got[:, :, 0], axis=1) >= 0).all()
    assert not got[got[..., 0] == 0].any()


def test_the_column_survives_a_file(tmp_path):
    got = Recent(length=3).compute(order_lines(2))
    got.write_ipc(tmp_path / "columns.arrow", compression="zstd")
    assert pl.read_ipc(tmp_path / "columns.arrow").equals(got)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"inputs": ("quantty",)},
            "features.inputs: no column 'quantty'; did you mean 'quantity'?",
        ),
        ({"inputs": ("sku",)}, "features.inputs: column 'sku' must hold numbers, it holds String."),
        (
            {"inputs": ("confirmed",)},
            "features.inputs: 'confirmed' is label, which is not known at the moment of its row.",
        ),
        ({"entity": "custmer"}, "features.entity: no column 'custmer'; did you mean 'customer'?"),
    ],
)
def test_columns_that_cannot_be_are_refused(fields, told):
    with pytest.raises(ConfigError) as caught:
        Recent(**fields).check(order_lines(0))
    assert str(caught.value) == told


@pytest.mark.parametrize("fields", [{"inputs": ()}, {"length": 0}])
def test_fields_that_cannot_be_are_refused(fields):
    with pytest.raises(ConfigError, match=" must "):
        Recent(**fields)
