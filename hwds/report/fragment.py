"""A fragment of HTML for notebooks: a sentence and tables in the colours of whatever page it stands in."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from hwds.report.grid import Grid
from hwds.report.page import Table

STYLE = (
    ".hwds{color:inherit;line-height:1.45}.hwds p{margin:.4em 0;max-width:55em;overflow-wrap:anywhere}"
    ".hwds .lead{font-size:1.15em}.hwds .below{opacity:.8}.hwds .scroll{overflow-x:auto;margin:.5em 0}"
    ".hwds table{border-collapse:collapse;font-variant-numeric:tabular-nums;color:inherit;background:none;margin:0}"
    ".hwds th,.hwds td{padding:.25em .6em;text-align:left;color:inherit;background:none;"
    "border-bottom:1px solid color-mix(in srgb,currentColor 25%,transparent)}"
    ".hwds caption{text-align:left;caption-side:top;color:inherit;opacity:.8}"
    ".hwds tbody th{font-weight:400}.hwds .number{text-align:right}.hwds td.number{white-space:nowrap}"
    ".hwds .own *{font-weight:700}.hwds .truth{opacity:.8}"
)
"""Rules for what is inside it alone; its colours are those around it, so that they fit any theme, light or dark."""


def fragment(lead: str, grids: Iterable[Grid], below: str = "", notes: Iterable[str] = ()) -> str:
    """What a notebook shows of a result, all text escaped.

    Args:
        lead: What was found.
        grids: Tables below it.
        below: Where it is from.
        notes: What is to be known before the numbers are read.
    """
    said = "".join(f'<p class="lead">{escape(line)}</p>' for line in lead.splitlines() if line.strip())
    noted = "".join(f"<p>{escape(note)}</p>" for note in notes)
    tables = "".join(Table(grid).html() for grid in grids)
    last = f'<p class="below">{escape(below)}</p>' if below else ""
    return f'<div class="hwds"><style>{STYLE}</style>{said}{noted}{tables}{last}</div>'
