"""The difference of two runs, and the tables of a run for other programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl
from polars import DataFrame

from hwds.core.checksums import table_without_secrets, write_parquet
from hwds.core.errors import HwdsError
from hwds.core.extras import require_installed
from hwds.core.files import write_atomically
from hwds.core.settings import OUTSIDE_NUMBERS
from hwds.results.files import Totals, disarm_formulas, totals_of, write_csv
from hwds.results.folder import TABLES, RunFolder
from hwds.results.index import FieldValue, exact_number, flatten_config
from hwds.results.tables import short

# The difference of two runs: settings, data, code, versions, machine and scores.

DIFFERENCE_GROUPS = ("settings", "data", "code", "versions", "machine")
"""The groups of facts that are compared beside the scores."""

OWN_MODEL = "the own model"
"""The common label of the runs' models, where these are two."""

NO_NUMBERS = {*OUTSIDE_NUMBERS, "report"} - {"experiment", "sweep", "uncapped", "inputs"}
"""Groups of settings that no score depends on and that do not say what was asked."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: its group (of `DIFFERENCE_GROUPS`), its name, and the value in each run; None
    where it has none.
    """

    group: str
    name: str
    first: FieldValue
    second: FieldValue


@dataclass(frozen=True, slots=True)
class ScoreChange:
    """A total of a model that differs.

    Attributes:
        model, metric: The model (`OWN_MODEL` where the runs have different ones) and the metric;
            `better` says which way is good (`low`, `high`, `none`).
        first, second: The scores; None where a run has none.
        first_stderr, second_stderr: Their standard errors.
    """

    model: str
    metric: str
    better: str
    first: float | None
    second: float | None
    first_stderr: float | None
    second_stderr: float | None

    @property
    def change(self) -> float | None:
        """The second less the first."""
        return None if self.first is None or self.second is None else self.second - self.first


@dataclass(frozen=True, slots=True)
class RunDifference:
    """The difference of a second run from a first.

    Attributes:
        first, second: Their titles.
        changes: All but scores, in the order of `DIFFERENCE_GROUPS`.
        scores: Totals that differ, the headline's first.
        same_scores: The number of totals that are equal to the last bit.
        headline: The full name of the metric that orders the models.
        unfinished: The titles of runs without scores.
    """

    first: str
    second: str
    changes: tuple[Change, ...]
    scores: tuple[ScoreChange, ...]
    same_scores: int
    headline: str
    unfinished: tuple[str, ...]

    def of(self, *groups: str) -> tuple[Change, ...]:
        """Return the changes of some groups."""
        return tuple(each for each in self.changes if each.group in groups)

    @property
    def comparable(self) -> bool:
        """True where the scores can be compared: the same data under the same protocol."""
        different = [
            each
            for each in self.of("settings")
            if each.name.partition(".")[0] in ("dataset", "protocol")
        ]
        return not different and not self.of("data")

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        scores = [asdict(each) | {"change": each.change} for each in self.scores]
        plain = {
            "first": self.first,
            "second": self.second,
            "changes": [asdict(each) for each in self.changes],
        }
        rest = {
            "same_scores": self.same_scores,
            "headline": self.headline,
            "unfinished": list(self.unfinished),
        }
        return plain | {"scores": scores, "comparable": self.comparable} | rest


def run_difference(first: RunFolder, second: RunFolder) -> RunDifference:
    """Return the difference of two runs.

    Raises:
        HwdsError: A folder is damaged.
    """
    folders = (first, second)
    configs = [folder.read_config() for folder in folders]
    origins = [_origin(folder) for folder in folders]
    changes = list(
        _options(
            _changes("settings", *(dict(flatten_config(_settings(config))) for config in configs))
        )
    )
    for group in DIFFERENCE_GROUPS[1:]:
        changes += _changes(group, *(_facts(group, origin) for origin in origins))
    finished = [folder.path for folder in folders if folder.finished]
    totals = totals_of(finished)
    damaged = next(
        (f"{path}: is damaged: {each.error}." for path, each in totals.items() if each.error), ""
    )
    if damaged:
        raise HwdsError(damaged)
    both = [totals.get(folder.path, Totals()) for folder in folders]
    headline = str(configs[0]["protocol"].get("headline", ""))
    scores, same = _scores(
        *_align_models(both, [str(config["model"]["name"]) for config in configs]), headline
    )
    unfinished = tuple(folder.title for folder in folders if folder.path not in finished)
    full = next((each.metric for each in scores if _is_headline(each.metric, headline)), headline)
    return RunDifference(first.title, second.title, tuple(changes), scores, same, full, unfinished)


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key != "experiment"}


def _origin(folder: RunFolder) -> dict[str, Any]:
    return folder.read_provenance() if (folder.path / "provenance.json").is_file() else {}


def _facts(group: str, origin: Mapping[str, Any]) -> dict[str, FieldValue]:
    """Return the facts of a group from the provenance."""
    git = origin.get("git") or {}
    if group == "data":
        return {
            "fingerprint": origin.get("data"),
            **{f"joined {key}": detail for key, detail in origin.get("joined", {}).items()},
        }
    if group == "code":
        changed = str(bool(git["changed"])).lower() if "changed" in git else None
        return {
            "fingerprint": origin.get("code"),
            "commit": git.get("commit"),
            "uncommitted changes": changed,
        }
    if group == "versions":
        return dict(flatten_config(origin.get("versions", {})))
    return {
        **dict(flatten_config(origin.get("machine", {}))),
        "threads a cell": origin.get("threads"),
        "device": origin.get("device"),
    }


def _changes(
    group: str, first: Mapping[str, FieldValue], second: Mapping[str, FieldValue]
) -> Iterator[Change]:
    for name in dict.fromkeys((*first, *second)):
        if first.get(name) != second.get(name):
            yield Change(group, name, first.get(name), second.get(name))


def _options(changes: Iterator[Change]) -> Iterator[Change]:
    """Yield the changes; of an option that was swapped for another only its name and the settings
    that both have.
    """
    listed = list(changes)
    swapped = {each.name for each in listed if "." not in each.name}
    for each in listed:
        group, _, rest = each.name.partition(".")
        one_sided = each.first is None or each.second is None or rest == "recipe"
        if not (rest and group in swapped and one_sided):
            yield each


def _align_models(both: Sequence[Totals], labels: Sequence[str]) -> tuple[Totals, Totals]:
    """Return the totals with the models of both runs under one label, where these are two."""
    if labels[0] == labels[1]:
        return both[0], both[1]
    shared = {model for model in labels if all(model in totals.scores for totals in both)}
    aligned = []
    for totals, model in zip(both, labels, strict=True):
        others = {
            name: scores
            for name, scores in totals.scores.items()
            if name != model or name in shared
        }
        aligned.append(replace(totals, scores={OWN_MODEL: totals.scores.get(model, {}), **others}))
    return aligned[0], aligned[1]


def _scores(first: Totals, second: Totals, headline: str) -> tuple[tuple[ScoreChange, ...], int]:
    """Return the totals that differ, the headline's first, and the number of equal ones."""
    changes, same = [], 0
    for model in dict.fromkeys((*first.scores, *second.scores)):
        ours, theirs = first.scores.get(model, {}), second.scores.get(model, {})
        for metric in dict.fromkeys((*ours, *theirs)):
            one, two = (scores.get(metric, (None, None)) for scores in (ours, theirs))
            if one == two:
                same += 1
                continue
            better = first.better.get(metric) or second.better.get(metric) or "none"
            pairs = zip(one, two, strict=True)  # of the scores, and of their errors
            changes.append(ScoreChange(model, metric, better, *chain(*pairs)))
    return tuple(sorted(changes, key=lambda each: not _is_headline(each.metric, headline))), same


def _is_headline(metric: str, headline: str) -> bool:
    return headline in (metric, short(metric))


def setting_text(value: FieldValue) -> str:
    """Return a value as in the config; empty for None."""
    if value is None:
        return ""
    return exact_number(value) if isinstance(value, float) else value or '""'


# Export: the tables of a run for other programs, as CSV, Parquet or one workbook, in which no
# text becomes a formula.

MOST_ROWS = 1_048_575
"""Rows of a sheet below its header."""

LONGEST_CELL = 32_767
"""Letters of a cell."""


def export_tables(folder: RunFolder) -> dict[str, DataFrame]:
    """Return the tables of a finished run by name.

    Its settings and its provenance as two columns each.

    Raises:
        HwdsError: The run is not finished.
    """
    tables = folder.read_tables()
    exports = {name: getattr(tables, name) for name in TABLES}
    exports["settings"] = _two_columns(folder.read_config())
    exports["provenance"] = _two_columns(folder.read_provenance())
    return {name: table for name, table in exports.items() if table.width}


def _two_columns(data: Mapping[str, Any]) -> DataFrame:
    rows = [
        (name, exact_number(value) if isinstance(value, float) else value)
        for name, value in flatten_config(data)
    ]
    return DataFrame(rows, schema={"name": pl.String, "value": pl.String}, orient="row")


def write_export(tables: Mapping[str, DataFrame], kind: str, place: Path) -> list[Path]:
    """Write the tables: a file each into the folder `place`, or all into the workbook `place`.

    Raises:
        HwdsError: The folder cannot be written, a table has more rows than a sheet, or XlsxWriter
            is not installed.
    """
    if kind == "xlsx":
        shown = {
            name: disarm_formulas(table_without_secrets(table), quoted=False)
            for name, table in tables.items()
        }
        return [_workbook(shown, place)]
    paths = []
    for name, table in tables.items():
        path = place / f"{name}.{kind}"
        if kind == "csv":
            write_csv(path, table)
        else:
            write_parquet(path, table)
        paths.append(path)
    return paths


def _workbook(tables: Mapping[str, DataFrame], path: Path) -> Path:
    require_installed({"export: --to xlsx": ("xlsxwriter",)})
    import xlsxwriter

    long = next((name for name, table in tables.items() if len(table) > MOST_ROWS), None)
    if long:
        raise HwdsError(
            f"export: {long} has {len(tables[long]):,} rows, a sheet {MOST_ROWS:,}; --to parquet "
            f"has no such bound."
        )

    def write(part: Path) -> None:
        options = {
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
            "nan_inf_to_errors": True,
        }
        with xlsxwriter.Workbook(part, options) as workbook:
            workbook.set_properties(
                {"created": datetime(2000, 1, 1)}
            )  # the same tables give the same bytes
            for name, table in tables.items():
                cut = table.with_columns(pl.col(pl.String).str.slice(0, LONGEST_CELL))
                cut.write_excel(
                    workbook,
                    worksheet=name,
                    autofit=len(cut) < 10_000,
                    freeze_panes=(1, 0),
                    float_precision=6,
                )

    write_atomically(path, write)
    return path
