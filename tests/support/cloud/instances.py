"""Parses instances from the API, and decides which sandbox hosts to create or remove."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# An instance in another state keeps its host if it has one, but gets no new one.
RUNNING, GONE = "running", {"shutting-down", "terminated"}


@dataclass(frozen=True)
class Instance:
    """An EC2 instance. Its id is also the name of its host, its address is private, `key` is the name of a key pair."""

    id: str
    address: str
    key: str
    vpc: str
    state: str


@dataclass(frozen=True)
class Work:
    """The hosts to create and to remove."""

    boot: tuple[Instance, ...]
    remove: tuple[str, ...]


def parse(reservations: Iterable[Mapping[str, Any]]) -> list[Instance]:
    """Return the instances of a DescribeInstances answer. A terminated instance has no address."""
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
    """Boot running instances without a host. Remove hosts whose instance is terminated or unknown."""
    existing = set(hosts)
    keep = {instance.id for instance in instances if instance.state not in GONE}
    boot = [instance for instance in instances if instance.state == RUNNING and instance.id not in existing]
    return Work(tuple(boot), tuple(sorted(existing - keep)))
