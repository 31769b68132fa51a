"""Check the secrets that the inventory defines. All others are generated, so they need no check."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from plugins import certificates
from plugins.control_node import ControlNodeAction

MIN_DISTINCT_CHARACTERS = 8
LONG = 40  # a random string of this length may contain an obvious word by chance
GENERATE = "or remove it to have one generated"
HALVES = ("key", "certificate")
# A half of a pair in the vault: its stem and its kind.
HALF = re.compile(r"(\w+)_(tls|ca)_(?:key|certificate)")
OBVIOUS = re.compile(r"change.?me|passw|secret|default|example|12345|qwerty", re.IGNORECASE)


def weak_passwords(values: Mapping[str, str], length: int) -> list[str]:
    """Report each password that is short, guessable, unsafe in a URL, or used twice, without its value."""
    failures = []
    owners: dict[str, str] = {}
    for name, value in values.items():
        if len(value) < length:
            failures.append(
                f"{name} is shorter than preflight_secret_length = {length}; choose a longer value, {GENERATE}."
            )
        elif (len(value) < LONG and OBVIOUS.search(value)) or len(set(value)) < MIN_DISTINCT_CHARACTERS:
            failures.append(f"{name} can be guessed; choose a random value, {GENERATE}.")
        elif re.search(r"[^A-Za-z0-9._~-]", value):
            failures.append(
                f"{name} has characters with a meaning in URLs; use only letters, digits and . _ ~ -, {GENERATE}."
            )
        elif value in owners:
            failures.append(
                f"{name} has the same value as {owners[value]}, so one leak reveals both; choose another, {GENERATE}."
            )
        owners.setdefault(value, name)
    return failures


def wrong_pair(stem: str, key: str | None, certificate: str | None, now: datetime, kind: str = "tls") -> list[str]:
    """Report each reason why the key and the certificate of a server, or of a CA (`kind`), do not work together now."""
    key_name, certificate_name = f"{stem}_{kind}_key", f"{stem}_{kind}_certificate"
    if not key and not certificate:
        return []
    if not key or not certificate:
        given, missing = (key_name, certificate_name) if key else (certificate_name, key_name)
        return [f"{given} is set and {missing} is not; set both, or remove both to have a pair generated."]
    try:
        private = load_pem_private_key(key.encode(), password=None)
    except (ValueError, TypeError):
        return [f"{key_name} is not a PEM private key without a passphrase; convert it with 'openssl pkey'."]
    try:
        chain = x509.load_pem_x509_certificates(certificate.encode())
    except ValueError:
        return [f"{certificate_name} is not a PEM certificate; give the certificate first, and its chain after it."]
    leaf = chain[0]
    failures = []
    public = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if leaf.public_key().public_bytes(*public) != private.public_key().public_bytes(*public):
        failures.append(
            f"{certificate_name} does not match {key_name}; give a matching pair, the server's certificate first."
        )
    if leaf.not_valid_after_utc <= now:
        failures.append(
            f"{certificate_name} expired on {leaf.not_valid_after_utc:%Y-%m-%d}; renew it, or remove the pair."
        )
    if leaf.not_valid_before_utc > now:
        failures.append(
            f"{certificate_name} is valid from {leaf.not_valid_before_utc:%Y-%m-%d} only; correct the clock of this "
            "control node, or give another one."
        )
    if kind == "ca" and not certificates.can_sign(leaf):
        failures.append(
            f"{certificate_name} is not the certificate of a CA with a subject key identifier; give one, or remove the "
            "pair to have it generated."
        )
    return failures


def wrong_name(name: str, certificate: str, domain: str) -> list[str]:
    """A sentence if a certificate that role secrets does not renew is not valid for the site's domain."""
    renewed = name.startswith("vault_") and certificates.generated(certificate)
    failure = (
        f"{name} is valid for {', '.join(certificates.names(certificate)) or 'no name'}, but not for fleet_domain = "
        f"{domain}; give a certificate for it, or remove {name} and its key to have a pair generated."
    )
    return [] if renewed or certificates.covers(certificate, domain) else [failure]


class ActionModule(ControlNodeAction):
    """Ansible's entry point."""

    def act(self) -> dict[str, Any]:
        """Return the failures; the role decides what to do about them."""
        values = {name: str(value) for name, value in self.values(self.arguments["names"]).items()}
        passwords = {name: value for name, value in values.items() if "_tls_" not in name and "_ca_" not in name}
        failures = weak_passwords(passwords, int(self.arguments["length"]))
        now = datetime.now(UTC)
        pairs = {(match[1], match[2]) for name in self.arguments["names"] if (match := HALF.fullmatch(name))}
        for stem, kind in sorted(pairs):
            failures += self._wrong_pair(stem, kind, now)
        return {"failures": failures + self._wrong_authorities()}

    def _wrong_pair(self, stem: str, kind: str, now: datetime) -> list[str]:
        """Check a pair of the vault, or that of the role's variables, if the inventory defines these instead."""
        given, direct = self._halves(stem, kind), self._halves(stem.removeprefix("vault_"), kind)
        if any(direct.values()) and set(direct.values()) != set(given.values()):
            stem, given = stem.removeprefix("vault_"), direct
        wrong = wrong_pair(stem, given["key"], given["certificate"], now, kind)
        domain = self.values(["fleet_domain"]).get("fleet_domain")
        if kind == "tls" and given["certificate"] and domain and not wrong:
            wrong = wrong_name(f"{stem}_tls_certificate", given["certificate"], domain)
        return wrong

    def _halves(self, stem: str, kind: str) -> dict[str, str | None]:
        """The key and the certificate, or None for what has no value."""
        values = self.values(f"{stem}_{kind}_{half}" for half in HALVES)
        return {half: str(value) if (value := values.get(f"{stem}_{kind}_{half}")) else None for half in HALVES}

    def _wrong_authorities(self) -> list[str]:
        """A sentence if the hosts would not trust the CA that signs their certificates."""
        found = self.values(["certificates_authorities", "certificates_ca_certificate"])
        signer, trusted = found.get("certificates_ca_certificate"), found.get("certificates_authorities")
        if not signer or not isinstance(trusted, list) or signer.strip() in [str(each).strip() for each in trusted]:
            return []
        lacks = f"certificates_authorities has {len(trusted)} certificates, but not certificates_ca_certificate"
        return [f"{lacks}, so no host would trust the certificates of the others; add it to the list."]
