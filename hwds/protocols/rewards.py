"""What the outcome of a table's rows is called and counted in."""

from __future__ import annotations

import polars as pl

from hwds.frames.table import Table


def outcome_unit(table: Table) -> str:
    """The currency of the first outcome where it is money; empty where it says whether or how often something happened.

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
