"""Statistics of what sensors measured in the last cycles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le, MinLen
from numpy import ndarray

from hwds.core.compiling import compiled
from hwds.core.recipe import Once, Steps
from hwds.core.serialization import Serializable
from hwds.frames.kernels import STATISTICS, Statistic, fill_ewma, fill_windows
from hwds.frames.runs import RowsOfRuns, Runs, SignalState, Stacked
from hwds.frames.signals import RegimeScales, RunFeatures, Spectral, spectra

Weight = Annotated[float, Gt(0), Le(1)]


class SignalWindows(RunFeatures):
    """Statistics of each sensor over windows of the last cycles, its exponentially weighted means,
    its last value, and the age.

    Sensors are scaled within operating conditions first. If all sensors see the same wear, their
    first principal components have less noise than any sensor, and are windowed, too. A window that
    is longer than the run so far is as long as that. All numbers of a cycle follow from the run's
    cycles up to it, each window summed by itself: a stream gives the same bits.

    Attributes:
        windows: The lengths of the windows, in cycles.
        components: Principal components of the sensors that are windowed, too.
        statistics: The statistics of each window and sensor. `slope` is the slope of a straight
            line, per cycle; `crest` the peak over the root mean square; `kurtosis` is 3 for normal
            noise.
        bands: Equal bands of frequency, of whose power in each window the shares are there; 0 for
            none.
        spectrum: Numbers of each window's spectrum: `entropy`, from 0 of one tone to 1 of noise,
            and `envelope`, the strongest share in the spectrum of the signal's envelope, the beat
            of a worn bearing.
        ewma: Weights of the newest cycle, one exponentially weighted mean each.
        last: Whether the last value is there too.
        age: Whether the age of the run is there too.
        regimes: Operating conditions within which sensors are scaled; 0 takes as many as the data
            says it has.

    Example:
        python -m hwds +experiment=remaining_life features=signal_windows features.windows=[20,50]
    """

    windows: Annotated[tuple[Steps, ...], MinLen(1), Once] = (10, 30, 60, 100, 400)
    components: Annotated[int, Ge(0), Le(1_000)] = 2
    statistics: Annotated[tuple[Statistic, ...], MinLen(1), Once] = ("mean", "sd", "slope")
    bands: Annotated[int, Ge(0), Le(64)] = 0
    spectrum: Annotated[tuple[Spectral, ...], Once] = ()
    ewma: Annotated[tuple[Weight, ...], Once] = (0.1,)
    last: bool = True
    age: bool = True
    regimes: Annotated[int, Ge(0), Le(100)] = 0

    @property
    def has_age(self) -> bool:
        """True where the age of a run is among its numbers."""
        return self.age

    def learn(self, runs: Runs) -> LearnedSignalWindows:
        """Return the windows with the scales of these runs."""
        scaling = RegimeScales.learn(runs, self.regimes)
        return LearnedSignalWindows(
            self, scaling, principal_axes(scaling.scale(runs), run_begins(runs), self.components)
        )


@dataclass(frozen=True, eq=False)
class LearnedSignalWindows(Serializable):
    """Windows, and the scales of sensors.

    Attributes:
        recipe: What is computed.
        scaling: The scales of the sensors.
        axes: The axes of the principal components, shape (sensors, components).
    """

    recipe: SignalWindows
    scaling: RegimeScales
    axes: ndarray

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of `compute`."""
        recipe = self.recipe
        spectral = [*(f"band_{band + 1}" for band in range(recipe.bands)), *recipe.spectrum]
        numbers = [
            f"{kind}_{window}"
            for kinds in (recipe.statistics, spectral)
            for window in recipe.windows
            for kind in kinds
        ]
        numbers += [*(f"ewma_{weight:g}" for weight in recipe.ewma), *(["last"] * recipe.last)]
        components = (f"component {i + 1}" for i in range(self.axes.shape[1]))
        signals = (*self.scaling.sensors, *components)
        named = [f"{signal} {number}" for number in numbers for signal in signals]
        return (*named, *(["age"] * recipe.age))

    def compute(self, runs: Runs) -> ndarray:
        """Return the numbers of each cycle, shape (rows, names)."""
        signals, rows = self._signals(self.scaling.scale(runs)), np.arange(len(runs.data))
        parts = self._of_windows(signals, run_begins(runs), rows)
        parts += [smooth_signals(signals, run_begins(runs), weight) for weight in self.recipe.ewma]
        return np.column_stack([*parts, *self._plain(signals, runs.cycles)])

    @property
    def sensors(self) -> tuple[str, ...]:
        """The sensors that are windowed."""
        return self.scaling.sensors

    @property
    def settings(self) -> tuple[str, ...]:
        """The settings that tell operating conditions apart."""
        return self.scaling.settings

    def new_state(self) -> SignalState:
        """Return the state of a run before its first row."""
        signals, weights = len(self.scaling.sensors) + self.axes.shape[1], len(self.recipe.ewma)
        return SignalState(
            np.zeros((0, signals)), np.zeros((weights, signals)), np.zeros((weights, signals))
        )

    def advance(self, states: Sequence[SignalState], rows: RowsOfRuns) -> ndarray:
        """Return the numbers of new rows, shape (rows, names), with the bits of `compute`.

        States go on.

        Args:
            states: The state of each run that has new rows.
            rows: The new rows, in the order of the states.
        """
        new = self._signals(self.scaling.scale_numbers(rows.sensors, rows.settings))
        stack = Stacked.of([state.tail for state in states], new, rows.counts)
        parts = self._of_windows(stack.values, stack.begins, stack.rows)
        runs = np.repeat(np.arange(len(states)), rows.counts)
        for place, weight in enumerate(self.recipe.ewma):
            top, bottom = (
                np.stack([getattr(state, name)[place] for state in states])
                for name in ("top", "bottom")
            )
            parts.append(_ewma(new, runs, weight, top, bottom))
            for state, above, below in zip(states, top, bottom, strict=True):
                state.top[place], state.bottom[place] = above, below
        for state, tail in zip(states, stack.tails(max(self.recipe.windows) - 1), strict=True):
            state.tail = tail
        return np.column_stack([*parts, *self._plain(new, rows.cycles)])

    def _signals(self, scaled: ndarray) -> ndarray:
        """Return the scaled sensors of each row, and the components of them beside."""
        return np.ascontiguousarray(np.column_stack([scaled, components_along(scaled, self.axes)]))

    def _of_windows(self, signals: ndarray, begins: ndarray, rows: ndarray) -> list[ndarray]:
        """Return what is computed of the windows up to some rows."""
        parts = [self._statistics(signals, begins, rows, window) for window in self.recipe.windows]
        if self.recipe.bands or self.recipe.spectrum:
            spectral = (self.recipe.bands, self.recipe.spectrum)
            parts += [
                spectra(signals, begins, rows, window, *spectral) for window in self.recipe.windows
            ]
        return parts

    def _statistics(self, signals: ndarray, begins: ndarray, rows: ndarray, window: int) -> ndarray:
        kinds = np.array([STATISTICS.index(kind) for kind in self.recipe.statistics])
        out = np.empty((len(rows), len(kinds), signals.shape[1]))
        compiled(fill_windows)(signals, begins, rows, window, kinds, out)
        return out.reshape(len(rows), -1)

    def _plain(self, signals: ndarray, cycles: ndarray) -> list[ndarray]:
        """Return what is of a row alone."""
        return [
            *([signals] if self.recipe.last else []),
            *([cycles[:, None]] if self.recipe.age else []),
        ]


SMOOTHING = 0.2
"""The weight of the newest cycle in the means whose principal components are taken: noise is not to
be among them.
"""


def run_begins(runs: Runs) -> ndarray:
    """Return the first row of each row's run, shape (rows,)."""
    return np.repeat(runs.offsets[:-1], runs.lengths)


def smooth_signals(signals: ndarray, begins: ndarray, weight: float) -> ndarray:
    """Return exponentially weighted means of each run up to each row; the same shape."""
    runs = np.cumsum(np.arange(len(begins)) == begins) - 1
    top, bottom = (
        np.zeros((int(runs[-1]) + 1 if len(runs) else 0, signals.shape[1])) for _ in range(2)
    )
    return _ewma(np.ascontiguousarray(signals), runs, weight, top, bottom)


def _ewma(signals: ndarray, runs: ndarray, weight: float, top: ndarray, bottom: ndarray) -> ndarray:
    out = np.empty(signals.shape)
    compiled(fill_ewma)(signals, runs, weight, top, bottom, out)
    return out


def principal_axes(scaled: ndarray, begins: ndarray, components: int) -> ndarray:
    """Return the axes along which smoothed sensors vary most, shape (sensors, components).

    Each sums to 0 or more.

    Args:
        scaled: Sensors, shape (rows, sensors).
        begins: The first row of each row's run.
        components: The largest number of components.
    """
    values = smooth_signals(scaled, begins, SMOOTHING)
    _, axes = np.linalg.eigh(np.atleast_2d(np.cov(values.T)))
    first = axes[:, ::-1][:, : min(components, scaled.shape[1])]
    return np.ascontiguousarray(first * np.where(first.sum(axis=0) < 0, -1.0, 1.0))


def components_along(scaled: ndarray, axes: ndarray) -> ndarray:
    """Return the components of each row, summed sensor by sensor: a product of matrices has other
    bits of one row alone.
    """
    out = np.zeros((len(scaled), axes.shape[1]))
    for sensor in range(len(axes)):
        out += scaled[:, sensor : sensor + 1] * axes[sensor]
    return out
