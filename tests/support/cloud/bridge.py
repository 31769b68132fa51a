"""Keeps hosts and front door in step with what the API says, for as long as it runs."""

from __future__ import annotations

import ipaddress
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.support.cloud import ec2, hosts, instances
from tests.support.cloud.balancers import Listener, listeners
from tests.support.cloud.door import Door
from tools.fleet.context import echo

EVERY = 1.0


class Bridge:
    """Follows the API at a port."""

    def __init__(self, port: int, door: Door) -> None:
        self.ec2, self.balancers, self.door = ec2.client("ec2", port), ec2.client("elbv2", port), door
        self.subnet = ""

    def follow(self, over: threading.Event) -> None:
        """Do every second what is to be done, until `over`. A failure is told, and tried again: half-made resources have no answer."""
        while not over.wait(EVERY):
            try:
                self.step()
            except Exception as error:
                echo(f"bridge: {type(error).__name__}: {error}")

    def step(self) -> None:
        """Look once, and do what is to be done."""
        known = instances.parse(self.ec2.describe_instances()["Reservations"])
        work = instances.work(known, hosts.present())
        if work.boot and not self.subnet:
            self._make_network(work.boot[0].vpc)
        if work.remove or work.boot:
            # Two at a time: an engine under more load than that is slower for all.
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(hosts.remove, work.remove))
                list(pool.map(self._boot, work.boot))
            echo(
                f"bridge: booted {', '.join(i.id for i in work.boot) or 'none'}, removed {', '.join(work.remove) or 'none'}"
            )
        if self.subnet:
            addresses = {instance.id: instance.address for instance in known if instance.state == instances.RUNNING}
            self.door.serve(self._listeners(addresses))
            if not any(instance.state not in instances.GONE for instance in known):
                hosts.remove_network(self.subnet)
                self.subnet = ""

    def _make_network(self, vpc: str) -> None:
        subnet = self.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["CidrBlock"]
        hosts.make_network(subnet)
        self.door.open_at(str(ipaddress.ip_network(subnet)[1]))
        self.subnet = subnet

    def _boot(self, instance: instances.Instance) -> None:
        answer = self.ec2.describe_key_pairs(KeyNames=[instance.key], IncludePublicKey=True)
        hosts.boot(instance, answer["KeyPairs"][0]["PublicKey"])

    def _listeners(self, addresses: dict[str, str]) -> list[Listener]:
        asked: dict[str, Any] = {
            "listeners": [],
            "groups": self.balancers.describe_target_groups()["TargetGroups"],
            "targets": {},
        }
        for balancer in self.balancers.describe_load_balancers()["LoadBalancers"]:
            asked["listeners"] += self.balancers.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])[
                "Listeners"
            ]
        for group in asked["groups"]:
            arn = group["TargetGroupArn"]
            health = self.balancers.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
            asked["targets"][arn] = [target["Target"] for target in health]
        return listeners(asked["listeners"], asked["groups"], asked["targets"], addresses)
