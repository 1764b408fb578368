"""The published tables beside ours: `make bench-accuracy`, or `python -m bench.accuracy
[m3_quarterly ...]`.

`python -m bench.accuracy hospital model=forecast/auto model.budget=60u rivals=[]` puts other models
into the same tables.

Every dataset is an experiment of its own (`conf/experiment/<dataset>.yaml`), run through the
command line, so that a run which was stopped goes on where it was. The seasonal naive comes first:
where it differs from the published figure in the third decimal, the data or the metric is not the
published one, and nothing else is run.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl

from hwds.core.files import OUTPUTS
from hwds.forecast.metrics import code_rows, forecast_metrics, per_series, score_forecasts
from hwds.results.folder import RunFolder
from hwds.results.tables import Tables, short

TABLES = Path(__file__).parents[1] / "experiments" / "published_tables"
M3 = ("m3_monthly", "m3_quarterly", "m3_yearly", "m3_other")
DATASETS = (*M3, "hospital", "carparts")
METRICS = ("mase", "rmsse", "smape_m4")
"""Means over series; `wql` is of all rows together, over the nine deciles, and coverage stands
beside them.
"""

LEVELS = tuple(number / 10 for number in range(1, 10))
DECILES = tuple(f"q_{level:g}" for level in LEVELS)
COVERAGE = ("coverage[50%]", "coverage[80%]", "coverage[95%]")

NAIVE = "forecast/seasonal_naive"
COLUMNS = ("dataset", "metric", "model", "value", "stderr", "n", "n_fallback", "seconds")
LINE = "  {:<46} {:>9} {:>8} {:>9}\n"


def main(wanted: Sequence[str]) -> int:
    """Run them all, or those named.

    Words such as model=... change their runs. 1 where the naive differs, or a run failed.
    """
    changes = [word for word in wanted if "=" in word]
    wanted = [word for word in wanted if word not in changes]
    unknown = [name for name in wanted if name not in DATASETS]
    if unknown:
        sys.stderr.write(
            f"bench.accuracy: no dataset '{unknown[0]}'; known: {', '.join(DATASETS)}.\n"
        )
        return 2
    names = list(wanted) or list(DATASETS)
    published = list(csv.DictReader((TABLES / "published.csv").open()))
    naives = [_same_naive(name, published) for name in names]
    if not all(naives):
        return 1
    for name in names:
        began = perf_counter()
        if _hwds(f"+experiment={name}", *changes):
            return 1
        rows = [*_ours(name, RunFolder.find(name).read_tables()), *_whole_m3(name)]
        _keep(rows)
        for dataset in dict.fromkeys(row["dataset"] for row in rows):
            _show(str(dataset), [row for row in rows if row["dataset"] == dataset], published)
        sys.stdout.write(f"{name}: {perf_counter() - began:.0f} s this time.\n\n")
    return 0


def _hwds(*words: str) -> int:
    return subprocess.run([sys.executable, "-m", "hwds", *words], check=False).returncode


def _same_naive(name: str, published: Sequence[dict[str, str]]) -> bool:
    """Whether the seasonal naive's MASE is the published one to three decimals."""
    if _hwds(f"dataset={name}", "protocol=holdout", f"model={NAIVE}", "rivals=[]"):
        return False
    ours = float(RunFolder.find("adhoc").read_tables().overall("mase")["value"][0])
    told = next(
        float(row["value"])
        for row in published
        if _about(row, name, "mase") and row["model"] == "seasonal naive"
    )
    sys.stdout.write(f"{name}: seasonal naive MASE {ours:.3f}, published {told:.3f}\n")
    return f"{ours:.3f}" == f"{told:.3f}"


def _ours(name: str, tables: Tables) -> list[dict[str, object]]:
    """Every model's scores over all series, and what its cells took."""
    seconds = dict(tables.timings.group_by("model").agg(pl.col("seconds").sum()).iter_rows())
    told = [row for metric in METRICS for row in tables.overall(metric).to_dicts()]
    if set(DECILES) <= set(tables.predictions.columns):
        told += [
            _wql(model, rows)
            for (model,), rows in tables.predictions.group_by("model", maintain_order=True)
        ]
    kept = [row for row in [*told, *_coverage(tables)] if row["model"] in seconds]
    return [
        {"dataset": name, "seconds": round(seconds[row["model"]], 1)}
        | {key: row[key] for key in ("metric", "model", "value", "stderr", "n", "n_fallback")}
        | {"metric": _bare(row["metric"])}
        for row in kept
    ]


def _bare(metric: str) -> str:
    """A metric without its season, as published tables name it."""
    return metric if metric.startswith("coverage") else metric.partition("[")[0]


def _wql(model: object, rows: pl.DataFrame) -> dict[str, Any]:
    """The weighted quantile loss of the nine deciles, over all rows together, whichever other
    levels were asked.
    """
    scores = (
        score
        for score in score_forecasts(rows, LEVELS)
        if short(score.metric) == "wql" and score.step is None
    )
    found = next(score for score in scores if score.aggregate == "pooled")
    return {
        "metric": "wql",
        "model": model,
        "value": found.value,
        "stderr": found.stderr,
        "n": found.n,
        "n_fallback": 0,
    }


def _coverage(tables: Tables) -> Iterator[dict[str, Any]]:
    """Of each central interval, over all steps, and at the steps where it is lowest and highest."""
    for metric in COVERAGE:
        mean = (
            (pl.col("metric") == metric)
            & (pl.col("aggregate") == "mean")
            & pl.col("segment").is_null()
            & pl.col("fold").is_null()
        )
        for _, rows in tables.scores.filter(mean).group_by("model", maintain_order=True):
            steps = rows.filter(pl.col("step").is_not_null()).sort("value")
            yield rows.filter(pl.col("step").is_null()).row(0, named=True)
            if len(steps) > 1:
                yield steps.row(0, named=True) | {"metric": f"{metric} lowest step"}
                yield steps.row(-1, named=True) | {"metric": f"{metric} highest step"}


def _whole_m3(name: str) -> list[dict[str, object]]:
    """The sMAPE over all 3,003 series, of the models that all four subsets have.

    Nothing before the last of them is there.
    """
    if name not in M3:
        return []
    runs = [_finished(subset) for subset in M3]
    tables = [run.read_tables() for run in runs if run]
    if len(tables) < len(M3):
        return []
    models = set.intersection(*(set(part.timings["model"]) for part in tables))
    return [_smape(model, tables) for model in sorted(models)]


def _finished(name: str) -> RunFolder | None:
    finished = any((OUTPUTS / "runs").glob(f"{name}/*/scores.parquet"))
    return RunFolder.find(name) if finished else None


def _smape(model: str, tables: Sequence[Tables]) -> dict[str, object]:
    parts = [_per_series(part.predictions.filter(pl.col("model") == model)) for part in tables]
    values = np.concatenate(parts)
    seconds = sum(
        float(part.timings.filter(pl.col("model") == model)["seconds"].sum()) for part in tables
    )
    error = float(values.std(ddof=1) / np.sqrt(len(values)))
    told = {
        "model": model,
        "value": float(values.mean()),
        "stderr": error,
        "n": len(values),
        "n_fallback": 0,
    }
    return {"dataset": "m3", "metric": "smape_m4", **told, "seconds": round(seconds, 1)}


def _per_series(rows: pl.DataFrame) -> np.ndarray:
    """The sMAPE on the scale of M4 (0 to 200) of each series, of its median forecasts."""
    season = int(rows["season"][0])
    return per_series(forecast_metrics(season, LEVELS)["smape_m4"], code_rows(rows, LEVELS, season))


def _keep(rows: Sequence[dict[str, object]]) -> None:
    """Put the rows in the place of older ones about the same model on the same dataset."""
    path, fresh = TABLES / "results.csv", {(row["dataset"], row["model"]) for row in rows}
    older = csv.DictReader(path.open()) if path.is_file() else []
    kept = [row for row in older if (row["dataset"], row["model"]) not in fresh]
    order = ["m3", *DATASETS]
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(
            sorted([*kept, *map(_rounded, rows)], key=lambda row: order.index(str(row["dataset"])))
        )


def _rounded(row: dict[str, object]) -> dict[str, object]:
    return {
        key: f"{value:.5f}" if key in ("value", "stderr") and value is not None else value
        for key, value in row.items()
    }


def _show(
    dataset: str, rows: Sequence[dict[str, object]], published: Sequence[dict[str, str]]
) -> None:
    """Ours and theirs by value, each metric apart."""
    for metric in dict.fromkeys(str(row["metric"]) for row in rows):
        theirs = [
            (float(row["value"]), row["model"], "", "")
            for row in published
            if _about(row, dataset, metric)
        ]
        ours = [
            (row["value"], f"hwds {row['model']}", row["stderr"], row["seconds"])
            for row in rows
            if row["metric"] == metric
        ]
        if not theirs and not metric.startswith("coverage"):
            continue
        sys.stdout.write(LINE.format(f"{dataset}, {metric}", "value", "stderr", "seconds"))
        for value, model, error, seconds in sorted(
            [*theirs, *ours], key=lambda line: float(str(line[0]))
        ):
            told = f"{error:.3f}" if isinstance(error, float) else ""
            sys.stdout.write(
                LINE.format(
                    model, f"{value:.4f}" if metric == "wql" else f"{value:.3f}", told, str(seconds)
                )
            )


def _about(row: dict[str, str], dataset: str, metric: str) -> bool:
    return (row["dataset"], row["metric"]) == (dataset, metric)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
