"""The API: moto's server, mended where it differs from EC2 in what a fleet that grows and shrinks meets."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3

REGION = "eu-central-1"
IMAGES = Path(__file__).with_name("images.json")
# What any client needs, and moto does not look at.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextmanager
def serving(port: int) -> Iterator[None]:
    """Answer at 127.0.0.1:`port` while entered."""
    # moto reads its images when it is imported.
    os.environ["MOTO_AMIS_PATH"] = str(IMAGES)
    from moto.ec2.models.instances import Instance
    from moto.ec2.models.security_groups import SecurityGroupRule
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    with (
        patch.object(Instance, "__init__", remembering_security_groups(Instance.__init__)),
        patch.object(Instance, "terminate", freeing_addresses(Instance.terminate)),
        patch.object(SecurityGroupRule, "description", property(described)),
    ):
        server.start()
        try:
            yield
        finally:
            server.stop()


def remembering_security_groups(initialise: Callable[..., None]) -> Callable[..., None]:
    """An instance's constructor after which it knows its network interface's security groups; moto 5.2 forgets those given by their ids."""

    def initialised(self: Any, *arguments: Any, **options: Any) -> None:
        initialise(self, *arguments, **options)
        self.security_groups = self.security_groups or list(self.nics[0].group_set)

    return initialised


def described(rule: Any) -> str | None:
    """What a rule says of itself; moto 5.2 forgets it where a group is let in."""
    return rule.ip_range.get("Description") or rule.source_group.get("Description")  # type: ignore[no-any-return]


def freeing_addresses(terminate: Callable[..., Any]) -> Callable[..., Any]:
    """An instance's end after which another may have its private addresses; moto 5.2 keeps them while it remembers the instance."""

    def terminated(self: Any) -> Any:
        subnet = self.ec2_backend.get_subnet(self.subnet_id)
        for address in self._private_ips:
            subnet.del_subnet_ip(address)
        return terminate(self)

    return terminated


def client(service: str, port: int) -> Any:
    """A client of the API at `port`."""
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )
