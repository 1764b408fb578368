"""ReviewCases: which cases to look into, and the file in which their labels come back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
from polars import DataFrame, col

from hwds.core.errors import ConfigError
from hwds.core.recipe import PositiveInt, UnitInterval
from hwds.core.seeds import stream
from hwds.detection.cases import Cases, ScoreOf, case_heading, cases_of_rows
from hwds.detection.predictions import scored_rows
from hwds.evaluation.decisions.base import Decision
from hwds.evaluation.protocol import Evaluation
from hwds.frames.table import Table
from hwds.report.words import spoken
from hwds.results.tables import Tables, Verdict

# The verdict on a review queue: as plain values, as tables of cases, and in words.


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueVerdict(Verdict):
    """The cases to look into.

    Attributes:
        action: `REVIEW`, or `NONE` where there is no case.
        capacity: The number of cases that can be reviewed.
        unit: The unit of money.
        cases: One row a case; see `hwds.detection.cases.Cases`.
        case_rows: The rows of all cases.
        to_review: The form to fill in: a row of each chosen case, whose `label` is empty.
    """

    action: Literal["REVIEW", "NONE"]
    capacity: int
    unit: str
    cases: DataFrame
    case_rows: DataFrame
    to_review: DataFrame

    files: ClassVar = {"cases": "cases", "case_rows": "case_rows", "to_review": "to_review"}
    words = """
    {%- if not listed -%}
    NONE: no row is left to be reviewed.
    {%- else -%}
    REVIEW: {% if number == 1 %}the one case
    {%- else %}{{ listed }} of {{ number | counted("cases") }}{% endif %}
    {%- if drawn %}, {{ drawn }} of them drawn to learn from{% endif %}
    {%- if stake %}; {{ stake | money(unit) }} are at stake in
    {{ "it" if listed == 1 else "them" }}{% endif %}.

    {% if alike %}All have the same score: the model sees no difference between them.{% endif %}

    {% if number > 1 %}First {% endif %}{{ heading }}{% if reasons %}: {{ reasons }}{% endif %}.

    Fill in the label (1 or 0) of each row of to_review.csv and give the file back as
    dataset.reviewed.
    {%- endif %}
    """


# ReviewCases: which cases to look into, and the file in which their labels come back.

CANDIDATES = 0.2
"""The share of the cases, those of the highest scores, that explored ones are drawn from."""


class ReviewCases(Decision):
    """The choice of cases to look into, from scores alone: no probabilities and no costs are
    needed.

    Rows of one entity are one case, and so are entities that share an address, a payment or a
    contact (role `link`). Cases are ordered by their scores, or by their losses. `to_review.csv`
    lists as many cases as the capacity allows. Some have the highest scores; the others (`explore`)
    are drawn from the highest fifth, with chances that grow with their loss, because labels of the
    highest alone teach little. Filled in and given back (`dataset.reviewed`) it is what models
    learn from next.

    Attributes:
        capacity: The number of cases that can be reviewed.
        explore: The share of them that is drawn and not the highest.
        score_of: The score of an entity: the highest of its rows, or their mean; null takes the
            protocol's, or the highest.
        order: The order of cases: by `score`, or by `stake`.

    Example:
        python -m hwds +experiment=gray_market_review decision=review_cases decision.capacity=50
    """

    tasks = ("detection", "review_queue")

    capacity: PositiveInt = 25
    explore: UnitInterval = 0.5
    score_of: ScoreOf | None = None
    order: Literal["score", "stake"] = "score"

    def check_data(self, frame: Table, protocol: Evaluation[Any, Any]) -> None:
        """Refuse an order by stakes that no column tells.

        Raises:
            ConfigError: No column plays the role `amount`.
        """
        if self.order == "stake" and not frame.roles.get("amount"):
            raise ConfigError(
                "decision.order: must be score without a column of losses "
                "(dataset.roles.amount), got stake."
            )

    def decide(
        self, tables: Tables, frame: Table, model: str, protocol: Evaluation[Any, Any]
    ) -> QueueVerdict | None:
        """Decide from the test rows of the last window.

        See `Decision.decide`. None where no row was scored.
        """
        rows = scored_rows(tables, model=model, part="test")
        if rows.is_empty():
            return None
        last = rows.filter(fold=rows["fold"].max())
        unlabelled = last.filter(col("label").is_null())
        asked = (unlabelled if len(unlabelled) else last).with_columns(
            at_stake=col("amount"), tier=pl.lit(None, pl.String)
        )
        score_of: ScoreOf = self.score_of or getattr(protocol, "score_of", None) or "highest"
        cases = cases_of_rows(asked, frame, score_of=score_of, by_stake=self.order == "stake")
        listed = self._review_form(cases, frame, int(tables.scores["seed"][0]))
        verdict = QueueVerdict(
            decision=self.name,
            action="REVIEW" if len(listed) else "NONE",
            rule="none",
            capacity=self.capacity,
            unit=frame.unit,
            cases=cases.table,
            case_rows=cases.rows,
            to_review=listed,
        )
        first = next(cases.table.iter_rows(named=True), None)
        asked_for = cases.table.filter(col("case").is_in(listed["case"].implode()))
        return spoken(
            verdict,
            listed=len(listed),
            number=len(cases.table),
            drawn=(listed["chosen"] == "drawn").sum(),
            stake=asked_for["at_stake"].sum(),
            alike=len(cases.table) > 1 and cases.table["score"].n_unique() == 1,
            heading=first and case_heading(first),
            reasons=first and first["reasons"],
        )

    def _review_form(self, cases: Cases, frame: Table, seed: int) -> DataFrame:
        """Return the form: of each chosen case the row with the highest score, with room for its
        label.
        """
        names, explored = cases.table["case"].to_list(), round(self.explore * self.capacity)
        first = names[: self.capacity - explored]
        others = names[len(first) : max(round(CANDIDATES * len(names)), self.capacity)]
        drawn = self._draw_cases(others, cases, min(explored, len(others)), seed)
        why = {**dict.fromkeys(first, "highest"), **dict.fromkeys(drawn, "drawn")}
        best = cases.rows.sort("score", descending=True, maintain_order=True).unique(
            "case", keep="first", maintain_order=True
        )
        chosen = best.filter(col("case").is_in(list(why))).sort("case")
        key = frame.name("id") or "row_id"
        return chosen.select(
            (col("id") if frame.name("id") else col("row_id")).alias(key),
            pl.lit(None, pl.Int8).alias("label"),
            "case",
            col("case").replace_strict(why, return_dtype=pl.String).alias("chosen"),
            "entity",
            "time",
            "at_stake",
            "score",
            "reasons",
        )

    def _draw_cases(self, names: list[str], cases: Cases, count: int, seed: int) -> list[str]:
        """Return cases drawn without replacement, by chances that grow with the root of what is at
        stake.
        """
        if not count:
            return []
        stake = dict(cases.table.select("case", col("at_stake").fill_null(0.0)).iter_rows())
        value = np.sqrt(np.array([max(stake[name], 0.0) for name in names]))
        weight = value + (value.mean() or 1.0)
        chosen = stream(seed, "review queue").choice(
            len(names), count, replace=False, p=weight / weight.sum()
        )
        return [names[place] for place in sorted(chosen.tolist())]
