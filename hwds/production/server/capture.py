"""Capture of requests and answers for a monitor, in the shape of SageMaker's data capture: a file an hour and worker."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from hwds.production.services.base import ID, Answer, Question

HIDDEN = "***"


class Capture:
    """Writes a sample of questions with their answers.

    Args:
        folder: Where to.
        sample: The share of requests that are kept; which ones follows from the id of their first question, or else from what
            it says.
        redact: Fields whose values are not written; nor are reasons then, which may say them in words.
        model: The bundle's digest.
    """

    def __init__(self, folder: Path, sample: float, redact: Sequence[str], model: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._sample, self._redact, self._model = folder, sample, frozenset(redact), model
        self._file: IO[str] | None = None
        self._hour = ""

    def keep(self, questions: Sequence[Question], answers: Sequence[Answer]) -> bool:
        """Write a request where it is in the sample; return whether it is."""
        if not questions or not self._drawn(questions[0]):
            return False
        now = datetime.now(UTC)
        shown = [self._redacted(question) for question in questions]
        line = {
            "captureData": {
                "endpointInput": _part("INPUT", shown),
                "endpointOutput": _part("OUTPUT", [self._silent(answer) for answer in answers]),
            },
            "eventMetadata": {
                "eventId": str(uuid4()),
                "inferenceTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "bundle": self._model,
            },
            "eventVersion": "0",
        }
        file = self._open(now.strftime("%Y-%m-%d-%H"))
        file.write(json.dumps(line, ensure_ascii=False) + "\n")
        file.flush()
        return True

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

    def _drawn(self, question: Question) -> bool:
        id = question.get(ID, question.get("of"))
        named = json.dumps(question, sort_keys=True, default=str) if id is None else str(id)
        number = int.from_bytes(hashlib.sha256(named.encode("utf-8", "replace")).digest()[:8], "big")
        return number < self._sample * 2**64

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
