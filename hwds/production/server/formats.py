"""Formats of bodies: JSON, JSON Lines, CSV and Arrow in, the same but Arrow out; as many answers as questions."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from hwds.core.errors import DataError
from hwds.production.server.arrow import rows_of
from hwds.production.server.refusals import Refused
from hwds.production.services.base import Answer, Question
from hwds.production.services.json_text import parsed_json

JSON, LINES, CSV, ARROW = "application/json", "application/jsonlines", "text/csv", "application/vnd.apache.arrow.stream"
NAMES = {
    JSON: JSON,
    LINES: LINES,
    "application/x-ndjson": LINES,
    "application/jsonl": LINES,
    "application/x-jsonlines": LINES,
    CSV: CSV,
    "application/csv": CSV,
    ARROW: ARROW,
    "application/x-arrow": ARROW,
}
"""Content types, and the format that each names."""

MLFLOW = ("dataframe_split", "dataframe_records", "instances", "inputs")
"""The fields by which a JSON body follows MLflow's protocol of a scoring server."""

BESIDE = "params"
"""A field of MLflow's that may stand beside them, and is not read."""


_encoded = json.JSONEncoder(ensure_ascii=False).encode  # `json.dumps` makes an encoder each time


class Asked(NamedTuple):
    """The questions of a body.

    Attributes:
        questions: In order.
        shape: The shape of the answer: `one` object, a `list`, `lines`, `csv`, or `predictions` in MLflow's envelope.
    """

    questions: list[Question]
    shape: str


def media_type(header: str) -> tuple[str, dict[str, str]]:
    """Return the type of a header and its parameters, in lower case."""
    name, *rest = header.split(";")
    pairs = (part.partition("=") for part in rest)
    return name.strip().lower(), {key.strip().lower(): value.strip().strip('"').lower() for key, _, value in pairs}


@lru_cache(256)
def format_of(header: str) -> tuple[str, dict[str, str]]:
    """Return the format of a content type; JSON where none is named.

    Raises:
        Refused: 415, it is none that is read here, or text in another encoding than UTF-8.
    """
    name, parameters = media_type(header or JSON)
    if name not in NAMES:
        raise Refused(415, f"content type '{name[:80]}' is not read here; send {JSON}, {LINES}, {CSV} or {ARROW}.")
    if parameters.get("charset", "utf-8") not in ("utf-8", "utf8", "us-ascii"):
        raise Refused(415, "text must be UTF-8.")
    return NAMES[name], parameters


@lru_cache(256)
def accepted(header: str, asked: str) -> str:
    """Return the format of an answer: what is accepted, or that of the question.

    Raises:
        Refused: 406, nothing that is accepted is written here.
    """
    own = JSON if asked == ARROW else asked
    if not header.strip():
        return own
    for part in header.split(","):
        name, _ = media_type(part)
        if name in ("*/*", "application/*", "text/*"):
            return own
        if NAMES.get(name, ARROW) != ARROW:
            return NAMES[name]
    raise Refused(406, f"nothing of '{header[:80]}' is written here; accept {JSON}, {LINES} or {CSV}.")


def questions_of(body: bytes, kind: str, parameters: Mapping[str, str], columns: Mapping[str, Any], most: int) -> Asked:
    """Return the questions of a body.

    Args:
        body: The bytes.
        kind: The format.
        parameters: Those of the content type.
        columns: The JSON Schema of each field of a question.
        most: Questions at most, of a format in which few bytes may stand for many.

    Raises:
        Refused: 413, they are more there.
        DataError: They are not of this format.
    """
    if kind == ARROW:
        return Asked(list(rows_of(body, most)), "list")
    text = text_of(body)
    if kind == CSV:
        return Asked(_of_csv(text, parameters.get("header", ""), columns), "csv")
    return Asked(_of_lines(text), "lines") if kind == LINES else _of_json(text)


def text_of(body: bytes) -> str:
    """Return the text of a body, without a mark of its byte order.

    Raises:
        DataError: It is no UTF-8.
    """
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"body: is no UTF-8 ({error.reason} at byte {error.start}).") from error


def _of_json(text: str) -> Asked:
    """Return the questions of a JSON body; several lines of objects under one content type are lines, as batches send them."""
    try:
        value = parsed_json(text)
    except DataError:
        if "\n" not in text.strip():
            raise
        return Asked(_of_lines(text), "lines")
    if isinstance(value, list):
        return Asked(value, "list")
    if not isinstance(value, dict):
        raise DataError(f"body: must be a JSON object or a list of them, got {type(value).__name__}.")
    named = [name for name in MLFLOW if name in value]
    if not named or set(value) - {*named, BESIDE}:
        return Asked([value], "one")
    return Asked(_of_mlflow(named, value), "predictions")


def _of_mlflow(named: Sequence[str], value: Mapping[str, Any]) -> list[Question]:
    if len(named) > 1:
        raise DataError(f"body: must have one of {', '.join(MLFLOW)}, got {', '.join(named)}.")
    rows = value[named[0]]
    if named[0] == "dataframe_split":
        if not isinstance(rows, dict) or not isinstance(rows.get("columns"), list) or not isinstance(rows.get("data"), list):
            raise DataError("body: 'dataframe_split' must have lists 'columns' and 'data'.")
        columns = [str(name) for name in rows["columns"]]
        return [_paired(columns, row, place) for place, row in enumerate(rows["data"])]
    if isinstance(rows, dict):
        return _of_columns(rows)
    if not isinstance(rows, list):
        raise DataError(f"body: '{named[0]}' must be a list of objects, got {type(rows).__name__}.")
    return list(rows)


def _of_columns(rows: Mapping[str, Any]) -> list[Question]:
    lengths = {len(column) if isinstance(column, list) else -1 for column in rows.values()}
    if len(lengths) > 1 or lengths == {-1}:
        raise DataError("body: the columns of 'inputs' must be lists of one length.")
    return [dict(zip(rows, values, strict=True)) for values in zip(*rows.values(), strict=True)]


def _paired(columns: Sequence[str], row: Any, place: int) -> Question:
    if not isinstance(row, list) or len(row) != len(columns):
        raise DataError(f"question {place}: must have {len(columns)} values, one for each column.")
    return dict(zip(columns, row, strict=True))


def _of_lines(text: str) -> list[Question]:
    questions = []
    for place, line in enumerate(line for line in text.split("\n") if line.strip()):
        try:
            questions.append(parsed_json(line))
        except DataError as error:
            raise DataError(f"line {place + 1}: {str(error).removeprefix('body: ')}") from error
    return questions


def _of_csv(text: str, header: str, columns: Mapping[str, Any]) -> list[Question]:
    """Return the rows of a CSV: by the names of its first row, or else in the order of the schema."""
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error as error:
        raise DataError(f"body: is no CSV ({error}).") from error
    names = list(columns)
    if rows and header != "absent" and (header == "present" or set(rows[0]) <= {*columns, "of", "label", "at"}):
        names = rows.pop(0)
    elif rows and len(rows[0]) < len(names):
        names = names[1:] if len(rows[0]) == len(names) - 1 else names  # without ids
    if len(set(names)) < len(names):
        raise DataError("body: a column of the CSV stands twice.")
    questions: list[Question] = []
    for place, row in enumerate(rows):
        if len(row) != len(names):
            raise DataError(f"row {place + 1}: must have {len(names)} values ({', '.join(names[:6])} ...), got {len(row)}.")
        cells = zip(names, row, strict=True)
        questions.append({name: cell_of(name, text, columns.get(name, {}), place) for name, text in cells if text != ""})
    return questions


def cell_of(name: str, text: str, schema: Mapping[str, Any], place: int) -> Any:
    """Return the value of a cell of a CSV, by the JSON Schema of its field.

    Args:
        name: The field.
        text: The cell.
        schema: That of the field.
        place: The number of the row, from 0, for a refusal.

    Raises:
        DataError: It is no number where it must be.
    """
    kinds = schema.get("type", ["string"])
    try:
        if "integer" in kinds and "string" not in kinds:
            return int(text)
        if "number" in kinds:
            return float(text)
    except ValueError as error:
        raise DataError(f"row {place + 1}: '{name}' must be a number, got {text[:40]!r}.") from error
    if "boolean" in kinds and text.lower() in ("true", "false"):
        return text.lower() == "true"
    return text


def written(answers: list[Answer], shape: str, form: str) -> bytes:
    """Return the body of an answer.

    Args:
        answers: In the order of the questions.
        shape: That of the questions; see `Asked`.
        form: The accepted format.

    Raises:
        Refused: 406, answers with rows of their own were to be CSV.
    """
    if form == CSV:
        return _csv(answers)
    if form == LINES or (shape in ("lines", "csv") and form != JSON) or shape == "lines":
        return "".join(f"{_encoded(answer)}\n" for answer in answers).encode()
    value: Any = answers[0] if shape == "one" else {"predictions": answers} if shape == "predictions" else answers
    return _encoded(value).encode()


def _csv(answers: list[Answer]) -> bytes:
    """Return one line an answer, without a header, as batch transforms join them."""
    names = list(dict.fromkeys(name for answer in answers for name in answer))
    if any(isinstance(value, dict) for answer in answers for value in answer.values()) or "rows" in names:
        raise Refused(
            406, f"an answer of this bundle has rows of its own, which no line of CSV holds; accept {JSON} or {LINES}."
        )
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    for answer in answers:
        writer.writerow([_text(answer.get(name)) for name in names])
    return buffer.getvalue().encode()


def _text(value: Any) -> Any:
    if isinstance(value, list):
        return "; ".join(map(str, value))
    return "" if value is None else str(value).lower() if isinstance(value, bool) else value
