"""A bundle behind Ray Serve: `serve run deploy/ray_serve.yaml` (pip install 'ray[serve]'
'hwds[serve]').

Each replica is one worker of `hwds serve --http` with all of its routes. Ray starts more of them,
on other machines too, and replaces those that die. The bundle lies at HWDS_BUNDLE on each machine,
and HWDS_SERVE_TOKENS has the tokens that may ask.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import MutableMapping
from typing import Any

from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from hwds.serve.server.app import application
from hwds.serve.server.core import Core
from hwds.serve.server.settings import TOKENS, ServerSettings, tokens_of


@serve.deployment
class Answers:
    """One replica.

    Args:
        folder: The bundle.
    """

    def __init__(self, folder: str) -> None:
        if not folder:
            raise ValueError("HWDS_BUNDLE must name the folder of a bundle")
        tokens = tokens_of(os.environ.get(TOKENS, ""))
        self._core = Core(
            ServerSettings(folder, tokens=tokens, scrape=tempfile.mkdtemp(prefix="hwds-replica-"))
        )
        self._application = application(self._core)

    async def __call__(self, request: Request) -> Response:
        """Answer a request by the routes of the server."""
        answer = Response()
        parts = []

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                answer.status_code, answer.raw_headers = message["status"], list(message["headers"])
            else:
                parts.append(message.get("body", b""))

        await self._application(request.scope, request.receive, send)
        answer.body = b"".join(parts)
        return answer

    def __del__(self) -> None:
        self._core.close()


app = Answers.bind(os.environ.get("HWDS_BUNDLE", ""))
