"""Every kind of stored file: how a run, a sweep, a study or a log writes it, and how it is read or
used again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from hwds.core import compiling as numba_cache
from hwds.core.cache import Cache
from hwds.core.checksums import is_sound, write_parquet
from hwds.core.keys import SYNTAXES
from hwds.core.serialization import load_fitted, save_fitted
from hwds.evaluation.cells import COLUMNS, FITTED, FORECASTS, ROWS, TimedRows, lay_frame
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Forecasts, Panel
from hwds.frames.roles import Roles
from hwds.results import index as run_index
from hwds.results.comparison import STUDY_CONTRASTS, STUDY_RUNS, Comparison, StudyResult, StudyState
from hwds.results.event_log import EventLog, LogEntry
from hwds.results.files import read_table, refuse_damage
from hwds.results.folder import RunFolder
from hwds.results.index import RunProgress
from hwds.results.records import Labels
from hwds.results.sweep_folder import SweepFolder
from hwds.results.tables import SCORES, TIMINGS, Measure, Tables, Verdict, metrics_table
from hwds.track.mirroring import Ledger
from hwds.track.mirroring import MirrorEntry as Mirror

TABLE = pl.DataFrame(
    {
        "series_id": ["a", "b"] * 40,
        "step": range(80),
        "mean": np.random.default_rng(0).normal(size=80),
    }
)
MEMBER = Forecasts(
    np.random.default_rng(3).normal(size=(4, 3)), np.ones((4, 3, 2)), np.zeros(4, bool)
)
FITTED_MODEL = {
    "weights": np.random.default_rng(1).normal(size=50),
    "levels": (0.1, 0.5),
    "name": "drift",
}


@dataclass(frozen=True)
class Kind:
    """One kind of stored file.

    Attributes:
        write: Writes it into an empty folder.
        use: Reads or uses what lies in the folder; returns the answer as it is compared.
        files: The patterns of the files that are damaged.
    """

    write: Callable[[Path], object]
    use: Callable[[Path], Any]
    files: tuple[str, ...]


def _panel() -> Panel:
    rng, times = (
        np.random.default_rng(2),
        pl.date_range(pl.date(2018, 1, 1), pl.date(2019, 12, 1), "1mo", eager=True),
    )
    rows = {
        "series_id": ["a"] * 24 + ["b"] * 24,
        "time": pl.concat([times, times]),
        "target": rng.normal(size=48),
    }
    return Panel.build(pl.DataFrame(rows), Frequency("1mo"), roles=Roles({}), horizon=3)


def _made_again(folder: Path, codec: Any, value: Any) -> bytes:
    """Return what a cache gives, as bytes: an absent entry is computed again."""
    found = Cache(folder / "cells").get_or_make("ab12", codec, lambda: value)
    return bytes(codec.encode(found))


def _cache(codec: Any, value: Any) -> Kind:
    def use(folder: Path) -> bytes:
        return _made_again(folder, codec, value)

    return Kind(use, use, ("cells/*/*",))


def _frame(folder: Path) -> str:
    lay_frame(_panel(), folder / "frame")
    assert is_sound(folder / "frame")
    return Panel.read(folder / "frame").fingerprint


def _tables() -> Tables:
    line = {
        "experiment": "e",
        "dataset": "d",
        "task": "forecast",
        "model": "m",
        "metric": "mase",
        "aggregate": "mean",
        "value": 0.5,
    }
    timing = {
        "model": "m",
        "fold": 0,
        "start": 0,
        "stop": 4,
        "seconds": 1.0,
        "cached": False,
        "status": "ok",
    }
    scores = pl.DataFrame(
        [line | {"value": 0.1 * k, "step": k or None, "n": k, "n_failed": 0} for k in range(20)],
        schema=SCORES,
    )
    return Tables(scores, TABLE, pl.DataFrame([timing], schema=TIMINGS), metrics_table(()))


PROGRESS = RunProgress(3, 9, 0, 1.0, 2.5, 4.0, "mase .5")
CONFIG = {
    "dataset": {"name": "file", "path": "a.csv"},
    "features": {"name": "none"},
    "model": {"name": "m", "units": 32, "rate": 0.25},
    "protocol": {"name": "holdout", "headline": "mase"},
    "experiment": "e",
    "seed": 0,
}


def _run(folder: Path) -> RunFolder:
    return RunFolder(folder / "outputs" / "runs" / "e" / "1a")


def _write_run(folder: Path) -> None:
    run = _run(folder)
    run.write_config(CONFIG)
    run.write_provenance(
        {
            "command": "python -m hwds",
            "data": "d1",
            "code": "c1",
            "threads": 1,
            "versions": {"numpy": "2.4"},
        }
    )
    run.write_tables(_tables())
    run.write_conclusion("m beats drift by 2.1 % (95 %: 1.2 to 3.0), sure.")
    run.write_remarks(["3 of 24 series were left out."])
    run.write_inputs({"prices.csv": "0f" * 16})
    run.write_cells(["ab12-0-4", "ab12-4-8"])
    Labels(("good",), "for March").write(run.path)
    PROGRESS.write(run.path)
    Ledger(run.path).write(
        "wandb", Mirror("sent", {"recipe": "wandb"}, "c" * 32, ("entity/project/run",))
    )


def _as_bytes(*tables: pl.DataFrame) -> list[str]:
    return [repr(table.to_dicts()) for table in tables]


def _read_run(folder: Path) -> Any:
    run = _run(folder)
    tables = run.read_tables()
    texts = [
        run.read_config(),
        run.read_provenance(),
        run.read_conclusion(),
        run.read_remarks(),
        run.read_inputs(),
    ]
    return texts, _as_bytes(tables.scores, tables.predictions, tables.timings, tables.metrics)


def _read_beside(folder: Path) -> Any:
    run = _run(folder)
    with refuse_damage(run.path / "labels.json"):
        labels = Labels.read(run.path)
    return labels, Ledger(run.path).read()


def _progress(folder: Path) -> bool:
    """Return whether the progress is read as it was, or not at all."""
    return RunProgress.read(_run(folder).path) in (None, PROGRESS)


INDEX = pl.DataFrame(
    [
        dict.fromkeys(run_index.INDEX_COLUMNS) | {"path": f"runs/e/{k}", "number": k / 7}
        for k in range(30)
    ]
)


def _write_index(folder: Path) -> None:
    run_index._save(folder / "runs-1.parquet", INDEX.cast(run_index.INDEX_COLUMNS))


def _index(folder: Path) -> bool:
    """Return whether the index is read as it was, or not at all: then every folder is read
    again.
    """
    known = run_index._load(folder / "runs-1.parquet")
    return known.is_empty() or known.equals(INDEX)


def _write_sweep(folder: Path) -> None:
    sweep = SweepFolder(folder / "outputs" / "sweeps" / "e" / "1a")
    sweep.path.mkdir(parents=True)
    sweep.write_json(
        {
            "config": CONFIG,
            "sweep": {"name": "asha"},
            "metric": "mase",
            "best": {"trial": 3, "inner": 0.7},
            "command": "c",
        }
    )
    for name in ("trials", "scores"):
        sweep.write_table(name, TABLE)
    sweep.write_best({"model": {"units": 32}, "score": 0.75}, "# a config to run")


def _read_sweep(folder: Path) -> Any:
    sweep = SweepFolder(folder / "outputs" / "sweeps" / "e" / "1a")
    return sweep.read_json(), _as_bytes(sweep.read_trials()), sweep.read_best()


def _write_study(folder: Path) -> None:
    contrast = dict.fromkeys(STUDY_CONTRASTS.schema) | {
        "contrast": "near",
        "effect": 0.25,
        "low": 0.1,
        "high": 0.4,
        "clusters": 9,
    }
    contrasts = pl.DataFrame(
        [contrast | {"effect": k / 7} for k in range(9)], schema=STUDY_CONTRASTS.schema
    )
    scores = pl.DataFrame(
        [dict.fromkeys(STUDY_RUNS) | {"experiment": "e", "value": k / 3, "n": k} for k in range(9)],
        schema=STUDY_RUNS,
    )
    StudyResult("s", {"question": "which"}, "0f", "Take it.", "series", contrasts, scores).write(
        folder / "results"
    )
    StudyState(folder / "state").write(
        {"question": "which"}, "0f", {"e": {"0": "e/1a"}}, ["2026: more seeds"]
    )


def _read_study(folder: Path) -> Any:
    result = StudyResult.read(folder / "results")
    fields = {
        name: value for name, value in vars(result).items() if not isinstance(value, pl.DataFrame)
    }
    return fields, _as_bytes(result.contrasts, result.scores), StudyState(folder / "state").read()


COMPARISON = Comparison(
    measure=Measure("mase"),
    metrics={"d": "mase[m=12]"},
    task="forecast",
    subject="m",
    chosen="own",
    family=2,
    relative=True,
    margin=0.02,
    level=0.95,
    leaderboard=TABLE,
    pairs=TABLE,
    along=TABLE,
    ranks=None,
    datasets=("d",),
    seeds=(0,),
    units="series",
    sources=("e/1a",),
    notes=("3 of 24 series were left out.",),
)


VERDICT = Verdict(
    decision="price_choice",
    action="HOLD",
    rule="ladder",
    excluded={"ladder": ("20",)},
    sentence="HOLD at 10.",
)


def _read_comparison(folder: Path) -> Any:
    found, command = Comparison.read(folder / "c")
    return found.as_dict(), command


def _write_verdict(folder: Path) -> None:
    _run(folder).write_verdict(VERDICT)
    write_parquet(_run(folder).path / "future.parquet", TABLE)


def _read_verdict(folder: Path) -> Any:
    return _run(folder).read_verdict(), _as_bytes(read_table(_run(folder).path / "future.parquet"))


def _entry(k: int, durable: bool) -> LogEntry:
    return LogEntry(
        "event",
        None if durable else f"e{k}",
        k,
        1000.0 + k,
        f'{{"k":{k}}}',
        "[1.0]",
        None if durable else b"12345678",
    )


def _write_log(
    folder: Path,
    *,
    durable: bool = False,
    killed: bool = False,
    snapshot: bool = False,
    drop: bool = False,
) -> None:
    log = EventLog(folder / "log.db", "power" if durable else "process")
    log.set_metadata("schema", {"columns": ["a", "b"], "key": "id"})
    for k in range(60):
        log.append([_entry(k, durable)])
        if k == 30 and snapshot:
            log.write_snapshot(b"state of 31" * 40, drop=drop)
    if killed:
        shutil.copytree(folder, folder.with_name("killed"))
    log.close()
    if killed:
        shutil.rmtree(folder)
        folder.with_name("killed").rename(folder)


def _read_log(folder: Path) -> Any:
    log = EventLog(folder / "log.db")
    try:
        snapshot = log.read_snapshot()
        known = (
            snapshot if snapshot in (None, b"state of 31" * 40) else None
        )  # another one is refused by its own checksum
        return (
            list(log.entries()),
            log.metadata("schema"),
            log.find("event", "e7"),
            log.first,
            known is None and log.first > 1,
        )
    finally:
        log.close()


def _twice(x: float) -> float:
    return 2.0 * x + 1.0


def _compiled(folder: Path) -> float:
    before = os.environ.get("NUMBA_CACHE_DIR")
    os.environ["NUMBA_CACHE_DIR"] = str(folder / "numba")
    numba_cache._compiled.cache_clear()
    try:
        return float(numba_cache.compiled(_twice)(1.5))
    finally:
        numba_cache._compiled.cache_clear()
        os.environ.pop("NUMBA_CACHE_DIR")
        if before is not None:
            os.environ["NUMBA_CACHE_DIR"] = before


def _log(*files: str, **how: bool) -> Kind:
    return Kind(lambda folder: _write_log(folder, **how), _read_log, files)


CLOSED = ("log.db", "log.db-last")
RUN = "outputs/runs/e/1a/"
KINDS: Mapping[str, Kind] = {
    "cells": _cache(ROWS, TimedRows(TABLE, 1.5)),
    "cells of members of a stack": _cache(FORECASTS, MEMBER),
    "columns of features": _cache(COLUMNS, TABLE),
    "fitted members": _cache(FITTED, FITTED_MODEL),
    "frames": Kind(_frame, _frame, ("frame/*",)),
    "parsed modules": _cache(SYNTAXES, {}),
    "compiled code": Kind(_compiled, _compiled, ("numba/**/*.nb[ic]",)),
    "saved models": Kind(
        lambda folder: save_fitted(FITTED_MODEL, folder / "model"),
        lambda folder: repr(load_fitted(folder / "model")),
        ("model/*",),
    ),
    "tables of a run": Kind(_write_run, _read_run, (f"{RUN}*.parquet",)),
    "texts of a run": Kind(
        _write_run,
        _read_run,
        (f"{RUN}config.yaml", f"{RUN}.*.json", f"{RUN}provenance.json", f"{RUN}inputs.json"),
    ),
    "labels and ledger": Kind(
        _write_run, _read_beside, (f"{RUN}labels.json", f"{RUN}tracking.json")
    ),
    "progress": Kind(_write_run, _progress, (f"{RUN}progress.json",)),
    "index of runs": Kind(_write_index, _index, ("*.parquet",)),
    "sweeps": Kind(
        _write_sweep,
        _read_sweep,
        tuple(
            f"outputs/sweeps/e/1a/{name}" for name in ("sweep.json", ".best.json", "trials.parquet")
        ),
    ),
    "studies": Kind(_write_study, _read_study, ("results/*", "state/*")),
    "comparisons": Kind(
        lambda folder: COMPARISON.write(folder / "c", "m is better.", "hwds compare"),
        _read_comparison,
        ("c/*",),
    ),
    "verdicts and forecasts": Kind(
        _write_verdict, _read_verdict, (f"{RUN}decision.json", f"{RUN}future.parquet")
    ),
    "logs, closed": _log(*CLOSED),
    "logs, with snapshot": _log(*CLOSED, snapshot=True),
    "logs, events dropped": _log(*CLOSED, snapshot=True, drop=True),
    "logs, killed": _log("log.db", "log.db-wal", "log.db-last", killed=True),
    "logs, killed, power": _log("log.db", "log.db-wal", "log.db-last", durable=True, killed=True),
}
