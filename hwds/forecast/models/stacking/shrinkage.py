"""Weights whose shrinkage is learned: equal ones where members are alike, the best alone where they are not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from hwds.forecast.models.stacking.weights import MemberWindows

POWERS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 256.0)
"""Tried powers of one over a member's loss: 0 is equal weights, the last the best member but for exact ties."""

SURE = 2.0
"""Standard errors that a member must be behind the best to be screened out."""

HELPS = 0.1
"""The weight beside the best member with which one that is behind must lower the loss to stay."""

HALF = 0.5
"""The share of the history that was known before a window that is like the one to come."""

CLEAR = 0.2
"""The share of the best loss that a member is clearly behind by: the series of a window share its shocks, a recession among
them, so that what learns from all series and what is fitted to each are by turns ahead by 10 %."""

FEW = 10
"""Series below which a member may be clearly behind by chance."""

FLAT = {1: 0.02, 2: 0.01}
"""By the number of windows, the share of the least loss within which weights may as well be nearer to equal ones."""

NEARNESS = 2.0
"""The power of the share of the history that was known before a window, by which its rows count."""

EXACT = 1e-12
"""A loss below this, in units of the median member's, counts as this: several members may be exact."""

PARTS = 3
"""Parts that series are cut into where there is one window alone."""


def learned_weights(seen: MemberWindows) -> np.ndarray:
    """Return weights of at least 0 with the sum 1, as far from equal ones as left-out windows say, shape (members,).

    A member that is behind the best by over a fifth has none (of fewer than ten series, one that is surely so). The others'
    weights go by a power of one over their loss: the one of least mean absolute scaled error on windows left out in turn
    (Diebold and Shin 2019, "Machine learning for regularized survey forecast combination", on shrinkage that is chosen so).
    Of fewer than three windows before which half of the history was known, which tell of their own shocks as much as of the
    members, weights as near to equal ones are taken as cost next to nothing there; of one alone three parts of its series take
    the place of windows. Every window counts alike, however hard it was: what made it hard, its series shared. But the less of
    the history was known before it, the less it counts: what learns from all series is behind there for want of rows that it
    has by now. Weights of least loss on the windows themselves were no better on worlds apart, nor a mixture that had to be
    ahead of the best member in each window.

    Args:
        seen: What members forecast on inner windows.
    """
    level = levelled(seen)
    return shrunk(level, _close(level), FLAT.get(_like_now(level), 0.0))


def levelled(seen: MemberWindows) -> MemberWindows:
    """Return the rows in units of the median member's loss in their window."""
    numbers, place = np.unique(seen.window, return_inverse=True)
    losses = np.median([np.bincount(place, loss) / np.bincount(place) for loss in seen.losses.T], axis=0)
    size = np.where(losses > 0, losses, 1.0)[place] if len(numbers) else np.ones(0)
    return replace(seen, forecasts=seen.forecasts / size[:, None], target=seen.target / size)


def _counted(seen: MemberWindows) -> np.ndarray:
    """Return the weight of each row, of mean 1: the fewer the rows known before its window, the less."""
    if seen.known is None:
        return np.ones(len(seen.target))
    weights = seen.known**NEARNESS
    counted: np.ndarray = weights / weights.mean()
    return counted


def _mean_losses(seen: MemberWindows) -> np.ndarray:
    means: np.ndarray = (seen.losses * _counted(seen)[:, None]).mean(0)
    return means


def shrunk(seen: MemberWindows, kept: np.ndarray, flat: float) -> np.ndarray:
    """Return the weights of least loss on left-out windows among those tried, shape (members,).

    Args:
        seen: What members forecast on inner windows, levelled.
        kept: The members that may have weight.
        flat: The share of the least loss on left-out windows within which the weights nearest to equal ones are taken.
    """
    weights = np.zeros(seen.forecasts.shape[1])
    weights[kept] = _chosen(seen.members(kept), flat) if len(kept) > 1 else 1.0
    return weights


def _chosen(seen: MemberWindows, flat: float) -> np.ndarray:
    parts = [(np.stack(list(_tried(before))), after) for before, after in _left_out(seen)]
    losses = np.concatenate([np.abs(after.forecasts @ tried.T - after.target[:, None]) for tried, after in parts])
    counted = np.concatenate([_counted(seen)[rows] for rows in _places(seen)])
    means = (losses * counted[:, None]).mean(0)
    return list(_tried(seen))[int(np.argmax(means <= means.min() * (1 + flat)))]  # of equals the nearest to equal weights


def _like_now(seen: MemberWindows) -> int:
    """Return the number of windows before which half of the history was known; of those of the most where none has."""
    numbers, place = np.unique(seen.window, return_inverse=True)
    known = np.ones(len(numbers)) if seen.known is None else np.bincount(place, seen.known) / np.bincount(place)
    return int((known >= min(HALF, known.max())).sum())


def screened(seen: MemberWindows, near: float = 0.0, *, helped: bool = True) -> np.ndarray:
    """Return the members that are not screened out, rising: the best, those not surely behind it, and those that help it."""
    losses, counted, means = seen.losses, _counted(seen), _mean_losses(seen)
    best = int(np.argmin(means))
    kept = []
    for member in range(losses.shape[1]):
        mean, error = paired((losses[:, member] - losses[:, best]) * counted, seen.series)
        close = means[member] <= (1 + near) * means[best]
        if close or not mean > SURE * error or (helped and _helps(seen, counted, best, member)):
            kept.append(member)
    return np.array(kept)


def _close(seen: MemberWindows) -> np.ndarray:
    """Return the members that are not clearly behind the best, rising: surely or not, unless series are few."""
    if len(np.unique(seen.series.astype(str))) < FEW:
        return screened(seen, CLEAR, helped=False)
    means = _mean_losses(seen)
    return np.flatnonzero(means <= (1 + CLEAR) * means.min())


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


def _helps(seen: MemberWindows, counted: np.ndarray, best: int, member: int) -> bool:
    """Return whether a little of a member beside the best lowers the loss; it is convex, so that more would not else."""
    errors = seen.forecasts - seen.target[:, None]
    mixed = (1 - HELPS) * errors[:, best] + HELPS * errors[:, member]
    return bool((np.abs(mixed) * counted).mean() < (np.abs(errors[:, best]) * counted).mean())


def _tried(seen: MemberWindows) -> Iterator[np.ndarray]:
    """Yield the weights of each power."""
    relative = np.maximum(_mean_losses(seen), EXACT)
    relative = relative / relative.min()  # never below 1, of which no power overflows
    for power in POWERS:
        inverse = relative**-power
        yield inverse / inverse.sum()


def _left_out(seen: MemberWindows) -> Iterator[tuple[MemberWindows, MemberWindows]]:
    """Yield what weights are learned on and what they are tried on: each window in turn, or each part of the series."""
    for inside in _places(seen):
        yield (seen if inside.all() else seen.take(~inside)), seen.take(inside)


def _places(seen: MemberWindows) -> Iterator[np.ndarray]:
    """Yield the rows of each window, or of each part of the series where there is one window alone."""
    part = seen.window
    if len(np.unique(part)) == 1:
        _, number = np.unique(seen.series.astype(str), return_inverse=True)
        part = number % PARTS
    for number in np.unique(part):
        yield part == number
