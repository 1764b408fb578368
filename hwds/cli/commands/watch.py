"""Watch a run's model and a rival on new rows, and show when to switch.

The first call fits both on all rows and keeps them with their forecasts. Each later call, on data
with new rows, scores the kept forecasts and keeps the next ones. Nothing is fitted again. The
interval holds at all looks together, so you may look at each period and stop at any time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from hwds.cli.words import FILE, JSON_ALONE, ONE_RUN, QUIET, command, print_json
from hwds.core.errors import ConfigError, nearest
from hwds.results.formatting import brief, counted

if TYPE_CHECKING:
    from polars import DataFrame

    from hwds.experiment.spec import Experiment
    from hwds.report.grid import Grid
    from hwds.results.folder import RunFolder

CHANGE, KEEP = "CHANGE", "KEEP"
"""The words of a verdict, as well as `NOT_SURE`."""

COST = {"model", "cost"}
"""The columns of a decision's table that says what each model costs a period and series."""


@command(help=__doc__)
@ONE_RUN
@click.option("--challenger", metavar="NAME", help="The rival; the first one of the run is usual.")
@click.option("--data", type=FILE, help="Newer rows, instead of the run's own rows.")
@click.option("--future", type=FILE, help="The known columns of the rows to come, CSV or Parquet.")
@JSON_ALONE
@QUIET
def main(
    run: str, challenger: str | None, data: str | None, future: str | None, as_json: bool
) -> int:
    """Score what was kept, keep the next forecasts, and print the verdict."""
    from hwds.cli.commands.predict import experiment_of, rows_to_predict
    from hwds.core.checksums import write_json
    from hwds.frames.panel import Panel

    folder = watched_run(run)
    experiment = experiment_of(folder, data)
    frame = rows_to_predict(experiment, future)
    if not isinstance(frame, Panel):
        raise ConfigError(
            f"watch: dataset '{experiment.dataset.name}' has rows that are no series."
        )
    models = [experiment.model.name, rival_of(experiment, challenger)]
    with folder.lock():
        rows = forecasts_that_came(folder, frame.table, models)
        keep_forecasts(folder, experiment, frame, models)
        path = folder.watch / f"{quote(models[1], safe='')}.json"
        looks = with_look(path, folder, rows, models)
        record = record_of(models, looks, waiting_cost(folder, models))
        write_json(path, {"run": folder.title} | record)
    if as_json:
        print_json({"run": folder.title, "folder": str(folder.path), **record})
    else:
        show_watch(folder, record)
    return 0


def watched_run(name: str) -> RunFolder:
    """Return the run of a name; of an experiment the one that is watched, if any is.

    Raises:
        ConfigError: There is no such run.
    """
    from hwds.results.folder import RunFolder

    folder = RunFolder.find(name)
    kept = folder.path.parent.glob("*/watch/*.parquet") if name == folder.path.parent.name else ()
    last = max(kept, key=lambda path: path.stat().st_mtime, default=None)
    return folder if last is None else RunFolder(last.parent.parent)


def rival_of(experiment: Experiment, name: str | None) -> str:
    """Return the label of the challenger.

    Raises:
        ConfigError: The run has no rival, or none of this name.
    """
    labels = [recipe.name for recipe in experiment.rivals]
    found = [label for label in labels if name in (None, label, label.rpartition("/")[2])]
    if not labels:
        raise ConfigError("watch: the run has no rival; run it with rivals=[forecast/theta].")
    if not found:
        raise ConfigError(f"--challenger: no rival '{name}' in the run{nearest(str(name), labels)}")
    return found[0]


# The forecasts that are kept: a file for each end of the data, never written again.


def kept_forecasts(folder: RunFolder) -> DataFrame | None:
    """Return all kept forecasts, the oldest first; None where there are none.

    Raises:
        HwdsError: A file is damaged.
    """
    import polars as pl

    from hwds.results.files import read_table

    paths = sorted(folder.watch.glob("*.parquet"))
    return pl.concat([read_table(path) for path in paths], how="diagonal") if paths else None


def keep_forecasts(
    folder: RunFolder, experiment: Experiment, frame: Any, models: Sequence[str]
) -> None:
    """Keep the forecasts of models after the data, unless they are there; a model without a fit is
    fitted once.
    """
    import polars as pl

    from hwds.core.checksums import write_parquet
    from hwds.core.serialization import save_fitted
    from hwds.experiment.final_model import FOLDER, fit_final, kept_model, predict_new
    from hwds.results.folder import RunFolder

    kept = kept_forecasts(folder)
    for label in models:
        told = None if kept is None else kept.filter(model=label)["cutoff"].max()
        if told is not None and told >= frame.table["time"].max():
            continue
        own = replace(experiment, model=experiment.models[label])
        place = RunFolder(folder.watch / quote(label, safe=""))
        place = folder if label == models[0] and kept_model(folder) else place
        if kept_model(place) is None:
            save_fitted(fit_final(own, frame), place.path / FOLDER)
        forecasts = predict_new(own, frame, place).drop("paths", strict=False)
        number = len(list(folder.watch.glob("*.parquet")))
        path = folder.watch / f"{number:05}.parquet"
        write_parquet(path, forecasts.with_columns(pl.lit(label).alias("model")))


def forecasts_that_came(
    folder: RunFolder, known: DataFrame, models: Sequence[str]
) -> DataFrame | None:
    """Return the last forecast before each row and what came, as a run stores them; None where
    nothing has come.

    The scale of errors is that of the run's last cutoff.

    Args:
        folder: The folder of the run.
        known: The rows of the data.
        models: The labels of the models.
    """
    import polars as pl

    from hwds.frames.roles import SERIES, TARGET, TIME

    kept = kept_forecasts(folder)
    if kept is None:
        return None
    came = known.select(SERIES, TIME, actual=pl.col(TARGET).cast(pl.Float64))
    rows = kept.join(came.drop_nulls().drop_nans(), on=[SERIES, TIME]).sort("cutoff")
    rows = rows.filter(pl.col("model").is_in(models))
    rows = rows.unique(["model", SERIES, TIME], keep="last", maintain_order=True)
    past = folder.read_tables().predictions.sort("cutoff")
    past = past.unique(["model", SERIES], keep="last")
    past = past.select(
        "model", SERIES, *(name for name in past.columns if name not in rows.columns)
    )
    rows = rows.join(past, on=["model", SERIES])
    return rows if rows["model"].n_unique() == len(models) else None


# The verdict: each look is kept, and the first sure one stands.


def with_look(
    path: Any, folder: RunFolder, rows: DataFrame | None, models: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the looks so far with the one at these rows.

    Args:
        path: The file of the looks.
        folder: The folder of the run.
        rows: The scored rows; None for none.
        models: The labels of champion and challenger.
    """
    from hwds.results.files import read_json_mapping

    looks = read_json_mapping(path)["looks"] if path.is_file() else []
    if rows is None:
        return list(looks)
    now = look_at(folder, rows, models)
    return [*(look for look in looks if look["until"] != now["until"]), now]


def look_at(folder: RunFolder, rows: DataFrame, models: Sequence[str]) -> dict[str, Any]:
    """Return by how much the challenger is better, with the interval of this look alone, and the
    one that holds at all looks.
    """
    from hwds.report.words import NOT_SURE
    from hwds.stats.contrasts import Scale
    from hwds.stats.effects import LEVEL, RESAMPLES
    from hwds.stats.evidence import comparison_of
    from hwds.stats.sources import ModelRows, RunSource

    (source,) = RunSource.read([folder])
    about = str(source.config["dataset"]["name"]), source.seed, source
    parts = [ModelRows(label, *about, label, rows.filter(model=label)) for label in models]
    metric = str(source.config["protocol"]["headline"])
    task = comparison_of(source)
    assert task.evidence is not None
    evidence, _ = task.evidence(parts, metric, RESAMPLES)
    scale = Scale.of(evidence.means, source.tables.measure(source.metric(metric)).better)
    champion, challenger = (evidence.models.index(label) for label in models)
    (effect,) = evidence.effects([(challenger, champion)], scale)
    every = effect.at_all_looks(again=True)
    ends = {"": every.difference(LEVEL), "fixed_": effect.difference(LEVEL)}
    low, high = ends[""] or (0.0, 0.0)
    return {
        "until": str(rows["time"].max()),
        "cutoffs": rows["cutoff"].n_unique(),
        "verdict": CHANGE if low > 0 else KEEP if high < 0 else NOT_SURE,
        "relative": scale.relative,
        "effect": scale.as_share(effect.value),
        **{
            f"{name}{end}": None if both is None else scale.as_share(both[place])
            for name, both in ends.items()
            for place, end in enumerate(("low", "high"))
        },
    }


def waiting_cost(folder: RunFolder, models: Sequence[str]) -> dict[str, Any] | None:
    """Return the expected cost of one more period with the champion, in the money of the run's
    decision: by how much it costs more in the decision's record. None without such a record.
    """
    from hwds.results.files import read_table

    verdict = folder.read_verdict() or {}
    for name in verdict.get("tables", ()):
        table = read_table(folder.path / f"{name}.parquet")
        if not set(table.columns) >= COST:
            continue
        costs = dict(table.select("model", "cost").iter_rows())
        if all(costs.get(label) is not None for label in models):
            champion, challenger = (float(costs[label]) for label in models)
            series = folder.read_tables().predictions["series_id"].n_unique()
            saved = max(champion - challenger, 0.0) * series
            about = {"champion": champion, "challenger": challenger, "series": series}
            return {"decision": folder.read_config()["decision"]["name"], "cost": saved, **about}
    return None


def record_of(
    models: Sequence[str], looks: Sequence[Mapping[str, Any]], waiting: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the verdict with all that it rests on, as plain data."""
    from hwds.report.words import NOT_SURE

    sure = (look for look in looks if look["verdict"] != NOT_SURE)
    told = next(sure, looks[-1] if looks else None)
    return {
        "champion": models[0],
        "challenger": models[1],
        "verdict": told["verdict"] if told else NOT_SURE,
        "sentence": watch_sentence(models, told),
        "looks": list(looks),
        "waiting": waiting,
    }


def watch_sentence(models: Sequence[str], look: Mapping[str, Any] | None) -> str:
    """Return the verdict of a look as a sentence without its word."""
    from hwds.report.comparison import row_amount

    champion, challenger = models
    if look is None:
        return f"forecasts of {champion} and {challenger} are kept; no row has come after them."
    value, ends = row_amount(look, relative=look["relative"], unit="")
    better = "better" if look["effect"] > 0 else "worse"
    cutoffs = counted(look["cutoffs"], "cutoffs")
    if look["verdict"] in (CHANGE, KEEP):
        return (
            f"{challenger} is {value} {better} than {champion}, sure since {look['until']} "
            f"(95 % at all looks: {ends}; {cutoffs})."
        )
    interval = f" (95 % at all looks: {ends})" if ends else ""
    return (
        f"{challenger} is {value} {better} than {champion} so far; {cutoffs} cannot tell{interval}."
    )


def show_watch(folder: RunFolder, record: Mapping[str, Any]) -> None:
    """Print the looks, the verdict, and the cost of waiting."""
    from hwds.report.verdict import Shown, print_shown

    waiting, notes = record["waiting"], list[str]()
    if waiting and record["verdict"] != KEEP:
        costs = (brief(waiting[name]) for name in ("champion", "challenger"))
        notes = [
            f"One more period with {record['champion']} is expected to cost "
            f"{brief(waiting['cost'])} ({waiting['series']} series, {' against '.join(costs)} each "
            f"by decision {waiting['decision']})."
        ]
    print_shown(
        Shown(
            title=f"{folder.title}   {record['champion']} · {record['challenger']}",
            grids=[looks_grid(record["looks"])] if record["looks"] else [],
            said=f"{record['verdict']}: {record['sentence']}",
            notes=notes,
            next="" if record["verdict"] == CHANGE else "the same command when new rows are there",
            files=folder.watch,
        )
    )


def looks_grid(looks: Sequence[Mapping[str, Any]]) -> Grid:
    """Return a row for each look, the last first."""
    from hwds.report.comparison import row_amount
    from hwds.report.grid import grid_of

    rows = []
    for look in reversed(looks):
        once = {**look, "low": look["fixed_low"], "high": look["fixed_high"]}
        texts = (
            row_amount(each, relative=look["relative"], unit="", sign=True) for each in (look, once)
        )
        (value, ends), (_, fixed) = texts
        rows.append([look["until"], str(look["cutoffs"]), value, ends, fixed, look["verdict"]])
    titles = ["until", "cutoffs", "challenger better by", "at all looks", "of one look", "verdict"]
    return grid_of(titles, rows, words=1)
