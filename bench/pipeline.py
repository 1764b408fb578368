"""A pipeline on this machine, twice: `python -m bench.pipeline`, with one approver who may approve and one who may not.

moto's server keeps the files, jobs, versions and endpoint; every step's command truly runs (`hwds pipeline --local`). The first
execution must register and deploy, and what the endpoint then serves must answer as the bundle; the second must end at the gate
and leave the endpoint as it is. 1 where one fails. A minute of two cores.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.http_server import free_port, good_questions, served, started
from bench.serving import WORDS, made
from hwds.production.bundle.keys import TRUST_VARIABLE

BUCKET = "models"
CARD = {"owner": "Desk", "intended_use": "Tiers", "out_of_scope": "Credit", "limits": "New shops", "contact": "d@example.com"}
PLACES = ["--bucket", f"s3://{BUCKET}/hwds", "--data", f"s3://{BUCKET}/data/", "--key", f"s3://{BUCKET}/keys/"]
ENDPOINT = ["--name", "orders", "--image", "r/h:1", "--role", "arn:aws:iam::123456789012:role/hwds", "--group", "market"]


def execute(folder: Path, approver: str) -> int:
    """Run the pipeline with an approver, and return the exit code."""
    words = [*WORDS, *(f"card.{name}={text}" for name, text in CARD.items()), f"card.approver={approver}"]
    command = [sys.executable, "-m", "hwds", "pipeline", *words, *ENDPOINT, *PLACES, "--local", str(folder / "local")]
    return subprocess.run(command, cwd=folder, check=False).returncode


def laid(folder: Path, client: Callable[[str], Any]) -> None:
    """Lay rows and keys into the bucket."""
    s3 = client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": os.environ["AWS_DEFAULT_REGION"]})
    files = {"data/rows.csv": "rows.csv", "keys/signing.pem": "key.pem", "keys/signing.pem.pub": "key.pem.pub"}
    for key, name in files.items():
        s3.upload_file(str(folder / name), BUCKET, key)


def answers(folder: Path) -> int:
    """Return the status of a served bundle's answer to a question of its own."""
    with served(str(folder)) as (port, _):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        body = json.dumps(good_questions(str(folder))[0])
        connection.request("POST", "/invocations", body, {"content-type": "application/json"})
        return connection.getresponse().status


def main() -> int:
    """Print what each step does; 1 where an execution ends otherwise than it must."""
    from hwds.production.deploy.endpoint import clients_of

    port = free_port()
    os.environ |= {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "eu-west-1"}
    os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{port}"
    server = [sys.executable, "-m", "moto.server", "-p", str(port)]
    with tempfile.TemporaryDirectory() as beside, started(server, port, "/moto-api/"):
        folder, client = Path(beside), clients_of()
        made(folder)
        os.environ[TRUST_VARIABLE] = str(folder / "key.pem.pub")
        laid(folder, client)
        codes = [execute(folder, "A. Person")]
        first = client("sagemaker").describe_endpoint(EndpointName="orders")["EndpointConfigName"]
        status = answers(folder / "local" / "endpoint")
        codes.append(execute(folder, CARD["owner"]))
        last = client("sagemaker").describe_endpoint(EndpointName="orders")["EndpointConfigName"]
        versions = client("sagemaker").list_model_packages(ModelPackageGroupName="market")["ModelPackageSummaryList"]
    sys.stdout.write(f"exit codes {codes}, answer {status}, endpoint {first} and {last}, {len(versions)} version\n")
    return int((codes, status, first == last, len(versions)) != ([0, 1], 200, True, 1))


if __name__ == "__main__":
    sys.exit(main())
