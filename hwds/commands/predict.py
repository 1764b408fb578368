"""Ask a run's model beyond the last row, or of new rows: `hwds predict RUN [--future plan.csv] [--data new.parquet]`.

`--future` gives the known columns of the rows to come (CSV or Parquet), `--data` takes newer rows instead of those that the run
was made of. The run must have kept its model (`save_model=final`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwds.errors import ConfigError
from hwds.flags import one_run, parsed
from hwds.results.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from hwds.config.spec import Experiment
    from hwds.results.folder import RunFolder

FLAGS = ("--future", "--data")

NESTED = ("paths", "reasons")
"""Columns that no CSV can hold."""


def main(words: list[str]) -> int:
    """Load the saved model of a run, or fit it on all rows, and write what it says of the future."""
    names, flags = parsed("predict", words, FLAGS, value="file")
    name = one_run("predict", names)
    from hwds.execution.final import foresee, kept_model
    from hwds.results.folder import RunFolder

    folder = RunFolder.find(name)
    experiment = asked(folder, flags)
    frame = ahead(experiment, flags)
    print(f"{experiment.model.name}: {'the saved model' if kept_model(folder) else 'fitted on all rows'}.")
    forecasts = foresee(experiment, frame, folder)
    write(folder, forecasts)
    show(forecasts)
    print(told(frame, forecasts))
    decide(experiment, frame, folder, forecasts)
    print(f"Forecasts: {folder.path / 'future.parquet'} and future.csv")
    return 0


def asked(folder: RunFolder, flags: Mapping[str, str]) -> Experiment:
    """The run's experiment, on other rows where they are given.

    Raises:
        ConfigError: Its protocol has no model to ask.
    """
    from hwds.config.check import check
    from hwds.execution.new_rows import with_data

    data = folder.read_config(secrets=True)
    experiment = check(with_data(data, flags["--data"], folder) if "--data" in flags else data)
    protocol: Any = experiment.protocol
    if not protocol.fits_all:
        raise ConfigError(f"predict: run {folder.title} is of protocol '{protocol.name}', which has no model to ask.")
    return experiment


def ahead(experiment: Experiment, flags: Mapping[str, str]) -> Any:
    """The data, with the plan of the rows to come where it is of series.

    Raises:
        ConfigError: There is a plan, and nothing to plan.
    """
    from hwds.execution.new_rows import planned
    from hwds.frames.panel import Panel

    dataset: Any = experiment.dataset
    protocol: Any = experiment.protocol
    frame = dataset.frame()
    if isinstance(frame, Panel):
        return protocol.framed(planned(experiment, frame, flags.get("--future", "")))
    if "--future" in flags:
        raise ConfigError(f"--future: dataset '{dataset.name}' has rows that are no series; there is nothing to plan.")
    return frame


def choices() -> list[str]:
    """The runs that there are, and the flags, for completion."""
    from hwds.results.folder import RunFolder

    return [*RunFolder.names(), *FLAGS]


def write(folder: RunFolder, forecasts: pl.DataFrame) -> None:
    """Both files, whole or not at all."""
    from hwds.results.atomic import write_atomically

    write_atomically(folder.path / "future.parquet", forecasts.write_parquet)
    write_atomically(folder.path / "future.csv", forecasts.drop(NESTED, strict=False).write_csv)


def decide(experiment: Experiment, frame: Any, folder: RunFolder, forecasts: pl.DataFrame) -> None:
    """What the run's decision says of the forecasts, in `future_decision.json` and tables beside it."""
    from hwds.report.decided import keep, print_verdict

    decision: Any = experiment.decision
    verdict = None
    if decision.foresees:
        decision.check_data(frame, experiment.protocol)
        verdict = decision.foresee(forecasts, folder.read_tables(), frame, experiment.model.name, experiment.protocol)
    keep(folder, verdict, "future_")
    if verdict is not None:
        print_verdict(verdict)


def show(forecasts: pl.DataFrame) -> None:
    """The first rows."""
    import polars as pl

    with pl.Config(tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True, tbl_formatting="NOTHING", tbl_cols=-1):
        print(forecasts.head(8).drop(NESTED, strict=False).with_columns(pl.col(pl.Float64).round_sig_figs(5)))


def told(frame: Any, forecasts: pl.DataFrame) -> str:
    """How much there is."""
    from hwds.frames.panel import Panel

    if not isinstance(frame, Panel):
        return f"{counted(len(forecasts), 'rows')}."
    series, times = forecasts["series_id"].n_unique(), forecasts["time"].sort()
    said = f"{counted(len(forecasts), 'rows')}, {series} series" + (f", {times[0]} to {times[-1]}." if len(times) else ".")
    if series < frame.n_series:
        said += f"\n{frame.n_series - series} of {frame.n_series} series have ended or are not planned: they are not forecast."
    return said
