"""What the best median forecast of spare parts gains over forecasting zero: `python -m
bench.zero_medians [panels]`.

On the car parts (2,509 parts, 39 months known, 12 to forecast) no model's MASE is below that of
`forecast/zero`. Is that the models' fault? Panels are simulated by laws that are fitted to the
data, and forecast by the median of the part's next months given its past, by one who knows the law:
no forecaster has a lower expected error. A part has a demand in a month by a chance of its own
(beta over parts), of a size of its own (a Poisson above 1, its mean gamma over parts). Over the
next year the chance stays (`steady`), or the log odds are drawn to a mean and jump (`of a year`),
as they did from the months before it to the last year of the training part, or (`of the test year`,
which nobody knew) to the test year. Some seconds.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from hwds.core.seeds import stream
from hwds.datasets.carparts import Carparts

PANELS, YEAR = 100, 12
NODES, MASSES = np.polynomial.hermite_e.hermegauss(31)
LINE = "{:<37} {:>18} {:>18} {:>8} {:>18} {:>8}\n"


@dataclass(frozen=True)
class Parts:
    """The law of parts: the beta of their chances of a demand, the gamma of their mean sizes above
    1 (shape and rate).
    """

    often: float
    seldom: float
    shape: float
    rate: float

    @classmethod
    def fitted(cls, history: np.ndarray) -> Parts:
        """Return the law of the greatest likelihood; history of shape (parts, months)."""
        from scipy.optimize import minimize
        from scipy.special import betaln, gammaln

        counts, above = _counts(history)
        months = history.shape[1]
        sold, more = counts[counts > 0], above[counts > 0]

        def chances(logs: np.ndarray) -> float:
            often, seldom = np.exp(logs)
            return -float(
                (betaln(often + counts, seldom + months - counts) - betaln(often, seldom)).sum()
            )

        def sizes(logs: np.ndarray) -> float:
            shape, rate = np.exp(logs)
            unit = np.log(rate / (rate + sold)) * shape - np.log1p(rate / sold) * more
            return -float((gammaln(more + shape) - gammaln(shape) + unit).sum())

        return cls(
            *np.exp(minimize(chances, np.zeros(2)).x), *np.exp(minimize(sizes, np.zeros(2)).x)
        )

    def chances(self, history: np.ndarray) -> np.ndarray:
        """Return the expected chance of a demand of each part, given its history."""
        counts, _ = _counts(history)
        return np.asarray((self.often + counts) / (self.often + self.seldom + history.shape[1]))

    def medians(self, history: np.ndarray, chances: np.ndarray) -> np.ndarray:
        """Return the medians of a month of each part, by its chance of a demand and the sizes that
        it had.
        """
        from scipy.stats import nbinom

        counts, above = _counts(history)
        inside = np.clip(1 - 0.5 / np.maximum(chances, 0.5), 0, 1)
        size = 1 + nbinom.ppf(
            inside, self.shape + above, (self.rate + counts) / (self.rate + counts + 1)
        )
        return np.where(chances > 0.5, size, 0.0)


@dataclass(frozen=True)
class Drift:
    """The law of the log odds of the next year: `mean` + `kept` x those of the past + `jump` x a
    normal number.
    """

    mean: float = 0.0
    kept: float = 1.0
    jump: float = 0.0

    @classmethod
    def fitted(cls, chances: np.ndarray, year: np.ndarray) -> Drift:
        """Return the law of the greatest likelihood of the demands in a year, given the chances
        before it.
        """
        from scipy.optimize import minimize

        sold = (year > 0).sum(1)[:, None]

        def loss(values: np.ndarray) -> float:
            chance = cls(values[0], values[1], float(np.exp(values[2])))._at_nodes(chances)
            return -float(
                np.log(
                    (chance**sold * (1 - chance) ** (YEAR - sold)) @ (MASSES / MASSES.sum())
                ).sum()
            )

        best = minimize(loss, np.array([0.0, 1.0, -1.0])).x
        return cls(best[0], best[1], float(np.exp(best[2])))

    def expected(self, chances: np.ndarray) -> np.ndarray:
        """Return the expected chance of the next year."""
        return np.asarray(self._at_nodes(chances) @ (MASSES / MASSES.sum()))

    def drawn(self, chances: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return chances of the next year."""
        return self._odds(chances, rng.standard_normal(len(chances)))

    def _at_nodes(self, chances: np.ndarray) -> np.ndarray:
        return self._odds(chances[:, None], NODES)

    def _odds(self, chances: np.ndarray, normal: np.ndarray) -> np.ndarray:
        odds = self.mean + self.kept * np.log(chances / (1 - chances)) + self.jump * normal
        return np.asarray(1 / (1 + np.exp(-odds)))


def main(panels: int) -> None:
    """Print what the median of each law gains over zero: on simulated panels, and on the test
    year.
    """
    panel = Carparts().frame()
    rows = panel.target.reshape(panel.n_series, -1)
    history, year = rows[:, :-YEAR], rows[:, -YEAR:]
    before = Parts.fitted(history[:, :-YEAR]).chances(history[:, :-YEAR])
    law = Parts.fitted(history)
    drifts = {
        "steady": Drift(),
        "of a year": Drift.fitted(before, history[:, -YEAR:]),
        "of the test year": Drift.fitted(law.chances(history), year),
    }
    sys.stdout.write(
        f"python -m bench.zero_medians {panels}: MASE of the median less that of zero, % (below "
        f"0: better)\n\n"
    )
    sys.stdout.write(
        LINE.format(
            "chances (mean, kept, jump)",
            "simulated, mean",
            "95 % of panels",
            "above 0",
            "the test year",
            "above 0",
        )
    )
    for name, drift in drifts.items():
        sums = np.array(
            [
                _simulated(law, drift, history.shape, stream(0, "zero medians", name, i))
                for i in range(panels)
            ]
        )
        low, high = np.quantile(sums[:, 0], (0.025, 0.975))
        medians = law.medians(history, drift.expected(law.chances(history)))
        real, error = _beside_zero(history, year, medians)
        label = f"{name} ({drift.mean:.2f}, {drift.kept:.2f}, {drift.jump:.2f})"
        sys.stdout.write(
            LINE.format(
                label,
                f"{sums[:, 0].mean():+.2f}",
                f"{low:+.2f} to {high:+.2f}",
                f"{sums[:, 1].mean():.0f}",
                f"{real:+.2f} +- {1.96 * error:.2f}",
                f"{(medians > 0).sum()}",
            )
        )


def _simulated(
    law: Parts, drift: Drift, shape: tuple[int, int], rng: np.random.Generator
) -> tuple[float, int]:
    """Return how the median of one who knows the law does beside zero on a simulated panel, and how
    many are above 0.
    """
    chances, sizes = (
        rng.beta(law.often, law.seldom, shape[0]),
        rng.gamma(law.shape, 1 / law.rate, shape[0]),
    )
    history = _demands(chances, sizes, shape[1], rng)
    seen = law.chances(history)
    after = chances if drift == Drift() else drift.drawn(seen, rng)
    medians = law.medians(history, drift.expected(seen))
    return _beside_zero(history, _demands(after, sizes, YEAR, rng), medians)[0], int(
        (medians > 0).sum()
    )


def _demands(
    chances: np.ndarray, sizes: np.ndarray, months: int, rng: np.random.Generator
) -> np.ndarray:
    drawn = 1.0 + rng.poisson(sizes[:, None], (len(chances), months))
    return np.where(rng.random(drawn.shape) < chances[:, None], drawn, 0.0)


def _beside_zero(history: np.ndarray, year: np.ndarray, medians: np.ndarray) -> tuple[float, float]:
    """Return the mean MASE less that of zero in per cent of it, and the standard error of that,
    over parts with a scale.
    """
    scale = np.abs(history[:, YEAR:] - history[:, :-YEAR]).mean(1)
    known = scale > 0
    zero = year[known].mean(1) / scale[known]
    apart = np.abs(year - medians[:, None])[known].mean(1) / scale[known] - zero
    return 100 * float(apart.mean() / zero.mean()), 100 * float(
        apart.std(ddof=1) / np.sqrt(len(apart)) / zero.mean()
    )


def _counts(history: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the months with a demand of each part, and the sum of what its demands have above
    1.
    """
    return (history > 0).sum(1), np.where(history > 0, history - 1, 0).sum(1)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else PANELS)
