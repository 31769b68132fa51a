"""Secrets are generated once, never change, are always encrypted, and weak ones are refused."""

from __future__ import annotations

import re
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from plugins import certificates
from plugins.action import fleet_check_secrets as check
from plugins.action import fleet_secrets
from plugins.certificates import tls_pair
from tools.fleet.context import ROOT

NAMES = re.findall(r"\{\{ (vault_\w+) \}\}", (ROOT / "inventories/shared/secrets.yml").read_text())
NOW = datetime.now(UTC)


def vault(password: bytes = b"open sesame") -> VaultLib:
    return VaultLib([("default", VaultSecret(password))])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "group_vars" / "all" / "vault.yml"


def complete(path: Path, names: list[str], password: bytes = b"open sesame") -> list[str]:
    return fleet_secrets.complete(path, names, vault(password), "news.test", "10.0.0.5")


def read(path: Path) -> str:
    return str(vault().decrypt(path.read_bytes()).decode())


def test_the_first_run_generates_every_secret_into_an_encrypted_private_file(path: Path) -> None:
    assert complete(path, NAMES) == NAMES
    assert path.read_text().startswith("$ANSIBLE_VAULT;")
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path], "no temporary file is left"
    values = yaml.safe_load(read(path))
    assert list(values) == NAMES
    words = {name: value for name, value in values.items() if "_tls_" not in name and "_ca_" not in name}
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", word) for word in words.values())
    assert len(set(words.values())) == len(words)
    assert check.weak_passwords(words, 20) == []
    key, certificate = values["vault_nginx_tls_key"], values["vault_nginx_tls_certificate"]
    assert check.wrong_pair("vault_nginx", key, certificate, NOW) == []


def test_no_generated_secret_begins_like_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    words = iter(["-first", "-second", "third"])
    monkeypatch.setattr("secrets.token_urlsafe", lambda _: next(words))
    assert fleet_secrets.generate(["vault_redis_app_password"], "news.test") == {"vault_redis_app_password": "third"}


def test_the_generated_certificate_identifies_the_site_and_can_sign_no_other(tmp_path: Path) -> None:
    pem = tmp_path / "pair.pem"
    key, certificate = tls_pair("news.test", "10.0.0.5")
    pem.write_text(key + certificate)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    client = ssl.create_default_context(cadata=certificate)
    client.verify_flags |= ssl.VERIFY_X509_STRICT  # the default of Python 3.13
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname="news.test"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for end in ends * 2:
        with suppress(ssl.SSLWantReadError):
            end.do_handshake()
    assert ends[0].version() == "TLSv1.3"
    extensions = x509.load_pem_x509_certificate(certificate.encode()).extensions
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_later_runs_change_nothing(path: Path) -> None:
    complete(path, NAMES)
    before = path.read_bytes()
    assert complete(path, NAMES) == []
    assert path.read_bytes() == before


def test_adding_a_secret_does_not_change_a_byte_of_the_others(path: Path) -> None:
    path.parent.mkdir(parents=True)
    mine = '# mine\nvault_a:   "x:y#z"   # odd spacing\nvault_b: |\n  two\n  lines'
    path.write_bytes(vault().encrypt(mine))
    assert complete(path, ["vault_a", "vault_c"]) == ["vault_c"]
    assert read(path).startswith(f"{mine}\nvault_c: ")


def test_concurrent_first_runs_agree(path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        generated = list(pool.map(lambda _: complete(path, NAMES), range(4)))
    assert sorted(map(len, generated)) == [0, 0, 0, len(NAMES)]


def test_a_file_with_another_password_is_kept_and_explained(path: Path) -> None:
    complete(path, NAMES)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"cannot be decrypted .* use the one that encrypted it, or remove the file"):
        complete(path, [*NAMES, "vault_new"], password=b"wrong")
    assert path.read_bytes() == before


def test_an_unencrypted_file_is_refused(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("vault_a: b\n")
    with pytest.raises(ValueError, match=r"is not encrypted; run 'ansible-vault encrypt "):
        complete(path, ["vault_a", "vault_b"])


def complete_for(path: Path, domain: str, address: str, renew: bool = True) -> list[str]:
    return fleet_secrets.complete(path, NAMES, vault(), domain, address, renew)


def test_the_generated_certificate_follows_the_domain_and_the_address(path: Path) -> None:
    pair = ["vault_nginx_tls_key", "vault_nginx_tls_certificate"]
    complete_for(path, "news.test", "10.0.0.5")
    before = yaml.safe_load(read(path))
    assert complete_for(path, "shop.test", "10.0.0.5", renew=False) == []
    assert complete_for(path, "shop.test", "10.0.0.6") == pair
    after = yaml.safe_load(read(path))
    assert {name for name in NAMES if after[name] != before[name]} == set(pair)
    certificate = after["vault_nginx_tls_certificate"]
    assert check.wrong_pair("vault_nginx", after["vault_nginx_tls_key"], certificate, NOW) == []
    # Fleets of one inventory, which differ in their address, share the certificate.
    assert certificates.names(certificate) == ["shop.test", "news.test", "10.0.0.6", "10.0.0.5"]
    assert complete_for(path, "shop.test", "10.0.0.5") == []
    assert complete_for(path, "third.test", "10.0.0.5") == pair, "a renewed certificate is a generated one, too"


def test_a_value_is_replaced_without_changing_a_byte_of_the_others() -> None:
    text = "# mine\na: |\n  two\n\n  lines\n# about b\nb:   1  # odd\nc: >-\n  last"
    assert fleet_secrets.without(text, ["a"]) == "# mine\n# about b\nb:   1  # odd\nc: >-\n  last"
    assert fleet_secrets.without(text, ["b", "c"]) == "# mine\na: |\n  two\n\n  lines\n# about b\n"


def own_certificate(*names: str) -> str:
    """Return a certificate of somebody else's making: with another lifetime."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certificates, "VALID", timedelta(days=90))
        return tls_pair(names[0], more=names[1:])[1]


@pytest.mark.parametrize(
    ("names", "valid"),
    [
        (["news.test"], True),
        (["other.test", "NEWS.test"], True),
        (["*.test"], True),
        (["*.news.test"], False),
        (["other.test"], False),
    ],
)
def test_a_certificate_of_ones_own_must_be_valid_for_the_domain(names: list[str], valid: bool) -> None:
    certificate = own_certificate(*names)
    assert not certificates.generated(certificate)
    sentences = check.wrong_name("vault_nginx_tls_certificate", certificate, "news.test")
    assert [s.partition(";")[0] for s in sentences] == (
        []
        if valid
        else [f"vault_nginx_tls_certificate is valid for {', '.join(names)}, but not for fleet_domain = news.test"]
    )
    assert fleet_secrets.renewed({"vault_nginx_tls_certificate": certificate}, "news.test") == {}


def test_half_a_tls_pair_is_not_completed(path: Path) -> None:
    with pytest.raises(ValueError, match="vault_nginx_tls_certificate is set and vault_nginx_tls_key is not"):
        complete(path, ["vault_nginx_tls_key"])


def test_weak_passwords_are_refused_without_printing_them() -> None:
    values = {
        "vault_short": "Xk3-f9",
        "vault_obvious": "changeme-changeme-2024",
        "vault_repeated": "abababababababababababab",
        "vault_url": "aB3$fG7@kL9#pQ2!sT5%wX8",
        "vault_one": "q7Rz-Lm2vX9tB4nK8wYc",
        "vault_two": "q7Rz-Lm2vX9tB4nK8wYc",
    }
    sentences = check.weak_passwords(values, 20)
    assert [sentence.split()[0] for sentence in sentences] == [name for name in values if name != "vault_one"]
    assert not any(value in sentence for value in values.values() for sentence in sentences)


@pytest.mark.parametrize(
    ("change", "days", "message"),
    [
        (
            {"key": tls_pair("news.test")[0]},
            0,
            "vault_nginx_tls_certificate does not match vault_nginx_tls",
        ),
        ({}, 4000, "expired on"),
        ({"key": "x"}, 0, "is not a PEM private key"),
        ({"certificate": "x"}, 0, "is not a PEM certificate"),
    ],
)
def test_a_wrong_tls_pair_is_refused(change: dict[str, str], days: int, message: str) -> None:
    key, certificate = tls_pair("news.test", "10.0.0.5")
    pair = {"key": key, "certificate": certificate} | change
    (sentence,) = check.wrong_pair("vault_nginx", **pair, now=NOW + timedelta(days=days))
    assert message in sentence


def test_the_authorities_are_generated_as_pairs_and_can_sign(path: Path) -> None:
    complete(path, NAMES)
    values = yaml.safe_load(read(path))
    for stem in ("vault_certificates", "vault_certificates_next", "vault_pgbackrest"):
        key, certificate = values[f"{stem}_ca_key"], values[f"{stem}_ca_certificate"]
        assert check.wrong_pair(stem, key, certificate, NOW, "ca") == []
        (sentence,) = check.wrong_pair(stem, key, certificate, NOW - timedelta(days=2), "ca")
        assert f"{stem}_ca_certificate is valid from " in sentence
    assert values["vault_certificates_ca_key"] != values["vault_certificates_next_ca_key"]
    tls = (values["vault_nginx_tls_key"], values["vault_nginx_tls_certificate"])
    (sentence,) = check.wrong_pair("vault_certificates", *tls, NOW, "ca")
    assert "vault_certificates_ca_certificate is not the certificate of a CA" in sentence


KEY, CERTIFICATE = certificates.ca_pair("test_ca_")


@pytest.mark.parametrize(
    ("given", "sentences"),
    [
        ({}, []),
        (
            {"vault_certificates_ca_key": KEY},
            ["vault_certificates_ca_key is set and vault_certificates_ca_certificate is not;"],
        ),
        ({"certificates_next_ca_certificate": CERTIFICATE}, ["certificates_next_ca_certificate is set and "]),
        (
            {"certificates_ca_key": certificates.ca_pair("x_")[0], "certificates_ca_certificate": CERTIFICATE},
            ["certificates_ca_certificate does not match certificates_ca_key"],
        ),
        ({"certificates_ca_key": KEY, "certificates_ca_certificate": CERTIFICATE}, []),
        (
            {
                "vault_certificates_ca_key": KEY,
                "vault_certificates_ca_certificate": CERTIFICATE,
                "certificates_ca_certificate": CERTIFICATE,
                "certificates_ca_key": KEY,
                "certificates_authorities": [certificates.ca_pair("x_")[1]],
            },
            ["certificates_authorities has 1 certificates, but not certificates_ca_certificate"],
        ),
    ],
)
def test_wrong_authorities_are_refused(given: dict[str, str], sentences: list[str]) -> None:
    action = check.ActionModule.__new__(check.ActionModule)
    action.variables, action.arguments = given, {"names": NAMES, "length": 20}
    action._templar = SimpleNamespace(template=lambda value: value)
    failures = action.act()["failures"]
    assert [failure[: len(start)] for failure, start in zip(failures, sentences, strict=True)] == sentences
