"""Poisson pseudo-likelihood with two-way effects: hwds, pyfixest where it is installed, and
statsmodels on a small panel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec

import numpy as np

from bench.rows import Row, compared, interleaved
from hwds.core.seeds import stream
from hwds.elasticity.sweeping import fit_ppml

NAME = "poisson"
SIZE = 10_000
"""Cells, each of 100 periods, unless another number is asked for."""

PERIODS = 100
SMALL = 30
"""Cells of the panel that statsmodels is given, with a dummy for each effect."""

Rows = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def measure(size: int = SIZE) -> Iterator[Row]:
    """Yield a row a rival: slopes and errors clustered by period must agree."""
    small = _rows(SMALL)
    yield _against("statsmodels, a dummy an effect", small, _statsmodels(small))
    if find_spec("pyfixest"):
        large = _rows(size)
        yield _against("pyfixest fepois", large, _pyfixest(large))


def _rows(cells: int) -> Rows:
    """Return units, columns, cells and periods."""
    rng = stream(0, "bench_poisson", cells)
    cell, period = np.repeat(np.arange(cells), PERIODS), np.tile(np.arange(PERIODS), cells)
    season = 0.3 * rng.standard_normal(PERIODS)
    price = 0.15 * rng.standard_normal(len(cell)) + 0.2 * season[period]
    other = rng.standard_normal(len(cell))
    log_mean = rng.normal(np.log(3), 0.7, cells)[cell] + season[period] - 2 * price + 0.1 * other
    units = rng.poisson(np.exp(log_mean) * rng.gamma(3, 1 / 3, len(cell))).astype(float)
    return units, np.column_stack([price, other]), cell, period


def _ours(rows: Rows) -> np.ndarray:
    fit = fit_ppml(*rows)
    return np.concatenate([fit.beta, fit.variance([rows[3]]).stderr])


def _against(name: str, rows: Rows, rival: Callable[[], np.ndarray]) -> Row:
    ours = _ours(rows)  # compiled here
    equal = bool(np.allclose(ours[:2], rival()[:2], rtol=1e-5))
    seconds = interleaved({"ours": lambda: _ours(rows), "theirs": rival}, 3)
    return compared(
        f"Poisson, {len(rows[0]):,} rows, two-way", seconds["ours"], name, seconds["theirs"], equal
    )


def _statsmodels(rows: Rows) -> Callable[[], np.ndarray]:
    import statsmodels.api as sm

    units, x, cell, period = rows
    dummies = [cell[:, None] == np.arange(SMALL), period[:, None] == np.arange(1, PERIODS)]
    design = np.column_stack([x, *dummies]).astype(float)

    def fitted() -> np.ndarray:
        return np.asarray(
            sm.GLM(units, design, family=sm.families.Poisson()).fit(tol=1e-10).params[:2]
        )

    return fitted


def _pyfixest(rows: Rows) -> Callable[[], np.ndarray]:
    import pandas as pd
    import pyfixest

    units, x, cell, period = rows
    frame = pd.DataFrame(
        {"units": units, "price": x[:, 0], "other": x[:, 1], "cell": cell, "period": period}
    )

    def fitted() -> np.ndarray:
        fit = pyfixest.fepois(
            "units ~ price + other | cell + period", data=frame, vcov={"CRV1": "period"}
        )
        return np.concatenate([fit.coef().to_numpy(), fit.se().to_numpy()])

    return fitted
