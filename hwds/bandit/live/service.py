"""A service of a live bandit policy: it decides which arm a customer is offered, and learns what
became of it.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

import numpy as np
from annotated_types import Ge, Le

from hwds.bandit.live.policy import MOST_LOST_MS, LivePolicy
from hwds.bandit.live.settings import Guardrails, LiveDecision
from hwds.bandit.live.state import (
    active_arms,
    check_amount,
    check_id,
    check_outcome,
    check_time,
    customer_of,
)
from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import Arms, BatchKernel
from hwds.bandit.protocols.bandit_simulation import BanditSimulation, learns_amounts, world_arms
from hwds.core.errors import ConfigError, DataError, nearest
from hwds.core.files import Readable, write_text
from hwds.core.questions import ID, Fields, Json, id_of
from hwds.core.recipe import (
    Amount,
    NonNegative,
    Positive,
    Recipe,
    Rows,
    Seed,
    UnitInterval,
    construct,
)
from hwds.core.seeds import stream
from hwds.evaluation.serving import (
    NAME_SCHEMA,
    NATIVE,
    SINGLE,
    Answer,
    Case,
    Content,
    Parity,
    Policies,
    Question,
    Service,
    object_schema,
)
from hwds.frames.world import World
from hwds.pricing.arm_evidence import CONVERSIONS

SEGMENT, ACTIVE, AT, OF, CONVERTED, AMOUNT = FIELDS = (
    "segment",
    "active",
    "at",
    "of",
    "converted",
    "amount",
)
"""Fields of a question besides the id and the columns of the context."""

MOST_CONTEXT = 1e6
"""The largest number of a context, either way: a policy learns from it for good."""

MARKET = "market.json"

Result = TypeVar("Result")


class LiveSettings(Recipe):
    """Settings of a policy in production, which people choose and no simulation knows.

    Attributes:
        seed: The seed that names the random numbers of the decisions; null takes that of the run.
        window: The time after which an offer without a conversion counts as refused, in the unit of
            `at` (seconds if the clock gives the time). With null it waits for ever, in memory and
            in each snapshot.
        ahead: How far a client's `at` may be ahead of this machine's clock, in seconds; null for
            any, which times in another unit than seconds since 1970 may need.
        delay: The mean time from an offer to its conversion, in the same unit, for policies that
            count offers that wait.
        batch: Decisions between two updates; null takes that of the run.
        lose: Milliseconds of what was acknowledged that a loss of power may take; 0 loses nothing.
        current: The arm in force, which is offered to customers held out, and where a guardrail
            leaves no other.
        holdout: The share of customers who are offered the arm in force whatever was learned; 1
            stops the policy.
        floor: The least that an arm may earn by a conversion to be offered; null for none.
        caps: The largest share of all customers that an arm is offered to, by arm.
    """

    seed: Seed | None = None
    window: Positive | None = None
    ahead: NonNegative | None = 60.0
    delay: NonNegative = 0.0
    batch: Rows | None = None
    lose: Annotated[float, Ge(0), Le(MOST_LOST_MS)] = 0.0
    current: str | None = None
    holdout: UnitInterval = 0.0
    floor: Amount | None = None
    caps: Mapping[str, UnitInterval] = field(default_factory=dict)


class PolicyMarket(Recipe):
    """The arms, the customers and the settings of a policy in production, as a bundle stores them.

    Attributes:
        names: The arms, K of them.
        values: What a conversion of each earns, K of them.
        prices: What a customer pays for each, K of them; None where arms have no prices.
        segments: The names of the customers' segments, S of them.
        context_names: What is seen of a customer, D columns.
        contexts: What is seen of each segment, S x D.
        horizon: The steps that the run has played.
        range: The least and the most that one step can earn.
        settings: What people have chosen, with seed and batch.
    """

    names: tuple[str, ...]
    values: tuple[float, ...]
    prices: tuple[float, ...] | None
    segments: tuple[str, ...]
    context_names: tuple[str, ...]
    contexts: tuple[tuple[float, ...], ...]
    horizon: int
    range: tuple[float, float]
    settings: LiveSettings

    def write(self, folder: Path) -> None:
        """Write it into a folder."""
        write_text(folder / MARKET, json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, folder: Readable) -> Self:
        """Return what `write` wrote."""
        return construct(cls, MARKET, json.loads((folder / MARKET).read_bytes()))

    def with_batch(self, most: int) -> Self:
        """Return the same, with so many decisions between two updates at most."""
        return replace(
            self, settings=replace(self.settings, batch=min(self.settings.batch or 1, most))
        )

    def warm_up(self, policy: Policy) -> None:
        """Compile the policy before the first customer comes, what it learns by included."""
        with self.with_batch(1).begin(policy, None) as live:
            live.outcome(live.decide(segment=0).id, converted=True)

    def begin(self, policy: Policy, folder: Path | None) -> LivePolicy:
        """Return the policy in production, going on from what a folder holds.

        None keeps it in memory.

        Raises:
            ConfigError: The policy cannot play these arms, or a guardrail does not fit them.
            ResumeError: The folder is damaged, in use, or holds another policy.
        """
        settings = self.settings
        contexts = np.array(self.contexts, np.float64).reshape(
            len(self.segments), len(self.context_names)
        )
        late = settings.delay, settings.window or 0.0
        arms = Arms(self.names, np.array(self.values), contexts, self.horizon, self.range, *late)
        limits = Guardrails(settings.current, settings.holdout, settings.floor, dict(settings.caps))
        assert settings.seed is not None
        return policy.live(
            arms,
            folder,
            seed=settings.seed,
            window=settings.window,
            batch=settings.batch or 1,
            propensities=True,
            lose=settings.lose,
            ahead=settings.ahead,
            guardrails=limits,
        )


class PolicyService(Service):
    """Decides on customers and takes outcomes, in the order in which they come; what it says
    outlives a loss of power.

    A question is a customer, by segment or context; or the outcome of a decision, which `of` names:
    a number is that of the decision, a text the id that it was asked by. So an id is a text, else
    one's order 17 would be another's decision 17. Who asks twice by one id gets one decision; an
    outcome counts once.

    Args:
        live: The policy.
        market: Its arms and customers.
    """

    kind = "policy"
    stateful = True
    threads = 32

    def __init__(self, live: LivePolicy, market: PolicyMarket) -> None:
        self.live, self._market = live, market
        self._fields = (ID, *FIELDS, *market.context_names)
        self._prices = dict(zip(market.names, market.prices or (), strict=False))

    def answer(self, questions: Sequence[Question], *, reasons: bool = False) -> list[Answer]:
        """See `Service`; all are read before the first is answered, and the disk is waited for
        once.

        One that only the state refuses, such as a time that goes back, leaves those before it
        decided: who asks again by the same ids gets these decisions.
        """
        ids = [id_of(question, place) for place, question in enumerate(questions)]
        asked = [
            _name_question(id, self._read, question)
            for id, question in zip(ids, questions, strict=True)
        ]
        with self.live.together():
            return [
                _name_question(id, self._answer, id, *each)
                for id, each in zip(ids, asked, strict=True)
            ]

    def _answer(self, id: str, about: int | None, known: Fields) -> Answer:
        if about is not None:
            return {OF: about, "status": self.live.outcome(about, **known)}
        return self._decision_answer(id, self.live.decide(**known))

    def _decision_answer(self, id: str, made: LiveDecision) -> Answer:
        price = {"price": self._prices[made.arm]} if self._prices else {}
        facts = {"value": made.value, "propensity": made.propensity, "again": made.again}
        return {ID: id, "decision": made.id, "arm": made.arm, **price, **facts}

    def _read(self, question: Question) -> tuple[int | None, Fields]:
        """Return the number of the decision that a question is about, None of a customer.

        And what it says.

        Raises:
            DataError: It is none.
        """
        for name in question:
            if name not in self._fields:
                raise DataError(f"no field '{name}'{nearest(name, self._fields)}")
        given = {name: value for name, value in question.items() if value is not None}
        outcome = given.keys() & {OF, CONVERTED, AMOUNT}
        apart = given.keys() & {SEGMENT, ACTIVE, *self._market.context_names}
        if outcome and apart:
            raise DataError(
                f"'{min(apart)}' is said of a customer, and '{min(outcome)}' of an outcome."
            )
        at = {AT: check_time(given[AT], None)} if AT in given else {}
        if outcome:
            known = self._outcome(given)
            return self._decision(given[OF]), {**known, **at}
        named = {ID: check_id(given[ID])} if ID in given else {}
        return None, {**self._customer(given), **named, **at}

    def _outcome(self, given: Fields) -> Fields:
        if OF not in given or CONVERTED not in given:
            raise DataError(f"an outcome must have '{OF}' and '{CONVERTED}'.")
        converted = check_outcome(given[CONVERTED])
        return {
            CONVERTED: converted,
            AMOUNT: check_amount(given.get(AMOUNT), converted, learned=self.live.learns_amounts),
        }

    def _customer(self, given: Fields) -> Fields:
        segments, names = self._market.segments, self._market.context_names
        known: Json = {}
        if SEGMENT in given:
            if given[SEGMENT] not in segments:
                raise DataError(
                    f"no segment {given[SEGMENT]!r:.80}{nearest(str(given[SEGMENT]), segments)}"
                )
            known[SEGMENT] = segments.index(given[SEGMENT])
        elif len(segments) > 1 and not given.keys() & set(names):
            raise DataError(f"'{SEGMENT}' must be given, one of {', '.join(segments)}.")
        if given.keys() & set(names):
            known["context"] = [self._number(name, given.get(name)) for name in names]
        if ACTIVE in given:
            if not isinstance(given[ACTIVE], list) or not all(
                isinstance(name, str) for name in given[ACTIVE]
            ):
                raise DataError(f"'{ACTIVE}' must be a list of arms.")
            known[ACTIVE] = active_arms(self.live.arms, given[ACTIVE])
        customer_of(self.live.arms, known.get("context"), known.get(SEGMENT))
        return known

    def _number(self, name: str, value: Any) -> float:
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not abs(value) <= MOST_CONTEXT
        ):
            raise DataError(f"'{name}' must be a number of {-MOST_CONTEXT:g} to {MOST_CONTEXT:g}.")
        return float(value)

    def _decision(self, of: Any) -> int:
        """Return the number of the decision that an outcome is of.

        Raises:
            DataError: There is no such decision.
        """
        number: Any = self.live.number_of(of) if isinstance(of, str) else of
        if self.live.status(number) == "unknown":
            raise DataError(f"'{OF}' must name a decision that was made here, got {of!r:.80}.")
        return int(number)

    def question_schema(self) -> Json:
        """See `Service`."""
        market = self._market
        number = {"type": ["number", "null"], "minimum": -MOST_CONTEXT, "maximum": MOST_CONTEXT}
        fields: Json = {
            **({SEGMENT: {"enum": [*market.segments, None]}} if len(market.segments) > 1 else {}),
            **dict.fromkeys(market.context_names, number),
            ID: {"type": ["string", "null"]},
            ACTIVE: {"type": ["array", "null"], "items": {"enum": [*market.names]}, "minItems": 1},
            AT: {"type": ["number", "null"]},
            OF: {"type": [*NAME_SCHEMA["type"], "null"]},
            CONVERTED: {"type": ["boolean", "null"]},
            AMOUNT: {"type": ["number", "null"], "exclusiveMinimum": 0},
        }
        return object_schema(fields, (), "A customer, or with `of` the outcome of a decision")

    def close(self) -> None:
        """Write a snapshot, and let the folder go."""
        self.live.close()


def _name_question(id: str, function: Callable[..., Result], *args: Any) -> Result:
    """Return what a function returns; where it refuses a question, its reason names that.

    Raises:
        DataError: It does.
    """
    try:
        return function(*args)
    except DataError as error:
        raise DataError(f"question '{id}': {error}") from error


# The content of a bundle of a live bandit policy: arms, customers, settings, and decisions for a
# fresh process to repeat.

KIND = "policy"

ANSWERED = 0.8
"""The share of the replayed decisions whose outcome comes."""

BEHIND = 3
"""Decisions that an outcome of the replay comes behind its own."""

LEARNINGS = 4
"""Batches of the replay at least: a policy that learns after a thousand decisions would else be
asked what it knew at first.
"""


@dataclass(frozen=True, eq=False)
class PolicyContent(Content):
    """The parts of a policy's bundle.

    Attributes:
        policy: The recipe.
        protocol: The run's.
        world: The market that it has played.
        seed: The run's.
        market: What of it the policy may know, with the settings of production.
        n_cases: The number of decisions that a fresh process must repeat.
    """

    policy: Policy
    protocol: BanditSimulation
    world: World
    seed: int
    market: PolicyMarket
    n_cases: int

    @classmethod
    def of(
        cls,
        policy: Policy,
        protocol: BanditSimulation,
        world: World,
        seed: int,
        settings: LiveSettings,
        n_cases: int,
    ) -> PolicyContent:
        """Return the parts for a run's policy.

        Raises:
            ConfigError: A setting is missing, or does not fit the run.
        """
        if world.delay and settings.window is None:
            raise ConfigError(
                "live.window: must be given (--live): in the run outcomes come late, and an offer "
                "without one counts as"
                f" refused after {world.window:,} steps; in production after a time."
            )
        taken = sorted({ID, *FIELDS} & set(world.context_names))
        if taken:
            raise ConfigError(
                f"bundle: the context has a column '{taken[0]}', which is a field of every "
                f"question."
            )
        game = protocol.game(world)
        arms = world_arms(world, game)
        chosen = seed if settings.seed is None else settings.seed
        own = replace(settings, seed=chosen, batch=settings.batch or game.batch)
        prices = None if world.unit == CONVERSIONS else tuple(world.prices.tolist())
        contexts = tuple(tuple(row) for row in arms.contexts.tolist())
        market = PolicyMarket(
            names=arms.names,
            values=tuple(arms.values.tolist()),
            prices=prices,
            segments=world.segments,
            context_names=world.context_names,
            contexts=contexts,
            horizon=arms.horizon,
            range=world.range,
            settings=own,
        )
        return cls(policy, protocol, world, seed, market, n_cases)

    @property
    def kind(self) -> str:
        """`policy`."""
        return KIND

    def write(self, state: Path, parity: Path) -> Parity:
        """See `Content`.

        The replay has a market of its own, whose batches are small enough that it learns meanwhile,
        and whose times, which are made up, have no bound.
        """
        small = self.market.with_batch(max(1, self.n_cases // LEARNINGS))
        replayed = replace(small, settings=replace(small.settings, ahead=None))
        self.market.write(state)
        replayed.write(parity)
        kernel = self.policy.kernel(world_arms(self.world, self.protocol.game(self.world)))
        with (
            tempfile.TemporaryDirectory() as scratch,
            replayed.begin(self.policy, Path(scratch)) as live,
        ):
            cases = list(self._cases(live, amounts=learns_amounts(kernel)))
        tolerance = SINGLE if isinstance(kernel, BatchKernel) else NATIVE
        return Parity(
            cases, tolerance, {"why": "a policy learns from each outcome, which no graph does"}
        )

    def reference(self) -> Json:
        """Return no statistics: what a policy answers changes with what it learns."""
        return {"rows": 0, "columns": {}, "predictions": {}, "windows": []}

    def _cases(self, live: LivePolicy, *, amounts: bool) -> Iterator[Case]:
        """Yield customers of the run's market with the library's own decisions, and what most of
        them did, a little later.

        The times are steps of the window, so that some outcomes come after it and count as refused.
        """
        world, rng = self.world, stream(self.seed, "bundle", "customers")
        step = (self.market.settings.window or self.n_cases) / (4 * BEHIND)
        waiting: list[Case] = []
        for number in range(self.n_cases):
            segment = int(rng.choice(len(world.segments), p=world.shares))
            asked: Json = {ID: f"customer {number}", AT: number * step}
            if len(world.segments) > 1:
                asked[SEGMENT] = world.segments[segment]
            made = live.decide(segment=segment, at=asked[AT], id=asked[ID])
            yield Case(
                asked,
                {
                    ID: asked[ID],
                    "decision": made.id,
                    "arm": made.arm,
                    "propensity": made.propensity,
                },
            )
            waiting.append(self._outcome(made, segment, rng, amounts=amounts))
            if len(waiting) > BEHIND and rng.random() < ANSWERED:
                reported = waiting.pop(int(rng.integers(len(waiting))))
                status = live.outcome(
                    reported.question[OF],
                    reported.question[CONVERTED],
                    amount=reported.question.get(AMOUNT),
                )
                yield Case(reported.question, {OF: reported.question[OF], "status": status})

    def _outcome(
        self, made: LiveDecision, segment: int, rng: np.random.Generator, *, amounts: bool
    ) -> Case:
        """Return what a customer does, as the market says, which nobody has reported yet."""
        world, arm = self.world, self.world.arms.index(made.arm)
        converted = bool(rng.random() < world.conversions[0, segment, arm])
        brought = (
            {AMOUNT: made.value * float(rng.choice(world.amounts))}
            if amounts and converted and len(world.amounts)
            else {}
        )
        return Case({OF: made.id, CONVERTED: converted, **brought}, {})


class LivePolicies(Policies):
    """Live policies of simulated runs; see `Policies`."""

    settings = LiveSettings

    @staticmethod
    def content(
        policy: Policy, protocol: Any, world: Any, seed: int, settings: LiveSettings, n_cases: int
    ) -> Content:
        """See `Policies`."""
        return PolicyContent.of(policy, protocol, world, seed, settings, n_cases)

    @staticmethod
    def service(policy: Policy, folders: Sequence[Readable], store: Path) -> PolicyService:
        """See `Policies`."""
        folder = next(folder for folder in folders if (folder / MARKET).is_file())
        market = PolicyMarket.read(folder)
        market.warm_up(policy)
        return PolicyService(market.begin(policy, store), market)
