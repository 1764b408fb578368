"""Batch transforms of SageMaker on this machine: objects of S3 go to a real server, request by
request, and answers come back.

See SageMaker's API reference, "CreateTransformJob", and its developer guide, "Use batch transform".
"""

from __future__ import annotations

import gzip
import json
import threading
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hwds.core.errors import DataError, HwdsError
from hwds.serve.deploy import s3_keys, s3_place
from tests.support.aws_plane.endpoints import Json, Name, State
from tests.support.aws_plane.servers import Regions, Server, Servers, ask

MEGABYTE = 1 << 20

STRATEGIES = {"MultiRecord": "MULTI_RECORD", "SingleRecord": "SINGLE_RECORD"}
"""By a job's word for how lines are put into requests, the container's."""

SECONDS, RETRIES = 600, 3
"""Seconds of an answer, and how often a request that failed is sent again, where the job says
nothing of them.
"""


class Transforms:
    """The transform jobs of all regions.

    Args:
        regions: Return the clients of S3.
        servers: Start servers.
    """

    def __init__(self, regions: Regions, servers: Servers) -> None:
        self._regions, self._servers = regions, servers
        self._states: dict[Name, State] = {}

    def state(self, name: Name) -> State | None:
        """Return what is known of a job beyond the API, which has each of them completed at
        once.
        """
        return self._states.get(name)

    def created(self, region: str, job: Json) -> None:
        """Run a job beside what else is asked.

        Args:
            region: Where it is.
            job: The arguments of `CreateTransformJob`.
        """
        name = region, job["TransformJobName"]
        self._states[name] = State("InProgress")
        threading.Thread(target=self._run, args=(name, job), daemon=True).start()

    def _run(self, name: Name, job: Json) -> None:
        try:
            refuse_unknown(job)
            server = self._servers.start(
                name[0], job["ModelName"], job.get("Environment", {}) | variables_of(job)
            )
            try:
                failed = Transform(job, server, self._regions(name[0])("s3")).run()
            finally:
                self._servers.stop(server)
            self._states[name] = State("Failed", " ".join(failed)) if failed else State("Completed")
        except HwdsError as error:
            self._states[name] = State("Failed", str(error))
        except Exception as error:
            self._states[name] = State("Failed", f"{type(error).__name__}: {error}")
            raise


def refuse_unknown(job: Json) -> None:
    """Refuse what is not played here.

    Raises:
        DataError: With the field.
    """
    source, processing = job["TransformInput"], job.get("DataProcessing", {})
    given = {
        "S3DataType": source["DataSource"]["S3DataSource"]["S3DataType"],
        "SplitType": source.get("SplitType", "None"),
        "InputFilter": processing.get("InputFilter", "$"),
        "OutputFilter": processing.get("OutputFilter", "$"),
    }
    played = {
        "S3DataType": ("S3Prefix",),
        "SplitType": ("None", "Line"),
        "InputFilter": ("$",),
        "OutputFilter": ("$",),
    }
    for field, values in played.items():
        if given[field] not in values:
            raise DataError(f"{field}: must be {' or '.join(values)} here, got {given[field]}.")


def variables_of(job: Json) -> dict[str, str]:
    """Return the variables by which a container knows that a batch transform asks."""
    said = {
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": job.get("MaxPayloadInMB"),
        "SAGEMAKER_BATCH_STRATEGY": STRATEGIES.get(job.get("BatchStrategy", "")),
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": job.get("MaxConcurrentTransforms"),
    }
    return {"SAGEMAKER_BATCH": "true"} | {name: str(value) for name, value in said.items() if value}


class Transform:
    """A job and the server that it asks.

    Args:
        job: The arguments of `CreateTransformJob`; what it leaves open the server's
            `/execution-parameters` say.
        server: The model's.
        s3: The client of S3.
    """

    def __init__(self, job: Json, server: Server, s3: Any) -> None:
        self._input, self._output, self._server, self._s3 = (
            job["TransformInput"],
            job["TransformOutput"],
            server,
            s3,
        )
        self._join = job.get("DataProcessing", {}).get("JoinSource", "None") == "Input"
        said = ask(server.port, "GET", "/execution-parameters")
        known: dict[str, Any] = json.loads(said.body) if said.status == 200 else {}
        strategies = {theirs: ours for ours, theirs in STRATEGIES.items()}
        self._strategy = (
            job.get("BatchStrategy") or strategies[known.get("BatchStrategy", "MULTI_RECORD")]
        )
        self._most = int((job.get("MaxPayloadInMB") or known.get("MaxPayloadInMB", 6)) * MEGABYTE)
        self._concurrent = int(
            job.get("MaxConcurrentTransforms") or known.get("MaxConcurrentTransforms", 1)
        )
        client = job.get("ModelClientConfig", {})
        self._seconds = client.get("InvocationsTimeoutInSeconds", SECONDS)
        self._retries = client.get("InvocationsMaxRetries", RETRIES)

    def run(self) -> list[str]:
        """Transform each object.

        Return why those failed that did. The others have their answers.
        """
        source = self._input["DataSource"]["S3DataSource"]["S3Uri"]
        (bucket, prefix), failed = s3_place(source), []
        for key in s3_keys(self._s3, source):
            try:
                answered = self._answered(
                    self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
                )
            except (DataError, OSError, EOFError, zlib.error) as error:
                failed.append(f"s3://{bucket}/{key}: {error}")
                continue
            target, folder = s3_place(self._output["S3OutputPath"])
            name = key[prefix.rfind("/") + 1 :]  # what stands behind the folder of the prefix
            self._s3.put_object(
                Bucket=target, Key=f"{folder.rstrip('/')}/{name}.out".lstrip("/"), Body=answered
            )
        return failed

    def _answered(self, data: bytes) -> bytes:
        data = gzip.decompress(data) if self._input.get("CompressionType") == "Gzip" else data
        requests = list(
            requests_of(data, self._input.get("SplitType", "None"), self._strategy, self._most)
        )
        with ThreadPoolExecutor(self._concurrent) as pool:
            answers = list(pool.map(self._answer, requests))
        if self._join:
            answers = [
                joined(asked, answer, self._type)
                for asked, answer in zip(requests, answers, strict=True)
            ]
        if self._output.get("AssembleWith", "None") == "Line":
            answers = [answer.removesuffix(b"\n") + b"\n" for answer in answers]
        return b"".join(answers)

    @property
    def _type(self) -> str:
        return str(self._input.get("ContentType", ""))

    def _answer(self, body: bytes) -> bytes:
        headers = {"content-type": self._type, "accept": self._output.get("Accept", "")}
        for _ in range(1 + self._retries):
            answer = ask(
                self._server.port, "POST", "/invocations", headers.items(), body, self._seconds
            )
            if answer.status < 500:
                break
        if answer.status != 200:
            raise DataError(
                f"the model said {answer.status}: {answer.body.decode(errors='replace')}"
            )
        return answer.body


def requests_of(data: bytes, split: str, strategy: str, most: int) -> Iterator[bytes]:
    """Yield the bodies of the requests that an object is sent in.

    Args:
        data: The object.
        split: `None` for one body, `Line` for lines.
        strategy: `SingleRecord` for a line each, `MultiRecord` for as many as a body may have.
        most: Bytes of a body at most.

    Raises:
        DataError: A line, or the object, has more.
    """
    lines = [data] if split == "None" else [line for line in data.split(b"\n") if line.strip()]
    body: list[bytes] = []
    size = 0
    for number, line in enumerate(lines, 1):
        if len(line) > most:
            raise DataError(f"line {number}: has {len(line):,} bytes; {most:,} are allowed.")
        if body and (strategy == "SingleRecord" or size + 1 + len(line) > most):
            yield b"\n".join(body)
            body, size = [], 0
        body.append(line)
        size += len(line) + (size > 0)
    if body:
        yield b"\n".join(body)


def joined(asked: bytes, answered: bytes, content_type: str) -> bytes:
    """Return each line of a request with its answer, as `JoinSource: Input` writes them.

    Raises:
        DataError: There are not as many answers as lines, or they are no JSON.
    """
    lines, answers = asked.splitlines(), answered.splitlines()
    if len(lines) != len(answers):
        raise DataError(
            f"the model gave {len(answers)} answers to {len(lines)} lines, which cannot be joined."
        )
    if content_type.startswith("text/csv"):
        return b"\n".join(line + b"," + answer for line, answer in zip(lines, answers, strict=True))
    try:
        pairs = [
            (json.loads(line), json.loads(answer))
            for line, answer in zip(lines, answers, strict=True)
        ]
    except ValueError as error:
        raise DataError(
            f"lines and answers that are not all JSON cannot be joined ({error})."
        ) from error
    return b"\n".join(json.dumps(_with_answer(line, answer)).encode() for line, answer in pairs)


def _with_answer(line: Any, answer: Any) -> Mapping[str, Any]:
    given = line if isinstance(line, dict) else {"SageMakerInput": line}
    return {**given, "SageMakerOutput": answer}
