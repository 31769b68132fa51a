"""Check the variables of the site's certificate that a CA issues (ACME)."""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509

from plugins import certificates

EMAIL = "nginx_acme_email"
VARIABLES = (
    EMAIL,
    "nginx_acme_directory",
    "nginx_acme_names",
    "nginx_acme_ca",
    "nginx_acme_dns_hook",
    "fleet_domain",
    "fleet_ports",
    "nginx_server_aliases",
    "nginx_strict_host",
    "nginx_tls_certificate",
)
LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
NAME = re.compile(rf"(\*\.)?({LABEL}\.)+{LABEL}", re.IGNORECASE)
# No public CA knows names below these domains.
PRIVATE = ("test", "example", "invalid", "localhost", "local", "internal", "lan", "home.arpa")
MAX_NAMES = 100
DIRECTORY = "https://acme-v02.api.letsencrypt.org/directory"
# Of CAs that browsers trust.
PUBLIC = ("letsencrypt.org", "zerossl.com", "goog", "buypass.com", "ssl.com")


def wrong(values: Mapping[str, Any]) -> list[str]:
    """A sentence for each reason why the load balancers could not get a certificate.

    Args:
        values: The variables of VARIABLES that have a value.
    """
    email = values.get(EMAIL) or ""
    if not email:
        return []
    failures = []
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s.]+", str(email)):
        failures.append(f"{EMAIL} = {email!r} is not an e-mail address; set one that you read.")
    if (own := values.get("nginx_tls_certificate")) and not _generated(str(own)):
        failures.append(
            f"{EMAIL} and nginx_tls_certificate are both set, but the site has one certificate; remove {EMAIL} to "
            "serve yours, or remove nginx_tls_certificate and nginx_tls_key (or vault_nginx_tls_…) to get one of a CA."
        )
    return failures + _wrong_directory(values) + _wrong_names(values) + _wrong_way(values)


def _wrong_directory(values: Mapping[str, Any]) -> list[str]:
    """A sentence if the directory is no URL, or if its CA is no certificate."""
    failures = []
    directory = values.get("nginx_acme_directory", DIRECTORY)
    if not _host(directory):
        failures.append(
            f"nginx_acme_directory = {directory!r} is not a URL with https; set that of the CA's directory, such as "
            f"{DIRECTORY}."
        )
    if ca := values.get("nginx_acme_ca"):
        try:
            x509.load_pem_x509_certificates(str(ca).encode())
        except ValueError:
            failures.append(
                "nginx_acme_ca is not a PEM certificate; give the text of the CA's certificate, such as {{ "
                "lookup('ansible.builtin.file', '/path/ca.pem') }}."
            )
    return failures


def _wrong_names(values: Mapping[str, Any]) -> list[str]:
    """A sentence for each name for which a CA issues no certificate."""
    domain = values.get("fleet_domain")
    if "nginx_acme_names" in values:
        variable, names = "nginx_acme_names", values["nginx_acme_names"]
    else:
        variable, names = "fleet_domain", [domain, *(values.get("nginx_server_aliases") or [])]
    if not names or (variable == "fleet_domain" and not domain):
        return [f"{EMAIL} is set and {variable} has no name; set the public host name of the site."]
    if not isinstance(names, list) or len(names) > MAX_NAMES:
        return [f"{variable} is not a list of at most {MAX_NAMES} names; write it like [www.example.org, example.org]."]
    failures = []
    public = _host(values.get("nginx_acme_directory", DIRECTORY)).endswith(PUBLIC) and not values.get("nginx_acme_ca")
    for name in map(str, names):
        where = variable if variable != "fleet_domain" or name == domain else "nginx_server_aliases"
        what = f"{where} = {name!r}" if where == "fleet_domain" else f"{where}: {name!r}"
        if _is_address(name):
            failures.append(f"{what} is an address, and a CA certifies names; set a host name, or remove {EMAIL}.")
        elif not NAME.fullmatch(name):
            failures.append(f"{what} is not a full host name such as www.example.org; correct it, or remove {EMAIL}.")
        elif public and name.lower().endswith(tuple(f".{private}" for private in PRIVATE)):
            failures.append(
                f"{what} is a private name, for which no public CA issues a certificate; set a public one, or remove "
                f"{EMAIL}."
            )
        elif name.startswith("*.") and not values.get("nginx_acme_dns_hook"):
            failures.append(
                f"{what} is a wildcard, which needs a check of DNS records; set nginx_acme_dns_hook, or list the names "
                "that you need in nginx_acme_names."
            )
        elif variable == "nginx_acme_names" and not values.get("nginx_acme_dns_hook") and not _answers(name, values):
            failures.append(
                f"{what} is neither fleet_domain nor one of nginx_server_aliases, so the site does not answer the CA; "
                "add it to nginx_server_aliases, or remove it."
            )
    return failures


def _wrong_way(values: Mapping[str, Any]) -> list[str]:
    """A sentence if the CA cannot check that the names belong to the site."""
    if hook := values.get("nginx_acme_dns_hook"):
        missing = f"nginx_acme_dns_hook = {hook} is not a file of the control node; set the path of a program."
        return [] if Path(str(hook)).is_file() else [missing]
    ports = values.get("fleet_ports")
    rules = [rule for rule in ports if isinstance(rule, dict)] if isinstance(ports, list) else []
    sources = [source for rule in rules if rule.get("port") == 80 for source in rule.get("from") or []]
    closed = (
        f"{EMAIL} is set, but fleet_ports opens port 80 only to {', '.join(map(str, sources)) or 'nobody'}, so the CA "
        "cannot check the site; open it to any, or set nginx_acme_dns_hook."
    )
    return [closed] if rules and "any" not in sources else []


def _host(url: Any) -> str:
    """The host in a URL with https. Empty if it is none."""
    try:
        parts = urlsplit(str(url))
        return (parts.hostname or "") if parts.scheme == "https" and not re.search(r"\s", str(url)) else ""
    except ValueError:
        return ""


def _answers(name: str, values: Mapping[str, Any]) -> bool:
    """Whether nginx answers requests for a name."""
    known = [str(each).lower() for each in [values.get("fleet_domain"), *(values.get("nginx_server_aliases") or [])]]
    below = [each.lstrip("*") for each in known if each.startswith(("*.", "."))]
    return name.lower() in known or name.lower().endswith(tuple(below)) or values.get("nginx_strict_host") is False


def _generated(certificate: str) -> bool:
    try:
        return certificates.generated(certificate)
    except ValueError:
        return False


def _is_address(name: str) -> bool:
    try:
        return bool(ip_address(name.strip("[]")))
    except ValueError:
        return False
