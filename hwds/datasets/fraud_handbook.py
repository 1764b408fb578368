"""Simulated card payments of the Fraud Detection Handbook (Le Borgne, Siblini, Lebichot, Bontempi
2022), with its features.
"""

from __future__ import annotations

import polars as pl

from hwds.datasets.base import Dataset, PublicFile
from hwds.frames.table import Table

FEATURES = (
    "tx_amount",
    "tx_during_weekend",
    "tx_during_night",
    *(
        f"customer_id_{kind}_{days}day_window"
        for days in (1, 7, 30)
        for kind in ("nb_tx", "avg_amount")
    ),
    *(f"terminal_id_{kind}_{days}day_window" for days in (1, 7, 30) for kind in ("nb_tx", "risk")),
)
COLUMNS = ("tx_datetime", "customer_id", "terminal_id", "tx_fraud", *FEATURES)
PUBLIC = PublicFile(
    file="fraud_handbook/transactions.parquet",
    origin="Fraud Detection Handbook, simulated-data-transformed, "
    "github.com/Fraud-Detection-Handbook",
    licence="GPL-3",
    columns=COLUMNS,
    rows=201_295,
    sha256="f50f65097f59ba203dc009e5c1ea281d60e6a254efebac33e70620b10dc84ed9",
)
ROLES = {
    "time": ("tx_datetime",),
    "entity": ("customer_id",),
    "label": ("tx_fraud",),
    "amount": ("tx_amount",),
    "covariate": FEATURES,
}


class FraudHandbook(Dataset):
    """Three weeks of simulated card payments (201,295, 0.89 % fraud) with the handbook's own
    fifteen features.

    Its published window: train 2018-07-25 to 31, seven days of delay, test 2018-08-08 to 14.
    """

    public = PUBLIC
    gives = Table

    def load(self) -> Table:
        """Return the payments in the order of time.

        Raises:
            DataError: The data does not lie below $HWDS_DATA.
        """
        rows = PUBLIC.read().with_columns(pl.col("tx_datetime").cast(pl.Datetime("us")))
        return Table.build(rows.sort("tx_datetime", maintain_order=True), dict(ROLES))
