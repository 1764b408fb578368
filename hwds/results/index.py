"""The index of all runs and sweeps: their fields, their progress, and queries of them."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import cached_property
from operator import ge, gt, le, lt
from pathlib import Path
from typing import Any, Self

import polars as pl
from polars import DataFrame, col

from hwds.core.checksums import read_json, read_parquet, write_json, write_parquet
from hwds.core.errors import ConfigError, HwdsError, nearest
from hwds.core.files import OUTPUTS, digest_bytes, in_use
from hwds.core.moved import current_paths
from hwds.core.settings import flatten
from hwds.results import files as run_files
from hwds.results.files import DAMAGE, Totals, moment_of, totals_of
from hwds.results.folder import CONFIG, read_config
from hwds.results.formatting import brief, counted, duration
from hwds.results.records import LABELS_FILE as LABELS
from hwds.results.records import Labels
from hwds.results.tables import short

# The fields of a run or a sweep: flat names and plain values to list, filter and sort by.

FieldValue = str | float | None
RunFields = dict[str, FieldValue]

FIELD_FILES = (CONFIG, "scores.parquet", "metrics.parquet", "provenance.json", "sweep.json", LABELS)
"""The files that fields are read from."""


def fields_of(
    kind: str, folder: Path, totals: Totals | None = None
) -> tuple[RunFields, dict[str, str]]:
    """Return the fields of a folder, and for each metric among them whether `low` or `high` is
    good.

    Args:
        kind: `run` or `sweep`.
        folder: The folder `<experiment>/<id>`. A damaged one has the status `broken` and a
            `reason`.
        totals: The totals of a finished run.
    """
    fields: RunFields = {
        "kind": kind,
        "run": f"{folder.parent.name}/{folder.name}",
        "experiment": folder.parent.name,
    }
    fields |= _moment(folder, {})
    better: dict[str, str] = {}
    try:
        fields |= (
            _run_fields(folder, totals, better) if kind == "run" else _sweep_fields(folder, better)
        )
        labels = Labels.read(folder)
        fields |= {"tags": " ".join(labels.tags), "note": labels.note} | (
            {"name": labels.name} if labels.name else {}
        )
    except DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        fields |= {
            "status": "broken",
            "reason": reason if len(reason) < 120 else f"{reason[:117]}...",
        }
    return fields, better


def _moment(folder: Path, recorded: Mapping[str, Any]) -> RunFields:
    """Return when it last ran."""
    last = moment_of(folder, recorded)
    return {"modified": last, "when": datetime.fromtimestamp(last, UTC).strftime("%Y-%m-%d %H:%M")}


def _run_fields(folder: Path, totals: Totals | None, better: dict[str, str]) -> RunFields:
    config = read_config(folder / CONFIG)
    fields: RunFields = dict(
        flatten_config(
            {
                key: value
                for key, value in config.items()
                if key not in ("experiment", "tags", "note")
            }
        )
    )
    origin = folder / "provenance.json"
    if origin.is_file():
        recorded = read_json(origin)
        fields |= _origin_fields(recorded) | _moment(folder, recorded)
    fields["status"] = "unfinished" if totals is None else "finished"
    if totals is not None:
        if totals.error:
            raise ValueError(totals.error)
        fields |= _score_fields(
            totals,
            str(config["model"]["name"]),
            str(config["protocol"].get("headline", "")),
            better,
        )
        if fields["failed"] and fields.get("score") is None:
            fields["status"] = "failed"
    return fields


def _origin_fields(origin: Mapping[str, Any]) -> RunFields:
    git = origin.get("git") or {}
    joined = "; ".join(map(str, origin.get("joined", {}).values())) or None
    fields: RunFields = {
        name: str(origin[name]) for name in ("data", "code", "device") if name in origin
    }
    return fields | {"commit": git.get("commit"), "joined": joined}


def _score_fields(totals: Totals, model: str, headline: str, better: dict[str, str]) -> RunFields:
    """Return the totals of the run's model, each metric by its full and short name.

    The headline as `metric` and `score`.
    """
    fields: RunFields = {"failed": totals.failed.get(model, 0)}
    for metric, (value, error) in totals.scores.get(model, {}).items():
        side = totals.better.get(metric, "low")
        for name in dict.fromkeys((metric, short(metric))):
            if name not in fields:
                fields[name], better[name] = value, side
        if headline in (metric, short(metric)) and "score" not in fields:
            fields |= {"metric": metric, "score": value, "stderr": error}
            better["score"] = side
    return fields


def _sweep_fields(folder: Path, better: dict[str, str]) -> RunFields:
    sweep = current_paths(read_json(folder / "sweep.json"))
    fields: RunFields = dict(flatten_config({"sweep": sweep["sweep"], **sweep["config"]}))
    best = sweep.get("best") or {}
    better["score"] = sweep["better"]
    fields |= {
        "status": "finished" if best else "unfinished",
        "metric": sweep["metric"],
        "score": best.get("final"),
    }
    fields |= _moment(folder, sweep)
    fields |= {"inner": best.get("inner"), "trials": sweep.get("trials")}
    return fields | {"final_run": sweep.get("run"), "own_run": sweep.get("own_run") or None}


def flatten_config(settings: Mapping[str, Any]) -> Iterator[tuple[str, FieldValue]]:
    """Yield a config as dotted paths and plain values.

    The name of an option stands under its group (`model`).

    Lists become one text; a list of options becomes the options' names.
    """
    for path, value in flatten(settings):
        if not isinstance(value, Mapping):  # an empty one
            yield path.removesuffix(".name"), _plain_value(value)


def _plain_value(value: Any) -> FieldValue:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return float(value)
    return ", ".join(_item(item) for item in value)


def _item(item: Any) -> str:
    if isinstance(item, Mapping):
        return (
            str(item["name"])
            if "name" in item
            else json.dumps(item, ensure_ascii=False, default=str)
        )
    return exact_number(item) if isinstance(item, float) else str(item)


def exact_number(value: float) -> str:
    """Return a number with all its digits, integers without a point, so that a setting is read back
    exactly.
    """
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


# The index of the fields of all runs and sweeps. It is a cache: folders that have changed are
# read again.

INDEX_COLUMNS = {
    "path": pl.String,
    "name": pl.String,
    "number": pl.Float64,
    "text": pl.String,
    "better": pl.String,
}
"""One row a field of a folder, a number or a text; the row without a name has the folder's
signature in `text`.
"""

KIND_FOLDERS = {"run": "runs", "sweep": "sweeps"}
"""Each kind of folder and its parent."""

SETTLED = 2.0
"""Seconds without a change after which a file counts as settled; until then it is read again each
time: within one tick of the file system's clock a second change would leave the same signature.
"""


@dataclass(frozen=True, eq=False)
class RunIndex:
    """The fields of all runs and sweeps below a folder.

    Attributes:
        table: See `INDEX_COLUMNS`.
        root: The outputs folder.
        read: The number of folders that were read now; the others were indexed.
    """

    table: DataFrame
    root: Path
    read: int

    @classmethod
    def of(cls, root: Path | None = None) -> Self:
        """Return the up-to-date index of an outputs folder.

        By default that of the current folder.
        """
        root = (root or OUTPUTS).resolve()
        file = root / "cache" / f"runs-{_version()}.parquet"
        seen = dict(_signatures(root))
        stored = _load(file)
        signed = stored.filter(name="").select("path", "text")
        same = [path for path, old in signed.iter_rows() if seen.get(path) == old]
        unchanged = stored if len(same) == len(signed) else stored.filter(col("path").is_in(same))
        missing = sorted(set(seen) - set(same))
        if not missing and unchanged is stored:
            return cls(stored, root, 0)
        began = time.time()
        new = _index_rows(root, {path: seen[path] for path in missing})
        lasting = [path for path in missing if _last_change(seen[path]) < began - SETTLED]
        if lasting or unchanged is not stored:
            _save(file, pl.concat([unchanged, new.filter(col("path").is_in(lasting))]))
        return cls(pl.concat([unchanged, new]), root, len(missing))

    @cached_property
    def signatures(self) -> dict[str, str]:
        """The signature of each folder when it was read."""
        return dict(self.table.filter(name="").select("path", "text").iter_rows())

    @cached_property
    def paths(self) -> list[str]:
        """The folders, relative to the root: `runs/<experiment>/<id>`."""
        return sorted(self.signatures)

    @cached_property
    def names(self) -> list[str]:
        """The names of all fields."""
        return self.table["name"].unique().sort().to_list()[1:] if len(self.table) else []

    def column(self, name: str) -> dict[str, FieldValue]:
        """Return one field of each folder that has it."""
        if name not in self._columns:
            rows = self._by_name.get((name,), self.table.clear()).select("path", "number", "text")
            self._columns[name] = {
                path: text if number is None else number for path, number, text in rows.iter_rows()
            }
        return self._columns[name]

    @cached_property
    def _columns(self) -> dict[str, dict[str, FieldValue]]:
        """The fields that were asked for."""
        return {}

    @cached_property
    def _by_name(self) -> dict[tuple[object, ...], DataFrame]:
        """The rows of each field: cut once, where many fields are asked for."""
        return self.table.partition_by("name", as_dict=True)

    def signature(self, path: str) -> str:
        """Return the signature of a folder when it was read.

        Empty where the index does not know it.
        """
        return self.signatures.get(path, "")

    def better(self, name: str) -> str:
        """Return which way is good (`low`, `high`, `none`); empty where a field is not a metric."""
        return self._better.get(name, "")

    @cached_property
    def _better(self) -> dict[str, str]:
        metrics = self.table.filter(col("better").is_not_null())
        return dict(metrics.group_by("name").agg(col("better").first()).iter_rows())

    def fields(self, paths: Iterable[str]) -> dict[str, RunFields]:
        """Return all fields of some folders, in their order."""
        fields: dict[str, RunFields] = {path: {} for path in paths}
        rows = self.table.filter(col("path").is_in(list(fields)) & (col("name") != ""))
        for path, name, number, text in rows.select("path", "name", "number", "text").iter_rows():
            fields[path][name] = text if number is None else number
        return fields


def _version() -> str:
    """Return the digest of the modules that determine the content of an index."""
    modules = (__file__, run_files.__file__)
    return digest_bytes(Path(str(file)).read_bytes() for file in modules)[:8]


def _signatures(root: Path) -> Iterator[tuple[str, str]]:
    """Yield every folder with its signature."""
    marks = {"run": "config.yaml", "sweep": "sweep.json"}
    for kind, below in KIND_FOLDERS.items():
        for experiment in _folders(root / below):
            for place in _folders(experiment.path):
                signed = folder_signature(place.path)
                if f"{marks[kind]}:" in signed:
                    yield f"{below}/{experiment.name}/{place.name}", signed


def _folders(path: Path | str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return [entry for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    except OSError:  # not there, or gone meanwhile
        return []


def folder_signature(path: Path | str) -> str:
    """Return change time (which cannot be set), size and inode of each file that fields are read
    from.
    """
    parts = []
    for name in FIELD_FILES:
        try:
            about = os.stat(f"{path}/{name}")
        except OSError:
            continue
        parts.append(f"{name}:{about.st_ctime_ns}:{about.st_size}:{about.st_ino}")
    return "|".join(parts)


def _last_change(signed: str) -> float:
    return max(int(part.split(":")[1]) for part in signed.split("|")) / 1e9


def _index_rows(root: Path, signatures: dict[str, str]) -> DataFrame:
    """Return the rows of folders that are read now."""
    columns: dict[str, list[Any]] = {name: [] for name in INDEX_COLUMNS}
    kinds = {below: kind for kind, below in KIND_FOLDERS.items()}
    scored = totals_of(
        [root / path for path, signed in signatures.items() if "scores.parquet:" in signed]
    )
    for path, signed in signatures.items():
        kind = kinds[path.partition("/")[0]]
        fields, better = fields_of(kind, root / path, scored.get(root / path))
        values = {"": signed} | {name: value for name, value in fields.items() if value is not None}
        columns["path"] += [path] * len(values)
        columns["name"] += values
        columns["number"] += [
            None if isinstance(value, str) else float(value) for value in values.values()
        ]
        columns["text"] += [value if isinstance(value, str) else None for value in values.values()]
        columns["better"] += [better.get(name) for name in values]
    return DataFrame(columns, schema=INDEX_COLUMNS)


def _load(file: Path) -> DataFrame:
    """Return the saved index; an empty one where there is no file or it is damaged."""
    try:
        table = read_parquet(file)
        return table if dict(table.schema) == INDEX_COLUMNS else DataFrame(schema=INDEX_COLUMNS)
    except (OSError, ValueError, pl.exceptions.PolarsError):
        return DataFrame(schema=INDEX_COLUMNS)


def _save(file: Path, table: DataFrame) -> None:
    """Save the index where that is possible; else all folders are read again each time."""
    try:
        write_parquet(file, table, compression="zstd")
    except HwdsError:
        return
    for other in file.parent.glob("runs-*.parquet"):
        if other != file:
            other.unlink(missing_ok=True)


# The progress of a run or a sweep: a small file in its folder while it is computed; not part of
# its results.

PROGRESS_FILE = "progress.json"


@dataclass(frozen=True, slots=True)
class RunProgress:
    """The last recorded progress of a run or a sweep.

    Attributes:
        done: Finished cells, cached ones included.
        total: All cells.
        failed: Failed cells.
        began: The start of this process's work, in seconds since 1970.
        seconds: The elapsed time.
        left: The estimated seconds left; None where there is no estimate.
        score: The last score of a run, the trials that ended and the best score of a sweep, in
            words.
        value: The last score of a run, the best so far of a sweep; None where there is none.
        memory: GiB that the process and those it has started hold; None where that cannot be read.
        losses: The last losses of the fit that reported last, see
            `hwds.results.records.LOSS_COLUMNS`.
    """

    done: int
    total: int
    failed: int
    began: float
    seconds: float
    left: float | None = None
    score: str = ""
    value: float | None = None
    memory: float | None = None
    losses: dict[str, Any] = field(default_factory=dict)

    @property
    def learning(self) -> str:
        """`network 1, epoch 12: loss .312, validation .402`; empty where no fit has reported."""
        if not self.losses:
            return ""
        named = {"loss": self.losses["train"], "validation": self.losses["validation"]}
        shown = ", ".join(
            f"{name} {brief(value)}" for name, value in named.items() if value is not None
        )
        return f"{self.losses['fit']}, {self.losses['axis']} {self.losses['step']:,}: {shown}"

    def numbers(self) -> dict[str, FieldValue]:
        """Return what is known, by name: the losses as `train` and `validation`, their fit in words
        as `learning`.
        """
        facts = {name: value for name, value in asdict(self).items() if name != "losses"}
        losses = {name: self.losses.get(name) for name in ("train", "validation", "step")}
        every = facts | losses | {"learning": self.learning}
        return {name: value for name, value in every.items() if value not in (None, "")}

    def write(self, folder: Path) -> None:
        """Write it into a folder.

        Raises:
            HwdsError: The folder cannot be written.
        """
        write_json(folder / PROGRESS_FILE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> RunProgress | None:
        """Return the progress of a folder; None where there is no file, or it cannot be read."""
        try:
            return cls(**read_json(folder / PROGRESS_FILE))
        except (*DAMAGE, TypeError):
            return None

    def sentence(self, *, running: bool) -> str:
        """Return `12 of 36 cells after 3.3 min, about 6.1 min left`, or `stopped at 12 of 36 cells
        after 3.3 min`.
        """
        seconds = max(time.time() - self.began, self.seconds) if running else self.seconds
        left = (self.left or 0.0) - (seconds - self.seconds)
        parts = [
            f"{'' if running else 'stopped at '}{self.done:,} of {counted(self.total, 'cells')}"
        ]
        parts += [f", {self.failed:,} failed"] if self.failed else []
        parts += [f" after {duration(seconds)}"]
        parts += [f", about {duration(left)} left"] if running and left > 0 else []
        return "".join([*parts, f"; {self.score}"] if self.score else parts)


def delete_progress(folder: Path) -> None:
    """Delete the file of a run that has ended."""
    (folder / PROGRESS_FILE).unlink(missing_ok=True)


def current_fields(index: RunIndex, paths: Iterable[str]) -> dict[str, RunFields]:
    """Return the current fields of folders: an unfinished one that a process has locked is
    `running`.

    Recorded progress is added as `progress`, in words, and its numbers as `progress.done`,
    `progress.total` ...
    """
    fields = index.fields(paths)
    for path in fields:
        if fields[path].get("status") == "unfinished":
            fields[path] |= _current_progress(index.root / path)
    return fields


def statuses(index: RunIndex) -> dict[str, FieldValue]:
    """Return the current status of every folder."""
    status_of = index.column("status")
    unfinished = [path for path, status in status_of.items() if status == "unfinished"]
    return status_of | {path: "running" for path in unfinished if in_use(index.root / path)}


def _current_progress(folder: Path) -> RunFields:
    running = in_use(folder)
    fields: RunFields = {"status": "running"} if running else {}
    progress = RunProgress.read(folder)
    if progress is None:
        return fields
    numbers = {f"progress.{name}": value for name, value in progress.numbers().items()}
    return fields | numbers | {"progress": progress.sentence(running=running)}


# Queries of runs: conditions such as `model=forecast/*`, `mase<0.9` or `age<7d`, and an order.

OPERATORS = ("!=", ">=", "<=", "=", ">", "<", "~")
"""Not, bounds, equal (any of several, with `*`), and containing."""

_BOUNDS = {">=": ge, "<=": le, ">": gt, "<": lt}
_SPANS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}

ALIASES = {"tag": "tags", "id": "run"}
"""Other names of fields."""

DERIVED = ("age", "id")
"""Fields that are derived from others."""


@dataclass(frozen=True, slots=True)
class RunCondition:
    """One condition of a query: a field, an operator of `OPERATORS`, and the value to compare
    with.
    """

    name: str
    operator: str
    wanted: str

    def holds(self, value: FieldValue) -> bool:
        """Return whether a field meets it; a missing one meets only `!=`."""
        if self.operator == "!=":
            return not _equals_any(self.name, value, self.wanted)
        if value is None:
            return False
        if self.operator == "=":
            return _equals_any(self.name, value, self.wanted)
        if self.operator == "~":
            return self.wanted.lower() in str(value).lower()
        if isinstance(value, str):
            return bool(_BOUNDS[self.operator](value, self.wanted))
        return bool(_BOUNDS[self.operator](value, _condition_number(self)))


def _condition_number(condition: RunCondition) -> float:
    text = condition.wanted
    try:
        return parse_span(text) if condition.name == "age" else float(text)
    except ValueError as error:
        raise ConfigError(
            f"{condition.name}: must be compared with a number, got '{text}'."
        ) from error


def _equals_any(name: str, value: FieldValue, wanted: str) -> bool:
    """Return whether a field equals any of several values.

    Of tags any one counts, of ids the beginning.
    """
    if value is None:
        return wanted == ""
    if isinstance(value, float):
        return any(_equals_text(value, text) for text in wanted.split(","))
    options = (
        value.split()
        if name == "tags"
        else [value, value.rpartition("/")[2]]
        if name == "run"
        else [value]
    )
    return any(
        fnmatchcase(each, f"{text}*" if name == "run" else text)
        for text in wanted.split(",")
        for each in options
    )


def _equals_text(value: float, text: str) -> bool:
    try:
        return value == float(text)
    except ValueError:
        return False


def parse_span(text: str) -> float:
    """Return the seconds of `30min`, `12h`, `7d` or `4w`.

    Raises:
        ValueError: It is none of these.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(min|[shdw])", text)
    if not match:
        raise ValueError(text)
    return float(match[1]) * _SPANS[match[2]]


def parse_condition(index: RunIndex, word: str) -> RunCondition | None:
    """The condition that a word is, by the longest known name in front of an operator.

    None for a bare word.

    Raises:
        ConfigError: There is no such field.
    """
    if not any(operator in word for operator in OPERATORS):
        return None
    names = sorted({*index.names, *ALIASES, *DERIVED}, key=len, reverse=True)
    for name in names:
        rest = word.removeprefix(name)
        operator = next((each for each in OPERATORS if rest.startswith(each)), None)
        if rest != word and operator:
            return RunCondition(ALIASES.get(name, name), operator, rest[len(operator) :].strip())
    name = re.split("|".join(map(re.escape, OPERATORS)), word)[0]
    raise ConfigError(f"runs: no field or metric '{name}'{nearest(name, names)}")


def index_column(index: RunIndex, name: str) -> dict[str, FieldValue]:
    """Return a field of each folder; `age` in seconds, `status` as of now.

    Raises:
        ConfigError: There is no such field.
    """
    if name == "age":
        now = time.time()
        return {path: now - float(value or 0) for path, value in index.column("modified").items()}
    if name == "status":
        return statuses(index)
    name = ALIASES.get(name, name)
    if name not in index.names:
        raise ConfigError(
            f"runs: no field or metric '{name}'{nearest(name, {*index.names, *ALIASES, *DERIVED})}"
        )
    return index.column(name)


def matching_folders(index: RunIndex, words: Sequence[str], kind: str = "run") -> list[str]:
    """Return the folders of a kind that meet all conditions, in the order of their names.

    Args:
        index: The index of all folders.
        words: Conditions; a bare word is an experiment, a run, or the beginning of one.
        kind: `run` or `sweep`.

    Raises:
        ConfigError: A word names no field, no experiment and no run.
    """
    kinds, titles = index.column("kind"), index.column("run")
    paths = [path for path in index.paths if kinds.get(path) == kind]
    for word in words:
        condition = parse_condition(index, word)
        if condition is None:
            paths = _folders_named(paths, titles, word)
        else:
            values = index_column(index, condition.name)
            paths = [path for path in paths if condition.holds(values.get(path))]
    return paths


def _folders_named(paths: Iterable[str], titles: dict[str, FieldValue], word: str) -> list[str]:
    """Return the folders that a bare word refers to: of an experiment, or of an id that begins
    so.
    """
    title_of = {path: str(titles[path]) for path in paths}
    matches = [path for path, title in title_of.items() if _title_begins(title, word)]
    if not matches and not any(_title_begins(str(title), word) for title in titles.values()):
        names = {
            part
            for title in titles.values()
            for part in (str(title).partition("/")[0], str(title).rpartition("/")[2])
        }
        raise ConfigError(f"no experiment or run '{word}'{nearest(word, names)}")
    return matches


def _title_begins(title: str, word: str) -> bool:
    experiment, _, run = title.partition("/")
    return (
        fnmatchcase(experiment, word)
        or run.startswith(word)
        or ("/" in word and title.startswith(word))
    )


def order_folders(index: RunIndex, paths: Iterable[str], by: str) -> list[str]:
    """Return folders sorted by a field: metrics best first, others ascending.

    `-` in front reverses. Missing values are last.

    Raises:
        ConfigError: There is no such field.
    """
    turned, name = by.startswith("-"), by.removeprefix("-")
    values = index_column(index, name)
    down = turned != (index.better(ALIASES.get(name, name)) == "high")
    there = [path for path in paths if values.get(path) is not None]
    text = any(isinstance(values[path], str) for path in there)
    there.sort(
        key=lambda path: str(values[path]) if text else float(values[path] or 0), reverse=down
    )
    return [*there, *(path for path in paths if values.get(path) is None)]
