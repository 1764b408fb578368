"""Names of arms, and the unit of the outcomes of a table's rows."""

from __future__ import annotations

import polars as pl

from hwds.frames.table import Table


def arm_name(value: object) -> str:
    """Return `99` for the price 99.0 and all digits of any other, so that two numbers never have one name."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(float(value))
    return str(value)


def outcome_unit(table: Table) -> str:
    """Return the currency of the first outcome where it is money, empty where it counts something.

    It is money where the table's currency is known, and its values are not 0 and 1, and no role says otherwise: with `amount`
    the money is there, and with `price` it is money only where each sale brings its price.
    """
    names = table.roles.get("outcome", ())
    if not names or not table.unit or table.roles.get("amount"):
        return ""
    values = table.data[names[0]].cast(pl.Float64)
    if values.is_in([0.0, 1.0]).all():
        return ""
    if not table.roles.get("price"):
        return table.unit
    price = table.column("price").cast(pl.Float64)
    return table.unit if ((values == 0) | (values == price)).all() else ""
