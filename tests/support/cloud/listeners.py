"""Parses a network load balancer from the API: ports, targets and health checks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Target:
    """A destination of connections."""

    address: str
    port: int


@dataclass(frozen=True)
class Check:
    """A target group's health check, an HTTP request."""

    port: str
    path: str
    interval: float
    timeout: float
    rise: int
    fall: int


@dataclass(frozen=True)
class Listener:
    """A port of the load balancer."""

    port: int
    check: Check
    targets: frozenset[Target]


def listeners(
    described: Sequence[Mapping[str, Any]],
    groups: Sequence[Mapping[str, Any]],
    targets: Mapping[str, Sequence[Mapping[str, Any]]],
    addresses: Mapping[str, str],
) -> list[Listener]:
    """Return the listeners of DescribeListeners, each with the targets of its group.

    `targets` is by the ARN of a group, `addresses` by instance id. A stopped instance has no address and is skipped.
    """
    by_arn = {group["TargetGroupArn"]: group for group in groups}
    return [
        Listener(listener["Port"], _check(group), _targets(group, targets.get(arn, ()), addresses))
        for listener in described
        if (group := by_arn.get(arn := _group(listener)))
    ]


def _group(listener: Mapping[str, Any]) -> str:
    action = listener["DefaultActions"][0]
    return str(action.get("TargetGroupArn") or action["ForwardConfig"]["TargetGroups"][0]["TargetGroupArn"])


def _check(group: Mapping[str, Any]) -> Check:
    return Check(
        port=str(group["HealthCheckPort"]),
        path=group["HealthCheckPath"],
        interval=float(group["HealthCheckIntervalSeconds"]),
        timeout=float(group["HealthCheckTimeoutSeconds"]),
        rise=int(group["HealthyThresholdCount"]),
        fall=int(group["UnhealthyThresholdCount"]),
    )


def _targets(
    group: Mapping[str, Any], registered: Sequence[Mapping[str, Any]], addresses: Mapping[str, str]
) -> frozenset[Target]:
    return frozenset(
        Target(address, int(target.get("Port") or group["Port"]))
        for target in registered
        if (address := addresses.get(target["Id"]))
    )
