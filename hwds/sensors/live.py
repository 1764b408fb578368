"""LiveSensors: a fitted model that follows machines row by row, with the bits of the batch and a
memory that does not grow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy import ndarray

from hwds.core.errors import ConfigError
from hwds.core.serialization import Serializable
from hwds.evaluation.serving import LiveScores, StreamModel
from hwds.frames.runs import RowsOfRuns, Stacked
from hwds.frames.signals import LiveRunFeatures
from hwds.sensors.models.base import FittedSensors, LiveScorer, reference_level


@dataclass(eq=False)
class MachineState(Serializable):
    """The state of one machine.

    Attributes:
        signals: The state of its features.
        rows: The number of rows that it has had.
        level: Its features in the reference, shape (features,); None before the reference is whole.
        reference: The features of its first rows, until then.
        past: Departures of the last rows, as many as the scorer reads; None before the reference is
            whole.
    """

    signals: object
    rows: int = 0
    level: ndarray | None = None
    reference: list[ndarray] = field(default_factory=list)
    past: ndarray | None = None


class LiveSensors(StreamModel):
    """Scores new rows of machines by what was seen of each so far, with the bits of
    `FittedSensors.predict`.

    The first rows of a machine are its reference and have no score.

    Args:
        fitted: The model.

    Raises:
        ConfigError: Its features or its scorer have no live form.
    """

    def __init__(self, fitted: FittedSensors) -> None:
        features, scorer = fitted.departures.features, fitted.scorer
        if not isinstance(features, LiveRunFeatures):
            raise ConfigError(
                f"features: '{type(features).__name__}' cannot follow a stream; take "
                f"features=sensor_windows."
            )
        if not isinstance(scorer, LiveScorer):
            raise ConfigError(
                f"model: a '{type(scorer).__name__}' cannot follow a stream: it computes rows "
                f"in blocks;"
                " take model=sensors/pca, sensors/forecast_residual or sensors/isolation_forest."
            )
        self._fitted, self._features, self._scorer = fitted, features, scorer

    @property
    def names(self) -> tuple[str, ...]:
        """The sensors, then the settings, that each row must have."""
        return (*self._features.sensors, *self._features.settings)

    @property
    def sensors(self) -> int:
        """The number of sensors among them."""
        return len(self._features.sensors)

    def new_state(self) -> MachineState:
        """Return the state of a machine before its first row."""
        return MachineState(self._features.new_state())

    def advance(self, states: Sequence[MachineState], rows: RowsOfRuns) -> LiveScores:
        """Return how odd new rows are, and let the states of their machines go on.

        Args:
            states: The state of each machine that has new rows.
            rows: The new rows, in the order of the states.
        """
        features = self._features.advance([state.signals for state in states], rows)
        stops = np.cumsum(rows.counts)
        judged = [
            self._judge_rows(state, features[stop - count : stop])
            for state, stop, count in zip(states, stops, rows.counts, strict=True)
        ]
        new = np.concatenate(judged)
        counts = np.array([len(part) for part in judged])
        score = np.full(len(features), np.nan)
        reason: list[str | None] = [None] * len(features)
        if len(new):
            asked = [place for place, count in enumerate(counts) if count]
            self._score(
                [states[place] for place in asked], new, counts[asked], score, reason, stops[asked]
            )
        return LiveScores(score, reason)

    def _judge_rows(self, state: MachineState, values: ndarray) -> ndarray:
        """Return the departures of the rows that have a score.

        The others become a part of the reference.
        """
        before, first = state.rows, self._fitted.first
        state.rows += len(values)
        if state.level is None:
            state.reference.append(values[: first - before].copy())
            if state.rows < first:
                return values[:0]
            self._set_reference(state)
            values, before = values[first - before :], first
        return self._departures(state, values, before)

    def _set_reference(self, state: MachineState) -> None:
        """Set the level of a machine whose reference is whole, and what the scorer reads of the
        reference.
        """
        reference = np.concatenate(state.reference)
        state.level, state.reference = reference_level(reference), []
        departures = self._departures(state, reference, 0)
        state.past = departures[len(departures) - min(self._scorer.past, len(departures)) :].copy()

    def _departures(self, state: MachineState, values: ndarray, before: int) -> ndarray:
        """Return the departures of rows that follow on so many."""
        assert state.level is not None
        since = np.abs(np.arange(before, before + len(values)) - self._fitted.first / 2)
        return self._fitted.departures.from_levels(
            values, np.broadcast_to(state.level, values.shape), since
        )

    def _score(
        self,
        states: Sequence[MachineState],
        new: ndarray,
        counts: ndarray,
        score: ndarray,
        reason: list[str | None],
        stops: ndarray,
    ) -> None:
        """Write scores and reasons of new rows to their places, the last ones before `stops` of
        each machine.
        """
        stack = Stacked.of([state.past for state in states if state.past is not None], new, counts)
        scores = self._fitted.scored(stack.values, stack.begins_of_all)
        names = scores.reason
        places = np.repeat(stops - np.cumsum(counts), counts) + np.arange(len(new))
        score[places] = scores.score[stack.rows]
        for place, row in zip(places.tolist(), stack.rows.tolist(), strict=True):
            reason[place] = names[row]
        for state, past in zip(states, stack.tails(self._scorer.past), strict=True):
            state.past = past
