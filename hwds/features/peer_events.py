"""Peers of one event at a time: from values by column to what `LivePeers` asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hwds.features.live import Event, Live, Value, floats_of, known, number
from hwds.features.peer_live import LivePeers

if TYPE_CHECKING:
    from hwds.features.peers import Peers
    from hwds.frames.table import Table


class PeerEvents(Live):
    """The columns of `Peers` for events.

    Args:
        recipe: The features.
        schema: A table of the events' columns and roles, without rows.
    """

    changing = ("_live",)

    def __init__(self, recipe: Peers, schema: Table) -> None:
        self._names, self._by = recipe.compared(schema), recipe.grouped_by(schema)
        self._live = LivePeers(recipe, len(self._names), len(self._by))
        self.columns = floats_of([f"{name}_{what}" for name in self._names for what in ("peers", "z")])

    def arrive(self, event: Event) -> Sequence[Value]:
        """What peers do, and how far the event is from it."""
        values = [number(event.values.get(name)) for name in self._names]
        group = tuple(event.values.get(name) for name in self._by)
        told = self._live.arrive(event.time, event.arrival, values, group)
        return [known(part) for pair in zip(*(parts.tolist() for parts in told), strict=True) for part in pair]
