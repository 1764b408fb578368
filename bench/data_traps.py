"""How often the checks of data find a trap, and how often they see one that is not there: `python
-m bench.data_traps [WORLDS]`.

Each trap has a simulated world with known truth, with the trap and without it, at the size of the
review. 1 where fewer than 90 % of the traps are found or more than 2 % of the others are alarms,
or where a shipped data set has an error or a warning.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from hwds.core.compose import compose
from hwds.core.config import build
from hwds.core.errors import HwdsError
from hwds.core.registry import options
from hwds.datasets.file import File
from hwds.datasets.reading.file_traps import file_findings
from hwds.datasets.reading.traps import findings_of, plan_findings
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import Roles
from hwds.frames.runs import Runs
from hwds.frames.table import Table

LEAST_FOUND, MOST_FALSE = 0.9, 0.02
"""The share of traps that must be found, and the most false alarms."""

Rng = np.random.Generator
PRODUCTS, WEEKS, CUSTOMERS, DAYS = 30, 104, 4000, 28
START = date(2023, 1, 2)


def sales(rng: Rng, trap: str = "") -> Panel:
    """Return weekly sales of products with prices, promotions, a season and lasting shocks."""
    n, weeks = PRODUCTS, WEEKS
    base = rng.normal(3.5, 0.8, n)[:, None] + np.zeros(weeks)
    season = 0.5 * np.sin(np.arange(weeks) * 2 * np.pi / 52 + rng.normal())
    shock = rng.normal(0, 0.3, (n, weeks))
    for week in range(1, weeks):
        shock[:, week] = 0.6 * shock[:, week - 1] + 0.8 * shock[:, week]
    steps = rng.normal(0, 0.03, (n, weeks)).cumsum(axis=1) * 0.5
    promotion = np.where(rng.random((n, weeks)) < 0.08, np.log(0.7), 0)
    price = rng.normal(3, 0.6, n)[:, None] + steps + promotion
    elasticity = -rng.uniform(0.8, 3.0, n)[:, None]
    level = base + season + shock
    if trap == "price same week":
        price = price - promotion - 0.7 * steps + 0.9 * (shock + season) / -elasticity
    effect = elasticity * (price - price.mean(axis=1, keepdims=True))
    if trap == "price week after":
        for week in range(1, weeks):
            before = (level + effect)[:, week - 1] - base[:, 0]
            price[:, week] = price[:, week] + 0.15 * before
            effect = elasticity * (price - price.mean(axis=1, keepdims=True))
    units = rng.poisson(np.exp(level + effect)).astype(float)
    prices = np.exp(price)
    half, middle = rng.permutation(n)[: n // 2], weeks // 2 + int(rng.integers(-15, 15))
    if trap == "currency":
        prices[half, middle:] *= 130
    if trap == "pack":
        units[half, middle:] = np.round(units[half, middle:] / 6)
        prices[half, middle:] *= 6
    if trap == "total":
        units = np.vstack([units, units.sum(axis=0)])
        prices = np.vstack([prices, prices.mean(axis=0)])
    if trap == "whale":
        units[0] *= 300 * n / 30
    return panel_of(units, prices)


def panel_of(units: np.ndarray, prices: np.ndarray) -> Panel:
    """Return a weekly panel of units and prices."""
    n, weeks = units.shape
    times = [START + timedelta(weeks=week) for week in range(weeks)]
    table = pl.DataFrame(
        {
            "series_id": np.repeat([f"p{i:03}" for i in range(n)], weeks),
            "time": times * n,
            "target": units.ravel(),
            "price": prices.ravel(),
        }
    )
    roles = Roles(known_future=("price",), price=("price",))
    return Panel.build(table, Frequency("7d"), roles=roles, horizon=4)


def plan(rng: Rng, trap: bool) -> Iterator[Any]:
    """Yield the findings in a plan of four weeks."""
    panel = sales(rng)
    last = panel.table.group_by("series_id", maintain_order=True).last()
    rows = pl.concat([last.select("series_id", "price")] * 4)
    change = 1 - 0.2 * rng.random(len(rows))
    if trap:
        change[int(rng.integers(len(rows)))] = rng.choice([-1.0, 100.0])
    return plan_findings(panel, rows.with_columns(pl.col("price") * change))


def customers(rng: Rng, trap: str = "") -> Table:
    """Return the customers of a test of two arms, by day, with revenue and an earlier one."""
    n = CUSTOMERS
    day = rng.integers(0, DAYS, n)
    arm = rng.integers(0, 2, n)
    if trap == "by day":
        arm = rng.integers(0, 2, DAYS)[day]
    if trap == "ramp":
        arm = (rng.random(n) < 0.1 + 0.8 * day / DAYS).astype(int)
    before = rng.gamma(0.7, 40, n)
    if trap == "moved covariate":
        before = before * np.where(arm == 1, 1.25, 1)
    spent = rng.random(n) < 0.3 + 0.1 * np.sin(day)
    revenue = np.where(spent, rng.lognormal(3, 1, n) + 0.2 * before, 0)
    if trap == "whale":
        revenue[int(rng.integers(n))] = 20 * revenue.sum() / 10
    times = [START + timedelta(days=int(each)) for each in day]
    data = pl.DataFrame(
        {
            "customer": np.arange(n),
            "day": times,
            "arm": np.where(arm == 1, "new", "old"),
            "revenue": revenue,
            "before": before,
            "country": rng.choice(["DE", "FR", "IT"], n),
        }
    )
    if trap == "copies":
        data = pl.concat([data, data.sample(40, seed=int(rng.integers(1000)))])
    if trap == "clock":
        data[3, "day"] = date(1970, 1, 1)
    return Table.of(
        data, arm="arm", outcome="revenue", time="day", entity=(), covariate=("before", "country")
    )


def decisions(rng: Rng, trap: str = "") -> Table:
    """Return the log of a policy over ten days, with its propensities and clicks."""
    n, arms = 10_000, 4
    context = rng.integers(0, 3, n)
    shares = rng.dirichlet(np.full(arms, 4.0), 3)
    arm = (shares.cumsum(axis=1)[context] > rng.random((n, 1))).argmax(axis=1)
    chance = shares[context, arm]
    if trap == "propensities":
        chance = np.full(n, 1 / arms)
    hours = np.sort(rng.uniform(0, 240, n))
    clicks = rng.random(n) < 0.13 * (1 + 0.2 * np.sin(hours / 24 * 2 * np.pi))
    if trap == "late":
        clicks &= hours + rng.exponential(48, n) < 240
    times = [datetime(2024, 1, 1) + timedelta(hours=float(each)) for each in hours]
    data = {"at": times, "arm": arm, "p": chance, "click": clicks.astype(float), "c": context}
    return Table.of(
        pl.DataFrame(data), time="at", arm="arm", propensity="p", outcome="click", context="c"
    )


def orders(rng: Rng, trap: bool) -> Table:
    """Return labelled orders; the last labels have not come yet, and with the trap some never."""
    n = 5000
    time_of = np.sort(rng.uniform(0, 90, n))
    amount = rng.lognormal(4, 1, n)
    label = (rng.random(n) < 0.05).astype(float)
    known = time_of + rng.exponential(5, n) < 90
    if trap:
        known &= (label == 1) | (rng.random(n) < 0.7) | (amount > np.quantile(amount, 0.9))
    times = [datetime(2024, 1, 1) + timedelta(days=float(each)) for each in time_of]
    values = [value if seen else None for value, seen in zip(label, known, strict=True)]
    data = pl.DataFrame({"at": times, "amount": amount, "gray": values})
    return Table.of(data, label="gray", time="at", amount="amount")


def machines(rng: Rng, trap: str = "") -> Runs:
    """Return ten machines with four sensors, of which one has steps and one machine rests."""
    parts = []
    for machine in range(10):
        n = int(rng.integers(300, 500))
        wear = np.linspace(0, 1, n) ** 2
        heat = 20 + 5 * wear + rng.normal(0, 0.5, n)
        flow = np.round(8 - wear + rng.normal(0, 0.4, n), 1)
        hum = np.round(wear * 3 + 0.2 * rng.normal(0, 1, n).cumsum() / 5)
        force = rng.normal(0, 1, n)
        if machine == 4:
            rest = slice(100, 180)
            heat[rest], flow[rest], hum[rest], force[rest] = 15.0, 0.0, 0.0, 0.0
        if machine == 7 and trap == "stuck":
            start = int(rng.integers(0, 90))
            heat[start : start + 200] = heat[start]
        if machine == 7 and trap == "constant":
            force[:] = force[0]
        clock = np.arange(1.0, n + 1) + np.where(rng.random(n) < 0.01, 5, 0).cumsum()
        if machine == 7 and trap == "clock":
            clock[n // 2 :] += 1e6
        parts.append(
            pl.DataFrame(
                {
                    "machine": f"m{machine}",
                    "hour": clock,
                    "heat": heat,
                    "flow": flow,
                    "hum": hum,
                    "force": force,
                }
            )
        )
    sensors = ("heat", "flow", "hum", "force")
    return Runs.build(pl.concat(parts), Roles(entity="machine", cycle="hour", sensor=sensors))


def export(rng: Rng, trap: str = "") -> tuple[File, pl.DataFrame]:
    """Return the rows of a spreadsheet's text, and the dataset that would read it."""
    n = 60
    units = rng.integers(0, 40_000, n)
    weights = [f"{value:.1f}" for value in rng.lognormal(3, 1, n)]
    days = [START + timedelta(days=each) for each in range(n)]
    table = pl.DataFrame(
        {
            "sku": [f"A{int(each):03}" for each in rng.integers(0, 20, n)],
            "day": [f"{day:%Y-%m-%d}" for day in days],
            "units": [str(each) for each in units],
            "weight": weights,
            "currency": ["EUR"] * n,
        }
    )
    if trap == "separator":
        text = [f"{each:,}".replace(",", ".") for each in units]
        table = table.with_columns(units=pl.Series(text))
    if trap == "dates":
        table = table.with_columns(day=pl.Series([f"{day:%d.%m.%Y}" for day in days]))
    if trap == "currencies":
        table = table.with_columns(currency=pl.Series(rng.choice(["EUR", "USD"], n)))
    if trap == "duplicates":
        table = pl.concat([table, table.sample(3, seed=int(rng.integers(1000)))])
    if trap == "total rows":
        table = pl.concat([table, table[:1].with_columns(sku=pl.lit("Gesamt"))])
    roles: Any = {"series": ("sku",), "time": "day", "target": "units"}
    return File(path="export.csv", roles=roles), table


World = Callable[[Rng, bool], Any]


def _frames(make: Callable[[Rng, str], Any], trap: str) -> World:
    return lambda rng, there: findings_of(make(rng, trap if there else ""))


def _exports(trap: str) -> World:
    return lambda rng, there: file_findings(*export(rng, trap if there else ""))


TRAPS: dict[str, tuple[str, World]] = {
    "currency in the middle, half of the products": ("level-break", _frames(sales, "currency")),
    "packs of six, half of the products": ("level-break", _frames(sales, "pack")),
    "a series that is the sum": ("totals", _frames(sales, "total")),
    "prices answer the same week": ("price-follows", _frames(sales, "price same week")),
    "prices answer the week before": ("price-follows", _frames(sales, "price week after")),
    "one product is most of the sales": ("whale", _frames(sales, "whale")),
    "a plan out of range": ("plan-range", plan),
    "arms by whole day": ("arm-by-time", _frames(customers, "by day")),
    "arms that ramp up": ("arm-by-time", _frames(customers, "ramp")),
    "a covariate that the arm moved": ("imbalance", _frames(customers, "moved covariate")),
    "one customer is most of the revenue": ("whale", _frames(customers, "whale")),
    "rows that come twice": ("duplicates", _frames(customers, "copies")),
    "a day of 1970": ("clock", _frames(customers, "clock")),
    "propensities of another policy": ("propensities", _frames(decisions, "propensities")),
    "rewards not yet in": ("late-rewards", _frames(decisions, "late")),
    "orders never investigated": (
        "uninvestigated",
        lambda rng, there: findings_of(orders(rng, there)),
    ),
    "a sensor stuck for 200 rows": ("stuck-sensor", _frames(machines, "stuck")),
    "a sensor constant in one machine": ("stuck-sensor", _frames(machines, "constant")),
    "a clock that jumps": ("clock", _frames(machines, "clock")),
    "thousands or decimals": ("separator", _exports("separator")),
    "dates of another form": ("dates", _exports("dates")),
    "two currencies": ("currencies", _exports("currencies")),
    "keys that come twice": ("duplicates", _exports("duplicates")),
    "rows of totals": ("totals", _exports("total rows")),
}
"""Each trap with the check that finds it, and the function that checks its world."""


def counts(trap: str, worlds: int) -> tuple[int, int]:
    """Return in how many worlds a trap is found, and how many others have any alarm."""
    check, world = TRAPS[trap]
    found = sum(
        any(each.check == check for each in world(np.random.default_rng([seed, 1]), True))
        for seed in range(worlds)
    )
    alarms = [list(world(np.random.default_rng([seed, 2]), False)) for seed in range(worlds)]
    return found, sum(map(bool, alarms))


def main(words: list[str]) -> int:
    """Print a line for each trap, and for each data set with a finding."""
    logging.disable(logging.WARNING)
    worlds = int(words[0]) if words else 100
    wrong = 0
    print(f"{'trap':<46} {'check':<15} found  false alarms  of {worlds} worlds each")
    for trap in TRAPS:
        found, false = counts(trap, worlds)
        wrong += found < LEAST_FOUND * worlds or false > MOST_FALSE * worlds
        print(f"{trap:<46} {TRAPS[trap][0]:<15} {found:>5}  {false:>12}", flush=True)
    return int(wrong + sum(map(of_dataset, sorted(options("dataset")))) > 0)


def of_dataset(name: str) -> int:
    """Print the findings of a shipped data set and the time they took; 1 if any weighs."""
    try:
        dataset: Any = build("dataset", "dataset", compose([f"dataset={name}"])["dataset"])
        frame = dataset.load()
    except HwdsError as error:
        print(f"{name:<28} left out: {str(error)[:60]}")
        return 0
    began = time.process_time()
    found = findings_of(frame)
    print(f"{name:<28} {len(found)} {1000 * (time.process_time() - began):6.0f} ms", flush=True)
    for each in found:
        print(f"    {each.line()}")
    return int(any(each.severity != "note" for each in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
