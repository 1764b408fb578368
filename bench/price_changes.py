"""How often `price_choice` proposes CHANGE where no arm earns more: `python -m bench.price_changes
[worlds] [cases]`.

Visitors of two weeks; prices and conversions are such that a visitor brings the same at every
price, so that each CHANGE is a false one. Each world is read once, at the end, and then as one that
is looked at every morning: after each of 14 days the test is analysed anew, and one CHANGE on any
day counts. Everything is as in a run: `protocol=ab_test`, its scores, the decision. A morning on
which no arm earns more by as much as a standard error is passed over, for no rule is sure there; in
the first worlds none is. Ten minutes of a core for 1,000 worlds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from bench.ab_metrics import Tally
from hwds.ab.models.base import Comparison
from hwds.ab.models.cuped import Cuped
from hwds.ab.models.welch import Welch
from hwds.ab.protocols.ab_test import AbTest
from hwds.core.seeds import stream
from hwds.evaluation.protocol import Cell, RunContext, Score
from hwds.frames.table import Table
from hwds.pricing.arm_evidence import replications
from hwds.pricing.decisions.price_choice import PriceChoice
from hwds.pricing.price_choice import apply_rule
from hwds.results.tables import SCORES, TIMINGS, Tables, metrics_table

WORLDS, DAYS, VISITORS = 1_000, 14, 4_000
FIRST = date(2025, 3, 3)
AGREED = 10
"""Worlds in which no morning is passed over, and the whole verdict is made: its action is that of
the rule.
"""

WORTH_A_LOOK = 1.0
"""Standard errors by which an arm must seem to earn more; a CHANGE takes 1.6 of them at least."""

Visitors = Callable[[np.random.Generator], pl.DataFrame]


@dataclass(frozen=True)
class Case:
    """A test and a decision.

    Attributes:
        words: What it is.
        visitors: Draws the visitors.
        model: The comparison.
        protocol: Settings of `ab_test`.
        decision: Settings of `price_choice`.
        roles: Of the columns, beside arm and day.
        looked: Whether it is read every morning, too.
        bound: The most that is stated, in percent.
    """

    words: str
    visitors: Visitors
    model: Comparison
    protocol: Mapping[str, Any] = field(default_factory=dict)
    decision: Mapping[str, Any] = field(default_factory=dict)
    roles: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {"outcome": ("bought",), "price": ("price",)}
    )
    looked: bool = True
    bound: float = 5.0


def buyers(prices: tuple[float, ...], earned: float = 9.0, cost: float = 0.0) -> Visitors:
    """Return a draw of visitors of whom as many buy at each price as brings the same after a
    cost.
    """

    def draw(rng: np.random.Generator) -> pl.DataFrame:
        price = np.array(prices)[rng.integers(0, len(prices), VISITORS)]
        ready = rng.beta(
            1.0, 1.0, VISITORS
        )  # as in a shop: some are readier, and visits before tell who
        bought = rng.random(VISITORS) < 2 * ready * earned / (price - cost)
        before = rng.binomial(5, 0.2 * ready)
        columns = {
            "arm": [f"{each:g}" for each in price],
            "price": price,
            "bought": bought.astype(np.int64),
        }
        return pl.DataFrame(columns | {"before": before, "day": _days(rng)})

    return draw


def baskets(rng: np.random.Generator) -> pl.DataFrame:
    """Return visitors of whom one in ten buys for a log-normal amount whose log deviates by 1.2,
    alike in both arms.
    """
    spent = (rng.random(VISITORS) < 0.1) * np.exp(rng.normal(3.0, 1.2, VISITORS))
    arm = np.where(rng.random(VISITORS) < 0.5, "new", "149")
    return pl.DataFrame({"arm": arm, "spent": spent, "day": _days(rng)})


def _days(rng: np.random.Generator) -> list[date]:
    return [FIRST + timedelta(int(day)) for day in np.sort(rng.integers(0, DAYS, VISITORS))]


TWO, THREE = (149.0, 199.0), (149.0, 179.0, 199.0, 249.0)
SIZED = {"size": VISITORS}


def cases() -> dict[str, Case]:
    """Return the cases by name."""
    both, fixed = Welch(name="ab/welch"), Welch(name="ab/fixed", rules=("fixed",))
    grouped = Welch(name="ab/group_sequential", rules=("group_sequential",))
    money = {"amount": ("spent",), "outcome": ("spent",)}
    before = {"outcome": ("bought",), "price": ("price",), "covariate": ("before",)}
    posterior = {"certainty": "posterior"}
    return {
        "welch": Case("ab/welch, nothing registered", buyers(TWO), both),
        "cuped": Case(
            "ab/cuped, the size registered",
            buyers(TWO),
            Cuped(name="ab/cuped"),
            SIZED,
            roles=before,
        ),
        "fixed": Case("ab/fixed, the size registered", buyers(TWO), fixed, SIZED),
        "grouped": Case(
            "ab/group_sequential, 14 planned looks", buyers(TWO), grouped, {**SIZED, "looks": DAYS}
        ),
        "arms_fixed": Case(
            "ab/fixed, three prices beside today's, registered", buyers(THREE), fixed, SIZED
        ),
        "cost": Case(
            "ab/fixed, a cost that the decision brings",
            buyers(TWO, 6.0, 50.0),
            fixed,
            SIZED,
            {"cost": 50.0},
        ),
        "baskets": Case(
            "ab/fixed, amounts with a heavy tail, registered", baskets, fixed, SIZED, roles=money
        ),
        "posterior": Case(
            "certainty=posterior, which is for one look",
            buyers(TWO),
            both,
            {},
            posterior,
            looked=False,
        ),
    }


def changes(case: Case, data: pl.DataFrame, whole: bool) -> bool:
    """Return whether CHANGE is proposed on what was seen; `whole` makes the verdict, too."""
    order = (
        {"time": ("day",)} if "looks" in case.protocol else {}
    )  # else effects by day are computed, which nothing reads
    frame = Table.build(data, {"arm": ("arm",), **order, **case.roles}, "EUR")
    protocol = AbTest(name="ab_test", control="149", replications=0, **case.protocol)
    (fold,) = protocol.split(frame)
    label = case.model.name
    rows = protocol.evaluate_cell(
        case.model, frame, Cell(label, fold, 0, fold.units), RunContext(0, fold.name)
    )
    scored = [_line(score, label) for score in protocol.score(rows)]
    measures = metrics_table(protocol.measures(frame))
    analysed = rows.with_columns(model=pl.lit(label))
    tables = Tables(
        pl.DataFrame(scored, schema=SCORES), analysed, pl.DataFrame(schema=TIMINGS), measures
    )
    choice = PriceChoice(current="149", **case.decision)
    offers = choice._offers(frame, protocol)
    evidence = protocol.price_evidence(tables, frame, label, offers, 1)
    (arms,) = replications(evidence.rows, offers)
    change = apply_rule(arms, choice._terms(offers.certainty), evidence.contrasts).change
    if whole:
        verdict = choice.decide(tables, frame, label, protocol)
        assert (verdict.action == "CHANGE") == change
    return change


def seems_better(case: Case, data: pl.DataFrame) -> bool:
    """Return whether any arm seems to earn more than the control by a standard error or more."""
    cost = case.decision.get("cost", 0.0)
    earned = (
        pl.col("spent") if "spent" in data.columns else pl.col("bought") * (pl.col("price") - cost)
    )
    arms = data.group_by("arm").agg(
        earned.mean().alias("mean"), (earned.var() / pl.len()).alias("error")
    )
    now = arms.filter(arm="149")
    others = arms.filter(pl.col("arm") != "149")
    gain, error = others["mean"] - now["mean"][0], (others["error"] + now["error"][0]).sqrt()
    return bool((gain >= WORTH_A_LOOK * error).any())


def _line(score: Score, model: str) -> dict[str, Any]:
    return {name: getattr(score, name, None) for name in SCORES} | {"model": model}


def rates(name: str, case: Case, worlds: int) -> Iterator[tuple[str, Tally, float]]:
    """Yield the share of worlds with a CHANGE at one look, and on any of 14 mornings."""
    once, daily = Tally(), Tally()
    ends = [FIRST + timedelta(day) for day in range(DAYS, 0, -1)]
    for world in range(worlds):
        data = case.visitors(stream(world, "bench", "price changes", name))
        looks = [data.filter(pl.col("day") < end) for end in (ends if case.looked else ends[:1])]
        every = world < AGREED
        last, *mornings = (every or seems_better(case, seen) for seen in looks)
        last = last and changes(case, data, every)
        once.add(last)
        shown = [
            changes(case, seen, every)
            for seen, worth in zip(looks[1:], mornings, strict=True)
            if worth and not last
        ]
        daily.add(last or any(shown))
    yield "one look", once, case.bound
    if case.looked:
        yield f"{DAYS} mornings", daily, case.bound


def main(worlds: int, names: list[str]) -> None:
    """Print the rates of all cases, or of those named."""
    print(
        f"python -m bench.price_changes {worlds}: percent of {worlds:,} worlds where no arm earns "
        f"more, with standard errors"
    )
    for name, case in cases().items():
        if names and name not in names:
            continue
        print(f"\n{name}: {case.words}")
        for words, tally, bound in rates(name, case, worlds):
            print(f"    CHANGE, {words:14} {tally}  (<= {bound:g})", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else WORLDS, sys.argv[2:])
