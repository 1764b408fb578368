"""Settings as plain data: dotted paths, values as YAML writes them, YAML that is safe to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

# Nested settings as dotted paths, and their values as YAML writes them.

OUTSIDE_NUMBERS = (
    *(
        "compute",
        "decision",
        "decision_pack",
        "pictures",
        "save_model",
        "experiment",
        "sweep",
        "tracker",
        "uncapped",
    ),
    *("tags", "note"),
    "inputs",
)
"""The keys of a config on which no number of its run depends: they may differ between two
executions of one run. What `inputs` names is in the id of a run by its content.
"""


def flatten(node: Any, path: str = "", *, items: bool = False) -> Iterator[tuple[str, Any]]:
    """Yield every value below a node with its dotted path: `{"model": {"units": 3}}` gives
    `("model.units", 3)`.

    Args:
        node: Nested mappings. An empty one is a value, and so is a list.
        path: The dotted path of the node itself.
        items: Whether lists of mappings are flattened, too, by the positions of their items:
            `rivals.0.name`.
    """
    if isinstance(node, Mapping) and node:
        below = [(str(key), value) for key, value in node.items()]
    elif (
        items and isinstance(node, list | tuple) and any(isinstance(item, Mapping) for item in node)
    ):
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


# YAML as plain data: no tags that build objects, and no anchors that make a small file large.

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MOST_VALUES = 200_000
"""Values of a file, those that an anchor repeats counted as often as they are read."""


def utf8_text(file: Path) -> str:
    """Return the text of a file.

    Raises:
        ValueError: It is no UTF-8.
    """
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: is no UTF-8 (byte {error.start})") from error


def read_yaml(text: str, where: str | Path) -> Any:
    """Return the content of a YAML text.

    Raises:
        ValueError: It is no YAML, too deep, or too large once its anchors are followed.
    """
    check_yaml(text, where)
    try:
        return yaml.load(text, Loader=LOADER)
    except (
        yaml.YAMLError,
        ValueError,
    ) as error:  # a tag, a month 13, a number of five thousand digits
        raise ValueError(f"{where}: {_one_line(error)}") from error


def read_beside(module: str, name: str) -> Any:
    """Return the content of the YAML file beside a module, whose `__file__` is given."""
    return read_yaml(Path(module).with_name(name).read_text(encoding="utf-8"), name)


def check_yaml(text: str, where: str | Path) -> None:
    """Refuse a YAML text that `read_yaml` refuses, for others to read.

    Raises:
        ValueError: It is no YAML, too deep, too large once its anchors are followed, or has a key
            twice, of which one is lost.
    """
    try:
        root = yaml.compose(text, Loader=LOADER)
        size = _size(root, {})
    except yaml.YAMLError as error:
        raise ValueError(f"{where}: is no YAML: {_one_line(error)}") from error
    except RecursionError as error:
        raise ValueError(f"{where}: is too deep to read") from error
    if size > MOST_VALUES:
        raise ValueError(
            f"{where}: has {MOST_VALUES:,} values or more once its anchors (&, *) are followed"
        )
    if twice := next(_repeated_keys(root, set()), None):
        raise ValueError(
            f"{where}: has '{twice.value}' more than once, at line {twice.start_mark.line + 1}"
        )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).replace(' in "<unicode string>",', " at").rstrip(".")


def _repeated_keys(node: Any, seen: set[int]) -> Iterator[Any]:
    """Yield each key of a node, or of one below it, that a mapping has already."""
    if id(node) in seen or not isinstance(node, yaml.CollectionNode):
        return
    seen.add(id(node))
    keys = set[tuple[str, str]]()
    for item in node.value:
        pair = item if isinstance(item, tuple) else (item,)
        key = pair[0]
        if len(pair) == 2 and isinstance(key, yaml.ScalarNode):
            if (key.tag, key.value) in keys:
                yield key
            keys.add((key.tag, key.value))
        for part in pair:
            yield from _repeated_keys(part, seen)


def _size(node: Any, sizes: dict[int, float]) -> float:
    """Return the number of values of a node; without end where it holds itself."""
    if id(node) not in sizes:
        sizes[id(node)] = float("inf")  # until it is counted, whatever leads back to it is a circle
        content = node.value if isinstance(node, yaml.CollectionNode) else ()
        inner = [
            part for item in content for part in (item if isinstance(item, tuple) else (item,))
        ]
        sizes[id(node)] = 1 + sum(_size(part, sizes) for part in inner)
    return sizes[id(node)]
