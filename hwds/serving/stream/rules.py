"""StreamRules: the settings of a stream, given as words after `hwds stream RUN`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Annotated, Any

import yaml
from annotated_types import Ge, Le

from hwds.config.build import check_types
from hwds.core.errors import ConfigError, nearest
from hwds.core.recipe import NonNegative, Recipe, Steps, construct

PATH = "stream"
FREE = ("batch", "snapshot_after", "machines")
"""Settings that change nothing of what readings that were taken come to, but for machines that are refused."""


class StreamRules(Recipe):
    """The rules by which readings are put in order and scores become alerts.

    A score is above 1 where a row is anomalous by the run's model. An alert of a machine is opened, may be escalated once by
    its score and once for want of an acknowledgement, and is closed; while it is open no other one of the machine is.

    Attributes:
        late: How far behind the newest cycle of its machine a reading may come, in cycles: each waits until the newest is as
            far ahead. With 0 a reading counts at once, and one that comes after a newer one is late.
        most_ahead: How far ahead of the newest cycle of its machine a reading may be, in cycles. One that is further ahead is
            refused, for all that come after it would be late, unless the one before it was refused so, too, and is of another
            cycle no further away: then the machine has gone on there. 0 for any.
        waiting: The most readings of a machine that wait; when there are more, the oldest counts.
        remember: The last readings of a machine that are known again when they come twice; an older one counts as late.
        machines: The most machines that are followed; readings of others are refused.
        raise_after: The anomalous rows in a row after which an alert is opened.
        clear_after: The rows in a row at or below `clear_below` after which it is closed.
        clear_below: The score at or below which a row counts towards closing an alert.
        critical: The score above which a row counts towards a critical alert.
        quiet: The cycles after an alert was closed in which the machine's next one is held back unless it is critical.
        escalate_after: The cycles after which an alert that nobody has acknowledged is escalated; 0 for never.
        scores: Whether the score of each row is written to a file too.
        batch: The most readings that are scored together.
        snapshot_after: The readings between two snapshots of the state, after which the log begins anew.
    """

    late: NonNegative = 0.0
    most_ahead: NonNegative = 0.0
    waiting: Steps = 1_000
    remember: Annotated[int, Ge(0), Le(100_000)] = 1_000
    machines: Annotated[int, Ge(1), Le(1_000_000)] = 10_000
    raise_after: Steps = 3
    clear_after: Steps = 10
    clear_below: Annotated[float, Ge(0), Le(1)] = 0.9
    critical: Annotated[float, Ge(1), Le(1e9)] = 3.0
    quiet: NonNegative = 0.0
    escalate_after: NonNegative = 0.0
    scores: bool = False
    batch: Annotated[int, Ge(1), Le(100_000)] = 1_000
    snapshot_after: Annotated[int, Ge(1), Le(10_000_000)] = 100_000

    @property
    def lasting(self) -> dict[str, Any]:
        """The settings that readings which were taken depend on."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name not in (*FREE, "name")}


def rules_of(words: Iterable[str]) -> StreamRules:
    """Return the rules of words such as `raise_after=5`.

    Raises:
        ConfigError: One is no setting, or its value is not allowed.
    """
    known = [field.name for field in fields(StreamRules) if field.name != "name"]
    given: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in known:
            raise ConfigError(f"{PATH}: no setting '{name}'{nearest(name, known)}")
        if name in given:
            raise ConfigError(f"{PATH}.{name}: is given twice.")
        given[name] = _value(name, value)
    rules = construct(StreamRules, PATH, given)
    check_types(given, rules, PATH)
    return rules


def _value(name: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{PATH}.{name}: must be a number, got '{text[:80]}'.") from error
