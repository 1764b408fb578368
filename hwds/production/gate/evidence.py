"""Evidence of a gate: what is known of a run, each fact from a file whose digest is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hwds.compare.labels import model_labels
from hwds.compare.models import compare
from hwds.compare.source import Source
from hwds.core.errors import ConfigError
from hwds.core.inputs import noted_inputs
from hwds.evaluation.abilities import LeakTestable
from hwds.evaluation.canary import canary
from hwds.execution.compute_cell import context_of
from hwds.execution.threads import hold_threads
from hwds.experiment.check import check
from hwds.experiment.prepare import prepare
from hwds.production.bundle.manifest import sha256
from hwds.results.files import read_mapping
from hwds.results.folder import RunFolder
from hwds.results.tables import Tables

RESAMPLES = 500


@dataclass(frozen=True)
class Against:
    """The comparison of the run's model with the champion: a share, below 0 where it is worse, and its interval."""

    champion: str
    effect: float
    low: float | None
    high: float | None


@dataclass(frozen=True, eq=False)
class Evidence:
    """Facts of a run by which a gate judges; None or nothing where there is none.

    Attributes:
        title: The run's.
        label: Its model's.
        headline: Its headline metric.
        tables: Its tables.
        better: `low` or `high`: which way the headline is good.
        champion: The comparison with it.
        seeds: The headline by seed, its own among them.
        leaks: What the canary found; empty where it found nothing.
        card: The fields that people filled in.
        latency: `p99_ms` of the bundle.
        violations: Of the monitor's report.
        files: SHA-256 of the files of all this.
    """

    title: str
    label: str
    headline: str
    tables: Tables
    better: str
    champion: Against | None = None
    seeds: Mapping[int, float] = field(default_factory=dict)
    leaks: tuple[str, ...] | None = None
    card: Mapping[str, str] = field(default_factory=dict)
    latency: Mapping[str, Any] | None = None
    violations: Sequence[Mapping[str, Any]] | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: RunFolder) -> Evidence:
        """Return what the run's own folder and its sisters of other seeds say."""
        experiment, tables = check(folder.read_config(secrets=True)), folder.read_tables()
        label, headline = experiment.model.name, experiment.protocol.headline
        names = ("scores.parquet", "predictions.parquet", "timings.parquet", ".config.json", "provenance.json")
        files = {name: sha256(folder.path / name) for name in names if (folder.path / name).is_file()}
        own = cls(folder.title, label, headline, tables, tables.measure(headline).better, files=files)
        sisters = sisters_of(folder)
        digests = {f"{other.title}/scores.parquet": sha256(other.path / "scores.parquet") for other in sisters}
        seeds = seeds_of([folder, *sisters], headline, label)
        return replace(own, seeds=seeds, files={**files, **digests})

    def with_file(self, path: Path, **facts: Any) -> Evidence:
        """Return the same with facts from a file."""
        return replace(self, files={**self.files, str(path): sha256(path)}, **facts)

    def with_champion(self, own: RunFolder, champion: RunFolder) -> Evidence:
        """Return the same with the comparison on the rows that both runs answered."""
        mine, theirs = Source.read([own, champion])
        against = against_of(mine, theirs, self.headline)
        files = {f"champion/{name}": sha256(champion.path / name) for name in ("scores.parquet", "predictions.parquet")}
        return replace(self, champion=against, files={**self.files, **files})


def against_of(own: Source, champion: Source, metric: str) -> Against | None:
    """Return how the own model of a run compares with that of another; None where they are one, or share no row.

    Args:
        own: The run.
        champion: The other one, whose model may have the same name.
        metric: By which they are compared.
    """
    sources = (own, champion)
    mine, theirs = (names.get(source.model, source.model) for names, source in zip(model_labels(sources), sources, strict=True))
    pairs = compare(sources, metric=metric, model=mine, resamples=RESAMPLES).pairs
    row = next((row for row in pairs.to_dicts() if row["rival"] == theirs), None)
    return None if row is None else Against(f"{champion.title} {theirs}", row["effect"], row["low"], row["high"])


def sisters_of(folder: RunFolder) -> list[RunFolder]:
    """Return the finished runs of the same experiment that differ from a run in the seed alone."""
    own = _but_seed(folder)
    others = (RunFolder(path.parent) for path in sorted(folder.path.parent.glob("*/scores.parquet")))
    return [other for other in others if other.path != folder.path and _but_seed(other) == own]


def _but_seed(folder: RunFolder) -> dict[str, Any]:
    return {name: value for name, value in folder.read_config().items() if name != "seed"}


def seeds_of(folders: Sequence[RunFolder], headline: str, label: str) -> dict[int, float]:
    """Return the headline of runs by seed, of those that have one."""
    rows = ((folder, folder.read_tables().headline(headline, label)) for folder in folders)
    return {int(folder.read_config()["seed"]): float(row["value"]) for folder, row in rows if row and row["value"] is not None}


def leaks_of(folder: RunFolder) -> tuple[str, ...]:
    """Return what the canary finds in the run's own model, at its small size, in this process."""
    experiment = check({**folder.read_config(secrets=True), "size": "small"})
    if not isinstance(experiment.protocol, LeakTestable):
        return ()
    prepared = prepare(experiment)
    hold_threads(prepared.job.cpus)
    context = replace(context_of(prepared.job, ""), cache=None)
    with noted_inputs():
        found = list(canary(prepared.job.protocol, experiment.model.name, experiment.model, prepared.frame, context))
    return tuple(str(leak) for leak in found if leak is not None)


def violations_of(path: Path) -> tuple[str, list[Mapping[str, Any]]]:
    """Return the digest of the bundle that a monitor's report is of, and the violations.

    Raises:
        ConfigError: It is no report of a monitor.
    """
    report = read_mapping(path)
    if "violations" not in report or "bundle" not in report:
        raise ConfigError(f"--monitor: {path} is no report.json of `hwds monitor`.")
    return str(report["bundle"]), list(report["violations"])
