"""The ready files for clusters: as far as a machine without one can tell, they are what each system
takes.
"""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from hwds.core.compose import compose

ROOT = Path(__file__).resolve().parents[1]
FILES = ROOT / "clusters"
TEXT, FLAG, COUNT, WORDS, POD = (
    {"type": "string"},
    {"type": "boolean"},
    {"type": "integer"},
    {"type": "object", "additionalProperties": {"type": "string"}},
    {"type": "object", "required": ["spec"]},
)


def only(required=(), **properties):
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": properties,
    }


CLUSTER = only(
    ["headGroupSpec"],
    rayVersion=TEXT,
    suspend=FLAG,
    enableInTreeAutoscaling=FLAG,
    autoscalerOptions=only(
        idleTimeoutSeconds=COUNT,
        image=TEXT,
        upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]},
        version={"enum": ["v1", "v2"]},
        resources={"type": "object"},
    ),
    headGroupSpec=only(
        ["template"],
        rayStartParams=WORDS,
        serviceType=TEXT,
        enableIngress=FLAG,
        headService={"type": "object"},
        template=POD,
    ),
    workerGroupSpecs={
        "type": "array",
        "items": only(
            ["groupName", "template"],
            groupName=TEXT,
            replicas=COUNT,
            minReplicas=COUNT,
            maxReplicas=COUNT,
            numOfHosts=COUNT,
            idleTimeoutSeconds=COUNT,
            suspend=FLAG,
            rayStartParams=WORDS,
            template=POD,
        ),
    },
)
RAYJOB = only(
    ["apiVersion", "kind", "metadata", "spec"],
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata={"type": "object", "required": ["name"]},
    spec=only(
        ["entrypoint", "rayClusterSpec"],
        entrypoint=TEXT,
        activeDeadlineSeconds=COUNT,
        backoffLimit=COUNT,
        shutdownAfterJobFinishes=FLAG,
        ttlSecondsAfterFinished=COUNT,
        submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
        runtimeEnvYAML=TEXT,
        entrypointNumCpus={"type": "number"},
        entrypointNumGpus={"type": "number"},
        suspend=FLAG,
        rayClusterSpec=CLUSTER,
    ),
)
"""The fields of KubeRay's API reference (ray.io/v1) that a RayJob of ours may use."""


def test_the_rayjob_has_only_fields_that_kuberay_knows():
    jsonschema = pytest.importorskip("jsonschema")
    job = yaml.safe_load((FILES / "kuberay.yaml").read_text())
    jsonschema.validate(job, RAYJOB)
    with pytest.raises(jsonschema.ValidationError, match="backofLimit"):
        jsonschema.validate(job | {"spec": job["spec"] | {"backofLimit": 1}}, RAYJOB)
    groups = [
        job["spec"]["rayClusterSpec"]["headGroupSpec"],
        *job["spec"]["rayClusterSpec"]["workerGroupSpecs"],
    ]
    for group in groups:
        pod = group["template"]["spec"]
        mounted = {
            mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]
        }
        assert mounted == {volume["name"] for volume in pod["volumes"]}
        assert len({container["image"] for container in pod["containers"]}) == 1


def test_the_cloud_file_is_valid_by_ray_s_own_schema():
    jsonschema = pytest.importorskip("jsonschema")
    schema = pytest.importorskip("ray.autoscaler").__file__
    cloud = yaml.safe_load((FILES / "aws.yaml").read_text())
    jsonschema.validate(cloud, json.loads(Path(schema).with_name("ray-schema.json").read_text()))
    assert cloud["head_node_type"] in cloud["available_node_types"]


def test_the_command_in_the_rayjob_is_one_that_hwds_takes():
    job = yaml.safe_load((FILES / "kuberay.yaml").read_text())
    program, *words = job["spec"]["entrypoint"].split()
    assert program == "hwds"
    assert compose(words)["compute"]["storage"] == "s3://my-bucket/hwds"


@pytest.mark.parametrize("name", ["by_hand.sh", "slurm.sbatch"])
def test_the_scripts_are_bash_and_say_how_they_are_used(name):
    assert subprocess.run(["bash", "-n", FILES / name], check=False).returncode == 0
    said = subprocess.run(["bash", FILES / name], check=False, capture_output=True, text=True)
    assert said.returncode == 2
    assert said.stderr.startswith("usage: ")
