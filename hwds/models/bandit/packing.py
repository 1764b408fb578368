"""A policy's state as JSON from which every bit comes back: numbers, arrays, generators, and structures of them."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from hwds.errors import ResumeError
from hwds.stored import class_at, class_path


def pack(value: Any) -> Any:
    """The value as JSON.

    Raises:
        TypeError: It is no number, text, array or generator, and no list, tuple, dict or dataclass of them.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [pack(item) for item in value]
    if isinstance(value, np.generic | np.ndarray | np.random.Generator):
        return _numpy(value)
    if isinstance(value, dict):
        return {"dict": [[pack(key), pack(item)] for key, item in value.items()]}
    return _structure(value)


def _numpy(value: Any) -> dict[str, Any]:
    if isinstance(value, np.random.Generator):
        return {"generator": pack(value.bit_generator.state)}
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"a state that holds an array of {array.dtype} is no JSON")
    data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    packed = {"dtype": array.dtype.str, "shape": list(array.shape), "base64": data}
    return {"array" if isinstance(value, np.ndarray) else "scalar": packed}


def _structure(value: Any) -> dict[str, Any]:
    if isinstance(value, tuple):
        own = {"tuple": [pack(item) for item in value]}
        return own | ({"class": class_path(type(value))} if hasattr(value, "_fields") else {})
    if is_dataclass(value) and not isinstance(value, type):
        held = {field.name: pack(getattr(value, field.name)) for field in fields(value)}
        return {"object": held, "class": class_path(type(value))}
    raise TypeError(f"a state that holds {class_path(type(value))} is no JSON")


def unpack(data: Any) -> Any:
    """What `pack` was given.

    Raises:
        ResumeError: The data is damaged, or its class is gone or has other fields.
    """
    try:
        return _unpack(data)
    except (ImportError, AttributeError, TypeError, KeyError, ValueError, StopIteration) as error:
        raise ResumeError(f"the saved state of the policy cannot be read ({error}).") from error


def _unpack(data: Any) -> Any:
    if isinstance(data, list):
        return [_unpack(item) for item in data]
    if not isinstance(data, dict):
        return data
    kind = next(kind for kind in KINDS if kind in data)
    return KINDS[kind](data[kind], data.get("class"))


def _array(data: dict[str, Any], _: str | None) -> np.ndarray:
    return np.frombuffer(base64.b64decode(data["base64"]), data["dtype"]).reshape(data["shape"]).copy()


def _generator(data: Any, _: str | None) -> np.random.Generator:
    state = _unpack(data)
    bits = getattr(np.random, state["bit_generator"])()
    bits.state = state
    return np.random.Generator(bits)


def _tuple(data: list[Any], path: str | None) -> Any:
    items = [_unpack(item) for item in data]
    return class_at(path)(*items) if path else tuple(items)


KINDS: dict[str, Callable[[Any, Any], Any]] = {
    "array": _array,
    "scalar": lambda data, _: _array(data, None)[()],
    "generator": _generator,
    "dict": lambda data, _: {_unpack(key): _unpack(item) for key, item in data},
    "tuple": _tuple,
    "object": lambda data, path: class_at(path)(**{name: _unpack(item) for name, item in data.items()}),
}
