"""A fleet at AWS from `terraform apply` to `destroy`: used, grown and shrunk under load.

The order of the tests matters.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import httpx
import pytest

from plugins.filter.backups import backup_document
from tests.support.cloud import api, ec2, hosts
from tests.support.cloud.live import LiveCloud
from tests.support.cloud.scenario import UNAVAILABLE
from tests.support.drills import verdict
from tests.support.drills.background import running
from tests.support.drills.load import Plan
from tests.support.drills.verdict import Record
from tests.support.live.clients import ARTICLES, article_ids, publish
from tests.support.live.fleet import eventually

pytestmark = pytest.mark.skipif(UNAVAILABLE.exists(), reason=UNAVAILABLE.read_text() if UNAVAILABLE.exists() else "")

RATES = {"read": 10.0, "write": 3.0}
# Seconds after which a load ends by itself, so that it cannot outlive a failed test.
MAX_LOAD_SECONDS = 1800.0


@contextmanager
def load(fleet: LiveCloud, site: httpx.Client, api_key: str) -> Iterator[list[Record]]:
    """Send requests of readers and authors. Afterwards the list has their records."""
    run = f"cloud-{uuid4().hex[:8]}"
    plan = Plan(f"https://{fleet.vip}", run, api_key, "", article_ids(site), RATES, MAX_LOAD_SECONDS)
    with running(plan, hosts.DIRECTORY) as records:
        yield records


def failures(records: list[Record]) -> str:
    """Describe the failed requests. Empty if there are none."""
    begin = min(record["due"] for record in records)
    failed = [record for record in records if not verdict.succeeded(record)]
    details = [
        f"{r['kind']} {r['status'] or r['error']} after {r['end'] - r['due']:.1f} s, due at {r['due'] - begin:.1f} s"
        for r in failed
    ]
    return "; ".join([f"{len(failed)} of {len(records)} requests failed", *details[:40]]) if failed else ""


def served_by(site: httpx.Client) -> str:
    """Return the application host that answers an uncached list."""
    return site.get(ARTICLES, params={"limit": random.randint(1, 100)}).headers["X-Served-By"]


def test_an_article_is_written_and_read_through_the_front_door(author: httpx.Client, site: httpx.Client) -> None:
    article = publish(author)
    assert site.get(f"{ARTICLES}/{article['id']}").json()["title"] == article["title"]


def test_a_second_plan_is_empty(fleet: LiveCloud) -> None:
    assert fleet.cloud.plan() == {}


def test_the_application_uses_its_bucket_for_uploads(fleet: LiveCloud) -> None:
    """The local S3 checks no permission, and its address is not that of AWS."""
    bucket = fleet.cloud.bucket("uploads")
    assert fleet.run(fleet.hosts["app1"], "sudo cat /etc/news/env").stdout.count(f'="{bucket}"\n') == 5
    s3 = ec2.client("s3", api.port())
    s3.put_object(Bucket=bucket, Key="users/1.txt", Body=b"hello")
    s3.delete_object(Bucket=bucket, Key="users/1.txt")
    versions = s3.list_object_versions(Bucket=bucket)
    assert len(versions["Versions"]) == len(versions["DeleteMarkers"]) == 1


def test_a_backup_is_made_into_its_bucket_and_listed(fleet: LiveCloud) -> None:
    """Started by the host of the group backup. WAL is archived by the primary itself."""
    fleet.cloud.play("playbooks/backup.yml", "--extra-vars=backup_type=full")
    fleet.cloud.play("playbooks/backups.yml")
    command = "sudo -u postgres pgbackrest --stanza=main --output=json info"
    document = backup_document(fleet.run(fleet.hosts["mon1"], command).stdout)
    newest = document["backups"][0]
    assert (newest["type"], document["repositories"]) == ("full", [{"number": 1, "status": "ok"}])
    s3, bucket = ec2.client("s3", api.port()), fleet.cloud.bucket("backups")
    for folder in (f"backup/main/{newest['label']}", "archive/main/17-1"):
        assert s3.list_objects_v2(Bucket=bucket, Prefix=f"pgbackrest/{folder}/")["KeyCount"] > 0


def test_another_instance_type_changes_only_the_hosts_of_its_tier(fleet: LiveCloud) -> None:
    changes = fleet.cloud.plan(instance_types={"app": "t3.medium"})
    assert changes == {f'module.hosts.aws_instance.host["{name}"]': ["update"] for name in ("app1", "app2")}


def test_a_third_application_host_joins_without_a_failed_request(
    fleet: LiveCloud, site: httpx.Client, api_key: str
) -> None:
    with load(fleet, site, api_key) as records:
        fleet.cloud.apply(app_hosts=3)
        fleet.cloud.play("site.yml")
        third = LiveCloud(fleet.cloud).name_of("app3")
        assert eventually(lambda: served_by(site) == third, within=30)
    assert not failures(records), failures(records)
    assert third in {record["by"] for record in records}


def test_an_application_host_is_removed_without_a_failed_request(
    fleet: LiveCloud, site: httpx.Client, api_key: str
) -> None:
    third = LiveCloud(fleet.cloud).name_of("app3")
    with load(fleet, site, api_key) as records:
        fleet.cloud.play("playbooks/remove.yml", "--extra-vars=remove_hosts=app3")
        fleet.cloud.apply(app_hosts=2)
        fleet.cloud.play("site.yml")
    assert not failures(records), failures(records)
    assert third not in {host.id for host in fleet.instances()}
    assert eventually(lambda: third not in hosts.present(), within=60), api.LOG.read_text()


def test_destroy_refuses_to_delete_data(fleet: LiveCloud) -> None:
    refused = fleet.cloud.destroy()
    assert refused.returncode == 1
    assert "Instance cannot be destroyed" in refused.stderr
    assert len(fleet.instances()) == len(fleet.hosts)


def test_destroy_without_protection_removes_everything(fleet: LiveCloud) -> None:
    terminated = fleet.cloud.terminate_hosts()
    assert terminated.returncode == 0, terminated.stderr
    fleet.cloud.empty_buckets()
    destroyed = fleet.cloud.destroy(unprotected=True)
    assert destroyed.returncode == 0, destroyed.stderr
    assert fleet.instances() == []
    assert fleet.cloud.leftovers() == {}
    assert eventually(lambda: hosts.present() == [], within=120), api.LOG.read_text()
