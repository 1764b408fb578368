"""Nested settings as dotted paths, and their values as YAML writes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

OUTSIDE_NUMBERS = (
    *("compute", "decision", "decision_pack", "pictures", "save_model", "experiment", "sweep", "tracker", "uncapped"),
    *("tags", "note"),
)
"""The keys of a config on which no number of its run depends: they may differ between two executions of one run."""


def flatten(node: Any, path: str = "", *, items: bool = False) -> Iterator[tuple[str, Any]]:
    """Yield every value below a node with its dotted path: `{"model": {"units": 3}}` gives `("model.units", 3)`.

    Args:
        node: Nested mappings. An empty one is a value, and so is a list.
        path: The dotted path of the node itself.
        items: Whether lists of mappings are flattened, too, by the positions of their items: `rivals.0.name`.
    """
    if isinstance(node, Mapping) and node:
        below = [(str(key), value) for key, value in node.items()]
    elif items and isinstance(node, list | tuple) and any(isinstance(item, Mapping) for item in node):
        below = [(str(index), item) for index, item in enumerate(node)]
    else:
        yield path, node
        return
    for key, value in below:
        yield from flatten(value, f"{path}.{key}" if path else key, items=items)


def as_yaml(value: object, separator: str = ", ") -> str:
    """Return a value as YAML writes it: `true`, `null`, `[1, 2]`, `''`; other text is unchanged."""
    if value is None or isinstance(value, bool):
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list | tuple):
        return f"[{separator.join(as_yaml(item, separator) for item in value)}]"
    return str(value) if value != "" else "''"
