"""The bridge at moto's API, with simulated hosts."""

from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import pytest

from tests.support.cloud import ec2, hosts, s3
from tests.support.cloud.bridge import Bridge
from tests.support.cloud.instances import Instance
from tests.support.cloud.listeners import Target
from tests.support.cloud.load_balancer import LoadBalancer
from tests.support.sockets import free_port

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHYbMPDl1FcQuS8ZjpnsCk4cyQvLqvNTdxoZpKeVB1Zk"


class Engine:
    """Simulates containers and their network."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.network = ""
        self.hosts: dict[str, tuple[str, str]] = {}
        monkeypatch.setattr(hosts, "present", lambda: list(self.hosts))
        monkeypatch.setattr(hosts, "make_network", lambda subnet: setattr(self, "network", subnet))
        monkeypatch.setattr(hosts, "remove_network", lambda _: setattr(self, "network", ""))
        monkeypatch.setattr(hosts, "boot", self.boot)
        monkeypatch.setattr(hosts, "remove", self.hosts.pop)
        monkeypatch.setattr(s3, "serve", lambda *_: None)

    def boot(self, instance: Instance, public_key: str) -> None:
        self.hosts[instance.id] = (instance.address, public_key)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    port = free_port()
    with ec2.serving(port):
        yield port


@pytest.fixture
def api(port: int) -> Any:
    """A client of the API."""
    return ec2.client("ec2", port)


def network(api: Any, number: int) -> tuple[str, str]:
    """Create a VPC with a subnet. Return their ids."""
    vpc = api.create_vpc(CidrBlock=f"10.{number}.0.0/24")["Vpc"]["VpcId"]
    return vpc, api.create_subnet(VpcId=vpc, CidrBlock=f"10.{number}.0.0/25")["Subnet"]["SubnetId"]


def image(api: Any) -> str:
    """Return the id of Debian's image."""
    return str(api.describe_images(Owners=["136693071363"])["Images"][0]["ImageId"])


def launch(api: Any, addresses: list[str]) -> list[str]:
    """Start an instance at each address of a new VPC. Return their ids."""
    _, subnet = network(api, 50)
    api.import_key_pair(KeyName="fleet", PublicKeyMaterial=KEY.encode())
    common = {"ImageId": image(api), "SubnetId": subnet, "KeyName": "fleet", "MinCount": 1, "MaxCount": 1}
    return [
        api.run_instances(**common, PrivateIpAddress=address)["Instances"][0]["InstanceId"] for address in addresses
    ]


def test_hosts_follow_instances_from_launch_to_termination(
    port: int, api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    balancers, load_balancer, engine = ec2.client("elbv2", port), Mock(LoadBalancer), Engine(monkeypatch)
    bridge = Bridge(port, load_balancer)
    bridge.step()
    assert (engine.network, engine.hosts) == ("", {})

    first, second = launch(api, ["10.50.0.11", "10.50.0.12"])
    bridge.step()
    assert engine.network == "10.50.0.0/24"
    assert load_balancer.address == "10.50.0.1"
    assert {id_: address for id_, (address, _) in engine.hosts.items()} == {first: "10.50.0.11", second: "10.50.0.12"}
    assert all(key.strip() == KEY for _, key in engine.hosts.values())

    (subnet,) = api.describe_subnets(Filters=[{"Name": "cidr-block", "Values": ["10.50.0.0/25"]}])["Subnets"]
    created = balancers.create_load_balancer(Name="entry", Type="network", Subnets=[subnet["SubnetId"]])
    listening = {"Protocol": "TCP", "Port": 443}
    check = {"HealthCheckProtocol": "HTTP", "HealthCheckPort": "80", "HealthCheckPath": "/lb-health"}
    groups = balancers.create_target_group(Name="https", VpcId=subnet["VpcId"], **listening, **check)
    group = {"TargetGroupArn": groups["TargetGroups"][0]["TargetGroupArn"]}
    balancers.register_targets(**group, Targets=[{"Id": first}, {"Id": second}])
    balancers.create_listener(
        LoadBalancerArn=created["LoadBalancers"][0]["LoadBalancerArn"],
        DefaultActions=[{"Type": "forward"} | group],
        **listening,
    )
    bridge.step()
    (listener,) = load_balancer.serve.call_args.args[0]
    assert (listener.port, listener.targets) == (443, {Target("10.50.0.11", 443), Target("10.50.0.12", 443)})

    api.terminate_instances(InstanceIds=[second])
    bridge.step()
    assert list(engine.hosts) == [first]
    assert load_balancer.serve.call_args.args[0][0].targets == {Target("10.50.0.11", 443)}

    api.terminate_instances(InstanceIds=[first])
    bridge.step()
    assert (engine.network, engine.hosts) == ("", {})


def test_an_instance_keeps_the_security_groups_of_its_interface(api: Any) -> None:
    vpc, subnet = network(api, 51)
    group = api.create_security_group(GroupName="app", Description="app", VpcId=vpc)["GroupId"]
    interface = {"DeviceIndex": 0, "SubnetId": subnet, "Groups": [group]}
    run = api.run_instances(ImageId=image(api), MinCount=1, MaxCount=1, NetworkInterfaces=[interface])
    described = api.describe_instances(InstanceIds=[run["Instances"][0]["InstanceId"]])["Reservations"][0]
    assert [known["GroupId"] for known in described["Instances"][0]["SecurityGroups"]] == [group]


def test_the_address_of_a_terminated_instance_is_free(api: Any) -> None:
    _, subnet = network(api, 52)
    wanted = {"ImageId": image(api), "SubnetId": subnet, "MinCount": 1, "MaxCount": 1, "PrivateIpAddress": "10.52.0.23"}
    first = api.run_instances(**wanted)["Instances"][0]
    api.terminate_instances(InstanceIds=[first["InstanceId"]])
    assert api.run_instances(**wanted)["Instances"][0]["PrivateIpAddress"] == "10.52.0.23"


def test_a_rule_for_a_group_keeps_its_description(api: Any) -> None:
    vpc, _ = network(api, 53)
    group = api.create_security_group(GroupName="db", Description="db", VpcId=vpc)["GroupId"]
    peers = [{"GroupId": group, "Description": "postgres"}]
    permission = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "UserIdGroupPairs": peers}
    api.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
    filters = [{"Name": "group-id", "Values": [group]}]
    rules = api.describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
    assert [rule["Description"] for rule in rules if not rule["IsEgress"]] == ["postgres"]
