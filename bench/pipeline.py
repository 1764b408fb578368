"""A pipeline on this machine, twice: `python -m bench.pipeline`, with one approver who may approve
and one who may not.

The API is that of `tests.support.aws_plane.plane`; every step's command truly runs (`hwds pipeline
--local`). The first execution must register and deploy, the endpoint must then answer, and a batch
transform by its model as it does; the second must end at the gate and leave the endpoint as it is.
1 where one fails. A minute of two cores.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.http_server import started
from bench.serving import WORDS, made
from hwds.serve.bundle.manifest import TRUST_VARIABLE
from tests.support.aws_plane.plane import KEYS
from tests.support.aws_plane.servers import free_port

BUCKET = "models"
CARD = {
    "owner": "Desk",
    "intended_use": "Tiers",
    "out_of_scope": "Credit",
    "limits": "New shops",
    "contact": "d@example.com",
}
PLACES = [
    "--bucket",
    f"s3://{BUCKET}/hwds",
    "--data",
    f"s3://{BUCKET}/data/",
    "--key",
    f"s3://{BUCKET}/keys/",
]
ENDPOINT = [
    "--name",
    "orders",
    "--image",
    "r/h:1",
    "--role",
    "arn:aws:iam::123456789012:role/hwds",
    "--group",
    "market",
]


def execute(folder: Path, approver: str) -> int:
    """Run the pipeline with an approver, and return the exit code."""
    words = [
        *WORDS,
        *(f"card.{name}={text}" for name, text in CARD.items()),
        f"card.approver={approver}",
    ]
    command = [
        sys.executable,
        "-m",
        "hwds",
        "pipeline",
        *words,
        *ENDPOINT,
        *PLACES,
        "--local",
        str(folder / "local"),
    ]
    return subprocess.run(command, cwd=folder, check=False).returncode


def laid(folder: Path, client: Callable[[str], Any]) -> None:
    """Lay rows and keys into the bucket."""
    s3 = client("s3")
    s3.create_bucket(
        Bucket=BUCKET,
        CreateBucketConfiguration={"LocationConstraint": os.environ["AWS_DEFAULT_REGION"]},
    )
    files = {
        "data/rows.csv": "rows.csv",
        "keys/signing.pem": "key.pem",
        "keys/signing.pem.pub": "key.pem.pub",
    }
    for key, name in files.items():
        s3.upload_file(str(folder / name), BUCKET, key)


def answers(client: Callable[[str], Any], model: str) -> list[dict[str, Any]]:
    """Return the endpoint's answers to two rows, and then those of a batch transform by its
    model.
    """
    lines = b'{"id": "a", "spent": 90, "quantity": 2}\n{"id": "b", "spent": 9, "quantity": 1}\n'
    form = "application/jsonlines"
    said = (
        client("sagemaker-runtime")
        .invoke_endpoint(EndpointName="orders", Body=lines, ContentType=form)["Body"]
        .read()
    )
    client("s3").put_object(Bucket=BUCKET, Key="in/rows.jsonl", Body=lines)
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/in/"}}
    client("sagemaker").create_transform_job(
        TransformJobName="job",
        ModelName=model,
        TransformInput={"DataSource": source, "ContentType": form, "SplitType": "Line"},
        TransformOutput={"S3OutputPath": f"s3://{BUCKET}/out", "AssembleWith": "Line"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
    )
    waiter = client("sagemaker").get_waiter("transform_job_completed_or_stopped")
    waiter.wait(TransformJobName="job", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    written = client("s3").get_object(Bucket=BUCKET, Key="out/rows.jsonl.out")["Body"].read()
    return [json.loads(line) for line in (said + b"\n" + written).splitlines() if line]


def main() -> int:
    """Print what each step does; 1 where an execution ends otherwise than it must."""
    from hwds.serve.deploy import clients_of

    port = free_port()
    os.environ |= {**KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
    server = [sys.executable, "-m", "tests.support.aws_plane.plane", str(port)]
    with tempfile.TemporaryDirectory() as beside:
        folder = Path(beside)
        made(folder)
        os.environ[TRUST_VARIABLE] = str(folder / "key.pem.pub")
        with started(server, port, "/moto-api/"):
            client = clients_of()
            laid(folder, client)
            codes = [execute(folder, "A. Person")]
            first = client("sagemaker").describe_endpoint(EndpointName="orders")[
                "EndpointConfigName"
            ]
            said = answers(client, first)
            codes.append(execute(folder, CARD["owner"]))
            last = client("sagemaker").describe_endpoint(EndpointName="orders")[
                "EndpointConfigName"
            ]
            versions = client("sagemaker").list_model_packages(ModelPackageGroupName="market")[
                "ModelPackageSummaryList"
            ]
    alike = len(said) == 4 and said[:2] == said[2:]
    sys.stdout.write(
        f"exit codes {codes}, answers {said}, endpoint {first} and {last}, {len(versions)} "
        f"version\n"
    )
    return int((codes, alike, first == last, len(versions)) != ([0, 1], True, True, 1))


if __name__ == "__main__":
    sys.exit(main())
