"""C-MAPSS: simulated turbofan engines to their failure (NASA)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import polars as pl
from polars import DataFrame, col

from hwds.core.errors import DataError
from hwds.core.recipe import PositiveInt, Small
from hwds.datasets.base import Dataset
from hwds.frames.files import read_files
from hwds.frames.roles import Roles
from hwds.frames.runs import Runs

Subset = Literal["FD001", "FD002", "FD003", "FD004"]
"""One operating condition and one fault; six and one; one and two; six and two."""

ENGINES = {"FD001": (100, 100), "FD002": (260, 259), "FD003": (100, 100), "FD004": (249, 248)}
"""The engines of the training and the test file."""

REGIMES = {"FD001": 1, "FD002": 6, "FD003": 1, "FD004": 6}

SETTINGS = tuple(f"setting_{i}" for i in range(1, 4))
SENSORS = tuple(f"sensor_{i}" for i in range(1, 22))
COLUMNS = ("unit", "cycle", *SETTINGS, *SENSORS)
ROLES = Roles(
    entity="engine",
    cycle="cycle",
    sensor=SENSORS,
    setting=SETTINGS,
    event="failed",
    remaining="left",
    split="split",
)
ORIGIN = (
    "NASA Prognostics Center of Excellence, Turbofan Engine Degradation Simulation (public "
    "domain); lay train_FD001.txt,"
    " test_FD001.txt and RUL_FD001.txt in a folder and name it in dataset.path, or "
    "fd001_train.parquet, fd001_test.parquet and"
    " fd001_rul.parquet in $HWDS_DATA/cmapss; so of the other subsets"
)


class Cmapss(Dataset):
    """Turbofan engines, simulated from new to failure: 21 sensors and three settings in each flight
    (Saxena et al. 2008).

    The engines of the test file are cut some time before they fail; only a protocol that reads the
    official test sees how long they last. Sensors that hardly change in the training file are left
    out, which leaves 14 in FD001. Models scale the sensors within each operating condition: six in
    FD002 and FD004.

    Attributes:
        subset: FD001 and FD003 have one operating condition, FD002 and FD004 six; FD003 and FD004
            have two kinds of faults.
        path: The folder of the files; $HWDS_DATA/cmapss where it is empty.
        engines: Engines of each file at most, the first ones.

    Example:
        python -m hwds +experiment=cmapss_fd001 dataset.subset=FD003 dataset.path=CMAPSSData
    """

    gives = Runs
    subset: Subset = "FD001"
    path: str = ""
    engines: Annotated[PositiveInt, Small(18)] = 1000

    def load(self) -> Runs:
        """Return the engines of both files, those of the test with the cycles that they last beyond
        their last row.

        Raises:
            DataError: A file is not there, or is not the published file.
        """
        engines = [self._rows("train"), self._rows("test")]
        rows = pl.concat(engines, how="vertical_relaxed")
        rows = rows.filter(col("engine").str.slice(-3).cast(pl.Int64) <= self.engines)
        return Runs.build(rows, ROLES, regimes=REGIMES[self.subset])

    def source(self) -> str:
        """Return where it is to be had."""
        return f"{ORIGIN}."

    def _rows(self, split: str) -> DataFrame:
        """Return the rows of one file."""
        rows = self._read(split, COLUMNS)
        count = rows["unit"].n_unique()
        wanted = ENGINES[self.subset][split == "test"]
        if count != wanted:
            raise DataError(
                f"dataset.path: the {split} file of {self.subset} has {count} engines, the "
                f"published one {wanted}."
            )
        last = col("cycle") == col("cycle").max().over("unit")
        train = split == "train"
        left = pl.lit(None, pl.Float64) if train else self._remaining(rows)
        return rows.select(
            pl.format(f"{split} {{}}", col("unit").cast(pl.String).str.zfill(3)).alias("engine"),
            col("cycle").cast(pl.Float64),
            col(*SETTINGS, *SENSORS).cast(pl.Float64),
            failed=(last & train).cast(pl.Float64),
            left=left,
            split=pl.lit(split),
        )

    def _remaining(self, rows: DataFrame) -> pl.Expr:
        """Return how long the engine of each test row lasts beyond its last one."""
        lives = self._read("rul", None)
        values = lives[lives.columns[-1]].cast(pl.Float64)
        units = rows["unit"].unique(maintain_order=True)
        if len(values) != len(units):
            raise DataError(
                f"dataset.path: the file of remaining lives has {len(values)} rows for "
                f"{len(units)} engines."
            )
        return col("unit").replace_strict(units, values, return_dtype=pl.Float64)

    def _read(self, part: str, columns: tuple[str, ...] | None) -> DataFrame:
        """Return a file, as NASA has it or as Parquet."""
        folder = Path(self.path or Path(os.environ.get("HWDS_DATA", "")) / "cmapss").expanduser()
        if not self.path and not os.environ.get("HWDS_DATA"):
            raise DataError(
                f"dataset: cmapss is not at hand, for HWDS_DATA names no folder: {ORIGIN}."
            )
        stem = part if part != "rul" else "RUL"
        for text in (folder / f"{stem}_{self.subset}.txt",):
            if text.is_file():
                return _from_text(text, columns)
        file = folder / f"{self.subset.lower()}_{part}.parquet"
        if not file.is_file():
            raise DataError(f"dataset: there is no file '{file}': {ORIGIN}.")
        table = read_files(str(file)).table
        missing = [name for name in columns or () if name not in table.columns]
        if missing:
            raise DataError(f"dataset.path: '{file}' has no column '{missing[0]}'.")
        return table.select(columns) if columns else table


def _from_text(file: Path, columns: tuple[str, ...] | None) -> DataFrame:
    """Return a file of numbers with blanks between them.

    Raises:
        DataError: A line holds something else.
    """
    lines = [
        line.split()
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines()
        if line.strip()
    ]
    names = columns or ("remaining",)
    wrong = next((place for place, line in enumerate(lines) if len(line) != len(names)), None)
    if wrong is not None:
        raise DataError(
            f"dataset.path: '{file}' line {wrong + 1} has {len(lines[wrong])} numbers, not "
            f"{len(names)}."
        )
    table = DataFrame(lines, schema=dict.fromkeys(names, pl.String), orient="row")
    numbers = table.cast(pl.Float64, strict=False)
    for name in names:
        bad = numbers[name].is_null().arg_true()
        if len(bad):
            raise DataError(
                f"dataset.path: '{file}' line {bad[0] + 1} has {table[name][bad[0]]!r}, not a "
                f"number."
            )
    return numbers.with_columns(
        col(name).cast(pl.Int64) for name in names if name in ("unit", "cycle")
    )
