"""The behaviour of the site and the API through the load balancers' virtual address."""

import itertools
import json
import re
import ssl
from collections import Counter
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.live.clients import ARTICLES, log_in_as_admin, publish, visitor
from tests.support.live.fleet import LiveFleet, eventually
from tools.fleet.context import Host


def test_the_site_and_the_api_answer(site: httpx.Client) -> None:
    page = site.get("/")
    assert page.status_code == 200
    assert "text/html" in page.headers["content-type"]
    articles = site.get(ARTICLES).json()["articles"]
    assert len(articles) == 20
    assert site.get(f"{ARTICLES}/{articles[0]['id']}").json()["title"] == articles[0]["title"]


def test_plain_http_redirects_to_https(fleet: LiveFleet) -> None:
    answer = httpx.get(f"http://{fleet.vip}/popular", trust_env=False)
    assert answer.status_code in {301, 308}
    assert answer.headers["location"].startswith("https://")


def test_the_certificate_is_the_one_of_the_vault(fleet: LiveFleet) -> None:
    assert ssl.get_server_certificate((fleet.vip, 443)).strip() == fleet.secrets["nginx_tls_certificate"].strip()


def test_paging_has_no_gaps_and_no_duplicates(site: httpx.Client) -> None:
    seen: list[int] = []
    after: str | None = None
    for _ in range(4):
        page = site.get(ARTICLES, params={"limit": 50} | ({"after": after} if after else {})).json()
        seen += [article["id"] for article in page["articles"]]
        after = page["next"]
    assert len(seen) == len(set(seen)) == 200


def test_a_write_through_the_vip_reaches_the_standbys(fleet: LiveFleet, author: httpx.Client) -> None:
    title = publish(author)["title"]
    count = f"select count(*) from article where title = '{title}'"
    assert eventually(lambda: {fleet.sql(standby, count) for standby in fleet.standbys} == {"1"}, within=2)


def test_reads_go_to_a_standby_and_writes_to_the_primary(fleet: LiveFleet, author: httpx.Client) -> None:
    def statements(host: Host, pattern: str) -> int:
        query = f"select coalesce(sum(calls), 0) from pg_stat_statements where query ilike '{pattern}'"
        return int(fleet.sql(host, query))

    (standby, *_), primary = fleet.standbys, fleet.primary
    reads, writes = "select %from article%", "insert into article%"
    # A different page length each time, so that no cache has the page.
    lengths = itertools.count(21)

    def ten_reads_on_the_standby() -> bool:
        before = statements(standby, reads)
        with visitor(fleet) as anonymous:
            for _ in range(10):
                assert anonymous.get(ARTICLES, params={"limit": next(lengths)}).status_code == 200
        return statements(standby, reads) >= before + 10

    # Not at once: after a write, lists are read from the primary for some seconds.
    assert eventually(ten_reads_on_the_standby, within=20, every=3)
    before = statements(primary, writes)
    publish(author)
    assert statements(primary, writes) == before + 1
    assert statements(standby, writes) == 0


def test_every_application_host_gets_requests(fleet: LiveFleet, author: httpx.Client) -> None:
    served = Counter(author.get(ARTICLES).headers["x-served-by"] for _ in range(40))
    assert set(served) == {host.name for host in fleet.group("app")}
    assert min(served.values()) > 5


@pytest.mark.usefixtures("healthy_fleet")
def test_a_session_survives_the_application_host_that_created_it(fleet: LiveFleet) -> None:
    with visitor(fleet) as reader:
        log_in_as_admin(fleet, reader)
        account = reader.get("/account")
        assert account.status_code == 200
        creator = next(host for host in fleet.group("app") if host.name == account.headers["x-served-by"])
        fleet.run(creator, "systemctl stop app.socket app.service")
        try:
            answers = [reader.get("/account") for _ in range(5)]
            assert [answer.status_code for answer in answers] == [200] * 5
            assert all("admin@news.test" in answer.text for answer in answers)
            assert creator.name not in {answer.headers["x-served-by"] for answer in answers}
        finally:
            fleet.run(creator, "systemctl start app.socket app.service")


def test_the_api_and_anonymous_pages_set_no_cookie(site: httpx.Client, author: httpx.Client) -> None:
    for client, url in ((site, "/"), (site, "/popular"), (site, ARTICLES), (author, ARTICLES)):
        assert "set-cookie" not in client.get(url).headers, url


def test_a_second_read_comes_from_the_cache_and_a_write_invalidates_it(author: httpx.Client) -> None:
    # Requests with an API key bypass nginx's cache, so this tests the application's cache.
    url = f"{ARTICLES}?limit=3"
    publish(author)
    # A worker adds the article's summary a moment later, which invalidates the list again.
    assert eventually(lambda: author.get(url).headers["x-cache"] == "hit", within=20, every=1)
    title = publish(author)["title"]
    fresh = author.get(url)
    assert fresh.headers["x-cache"] != "hit"
    assert fresh.json()["articles"][0]["title"] == title


def test_nginx_answers_a_burst_of_anonymous_readers_from_its_cache(fleet: LiveFleet) -> None:
    with visitor(fleet) as reader:
        outcomes = Counter(reader.get("/popular").headers["x-proxy-cache"] for _ in range(20))
    assert outcomes["HIT"] >= 10, outcomes


def test_a_view_is_counted_by_a_worker(fleet: LiveFleet, author: httpx.Client) -> None:
    article = publish(author)["id"]
    for _ in range(7):
        assert author.get(f"{ARTICLES}/{article}").status_code == 200
    assert eventually(
        lambda: fleet.sql(fleet.primary, f"select views from article where id = {article}") == "7", within=30
    )


def test_a_worker_writes_summary_and_keywords(author: httpx.Client) -> None:
    article = publish(author)["id"]

    def processed() -> bool:
        answer = author.get(f"{ARTICLES}/{article}").json()
        return bool(answer["summary"] and answer["keywords"])

    assert eventually(processed, within=30)


def test_internal_paths_are_not_public(site: httpx.Client) -> None:
    for path in ("/metrics", "/readyz", "/livez"):
        assert site.get(path).status_code in {403, 404}, path


def test_a_client_cannot_forge_its_address_and_every_request_has_an_id(fleet: LiveFleet, site: httpx.Client) -> None:
    marker = uuid4().hex
    answer = site.get(f"/?{marker}", headers={"X-Forwarded-For": "203.0.113.9"})
    request_id = answer.headers["x-request-id"]
    gateway = fleet.outputs["inventory"]["all"]["vars"]["fleet_admin_networks"][0].split("/")[0]
    balancer = fleet.vip_holder()
    assert balancer

    def line() -> dict[str, Any]:
        found = fleet.run(balancer, f"grep -h {marker} /var/log/nginx/*.log", check=False).stdout
        return dict(json.loads(found.splitlines()[0])) if found else {}

    assert eventually(line, within=5)
    assert request_id in line().values()
    assert gateway in line().values()
    assert "203.0.113.9" not in line().values()


def test_an_error_is_logged_without_the_secret_of_its_url(fleet: LiveFleet, site: httpx.Client) -> None:
    secret = uuid4().hex
    answer = site.post(f"/auth/reset/{secret}", content=b"x" * 3_000_000)
    assert answer.status_code == 413
    balancer = fleet.vip_holder()
    assert balancer

    def logged() -> str:
        return fleet.run(balancer, "journalctl --identifier nginx --since -1min --output cat").stdout

    assert eventually(lambda: "POST /auth/reset/[hidden]" in logged(), within=5)
    assert secret not in logged()
    assert not fleet.run(balancer, f"grep -rl {secret} /var/log/nginx", check=False).stdout


def test_nginx_serves_static_files_itself(site: httpx.Client) -> None:
    match = re.search(r'href="(/static/[^"]+\.css[^"]*)"', site.get("/").text)
    assert match
    style = site.get(match[1])
    assert style.status_code == 200
    assert "x-served-by" not in style.headers
    assert "max-age" in style.headers["cache-control"]
