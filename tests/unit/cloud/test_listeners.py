from __future__ import annotations

from typing import Any

import pytest

from tests.support.cloud.listeners import Check, Listener, Target, listeners

ADDRESSES = {"i-1": "10.0.0.11", "i-2": "10.0.0.12"}


def group(**changed: Any) -> dict[str, Any]:
    return {
        "TargetGroupArn": "arn:https",
        "Port": 443,
        "TargetType": "instance",
        "HealthCheckProtocol": "HTTP",
        "HealthCheckPort": "80",
        "HealthCheckPath": "/lb-health",
        "HealthCheckIntervalSeconds": 10,
        "HealthCheckTimeoutSeconds": 5,
        "HealthyThresholdCount": 2,
        "UnhealthyThresholdCount": 3,
    } | changed


def listener(port: int = 443, arn: str = "arn:https") -> dict[str, Any]:
    return {"Port": port, "DefaultActions": [{"Type": "forward", "TargetGroupArn": arn}]}


def test_a_listener_has_the_addresses_of_its_groups_instances() -> None:
    (found,) = listeners([listener()], [group()], {"arn:https": [{"Id": "i-1", "Port": 443}, {"Id": "i-2"}]}, ADDRESSES)
    assert found == Listener(
        443,
        Check("80", "/lb-health", 10, 5, rise=2, fall=3),
        frozenset({Target("10.0.0.11", 443), Target("10.0.0.12", 443)}),
    )


def test_a_stopped_instance_is_skipped() -> None:
    (found,) = listeners([listener()], [group()], {"arn:https": [{"Id": "i-1"}, {"Id": "i-stopped"}]}, ADDRESSES)
    assert found.targets == {Target("10.0.0.11", 443)}


def test_a_group_can_have_addresses_as_targets() -> None:
    (found,) = listeners([listener()], [group(TargetType="ip")], {"arn:https": [{"Id": "10.0.0.99"}]}, ADDRESSES)
    assert found.targets == {Target("10.0.0.99", 443)}


def test_a_check_without_http_has_no_path() -> None:
    (found,) = listeners([listener()], [group(HealthCheckProtocol="TCP")], {}, ADDRESSES)
    assert found.check.path == ""


@pytest.mark.parametrize("arn", ["arn:of-another-kind", "arn:http"])
def test_a_listener_without_its_group_is_skipped(arn: str) -> None:
    assert listeners([listener(80, arn)], [group()], {}, ADDRESSES) == []
