"""Verifiers of passwords, which replace the passwords in the statements that create roles."""

from __future__ import annotations

from base64 import b64decode

from plugins.filter.postgres import scram_verifier, verifier
from tools.fleet.context import ROOT


def test_a_verifier_has_the_keys_of_the_rfcs_example() -> None:
    salt = "W22ZaJ0SNY7soEsUEjb6gQ=="
    stored, server = "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=", "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    assert verifier(b"pencil", b64decode(salt)) == f"SCRAM-SHA-256$4096:{salt}${stored}:{server}"


def test_a_verifier_is_always_the_same_and_differs_by_role_and_password() -> None:
    found = [scram_verifier(password, role) for password in ("one", "two") for role in ("app", "owner")]
    assert len(set(found)) == 4
    assert found[0] == scram_verifier("one", "app")
    assert "one" not in found[0]


def test_a_verifier_is_kept_and_other_scripts_are_normalized() -> None:
    given = scram_verifier("one", "app")
    assert scram_verifier(given, "app") == given
    assert scram_verifier("\u2168", "app") == scram_verifier("IX", "app")  # NFKC, as Postgres does


def test_no_role_sends_a_password_to_postgres() -> None:
    tasks = [path.read_text() for path in ROOT.glob("roles/*/tasks/**/*.yml")]
    passwords = [
        line.strip()
        for text in tasks
        for part in text.split("postgresql_user:")[1:]
        for line in part.split("\n\n")[0].splitlines()
        if line.strip().startswith("password:")
    ]
    assert passwords
    assert [line for line in passwords if "| scram_verifier(" not in line] == []
