"""What breaks: each fault is a context in which it lasts, and leaving the context heals it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

from tests.support.live.fleet import LiveFleet
from tools.fleet.context import Host
from tools.fleet.up import apply, wait_for_hosts

# A table of the fault's own: the firewall's is not touched, and healing is removing this one.
CUT = """
table inet drill {{
    chain input {{ type filter hook input priority -10; policy accept; iif lo accept; {input}; }}
    chain output {{ type filter hook output priority -10; policy accept; oif lo accept; {output}; }}
}}
"""


def engine(fleet: LiveFleet, *arguments: str) -> None:
    """Run the container engine; fail with what it said."""
    result = fleet.fleet.engine(*arguments)
    assert result.returncode == 0, f"{' '.join(arguments)}: {result.stderr}"


def container(fleet: LiveFleet, host: Host) -> str:
    """The container that is this host."""
    return f"{fleet.fleet.name}-{host.name}"


def everywhere(hosts: Sequence[Host], work: Callable[[Host], object]) -> None:
    """Do something to several hosts at once."""
    with ThreadPoolExecutor(len(hosts)) as pool:
        list(pool.map(work, hosts))


@contextmanager
def struck(fleet: LiveFleet, hosts: Sequence[Host], command: str) -> Iterator[None]:
    """Something that happens at once and that the hosts have to heal by themselves."""
    everywhere(hosts, lambda host: fleet.run(host, command))
    yield


@contextmanager
def played(fleet: LiveFleet, *arguments: str) -> Iterator[None]:
    """What an operator does on purpose: a playbook."""
    _play(fleet, *arguments)
    yield


@contextmanager
def replaced(fleet: LiveFleet, host: Host) -> Iterator[None]:
    """A host that is gone with its disk; an empty one of the same name takes its place."""
    engine(fleet, "rm", "--force", "--volumes", container(fleet, host))
    try:
        yield
    finally:
        apply(fleet.fleet)
        wait_for_hosts(fleet.fleet)
        _play(fleet, "site.yml", "--limit", host.name)


def _play(fleet: LiveFleet, *arguments: str) -> None:
    result = fleet.fleet.run(
        "ansible-playbook", "--inventory", f"inventories/{fleet.fleet.inventory}", *arguments, quiet=True
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-1000:]


def etcd_killed(fleet: LiveFleet, leader: bool) -> AbstractContextManager[None]:
    """SIGKILL for the etcd member that leads, or for one that follows."""

    def leads(host: Host) -> bool:
        (status,) = fleet.json_of(host, f"etcdctl --endpoints http://{host.address}:2379 endpoint status -w json")
        return bool(status["Status"]["leader"] == status["Status"]["header"]["member_id"])

    return struck(
        fleet, [next(host for host in fleet.group("etcd") if leads(host) == leader)], "systemctl kill -s KILL etcd"
    )


def cache_flushed(fleet: LiveFleet) -> AbstractContextManager[None]:
    """Everything that is cached is forgotten at once. On a replica the command fails: it gets it from its master."""
    flush = f"REDISCLI_AUTH={fleet.secrets['redis_admin_password']} redis-cli -p 6379 --user admin flushall"
    return struck(fleet, fleet.group("redis"), flush)


@contextmanager
def stopped(fleet: LiveFleet, hosts: Sequence[Host], *units: str) -> Iterator[None]:
    """Services that are away, then started again."""
    names = " ".join(units)
    everywhere(hosts, lambda host: fleet.run(host, f"systemctl stop {names}"))
    try:
        yield
    finally:
        everywhere(hosts, lambda host: fleet.run(host, f"systemctl start {names}"))


@contextmanager
def dead(fleet: LiveFleet, *hosts: Host) -> Iterator[None]:
    """Hosts that lose their power, then get it back."""
    names = [container(fleet, host) for host in hosts]
    # Of `kill` the engine would think that the host rebooted, and start it.
    engine(fleet, "stop", "--time", "0", *names)
    try:
        yield
    finally:
        engine(fleet, "start", *names)


@contextmanager
def frozen(fleet: LiveFleet, host: Host) -> Iterator[None]:
    """A host that stands still, as a virtual machine that is being moved, then goes on."""
    engine(fleet, "pause", container(fleet, host))
    try:
        yield
    finally:
        engine(fleet, "unpause", container(fleet, host))


@contextmanager
def processes_frozen(fleet: LiveFleet, host: Host, user: str) -> Iterator[None]:
    """Every process of a user stands still, then goes on."""
    fleet.run(host, f"pkill -STOP -u {user}")
    try:
        yield
    finally:
        fleet.run(host, f"pkill -CONT -u {user}")


@contextmanager
def cut_off(fleet: LiveFleet, host: Host, *peers: Host) -> Iterator[None]:
    """A host and `peers`, by default the whole fleet, that cannot reach each other. This machine still reaches it, to watch it."""
    others = [peer.address for peer in (peers or fleet.hosts.values()) if peer != host]
    names = f"{{ {', '.join([*others, fleet.vip])} }}"
    rules = CUT.format(input=f"ip saddr {names} drop", output=f"ip daddr {names} drop")
    fleet.run(host, f"printf '%s' '{rules}' | nft -f -")
    try:
        yield
    finally:
        fleet.run(host, "nft delete table inet drill")
