"""The environment that an application gets: addresses in the forms that ordinary applications understand."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from plugins.filter.bucket import bucket_variables
from plugins.filter.cause import without_secrets
from plugins.filter.libpq import libpq_variables
from plugins.filter.mail import mail_variables
from plugins.filter.owner import owner_variables
from tests.unit.roles.fleet_variables import GROUPS, HOSTS, trust, variables
from tests.unit.roles.modules import read_yaml, render
from tools.fleet.context import ROOT

MAIL = {"MAIL_SERVER", "MAIL_PORT", "MAIL_USE_TLS", "MAIL_USE_SSL", "MAIL_USERNAME", "MAIL_PASSWORD"}
REDIS = "redis://app:x@127.0.0.1"
TWO = {
    "groups": GROUPS | {"all": [*HOSTS, "db2"], "postgres": ["db1", "db2"], "redis": ["cache1"]},
    "fleet_addresses": {name: f"192.0.2.{number}" for number, name in enumerate([*HOSTS, "db2"], 11)},
}
# The application's own file sets some of the variables.
ORDINARY: dict[str, Any] = {"app_environment": {}, "app_environment_overrides": {}, "app_name": "shop"}


def environment(**given: Any) -> dict[str, str]:
    """Return the variables of /etc/NAME/env."""
    found = variables() | ORDINARY | TWO | given
    templar = Templar(DataLoader(), found)
    fleet = templar.template(
        {
            name: trust_as_template(value)
            for name, value in read_yaml("roles/app/vars/main.yml")["__app_fleet_variables"].items()
        }
    )
    values = fleet | bucket_variables(found["app_s3_bucket"], found["app_s3_region"], found["app_s3_endpoint"])
    values |= libpq_variables(fleet["DATABASE_URL"], templar.template(found["app_database_ca"]))
    values |= mail_variables(templar.template(found["app_mail_url"]), templar.template(found["app_mail_from"]))
    text = render(
        "app",
        "env.j2",
        __app_variables=values,
        __app_cli="shop",
        app_environment=templar.template(found["app_environment"]),
        app_environment_overrides={},
        app_config_files={},
    )
    lines = [line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#")]
    return {name: value[1:-1] for name, value in lines}


def test_redis_clients_get_the_local_addresses_and_sentinel_clients_the_others() -> None:
    found = environment()
    assert found["CACHE_URL"] == f"{REDIS}:16379/0"
    assert found["REDIS_URL"] == found["RQ_REDIS_URL"] == found["CELERY_BROKER_URL"] == f"{REDIS}:16380/0"
    assert found["CELERY_RESULT_BACKEND"] == f"{REDIS}:16380/1"
    assert found["CACHE_SENTINEL_URL"] == "sentinel://app:x@192.0.2.16:26379/0?master=cache"
    assert found["STORE_URL"] == found["STORE_SENTINEL_URL"] == "sentinel://app:x@192.0.2.16:26379/0?master=store"


OPTIONS = "&connect_timeout=2&tcp_user_timeout=3000&keepalives_idle=1&keepalives_interval=1&keepalives_count=3"
VERIFIED = "sslmode=verify-full&sslrootcert=/etc/fleet-tls/ca.pem"


@pytest.mark.parametrize(
    ("driver", "url"),
    [
        ("psycopg2", f"+psycopg2://shop_app:x@/shop?host=192.0.2.15:5432&host=192.0.2.18:5432&READ-WRITE{OPTIONS}"),
        ("psycopg", f"+psycopg://shop_app:x@/shop?host=192.0.2.15:5432&host=192.0.2.18:5432&READ-WRITE{OPTIONS}"),
        ("asyncpg", "+asyncpg://shop_app:x@/shop?host=192.0.2.15:5432&host=192.0.2.18:5432&READ-WRITE"),
        ("none", f"://shop_app:x@/shop?host=192.0.2.15,192.0.2.18&port=5432,5432&READ-WRITE{OPTIONS}"),
    ],
)
def test_the_database_url_has_every_host_in_the_form_of_the_driver(driver: str, url: str) -> None:
    found = environment(app_database_driver=driver)
    url = url.replace("READ-WRITE", "target_session_attrs=read-write")
    assert found["DATABASE_URL"] == f"postgresql{url}&{'ssl=verify-full' if driver == 'asyncpg' else VERIFIED}"
    assert environment(app_database_driver=driver, postgres_tls="both")["DATABASE_URL"] == f"postgresql{url}"
    assert "target_session_attrs=prefer-standby" in found["DATABASE_REPLICA_URL"]
    assert ("load_balance_hosts=random" in found["DATABASE_REPLICA_URL"]) == (driver != "asyncpg")


def test_through_the_proxy_the_database_urls_are_plain() -> None:
    found = environment(app_database_via="proxy", app_database_driver="none")
    assert found["DATABASE_URL"] == "postgresql://shop_app:x@127.0.0.1:15432/shop"
    assert found["DATABASE_REPLICA_URL"] == "postgresql://shop_app:x@127.0.0.1:15433/shop"


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg", "asyncpg", "none"])
def test_variables_verify_the_database_where_its_url_cannot_say_so(driver: str) -> None:
    proxied = environment(app_database_via="proxy", app_database_driver=driver)
    assert (proxied["PGSSLMODE"], proxied["PGSSLROOTCERT"]) == ("verify-full", "/etc/fleet-tls/ca.pem")
    # It would count for another database too.
    direct = environment(app_database_driver=driver)
    assert ("PGSSLROOTCERT" in direct) == (driver == "asyncpg")
    assert "PGSSLMODE" not in direct


@pytest.mark.parametrize("state", ["off", False, "both"])
def test_urls_say_nothing_of_tls_unless_it_is_required(state: Any) -> None:
    for via, driver in product(["direct", "proxy"], ["psycopg2", "psycopg", "asyncpg", "none"]):
        found = environment(app_database_via=via, app_database_driver=driver, postgres_tls=state)
        assert "ssl" not in f"{found}".lower()


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg", "asyncpg", "none"])
def test_the_variables_of_libpq_follow_a_failover(driver: str) -> None:
    found = environment(app_database_driver=driver)
    assert (found["PGHOST"], found["PGPORT"]) == ("192.0.2.15,192.0.2.18", "5432")
    assert (found["PGUSER"], found["PGPASSWORD"], found["PGDATABASE"]) == ("shop_app", "x", "shop")
    assert found["PGTARGETSESSIONATTRS"] == "read-write"
    proxied = environment(app_database_driver=driver, app_database_via="proxy")
    assert (proxied["PGHOST"], proxied["PGPORT"]) == ("127.0.0.1", "15432")
    # It would also count for the replica's address.
    assert "PGTARGETSESSIONATTRS" not in proxied


def test_the_variables_for_settings_in_parts_exist() -> None:
    """The example of docs/your-application.md."""
    text = (ROOT / "docs/your-application.md").read_text().split("<!-- settings in parts -->")[1]
    example = yaml.safe_load(text.partition("```yaml")[2].partition("```")[0])
    found = environment(**{name: trust(value) for name, value in example.items()})
    assert found["DB_HOST"] == found["REDIS_HOST"] == "127.0.0.1"
    assert (found["DB_PORT"], found["REDIS_PORT"]) == ("15432", "16380")
    assert (found["DB_USER"], found["DB_PASSWORD"], found["DB_NAME"]) == ("shop_app", "x", "shop")
    assert (found["REDIS_USERNAME"], found["REDIS_PASSWORD"]) == ("app", "x")


def test_the_news_application_keeps_sentinel() -> None:
    news = read_yaml("inventories/applications/news.yml")["app_environment"]
    given = {name: trust_as_template(value) for name, value in news.items()}
    found = environment(app_environment=given)
    assert found["CACHE_URL"] == found["CACHE_SENTINEL_URL"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", {}),
        ("smtp://mail.example.org", {"MAIL_SERVER": "mail.example.org", "MAIL_PORT": "25"}),
        (
            "smtp://kim:a%2Fb@mail.example.org:587?starttls=1",
            {
                "MAIL_SERVER": "mail.example.org",
                "MAIL_PORT": "587",
                "MAIL_USE_TLS": "true",
                "MAIL_USERNAME": "kim",
                "MAIL_PASSWORD": "a/b",
            },
        ),
        (
            "smtps://mail.example.org",
            {"MAIL_SERVER": "mail.example.org", "MAIL_PORT": "465", "MAIL_USE_SSL": "true"},
        ),
    ],
)
def test_the_mail_relay_is_in_the_variables_of_flask_mail(url: str, expected: dict[str, str]) -> None:
    found = environment(app_mail_url=url, app_mail_from="shop@example.org")
    assert {name: value for name, value in found.items() if name in MAIL} == expected
    assert found.get("MAIL_DEFAULT_SENDER") == ("shop@example.org" if url else None)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"region": "eu-central-1"}, {}),
        ({"bucket": "shop-1", "region": "eu-central-1"}, {"S3_BUCKET": "shop-1", "AWS_DEFAULT_REGION": "eu-central-1"}),
        (
            {"bucket": "shop-1", "endpoint": "https://s3.example.org"},
            {"S3_BUCKET": "shop-1", "AWS_ENDPOINT_URL_S3": "https://s3.example.org"},
        ),
    ],
)
def test_the_bucket_is_in_the_variables_of_boto3_and_tutorials(given: dict[str, str], expected: dict[str, str]) -> None:
    found = environment(**{f"app_s3_{name}": value for name, value in given.items()})
    shown = ("S3_BUCKET", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_S3")
    assert {name: found[name] for name in shown if name in found} == expected


@pytest.mark.parametrize(
    "url", ["mail.example.org", "http://mail.example.org", "smtp://host:many", "smtp://u:s3cret@h/x"]
)
def test_an_unusable_mail_relay_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(AnsibleFilterError, match=r"^app_mail_url is not the address of a mail relay; write ") as raised:
        mail_variables(url, "")
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("driver", "named", "installed"),
    [
        ("psycopg2", [], []),
        ("psycopg", [], ["libpq5"]),
        ("psycopg", ["libpq5", "imagemagick"], ["libpq5", "imagemagick"]),
    ],
)
def test_psycopg_gets_the_library_of_the_host(driver: str, named: list[str], installed: list[str]) -> None:
    packages = trust_as_template(read_yaml("roles/app/vars/main.yml")["__app_packages"])
    templar = Templar(DataLoader(), {"app_packages": named, "app_database_driver": driver})
    assert templar.template(packages) == installed


def test_commands_that_change_the_schema_have_the_owner_under_every_name() -> None:
    url, owner = "postgresql://shop_app:x@/shop?host=a&host=b", "postgresql://shop_owner:y@/shop?host=a&host=b"
    given = {
        "DB_URI": url,
        "ASYNC": url.replace("postgresql:", "pg:"),
        "DB_USER": "shop_app",
        "DB_PASSWORD": "x",
        "A": 1,
    }
    assert owner_variables(given, url, owner) == {
        "DB_URI": owner,
        "ASYNC": owner.replace("postgresql:", "pg:"),
        "DB_USER": "shop_owner",
        "DB_PASSWORD": "y",
    }
    assert owner_variables({"A": "", "B": "x@"}, "", "") == {}


def test_the_owner_is_given_by_standard_input() -> None:
    text = read_yaml("roles/app/vars/main.yml")["__app_owner"]
    url, owner = "postgresql://shop_app:x@/shop", "postgresql://shop_owner:y@/shop"
    values = {
        "app_database_url": url,
        "app_database_migration_url": owner,
        "__app_all_variables": {"DB": url, "A": "b", "TWO_LINES": f"{url}\n{url}"},
    }
    templar = Templar(DataLoader(), values)
    rendered = templar.template(trust_as_template(text))
    assert rendered == f"DB={owner}\nDATABASE_URL={owner}\nDATABASE_MIGRATION_URL={owner}\n"


def test_the_owners_password_is_hidden_in_messages() -> None:
    text = trust_as_template(read_yaml("roles/app/vars/main.yml")["__app_owner_secrets"])
    values = {"app_database_migration_url": "postgresql://shop_owner:0wners@/shop", "__app_all_variables": {"A": "b"}}
    secrets = Templar(DataLoader(), values).template(text)
    assert without_secrets("no user with the password 0wners", secrets) == "no user with the password ***"
    for task in ("migrate", "pending", "release_command"):
        used = (ROOT / f"roles/app/tasks/{task}.yml").read_text()
        assert "__app_owner }}" in used
        assert "__app_all_variables" not in used
