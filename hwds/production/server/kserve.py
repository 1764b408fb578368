"""KServe's open inference protocol, version 2, as a thin face over the questions of a bundle."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from hwds.core.errors import DataError
from hwds.production.services.base import Answer, Question
from hwds.production.services.json_text import parsed_json
from hwds.serving.ids import ID

QUESTION, ANSWER = "question", "answer"
"""The one tensor of a bundle whose questions are histories, in and out: JSON in texts."""

DATATYPES = (
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES",
)  # fmt: skip
"""The types of tensors in the protocol; values are read by the columns of the bundle, whatever type is named."""

MOST_DIMENSIONS = 32
"""Dimensions of a tensor at most: the product of a million numbers takes minutes."""

KINDS = {"number": "FP64", "integer": "INT64", "boolean": "BOOL", "string": "BYTES"}


def metadata(name: str, version: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of the model."""
    known = {"name": name, "versions": [version], "platform": "hwds"}
    if not is_flat(schema):
        tensors = [{"name": each, "datatype": "BYTES", "shape": [-1]} for each in (QUESTION, ANSWER)]
        return known | {"inputs": tensors[:1], "outputs": tensors[1:]}
    inputs = [{"name": field, "datatype": datatype(kind), "shape": [-1]} for field, kind in schema["properties"].items()]
    outputs = [{"name": field, "datatype": "FP64", "shape": [-1]} for field in ("score", "probability", "p_value")]
    return known | {"inputs": inputs, "outputs": [{"name": ID, "datatype": "BYTES", "shape": [-1]}, *outputs]}


def datatype(schema: Mapping[str, Any]) -> str:
    """Return the datatype of a field."""
    kinds = schema.get("type", ["string"])
    return next((KINDS[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds) if kind in KINDS), "BYTES")


def is_flat(schema: Mapping[str, Any]) -> bool:
    """Return whether questions hold plain values alone."""
    return not any(field.get("type") == "array" or "contentEncoding" in field for field in schema["properties"].values())


def questions_of(request: Any, schema: Mapping[str, Any]) -> list[Question]:
    """Return the questions of a request: its tensors are columns.

    Raises:
        DataError: It has none, they differ in length, or one says what it is not.
    """
    tensors = request.get("inputs") if isinstance(request, dict) else None
    if not isinstance(tensors, list) or not tensors:
        raise DataError("body: must have a list 'inputs' of tensors.")
    if not isinstance(request.get("id"), str | None):
        raise DataError("body: 'id' must be a text.")
    columns = {}
    for place, tensor in enumerate(tensors):
        if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str) or not isinstance(tensor.get("data"), list):
            raise DataError(f"inputs[{place}]: must have a text 'name' and a list 'data'.")
        _check_tensor(tensor, place)
        columns[tensor["name"]] = tensor["data"]
    lengths = {name: len(data) for name, data in columns.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"inputs: must have one length, got {lengths}.")
    if set(columns) == {QUESTION} and QUESTION not in schema["properties"]:
        return [parsed_json(text) if isinstance(text, str) else text for text in columns[QUESTION]]
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _check_tensor(tensor: Mapping[str, Any], place: int) -> None:
    """Refuse a tensor whose type is none, or whose shape is not that of its values; either may be left out.

    Raises:
        DataError: It is wrong.
    """
    if tensor.get("datatype", "FP64") not in DATATYPES:
        raise DataError(f"inputs[{place}]: 'datatype' must be one of {', '.join(DATATYPES)}.")
    shape = tensor.get("shape", [len(tensor["data"])])
    short = isinstance(shape, list) and len(shape) <= MOST_DIMENSIONS
    whole = short and all(isinstance(each, int) and not isinstance(each, bool) for each in shape)
    if not whole or math.prod(shape) != len(tensor["data"]):
        raise DataError(f"inputs[{place}]: 'shape' must be whole numbers whose product is {len(tensor['data'])}.")


def response(name: str, version: str, id: Any, answers: Sequence[Answer], *, flat: bool) -> dict[str, Any]:
    """Return the response to a request with these answers."""
    known = {"model_name": name, "model_version": version} | ({"id": id} if isinstance(id, str) else {})
    if not flat:
        data = [json.dumps(answer, ensure_ascii=False) for answer in answers]
        return known | {"outputs": [{"name": ANSWER, "datatype": "BYTES", "shape": [len(data)], "data": data}]}
    names = list(dict.fromkeys(field for answer in answers for field in answer))
    return known | {"outputs": [_tensor(field, [answer.get(field) for answer in answers]) for field in names]}


def _tensor(name: str, values: list[Any]) -> dict[str, Any]:
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, bool) for value in known):
        kind = "BOOL"
    elif known and all(isinstance(value, float) for value in known):
        kind = "FP64"
    else:
        kind, values = (
            "BYTES",
            [None if value is None else value if isinstance(value, str) else json.dumps(value) for value in values],
        )
    return {"name": name, "datatype": kind, "shape": [len(values)], "data": values}
