"""A project with an application factory, poetry.lock, a timer and no database: tests/applications/factory."""

import re
from pathlib import Path

import httpx

from tests.support.drills.playbooks import play
from tests.support.live.fleet import LiveFleet, eventually
from tests.support.live.ordinary import changed_copy, deploy
from tools.fleet.context import Host


def number(site: httpx.Client) -> int:
    """Return the number of the quote that the front page shows."""
    match = re.search(r"<title>Quote (\d+)</title>", site.get("/").text)
    assert match
    return int(match[1])


def test_the_timer_chooses_another_quote_every_ten_seconds(fleet: LiveFleet, site: httpx.Client, node: Host) -> None:
    first = number(site)
    assert eventually(lambda: number(site) >= first + 2, within=40, every=1)
    assert fleet.run(node, "systemctl show app-timer-next.service --property=Result --value").stdout == "success\n"


def test_the_applications_own_health_page_is_public(site: httpx.Client) -> None:
    answer = site.get("/health")
    assert answer.status_code == 200, "a path is hidden from users only if it is the fleet's own"
    assert answer.json()["status"] == "ok"


def test_gunicorn_runs_it_although_the_project_does_not_lock_it(fleet: LiveFleet, node: Host) -> None:
    pid = fleet.run(node, "systemctl show app --property=MainPID --value").stdout.strip()
    assert "gunicorn" in fleet.run(node, f"tr '\\0' ' ' < /proc/{pid}/cmdline").stdout
    assert "gunicorn" not in fleet.run(node, "cat /opt/factory/current/source/poetry.lock").stdout


def test_it_has_no_migrations(fleet: LiveFleet, node: Host) -> None:
    assert fleet.sql(node, "select count(*) from pg_tables where schemaname = 'public'") == "0"


def test_a_deploy_changes_the_timers_code_too_and_a_rollback_puts_it_back(
    fleet: LiveFleet, site: httpx.Client, tmp_path: Path
) -> None:
    source = changed_copy(
        "factory", tmp_path, "quotes/__init__.py", 'incr("quotes:number")', 'incr("quotes:number", 500)'
    )
    first = number(site)
    deploy(fleet, source).succeeded()
    assert eventually(lambda: number(site) >= first + 500, within=40, every=1)
    play(fleet, "playbooks/rollback.yml").succeeded()
    second = number(site)
    assert eventually(lambda: number(site) > second, within=40, every=1)
    assert number(site) < second + 500
