"""Preflight refuses variables with which no CA would issue a certificate, each with one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from plugins import acme
from plugins.certificates import ca_pair, tls_pair
from tests.unit.roles.modules import port_matrix, read_yaml

GENERATED = tls_pair("www.example.org")[1]
OWN = ca_pair("somebody_ca_")[1]
GOOD: dict[str, Any] = {
    "nginx_acme_email": "ops@example.org",
    "fleet_domain": "www.example.org",
    "fleet_ports": port_matrix(),
    "nginx_tls_certificate": GENERATED,
}


def spelled(value: Any) -> str:
    """Return a value as the name of a test. Every process that runs tests generates other certificates."""
    return str(value).replace(repr(GENERATED), "generated").replace(repr(OWN), "own")


CLOSED = [{"name": "http", "port": 80, "protocol": "tcp", "to": ["loadbalancers"], "from": ["admin"]}]
PEBBLE = {"nginx_acme_directory": "https://192.0.2.1:14000/dir"}


@pytest.mark.parametrize(
    "values",
    [
        {},
        {
            "nginx_acme_email": "",
            "nginx_acme_directory": "x",
            "fleet_domain": "",
            "nginx_tls_certificate": OWN,
            "fleet_ports": CLOSED,
        },
        {"nginx_server_aliases": ["example.org"]},
        PEBBLE | {"fleet_domain": "news.test"},
        {"fleet_domain": "news.test", "nginx_acme_ca": GENERATED},
        {"nginx_server_aliases": ["*.example.org"], "nginx_acme_names": ["www.example.org", "a.example.org"]},
        {"nginx_strict_host": False, "nginx_acme_names": ["example.net"]},
        {"nginx_acme_names": ["*.example.org"], "nginx_acme_dns_hook": __file__, "fleet_ports": CLOSED},
        {"nginx_acme_directory": "https://acme-staging-v02.api.letsencrypt.org/directory"},
    ],
    ids=spelled,
)
def test_good_values_are_accepted(values: dict[str, Any]) -> None:
    assert acme.wrong(GOOD | values) == []


def test_a_first_run_without_a_certificate_and_without_ports_is_accepted() -> None:
    assert acme.wrong({name: GOOD[name] for name in ("nginx_acme_email", "fleet_domain")}) == []


@pytest.mark.parametrize(
    ("values", "begin", "end"),
    [
        ({"nginx_acme_email": "ops"}, "nginx_acme_email = 'ops' is not an e-mail address", "set one that you read."),
        ({"nginx_acme_email": "a b@example.org"}, "nginx_acme_email = 'a b@example.org' is not an", "read."),
        ({"nginx_tls_certificate": OWN}, "nginx_acme_email and nginx_tls_certificate are both set", "of a CA."),
        ({"nginx_acme_directory": "http://ca.example.org"}, "nginx_acme_directory = 'http://ca.", "/directory."),
        ({"nginx_acme_directory": "https://[::1"}, "nginx_acme_directory = 'https://[::1' is not", "/directory."),
        ({"nginx_acme_directory": ""}, "nginx_acme_directory = '' is not a URL", "/directory."),
        ({"nginx_acme_ca": "/etc/ca.pem"}, "nginx_acme_ca is not a PEM certificate", "/path/ca.pem') }}."),
        ({"fleet_domain": ""}, "nginx_acme_email is set and fleet_domain has no name", "of the site."),
        ({"nginx_acme_names": []}, "nginx_acme_email is set and nginx_acme_names has no name", "of the site."),
        ({"nginx_acme_names": "a.example.org"}, "nginx_acme_names is not a list of at most 100", "example.org]."),
        ({"fleet_domain": "203.0.113.7"}, "fleet_domain = '203.0.113.7' is an address", "or remove nginx_acme_email."),
        ({"fleet_domain": "2001:db8::1"}, "fleet_domain = '2001:db8::1' is an address", "or remove nginx_acme_email."),
        ({"fleet_domain": "intranet"}, "fleet_domain = 'intranet' is not a full host name", "remove nginx_acme_email."),
        ({"fleet_domain": "news.test"}, "fleet_domain = 'news.test' is a private name", "remove nginx_acme_email."),
        ({"nginx_server_aliases": ["a_b.example.org"]}, "nginx_server_aliases: 'a_b.example.org' is not", "email."),
        ({"nginx_server_aliases": ["*.example.org"]}, "nginx_server_aliases: '*.example.org' is a wild", "acme_names."),
        ({"nginx_acme_names": ["b.example.org"]}, "nginx_acme_names: 'b.example.org' is neither", "or remove it."),
        ({"nginx_acme_dns_hook": "/none"}, "nginx_acme_dns_hook = /none is not a file", "path of a program."),
        ({"fleet_ports": CLOSED}, "nginx_acme_email is set, but fleet_ports opens port 80 only to admin", "dns_hook."),
        ({"fleet_ports": [{"port": 22}]}, "nginx_acme_email is set, but fleet_ports opens", "dns_hook."),
    ],
    ids=spelled,
)
def test_a_mistake_is_one_sentence(values: dict[str, Any], begin: str, end: str) -> None:
    (sentence,) = acme.wrong(GOOD | values)
    assert sentence.startswith(begin), sentence
    assert sentence.endswith(end), sentence
    assert sentence.count(". ") == 0, sentence


def test_every_variable_that_is_checked_exists() -> None:
    options = read_yaml("roles/nginx/meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    assert {name for name in acme.VARIABLES if name.startswith("nginx_")} <= options.keys()
