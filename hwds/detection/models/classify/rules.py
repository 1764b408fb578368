"""Rules beside models: conditions on inputs, each with the share of label 1 that it had."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Le
from numpy import ndarray
from pydantic import AfterValidator, BeforeValidator

from hwds.core.errors import DataError
from hwds.core.recipe import Positive, Written
from hwds.core.serialization import Serializable
from hwds.detection.inputs import ModelInputs
from hwds.detection.models.base import Classifier, Contributions
from hwds.detection.rows import RowContext, labels_of, learnable
from hwds.detection.rules import (
    Rule,
    RuleCondition,
    check_rules,
    conditions_by_rule,
    rule_from_conditions,
)
from hwds.frames.table import RowReader, Table
from hwds.results.formatting import counted, percent
from hwds.stats.distributions import log_odds

# Rules that are read off a shallow tree of labelled rows.

TREE_DEPTH = 3
LEAST_RULE_ROWS = 10
"""Rows that a rule names, at least."""


def propose_rules(
    names: tuple[str, ...], matrix: ndarray, label: ndarray, count: int, seed: int
) -> tuple[Rule, ...]:
    """Return the leaves of a tree as rules, those of the highest share of label 1 first.

    Args:
        names: The inputs that are numbers.
        matrix: Their values, shape (n, names); what is not known is below all others.
        label: 1 or 0, shape (n,).
        count: Rules at most; a leaf whose share is no higher than that of all rows is none.
        seed: The seed of the tree.
    """
    from sklearn.tree import DecisionTreeClassifier

    tree: Any = DecisionTreeClassifier(
        max_depth=TREE_DEPTH, min_samples_leaf=LEAST_RULE_ROWS, random_state=seed
    )
    fitted = tree.fit(_fill_missing(matrix), label).tree_
    found: list[tuple[float, tuple[RuleCondition, ...]]] = []

    def walk(node: int, path: tuple[RuleCondition, ...]) -> None:
        if fitted.children_left[node] < 0:
            shares = fitted.value[node][0]
            found.append((float(shares[-1] / shares.sum()), path))
            return
        name, bar = names[fitted.feature[node]], float(f"{fitted.threshold[node]:.4g}")
        walk(fitted.children_left[node], _tighten_path(path, RuleCondition(name, "<=", bar)))
        walk(fitted.children_right[node], _tighten_path(path, RuleCondition(name, ">", bar)))

    walk(0, ())
    base = float(label.mean())
    best = sorted(
        ((share, path) for share, path in found if share > base and path), key=lambda each: -each[0]
    )
    return tuple(Rule(f"learned {place}", path) for place, (_, path) in enumerate(best[:count], 1))


def _tighten_path(path: tuple[RuleCondition, ...], one: RuleCondition) -> tuple[RuleCondition, ...]:
    """Return a path with a condition more, in the place of one on the same side of the same
    input.
    """
    return (*(each for each in path if (each.input, each.sign) != (one.input, one.sign)), one)


def _fill_missing(matrix: ndarray) -> ndarray:
    low = np.nan_to_num(np.nanmin(np.where(np.isfinite(matrix), matrix, np.nan), axis=0), nan=0.0)
    return np.where(np.isfinite(matrix), matrix, low - 1.0)


# Rules beside models: conditions on inputs, each with the share of label 1 that it had.


def _read_rules(rules: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    for name, conditions in rules.items():
        rule_from_conditions(name, conditions)  # refuses what is no condition
    return rules


class Rules(Classifier):
    """Scores by an analyst's rules: a row is as suspicious as the rule that it meets whose rows
    were of label 1 most often.

    A rule is conditions on inputs that must all hold. Rules are written in a file of `conf/rules`,
    a name and its conditions each, and named by it: `model.rules=gray_desk`; or given in place:
    `'model.rules={late: "amount > 200 and night = 1"}'`. A rule's share of label 1 is its share in
    the training window, shrunk to the share of all rows as if it had named `shrink` rows more.
    Rules may be read off a shallow tree, too. As a member of `classify/stack` they join other
    models in one score and one policy. The rules that a row meets are kept (`rules` in the
    predictions), and each is back-tested on the rows to come: rows, share of label 1 and money.

    Attributes:
        rules: The conditions of each rule by its name, or the name of a file of `conf/rules` that
            holds them.
        propose: The number of rules that are read off a tree of the training window.
        shrink: Each rule's share of label 1 is shrunk to the overall share, as if it had this many
            rows more.
    """

    imports = ("sklearn",)
    search_space: ClassVar = {"propose": {"choice": [0, 3, 5]}}

    rules: Annotated[
        dict[str, tuple[str, ...]],
        BeforeValidator(conditions_by_rule),
        AfterValidator(_read_rules),
        Written("rules"),
    ] = field(default_factory=dict)
    propose: Annotated[int, Ge(0), Le(100)] = 5
    shrink: Positive = 20.0

    def needed_imports(self) -> dict[str, tuple[str, ...]]:
        """Return the package of the tree, where one is asked for."""
        return {"propose": self.imports} if self.propose else {}

    @property
    def written_rules(self) -> tuple[Rule, ...]:
        """The rules that were given, whose inputs must be there."""
        return tuple(
            rule_from_conditions(name, conditions) for name, conditions in self.rules.items()
        )

    def learn(self, train: Table, *, stop: Table, context: RowContext) -> RuleScorer:
        """Return the rules with their shares of label 1.

        Raises:
            DataError: There is no rule, or labels are of one kind.
            ConfigError: A rule is about an input that is not there.
        """
        rows = learnable(train)
        inputs, label = ModelInputs.learn(rows), labels_of(rows)
        rules = self.written_rules
        check_rules(rules, inputs.plain)
        if self.propose:
            seed = context.seed_for("rules")
            rules += propose_rules(inputs.numbers, inputs.matrix(rows), label, self.propose, seed)
        if not rules:
            raise DataError(
                "model.rules: there is no rule; name some, or let model.propose read some off a "
                "tree."
            )
        hits = np.column_stack([rule.holds(rows) for rule in rules])
        base = float(label.mean())
        share = (hits.T @ label + self.shrink * base) / (hits.sum(axis=0) + self.shrink)
        counts = np.column_stack([hits.sum(axis=0), hits.T @ label]).astype(int)
        return RuleScorer(
            inputs, rules, log_odds(share), float(log_odds(np.array([base]))[0]), counts
        )


@dataclass(frozen=True, eq=False)
class RuleScorer(Serializable):
    """Rules and what they are worth.

    Attributes:
        inputs: The inputs of the table that they were learned from.
        rules: The rules in the order in which they were given.
        odds: The log odds of label 1 among the rows of each, shape (rules,).
        base: The log odds among all rows.
        counts: The rows that met each rule and those of label 1 among them, shape (rules, 2); None
            where not stored.
    """

    added: ClassVar = {"counts": None}

    inputs: ModelInputs
    rules: tuple[Rule, ...]
    odds: ndarray
    base: float
    counts: ndarray | None = None

    def hits(self, rows: RowReader) -> list[list[str]]:
        """Return the rules that each row meets, with their conditions."""
        met = self._met(rows)
        return [
            [rule.title for rule, holds in zip(self.rules, row, strict=True) if holds]
            for row in met.tolist()
        ]

    def score(self, rows: RowReader) -> ndarray:
        """Return the log odds of the rule of the most that a row meets.

        Those of all rows where it meets none.
        """
        return self.base + self._parts(rows).sum(axis=1)

    def explain(self, rows: RowReader) -> Contributions:
        """Return what the rule that decides adds."""
        names = tuple(f"rule {rule.title}" for rule in self.rules)
        overall = percent(1 / (1 + np.exp(-self.base)))
        counts = [] if self.counts is None else self.counts.tolist()
        records = dict(
            zip(
                names,
                (f"{_rule_record(*each)}, of all rows {overall}" for each in counts),
                strict=False,
            )
        )
        return Contributions(names, self.base, self._parts(rows), records)

    def _met(self, rows: RowReader) -> ndarray:
        return np.column_stack([rule.holds(rows) for rule in self.rules])

    def _parts(self, rows: RowReader) -> ndarray:
        met = self._met(rows)
        odds = np.where(met, self.odds, -np.inf)
        best = odds.argmax(axis=1)
        parts = np.zeros(met.shape)
        some = met.any(axis=1)
        parts[some, best[some]] = self.odds[best[some]] - self.base
        return parts


def _rule_record(rows: int, confirmed: int) -> str:
    """Return what became of the rows that met a rule: `12 rows met it before and 3 were
    confirmed`.
    """
    if not rows:
        return "no row met it before"
    return (
        f"{counted(rows, 'rows')} met it before and {confirmed or 'none'} "
        f"{'was' if confirmed < 2 else 'were'} confirmed"
    )
