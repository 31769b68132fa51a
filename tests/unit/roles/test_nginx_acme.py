"""Challenges of a CA: a load balancer answers its own, and asks its peers once for those that it does not know."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from tests.unit.roles.fleet_variables import trust
from tests.unit.roles.modules import read_list, read_yaml
from tests.unit.roles.nginx_server import Application, MakeSite, Site, find_nginx

ACME = {"nginx_acme_email": "ops@news.test"}
CHALLENGE = "/.well-known/acme-challenge/"


def respond(site: Site, token: str) -> None:
    """Write the answer to a challenge, as certbot does."""
    folder = site.folder / f"acme{CHALLENGE}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / token).write_text(f"{token}.thumbprint")


def asked(site: Site, token: str, **headers: str) -> httpx.Response:
    """Ask for a challenge on port 80, as a CA does."""
    url = f"http://127.0.0.1:{site.http}{CHALLENGE}{token}"
    return httpx.get(url, headers={"Host": "news.test"} | headers, trust_env=False, timeout=10)


@pytest.fixture
def three(tmp_path: Path, application: Application) -> Iterator[list[Site]]:
    """Three load balancers. Each knows one that answers, and one that does not."""
    if not find_nginx():
        pytest.skip("this machine has no nginx, and its package cannot be downloaded")
    given: dict[str, Any] = ACME | {"nginx_upstream_port": application.server_port}
    last = Site(tmp_path / "lb3", nginx_acme_peers=["127.0.0.9"], **given)
    middle = Site(tmp_path / "lb2", nginx_acme_peers=["127.0.0.1", "127.0.0.9"], peer=last.http, **given)
    first = Site(tmp_path / "lb1", nginx_acme_peers=["127.0.0.9", "127.0.0.1"], peer=middle.http, **given)
    with ExitStack() as stack:
        for site in (first, middle, last):
            stack.enter_context(site.running())
        yield [first, middle, last]


def test_a_load_balancer_answers_its_own_challenge(three: list[Site]) -> None:
    first, *_ = three
    respond(first, "own")
    assert asked(first, "own").text == "own.thumbprint"


def test_a_challenge_of_a_peer_is_answered_although_another_peer_is_down(three: list[Site]) -> None:
    first, second, _ = three
    respond(second, "peers")
    answer = asked(first, "peers")
    assert (answer.status_code, answer.text) == (200, "peers.thumbprint")


def test_every_peer_is_asked_until_one_knows_the_challenge(three: list[Site], tmp_path: Path) -> None:
    first, second, _ = three
    respond(second, "peers")
    unknowing = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.9", second.http), unknowing) as other:
        threading.Thread(target=other.serve_forever, args=(0.02,), daemon=True).start()
        assert {asked(first, "peers").text for _ in range(4)} == {"peers.thumbprint"}
        other.shutdown()


def test_a_peer_asks_nobody(three: list[Site], application: Application) -> None:
    first, _, third = three
    respond(third, "two-steps-away")
    assert asked(first, "two-steps-away").status_code == 404
    assert asked(first, "unknown").status_code in (404, 502)  # 502 if the last one that it asks is down
    assert application.requests == []


def test_a_lone_load_balancer_answers_and_the_application_gets_no_challenge(
    make_site: MakeSite, application: Application
) -> None:
    site = make_site(**ACME)
    with site.running() as https:
        respond(site, "own")
        assert asked(site, "own").text == "own.thumbprint"
        assert https.get(f"{CHALLENGE}own").text == "own.thumbprint"
        assert asked(site, "unknown").status_code == 404
        assert asked(site, "own", Host="other.test").status_code == 421
    assert application.requests == []


@pytest.mark.parametrize("redirect", [True, False])
def test_a_maintenance_page_does_not_stop_a_renewal(make_site: MakeSite, redirect: bool) -> None:
    site = make_site(**ACME, nginx_https_redirect=redirect, __nginx_maintenance={"by": "kim"})
    configuration = site.folder / "maintenance.conf"
    configuration.write_text(configuration.read_text().replace("127.0.0.0/8 0;", ""))
    with site.running() as https:
        respond(site, "own")
        assert https.get("/").status_code == 503
        assert asked(site, "own").text == "own.thumbprint"


@pytest.mark.parametrize(
    "variables",
    [ACME, ACME | {"nginx_acme_peers": ["192.0.2.1"]}, ACME | {"nginx_acme_dns_hook": "/hook"}],
    ids=lambda variables: list(variables)[-1],
)
@pytest.mark.parametrize("redirect", [True, False])
def test_nginx_accepts_the_configuration(make_site: MakeSite, variables: dict[str, str], redirect: bool) -> None:
    accepted, output = make_site(nginx_https_redirect=redirect, nginx_ipv6=True, **variables).check()
    assert accepted, output
    assert "[warn]" not in output.replace("could not open error log file", ""), output


def test_browsers_are_told_to_insist_on_https_only_by_a_certificate_that_they_trust(make_site: MakeSite) -> None:
    header = "strict-transport-security"
    site = make_site(**ACME)
    with site.running() as client:
        assert header not in client.get("/").headers
    (site.folder / "hsts.conf").write_text('map $host $hsts { default "max-age=300"; }')
    with site.running() as client:
        assert client.get("/").headers[header] == "max-age=300"


def test_without_an_e_mail_address_a_challenge_is_an_ordinary_request(
    make_site: MakeSite, application: Application
) -> None:
    site = make_site()
    with site.running() as client:
        assert client.get(f"{CHALLENGE}own").status_code == 200
        assert asked(site, "own").status_code == 308
    assert application.requests == [f"GET {CHALLENGE}own"]


@pytest.mark.parametrize(
    ("printed", "email", "written"),
    [
        ("", "", True),
        ("subject=CN=news.test\nissuer=CN=R12, O=CA", "", True),
        ("", "ops@news.test", True),
        ("subject=CN=news.test\nissuer=CN=news.test", "ops@news.test", True),
        ("subject=CN = news.test\nissuer=O = CA, CN = R12", "ops@news.test", False),
        ("subject=\nissuer=CN=R12, O=CA", "ops@news.test", False),
    ],
    ids=["given", "given-again", "first", "self-signed", "issued", "issued-without-a-common-name"],
)
def test_a_run_replaces_no_certificate_that_a_ca_has_issued(printed: str, email: str, written: bool) -> None:
    tasks = read_list("roles/nginx/tasks/certificate.yml")
    (condition,) = (task["when"] for task in tasks if task["name"] == "Write the given certificate")
    signers = trust(read_yaml("roles/nginx/vars/main.yml")["__nginx_signers"])
    signed = {"stdout_lines": printed.splitlines()} if email else {"skipped": True}
    given = {"nginx_acme_email": email, "__nginx_signed": signed, "__nginx_signers": signers}
    assert Templar(DataLoader(), given).evaluate_conditional(trust(condition)) is written
