"""Evidence of drift: distances of a window from the reference, their p-values, a sequential
test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from hwds.core.questions import Fields, Json
from hwds.serve.bundle.reference import log_losses, shares_below

# Distances of a window of rows from a reference, by the statistics that both keep.

BINS = 10
LEAST_SHARE = 1e-3
"""A share of a bin is taken to be at least that, where the logarithm of an empty one is needed."""

TAIL = 0.04
"""The share of either tail that Wasserstein's distance leaves out: a window's largest number says
little of it.
"""


SNAP = 1e-6
"""How far a number may be from an atom that it stands for, as a share of 1 + the atom's size: what
single precision explains.
"""


def distances(reference: Fields, window: Fields) -> dict[str, float]:
    """Return the distances of a column in a window from its reference, by the names of `DISTANCES`.

    Both as `column_reference` makes them. Nothing where either has no value.
    """
    kind = reference["kind"]
    if kind != window["kind"]:
        return {}
    first, second = _shares(reference, window) if kind == "text" else _quantiles(reference, window)
    if not len(first) or not len(second):
        return {}
    measures = {
        name: each.of_texts if kind == "text" else each.of_numbers
        for name, each in DISTANCES.items()
    }
    return {name: measure(first, second) for name, measure in measures.items() if measure}


def _quantiles(reference: Fields, window: Fields) -> list[ndarray]:
    """Return the quantiles of both; those of the window are snapped to the reference's atoms."""
    first, second = (np.asarray(each["quantiles"], float) for each in (reference, window))
    return [first, snapped(second, first)]


def snapped(values: ndarray, reference: ndarray) -> ndarray:
    """Return numbers of which each that is within `SNAP` of an atom of a reference is that atom.

    An atom is a number that many rows have. Kolmogorov-Smirnov's distance takes one that another
    program computes with other last bits for a change of all these rows.

    Args:
        values: Shape (n,).
        reference: Rising quantiles; two that are the same are an atom.
    """
    atoms = np.unique(reference[1:][np.diff(reference) == 0])
    if not len(atoms) or not len(values):
        return values
    place = np.searchsorted((atoms[1:] + atoms[:-1]) / 2, values)
    nearest = atoms[place]
    near = np.abs(values - nearest) <= SNAP * (1 + np.abs(nearest))
    return np.where(near, nearest, values)


def _shares(reference: Fields, window: Fields) -> list[ndarray]:
    """Return the shares of all texts of either in both; empty where one has no text."""
    both = [each["shares"] for each in (reference, window)]
    names = list(dict.fromkeys(name for shares in both for name in shares))
    return [np.array([shares.get(name, 0.0) for name in names if shares]) for shares in both]


def stability(expected: ndarray, found: ndarray) -> float:
    """Return the population stability index of two vectors of shares: the sum of (q - p) log(q /
    p).
    """
    p, q = (np.maximum(shares, LEAST_SHARE) for shares in (expected, found))
    return float(((q - p) * np.log(q / p)).sum())


def stability_of_numbers(first: ndarray, second: ndarray) -> float:
    """Return the population stability index over the deciles of the first."""
    edges = np.unique(np.quantile(first, np.linspace(0, 1, BINS + 1)[1:-1]))
    cuts = [
        np.diff(np.concatenate([[0.0], shares_below(grid, edges), [1.0]]))
        for grid in (first, second)
    ]
    return stability(*cuts)


def kolmogorov_smirnov(first: ndarray, second: ndarray) -> float:
    """Return the largest difference of two distribution functions."""
    every = np.unique(np.concatenate([first, second]))
    return float(np.abs(shares_below(first, every) - shares_below(second, every)).max())


def total_variation(first: ndarray, second: ndarray) -> float:
    """Return half the sum of the differences of shares: Kolmogorov-Smirnov's of texts, which have
    no order.
    """
    return float(np.abs(first - second).sum() / 2)


def wasserstein(first: ndarray, second: ndarray) -> float:
    """Return the mean difference of quantiles over the width of the first's middle half."""
    levels = np.linspace(TAIL, 1 - TAIL, 93)
    width = float(np.subtract(*np.quantile(first, [0.75, 0.25]))) or float(np.ptp(first)) or 1.0
    return float(np.abs(np.quantile(first, levels) - np.quantile(second, levels)).mean()) / width


class Distance(NamedTuple):
    """A distance of a window from the reference: 0 where they are the same, and never below.

    Attributes:
        of_numbers: The function of the quantiles of the reference and of the window, each on an
            even grid of levels of its own; None for a distance of texts alone.
        of_texts: The function of the shares of the same texts in both; None for a distance of
            numbers alone.
    """

    of_numbers: Callable[[ndarray, ndarray], float] | None = None
    of_texts: Callable[[ndarray, ndarray], float] | None = None


DISTANCES = {
    "psi": Distance(stability_of_numbers, stability),
    "ks": Distance(kolmogorov_smirnov, total_variation),
    "wasserstein": Distance(wasserstein),
}
"""The drift tests of a monitor, by the names that reports and violations give them.

All of them always run: no option chooses among them.
"""


def new_share(reference: Fields, window: Fields) -> float:
    """Return the share of a window's texts that the reference does not have."""
    if window["kind"] != "text":
        return 0.0
    return float(
        sum(share for name, share in window["shares"].items() if name not in reference["shares"])
    )


# Evidence of change: p-values of a window against those of the reference, and a sequential test
# of stated false alarms.

LEAST_SPREAD = 0.1
"""The standard deviation of the logarithm of a distance is taken to be at least that."""

FLOOR = 1e-12

LOOKED_BEYOND = 10
"""A p-value is at least a tenth of the one by rank: so far is the law of logarithms trusted beyond
the reference.
"""


@dataclass(frozen=True, slots=True)
class DriftFinding:
    """One statistic of one column in one window.

    Attributes:
        column: Its name.
        check: A name of `DISTANCES`, `missing`, `new_values`, `calibration` or `error`.
        value: The statistic.
        usual: What it usually is in the reference.
        p_value: The chance of so large a distance in a world that does not change.
    """

    column: str
    check: str
    value: float
    usual: float
    p_value: float


class Baseline:
    """The distances of the reference's own windows, by which those of a new one are judged.

    The logarithm of a distance is taken to be normal over windows; with w of them its prediction
    for the next one is Student's t of w - 1 degrees of freedom, trusted no further than
    `LOOKED_BEYOND` says. Seasons that the windows span are in their spread, so that they are no
    alarm.

    Args:
        reference: A bundle's `reference.json`.

    Attributes:
        predictions: The names of answers, which not every row has.
        windows: The windows of the reference.
    """

    def __init__(self, reference: Fields) -> None:
        self.predictions = frozenset(reference.get("predictions", {}))
        self._overall: Json = {**reference["columns"], **reference.get("predictions", {})}
        self.windows = len(reference["windows"])
        self._logs: dict[tuple[str, str], ndarray] = {}
        self._missing: dict[str, ndarray] = {}
        for name, overall in self._overall.items():
            parts = [
                window["columns"][name]
                for window in reference["windows"]
                if name in window["columns"]
            ]
            self._missing[name] = np.array([part["missing"] for part in parts])
            found = [each for part in parts if (each := distances(overall, part))]
            for check in found[0] if found else ():
                self._logs[name, check] = np.log(np.maximum([each[check] for each in found], FLOOR))

    @property
    def names(self) -> tuple[str, ...]:
        """The columns and predictions that are watched."""
        return tuple(self._overall)

    def findings(self, window: Mapping[str, Fields]) -> list[DriftFinding]:
        """Return every statistic of a window: by column what `column_reference` makes of it."""
        found = []
        for name, part in window.items():
            overall = self._overall[name]
            found.append(self._of_missing(name, part))
            if overall["kind"] == "text" and part["kind"] == "text":
                share = new_share(overall, part)
                present = int(part["n"] * (1 - part["missing"]))
                rate = usual_new_share(overall)
                found.append(
                    DriftFinding(
                        name,
                        "new_values",
                        share,
                        rate,
                        binomial_tail(round(share * present), present, rate),
                    )
                )
            for check, value in distances(overall, part).items():
                if (name, check) in self._logs:
                    found.append(self._of_distance(name, check, value))
        return found

    def _of_distance(self, name: str, check: str, value: float) -> DriftFinding:
        from scipy.stats import t

        logs = self._logs[name, check]
        if len(logs) < 3:
            return DriftFinding(name, check, value, float(np.exp(logs.mean())), 1.0)
        # Student's t of one more window, for distances whose logarithms are about normal
        spread = max(float(logs.std(ddof=1)), LEAST_SPREAD) * np.sqrt(1 + 1 / len(logs))
        new = np.log(max(value, FLOOR))
        likely = float(t.sf((new - logs.mean()) / spread, len(logs) - 1))
        # no law is trusted far beyond the windows that were seen
        rank = (1 + int((logs >= new).sum())) / (1 + len(logs))
        return DriftFinding(
            name, check, value, float(np.exp(logs.mean())), max(likely, rank / LOOKED_BEYOND)
        )

    def _of_missing(self, name: str, part: Fields) -> DriftFinding:
        """Judge what is missing by the binomial law, and by its spread over windows where that is
        wider; either way counts.
        """
        from scipy.stats import t

        shares, overall, n = self._missing[name], self._overall[name], part["n"]
        rate = (overall["missing"] * overall["n"] + 1) / (overall["n"] + 2)
        count = round(part["missing"] * n)
        chance = min(
            1.0, 2 * min(binomial_tail(count, n, rate), 1 - binomial_tail(count + 1, n, rate))
        )
        if len(shares) >= 3 and shares.std(ddof=1) > 0:
            z = abs(part["missing"] - shares.mean()) / (
                shares.std(ddof=1) * np.sqrt(1 + 1 / len(shares))
            )
            chance = max(chance, float(2 * t.sf(z, len(shares) - 1)))
        return DriftFinding(name, "missing", part["missing"], rate, chance)


def usual_new_share(overall: Fields) -> float:
    """Return the share of texts to come that a reference does not name: those that it has beside,
    and those never seen.
    """
    unnamed = max(1 - sum(overall["shares"].values()), 0.0)
    return float(min(unnamed + overall.get("once", 0.0) + 1 / (overall["n"] + 2), 1.0))


def binomial_tail(count: int, n: int, rate: float) -> float:
    """Return the chance of at least so many among n at a rate."""
    from scipy.stats import binom

    return float(binom.sf(count - 1, n, rate)) if count > 0 else 1.0


def label_findings(probability: ndarray, label: ndarray, calibration: Fields) -> list[DriftFinding]:
    """Return how labels that have arrived follow probabilities, against how they did on the run's
    test rows.

    Args:
        probability: The probability of each row, shape (n,).
        label: The label of each row, 1.0 or 0.0, shape (n,).
        calibration: A reference's, as `calibration_of` makes it.
    """
    from scipy.stats import norm

    if not len(label) or not calibration.get("n"):
        return []
    bins = calibration["bins"]
    means, shares = (
        np.array([each[name] for each in bins], float) for name in ("probability", "label")
    )
    # the share of labels that the reference had at each probability
    expected = np.interp(probability, means, shares)
    expected = np.clip(expected, 1e-6, 1 - 1e-6)
    reference = sum(each["n"] for each in bins)
    # the reference's own shares are estimates, too
    variance = (expected * (1 - expected)).sum() * (1 + len(label) / reference)
    z = abs(label.sum() - expected.sum()) / np.sqrt(variance)
    loss = float(log_losses(probability, label).mean())
    spread = max(calibration["log_loss_sd"], 1e-9) * np.sqrt(1 / len(label) + 1 / reference)
    worse = (loss - calibration["log_loss"]) / spread
    return [
        DriftFinding(
            "probability",
            "calibration",
            float(label.mean()),
            float(expected.mean()),
            float(2 * norm.sf(z)),
        ),
        DriftFinding("probability", "error", loss, calibration["log_loss"], float(norm.sf(worse))),
    ]


class ChangeDetector:
    """A sequential test of stated false alarms: the Shiryaev-Roberts sum of e-values.

    Shin, Ramdas and Rinaldo (2023), "E-detectors: a nonparametric framework for sequential change
    detection": with e-values e_t of mean at most 1 while nothing changes, M_t = (M_(t-1) + 1) e_t
    reaches a threshold A after A windows on the average at the earliest, however the columns hang
    together. A window's e-value is the mean over its statistics of 1 / (2 sqrt(p)), each of mean 1
    for a uniform p (Vovk and Wang 2021).

    Args:
        per_month: False alarms a month at most.
        windows: Windows a month.
    """

    def __init__(self, per_month: float, windows: float) -> None:
        self.threshold = max(windows / per_month, 1.0)
        self.value = 0.0

    def take(self, p_values: Sequence[float]) -> bool:
        """Take up a window; return whether it raises an alarm, after which the sum begins anew."""
        if not p_values:
            return False
        clipped = np.maximum(np.asarray(p_values, float), 1e-16)
        self.value = (self.value + 1) * float(np.mean(0.5 / np.sqrt(clipped)))
        alarm = self.value >= self.threshold
        if alarm:
            self.value = 0.0
        return alarm


def discoveries(findings: Sequence[DriftFinding], level: float) -> list[DriftFinding]:
    """Return the findings whose false discovery rate is at most a level, whatever their dependence
    (Benjamini, Yekutieli 2001).

    Where none is, the least likely one: an alarm is always about something.
    """
    ordered = sorted(findings, key=lambda finding: finding.p_value)
    m = len(ordered)
    penalty = m * float(np.sum(1 / np.arange(1, m + 1)))
    kept = max(
        (k for k, finding in enumerate(ordered, 1) if finding.p_value <= level * k / penalty),
        default=1,
    )
    return ordered[:kept]
