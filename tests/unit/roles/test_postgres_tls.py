"""Role postgres: TLS for its clients, and verified names between its members."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.unit.roles.fleet_variables import rendered, trust
from tests.unit.roles.modules import ROLES, read_list, read_yaml, render

MEMBERS = [{"name": "db1", "address": "10.0.0.1"}, {"name": "db2", "address": "10.0.0.2"}]
VERIFIED = {"sslmode": "verify-full", "sslrootcert": "/etc/fleet-tls/ca.pem"}


def settings(
    *,
    offers: list[int] | None,
    verifying: bool = False,
    started: bool = False,
    plain: list[list[str]] | None = None,
    requiring: bool = False,
    **given: Any,
) -> dict[str, Any]:
    """Return Patroni's settings on db1, and whether it reloads them: `reloads`.

    Args:
        offers: exit codes of the checks of the other members; None before the checks.
        verifying: whether the file requires a certificate of them already.
        started: whether Patroni was started in the same run.
        plain: for each member, its clients without TLS; None before they are looked for.
        requiring: whether the file refuses such clients already.
    """
    found: dict[str, Any] = (
        {} if offers is None else {"__postgres_offers": {"results": [{"rc": code} for code in offers]}}
    )
    if plain is not None:
        # Without rows, the module returns an empty mapping.
        rows: list[dict[str, Any]] = [
            {"query_result": [{"client": client} for client in clients] or {}} for clients in plain
        ]
        found["hostvars"] = {f"db{number}": {"__postgres_plain": row} for number, row in enumerate(rows, 1)}
        found |= {"ansible_play_hosts": [*found["hostvars"]], "__postgres_plain": rows[0]}
    (reload, *_) = read_list("roles/postgres/handlers/main.yml")
    computed = rendered(
        reloads=trust("{{ " + reload["when"] + " }}"),
        __postgres_started={"changed": started},
        **trust(read_yaml("roles/postgres/vars/main.yml")),
        **found,
        __postgres_disk={"stdout_lines": ["1M-blocks", "1000"]},
        __postgres_verifying={"rc": 0 if verifying else 1},
        __postgres_requiring={"rc": 0 if requiring else 1},
        __postgres_watchdog={"stat": {"exists": False}},
        ansible_facts={"memtotal_mb": 1000, "processor_vcpus": 2},
        postgres_address="10.0.0.1",
        postgres_members=MEMBERS,
        postgres_name="db1",
        **given,
    )
    secrets = dict.fromkeys(("restapi", "superuser", "replication", "rewind"), "x")
    text = render("postgres", "patroni.yml.j2", **{f"postgres_{k}_password": v for k, v in secrets.items()} | computed)
    document: dict[str, Any] = yaml.safe_load(text)["postgresql"]
    return document | {"reloads": computed["reloads"]}


def verifies(document: dict[str, Any]) -> bool:
    """Whether both connections to other members require a certificate."""
    users = [document["authentication"][name] for name in ("replication", "rewind")]
    assert users[0].get("sslmode") == users[1].get("sslmode")
    return all(VERIFIED.items() <= user.items() for user in users)


def test_tls_is_served_before_the_other_members_are_verified() -> None:
    first = settings(offers=None)
    assert first["parameters"]["ssl"] == "on"
    assert first["parameters"]["ssl_key_file"] == "/etc/fleet-tls/postgres.key"
    assert not verifies(first)
    assert not verifies(settings(offers=[1])), "a member that serves no TLS could not be followed"
    assert verifies(settings(offers=[0]))
    assert verifies(settings(offers=None, verifying=True)), "a member that is down changes nothing"


def test_patroni_reloads_the_settings_that_were_written_after_its_start() -> None:
    assert not settings(offers=None, started=True)["reloads"], "it has just read them"
    assert settings(offers=[0], started=True)["reloads"], "they were written again"
    assert settings(offers=None)["reloads"]
    assert not settings(offers=[1], started=True)["reloads"]


def requires(document: dict[str, Any]) -> bool:
    """Whether clients from other hosts are refused without TLS. This host is no network."""
    (own,) = {line.split()[0] for line in document["pg_hba"] if "127.0.0.1" in line}
    (others,) = {line.split()[0] for line in document["pg_hba"] if line.startswith("host") and "127.0.0.1" not in line}
    assert own == "host"
    return bool(others == "hostssl")


def test_clients_without_tls_are_refused_as_soon_as_no_member_has_any() -> None:
    assert not requires(settings(offers=None))
    assert not requires(settings(offers=[0], plain=[[], ["shop_app from 10.0.0.21"]])), "a failover would bring it here"
    assert requires(settings(offers=[0], plain=[[], []]))
    assert requires(settings(offers=None, requiring=True)), "a later run changes nothing"
    assert settings(offers=[0], plain=[[], []], verifying=True, started=True)["reloads"], "it was written again"


@pytest.mark.parametrize("state", ["off", False, "both"])
def test_clients_without_tls_are_let_in_again(state: Any) -> None:
    found = settings(offers=[0], plain=[[], []], requiring=True, verifying=True, postgres_tls=state)
    assert not requires(found)
    assert found["parameters"]["ssl"] == "on", "applications require TLS until the same run has reached them"


@pytest.mark.parametrize("state", ["off", False])
def test_off_is_plain_text_however_yaml_reads_it(state: Any) -> None:
    found = settings(offers=[0], verifying=True, postgres_tls=state)
    assert not any(name.startswith("ssl") for name in found["parameters"])
    assert not verifies(found)


def test_settings_of_the_user_win() -> None:
    found = settings(offers=None, postgres_parameters={"ssl_min_protocol_version": "TLSv1.2"})
    assert "ssl_min_protocol_version" not in found["parameters"], "the file of the host would override it"


def test_no_connection_between_members_requires_channel_binding() -> None:
    """Patroni uses these settings on the socket too, where there is none: a failover would stop half-way."""
    for path in ROLES.glob("postgres/**/*"):
        assert path.suffix not in {".j2", ".yml"} or "channel_binding" not in path.read_text()
