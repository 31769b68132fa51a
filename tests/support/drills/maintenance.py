"""The maintenance of all hosts under load, as a drill; and test packages in an old version, one of them held."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.support.drills.changes import operation
from tests.support.drills.playbooks import Run, play
from tests.support.drills.runner import DrillRunner
from tests.support.live.fleet import LiveFleet
from tools.fleet.context import Host

PLAYBOOK = "playbooks/maintain.yml"
# The host has version 1 of both packages, and its archive has version 2, which requests a reboot. One package is held.
OUTDATED = """
set -eu
mkdir -p /srv/upkeep; cd /srv/upkeep
for name in upkeep-free upkeep-held; do
    for version in 1 2; do
        mkdir -p tree/DEBIAN
        printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: drills\nDescription: drill\n' \\
            $name $version >tree/DEBIAN/control
        printf '#!/bin/sh\n[ %s = 1 ] || touch /run/reboot-required\n' $version >tree/DEBIAN/postinst
        chmod 755 tree/DEBIAN/postinst
        file=${name}_$version.deb
        dpkg-deb --root-owner-group --build tree $file >/dev/null
        cat tree/DEBIAN/control >>Packages
        printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' \\
            $file $(stat -c %s $file) $(sha256sum $file | cut -d' ' -f1) >>Packages
    done
done
dpkg --install ./*_1.deb
apt-mark hold upkeep-held
echo 'deb [trusted=yes] file:/srv/upkeep ./' >/etc/apt/sources.list.d/upkeep.list
apt-get --quiet update -o Dir::Etc::sourcelist=sources.list.d/upkeep.list -o Dir::Etc::sourceparts=- \\
    -o APT::Get::List-Cleanup=0
"""
CLEAN_UP = (
    "dpkg --purge upkeep-free upkeep-held; rm -rf /srv/upkeep /etc/apt/sources.list.d/upkeep.list; "
    "apt-get --quiet update"
)


@contextmanager
def outdated(fleet: LiveFleet, host: Host) -> Iterator[None]:
    """Give a host one outdated package, and one that is outdated and held."""
    try:
        fleet.run(host, OUTDATED)
        yield
    finally:
        fleet.run(host, CLEAN_UP)


def maintain(fleet: LiveFleet, *arguments: str, **options: str) -> Run:
    """Run the maintenance playbook."""
    extra = [word for name, value in options.items() for word in ("--extra-vars", f"maintain_{name}={value}")]
    return play(fleet, PLAYBOOK, *arguments, *extra)


def boots(fleet: LiveFleet, hosts: Sequence[Host]) -> dict[str, int]:
    """Return the boot time of each host, in clock ticks of this machine."""
    return {host.name: int(fleet.run(host, "cut -d' ' -f22 /proc/1/stat").stdout) for host in hosts}


@contextmanager
def every_host_maintained(runner: DrillRunner) -> Iterator[None]:
    """Upgrade and reboot all hosts one after another, leaders last."""
    hosts = list(runner.fleet.hosts.values())
    before, led = boots(runner.fleet, hosts), {name for names in runner.leaders_before.values() for name in names}
    maintain(runner.fleet, reboot="always").succeeded()
    after = boots(runner.fleet, hosts)
    assert all(after[name] > before[name] for name in before), f"not rebooted: {before} → {after}"
    order = sorted(after, key=after.__getitem__)
    assert set(order[-len(led) :]) == led, f"order: {', '.join(order)}; leaders: {', '.join(sorted(led))}"
    yield


# During the switchover of Postgres, writes are refused for 1.5 s; during that of the store, requests with a session.
FAILED_DURING_SWITCHOVER = {"read": 0.0, "write": 0.01, "session": 0.01}
MAINTENANCE = operation("every-host-maintained", every_host_maintained, write_gap=3, failed=FAILED_DURING_SWITCHOVER)
