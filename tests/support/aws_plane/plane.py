"""AWS on this machine, at one address: the API is moto's, endpoints and batch transforms of
SageMaker truly answer.

`python -m tests.support.aws_plane.plane [PORT]` listens on 127.0.0.1 and prints what leads programs
there. Needs `pip install 'hwds[aws,serve]' 'moto[server]'`. Everything is forgotten when it ends;
of one that was killed the next one ends the servers and deletes the folder.
"""

from __future__ import annotations

import json
import logging
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from hwds.core.errors import ConfigError, HwdsError
from hwds.serve.deploy import Clients
from tests.support.aws_plane.endpoints import Endpoints, Json, RefusedCall, State, refusal_of
from tests.support.aws_plane.leftovers import own_folder
from tests.support.aws_plane.servers import Exchange, Headers, Servers, ask
from tests.support.aws_plane.transforms import Transforms

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

PORT = 5000

KEYS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "eu-west-1",
}
"""What boto3 wants, and moto does not look at."""

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

TARGET, API = "x-amz-target", "SageMaker."
"""The header that names the operation of a call, and how those of SageMaker begin."""

RUNTIME = re.compile(r"/endpoints/([^/?]+)/(invocations$)?")
"""The paths of SageMaker's runtime."""

REGION = re.compile(r"Credential=[^/]+/\d+/([^/]+)/")
"""Where the signature of a call names its region."""


class Plane:
    """Answers the calls of AWS' API.

    Args:
        moto: The port of moto's server on this machine.
        folder: Where models are unpacked.
    """

    def __init__(self, moto: int, folder: Path) -> None:
        self._moto, regions = moto, cache(self._clients)
        self.servers = Servers(regions, folder)
        self._endpoints, self._transforms = (
            Endpoints(regions, self.servers),
            Transforms(regions, self.servers),
        )
        self._played: dict[str, Callable[[str, Json, Exchange], Exchange]] = {
            "CreateEndpoint": self._created_endpoint,
            "DeleteEndpoint": self._deleted_endpoint,
            "DescribeEndpoint": self._described_endpoint,
            "CreateTransformJob": self._created_job,
            "DescribeTransformJob": self._described_job,
        }

    def _clients(self, region: str) -> Clients:
        import boto3

        session = boto3.session.Session("key", "secret", region_name=region)
        address = f"http://127.0.0.1:{self._moto}"
        return cache(lambda service: session.client(service, endpoint_url=address))

    def answer(self, method: str, path: str, headers: Headers, body: bytes) -> Exchange:
        """Return the answer to a call."""
        given = {name.lower(): text for name, text in headers}
        signed = REGION.search(given.get("authorization", ""))
        region = signed[1] if signed else "us-east-1"
        try:
            if method == "POST" and (asked := RUNTIME.match(path)):
                if not asked[2]:
                    raise RefusedCall(400, "ValidationError", "Only InvokeEndpoint is played here.")
                return self._endpoints.invoke((region, asked[1]), headers, body)
            if given.get(TARGET, "").startswith(API):
                return self._called(
                    given[TARGET].removeprefix(API), region, (method, path, headers, body)
                )
            return ask(self._moto, method, path, headers, body)
        except RefusedCall as error:
            return refusal_of(error)

    def _called(
        self, operation: str, region: str, call: tuple[str, str, Headers, bytes]
    ) -> Exchange:
        """Return the answer to a call of SageMaker's API."""
        arguments: Json = json.loads(call[3] or b"{}")
        if operation == "UpdateEndpoint":
            said = self._endpoints.updated((region, arguments["EndpointName"]), arguments)
            return Exchange(
                200, [("content-type", "application/x-amz-json-1.1")], json.dumps(said).encode()
            )
        with self._endpoints.asking:
            answer = ask(self._moto, *call)
        played = self._played.get(operation)
        return played(region, arguments, answer) if played and answer.status == 200 else answer

    def _created_endpoint(self, region: str, arguments: Json, answer: Exchange) -> Exchange:
        self._endpoints.created((region, arguments["EndpointName"]))
        return answer

    def _deleted_endpoint(self, region: str, arguments: Json, answer: Exchange) -> Exchange:
        self._endpoints.deleted((region, arguments["EndpointName"]))
        return answer

    def _described_endpoint(self, region: str, arguments: Json, answer: Exchange) -> Exchange:
        return _with_state(
            answer, "EndpointStatus", self._endpoints.state((region, arguments["EndpointName"]))
        )

    def _created_job(self, region: str, arguments: Json, answer: Exchange) -> Exchange:
        self._transforms.created(region, arguments)
        return answer

    def _described_job(self, region: str, arguments: Json, answer: Exchange) -> Exchange:
        return _with_state(
            answer,
            "TransformJobStatus",
            self._transforms.state((region, arguments["TransformJobName"])),
        )


def _with_state(answer: Exchange, field: str, state: State | None) -> Exchange:
    """Return what moto says of an endpoint or a job with what truly became of it."""
    if state is None:
        return answer
    said = {**json.loads(answer.body), field: state.status}
    if state.reason:
        said["FailureReason"] = state.reason[:1024]
    headers = [each for each in answer.headers if each[0].lower() != "content-length"]
    return Exchange(answer.status, headers, json.dumps(said).encode())


def application(plane: Plane) -> Starlette:
    """Return the application of a plane, which ends its servers when it ends."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import Response
    from starlette.routing import Route

    async def answered(request: Request) -> Response:
        query = request.scope["query_string"]
        path = (request.scope["raw_path"] + (b"?" + query if query else b"")).decode("latin-1")
        answer = await run_in_threadpool(
            plane.answer, request.method, path, request.headers.items(), await request.body()
        )
        response = Response(answer.body, answer.status)
        for name, text in answer.headers:
            response.headers[name] = text
        return response

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await run_in_threadpool(plane.servers.close)

    return Starlette(routes=[Route("/{path:path}", answered, methods=METHODS)], lifespan=lifespan)


@contextmanager
def moto_server() -> Iterator[int]:
    """Run moto's server in this process; yield its port."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield server.get_host_and_port()[1]
    finally:
        server.stop()


def main(words: Sequence[str]) -> int:
    """Answer until a signal ends it."""
    if len(words) > 1 or (words and not words[0].isdigit()):
        sys.stderr.write("usage: python -m tests.support.aws_plane.plane [PORT]\n")
        return 2
    try:
        missing = [
            name
            for name in ("boto3", "moto", "flask", "starlette", "uvicorn")
            if find_spec(name) is None
        ]
        if missing:
            raise ConfigError(
                f"plane: needs {', '.join(missing)}: pip install 'hwds[aws,serve]' 'moto[server]'."
            )
        serve(int(words[0]) if words else PORT)
    except HwdsError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def serve(port: int) -> None:
    """Answer on a port of this machine.

    Raises:
        ConfigError: It is none, or is taken.
    """
    import uvicorn

    try:
        listening = socket.create_server(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        raise ConfigError(f"plane: 127.0.0.1:{port} cannot be listened on.") from error
    with listening, moto_server() as moto, own_folder() as folder:
        for ends in (signal.SIGTERM, signal.SIGINT):
            signal.signal(
                ends, lambda *_: sys.exit()
            )  # uvicorn raises it again once its servers have ended
        if (
            signal.getsignal(signal.SIGHUP) == signal.SIG_DFL
        ):  # a terminal that is closed, which servers outlive
            signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
        known = {**KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{listening.getsockname()[1]}"}
        sys.stdout.write("".join(f"export {name}={text}\n" for name, text in known.items()))
        sys.stdout.flush()
        config = uvicorn.Config(
            application(Plane(moto, folder)), log_level="warning", server_header=False
        )
        uvicorn.Server(config).run([listening])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
