"""The table "When something is away" of docs/application.md, row by row, through the virtual address: at once, and back by itself.

The last of this scenario's tests: connections that were made to the primary while no replica was there stay for minutes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import httpx
import pytest

from tests.support.drills.faults import stopped
from tests.support.live.clients import ARTICLES, log_in, publish, send_log_in, visitor
from tests.support.live.fleet import LiveFleet, eventually
from tools.fleet.context import Host

# Seconds within which everybody has an answer, whatever it is.
MOST_SECONDS = 3.0
PAGES = ("/", "/popular", "/search?q=river", ARTICLES, f"{ARTICLES}?limit=7", f"{ARTICLES}/popular", "/feed.atom")


@pytest.fixture(scope="module")
def untold() -> list[str]:
    """Articles that were written while no worker could be told; the last test looks what has become of them."""
    return []


def ask(client: httpx.Client, method: str, url: str, **request: object) -> httpx.Response:
    """Send a request whose answer must come in time."""
    answer = client.request(method, url, **request)  # type: ignore[arg-type]
    assert answer.elapsed.total_seconds() < MOST_SECONDS, f"{method} {url} took {answer.elapsed}"
    return answer


def write(author: httpx.Client) -> httpx.Response:
    """Publish an article by the API."""
    return ask(
        author,
        "POST",
        ARTICLES,
        json={"title": f"degraded-{uuid4()}", "content": "Somebody wrote, whatever was away. " * 9},
    )


def refused(answer: httpx.Response) -> None:
    """Fail unless the client was told in time to come again."""
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) > 0
    assert answer.elapsed.total_seconds() < MOST_SECONDS


def readiness(fleet: LiveFleet) -> set[int]:
    """What the application's hosts say of themselves."""
    command = "curl --silent --output /dev/null --max-time 5 --write-out '%{{http_code}}' http://{}:8000/readyz"
    return {int(fleet.run(host, command.format(host.address), check=False).stdout or 0) for host in fleet.group("app")}


def never_seen(path: str) -> str:
    """A page of the list that no cache has."""
    return f"{path}?limit={20 + uuid4().int % 80}&since=2026-01-01T00:00:00Z&until=20{30 + uuid4().int % 60}-01-01T00:00:00Z"


def test_without_the_cache_pages_are_slower_and_right(healthy_fleet: LiveFleet, author: httpx.Client) -> None:
    fleet = healthy_fleet
    with stopped(fleet, fleet.group("redis"), "redis@cache"), visitor(fleet) as reader:
        for path in (*PAGES, never_seen(ARTICLES)):
            assert ask(reader, "GET", path).status_code == 200, path
        title = publish(author)["title"]

        def newest() -> set[str]:
            return {article["title"] for article in ask(author, "GET", ARTICLES).json()["articles"]}

        # Each process keeps its lists for a second, and nobody tells it of a write.
        assert eventually(lambda: title in newest(), within=MOST_SECONDS)
        log_in(reader, "admin@news.test", fleet.secrets["app_admin_password"])
        assert ask(reader, "GET", "/account").status_code == 200
        assert "does not answer" in ask(reader, "GET", "/admin/cache").text
        assert readiness(fleet) == {200}
    assert eventually(lambda: author.get(f"{ARTICLES}?limit=9").headers["x-cache"] == "hit", within=20, every=0.5)


def test_without_the_store_pages_are_read_anonymously_and_articles_written(
    healthy_fleet: LiveFleet, author: httpx.Client, untold: list[str]
) -> None:
    fleet = healthy_fleet
    with visitor(fleet) as reader:
        log_in(reader, "admin@news.test", fleet.secrets["app_admin_password"])
        with stopped(fleet, fleet.group("sentinel"), "redis@store"):
            for path in (*PAGES, never_seen(ARTICLES)):
                assert ask(reader, "GET", path).status_code == 200, path
            assert "Log in" in ask(reader, "GET", "/").text
            refused(send_log_in(reader, "admin@news.test", "forgotten"))
            written = write(author)
            assert written.status_code == 201
            assert readiness(fleet) == {503}
        # The session is there again.
        assert eventually(lambda: reader.get("/account").status_code == 200, within=30, every=0.5)
    assert eventually(lambda: readiness(fleet) == {200}, within=30, every=1)
    untold.append(f"{ARTICLES}/{written.json()['id']}")


def test_without_a_replica_the_primary_is_read(healthy_fleet: LiveFleet, author: httpx.Client) -> None:
    fleet = healthy_fleet
    with stopped(fleet, fleet.standbys, "patroni"), visitor(fleet) as reader:
        for path in (*PAGES, never_seen(ARTICLES)):
            assert ask(reader, "GET", path).status_code == 200, path
        # Patroni notices within seconds that nobody confirms a commit any more.
        assert eventually(
            lambda: author.post(ARTICLES, json={"title": "alone", "content": "Written."}).status_code == 201, within=10
        )


def patronictl(fleet: LiveFleet, command: str) -> None:
    """Tell the cluster something."""
    fleet.run(fleet.group("postgres")[0], f"patronictl -c /etc/patroni/config.yml {command}")


def stop_postgres(fleet: LiveFleet, host: Host) -> None:
    """Stop a server; Patroni, while it rests, lets it lie."""
    fleet.run(
        host,
        "cd / && sudo -u postgres sh -c '/usr/lib/postgresql/*/bin/pg_ctl -D /var/lib/postgresql/*/main -m immediate stop'",
    )


@contextmanager
def resting(fleet: LiveFleet) -> Iterator[None]:
    """Patroni mends nothing; afterwards everything comes back by itself."""
    patronictl(fleet, "pause --wait")
    try:
        yield
    finally:
        patronictl(fleet, "resume")
    streaming = "select count(*) from pg_stat_replication where state = 'streaming'"

    def is_complete() -> bool:
        return int(fleet.sql(fleet.primary, streaming)) == len(fleet.group("postgres")) - 1

    assert eventually(is_complete, within=90, every=1)


def test_without_a_primary_everything_is_read_and_writers_come_again(
    healthy_fleet: LiveFleet, author: httpx.Client
) -> None:
    fleet = healthy_fleet
    with visitor(fleet) as reader:
        with resting(fleet):
            stop_postgres(fleet, fleet.primary)
            for path in (*PAGES, never_seen(ARTICLES)):
                assert ask(reader, "GET", path).status_code == 200, path
            refused(write(author))
            refused(send_log_in(reader, "admin@news.test", fleet.secrets["app_admin_password"]))
        assert eventually(lambda: write(author).status_code == 201, within=15, every=0.5)
        log_in(reader, "admin@news.test", fleet.secrets["app_admin_password"])


def test_without_any_database_what_is_cached_is_read(healthy_fleet: LiveFleet, author: httpx.Client) -> None:
    fleet = healthy_fleet
    with visitor(fleet) as reader:
        for path in PAGES:
            assert reader.get(path).status_code == 200, path
        with resting(fleet):
            for host in fleet.group("postgres"):
                stop_postgres(fleet, host)
            # Until what the load balancer keeps is old: then it is the application's cache that answers.
            time.sleep(2)
            for path in PAGES:
                assert ask(reader, "GET", path).status_code == 200, path
            refused(ask(reader, "GET", never_seen(ARTICLES)))
            refused(write(author))
            assert readiness(fleet) == {503}
        assert eventually(lambda: write(author).status_code == 201, within=15, every=0.5)
        assert ask(reader, "GET", never_seen(ARTICLES)).status_code == 200


def test_what_no_worker_could_be_told_is_done(author: httpx.Client, untold: list[str]) -> None:
    if not untold:
        pytest.skip("nothing was written without the store: run the whole module")
    for article in untold:
        assert eventually(lambda article=article: author.get(article).json()["summary"] != "", within=120, every=2), (
            article
        )  # type: ignore[misc]
