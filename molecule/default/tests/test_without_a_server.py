"""The table of docs/application.md about outages, row by row, through the virtual address.

The site degrades at once, and recovers by itself. These are the last tests of this scenario, because connections that
were opened to the primary during the outage of the replica stay open for minutes.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import httpx
import pytest

from tests.support.drills.faults import stopped
from tests.support.live.clients import ADMIN, ARTICLES, log_in_as_admin, publish, send_log_in, visitor
from tests.support.live.fleet import LiveFleet, eventually
from tools.fleet.context import Host

# Seconds within which every request must have an answer, even if it is an error.
MAX_SECONDS = 3.0
PAGES = ("/", "/popular", "/search?q=river", ARTICLES, f"{ARTICLES}?limit=7", f"{ARTICLES}/popular", "/feed.atom")


@pytest.fixture(scope="module")
def pending_articles() -> list[str]:
    """Articles that were written during the outage of the broker. The last test checks that their tasks ran."""
    return []


def send(client: httpx.Client, method: str, url: str, **request: object) -> httpx.Response:
    """Send a request and assert that the answer arrives in time."""
    answer = client.request(method, url, **request)  # type: ignore[arg-type]
    assert answer.elapsed.total_seconds() < MAX_SECONDS, f"{method} {url} took {answer.elapsed}"
    return answer


def write(author: httpx.Client) -> httpx.Response:
    """Publish an article through the API."""
    article = {"title": f"degraded-{uuid4()}", "content": "This was written during an outage. " * 9}
    return send(author, "POST", ARTICLES, json=article)


def assert_retry_later(answer: httpx.Response) -> None:
    """Assert a quick 503 with Retry-After."""
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) > 0
    assert answer.elapsed.total_seconds() < MAX_SECONDS


def assert_served(reader: httpx.Client, *paths: str) -> None:
    """Assert that pages are served in time."""
    for path in paths:
        assert send(reader, "GET", path).status_code == 200, path


def readiness(fleet: LiveFleet) -> set[int]:
    """Return the status of /readyz on all application hosts."""
    command = "curl --silent --output /dev/null --max-time 5 --write-out '%{{http_code}}' http://{}:8000/readyz"
    return {int(fleet.run(host, command.format(host.address), check=False).stdout or 0) for host in fleet.group("app")}


def uncached(path: str) -> str:
    """Return a URL of the list that no cache has."""
    period = f"since=2026-01-01T00:00:00Z&until=20{30 + uuid4().int % 60}-01-01T00:00:00Z"
    return f"{path}?limit={20 + uuid4().int % 80}&{period}"


@pytest.mark.usefixtures("healthy_fleet")
def test_without_the_cache_pages_are_slower_but_correct(fleet: LiveFleet, author: httpx.Client) -> None:
    with stopped(fleet, fleet.group("redis"), "redis@cache"), visitor(fleet) as reader:
        assert_served(reader, *PAGES, uncached(ARTICLES))
        title = publish(author)["title"]

        def newest() -> set[str]:
            return {article["title"] for article in send(author, "GET", ARTICLES).json()["articles"]}

        # Each process caches its lists for a second. Without Redis, a write cannot invalidate them.
        assert eventually(lambda: title in newest(), within=MAX_SECONDS)
        log_in_as_admin(fleet, reader)
        assert send(reader, "GET", "/account").status_code == 200
        assert "does not answer" in send(reader, "GET", "/admin/cache").text
        assert readiness(fleet) == {200}
    assert eventually(lambda: author.get(f"{ARTICLES}?limit=9").headers["x-cache"] == "hit", within=20, every=0.5)


@pytest.mark.usefixtures("healthy_fleet")
def test_without_the_store_pages_are_anonymous_and_articles_can_be_written(
    fleet: LiveFleet, author: httpx.Client, pending_articles: list[str]
) -> None:
    with visitor(fleet) as reader:
        log_in_as_admin(fleet, reader)
        with stopped(fleet, fleet.group("sentinel"), "redis@store"):
            assert_served(reader, *PAGES, uncached(ARTICLES))
            assert "Log in" in send(reader, "GET", "/").text
            assert_retry_later(send_log_in(reader, ADMIN, "forgotten"))
            written = write(author)
            assert written.status_code == 201
            assert readiness(fleet) == {503}
        # The session works again.
        assert eventually(lambda: reader.get("/account").status_code == 200, within=30, every=0.5)
    assert eventually(lambda: readiness(fleet) == {200}, within=30, every=1)
    pending_articles.append(f"{ARTICLES}/{written.json()['id']}")


@pytest.mark.usefixtures("healthy_fleet")
def test_without_a_replica_reads_go_to_the_primary(fleet: LiveFleet, author: httpx.Client) -> None:
    with stopped(fleet, fleet.standbys, "patroni"), visitor(fleet) as reader:
        assert_served(reader, *PAGES, uncached(ARTICLES))
        # Within seconds, Patroni notices that no standby confirms commits, and turns synchronous mode off.
        assert eventually(
            lambda: author.post(ARTICLES, json={"title": "alone", "content": "Written."}).status_code == 201, within=10
        )


def patronictl(fleet: LiveFleet, command: str) -> None:
    """Run a patronictl command."""
    fleet.run(fleet.group("postgres")[0], f"patronictl -c /etc/patroni/config.yml {command}")


def stop_postgres(fleet: LiveFleet, host: Host) -> None:
    """Stop a server. A paused Patroni does not restart it."""
    stop = "/usr/lib/postgresql/*/bin/pg_ctl -D /var/lib/postgresql/*/main -m immediate stop"
    fleet.run(host, f"cd / && sudo -u postgres sh -c '{stop}'")


@contextmanager
def patroni_paused(fleet: LiveFleet) -> Iterator[None]:
    """Pause Patroni, so that it repairs nothing. Afterwards everything recovers by itself."""
    patronictl(fleet, "pause --wait")
    try:
        yield
    finally:
        patronictl(fleet, "resume")
    streaming = "select count(*) from pg_stat_replication where state = 'streaming'"

    def is_complete() -> bool:
        return int(fleet.sql(fleet.primary, streaming)) == len(fleet.group("postgres")) - 1

    assert eventually(is_complete, within=90, every=1)


@pytest.mark.usefixtures("healthy_fleet")
def test_without_a_primary_reads_work_and_writes_are_retried_later(fleet: LiveFleet, author: httpx.Client) -> None:
    with visitor(fleet) as reader:
        with patroni_paused(fleet):
            stop_postgres(fleet, fleet.primary)
            assert_served(reader, *PAGES, uncached(ARTICLES))
            assert_retry_later(write(author))
            assert_retry_later(send_log_in(reader, ADMIN, fleet.secrets["app_admin_password"]))
        assert eventually(lambda: write(author).status_code == 201, within=15, every=0.5)
        log_in_as_admin(fleet, reader)


@pytest.mark.usefixtures("healthy_fleet")
def test_without_any_database_cached_pages_are_served(fleet: LiveFleet, author: httpx.Client) -> None:
    with visitor(fleet) as reader:
        for path in PAGES:
            assert reader.get(path).status_code == 200, path
        with patroni_paused(fleet):
            for host in fleet.group("postgres"):
                stop_postgres(fleet, host)
            # Until nginx's cache has expired, so that the application's cache answers.
            time.sleep(2)
            assert_served(reader, *PAGES)
            assert_retry_later(send(reader, "GET", uncached(ARTICLES)))
            assert_retry_later(write(author))
            assert readiness(fleet) == {503}
        assert eventually(lambda: write(author).status_code == 201, within=15, every=0.5)
        assert send(reader, "GET", uncached(ARTICLES)).status_code == 200


def test_tasks_from_the_outage_of_the_broker_run_later(author: httpx.Client, pending_articles: list[str]) -> None:
    if not pending_articles:
        pytest.skip("no article was written during the outage of the store; run all tests of the module")

    def waiting() -> list[str]:
        return [article for article in pending_articles if not author.get(article).json()["summary"]]

    assert eventually(lambda: not waiting(), within=120, every=2), waiting()
