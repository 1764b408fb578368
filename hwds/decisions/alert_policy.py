"""AlertPolicy: which rows to block and to review."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Le, Len

from hwds.decisions.alert_checks import check_kinds, check_stakes, check_stream, kind_column
from hwds.decisions.alert_rows import rows_of
from hwds.decisions.alert_terms import Terms, Tier
from hwds.decisions.alert_verdict import verdict_of
from hwds.decisions.base import Decision
from hwds.errors import ConfigError
from hwds.frames.table import Table
from hwds.protocols.prequential import Prequential
from hwds.recipe import Count, Names, Once, Positive, Share, Small
from hwds.results.alert_verdict import AlertVerdict
from hwds.results.tables import Tables

Floor = Annotated[float, Ge(-1)]


class AlertPolicy(Decision):
    """Which rows to block, to review and to pass, by what is at stake, what a wrong block costs and who can look.

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
    each of which counts for as many rows as it stands for, and by the truth where a simulator tells it.

    ADOPT where the labels show it to be cheaper than every rival (95 %, days and entities drawn again); HOLD with the rule that
    bound otherwise: `few_positives`, `not_cheaper`, or `guarded`: too many honest buyers of the kinds that are guarded blocked.

    Attributes:
        wrong_block: What it costs to block an honest row; null takes `protocol.wrong_block`.
        review_cost: What a review costs.
        review_recall: The share of gray rows that a review finds.
        capacity: Reviews a day, the random ones among them.
        random_reviews: The chance of a row to be in the random stream.
        tiers: What may be done with a row: `block`, `review`, `random_review`.
        multipliers: To choose from, for the cost of a wrong block.
        floors: To choose from, for the least expected gain of a review, as multiples of `review_cost`; below 0
            for probabilities that are too low.
        today: The probabilities from which today's rule reviews and blocks.
        z: The z-score from which the rival reviews.
        kind: The column of kinds of buyers; null takes `true_kind` where the data has it.
        guarded: Kinds of buyers whose honest rows are told apart.
        most_guarded: The share of these that may be blocked.
        least_positives: Labelled gray rows below which nothing is chosen, and nothing adopted.
        resamples: Of the bootstraps by day and by entity.

    Example:
        python -m hwds +experiment=gray_market_xgboost decision=alert_policy decision.capacity=100 decision.wrong_block=400
    """

    tasks: ClassVar[tuple[str, ...]] = ("detection",)

    wrong_block: Positive | None = None
    review_cost: Positive = 25.0
    review_recall: Annotated[Positive, Le(1)] = 0.9
    capacity: Count = 50
    random_reviews: Share = 0.002
    tiers: Annotated[tuple[Tier, ...], Len(1), Once] = ("block", "review", "random_review")
    multipliers: Annotated[tuple[Positive, ...], Len(1), Once] = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
    floors: Annotated[tuple[Floor, ...], Len(1), Once] = (-0.75, -0.5, 0.0, 1.0, 3.0)
    today: Annotated[tuple[Share, ...], Len(2, 2)] = (0.65, 0.92)
    z: Positive = 3.0
    kind: str | None = None
    guarded: Names = ("honest_bulk",)
    most_guarded: Share = 0.05
    least_positives: Annotated[Count, Small(4)] = 20
    resamples: Annotated[Count, Small(100)] = 1000

    def check_protocol(self, protocol: Any) -> None:
        """Beyond the task: windows in time that do not overlap, and thresholds in order.

        Raises:
            ConfigError: They are not.
        """
        super().check_protocol(protocol)
        if not isinstance(protocol, Prequential):
            raise ConfigError(f"protocol: decision '{self.name}' decides day by day; take prequential, got '{protocol.name}'.")
        if 0 < protocol.stride_days < protocol.test_days:
            raise ConfigError(
                f"protocol.stride_days: must be 0 or at least test_days ({protocol.test_days}) for decision '{self.name}',"
                f" got {protocol.stride_days}: a row is decided once."
            )
        if self.wrong_block is None and not protocol.wrong_block:
            raise ConfigError(f"protocol.wrong_block: must be > 0 for decision '{self.name}', got 0.")
        if self.today[0] > self.today[1]:
            raise ConfigError(f"decision.today: must be what it reviews and what it blocks from, got {list(self.today)}.")

    def check_model(self, model: Any) -> None:
        """A block needs a probability.

        Raises:
            ConfigError: The model learns from no labels and is not calibrated by them.
        """
        if not getattr(model, "supervised", True) and model.calibration == "none":
            raise ConfigError(
                f"model.calibration: must be platt, bayes, beta or isotonic for decision '{self.name}', got none:"
                f" '{model.name}' learns from no labels, so that its scores are no probabilities."
            )

    def check_data(self, frame: Table, protocol: Any) -> None:
        """What is at stake must be there, kinds of buyers where they are named, and the random stream within the capacity.

        Raises:
            ConfigError: With the value, or the nearest column.
        """
        check_stakes(frame)
        if "random_review" in self.tiers:
            check_stream(frame, self.random_reviews, self.capacity)
        check_kinds(frame, self.kind, self.guarded)

    def decide(self, tables: Tables, frame: Table, model: str, protocol: Any) -> AlertVerdict | None:
        """From a run's tables; see `Decision.decide`. None where no row was tested."""
        kind = kind_column(frame, self.kind)
        rows = rows_of(tables, frame, model, protocol, kind)
        if rows.is_empty():
            return None
        terms = self._terms(protocol, kinds=bool(kind))
        seed = int(tables.scores["seed"][0])
        return verdict_of(self.name or "alert_policy", rows, terms, protocol=protocol, seed=seed, unit=frame.unit)

    def _terms(self, protocol: Any, *, kinds: bool) -> Terms:
        own = {field.name: getattr(self, field.name) for field in fields(Terms)}
        wrong_block = protocol.wrong_block if self.wrong_block is None else self.wrong_block
        return Terms(**own | {"wrong_block": wrong_block, "guarded": self.guarded if kinds else ()})
