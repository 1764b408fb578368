"""False alarms of the monitor a month in worlds that do not change, and its delay where they do.

`python -m bench.monitor_alarms 100`; `python -m bench.monitor_alarms bundles 20` does the same with
bundles of whole runs, whose servers answer by ONNX or by the model itself. Beside it rules that dashboards have: an alarm where the PSI
of any column is above .2, or where the p-value of a Kolmogorov-Smirnov test of any column is below
.05.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import ks_2samp

from hwds.cli.experiment import run_experiment
from hwds.core.compose import compose
from hwds.datasets.simulated.drift import Drift
from hwds.experiment.spec import check
from hwds.serve.bundle.make import make_bundle
from hwds.serve.bundle.reference import WINDOW_ROWS, reference_of
from hwds.serve.monitor.drift import Baseline, ChangeDetector, distances
from hwds.serve.monitor.watch import Captured, watch_bundle, window_statistics
from hwds.serve.services.opening import Bundle

WORLDS, PER_MONTH = 100, 0.1
COLUMNS, REFERENCE, MONTH = 5, 56, 60
"""Columns of numbers, windows of the reference (four weeks, two a day), and windows of a month."""

TEXTS = np.array(["online", "retail", "education", "carrier"])


def world(
    kind: str, rng: np.random.Generator, windows: int, shift: float = 0.0, begin: int = 0
) -> list[pl.DataFrame]:
    """Return windows of rows of a world.

    `shift` moves the first column by so many standard deviations.
    """
    parts, state = [], rng.normal(size=COLUMNS) * 0.1
    for place in range(begin, begin + windows):
        shape = WINDOW_ROWS, COLUMNS
        numbers = rng.standard_t(3, shape) if kind == "heavy tails" else rng.normal(size=shape)
        weights = np.array([0.4, 0.3, 0.2, 0.1])
        if kind == "weekly season":
            day = (place // 2) % 7
            numbers += 0.3 * np.sin(2 * np.pi * day / 7 + np.arange(COLUMNS))
            weights = weights + 0.05 * np.array([1, -1, 1, -1]) * np.sin(2 * np.pi * day / 7)
        if kind == "day and night":
            numbers += 0.4 * (place % 2)
        if kind == "slow waves":
            state = 0.6 * state + rng.normal(size=COLUMNS) * 0.08
            numbers += state
        numbers[:, 0] += shift
        columns = {f"x{i}": numbers[:, i] for i in range(COLUMNS)}
        parts.append(
            pl.DataFrame(
                {**columns, "channel": TEXTS[rng.choice(4, WINDOW_ROWS, p=weights / weights.sum())]}
            )
        )
    return parts


def alarms(reference: list[pl.DataFrame], live: list[pl.DataFrame]) -> dict[str, list[int]]:
    """Return by rule the windows that raised an alarm."""
    whole = pl.concat(reference)
    stored: dict[str, Any] = reference_of(whole, whole.columns, [])
    baseline, detector = Baseline(stored), ChangeDetector(PER_MONTH, MONTH)
    raised: dict[str, list[int]] = {"hwds": [], "PSI > .2": [], "KS p < .05": []}
    for place, part in enumerate(live):
        window = window_statistics(baseline, part.to_dicts(), stored["components"], {*part.columns})
        if detector.take([each.p_value for each in baseline.findings(window)]):
            raised["hwds"].append(place)
        if any(
            distances(stored["columns"][name], window[name])["psi"] > 0.2 for name in part.columns
        ):
            raised["PSI > .2"].append(place)
        if any(
            ks_2samp(part[f"x{i}"], whole[f"x{i}"][:: len(reference)]).pvalue < 0.05
            for i in range(COLUMNS)
        ):
            raised["KS p < .05"].append(place)
    return raised


def null_rates(kind: str, worlds: int) -> dict[str, float]:
    """Return alarms a month by rule in worlds that do not change."""
    found = []
    for rng in map(np.random.default_rng, range(worlds)):
        both = world(kind, rng, REFERENCE + MONTH)
        found.append(alarms(both[:REFERENCE], both[REFERENCE:]))
    return {rule: float(np.mean([len(each[rule]) for each in found])) for rule in found[0]}


def delays(shift: float, worlds: int) -> dict[str, float]:
    """Return by rule the median windows until the first alarm after a shift, infinite where there
    is none within a month.
    """
    first: dict[str, list[float]] = {}
    for rng in map(np.random.default_rng, range(worlds)):
        raised = alarms(
            world("nothing", rng, REFERENCE), world("nothing", rng, MONTH, shift, REFERENCE)
        )
        for rule, places in raised.items():
            first.setdefault(rule, []).append(places[0] + 1 if places else np.inf)
    return {rule: float(np.median(each)) for rule, each in first.items()}


MODELS = ("classify/logistic", "classify/xgboost")
MONTHS, DAYS = 3, 91
UNCHANGED = {"inputs_at": 1.0, "labels_at": 1.0, "missing_at": 1.0}


def bundle_of(model: str, seed: int, folder: Path) -> Bundle:
    """Return the bundle of a run on a world that does not change."""
    words = [
        "dataset=drift",
        f"dataset.seed={seed}",
        *(f"dataset.{name}={share}" for name, share in UNCHANGED.items()),
        f"model={model}",
        "protocol=prequential",
        "protocol.windows=2",
        "protocol.importance_rows=0",
        "protocol.explained=0",
        "protocol.resamples=20",
        "compute=serial",
        "pictures=false",
    ]
    data = compose(words)
    run = run_experiment(check(data), data).prepared.folder
    proof = {"rows": 0, "questions": 0, "latency": {"p50_ms": 1.0, "p99_ms": 1.0, "open_s": 1.0}}
    return make_bundle(
        str(run.path), folder / "bundle", key=folder / "key.pem", fields={}, prove=lambda _: proof
    )


def captured(bundle: Bundle, rows: pl.DataFrame, *, native: bool) -> list[Captured]:
    """Return the answers of a server to rows, by the graph or by the model itself."""
    if native:
        manifest = replace(bundle.manifest, graph={"why": "not asked"})
        bundle = replace(bundle, manifest=manifest)
    service, found = bundle.service(), []
    asked = [
        {"id": str(place), **{name: row[name] for name in ("spent", "visits", "channel")}}
        for place, row in enumerate(rows.iter_rows(named=True))
    ]
    for at in range(0, len(asked), 50):
        answers = service.answer(asked[at : at + 50])
        times = rows["time"][at : at + 50].dt.to_string("%Y-%m-%dT%H:%M:%SZ")
        found += map(Captured, times, asked[at : at + 50], answers)
    return found


def bundle_alarms(model: str, seed: int) -> dict[str, list[int]]:
    """Return the windows that raised an alarm by what answers, with labels and without, and after a
    shift of half a standard deviation of one input.
    """
    found = {}
    still = Drift(days=DAYS, seed=10_000 + seed, **UNCHANGED).load().data
    moved = Drift(days=DAYS, seed=10_000 + seed, **{**UNCHANGED, "inputs_at": 0.0}).load().data
    labels = {str(place): float(bad) for place, bad in enumerate(still["bad"])}
    with tempfile.TemporaryDirectory() as folder:
        bundle = bundle_of(model, seed, Path(folder))
        reference = bundle.json("reference.json")
        for way in ("onnx", "native"):
            answers = captured(bundle, still, native=way == "native")
            for given, known in (("", None), (" and labels", labels)):
                report = watch_bundle(
                    reference, answers, bundle="", per_month=PER_MONTH, labels=known
                )
                found[way + given] = [i for i, each in enumerate(report.windows) if each.alarm]
            answers = captured(bundle, moved, native=way == "native")
            report = watch_bundle(reference, answers, bundle="", per_month=PER_MONTH)
            found[f"{way}, shifted"] = [i for i, each in enumerate(report.windows) if each.alarm]
    return found


def bundles(worlds: int) -> int:
    """Print alarms a month of bundles, and the windows until a shift is found; return 1 where there
    are more than are stated, chance considered, or where a shift is never found.
    """
    wrong = False
    for model in MODELS:
        found = [bundle_alarms(model, seed) for seed in range(worlds)]
        for way in found[0]:
            places = [each[way] for each in found]
            if way.endswith("shifted"):
                first = [each[0] + 1 if each else np.inf for each in places]
                wrong |= max(first) == np.inf
                text = f"found after {np.median(first):g} windows, at the latest {max(first):g}"
            else:
                rate = sum(map(len, places)) / (worlds * MONTHS)
                wrong |= rate > PER_MONTH + 3 * np.sqrt(PER_MONTH / (worlds * MONTHS))
                text = f"{rate:.2f} alarms a month"
            sys.stdout.write(f"  {model:<20}{way:<20}{text}\n")
        sys.stdout.flush()
    return int(wrong)


def main(words: list[str]) -> int:
    """Print both tables; return 1 where a world that does not change has more alarms than are
    stated, chance considered.
    """
    if words[:1] == ["bundles"]:
        return bundles(int(words[1]) if len(words) > 1 else 20)
    worlds, wrong = int(words[0]) if words else WORLDS, False
    write: Callable[[str], Any] = sys.stdout.write
    write(f"alarms a month, {worlds} worlds; {PER_MONTH} are stated\n")
    for kind in ("nothing", "heavy tails", "weekly season", "day and night", "slow waves"):
        rates = null_rates(kind, worlds)
        wrong |= rates["hwds"] > PER_MONTH + 3 * np.sqrt(PER_MONTH / worlds)
        write(f"  {kind:<16}{'  '.join(f'{rule}: {rate:.2f}' for rule, rate in rates.items())}\n")
        sys.stdout.flush()
    write("windows until the first alarm after a shift of one column of six (median)\n")
    for shift in (0.15, 0.25, 0.5, 1.0):
        found = delays(shift, max(worlds // 5, 5))
        write(
            f"  {shift:<16}{'  '.join(f'{rule}: {delay:.0f}' for rule, delay in found.items())}\n"
        )
        sys.stdout.flush()
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
