"""Bodies of requests and answers: JSON, JSON Lines, CSV, Arrow, and KServe's tensors."""

from __future__ import annotations

import csv
import io
import json
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import polars as pl

from hwds.core.errors import DataError
from hwds.core.questions import ID, Fields, Json, parsed_json
from hwds.evaluation.serving import Answer, Question

# Refused: an HTTP answer that says what the client did wrong, or why the server cannot answer
# now.


class Refused(Exception):
    """A request that gets no answer.

    Attributes:
        status: The HTTP status: 4xx for what the client did, 503 where the server is not able now.
        reason: The reason, in words.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


REFUSAL_HEADERS: dict[int, list[tuple[bytes, bytes]]] = {
    503: [(b"retry-after", b"1")],
    401: [(b"www-authenticate", b"Bearer")],
}
"""Headers of refusals."""


TIMED_BODY: Json = {"hwds.timed_body": {}}
"""The extension of a server that itself ends a request whose body is late."""


def refusal_body(reason: str) -> bytes:
    """Return the JSON that says why there is no answer.

    What cannot be written as text is escaped.
    """
    shown = reason.encode("utf-8", "backslashreplace").decode()[:2000]
    return json.dumps({"error": shown}, ensure_ascii=False).encode()


# Arrow streams of strangers: how many rows they hold is read off before they are, for a few
# bytes may stand for billions.

MOST_TEXTS = 1_000_000
"""Numbered texts at most."""

TIMES = 8
"""Times the size of the body that the texts of all rows may have: rows may share one."""

UNREADABLE = (
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
    OSError,
    ValueError,
    TypeError,
    struct.error,
)
"""What polars and the reading of numbers raise by bytes that are no table, beside pyarrow's own."""


def arrow_rows(body: bytes, most: int) -> list[Json]:
    """Return the rows of a stream.

    Args:
        body: The bytes.
        most: Rows at most.

    Raises:
        Refused: 413, it has more; 415, it is compressed.
        DataError: It is no Arrow stream.
    """
    from pyarrow import ArrowException
    from pyarrow.ipc import open_stream

    try:
        for kind, count, compressed in _batches(body):
            if compressed:
                raise Refused(415, "compressed Arrow is not read here; send it as it is.")
            _refuse_rows(count, most if kind == "record batch" else MOST_TEXTS)
        table = open_stream(body).read_all()
        _refuse_rows(table.num_rows, most)
        table.validate(full=True)  # polars would end the process where an offset points nowhere
        frame = pl.DataFrame(table)
        if _text_bytes(frame) > TIMES * len(body):
            raise Refused(413, "texts that rows share are too large.")
        return list(frame.iter_rows(named=True))
    except (ArrowException, *UNREADABLE) as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"body: is no Arrow stream ({reason}).") from error


def _refuse_rows(count: int, most: int) -> None:
    if count > most:
        raise Refused(413, f"{count:,} rows in one request; {most:,} are allowed.")


def _text_bytes(frame: pl.DataFrame) -> int:
    """Return the bytes of all texts of a table, each as often as it stands there."""
    sizes: list[Any] = [
        frame[name].str.len_bytes().sum() for name in frame.select(pl.selectors.string()).columns
    ]
    sizes += [
        frame[name].cat.len_bytes().sum()
        for name in frame.select(pl.selectors.categorical()).columns
    ]
    return sum(int(size or 0) for size in sizes)


def _batches(body: bytes) -> Iterator[tuple[str, int, bool]]:
    """Yield the kind of each message with values, how many rows or texts it has, and whether it is
    compressed: what pyarrow checks and does not show of the tables in Arrow's Message.fbs.
    """
    from flatbuffers.number_types import Int64Flags
    from flatbuffers.table import Table
    from pyarrow.ipc import MessageReader

    def field(table: Any, number: int) -> Any:
        return Table(table.Bytes, table.Indirect(table.Pos + table.Offset(4 + 2 * number)))

    for message in MessageReader.open_stream(body):
        if message.type in ("record batch", "dictionary"):
            facts = Table(message.metadata.to_pybytes(), 0)
            facts.Pos = facts.Indirect(0)
            batch = field(facts, 2)
            batch = field(batch, 1) if message.type == "dictionary" else batch
            yield message.type, batch.GetSlot(4, 0, Int64Flags), batch.Offset(10) > 0


# Formats of bodies: JSON, JSON Lines, CSV and Arrow in, the same but Arrow out; as many answers
# as questions.

JSON, LINES, CSV, ARROW = (
    "application/json",
    "application/jsonlines",
    "text/csv",
    "application/vnd.apache.arrow.stream",
)
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

PARAMETERS = "params"
"""A field of MLflow's that may stand beside them, and is not read."""


_encoded = json.JSONEncoder(ensure_ascii=False).encode  # `json.dumps` makes an encoder each time


class BodyQuestions(NamedTuple):
    """The questions of a body.

    Attributes:
        questions: The questions in their order.
        shape: The shape of the answer: `one` object, a `list`, `lines`, `csv`, or `predictions` in
            MLflow's envelope.
    """

    questions: list[Question]
    shape: str


def media_type(header: str) -> tuple[str, dict[str, str]]:
    """Return the type of a header and its parameters, in lower case."""
    name, *rest = header.split(";")
    pairs = (part.partition("=") for part in rest)
    return name.strip().lower(), {
        key.strip().lower(): value.strip().strip('"').lower() for key, _, value in pairs
    }


@lru_cache(256)
def body_format(header: str) -> tuple[str, dict[str, str]]:
    """Return the format of a content type; JSON where none is named.

    Raises:
        Refused: 415, it is none that is read here, or text in another encoding than UTF-8.
    """
    name, parameters = media_type(header or JSON)
    if name not in NAMES:
        raise Refused(
            415,
            f"content type '{name[:80]}' is not read here; send {JSON}, {LINES}, {CSV} or {ARROW}.",
        )
    if parameters.get("charset", "utf-8") not in ("utf-8", "utf8", "us-ascii"):
        raise Refused(415, "text must be UTF-8.")
    return NAMES[name], parameters


@lru_cache(256)
def answer_format(header: str, question_format: str) -> str:
    """Return the format of an answer: what is accepted, or that of the question.

    Raises:
        Refused: 406, nothing that is accepted is written here.
    """
    same = JSON if question_format == ARROW else question_format
    if not header.strip():
        return same
    for part in header.split(","):
        name, _ = media_type(part)
        if name in ("*/*", "application/*", "text/*"):
            return same
        if NAMES.get(name, ARROW) != ARROW:
            return NAMES[name]
    raise Refused(
        406, f"nothing of '{header[:80]}' is written here; accept {JSON}, {LINES} or {CSV}."
    )


def body_questions(
    body: bytes, kind: str, parameters: Mapping[str, str], columns: Fields, most: int
) -> BodyQuestions:
    """Return the questions of a body.

    Args:
        body: The bytes.
        kind: The format.
        parameters: The parameters of the content type.
        columns: The JSON Schema of each field of a question.
        most: Questions at most, of a format in which few bytes may stand for many.

    Raises:
        Refused: 413, they are more there.
        DataError: They are not of this format.
    """
    if kind == ARROW:
        return BodyQuestions(list(arrow_rows(body, most)), "list")
    text = body_text(body)
    if kind == CSV:
        return BodyQuestions(_read_csv(text, parameters.get("header", ""), columns), "csv")
    return BodyQuestions(_read_lines(text), "lines") if kind == LINES else _read_json(text)


def body_text(body: bytes) -> str:
    """Return the text of a body, without a mark of its byte order.

    Raises:
        DataError: It is no UTF-8.
    """
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"body: is no UTF-8 ({error.reason} at byte {error.start}).") from error


def _read_json(text: str) -> BodyQuestions:
    """Return the questions of a JSON body.

    Several lines of objects under one content type are lines, as batches send them.
    """
    try:
        value = parsed_json(text)
    except DataError:
        if "\n" not in text.strip():
            raise
        return BodyQuestions(_read_lines(text), "lines")
    if isinstance(value, list):
        return BodyQuestions(value, "list")
    if not isinstance(value, dict):
        raise DataError(
            f"body: must be a JSON object or a list of them, got {type(value).__name__}."
        )
    named = [name for name in MLFLOW if name in value]
    if not named or set(value) - {*named, PARAMETERS}:
        return BodyQuestions([value], "one")
    return BodyQuestions(_read_mlflow(named, value), "predictions")


def _read_mlflow(named: Sequence[str], value: Fields) -> list[Question]:
    if len(named) > 1:
        raise DataError(f"body: must have one of {', '.join(MLFLOW)}, got {', '.join(named)}.")
    rows = value[named[0]]
    if named[0] == "dataframe_split":
        if (
            not isinstance(rows, dict)
            or not isinstance(rows.get("columns"), list)
            or not isinstance(rows.get("data"), list)
        ):
            raise DataError("body: 'dataframe_split' must have lists 'columns' and 'data'.")
        columns = [str(name) for name in rows["columns"]]
        return [_pair(columns, row, place) for place, row in enumerate(rows["data"])]
    if isinstance(rows, dict):
        return _read_columns(rows)
    if not isinstance(rows, list):
        raise DataError(f"body: '{named[0]}' must be a list of objects, got {type(rows).__name__}.")
    return list(rows)


def _read_columns(rows: Fields) -> list[Question]:
    lengths = {len(column) if isinstance(column, list) else -1 for column in rows.values()}
    if len(lengths) > 1 or lengths == {-1}:
        raise DataError("body: the columns of 'inputs' must be lists of one length.")
    return [dict(zip(rows, values, strict=True)) for values in zip(*rows.values(), strict=True)]


def _pair(columns: Sequence[str], row: Any, place: int) -> Question:
    if not isinstance(row, list) or len(row) != len(columns):
        raise DataError(f"question {place}: must have {len(columns)} values, one for each column.")
    return dict(zip(columns, row, strict=True))


def _read_lines(text: str) -> list[Question]:
    questions = []
    for place, line in enumerate(line for line in text.split("\n") if line.strip()):
        try:
            questions.append(parsed_json(line))
        except DataError as error:
            raise DataError(f"line {place + 1}: {str(error).removeprefix('body: ')}") from error
    return questions


def _read_csv(text: str, header: str, columns: Fields) -> list[Question]:
    """Return the rows of a CSV: by the names of its first row, or else in the order of the
    schema.
    """
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error as error:
        raise DataError(f"body: is no CSV ({error}).") from error
    names = list(columns)
    if (
        rows
        and header != "absent"
        and (header == "present" or set(rows[0]) <= {*columns, "of", "label", "at"})
    ):
        names = rows.pop(0)
    elif rows and len(rows[0]) < len(names):
        names = names[1:] if len(rows[0]) == len(names) - 1 else names  # without ids
    if len(set(names)) < len(names):
        raise DataError("body: a column of the CSV stands twice.")
    questions: list[Question] = []
    for place, row in enumerate(rows):
        if len(row) != len(names):
            raise DataError(
                f"row {place + 1}: must have {len(names)} values ({', '.join(names[:6])} ...), "
                f"got {len(row)}."
            )
        cells = zip(names, row, strict=True)
        questions.append(
            {
                name: cell_of(name, text, columns.get(name, {}), place)
                for name, text in cells
                if text != ""
            }
        )
    return questions


def cell_of(name: str, text: str, schema: Fields, place: int) -> Any:
    """Return the value of a cell of a CSV, by the JSON Schema of its field.

    Args:
        name: The field.
        text: The cell.
        schema: The JSON Schema of the field.
        place: The number of the row, from 0, for a refusal.

    Raises:
        DataError: It is no number where it must be.
    """
    kinds = schema.get("type", ["string"])
    try:
        if not ("string" in kinds or (text.isascii() and "_" not in text)):
            raise ValueError("Python reads more than JSON: 1_0, and the digits of other scripts")
        if "integer" in kinds and "string" not in kinds:
            return int(text)
        if "number" in kinds:
            return float(text)
    except ValueError as error:
        raise DataError(
            f"row {place + 1}: '{name}' must be a number, got {text[:40]!r}."
        ) from error
    if "boolean" in kinds and text.lower() in ("true", "false"):
        return text.lower() == "true"
    return text


def answer_body(answers: list[Answer], shape: str, form: str) -> bytes:
    """Return the body of an answer.

    Args:
        answers: The answers in the order of the questions.
        shape: The shape of the questions; see `BodyQuestions`.
        form: The accepted format.

    Raises:
        Refused: 406, answers with rows of their own were to be CSV.
    """
    if form == CSV:
        return _write_csv(answers)
    if form == LINES or shape == "lines":
        return "".join(f"{_encoded(answer)}\n" for answer in answers).encode()
    if shape == "one":
        return _encoded(answers[0]).encode()
    return _encoded({shape: answers} if shape == "predictions" else answers).encode()


def _write_csv(answers: list[Answer]) -> bytes:
    """Return one line an answer, without a header, as batch transforms join them."""
    names = list(dict.fromkeys(name for answer in answers for name in answer))
    if (
        any(isinstance(value, dict) for answer in answers for value in answer.values())
        or "rows" in names
    ):
        raise Refused(
            406,
            f"an answer of this bundle has rows of its own, which no line of CSV holds; accept "
            f"{JSON} or {LINES}.",
        )
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    for answer in answers:
        writer.writerow([_cell_text(answer.get(name)) for name in names])
    return buffer.getvalue().encode()


def _cell_text(value: Any) -> Any:
    if isinstance(value, list):
        return "; ".join(map(str, value))
    return "" if value is None else str(value).lower() if isinstance(value, bool) else value


# KServe's open inference protocol, version 2, as a thin face over the questions of a bundle.

QUESTION_TENSOR, ANSWER_TENSOR = "question", "answer"
"""The one tensor of a bundle whose questions are histories, in and out: JSON in texts."""

DATATYPES = (
    "BOOL",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "FP16",
    "FP32",
    "FP64",
    "BYTES",
)
"""The types of tensors in the protocol; values are read by the columns of the bundle, whatever type
is named.
"""

MOST_DIMENSIONS = 32
"""Dimensions of a tensor at most: the product of a million numbers takes minutes."""

TENSOR_DATATYPES = {"number": "FP64", "integer": "INT64", "boolean": "BOOL", "string": "BYTES"}


def kserve_metadata(name: str, version: str, schema: Fields) -> Json:
    """Return the metadata of the model."""
    about = {"name": name, "versions": [version], "platform": "hwds"}
    if not is_flat(schema):
        tensors = [
            {"name": each, "datatype": "BYTES", "shape": [-1]}
            for each in (QUESTION_TENSOR, ANSWER_TENSOR)
        ]
        return about | {"inputs": tensors[:1], "outputs": tensors[1:]}
    inputs = [
        {"name": field, "datatype": tensor_datatype(kind), "shape": [-1]}
        for field, kind in schema["properties"].items()
    ]
    outputs = [
        {"name": field, "datatype": "FP64", "shape": [-1]}
        for field in ("score", "probability", "p_value")
    ]
    return about | {
        "inputs": inputs,
        "outputs": [{"name": ID, "datatype": "BYTES", "shape": [-1]}, *outputs],
    }


def tensor_datatype(schema: Fields) -> str:
    """Return the datatype of a field."""
    kinds = schema.get("type", ["string"])
    types = (TENSOR_DATATYPES.get(kind) for kind in ([kinds] if isinstance(kinds, str) else kinds))
    return next(filter(None, types), "BYTES")


def is_flat(schema: Fields) -> bool:
    """Return whether questions hold plain values alone."""
    return not any(
        field.get("type") == "array" or "contentEncoding" in field
        for field in schema["properties"].values()
    )


def tensor_questions(request: Any, schema: Fields) -> list[Question]:
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
        if (
            not isinstance(tensor, dict)
            or not isinstance(tensor.get("name"), str)
            or not isinstance(tensor.get("data"), list)
        ):
            raise DataError(f"inputs[{place}]: must have a text 'name' and a list 'data'.")
        _check_tensor(tensor, place)
        columns[tensor["name"]] = tensor["data"]
    lengths = {name: len(data) for name, data in columns.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"inputs: must have one length, got {lengths}.")
    if set(columns) == {QUESTION_TENSOR} and QUESTION_TENSOR not in schema["properties"]:
        return [
            parsed_json(text) if isinstance(text, str) else text
            for text in columns[QUESTION_TENSOR]
        ]
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def _check_tensor(tensor: Fields, place: int) -> None:
    """Refuse a tensor whose type is none, or whose shape is not that of its values.

    Either may be left out.

    Raises:
        DataError: It is wrong.
    """
    if tensor.get("datatype", "FP64") not in DATATYPES:
        raise DataError(f"inputs[{place}]: 'datatype' must be one of {', '.join(DATATYPES)}.")
    shape = tensor.get("shape", [len(tensor["data"])])
    short = isinstance(shape, list) and len(shape) <= MOST_DIMENSIONS
    whole = short and all(isinstance(each, int) and not isinstance(each, bool) for each in shape)
    if not whole or math.prod(shape) != len(tensor["data"]):
        raise DataError(
            f"inputs[{place}]: 'shape' must be whole numbers whose product is "
            f"{len(tensor['data'])}."
        )


def kserve_response(
    name: str, version: str, id: Any, answers: Sequence[Answer], *, flat: bool
) -> Json:
    """Return the response to a request with these answers."""
    about = {"model_name": name, "model_version": version} | (
        {"id": id} if isinstance(id, str) else {}
    )
    if not flat:
        data = [json.dumps(answer, ensure_ascii=False) for answer in answers]
        return about | {
            "outputs": [
                {"name": ANSWER_TENSOR, "datatype": "BYTES", "shape": [len(data)], "data": data}
            ]
        }
    names = list(dict.fromkeys(field for answer in answers for field in answer))
    return about | {
        "outputs": [_tensor(field, [answer.get(field) for answer in answers]) for field in names]
    }


def _tensor(name: str, values: list[Any]) -> Json:
    present = [value for value in values if value is not None]
    if present and all(isinstance(value, bool) for value in present):
        kind = "BOOL"
    elif present and all(isinstance(value, float) for value in present):
        kind = "FP64"
    else:
        kind = "BYTES"
        values = [
            value if value is None or isinstance(value, str) else json.dumps(value)
            for value in values
        ]
    return {"name": name, "datatype": kind, "shape": [len(values)], "data": values}
