"""Gates: the rules of a stage, the evidence of a run, the checks, and the kept verdicts."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Le
from polars import col

from hwds.core.checksums import write_json
from hwds.core.errors import ConfigError, DataError, HwdsError, nearest
from hwds.core.questions import Fields, Json
from hwds.core.recipe import (
    Amount,
    NonNegative,
    Positive,
    PositiveInt,
    Recipe,
    UnitInterval,
    ZeroDraws,
    ZeroFolds,
    construct,
)
from hwds.core.registry import options
from hwds.core.settings import read_yaml
from hwds.evaluation.protocol import LeakTestable
from hwds.experiment.leaks import sealed_experiment
from hwds.experiment.spec import check_stored
from hwds.report.words import fill
from hwds.results.files import read_json_mapping, write_markdown
from hwds.results.folder import RunFolder
from hwds.results.records import now
from hwds.results.tables import Tables
from hwds.serve.bundle.card import missing_fields, read_fields
from hwds.serve.bundle.manifest import LATENCY, sha256
from hwds.serve.bundle.reference import calibration_of, tested_chances
from hwds.serve.services.opening import Bundle
from hwds.stats.compare import compare
from hwds.stats.sources import RunSource, model_labels
from hwds.track.trackers.mlflow import mirror_bundle

# Rules of a gate, from `conf/gate/*.yaml`: what a run must show before it goes on.

GROUP = "gate"
Stage = Literal["development", "validation", "approval", "production", "ongoing"]


class Bound(Recipe):
    """A bound of a metric of the run's own model.

    Attributes:
        metric: The metric, by its short or full name.
        at_least: The least value that passes; null for none.
        at_most: The greatest value that passes; null for none.
        interval: Whether the worse end of the metric's interval must keep the bound, and not the
            value alone.
    """

    metric: str
    at_least: Amount | None = None
    at_most: Amount | None = None
    interval: bool = True


class GateRules(Recipe):
    """Demands on a run at a stage of its life; null asks for nothing.

    Attributes:
        stage: The stage that the gate stands before.
        bounds: Bounds of metrics, each with `metric`, `at_least` or `at_most`, and `interval`.
        champion: Whether the run must be compared with a champion, the model in use, on the same
            rows.
        champion_margin: The share by which it may be worse than the champion at the worse end of
            the interval.
        calibration_gap: The most by which probabilities may differ from shares of labels, as a mean
            over bins.
        coverage_gap: The most by which the coverage of forecasts' intervals may differ from what
            they promise.
        slice_gap: The share by which the headline of a slice may be worse than that of all rows,
            beyond its interval.
        slice_rows: Slices of fewer rows are not judged.
        seeds: Runs of other seeds, at least so many, that must be there.
        seed_range: The range of the headline over seeds, at most this share of its mean.
        latency_ms: Milliseconds within which 99 % of single answers come, by the proof of the
            bundle.
        leakage: Whether the leak check must have found no leak.
        explained: The highest-scored test rows of each fold, so many, of which each must bear a
            reason.
        card: Whether every field of the card must be filled in.
        approver: Whether an approver must be named who is not the owner.
        failures: The most cells of the run that may have failed.
        drift: Whether the monitor's report must have no violations. It chooses no drift test.
    """

    stage: Stage
    bounds: tuple[Mapping[str, Any], ...] = ()
    champion: bool = False
    champion_margin: UnitInterval = 0.0
    calibration_gap: UnitInterval | None = None
    coverage_gap: UnitInterval | None = None
    slice_gap: NonNegative | None = None
    slice_rows: PositiveInt = 100
    seeds: ZeroFolds = 0
    seed_range: Annotated[float, Ge(0), Le(10)] = 0.2
    latency_ms: Positive | None = None
    leakage: bool = False
    explained: ZeroDraws = 0
    card: bool = False
    approver: bool = False
    failures: ZeroFolds = 0
    drift: bool = False

    @property
    def limits(self) -> tuple[Bound, ...]:
        """The bounds, typed.

        Raises:
            ConfigError: One has another field, or no bound at all.
        """
        limits = tuple(
            construct(Bound, f"bounds[{place}]", dict(bound))
            for place, bound in enumerate(self.bounds)
        )
        for place, bound in enumerate(limits):
            if bound.at_least is None and bound.at_most is None:
                raise ConfigError(f"bounds[{place}]: must have at_least or at_most.")
        return limits


def gate_rules(name: str, changes: Fields | None = None) -> GateRules:
    """Return the rules of a gate.

    Args:
        name: An option of `conf/gate`.
        changes: Fields in place of those of its YAML.

    Raises:
        ConfigError: There is none of this name, or a field is wrong.
    """
    known = options(GROUP)
    if name not in known:
        raise ConfigError(f"gate: no option '{name}'{nearest(name, known)}")
    try:
        fields = read_yaml(known[name].read_text(encoding="utf-8"), known[name]) or {}
    except ValueError as error:
        raise ConfigError(f"gate: {error}.") from error
    rules = construct(GateRules, "gate", {"name": name, **fields, **(changes or {})})
    assert rules.limits is not None
    return rules


# Evidence of a gate: what is known of a run, each fact from a file whose digest is kept.

RESAMPLES = 500


@dataclass(frozen=True)
class ChampionComparison:
    """The comparison of the run's model with the champion: a share, below 0 where it is worse, and
    its interval.
    """

    champion: str
    effect: float
    low: float | None
    high: float | None


@dataclass(frozen=True, eq=False)
class GateEvidence:
    """Facts of a run by which a gate judges; None or nothing where there is none.

    Attributes:
        title: The run's title.
        label: Its model's.
        headline: Its headline metric.
        tables: Its tables.
        better: `low` or `high`: which way the headline is good.
        champion: The comparison with it.
        seeds: The headline by seed, its own among them.
        leaks: The leaks that the leak check found; None where it was not asked.
        card: The fields that people filled in.
        latency: `p99_ms` of the bundle.
        violations: The violations in the report of the monitor.
        files: SHA-256 of the files of all this.
    """

    title: str
    label: str
    headline: str
    tables: Tables
    better: str
    champion: ChampionComparison | None = None
    seeds: Mapping[int, float] = field(default_factory=dict)
    leaks: tuple[str, ...] | None = None
    card: Mapping[str, str] = field(default_factory=dict)
    latency: Fields | None = None
    violations: Sequence[Fields] | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: RunFolder) -> GateEvidence:
        """Return what the run's own folder and its sisters of other seeds say."""
        experiment, tables = check_stored(folder.read_config(secrets=True)), folder.read_tables()
        label, headline = experiment.model.name, experiment.protocol.headline
        names = (
            "scores.parquet",
            "predictions.parquet",
            "timings.parquet",
            ".config.json",
            "provenance.json",
        )
        files = {
            name: sha256(folder.path / name) for name in names if (folder.path / name).is_file()
        }
        evidence = cls(
            folder.title, label, headline, tables, tables.measure(headline).better, files=files
        )
        sisters = sisters_of(folder)
        digests = {
            f"{other.title}/scores.parquet": sha256(other.path / "scores.parquet")
            for other in sisters
        }
        seeds = seeds_of([folder, *sisters], headline, label)
        return replace(evidence, seeds=seeds, files={**files, **digests})

    def with_file(self, path: Path, **facts: Any) -> GateEvidence:
        """Return the same with facts from a file."""
        return replace(self, files={**self.files, str(path): sha256(path)}, **facts)

    def with_bundled(self, bundle: Bundle, name: str, **facts: Any) -> GateEvidence:
        """Return the same with facts from a file of a bundle."""
        digest = str(bundle.manifest.files[name]["sha256"])
        return replace(self, files={**self.files, str(bundle.folder / name): digest}, **facts)

    def with_champion(self, challenger: RunFolder, champion: RunFolder) -> GateEvidence:
        """Return the same with the comparison on the rows that both runs answered."""
        mine, theirs = RunSource.read([challenger, champion])
        against = against_of(mine, theirs, self.headline)
        files = {
            f"champion/{name}": sha256(champion.path / name)
            for name in ("scores.parquet", "predictions.parquet")
        }
        return replace(self, champion=against, files={**self.files, **files})


def against_of(
    challenger: RunSource, champion: RunSource, metric: str
) -> ChampionComparison | None:
    """Return how the own model of a run compares with that of another.

    None where they are one, or share no row.

    Args:
        challenger: The run.
        champion: The other one, whose model may have the same name.
        metric: The metric by which they are compared.
    """
    sources = (challenger, champion)
    mine, theirs = (
        names.get(source.model, source.model)
        for names, source in zip(model_labels(sources), sources, strict=True)
    )
    pairs = compare(sources, metric=metric, model=mine, resamples=RESAMPLES).pairs
    row = next((row for row in pairs.to_dicts() if row["rival"] == theirs), None)
    return (
        None
        if row is None
        else ChampionComparison(
            f"{champion.title} {theirs}", row["effect"], row["low"], row["high"]
        )
    )


def sisters_of(folder: RunFolder) -> list[RunFolder]:
    """Return the finished runs of the same experiment that differ from a run in the seed alone."""
    config = _config_without_seed(folder)
    others = (
        RunFolder(path.parent) for path in sorted(folder.path.parent.glob("*/scores.parquet"))
    )
    return [
        other
        for other in others
        if other.path != folder.path and _config_without_seed(other) == config
    ]


def _config_without_seed(folder: RunFolder) -> Json:
    return {name: value for name, value in folder.read_config().items() if name != "seed"}


def seeds_of(folders: Sequence[RunFolder], headline: str, label: str) -> dict[int, float]:
    """Return the headline of runs by seed, of those that have one."""
    rows = ((folder, folder.read_tables().headline(headline, label)) for folder in folders)
    return {
        int(folder.read_config()["seed"]): float(row["value"])
        for folder, row in rows
        if row and row["value"] is not None
    }


def leaks_of(folder: RunFolder) -> tuple[str, ...]:
    """Return what the leak check finds in the run's model, at its small size.

    Data that is then too short for the run's protocol is taken at the size of the run.
    """
    config = folder.read_config(secrets=True)
    try:
        return _leaks_at({**config, "size": "small"})
    except (ConfigError, DataError):
        return _leaks_at(config)


def _leaks_at(config: Json) -> tuple[str, ...]:
    with sealed_experiment(config) as sealed:
        if not isinstance(sealed.protocol, LeakTestable):
            return ()
        label, *_ = sealed.settings["models"]
        return tuple(str(leak) for leak in sealed.check_model(label) if leak is not None)


def violations_of(path: Path) -> tuple[str, list[Fields]]:
    """Return the digest of the bundle that a monitor's report is of, and the violations.

    Raises:
        ConfigError: It is no report of a monitor.
    """
    report = read_json_mapping(path)
    if "violations" not in report or "bundle" not in report:
        raise ConfigError(f"--monitor: {path} is no report.json of `hwds monitor`.")
    return str(report["bundle"]), list(report["violations"])


# Checks of a gate: each says whether a run passes, in a sentence with the figures.

LEAST_LABELS = 50
"""Labels below which calibration is not judged but refused: few say nothing."""


@dataclass(frozen=True, slots=True)
class GateCheck:
    """The outcome of one check."""

    name: str
    passed: bool
    sentence: str


Outcome = tuple[bool, str]
"""Whether a run passes a check, and the sentence that says it."""


def checks_of(rules: GateRules, evidence: GateEvidence) -> list[GateCheck]:
    """Return the outcome of every check that a gate asks for."""
    bounds = [
        GateCheck(f"bound {bound.metric}", *_bound(bound, evidence)) for bound in rules.limits
    ]
    checks = [
        GateCheck(name, *outcome)
        for name, (field, check) in CHECKS.items()
        if is_demanded(getattr(rules, field))
        for outcome in check(rules, evidence)
    ]
    return [GateCheck("failures", *_failures(rules, evidence)), *bounds, *checks]


def is_demanded(value: Any) -> bool:
    """Return whether the value of a rule asks for something: a limit of 0 does."""
    return isinstance(value, float) or bool(value)


def _failures(rules: GateRules, evidence: GateEvidence) -> Outcome:
    timings = evidence.tables.timings
    failed = int((timings["status"] != "ok").sum())
    return (
        failed <= rules.failures,
        f"{failed} of {len(timings)} cells failed, {rules.failures} may.",
    )


def _bound(bound: Bound, evidence: GateEvidence) -> Outcome:
    row = evidence.tables.headline(bound.metric, evidence.label)
    if not row or row["value"] is None:
        return False, f"the run has no {bound.metric}."
    if bound.interval and row["ci_low"] is None:
        return False, f"{bound.metric} has no interval, by which the bound is to be kept."
    low, high = (row["ci_low"], row["ci_high"]) if bound.interval else (row["value"], row["value"])
    limits = {"at least": bound.at_least, "at most": bound.at_most}
    wanted = " and ".join(
        f"{word} {limit:g}" for word, limit in limits.items() if limit is not None
    )
    passed = (bound.at_least is None or low >= bound.at_least) and (
        bound.at_most is None or high <= bound.at_most
    )
    interval = f" ({low:.4g} to {high:.4g})" if bound.interval else ""
    return bool(passed), f"{bound.metric} is {row['value']:.4g}{interval}, must be {wanted}."


def _champion(rules: GateRules, evidence: GateEvidence) -> Iterator[Outcome]:
    against = evidence.champion
    if against is None:
        yield False, "it was compared with no champion; name one with --champion."
        return
    if against.low is None:
        yield False, f"the difference from {against.champion} has no interval: too few units."
        return
    effect, low, high = (
        100 * (end if end is not None else np.inf)
        for end in (against.effect, against.low, against.high)
    )
    text = f"against {against.champion}: {effect:+.2f} % ({low:+.2f} % to {high:+.2f} %)"
    yield (
        against.low >= -rules.champion_margin,
        f"{text}, must not be worse by more than {100 * rules.champion_margin:g} %.",
    )


def _calibration(rules: GateRules, evidence: GateEvidence) -> Iterator[Outcome]:
    """The expected calibration error (Naeini, Cooper and Hauskrecht 2015) less what chance alone
    brings about.
    """
    chances = tested_chances(evidence.tables.predictions, evidence.label)
    if chances is None:
        return  # a task without probabilities, which coverage speaks for
    count = len(chances[1])
    if count < LEAST_LABELS:
        yield False, f"{count} labels are known, at least {LEAST_LABELS} must be."
        return
    error, chance = calibration_gap(*chances)
    text = f"probabilities are off by {error:.3f} on the average, of which {chance:.3f} are chance"
    assert rules.calibration_gap is not None
    yield (
        error - chance <= rules.calibration_gap,
        f"{text}; {rules.calibration_gap:g} more are allowed.",
    )


def calibration_gap(probability: np.ndarray, label: np.ndarray) -> tuple[float, float]:
    """Return the mean gap of probabilities and shares over ten bins of equal counts, and the one
    that chance makes.

    Args:
        probability: The probability of each row, shape (n,).
        label: The label of each row, 1.0 or 0.0, shape (n,).
    """
    bins = pl.DataFrame(calibration_of(probability, label)["bins"])
    weight, mean, share = (
        bins[name].cast(pl.Float64).to_numpy() for name in ("n", "probability", "label")
    )
    spread = np.sqrt(mean * (1 - mean) / weight)
    chance = np.sqrt(2 / np.pi) * spread  # the mean size of a normal of that spread
    off, expected = (
        float(np.average(each, weights=weight)) for each in (abs(mean - share), chance)
    )
    return off, expected


def _coverage(rules: GateRules, evidence: GateEvidence) -> Iterator[Outcome]:
    whole = pl.all_horizontal(col("fold", "step", "segment").is_null())
    rows = evidence.tables.scores.filter(
        whole & col("metric").str.contains(r"^coverage\[[\d.]+%\]$"), model=evidence.label
    )
    assert rules.coverage_gap is not None
    for row in rows.to_dicts():
        wanted = float(row["metric"].partition("[")[2].rstrip("%]")) / 100
        text = f"{row['metric']} is {row['value']:.3f}, may differ by {rules.coverage_gap:g}."
        yield abs(row["value"] - wanted) <= rules.coverage_gap, text


def _slices(rules: GateRules, evidence: GateEvidence) -> Iterator[Outcome]:
    total = evidence.tables.headline(evidence.headline, evidence.label)
    if not total:
        yield False, f"the run has no {evidence.headline}."
        return
    judged = evidence.tables.scores.filter(
        col("segment").is_not_null()
        & col("fold").is_null()
        & col("step").is_null()
        & (col("n").fill_null(0) >= rules.slice_rows),
        model=evidence.label,
        metric=total["metric"],
        aggregate=total["aggregate"],
    )
    if judged.is_empty():
        yield (
            False,
            f"no slice of {rules.slice_rows} rows or more was scored; set protocol.segments.",
        )
        return
    allowed = rules.slice_gap
    assert allowed is not None
    worse = [row for row in judged.to_dicts() if _is_worse(row, total, allowed, evidence.better)]
    named = ", ".join(
        f"{row['segment_by']}={row['segment']} ({row['value']:.4g})" for row in worse[:5]
    )
    text = f"{len(judged)} slices, of all rows {evidence.headline} is {total['value']:.4g}"
    found = f"worse by more than {100 * allowed:g} %: {named}" if worse else "none is too bad"
    yield not worse, f"{text}; {found}."


def _is_worse(row: Json, total: Json, allowed: float, better: str) -> bool:
    """Return whether a slice is worse than all rows by more than a share, its interval
    considered.
    """
    end, sign = ("ci_low", 1) if better == "low" else ("ci_high", -1)
    best = row["value"] if row[end] is None else row[end]
    return row["value"] is not None and bool(
        sign * best > sign * total["value"] * (1 + sign * allowed)
    )


def _seeds(rules: GateRules, evidence: GateEvidence) -> Iterator[Outcome]:
    values = list(evidence.seeds.values())
    if len(values) < rules.seeds:
        yield (
            False,
            f"{len(values)} seeds have a finished run, at least {rules.seeds} must have one.",
        )
        return
    spread = float(np.ptp(values)) / max(abs(float(np.mean(values))), 1e-12)
    text = (
        f"{evidence.headline} over {len(values)} seeds has a range of {100 * spread:.1f} % of "
        f"its mean"
    )
    yield spread <= rules.seed_range, f"{text}; {100 * rules.seed_range:g} % are allowed."


def _latency(rules: GateRules, evidence: GateEvidence) -> Iterator[Outcome]:
    if evidence.latency is None:
        yield False, "no bundle says how long an answer takes; name one with --bundle."
        return
    assert rules.latency_ms is not None
    taken = float(evidence.latency["p99_ms"])
    text = f"99 % of answers take up to {taken:g} ms; {rules.latency_ms:g} are allowed."
    yield taken <= rules.latency_ms, text


def _leakage(rules: GateRules, evidence: GateEvidence) -> Iterator[Outcome]:
    if evidence.leaks is None:
        yield False, "the canary was not asked."
        return
    found = evidence.leaks[0].rstrip(".") if evidence.leaks else "no leak"
    yield not evidence.leaks, f"the canary found {found}."


def _explanations(rules: GateRules, evidence: GateEvidence) -> Iterator[Outcome]:
    rows = evidence.tables.predictions
    if "reasons" not in rows.columns:
        return  # a task whose answers have none
    tested = rows.filter(model=evidence.label, part="test")
    highest = tested.sort("score", descending=True).group_by("fold").head(rules.explained)
    without = int((highest["reasons"].list.len().fill_null(0) == 0).sum())
    text = (
        f"of {len(highest)} rows, the {rules.explained} of the highest scores of each fold, "
        f"{without} have no reason"
    )
    yield not without and len(highest) > 0, f"{text}."


def _card(rules: GateRules, evidence: GateEvidence) -> Iterator[Outcome]:
    missing = missing_fields(evidence.card)
    text = f"not said: {', '.join(missing)}" if missing else "every field is filled in"
    yield not missing, f"{text}."


def _approver(rules: GateRules, evidence: GateEvidence) -> Iterator[Outcome]:
    approver, owner = (evidence.card.get(name, "").strip() for name in ("approver", "owner"))
    if "approver" in missing_fields(evidence.card):
        yield False, "no approver is named."
    elif approver.lower() == owner.lower():
        yield False, f"'{approver}' owns the model, and cannot approve it."
    else:
        yield True, f"approved by {approver}."


def _drift(rules: GateRules, evidence: GateEvidence) -> Iterator[Outcome]:
    found = evidence.violations
    if found is None:
        yield False, "no report of the monitor; name one with --monitor."
        return
    first = f": {found[0]['description']}" if found else ""
    yield not found, f"the monitor has {len(found)} violations{first}."


CHECKS: Mapping[str, tuple[str, Callable[[GateRules, GateEvidence], Iterator[Outcome]]]] = {
    "champion": ("champion", _champion),
    "calibration": ("calibration_gap", _calibration),
    "coverage": ("coverage_gap", _coverage),
    "slices": ("slice_gap", _slices),
    "seeds": ("seeds", _seeds),
    "latency": ("latency_ms", _latency),
    "leakage": ("leakage", _leakage),
    "explanations": ("explained", _explanations),
    "card": ("card", _card),
    "approver": ("approver", _approver),
    "drift": ("drift", _drift),
}
"""By name the rule that demands a check, and the check; it has no outcome where it does not apply.
"""


# The verdict of a gate: every check, the digests of its evidence, and the outcome.

LEAKS = "leakage.json"


@dataclass(frozen=True)
class GateInputs:
    """The words of a user beside the run: a champion's run, files of a card and of a monitor, a
    bundle, and trusted keys.
    """

    champion: str | None = None
    card: str | None = None
    bundle: str | None = None
    monitor: str | None = None
    trust: str | None = None


def gather_evidence(folder: RunFolder, rules: GateRules, named: GateInputs) -> GateEvidence:
    """Return the evidence of a run that a gate asks for.

    Raises:
        ConfigError: A file cannot be read, the bundle is of another run, or the monitor's report of
            another bundle.
    """
    evidence, watched = GateEvidence.of(folder), ""
    if rules.champion and named.champion:
        evidence = evidence.with_champion(folder, RunFolder.find(named.champion))
    if named.card:
        evidence = evidence.with_file(Path(named.card), card=read_fields(Path(named.card)))
    if named.bundle:
        bundle = Bundle.open(named.bundle, named.trust)
        if bundle.manifest.run != folder.title:
            raise ConfigError(
                f"--bundle: {named.bundle} is of run {bundle.manifest.run}, not of {folder.title}."
            )
        evidence = evidence.with_bundled(bundle, LATENCY, latency=bundle.json(LATENCY))
        watched = bundle.manifest.digest
    if named.monitor:
        seen, violations = violations_of(Path(named.monitor))
        if watched and seen != watched:
            raise ConfigError(
                f"--monitor: {named.monitor} is of bundle {seen}, not of {watched} (--bundle)."
            )
        evidence = evidence.with_file(Path(named.monitor), violations=violations)
    if rules.leakage:
        path = folder.path / LEAKS
        write_json(
            path,
            {
                "code": folder.read_provenance()["code"],
                "leaks": list(leaks_of(folder)),
                "when": now(),
            },
        )
        evidence = evidence.with_file(path, leaks=tuple(read_json_mapping(path)["leaks"]))
    return evidence


def decide_gate(folder: RunFolder, rules: GateRules, evidence: GateEvidence) -> Json:
    """Keep and return the verdict of a gate on a run."""
    checks = checks_of(rules, evidence)
    passed = all(check.passed for check in checks)
    verdict = {
        "gate": rules.name,
        "stage": rules.stage,
        "run": evidence.title,
        "outcome": "passed" if passed else "refused",
        "approval_status": "Approved"
        if passed and rules.approver
        else "PendingManualApproval"
        if passed
        else "Rejected",
        "approver": evidence.card.get("approver", ""),
        "when": now(),
        "checks": [asdict(check) for check in checks],
        "evidence": dict(evidence.files),
    }
    keep_verdict(folder, verdict)
    return verdict


# Verdicts of gates on a run: the last one of each stage, kept in the run's folder, which `hwds
# bundle` obeys.

VERDICTS, VERDICTS_PAGE = "gates.json", "gates.md"
"""The files in a run's folder with the last verdict of each stage, for programs and for people."""

VERDICTS_TEXT = """# Gates of run {{ title }}
{%- for stage, verdict in verdicts.items() %}

## {{ stage }}: {{ verdict.outcome }}

Gate {{ verdict.gate }}, {{ verdict.when }}.

| check | | |
|---|---|---|
{%- for check in verdict.checks %}
| {{ check.name }} | {{ "passed" if check.passed else "**refused**" }} | {{ check.sentence }} |
{%- endfor %}

| evidence | SHA-256 |
|---|---|
{%- for name, digest in verdict.evidence.items() %}
| {{ name }} | `{{ digest }}` |
{%- endfor %}
{%- endfor %}
"""

OF_BUNDLE = ("latency", "drift")
"""Checks of a bundle that is there: what they refuse is mended by another bundle, so that they do
not stand before one.
"""


def read_verdicts(folder: RunFolder) -> dict[str, Json]:
    """Return the last verdict of each stage that has judged a run."""
    path = folder.path / VERDICTS
    return read_json_mapping(path) if path.is_file() else {}


def keep_verdict(folder: RunFolder, verdict: Fields) -> None:
    """Write a verdict in place of the last one of its stage, and the page of all."""
    verdicts = {**read_verdicts(folder), verdict["stage"]: dict(verdict)}
    write_json(folder.path / VERDICTS, verdicts)
    write_markdown(
        folder.path / VERDICTS_PAGE, fill(VERDICTS_TEXT, title=folder.title, verdicts=verdicts)
    )


def refuse_gated(
    folder: RunFolder, what: str = "bundle", ignored: Sequence[str] = OF_BUNDLE
) -> None:
    """Refuse a run that the last verdict of any stage refused.

    Args:
        folder: The folder of the run.
        what: The command that stops, for the message.
        ignored: Checks that do not stop it.

    Raises:
        HwdsError: One did, with the checks of the run that failed.
    """
    for verdict in read_verdicts(folder).values():
        failed = [
            check["name"]
            for check in verdict["checks"]
            if not check["passed"] and check["name"] not in ignored
        ]
        if failed:
            raise HwdsError(
                f"{what}: gate '{verdict['gate']}' refused run {folder.title}: {', '.join(failed)};"
                " mend that and ask the gate again."
            )


def refuse_gated_bundle(run: str, what: str) -> bool:
    """Refuse the bundle of a run that any gate refused, be it for the bundle alone.

    Return whether the run is here to tell.

    Args:
        run: Its title.
        what: The command that stops.

    Raises:
        HwdsError: A gate did.
    """
    here = RunFolder.starting_with(run)
    for path in here:
        refuse_gated(RunFolder(path), what, ())
    return bool(here)


def verdicts_of(run: str) -> dict[str, Json]:
    """Return the verdicts on a run by its title; none where it is not here."""
    return {
        stage: verdict
        for path in RunFolder.starting_with(run)
        for stage, verdict in read_verdicts(RunFolder(path)).items()
    }


# A bundle in MLflow's registry: what it is of, and what the gates of its run say.


def mirror_with_verdicts(bundle: Bundle, run: RunFolder, address: str) -> str:
    """Mirror a bundle and the verdicts on its run; return the name and version in the registry.

    Args:
        bundle: The bundle.
        run: Its run.
        address: The URI of MLflow's store.

    Raises:
        TrackingError: The store does not answer, or refuses.
    """
    manifest, verdicts = bundle.manifest, read_verdicts(run)
    name = manifest.run.partition("/")[0]
    facts = {"hwds.run": manifest.run, "hwds.model": manifest.model, "hwds.kind": manifest.kind}
    aliases = {stage: verdict["outcome"] == "passed" for stage, verdict in verdicts.items()}
    facts |= verdict_tags(verdicts)
    with tempfile.TemporaryDirectory() as folder:
        bundle.copy_to(Path(folder))
        version = mirror_bundle(address, name, Path(folder), manifest.digest, facts, aliases)
    return f"{name} version {version}"


def verdict_tags(verdicts: Mapping[str, Fields]) -> dict[str, str]:
    """Return the tags of a version: the outcome of each stage, and SageMaker's word for the last of
    them.
    """
    tags = {f"gate.{stage}": str(verdict["outcome"]) for stage, verdict in verdicts.items()}
    last = max(verdicts.values(), key=lambda verdict: str(verdict["when"]), default=None)
    return tags | (
        {}
        if last is None
        else {"approval_status": str(last["approval_status"]), "approver": str(last["approver"])}
    )
