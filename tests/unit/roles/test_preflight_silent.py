"""The preflight's decision whether a run can go on without hosts that do not answer."""

import pytest

from plugins.action import fleet_check_hosts as check
from plugins.silent import too_many_silent

GROUPS = {
    "etcd": ["db1", "db2", "mon1"],
    "sentinel": ["cache1", "cache2", "mon1"],
    "postgres": ["db1", "db2"],
    "redis": ["cache1", "cache2"],
    "app": ["app1"],
    "monitoring": ["mon1"],
}
HOSTS = ["app1", "db1", "db2", "cache1", "cache2", "mon1"]


def silent(*hosts: str) -> dict[str, str]:
    return {host: check.unreachable(check.Answer(host, "10.0.0.11", error="Connection timed out")) for host in hosts}


@pytest.mark.parametrize("hosts", [[], ["app1"], ["mon1"], ["db1"], ["db2", "cache1", "app1"]], ids="-".join)
def test_a_run_continues_without_hosts_that_the_fleet_does_not_need(hosts: list[str]) -> None:
    assert too_many_silent(silent(*hosts), HOSTS, GROUPS) == []


@pytest.mark.parametrize(
    ("hosts", "message"),
    [
        (
            ["db1", "mon1"],
            "Group etcd has no majority without db1, mon1; start them first, or continue without them with -e ",
        ),
        (["db1", "db2"], "Group postgres has no host that answers without db1, db2; start them first"),
        (["cache1", "cache2"], "Group redis has no host that answers without cache1, cache2"),
    ],
)
def test_a_run_that_cannot_succeed_is_refused(hosts: list[str], message: str) -> None:
    sentences = too_many_silent(silent(*hosts), HOSTS, GROUPS)
    assert sentences[: len(hosts)] == [
        f"{host} (ansible_host = 10.0.0.11) does not answer over SSH: Connection timed out." for host in hosts
    ]
    assert any(sentence.startswith(message) for sentence in sentences)


def test_the_only_host_of_a_group_is_not_plural() -> None:
    sentences = too_many_silent(silent("db1"), ["db1", "app1"], {"postgres": ["db1"], "app": ["app1"]})
    assert sentences[-1] == (
        "Group postgres has no host that answers without db1; start it first, or continue without it with -e "
        "preflight_allow_unreachable=true."
    )


@pytest.mark.parametrize(
    ("hosts", "others"),
    [
        (["app1"], "It is the only host of this run. Start it (if `make up` created it"),
        (["db1", "app1"], "Nor does the other host of this run. Start them (if `make up` created them"),
        (["db1", "db2", "app1"], "Nor does any of the other 2 hosts of this run. Start them"),
    ],
)
def test_a_run_without_any_host_is_refused_with_one_message(hosts: list[str], others: str) -> None:
    (sentence,) = too_many_silent(silent(*hosts), hosts, {"postgres": ["db1"]})
    reason = "(ansible_host = 10.0.0.11) does not answer over SSH: Connection timed out"
    assert sentence.startswith(f"{hosts[0]} {reason}. {others}")
    assert f"`bin/fleet ssh {hosts[0]}` shows what is in the way" in sentence
