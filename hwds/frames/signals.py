"""Features of signals: windows of rows of runs, scales within regimes, and spectra."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy import ndarray

from hwds.core.compiling import compiled
from hwds.core.errors import DataError
from hwds.core.serialization import Serializable
from hwds.frames.features.base import FeatureSet
from hwds.frames.kernels import STATISTICS, fill_windows
from hwds.frames.runs import RowsOfRuns, Runs, is_steady

# Windows of rows of runs and their means, with the bits of a stream.


def windows_of_rows(signals: ndarray, begins: ndarray, window: int, rows: ndarray) -> ndarray:
    """Return the last rows up to some, the first row repeated where a run is younger.

    Shape (m, window, k), single precision.

    Args:
        signals: Rows of runs, those of a run side by side, shape (n, k).
        begins: The first row of each row's run, shape (n,).
        window: Rows of a window.
        rows: Places, shape (m,).
    """
    places = np.maximum(rows[:, None] + np.arange(1 - window, 1), begins[rows][:, None])
    return np.ascontiguousarray(signals[places], np.float32)


def moving_mean(values: ndarray, begins: ndarray, window: int) -> ndarray:
    """Return the mean of the last rows of a run up to each, of as many as there are.

    The same shape.

    Args:
        values: Rows of runs, those of a run side by side, shape (n, k).
        begins: The first row of each row's run, shape (n,).
        window: Rows at most.
    """
    out = np.empty((len(values), 1, values.shape[1]))
    kinds = np.array([STATISTICS.index("mean")])
    compiled(fill_windows)(
        np.ascontiguousarray(values), begins, np.arange(len(values)), window, kinds, out
    )
    return out[:, 0]


# Scales of sensors within operating conditions, learned from the runs of a fit.

STILL_SHARE = 1e-9
"""A standard deviation below so much of a sensor's size is rounding: it does not change within the
condition.
"""


@dataclass(frozen=True, eq=False)
class RegimeScales(Serializable):
    """The mean and the standard deviation of each sensor within each operating condition.

    Attributes:
        sensors: The columns that are scaled.
        settings: The columns that tell conditions apart; none where there is one condition.
        centres: The centre of each condition, in units of `spread`, shape (R, settings).
        spread: The standard deviation of each setting, 1 where it does not change; shape
            (settings,).
        mean: The mean by condition and sensor, shape (R, sensors).
        sd: The standard deviation likewise; 0 where a sensor does not change within a condition.
    """

    sensors: tuple[str, ...]
    settings: tuple[str, ...]
    centres: ndarray
    spread: ndarray
    mean: ndarray
    sd: ndarray

    @classmethod
    def learn(cls, runs: Runs, regimes: int = 0) -> Self:
        """Return the scales of runs.

        Args:
            runs: The runs to learn from; each row counts as much as any other.
            regimes: Conditions to tell apart by k-means of the settings; 0 takes as many as the
                data says it has.

        Raises:
            DataError: No sensor changes.
        """
        if all(is_steady(runs.data[name]) for name in runs.sensors):
            raise DataError("dataset.roles.sensor: no sensor changes in the runs to learn from.")
        wanted = (regimes or runs.regimes) if runs.settings else 1
        settings = runs.settings if wanted > 1 else ()
        values = runs.numbers(settings)
        spread = values.std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        centres = _centres(values / spread, wanted) if settings else np.zeros((1, 0))
        regime = nearest_centre(values / spread, centres)
        numbers = runs.numbers(runs.sensors)
        mean = np.stack([numbers[regime == r].mean(axis=0) for r in range(len(centres))])
        sd = np.stack([numbers[regime == r].std(axis=0) for r in range(len(centres))])
        sd = np.where(sd > STILL_SHARE * np.maximum(np.abs(mean), 1.0), sd, 0.0)
        return cls(runs.sensors, settings, centres, spread, mean, sd)

    def within_runs(self, runs: Runs) -> Self:
        """Return the scales with the levels of conditions by differences within runs, less each
        run's straight line in its age.

        A mean over all rows of a condition also has how worn the machines happened to be in it.
        With a few dozen machines that differs from condition to condition by as much as the noise
        of a good sensor.

        Args:
            runs: The runs that the scales were learned from.
        """
        if len(self.centres) == 1:
            return self
        regime = nearest_centre(runs.numbers(self.settings) / self.spread, self.centres)
        numbers, which = runs.numbers(self.sensors), np.eye(len(self.centres))[regime]
        off = np.empty((len(numbers), which.shape[1] + numbers.shape[1]))
        for begin, end in itertools.pairwise(runs.offsets):
            # both sides less the run's line in its age: wear explains nothing of a condition
            line, _ = np.linalg.qr(np.column_stack([np.ones(end - begin), runs.cycles[begin:end]]))
            part = np.column_stack([which[begin:end], numbers[begin:end]])
            off[begin:end] = part - line @ (line.T @ part)
        level = np.linalg.lstsq(off[:, : which.shape[1]], off[:, which.shape[1] :], rcond=None)[0]
        # differences fix levels up to a constant: the overall mean stays
        mean = level - which.mean(axis=0) @ level + numbers.mean(axis=0)
        sd = (numbers - mean[regime]).std(axis=0)
        return replace(self, mean=mean, sd=np.where(self.sd > 0, sd, 0.0))

    def scale(self, runs: Runs) -> ndarray:
        """Return the sensors of each row less the mean of its condition, in its standard
        deviations; shape (rows, sensors).
        """
        return self.scale_numbers(runs.numbers(self.sensors), runs.numbers(self.settings))

    def scale_numbers(self, numbers: ndarray, settings: ndarray) -> ndarray:
        """Return the same of rows as arrays.

        Args:
            numbers: The values of the sensors, shape (rows, sensors).
            settings: The values of the settings, shape (rows, settings).
        """
        regime = nearest_centre(settings / self.spread, self.centres)
        sd = self.sd[regime]
        return np.where(sd > 0, (numbers - self.mean[regime]) / np.where(sd > 0, sd, 1.0), 0.0)


def nearest_centre(values: ndarray, centres: ndarray) -> ndarray:
    """Return the number of the nearest centre of each row, shape (rows,)."""
    if len(centres) == 1:
        return np.zeros(len(values), np.int64)
    distances = [_squared_distance(values, centre) for centre in centres]
    return np.argmin(np.stack(distances), axis=0)


def _squared_distance(values: ndarray, centre: ndarray) -> ndarray:
    """Return that of each row, summed setting by setting: a sum by blocks has other bits of one row
    alone.
    """
    total = np.zeros(len(values))
    for column in range(values.shape[1]):
        total += (values[:, column] - centre[column]) ** 2
    return total


def _centres(values: ndarray, regimes: int) -> ndarray:
    """Return the centres of k-means, begun at the rows that lie farthest apart (Gonzalez 1985):
    nothing is drawn.
    """
    from scipy.cluster.vq import kmeans2

    first = int(np.argmin(((values - values.mean(axis=0)) ** 2).sum(axis=1)))
    begun, distance = [first], ((values - values[first]) ** 2).sum(axis=1)
    while len(begun) < regimes and distance.max() > 0:
        begun.append(int(np.argmax(distance)))
        distance = np.minimum(distance, ((values - values[begun[-1]]) ** 2).sum(axis=1))
    centres, labels = kmeans2(values, values[begun], minit="matrix", missing="warn")
    return centres[np.unique(labels)]


# Spectra of windows: the shares of bands of frequency, how flat the spectrum is, and the
# strongest beat of the envelope.

Spectral = Literal["entropy", "envelope"]
"""Numbers of a window's spectrum beside its bands."""

FEWEST = 4
"""Rows of a window that has a spectrum; of fewer, every number is 0."""

AT_ONCE = 1 << 20
"""Values of windows that are transformed together: a bound on memory, which changes no bit."""


def spectra(
    signals: ndarray,
    begins: ndarray,
    rows: ndarray,
    window: int,
    bands: int,
    kinds: tuple[str, ...],
) -> ndarray:
    """Return numbers of the spectrum of some rows' windows, shape (m, (bands + kinds) x signals),
    signals fastest.

    A window is less its mean and tapered (Hann). The power of each frequency above 0 is a share of
    all: `bands` add up those of equal stretches up to half a cycle a row; `entropy` is theirs over
    that of a flat spectrum (0 for one tone, 1 for noise); `envelope` is the strongest share in the
    spectrum of the amplitude of the analytic signal: the beat of a worn bearing (Randall and Antoni
    2011, "Rolling element bearing diagnostics").

    Args:
        signals: Rows of runs, shape (n, signals).
        begins: The first row of the run of each requested row, shape (m,): a window does not begin
            before it.
        rows: The places of the requested rows, shape (m,).
        window: Rows of a window.
        bands: The number of bands.
        kinds: The kinds of the numbers that follow.
    """
    count = signals.shape[1]
    out = np.zeros((len(rows), bands + len(kinds), count))
    lengths = np.minimum(window, rows - begins + 1)
    for length in np.unique(lengths[lengths >= FEWEST]):
        which = np.flatnonzero(lengths == length)
        step = max(1, AT_ONCE // (int(length) * count))
        for first in range(0, len(which), step):
            part = which[first : first + step]
            places = rows[part][:, None] + np.arange(1 - int(length), 1)
            out[part] = _numbers(np.moveaxis(signals[places], 1, 2), bands, kinds).transpose(
                0, 2, 1
            )
    return out.reshape(len(rows), -1)


def _numbers(windows: ndarray, bands: int, kinds: tuple[str, ...]) -> ndarray:
    """Return the numbers of windows, shape (windows, signals, length), as (windows, signals,
    numbers).
    """
    length = windows.shape[-1]
    centred = np.ascontiguousarray(windows - _mean(windows))
    shares = _shares(centred * np.hanning(length + 2)[1:-1])
    place = np.arange(1, shares.shape[-1] + 1) / length  # cycles a row
    band = np.minimum((place * 2 * bands).astype(int), bands - 1)
    numbers = [_sum_in_order(shares[..., band == number]) for number in range(bands)]
    for kind in kinds:
        numbers.append(
            _entropy(shares) if kind == "entropy" else _shares(_amplitude(centred)).max(axis=-1)
        )
    return np.stack(numbers, axis=-1)


def _shares(values: ndarray) -> ndarray:
    """Return the power of each frequency above 0 as a share of all, 0 where there is none."""
    power = np.abs(np.fft.rfft(values, axis=-1)[..., 1:]) ** 2
    whole = _sum_in_order(power)[..., None]
    return np.divide(power, whole, out=np.zeros_like(power), where=whole > 1e-24)


def _entropy(shares: ndarray) -> ndarray:
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return -_sum_in_order(shares * logs) / np.log(max(shares.shape[-1], 2))


def _amplitude(values: ndarray) -> ndarray:
    """Return the amplitude of the analytic signal less its mean, by the discrete Hilbert
    transform.
    """
    length = values.shape[-1]
    doubled = np.zeros(length)
    doubled[0] = 1.0
    doubled[1 : (length + 1) // 2] = 2.0
    if length % 2 == 0:
        doubled[length // 2] = 1.0
    amplitude = np.abs(np.fft.ifft(np.fft.fft(values, axis=-1) * doubled, axis=-1))
    return amplitude - _mean(amplitude)


def _mean(values: ndarray) -> ndarray:
    return _sum_in_order(values)[..., None] / values.shape[-1]


def _sum_in_order(values: ndarray) -> ndarray:
    """Return sums along the last axis, added one after the other: a sum by blocks has other bits in
    other shapes.
    """
    total = np.zeros(values.shape[:-1])
    for place in range(values.shape[-1]):
        total += values[..., place]
    return total


class LearnedRunFeatures(Protocol):
    """The result of `RunFeatures.learn`: scales that were learned, and the numbers of each
    cycle.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of `compute`."""

    def compute(self, runs: Runs) -> ndarray:
        """Return the numbers of each cycle, shape (rows, names): of its own run's cycles up to it,
        and nothing else.
        """


@runtime_checkable
class LiveRunFeatures(LearnedRunFeatures, Protocol):
    """Learned features that follow runs row by row, with the bits of `compute`."""

    @property
    def sensors(self) -> tuple[str, ...]:
        """The sensors that they read."""

    @property
    def settings(self) -> tuple[str, ...]:
        """The settings that they read."""

    def new_state(self) -> Any:
        """Return what is kept of a run before its first row."""

    def advance(self, states: Sequence[Any], rows: RowsOfRuns) -> ndarray:
        """Return the numbers of new rows, shape (rows, names), and let the states of their runs go
        on.
        """


class RunFeatures(FeatureSet):
    """Numbers of each cycle of runs as of that cycle, proven so by the leak check.

    Scales are learned from the runs of a fit.
    """

    of: ClassVar[type] = Runs

    @property
    def has_age(self) -> bool:
        """True where the age of a run is among its numbers."""
        return False

    def learn(self, runs: Runs) -> LearnedRunFeatures:
        """Return the features with the scales of these runs; no ends of runs are looked at."""
        raise NotImplementedError(f"{type(self).__name__}.learn")
