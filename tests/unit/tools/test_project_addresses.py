"""The variables with the addresses of the fleet's servers, under the names that applications use for them."""

from pathlib import Path

import pytest

from tests.unit.tools.projects import APP, found

POSTGRES = {
    "DB_HOST": "127.0.0.1",
    "DB_USER": "{{ postgres_app_user }}",
    "DB_PASSWORD": "{{ postgres_app_password }}",
    "DB_NAME": "{{ postgres_database }}",
}
STORE, CACHE, PASSWORD = "{{ app_redis_url }}", "{{ app_cache_url }}", "{{ redis_app_password }}"
PORT, CACHE_PORT = "{{ haproxy_store_port }}", "{{ haproxy_cache_port }}"
URI = "f\"postgresql://{e['DB_USER']}:{e['DB_PASSWORD']}@{e['DB_HOST']}/{e['DB_NAME']}\""
PERCENT = "'postgresql://%s:%s@%s/%s' % (e['DB_USER'], e['DB_PASSWORD'], e['DB_HOST'], e['DB_NAME'])"
MADE = "URL.create('postgresql', e['DB_USER'], e['DB_PASSWORD'], e['DB_HOST'], database=e['DB_NAME'])"


def environment(folder: Path, code: str, requirements: str = "flask\nredis") -> tuple[dict[str, str], list[str]]:
    """Return the variables and the notes that follow from a file of code."""
    files = {"app.py": APP, "c.py": f"from os import environ as e, getenv\n{code}", "requirements.txt": requirements}
    project = found(folder, files)
    return project.value("app_environment") or {}, project.notes


@pytest.mark.parametrize("value", [URI, PERCENT, MADE])
@pytest.mark.parametrize("target", ["SQLALCHEMY_DATABASE_URI", "app.config['SQLALCHEMY_DATABASE_URI']"])
def test_the_parts_of_an_address_that_the_code_puts_together_are_no_addresses(
    tmp_path: Path, target: str, value: str
) -> None:
    assert environment(tmp_path, f"{target} = {value}", "flask-sqlalchemy\npsycopg2") == (POSTGRES, [])


@pytest.mark.parametrize(
    "value",
    [
        "e['SHOP_DB']",
        "getenv('SHOP_DB') or 'sqlite://'",
        "e.get('SHOP_DB', 'x').replace('postgres://', 'postgresql://')",
        "fixed(getenv('SHOP_DB'))",
        "getenv('SHOP_DB') if live else None",
    ],
)
def test_what_the_configuration_takes_as_a_whole_is_the_address(tmp_path: Path, value: str) -> None:
    expected = {"SHOP_DB": "{{ app_database_url }}"}
    assert environment(tmp_path, f"SQLALCHEMY_DATABASE_URI = {value}", "flask-sqlalchemy\npsycopg2")[0] == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("CACHE_REDIS_URL", {"CACHE_REDIS_URL": CACHE}),
        ("REDIS_URL REDISTOGO_URL", {}),
        # Each of these has a purpose of its own, whatever else the code reads.
        ("REDIS_URL RATELIMIT_STORAGE_URI", {"RATELIMIT_STORAGE_URI": STORE}),
        ("REDIS_URL RATE_LIMIT_STORAGE_URL", {"RATE_LIMIT_STORAGE_URL": STORE}),
        ("REDIS_URL CACHE_REDIS_URL", {"CACHE_REDIS_URL": CACHE}),
        ("REDIS_URL SESSION_REDIS", {"SESSION_REDIS": STORE}),
        ("REDIS_URL RQ_DASHBOARD_REDIS_URL", {"RQ_DASHBOARD_REDIS_URL": STORE}),
        ("REDIS_URL SOCKETIO_MESSAGE_QUEUE", {"SOCKETIO_MESSAGE_QUEUE": STORE}),
        ("HUEY_REDIS_URL", {"HUEY_REDIS_URL": STORE}),
        ("DRAMATIQ_BROKER_URL", {"DRAMATIQ_BROKER_URL": STORE}),
        ("FLASK_REDIS_URL", {"FLASK_REDIS_URL": STORE}),
        ("MQTT_BROKER_URL", {}),
        ("REDIS_DEV_URL", {}),
        # In parts
        (
            "REDIS_HOST REDIS_PORT REDIS_USERNAME REDIS_PASSWORD REDIS_DB",
            {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": PORT, "REDIS_USERNAME": "app", "REDIS_PASSWORD": PASSWORD},
        ),
        (
            "CACHE_REDIS_HOST CACHE_REDIS_PORT CACHE_REDIS_USER CACHE_REDIS_PASSWORD",
            {
                "CACHE_REDIS_HOST": "127.0.0.1",
                "CACHE_REDIS_PORT": CACHE_PORT,
                "CACHE_REDIS_USER": "app",
                "CACHE_REDIS_PASSWORD": PASSWORD,
            },
        ),
        ("REDIS_URL REDIS_HOST REDIS_PASSWORD", {}),
        ("REDIS_SENTINEL_HOST REDIS_PORT", {}),
    ],
)
def test_other_names_get_the_same_addresses(tmp_path: Path, names: str, expected: dict[str, str]) -> None:
    code = "\n".join(f"getenv({name!r}, 'x')" for name in names.split())
    assert environment(tmp_path, code) == (expected, [])


def test_a_number_of_a_database_is_set_if_the_code_has_no_other(tmp_path: Path) -> None:
    assert environment(tmp_path, "getenv('REDIS_HOST'), getenv('REDIS_USER'), e['REDIS_DB']")[0]["REDIS_DB"] == "0"


@pytest.mark.parametrize(
    ("names", "first", "second"),
    [
        (
            "REDIS_HOST REDIS_PASSWORD",
            "c.py:2 reads Redis's address in parts (REDIS_HOST) without a user name, which the fleet's Redis requires;",
            'take the address from REDIS_URL, as in redis.from_url(), or pass username="app", too.',
        ),
        (
            "CACHE_REDIS_HOST CACHE_REDIS_PORT",
            "c.py:2 reads Redis's address in parts (CACHE_REDIS_HOST) without a user name and password, which the",
            "fleet's Redis requires; take the address from CACHE_URL, as in redis.from_url().",
        ),
    ],
)
def test_clients_of_redis_without_a_user_are_noted(tmp_path: Path, names: str, first: str, second: str) -> None:
    code = "\n".join(f"r(getenv({name!r}))" for name in names.split())
    assert environment(tmp_path, code)[1] == [f"{first} {second}"]


@pytest.mark.parametrize(
    ("code", "in_url"),
    [
        ("U = f\"redis://{e['REDIS_HOST']}:{e['REDIS_PORT']}/0\"", True),
        ("HOST = getenv('REDIS_HOST', 'redis')\nU = f'redis://{HOST}:6379'", True),
        ("class C:\n    HOST = getenv('REDIS_HOST')\nU = f'redis://{C.HOST}'", True),
        ("HOST = getenv('REDIS_HOST')\nU = f'redis://{HOST}'\nR(host=HOST)", False),
        ("HOST = getenv('REDIS_HOST')\nU = f'redis://{HOST}'\nR(host=config['HOST'])", False),
        ("U = f\"redis://:x@{e['REDIS_HOST']}\"", False),
        ("HOST = getenv('REDIS_HOST')", False),
    ],
)
def test_a_host_brings_user_and_password_into_a_url(tmp_path: Path, code: str, in_url: bool) -> None:
    values, notes = environment(tmp_path, code)
    assert values["REDIS_HOST"] == (f"app:{PASSWORD}@127.0.0.1" if in_url else "127.0.0.1")
    assert bool(notes) != in_url
