"""Pictures inside a report: drawings that take the colours of the page, and photographs of what a run drew."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from html import escape
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Self

from hwds.hashing import digest
from hwds.report.page import plain
from hwds.report.style import FLOOR_COLOUR, GREY, INK, LIGHT, NAIVE_COLOUR, OWN

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {
    INK: "var(--ink)", GREY: "var(--grey)", LIGHT: "var(--line)", OWN: "var(--own)", NAIVE_COLOUR: "var(--naive)",
    FLOOR_COLOUR: "var(--floor)", "#ffffff": "none",
}  # fmt: skip
"""What the colours of a drawing become: those of the page, light or dark."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture with the words for who cannot see it.

    Attributes:
        caption: What it shows.
        inside: Its HTML, without any address.
        file: Beside the page, for Markdown.
    """

    caption: str
    inside: str
    file: str

    @classmethod
    def of_figure(cls, figure: Figure, caption: str, file: str) -> Self:
        """An inline drawing: sharp at any size, its text can be searched."""
        return cls(caption, svg(figure, caption), file)

    @classmethod
    def of_png(cls, path: Path, caption: str) -> Self:
        """A PNG inside the page."""
        data = b64encode(path.read_bytes()).decode()
        return cls(caption, f'<img alt="{escape(caption)}" src="data:image/png;base64,{data}">', path.name)

    def html(self) -> str:
        """As HTML."""
        return f"<figure>{self.inside}<figcaption>{escape(self.caption)}</figcaption></figure>"

    def markdown(self) -> str:
        """As Markdown."""
        return f"![{plain(self.caption)}]({self.file})"


def svg(figure: Figure, caption: str) -> str:
    """A figure as SVG in the colours of the page, the same bytes for the same figure, its ids its own."""
    import matplotlib as mpl

    out = StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "hwds"}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = out.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    for colour, name in COLOURS.items():
        text = text.replace(colour, name)
    own = f"p{digest(text)[:6]}-"
    text = re.sub(r'\bid="', f'id="{own}', text)
    text = re.sub(r"url\(#", f"url(#{own}", text)
    text = re.sub(r'href="#', f'href="#{own}', text)
    text = re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, sans-serif", text)
    label = f'<svg role="img" aria-label="{escape(caption)}"'
    return re.sub(r' xmlns(:xlink)?="[^"]*"', "", text.replace("<svg", label, 1)).replace("xlink:href", "href").strip()
