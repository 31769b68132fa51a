"""Moto's server with fixes where it differs from EC2 for a fleet that grows and shrinks."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
from botocore.config import Config

REGION = "eu-central-1"
IMAGES = Path(__file__).with_name("images.json")
# Clients require credentials. moto ignores them.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextmanager
def serving(port: int) -> Iterator[None]:
    """Serve the API at 127.0.0.1:`port` inside the context."""
    # moto reads this at import.
    os.environ["MOTO_AMIS_PATH"] = str(IMAGES)
    from moto.ec2.models.instances import Instance
    from moto.ec2.models.security_groups import SecurityGroupRule
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    with (
        patch.object(Instance, "__init__", keep_security_groups(Instance.__init__)),
        patch.object(Instance, "terminate", free_addresses(Instance.terminate)),
        patch.object(SecurityGroupRule, "description", property(rule_description)),
    ):
        server.start()
        try:
            yield
        finally:
            server.stop()


def keep_security_groups(initialise: Callable[..., None]) -> Callable[..., None]:
    """Wrap an instance's constructor: it keeps its interface's security groups. moto 5.2 loses those given by id."""

    def initialised(self: Any, *arguments: Any, **options: Any) -> None:
        initialise(self, *arguments, **options)
        self.security_groups = self.security_groups or list(self.nics[0].group_set)

    return initialised


def rule_description(rule: Any) -> str | None:
    """Return a rule's description. moto 5.2 loses it if the rule's source is a group."""
    return rule.ip_range.get("Description") or rule.source_group.get("Description")  # type: ignore[no-any-return]


def free_addresses(terminate: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap an instance's termination: its private addresses become free. moto 5.2 keeps them reserved."""

    def terminated(self: Any) -> Any:
        subnet = self.ec2_backend.get_subnet(self.subnet_id)
        for address in self._private_ips:
            subnet.del_subnet_ip(address)
        return terminate(self)

    return terminated


def client(service: str, port: int) -> Any:
    """Return a client of the API at `port`."""
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name=REGION,
        config=Config(proxies={}),
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )
