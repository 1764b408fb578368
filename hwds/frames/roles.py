"""Roles: what the columns of a panel, a table, of runs or images may be used for, each declared
once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from hwds.core.errors import ConfigError, DataError, nearest

SERIES, TIME, TARGET = "series_id", "time", "target"
"""The names that these three columns have in every panel, whatever they were called in the user's
file.
"""

KEYS = {"series": SERIES, "time": TIME, "target": TARGET}
"""The same names by role."""

FrameKind = Literal["panel", "table", "runs", "images"]

Names = str | tuple[str, ...] | None
"""The name of a column, a list of names, or nothing."""


@dataclass(frozen=True, slots=True)
class Role:
    """One use of a column. A new role is one entry of `ROLES`: fields of configs, readers, checks
    and refusals follow it.

    Attributes:
        name: Its key below `dataset.roles`.
        frames: The kinds of frame whose columns can play it.
        meaning: One sentence with the unit.
        many: Several columns may play it.
        required: The kinds of frame in which a column must play it.
        holds: What the values of a column are. `any` takes them as they look.
        null: A row may have no value.
        low: The least value, None where there is none.
        high: The greatest value, None where there is none.
        known: When a model may read it: for rows still to come (`ahead`), once the row has passed
            (`past`), always, for it does not change within a series (`constant`), at the row's own
            moment or as the role beside it says (`row`), or `never`.
        group: One column may play several roles of one group.
        beside: In a panel, roles of which a column must play one too: they say when it is known.
        is_input: Where a table has a label and no covariates are named, its columns are inputs too.
        chosen: A user can give it. The other roles are set by simulators and plans alone.
    """

    name: str
    frames: tuple[FrameKind, ...]
    meaning: str
    many: bool = False
    required: tuple[FrameKind, ...] = ()
    holds: Literal["any", "numbers", "times"] = "any"
    null: bool = True
    low: float | None = None
    high: float | None = None
    known: Literal["ahead", "past", "constant", "row", "never"] = "row"
    group: str = ""
    beside: tuple[str, ...] = ()
    is_input: bool = False
    chosen: bool = True

    def allowed_columns(self, frame: FrameKind) -> str:
        """Return in words what its columns hold and how many there may be: `one column of numbers
        from 0 to 1, required`.
        """
        bounds = f" from {self.low:g}" if self.low is not None else ""
        bounds += f" to {self.high:g}" if self.high is not None else ""
        holds = "" if self.holds == "any" else f" of {self.holds}{bounds}"
        needed = ", required" if frame in self.required else ""
        return f"{'columns' if self.many else 'one column'}{holds}{needed}"


_PANEL: tuple[FrameKind, ...] = ("panel",)
_TABLE: tuple[FrameKind, ...] = ("table",)
_BOTH: tuple[FrameKind, ...] = ("panel", "table")
_RUNS: tuple[FrameKind, ...] = ("runs",)
_USES = ("known_future", "past_only", "static")

_SERIES = (
    "The series that a row belongs to; several are joined with '|' and become static; none: "
    "one series a file."
)
_TIME = "The time of a row: dates, instants, months (2024-03), quarters (2024Q1) or whole numbers."
_AHEAD = "Numbers known for future rows too (planned prices, promotions, launches)."
_AVAILABLE = "The time at which a row became known; of a series, its target and past-only values."
_PROPENSITY = (
    "The probability with which the label was looked for; null where it was found in another way "
    "(on suspicion): such rows are"
    " learned from, but do not count in metrics."
)
_COVARIATE = (
    "Inputs of a model; where a label is given and none of these, all columns without a role, and "
    "those that a row is given or"
    " counted by (slice, stratum, amount, price, cost)."
)
_CHOSEN = "The probability with which the arm was chosen; of a continuous price its density."
_INSTRUMENT = (
    "It moves the price and not demand (a cost, an exchange rate): for models of demand "
    "with instruments."
)
_CYCLE = "The age of a run: cycles, hours or kilometres since it was new, rising from row to row."
_SENSOR = (
    "A quantity measured in each cycle; where none is named, all columns of numbers without a role."
)
_EVENT = (
    "Is 1 in the row in which a run failed, 0 in all others: a run without a 1 is censored at its "
    "last row; where no column is"
    " named, every run failed at its last row, but for those of the test."
)
_CHANGE = "Is 1 in rows in which the state of a machine changes, 0 in all others."
_LABEL = (
    "The outcome to predict; of runs 1 in rows with an anomaly and 0 in others; null where "
    "it is not known yet."
)
_ID = (
    "The name of a row (an order, a payment) in alerts, predictions and answers: one of its "
    "own, which no model reads."
)
_LINK = (
    "Shared by the rows of one hidden owner (an address, a payment, a contact), of which "
    "alerts are one case; no input."
)
_LEVEL = "Constant within a series, the hierarchy, coarsest first."
_IGNORE = "Columns to leave out; where a label is given, what is not known before it."


def _measurement(
    name: str,
    frames: tuple[FrameKind, ...],
    meaning: str,
    *,
    high: float | None = None,
    many: bool = False,
) -> Role:
    """Return a role of numbers from 0 that says what a column measures.

    In a panel another says when it is known.
    """
    rows = "table" in frames
    group = "rows" if rows else ""
    return Role(
        name,
        frames,
        meaning,
        many,
        holds="numbers",
        low=0,
        high=high,
        group=group,
        beside=_USES,
        is_input=rows,
    )


ROLES: dict[str, Role] = {
    role.name: role
    for role in (
        Role("label", ("table", "runs", "images"), _LABEL, known="never"),
        Role("id", _TABLE, _ID, null=False, known="never"),
        Role("link", _TABLE, _LINK, many=True, group="rows"),
        Role(
            "label_time",
            _TABLE,
            "The time at which the label became known.",
            holds="times",
            known="never",
        ),
        Role(
            "label_propensity", _TABLE, _PROPENSITY, holds="numbers", low=0, high=1, known="never"
        ),
        Role("series", _PANEL, _SERIES, many=True, null=False, known="constant", group="series"),
        Role(
            "entity",
            ("table", "runs"),
            "The subject of a row (a customer, a device); of runs the machine.",
            many=True,
            required=_RUNS,
            group="rows",
        ),
        Role("cycle", _RUNS, _CYCLE, required=_RUNS, holds="numbers", null=False),
        Role("sensor", _RUNS, _SENSOR, many=True, holds="numbers", known="past"),
        Role(
            "setting",
            _RUNS,
            "Operating conditions, within whose regimes sensors are scaled.",
            many=True,
            holds="numbers",
        ),
        Role("event", _RUNS, _EVENT, holds="numbers", low=0, high=1, known="never"),
        Role("changepoint", _RUNS, _CHANGE, holds="numbers", low=0, high=1, known="never"),
        Role(
            "remaining",
            _RUNS,
            "The life of a test run beyond its last row.",
            holds="numbers",
            low=0,
            known="never",
        ),
        Role(
            "start",
            _RUNS,
            "The time at which a run was new, on a clock that all runs share and that counts as "
            "cycles do.",
            holds="numbers",
        ),
        Role(
            "file",
            ("images",),
            "The name of an image's file below the folder; none where rows are in the order of "
            "the images.",
        ),
        Role(
            "group",
            ("table", "images"),
            "Rows that must stay on one side of a cut.",
            many=True,
            group="rows",
        ),
        Role("time", _BOTH, _TIME, required=("panel",), holds="times", null=False, group="rows"),
        Role(
            "target",
            _PANEL,
            "The number to forecast.",
            required=("panel",),
            holds="numbers",
            known="past",
        ),
        Role("known_future", _PANEL, _AHEAD, many=True, holds="numbers", known="ahead"),
        Role(
            "past_only",
            _PANEL,
            "Numbers known only once their row has passed.",
            many=True,
            holds="numbers",
            known="past",
        ),
        Role(
            "static",
            ("panel", "runs", "images"),
            "Constant within a series or a run; of images what scores are shown by.",
            many=True,
            known="constant",
            group="series",
        ),
        Role("level", _PANEL, _LEVEL, many=True, known="constant", group="series"),
        Role("available_at", _BOTH, _AVAILABLE, holds="times"),
        Role("split", ("panel", "runs"), "Says `train` or `test`."),
        Role("arm", _TABLE, "The arm that was chosen (a price, a treatment).", group="rows"),
        Role(
            "outcome",
            _TABLE,
            "The outcome of the arm that was chosen: a conversion, an amount.",
            many=True,
        ),
        _measurement("price", _BOTH, "The price of a unit, in currency."),
        _measurement("list_price", _PANEL, "The price of a unit before discounts, in currency."),
        _measurement("cost", _BOTH, "The cost of a unit, in currency."),
        _measurement("promotion", _PANEL, "The depth of a promotion, or 1 for any: 0 for none."),
        _measurement(
            "stock_out", _PANEL, "The share of a row's time without stock, from 0 to 1.", high=1
        ),
        _measurement(
            "competitor_price",
            _PANEL,
            "The price of competitors for a unit, in currency.",
            many=True,
        ),
        Role("instrument", _PANEL, _INSTRUMENT, many=True, holds="numbers", beside=_USES),
        Role("propensity", _TABLE, _CHOSEN, holds="numbers", low=0),
        Role(
            "context",
            _TABLE,
            "A property of a unit that was known when its arm was chosen.",
            many=True,
            group="rows",
        ),
        Role("covariate", _TABLE, _COVARIATE, many=True, group="rows"),
        Role(
            "stratum",
            _TABLE,
            "Within which rows are compared.",
            many=True,
            group="rows",
            is_input=True,
        ),
        Role("slice", _TABLE, "By which scores are shown.", many=True, group="rows", is_input=True),
        Role(
            "amount",
            _TABLE,
            "The value of a row, in currency.",
            holds="numbers",
            group="rows",
            is_input=True,
        ),
        Role(
            "count",
            _TABLE,
            "The number of units that a row sums up, of running sums by time and arm.",
            holds="numbers",
        ),
        Role("mean", _TABLE, "The mean outcome of the units that a row sums up.", holds="numbers"),
        Role(
            "variance",
            _TABLE,
            "The variance of the outcomes of the units that a row sums up.",
            holds="numbers",
        ),
        Role(
            "spread",
            _TABLE,
            "Standard deviation of an order's value, as a share of its mean.",
            chosen=False,
        ),
        Role(
            "truth",
            _TABLE,
            "A truth that only a simulator knows, to score by.",
            many=True,
            known="never",
            chosen=False,
        ),
        Role("ignore", ("table", "runs"), _IGNORE, many=True, known="never"),
    )
}
"""All roles, in the order in which they are listed, and in which their columns stand in a panel."""


def roles_of(frame: FrameKind) -> tuple[Role, ...]:
    """Return the roles that a user can give to the columns of a kind of frame."""
    return tuple(role for role in ROLES.values() if frame in role.frames and role.chosen)


def go_together(one: str, other: str) -> bool:
    """Return whether one column may play both roles."""
    first, second = ROLES[one], ROLES[other]
    return one != other and (
        (bool(first.group) and first.group == second.group)
        or one in second.beside
        or other in first.beside
    )


def refuse_unplaced(roles: Roles) -> None:
    """Refuse a column of a panel of which no role says when it is known.

    Raises:
        ConfigError: With the roles that do.
    """
    for role, names in roles.items():
        uses = ROLES[role].beside
        lone = next(
            (name for name in names if uses and not set(uses) & set(roles.roles_of(name))), None
        )
        if lone is not None:
            places = f"{', '.join(uses[:-1])} or {uses[-1]}"
            raise ConfigError(
                f"dataset.roles.{role}: column '{lone}' must be {places} too, which says when it "
                f"is known."
            )


def as_names(names: Names) -> tuple[str, ...]:
    """Return the names of a role as a tuple."""
    return (names,) if isinstance(names, str) and names else tuple(names or ())


class Roles(Mapping[str, tuple[str, ...]]):
    """The columns of a frame by role; a role that no column plays is absent.

    Args:
        columns: Role to the name or names of its columns.
        **more: The same by keyword.

    Raises:
        DataError: There is no such role, with the nearest one.

    Example:
        >>> Roles(known_future=("price",), static="family").names
        ('price', 'family')
    """

    __slots__ = ("_columns",)

    def __init__(self, columns: Mapping[str, Names] | None = None, /, **more: Names) -> None:
        given = {role: as_names(names) for role, names in ({**(columns or {})} | more).items()}
        wrong = next((role for role in given if role not in ROLES), None)
        if wrong is not None:
            raise DataError(f"dataset.roles: no role '{wrong}'{nearest(wrong, ROLES)}")
        self._columns = {role: names for role, names in given.items() if names}

    def __getitem__(self, role: str) -> tuple[str, ...]:
        return self._columns[role]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __or__(self, other: Mapping[str, Names]) -> Roles:
        return Roles({**self, **other})

    def __repr__(self) -> str:
        return f"Roles({self._columns!r})"

    @property
    def summary(self) -> str:
        """The roles and at most five columns of each in one line: `known_future: price; static:
        family`.
        """
        return "; ".join(
            f"{role}: {', '.join(names[:5])}{f', ... ({len(names)})' if len(names) > 5 else ''}"
            for role, names in self.items()
        )

    def without(self, *roles: str) -> Roles:
        """Return the same without some roles."""
        return Roles({role: names for role, names in self.items() if role not in roles})

    def one(self, role: str) -> str | None:
        """Return the first column that plays a role, None where none does."""
        return self.get(role, (None,))[0]

    def roles_of(self, column: str) -> tuple[str, ...]:
        """Return the roles that a column plays, in the order of `ROLES`."""
        return tuple(role for role in ROLES if column in self.get(role, ()))

    def columns(self, roles: Iterable[str]) -> tuple[str, ...]:
        """Return the columns that play any of some roles, each once, in the order of the roles."""
        return tuple(dict.fromkeys(name for role in roles for name in self.get(role, ())))

    @property
    def names(self) -> tuple[str, ...]:
        """Every column that has a role, each once, in the order of `ROLES`."""
        return self.columns(ROLES)

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns of numbers that vary in time: those known ahead, then those known once their
        row has passed.
        """
        return self.columns(
            role for known in ("ahead", "past") for role in ROLES if ROLES[role].known == known
        )

    @property
    def constant(self) -> tuple[str, ...]:
        """The columns that do not change within a series."""
        return self.columns(role for role in ROLES if ROLES[role].known == "constant")

    @property
    def known_future(self) -> tuple[str, ...]:
        """The columns that are known for rows still to come."""
        return self.get("known_future", ())

    @property
    def past_only(self) -> tuple[str, ...]:
        """The columns that are known once their row has passed."""
        return self.get("past_only", ())

    @property
    def static(self) -> tuple[str, ...]:
        """The columns that are constant within a series."""
        return self.get("static", ())

    @property
    def level(self) -> tuple[str, ...]:
        """The columns of the hierarchy, coarsest first."""
        return self.get("level", ())

    @property
    def available_at(self) -> str | None:
        """The column that says when a row became known, None where there is none."""
        return self.one("available_at")

    @property
    def split(self) -> str | None:
        """The column that says `train` or `test`, None where there is none."""
        return self.one("split")
