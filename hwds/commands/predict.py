"""Forecast beyond the last row with a run's model: `hwds predict RUN [--future plan.csv] [--data new.parquet]`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwds.errors import ConfigError, DataError, nearest
from hwds.frames.roles import SERIES, TIME

if TYPE_CHECKING:
    from hwds.execution.prepare import Prepared

FLAGS = ("--future", "--data")


def main(words: list[str]) -> int:
    """Load the saved model of a run, or fit it on all rows, and write what it says of the future."""
    name, flags = parsed(words)
    from hwds.config.check import check
    from hwds.execution.prepare import prepare
    from hwds.results.atomic import write_atomically
    from hwds.results.folder import RunFolder
    from hwds.execution.final import foresee

    folder = RunFolder.find(name)
    data = folder.read_config()
    if "--data" in flags:
        data = with_path(data, flags["--data"])
    prepared = replace(prepare(check(data)), folder=folder)
    if "--future" in flags:
        prepared = replace(prepared, frame=with_plan(prepared, flags["--future"]))
    forecasts = foresee(prepared)
    path = folder.path / "future.parquet"
    write_atomically(path, lambda part: forecasts.write_parquet(part))
    write_atomically(path.with_suffix(".csv"), lambda part: forecasts.write_csv(part))
    print(forecasts.head(12))
    print(f"{len(forecasts)} rows: {path} and {path.with_suffix('.csv').name}")
    return 0


def parsed(words: list[str]) -> tuple[str, dict[str, str]]:
    """The run and the flags with their values."""
    flags: dict[str, str] = {}
    names: list[str] = []
    rest = iter(words)
    for word in rest:
        flag, _, value = word.partition("=")
        if not word.startswith("-"):
            names.append(word)
        elif flag in FLAGS:
            flags[flag] = value or next(rest, "")
        else:
            raise ConfigError(f"predict: no flag '{flag}'{nearest(flag, FLAGS)}")
    if len(names) != 1:
        raise ConfigError(f"predict: must be followed by one run, got {len(names)}.")
    return names[0], flags


def with_path(data: dict[str, Any], path: str) -> dict[str, Any]:
    """The config with other data of the same roles."""
    if "path" not in data["dataset"]:
        raise ConfigError(
            f"--data: dataset '{data['dataset']['name']}' reads no file of yours; the run must be on dataset=file."
        )
    return data | {"dataset": data["dataset"] | {"path": path, "sha256": None}}


def with_plan(prepared: Prepared, path: str) -> Any:
    """The frame with a plan of known-future columns from a file, whose columns bear the names of the dataset's roles."""
    from hwds.datasets.plan import read_plan

    if not Path(path).is_file():
        raise DataError(f"--future: no file '{path}'.")
    roles = getattr(prepared.experiment.dataset, "roles", None)
    series, time = (roles.series, str(roles.time)) if roles is not None else (SERIES, TIME)
    return replace(prepared.frame, plan=read_plan(Path(path), prepared.frame, series, time))
