"""Weights whose shrinkage is learned: equal ones where members are alike, the best alone where they are not."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwds.forecast.models.stacking.weights import MemberWindows, simplex_weights

POWERS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 256.0)
"""Tried powers of one over a member's loss: 0 is equal weights, the last the best member but for exact ties."""

SURE = 2.0
"""Standard errors that a member must be behind the best to be screened out."""

HELPS = 0.1
"""The least weight beside the best member with which one that is behind still helps."""

GAIN = 1.0
"""Standard errors that a mixture must be ahead of the best member alone on left-out windows."""

PARTS = 3
"""Parts that series are cut into where there is one window alone."""


def learned_weights(seen: MemberWindows) -> np.ndarray:
    """Return weights of at least 0 with the sum 1, as far from equal ones as left-out windows say, shape (members,).

    A member that is surely behind the best, and no help beside it, has none. The others' weights go by a power of one over
    their loss: the one of least mean absolute scaled error on windows left out in turn (Diebold and Shin 2019, "Machine
    learning for regularized survey forecast combination", on shrinkage that is chosen so). A mixture that is not a standard
    error ahead of the best member alone there gives way to it. Every window counts alike, however hard it was: what made it
    hard, its series shared. Weights of least loss on the windows themselves were no better on worlds apart.
    """
    level = levelled(seen)
    kept = screened(level)
    weights = np.zeros(seen.forecasts.shape[1])
    weights[kept] = _shrunk(level.members(kept)) if len(kept) > 1 else 1.0
    return weights


def levelled(seen: MemberWindows) -> MemberWindows:
    """Return the rows in units of the median member's loss in their window."""
    numbers, place = np.unique(seen.window, return_inverse=True)
    losses = np.median([np.bincount(place, loss) / np.bincount(place) for loss in seen.losses.T], axis=0)
    size = np.where(losses > 0, losses, 1.0)[place] if len(numbers) else np.ones(0)
    return MemberWindows(seen.forecasts / size[:, None], seen.target / size, seen.window, seen.series, seen.step)


def _shrunk(seen: MemberWindows) -> np.ndarray:
    """Return the weights of least loss on left-out windows among those tried; the best member's unless they surely do good."""
    parts = [(np.stack(list(_tried(before))), after) for before, after in _left_out(seen)]
    losses = np.concatenate([np.abs(after.forecasts @ tried.T - after.target[:, None]) for tried, after in parts])
    lone = len(np.unique(seen.series.astype(str))) == 1  # of one series windows are all that can differ
    series = np.concatenate([after.window if lone else after.series for _, after in parts])
    chosen = int(np.argmin(losses.mean(0)))  # of equals the nearest to equal weights
    gain, error = paired(losses[:, -1] - losses[:, chosen], series)
    final: np.ndarray = list(_tried(seen))[chosen if gain > GAIN * error else -1]
    return final


def screened(seen: MemberWindows) -> np.ndarray:
    """Return the members that are not screened out, rising: the best, those not surely behind it, and those that help it."""
    losses = seen.losses
    best = int(np.argmin(losses.mean(0)))
    kept = [m for m in range(losses.shape[1]) if m == best or not _behind(seen, losses, best, m) or _helps(seen, best, m)]
    return np.array(kept)


def paired(losses: np.ndarray, series: np.ndarray) -> tuple[float, float]:
    """Return the mean over series of differences of losses, and its standard error; infinite of one series.

    Args:
        losses: The difference of each row, shape (rows,).
        series: The name of each row's series, shape (rows,).
    """
    _, number = np.unique(series.astype(str), return_inverse=True)
    means = np.bincount(number, losses) / np.bincount(number)
    error = means.std(ddof=1) / np.sqrt(len(means)) if len(means) > 1 else np.inf
    return float(means.mean()), float(error)


def _behind(seen: MemberWindows, losses: np.ndarray, best: int, member: int) -> bool:
    mean, error = paired(losses[:, member] - losses[:, best], seen.series)
    return mean > SURE * error


def _helps(seen: MemberWindows, best: int, member: int) -> bool:
    return bool(simplex_weights(seen.members(np.array([best, member])))[1] >= HELPS)


def _tried(seen: MemberWindows) -> Iterator[np.ndarray]:
    """Yield the weights of each power."""
    relative = seen.losses.mean(0)
    relative = np.maximum(relative / max(relative.min(), 1e-12), 1e-12)
    for power in POWERS:
        inverse = relative**-power
        yield inverse / inverse.sum()


def _left_out(seen: MemberWindows) -> Iterator[tuple[MemberWindows, MemberWindows]]:
    """Yield what weights are learned on and what they are tried on: each window in turn, or each part of the series."""
    part = seen.window
    if len(np.unique(part)) == 1:
        _, number = np.unique(seen.series.astype(str), return_inverse=True)
        part = number % PARTS
    for number in np.unique(part):
        inside = part == number
        yield (seen if inside.all() else seen.take(~inside)), seen.take(inside)
