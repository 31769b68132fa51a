"""Role pgbackrest: the configuration of each host, and the secrets in it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from plugins.backups import SETTINGS, wrong_repositories
from tests.unit.roles.modules import read_yaml, render

DB1, DB2 = ({"name": f"db{number}", "address": f"10.0.0.4{number}"} for number in (1, 2))
MON1 = {"name": "mon1", "address": "10.0.0.61"}
NODE1 = {"name": "node1", "address": "10.0.0.11"}
S3 = {"type": "s3", "bucket": "shop", "region": "eu-central-1", "keep_days": 30}
# Variables of the role that the configuration does not use.
UNUSED = {"present", "service", "metrics", "results", "installs_postgres", "programs", "rehearsal_settings"}
PASS = "not-a-secret-of-anybody"
KEY = {"key": "AKIAEXAMPLE", "secret": "never-in-a-message"}


def configuration(
    host: dict[str, str], databases: list[Any], backup: dict[str, str], *repositories: Any, **own: Any
) -> str:
    """Return pgBackRest's configuration on a host."""
    found = read_yaml("roles/pgbackrest/defaults/main.yml") | {
        "pgbackrest_repositories": list(repositories) or [{"type": "host"}],
        "pgbackrest_name": host["name"],
        "pgbackrest_address": host["address"],
        "pgbackrest_postgres_members": databases,
        "pgbackrest_backup_members": [backup],
        "pgbackrest_cipher_pass": PASS,
        "pgbackrest_restore_processes": 4,
    }
    found |= own
    private = read_yaml("roles/pgbackrest/vars/main.yml")
    unused = {f"__pgbackrest_{name}" for name in UNUSED} | own.keys()
    for name, value in ((name, private[name]) for name in private if name not in unused):
        trusted = trust_as_template(value) if isinstance(value, str) else value
        found[name] = Templar(DataLoader(), found).template(trusted)
    return render("pgbackrest", "pgbackrest.conf.j2", **found)


def lines(text: str) -> list[str]:
    """Return the settings."""
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_a_single_host_uses_its_own_disk_and_no_network() -> None:
    found = lines(configuration(NODE1, [NODE1], NODE1))
    assert not [line for line in found if "tls" in line or "host" in line]
    assert "repo1-path=/var/lib/pgbackrest" in found
    assert f"repo1-cipher-pass={PASS}" in found
    assert found[-2:] == ["[main]", "pg1-path=/var/lib/postgresql/17/main"]


def test_the_host_of_the_repository_reaches_every_database_and_lets_only_them_in() -> None:
    found = lines(configuration(MON1, [DB1, DB2], MON1))
    assert {"pg1-host=db1", "pg2-host=db2", "pg1-host-type=tls", "backup-standby=prefer"} <= {*found}
    assert [line for line in found if "auth" in line] == ["tls-server-auth=db1=main", "tls-server-auth=db2=main"]
    assert "tls-server-address=10.0.0.61" in found


def test_a_database_host_has_neither_the_passphrase_nor_the_other_database() -> None:
    text = configuration(DB2, [DB1, DB2], MON1)
    assert PASS not in text
    found = lines(text)
    assert {"repo1-host=mon1", "repo1-host-type=tls", "tls-server-auth=mon1=main"} <= {*found}
    assert found[found.index("[main]") :] == ["[main]", "pg1-path=/var/lib/postgresql/17/main"]
    assert not [line for line in found if "retention" in line]


def test_a_database_host_with_the_repository_is_its_own_first_database() -> None:
    found = lines(configuration(DB2, [DB1, DB2], DB2))
    assert found[found.index("[main]") + 1] == "pg1-path=/var/lib/postgresql/17/main"
    assert {"pg2-host=db1", "repo1-path=/var/lib/pgbackrest", "tls-server-auth=db1=main"} <= {*found}


@pytest.mark.parametrize("host", [DB1, MON1])
def test_every_host_reaches_a_bucket_itself(host: dict[str, str]) -> None:
    found = lines(configuration(host, [DB1, DB2], MON1, {"type": "host"}, S3))
    assert {"repo2-type=s3", "repo2-s3-bucket=shop", "repo2-s3-endpoint=s3.eu-central-1.amazonaws.com"} <= {*found}
    assert f"repo2-cipher-pass={PASS}" in found


def test_without_a_key_hosts_use_the_role_of_their_instance() -> None:
    found = lines(configuration(DB1, [DB1], MON1, S3))
    assert [line for line in found if "key" in line and "tls" not in line] == ["repo1-s3-key-type=auto"]
    assert not [line for line in found if "uri-style" in line]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        # Amazon's certificate has one label for the bucket.
        ({"bucket": "shop.backups"}, {"repo1-s3-uri-style=path"}),
        ({"region": "cn-north-1"}, {"repo1-s3-endpoint=s3.cn-north-1.amazonaws.com.cn"}),
    ],
)
def test_the_server_of_a_bucket_is_reached(change: dict[str, str], expected: set[str]) -> None:
    assert expected <= {*lines(configuration(DB1, [DB1], MON1, S3 | change))}


def test_a_check_restores_on_the_host_of_the_repository_from_one_repository_alone() -> None:
    own = {"pgbackrest_data_directory": "/scratch/data", "__pgbackrest_used": [S3], "__pgbackrest_checks": True}
    found = lines(configuration(MON1, [MON1], MON1, {"type": "host"}, S3, **own))
    assert not [line for line in found if "tls" in line or "-host" in line or "repo2" in line]
    assert {"repo1-type=s3", "repo1-s3-bucket=shop", f"repo1-cipher-pass={PASS}"} <= {*found}
    # A slow repository must not look like the end of the archive.
    assert "[global:archive-get]" not in found
    assert found[-2:] == ["[main]", "pg1-path=/scratch/data"]


def test_only_a_restore_has_more_than_one_process() -> None:
    found = lines(configuration(DB1, [DB1, DB2], MON1))
    assert found[found.index("[global:restore]") + 1] == "process-max=4"
    # A backup reads a database that serves.
    assert len([line for line in found if line.startswith("process-max")]) == 1


def test_retention_is_by_time() -> None:
    found = lines(configuration(MON1, [DB1], MON1, {"type": "host", "keep_days": 21}, S3))
    assert [line for line in found if "retention" in line] == [
        "repo1-retention-full-type=time",
        "repo1-retention-full=21",
        "repo2-retention-full-type=time",
        "repo2-retention-full=30",
    ]


def test_another_s3_server_is_reached_by_path_with_its_own_ca_and_key() -> None:
    other = S3 | {"endpoint": "10.0.0.9", "port": 9000, "key": "k", "secret": "s", "ca_file": "/etc/ca.pem"}
    found = lines(configuration(DB1, [DB1], MON1, other))
    assert {"repo1-s3-uri-style=path", "repo1-storage-port=9000", "repo1-storage-ca-file=/etc/ca.pem"} <= {*found}
    assert {"repo1-s3-key=k", "repo1-s3-key-secret=s", "repo1-s3-endpoint=10.0.0.9"} <= {*found}
    assert "repo1-s3-key-type=auto" not in found


@pytest.mark.parametrize(
    ("repositories", "hosts", "part"),
    [
        ([], [], ""),
        ([{"type": "host"}], ["mon1"], ""),
        ([{"type": "host"}], [], "Group backup has no hosts"),
        ([{"type": "host"}], ["mon1", "mon2"], "Group backup has 2 hosts"),
        (S3 | KEY, ["mon1"], "is not a list"),
        ([{"type": "nfs"}], ["mon1"], "entry 1: its type is not one of host, s3"),
        ([S3 | {"bucket": ""}], ["mon1"], "entry 1: bucket is missing"),
        ([S3 | {"region": ""}], ["mon1"], "entry 1: region is missing"),
        ([S3 | {"bucket": "s3://shop/db"}], ["mon1"], "bucket = 's3://shop/db' is not the name of a bucket"),
        ([S3 | {"bucket": "Shop"}], ["mon1"], "bucket = 'Shop' is not the name of a bucket"),
        ([S3 | {"region": "Frankfurt"}], ["mon1"], "region = 'Frankfurt' is not a region of AWS"),
        ([S3 | {"key": "k"}], ["mon1"], "entry 1: key is set alone"),
        ([S3 | {"secret": KEY["secret"]}], ["mon1"], "entry 1: secret is set alone"),
        ([S3 | {"endpoint": "s3.test"}], ["mon1"], "entry 1: key and secret are missing"),
        ([S3 | {"endpoint": "vpce-1.s3.eu-central-1.vpce.amazonaws.com"}], ["mon1"], ""),
        ([S3 | KEY | {"endpoint": "s3.test", "region": "anywhere", "port": 9000}], ["mon1"], ""),
        ([S3 | KEY | {"endpoint": "https://s3.test"}], ["mon1"], "endpoint = 'https://s3.test' is not the name"),
        ([S3 | KEY | {"endpoint": "s3.test:9000"}], ["mon1"], "endpoint = 's3.test:9000' is not the name"),
        ([S3 | {"port": "9000"}], ["mon1"], "port = '9000' is not a port"),
        ([S3 | KEY | {"role": "backups"}], ["mon1"], "For the role of their instance, leave out key and secret."),
        ([{"type": "host", "bucket": "shop"}], ["mon1"], "entry 1: bucket is no setting of type host"),
        ([{"type": "host", "keep_days": 0}], ["mon1"], "keep_days = 0"),
    ],
)
def test_a_wrong_repository_is_refused_before_any_host_is_touched(
    repositories: Any, hosts: list[str], part: str
) -> None:
    sentences = wrong_repositories(repositories, hosts)
    assert len(sentences) == (1 if part else 0)
    assert part in "".join(sentences)
    assert KEY["secret"] not in "".join(sentences)


def test_preflight_knows_the_settings_of_a_repository() -> None:
    options = read_yaml("roles/pgbackrest/meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    assert set(SETTINGS["s3"]) == set(options["pgbackrest_repositories"]["options"])


BUCKET = [S3]


@pytest.mark.parametrize(
    ("groups", "given", "expected"),
    [
        ({"backup": ["mon1"]}, {}, [{"type": "host", "keep_days": 14}]),
        ({}, {}, []),  # an inventory that was written before the group was known
        ({"backup": []}, {}, []),
        ({"backup": ["mon1", "mon2"]}, {}, []),
        ({"backup": ["mon1"]}, {"fleet_backup_repositories": BUCKET}, BUCKET),
        ({"backup": ["mon1"]}, {"fleet_backup_repositories": []}, []),  # backup_days = 0 at AWS
    ],
)
def test_backups_are_on_by_default_if_one_host_can_keep_them(
    groups: dict[str, list[str]], given: dict[str, Any], expected: list[dict[str, Any]]
) -> None:
    default = read_yaml("inventories/shared/fleet.yml")["pgbackrest_repositories"]
    found = Templar(None, given | {"groups": groups}).template(trust_as_template(default))
    assert found == expected
    assert wrong_repositories(found, groups.get("backup", [])) == []
