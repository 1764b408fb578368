"""Coverage of the intervals of a test, and shares of wrong verdicts: `python -m bench.ab_metrics
[worlds] [parts]`.

Visitors come over 14 days; most buy nothing, and what they spend has a heavy tail. The new arm's
amounts are a tenth larger where an interval is to cover that, and equal where no effect may be
found. Truths are exact. Ten minutes of a core for 2,000 worlds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from hwds.ab.analysis import dilute_effect
from hwds.ab.intervals import adjust_p_values
from hwds.ab.models.base import Comparison
from hwds.ab.models.cuped import Cuped
from hwds.ab.models.stratified import Stratified
from hwds.ab.models.welch import Welch
from hwds.ab.protocols.ab_test import age_rows
from hwds.ab.rows import AnalysisRow, TestMetric
from hwds.ab.sample import ComparisonNeeds, Design, Finding, Sample, SampleArm, UnitMoments
from hwds.ab.units import TestUnits, units_of_events
from hwds.core.seeds import stream
from hwds.frames.table import Table

WORLDS, DAYS, LIFT = 2_000, 14, 0.1
ARM = 4_000
"""Visitors of each arm where an interval is to cover."""

BLOCK = 50
"""Worlds that are drawn at once where only moments of arms count."""

DAILY = 2_000
"""Visitors of each arm of tests that are looked at every day."""

ROLES = {
    "arm": ("arm",),
    "outcome": ("spent", "bought", "refunds"),
    "time": ("day",),
    "covariate": ("before",),
    "stratum": ("site",),
}

METRICS = {
    "spent": TestMetric(role="primary"),
    "bought": TestMetric(role="guardrail", margin=0.2),
    "per_session": TestMetric(outcome="spent", per="sessions"),
    "median_basket": TestMetric(outcome="spent", quantile=0.5, of_nonzero=True),
    "p90_basket": TestMetric(outcome="spent", quantile=0.9, of_nonzero=True),
}


@dataclass(frozen=True)
class Amounts:
    """The law of what a buyer spends: its name in words, and the law itself."""

    words: str
    law: Any

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Return amounts."""
        return np.asarray(
            self.law.ppf(rng.random(n))
            if self.law.dist.name == "lomax"
            else self.law.rvs(n, random_state=rng)
        )


def laws() -> dict[str, Amounts]:
    """Return the laws by name."""
    from scipy import stats

    return {
        "lognormal": Amounts(
            "amounts with a log-normal tail of 1.2", stats.lognorm(1.2, scale=np.exp(3.0))
        ),
        "pareto": Amounts(
            "amounts with a power tail of exponent 3.5, without a fourth moment",
            stats.lomax(3.5, loc=20, scale=20),
        ),
        "gamma": Amounts("amounts with a gamma law of shape 2", stats.gamma(2.0, scale=20.0)),
    }


def visitors(law: Amounts, n: int, lift: float, rng: np.random.Generator) -> pl.DataFrame:
    """Return 2 n visitors in the order in which they come.

    Those with more sessions are readier to buy.
    """
    total = 2 * n
    new = rng.permutation(np.arange(total) % 2 == 1)
    keen, sessions = rng.random(total), 1 + rng.poisson(1.2, total)
    bought = rng.random(total) < _readiness(keen, sessions)
    spent = bought * law.draw(rng, total) * np.where(new, 1 + lift, 1.0)
    return pl.DataFrame(
        {
            "arm": np.where(new, "new", "control"),
            "day": np.sort(rng.integers(0, DAYS, total)),
            "sessions": sessions,
            "spent": spent,
            "bought": bought.astype(np.int64),
            "refunds": np.zeros(total),
            "before": (rng.random(total) < keen) * 1.0,
            "site": np.where(rng.random(total) < keen, "a", "b"),
        }
    )


def _readiness(keen: np.ndarray, sessions: np.ndarray) -> np.ndarray:
    """Return the chance to buy of visitors who are more or less keen and came so often."""
    return np.asarray(0.1 + 0.4 * keen * sessions / (1 + sessions))


def _buyers(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return which visitors of many worlds buy."""
    return np.asarray(
        rng.random(shape) < _readiness(rng.random(shape), 1 + rng.poisson(1.2, shape))
    )


def true_effects(law: Amounts) -> dict[str, float]:
    """Return the exact effect of the lift on each metric."""
    from scipy.stats import poisson

    more = np.arange(60)
    sessions, weight = 1 + more, poisson.pmf(more, 1.2)
    paid = float(weight @ (0.1 + 0.2 * sessions / (1 + sessions))) * float(law.law.mean())
    return {
        "spent": LIFT * paid,
        "bought": 0.0,
        "per_session": LIFT * paid / 2.2,
        "median_basket": LIFT * float(law.law.ppf(0.5)),
        "p90_basket": LIFT * float(law.law.ppf(0.9)),
    }


@dataclass
class Tally:
    """A count of cases, and of those that were so."""

    times: int = 0
    of: int = 0

    def add(self, so: bool) -> None:
        """Count one more."""
        self.times, self.of = self.times + so, self.of + 1

    def __str__(self) -> str:
        """Return the percentage, with its standard error."""
        share = self.times / max(self.of, 1)
        return f"{100 * share:5.1f} +- {100 * np.sqrt(share * (1 - share) / max(self.of, 1)):.1f}"


def units_of(data: pl.DataFrame) -> TestUnits:
    """Return the visitors as a test reads them."""
    return TestUnits.read(Table.build(data, ROLES), None).counting(METRICS)


def covered(finding: Finding, truth: float) -> bool:
    """Return whether an interval holds the truth."""
    return (
        finding.low is not None
        and finding.high is not None
        and finding.low <= truth <= finding.high
    )


def intervals(law: Amounts, worlds: int) -> Iterator[tuple[str, Tally, str]]:
    """Yield how often each fixed interval covers the effect of the lift, and that on all units of
    those exposed.
    """
    welch = Welch(rules=("fixed",))
    models: list[tuple[str, str, Comparison, ComparisonNeeds]] = [
        (label, "welch", welch, ComparisonNeeds()) for label in METRICS
    ]
    for label in ("per_session", "p90_basket"):
        models.append(
            (label, "cuped", Cuped(rules=("fixed",)), ComparisonNeeds(inputs=("before",)))
        )
        models.append(
            (label, "stratified", Stratified(rules=("fixed",)), ComparisonNeeds(strata=True))
        )
    truth = true_effects(law)
    tallies = {(label, name): Tally() for label, name, _, _ in models}
    for world in range(worlds):
        units = units_of(visitors(law, ARM, LIFT, stream(world, "bench", law.words)))
        for label, name, model, needs in models:
            finding = _of(
                model.compare(units.sample(label, needs, units.n), Design()), "effect", "fixed"
            )
            tallies[label, name].add(covered(finding, truth[label]))
    yield from ((f"{label}, {name}", tally, "94-96") for (label, name), tally in tallies.items())


def exposed(law: Amounts, worlds: int) -> Iterator[tuple[str, Tally, str]]:
    """Yield how often the interval of those exposed, carried to all units, covers, of ten times as
    many worlds.
    """
    welch, truth, covers = Welch(rules=("fixed",)), true_effects(law)["spent"], Tally()
    for world in range(10 * worlds):
        rng = stream(world, "bench", law.words)
        units = units_of(visitors(law, ARM, LIFT, rng))
        met = rng.random(units.n) < 0.3
        part = units.part(met).sample("spent", ComparisonNeeds(), int(met.sum()))
        finding = _of(welch.compare(part, Design()), "effect", "fixed")
        row = dilute_effect(AnalysisRow.of(finding, "spent", n=0), "spent", int(met.sum()), units.n)
        covers.add(
            row.low is not None and row.high is not None and row.low <= 0.3 * truth <= row.high
        )
    yield "spent, exposed units, of all, welch", covers, "94-96"


def verdicts(law: Amounts, worlds: int) -> Iterator[tuple[str, Tally, str]]:
    """Yield false findings without any effect: always-valid on each of 14 days, and SHIP and STOP
    at one look and at all.

    A verdict is computed as a run has it: one primary metric, and a guardrail that must hold.
    """
    model, design = Welch(rules=("always_valid", "fixed")), Design(tuned_for=2.0 * DAILY)
    daily = {label: Tally() for label in METRICS}
    shipped = {
        f"{word}, {rule}, {looks}": Tally()
        for word in ("SHIP", "STOP")
        for rule in ("always-valid", "fixed")
        for looks in ("one look", "14 looks")
    }
    for world in range(worlds):
        units = units_of(visitors(law, DAILY, 0.0, stream(world, "bench", "null", law.words)))
        found = dict.fromkeys(METRICS, False)
        words: dict[tuple[str, str], list[str]] = {}
        for _, stop in units.days(DAYS):
            by_label = {
                label: model.compare(units.sample(label, ComparisonNeeds(), stop), design)
                for label in METRICS
            }
            for label, findings in by_label.items():
                found[label] |= not covered(_of(findings, "effect", "always_valid"), 0.0)
            for rule in ("always_valid", "fixed"):
                word = _word(by_label, rule)
                words.setdefault((rule.replace("_", "-"), "14 looks"), []).append(word)
                words[rule.replace("_", "-"), "one look"] = [word]
        for label, tally in daily.items():
            tally.add(found[label])
        for (rule, looks), said in words.items():
            for word in ("SHIP", "STOP"):
                shipped[f"{word}, {rule}, {looks}"].add(word in said)
    yield from (
        (f"{label}, always-valid, 14 daily looks, no effect found", tally, "<= 5")
        for label, tally in daily.items()
    )
    yield from (
        (name, tally, "<= 5" if "always" in name or "one" in name else "")
        for name, tally in shipped.items()
    )


def _of(findings: list[Finding], metric: str, rule: str) -> Finding:
    return next(each for each in findings if (each.metric, each.rule) == (metric, rule))


def _word(by_label: dict[str, list[Finding]], rule: str) -> str:
    """Return the verdict of `hwds.ab.report.sentences` on the primary metric and the guardrail."""
    effect, lift = _of(by_label["spent"], "effect", rule), _of(by_label["bought"], "lift", rule)
    margin = METRICS["bought"].margin or 0.0
    if effect.low is None or effect.high is None or lift.low is None or lift.high is None:
        return "HOLD"
    if effect.high < 0 or lift.high < -margin:
        return "STOP"
    return "SHIP" if effect.low > 0 and lift.low > -margin else "HOLD"


def at_the_margin(law: Amounts, worlds: int) -> Iterator[tuple[str, Tally, str]]:
    """Yield how often guardrails are said to hold that are worse by exactly their margin, of ten
    times as many worlds.

    Many worlds are compared at once: the estimator takes moments of any shape. Those of the first
    block are compared one by one, too, as a run does it.
    """
    holds, model = {"spent": Tally(), "bought": Tally()}, Welch(rules=("fixed",))
    for block in range(10 * worlds // BLOCK):
        rng = stream(block, "bench", "margin", law.words)
        for label, own, control in _worse_arms(law, rng):
            estimate = model.estimate(own, control)
            low, _ = model.fixed_bounds(own, control, 0.05)
            ends = estimate.ratio_bounds((estimate.value - low) / estimate.stderr)[0] - 1
            holds[label].times, holds[label].of = (
                holds[label].times + int((ends > -0.2).sum()),
                holds[label].of + BLOCK,
            )
            if not block:
                for world in range(BLOCK):
                    sample = Sample(label, (_one_world(control, world), _one_world(own, world)))
                    assert np.isclose(
                        _of(model.compare(sample, Design()), "lift", "fixed").low or np.nan,
                        ends[world],
                    )
    yield from (
        (f"{label}, a guardrail at its margin holds, fixed", tally, "<= 2.5")
        for label, tally in holds.items()
    )


def _worse_arms(
    law: Amounts, rng: np.random.Generator
) -> Iterator[tuple[str, SampleArm, SampleArm]]:
    """Yield two metrics with an arm that is worse by a fifth and its control, in `BLOCK` worlds
    each.
    """
    shape = (BLOCK, ARM)
    bought = [_buyers(shape, rng) for _ in range(2)]
    amounts = [each * law.draw(rng, each.size).reshape(shape) for each in bought]
    yield "spent", _arm_of("new", 0.8 * amounts[1]), _arm_of("control", amounts[0])
    yield (
        "bought",
        _arm_of("new", bought[1] & (rng.random(shape) < 0.8)),
        _arm_of("control", bought[0]),
    )


def _arm_of(name: str, values: np.ndarray) -> SampleArm:
    """Return an arm of many worlds, of shape (worlds, units)."""
    n = np.full(len(values), float(values.shape[1]))
    return SampleArm(
        name,
        UnitMoments(n, values.mean(axis=1)[:, None], values.var(axis=1, ddof=1)[:, None, None]),
    )


def _one_world(arm: SampleArm, world: int) -> SampleArm:
    return SampleArm(
        arm.name, UnitMoments(arm.total.n[world], arm.total.mean[world], arm.total.cov[world])
    )


def segments(law: Amounts, worlds: int) -> Iterator[tuple[str, Tally, str]]:
    """Yield how often any of five segments is said to have an effect where there is none, by Holm,
    and without correction.
    """
    model, wrong = Welch(rules=("fixed",)), {"holm": Tally(), "none": Tally()}
    for world in range(worlds):
        rng = stream(world, "bench", "segments", law.words)
        data = visitors(law, ARM, 0.0, rng)
        units, segment = units_of(data), rng.integers(0, 5, len(data))
        parts = [units.part(segment == place) for place in range(5)]
        p = [
            _of(
                model.compare(part.sample("spent", ComparisonNeeds(), part.n), Design()),
                "effect",
                "fixed",
            ).p_value
            for part in parts
        ]
        for how, tally in wrong.items():
            values = [each for each in p if each is not None]
            tally.add(min(adjust_p_values(values, "holm") if how == "holm" else values) < 0.05)
    yield "any of five segments, Holm", wrong["holm"], "<= 5"
    yield "any of five segments, uncorrected", wrong["none"], ""


def novelty(law: Amounts, users: int, worlds: int) -> Iterator[tuple[str, Tally, str]]:
    """Yield how often the change of an effect over days since first exposure covers a true one: it
    lasts half of the days.
    """
    covers, days, level = Tally(), 8, float(law.law.mean())
    for world in range(worlds):
        rng = stream(world, "bench", "novelty", law.words)
        user = np.repeat(np.arange(users), days)
        day, new = np.tile(np.arange(days), users), user % 2 == 1
        keen = rng.uniform(0, 0.2, users)[user]
        spent = (
            (rng.random(len(user)) < keen)
            * law.draw(rng, len(user))
            * np.where(new & (day < 4), 1.5, 1.0)
        )
        data = pl.DataFrame(
            {"user": user, "arm": np.where(new, "new", "control"), "spent": spent,
             "at": np.datetime64(datetime(2025, 1, 1, 12)) + day.astype("timedelta64[D]")}
        )  # fmt: skip
        table = Table.build(
            data, {"arm": ("arm",), "outcome": ("spent",), "time": ("at",), "entity": ("user",)}
        )
        rows = age_rows(table, None, {}, {}, 0.05)
        row = next(each for each in rows if each.metric == "novelty")
        truth = -0.5 * 0.1 * level
        covers.add(row.low is not None and row.high is not None and row.low <= truth <= row.high)
    yield f"novelty, {users:,} users, 8 days", covers, "94-96"


def clusters(
    law: Amounts, count: int, worlds: int, *, switchback: bool
) -> Iterator[tuple[str, Tally, str]]:
    """Yield how often the interval of rows by cluster covers, and that of rows taken as
    independent.

    Stores of 30 to 90 customers each have a level of their own; in a switchback a shop's hours take
    turns by lot, and the level of an hour is like that of the hour before.
    """
    names = {"clustered": Tally(), "rows as units": Tally()}
    metric = {"spent_per_row": TestMetric(role="primary", outcome="spent", per="rows")}
    truth = LIFT * 0.3 * float(law.law.mean())
    model = Welch(rules=("fixed",))
    for world in range(worlds):
        rng = stream(world, "bench", "switchback" if switchback else "clusters", law.words)
        level = np.exp(_hours(rng, 2 * count) if switchback else rng.normal(0, 0.3, 2 * count))
        level = level / np.exp(0.3**2 / 2)
        new = rng.permutation(np.arange(2 * count) % 2 == 1)
        cluster = np.repeat(np.arange(2 * count), rng.integers(30, 91, 2 * count))
        spent = (rng.random(len(cluster)) < 0.3) * law.draw(rng, len(cluster)) * level[cluster]
        spent *= np.where(new[cluster], 1 + LIFT, 1.0)
        data = pl.DataFrame(
            {"cluster": cluster, "arm": np.where(new[cluster], "new", "control"), "spent": spent}
        )
        roles = {"arm": ("arm",), "outcome": ("spent",)}
        table = Table.build(data, roles | {"entity": ("cluster",)})
        grouped = TestUnits.read(units_of_events(table), None, grown=True).counting(metric)
        for name, units, label in (
            ("clustered", grouped, "spent_per_row"),
            ("rows as units", TestUnits.read(Table.build(data, roles), None), ""),
        ):
            finding = _of(
                model.compare(units.sample(label, ComparisonNeeds(), units.n), Design()),
                "effect",
                "fixed",
            )
            names[name].add(covered(finding, truth))
    kind = "hours of a switchback" if switchback else "stores"
    yield from (
        (f"{2 * count} {kind}, {name}", tally, "94-96" if name == "clustered" else "")
        for name, tally in names.items()
    )


def _hours(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return logs of levels that remember the hour before by .7."""
    levels, shocks = np.empty(count), rng.normal(0, 0.3 * np.sqrt(1 - 0.7**2), count)
    levels[0] = rng.normal(0, 0.3)
    for hour in range(1, count):
        levels[hour] = 0.7 * levels[hour - 1] + shocks[hour]
    return levels


def main(worlds: int, names: list[str]) -> None:
    """Print every rate, with what it must be: of the parts with these names, or of all of them."""
    by_name = laws()
    heavy = by_name["lognormal"]
    parts: dict[str, tuple[str, Callable[[], Iterator[tuple[str, Tally, str]]]]] = {}
    for name, law in by_name.items():
        title = (
            f"three of ten buy, {law.words}; {ARM:,} visitors an arm: intervals of 95 % that cover"
        )
        parts[f"intervals_{name}"] = title, partial(intervals, law, worlds)
        title = (
            f"three of ten of them are exposed, {10 * worlds:,} worlds, {law.words}: "
            f"intervals of 95 % that cover"
        )
        parts[f"exposed_{name}"] = title, partial(exposed, law, worlds)
        title = f"three of ten buy, {law.words}; {DAILY:,} visitors an arm, no effect: wrong"
        parts[f"verdicts_{name}"] = title, partial(verdicts, law, worlds)
        title = (
            f"guardrails that are worse by their margin, {10 * worlds:,} worlds, {law.words}: wrong"
        )
        parts[f"margin_{name}"] = title, partial(at_the_margin, law, worlds)
    parts["segments"] = (
        f"five segments without an effect, {heavy.words}",
        partial(segments, heavy, worlds),
    )
    parts["clusters"] = (
        f"stores, {heavy.words}: intervals of 95 % that cover",
        partial(clusters, heavy, 40, worlds, switchback=False),
    )
    turns = partial(clusters, heavy, 84, worlds, switchback=True)
    parts["switchback"] = (
        f"hours that take turns, {heavy.words}: intervals of 95 % that cover",
        turns,
    )
    parts["novelty"] = (
        f"an effect that lasts four of eight days, {heavy.words}: intervals",
        partial(novelty, heavy, 1_500, worlds),
    )
    print(
        f"python -m bench.ab_metrics {worlds}: percent of {worlds:,} worlds, with standard "
        f"errors, and what it must be"
    )
    for name, (title, lines) in parts.items():
        if not names or name in names:
            print(f"\n{name}: {title}")
            _print(lines())


def _print(lines: Iterator[tuple[str, Tally, str]]) -> None:
    for name, tally, must in lines:
        print(f"    {name:58} {tally}{f'  ({must})' if must else ''}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else WORLDS, sys.argv[2:])
