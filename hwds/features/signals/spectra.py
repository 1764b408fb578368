"""Spectra of windows: the shares of bands of frequency, how flat the spectrum is, and the strongest beat of the envelope."""

from __future__ import annotations

import numpy as np

SPECTRAL = ("entropy", "envelope")
"""Numbers of a window's spectrum beside its bands."""

FEWEST = 4
"""Rows of a window that has a spectrum; of fewer, every number is 0."""

AT_ONCE = 1 << 20
"""Values of windows that are transformed together: a bound on memory, which changes no bit."""


def spectra(
    signals: np.ndarray, begins: np.ndarray, rows: np.ndarray, window: int, bands: int, kinds: tuple[str, ...]
) -> np.ndarray:
    """Return numbers of the spectrum of some rows' windows, shape (m, (bands + kinds) x signals), signals fastest.

    A window is less its mean and tapered (Hann). The power of each frequency above 0 is a share of all: `bands` add up those of
    equal stretches up to half a cycle a row; `entropy` is theirs over that of a flat spectrum (0 for one tone, 1 for noise);
    `envelope` is the strongest share in the spectrum of the amplitude of the analytic signal: the beat of a worn bearing
    (Randall and Antoni 2011, "Rolling element bearing diagnostics").

    Args:
        signals: Shape (n, signals).
        begins: The first row of the run of each requested row, shape (m,): a window does not begin before it.
        rows: The places of the requested rows, shape (m,).
        window: Rows of a window.
        bands: The number of bands.
        kinds: Which of `SPECTRAL` follow them.
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
            out[part] = _numbers(np.moveaxis(signals[places], 1, 2), bands, kinds).transpose(0, 2, 1)
    return out.reshape(len(rows), -1)


def _numbers(windows: np.ndarray, bands: int, kinds: tuple[str, ...]) -> np.ndarray:
    """Return the numbers of windows, shape (windows, signals, length), as (windows, signals, numbers)."""
    length = windows.shape[-1]
    centred = np.ascontiguousarray(windows - _mean(windows))
    shares = _shares(centred * np.hanning(length + 2)[1:-1])
    place = np.arange(1, shares.shape[-1] + 1) / length  # cycles a row
    band = np.minimum((place * 2 * bands).astype(int), bands - 1)
    numbers = [_summed(shares[..., band == number]) for number in range(bands)]
    for kind in kinds:
        numbers.append(_entropy(shares) if kind == "entropy" else _shares(_amplitude(centred)).max(axis=-1))
    return np.stack(numbers, axis=-1)


def _shares(values: np.ndarray) -> np.ndarray:
    """Return the power of each frequency above 0 as a share of all, 0 where there is none."""
    power = np.abs(np.fft.rfft(values, axis=-1)[..., 1:]) ** 2
    whole = _summed(power)[..., None]
    return np.divide(power, whole, out=np.zeros_like(power), where=whole > 1e-24)


def _entropy(shares: np.ndarray) -> np.ndarray:
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return -_summed(shares * logs) / np.log(max(shares.shape[-1], 2))


def _amplitude(values: np.ndarray) -> np.ndarray:
    """Return the amplitude of the analytic signal less its mean, by the discrete Hilbert transform."""
    length = values.shape[-1]
    doubled = np.zeros(length)
    doubled[0] = 1.0
    doubled[1 : (length + 1) // 2] = 2.0
    if length % 2 == 0:
        doubled[length // 2] = 1.0
    amplitude = np.abs(np.fft.ifft(np.fft.fft(values, axis=-1) * doubled, axis=-1))
    return amplitude - _mean(amplitude)


def _mean(values: np.ndarray) -> np.ndarray:
    return _summed(values)[..., None] / values.shape[-1]


def _summed(values: np.ndarray) -> np.ndarray:
    """Return sums along the last axis, added one after the other: a sum by blocks has other bits in other shapes."""
    total = np.zeros(values.shape[:-1])
    for place in range(values.shape[-1]):
        total += values[..., place]
    return total
