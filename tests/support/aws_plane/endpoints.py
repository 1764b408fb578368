"""Endpoints of SageMaker on this machine: their variants are real servers, and an update is a
canary that alarms bring back.

What endpoints there are, of which configuration and with which weights, the API alone knows
(moto's); it is asked each time.
"""

from __future__ import annotations

import json
import operator
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple

from hwds.core.errors import HwdsError
from hwds.serve.deploy import MOVING
from tests.support.aws_plane.servers import Exchange, Headers, Regions, Server, Servers, ask

Json = dict[str, Any]
Name = tuple[str, str]
"""The region and the name of an endpoint."""

ANSWER_SECONDS = 60.0
"""Seconds that a container may take to answer."""

TERMINATION = 1.0
"""Seconds that requests may be on their way to servers to whom nobody is sent any more."""

COMPARISONS = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


class RefusedCall(Exception):
    """A call that AWS would refuse.

    Attributes:
        status: Of HTTP.
        code: The name of the error in AWS' API.
        more: Other fields of its body.
    """

    def __init__(
        self, status: int, code: str, message: str, more: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.more = status, code, more or {}


class State(NamedTuple):
    """What is known of an endpoint beyond the API, which has each of them in service at once."""

    status: str
    reason: str = ""
    config: str = ""


@dataclass
class Fleet:
    """The servers of a configuration.

    Attributes:
        config: Its name.
        variants: What the configuration says of each variant, by name.
        servers: By model.
        answered: Requests of each variant.
    """

    config: str
    variants: dict[str, Json]
    servers: dict[str, Server]
    answered: Counter[str] = field(default_factory=Counter)

    def choose(self, described: Json, target: str) -> str:
        """Return the variant that answers next: the one that is named, or the one that is furthest
        behind its weight.

        Args:
            described: What the API says of the endpoint, whose weights may have been changed; empty
                where it knows none.
            target: A name, or empty.

        Raises:
            RefusedCall: There is none of this name.
        """
        if target and target not in self.variants:
            raise RefusedCall(400, "ValidationError", f"Variant {target} not found.")
        weights = {
            name: facts.get("InitialVariantWeight", 1.0) for name, facts in self.variants.items()
        }
        for each in described.get("ProductionVariants", ()):
            weights[each["VariantName"]] = each.get("CurrentWeight", weights[each["VariantName"]])
        variant = target or _furthest_behind(weights, self.answered)
        self.answered[variant] += 1
        return variant


@dataclass
class Canary:
    """A new fleet that is watched.

    Attributes:
        fleet: It.
        share: Of the requests that it gets.
        split: Requests of the old fleet and of the new one.
        samples: When answers came, whether they were above 499, and the microseconds that they
            took.
    """

    fleet: Fleet
    share: float
    split: Counter[str] = field(default_factory=Counter)
    samples: list[tuple[float, bool, float]] = field(default_factory=list)

    def takes_next(self) -> bool:
        """Return whether the new fleet gets the next request."""
        side = _furthest_behind({"old": 1 - self.share, "new": self.share}, self.split)
        self.split[side] += 1
        return side == "new"


class Endpoints:
    """The endpoints of all regions.

    Args:
        regions: Return the clients of SageMaker and of CloudWatch.
        servers: Start servers.
    """

    def __init__(self, regions: Regions, servers: Servers) -> None:
        self._regions, self._servers = regions, servers
        self._fleets: dict[Name, Fleet] = {}
        self._canaries: dict[Name, Canary] = {}
        self._states: dict[Name, State] = {}
        self._starting = threading.Lock()
        self.asking = threading.Lock()
        """Held while the API is asked for endpoints, and while one of them is replaced there."""

    def invoke(self, name: Name, headers: Headers, body: bytes) -> Exchange:
        """Return the answer of an endpoint, as `InvokeEndpoint` gives it.

        Raises:
            RefusedCall: There is no such endpoint or variant, it cannot answer, or its model
                refuses the body.
        """
        given = {key.lower(): text for key, text in headers}
        described, fleet, canary = self._route(name)
        target = given.get("x-amzn-sagemaker-target-variant", "")
        if canary is not None and target in ("", *canary.fleet.variants) and canary.takes_next():
            fleet, described = canary.fleet, {}
        variant = fleet.choose(described, target)
        begin = time.monotonic()
        answer = self._answer(fleet.servers[fleet.variants[variant]["ModelName"]], given, body)
        if canary is not None:
            canary.samples.append(
                (time.monotonic(), answer.status >= 500, 1e6 * (time.monotonic() - begin))
            )
        if answer.status != 200:
            raise _model_error(answer, variant)
        kept = [each for each in answer.headers if each[0].lower() == "content-type"]
        return Exchange(200, [*kept, ("x-Amzn-Invoked-Production-Variant", variant)], answer.body)

    def _answer(self, server: Server, given: Mapping[str, str], body: bytes) -> Exchange:
        handed = [
            (key, text)
            for key, text in given.items()
            if key.startswith(("content-type", "accept", "x-amzn-sagemaker-"))
        ]
        try:
            return ask(server.port, "POST", "/invocations", handed, body, ANSWER_SECONDS)
        except OSError as error:
            return Exchange(503, [], f"the model does not answer: {error}".encode())

    def state(self, name: Name) -> State | None:
        """Return what is known of an endpoint beyond the API."""
        return self._states.get(name)

    def created(self, name: Name) -> None:
        """Start the servers of a new endpoint, beside what else is asked."""
        self._states[name] = State("Creating")
        threading.Thread(target=self._begin, args=(name,), daemon=True).start()

    def _begin(self, name: Name) -> None:
        with suppress(RefusedCall):  # the state says why
            self._route(name)

    def deleted(self, name: Name) -> None:
        """End the servers of an endpoint that is gone."""
        self._states.pop(name, None)
        self._canaries.pop(name, None)
        self._retire(self._fleets.pop(name, None))

    def updated(self, name: Name, wanted: Json) -> Json:
        """Begin an update, as `UpdateEndpoint` does, and return its answer.

        Raises:
            RefusedCall: The endpoint is gone or moves, the configuration is not there, or traffic
                is to go over otherwise.
        """
        with self.asking:
            described, config = self._described(name), wanted["EndpointConfigName"]
        before = self._states.get(name) or State("InService")
        if before.status in MOVING:
            raise RefusedCall(
                400,
                "ValidationException",
                f"Cannot update endpoint {name[1]} while it is {before.status}.",
            )
        self._config(name[0], config)
        deployment = wanted.get("DeploymentConfig", {})
        routing = deployment.get("BlueGreenUpdatePolicy", {}).get(
            "TrafficRoutingConfiguration", {"Type": "ALL_AT_ONCE"}
        )
        if routing["Type"] not in ("ALL_AT_ONCE", "CANARY") or "RollingUpdatePolicy" in deployment:
            raise RefusedCall(
                400, "ValidationException", "Here traffic goes over ALL_AT_ONCE or behind a CANARY."
            )
        alarms = [
            each["AlarmName"]
            for each in deployment.get("AutoRollbackConfiguration", {}).get("Alarms", ())
        ]
        known = {each["AlarmName"] for each in self._alarms(name[0], alarms)}
        if missing := [alarm for alarm in alarms if alarm not in known]:
            raise RefusedCall(
                400, "ValidationException", f"Could not find alarm {missing[0]} of a metric."
            )
        self._states[name] = moving = State("Updating")
        threading.Thread(
            target=self._update, args=(name, config, routing, alarms, before, moving), daemon=True
        ).start()
        return {"EndpointArn": described["EndpointArn"]}

    def _update(
        self,
        name: Name,
        config: str,
        routing: Json,
        alarms: Sequence[str],
        before: State,
        moving: State,
    ) -> None:
        """Start a fleet, watch it, and let it replace the old one.

        An endpoint that is not `moving` was deleted meanwhile.
        """
        old: Fleet | None = None
        after = before._replace(reason="the update failed")
        try:
            old = fleet = self._start(name[0], config)
            if self._states.get(name) is moving:
                self._canaries[name] = canary = Canary(fleet, _share(routing, fleet))
                raised = self._watch(
                    name, canary, alarms, routing.get("WaitIntervalInSeconds", 0), moving
                )
                old = fleet if raised else self._replace(name, fleet, moving)
                after = (
                    before._replace(reason=f"the update went back: alarm {raised}")
                    if raised
                    else State("InService")
                )
        except (HwdsError, RefusedCall) as error:
            after = before._replace(reason=f"the update failed: {error}")
        finally:
            if self._states.get(name) is moving:
                self._canaries.pop(name, None)
                self._states[name] = after
            self._retire(old)

    def _alarms(self, region: str, names: Sequence[str]) -> list[Json]:
        """Return what CloudWatch knows of the alarms of metrics that have these names."""
        cloudwatch = self._regions(region)("cloudwatch")
        return (
            list(cloudwatch.describe_alarms(AlarmNames=list(names))["MetricAlarms"])
            if names
            else []
        )

    def _watch(
        self, name: Name, canary: Canary, alarms: Sequence[str], seconds: float, moving: State
    ) -> str:
        """Return the alarm that is raised within so many seconds, empty for none.

        It is raised in CloudWatch, too.
        """
        cloudwatch, end = self._regions(name[0])("cloudwatch"), time.monotonic() + seconds
        while True:
            for alarm in self._alarms(name[0], alarms):
                if alarm["StateValue"] == "ALARM" or breaches(
                    alarm, canary.samples, time.monotonic()
                ):
                    facts = {"StateValue": "ALARM", "StateReason": "seen in the canary"}
                    cloudwatch.set_alarm_state(AlarmName=alarm["AlarmName"], **facts)
                    return str(alarm["AlarmName"])
            if time.monotonic() >= end or self._states.get(name) is not moving:
                return ""
            time.sleep(min(0.2, seconds))

    def _replace(self, name: Name, fleet: Fleet, moving: State) -> Fleet | None:
        """Give an endpoint another fleet, in the API too, which knows no update.

        Return the one that is to end.
        """
        sagemaker = self._regions(name[0])("sagemaker")
        with self.asking:
            if self._states.get(name) is not moving:
                return fleet
            tags = sagemaker.list_tags(ResourceArn=self._described(name)["EndpointArn"])["Tags"]
            sagemaker.delete_endpoint(EndpointName=name[1])
            sagemaker.create_endpoint(
                EndpointName=name[1], EndpointConfigName=fleet.config, Tags=tags
            )
            old = self._fleets.get(name)
            self._fleets[name] = fleet
        return old

    def _config(self, region: str, config: str) -> Json:
        from botocore.exceptions import ClientError

        try:
            described: Json = self._regions(region)("sagemaker").describe_endpoint_config(
                EndpointConfigName=config
            )
        except ClientError as error:
            raise RefusedCall(
                400, "ValidationException", f"Could not find endpoint configuration {config}."
            ) from error
        return described

    def _route(self, name: Name) -> tuple[Json, Fleet, Canary | None]:
        """Return what the API says of an endpoint, and its servers, which are started where its
        configuration has none yet.
        """
        with self.asking:
            described = self._described(name)
            fleet = self._fleets.get(name)
        if fleet is None or fleet.config != described["EndpointConfigName"]:
            fleet = self._begun(name, described["EndpointConfigName"])
        return described, fleet, self._canaries.get(name)

    def _begun(self, name: Name, config: str) -> Fleet:
        with self._starting:
            fleet, state = self._fleets.get(name), self._states.get(name)
            if fleet is not None and fleet.config == config:
                return fleet
            try:
                if state and (state.status, state.config) == ("Failed", config):
                    raise HwdsError(state.reason)
                new = self._start(name[0], config)
            except HwdsError as error:
                self._states[name] = State("Failed", str(error), config)
                raise RefusedCall(
                    400, "ValidationError", f"Endpoint {name[1]} is Failed: {error}"
                ) from error
            self._retire(self._entered(name, new))
        return new

    def _entered(self, name: Name, new: Fleet) -> Fleet | None:
        """Give an endpoint its fleet, if it was not deleted while that started.

        Return the one before it.

        Raises:
            RefusedCall: It was.
        """
        try:
            with self.asking:
                self._described(name)
                old, self._fleets[name] = self._fleets.get(name), new
                self._states.pop(name, None)
        except RefusedCall:
            self._retire(new)
            raise
        return old

    def _described(self, name: Name) -> Json:
        """Return what the API says of an endpoint; to be called while `asking` is held."""
        from botocore.exceptions import ClientError

        try:
            described: Json = self._regions(name[0])("sagemaker").describe_endpoint(
                EndpointName=name[1]
            )
        except ClientError as error:
            self.deleted(name)
            raise RefusedCall(400, "ValidationError", f"Endpoint {name[1]} not found.") from error
        return described

    def _start(self, region: str, config: str) -> Fleet:
        try:
            variants = {
                each["VariantName"]: each
                for each in self._config(region, config)["ProductionVariants"]
            }
        except RefusedCall as error:
            raise HwdsError(str(error)) from error
        fleet = Fleet(config, variants, {})
        try:
            for model in dict.fromkeys(each["ModelName"] for each in variants.values()):
                fleet.servers[model] = self._servers.start(region, model)
        except HwdsError:
            self._retire(fleet)
            raise
        return fleet

    def _retire(self, fleet: Fleet | None) -> None:
        """End servers to whom nobody is sent any more, a little later and beside what else is
        asked.
        """
        for server in fleet.servers.values() if fleet else ():
            threading.Timer(TERMINATION, self._servers.stop, [server]).start()


def _share(routing: Json, fleet: Fleet) -> float:
    """Return the share of the requests that a new fleet gets at first."""
    if routing["Type"] != "CANARY":
        return 1.0
    size = routing["CanarySize"]
    machines = sum(each.get("InitialInstanceCount", 1) for each in fleet.variants.values())
    return min(size["Value"] / (100 if size["Type"] == "CAPACITY_PERCENT" else machines), 1.0)


def _furthest_behind(weights: Mapping[str, float], answered: Mapping[str, int]) -> str:
    """Return the name whose count is furthest behind its weight, so that shares are kept at each
    moment.
    """
    whole, total = sum(weights.values()) or 1.0, 1 + sum(answered[each] for each in weights)
    return max(weights, key=lambda each: weights[each] / whole * total - answered[each])


def _model_error(answer: Exchange, variant: str) -> RefusedCall:
    """Return what `InvokeEndpoint` says of a model that gives no 200."""
    kind, said = "client" if answer.status < 500 else "server", answer.body.decode(errors="replace")
    message = f'Received {kind} error ({answer.status}) from {variant} with message "{said}".'
    return RefusedCall(
        424, "ModelError", message, {"OriginalStatusCode": answer.status, "OriginalMessage": said}
    )


def breaches(alarm: Json, samples: Sequence[tuple[float, bool, float]], now: float) -> bool:
    """Return whether the answers of an alarm's last period are beyond its threshold.

    Args:
        alarm: Of CloudWatch, on `Invocation5XXErrors` or the median of `ModelLatency`; no other is
            raised by answers.
        samples: Of the canary.
        now: The present, on the clock of the samples.
    """
    last = [
        (failed, micros)
        for at, failed, micros in list(samples)
        if at > now - alarm.get("Period", 0)
    ]
    values = {"Invocation5XXErrors": float(sum(failed for failed, _ in last))}
    if last and alarm.get("ExtendedStatistic") == "p50":
        values["ModelLatency"] = median(micros for _, micros in last)
    value = values.get(alarm.get("MetricName", ""))
    return value is not None and COMPARISONS[alarm["ComparisonOperator"]](value, alarm["Threshold"])


def refusal_of(error: RefusedCall) -> Exchange:
    """Return the answer that says what is refused, as AWS writes it."""
    body = {"__type": error.code, "message": str(error), "Message": str(error), **error.more}
    headers = [("content-type", "application/json"), ("x-amzn-ErrorType", error.code)]
    return Exchange(error.status, headers, json.dumps(body).encode())
