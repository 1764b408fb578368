"""AWS on this machine: boto3's clients invoke endpoints and run batch transforms whose answers are
those of a real server.
"""

import gzip
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from functools import cache
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest

from hwds.core.errors import HwdsError
from hwds.serve.bundle.manifest import PARITY
from hwds.serve.bundle.reference import read_cases
from hwds.serve.deploy import carry_out, plan_of, write_archive
from tests.serve.test_endpoint import wanted
from tests.support.aws_plane.endpoints import Canary, Fleet, breaches
from tests.support.aws_plane.leftovers import _running_in, own_folder
from tests.support.aws_plane.plane import Plane, application, main
from tests.support.aws_plane.transforms import Transform, joined, requests_of
from tests.support.processes import processes, wait_until

ROLE, BUCKET = wanted().role, "plane"


@pytest.fixture(scope="module")
def beside(tmp_path_factory):
    """The folder of the plane's servers."""
    return tmp_path_factory.mktemp("plane")


@pytest.fixture(scope="module")
def plane(aws, bundle, home, beside):
    """A maker of clients of a plane before moto's server, which has a model of the bundle, and one
    whose archive is none.
    """
    uvicorn = pytest.importorskip("uvicorn")
    archive, moto = beside / "model.tar.gz", aws("s3")
    write_archive(bundle.folder, archive)
    moto.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    moto.upload_file(str(archive), BUCKET, "model.tar.gz")
    moto.put_object(Bucket=BUCKET, Key="broken.tar.gz", Body=b"x")
    port = int(moto.meta.endpoint_url.rpartition(":")[2])
    plane = application(Plane(port, beside))
    config = uvicorn.Config(plane, "127.0.0.1", 0, log_level="warning", log_config=None)
    server = uvicorn.Server(config)
    listening = config.bind_socket()
    running = threading.Thread(target=server.run, args=([listening],))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HWDS_TRUSTED_KEYS", str(home / "key.pem.pub"))
        patch.setenv("HWDS_WORKERS", "1")
        running.start()
        import boto3

        session = boto3.session.Session("key", "secret", region_name="eu-west-1")
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        yield cache(lambda service: session.client(service, endpoint_url=address))
        server.should_exit = True
        running.join()


@pytest.fixture(scope="module")
def model(plane):
    """Make a model of an archive and return its name."""

    def made(name, archive="model.tar.gz", **variables):
        container = {
            "Image": "r/h:1",
            "ModelDataUrl": f"s3://{BUCKET}/{archive}",
            "Environment": variables,
        }
        plane("sagemaker").create_model(
            ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container
        )
        return name

    return made


def configured(plane, name, **weights):
    """Make a configuration of variants of models, `variant=(model, weight)`."""
    machine = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    variants = [
        {"VariantName": variant, "ModelName": model, "InitialVariantWeight": weight, **machine}
        for variant, (model, weight) in weights.items()
    ]
    plane("sagemaker").create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants)
    return name


def at_rest(describe, field, moving=("Creating", "Updating", "InProgress")):
    """Return a description once it moves no longer."""
    end = time.monotonic() + 60
    while (said := describe())[field] in moving:
        assert time.monotonic() < end
        time.sleep(0.3)
    return said


@pytest.fixture(scope="module")
def questions(bundle):
    """Real rows as lines of JSON, and the answers of the run's model to them."""
    cases = [case for case in read_cases(bundle.folder / PARITY)[0] if "of" not in case.question][
        :5
    ]
    return [json.dumps(dict(case.question)) for case in cases]


@pytest.fixture(scope="module")
def served(plane, model):
    """The name of a configuration of two variants of one model, three to one."""
    known = model("served")
    return configured(plane, "two", a=(known, 3.0), b=(known, 1.0))


@pytest.fixture
def endpoint(plane, served):
    """An endpoint of two variants, which tests share that leave it as it was."""
    sagemaker = plane("sagemaker")
    if not sagemaker.list_endpoints(NameContains="orders")["Endpoints"]:
        sagemaker.create_endpoint(EndpointName="orders", EndpointConfigName=served)
        assert sagemaker.describe_endpoint(EndpointName="orders")["EndpointStatus"] == "Creating"
        described = at_rest(
            lambda: sagemaker.describe_endpoint(EndpointName="orders"), "EndpointStatus"
        )
        assert described["EndpointStatus"] == "InService"
    return "orders"


@pytest.fixture
def own_endpoint(plane, endpoint):
    """The same for a test that changes it: the next one gets another."""
    yield endpoint
    plane("sagemaker").delete_endpoint(EndpointName=endpoint)


def invoke(plane, body, name="orders", **more):
    given = {"ContentType": "application/jsonlines"} | more
    return plane("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=body, **given)


def test_an_endpoint_answers_by_the_weights_of_its_variants(plane, own_endpoint, questions, client):
    said = client.post(
        "/invocations", content=questions[0], headers={"content-type": "application/jsonlines"}
    )
    answers = [invoke(plane, questions[0]) for _ in range(8)]
    assert {answer["Body"].read() for answer in answers} == {said.content}
    assert answers[0]["ContentType"] == said.headers["content-type"]
    assert [answer["InvokedProductionVariant"] for answer in answers].count("a") == 6
    assert invoke(plane, questions[0], TargetVariant="b")["InvokedProductionVariant"] == "b"
    weights = [
        {"VariantName": "b", "DesiredWeight": 1.0},
        {"VariantName": "a", "DesiredWeight": 0.0},
    ]
    plane("sagemaker").update_endpoint_weights_and_capacities(
        EndpointName=own_endpoint, DesiredWeightsAndCapacities=weights
    )
    assert {invoke(plane, questions[0])["InvokedProductionVariant"] for _ in range(3)} == {"b"}


def test_what_an_endpoint_refuses_is_aws_own_error(plane, endpoint, questions):
    runtime = plane("sagemaker-runtime")
    with pytest.raises(
        runtime.exceptions.ModelError, match=r"Received client error \(400\) from [ab]"
    ) as refused:
        invoke(plane, b"{]", ContentType="application/json")
    assert refused.value.response["OriginalStatusCode"] == 400
    assert "body" in json.loads(refused.value.response["OriginalMessage"])["error"]
    for more, said in (
        ({"name": "nobody"}, "Endpoint nobody not found"),
        ({"TargetVariant": "c"}, "Variant c not found"),
    ):
        with pytest.raises(runtime.exceptions.ClientError, match=said):
            invoke(plane, questions[0], **more)
    with pytest.raises(runtime.exceptions.ClientError, match="Only InvokeEndpoint is played here"):
        runtime.invoke_endpoint_async(EndpointName=endpoint, InputLocation="s3://a/b")
    with pytest.raises(runtime.exceptions.ClientError, match="Only InvokeEndpoint is played here"):
        runtime.invoke_endpoint_with_response_stream(EndpointName=endpoint, Body=b"{}")


def test_an_archive_that_is_no_bundle_fails_its_endpoint(plane, model, questions):
    sagemaker, config = (
        plane("sagemaker"),
        configured(plane, "broken", main=(model("broken", "broken.tar.gz"), 1.0)),
    )
    sagemaker.create_endpoint(EndpointName="broken", EndpointConfigName=config)
    described = at_rest(
        lambda: sagemaker.describe_endpoint(EndpointName="broken"), "EndpointStatus"
    )
    assert described["EndpointStatus"] == "Failed"
    assert "model 'broken'" in described["FailureReason"]
    assert "cannot be unpacked" in described["FailureReason"]
    with pytest.raises(
        plane("sagemaker-runtime").exceptions.ClientError, match="Endpoint broken is Failed"
    ):
        invoke(plane, questions[0], "broken")
    sagemaker.delete_endpoint(EndpointName="broken")
    with pytest.raises(
        plane("sagemaker-runtime").exceptions.ClientError, match="Endpoint broken not found"
    ):
        invoke(plane, questions[0], "broken")


def test_a_deployment_is_updated_behind_a_canary_and_comes_back_by_an_alarm(
    plane, own_endpoint, questions, tmp_path
):
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(b"x")
    sagemaker, settings = plane("sagemaker"), wanted(bucket=f"s3://{BUCKET}", bake=0)
    with pytest.raises(
        HwdsError,
        match=r"endpoint 'orders' went back to two: the update failed: .*cannot be unpacked",
    ):
        carry_out(
            plan_of(settings, "b" * 16, str(archive)),
            plane,
            lambda line: None,
            wait=lambda seconds: time.sleep(0.3),
        )
    described = sagemaker.describe_endpoint(EndpointName=own_endpoint)
    assert described["EndpointStatus"] == "InService"
    assert "cannot be unpacked" in described["FailureReason"]
    body = invoke(plane, questions[0])["Body"].read()
    policy = plan_of(settings, "c" * 16, str(archive))[-1].parameters["DeploymentConfig"]
    policy["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]["WaitIntervalInSeconds"] = 30
    new = configured(plane, "new", main=("served", 1.0))
    sagemaker.update_endpoint(
        EndpointName=own_endpoint, EndpointConfigName=new, DeploymentConfig=policy
    )
    with pytest.raises(sagemaker.exceptions.ClientError, match="while it is Updating"):
        sagemaker.update_endpoint(EndpointName=own_endpoint, EndpointConfigName=new)
    end = time.monotonic() + 60
    while (answer := invoke(plane, questions[0]))["InvokedProductionVariant"] != "main":
        assert time.monotonic() < end
        time.sleep(0.1)
    assert answer["Body"].read() == body
    alarm = policy["AutoRollbackConfiguration"]["Alarms"][0]["AlarmName"]
    plane("cloudwatch").set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="a test")
    described = at_rest(
        lambda: sagemaker.describe_endpoint(EndpointName=own_endpoint), "EndpointStatus"
    )
    assert described["EndpointConfigName"] == "two"
    assert described["FailureReason"] == f"the update went back: alarm {alarm}"
    sagemaker.update_endpoint(EndpointName=own_endpoint, EndpointConfigName=new)
    described = at_rest(
        lambda: sagemaker.describe_endpoint(EndpointName=own_endpoint), "EndpointStatus"
    )
    assert described["EndpointConfigName"] == "new"
    assert invoke(plane, questions[0])["InvokedProductionVariant"] == "main"


def job(plane, name, source, **more):
    """Run a transform job and return what became of it."""
    arguments = {
        "ModelName": "served",
        "TransformInput": {
            "DataSource": {
                "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{source}"}
            },
            "ContentType": "application/jsonlines",
            "SplitType": "Line",
        },
        "TransformOutput": {"S3OutputPath": f"s3://{BUCKET}/{name}", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }
    sagemaker = plane("sagemaker")
    sagemaker.create_transform_job(TransformJobName=name, **arguments | more)
    return at_rest(
        lambda: sagemaker.describe_transform_job(TransformJobName=name), "TransformJobStatus"
    )


def test_a_transform_answers_each_line_of_each_object(plane, served, questions, client):
    s3 = plane("s3")
    whole = "\n".join(questions).encode() + b"\n"
    for key, body in (
        ("in/a.jsonl", whole),
        ("in/more/b.jsonl", b"{]\n"),
        ("in/c.jsonl", whole[: whole.index(b"\n")]),
    ):
        s3.upload_fileobj(BytesIO(body), BUCKET, key)
    processing = {"JoinSource": "Input"}
    done = job(
        plane,
        "joined",
        "in/",
        BatchStrategy="SingleRecord",
        MaxPayloadInMB=1,
        DataProcessing=processing,
    )
    assert done["TransformJobStatus"] == "Failed"
    assert f"s3://{BUCKET}/in/more/b.jsonl: the model said 400" in done["FailureReason"]
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET, Prefix="joined")["Contents"]]
    assert keys == ["joined/a.jsonl.out", "joined/c.jsonl.out"], (
        "what was no question keeps no other from its answers"
    )
    said = client.post(
        "/invocations", content=whole, headers={"content-type": "application/jsonlines"}
    )
    written = s3.get_object(Bucket=BUCKET, Key="joined/a.jsonl.out")["Body"].read().splitlines()
    want = [json.loads(line) for line in said.text.splitlines()]
    assert len(want) == len(questions)
    assert [json.loads(line) for line in written] == [
        {**json.loads(asked), "SageMakerOutput": answer}
        for asked, answer in zip(questions, want, strict=True)
    ]


def test_each_damaged_object_is_said_by_its_name(aws, plane):
    packed = gzip.compress(b"{}" * 99)
    for key, body in (
        ("z/a.gz", packed[:10] + b"\xff" * 20),
        ("z/b.gz", packed[:20]),
        ("z/c.gz", b"x"),
    ):
        aws("s3").put_object(Bucket=BUCKET, Key=key, Body=body)
    place = {
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/z/"}}
    }
    settings = {
        "TransformInput": place | {"CompressionType": "Gzip"},
        "TransformOutput": {"S3OutputPath": f"s3://{BUCKET}/o"},
    }
    nobody = SimpleNamespace(port=int(aws("s3").meta.endpoint_url.rpartition(":")[2]))
    failed = Transform(settings, nobody, aws("s3")).run()
    assert [line.partition(": ")[0] for line in failed] == [
        f"s3://{BUCKET}/z/{name}.gz" for name in "abc"
    ]


def test_a_transform_that_is_not_played_here_is_said(plane, served):
    source = {
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://a/b"}},
        "SplitType": "RecordIO",
    }
    done = job(plane, "records", "in/", TransformInput=source)
    assert (done["TransformJobStatus"], done["FailureReason"]) == (
        "Failed",
        "SplitType: must be None or Line here, got RecordIO.",
    )


def test_requests_have_as_many_lines_as_a_body_may():
    data = b"aa\nbb\n\ncc\n"
    assert list(requests_of(data, "Line", "MultiRecord", 5)) == [b"aa\nbb", b"cc"]
    assert list(requests_of(data, "Line", "SingleRecord", 5)) == [b"aa", b"bb", b"cc"]
    assert list(requests_of(data, "None", "MultiRecord", 50)) == [data]
    with pytest.raises(HwdsError, match="line 2: has 2 bytes; 1 are allowed"):
        list(requests_of(b"a\nbb", "Line", "MultiRecord", 1))
    assert joined(b"1,2\n3,4", b".5\n.6", "text/csv") == b"1,2,.5\n3,4,.6"
    with pytest.raises(HwdsError, match="not all JSON cannot be joined"):
        joined(b'{"a": 1}', b"1,.5", "application/jsonlines")
    with pytest.raises(HwdsError, match="1 answers to 2 lines"):
        joined(b"1,2\n3,4", b".5", "text/csv")


def test_answers_of_a_canary_raise_its_alarms():
    errors, latency = (
        plan_of(wanted(errors=2, latency_ms=5), "d" * 16, "a")[place].parameters for place in (3, 4)
    )
    slow = [(100.0, False, 6000.0), (101.0, False, 5000.0), (102.0, True, 1.0), (30.0, True, 1.0)]
    assert breaches(latency, slow, 110.0)
    assert not breaches(latency, slow, 200.0), "no answer is no latency"
    assert not breaches(errors, slow, 110.0), "one is a minute ago"
    assert breaches(errors, slow, 80.0)


def test_a_share_is_kept_at_each_moment():
    canary = Canary(Fleet("c", {}, {}), 0.1)
    assert sum(canary.takes_next() for _ in range(50)) == 5


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes by /proc")
def test_workers_end_with_a_parent_that_is_killed(plane, own_endpoint, questions, beside):
    def parents():
        return [number for number, _, title in processes() if f"hwds serve {beside}" in title]

    assert wait_until(lambda: len(parents()) == 1)
    (parent,) = parents()
    workers = {number for number, above, _ in processes() if above == parent}
    left = _running_in(Path(f"/proc/{parent}/cwd").resolve())
    assert {parent, *workers} == left.keys(), "as the next plane finds them, if this one is killed"
    os.kill(parent, signal.SIGKILL)
    assert wait_until(lambda: not workers & {number for number, _, _ in processes()}, 20)
    with pytest.raises(
        plane("sagemaker-runtime").exceptions.ModelError, match="the model does not answer"
    ):
        invoke(plane, questions[0])


KILLED = """
import os, subprocess, sys
from tests.support.aws_plane.leftovers import own_folder
from tests.support.aws_plane.servers import PORT

with own_folder() as folder:
    server = subprocess.Popen(["sleep", "600"], cwd=folder, env={**os.environ, PORT: "1"})
    print(folder, server.pid, flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_plane_left_is_ended_and_deleted_by_the_next_one(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    command, pipes = (
        [sys.executable, "-c", KILLED],
        {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True},
    )
    with subprocess.Popen(command, **pipes) as process:
        folder, server = process.stdout.readline().split()
        with own_folder() as beside:
            assert {Path(folder), beside} <= set(tmp_path.iterdir()), "the first one lives"
        assert os.path.exists(f"/proc/{server}")
        process.kill()
    (tmp_path / "hwds-plane-of-somebody").mkdir()
    with subprocess.Popen(["sleep", "600"], cwd=folder) as shell, own_folder() as own:
        assert shell.poll() is None, "somebody looks at what the server left"
        shell.kill()
        assert {path.name for path in tmp_path.iterdir()} == {own.name, "hwds-plane-of-somebody"}
        assert int(server) not in {number for number, _, _ in processes()}
    assert [path.name for path in tmp_path.iterdir()] == ["hwds-plane-of-somebody"]


def test_words_that_are_no_port_are_refused(capsys):
    assert main(["x"]) == 2
    assert capsys.readouterr().err.startswith("usage: python -m tests.support.aws_plane.plane")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main([str(port)]) == 2
    assert capsys.readouterr().err == f"plane: 127.0.0.1:{port} cannot be listened on.\n"


def test_a_terminal_that_is_closed_ends_the_plane_as_sigterm_does(aws):
    # nohup has all that it starts ignore it
    heard = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)"
    began = "import sys; from tests.support.aws_plane.plane import main; sys.exit(main(['0']))"
    command = [sys.executable, "-c", f"{heard}; {began}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            *_, last = (process.stdout.readline() for _ in range(4))
            assert re.fullmatch(r"export AWS_ENDPOINT_URL=http://127.0.0.1:[1-9]\d*\n", last)
            process.send_signal(signal.SIGHUP)
            assert process.wait(20) == 0
        finally:
            process.kill()
