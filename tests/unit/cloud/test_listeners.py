from typing import Any

import pytest

from tests.support.cloud.listeners import Check, Listener, Target, listeners

ADDRESSES = {"i-1": "10.0.0.11", "i-2": "10.0.0.12"}
GROUP = {
    "TargetGroupArn": "arn:https",
    "Port": 443,
    "HealthCheckPort": "80",
    "HealthCheckPath": "/lb-health",
    "HealthCheckIntervalSeconds": 10,
    "HealthCheckTimeoutSeconds": 5,
    "HealthyThresholdCount": 2,
    "UnhealthyThresholdCount": 3,
}


def listener(port: int = 443, arn: str = "arn:https") -> dict[str, Any]:
    return {"Port": port, "DefaultActions": [{"Type": "forward", "TargetGroupArn": arn}]}


def test_a_listener_has_the_addresses_of_its_groups_running_instances() -> None:
    targets: list[dict[str, Any]] = [{"Id": "i-1", "Port": 443}, {"Id": "i-2"}, {"Id": "i-stopped"}]
    (found,) = listeners([listener()], [GROUP], {"arn:https": targets}, ADDRESSES)
    assert found == Listener(
        443,
        Check("80", "/lb-health", 10, 5, rise=2, fall=3),
        frozenset({Target("10.0.0.11", 443), Target("10.0.0.12", 443)}),
    )


@pytest.mark.parametrize("arn", ["arn:of-another-kind", "arn:http"])
def test_a_listener_without_its_group_is_skipped(arn: str) -> None:
    assert listeners([listener(80, arn)], [GROUP], {}, ADDRESSES) == []
