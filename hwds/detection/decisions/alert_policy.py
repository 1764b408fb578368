"""AlertPolicy: which rows to block and to review."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Annotated, Any

import numpy as np
import polars as pl
from annotated_types import Ge, Le, Len
from polars import DataFrame

from hwds.core.errors import ConfigError, nearest
from hwds.core.recipe import MOST, Draws, Names, Once, Positive, PositiveInt, Small, UnitInterval
from hwds.detection.alerts.back_test import (
    AlertBackTest,
    AlertClusters,
    Days,
    act,
    choose_rule,
    rivals_of,
)
from hwds.detection.alerts.tiers import AlertTerms, AlertTiers, Tier
from hwds.detection.alerts.verdict import (
    RIVALS,
    AlertVerdict,
    ChosenRule,
    PolicyRecord,
    alerted_rows,
    alerts_of,
    thresholds_of,
)
from hwds.detection.cases import cases_of_rows
from hwds.detection.predictions import AlertEvidence, deciding_rows, rows_tested
from hwds.detection.rows import distinct_codes, entities_of_rows
from hwds.evaluation.decisions.base import Decision
from hwds.evaluation.protocol import Evaluation
from hwds.evaluation.row_folds import row_arrivals
from hwds.frames.table import Table
from hwds.report.words import spoken
from hwds.results.tables import Tables

# Refusals of a decision on alerts before anything is computed.


def check_stakes(frame: Table) -> None:
    """Refuse a row that does not say what is at stake.

    Raises:
        ConfigError: No column does, or a value is missing or negative.
    """
    if not frame.roles.get("amount"):
        raise ConfigError(
            "dataset.roles.amount: must name the column of losses for decision "
            "alert_policy, got none."
        )
    stake = frame.column("amount").cast(pl.Float64)
    bad = (stake.is_null() | ~stake.is_finite() | (stake < 0)).fill_null(True).arg_true()
    if len(bad):
        raise ConfigError(
            f"dataset.roles.amount: must be numbers >= 0 for decision alert_policy, row "
            f"{bad[0] + 1} of '{stake.name}' has"
            f" {frame.column('amount')[bad[0]]}."
        )


def check_stream(frame: Table, share: float, capacity: int) -> None:
    """Refuse a random stream that fills the capacity of a usual day.

    Raises:
        ConfigError: With the number of reviews.
    """
    days = row_arrivals(frame).dt.date().n_unique()
    drawn = share * len(frame.data) / days
    if drawn >= capacity:
        raise ConfigError(
            f"decision.random_reviews: {share:g} of {len(frame.data) / days:,.0f} rows a day are "
            f"{drawn:,.1f} reviews,"
            f" as many as decision.capacity ({capacity}) or more; take less."
        )


def kind_column(frame: Table, kind: str | None) -> str:
    """Return the column of kinds of buyers: the one that is named, or else `true_kind`.

    Empty where there is none.
    """
    return kind or ("true_kind" if "true_kind" in frame.data.columns else "")


def check_kinds(frame: Table, kind: str | None, guarded: Sequence[str]) -> None:
    """Refuse a column of kinds that is not there, and guarded kinds that are not in it.

    Raises:
        ConfigError: With the nearest name.
    """
    columns = frame.data.columns
    if kind is not None and kind not in columns:
        raise ConfigError(f"decision.kind: no column '{kind}'{nearest(kind, columns)}")
    name = kind_column(frame, kind)
    if not name:
        return
    known = frame.data[name].cast(pl.String).drop_nulls().unique().sort().to_list()
    for value in guarded:
        if value not in known:
            raise ConfigError(
                f"decision.guarded: no '{value}' in column '{name}'{nearest(value, known)}"
            )


# From scored rows to the verdict on a policy of alerts: chosen before each test window,
# back-tested on it.


def alert_verdict(
    name: str, rows: DataFrame, terms: AlertTerms, *, seed: int, frame: Table
) -> AlertVerdict | None:
    """Return the verdict; None where no row was tested.

    Args:
        name: The decision's.
        rows: The evidence, see `EVIDENCE`.
        terms: The rule and its rivals.
        seed: The seed of the experiment.
        frame: The table of the rows, for what ties them and for the unit of money.
    """
    unit = frame.unit
    test = rows_tested(rows)
    if test.is_empty():
        return None
    chosen, actions = choices_and_actions(name, rows, test, terms, seed)
    clusters = _alert_clusters(test, terms.resamples, seed)
    kinds = test["kind"].is_in(list(terms.guarded)).fill_null(False).to_numpy()
    back_test = AlertBackTest(test, actions, terms, kinds, clusters)
    records = [back_test.record(against) for against in back_test.sides()]
    record = tuple(line for lines, _ in records for line in lines)
    meaning = tuple(each for _, each in records)
    positives = int((test["label"] == 1).sum())
    excluded = _forbidden_by(record, positives, terms)
    rule = next(iter(excluded), "none")
    cases = cases_of_rows(alerted_rows(test, actions[name]), frame)
    verdict = AlertVerdict(
        decision=name,
        action="HOLD" if excluded else "ADOPT",
        rule=rule,
        excluded=excluded,
        terms=terms,
        chosen=tuple(chosen),
        days=clusters.days,
        rows=len(test),
        positives=positives,
        record=record,
        meaning=meaning,
        unit=unit,
        alerts=alerts_of(test, actions[name], chosen, terms),
        thresholds=thresholds_of(test, chosen, terms),
        cases=cases.table,
        case_rows=cases.rows,
    )
    return spoken(verdict)


def choices_and_actions(
    name: str, rows: DataFrame, test: DataFrame, terms: AlertTerms, seed: int
) -> tuple[list[ChosenRule], Mapping[str, np.ndarray]]:
    """Return the choice before each test window, and the actions of each policy, the decision's own
    first.
    """
    chosen: list[ChosenRule] = []
    actions: dict[str, list[np.ndarray]] = {policy: [] for policy in (name, *RIVALS)}
    for window in test.partition_by("fold", maintain_order=True):
        cutoff, fold = window["cutoff"][0], window["fold"][0]
        chosen.append(choose_rule(deciding_rows(rows, cutoff), cutoff, terms, seed))
        actions[name].append(
            act(Days.of(window, seed), terms, chosen[-1].multiplier, chosen[-1].floor)
        )
        reference = rows.filter(part="decide", fold=fold)
        for policy, action in rivals_of(window, reference, terms, seed).items():
            actions[policy].append(action)
    return chosen, {policy: np.concatenate(parts) for policy, parts in actions.items()}


def _alert_clusters(test: DataFrame, resamples: int, seed: int) -> AlertClusters:
    """Return the days, and the entities where there are any.

    A row without one is an entity of its own.
    """
    day = distinct_codes(test["day_id"])
    entity = distinct_codes(entities_of_rows(test)) if test["entity"].count() else None
    return AlertClusters(day, entity, int(day.max()) + 1, resamples, seed)


def _forbidden_by(
    record: Sequence[PolicyRecord], positives: int, terms: AlertTerms
) -> dict[str, tuple[str, ...]]:
    """Return the rules that forbid to adopt the policy: by the labels, for guarded kinds by the
    truth if known.
    """
    excluded: dict[str, tuple[str, ...]] = {}
    if positives < terms.least_positives:
        excluded["few_positives"] = ()
    by_labels = [line for line in record if line.against == "labels" and line.saving is not None]
    dear = [
        line.policy for line in by_labels if line.saving is None or (line.saving.low or 0.0) <= 0
    ]
    if dear or not by_labels:
        excluded["not_cheaper"] = tuple(dear)
    own = [line for line in record if line.saving is None]
    if own and (own[-1].guarded_blocked or 0.0) > terms.most_guarded:
        excluded["guarded"] = terms.guarded
    return excluded


# AlertPolicy: which rows to block and to review.

Floor = Annotated[float, Ge(-1), Le(MOST)]


class AlertPolicy(Decision):
    """The choice of rows to block, to review and to pass, by their loss, the cost of a wrong block,
    and the capacity for reviews.

    p is the probability that a row is gray, and its loss is the role `amount`. A row is blocked if
    p x loss is at least (1 - p) x `wrong_block` x multiplier, and passed otherwise. At the end of a
    day the rows with the largest expected gain from a review are reviewed instead, up to `capacity`
    per day, if the gain reaches the floor. For a row that would pass, the gain is p x loss x
    `review_recall` - `review_cost`; for a blocked row it is the cost of the block minus the cost of
    the review. A small random stream of reviews, drawn by row id and seed from rows that are not
    blocked, gives labels that are a fair sample. The stream uses a part of the capacity. The
    multiplier and the floor are the ones with the lowest cost in the deciding windows up to the
    cutoff, by labels that had arrived by then, if the saving is sure (5 % for all that are tried).
    Otherwise, and without `protocol.decide_days`, they are 1 and 0, the formula's own.

    The back-test on the test windows compares it with today's rule (reviews and blocks from fixed
    probabilities), reviews of z-scores (median and MAD of the deciding window's scores), random
    reviews, and no action, all with the same capacity. Costs are by the labels, each weighted by
    the rows it represents, and by the truth if a simulator knows it.

    ADOPT where the labels show it to be cheaper than every rival (95 %, days and entities drawn
    again); HOLD with the rule that bound otherwise: `few_positives`, `not_cheaper`, or `guarded`:
    too many honest buyers of the kinds that are guarded blocked.

    Attributes:
        wrong_block: The cost of blocking an honest row; null takes `protocol.wrong_block`.
        review_cost: The cost of reviewing an alert, in currency.
        review_recall: The share of gray rows that a review finds.
        capacity: Reviews a day, the random ones among them.
        random_reviews: The chance of a row to be in the random stream.
        tiers: The actions that are allowed for a row: `block`, `review`, `random_review`.
        multipliers: To choose from, for the cost of a wrong block.
        floors: To choose from, for the least expected gain of a review, as multiples of
            `review_cost`; below 0 for probabilities that are too low.
        today: The probabilities from which today's rule reviews and blocks.
        z: The z-score from which the rival reviews.
        kind: The column of kinds of buyers; null takes `true_kind` where the data has it.
        guarded: Kinds of buyers whose honest rows are counted separately.
        most_guarded: The share of these that may be blocked.
        least_positives: Labelled gray rows below which nothing is chosen, and nothing adopted.
        resamples: The number of resamples of the bootstraps by day and by entity.

    Example:
        python -m hwds +experiment=gray_market_xgboost decision=alert_policy \
            decision.capacity=100 decision.wrong_block=400
    """

    tasks = ("detection",)

    wrong_block: Positive | None = None
    review_cost: Positive = 25.0
    review_recall: Annotated[Positive, Le(1)] = 0.9
    capacity: PositiveInt = 50
    random_reviews: UnitInterval = 0.002
    tiers: Annotated[tuple[Tier, ...], Len(1), Once] = ("block", "review", "random_review")
    multipliers: Annotated[tuple[Positive, ...], Len(1), Once] = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
    floors: Annotated[tuple[Floor, ...], Len(1), Once] = (-0.75, -0.5, 0.0, 1.0, 3.0)
    today: Annotated[tuple[UnitInterval, ...], Len(2, 2)] = (0.65, 0.92)
    z: Positive = 3.0
    kind: str | None = None
    guarded: Names = ("honest_bulk",)
    most_guarded: UnitInterval = 0.05
    least_positives: Annotated[PositiveInt, Small(4)] = 20
    resamples: Annotated[Draws, Small(100)] = 1000

    def check_protocol(self, protocol: Evaluation[Any, Any]) -> None:
        """Refuse a protocol without evidence on days, no cost of a wrong block, and thresholds out
        of order.

        Raises:
            ConfigError: With the option.
        """
        super().check_protocol(protocol)
        if not isinstance(protocol, AlertEvidence):
            raise ConfigError(
                f"protocol: decision '{self.name}' decides day by day; take prequential, got "
                f"'{protocol.name}'."
            )
        protocol.check_alerts(self.name)
        if self.wrong_block is None and not protocol.wrong_block:
            raise ConfigError(
                f"protocol.wrong_block: must be > 0 for decision '{self.name}', got 0."
            )
        if self.today[0] > self.today[1]:
            raise ConfigError(
                f"decision.today: must be the probabilities from which it reviews and blocks, got "
                f"{list(self.today)}."
            )

    def check_model(self, model: Any) -> None:
        """Refuse a model without probabilities, which a block needs.

        Raises:
            ConfigError: The model learns from no labels and is not calibrated by them.
        """
        if not getattr(model, "supervised", True) and model.calibration == "none":
            raise ConfigError(
                f"model.calibration: must be platt, bayes, beta or isotonic for decision "
                f"'{self.name}', got none:"
                f" '{model.name}' learns from no labels, so that its scores are no probabilities."
            )

    def check_data(self, frame: Table, protocol: Evaluation[Any, Any]) -> None:
        """Refuse rows without a stake, kinds of buyers that are not there, and a random stream
        above the capacity.

        Raises:
            ConfigError: With the value, or the nearest column.
        """
        check_stakes(frame)
        if "random_review" in self.tiers:
            check_stream(frame, self.random_reviews, self.capacity)
        check_kinds(frame, self.kind, self.guarded)

    def decide(
        self, tables: Tables, frame: Table, model: str, protocol: Evaluation[Any, Any]
    ) -> AlertVerdict | None:
        """Decide from a run's tables; see `Decision.decide`. None where no row was tested."""
        assert isinstance(protocol, AlertEvidence)
        kind = kind_column(frame, self.kind)
        rows = protocol.alert_evidence(tables, frame, model, kind)
        if rows.is_empty():
            return None
        terms = self.terms(protocol.wrong_block, kinds=bool(kind))
        return alert_verdict(
            self.name or "alert_policy",
            rows,
            terms,
            seed=int(tables.scores["seed"][0]),
            frame=frame,
        )

    def row_rule(
        self,
        protocol: Evaluation[Any, Any],
        verdict: Mapping[str, Any] | None,
        seed: int,
        amount: str,
    ) -> AlertTiers:
        """See `Decision`; the thresholds are those of the last window."""
        terms = self.terms(getattr(protocol, "wrong_block", None), kinds=False)
        return AlertTiers.chosen(terms, verdict, seed, amount)

    def terms(self, usual_cost: float | None, *, kinds: bool) -> AlertTerms:
        """Return the rule's terms.

        Args:
            usual_cost: The cost of a wrong block where the decision does not say so.
            kinds: Whether the data has kinds of buyers.
        """
        options = {field.name: getattr(self, field.name) for field in fields(AlertTerms)}
        wrong_block = usual_cost if self.wrong_block is None else self.wrong_block
        return AlertTerms(
            **options | {"wrong_block": wrong_block, "guarded": self.guarded if kinds else ()}
        )
