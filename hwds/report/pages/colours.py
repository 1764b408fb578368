"""The colours of a page, light and dark, and colours of pictures adjusted to contrast with either background."""

from __future__ import annotations

import re

LIGHT_COLOURS = {
    "paper": "#ffffff", "ink": "#1f2430", "grey": "#59616b", "line": "#d9dde3", "own": "#1f6fb4", "naive": "#a85c14",
    "soft": "#f4f6f8", "note": "#fff6e5",
}  # fmt: skip
DARK_COLOURS = {
    "paper": "#14171c", "ink": "#e6e9ee", "grey": "#a5adb8", "line": "#3a414b", "own": "#6db3ef", "naive": "#e8a25c",
    "soft": "#1d2127", "note": "#33290f",
}  # fmt: skip
"""The least contrast of text with its background."""

ENOUGH = 4.5
"""To 1: what text needs (WCAG 2.2, 1.4.3, level AA)."""


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours `#rrggbb`, 1 to 21 (WCAG 2.2)."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def readable(colour: str, ground: str) -> str:
    """Return the colour, moved away from the background by as little as makes text readable."""
    end = 0 if _luminance(ground) > 0.18 else 255
    parts = _parts(colour)
    for step in range(21):
        moved = "#" + "".join(f"{round(part + (end - part) * step / 20):02x}" for part in parts)
        if contrast(moved, ground) >= ENOUGH:
            return moved
    return moved


def palettes(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the colours of a page by the names of their variables, light and dark.

    Args:
        text: HTML; each `var(--c1f6fb4)` in it gets a variable, readable on the background.
    """
    read = sorted(set(re.findall(r"var\(--c([0-9a-f]{6})\)", text)))
    light, dark = (
        page | {f"c{colour}": readable(f"#{colour}", page["paper"]) for colour in read}
        for page in (LIGHT_COLOURS, DARK_COLOURS)
    )
    return light, dark


def _luminance(colour: str) -> float:
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (p / 255 for p in _parts(colour))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _parts(colour: str) -> list[int]:
    return [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
