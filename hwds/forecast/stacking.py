"""The weights of a stack: member windows, shrinkage, weights by group, and the mixture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Self

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series, col

from hwds.core.errors import ConfigError, nearest
from hwds.core.serialization import Serializable
from hwds.forecast.models.base import FittedForecaster
from hwds.forecast.predictions import KNOWN_SHARE
from hwds.frames.panel import FALLBACK_KIND, Forecasts, Panel

# The weights of a stack: members' forecasts on windows before the cutoff, and the weights that
# would have been best there.

STRENGTHS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, np.inf)
"""Tried pulls of a ridge to equal weights, in units of the members' mean squared error; infinite is
equal weights.
"""

REWEIGHTING_ROUNDS = 20
"""The rounds of reweighting; weights change by less than a thousandth long before."""

MEDIAN = "q_0.5"

KEYS = ("series_id", "cutoff", "step")


@dataclass(frozen=True, eq=False)
class MemberWindows:
    """The forecasts of members on inner windows, in units of each series' scale.

    Attributes:
        forecasts: Shape (rows, members).
        target: Shape (rows,).
        window: The number of the window, counted from the end of each series, shape (rows,).
        series: The name of the series, shape (rows,).
        step: Counted from 1, shape (rows,).
        known: The share of the history's rows that were known before the window, shape (rows,);
            None counts all alike.
    """

    forecasts: ndarray
    target: ndarray
    window: ndarray
    series: ndarray
    step: ndarray
    known: ndarray | None = None

    def take(self, rows: ndarray) -> MemberWindows:
        """Return some of the rows."""
        known = None if self.known is None else self.known[rows]
        return MemberWindows(
            self.forecasts[rows],
            self.target[rows],
            self.window[rows],
            self.series[rows],
            self.step[rows],
            known,
        )

    def members(self, chosen: ndarray) -> MemberWindows:
        """Return the same rows of some of the members."""
        return replace(self, forecasts=self.forecasts[:, chosen])

    @property
    def losses(self) -> ndarray:
        """Absolute scaled errors, shape (rows, members)."""
        return np.abs(self.forecasts - self.target[:, None])


def member_windows(rows: Sequence[DataFrame]) -> MemberWindows:
    """Return the medians of all members (absolute errors judge medians), where each has one and the
    series has a scale.
    """
    if any(part.is_empty() for part in rows):
        none = np.zeros(0, np.int64)
        return MemberWindows(np.zeros((0, len(rows))), np.zeros(0), none, np.zeros(0, object), none)
    scaled = [name for name in ("scale_abs", "short_scale_abs") if name in rows[0].columns]
    known = col(KNOWN_SHARE) if KNOWN_SHARE in rows[0].columns else pl.lit(1.0)
    first = rows[0].select(
        *KEYS,
        "actual",
        known.alias(KNOWN_SHARE),
        scale_abs=pl.coalesce(scaled),
        member_0=MEDIAN,
    )
    others = [
        part.select(*KEYS, col(MEDIAN).alias(f"member_{i}")) for i, part in enumerate(rows[1:], 1)
    ]
    joined: DataFrame = reduce(
        lambda left, right: left.join(right, KEYS, "inner", maintain_order="left"), others, first
    )
    number = col("cutoff").rank("dense", descending=True).over("series_id")
    scored = joined.with_columns(window=number).filter(
        (col("scale_abs") > 0) & col("actual").is_not_null()
    )
    scale = scored["scale_abs"].to_numpy()
    forecasts = scored.select(f"member_{i}" for i in range(len(rows))).to_numpy() / scale[:, None]
    target = scored["actual"].to_numpy() / scale
    defined = np.isfinite(forecasts).all(axis=1) & np.isfinite(target)
    window, step = (scored[name].to_numpy().astype(np.int64) for name in ("window", "step"))
    return MemberWindows(
        forecasts,
        target,
        window,
        scored["series_id"].to_numpy(),
        step,
        scored[KNOWN_SHARE].to_numpy(),
    ).take(defined)


def absolute_simplex_weights(seen: MemberWindows) -> ndarray:
    """Return the weights of the least mean absolute error, at least 0 and with the sum 1, shape
    (members,).

    By iteratively reweighted least squares (Schlossmacher 1973): a row that is missed by far counts
    less, so that one launch does not decide.
    """
    # with the sum 1 the stack's error is the weighted error
    errors = seen.forecasts - seen.target[:, None]
    weights = np.full(errors.shape[1], 1 / errors.shape[1])
    for _ in range(REWEIGHTING_ROUNDS):
        rows = _row_weights(errors @ weights)
        weights = _least_on_simplex((errors * rows[:, None]).T @ errors / rows.sum())
    return weights


def absolute_ridge_weights(seen: MemberWindows) -> ndarray:
    """Return weights of any sign and sum, drawn to equal ones as far as windows left out in turn
    say, shape (members,).

    By the same reweighted least squares; the strength is chosen by the mean absolute scaled error.
    """
    numbers = np.unique(seen.window)
    losses = [
        np.mean([_left_out_loss(seen, number, strength) for number in numbers])
        for strength in STRENGTHS
    ]
    best = len(losses) - 1 - int(np.argmin(losses[::-1]))  # of equals the strongest
    return _ridge_towards_equal(seen, STRENGTHS[best])


def inverse_error_weights(seen: MemberWindows) -> ndarray:
    """Return weights in proportion to 1 / (mean absolute scaled error)^2, shape (members,): none is
    left out, none takes all.

    Bates and Granger (1969), "The Combination of Forecasts", without the covariances, which a few
    windows cannot tell.
    """
    precision = 1 / np.maximum(seen.losses.mean(0), 1e-12) ** 2
    return precision / precision.sum()


def winner_weights(seen: MemberWindows) -> ndarray:
    """Return all for the member of the least mean absolute scaled error, shape (members,)."""
    return np.eye(seen.forecasts.shape[1])[int(np.argmin(seen.losses.mean(0)))]


def _ridge_towards_equal(seen: MemberWindows, strength: float) -> ndarray:
    """Return equal weights plus their penalised correction."""
    count = seen.forecasts.shape[1]
    equal = np.full(count, 1 / count)
    if not np.isfinite(strength):
        return equal
    change, missed = np.zeros(count), seen.target - seen.forecasts @ equal
    pull = strength * float(np.mean((seen.forecasts - seen.target[:, None]) ** 2)) * np.eye(count)
    for _ in range(REWEIGHTING_ROUNDS):
        rows = _row_weights(missed - seen.forecasts @ change)
        moments = (seen.forecasts * rows[:, None]).T @ seen.forecasts / rows.sum()
        right = seen.forecasts.T @ (rows * missed) / rows.sum()
        change = np.linalg.lstsq(moments + pull, right, rcond=None)[0]
    return equal + change


def _left_out_loss(seen: MemberWindows, window: int, strength: float) -> float:
    """Return the loss on a window of the ridge from the others.

    Of equal weights where there is no other.
    """
    inside = seen.window == window
    if inside.all():
        weights = _ridge_towards_equal(seen, np.inf)
    else:
        weights = _ridge_towards_equal(seen.take(~inside), strength)
    return float(np.mean(np.abs(seen.forecasts[inside] @ weights - seen.target[inside])))


def _row_weights(missed: ndarray) -> ndarray:
    """Return the weights under which a sum of squares is one of absolute values."""
    sizes = np.abs(missed)
    return 1 / np.maximum(sizes, 1e-3 * np.mean(sizes) + 1e-12)


def _least_on_simplex(matrix: ndarray) -> ndarray:
    """Return argmin w'Mw on the simplex, by dropping the most negative weight until none is (active
    set).
    """
    count = len(matrix)
    free = np.ones(count, bool)
    while True:
        # the least squares with the sum 1, by a Lagrange multiplier, over the weights still free
        active = np.flatnonzero(free)
        ones = np.ones((len(active), 1))
        system = np.block([[2 * matrix[np.ix_(active, active)], ones], [ones.T, np.zeros((1, 1))]])
        solved = np.linalg.lstsq(system, np.append(np.zeros(len(active)), 1.0), rcond=None)[0][:-1]
        if solved.min() >= -1e-12:
            weights = np.zeros(count)
            weights[active] = np.maximum(solved, 0.0)
            return weights / weights.sum()
        free[active[int(np.argmin(solved))]] = False


# Weights whose shrinkage is learned: equal ones where members are alike, the best alone where
# they are not.

POWERS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 256.0)
"""Tried powers of one over a member's loss: 0 is equal weights, the last the best member but for
exact ties.
"""

SURE_ERRORS = 2.0
"""Standard errors that a member must be behind the best to be screened out."""

HELP_WEIGHT = 0.1
"""The weight beside the best member with which one that is behind must lower the loss to stay."""

HALF_KNOWN = 0.5
"""The share of the history that was known before a window that is like the one to come."""

CLEAR_SHARE = 0.2
"""The share of the best loss that a member is clearly behind by: the series of a window share its
shocks, a recession among them, so that what learns from all series and what is fitted to each are
by turns ahead by 10 %.
"""

FEW_SERIES = 10
"""Series below which a member may be clearly behind by chance."""

FLAT_SHARES = {1: 0.02, 2: 0.01}
"""By the number of windows, the share of the least loss within which weights may as well be nearer
to equal ones.
"""

NEARNESS = 2.0
"""The power of the share of the history that was known before a window, by which its rows count."""

EXACT_LOSS = 1e-12
"""A loss below this, in units of the median member's, counts as this: several members may be exact.
"""

SERIES_PARTS = 3
"""Parts that series are cut into where there is one window alone."""


def learned_weights(seen: MemberWindows) -> ndarray:
    """Return weights of at least 0 with the sum 1, as far from equal ones as left-out windows say,
    shape (members,).

    A member that is behind the best by over a fifth has none (of fewer than ten series, one that is
    surely so). The others' weights go by a power of one over their loss: the one of least mean
    absolute scaled error on windows left out in turn (Diebold and Shin 2019, "Machine learning for
    regularized survey forecast combination", on shrinkage that is chosen so). Of fewer than three
    windows before which half of the history was known, which tell of their own shocks as much as of
    the members, weights as near to equal ones are taken as cost next to nothing there; of one alone
    three parts of its series take the place of windows. Every window counts alike, however hard it
    was: what made it hard, its series shared. But the less of the history was known before it, the
    less it counts: what learns from all series is behind there for want of rows that it has by now.
    Weights of least loss on the windows themselves were no better on worlds apart, nor a mixture
    that had to be ahead of the best member in each window.

    Args:
        seen: The forecasts of members on inner windows.
    """
    level = level_losses(seen)
    return shrunken_weights(level, _near_best(level), FLAT_SHARES.get(_recent_windows(level), 0.0))


def level_losses(seen: MemberWindows) -> MemberWindows:
    """Return the rows in units of the median member's loss in their window."""
    numbers, place = np.unique(seen.window, return_inverse=True)
    counts = np.bincount(place)
    losses = np.median([np.bincount(place, loss) / counts for loss in seen.losses.T], axis=0)
    size = np.where(losses > 0, losses, 1.0)[place] if len(numbers) else np.ones(0)
    return replace(seen, forecasts=seen.forecasts / size[:, None], target=seen.target / size)


def _recency_weights(seen: MemberWindows) -> ndarray:
    """Return the weight of each row, of mean 1: the fewer the rows known before its window, the
    less.
    """
    if seen.known is None:
        return np.ones(len(seen.target))
    weights = seen.known**NEARNESS
    return weights / weights.mean()


def _mean_losses(seen: MemberWindows) -> ndarray:
    return (seen.losses * _recency_weights(seen)[:, None]).mean(0)


def shrunken_weights(seen: MemberWindows, kept: ndarray, flat: float) -> ndarray:
    """Return the weights of least loss on left-out windows among those tried, shape (members,).

    Args:
        seen: The forecasts of members on inner windows, levelled.
        kept: The members that may have weight.
        flat: The share of the least loss on left-out windows within which the weights nearest to
            equal ones are taken.
    """
    weights = np.zeros(seen.forecasts.shape[1])
    weights[kept] = _choose_weights(seen.members(kept), flat) if len(kept) > 1 else 1.0
    return weights


def _choose_weights(seen: MemberWindows, flat: float) -> ndarray:
    losses = np.concatenate(
        [
            np.abs(after.forecasts @ np.stack(_power_weights(before)).T - after.target[:, None])
            for before, after in _left_out_splits(seen)
        ]
    )
    counted = np.concatenate([_recency_weights(seen)[rows] for rows in _split_rows(seen)])
    means = (losses * counted[:, None]).mean(0)
    best = np.argmax(means <= means.min() * (1 + flat))  # of equals the nearest to equal weights
    return _power_weights(seen)[best]


def _recent_windows(seen: MemberWindows) -> int:
    """Return the number of windows before which half of the history was known.

    Of those of the most where none has.
    """
    numbers, place = np.unique(seen.window, return_inverse=True)
    known = np.ones(len(numbers))
    if seen.known is not None:
        known = np.bincount(place, seen.known) / np.bincount(place)
    return int((known >= min(HALF_KNOWN, known.max())).sum())


def screen_members(seen: MemberWindows, near: float = 0.0, *, helped: bool = True) -> ndarray:
    """Return the members that are not screened out, rising: the best, those not surely behind it,
    and those that help it.
    """
    losses, counted, means = seen.losses, _recency_weights(seen), _mean_losses(seen)
    best = int(np.argmin(means))
    kept = []
    for member in range(losses.shape[1]):
        behind = (losses[:, member] - losses[:, best]) * counted
        mean, error = paired_difference(behind, seen.series)
        close = means[member] <= (1 + near) * means[best]
        sure = mean > SURE_ERRORS * error
        if close or not sure or (helped and _helps(seen, counted, best, member)):
            kept.append(member)
    return np.array(kept)


def _near_best(seen: MemberWindows) -> ndarray:
    """Return the members that are not clearly behind the best, rising: surely or not, unless series
    are few.
    """
    if len(np.unique(seen.series.astype(str))) < FEW_SERIES:
        return screen_members(seen, CLEAR_SHARE, helped=False)
    means = _mean_losses(seen)
    return np.flatnonzero(means <= (1 + CLEAR_SHARE) * means.min())


def paired_difference(losses: ndarray, series: ndarray) -> tuple[float, float]:
    """Return the mean over series of differences of losses, and its standard error.

    Infinite of one series.

    Args:
        losses: The difference of each row, shape (rows,).
        series: The name of each row's series, shape (rows,).
    """
    _, number = np.unique(series.astype(str), return_inverse=True)
    means = np.bincount(number, losses) / np.bincount(number)
    error = means.std(ddof=1) / np.sqrt(len(means)) if len(means) > 1 else np.inf
    return float(means.mean()), float(error)


def _helps(seen: MemberWindows, counted: ndarray, best: int, member: int) -> bool:
    """Return whether a little of a member beside the best lowers the loss.

    It is convex, so that more would not else.
    """
    errors = seen.forecasts - seen.target[:, None]
    mixed = (1 - HELP_WEIGHT) * errors[:, best] + HELP_WEIGHT * errors[:, member]
    return bool((np.abs(mixed) * counted).mean() < (np.abs(errors[:, best]) * counted).mean())


def _power_weights(seen: MemberWindows) -> list[ndarray]:
    """Return the weights of each power."""
    relative = np.maximum(_mean_losses(seen), EXACT_LOSS)
    relative = relative / relative.min()  # never below 1, of which no power overflows
    inverses = [relative**-power for power in POWERS]
    return [inverse / inverse.sum() for inverse in inverses]


def _left_out_splits(seen: MemberWindows) -> Iterator[tuple[MemberWindows, MemberWindows]]:
    """Yield what weights are learned on and what they are tried on: each window in turn, or each
    part of the series.
    """
    for inside in _split_rows(seen):
        yield (seen if inside.all() else seen.take(~inside)), seen.take(inside)


def _split_rows(seen: MemberWindows) -> Iterator[ndarray]:
    """Yield the rows of each window, or of each part of the series where there is one window
    alone.
    """
    part = seen.window
    if len(np.unique(part)) == 1:
        _, number = np.unique(seen.series.astype(str), return_inverse=True)
        part = number % SERIES_PARTS
    for number in np.unique(part):
        yield part == number


# Weights by group of series and part of the horizon, each drawn half way to those that hold for
# all.

LEAST_CELLS = 60
"""Fewer series and windows than this have no weights of their own."""

STEP_PARTS = 3
"""Early, middle and late steps."""


@dataclass(frozen=True, eq=False)
class GroupWeights(Serializable):
    """The weights of members.

    Attributes:
        values: Shape (groups, parts, members); group 0 holds for series of no other.
        groups: The names of the groups from 1 on.
        horizon: The steps that the parts divide.
    """

    values: ndarray
    groups: tuple[str, ...] = ()
    horizon: int = 1

    @classmethod
    def same(cls, weights: ndarray) -> Self:
        """Return the same for every series and step."""
        return cls(weights[None, None])

    def of(self, group: ndarray, step: ndarray) -> ndarray:
        """Return the weights of rows, shape (rows, members), from the name of each one's group and
        its step.
        """
        places = {name: place for place, name in enumerate(self.groups, 1)}
        number = np.array([places.get(name, 0) for name in group.tolist()], np.int64)
        return self.values[number, step_part(step, self.horizon, self.values.shape[1])]


def step_part(step: ndarray, horizon: int, parts: int) -> ndarray:
    """Return the part of the horizon that a step lies in, from 0."""
    return np.minimum((step - 1) * parts // max(horizon, 1), parts - 1)


def learn_group_weights(
    seen: MemberWindows,
    group: ndarray,
    horizon: int,
    learn: Callable[[MemberWindows], ndarray],
    by_step: bool,
) -> GroupWeights:
    """Return weights of all rows, and of each large enough group and part: half its own, half those
    of what holds it.

    Args:
        seen: The forecasts of members, at least one row.
        group: The name of each row's group, '' where there are none.
        horizon: Steps.
        learn: The function from rows to weights, shape (members,).
        by_step: Whether parts of the horizon are told apart.
    """
    names = tuple(name for name in np.unique(group.astype(str)).tolist() if name)
    parts = STEP_PARTS if by_step and horizon >= STEP_PARTS else 1
    part = step_part(seen.step, horizon, parts)
    usual = learn(seen)
    rows = [np.ones(len(group), bool), *(group == name for name in names)]
    values = np.empty((len(rows), parts, len(usual)))
    for place, inside in enumerate(rows):
        base = usual if not place else _half_own_weights(seen, inside, usual, learn)
        for number in range(parts):
            here = inside & (part == number)
            own = base if parts == 1 else _half_own_weights(seen, here, base, learn)
            values[place, number] = own
    return GroupWeights(values, names, horizon)


def _half_own_weights(
    seen: MemberWindows,
    inside: ndarray,
    base: ndarray,
    learn: Callable[[MemberWindows], ndarray],
) -> ndarray:
    """Return half way between the weights of some rows and `base`; `base` where they are few."""
    cells = set(zip(seen.series[inside].tolist(), seen.window[inside].tolist(), strict=True))
    few = len(cells) < LEAST_CELLS
    return base if few else (learn(seen.take(inside)) + base) / 2


def group_names(panel: Panel, columns: tuple[str, ...]) -> ndarray:
    """Return the name of each series' group: its values of static columns, shape (n_series,).

    Raises:
        ConfigError: A column is neither static nor a level.
    """
    known = (*panel.roles.static, *panel.roles.level)
    for name in columns:
        if name not in known:
            raise ConfigError(
                f"model.weights_by: no static or level column "
                f"'{name}'{nearest(name, ('step', *known))}"
            )
    if not columns:
        return np.array([""] * panel.n_series, object)
    rows = panel.table[panel.offsets[:-1]].select(columns).rows()
    return np.array(["|".join(map(str, row)) for row in rows], object)


# The forecasts of a stack on inner windows, made of those of its members.


def combine_backtests(
    parts: Sequence[DataFrame],
    weights: Callable[[int], GroupWeights],
    group: Mapping[str, str],
    *,
    median: bool = False,
) -> DataFrame:
    """Return the rows that every member has, with their combined means and quantiles.

    Args:
        parts: The inner rows of each member.
        weights: The weights of the members for a window, counted from the end of each series;
            learned without it.
        group: The name of each series' group.
        median: Take the members' median instead.
    """
    rows = _shared_rows(parts)
    names = [name for name in rows[0].columns if name == "mean" or name.startswith("q_")]
    forecasts = np.stack([part.select(names).to_numpy() for part in rows])
    if median:
        mixed = np.median(forecasts, axis=0)
    else:
        last_first = col("cutoff").rank("dense", descending=True).over("series_id")
        number = rows[0].select(last_first).to_series().to_numpy()
        groups = [group.get(name, "") for name in rows[0]["series_id"].to_list()]
        names_of = np.array(groups, object)
        step = rows[0]["step"].to_numpy().astype(np.int64)
        mixed = np.full(forecasts.shape[1:], np.nan)
        for window in np.unique(number):
            inside = number == window
            window_weights = weights(int(window)).of(names_of[inside], step[inside])
            mixed[inside] = np.einsum("rm,mrq->rq", window_weights, forecasts[:, inside])
    fallback = np.any([part["fallback"].to_numpy() for part in rows], axis=0)
    columns = [Series(name, mixed[:, i], nan_to_null=True) for i, name in enumerate(names)]
    kinds = pl.coalesce(part[FALLBACK_KIND] for part in rows)
    return rows[0].with_columns(*columns, Series("fallback", fallback), kinds)


def _shared_rows(parts: Sequence[DataFrame]) -> list[DataFrame]:
    """Return the rows that all have, in one order."""
    keys = parts[0].select(KEYS)
    for part in parts[1:]:
        keys = keys.join(part.select(KEYS), KEYS, "semi", maintain_order="left")
    return [
        keys.join(part, KEYS, "left", maintain_order="left").select(parts[0].columns)
        for part in parts
    ]


# The mixture of fitted members' forecasts.


def member_forecasts(
    members: Sequence[FittedForecaster], history: Panel, future: Panel
) -> tuple[ndarray, ndarray, ndarray, ndarray]:
    """Return what each member forecasts.

    Args:
        members: The fitted members.
        history: The history that a model is given.
        future: The future rows that a model is given.

    Returns:
        Means, shape (members, n, steps); quantiles, shape (members, n, steps, levels); fallbacks,
        shape (members, n); and for each series why the first of them that fell back did, shape
        (n,).
    """
    forecasts = [member.predict(history, future) for member in members]
    means, quantiles, fallback, kinds = (
        np.stack([getattr(each, part) for each in forecasts])
        for part in ("mean", "quantiles", "fallback", "kinds")
    )
    first = np.take_along_axis(kinds, fallback.argmax(0)[None], axis=0)[0]
    return means, quantiles, fallback, first


def mixture(
    weights: ndarray, means: ndarray, quantiles: ndarray, fallback: ndarray, kinds: ndarray
) -> Forecasts:
    """Return the weighted means of members' means and quantiles.

    Args:
        weights: The weight of each member, shape (n, steps, members).
        means: Shape (members, n, steps).
        quantiles: Shape (members, n, steps, levels).
        fallback: The series that count as answered by a fallback, shape (n,).
        kinds: Why they do, shape (n,).
    """
    return Forecasts.of(
        np.einsum("nhm,mnh->nh", weights, means),
        np.einsum("nhm,mnhq->nhq", weights, quantiles),
        fallback,
        kinds,
    )
