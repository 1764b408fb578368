"""From scored rows to the verdict on a policy of alerts: chosen before each test window, back-tested on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from hwds.detection.cases.table import cases_of
from hwds.detection.decisions.alerts.back_test import BackTest
from hwds.detection.decisions.alerts.bootstrap import Clusters
from hwds.detection.decisions.alerts.choice import choose
from hwds.detection.decisions.alerts.evidence import deciding_rows, tested
from hwds.detection.decisions.alerts.rivals import rivals_of
from hwds.detection.decisions.alerts.rule import Days, act
from hwds.detection.decisions.alerts.sentence import sentence
from hwds.detection.decisions.alerts.tables import alerted, alerts_of, thresholds_of
from hwds.detection.decisions.alerts.terms import AlertTerms
from hwds.detection.decisions.alerts.verdict import RIVALS, AlertVerdict, Chosen, PolicyRecord
from hwds.detection.protocols.rows.codes import entities, numbered
from hwds.frames.table import Table


def verdict_of(name: str, rows: pl.DataFrame, terms: AlertTerms, *, seed: int, frame: Table) -> AlertVerdict | None:
    """Return the verdict; None where no row was tested.

    Args:
        name: The decision's.
        rows: The evidence, see `EVIDENCE`.
        terms: The rule and its rivals.
        seed: Of the experiment.
        frame: The table of the rows, for what ties them and for the unit of money.
    """
    unit = frame.unit
    test = tested(rows)
    if test.is_empty():
        return None
    chosen, actions = choices_and_actions(name, rows, test, terms, seed)
    clusters = _clusters(test, terms.resamples, seed)
    kinds = test["kind"].is_in(list(terms.guarded)).fill_null(False).to_numpy()
    back_test = BackTest(test, actions, terms, kinds, clusters)
    records = [back_test.record(against) for against in back_test.sides()]
    record, meaning = tuple(line for lines, _ in records for line in lines), tuple(each for _, each in records)
    positives = int((test["label"] == 1).sum())
    excluded = _excluded(record, positives, terms)
    rule = next(iter(excluded), "none")
    cases = cases_of(alerted(test, actions[name]), frame)
    return AlertVerdict(
        decision=name,
        action="HOLD" if excluded else "ADOPT",
        rule=rule,
        excluded=excluded,
        sentence=sentence(excluded, record, meaning, terms, positives, unit),
        wrong_block=terms.wrong_block,
        review_cost=terms.review_cost,
        review_recall=terms.review_recall,
        capacity=terms.capacity,
        random_reviews=terms.random_reviews,
        chosen=tuple(chosen),
        days=clusters.days,
        rows=len(test),
        positives=positives,
        record=record,
        meaning=meaning,
        today=terms.today,
        z=terms.z,
        guarded=terms.guarded,
        unit=unit,
        alerts=alerts_of(test, actions[name], chosen, terms),
        thresholds=thresholds_of(test, chosen, terms),
        cases=cases.table,
        case_rows=cases.rows,
    )


def choices_and_actions(
    name: str, rows: pl.DataFrame, test: pl.DataFrame, terms: AlertTerms, seed: int
) -> tuple[list[Chosen], Mapping[str, np.ndarray]]:
    """Return the choice before each test window, and the actions of each policy, the decision's own first."""
    chosen: list[Chosen] = []
    actions: dict[str, list[np.ndarray]] = {policy: [] for policy in (name, *RIVALS)}
    for window in test.partition_by("fold", maintain_order=True):
        cutoff, fold = window["cutoff"][0], window["fold"][0]
        chosen.append(choose(deciding_rows(rows, cutoff), cutoff, terms, seed))
        actions[name].append(act(Days.of(window, seed), terms, chosen[-1].multiplier, chosen[-1].floor))
        reference = rows.filter((pl.col("part") == "decide") & (pl.col("fold") == fold))
        for policy, action in rivals_of(window, reference, terms, seed).items():
            actions[policy].append(action)
    return chosen, {policy: np.concatenate(parts) for policy, parts in actions.items()}


def _clusters(test: pl.DataFrame, resamples: int, seed: int) -> Clusters:
    """Return the days, and the entities where there are any; a row without one is an entity of its own."""
    day = numbered(test["day_id"])
    entity = numbered(entities(test)) if test["entity"].count() else None
    return Clusters(day, entity, int(day.max()) + 1, resamples, seed)


def _excluded(record: Sequence[PolicyRecord], positives: int, terms: AlertTerms) -> dict[str, tuple[str, ...]]:
    """Return the rules that forbid to adopt the policy: by the labels, for guarded kinds by the truth if known."""
    excluded: dict[str, tuple[str, ...]] = {}
    if positives < terms.least_positives:
        excluded["few_positives"] = ()
    by_labels = [line for line in record if line.against == "labels" and line.saving is not None]
    dear = [line.policy for line in by_labels if line.saving is None or (line.saving.low or 0.0) <= 0]
    if dear or not by_labels:
        excluded["not_cheaper"] = tuple(dear)
    own = [line for line in record if line.saving is None]
    if own and (own[-1].guarded_blocked or 0.0) > terms.most_guarded:
        excluded["guarded"] = terms.guarded
    return excluded
