"""The share of the possible gain that prices reach, on worlds of known demand: `python -m
bench.price_gains [10 [0]]`.

The second number is the seed of the first world. Each has 160 cells, with elasticities of the
pooled model. A world takes some ten seconds.
"""

from __future__ import annotations

import sys

import numpy as np

from hwds.cli.run import compute_tables
from hwds.core.compose import compose
from hwds.experiment.prepare import prepare
from hwds.experiment.spec import check
from hwds.pricing.decisions.optimal_price import OptimalPrice
from hwds.pricing.optimal_price import OptimalPriceVerdict

LINE = "{:<8} {:>6} {:>8} {:>10} {:>10} {:>10} {:>9} {:>7} {:>11} {:>6}\n"


def main(worlds: int, first: int = 0) -> int:
    """Print for each world what the prices are said to gain, what they gain, what is possible, and
    the sums of all worlds.
    """
    heads = (
        "world",
        "cells",
        "changed",
        "said",
        "gained",
        "possible",
        "within",
        "share",
        "identified",
        "share",
    )
    sys.stdout.write(LINE.format(*heads))
    sums = np.zeros(7)
    for seed in range(first, first + worlds):
        experiment = check(
            compose(
                [
                    "+experiment=optimal_price",
                    f"dataset.seed={seed}",
                    "decision=none",
                    "compute=serial",
                ]
            )
        )
        prepared = prepare(experiment)
        tables, protocol = compute_tables(prepared), prepared.job.protocol
        evidence = protocol.demand_evidence(tables, prepared.frame, experiment.model.name)
        verdict = OptimalPrice(draws=500).of_estimates(evidence)
        reached = verdict.reached
        within = verdict.gain_low <= reached.gained <= verdict.gain_high
        identified = (reached.gained_identified, reached.possible_identified)
        sums += [
            reached.gained,
            reached.possible,
            *identified,
            within,
            verdict.gain,
            verdict.optimism,
        ]
        _line(seed, verdict, within)
    whole = (
        f"all worlds: {sums[0] / sums[1]:.1%} of what is possible, {sums[2] / sums[3]:.1%} "
        f"where prices identify the"
    )
    whole = (
        f"{whole} elasticity; the interval holds the true gain in {sums[4]:.0f} of {worlds} worlds;"
    )
    said, before = sums[5] / sums[0], (sums[5] + sums[6]) / sums[0]
    sys.stdout.write(
        f"{whole} what is said to be gained is {said:.2f} times what is, {before:.2f} times with "
        f"its optimism\n"
    )
    return 0


def _line(seed: int, verdict: OptimalPriceVerdict, within: bool) -> None:
    reached = verdict.reached
    numbers = (f"{value:,.0f}" for value in (verdict.gain, reached.gained, reached.possible))
    shares = (
        "" if share is None else f"{share:.2f}"
        for share in (reached.share, reached.share_identified)
    )
    whole, own = shares
    words = (
        str(seed),
        verdict.cells,
        verdict.changed,
        *numbers,
        "yes" if within else "no",
        whole,
        reached.identified,
        own,
    )
    sys.stdout.write(LINE.format(*words))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:3] or ["10"])))
