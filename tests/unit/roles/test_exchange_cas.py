"""How the vault file changes when another CA takes over."""

from __future__ import annotations

import pytest
import yaml

from plugins import certificates
from plugins.action import fleet_exchange_cas as exchange
from plugins.action.fleet_secrets import appended

CAS = ("vault_certificates_ca_", "vault_certificates_next_ca_")


def vault() -> str:
    """Return a vault with two CAs between other secrets."""
    values = {"vault_first": "one"}
    for stem in CAS:
        values |= dict(zip((f"{stem}key", f"{stem}certificate"), certificates.ca_pair(stem), strict=True))
    return appended("", values | {"vault_last": "two"})


def pair(text: str, stem: str) -> tuple[str, str]:
    """Return a CA of the vault."""
    values = yaml.safe_load(text)
    return values[f"{stem}key"], values[f"{stem}certificate"]


def test_the_waiting_ca_signs_and_the_old_one_waits_until_it_is_replaced() -> None:
    before = vault()
    old, new = (pair(before, stem) for stem in CAS)
    between = exchange.begun(before)
    assert (pair(between, CAS[0]), pair(between, CAS[1])) == (new, old)
    after = exchange.finished(between)
    assert pair(after, CAS[0]) == new
    assert pair(after, CAS[1]) not in (old, new)
    values = yaml.safe_load(after)
    assert (values["vault_first"], values["vault_last"]) == ("one", "two")
    assert values.keys() == yaml.safe_load(before).keys()


def test_a_repetition_after_an_interruption_does_not_exchange_them_back() -> None:
    between = exchange.begun(vault())
    assert exchange.begun(between) == between
    after = exchange.finished(between)
    assert exchange.finished(after) == after
    assert exchange.begun(after) != after, "the next rotation begins"


def test_a_ca_that_is_not_in_the_file_is_named() -> None:
    with pytest.raises(ValueError, match="vault_certificates_next_ca_key and vault_certificates_next_ca_certificate"):
        exchange.begun("vault_certificates_ca_key: x\nvault_certificates_ca_certificate: y\n")
