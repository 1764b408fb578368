"""Say where each named dataset is to be had, and which are here."""

from __future__ import annotations

from hwds.errors import ConfigError, nearest
from hwds.registry import options


def main(words: list[str]) -> int:
    """Print source, licence, columns and digest of the datasets named, or of all."""
    from hwds.config.check import build
    from hwds.config.compose import option

    known = options("dataset")
    for word in words:
        if word not in known:
            raise ConfigError(f"no dataset '{word}'{nearest(word, known)}")
    for name in words or known:
        node = option("dataset", "dataset", name)
        node |= {"path": name} if node.get("path") == "???" else {}
        dataset = build("dataset", "dataset", node)
        print(f"{name}: {dataset.source()}")  # type: ignore[attr-defined]
    return 0
