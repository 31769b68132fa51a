"""Keeps sandbox hosts and the load balancer in sync with the API."""

import ipaddress
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.support.cloud import ec2, hosts, instances, s3
from tests.support.cloud.listeners import Listener, listeners
from tests.support.cloud.load_balancer import LoadBalancer
from tools.fleet.context import echo

INTERVAL = 1.0


class Bridge:
    """Polls the API at a port and applies the differences."""

    def __init__(self, port: int, load_balancer: LoadBalancer) -> None:
        self.ec2, self.balancers, self.load_balancer = ec2.client("ec2", port), ec2.client("elbv2", port), load_balancer
        self.port, self.subnet = port, ""

    def follow(self, stopped: threading.Event) -> None:
        """Synchronize every second until `stopped`. Errors are printed and retried: incomplete resources cause them."""
        while not stopped.wait(INTERVAL):
            try:
                self.step()
            except Exception as error:
                echo(f"bridge: {type(error).__name__}: {error}")

    def step(self) -> None:
        """Synchronize once."""
        known = instances.parse(self.ec2.describe_instances()["Reservations"])
        work = instances.work(known, hosts.present())
        if work.boot and not self.subnet:
            self._make_network(work.boot[0].vpc)
        if work.remove or work.boot:
            # Two at a time: under more load the engine gets slower for all.
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(hosts.remove, work.remove))
                list(pool.map(self._boot, work.boot))
            echo(
                f"bridge: booted {', '.join(instance.id for instance in work.boot) or 'none'}, "
                f"removed {', '.join(work.remove) or 'none'}"
            )
        if self.subnet:
            addresses = {instance.id: instance.address for instance in known if instance.state == instances.RUNNING}
            self.load_balancer.serve(self._listeners(addresses))
            if all(instance.state in instances.GONE for instance in known):
                hosts.remove_network(self.subnet)
                self.subnet = ""

    def _make_network(self, vpc: str) -> None:
        subnet = self.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["CidrBlock"]
        hosts.make_network(subnet)
        self.load_balancer.address = str(ipaddress.ip_network(subnet)[1])
        s3.serve(self.load_balancer.address, self.port)
        self.subnet = subnet

    def _boot(self, instance: instances.Instance) -> None:
        answer = self.ec2.describe_key_pairs(KeyNames=[instance.key], IncludePublicKey=True)
        hosts.boot(instance, answer["KeyPairs"][0]["PublicKey"])

    def _listeners(self, addresses: dict[str, str]) -> list[Listener]:
        described = [
            listener
            for balancer in self.balancers.describe_load_balancers()["LoadBalancers"]
            for listener in self.balancers.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
        ]
        groups = self.balancers.describe_target_groups()["TargetGroups"]
        targets: dict[str, list[Any]] = {}
        for group in groups:
            arn = group["TargetGroupArn"]
            health = self.balancers.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
            targets[arn] = [target["Target"] for target in health]
        return listeners(described, groups, targets, addresses)
