"""The kinds of trouble that `make status` reports: how each is detected, and what the reader does next.

A new kind is an entry in KINDS and a case in tests/unit/tools/test_troubles.py. `make docs` adds it to the runbook.
"""

from functools import partial

from tools.fleet import detect, detect_application
from tools.fleet.certificates import CERTIFICATES
from tools.fleet.detect import on_each
from tools.fleet.kinds_application import APPLICATION
from tools.fleet.kinds_backup import BACKUPS
from tools.fleet.view import Kind

RUN_SITE = "run `ansible-playbook site.yml`"
REINIT = "`ansible-playbook playbooks/reinit.yml -e reinit_host={host}`"
RUNBOOK = "see docs/operations.md#"
ELECTION = f"wait half a minute, then {RUNBOOK}"
# Causes come before their consequences, because `make status` prints the step for the first.
KINDS = (
    Kind(
        "host-down",
        "{host} does not answer",
        detect.down,
        "start {host}, or replace it: `ansible-playbook playbooks/replace.yml -e replace_host={host}`",
    ),
    Kind(
        "root-refused",
        "{host} does not let its user become root: {reason}",
        detect.refused,
        "set ansible_become_password of {host} in the inventory (encrypt it with ansible-vault), or allow sudo without "
        "a password there",
    ),
    Kind(
        "disk-full",
        "{host} has a full disk: {folders}",
        detect.full_disks,
        f"free space on {{host}}; {RUNBOOK}hostdiskfull",
        in_row=True,
    ),
    Kind(
        "host-not-started",
        "{host} is {state}",
        detect.not_started,
        "wait until {host} has started, or check its `systemctl list-jobs`",
        in_row=True,
    ),
    Kind(
        "unit-failed",
        "{host} has failed units: {units}",
        detect_application.failed_units,
        "check `systemctl status {units}` on {host}, then run `ansible-playbook site.yml --limit {host}`",
        in_row=True,
    ),
    Kind(
        "unit-stopped",
        "{host} does not run {unit}",
        detect.stopped_units,
        "check `journalctl -u {unit}` on {host}, then run `ansible-playbook site.yml --limit {host}`",
        in_row=True,
    ),
    Kind(
        "out-of-memory",
        "{host} ran out of memory and killed a process of {units}",
        detect.names("killed"),
        f"{RUNBOOK}hostoutofmemory",
        in_row=True,
        redundant=True,
    ),
    Kind(
        "restarting",
        "{host} restarted {unit} {count} times",
        detect.restarts,
        f"check `journalctl -u {{unit}}` on {{host}}; {RUNBOOK}servicerestarting",
        in_row=True,
        redundant=True,
    ),
    Kind(
        "restore-died",
        "{run} has died",
        detect_application.dead_restore,
        "start the same restore again, which goes on, or give it up: see docs/backups.md#bring-the-whole-database-back",
        redundant=True,
    ),
    Kind(
        "postgres-down",
        "{host} has a Postgres that does not answer",
        on_each(lambda facts: not facts.get("postgres"), "postgres"),
        f"{RUNBOOK}postgresdown",
    ),
    Kind(
        "patroni-down",
        "{host} has a Patroni that does not answer",
        on_each(lambda facts: facts.get("patroni", {}) is None, "postgres"),
        "check `journalctl -u patroni -n 100` on {host}, then run `ansible-playbook site.yml --limit {host}`",
    ),
    Kind(
        "no-primary",
        "Postgres has no primary",
        detect.leaders("no", "postgres", "postgres"),
        f"{ELECTION}postgresnoprimary",
    ),
    Kind(
        "two-primaries",
        "Postgres has {count} primaries: {hosts}",
        detect.leaders("several", "postgres", "postgres"),
        f"{RUNBOOK}postgrestwoprimaries",
    ),
    Kind(
        "standby-not-streaming",
        "{host} does not stream",
        detect.not_streaming,
        f"check `journalctl -u patroni` on {{host}}; {REINIT} copies it again",
    ),
    Kind(
        "no-synchronous-standby",
        "no standby is synchronous",
        detect.no_synchronous_standby,
        f"{RUNBOOK}postgresnosynchronousstandby",
    ),
    Kind(
        "not-promotable-yet",
        "{host} may not be promoted yet (etcd does not list it as synchronous)",
        detect.not_promotable,
        "wait some seconds; if it stays, check `journalctl -u patroni` on the primary",
    ),
    Kind(
        "standby-lags",
        "{host} is {lag} behind the primary",
        detect.lagging,
        f"{RUNBOOK}postgresreplicationlag",
        redundant=True,
    ),
    Kind(
        "slot-lost",
        "{host} has a replication slot whose WAL is {status}",
        detect.bad_slots,
        f"run {REINIT}, which replaces the slot and copies the standby",
    ),
    Kind(
        "slot-unused",
        "{host} keeps WAL for the replication slot {slot}, which nobody uses",
        detect.unused_slots,
        f"{RUN_SITE}, which drops slots of hosts that left; a slot of your own keeps WAL until you drop it",
        redundant=True,
    ),
    Kind(
        "patroni-former-member",
        "Patroni still has the member {host}, which is not in the group postgres",
        detect.former_patroni,
        "put {host} back into the inventory, then run `ansible-playbook playbooks/remove.yml -e remove_hosts={host}`",
    ),
    Kind(
        "patroni-paused",
        "Patroni is paused",
        detect.patroni("paused"),
        "find out who paused it, then run `patronictl -c /etc/patroni/config.yml resume` on a database host",
    ),
    Kind(
        "failsafe",
        "Patroni runs without etcd (failsafe)",
        detect.patroni("failsafe"),
        f"start etcd, and restart no database host before; {RUNBOOK}patronifailsafe",
    ),
    Kind(
        "restart-pending",
        "Postgres has settings that need a restart on {hosts}",
        detect.patroni("pending"),
        RUN_SITE,
        redundant=True,
    ),
    Kind(
        "etcd-vote-missing",
        "etcd has {count} of {all} votes ({who})",
        detect.votes("etcd", majority=True),
        f"{RUNBOOK}etcdquorumatrisk",
    ),
    Kind(
        "etcd-quorum-lost",
        "etcd has {count} of {all} votes, which is no majority ({who})",
        detect.votes("etcd", majority=False),
        f"{RUNBOOK}etcdquorumlost",
    ),
    Kind(
        "etcd-out-of-space",
        "etcd is out of space, so it refuses every write, and Postgres cannot fail over",
        detect.alarms(out_of_space=True),
        f"{RUNBOOK}etcdoutofspace",
    ),
    Kind(
        "etcd-alarm",
        "etcd has the alarm {alarm}",
        detect.alarms(out_of_space=False),
        "check `journalctl -u etcd` on its members",
    ),
    Kind(
        "store-damaged",
        "the append-only file of the store is damaged on {hosts}; the copy of {host} has the most",
        detect.damaged_stores,
        f"{RUNBOOK}damaged-append-only-files",
    ),
    Kind(
        "etcd-former-member",
        "etcd still counts {address} as a member, which is not in the group etcd",
        detect.former("etcd_members", "etcd"),
        f"{RUN_SITE}, which removes it",
    ),
    Kind(
        "redis-no-master",
        "{instance} has no master",
        detect.both(partial(detect.leaders, "no")),
        f"{ELECTION}redisnomaster",
    ),
    Kind(
        "redis-two-masters",
        "{instance} has {count} masters: {hosts}",
        detect.both(partial(detect.leaders, "several")),
        f"{RUNBOOK}redistwomasters",
    ),
    Kind(
        "redis-replica-missing",
        "{instance} has {count} of {all} replicas{who}",
        detect.both(detect.replicas),
        f"{RUNBOOK}redisreplicamissing",
    ),
    Kind(
        "sentinel-vote-missing",
        "sentinel has {count} of {all} votes ({who})",
        detect.votes("sentinel", majority=True),
        f"{RUNBOOK}sentinelquorumlost",
    ),
    Kind(
        "sentinel-quorum-lost",
        "sentinel has {count} of {all} votes, which is no majority ({who})",
        detect.votes("sentinel", majority=False),
        f"{RUNBOOK}sentinelquorumlost",
    ),
    Kind(
        "sentinel-isolated",
        "{host} sees {count} of {all} Sentinels",
        detect.isolated_sentinels,
        "check the network of {host} and its `journalctl -u redis-sentinel`",
    ),
    Kind(
        "sentinel-no-candidate",
        "{host} has a Sentinel that would promote no replica of {instance}",
        detect.no_candidate,
        "wait some seconds; if it stays, check `journalctl -u redis-sentinel` on {host}",
    ),
    Kind(
        "sentinel-former-host",
        "Sentinel still counts {address}, which is in neither of the groups redis and sentinel",
        detect.former("sentinel_knows", "redis", "sentinel"),
        f"{RUN_SITE}, which makes Sentinel forget it",
    ),
    *BACKUPS,
    *APPLICATION,
    *CERTIFICATES,
)
