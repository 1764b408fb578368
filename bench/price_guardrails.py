"""Random worlds and guardrails: does any recommended price leave one? `python -m
bench.price_guardrails [10000]`.
"""

from __future__ import annotations

import sys
from collections import Counter

from hwds.core.seeds import stream
from hwds.pricing.demand_draws import DemandDraws
from hwds.pricing.recommended_prices import recommend
from tests.support.price_limits import beyond_capacity, breaches, random_limits
from tests.support.price_worlds import price_world


def main(worlds: int) -> int:
    """Print how many worlds, prices and changes there were, the rules that bound, and every breach.

    1 where there is one.
    """
    statuses: Counter[str] = Counter()
    rules: Counter[str] = Counter()
    broken = []
    for seed in range(worlds):
        rng = stream(seed, "guardrails")
        evidence = price_world(
            rng, products=int(rng.integers(1, 4)), channels=int(rng.integers(1, 4))
        )
        rails = random_limits(rng, evidence)
        demand = DemandDraws.of(
            evidence, 60, rng, objective=rails.objective, deductions=rails.deductions
        )
        made = recommend(evidence, demand, rails)
        found = [
            *breaches(evidence, rails, made.prices),
            *beyond_capacity(evidence, rails, demand, made.prices),
        ]
        broken += [f"world {seed}: {each}" for each in found]
        statuses.update(made.status)
        rules.update(made.rules)
    sys.stdout.write(
        f"{worlds:,} worlds, {statuses.total():,} prices: {dict(statuses)}\n{dict(rules)}\n"
    )
    sys.stdout.write(
        f"{len(broken)} prices outside a guardrail\n" + "".join(f"{line}\n" for line in broken[:50])
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
