"""The running fleet of the scenario `aws` for tests."""

from tests.support.cloud import instances
from tests.support.cloud.fleet import VPC, CloudFleet, known
from tests.support.live.fleet import LiveFleet


class LiveCloud(LiveFleet):
    """A fleet behind the replacement of the network load balancer."""

    def __init__(self, fleet: CloudFleet) -> None:
        super().__init__(fleet)
        self.cloud = fleet

    @property
    def vip(self) -> str:
        """The load balancer's address: this machine's address in the VPC's network."""
        return str(VPC[1])

    def name_of(self, host: str) -> str:
        """Return a host's own name, which X-Served-By shows: the id of its instance."""
        return self.run(self.hosts[host], "hostname").stdout.strip()

    def instances(self) -> list[instances.Instance]:
        """Return all instances that are not terminated."""
        return [instance for instance in known() if instance.state not in instances.GONE]
