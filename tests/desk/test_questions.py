"""The thirty questions of docs/desk.md, each answered by its command, in their order and in one
folder.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl

from hwds.core.seeds import stream
from tests.support.command_line import forget_options

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "desk.md").read_text()
QUESTIONS = {
    int(number): (asked, line)
    for number, asked, line in re.findall(r"^(\d+)\. (.+\?) `hwds (.+)`$", PAGE, re.MULTILINE)
}
FILLED_IN = 27
"""After this question the plan's prices are filled in."""

ANSWERS = {
    1: r"lstm_forecast +\S.*\n",
    2: r"\n  forecast/theta +The theta method",
    3: r"learning_rate: 0.06  \(> 0\)\n +The share of each tree that is added",
    4: r"as a share of today's",
    5: r"dataset.roles.known_future .*\n +Numbers known for future rows too",
    6: r"m3_monthly: (here|not here) ",
    7: r"(?i)cores",
    8: r"conf/experiment/shop.yaml\nRun it by `hwds \+experiment=shop`",
    9: r"6 cells, 0\skept; (.*\n)*dataset.roles.series: +sku +conf/experiment/shop.yaml\n",
    10: r"(WORSE|NOT SURE) +forecast/naive is (.*\n)*.*Files +outputs/runs/shop/\w{16}",
    11: r"Files +outputs/runs/spring/\w{16}",
    12: r"Files +outputs/runs/summer/\w{16}",
    13: r"run +model +metric +score\n(.*\n)?shop/\w+ +forecast/naive .*\nshop/\w+ +forecast/drift "
    r".*\n2 runs",
    14: r"forecast/naive: no leak",
    15: r"mine/shop_trend.py\nconf/model/mine/shop_trend.yaml\n",
    16: r"(BETTER|WORSE|NOT SURE) +mine/shop_trend is ",
    17: r"Files +outputs/runs/kept/\w{16}",
    18: r"spring/\w+ +forecast/naive(.*\n)+7 of 7 runs",
    19: r"spring/\w+ .* draft .*\n1 of 7 runs",
    20: r"mase.*\n\w+/\w+ +(mine/shop_trend|forecast/\w+) ",
    21: r"(?s)spring/\w+: forecast/naive on file.*name=spring.*(WORSE|NOT SURE) +forecast/naive is ",
    22: r"tags draft; note sent to sales",
    23: r"model.*forecast/naive.*forecast/drift",
    24: r"(?s)forecast/naive.*forecast/drift.*3 origins|forecast/drift.*forecast/naive",
    25: r"Report: .*/report.html",
    26: r"outputs/exports/spring-\w+/predictions.csv",
    27: r"48 rows to fill in \(price\): plan.csv",
    28: r"2024-01",
    29: r"is the best of 2 trials on \d inner windows",
    30: r"Would delete 0 runs",
}


def write_sales():
    """Four products over five years of months, with a season, and prices that move."""
    rng, months = (
        stream(1, "sales"),
        pl.date_range(pl.date(2019, 1, 1), pl.date(2023, 12, 1), "1mo", eager=True),
    )
    season, rows = 10 * np.sin(2 * np.pi * np.arange(len(months)) / 12), []
    for place, sku in enumerate(("lamp", "kettle", "radio", "clock")):
        price = ((20 + 5 * place) * np.exp(rng.normal(0, 0.1, len(months)))).round(2)
        units = np.round(50 + 10 * place + season + rng.normal(0, 4, len(months)))
        rows.append(pl.DataFrame({"sku": sku, "month": months, "units": units, "price": price}))
    pl.concat(rows).write_csv("sales.csv")


def test_every_question_is_answered_by_its_command(command, monkeypatch):
    monkeypatch.setattr("hwds.cli.run.draw", lambda *_: None)  # pictures have tests of their own
    monkeypatch.setattr("hwds.cli.run.draw_missing", lambda *_: None)
    monkeypatch.setattr("hwds.cli.sweep.draw_sweep", lambda *_: [])
    assert list(QUESTIONS) == list(ANSWERS) == list(range(1, 31))
    write_sales()
    wrong = []
    for number, (asked, line) in QUESTIONS.items():
        forget_options()  # each command is a process of its own
        runs = line.startswith(("+experiment", "-m "))
        done = command(f"{line} compute=serial" if runs else line)
        if done.code or not re.search(ANSWERS[number], done.out):
            wrong.append((number, asked, done.err or done.out))
        if number == FILLED_IN:
            plan = pl.read_csv("plan.csv")
            plan.with_columns(price=pl.lit(25.0)).write_csv("plan.csv")
    assert wrong == []


def test_a_sweep_whose_windows_have_no_value_of_the_metric_says_so(command):
    write_sales()
    pl.read_csv("sales.csv").with_columns(units=pl.lit(0.0)).write_csv(
        "sales.csv"
    )  # nothing is sold: no scale of errors
    roles = "dataset.roles.series=sku dataset.roles.time=month dataset.roles.target=units"
    search = (
        "sweep=random sweep.trials=1 sweep.space.model.season.choice=[4,6] compute=serial "
        "pictures=false"
    )
    said = command(
        f"dataset=file dataset.path=sales.csv {roles} model=forecast/seasonal_naive {search}"
    ).err
    assert "mase is undefined on the inner windows of every trial" in said
    assert "sweep.metric=NAME compares by another metric" in said
