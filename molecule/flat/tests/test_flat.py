"""A flat project with a Procfile, RQ and Flask-Migrate: tests/applications/flat."""

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.support.drills.playbooks import play
from tests.support.live.fleet import LiveFleet, eventually
from tests.support.live.ordinary import bin_fleet, changed_copy, deploy
from tools.fleet.context import Host
from tools.fleet.mail_sink import MailSink, gateway


@pytest.fixture(scope="module", autouse=True)
def mail(fleet: LiveFleet) -> Iterator[MailSink]:
    """Receive the fleet's e-mails, as `make mail` does: `bin/fleet init` wrote its address."""
    with MailSink(gateway(fleet.fleet)) as sink:
        yield sink


@pytest.fixture
def ada(site: httpx.Client) -> httpx.Client:
    """Sign in as the user that the release command created."""
    answer = site.post("/login", data={"name": "ada", "password": "lovelace"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/"), answer.text
    return site


def write(ada: httpx.Client) -> str:
    """Write a letter. Return its text."""
    body = f"letter-{uuid4().hex[:8]}"
    answer = ada.post("/letters", data={"body": body})
    assert answer.status_code == 302, answer.text
    return body


def delivered(ada: httpx.Client, body: str) -> bool:
    """Whether the worker has delivered a letter."""
    return f"{body} (delivered)" in ada.get("/").text


def test_the_front_page_redirects_to_the_log_in(site: httpx.Client) -> None:
    answer = site.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/login?next=%2F")


def test_a_letter_that_the_site_queues_is_sent_by_the_worker(ada: httpx.Client, mail: MailSink) -> None:
    body = write(ada)
    assert eventually(lambda: delivered(ada, body), within=30)
    assert mail.wait_for("ada@example.com").get_content().strip() == body


def test_migrations_and_the_release_command_ran_as_the_schemas_owner(fleet: LiveFleet, node: Host) -> None:
    assert fleet.sql(node, "select tableowner from pg_tables where tablename = 'letter'") == "flat_owner"
    assert fleet.sql(node, "select version_num from alembic_version") == "d1898c91baf8"
    assert fleet.sql(node, 'select name from "user"') == "ada"


def test_nginx_serves_its_static_file(fleet: LiveFleet, site: httpx.Client, node: Host) -> None:
    path = f"/static/style.css?{uuid4().hex}"
    assert site.get(path).status_code == 200
    line = eventually(lambda: fleet.run(node, f"grep -F '{path}' /var/log/nginx/access.log", check=False).stdout)
    assert '"upstream_addr":""' in line


def test_the_logs_of_web_and_worker_are_shown_together(fleet: LiveFleet, ada: httpx.Client, node: Host) -> None:
    body = write(ada)
    assert eventually(lambda: delivered(ada, body), within=30)
    number = fleet.sql(node, f"select id from letter where body = '{body}'")

    def shown() -> bool:
        text = bin_fleet(fleet, "logs", "--since", "5m", "--grep", f"letter {number}").stdout
        return f"letter {number} written" in text and f"letter {number} delivered" in text

    assert eventually(shown, within=20, every=1)


def test_its_own_log_file_is_written(fleet: LiveFleet, node: Host) -> None:
    assert "Postbox startup" in fleet.run(node, "find / -xdev -path '*/logs/app.log' -exec cat {} +").stdout


def test_the_worker_delivers_after_a_restart_of_the_store(fleet: LiveFleet, ada: httpx.Client, node: Host) -> None:
    fleet.run(node, "systemctl restart redis@store")

    def accepted() -> str:
        return write(ada)

    body = eventually(accepted, within=30, every=1)
    assert eventually(lambda: delivered(ada, body), within=60)
    assert eventually(lambda: fleet.is_healthy(node), within=60)


def test_packages_are_locked_in_the_inventory(fleet: LiveFleet) -> None:
    text = (fleet.fleet.folder / "requirements.lock").read_text()
    assert {"flask-mail==0.9.1", "flask==3.1.3"} <= set(re.findall(r"^[a-z0-9-]+==[^\s\\]+", text, re.MULTILINE))
    assert re.search(r"^gunicorn==.*\n +--hash=sha256:", text, re.MULTILINE)


def test_a_deploy_changes_web_and_worker_and_a_rollback_puts_both_back(
    fleet: LiveFleet, site: httpx.Client, ada: httpx.Client, node: Host, tmp_path: Path
) -> None:
    lock = (fleet.fleet.folder / "requirements.lock").read_bytes()
    before = fleet.run(node, "readlink /opt/flat/current").stdout
    source = changed_copy("flat", tmp_path, "templates/base.html", "<h1>Postbox</h1>", "<h1>The next release</h1>")
    deploy(fleet, source).succeeded()
    after = fleet.run(node, "readlink -f /opt/flat/current").stdout
    assert "The next release" in site.get("/login").text
    workers = "for p in $(pgrep --full '[r]q worker'); do readlink /proc/$p/cwd; done | sort --unique"
    assert fleet.run(node, workers).stdout == f"{after.strip()}/source\n"
    body = write(ada)
    assert eventually(lambda: delivered(ada, body), within=30)
    assert (fleet.fleet.folder / "requirements.lock").read_bytes() == lock

    play(fleet, "playbooks/rollback.yml").succeeded()
    assert fleet.run(node, "readlink /opt/flat/current").stdout == before
    assert "The next release" not in site.get("/login").text


def test_a_release_whose_front_page_fails_is_refused_with_the_reason(
    fleet: LiveFleet, site: httpx.Client, node: Host, tmp_path: Path
) -> None:
    before = fleet.run(node, "readlink /opt/flat/current").stdout
    source = changed_copy("flat", tmp_path, "app.py", "basedir = ", "raise RuntimeError('no oil')\nbasedir = ")
    run = deploy(fleet, source)
    assert run.code != 0
    assert "RuntimeError: no oil" in run.output, run.text[-5000:]
    assert fleet.run(node, "readlink /opt/flat/current").stdout == before
    assert site.get("/login").status_code == 200
