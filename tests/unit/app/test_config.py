import re
from pathlib import Path
from typing import Any

import pytest

from app import config, create_app
from app.config import ConfigurationError, Development, Production
from app.mail.relay import MailUrl, MailUrlError
from app.redis.url import RedisUrl, RedisUrlError

COMPLETE = {
    "APP_ENV": "production",
    "SECRET_KEY": "k" * 32,
    "DATABASE_URL": "postgresql+psycopg2://u:p@/news?host=a:5432&host=b:5432",
    "CACHE_URL": "sentinel://u:p@a:26379,b:26379/0?master=cache",
    "STORE_URL": "redis://127.0.0.1:6380/0",
}


def test_production_reads_its_settings_from_environment_variables() -> None:
    settings = config.load(COMPLETE | {"VIEWS_FLUSH_SECONDS": "2", "APP_RELEASE": "abc", "ARTICLES_TTL": "1.5"})
    assert isinstance(settings, Production)
    assert (settings.VIEWS_FLUSH_SECONDS, settings.APP_RELEASE, settings.ARTICLES_TTL) == (2, "abc", 1.5)
    assert settings.flask_settings()["SESSION_COOKIE_SECURE"] is True


def test_one_error_lists_all_problems() -> None:
    wrong = {
        "SECRET_KEY": "short",
        "DATABASE_URL": "postgresql://x",
        "CACHE_URL": "sentinel://a:1/0",
        "LOG_LEVEL": "LOUD",
        "PIN_SECONDS": "soon",
        "POPULAR_TTL": "-1",
        "MAIL_URL": "smtp://news:hunter2@relay:smtp",
        "MAIL_FROM": "News <news@news.example>",
        "SITE_URL": "news.example",
    }
    with pytest.raises(ConfigurationError) as caught:
        config.load({"APP_ENV": "production"} | wrong)
    message = str(caught.value)
    for name in (*wrong, "STORE_URL"):
        assert message.count(f"- {name}") == 1, message
    assert "short" not in message, "the message contains a secret"
    assert "hunter2" not in message, "the message contains a secret"


def test_a_documented_zero_is_accepted() -> None:
    names = re.findall(r"\b0 disables.*\n    ([A-Z_]+):", Path(config.__file__).read_text())
    assert "DATABASE_PRIMARY_WAIT" in names
    settings = config.load(dict.fromkeys(names, "0"))
    assert {getattr(settings, name) for name in names} == {0}


def test_an_unknown_app_env_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="APP_ENV must be one of development, testing, production, not 'prod'"):
        config.load({"APP_ENV": "prod"})


def test_development_needs_no_variables() -> None:
    assert isinstance(config.load({}), Development)


def test_the_application_starts_without_connecting_to_a_server() -> None:
    app = create_app(config.load(COMPLETE))
    assert app.test_client().get("/livez").status_code == 200


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://a", "must begin with"),
        ("redis://a:b/0", "must be HOST or HOST:PORT"),
        ("redis://a,b/0", "several hosts"),
        ("redis://a/x", "must be the number of a database"),
        ("sentinel://a", "master=NAME"),
        ("redis://a/0?master=x", "master=NAME"),
    ],
)
def test_the_error_of_a_wrong_redis_url_names_the_reason(url: str, reason: str) -> None:
    with pytest.raises(RedisUrlError, match=reason):
        RedisUrl.parse(url)


def test_a_sentinel_url_becomes_celery_settings() -> None:
    settings = RedisUrl.parse("sentinel://app:p%40ss@h1:26379,h2/1?master=store").celery_settings()
    assert settings["broker_url"] == "sentinel://app:p%40ss@h1:26379/1;sentinel://app:p%40ss@h2:26379/1"
    options = settings["broker_transport_options"]
    assert options["master_name"] == "store"
    assert (options["sentinel_kwargs"]["username"], options["sentinel_kwargs"]["password"]) == ("app", "p@ss")


def test_a_sentinel_url_has_the_password_for_sentinel_and_for_the_instance() -> None:
    pool: Any = RedisUrl.parse("sentinel://app:secret@h1,h2/0?master=cache").client(timeout=0.2).connection_pool
    assert pool.connection_kwargs["password"] == "secret"
    assert pool.sentinel_manager.sentinel_kwargs["password"] == "secret"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://relay", "must begin with"),
        ("smtp://", "must be smtp://HOST:PORT"),
        ("smtp://relay/path", "without a path"),
        ("smtp://relay:no", "has no valid HOST:PORT"),
        ("smtp://relay:99999", "has no valid HOST:PORT"),
        ("smtp://[relay", "has no valid HOST:PORT"),
        ("smtp://news:hunter2/@relay:25", "has no valid HOST:PORT"),
        ("smtp://news@relay", "both a user and a password"),
        ("smtp://:hunter2@relay", "both a user and a password"),
        ("smtp://relay?starttls=yes", "starttls=1"),
        ("smtp://relay?tls=1", "starttls=1"),
        ("smtps://relay?starttls=1", "starttls=1"),
    ],
)
def test_the_error_of_a_wrong_mail_url_names_the_reason_but_not_the_password(url: str, reason: str) -> None:
    with pytest.raises(MailUrlError, match=reason) as caught:
        MailUrl.parse(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "relay"),
    [
        ("smtp://relay", MailUrl("relay", 25)),
        ("smtp://news%40site:p%2Fw@relay:587?starttls=1", MailUrl("relay", 587, "news@site", "p/w", starttls=True)),
        ("smtps://news:pw@[::1]", MailUrl("::1", 465, "news", "pw", tls=True)),
    ],
)
def test_a_mail_url_is_parsed(url: str, relay: MailUrl) -> None:
    assert MailUrl.parse(url) == relay
    assert "pw" not in repr(MailUrl.parse(url))


@pytest.mark.parametrize(
    "url",
    [
        "news.example",
        "ftp://news.example",
        "https://",
        "https://a/b",
        "https://a?b",
        "https://a#b",
        "https://u:p@a",
        "https://a:x",
        "https://a b",
    ],
)
def test_site_url_must_be_an_absolute_url_without_a_path(url: str) -> None:
    with pytest.raises(ConfigurationError, match="SITE_URL must be like"):
        config.load({"SITE_URL": url})


def test_site_url_and_sender_default_to_the_domain() -> None:
    chosen = {"SITE_URL": "https://10.77.0.5/", "MAIL_FROM": "desk@news.example"}
    for given, site, sender in (
        ({"APP_DOMAIN": "news.example"}, "https://news.example", "no-reply@news.example"),
        (chosen, "https://10.77.0.5", "desk@news.example"),
    ):
        settings = config.load(COMPLETE | given).flask_settings()
        assert (settings["SITE_URL"], settings["MAIL_FROM"]) == (site, sender)
