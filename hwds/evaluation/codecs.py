"""Codecs of the cache: tables, cells, columns, forecasts, and fitted models."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from hwds.core.cache import Codec
from hwds.core.serialization import dumps, loads
from hwds.frames.forecasts import Forecasts

EMPTY = "__empty__"
"""The column of a table without columns, which parquet cannot hold."""


class TimedRows(NamedTuple):
    """The rows of a cell, and the seconds that they took."""

    rows: pl.DataFrame
    seconds: float


def _write_rows(timed: TimedRows) -> bytes:
    rows, out = timed.rows if timed.rows.width else pl.DataFrame({EMPTY: []}), BytesIO()
    rows.write_parquet(out, compression="zstd", metadata={"hwds": json.dumps({"seconds": timed.seconds})})
    return out.getvalue()


def _read_rows(content: bytes) -> TimedRows:
    rows = pl.read_parquet(BytesIO(content))
    seconds = json.loads(pl.read_parquet_metadata(BytesIO(content))["hwds"])["seconds"]
    return TimedRows(rows.drop(EMPTY) if EMPTY in rows.columns else rows, seconds)


def _write_columns(columns: pl.DataFrame) -> bytes:
    out = BytesIO()
    columns.write_ipc(out, compression="zstd")
    return out.getvalue()


def _read_columns(content: bytes) -> pl.DataFrame:
    return pl.read_ipc(BytesIO(content))


def _write_forecasts(forecasts: Forecasts) -> bytes:
    out = BytesIO()
    np.savez(out, mean=forecasts.mean, quantiles=forecasts.quantiles, fallback=forecasts.fallback)
    return out.getvalue()


def _read_forecasts(content: bytes) -> Forecasts:
    with np.load(BytesIO(content), allow_pickle=False) as arrays:
        if sum(member.file_size for member in arrays.zip.infolist()) > len(content):  # they are stored as they are
            raise ValueError("forecasts are larger than their file")
        return Forecasts(arrays["mean"], arrays["quantiles"], arrays["fallback"])


ROWS = Codec("parquet", _write_rows, _read_rows)
COLUMNS = Codec("arrow", _write_columns, _read_columns)
FORECASTS = Codec("npz", _write_forecasts, _read_forecasts)
FITTED: Codec[Any] = Codec("hwds", dumps, lambda content: loads(content, "the cache"))
