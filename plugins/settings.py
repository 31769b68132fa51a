"""Variables that several parts of a fleet depend on. Each one moves all of its dependents, or a change is refused."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

# Variable → the variables that follow it in a run of site.yml. Only runs with the same value keep them in agreement, so
# those of ONLY_IN_INVENTORY are refused on the command line (-e).
FOLLOWERS = {
    "fleet_domain": (
        "alertmanager_email_from",
        "app_domain",
        "app_environment",
        "app_mail_from",
        "app_site_url",
        "nginx_acme_names",
        "nginx_server_name",
        "prometheus_probes",
        "secrets_domain",
    ),
    "fleet_vip": (
        "base_firewall_rules",
        "fleet_entry",
        "keepalived_router_id",
        "keepalived_vip",
        "nginx_maintenance_exempt",
        "nginx_vip",
        "prometheus_probes",
        "secrets_address",
    ),
    "fleet_admin_networks": ("base_firewall_rules", "nginx_maintenance_exempt"),
    "fleet_extra_ports": ("base_firewall_rules",),
    "fleet_ports": ("app_denied_ports", "base_firewall_rules"),
    "fleet_timezone": ("base_timezone",),
    "fleet_name": (),
    "nginx_acme_ca": ("prometheus_probe_ca",),
    "nginx_acme_email": ("prometheus_probe_system_cas",),
    "nginx_static_source": (),
    # Only preflight uses it, to check fleet_vip.
    "fleet_subnet": (),
    "app_celery_app": (
        "app_worker_members",
        "celery_app",
        "celery_beat_host",
        "prometheus_rule_files_left_out",
        "prometheus_scrape_jobs",
    ),
    "app_health_path": ("nginx_private_paths", "nginx_upstream_health_path", "prometheus_probes"),
    "app_max_upload_mb": ("nginx_client_max_body_size",),
    "app_persistent_dirs": ("app_linked_folders", "app_writable_paths", "fleet_linked_dirs"),
    "app_port": (
        "base_firewall_rules",
        "fleet_ports",
        "haproxy_app_server",
        "nginx_upstream_port",
    ),
    "app_database_driver": (
        "app_database_migration_url",
        "app_database_replica_url",
        "app_database_url",
        "fleet_database_hosts",
        "fleet_database_of_primary",
        "fleet_database_of_replica",
        "fleet_database_primary",
        "fleet_database_scheme",
        "fleet_database_standby",
    ),
    "app_database_owner": ("app_database_replica_url", "app_database_url", "fleet_database_login"),
    "app_database_via": (
        "app_database_migration_url",
        "app_database_replica_url",
        "app_database_url",
        "fleet_database_of_primary",
        "fleet_database_of_replica",
        "haproxy_postgres_members",
    ),
    "app_mail_from": ("app_environment",),
    "app_mail_url": ("app_environment",),
    "app_metrics_path": ("nginx_private_paths", "prometheus_scrape_jobs"),
    "app_processes": ("processes_here",),
    "app_queues": ("prometheus_scrape_jobs", "redis_queues"),
    # The hosts of the group workers have them.
    "app_timers": (),
    "app_shared_mount": ("fleet_files",),
    "app_user": (),
    "app_user_id": (),
    "app_writable_dirs": ("app_linked_folders", "app_writable_paths"),
    "celery_metrics_port": ("prometheus_rule_files_left_out", "prometheus_scrape_jobs"),
    "haproxy_cache_port": ("app_cache_url",),
    "haproxy_store_port": ("app_celery_result_url", "app_redis_url"),
    "haproxy_postgres_primary_port": (),
    "haproxy_postgres_replica_port": (),
    "pgbackrest_repositories": (
        "fleet_backed_up",
        "postgres_archive_command",
        "postgres_replica_command",
        "postgres_restore_command",
        "prometheus_rule_files_left_out",
    ),
    "postgres_app_user": ("app_database_replica_url", "app_database_url", "fleet_database_login"),
    "postgres_database": (
        "app_database_migration_url",
        "app_database_replica_url",
        "app_database_url",
        "fleet_database_of_primary",
        "fleet_database_of_replica",
    ),
    # With app_database_owner also those of postgres_app_user.
    "postgres_owner_user": ("app_database_migration_url",),
}
ONLY_IN_INVENTORY = ("fleet_domain", "fleet_vip", "app_port")
# The port of a role → the entry of fleet_ports that opens it. Firewalls, security groups, nginx and Prometheus use the
# numbers of inventories/shared/ports.yml. That of the application is app_port.
PORTS = {
    "alertmanager_peer_port": "alertmanager-peer",
    "alertmanager_port": "alertmanager",
    "base_node_exporter_port": "node-exporter",
    "celery_metrics_port": "celery-metrics",
    "grafana_port": "grafana",
    "keepalived_check_port": "http",
    "nginx_exporter_port": "nginx-exporter",
    "haproxy_metrics_port": "haproxy-metrics",
    "haproxy_app_tls_port": "app-tls",
    "nginx_upstream_port": "app",
    "nginx_upstream_tls_port": "app-tls",
    "pgbackrest_port": "pgbackrest",
    "prometheus_port": "prometheus",
}
# 0 switches the service off.
MAY_BE_OFF = ("celery_metrics_port", "nginx_upstream_tls_port")
# An sshd may listen on another port.
FREE_PORTS = ("ssh",)
# Variables that name data. Role postgres records them (__postgres_identity), because a new value would begin with an
# empty database, or with tables that the application may not use.
KEPT = (
    "postgres_app_user",
    "postgres_cluster_name",
    "postgres_database",
    "postgres_owner_user",
    "postgres_version",
)
# Groups whose hosts know each other by fleet_address in their own data.
KNOWN_BY_ADDRESS = ("etcd", "postgres", "redis", "sentinel")


def matrix(root: Path, app_port: int) -> dict[str, int]:
    """The port of each entry of inventories/shared/ports.yml."""
    ports = yaml.safe_load((root / "inventories" / "shared" / "ports.yml").read_text())["fleet_ports"]
    return {entry["name"]: app_port if entry["name"] == "app" else entry["port"] for entry in ports if "port" in entry}


def role_ports(root: Path) -> dict[str, Any]:
    """The defaults of all roles' ports."""
    files = [yaml.safe_load(path.read_text()) or {} for path in root.glob("roles/*/defaults/main.yml")]
    return {name: port for values in files for name, port in values.items() if name.endswith("_port")}


def kept_defaults(root: str | Path) -> dict[str, Any]:
    """The defaults of KEPT that contain no template."""
    defaults = yaml.safe_load(Path(root, "roles/postgres/defaults/main.yml").read_text())
    return {name: defaults[name] for name in KEPT if name in defaults and "{{" not in str(defaults[name])}


def given_for_one_run(extra: Mapping[str, Any], file: Path) -> list[str]:
    """A sentence for each variable on the command line that later runs need as well."""
    return [
        f"{name} = {extra[name]} is given with -e, but {', '.join(FOLLOWERS[name])} need it in later runs, too; set it "
        f"in {file}, or where the inventory gets it from (hosts.yml, Terraform)."
        for name in ONLY_IN_INVENTORY
        if name in extra
    ]


def wrong_role_ports(values: Mapping[str, Any], ports: Mapping[str, int]) -> list[str]:
    """A sentence for each port of a role that the rest of the fleet does not know."""
    return [
        f"{name} = {values[name]} is not supported: firewalls, nginx and Prometheus use port {ports[entry]} (entry "
        f"{entry} of inventories/shared/ports.yml); remove {name}."
        for name, entry in PORTS.items()
        # Not a port: a check of types reports app_port.
        if name in values
        and ports[entry]
        and str(values[name]) not in (str(ports[entry]), "0" if name in MAY_BE_OFF else "")
    ]


def taken_app_port(ports: Mapping[str, int], own: Mapping[str, int]) -> list[str]:
    """A sentence if another service has the application's port.

    Args:
        ports: The port matrix.
        own: The ports of role variables.
    """
    others = {f"entry {name} of inventories/shared/ports.yml": port for name, port in ports.items() if name != "app"}
    others |= {name: port for name, port in own.items() if name not in PORTS and name != "app_port"}
    return [
        f"app_port = {port} is taken by {name}; choose another port, such as 8000."
        for name, port in others.items()
        if port == ports["app"]
    ][:1]


def wrong_matrix_ports(fleet_ports: Any, ports: Mapping[str, int]) -> list[str]:
    """A sentence for each entry of an inventory's own fleet_ports whose port no role uses."""
    entries = fleet_ports if isinstance(fleet_ports, list) else []
    found = {entry.get("name"): entry.get("port") for entry in entries if isinstance(entry, dict)}
    return [
        f"fleet_ports, entry {name}: port = {found[name]} is not supported, because its service uses port {port}; set "
        f"{port}, or open another port with fleet_extra_ports."
        for name, port in ports.items()
        if name in found and name not in FREE_PORTS and found[name] != port
    ]


def other_data(host: str, recorded: Mapping[str, Any], values: Mapping[str, Any]) -> list[str]:
    """A sentence for each variable that names other data than the host has."""
    return [
        f"{name} = {values[name]}, but {host} was set up with {recorded[name]}, and its data do not move; set {name}: "
        f"{recorded[name]} in group_vars/all/main.yml."
        for name in KEPT
        if name in recorded and name in values and str(recorded[name]) != str(values[name])
    ]


def other_address(host: str, recorded: str, address: str) -> list[str]:
    """A sentence if a host with data was set up with another address."""
    failure = (
        f"{host}: fleet_address = {address}, but {host} was set up with {recorded}, by which the other hosts of its "
        f"tiers know it; give it {recorded} back, or add an empty host of another name and remove {host}."
    )
    return [] if recorded in ("", address) else [failure]


def moved_data(
    records: Mapping[str, Mapping[str, str]],
    addresses: Mapping[str, str],
    groups: Mapping[str, Sequence[str]],
    values: Mapping[str, Any],
) -> list[str]:
    """A sentence for each variable that does not fit the data of a host.

    Args:
        records: For each host the records in its answer.
        addresses: Each host's fleet_address, if it has one.
        groups: The inventory's groups.
        values: The variables of KEPT.
    """
    failures = []
    for host, fields in records.items():
        failures += other_data(host, json.loads(fields.get("IDENTITY") or "{}"), values)
        if host in addresses and any(host in groups.get(group, ()) for group in KNOWN_BY_ADDRESS):
            failures += other_address(host, fields.get(f"ADDRESS {host}", ""), addresses[host])
    return failures
