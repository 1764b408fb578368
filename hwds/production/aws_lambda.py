"""The handler of an AWS Lambda function: `hwds.production.aws_lambda.handler`, by the bundle in `HWDS_BUNDLE`.

It takes events of API Gateway (version 1 and 2), SQS, Kinesis and plain questions. A record that is no question is answered in
the log and passed over; one that the service could not answer now ends a batch at the first failure, so that Kinesis begins
there again, SQS keeps it and all after it, and no record is answered out of order.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from hwds.core.errors import ConfigError, DataError, HwdsError
from hwds.production.runtime.alone import GraphModel, NoGraphAlone
from hwds.production.services.json_text import parsed_json

BUNDLE, DEAD = "HWDS_BUNDLE", "HWDS_DEAD_LETTERS"
"""Variables: the folder of the bundle, and a file for records that are no questions."""

Answer = dict[str, Any]
Deliver = Callable[[Answer], None]


class Service(Protocol):
    """Whatever answers questions."""

    def answer(self, questions: list[Any]) -> list[Answer]:
        """Return an answer to each question; see `services.base.Service`."""


@cache
def service() -> Service:
    """Return what answers by the bundle, opened once for each instance of the function.

    A graph that answers all is used alone: numpy and onnxruntime are imported in a tenth of the time of all of hwds.
    """
    try:
        return GraphModel(os.environ[BUNDLE])
    except NoGraphAlone:
        if find_spec("polars") is None:  # the packed runtime, and not all of hwds
            raise
    from hwds.production.services.opening import Bundle

    bundle = Bundle.open(os.environ[BUNDLE])
    if bundle.manifest.kind == "policy":
        raise ConfigError("a Lambda's disk does not outlive it, as the log of a policy must: serve it by `hwds serve --http`.")
    return bundle.service(
        Path(os.environ.get("HWDS_STORE", "/tmp/hwds/events.db")) if bundle.manifest.kind == "events" else None
    )


def handler(event: Any, context: Any = None) -> Any:
    """Answer an event.

    Args:
        event: Of API Gateway, SQS or Kinesis, or a question or a list of them.
        context: Lambda's; it is not read.
    """
    if isinstance(event, Mapping) and "Records" in event:
        return records(service(), event["Records"], _print)
    if isinstance(event, Mapping) and ("requestContext" in event or "httpMethod" in event):
        return gateway(service(), event)
    return _answers(service(), event)


def gateway(answers: Service, event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the response to a request of API Gateway, of version 1 or 2: 400 with the reason where it is no question."""
    body = event.get("body") or ""
    try:
        text = _decoded(body, "body") if event.get("isBase64Encoded") else body
        return _response(200, _answers(answers, parsed_json(text)))
    except DataError as error:
        return _response(400, {"error": str(error)})
    except HwdsError as error:
        return _response(503, {"error": str(error)})


def records(answers: Service, events: list[Mapping[str, Any]], deliver: Deliver) -> dict[str, Any]:
    """Answer the records of SQS or Kinesis in their order; return those from which Lambda must begin again.

    Args:
        answers: The service.
        events: Records.
        deliver: Takes each answer.
    """
    for place, record in enumerate(events):
        try:
            for answer in _listed(_answers(answers, parsed_json(_payload(record)))):
                deliver(answer)
        except DataError as error:  # tried again it would be the same: a dead letter
            _dead(record, str(error))
        except HwdsError:
            return {"batchItemFailures": [{"itemIdentifier": _name(left)} for left in events[place:]]}
    return {"batchItemFailures": []}


def _answers(answers: Service, asked: Any) -> Any:
    if isinstance(asked, list):
        return answers.answer(asked)
    if not isinstance(asked, Mapping):
        raise DataError(f"event: must be a question or a list of them, got {type(asked).__name__}.")
    return answers.answer([asked])[0]


def _listed(said: Any) -> list[Answer]:
    return said if isinstance(said, list) else [said]


def _payload(record: Mapping[str, Any]) -> str:
    if "kinesis" in record:
        return _decoded(record["kinesis"]["data"], "record")
    if "body" not in record:
        raise DataError("record: has neither 'kinesis' nor 'body'.")
    return str(record["body"])


def _decoded(text: str, what: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError as error:
        raise DataError(f"{what}: is no text in base64 ({error}).") from error


def _name(record: Mapping[str, Any]) -> str:
    return str(record["kinesis"]["sequenceNumber"] if "kinesis" in record else record["messageId"])


def _response(status: int, content: Any) -> dict[str, Any]:
    headers = {"content-type": "application/json"}
    body = json.dumps(content, ensure_ascii=False)
    return {"statusCode": status, "headers": headers, "body": body, "isBase64Encoded": False}


def _dead(record: Mapping[str, Any], why: str) -> None:
    line = json.dumps({"why": why, "record": record}, default=str)
    if path := os.environ.get(DEAD):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    else:
        _print({"dead_letter": json.loads(line)})


def _print(answer: Answer) -> None:
    import sys

    sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
