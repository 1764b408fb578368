"""Stored: a fitted model on disk without pickle, arrays as .npz and the rest as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import numpy as np

from hwds.errors import DataError
from hwds.recipe import Recipe


class Stored:
    """Mixin for a frozen dataclass of arrays, bytes, plain values, recipes and others like it: `save` and `load`."""

    def save(self, folder: Path) -> None:
        """Write every field into the folder; `load` gives an equal object in a fresh process."""
        arrays: dict[str, np.ndarray] = {}
        plain: dict[str, Any] = {}
        for field in fields(self):  # type: ignore[arg-type]
            _store(field.name, getattr(self, field.name), arrays, plain)
        np.savez(folder / "arrays.npz", **arrays)  # type: ignore[arg-type]
        (folder / "fields.json").write_text(json.dumps(plain, indent=1))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The object that `save` wrote."""
        with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
            plain = json.loads((folder / "fields.json").read_text())
            return cls(**{name: _restore(name, kind, value, arrays) for name, (kind, value) in plain.items()})


def save_fitted(fitted: Any, folder: Path) -> None:
    """Write a fitted model (it has `save`) and the name of its class into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    fitted.save(folder)
    (folder / "class.json").write_text(json.dumps(class_path(type(fitted))))


def load_fitted(folder: Path) -> Any:
    """The fitted model of a folder.

    Raises:
        DataError: There is none, or its class is gone or has other fields.
    """
    if not (folder / "class.json").is_file():
        raise DataError(f"{folder}: no saved model.")
    path = json.loads((folder / "class.json").read_text())
    try:
        return class_at(path).load(folder)
    except (ImportError, AttributeError, TypeError, KeyError) as error:
        raise DataError(
            f"{folder}: the saved model is of another version of '{path}' ({error}); run again with save_model=final."
        ) from error


def class_path(cls: type) -> str:
    """`module:Class`, which `class_at` reads."""
    return f"{cls.__module__}:{cls.__qualname__}"


def class_at(path: str) -> Any:
    """The class of `module:Class`."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


def _store(name: str, value: Any, arrays: dict[str, np.ndarray], plain: dict[str, Any]) -> None:
    if isinstance(value, np.ndarray):
        arrays[name], plain[name] = value, ("array", None)
    elif isinstance(value, bytes | bytearray):
        arrays[name], plain[name] = np.frombuffer(bytes(value), np.uint8), ("bytes", None)
    elif isinstance(value, list | tuple) and value and all(isinstance(item, np.ndarray) for item in value):
        arrays |= {f"{name}.{i}": item for i, item in enumerate(value)}
        plain[name] = ("arrays", len(value))
    elif isinstance(value, Stored):
        inner: dict[str, Any] = {}
        for field in fields(value):  # type: ignore[arg-type]
            _store(f"{name}/{field.name}", getattr(value, field.name), arrays, inner)
        plain[name] = ("stored", [class_path(type(value)), inner])
    elif isinstance(value, Recipe):
        plain[name] = ("recipe", [class_path(type(value)), asdict(value)])  # type: ignore[call-overload]
    else:
        plain[name] = ("tuple" if isinstance(value, tuple) else "plain", value)


def _restore(name: str, kind: str, value: Any, arrays: Any) -> Any:
    if kind == "array":
        return arrays[name]
    if kind == "bytes":
        return arrays[name].tobytes()
    if kind == "arrays":
        return tuple(arrays[f"{name}.{i}"] for i in range(value))
    if kind == "stored":
        told = {key.rpartition("/")[2]: _restore(key, kind, inner, arrays) for key, (kind, inner) in value[1].items()}
        return class_at(value[0])(**told)
    if kind == "recipe":
        return class_at(value[0])(**value[1])
    return tuple(value) if kind == "tuple" else value
