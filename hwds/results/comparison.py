"""The results of a comparison of models and of a study, as plain values and tables in a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import polars as pl
from polars import DataFrame

from hwds.core.checksums import Damaged, write_json, write_parquet
from hwds.core.errors import ambiguous
from hwds.core.files import OUTPUTS, digest_file
from hwds.core.secrets import without_secrets
from hwds.results.files import (
    holds_file,
    read_csv,
    read_json_mapping,
    read_table,
    refuse_damage,
    write_csv,
)
from hwds.results.folder import RunFolder
from hwds.results.sweep_folder import SweepFolder, ambiguous_kinds
from hwds.results.tables import Column, Declared, Measure

# The result of a comparison of models, as plain values and tables.

Chosen = Literal["asked", "own", "best"]

LEADERBOARD = Declared.of(
    Column("model", "text", title="model", brief="model"),
    Column("mean", "number"),
    Column("stderr", "number"),
    Column("median", "number", title="median"),
    Column(
        "rank",
        "number",
        title="mean rank over {{ ranks.called if ranks else units }}",
        brief="rank",
        show="{{ rank | written('.2f') }}",
    ),
    Column(
        "win_rate",
        "share",
        title="wins against the others, % of {{ units }}",
        brief="wins\n%",
        show="{{ win_rate | share(0) }}",
    ),
    Column("skill", "change", title="skill against {{ measure.rival }}, %", brief="skill\n%"),
    Column("set_p", "p_value", title="model confidence set, p"),
    Column("n", "count", title="{{ units }}", brief="{{ units }}"),
    Column("n_undefined", "count", title="undefined", brief="{{ 'undefined' if n_undefined }}"),
    Column("n_failed", "count", title="failed", brief="{{ 'failed' if n_failed }}"),
    Column("n_fallback", "count", title="fallback", brief="{{ 'fallback' if n_fallback }}"),
    Column("seconds", "number", title="compute", brief="compute", show="{{ seconds | duration }}"),
    Column("score", "made", title="{{ metric }}, mean ± s.e.", brief="{{ measure.heading }} ±"),
    Column(
        "best",
        "made",
        title="may be the best",
        brief="may be\nbest",
        show="{% if set_p is not none %}{{ (set_p > 1 - level) | flag }}{% endif %}",
    ),
)
"""The leaderboard, one row a model, the best first; see `Comparison`. What is `made` is not stored.
"""

EFFECT_COLUMNS = (
    Column("effect", "number"),
    Column("low", "number"),
    Column("high", "number"),
    Column("p_value", "p_value", title="p, alone"),
    Column("p_holm", "p_value", title="p, Holm", brief="p\nHolm"),
    Column("alike_p", "p_value"),
    Column(
        "alike_holm",
        "p_value",
        title="p of a difference that matters, Holm",
        brief="{{ 'p of one\nthat matters' if one_rival }}",
    ),
)
METHOD = Column("method", "text", title="interval by")
CLUSTERS = Column("clusters", "count", title="of")
VERDICT = Column("verdict", "text", title="verdict", brief="verdict")
SHOWN_EFFECT = (
    Column("value", "made", title="better by", brief="better by"),
    Column("ends", "made", title="{{ percent }} % interval", brief="{{ percent }} % interval"),
)
"""The columns of a difference between two models: effect first, then interval, then p."""

PAIRS = Declared.of(
    Column("model", "text"),
    Column("rival", "text", title="rival", brief="rival"),
    EFFECT_COLUMNS,
    Column(
        "wins",
        "share",
        title="wins, % of {{ units }}",
        brief="wins\n%",
        show="{{ wins | share(0) }}",
    ),
    Column("wins_low", "share"),
    Column("wins_high", "share"),
    Column("wilcoxon_p", "p_value", title="p, Wilcoxon"),
    METHOD,
    CLUSTERS,
    Column("independent", "units", title="worth"),
    VERDICT,
    Column("fixed_low", "number"),
    Column("fixed_high", "number"),
    SHOWN_EFFECT,
    Column("fixed", "made", title="{{ percent }} % interval of one look", brief="of one\nlook"),
)
"""The pairs; see `Comparison`."""


SPECIFICATIONS = Declared.of(
    Column("specification", "text"),
    Column("row", "text"),
    Column("is_fit", "flag"),
    Column("value", "number"),
    Column("stderr", "number"),
    Column("low", "number"),
    Column("high", "number"),
    Column("meaning", "text"),
)
"""Coefficients and fit of each specification, a model on one data, in the order of a reader."""


COMPARISON_FILES = {
    "pairs": "comparison",
    "leaderboard": "leaderboard",
    "along": "along",
    "specifications": "specifications",
}
"""The file of each table."""


@dataclass(frozen=True, slots=True)
class RankTest:
    """Friedman's test and Nemenyi's critical difference.

    Attributes:
        ranks: The mean rank of each model, 1 the best.
        blocks, called: The number of blocks and their name (`series`, `datasets`).
        statistic, p_value: Friedman's.
        f_p_value: The p-value of the F form of Iman and Davenport.
        critical_difference: Mean ranks further apart differ at 5 %, all pairs together.
    """

    ranks: Mapping[str, float]
    blocks: int
    called: str
    statistic: float
    p_value: float
    f_p_value: float
    critical_difference: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """The result of a comparison.

    Attributes:
        measure: The metric.
        metrics: Its full name on each dataset.
        task: The task of the runs.
        subject: The model that sentences are about.
        chosen: The subject was named by the user (`asked`), is the model of all runs (`own`), or
            has the best score (`best`).
        family: The number of tests corrected together: the subject against each rival, or all pairs
            where it is the best.
        relative: Whether effects are shares (0.021 is 2.1 % better) or differences in the metric's
            unit.
        margin: The equivalence margin: smaller effects do not matter; None where none was given.
        level: The confidence level of intervals and verdicts.
        leaderboard: See `LEADERBOARD`: over shared rows; `rank` is the mean over blocks, `win_rate`
            the mean share of units won against each other model, `set_p` above 1 - level is in the
            model confidence set, `n` counts shared units.
        pairs: See `PAIRS`: the subject against each rival, effects above 0 where it is better;
            `p_holm` and `alike_holm` are corrected; `verdict` is `better`, `worse`, `better,
            alike`, `worse, alike`, `alike` or `unsure`; where the interval holds at all looks,
            `fixed_low` and `fixed_high` are that of one look.
        along: Diebold-Mariano tests by series, empty where no series has origins enough.
        ranks: Friedman's test, None with fewer than three models.
        datasets, seeds, units: The datasets and seeds of the comparison, and the name of a unit.
        sources: The titles of the runs.
        notes: Warnings to read before the numbers.
        conditions: The properties that all compared rows share, as the end of a sentence.
        trained: Whether a model's fit depends on the seed; None where an earlier version stored
            neither.
        specifications: See `SPECIFICATIONS`; empty if the task has none.
    """

    measure: Measure
    metrics: Mapping[str, str]
    task: str
    subject: str
    chosen: Chosen
    family: int
    relative: bool
    margin: float | None
    level: float
    leaderboard: DataFrame
    pairs: DataFrame
    along: DataFrame
    ranks: RankTest | None
    datasets: tuple[str, ...]
    seeds: tuple[int, ...]
    units: str
    sources: tuple[str, ...]
    notes: tuple[str, ...]
    conditions: str = ""
    trained: bool | None = None
    specifications: DataFrame = field(default_factory=DataFrame)

    @property
    def ranked(self) -> bool:
        """True if models are compared by a metric, and not only shown next to each other."""
        return len(self.leaderboard) > 0

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        values = {
            name: value for name, value in vars(self).items() if not isinstance(value, DataFrame)
        }
        values |= {
            "measure": asdict(self.measure),
            "ranks": asdict(self.ranks) if self.ranks else None,
        }
        return values | {name: getattr(self, name).to_dicts() for name in COMPARISON_FILES}

    @classmethod
    def read(cls, folder: Path) -> tuple[Self, str]:
        """Return the comparison that `write` wrote, and the command that made it.

        Raises:
            HwdsError: A file is damaged.
        """
        data = read_json_mapping(folder / "comparison.json")
        command, _ = data.pop("command"), data.pop("sentence")
        paths = {name: folder / f"{file}.parquet" for name, file in COMPARISON_FILES.items()}
        tables = {
            name: read_table(path) if path.is_file() else DataFrame()
            for name, path in paths.items()
        }
        lists = {name: tuple(data[name]) for name in ("datasets", "seeds", "sources", "notes")}
        ranks = RankTest(**data["ranks"]) if data["ranks"] else None
        return cls(
            **{**data, **tables, **lists, "ranks": ranks, "measure": Measure(**data["measure"])}
        ), command

    def write(self, folder: Path, sentence: str, command: str) -> None:
        """Write `comparison.parquet` (the pairs), `leaderboard.parquet`, `along.parquet`,
        `specifications.parquet` and `comparison.json`.

        Raises:
            HwdsError: The folder cannot be written.
        """
        for name, file in COMPARISON_FILES.items():
            table: DataFrame = getattr(self, name)
            if len(table) or name in ("pairs", "leaderboard"):
                write_parquet(folder / f"{file}.parquet", table)
        data = {
            name: value for name, value in self.as_dict().items() if name not in COMPARISON_FILES
        }
        write_json(
            folder / "comparison.json",
            json_data({"sentence": sentence, "command": command} | data),
            allow_nan=False,
        )


def comparison_folders() -> dict[str, Path]:
    """Return the folders of all comparisons below the current folder, by their ids."""
    return {
        path.parent.name: path.parent
        for path in sorted((OUTPUTS / "comparisons").glob("*/comparison.json"))
    }


def comparison_folder(name: str) -> Path | None:
    """Return the folder of a comparison by its path, its id or the beginning of it.

    None where there is none.

    Raises:
        ConfigError: Several begin so, or a run or a sweep does, too.
    """
    if holds_file(name, "comparison.json"):
        return Path(name).resolve()
    folders = [path for id, path in comparison_folders().items() if id.startswith(name)]
    if len(folders) > 1:
        raise ambiguous("comparison", name, (path.name for path in folders))
    for kind, others in (
        ("run", RunFolder.starting_with(name)),
        ("sweep", SweepFolder.starting_with(name)),
    ):
        if folders and others and folders[0].name != name:
            raise ambiguous_kinds(name, kind, others, "comparison", folders)
    return folders[0].resolve() if folders else None


def as_json(data: Mapping[str, Any] | Sequence[Any]) -> str:
    """Return plain data as JSON; NaN and infinity become null."""
    return json.dumps(json_data(data), indent=1, allow_nan=False)


def json_data(value: Any) -> Any:
    """Return plain data with texts as keys, null in place of NaN and infinity, and tables as lists
    of rows.
    """
    if isinstance(value, Mapping):
        return {str(key): json_data(item) for key, item in value.items()}
    if isinstance(value, DataFrame):
        return json_data(json.loads(value.write_json()))
    if isinstance(value, list | tuple):
        return [json_data(item) for item in value]
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, float) and value - value != 0:  # NaN and infinity
        return None
    return value


# The result of a study, and the state of its runs with the plan.

STUDY_FILES = "files"
"""The key of a result with the digests of its tables."""

STUDY_CONTRASTS = Declared.of(
    Column("contrast", "text"),
    Column("experiment", "text", title="experiment", brief="experiment"),
    Column("model", "text"),
    Column("rival", "text", title="rival", brief="rival"),
    EFFECT_COLUMNS,
    METHOD,
    CLUSTERS,
    Column("relative", "flag"),
    VERDICT,
    SHOWN_EFFECT,
)
"""Columns of the contrasts: the model against each rival in each experiment; p-values corrected
over all of them together.

`relative` says whether effects are shares of the rival's mean, or amounts in the unit of the
metric; `verdict` is `alike` where the difference is surely within the margin, else `better` or
`worse` where it is sure, else `unsure`.
"""

STUDY_RUNS = {
    "experiment": pl.String,
    "seed": pl.Int64,
    "run": pl.String,
    "model": pl.String,
    **dict.fromkeys(("metric", "aggregate"), pl.String),
    "value": pl.Float64,
    "n": pl.Int64,
    "n_failed": pl.Int64,
    "n_fallback": pl.Int64,
}
"""Columns of the scores: each model's of each run."""


@dataclass(frozen=True, eq=False)
class StudyResult:
    """The result of a study.

    Attributes:
        name: The name of the study.
        plan: All decisions made before the runs.
        plan_hash: Its digest.
        verdict: The answer of the rule to the contrasts.
        unit: The unit of the metric.
        contrasts: See `STUDY_CONTRASTS`.
        scores: See `STUDY_RUNS`.
        notes: Warnings to read before the numbers.
        amended: Changes of the plan after results were known: `margin: 0.02, and before 0.05`.
        origin: Command, code, versions.
    """

    name: str
    plan: Mapping[str, Any]
    plan_hash: str
    verdict: str
    unit: str
    contrasts: DataFrame
    scores: DataFrame
    notes: tuple[str, ...] = ()
    amended: tuple[str, ...] = ()
    origin: Mapping[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write `contrasts.csv`, `scores.csv` and `study.json`, which comes last: a folder with it
        is complete.

        Raises:
            HwdsError: The folder cannot be written.
        """
        for name in ("contrasts", "scores"):
            table: DataFrame = getattr(self, name)
            write_csv(folder / f"{name}.csv", table)
        content = {
            key: value for key, value in vars(self).items() if not isinstance(value, DataFrame)
        }
        content |= {
            STUDY_FILES: {
                name: digest_file(folder / name) for name in ("contrasts.csv", "scores.csv")
            }
        }
        write_json(folder / "study.json", json_data(content), allow_nan=False)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return the result that `write` wrote.

        Raises:
            HwdsError: A file is damaged.
        """
        content = read_json_mapping(folder / "study.json")
        for name, checksum in content.pop(STUDY_FILES, {}).items():
            with refuse_damage(folder / name) as path:
                if digest_file(path) != checksum:
                    raise Damaged("has another checksum than when it was written")
        content |= {"notes": tuple(content["notes"]), "amended": tuple(content["amended"])}
        content |= {"contrasts": read_csv(folder / "contrasts.csv", STUDY_CONTRASTS.schema)}
        return cls(**content, scores=read_csv(folder / "scores.csv", STUDY_RUNS))


@dataclass(frozen=True)
class StudyState:
    """The folder `outputs/studies/<name>/` with the plan and its runs; another one where overrides
    change the numbers.
    """

    path: Path

    @classmethod
    def of(cls, name: str, changes: str = "") -> StudyState:
        """Return the state of a study, or of a variant of it under further overrides (their
        digest).
        """
        return cls((OUTPUTS / "studies" / (f"{name}-{changes}" if changes else name)).resolve())

    def read(self) -> dict[str, Any]:
        """Return `plan`, `plan_hash`, `runs` (by experiment and seed) and `amended`.

        Empty before the first run.

        Raises:
            HwdsError: It is damaged.
        """
        path = self.path / "state.json"
        return read_json_mapping(path) if path.is_file() else {}

    def write(
        self,
        plan: Mapping[str, Any],
        plan_hash: str,
        runs: Mapping[str, Mapping[str, str]],
        amended: Sequence[str],
    ) -> None:
        """Write the state for `read`."""
        content = {"plan": plan, "plan_hash": plan_hash, "runs": runs, "amended": amended}
        write_json(self.path / "state.json", json_data(content), allow_nan=False)
