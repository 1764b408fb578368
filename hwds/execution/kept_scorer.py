"""A member of a classifier stack, learned once for all who ask: what it learned lies beside the cells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile

from hwds.errors import DataError
from hwds.execution.cache import alone
from hwds.results.atomic import write_atomically
from hwds.stored import load_fitted, save_fitted


def kept_scorer(key: str, folder: Path, learn: Callable[[], Any]) -> Any:
    """What was learned before under a key, or is learned now, by one worker: the same bits either way.

    Args:
        key: Names the model, its settings and what it learns from.
        folder: Where finished cells lie.
        learn: Makes the scorer.
    """
    path = folder / key[:2] / f"{key}.zip"
    with alone(path):
        kept = _read(path) if path.is_file() else None
        if kept is not None:
            return kept
        learned = learn()
        write_atomically(path, lambda part: _write(part, learned))
        return learned


def _read(path: Path) -> Any:
    """None where the file is damaged; it is learned again."""
    with TemporaryDirectory() as found:
        try:
            with ZipFile(path) as file:
                file.extractall(found)
            return load_fitted(Path(found))
        except (BadZipFile, OSError, EOFError, ValueError, DataError):
            path.unlink()
            return None


def _write(part: Path, learned: Any) -> None:
    with TemporaryDirectory() as made:
        save_fitted(learned, Path(made))
        with ZipFile(part, "w", ZIP_STORED) as file:
            for each in sorted(Path(made).rglob("*")):
                file.write(each, each.relative_to(made))
