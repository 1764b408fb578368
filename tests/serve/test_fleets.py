"""Endpoints of the plane that are deleted, misnamed or alarmed while they move; the API is moto's,
servers only count.
"""

import threading

import pytest

from tests.serve.test_endpoint import wanted
from tests.support.aws_plane.endpoints import Endpoints, Fleet, RefusedCall, _share
from tests.support.aws_plane.servers import Exchange
from tests.support.processes import wait_until

REGION, MACHINE = "eu-west-1", {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
AT_ONCE = {"Type": "ALL_AT_ONCE"}


class Counted:
    """Servers that start when they may."""

    def __init__(self):
        self.may, self.began, self.number, self.running = (
            threading.Event(),
            threading.Event(),
            0,
            set(),
        )

    def start(self, region, model):
        self.began.set()
        assert self.may.wait(20)
        self.number += 1
        self.running.add(self.number)
        return self.number

    def stop(self, server):
        self.running.discard(server)


@pytest.fixture
def known(aws, monkeypatch):
    """An endpoint `moves` of the configuration `one`, beside which there is `two`; its servers."""
    monkeypatch.setattr("tests.support.aws_plane.endpoints.TERMINATION", 0.0)
    sagemaker, servers = aws("sagemaker"), Counted()
    sagemaker.create_model(
        ModelName="counted",
        ExecutionRoleArn=wanted().role,
        PrimaryContainer={"Image": "r/h:1", "ModelDataUrl": "s3://a/b"},
    )
    for name in ("one", "two"):
        variants = [
            {"VariantName": name, "ModelName": "counted", "InitialVariantWeight": 1.0, **MACHINE}
        ]
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants)
    sagemaker.create_endpoint(EndpointName="moves", EndpointConfigName="one")
    yield Endpoints(lambda region: aws, servers), servers
    for name in {each["EndpointName"] for each in sagemaker.list_endpoints()["Endpoints"]} & {
        "moves"
    }:
        sagemaker.delete_endpoint(EndpointName=name)
    for each in {
        each["EndpointConfigName"] for each in sagemaker.list_endpoint_configs()["EndpointConfigs"]
    } & {"one", "two"}:
        sagemaker.delete_endpoint_config(EndpointConfigName=each)
    sagemaker.delete_model(ModelName="counted")


NAME = (REGION, "moves")


def update(endpoints, routing=AT_ONCE, *alarms):
    policy = {
        "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing},
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": alarm} for alarm in alarms]},
    }
    return endpoints.updated(
        NAME, {"EndpointName": "moves", "EndpointConfigName": "two", "DeploymentConfig": policy}
    )


def at_rest(endpoints):
    return wait_until(
        lambda: (
            (state := endpoints.state(NAME)) is None or state.status not in ("Creating", "Updating")
        ),
        20,
    )


def started(known):
    """The endpoints and their servers, once the endpoint has come to rest."""
    endpoints, servers = known
    servers.may.set()
    endpoints.created(NAME)
    assert at_rest(endpoints)
    return endpoints, servers


def test_an_endpoint_that_is_deleted_while_it_starts_leaves_no_server(known, aws):
    endpoints, servers = known
    endpoints.created(NAME)
    assert servers.began.wait(20)
    aws("sagemaker").delete_endpoint(EndpointName="moves")
    endpoints.deleted(NAME)
    servers.may.set()
    assert wait_until(lambda: servers.number == 1 and not servers.running, 20)


def test_an_endpoint_whose_configuration_is_gone_has_failed(known, aws):
    endpoints, _ = known
    aws("sagemaker").delete_endpoint_config(EndpointConfigName="one")
    endpoints.created(NAME)
    assert at_rest(endpoints)
    assert endpoints.state(NAME)[:2] == ("Failed", "Could not find endpoint configuration one.")


def test_an_update_of_an_endpoint_that_was_deleted_is_none_of_the_next_of_its_name(known, aws):
    endpoints, servers = started(known)
    update(
        endpoints,
        {
            "Type": "CANARY",
            "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50},
            "WaitIntervalInSeconds": 60,
        },
    )
    assert wait_until(lambda: endpoints._canaries, 20)
    aws("sagemaker").delete_endpoint(EndpointName="moves")
    endpoints.deleted(NAME)
    aws("sagemaker").create_endpoint(EndpointName="moves", EndpointConfigName="one")
    endpoints.created(NAME)
    assert wait_until(lambda: servers.number == 3 and len(servers.running) == 1, 20), (
        "two have ended, with their canary"
    )
    described, fleet, canary = endpoints._route(NAME)
    assert (described["EndpointConfigName"], fleet.config, canary) == ("one", "one", None)


def test_alarms_are_looked_for_before_an_update_and_one_of_no_metric_is_raised_by_hand_alone(
    known, aws
):
    endpoints, servers = started(known)
    with pytest.raises(RefusedCall, match="Could not find alarm mispelt of a metric"):
        update(endpoints, AT_ONCE, "mispelt")
    metric = {"Namespace": "AWS/SageMaker", "MetricName": "Invocation5XXErrors", "Dimensions": []}
    sums = [
        {
            "Id": "m",
            "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"},
            "ReturnData": True,
        }
    ]
    facts = {"ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1, "Threshold": 1.0}
    aws("cloudwatch").put_metric_alarm(AlarmName="sums", Metrics=sums, **facts)
    update(endpoints, AT_ONCE, "sums")
    assert at_rest(endpoints)
    assert endpoints.state(NAME).status == "InService"
    assert endpoints._route(NAME)[1].config == "two"
    assert wait_until(lambda: servers.running == {2}, 20)


def test_a_variant_that_is_named_is_asked_of_the_fleet_that_has_it(known, monkeypatch):
    endpoints, _ = started(known)
    update(
        endpoints,
        {
            "Type": "CANARY",
            "CanarySize": {"Type": "INSTANCE_COUNT", "Value": 1},
            "WaitIntervalInSeconds": 60,
        },
    )
    assert wait_until(lambda: endpoints._canaries, 20)
    asked = []
    monkeypatch.setattr(
        endpoints,
        "_answer",
        lambda server, given, body: asked.append(server) or Exchange(200, [], b""),
    )
    endpoints.invoke(NAME, [("X-Amzn-SageMaker-Target-Variant", "one")], b"")
    endpoints.invoke(NAME, [], b"")
    assert asked == [1, 2], "the canary has all requests, but no variant of this name"
    endpoints.deleted(NAME)


@pytest.mark.parametrize(
    ("size", "share"),
    [
        ({"Type": "CAPACITY_PERCENT", "Value": 10}, 0.1),
        ({"Type": "INSTANCE_COUNT", "Value": 1}, 0.25),
        ({"Type": "INSTANCE_COUNT", "Value": 9}, 1.0),
    ],
)
def test_a_canary_has_its_share_of_the_machines(size, share):
    fleet = Fleet("c", {"a": {"InitialInstanceCount": 3}, "b": {"InitialInstanceCount": 1}}, {})
    assert _share({"Type": "CANARY", "CanarySize": size}, fleet) == share
    assert _share(AT_ONCE, fleet) == 1.0
