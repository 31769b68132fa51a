"""A maintenance under load, as a drill; and packages that a host has in an old version, some of them held."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.support.drills.drill import Drill, lasts
from tests.support.drills.runs import Run, play
from tests.support.live.fleet import LiveFleet
from tools.fleet.context import Host

if TYPE_CHECKING:
    from tests.support.drills.arena import Arena

PLAYBOOK = "playbooks/maintain.yml"
# A host has the first version of both and its archive the second one, whose installation asks for a reboot. One of them is held.
OUTDATED = """
set -eu
mkdir -p /srv/upkeep; cd /srv/upkeep
for name in upkeep-free upkeep-held; do
    for version in 1 2; do
        mkdir -p tree/DEBIAN
        printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: drills\nDescription: drill\n' $name $version >tree/DEBIAN/control
        printf '#!/bin/sh\n[ %s = 1 ] || touch /run/reboot-required\n' $version >tree/DEBIAN/postinst
        chmod 755 tree/DEBIAN/postinst
        file=${name}_$version.deb
        dpkg-deb --root-owner-group --build tree $file >/dev/null
        cat tree/DEBIAN/control >>Packages
        printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' $file $(stat -c %s $file) $(sha256sum $file | cut -d' ' -f1) >>Packages
    done
done
dpkg --install ./*_1.deb
apt-mark hold upkeep-held
echo 'deb [trusted=yes] file:/srv/upkeep ./' >/etc/apt/sources.list.d/upkeep.list
apt-get --quiet update -o Dir::Etc::sourcelist=sources.list.d/upkeep.list -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0
"""
CURRENT = "dpkg --purge upkeep-free upkeep-held; rm -rf /srv/upkeep /etc/apt/sources.list.d/upkeep.list; apt-get --quiet update"


@contextmanager
def outdated(fleet: LiveFleet, host: Host) -> Iterator[None]:
    """A host that has an upgrade to get, and one that is held."""
    try:
        fleet.run(host, OUTDATED)
        yield
    finally:
        fleet.run(host, CURRENT)


def maintain(fleet: LiveFleet, *arguments: str, **options: str) -> Run:
    """Run the playbook."""
    extra = [word for name, value in options.items() for word in ("--extra-vars", f"maintain_{name}={value}")]
    return play(fleet, PLAYBOOK, *arguments, *extra)


def boots(fleet: LiveFleet, hosts: Sequence[Host]) -> dict[str, int]:
    """When each host was booted, in ticks of the machine."""
    return {host.name: int(fleet.run(host, "cut -d' ' -f22 /proc/1/stat").stdout) for host in hosts}


@contextmanager
def every_host_maintained(arena: Arena) -> Iterator[None]:
    """All hosts are upgraded and rebooted one after another, those that lead last."""
    hosts = list(arena.fleet.hosts.values())
    before, led = boots(arena.fleet, hosts), {name for names in arena.led_before.values() for name in names}
    done = maintain(arena.fleet, reboot="always")
    assert done.code == 0, done.output[-3000:]
    after = boots(arena.fleet, hosts)
    assert all(after[name] > before[name] for name in before), f"not rebooted: {before} → {after}"
    order = sorted(after, key=after.__getitem__)
    assert set(order[-len(led) :]) == led, f"{', '.join(order)}, and {', '.join(sorted(led))} led"
    yield


# While Postgres hands over, for a second and a half, writes are refused; while the store does, whoever is logged in.
HANDED_OVER = {"read": 0.0, "write": 0.01, "session": 0.01}
MAINTENANCE = Drill(
    "every-host-maintained", every_host_maintained, lasts(1), write_gap=3, read_gap=1.5, failed=HANDED_OVER
)
