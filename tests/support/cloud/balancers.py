"""What the API says of a network load balancer: which port goes to which targets, and how their health is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Target:
    """Where connections go."""

    address: str
    port: int


@dataclass(frozen=True)
class Check:
    """How a target group asks for its targets' health; an empty path asks for a connection only."""

    port: str
    path: str
    interval: float
    timeout: float
    rise: int
    fall: int


@dataclass(frozen=True)
class Listener:
    """A port of the front door."""

    port: int
    check: Check
    targets: frozenset[Target]


def listeners(
    described: Sequence[Mapping[str, Any]],
    groups: Sequence[Mapping[str, Any]],
    targets: Mapping[str, Sequence[Mapping[str, Any]]],
    addresses: Mapping[str, str],
) -> list[Listener]:
    """The listeners of DescribeListeners, with the targets of the group that each forwards to.

    Args:
        described: Listeners as the API describes them.
        groups: Target groups as the API describes them.
        targets: Group's ARN → its targets; an instance that does not run has no address and takes no part.
        addresses: Instance's id → its private address.
    """
    by_arn = {group["TargetGroupArn"]: group for group in groups}
    return [
        Listener(
            listener["Port"], _check(by_arn[arn]), frozenset(_targets(by_arn[arn], targets.get(arn, ()), addresses))
        )
        for listener in described
        if (arn := _group(listener)) in by_arn
    ]


def _group(listener: Mapping[str, Any]) -> str:
    action = listener["DefaultActions"][0]
    return str(action.get("TargetGroupArn") or action["ForwardConfig"]["TargetGroups"][0]["TargetGroupArn"])


def _check(group: Mapping[str, Any]) -> Check:
    asks = str(group.get("HealthCheckProtocol", "TCP")).startswith("HTTP")
    return Check(
        port=str(group.get("HealthCheckPort", "traffic-port")),
        path=group.get("HealthCheckPath", "/") if asks else "",
        interval=float(group["HealthCheckIntervalSeconds"]),
        timeout=float(group["HealthCheckTimeoutSeconds"]),
        rise=int(group["HealthyThresholdCount"]),
        fall=int(group["UnhealthyThresholdCount"]),
    )


def _targets(
    group: Mapping[str, Any], registered: Sequence[Mapping[str, Any]], addresses: Mapping[str, str]
) -> list[Target]:
    by_instance = group.get("TargetType", "instance") == "instance"
    found = [
        (addresses.get(target["Id"]) if by_instance else target["Id"], target.get("Port") or group["Port"])
        for target in registered
    ]
    return [Target(address, int(port)) for address, port in found if address]
