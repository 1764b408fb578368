"""From judged rows to the verdict on a policy of alerts: chosen before each test window, back-tested on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from hwds.decisions.alert_bootstrap import Clusters
from hwds.decisions.alert_choice import choose
from hwds.decisions.alert_record import BackTest
from hwds.decisions.alert_rivals import rivals_of
from hwds.decisions.alert_rows import decided_by, tested
from hwds.decisions.alert_rule import Days, act
from hwds.decisions.alert_tables import alerts_of, thresholds_of
from hwds.decisions.alert_terms import Terms
from hwds.decisions.alert_words import sentence
from hwds.protocols.prequential import Prequential
from hwds.protocols.row_codes import entities, numbered
from hwds.results.alert_verdict import RIVALS, AlertVerdict, Chosen, PolicyRecord


def verdict_of(
    name: str, rows: pl.DataFrame, terms: Terms, *, protocol: Prequential, seed: int, unit: str
) -> AlertVerdict | None:
    """The verdict; None where no row was tested.

    Args:
        name: The decision's.
        rows: As `rows_of` makes them.
        terms: The rule and its rivals.
        protocol: Which said when labels arrive, and what a row without one is.
        seed: Of the experiment.
        unit: Of money.
    """
    test = tested(rows, protocol)
    if test.is_empty():
        return None
    chosen, actions = played(name, rows, test, terms, protocol, seed)
    clusters = _clusters(test, terms.resamples, seed)
    kinds = test["kind"].is_in(list(terms.guarded)).fill_null(False).to_numpy()
    back_test = BackTest(test, actions, terms, kinds, clusters)
    found = [back_test.record(against) for against in back_test.bases()]
    record, meaning = tuple(line for lines, _ in found for line in lines), tuple(each for _, each in found)
    positives = int((test["label"] == 1).sum())
    excluded = _excluded(record, positives, terms)
    rule = next(iter(excluded), "none")
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
    )


def played(
    name: str, rows: pl.DataFrame, test: pl.DataFrame, terms: Terms, protocol: Prequential, seed: int
) -> tuple[list[Chosen], Mapping[str, np.ndarray]]:
    """What is chosen before each test window, and what each policy does with its rows: the own one, then the rivals."""
    chosen: list[Chosen] = []
    actions: dict[str, list[np.ndarray]] = {policy: [] for policy in (name, *RIVALS)}
    for window in test.partition_by("fold", maintain_order=True):
        cutoff, fold = window["cutoff"][0], window["fold"][0]
        chosen.append(choose(decided_by(rows, cutoff, protocol), cutoff, terms, seed))
        actions[name].append(act(Days.of(window, seed), terms, chosen[-1].multiplier, chosen[-1].floor))
        reference = rows.filter((pl.col("part") == "decide") & (pl.col("fold") == fold))
        for policy, action in rivals_of(window, reference, terms, seed).items():
            actions[policy].append(action)
    return chosen, {policy: np.concatenate(parts) for policy, parts in actions.items()}


def _clusters(test: pl.DataFrame, resamples: int, seed: int) -> Clusters:
    """Days, and entities where there are any; a row without one is an entity of its own."""
    day = numbered(test["day_id"])
    entity = numbered(entities(test)) if test["entity"].count() else None
    return Clusters(day, entity, int(day.max()) + 1, resamples, seed)


def _excluded(record: Sequence[PolicyRecord], positives: int, terms: Terms) -> dict[str, tuple[str, ...]]:
    """What forbids to adopt the policy, each rule with what it names; the labels judge, of guarded kinds the truth if known."""
    found: dict[str, tuple[str, ...]] = {}
    if positives < terms.least_positives:
        found["few_positives"] = ()
    by_labels = [line for line in record if line.against == "labels" and line.saving is not None]
    dear = [line.policy for line in by_labels if line.saving is None or (line.saving.low or 0.0) <= 0]
    if dear or not by_labels:
        found["not_cheaper"] = tuple(dear)
    own = [line for line in record if line.saving is None]
    if own and (own[-1].guarded_blocked or 0.0) > terms.most_guarded:
        found["guarded"] = terms.guarded
    return found
