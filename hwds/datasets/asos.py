"""Running sums of real online experiments (Liu, Cardoso, Couturier, McCoy 2021, Datasets for Online
Controlled Experiments).
"""

from __future__ import annotations

from typing import Literal

import polars as pl
from polars import col

from hwds.core.errors import ConfigError, nearest
from hwds.datasets.base import Dataset, PublicFile
from hwds.frames.table import Table

PUBLIC = PublicFile(
    file="asos/asos_experiments.parquet",
    origin="ASOS Digital Experiments Dataset, osf.io/64jsb",
    licence="CC BY 4.0",
    columns=(
        "experiment_id",
        "variant_id",
        "metric_id",
        "time_since_start",
        "count_c",
        "count_t",
        "mean_c",
        "mean_t",
        "variance_c",
        "variance_t",
    ),
    rows=24_153,
    sha256="b31828e67caf9e86fa82099b21eb590a1b1a06e2d4bcd03ede75712d14f1d5cb",
)
ROLES = {
    "arm": ("arm",),
    "time": ("days",),
    "count": ("count",),
    "mean": ("mean",),
    "variance": ("variance",),
}
SUMS = ("count", "mean", "variance")


class Asos(Dataset):
    """One of 78 real online experiments with up to four treatments: running counts, means and
    variances by time and arm.

    Attributes:
        experiment: The id of the experiment, six hexadecimal digits.
        metric: The outcome: 1 is a conversion, 2 and 3 are counts, 4 is a real number.
    """

    public = PUBLIC
    gives = Table
    experiment: str = "036afc"
    metric: Literal[1, 2, 3, 4] = 1

    def load(self) -> Table:
        """Return the sums of the control and of each treatment.

        Instants without a variance are left out.

        Raises:
            ConfigError: There is no such experiment.
            DataError: The data does not lie below $HWDS_DATA.
        """
        every = PUBLIC.read()
        known = every["experiment_id"].unique().to_list()
        if self.experiment not in known:
            raise ConfigError(
                f"dataset.experiment: no experiment "
                f"'{self.experiment}'{nearest(self.experiment, known)}"
            )
        rows = every.filter(experiment_id=self.experiment, metric_id=self.metric)
        treated = pl.concat_str(pl.lit("treatment_"), col("variant_id"))
        parts = [
            _arm(rows, pl.lit("control"), "c").unique(["days"], keep="first"),
            _arm(rows, treated, "t"),
        ]
        return Table.build(pl.concat(parts).drop_nulls().sort("days", "arm"), dict(ROLES))


def _arm(rows: pl.DataFrame, name: pl.Expr, suffix: str) -> pl.DataFrame:
    sums = [col(f"{column}_{suffix}").alias(column) for column in SUMS]
    return rows.select(name.alias("arm"), col("time_since_start").alias("days"), *sums)
