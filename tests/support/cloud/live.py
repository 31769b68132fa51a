"""The running fleet of the scenario `aws` as tests see it."""

from __future__ import annotations

from tests.support.cloud import instances
from tests.support.cloud.fleet import VPC, CloudFleet, known
from tests.support.live.fleet import LiveFleet


class LiveCloud(LiveFleet):
    """Its front door is the network load balancer's stand-in, at this machine's address on the VPC's network."""

    def __init__(self, fleet: CloudFleet) -> None:
        super().__init__(fleet)
        self.cloud = fleet

    @property
    def vip(self) -> str:
        """Where readers come in."""
        return str(VPC[1])

    def name_of(self, host: str) -> str:
        """What a host of the inventory calls itself, and X-Served-By calls it: its instance's id."""
        return self.run(self.hosts[host], "hostname").stdout.strip()

    def instances(self) -> list[instances.Instance]:
        """Every instance that EC2 has and has not terminated."""
        return [instance for instance in known() if instance.state not in instances.GONE]
