"""Predict the rows after the last one, or new rows, by a run's model.

It loads the model that the run kept (`save_model=final`). Otherwise it fits one on all rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hwds.cli.words import FILE, JSON_ALONE, ONE_RUN, QUIET, command, print_json
from hwds.core.errors import ConfigError
from hwds.results.formatting import counted

if TYPE_CHECKING:
    import polars as pl

    from hwds.experiment.spec import Experiment
    from hwds.results.folder import RunFolder

NESTED = ("paths", "reasons", "rules")
"""Columns that no CSV can hold."""


@command(help=__doc__)
@ONE_RUN
@click.option("--future", type=FILE, help="The known columns of the rows to come, CSV or Parquet.")
@click.option(
    "--template",
    type=FILE,
    help="Write the rows that --future must have to this CSV, and predict nothing.",
)
@click.option("--data", type=FILE, help="Newer rows, instead of the run's own rows.")
@JSON_ALONE
@QUIET
def main(
    run: str, future: str | None, template: str | None, data: str | None, as_json: bool
) -> int:
    """Load the saved model of a run, or fit it on all rows, and write what it says of the
    future.
    """
    from hwds.experiment.final_model import kept_model, predict_new
    from hwds.frames.files import without_line_break
    from hwds.results.folder import RunFolder

    folder = RunFolder.find(run)
    experiment = experiment_of(folder, data)
    if template:
        return write_template(experiment, template)
    frame = rows_to_predict(experiment, future)
    for remark in without_line_break(data, future):
        print(remark)
    print(
        f"{experiment.model.name}: "
        f"{'the saved model' if kept_model(folder) else 'fitted on all rows'}."
    )
    forecasts = predict_new(experiment, frame, folder)
    write_forecasts(folder, forecasts)
    show_forecasts(forecasts)
    print(forecast_amount(frame, forecasts))
    decide_ahead(experiment, frame, folder, forecasts)
    print(f"Forecasts: {folder.path / 'future.parquet'} and future.csv")
    if as_json:
        rows = forecasts.drop(NESTED, strict=False)
        decided = folder.read_verdict("future_")
        print_json(
            {"run": folder.title, "folder": str(folder.path), "verdict": decided}
            | {"forecasts": rows}
        )
    return 0


def write_template(experiment: Experiment, path: str) -> int:
    """Write the rows and the empty columns that a plan must have.

    Raises:
        ConfigError: The data has nothing to plan.
    """
    from pathlib import Path

    from hwds.experiment.final_model import plan_template
    from hwds.frames.panel import Panel
    from hwds.results.files import write_csv

    frame = experiment.dataset.frame()
    if not isinstance(frame, Panel):
        raise ConfigError(
            f"--template: dataset '{experiment.dataset.name}' has rows that are no series; there "
            f"is no plan."
        )
    rows = plan_template(experiment, frame)
    write_csv(Path(path), rows)
    empty = [name for name in frame.planned if rows[name].null_count()]
    print(f"{counted(len(rows), 'rows')} to fill in ({', '.join(empty) or 'nothing'}): {path}")
    return 0


def experiment_of(folder: RunFolder, rows: str | None) -> Experiment:
    """Return the run's experiment, on other rows where they are given.

    Raises:
        ConfigError: Its protocol has no model to ask.
    """
    from hwds.evaluation.protocol import Deployable
    from hwds.experiment.final_model import with_data
    from hwds.experiment.spec import check_asked

    data = folder.read_config(secrets=True)
    experiment = check_asked(with_data(data, rows, folder) if rows else data)
    if not isinstance(experiment.protocol, Deployable):
        raise ConfigError(
            f"predict: run {folder.title} is of protocol '{experiment.protocol.name}', which has "
            f"no model to ask."
        )
    return experiment


def rows_to_predict(experiment: Experiment, future: str | None) -> Any:
    """Return the data, with the plan of the rows to come where it is of series.

    Raises:
        ConfigError: There is a plan, and nothing to plan.
    """
    from hwds.experiment.final_model import require_plan
    from hwds.frames.panel import Panel

    frame = experiment.dataset.frame()
    if isinstance(frame, Panel):
        return experiment.protocol.prepare_frame(require_plan(experiment, frame, future or ""))
    if future:
        raise ConfigError(
            f"--future: dataset '{experiment.dataset.name}' has rows that are no series; there is "
            f"nothing to plan."
        )
    return frame


def write_forecasts(folder: RunFolder, forecasts: pl.DataFrame) -> None:
    """Write both files, whole or not at all."""
    from hwds.core.checksums import write_parquet
    from hwds.results.files import write_csv

    write_parquet(folder.path / "future.parquet", forecasts)
    write_csv(folder.path / "future.csv", forecasts.drop(NESTED, strict=False))


def decide_ahead(
    experiment: Experiment, frame: Any, folder: RunFolder, forecasts: pl.DataFrame
) -> None:
    """Write the decision on the forecasts to `future_decision.json` and tables beside it, and print
    it.
    """
    from hwds.report.verdict import draw_verdict, print_verdict, store_verdict

    decision = experiment.decision
    verdict = None
    if decision.foresees:
        decision.check_data(frame, experiment.protocol)
        verdict = decision.foresee(
            forecasts, folder.read_tables(), frame, experiment.model.name, experiment.protocol
        )
    store_verdict(folder, type(decision), verdict, "future_")
    if verdict is not None:
        draw_verdict(folder, type(decision), verdict, "future_")
        print_verdict(type(decision), verdict)


def show_forecasts(forecasts: pl.DataFrame) -> None:
    """Print the first rows."""
    import polars as pl

    with pl.Config(
        tbl_hide_dataframe_shape=True,
        tbl_hide_column_data_types=True,
        tbl_formatting="NOTHING",
        tbl_cols=-1,
    ):
        print(
            forecasts.head(8)
            .drop(NESTED, strict=False)
            .with_columns(pl.col(pl.Float64).round_sig_figs(5))
        )


def forecast_amount(frame: Any, forecasts: pl.DataFrame) -> str:
    """Return how many rows, series and times there are, and how many series have none."""
    from hwds.frames.panel import Panel

    if not isinstance(frame, Panel):
        return f"{counted(len(forecasts), 'rows')}."
    series, times = forecasts["series_id"].n_unique(), forecasts["time"].sort()
    text = f"{counted(len(forecasts), 'rows')}, {series} series" + (
        f", {times[0]} to {times[-1]}." if len(times) else "."
    )
    if series < frame.n_series:
        text += (
            f"\n{frame.n_series - series} of {frame.n_series} series have ended or are not "
            f"planned: they are not forecast."
        )
    return text
