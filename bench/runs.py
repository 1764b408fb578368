"""The facts of 5,000 run folders: from the index, and from the folders themselves."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from bench.rows import Row, compared, interleaved
from hwds.report.ui.data import table_data
from hwds.results import index as run_index
from hwds.results.folder import RunFolder
from hwds.results.index import RunIndex, matching_folders, order_folders
from hwds.results.records import provenance
from hwds.results.tables import SCORES, TIMINGS, Tables

NAME = "runs"
SIZE = 5_000
"""Folders."""


def measure(size: int = SIZE) -> list[Row]:
    """Find those of one experiment below a score, and sort them; every number is the same."""
    with tempfile.TemporaryDirectory() as place, settled():
        root = Path(place)
        for number in range(size):
            lay(root / "runs" / f"sales{number % 20}" / f"{number:016x}", number)
        found = {"hwds": lambda: asked(root), "no index": lambda: asked(root, known=False)}
        wanted = asked(root, known=False)
        equal = asked(root) == wanted and len(wanted[0]) > 0
        seconds = interleaved(found, repeats=1) if size > 500 else interleaved(found, repeats=3)
        kept = RunIndex.of(root)
        filtered(root, kept)
        page = interleaved(
            {"kept": lambda: filtered(root, kept), "read": lambda: filtered(root)}, repeats=3
        )
        same = filtered(root, kept) == filtered(root)
    what, filter_of = f"find and sort, {size:,} folders", f"a filter of the ui, {size:,} runs"
    return [
        compared(what, seconds["hwds"], "every folder read again", seconds["no index"], equal),
        compared(filter_of, page["kept"], "the index read for each", page["read"], same),
    ]


@contextmanager
def settled() -> Iterator[None]:
    """Files count as old at once, so that the first look can be kept."""
    before, run_index.SETTLED = run_index.SETTLED, 0.0
    try:
        yield
    finally:
        run_index.SETTLED = before


def asked(root: Path, *, known: bool = True) -> tuple[list[str], list[object]]:
    """The runs with their scores, from the index or without it."""
    if not known:
        for file in (root / "cache").glob("runs-*.parquet"):
            file.unlink()
    index = RunIndex.of(root)
    found = order_folders(
        index, matching_folders(index, ["sales3", "mase<0.9", "model.units>=32"]), "mase"
    )
    return found, [index.column("mase")[path] for path in found]


def filtered(root: Path, kept: RunIndex | None = None) -> dict[str, Any]:
    """Return the ui's answer to a filter, from the index that its server keeps or from one that is
    read now.
    """
    return table_data(kept or RunIndex.of(root), "run", "model.setting_3=2 mase<0.9")


def lay(path: Path, number: int) -> None:
    """A folder with a config of some 60 fields and 200 scores."""
    folder = RunFolder(path)
    path.mkdir(parents=True)
    options = {f"setting_{place}": number % (place + 2) for place in range(50)}
    model = {"name": "forecast/lstm", "units": 32, **options}
    protocol = {"name": "holdout", "headline": "mase", "horizon": 6}
    config = {"dataset": {"name": "file"}, "model": model, "protocol": protocol, "seed": number}
    metrics = ["mase[m=12]", "wql[9]", "smape_m4", "coverage[80%]"]
    rows = [
        (metric, step, (number * 31 + place) % 1000 / 1000)
        for metric in metrics
        for place, step in enumerate([None, *range(49)])
    ]
    scores = pl.DataFrame(
        rows, schema={"metric": pl.String, "step": pl.Int32, "value": pl.Float64}, orient="row"
    )
    rest = [
        pl.lit(None, kind).alias(name)
        for name, kind in SCORES.items()
        if name not in scores.columns
    ]
    named = {
        "model": pl.lit("forecast/lstm"),
        "aggregate": pl.lit("mean"),
        "n_failed": pl.lit(0, pl.Int64),
    }
    table = scores.with_columns(rest).with_columns(**named).select(list(SCORES))
    write(
        folder, config, Tables(table, pl.DataFrame({"model": ["a"]}), pl.DataFrame(schema=TIMINGS))
    )


ORIGIN = provenance(data="d", code="c", threads=1, device="cpu")


def write(folder: RunFolder, config: dict[str, object], tables: Tables) -> None:
    """As a run writes it; of the tables what is read of them, without waiting for the disk."""
    import json

    folder.write_config(config)
    (folder.path / "provenance.json").write_text(json.dumps(ORIGIN))
    tables.scores.write_parquet(folder.path / "scores.parquet")
    tables.metrics.write_parquet(folder.path / "metrics.parquet")
