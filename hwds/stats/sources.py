"""Finished runs as a comparison reads them: checks, labels that differ, rows that all share."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import polars as pl
from polars import DataFrame

from hwds.core.checksums import write_json
from hwds.core.errors import ConfigError, DataError, nearest
from hwds.core.files import OUTPUTS, digest, lock_for_making
from hwds.core.settings import as_yaml, flatten
from hwds.results.files import read_json_mapping
from hwds.results.folder import RunFolder
from hwds.results.formatting import counted, listed
from hwds.results.tables import TRUTH, Tables, short

# Source: one finished run as a comparison reads it.


@dataclass(frozen=True, eq=False)
class RunSource:
    """The tables of a run and what they were made of.

    Attributes:
        title: `<experiment>/<run id>`.
        config: Its resolved config.
        data: The fingerprint of its data.
        code: The fingerprint of the source that computed it.
        tables: What it computed.
        extent: The `rows` of its data, and its `first` and `last` time; empty of earlier runs.
        advice: The action of its decision with the rule that was binding; empty without one.
    """

    title: str
    config: Mapping[str, Any]
    data: str
    code: str
    tables: Tables
    extent: Mapping[str, Any] = field(default_factory=dict)
    advice: str = ""

    @classmethod
    def read(cls, folders: Sequence[RunFolder]) -> list[Self]:
        """Return the sources of runs' folders.

        Raises:
            HwdsError: One of them is not finished, or damaged.
        """
        tables = RunFolder.tables_of(folders)
        origins = [folder.read_provenance() for folder in folders]
        return [
            cls(
                folder.title,
                folder.read_config(),
                origin["data"],
                origin["code"],
                table,
                origin.get("extent", {}),
                _advice(folder.read_verdict() or {}),
            )
            for folder, origin, table in zip(folders, origins, tables, strict=True)
        ]

    def with_config_of(self, other: RunSource) -> RunSource:
        """Return the same predictions as of the dataset and the protocol of another run, of which a
        sweep knows that they agree.
        """
        same = {part: other.config[part] for part in ("dataset", "protocol")}
        return replace(self, config={**self.config, **same}, data=other.data)

    @property
    def run(self) -> str:
        """The run's id."""
        return self.title.rpartition("/")[2]

    @property
    def task(self) -> str:
        """The task of its protocol: `forecast`."""
        return next(iter(self.tables.scores["task"].drop_nulls()), "")

    @property
    def seed(self) -> int:
        """The experiment's seed."""
        return int(self.config["seed"])

    @property
    def model(self) -> str:
        """The label of the experiment's own model."""
        return str(self.config["model"]["name"])

    @cached_property
    def models(self) -> list[str]:
        """The labels of the models that answered anything, the truth apart."""
        predictions = self.tables.predictions
        labels = (
            predictions["model"].unique(maintain_order=True).to_list()
            if "model" in predictions.columns
            else []
        )
        return [label for label in labels if label != TRUTH]

    def rows(self, label: str) -> DataFrame:
        """Return the predictions of one model."""
        rows = self.tables.predictions
        return rows if rows["model"].n_unique() == 1 else rows.filter(model=label)

    def settings(self, label: str) -> dict[str, Any]:
        """Return the config of a model.

        A companion of another (`stack(combine=equal)`) has that of its owner.
        """
        nodes = self.configured
        return dict(nodes.get(label) or nodes.get(label.partition("(")[0]) or {})

    @property
    def configured(self) -> dict[str, dict[str, Any]]:
        """The config of each model by its label."""
        nodes = (self.config["model"], *self.config.get("rivals", ()))
        return {str(node["name"]): node for node in nodes}

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """The full names of what is scored."""
        return tuple(self.tables.scores["metric"].unique(maintain_order=True))

    def metric(self, name: str) -> str:
        """Return the full name of a metric (`mase[m=12]` of `mase`).

        The name itself where none is scored.
        """
        return next((full for full in self.metrics if name in (full, short(full))), name)


def _advice(verdict: Mapping[str, Any]) -> str:
    """Return `HOLD (few_cases)` of a stored verdict; empty without one."""
    rule = verdict.get("rule", "none")
    return f"{verdict.get('action', '')}{'' if rule == 'none' else f' ({rule})'}"


# Checks that runs can be compared: same task, data, protocol and metrics.

FREE_SETTINGS = (
    "name",
    "recipe",
    "headline",
    "segments",
    "cluster",
    "metrics",
    "paths",
    "resamples",
    "explained",
    "importance_rows",
    "importance_seeds",
    "checkpoints",
    "replications",
)
"""Fields of a protocol that change no row, or how many of them there are: only rows that all share
count anyway.
"""


def check_sources(sources: Sequence[RunSource], datasets: Sequence[str]) -> None:
    """Refuse sources that were not evaluated on the same rows.

    Args:
        sources: The sources, at least one.
        datasets: The label of each one's dataset.

    Raises:
        DataError: Tasks, data or protocols differ; which, and how.
    """
    check_tasks(sources)
    for source, dataset in zip(sources, datasets, strict=True):
        twin = next(
            other for other, label in zip(sources, datasets, strict=True) if label == dataset
        )
        if source.data != twin.data:
            names, each = _differing_data([twin, source], [dataset, dataset])
            raise DataError(
                f"compare: runs {twin.title} and {source.title} are both of dataset '{dataset}', "
                f"but its data differ{names}: {each}; run one of them again."
            )
        for differing in protocol_differences(sources[0], source):
            raise DataError(f"compare: {differing}; only answers to one protocol can be compared.")


def check_tasks(sources: Sequence[RunSource]) -> None:
    """Refuse no source, and sources of different tasks.

    Raises:
        DataError: There is none, or tasks differ.
    """
    if not sources:
        raise DataError("compare: no finished run to compare.")
    first = sources[0]
    for source in sources:
        if source.task != first.task:
            raise DataError(
                f"compare: run {first.title} is of task '{first.task}' and {source.title} of "
                f"'{source.task}'."
            )


def protocol_differences(first: RunSource, source: RunSource) -> Iterator[str]:
    """Yield how the protocols of two runs differ, the recipe before its settings."""
    left, right = (dict(each.config["protocol"]) for each in (first, source))
    recipes = left.get("recipe", left["name"]), right.get("recipe", right["name"])
    if recipes[0] != recipes[1]:
        yield (
            f"run {first.title} is of protocol '{recipes[0]}' and {source.title} of '{recipes[1]}'"
        )
    for key in (key for key in left if key in right and key not in FREE_SETTINGS):
        if left[key] != right[key]:
            values = ["null" if value is None else value for value in (left[key], right[key])]
            yield (
                f"protocol.{key} is {values[0]} in run {first.title} and {values[1]} in "
                f"{source.title}"
            )


def data_remark(sources: Sequence[RunSource], datasets: Sequence[str]) -> str:
    """Return a sentence on how the data of runs differ; empty if they are the same."""
    firsts = {source.data: place for place, source in reversed([*enumerate(sources)])}
    if len(firsts) < 2:
        return ""
    places = sorted(firsts.values())
    names, each = _differing_data(
        [sources[place] for place in places], [datasets[place] for place in places]
    )
    return f"The data differ{names}: {each}."


def _differing_data(sources: Sequence[RunSource], datasets: Sequence[str]) -> tuple[str, str]:
    """Return in what the data of runs differ, ` in rows and period`, and the data of each."""
    extents = [source.extent for source in sources]
    kinds = {
        "dataset": datasets,
        "rows": [each.get("rows") for each in extents],
        "period": [(each.get("first"), each.get("last")) for each in extents],
    }
    differing = [name for name, values in kinds.items() if len(set(values)) > 1]
    # values alone differ, or earlier runs kept no more than the fingerprint
    where = f" in {listed(differing)}" if differing else ""
    described = map(_data_words, sources, datasets, [not differing] * len(sources))
    return where, "; ".join(described)


def _data_words(source: RunSource, dataset: str, fingerprint: bool) -> str:
    """Return the data of a run: `trial/r1 has 96 rows of toys from 2020-01 to 2021-12`."""
    rows, first = source.extent.get("rows"), source.extent.get("first")
    count = f"{counted(rows, 'rows')} of " if rows is not None else ""
    period = f" from {first} to {source.extent['last']}" if first is not None else ""
    print_of = f" (fingerprint {source.data[:8]})" if fingerprint else ""
    return f"{source.title} has {count}{dataset}{period}{print_of}"


def metric_to_compare(sources: Sequence[RunSource], metric: str) -> str:
    """Return the short or full name of the metric to compare by: the one asked for, or the headline
    that all sources have.

    Raises:
        ConfigError: It is not scored, with the nearest name, or the headlines differ.
    """
    names = {name for source in sources for name in source.metrics}
    if metric:
        missing = next(
            (source for source in sources if source.metric(metric) not in source.metrics), None
        )
        if missing:
            raise ConfigError(
                f"--metric: run {missing.title} has no metric '{metric}'{nearest(metric, names)}"
            )
        return metric
    headlines = list(
        dict.fromkeys(str(source.config["protocol"]["headline"]) for source in sources)
    )
    if len(headlines) > 1:
        raise ConfigError(
            f"--metric: must be given, the runs have several headlines: {', '.join(headlines)}."
        )
    return headlines[0]


def check_definitions(sources: Sequence[RunSource], datasets: Sequence[str], metric: str) -> None:
    """Refuse a metric that is not defined alike in all sources of a dataset.

    Raises:
        DataError: The definitions differ.
    """
    first_by_dataset: dict[str, tuple[str, RunSource]] = {}
    for source, dataset in zip(sources, datasets, strict=True):
        full, other = first_by_dataset.setdefault(dataset, (source.metric(metric), source))
        if source.metric(metric) != full:
            raise DataError(
                f"compare: '{metric}' is {full} in run {other.title} and {source.metric(metric)} "
                f"in {source.title}."
            )


# Labels that say what differs: `forecast/xgboost(trees=500)` beside
# `forecast/xgboost(trees=250)`.

UNNAMED_SETTINGS = ("name", "recipe")
COMMA = ","


def distinct_labels(models: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """Return names in the same order; equal names with other settings get the settings that differ.

    Args:
        models: Names with their settings.
    """
    flat = [(name, _flat(settings)) for name, settings in models]
    labels = []
    for name, values in flat:
        namesakes = [other for label, other in flat if label == name]
        keys = dict.fromkeys(key for other in namesakes for key in other)
        differing = [
            key for key in keys if any(other.get(key) != values.get(key) for other in namesakes)
        ]
        differing = (
            [key for key in keys if len({repr(other.get(key)) for other in namesakes}) > 1]
            if differing
            else []
        )
        changes = ",".join(f"{key}={as_yaml(values.get(key), COMMA)}" for key in differing)
        labels.append(f"{name}({changes})" if changes else name)
    return labels


def dataset_labels(sources: Sequence[RunSource]) -> list[str]:
    """Return the dataset of each source."""
    return distinct_labels(
        [(str(source.config["dataset"]["name"]), source.config["dataset"]) for source in sources]
    )


def model_labels(sources: Sequence[RunSource]) -> list[dict[str, str]]:
    """Return for each source its own labels of models, mapped to labels that distinguish all
    models.

    The same label with the same settings in two sources of the same data and seed is one model
    where its predictions are the same. Where they are not, features, code or else the run is what
    differs, and said.
    """
    pairs = [(place, label) for place, source in enumerate(sources) for label in source.models]
    labels = distinct_labels([(label, sources[place].settings(label)) for place, label in pairs])
    by_pair = {
        # a label that already says its changes does not say them twice
        pair: pair[1] if "(" in pair[1] and label.startswith(pair[1]) else label
        for pair, label in zip(pairs, labels, strict=True)
    }
    for label in dict.fromkeys(by_pair.values()):
        bearers = [pair for pair, name in by_pair.items() if name == label]
        what = _cause(sources, bearers)
        if what:
            by_pair |= {
                pair: f"{label}[{what}={_value_of(sources[pair[0]], what)}]" for pair in bearers
            }
    return [
        {label: by_pair[place, label] for label in source.models}
        for place, source in enumerate(sources)
    ]


def _cause(sources: Sequence[RunSource], bearers: Sequence[tuple[int, str]]) -> str:
    """Return what separates sources whose model of one label predicts the same rows differently.

    Empty where none does.
    """
    first: dict[tuple[Any, ...], tuple[int, str]] = {}
    for place, label in bearers:
        source = sources[place]
        key = source.data, source.seed, repr(source.config["dataset"])
        other = first.setdefault(key, (place, label))
        if other != (place, label) and not _same_answers(
            source.rows(label), sources[other[0]].rows(other[1])
        ):
            pair = source, sources[other[0]]
            return next(
                (
                    what
                    for what in ("features", "code")
                    if _value_of(pair[0], what) != _value_of(pair[1], what)
                ),
                "run",
            )
    return ""


def _same_answers(rows: DataFrame, others: DataFrame) -> bool:
    """Return whether two tables are the same, but for columns of other models without a value."""
    if rows.columns == others.columns:
        return rows.equals(others)
    shared = [name for name in rows.columns if name in others.columns]
    own = (
        each[name].null_count() < len(each)
        for each in (rows, others)
        for name in each.columns
        if name not in shared
    )
    return not any(own) and rows.select(shared).equals(others.select(shared))


def _value_of(source: RunSource, what: str) -> str:
    if what == "features":
        return str(source.config.get("features", {}).get("name", "none"))
    return source.code[:6] if what == "code" else source.run[:6]


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    values = {
        path: value
        for path, value in flatten(settings)
        if path.rpartition(".")[2] not in UNNAMED_SETTINGS
    }
    return {path: value for path, value in values.items() if not isinstance(value, Mapping)}


# Answer: the rows of one model on one dataset under one seed; and those rows that all models
# share.


@dataclass(frozen=True, eq=False)
class ModelRows:
    """The rows of a model.

    Attributes:
        model: Its label, which tells it apart from all others.
        dataset: The dataset's label.
        seed: The experiment's seed.
        source: The run that they are from.
        label: The label of the model there.
        rows: Its predictions.
    """

    model: str
    dataset: str
    seed: int
    source: RunSource
    label: str
    rows: DataFrame


def model_rows_of(
    sources: Sequence[RunSource], datasets: Sequence[str], labels: Sequence[dict[str, str]]
) -> tuple[list[ModelRows], list[str]]:
    """Return the predictions of all models that were run on every dataset, each once, and the names
    of the others.
    """
    found = all_model_rows(sources, datasets, labels)
    everywhere, on = set(datasets), dict[str, set[str]]()
    for each in found:
        on.setdefault(each.model, set()).add(each.dataset)
    missing = [model for model, label in on.items() if label != everywhere]
    return [each for each in found if each.model not in missing], missing


def all_model_rows(
    sources: Sequence[RunSource], datasets: Sequence[str], labels: Sequence[dict[str, str]]
) -> list[ModelRows]:
    """Return the predictions of all models, each once on each dataset and under each seed."""
    found: dict[tuple[str, str, int], ModelRows] = {}
    for source, dataset, labels_of_source in zip(sources, datasets, labels, strict=True):
        for label, model in labels_of_source.items():
            each = ModelRows(model, dataset, source.seed, source, label, source.rows(label))
            found.setdefault((model, dataset, source.seed), each)
    return list(found.values())


def shared_rows(
    predictions: Sequence[ModelRows], keys: Sequence[str]
) -> tuple[list[ModelRows], int]:
    """Return the predictions with only the rows that all models share on their dataset, and how
    many rows the fullest lost.

    Args:
        predictions: The predictions of every model, dataset and seed.
        keys: The columns that name a row.
    """
    kept: list[ModelRows] = []
    most_lost = 0
    for dataset in dict.fromkeys(each.dataset for each in predictions):
        alike = _sort_alike([each for each in predictions if each.dataset == dataset], keys)
        common = alike[0].rows.select(keys)
        for each in alike[1:]:
            if not _same_rows(each.rows, common, keys):
                common = common.join(
                    each.rows.select(keys), on=keys, how="semi", maintain_order="left"
                )
        most_lost += max(len(each.rows) for each in alike) - len(common)
        kept += [_common_rows(each, common, keys) for each in alike]
    return kept, most_lost


def _sort_alike(predictions: Sequence[ModelRows], keys: Sequence[str]) -> list[ModelRows]:
    """Return the predictions with their rows sorted.

    Those that lie as the first one's do are put in its order.
    """
    first = predictions[0].rows
    order = first.select(pl.arg_sort_by(keys)).to_series()
    done = bool((order == pl.int_range(len(order), eager=True)).all())
    in_order = []
    for each in predictions:
        rows = each.rows
        if not _same_rows(rows, first, keys):
            in_order.append(replace(each, rows=rows.sort(keys)))
        else:
            in_order.append(each if done else replace(each, rows=rows[order]))
    return in_order


def _same_rows(rows: DataFrame, others: DataFrame, keys: Sequence[str]) -> bool:
    return all(rows[key].equals(others[key]) for key in keys)


def _common_rows(of_model: ModelRows, common: DataFrame, keys: Sequence[str]) -> ModelRows:
    if len(of_model.rows) == len(common):
        return of_model
    return replace(
        of_model, rows=of_model.rows.join(common, on=keys, how="semi", maintain_order="left")
    )


# Looks: what was seen of the same two models on the same data. A difference that is looked at
# again and again is sure at some look by chance; see `Effect.at_all_looks`.

DATE = re.compile(r"\d{4}([-_]?\d\d){0,2}")
"""A date in a file's name: a later export of the same data has another one."""

LOOKED_BY = ("recipe", "name", "horizon", "gap")
"""Fields of a protocol without which a difference is another one."""


def looked_model(
    config: Mapping[str, Any], label: str, settings: Mapping[str, Any], reference: str
) -> list[Any]:
    """Return what makes a model the same one at another look: its settings and its features.

    Args:
        config: The config of its run.
        label: Its label there.
        settings: Its settings.
        reference: The label of the reference, which has none.
    """
    return [label] if label == reference else [label, dict(settings), config.get("features")]


def look_number(
    config: Mapping[str, Any], metric: str, models: Sequence[list[Any]], seen: Sequence[float]
) -> int:
    """Return the number of a look at two models, from 1, and keep it in `outputs/looks/`.

    The data are the same where the settings of the dataset are, dates in a file's name apart. The
    same values seen again are the look that they were.

    Args:
        config: The config of a run of both.
        metric: The full name of the metric.
        models: What makes each the same one; see `looked_model`.
        seen: The difference and the numbers of units and periods.

    Raises:
        HwdsError: The folder cannot be written, or the file is damaged.
    """
    data = {key: value for key, value in config["dataset"].items() if key != "sha256"}
    data["path"] = DATE.sub("", str(data.get("path")))
    protocol = {key: config["protocol"].get(key) for key in LOOKED_BY}
    ordered = sorted(models, key=digest)
    question = {"dataset": data, "protocol": protocol, "metric": metric, "models": ordered}
    value, *counts = seen
    look = [f"{value if ordered[0] == models[0] else -value:.5g}", *counts]
    path = OUTPUTS / "looks" / f"{digest(question)}.json"
    with lock_for_making(path):
        looks = read_json_mapping(path)["looks"] if path.is_file() else []
        if look not in looks:
            looks.append(look)
            write_json(path, question | {"looks": looks})
    return int(looks.index(look)) + 1


def look_note(number: int, low: float | None = None, high: float | None = None) -> str:
    """Return what stands beside an interval that holds at all looks.

    Args:
        number: The number of this look.
        low: The lower end of the interval of one look as a share, where it is said.
        high: Its upper end.
    """
    once = "" if low is None or high is None else f" (of one look {low:.1%} to {high:.1%})"
    return f"Look {number} at these models and data: the interval holds at all looks{once}."
