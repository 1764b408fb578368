"""AlertPolicy: which rows to block and to review."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Le, Len

from hwds.core.errors import ConfigError
from hwds.core.recipe import MOST, Draws, Names, Once, Positive, PositiveInt, Small, UnitInterval
from hwds.decisions.base import Decision
from hwds.detection.decisions.alerts.checks import check_kinds, check_stakes, check_stream, kind_column
from hwds.detection.decisions.alerts.decide import verdict_of
from hwds.detection.decisions.alerts.evidence import AlertEvidence
from hwds.detection.decisions.alerts.terms import AlertTerms, Tier
from hwds.detection.decisions.alerts.verdict import AlertVerdict
from hwds.evaluation.base import Evaluation
from hwds.frames.table import Table
from hwds.results.tables import Tables

Floor = Annotated[float, Ge(-1), Le(MOST)]


class AlertPolicy(Decision):
    """The choice of rows to block, to review and to pass, by the money at stake, the cost of a wrong block and who can look.

    With p the probability that a row is gray and its loss what is at stake (role `amount`): a row is to be blocked where p x
    loss is at least (1 - p) x `wrong_block` x multiplier, and else to be passed. At the end of a day those rows are reviewed
    instead whose expected gain by it is the largest and at least the floor, up to `capacity` a day: p x loss x `review_recall`
    - `review_cost` for one that would pass, what the block would cost less what the review does for one that would be blocked.
    Of the rows that are not to be blocked each is in a small random stream of reviews, by its id and the seed, whose labels
    are a fair sample; the stream has a part in the capacity. The multiplier and the floor are those that would have cost least
    in the deciding windows up to the cutoff, by labels that had arrived by then, where that surely saves (5 % for all that are
    tried); else, and without `protocol.decide_days`, they are 1 and 0, the formula's own.

    Back-tested on the test windows against today's rule (reviewed and blocked from fixed probabilities), reviews of z-scores
    (median and MAD of the deciding window's scores), random reviews, each with the same capacity, and nothing; by the labels,
    each of which counts for as many rows as it stands for, and by the truth where a simulator knows it.

    ADOPT where the labels show it to be cheaper than every rival (95 %, days and entities drawn again); HOLD with the rule that
    bound otherwise: `few_positives`, `not_cheaper`, or `guarded`: too many honest buyers of the kinds that are guarded blocked.

    Attributes:
        wrong_block: The cost of blocking an honest row; null takes `protocol.wrong_block`.
        review_cost: The cost of reviewing an alert, in currency.
        review_recall: The share of gray rows that a review finds.
        capacity: Reviews a day, the random ones among them.
        random_reviews: The chance of a row to be in the random stream.
        tiers: The actions that are allowed for a row: `block`, `review`, `random_review`.
        multipliers: To choose from, for the cost of a wrong block.
        floors: To choose from, for the least expected gain of a review, as multiples of `review_cost`; below 0
            for probabilities that are too low.
        today: The probabilities from which today's rule reviews and blocks.
        z: The z-score from which the rival reviews.
        kind: The column of kinds of buyers; null takes `true_kind` where the data has it.
        guarded: Kinds of buyers whose honest rows are counted separately.
        most_guarded: The share of these that may be blocked.
        least_positives: Labelled gray rows below which nothing is chosen, and nothing adopted.
        resamples: The number of resamples of the bootstraps by day and by entity.

    Example:
        python -m hwds +experiment=gray_market_xgboost decision=alert_policy decision.capacity=100 decision.wrong_block=400
    """

    tasks: ClassVar[tuple[str, ...]] = ("detection",)

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
        """Refuse a protocol without evidence on days, no cost of a wrong block, and thresholds out of order.

        Raises:
            ConfigError: With the option.
        """
        super().check_protocol(protocol)
        if not isinstance(protocol, AlertEvidence):
            raise ConfigError(f"protocol: decision '{self.name}' decides day by day; take prequential, got '{protocol.name}'.")
        protocol.check_alerts(self.name)
        if self.wrong_block is None and not protocol.wrong_block:
            raise ConfigError(f"protocol.wrong_block: must be > 0 for decision '{self.name}', got 0.")
        if self.today[0] > self.today[1]:
            raise ConfigError(f"decision.today: must be what it reviews and what it blocks from, got {list(self.today)}.")

    def check_model(self, model: Any) -> None:
        """Refuse a model without probabilities, which a block needs.

        Raises:
            ConfigError: The model learns from no labels and is not calibrated by them.
        """
        if not getattr(model, "supervised", True) and model.calibration == "none":
            raise ConfigError(
                f"model.calibration: must be platt, bayes, beta or isotonic for decision '{self.name}', got none:"
                f" '{model.name}' learns from no labels, so that its scores are no probabilities."
            )

    def check_data(self, frame: Table, protocol: Evaluation[Any, Any]) -> None:
        """Refuse rows without a stake, kinds of buyers that are not there, and a random stream above the capacity.

        Raises:
            ConfigError: With the value, or the nearest column.
        """
        check_stakes(frame)
        if "random_review" in self.tiers:
            check_stream(frame, self.random_reviews, self.capacity)
        check_kinds(frame, self.kind, self.guarded)

    def decide(self, tables: Tables, frame: Table, model: str, protocol: Evaluation[Any, Any]) -> AlertVerdict | None:
        """Decide from a run's tables; see `Decision.decide`. None where no row was tested."""
        assert isinstance(protocol, AlertEvidence)
        kind = kind_column(frame, self.kind)
        rows = protocol.alert_evidence(tables, frame, model, kind)
        if rows.is_empty():
            return None
        terms = self.terms(protocol.wrong_block, kinds=bool(kind))
        return verdict_of(self.name or "alert_policy", rows, terms, seed=int(tables.scores["seed"][0]), frame=frame)

    def terms(self, usual_cost: float | None, *, kinds: bool) -> AlertTerms:
        """Return the rule's terms.

        Args:
            usual_cost: The cost of a wrong block where the decision does not say so.
            kinds: Whether the data has kinds of buyers.
        """
        options = {field.name: getattr(self, field.name) for field in fields(AlertTerms)}
        wrong_block = usual_cost if self.wrong_block is None else self.wrong_block
        return AlertTerms(**options | {"wrong_block": wrong_block, "guarded": self.guarded if kinds else ()})
