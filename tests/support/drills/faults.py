"""The faults of the drills. Each is a context that breaks something and heals it on exit."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

from tests.support.drills.playbooks import play
from tests.support.live.fleet import LiveFleet
from tools.fleet.context import Host
from tools.fleet.up import apply, wait_for_hosts

# A separate table, so that the fault never changes the firewall's own rules and is healed by removing the table.
CUT = """
table inet drill {{
    chain input {{ type filter hook input priority -10; policy accept; iif lo accept; {input}; }}
    chain output {{ type filter hook output priority -10; policy accept; oif lo accept; {output}; }}
}}
"""


def engine(fleet: LiveFleet, *arguments: str) -> None:
    """Run the container engine. Fail with its error message."""
    result = fleet.fleet.engine(*arguments)
    assert result.returncode == 0, f"{' '.join(arguments)}: {result.stderr}"


def container(fleet: LiveFleet, host: Host) -> str:
    """Return the name of a host's container."""
    return f"{fleet.fleet.name}-{host.name}"


def everywhere(hosts: Sequence[Host], work: Callable[[Host], object]) -> None:
    """Call a function for several hosts at the same time."""
    with ThreadPoolExecutor(len(hosts)) as pool:
        list(pool.map(work, hosts))


@contextmanager
def command_run(fleet: LiveFleet, hosts: Sequence[Host], command: str, given: str = "") -> Iterator[None]:
    """Run a command on hosts. They must repair the damage by themselves."""
    everywhere(hosts, lambda host: fleet.run(host, command, given=given))
    yield


@contextmanager
def playbook_run(fleet: LiveFleet, *playbook: str) -> Iterator[None]:
    """Run a playbook, as an operator would."""
    play(fleet, *playbook).succeeded()
    yield


@contextmanager
def replaced(fleet: LiveFleet, host: Host) -> Iterator[None]:
    """Destroy a host with its disk. On exit, an empty host of the same name replaces it."""
    engine(fleet, "rm", "--force", "--volumes", container(fleet, host))
    try:
        yield
    finally:
        apply(fleet.fleet)
        wait_for_hosts(fleet.fleet)
        play(fleet, "site.yml", "--limit", host.name).succeeded()


def etcd_killed(fleet: LiveFleet, leader: bool) -> AbstractContextManager[None]:
    """Kill the leader of etcd, or another member."""

    def is_leader(host: Host) -> bool:
        (status,) = fleet.json_of(host, "etcdctl endpoint status -w json")
        return bool(status["Status"]["leader"] == status["Status"]["header"]["member_id"])

    member = next(host for host in fleet.group("etcd") if is_leader(host) == leader)
    return command_run(fleet, [member], "systemctl kill -s KILL etcd")


def cache_flushed(fleet: LiveFleet) -> AbstractContextManager[None]:
    """Empty the cache at once. On a replica the command fails, but the replica follows its master."""
    flush = "read -r REDISCLI_AUTH; export REDISCLI_AUTH; redis-cli -p 6379 --user admin flushall"
    return command_run(fleet, fleet.group("redis"), flush, f"{fleet.secrets['redis_admin_password']}\n")


@contextmanager
def undone(do: Callable[[], object], undo: Callable[[], object]) -> Iterator[None]:
    """Break something. On exit, heal it."""
    do()
    try:
        yield
    finally:
        undo()


def stopped(fleet: LiveFleet, hosts: Sequence[Host], *units: str) -> AbstractContextManager[None]:
    """Stop services. On exit, start them again."""

    def systemctl(action: str) -> None:
        everywhere(hosts, lambda host: fleet.run(host, f"systemctl {action} {' '.join(units)}"))

    return undone(lambda: systemctl("stop"), lambda: systemctl("start"))


def powered_off(fleet: LiveFleet, *hosts: Host) -> AbstractContextManager[None]:
    """Cut the power of hosts. On exit, switch it on again."""
    names = [container(fleet, host) for host in hosts]
    # After `kill`, the engine would treat this as a reboot and start the host again.
    return undone(lambda: engine(fleet, "stop", "--time", "0", *names), lambda: engine(fleet, "start", *names))


def frozen(fleet: LiveFleet, host: Host) -> AbstractContextManager[None]:
    """Freeze a host, like a virtual machine that is being migrated. On exit, let it continue."""
    name = container(fleet, host)
    return undone(lambda: engine(fleet, "pause", name), lambda: engine(fleet, "unpause", name))


def postgres_frozen(fleet: LiveFleet, host: Host) -> AbstractContextManager[None]:
    """Freeze Postgres and Patroni: every process of their user. On exit, let them continue."""
    return undone(
        lambda: fleet.run(host, "pkill -STOP -u postgres"), lambda: fleet.run(host, "pkill -CONT -u postgres")
    )


def cut_off(fleet: LiveFleet, host: Host, *peers: Host) -> AbstractContextManager[None]:
    """Block the traffic between a host and `peers`, by default the whole fleet.

    This machine still reaches the host, so that the observer works.
    """
    others = [peer.address for peer in (peers or fleet.hosts.values()) if peer != host]
    names = f"{{ {', '.join([*others, fleet.vip])} }}"
    rules = CUT.format(input=f"ip saddr {names} drop", output=f"ip daddr {names} drop")
    return undone(
        lambda: fleet.run(host, f"printf '%s' '{rules}' | nft -f -"),
        lambda: fleet.run(host, "nft delete table inet drill"),
    )
