"""Secrets are generated once, never change, are always encrypted, and weak ones are refused."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret

from plugins.action import fleet_check_secrets as check
from plugins.action import fleet_secrets

ROOT = Path(__file__).resolve().parents[3]
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
    values = yaml.safe_load(read(path))
    assert list(values) == NAMES
    words = [value for name, value in values.items() if "_tls_" not in name]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", word) for word in words)
    assert len(set(words)) == len(words)


def test_a_generated_vault_passes_the_preflight(path: Path) -> None:
    complete(path, NAMES)
    values = yaml.safe_load(read(path))
    assert check.weak_passwords({name: value for name, value in values.items() if "_tls_" not in name}, 20) == []
    assert (
        check.wrong_pair("vault_nginx", values["vault_nginx_tls_key"], values["vault_nginx_tls_certificate"], NOW) == []
    )


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


def test_no_temporary_file_is_left(path: Path) -> None:
    complete(path, NAMES)
    assert [file.name for file in path.parent.iterdir()] == ["vault.yml"]


def test_a_file_with_another_password_is_kept_and_explained(path: Path) -> None:
    complete(path, NAMES)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"cannot be decrypted .* restore that password, or remove the file"):
        complete(path, [*NAMES, "vault_new"], password=b"wrong")
    assert path.read_bytes() == before


def test_an_unencrypted_file_is_refused(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("vault_a: b\n")
    with pytest.raises(ValueError, match=r"is not encrypted; run 'ansible-vault encrypt "):
        complete(path, ["vault_a", "vault_b"])


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


def test_a_certificate_of_another_key_or_an_expired_one_is_refused() -> None:
    key, certificate = fleet_secrets.tls_pair("news.test", "10.0.0.5")
    other, _ = fleet_secrets.tls_pair("news.test")
    assert check.wrong_pair("vault_nginx", key, certificate, NOW) == []
    (sentence,) = check.wrong_pair("vault_nginx", other, certificate, NOW)
    assert "vault_nginx_tls_certificate does not match vault_nginx_tls_key" in sentence
    (sentence,) = check.wrong_pair("vault_nginx", key, certificate, NOW + timedelta(days=4000))
    assert "expired on" in sentence
    assert "is not a PEM private key" in check.wrong_pair("vault_nginx", "x", certificate, NOW)[0]
    assert "is not a PEM certificate" in check.wrong_pair("vault_nginx", key, "x", NOW)[0]
