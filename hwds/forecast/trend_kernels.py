"""Draws of a local and global trend from its posterior, and a path of the next rows from each."""

from __future__ import annotations

import math
import zlib
from functools import lru_cache

import numpy as np
from numpy import ndarray

from hwds.core.compiling import compiled, helper
from hwds.core.seeds import stream

WARM, DRAWS = 500, 2_000
"""Draws that the proposals adapt in, and draws after them, each of which a path follows."""

TABLES = (WARM + DRAWS, WARM + DRAWS, DRAWS)
"""Rows of moves, of chances and of errors that a series takes."""

WALK_START = (0.5, -0.5, -0.75, 1.5, 0.0, 0.0, 0.4, -1.5)
MOVES = (0.8, 1.0, 1.3, 1.0, 1.2, 0.2, 0.9, 0.8)
"""Where the walk begins and how far it goes, in the order of `place`: what posteriors of M3's
training parts mostly are.
"""

ACCEPTED = 0.234
"""The share of proposals to accept that they adapt to."""

FREEDOM = 6.0
"""Degrees of freedom of the errors (Student's t)."""

GROWTH = 0.02
"""The scale of the prior of a season's growth, as a share of the largest value."""

PLACES, ERRORS = 1 << 14, 1 << 20
"""Rows of the table of random numbers at which a series may begin: fewer, beyond 64 steps, lest
they hold more errors.
"""

PARAMETERS, STATE = 8, 9
"""What is drawn; and what a path begins with: level, trend, and the parameters of the recursion."""

LEAST_POWER, MOST_POWER = -0.5, 1.0
"""Bounds of the power of the level that growth follows: a line at 0, exponential growth at 1."""

LEAST_LEVEL = 1e-6
"""The least level, as a share of the largest value: below it a level stays."""


def has_posterior(values: ndarray) -> bool:
    """Return whether errors of scale 0 are not the most likely ones.

    A level that stays, or one that follows each value, forecasts rows exactly where a series
    repeats itself. As the scale s of the errors goes to 0, the density of each of these rows grows
    as 1/s, and that of any other row falls as s to the power of the degrees of freedom: with few
    others the product has no bound, the walk does not end, and where it stands is chance.

    Args:
        values: The series, shape (n,).
    """
    stays = int(np.unique(values, return_counts=True)[1].max()) - 1
    follows = int((np.diff(values) == 0).sum())
    exact = max(stays, follows)
    return exact <= FREEDOM * (len(values) - 1 - exact)


def trend_paths(values: ndarray, season: int, steps: int) -> ndarray:
    """Return paths of the next rows, shape (paths, steps), in the units of the series.

    The next value is l + g l^r + k b, with l the smoothed level, b its smoothed changes, and errors
    of Student's t whose scale is s l^q (Smyl, Bergmeir, Dokumentov, Long, Wibowo and Schmidt 2025,
    "Local and global trend Bayesian exponential smoothing models"). Both smoothing parameters, r, k
    and q have flat priors (r from -.5 to 1, the others from 0 to 1), g a Cauchy one (`GROWTH`), s
    the positive half of such a one. The posterior is drawn from by a random walk that adapts to its
    shape (Vihola 2012, "Robust adaptive Metropolis algorithm with coerced acceptance rate"). Random
    numbers come from one table for all series, which each reads from a row of its own on (a
    checksum of its values): with the same ones all would err alike.

    Args:
        values: The series without a season, shape (n,), all above 0.
        season: Rows in a season: growth is expected a season.
        steps: Steps to answer for.
    """
    largest = float(values.max())
    relative = np.ascontiguousarray(values / largest, np.float64)
    first = zlib.crc32(relative.tobytes()) % _places(steps)
    moves, chances, shocks = (
        table[first : first + rows]
        for table, rows in zip(_random_tables(steps), TABLES, strict=True)
    )
    place, spread = np.array(WALK_START), np.diag(MOVES)
    place[5] = math.log(max(float(np.abs(np.diff(relative)).mean()), LEAST_LEVEL))
    states, paths = np.empty((2, STATE)), np.empty(shocks.shape)
    space = np.empty((2, PARAMETERS))
    compiled(trend_draws)(
        relative, GROWTH / season, moves, chances, shocks, place, spread, space, states, paths
    )
    return paths * largest


def _places(steps: int) -> int:
    """Return the number of rows at which a series may begin."""
    return min(PLACES, max(1, ERRORS // steps))


@lru_cache(maxsize=16)
def _random_tables(steps: int) -> tuple[ndarray, ndarray, ndarray]:
    """Return tables of standard normal moves, of uniform chances, and of errors of paths: always
    the same.

    A hole at the end of a series is forecast, too, so that series that end apart ask for as many
    tables.
    """
    random = stream(0, "local and global trend", steps)
    moves, chances, shocks = (_places(steps) + rows for rows in TABLES)
    return (
        random.standard_normal((moves, PARAMETERS)),
        random.random(chances),
        random.standard_t(FREEDOM, (shocks, steps)),
    )


def trend_draws(
    values: ndarray,
    growth: float,
    moves: ndarray,
    chances: ndarray,
    shocks: ndarray,
    place: ndarray,
    spread: ndarray,
    space: ndarray,
    states: ndarray,
    paths: ndarray,
) -> None:
    """Write a path of every draw after the first ones into `paths`.

    `space` and `states` need no content.

    Args:
        values: The series as a share of its largest value.
        growth: The scale of the prior of a row's growth.
        moves: Standard normal, shape (draws, PARAMETERS).
        chances: Uniform, shape (draws,).
        shocks: The errors of paths, shape (paths, steps).
        place: The place where the walk begins.
        spread: The lower triangle by which moves are multiplied, which adapts.
        space: Shape (2, PARAMETERS).
        states: Shape (2, STATE).
        paths: Shape (paths, steps).
    """
    density = _log_posterior(values, growth, place, states, 0)
    for draw in range(len(moves)):
        for i in range(PARAMETERS):
            move = 0.0
            for j in range(i + 1):
                move += spread[i, j] * moves[draw, j]
            space[0, i], space[1, i] = place[i] + move, move
        proposed = _log_posterior(values, growth, space[0], states, 1)
        # Metropolis: a step uphill is taken, one downhill with the ratio of the densities
        chance = math.exp(min(0.0, proposed - density))
        if chances[draw] < chance:
            density = proposed
            for i in range(PARAMETERS):
                place[i] = space[0, i]
            for i in range(STATE):
                states[0, i] = states[1, i]
        if draw < WARM:
            _adapt(
                spread,
                moves[draw],
                space[1],
                min(1.0, PARAMETERS * (draw + 1.0) ** -0.66) * (chance - ACCEPTED),
            )
        else:
            _follow_path(states[0], shocks[draw - WARM], paths[draw - WARM])


@helper
def _log_posterior(
    values: ndarray, growth: float, place: ndarray, states: ndarray, row: int
) -> float:
    """Return the logarithm of the posterior's density at a place of the walk, and write its state
    into a row of `states`.
    """
    prior = 0.0
    for i in range(5):  # logits of what has bounds
        share = 1.0 / (1.0 + math.exp(-place[i]))
        states[row, 2 + i] = share
        prior += math.log(share * (1.0 - share))
    states[row, 4] = LEAST_POWER + (MOST_POWER - LEAST_POWER) * states[row, 4]
    states[row, 7], states[row, 8] = place[5], growth * place[6]
    prior += (
        place[5]
        - math.log1p((math.exp(place[5]) / growth) ** 2)
        - math.log1p(place[6] ** 2)
        - 0.5 * place[7] ** 2
    )
    alpha = states[row, 2]
    beta = states[row, 3]
    power = states[row, 4]
    kept = states[row, 5]
    error_power = states[row, 6]
    level, trend, loss = values[0], growth * place[7], 0.0
    for i in range(1, len(values)):
        log_level = math.log(level)
        mean = level + states[row, 8] * math.exp(power * log_level) + kept * trend
        log_scale = place[5] + error_power * log_level
        error = (values[i] - mean) * math.exp(-log_scale)
        loss += log_scale + 0.5 * (FREEDOM + 1.0) * math.log1p(error * error / FREEDOM)
        moved = level + alpha * (values[i] - level)
        trend += beta * (moved - level - trend)
        level = max(moved, LEAST_LEVEL)
    states[row, 0], states[row, 1] = level, trend
    return prior - loss if math.isfinite(prior - loss) else -math.inf


@helper
def _adapt(spread: ndarray, move: ndarray, space: ndarray, weight: float) -> None:
    """Add a share of what a move was multiplied by to the spread: an update of rank one of its
    lower triangle.
    """
    square = 0.0
    for i in range(PARAMETERS):
        square += move[i] * move[i]
    factor, sign = math.sqrt(abs(weight) / square), 1.0 if weight > 0 else -1.0
    for i in range(PARAMETERS):
        space[i] *= factor
    for j in range(PARAMETERS):
        # Givens rotations keep the lower triangle a root of the covariance
        diagonal = spread[j, j] * spread[j, j] + sign * space[j] * space[j]
        if diagonal <= 1e-12:
            return
        diagonal = math.sqrt(diagonal)
        cosine, sine = diagonal / spread[j, j], space[j] / spread[j, j]
        spread[j, j] = diagonal
        for i in range(j + 1, PARAMETERS):
            spread[i, j] = (spread[i, j] + sign * sine * space[i]) / cosine
            space[i] = cosine * space[i] - sine * spread[i, j]


@helper
def _follow_path(state: ndarray, shocks: ndarray, path: ndarray) -> None:
    """Write the path that follows a state with these errors."""
    level, trend = state[0], state[1]
    for step in range(len(shocks)):
        log_level = math.log(level)
        mean = level + state[8] * math.exp(state[4] * log_level) + state[5] * trend
        value = max(mean + math.exp(state[7] + state[6] * log_level) * shocks[step], LEAST_LEVEL)
        moved = level + state[2] * (value - level)
        trend += state[3] * (moved - level - trend)
        level, path[step] = max(moved, LEAST_LEVEL), value
