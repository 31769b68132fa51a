"""The program that gets the site's certificate: it runs certbot, and nginx serves what the CA has issued."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from plugins.certificates import ca_pair, tls_pair
from tests.unit.roles.modules import ROLES, load, read_yaml
from tests.unit.roles.nginx_server import MakeSite, Site, find_nginx

SETTINGS = {
    "email": "ops@news.test",
    "directory": "https://ca.test/dir",
    "names": ["news.test", "www.news.test"],
    "profile": "",
    "ca": False,
    "dns": False,
    "hsts": 300,
    "environment": {},
}
GIVEN = "".join(tls_pair("news.test"))
REFUSED = """Saving debug log to /var/lib/flaskfleet/acme/logs/letsencrypt.log

Certbot failed to authenticate some domains (authenticator: webroot). The Certificate Authority reported these problems:
  Domain: news.test
  Type:   connection
  Detail: 192.0.2.5: Fetching http://news.test/.well-known/acme-challenge/x: Connection refused

Hint: The Certificate Authority failed to download the temporary challenge files created by Certbot.

Some challenges have failed.
Ask for help or search for solutions at https://community.letsencrypt.org. See the logfile x for more details.
"""
AWAY = """Saving debug log to /var/lib/flaskfleet/acme/logs/letsencrypt.log
An unexpected error occurred:
requests.exceptions.ConnectionError: HTTPSConnectionPool(host='ca.test', port=443): Max retries exceeded
Ask for help or search for solutions at https://community.letsencrypt.org. See the logfile x for more details.
"""
# Written in place of certbot: it records its command, prints a text, and issues a certificate unless it has one.
CERTBOT = """#!{python}
import json, os, pathlib, sys
folder = pathlib.Path({folder!r})
calls = folder / "calls"
calls.write_text((calls.read_text() if calls.exists() else "") + json.dumps([sys.argv[1:], dict(os.environ)]) + "\\n")
print((folder / "output").read_text())
sys.exit(int((folder / "code").read_text()))
"""


class Balancer:
    """A load balancer with a fake certbot, a real nginx and the program."""

    def __init__(self, program: ModuleType, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        self.program, self.site, self.folder = program, site, site.folder
        self.pair = site.folder / "tls.pem"
        self.reloads: list[list[str]] = []
        program_folder = self.folder / "bin"
        program_folder.mkdir()
        self.certbot_says("", 0)
        text = CERTBOT.format(python=sys.executable, folder=str(self.folder))
        for name, content in {"certbot": text, "systemctl": "#!/bin/sh\nexit 0\n"}.items():
            (program_folder / name).write_text(content)
            (program_folder / name).chmod(0o755)
        monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
        monkeypatch.setenv("PATH", f"{program_folder}:{Path(find_nginx()).parent}:/usr/bin:/bin")
        paths = {
            "SETTINGS": "acme.json",
            "STATE": "state",
            "WEBROOT": "acme",
            "NGINX": "nginx.conf",
            "PAIR": "tls.pem",
            "HSTS": "hsts.conf",
            "LOADED": "loaded",
            "NOTE": "note.json",
            "METRICS": "site_certificate.prom",
            "CA": "acme-ca.pem",
        }
        for name, path in paths.items():
            monkeypatch.setattr(program, name, self.folder / path)
        real = subprocess.run

        def run(command: list[Any], **options: Any) -> Any:
            if command[0] == "systemctl":
                self.reloads.append(command)
                (self.folder / "loaded").touch()
            if command[0] == "nginx":
                command = [*site.base[:-1], str(command[-1]), "-t"]
            return real(command, **options)

        monkeypatch.setattr(program.subprocess, "run", run)
        self.settings()

    def settings(self, **change: Any) -> None:
        """Write the settings of the role."""
        (self.folder / "acme.json").write_text(json.dumps(SETTINGS | change))

    def certbot_says(self, output: str, code: int) -> None:
        """Decide what certbot prints and returns."""
        (self.folder / "output").write_text(output)
        (self.folder / "code").write_text(str(code))

    def issue(self) -> str:
        """Write a certificate of a CA, as certbot does, and return the pair as nginx gets it."""
        key, _ = tls_pair("news.test")
        folder = self.folder / "state/live/site"
        folder.mkdir(parents=True, exist_ok=True)
        request = ["openssl", "req", "-new", "-key", "/dev/stdin", "-subj", "/CN=news.test"]
        csr = subprocess.run(request, input=key, capture_output=True, text=True, check=True).stdout
        for name, text in zip(("ca.key", "ca.crt"), ca_pair("test_ca_"), strict=True):
            (self.folder / name).write_text(text)
        signer = ["-CA", f"{self.folder}/ca.crt", "-CAkey", f"{self.folder}/ca.key"]
        sign = ["openssl", "x509", "-req", "-days", "9", *signer]
        chain = subprocess.run(sign, input=csr, capture_output=True, text=True, check=True).stdout
        (folder / "privkey.pem").write_text(key)
        (folder / "fullchain.pem").write_text(chain)
        return f"{key.strip()}\n{chain.strip()}\n"

    def run(self) -> str:
        """Run the program, and return the error that it has noted."""
        self.program.main()
        note = self.folder / "note.json"
        return str(json.loads(note.read_text())["error"]) if note.exists() else ""

    @property
    def calls(self) -> list[tuple[list[str], dict[str, str]]]:
        """The commands of certbot, with their environments."""
        return [tuple(json.loads(line)) for line in (self.folder / "calls").read_text().splitlines()]

    @property
    def insists(self) -> bool:
        """Whether nginx sends Strict-Transport-Security."""
        return "max-age=300" in (self.folder / "hsts.conf").read_text()


@pytest.fixture
def balancer(make_site: MakeSite, monkeypatch: pytest.MonkeyPatch) -> Balancer:
    """A load balancer with a self-signed certificate."""
    program = load(ROLES / "nginx/files/site_certificate.py")
    site = make_site(nginx_acme_email="ops@news.test")
    (site.folder / "loaded").touch()
    return Balancer(program, site, monkeypatch)


def test_the_certificate_of_the_ca_takes_the_place_of_the_self_signed_one(balancer: Balancer) -> None:
    pair = balancer.issue()
    assert balancer.run() == ""
    assert balancer.pair.read_text() == pair
    assert balancer.pair.stat().st_mode & 0o777 == 0o600
    assert balancer.insists
    assert len(balancer.reloads) == 1
    assert balancer.run() == ""
    assert len(balancer.reloads) == 1, "nothing has changed"


def test_before_the_first_certificate_nothing_changes_and_the_cause_is_noted(balancer: Balancer) -> None:
    before = balancer.pair.read_text()
    balancer.certbot_says(REFUSED, 1)
    fetching = "Fetching http://news.test/.well-known/acme-challenge/x: Connection refused"
    assert balancer.run() == f"news.test: 192.0.2.5: {fetching}"
    assert balancer.pair.read_text() == before
    assert not balancer.insists
    since = json.loads((balancer.folder / "note.json").read_text())["since"]
    assert (
        f"flaskfleet_site_certificate_failing_since_seconds {since}\n"
        in (balancer.folder / "site_certificate.prom").read_text()
    )


def test_a_ca_that_is_away_leaves_the_certificate_and_its_return_ends_the_trouble(balancer: Balancer) -> None:
    balancer.issue()
    balancer.run()
    before = balancer.pair.read_text()
    balancer.certbot_says(AWAY, 1)
    note = balancer.folder / "note.json"
    assert balancer.run().startswith("requests.exceptions.ConnectionError: HTTPSConnectionPool(host='ca.test'")
    note.write_text(json.dumps({"since": 1000, "error": "earlier"}))
    balancer.run()
    assert json.loads(note.read_text())["since"] == 1000, "the beginning of the trouble is kept"
    assert balancer.pair.read_text() == before
    assert balancer.insists
    balancer.certbot_says("", 0)
    renewed = balancer.issue()
    assert balancer.run() == ""
    assert balancer.pair.read_text() == renewed
    assert "failing_since_seconds 0\n" in (balancer.folder / "site_certificate.prom").read_text()


def test_nginx_never_gets_a_certificate_that_it_rejects(balancer: Balancer) -> None:
    before = balancer.pair.read_text()
    balancer.issue()
    (balancer.folder / "state/live/site/privkey.pem").write_text(tls_pair("news.test")[0])
    assert balancer.run().startswith(f"nginx rejects {balancer.pair}: ")
    assert balancer.pair.read_text() == before
    assert {path.name for path in balancer.folder.glob("*.new")} == set()
    assert not balancer.insists


def test_an_expired_certificate_is_not_installed(balancer: Balancer, monkeypatch: pytest.MonkeyPatch) -> None:
    before = balancer.pair.read_text()
    balancer.issue()
    monkeypatch.setattr(balancer.program, "issued", lambda: "")
    assert balancer.run() == ""
    assert balancer.pair.read_text() == before


def test_a_reload_that_failed_is_tried_again(balancer: Balancer) -> None:
    balancer.issue()
    balancer.run()
    balancer.program.os.utime(balancer.folder / "loaded", (1, 1))
    balancer.run()
    assert len(balancer.reloads) == 2


@pytest.mark.parametrize(
    ("change", "present", "absent"),
    [
        (
            {},
            ["--webroot", "--domains=news.test,www.news.test", "--keep-until-expiring"],
            ["--preferred-challenges=dns"],
        ),
        ({"profile": "shortlived"}, ["--preferred-profile=shortlived"], []),
        ({"dns": True, "names": ["*.news.test"]}, ["--manual", "--domains=*.news.test"], ["--webroot"]),
    ],
    ids=str,
)
def test_certbot_gets_the_settings(
    balancer: Balancer, change: dict[str, Any], present: list[str], absent: list[str]
) -> None:
    balancer.settings(**change)
    balancer.run()
    (command, environment), *_ = balancer.calls
    assert {*present, "--email=ops@news.test", "--server=https://ca.test/dir"} <= {*command}
    assert not {*absent} & {*command}
    assert "REQUESTS_CA_BUNDLE" not in environment


def test_a_dns_hook_gets_its_token_and_a_private_ca_is_trusted(balancer: Balancer) -> None:
    balancer.settings(environment={"TOKEN": 'a "secret" $x', "RETRIES": 3}, ca=True)
    balancer.run()
    ((_, environment),) = balancer.calls
    assert (environment["TOKEN"], environment["RETRIES"]) == ('a "secret" $x', "3")
    assert environment["REQUESTS_CA_BUNDLE"] == str(balancer.folder / "acme-ca.pem")


def test_another_ca_issues_at_once(balancer: Balancer) -> None:
    renewal = balancer.folder / "state/renewal/site.conf"
    renewal.parent.mkdir(parents=True)
    renewal.write_text("[renewalparams]\nserver = https://staging.ca.test/dir\nauthenticator = webroot\n")
    balancer.run()
    renewal.write_text("[renewalparams]\nserver = https://ca.test/dir\nauthenticator = webroot\n")
    balancer.run()
    assert ["--force-renewal" in command for command, _ in balancer.calls] == [True, False]


def test_a_ca_that_has_lost_its_accounts_gets_another_one(balancer: Balancer) -> None:
    account = balancer.folder / "state/accounts/ca.test/dir/x"
    account.mkdir(parents=True)
    log = balancer.folder / "state/logs/letsencrypt.log"
    log.parent.mkdir()
    log.write_text('{"type": "urn:ietf:params:acme:error:accountDoesNotExist", "detail": "x"}')
    balancer.certbot_says("An unexpected error occurred:\nAccount x not found.", 1)
    assert balancer.run() == "Account x not found."
    assert len(balancer.calls) == 2
    assert not account.exists()
    balancer.run()
    assert len(balancer.calls) == 3, "there is nothing to forget any more"


CauseOf = Callable[[str], str]


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("", "certbot failed without a reason"),
        ("The server will not issue certificates for the identifier\nAsk for help or", "The server will not issue"),
        (REFUSED.replace("Fetching", "a\n          b"), "news.test: 192.0.2.5: a b http://news.test"),
        ("An unexpected error occurred:", "An unexpected error occurred:"),
    ],
)
def test_the_cause_is_one_line(output: str, expected: str) -> None:
    program = load(ROLES / "nginx/files/site_certificate.py")
    assert program.cause(output).startswith(expected)
    assert "\n" not in program.cause(output)


def test_the_role_writes_every_setting_that_the_program_reads() -> None:
    written = read_yaml("roles/nginx/vars/main.yml")["__nginx_acme_settings"]
    assert written.keys() == SETTINGS.keys()
