"""AI4I 2020: simulated milling machines and whether they failed (Matzka 2020)."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from polars import col

from hwds.core.recipe import PositiveInt, Small
from hwds.datasets.base import Dataset, PublicFile
from hwds.frames.table import Table

MEASURED = {
    "Type": "quality",
    "Air temperature [K]": "air_temperature_k",
    "Process temperature [K]": "process_temperature_k",
    "Rotational speed [rpm]": "speed_rpm",
    "Torque [Nm]": "torque_nm",
    "Tool wear [min]": "tool_wear_min",
}
"""The columns of what is measured, by their names in the file."""

Failure = Literal["any", "tool_wear", "heat", "power", "overstrain", "random"]
FAILURES = dict(
    zip(get_args(Failure), ("Machine failure", "TWF", "HDF", "PWF", "OSF", "RNF"), strict=True)
)
PUBLIC = PublicFile(
    file="ai4i/ai4i2020.parquet",
    origin="AI4I 2020 Predictive Maintenance Dataset, archive.ics.uci.edu/dataset/601",
    licence="CC BY 4.0",
    columns=("Product ID", *MEASURED, *FAILURES.values()),
    rows=10_000,
    sha256="d3a906d2c5d03b4bf1abcebd0468d9776574e0fd27fe5f9c808f0bb52cacfbdd",
)


class Ai4i(Dataset):
    """Ten thousand simulated milled pieces, with measurements and whether the machine failed (3.4
    %).

    Rows stand alone: there is no history of a machine, and so no remaining life. Failures follow
    from rules of the simulator: a worn tool, too little heat taken away, too little or too much
    power, torque on a worn tool; random failures have no cause. `any` is the file's own column of
    machine failures: pieces with a failure that is not random, and nine more.

    Attributes:
        failure: The failure that is the label; the others are no inputs.
        pieces: At most so many, the first ones.
    """

    public = PUBLIC
    gives = Table
    failure: Failure = "any"
    pieces: Annotated[PositiveInt, Small(1_000)] = 10_000

    def load(self) -> Table:
        """Return the pieces in the order of the file.

        Raises:
            DataError: The data does not lie below $HWDS_DATA.
        """
        label = col(FAILURES[self.failure]).alias("failure")
        rows = (
            PUBLIC.read()
            .head(self.pieces)
            .select(
                col("Product ID").alias("piece"),
                label,
                *(col(a).alias(b) for a, b in MEASURED.items()),
            )
        )
        return Table.build(
            rows,
            {"entity": ("piece",), "label": ("failure",), "covariate": tuple(MEASURED.values())},
        )
