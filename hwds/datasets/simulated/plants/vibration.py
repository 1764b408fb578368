"""Raw windows of an accelerometer on a machine's bearing, and what is computed of each."""

from __future__ import annotations

import numpy as np

RESONANCE = 320.0
"""The frequency in Hz at which a blow on the bearing rings."""

DAMPING = 120.0
"""The rate at which a vibration dies away, in 1/s."""

FEATURES = ("vibration_rms", "vibration_crest", "vibration_kurtosis", "vibration_shaft", "vibration_bearing")


def raw_windows(
    rng: np.random.Generator,
    shaft: np.ndarray,
    bearing: np.ndarray,
    unbalance: np.ndarray,
    damage: np.ndarray,
    rate: int,
    samples: int,
) -> np.ndarray:
    """Return a window of acceleration for each row, shape (rows, samples).

    The shaft shakes at its frequency and twice of it, by its unbalance; a damaged place of the bearing is struck again and
    again, which makes it ring (McFadden and Smith 1984); the rest is noise. What is faster than half of the rate is filtered
    away before it is sampled.

    Args:
        rng: Draws phases and noise.
        shaft: Turns a second, shape (rows,).
        bearing: Blows a second, the bearing's outer-race frequency, shape (rows,).
        unbalance: The amplitude at the shaft's frequency, shape (rows,).
        damage: The height of blows, shape (rows,).
        rate: Samples a second.
        samples: The number of samples of a window.
    """
    time = np.arange(samples) / rate
    phase = rng.uniform(0, 2 * np.pi, (len(shaft), 3))
    turn = 2 * np.pi * shaft[:, None] * time
    once, twice = (unbalance * (shaft < rate / 2))[:, None], (0.2 * (2 * shaft < rate / 2))[:, None]
    shaken = once * np.sin(turn + phase[:, :1]) + twice * np.sin(2 * turn + phase[:, 1:2])
    since = ((bearing[:, None] * time + phase[:, 2:] / (2 * np.pi)) % 1.0) / bearing[:, None]
    ringing = (damage * (rate / 2 > RESONANCE))[:, None] * np.exp(-DAMPING * since) * np.sin(2 * np.pi * RESONANCE * since)
    return shaken + ringing + 0.3 * rng.standard_normal(shaken.shape)


def window_features(windows: np.ndarray, shaft: np.ndarray, bearing: np.ndarray, rate: int) -> np.ndarray:
    """Return the features of windows, shape (rows, features): see `FEATURES`.

    The amplitude at the shaft's frequency, and that of the envelope at the bearing's: of the signal less its slow part, whose
    absolute value is taken (envelope analysis, Randall and Antoni 2011). Below twice `RESONANCE` samples a second
    blows are not seen.

    Args:
        windows: Shape (rows, samples).
        shaft: Turns a second, shape (rows,).
        bearing: Blows a second, shape (rows,).
        rate: Samples a second.
    """
    centred = windows - windows.mean(axis=1, keepdims=True)
    rms = np.sqrt((centred**2).mean(axis=1))
    crest = np.abs(centred).max(axis=1) / rms
    kurtosis = (centred**4).mean(axis=1) / rms**4
    fast = np.diff(centred, n=2, axis=1)
    envelope = np.abs(fast)
    envelope = envelope - envelope.mean(axis=1, keepdims=True)
    return np.column_stack([rms, crest, kurtosis, amplitude(centred, shaft, rate), amplitude(envelope, bearing, rate)])


def amplitude(signals: np.ndarray, frequency: np.ndarray, rate: int) -> np.ndarray:
    """Return the amplitude of each signal at a frequency of its own, shape (rows,)."""
    time = np.arange(signals.shape[1]) / rate
    wave = np.exp(-2j * np.pi * frequency[:, None] * time)
    return np.asarray(2 * np.abs((signals * wave).mean(axis=1)))
