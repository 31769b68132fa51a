"""The kinds of trouble with the application and its hosts, which come after those of the tiers below. See kinds.py."""

from tools.fleet import detect, detect_application
from tools.fleet.detect import on_each
from tools.fleet.view import Kind

RUNBOOK = "see docs/operations.md#"
APPLICATION = (
    Kind(
        "proxy-without-server",
        "{host} has no connection to {services}",
        detect_application.closed_proxies,
        f"{RUNBOOK}proxynoserver",
    ),
    Kind(
        "app-not-ready",
        "{host} has an application that is not ready",
        on_each(lambda facts: not facts.get("app"), "app"),
        "check `journalctl -u app -n 50` on {host}",
    ),
    Kind(
        "worker-without-broker",
        "{host} runs {unit}, which has no connection to its broker",
        detect_application.without_broker,
        f"check `journalctl -u {{unit}} -n 50` on {{host}}; {RUNBOOK}queuenotread",
        in_row=True,
    ),
    Kind(
        "queue-long",
        "{count} tasks wait in the queue {queue}",
        detect_application.long_queues,
        f"{RUNBOOK}queuelong",
        redundant=True,
    ),
    Kind(
        "timer-failed",
        "the last run of the timer {timer} failed on {host}",
        detect_application.failed_timers,
        f"check `journalctl -u {{unit}} -n 50` on {{host}}; {RUNBOOK}timerfailed",
        redundant=True,
    ),
    Kind(
        "health-path-missing",
        "{host} has no page {path} (app_health_path), so it counts as ready as soon as gunicorn answers",
        detect_application.missing_health_paths,
        "set app_health_path to a page of the application that shows whether it works, then run "
        "`ansible-playbook site.yml`",
        redundant=True,
    ),
    Kind(
        "front-page-fails",
        "{host} answers {status} at the front page of the site",
        detect_application.failing_front_pages,
        "check `journalctl -u app -n 50` on the application hosts, and /var/log/nginx/access.log on {host}",
        redundant=True,
    ),
    Kind(
        "no-release",
        "{host} has no release",
        on_each(lambda facts: not facts.get("release", "absent")),
        "deploy one release to all hosts: `ansible-playbook playbooks/deploy.yml`",
    ),
    Kind(
        "releases-differ",
        "releases differ ({releases})",
        detect_application.releases,
        "deploy one release to all hosts: `ansible-playbook playbooks/deploy.yml`",
    ),
    Kind(
        "virtual-address",
        "the virtual address is on {hosts}",
        detect_application.virtual_address,
        "check `journalctl -u keepalived` on the load balancers",
    ),
    Kind(
        "drained",
        "{host} is drained{where} ({by}: {why})",
        detect_application.drains,
        "ask the person who drained it, then run `ansible-playbook playbooks/drain.yml -e undrain={host}`",
    ),
    Kind(
        "maintenance",
        "users see the maintenance page{where} since {when} ({by}: {message})",
        detect_application.maintenance,
        "when the work is done, run `bin/fleet maintenance off`",
        redundant=True,
    ),
    Kind(
        "outdated",
        "{host} runs an old version of {units}, which an upgrade has replaced",
        detect.names("outdated"),
        "run `ansible-playbook playbooks/maintain.yml`, which reboots {host} after a switchover",
        redundant=True,
    ),
    Kind(
        "upgrade-waiting",
        "upgrades of {packages} wait on {hosts}",
        detect.upgrades,
        f"run `ansible-playbook playbooks/maintain.yml`; {RUNBOOK}upgradewaiting",
        redundant=True,
    ),
    Kind(
        "deploy-died",
        "{run} has died",
        detect_application.dead_deploy,
        f"deploy or roll back again: that run takes over; {RUNBOOK}deploys",
        redundant=True,
    ),
)
