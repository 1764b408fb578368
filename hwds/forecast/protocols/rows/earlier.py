"""The data before the windows of a protocol, and the stride of windows that fit into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwds.frames.panel import Panel
from hwds.splitting.cutoffs import known_at

if TYPE_CHECKING:
    from hwds.forecast.protocols.base import PanelEvaluation


def earlier_panel(protocol: PanelEvaluation, frame: Panel) -> Panel:
    """Return the panel as known at the first cutoff of a protocol; sums are not made of it yet."""
    first = protocol.split(protocol.prepare_frame(frame))[0].cutoffs[0]
    return known_at(frame, first)


def fitting_stride(earlier: Panel, steps: int, stride: int, windows: int) -> int:
    """Return the protocol's own stride, or less where so many windows would reach beyond the later half of the longest series.

    Args:
        earlier: What may be known.
        steps: Of each window.
        stride: The stride of the experiment's own windows.
        windows: How many.
    """
    room = int(earlier.lengths.max(initial=0)) // 2 - steps
    return stride if windows == 1 else min(stride, max(room // (windows - 1), 1))
