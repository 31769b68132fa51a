"""What the API says of instances, and which sandbox hosts follow from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# An instance in another state keeps the host that it has, and gets none.
RUNNING, GONE = "running", {"shutting-down", "terminated"}


@dataclass(frozen=True)
class Instance:
    """An instance of which a host is made.

    Args:
        id: Names the host.
        address: Its private address.
        key: Name of the key pair that may log in.
        vpc: Id of its VPC.
        state: What EC2 says that it does.
    """

    id: str
    address: str
    key: str
    vpc: str
    state: str


@dataclass(frozen=True)
class Work:
    """What has to be done so that hosts are what instances say."""

    boot: tuple[Instance, ...]
    remove: tuple[str, ...]


def parse(reservations: Iterable[Mapping[str, Any]]) -> list[Instance]:
    """The instances of a DescribeInstances answer. One that is gone has no address any more."""
    return [
        Instance(
            id=instance["InstanceId"],
            address=instance.get("PrivateIpAddress", ""),
            key=instance.get("KeyName", ""),
            vpc=instance.get("VpcId", ""),
            state=instance["State"]["Name"],
        )
        for reservation in reservations
        for instance in reservation["Instances"]
    ]


def work(instances: Sequence[Instance], hosts: Iterable[str]) -> Work:
    """Boot what runs and has no host; remove hosts whose instance is gone or was never heard of."""
    there = set(hosts)
    keep = {instance.id for instance in instances if instance.state not in GONE}
    boot = [instance for instance in instances if instance.state == RUNNING and instance.id not in there]
    return Work(tuple(boot), tuple(sorted(there - keep)))
