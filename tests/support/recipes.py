"""Recipes of docs/architecture.md, whose code is run as it stands there."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "architecture.md"


def recipe(title: str) -> str:
    """The Python of a recipe."""
    section = PAGE.read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]
    return "\n".join(re.findall(r"```python\n(.*?)```", section, re.S))
