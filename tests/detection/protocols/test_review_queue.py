"""A table without labels is ranked for reviewers, and their labels come back and are learned
from.
"""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError, DataError
from hwds.datasets.table import Table as TableFile
from hwds.datasets.table import TableRoles
from hwds.detection.cases import case_numbers, cases_of_rows
from hwds.detection.decisions.review_cases import ReviewCases
from hwds.detection.models.anomaly.isolation_forest import IsolationForest
from hwds.detection.models.anomaly.tails import Tails
from hwds.detection.models.classify.few_labels import FewLabels
from hwds.detection.models.classify.logistic import Logistic
from hwds.detection.predictions import REASONS_TYPE
from hwds.detection.protocols.review_queue import ReviewQueue
from hwds.detection.report.run import queue_run_sentence
from hwds.detection.rows import RowContext
from hwds.evaluation.protocol import Cell, RunContext
from hwds.frames.features.none import None_
from hwds.frames.table import Table
from hwds.results.tables import SCORES, Tables

BEGIN = datetime(2024, 1, 1)


def orders(count=600, seed=0):
    """Orders of 60 customers, six of which buy much and whose accounts share addresses by twos."""
    rng = np.random.default_rng(seed)
    customer = rng.integers(0, 60, count)
    crooked = customer < 6
    return pl.DataFrame(
        {
            "order": [f"A-{k}" for k in range(count)],
            "when": [BEGIN + timedelta(hours=3 * k) for k in range(count)],
            "customer": [f"c{k}" for k in customer],
            "address": [f"home {k // 2}" if k < 6 else f"home {k}" for k in customer],
            "units": np.where(crooked, rng.poisson(12, count), rng.poisson(3, count)).astype(float),
            "gap": rng.gamma(2, 1, count),
            "worth": np.where(crooked, 500.0, 50.0),
            "gray": crooked.astype(float),
        }
    )


ROLES = {"id": "order", "time": "when", "entity": "customer", "link": "address", "amount": "worth"}


@pytest.fixture(scope="module")
def protocol():
    return ReviewQueue(
        name="review_queue", queue_days=30, budget=8, score_of="mean", other_seeds=1, injected=50
    )


@pytest.fixture(scope="module")
def frame(protocol):
    roles = {**ROLES, "truth": "gray", "covariate": ("units", "gap")}
    return protocol.prepare_frame(Table.build(orders(), roles, "EUR"))


def asked(protocol, model, frame):
    fold = protocol.split(frame)[0]
    context = RunContext(seed=0, fold=fold.name, features=None_())
    rows = protocol.evaluate_cell(model, frame, Cell("own", fold, 0, fold.units), context)
    return rows.with_columns(pl.lit(0, pl.Int32).alias("fold"), pl.lit("own").alias("model"))


def test_what_is_not_labelled_is_ranked_and_the_ranking_is_measured(protocol, frame):
    assert frame.roles["label"] == ("reviewed",)
    rows = asked(protocol, Tails(high=("units",)), frame)
    assert len(rows) == int(protocol.in_queue(frame).sum()) == 30 * 8
    scores = {(score.metric, score.segment): score.value for score in protocol.score(rows)}
    assert scores["true_recall@8", None] == 1.0
    assert scores["true_precision@8", None] == 0.75
    assert scores["seed_overlap@8", None] == 1.0
    assert scores["half_overlap@8", None] > 0.7
    kinds = [scores["injected_recall@8", kind] for kind in ("extreme", "mixed", "cluster")]
    assert scores["injected_recall@8", None] == pytest.approx(np.mean(kinds))
    assert "checks" not in protocol.rows_to_keep(rows).columns
    other = asked(protocol, IsolationForest(trees=20), frame)
    ((label, agreement),) = protocol.contrasts({"own": rows, "other": other})
    assert (label, agreement.metric) == ("other", "agreement@8")
    assert 0.5 <= agreement.value <= 1


def test_a_model_that_needs_labels_is_refused_while_there_are_none(protocol, frame):
    with pytest.raises(
        ConfigError,
        match=r"^model: 'own' learns from labels of both kinds, of which there are none yet",
    ):
        protocol.check_models({"own": Logistic()}, frame)
    protocol.check_models({"own": IsolationForest()}, frame)


def test_where_all_is_labelled_nothing_is_left_to_review(protocol):
    table = protocol.prepare_frame(
        Table.build(orders(200), {**ROLES, "label": "gray", "covariate": ("units", "gap")})
    )
    model = IsolationForest(name="anomaly/isolation_forest", trees=10)
    with pytest.raises(
        ConfigError, match=r"^protocol: no row of the last 30 days is without a label"
    ):
        protocol.check_models({"m": model}, table)
    many = replace(protocol, most_labels=1000)
    many.check_models({"m": model}, table)
    rows = asked(many, model, table)
    assert rows.is_empty()
    assert many.score(rows) == []


def test_where_the_budget_has_room_for_all_nothing_is_called_steady(protocol, frame):
    wide = replace(protocol, budget=1000)
    found = wide.score(asked(wide, Tails(high=("units",)), frame))
    rows = [
        {name: getattr(score, name) for name in ("metric", "value", "n", "segment")}
        | {"model": "own"}
        for score in found
    ]
    scores = pl.DataFrame(
        rows, schema={name: kind for name, kind in SCORES.items() if name in rows[0]}
    )
    scores = scores.select(
        *(
            pl.col(name) if name in rows[0] else pl.lit(None, kind).alias(name)
            for name, kind in SCORES.items()
        )
    )
    none = pl.DataFrame()
    said = queue_run_sentence(
        frame, Tables(scores, none, none, scores.select("metric").unique()), "own"
    )
    assert said == "STEADY: all 59 cases fit into the budget of 1000, in whatever order."


def test_cases_are_of_those_who_share_and_their_form_comes_back(protocol, frame, tmp_path):
    rows = asked(protocol, Tails(high=("units",)), frame)
    tables = Tables(pl.DataFrame({"seed": [0]}), protocol.rows_to_keep(rows), pl.DataFrame())
    decision = ReviewCases(name="review_cases", capacity=6, explore=0.5)
    verdict = decision.decide(tables, frame, "own", protocol)
    first = verdict.cases.head(3)
    assert first["kind"].to_list() == ["ring"] * 3
    assert set(first["entities"]) == {"c0, c1", "c2, c3", "c4, c5"} or first[
        "parties"
    ].to_list() == [2, 2, 2]
    assert all(each.startswith("2 share address home ") for each in first["shares"])
    assert all("its units is" in each for each in first["reasons"])
    form = verdict.to_review
    assert form["chosen"].to_list().count("drawn") == 3
    assert len(form) == 6
    assert verdict.sentence.startswith("REVIEW: 6 of 56 cases, 3 of them drawn to learn from; ")
    blind = replace(tables, predictions=tables.predictions.with_columns(score=pl.lit(0.5)))
    alike = "All have the same score: the model sees no difference between them."
    assert alike in decision.decide(blind, frame, "own", protocol).sentence
    assert alike not in verdict.sentence
    truth = dict(orders().select("order", "gray").iter_rows())
    form.with_columns(pl.col("order").replace_strict(truth).alias("label")).write_csv(
        tmp_path / "back.csv"
    )
    orders().drop("gray").write_csv(tmp_path / "orders.csv")
    roles = TableRoles(**ROLES)
    back = TableFile(
        path=str(tmp_path / "orders.csv"), roles=roles, reviewed=str(tmp_path / "back.csv")
    ).load()
    assert back.data["label"].drop_nulls().sort().to_list() == [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]
    again = protocol.prepare_frame(back)
    later = asked(protocol, FewLabels(member=Tails(high=("units",)), trees=20), again)
    assert len(later) == len(rows) - 6  # what was reviewed is in the queue no more
    (tmp_path / "bad.csv").write_text("order,label\nA-0,1\nA-9999,0\n")
    with pytest.raises(DataError, match=r"^dataset\.reviewed: no row has the order 'A-9999' of "):
        TableFile(
            path=str(tmp_path / "orders.csv"), roles=roles, reviewed=str(tmp_path / "bad.csv")
        ).load()


def test_the_file_of_reviewers_may_say_when_a_label_was_given(tmp_path):
    (tmp_path / "orders.csv").write_text(
        "order,units,label,known_at\nA,1,1,2024-02-01\nB,2,,\nC,3,,\n"
        + "".join(f"D{k},{k},0,2024-02-02\n" for k in range(9))
    )
    roles = TableRoles(id="order", label="label", label_time="known_at")

    def read(lines):
        (tmp_path / "back.csv").write_text(f"order,label,reviewed_at\n{lines}")
        table = TableFile(
            path=str(tmp_path / "orders.csv"), roles=roles, reviewed=str(tmp_path / "back.csv")
        ).load()
        return [str(each) for each in table.data["known_at"].head(3).to_list()]

    assert read("B,1,2024-03-05\nC,0,\n") == ["2024-02-01", "2024-03-05", "None"]
    assert read("B,1,2024-03-05T12:30:00\n") == [
        "2024-02-01 00:00:00",
        "2024-03-05 12:30:00",
        "None",
    ]
    with pytest.raises(DataError, match="has 'soon' in column 'reviewed_at', not a time"):
        read("B,1,soon\n")
    with pytest.raises(
        DataError,
        match=r"^dataset\.reviewed: 'reviewed_at' of .* must both hold dates, or both numbers\.$",
    ):
        read("B,1,17\n")


def test_what_many_share_ties_nobody():
    data = pl.DataFrame(
        {
            "who": [f"c{k}" for k in range(60)],
            "contact": ["front desk"] * 30 + [f"p{k // 2}" for k in range(30)],
        }
    )
    table = Table.build(data, {"entity": "who", "link": "contact"})
    rows = table.data.select("row_id", pl.col("who").alias("entity"))
    assert case_numbers(rows, table).n_unique() == 30 + 15
    alone = Table.build(data.drop("who"), {"link": "contact"})
    rows = alone.data.select("row_id", pl.lit(None, pl.String).alias("entity"))
    assert case_numbers(rows, alone).n_unique() == 30 + 15


def test_few_labels_turn_a_detector_and_reasons_add_up(frame):
    rng = np.random.default_rng(1)
    data = frame.data.with_columns(
        pl.Series("reviewed", np.where(rng.random(600) < 0.1, orders()["gap"] > 3, np.nan))
    )
    table = Table(data.with_columns(pl.col("reviewed").fill_nan(None)), frame.roles)
    none = Table(frame.data, frame.roles)
    model = FewLabels(member=Tails(high=("units",)), trees=40)
    alone = model.fit(none, context=RowContext(0)).score_rows(none).score
    detector = Tails(high=("units",)).learn(
        none, stop=none.filter(np.zeros(600, bool)), context=RowContext(0)
    )
    assert np.array_equal(alone, detector.score(none))
    fitted = model.fit(table, context=RowContext(0))
    scores = fitted.score_rows(table).score
    assert fitted.score_rows(table).probability is None
    told = fitted.explain(table)
    assert np.allclose(told.base + told.values.sum(axis=1), scores, atol=1e-4)
    high = orders()["gap"].to_numpy() > 3
    assert scores[high].mean() > scores[~high].mean() + 1


def test_the_surprise_of_a_tail_is_that_of_its_share():
    data = pl.DataFrame(
        {"x": [*map(float, range(1, 100)), None], "seen": [None] * 100},
        schema_overrides={"seen": pl.Float64},
    )
    table = Table.build(data, {"covariate": "x", "label": "seen"})
    scorer = Tails(held_out=0.001).learn(
        table, stop=table.filter(np.zeros(100, bool)), context=RowContext(0)
    )
    score = scorer.score(table)
    assert score[98] == pytest.approx(-np.log(2 / 100))
    assert score[0] == pytest.approx(-np.log(2 / 100))
    assert score[99] == 0.0
    assert score[49] == pytest.approx(-np.log(51 / 100))


def test_the_gravest_tier_is_that_of_a_case():
    table = Table.build(pl.DataFrame({"who": ["a", "a", "b"]}), {"entity": "who"})
    rows = pl.DataFrame(
        {
            "row_id": [0, 1, 2],
            "id": [None] * 3,
            "time": [BEGIN] * 3,
            "entity": ["a", "a", "b"],
            "score": [1.0, 3.0, 2.0],
            "probability": [0.1, 0.2, 0.3],
            "p_value": [None] * 3,
            "at_stake": [5.0, 7.0, 9.0],
            "tier": ["block", "review", "random_review"],
            "reasons": pl.Series([None] * 3, dtype=REASONS_TYPE),
        }
    )
    cases = cases_of_rows(rows, table)
    assert cases.table.select("case", "kind", "tier", "at_stake").rows() == [
        ("C-0001", "account", "block", 12.0),
        ("C-0002", "row", "random_review", 9.0),
    ]
    assert cases.rows["case"].to_list() == ["C-0001", "C-0001", "C-0002"]
