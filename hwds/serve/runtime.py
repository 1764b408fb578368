"""A bundle's graph answered without the rest of hwds: lines of JSON, or AWS Lambda's events."""

from __future__ import annotations

import base64
import json
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from hwds.core.errors import ConfigError, DataError, HwdsError, nearest
from hwds.core.onnx_graph import GraphScorer
from hwds.core.questions import ID, Fields, Json, id_of, parsed_json, tier_fields
from hwds.serve.bundle.manifest import (
    CONFORMAL,
    DECISION,
    GRAPH,
    SCHEMA,
    read_bundle,
    stored_rule,
    trusted_keys,
)

# A bundle's graph answered by numpy and onnxruntime, its signature checked by cryptography: the
# answers of `RowService`, in a file of some kilobytes.
# `python -m hwds.serve.pack hwds-runtime.pyz` makes the file. `python hwds-runtime.pyz FOLDER
# TRUSTED` answers lines of JSON; where the file is on Python's path, `from hwds.serve.runtime
# import GraphModel` imports the model.


class NoGraphAlone(DataError):
    """A bundle that a graph alone does not answer."""


class GraphModel:
    """The model of a bundle of rows that stand alone, by its graph.

    Args:
        folder: The bundle.
        trust: A file or a folder of trusted public keys; None for the default place.

    Raises:
        DataError: The bundle was changed, or is of a signer who is not trusted.
        NoGraphAlone: It has no graph that answers all.
    """

    def __init__(self, folder: Path | str, trust: str | None = None) -> None:
        path = Path(folder).resolve()
        self.manifest, root = read_bundle(path, trusted_keys(trust))
        columns = self.manifest.graph
        if self.manifest.kind != "rows" or "numbers" not in columns:
            why = columns.get("why", f"it answers {self.manifest.kind}")
            raise NoGraphAlone(
                f"{path}: has no graph for rows that stand alone ({why}); `hwds serve` answers by "
                f"it."
            )
        if json.loads((root / CONFORMAL).read_bytes())["normals"]:
            raise NoGraphAlone(
                f"{path}: ranks rows among held-out ones, which no graph does; `hwds serve` "
                f"answers by it."
            )
        self._fields: Json = json.loads((root / SCHEMA).read_bytes())["properties"]
        graph, decision = (root / GRAPH).read_bytes(), root / DECISION
        self._graph = GraphScorer(graph, columns["numbers"], columns["texts"])
        self._rule = stored_rule(json.loads(decision.read_bytes()) if decision.is_file() else None)

    def answer(self, questions: Sequence[Fields]) -> list[Json]:
        """Return an answer to each question, in their order; all or none.

        Raises:
            DataError: One is no question, with its id.
        """
        ids = [id_of(question, place) for place, question in enumerate(questions)]
        rows = [self._row(id, question) for id, question in zip(ids, questions, strict=True)]
        if not rows:
            return []
        scored = self._graph.score(rows)
        score, chance = scored["score"].tolist(), scored.get("probability")
        chances = [None] * len(rows) if chance is None else chance.tolist()
        answers: list[Json] = [
            {ID: id, "score": score[place], "probability": chances[place], "p_value": None}
            for place, id in enumerate(ids)
        ]
        if self._rule is not None:
            stakes = [row.get(self._rule.amount) for row in rows]
            for answer, tier in zip(answers, self._rule.tiers(ids, chance, stakes), strict=True):
                answer.update(tier_fields(tier))
        return answers

    def _row(self, id: str, question: Fields) -> Json:
        row = {}
        for name, value in question.items():
            if name not in self._fields:
                raise DataError(f"event '{id}': no column '{name}'{nearest(name, self._fields)}")
            if name != ID and value is not None:
                row[name] = _check_value(id, name, value, self._fields[name])
        return row


def _check_value(id: str, name: str, value: Any, schema: Fields) -> Any:
    """Return a value of a field, by the JSON Schema of this.

    Raises:
        DataError: It is none.
    """
    if "enum" in schema:
        if value not in schema["enum"]:
            raise DataError(
                f"event '{id}': '{name}' must be one of "
                f"{', '.join(map(str, schema['enum'][:8]))}, got {value!r:.80}."
            )
        return value
    kind, number = schema["type"][0], _is_number(value)
    fits = {"boolean": isinstance(value, bool), "string": isinstance(value, str), "number": number}
    if not fits.get(kind, number and value == int(value)):
        wanted = {"boolean": "true or false", "string": "a text", "number": "a finite number"}.get(
            kind, "a whole number"
        )
        raise DataError(f"event '{id}': '{name}' must be {wanted}, got {value!r:.80}.")
    if value < schema.get("minimum", value):
        raise DataError(f"event '{id}': '{name}' must be >= {schema['minimum']}, got {value}.")
    if value > schema.get("maximum", value):
        raise DataError(
            f"event '{id}': '{name}' must be <= {schema['maximum']}, got {value!r:.80}."
        )
    return float(value) if kind == "number" else value


def _is_number(value: Any) -> bool:
    """Return whether a value is a number that a double can hold."""
    try:
        return (
            isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        )
    except OverflowError:
        return False


def main(words: Sequence[str]) -> int:
    """Answer the lines of the standard input by a bundle.

    A line that is no question is answered with the reason.
    """
    if not 1 <= len(words) <= 2:
        sys.stderr.write("usage: hwds-runtime.pyz FOLDER [TRUSTED]\n")
        return 2
    try:
        model = GraphModel(*words)
    except HwdsError as error:
        sys.stderr.write(f"hwds-runtime: {error}\n")
        return error.exit_code
    for line in sys.stdin.buffer:
        try:
            answer = model.answer([parsed_json(line.decode())])[0]
        except (HwdsError, UnicodeDecodeError) as error:
            answer = {"error": str(error)}
        sys.stdout.buffer.write(
            json.dumps(answer, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        )
        sys.stdout.buffer.flush()
    return 0


# The handler of an AWS Lambda function: `hwds.serve.runtime.handler`, by the bundle in
# `HWDS_BUNDLE`.
# It takes events of API Gateway (version 1 and 2), SQS, Kinesis and plain questions. A record
# that is no question is answered in the log and passed over; one that the service could not
# answer now ends a batch at the first failure, so that Kinesis begins there again, SQS keeps it
# and all after it, and no record is answered out of order.

BUNDLE, DEAD_LETTERS = "HWDS_BUNDLE", "HWDS_DEAD_LETTERS"
"""Variables: the folder of the bundle, and a file for records that are no questions."""

LambdaAnswer = Json
Deliver = Callable[[LambdaAnswer], None]


class LambdaService(Protocol):
    """Whatever answers questions."""

    def answer(self, questions: list[Any]) -> list[LambdaAnswer]:
        """Return an answer to each question; see `hwds.evaluation.serving.Service`."""


@cache
def service() -> LambdaService:
    """Return what answers by the bundle, opened once for each instance of the function.

    A graph that answers all is used alone: numpy and onnxruntime are imported in a tenth of the
    time of all of hwds.
    """
    try:
        return GraphModel(os.environ[BUNDLE])
    except NoGraphAlone:
        if find_spec("polars") is None:  # the packed runtime, and not all of hwds
            raise
    from hwds.serve.services.opening import Bundle

    bundle = Bundle.open(os.environ[BUNDLE])
    if bundle.manifest.kind == "policy":
        raise ConfigError(
            "a Lambda's disk does not outlive it, as the log of a policy must: serve it by `hwds "
            "serve --http`."
        )
    return bundle.service(
        Path(os.environ.get("HWDS_STORE", "/tmp/hwds/events.db"))
        if bundle.manifest.kind == "events"
        else None
    )


def handler(event: Any, context: Any = None) -> Any:
    """Answer an event.

    Args:
        event: An event of API Gateway, SQS or Kinesis, or a question, or a list of questions.
        context: Lambda's; it is not read.
    """
    if isinstance(event, Mapping) and "Records" in event:
        return answer_records(service(), event["Records"], _print)
    if isinstance(event, Mapping) and ("requestContext" in event or "httpMethod" in event):
        return answer_gateway(service(), event)
    return _answer_event(service(), event)


def answer_gateway(answers: LambdaService, event: Fields) -> Json:
    """Return the response to a request of API Gateway, of version 1 or 2: 400 with the reason where
    it is no question.
    """
    body = event.get("body") or ""
    try:
        text = _decode_base64(body, "body") if event.get("isBase64Encoded") else body
        return _response(200, _answer_event(answers, parsed_json(text)))
    except DataError as error:
        return _response(400, {"error": str(error)})
    except HwdsError as error:
        return _response(503, {"error": str(error)})


def answer_records(answers: LambdaService, events: list[Fields], deliver: Deliver) -> Json:
    """Answer the records of SQS or Kinesis in their order.

    Return those from which Lambda must begin again.

    Args:
        answers: The service.
        events: Records.
        deliver: A function that takes each answer.
    """
    for place, record in enumerate(events):
        try:
            for answer in _as_list(_answer_event(answers, parsed_json(_payload(record)))):
                deliver(answer)
        except DataError as error:  # tried again it would be the same: a dead letter
            _keep_dead_letter(record, str(error))
        except HwdsError:
            return {
                "batchItemFailures": [
                    {"itemIdentifier": _record_name(left)} for left in events[place:]
                ]
            }
    return {"batchItemFailures": []}


def _answer_event(answers: LambdaService, event: Any) -> Any:
    if isinstance(event, list):
        return answers.answer(event)
    if not isinstance(event, Mapping):
        raise DataError(f"event: must be a question or a list of them, got {type(event).__name__}.")
    return answers.answer([event])[0]


def _as_list(answer: Any) -> list[LambdaAnswer]:
    return answer if isinstance(answer, list) else [answer]


def _payload(record: Fields) -> str:
    if "kinesis" in record:
        return _decode_base64(record["kinesis"]["data"], "record")
    if "body" not in record:
        raise DataError("record: has neither 'kinesis' nor 'body'.")
    return str(record["body"])


def _decode_base64(text: str, what: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError as error:
        raise DataError(f"{what}: is no text in base64 ({error}).") from error


def _record_name(record: Fields) -> str:
    return str(record["kinesis"]["sequenceNumber"] if "kinesis" in record else record["messageId"])


def _response(status: int, content: Any) -> Json:
    headers = {"content-type": "application/json"}
    body = json.dumps(content, ensure_ascii=False)
    return {"statusCode": status, "headers": headers, "body": body, "isBase64Encoded": False}


def _keep_dead_letter(record: Fields, why: str) -> None:
    line = json.dumps({"why": why, "record": record}, default=str)
    if path := os.environ.get(DEAD_LETTERS):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    else:
        _print({"dead_letter": json.loads(line)})


def _print(answer: LambdaAnswer) -> None:
    import sys

    sys.stdout.write(json.dumps(answer) + "\n")  # ASCII: no text in it writes to the log itself
