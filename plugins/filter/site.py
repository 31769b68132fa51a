"""Reports what a run of site.yml left to do, and finds the units that its roles run on a host."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from plugins.action.fleet_check_inventory import OPTIONAL_GROUPS

# Facts in which roles leave a sentence about work that they postponed.
POSTPONED = ("base_postponed", "grafana_skipped_reason", "etcd_postponed", "postgres_postponed", "redis_postponed")
UNITS = "/etc/systemd/system/"
# For each tier a file that only its role writes, and its units in the order in which they stop. The roles of etcd and
# Redis stop their units themselves, because they also leave a quorum.
TIER_UNITS = {
    "loadbalancers": (
        "nginx.service.d",
        [
            "keepalived.service",
            "site-certificate.timer",
            "nginx.service",
            "nginx-errors.socket",
            "nginx-errors.service",
            "prometheus-nginx-exporter.service",
        ],
    ),
    "app": ("app.service", ["app.socket", "app.service"]),
    "workers": ("celery-worker.service", ["celery-beat.service", "celery-worker.service"]),
    "app workers": ("haproxy.service.d", ["haproxy.service"]),  # for both, so it stays until a host has left both
    "postgres": (
        "patroni.service.d",
        [
            "patroni.service",
            "clients-in-sight.service",
            "etcd-leader-elsewhere.timer",
            "lost-slot.timer",
            "backup-heartbeat.timer",
            # Role pgbackrest starts it again on a host that keeps a repository.
            "pgbackrest.service",
            "prometheus-postgres-exporter.service",
        ],
    ),
    "monitoring": (
        "prometheus.service.d",
        [
            "grafana-server.service",
            "prometheus-alertmanager.service",
            "prometheus.service",
            "prometheus-blackbox-exporter.service",
        ],
    ),
}


def site_report(hosts: Sequence[Mapping[str, Any]], missing: Sequence[str], silent: Mapping[str, str]) -> list[str]:
    """Report the work that a run left, in sentences; empty if there is none.

    Args:
        hosts: Variables of the hosts that finished the run.
        missing: Names of the hosts that did not finish it.
        silent: For each host that does not answer, a sentence that begins with its name.
    """
    left = dict.fromkeys(host.get(fact, "") for host in hosts for fact in POSTPONED)
    lines = [sentence for sentence in left if sentence]
    if missing:
        reasons = [silent.get(name, f"{name} failed, see its error above") for name in sorted(missing)]
        finish = f"ansible-playbook site.yml --limit {','.join(sorted(missing))}"
        lines.append(
            f"Not finished: {'; '.join(reasons)}. All other hosts are converged; `make status` shows what is missing. "
            f"Start or repair the missing hosts, then run `{finish}`. "
            "Replace a host that is lost for good with playbooks/replace.yml."
        )
    return lines


def written_units(paths: Iterable[str], services: Iterable[str]) -> list[str]:
    """The units of a host that roles have written a file or a drop-in for.

    Args:
        paths: Files below /etc/systemd/system that roles wrote.
        services: All services of the host, among them the instances of template units.
    """
    names = {path.removeprefix(UNITS).split("/")[0].removesuffix(".d") for path in paths}
    instances = {service for service in services if re.sub("@[^.]+", "@", service) in names}
    return sorted({name for name in names if "@." not in name} | instances)


def left_tiers(groups: Iterable[str]) -> list[tuple[str, list[str]]]:
    """The entries of TIER_UNITS of which a host is in no group."""
    return [entry for names, entry in TIER_UNITS.items() if not {*names.split()} & {*groups}]


def tier_files(groups: Iterable[str]) -> list[str]:
    """The names of the files that show which units a host has of tiers that it is not in."""
    return [name for mark, units in left_tiers(groups) for name in [mark, *units]]


def former_units(paths: Iterable[str], groups: Iterable[str]) -> list[str]:
    """The units of the tiers that a host has left, in the order in which they stop.

    Args:
        paths: The files of `tier_files` that the host has.
        groups: The groups of the host.
    """
    found = {path.rpartition("/")[2] for path in paths}
    return [unit for mark, units in left_tiers(groups) if mark in found for unit in units if unit in found]


def emptied_groups(groups: Mapping[str, Sequence[str]], removed: Sequence[str]) -> list[str]:
    """The tiers that would have no host without the removed ones."""
    return sorted(tier for tier in OPTIONAL_GROUPS if groups.get(tier) and not set(groups[tier]) - set(removed))


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {
            "site_report": site_report,
            "written_units": written_units,
            "emptied_groups": emptied_groups,
            "tier_files": tier_files,
            "former_units": former_units,
        }
