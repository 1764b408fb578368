"""Checks of a gate: each says whether a run passes, in a sentence with the figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from hwds.production.bundle.card import missing_fields
from hwds.production.bundle.reference import calibration_of, tested_chances
from hwds.production.gate.evidence import Evidence
from hwds.production.gate.rules import Bound, GateRules

LEAST_LABELS = 50
"""Labels below which calibration is not judged but refused: few say nothing."""


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of one check."""

    name: str
    passed: bool
    sentence: str


def checks_of(rules: GateRules, evidence: Evidence) -> list[Check]:
    """Return the outcome of every check that a gate asks for."""
    makers: list[tuple[Any, Callable[[], Iterator[Check]]]] = [
        (True, lambda: _failures(rules, evidence)),
        (rules.bounds, lambda: _bounds(rules, evidence)),
        (rules.champion, lambda: _champion(rules, evidence)),
        (rules.calibration_gap is not None, lambda: _calibration(rules, evidence)),
        (rules.coverage_gap is not None, lambda: _coverage(rules, evidence)),
        (rules.slice_gap is not None, lambda: _slices(rules, evidence)),
        (rules.seeds, lambda: _seeds(rules, evidence)),
        (rules.latency_ms is not None, lambda: _latency(rules, evidence)),
        (rules.leakage, lambda: _leakage(evidence)),
        (rules.explained, lambda: _explanations(rules, evidence)),
        (rules.card, lambda: _card(evidence)),
        (rules.approver, lambda: _approver(evidence)),
        (rules.drift, lambda: _drift(evidence)),
    ]
    return [check for wanted, make in makers if wanted for check in make()]


def _failures(rules: GateRules, evidence: Evidence) -> Iterator[Check]:
    timings = evidence.tables.timings
    failed = int((timings["status"] != "ok").sum())
    yield Check("failures", failed <= rules.failures, f"{failed} of {len(timings)} cells failed, {rules.failures} may.")


def _bounds(rules: GateRules, evidence: Evidence) -> Iterator[Check]:
    for bound in rules.limits:
        name = f"bound {bound.metric}"
        row = evidence.tables.headline(bound.metric, evidence.label)
        if not row or row["value"] is None:
            yield Check(name, False, f"the run has no {bound.metric}.")
            continue
        if bound.interval and row["ci_low"] is None:
            yield Check(name, False, f"{bound.metric} has no interval, by which the bound is to be kept.")
            continue
        yield _kept(name, bound, row)


def _kept(name: str, bound: Bound, row: dict[str, Any]) -> Check:
    low, high = (row["ci_low"], row["ci_high"]) if bound.interval else (row["value"], row["value"])
    passed = (bound.at_least is None or low >= bound.at_least) and (bound.at_most is None or high <= bound.at_most)
    interval = f" ({low:.4g} to {high:.4g})" if bound.interval else ""
    wanted = " and ".join(
        f"{word} {limit:g}" for word, limit in (("at least", bound.at_least), ("at most", bound.at_most)) if limit is not None
    )
    return Check(name, bool(passed), f"{bound.metric} is {row['value']:.4g}{interval}, must be {wanted}.")


def _champion(rules: GateRules, evidence: Evidence) -> Iterator[Check]:
    against = evidence.champion
    if against is None:
        yield Check("champion", False, "it was compared with no champion; name one with --champion.")
        return
    if against.low is None:
        said = f"the difference from {against.champion} has no interval: too few units."
        yield Check("champion", False, said)
        return
    passed = against.low >= -rules.champion_margin
    effect, low, high = (100 * (end if end is not None else np.inf) for end in (against.effect, against.low, against.high))
    said = f"against {against.champion}: {effect:+.2f} % ({low:+.2f} % to {high:+.2f} %)"
    yield Check("champion", passed, f"{said}, must not be worse by more than {100 * rules.champion_margin:g} %.")


def _calibration(rules: GateRules, evidence: Evidence) -> Iterator[Check]:
    """The expected calibration error (Naeini, Cooper and Hauskrecht 2015) less what chance alone brings about."""
    chances = tested_chances(evidence.tables.predictions, evidence.label)
    if chances is None:
        return  # a task without probabilities, which coverage speaks for
    probability, label = chances
    if len(label) < LEAST_LABELS:
        yield Check("calibration", False, f"{len(label)} labels are known, at least {LEAST_LABELS} must be.")
        return
    gap, chance = calibration_gap(probability, label)
    said = f"probabilities are off by {gap:.3f} on the average, of which {chance:.3f} are chance"
    assert rules.calibration_gap is not None
    yield Check("calibration", gap - chance <= rules.calibration_gap, f"{said}; {rules.calibration_gap:g} more are allowed.")


def calibration_gap(probability: np.ndarray, label: np.ndarray) -> tuple[float, float]:
    """Return the mean gap of probabilities and shares over ten bins of equal counts, and the one that chance makes.

    Args:
        probability: Shape (n,).
        label: 1.0 or 0.0, shape (n,).
    """
    bins = calibration_of(probability, label)["bins"]
    weight = np.array([each["n"] for each in bins], float)
    mean, share = (np.array([each[name] for each in bins]) for name in ("probability", "label"))
    spread = np.sqrt(mean * (1 - mean) / weight)
    chance = np.sqrt(2 / np.pi) * spread  # the mean size of a normal of that spread
    return float(np.average(np.abs(mean - share), weights=weight)), float(np.average(chance, weights=weight))


def _coverage(rules: GateRules, evidence: Evidence) -> Iterator[Check]:
    whole = pl.all_horizontal(pl.col("fold", "step", "segment").is_null())
    rows = evidence.tables.scores.filter(
        (pl.col("model") == evidence.label) & whole & pl.col("metric").str.contains(r"^coverage\[[\d.]+%\]$")
    )
    assert rules.coverage_gap is not None
    for row in rows.to_dicts():
        wanted = float(row["metric"].partition("[")[2].rstrip("%]")) / 100
        gap = abs(row["value"] - wanted)
        said = f"{row['metric']} is {row['value']:.3f}, may differ by {rules.coverage_gap:g}."
        yield Check("coverage", gap <= rules.coverage_gap, said)


def _slices(rules: GateRules, evidence: Evidence) -> Iterator[Check]:
    scores = evidence.tables.scores.filter(pl.col("model") == evidence.label)
    total = evidence.tables.headline(evidence.headline, evidence.label)
    if not total:
        yield Check("slices", False, f"the run has no {evidence.headline}.")
        return
    same = (pl.col("metric") == total["metric"]) & (pl.col("aggregate") == total["aggregate"])
    rows = scores.filter(same & pl.col("segment").is_not_null() & pl.col("fold").is_null() & pl.col("step").is_null())
    judged = rows.filter(pl.col("n").fill_null(0) >= rules.slice_rows)
    if judged.is_empty():
        yield Check("slices", False, f"no slice of {rules.slice_rows} rows or more was scored; set protocol.segments.")
        return
    assert rules.slice_gap is not None
    worse = [row for row in judged.to_dicts() if _is_worse(row, total, rules.slice_gap, evidence.better)]
    named = ", ".join(f"{row['segment_by']}={row['segment']} ({row['value']:.4g})" for row in worse[:5])
    said = f"{len(judged)} slices, of all rows {evidence.headline} is {total['value']:.4g}"
    found = f"worse by more than {100 * rules.slice_gap:g} %: {named}" if worse else "none is too bad"
    yield Check("slices", not worse, f"{said}; {found}.")


def _is_worse(row: dict[str, Any], total: dict[str, Any], gap: float, better: str) -> bool:
    """Return whether a slice is worse than all rows by more than a share, its interval considered."""
    if row["value"] is None:
        return False
    if better == "low":
        best = row["ci_low"] if row["ci_low"] is not None else row["value"]
        return bool(best > total["value"] * (1 + gap))
    best = row["ci_high"] if row["ci_high"] is not None else row["value"]
    return bool(best < total["value"] * (1 - gap))


def _seeds(rules: GateRules, evidence: Evidence) -> Iterator[Check]:
    values = list(evidence.seeds.values())
    if len(values) < rules.seeds:
        yield Check("seeds", False, f"{len(values)} seeds have a finished run, at least {rules.seeds} must have one.")
        return
    mean = float(np.mean(values))
    spread = float(np.ptp(values)) / max(abs(mean), 1e-12)
    said = f"{evidence.headline} over {len(values)} seeds has a range of {100 * spread:.1f} % of its mean"
    yield Check("seeds", spread <= rules.seed_range, f"{said}; {100 * rules.seed_range:g} % are allowed.")


def _latency(rules: GateRules, evidence: Evidence) -> Iterator[Check]:
    if evidence.latency is None:
        yield Check("latency", False, "no bundle says how long an answer takes; name one with --bundle.")
        return
    assert rules.latency_ms is not None
    taken = float(evidence.latency["p99_ms"])
    said = f"99 % of answers take up to {taken:g} ms; {rules.latency_ms:g} are allowed."
    yield Check("latency", taken <= rules.latency_ms, said)


def _leakage(evidence: Evidence) -> Iterator[Check]:
    if evidence.leaks is None:
        yield Check("leakage", False, "the canary was not asked.")
        return
    said = f"the canary found {evidence.leaks[0]}" if evidence.leaks else "the canary found no leak"
    yield Check("leakage", not evidence.leaks, f"{said.rstrip('.')}.")


def _explanations(rules: GateRules, evidence: Evidence) -> Iterator[Check]:
    rows = evidence.tables.predictions
    if "reasons" not in rows.columns:
        return  # a task whose answers have none
    tested = rows.filter((pl.col("model") == evidence.label) & (pl.col("part") == "test"))
    highest = tested.sort("score", descending=True).group_by("fold").head(rules.explained)
    without = int((highest["reasons"].list.len().fill_null(0) == 0).sum())
    said = f"of {len(highest)} rows, the {rules.explained} of the highest scores of each fold, {without} have no reason"
    yield Check("explanations", not without and len(highest) > 0, f"{said}.")


def _card(evidence: Evidence) -> Iterator[Check]:
    missing = missing_fields(evidence.card)
    yield Check("card", not missing, f"not said: {', '.join(missing)}." if missing else "every field is filled in.")


def _approver(evidence: Evidence) -> Iterator[Check]:
    approver, owner = (evidence.card.get(name, "").strip() for name in ("approver", "owner"))
    if "approver" in missing_fields(evidence.card):
        yield Check("approver", False, "no approver is named.")
    elif approver.lower() == owner.lower():
        yield Check("approver", False, f"'{approver}' owns the model, and cannot approve it.")
    else:
        yield Check("approver", True, f"approved by {approver}.")


def _drift(evidence: Evidence) -> Iterator[Check]:
    if evidence.violations is None:
        yield Check("drift", False, "no report of the monitor; name one with --monitor.")
        return
    first = f": {evidence.violations[0]['description']}" if evidence.violations else ""
    yield Check("drift", not evidence.violations, f"the monitor has {len(evidence.violations)} violations{first}.")
