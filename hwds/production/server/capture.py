"""Capture of requests and answers for a monitor, in the shape of SageMaker's data capture: a file an hour and worker."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import IO, Any, NamedTuple
from uuid import uuid4

from hwds.production.server.draws import share_of
from hwds.production.server.traces import TRACEPARENT
from hwds.production.services.base import Answer, Question

HIDDEN = "***"


class Arm(NamedTuple):
    """An arm that has answered: its name, the digest of its bundle, and the id of the request."""

    name: str
    bundle: str
    request: str


class Capture:
    """Writes a sample of questions with their answers.

    Args:
        folder: Where to.
        sample: The share of requests that are kept; which ones follows from the id of their first question, or else from what
            it says.
        redact: Fields whose values are not written; nor are reasons then, which may say them in words.
    """

    def __init__(self, folder: Path, sample: float, redact: Sequence[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._sample, self._redact = folder, sample, frozenset(redact)
        self._lock = Lock()  # a shadow answers in a thread of its own
        self._file: IO[str] | None = None
        self._hour = ""

    def is_drawn(self, questions: Sequence[Question]) -> bool:
        """Return whether a request is in the sample."""
        return bool(questions) and share_of(questions[0]) < self._sample

    def keep(self, questions: Sequence[Question], answers: Sequence[Answer], arm: Arm) -> None:
        """Write the questions of a request that an arm has answered.

        Args:
            questions: Of the arm.
            answers: To them.
            arm: Its name, its bundle, and the id that the arms of one request share.
        """
        now = datetime.now(UTC)
        shown = [self._redacted(question) for question in questions]
        line = {
            "captureData": {
                "endpointInput": _part("INPUT", shown),
                "endpointOutput": _part("OUTPUT", [self._silent(answer) for answer in answers]),
            },
            "eventMetadata": {
                "eventId": str(uuid4()),
                "inferenceId": arm.request,
                "inferenceTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "arm": arm.name,
                "bundle": arm.bundle,
                "traceparent": TRACEPARENT.get(),
            },
            "eventVersion": "0",
        }
        with self._lock:
            file = self._open(now.strftime("%Y-%m-%d-%H"))
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self, hour: str) -> IO[str]:
        if self._file is None or hour != self._hour:
            self.close()
            self._hour = hour
            self._file = (self._folder / f"{hour}-{os.getpid()}.jsonl").open("a", encoding="utf-8")
        return self._file

    def _silent(self, answer: Answer) -> Any:
        """Return an answer without what a reason may say of a field that is not written."""
        return self._redacted(answer | {"reasons": HIDDEN} if self._redact and "reasons" in answer else answer)

    def _redacted(self, node: Any) -> Any:
        if isinstance(node, dict):
            return {name: HIDDEN if name in self._redact else self._redacted(value) for name, value in node.items()}
        return [self._redacted(item) for item in node] if isinstance(node, list) else node


def _part(mode: str, rows: Sequence[Any]) -> dict[str, Any]:
    data = "\n".join(json.dumps(row, ensure_ascii=False, default=str) for row in rows)
    return {"observedContentType": "application/jsonlines", "mode": mode, "data": data, "encoding": "JSON"}
