import pytest

from tests.support.cloud.instances import Instance, Work, parse, work


def instance(id_: str, state: str = "running") -> Instance:
    return Instance(id_, "10.0.0.7", "fleet", "vpc-1", state)


def test_an_instance_is_parsed_from_the_apis_answer() -> None:
    described = {
        "InstanceId": "i-1",
        "PrivateIpAddress": "10.0.0.7",
        "KeyName": "fleet",
        "VpcId": "vpc-1",
        "State": {"Name": "running", "Code": 16},
    }
    assert parse([{"Instances": [described]}, {"Instances": []}]) == [instance("i-1")]


def test_a_terminated_instance_without_an_address_is_parsed() -> None:
    (gone,) = parse([{"Instances": [{"InstanceId": "i-1", "State": {"Name": "terminated"}}]}])
    assert (gone.address, gone.state) == ("", "terminated")


def test_a_running_instance_without_a_host_is_booted() -> None:
    assert work([instance("i-1"), instance("i-2")], ["i-1"]) == Work(boot=(instance("i-2"),), remove=())


@pytest.mark.parametrize("state", ["shutting-down", "terminated"])
def test_the_host_of_a_terminated_instance_is_removed(state: str) -> None:
    assert work([instance("i-1", state)], ["i-1"]) == Work(boot=(), remove=("i-1",))


def test_a_host_without_an_instance_is_removed() -> None:
    assert work([], ["i-left-over"]) == Work(boot=(), remove=("i-left-over",))


@pytest.mark.parametrize("state", ["pending", "stopping", "stopped"])
def test_an_instance_that_does_not_run_keeps_its_host_but_gets_no_new_one(state: str) -> None:
    assert work([instance("i-1", state), instance("i-2", state)], ["i-1"]) == Work(boot=(), remove=())
