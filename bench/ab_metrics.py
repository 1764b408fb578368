"""How often the intervals of a test cover, and how often a verdict is wrong: `python -m bench.ab_metrics [worlds] [laws]`.

Visitors come over 14 days; most buy nothing, and what they spend has a heavy tail. The new arm's amounts are a tenth larger
where an interval is to cover that, and equal where no effect may be found. 40 minutes of a core for 2,000 worlds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from hwds.ab.metrics.checks import adjusted
from hwds.ab.metrics.sample import Design, Finding, Needs
from hwds.ab.models.base import Comparison
from hwds.ab.models.cuped import Cuped
from hwds.ab.models.stratified import Stratified
from hwds.ab.models.welch import Welch
from hwds.ab.protocols.analysis.ages import age_rows
from hwds.ab.protocols.analysis.events import as_units
from hwds.ab.protocols.analysis.metrics import TestMetric
from hwds.ab.protocols.analysis.parts import diluted
from hwds.ab.protocols.analysis.rows import Row
from hwds.ab.protocols.analysis.units import Units
from hwds.core.seeds import stream
from hwds.frames.table import Table

WORLDS, DAYS, LIFT = 2_000, 14, 0.1
SIZES = (2_000, 10_000)
"""Visitors of each arm."""

ROLES = {"arm": ("arm",), "outcome": ("spent", "bought", "refunds"), "time": ("day",), "covariate": ("before",),
         "stratum": ("site",)}  # fmt: skip

METRICS = {
    "spent": TestMetric(role="primary"),
    "bought": TestMetric(role="guardrail", margin=0.2),
    "per_session": TestMetric(outcome="spent", per="sessions"),
    "median_basket": TestMetric(outcome="spent", quantile=0.5, of_nonzero=True),
    "p90_basket": TestMetric(outcome="spent", quantile=0.9, of_nonzero=True),
}

Amounts = Callable[[np.random.Generator, int], np.ndarray]


def lognormal(rng: np.random.Generator, n: int) -> np.ndarray:
    """Amounts with a log-normal tail of 1.2; three of ten visitors buy."""
    return np.exp(rng.normal(3.0, 1.2, n))


def pareto(rng: np.random.Generator, n: int) -> np.ndarray:
    """Amounts with a power tail of exponent 3.5: the fourth moment is infinite."""
    return 20 * (1 + rng.pareto(3.5, n))


def gamma(rng: np.random.Generator, n: int) -> np.ndarray:
    """Amounts with a gamma law of shape 2."""
    return rng.gamma(2.0, 20.0, n)


LAWS: tuple[Amounts, ...] = (lognormal, pareto, gamma)


def visitors(law: Amounts, n: int, lift: float, rng: np.random.Generator) -> pl.DataFrame:
    """Return 2 n visitors in the order in which they come; those with more sessions are readier to buy."""
    total = 2 * n
    new = rng.permutation(np.arange(total) % 2 == 1)
    keen, sessions = rng.random(total), 1 + rng.poisson(1.2, total)
    bought = rng.random(total) < 0.1 + 0.4 * keen * sessions / (1 + sessions)
    spent = bought * law(rng, total) * np.where(new, 1 + lift, 1.0)
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


def true_effects(law: Amounts) -> dict[str, float]:
    """Return the effect of the lift on each metric, of forty million amounts and visitors."""
    rng = stream(0, "bench", "truth", law.__name__)
    data = visitors(law, 2_000_000, 0.0, rng)
    spent, nonzero = data["spent"].to_numpy(), np.concatenate([law(rng, 4_000_000) for _ in range(10)])
    paid = float(data["bought"].mean()) * float(nonzero.mean())  # type: ignore[arg-type]
    assert abs(paid / spent.mean() - 1) < 0.05
    return {
        "spent": LIFT * paid,
        "bought": 0.0,
        "per_session": LIFT * paid / float(data["sessions"].mean()),  # type: ignore[arg-type]
        "median_basket": LIFT * float(np.quantile(nonzero, 0.5)),
        "p90_basket": LIFT * float(np.quantile(nonzero, 0.9)),
    }


@dataclass
class Tally:
    """How often something was so."""

    times: int = 0
    of: int = 0

    def add(self, so: bool) -> None:
        """Count one more."""
        self.times, self.of = self.times + so, self.of + 1

    def __str__(self) -> str:
        """Return the percentage, with its standard error."""
        share = self.times / max(self.of, 1)
        return f"{100 * share:5.1f} +- {100 * np.sqrt(share * (1 - share) / max(self.of, 1)):.1f}"


def units_of(data: pl.DataFrame) -> Units:
    """Return the visitors as a test reads them."""
    return Units.read(Table.build(data, ROLES), None).counting(METRICS)


def covered(finding: Finding, truth: float) -> bool:
    """Return whether an interval holds the truth."""
    return finding.low is not None and finding.high is not None and finding.low <= truth <= finding.high


def intervals(law: Amounts, n: int, worlds: int) -> Iterator[tuple[str, Tally, str]]:
    """Yield how often each fixed interval covers the effect of the lift, and that on all units of those exposed."""
    models: dict[str, tuple[Comparison, Needs]] = {
        "welch": (Welch(rules=("fixed",)), Needs()),
        "cuped": (Cuped(rules=("fixed",)), Needs(inputs=("before",))),
        "stratified": (Stratified(rules=("fixed",)), Needs(strata=True)),
    }
    truth, tallies = true_effects(law), {}
    for world in range(worlds):
        rng = stream(world, "bench", law.__name__, str(n))
        units = units_of(visitors(law, n, LIFT, rng))
        for label in METRICS:
            for name, (model, needs) in models.items():
                sample = units.sample(label, needs, units.n)
                (finding,) = (each for each in model.compare(sample, Design()) if each.metric == "effect")
                tallies.setdefault((label, name), Tally()).add(covered(finding, truth[label]))
        met = rng.random(units.n) < 0.3
        part = units.part(met).sample("spent", Needs(), int(met.sum()))
        (finding,) = (each for each in models["welch"][0].compare(part, Design()) if each.metric == "effect")
        row = diluted(Row.of(finding, "spent", n=0), "spent", int(met.sum()), units.n)
        whole = row.low is not None and row.high is not None and row.low <= 0.3 * truth["spent"] <= row.high
        tallies.setdefault(("spent, exposed units, of all", "welch"), Tally()).add(whole)
    yield from ((f"{label}, {name}", tally, "") for (label, name), tally in tallies.items())


def verdicts(law: Amounts, n: int, worlds: int) -> Iterator[tuple[str, Tally, str]]:
    """Yield false findings without any effect: always-valid on each of 14 days, and SHIP and STOP at one look and at all.

    A verdict is computed as a run has it: one primary metric, and a guardrail that must hold.
    """
    model, design = Welch(rules=("always_valid", "fixed")), Design(tuned_for=2.0 * n)
    daily = {label: Tally() for label in METRICS}
    shipped = {f"{word}, {rule}, {looks}": Tally() for word in ("SHIP", "STOP") for rule in ("always-valid", "fixed")
               for looks in ("one look", "14 looks")}  # fmt: skip
    for world in range(worlds):
        units = units_of(visitors(law, n, 0.0, stream(world, "bench", "null", law.__name__, str(n))))
        found = dict.fromkeys(METRICS, False)
        words: dict[tuple[str, str], list[str]] = {}
        for _, stop in units.days(DAYS):
            by_label = {label: model.compare(units.sample(label, Needs(), stop), design) for label in METRICS}
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
    yield from ((f"{label}, always-valid, 14 daily looks, no effect found", tally, "<= 5") for label, tally in daily.items())
    yield from ((name, tally, "<= 5" if "always" in name or "one" in name else "") for name, tally in shipped.items())


def _of(findings: list[Finding], metric: str, rule: str) -> Finding:
    return next(each for each in findings if (each.metric, each.rule) == (metric, rule))


def _word(by_label: dict[str, list[Finding]], rule: str) -> str:
    """Return the verdict of `hwds.ab.report.verdict` on the primary metric and the guardrail."""
    effect, lift = _of(by_label["spent"], "effect", rule), _of(by_label["bought"], "lift", rule)
    margin = METRICS["bought"].margin or 0.0
    if effect.low is None or effect.high is None or lift.low is None or lift.high is None:
        return "HOLD"
    if effect.high < 0 or lift.high < -margin:
        return "STOP"
    return "SHIP" if effect.low > 0 and lift.low > -margin else "HOLD"


def at_the_margin(law: Amounts, n: int, worlds: int) -> Iterator[tuple[str, Tally, str]]:
    """Yield how often a guardrail is said to hold that is worse by exactly its margin."""
    holds, model = Tally(), Welch(rules=("fixed",))
    for world in range(worlds):
        data = visitors(law, n, -0.2, stream(world, "bench", "margin", law.__name__, str(n)))
        sample = units_of(data).sample("spent", Needs(), len(data))
        lift = next(each for each in model.compare(sample, Design()) if each.metric == "lift")
        holds.add(lift.low is not None and lift.low > -0.2)
    yield "a guardrail at its margin is said to hold, fixed", holds, "<= 2.5"


def segments(law: Amounts, n: int, worlds: int) -> Iterator[tuple[str, Tally, str]]:
    """Yield how often any of five segments is said to have an effect where there is none, by Holm, and without correction."""
    model, wrong = Welch(rules=("fixed",)), {"holm": Tally(), "none": Tally()}
    for world in range(worlds):
        rng = stream(world, "bench", "segments", law.__name__, str(n))
        data = visitors(law, n, 0.0, rng)
        units, segment = units_of(data), rng.integers(0, 5, len(data))
        parts = [units.part(segment == place) for place in range(5)]
        p = [_of(model.compare(part.sample("spent", Needs(), part.n), Design()), "effect", "fixed").p_value for part in parts]
        for how, tally in wrong.items():
            values = [each for each in p if each is not None]
            tally.add(min(adjusted(values, "holm") if how == "holm" else values) < 0.05)
    yield "any of five segments, Holm", wrong["holm"], "<= 5"
    yield "any of five segments, uncorrected", wrong["none"], ""


def novelty(law: Amounts, users: int, worlds: int) -> Iterator[tuple[str, Tally, str]]:
    """Yield how often the change of an effect over days since first exposure covers a true one: it lasts half of the days."""
    covers, days, level = Tally(), 8, float(np.mean(law(stream(0, "bench", "level", law.__name__), 4_000_000)))
    for world in range(worlds):
        rng = stream(world, "bench", "novelty", law.__name__)
        user = np.repeat(np.arange(users), days)
        day, new = np.tile(np.arange(days), users), user % 2 == 1
        keen = rng.gamma(2.0, 0.05, users)[user]
        spent = (rng.random(len(user)) < np.minimum(keen, 1)) * law(rng, len(user)) * np.where(new & (day < 4), 1.5, 1.0)
        data = pl.DataFrame(
            {"user": user, "arm": np.where(new, "new", "control"), "spent": spent,
             "at": np.datetime64(datetime(2025, 1, 1, 12)) + day.astype("timedelta64[D]")}
        )  # fmt: skip
        table = Table.build(data, {"arm": ("arm",), "outcome": ("spent",), "time": ("at",), "entity": ("user",)})
        rows = age_rows(table, None, {}, {}, 0.05)
        row = next(each for each in rows if each.metric == "novelty")
        truth = -0.5 * 0.1 * level
        covers.add(row.low is not None and row.high is not None and row.low <= truth <= row.high)
    yield f"novelty, {users:,} users, 8 days", covers, "94-96"


def clusters(law: Amounts, count: int, worlds: int, *, switchback: bool) -> Iterator[tuple[str, Tally, str]]:
    """Yield how often the interval of rows by cluster covers, and that of rows taken as independent.

    Stores of 30 to 90 customers each have a level of their own; in a switchback a shop's hours take turns by lot, and the level
    of an hour is like that of the hour before.
    """
    names = {"clustered": Tally(), "rows as units": Tally()}
    metric = {"spent_per_row": TestMetric(role="primary", outcome="spent", per="rows")}
    truth = LIFT * 0.3 * float(np.mean(law(stream(0, "bench", "level", law.__name__), 4_000_000)))
    model = Welch(rules=("fixed",))
    for world in range(worlds):
        rng = stream(world, "bench", "switchback" if switchback else "clusters", law.__name__, str(count))
        level = np.exp(_hours(rng, 2 * count) if switchback else rng.normal(0, 0.3, 2 * count))
        level /= np.exp(0.3**2 / 2)
        new = rng.permutation(np.arange(2 * count) % 2 == 1)
        cluster = np.repeat(np.arange(2 * count), rng.integers(30, 91, 2 * count))
        spent = (rng.random(len(cluster)) < 0.3) * law(rng, len(cluster)) * level[cluster]
        spent *= np.where(new[cluster], 1 + LIFT, 1.0)
        data = pl.DataFrame({"cluster": cluster, "arm": np.where(new[cluster], "new", "control"), "spent": spent})
        roles = {"arm": ("arm",), "outcome": ("spent",)}
        table = Table.build(data, roles | {"entity": ("cluster",)})
        grouped = Units.read(as_units(table), None, grown=True).counting(metric)
        for name, units, label in (
            ("clustered", grouped, "spent_per_row"),
            ("rows as units", Units.read(Table.build(data, roles), None), ""),
        ):
            finding = _of(model.compare(units.sample(label, Needs(), units.n), Design()), "effect", "fixed")
            names[name].add(covered(finding, truth))
    kind = "hours of a switchback" if switchback else "stores"
    yield from ((f"{2 * count} {kind}, {name}", tally, "94-96" if name == "clustered" else "") for name, tally in names.items())


def _hours(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return logs of levels that remember the hour before by .7."""
    levels, shocks = np.empty(count), rng.normal(0, 0.3 * np.sqrt(1 - 0.7**2), count)
    levels[0] = rng.normal(0, 0.3)
    for hour in range(1, count):
        levels[hour] = 0.7 * levels[hour - 1] + shocks[hour]
    return levels


def main(worlds: int, names: list[str]) -> None:
    """Print every rate, with what it must be, by the laws of amounts with these names; by all of them where there are none."""
    print(f"python -m bench.ab_metrics {worlds}\n\nPercent of {worlds:,} worlds, with standard errors")
    for law in (each for each in LAWS if not names or each.__name__ in names):
        print(f"\n{(law.__doc__ or '').strip()}")
        for n in SIZES:
            print(f"  {n:,} visitors an arm; fixed intervals of 95 % that cover the effect of amounts a tenth larger (94-96)")
            _print(intervals(law, n, worlds))
        print(f"  {SIZES[0]:,} visitors an arm, no effect")
        _print(verdicts(law, SIZES[0], worlds))
        _print(at_the_margin(law, SIZES[0], worlds))
        _print(segments(law, SIZES[1], worlds))
        print("  clusters, switchbacks and novelty; intervals of 95 % that cover")
        _print(clusters(law, 40, worlds, switchback=False))
        _print(clusters(law, 84, worlds, switchback=True))
        _print(novelty(law, 4_000, worlds))


def _print(lines: Iterator[tuple[str, Tally, str]]) -> None:
    for name, tally, must in lines:
        print(f"    {name:58} {tally}{f'  ({must})' if must else ''}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else WORLDS, sys.argv[2:])
