"""A stand-in for the W&B server: what `wandb sync` asks of it, and what it would keep: lines by
their offsets.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

KEY = "0123456789abcdef" * 2 + "01234567"
"""Forty characters, as wandb wants them."""


class StandIn:
    """Listens on the loopback address until it is closed.

    Attributes:
        history: The lines of each run, by their offset.
        runs: What was said of each run.
        artifacts: The artifacts that were made whole.
        uploads: How often each file came.
        requests: How many there were.
        on_stream: Called when lines of a run come.
    """

    def __init__(self) -> None:
        self.history: dict[str, dict[int, str]] = {}
        self.runs: dict[str, dict] = {}
        self.artifacts: list[dict] = []
        self.uploads: dict[str, int] = {}
        self.requests = 0
        self.on_stream: Callable[[], None] = lambda: None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                self.answer({})

            def do_PUT(self):
                outer.uploads[self.path] = outer.uploads.get(self.path, 0) + 1
                self.body()
                self.answer({})

            def do_POST(self):
                body = self.body()
                if self.path == "/graphql":
                    asked = json.loads(body)
                    name = re.search(r"(?:query|mutation)\s+(\w+)", asked["query"])[1]
                    self.answer({"data": outer.graphql(name, asked.get("variables") or {})})
                elif self.path.endswith("/file_stream"):
                    outer.stream(self.path.split("/")[-2], json.loads(body))
                    self.answer({"exitcode": None, "limits": {}})
                else:
                    self.answer({})

            def body(self):
                outer.requests += 1
                data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                return (
                    gzip.decompress(data)
                    if self.headers.get("Content-Encoding") == "gzip"
                    else data
                )

            def answer(self, told):
                data = json.dumps(told).encode()
                try:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:  # who asked was killed
                    self.close_connection = True

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def stream(self, run: str, told: dict) -> None:
        self.on_stream()
        lines = told.get("files", {}).get("wandb-history.jsonl")
        if lines:
            kept = self.history.setdefault(run, {})
            kept |= dict(enumerate(lines["content"], lines["offset"]))

    def steps(self, run: str) -> list[int]:
        """The steps that the server has, in the order of the lines."""
        return [json.loads(line)["_step"] for _, line in sorted(self.history[run].items())]

    def graphql(self, name: str, said: dict) -> dict:
        if name == "UpsertBucket":
            known = self.runs.setdefault(said["name"], {})
            known |= {key: value for key, value in said.items() if value is not None}
            owner = {"id": "1", "name": said["project"], "entity": {"id": "1", "name": "me"}}
            plain = {
                "displayName": "",
                "description": "",
                "config": "{}",
                "sweepName": None,
                "historyLineCount": 0,
            }
            return {
                "upsertBucket": {
                    "bucket": {"id": "1", "name": said["name"], "project": owner, **plain},
                    "inserted": True,
                }
            }
        if name == "CreateArtifact":
            self.artifacts.append(said["input"])
            sequence = {"id": "1", "latestArtifact": None}
            return {
                "createArtifact": {
                    "artifact": {"id": "1", "state": "PENDING", "artifactSequence": sequence}
                }
            }
        if name == "CreateArtifactManifest":
            file = {"id": "1", "uploadUrl": f"{self.url}/manifest", "uploadHeaders": []}
            return {"createArtifactManifest": {"artifactManifest": {"id": "1", "file": file}}}
        if name == "CreateArtifactFiles":
            nodes = [
                {"node": self._upload(file["name"])} for file in said["input"]["artifactFiles"]
            ]
            return {"createArtifactFiles": {"files": {"edges": nodes}}}
        if name == "CommitArtifact":
            return {"commitArtifact": {"artifact": {"id": "1", "digest": ""}}}
        if name == "CreateRunFiles":
            files = [{"name": file, "uploadUrl": f"{self.url}/{file}"} for file in said["files"]]
            return {"createRunFiles": {"runID": "1", "uploadHeaders": [], "files": files}}
        return {}

    def _upload(self, name: str) -> dict:
        url = {
            "uploadUrl": f"{self.url}/{name}",
            "uploadHeaders": [],
            "storagePath": None,
            "uploadMultipartUrls": None,
        }
        return url | {"artifact": {"id": "1"}}
