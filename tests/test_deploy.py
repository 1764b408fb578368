"""The files by which a bundle is deployed: as far as a machine without the platforms can tell, they
are what each takes.
"""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
VALUES = yaml.safe_load((DEPLOY / "helm" / "values.yaml").read_text())


def filled(name):
    """A template with the values of the chart: the few constructs of Helm that it uses."""
    text = (
        (DEPLOY / "helm" / "templates" / name).read_text().replace("{{ .Release.Name }}", "model")
    )
    text = re.sub(r"^ *\{\{- (if|end).*\}\}\n", "", text, flags=re.M)
    text = text.replace("{{- toYaml .Values.resources | nindent 12 }}", str(VALUES["resources"]))

    def value(found):
        node = VALUES
        for part in found[1].split("."):
            node = node[part]
        return str(node)

    return yaml.safe_load(re.sub(r"\{\{ \.Values\.([\w.]+) \}\}", value, text))


def test_the_chart_makes_a_deployment_and_its_service():
    deployment, service = filled("deployment.yaml"), filled("service.yaml")
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert (deployment["apiVersion"], deployment["kind"]) == ("apps/v1", "Deployment")
    assert (
        deployment["spec"]["selector"]["matchLabels"]
        == pod["metadata"]["labels"]
        == service["spec"]["selector"]
    )
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert container["ports"][0]["containerPort"] == VALUES["port"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"
    assert service["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]
    assert yaml.safe_load((DEPLOY / "helm" / "Chart.yaml").read_text())["apiVersion"] == "v2"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_systemd_takes_the_unit():
    done = subprocess.run(
        ["systemd-analyze", "verify", str(DEPLOY / "hwds.service")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["Dockerfile", "lambda.Dockerfile"])
def test_images_copy_what_is_there_and_start_in_exec_form(name):
    lines = [
        line
        for line in (DEPLOY / name).read_text().splitlines()
        if line and not line.startswith("#")
    ]
    copied = [
        word
        for line in lines
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    ]
    given = {"trusted.pub", "${BUNDLE}"}
    assert all((DEPLOY.parent / word).exists() for word in copied if word not in given)
    assert lines[-1].startswith('CMD ["')
    assert all("latest" not in line for line in lines if line.startswith("FROM "))


def test_a_container_refuses_another_word():
    done = subprocess.run(
        [sys.executable, DEPLOY / "entrypoint.py", "run"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.strip() == "entrypoint: must be followed by serve or train, got run"


def test_kserve_finds_a_runtime_that_speaks_its_protocol_and_the_bundle_where_it_is_unpacked():
    service, runtime = yaml.safe_load_all((DEPLOY / "kserve.yaml").read_text())
    model, spec = service["spec"]["predictor"]["model"], runtime["spec"]
    assert [each["apiVersion"] for each in (service, runtime)] == [
        "serving.kserve.io/v1beta1",
        "serving.kserve.io/v1alpha1",
    ]
    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["protocolVersion"] in spec["protocolVersions"]
    assert model["modelFormat"]["name"] in {each["name"] for each in spec["supportedModelFormats"]}
    (container,) = spec["containers"]
    assert container["name"] == "kserve-container"
    assert container["args"] == ["serve"]
    assert {"name": "HWDS_BUNDLE", "value": "/mnt/models"} in container["env"]
    assert container["readinessProbe"]["httpGet"] == {
        "path": "/v2/health/ready",
        "port": container["ports"][0]["containerPort"],
    }


def test_ray_serve_is_told_a_module_that_is_there():
    (application,) = yaml.safe_load((DEPLOY / "ray_serve.yaml").read_text())["applications"]
    module, _, name = application["import_path"].partition(":")
    tree = ast.parse((DEPLOY.parent / f"{module.replace('.', '/')}.py").read_text())
    assert name in {
        target.id for node in tree.body if isinstance(node, ast.Assign) for target in node.targets
    }
    assert {each["name"] for each in application["deployments"]} <= {
        node.name for node in tree.body if isinstance(node, ast.ClassDef)
    }
