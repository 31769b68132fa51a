"""The load balancer as clients and the application see it: a real nginx with the role's templates and a stub."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.live.fleet import eventually
from tests.unit.roles.nginx_server import Application, MakeSite

HOSTS = [{"name": f"app{number}", "address": f"127.0.0.{number}"} for number in (1, 2)]


@pytest.fixture
def second(application: Application) -> Iterator[Application]:
    """The same port on the second host of HOSTS."""
    stub = Application("127.0.0.2", application.server_port)
    yield stub
    stub.stop()


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"nginx_https_redirect": False, "nginx_hsts_max_age": 0, "nginx_ipv6": True},
        {"nginx_trusted_proxies": ["10.0.0.0/8", "2001:db8::/32"], "nginx_rate_limit_exempt": ["192.0.2.0/24"]},
        {"nginx_slow_locations": [{"path": "/admin/export", "read_timeout": 60}], "nginx_private_paths": []},
        {"nginx_server_aliases": ["www.news.test", "*.elb.example.com"], "nginx_strict_host": False},
        {"nginx_cache_fallback": 0, "nginx_cache_private_cookies": [], "nginx_cache_private_headers": []},
        {"nginx_upstream_hosts": [{"name": f"app{n}", "address": f"192.0.2.{n}"} for n in (1, 2, 3)]},
    ],
    ids=lambda variables: "-".join(variables) or "defaults",
)
def test_nginx_accepts_the_configuration(make_site: MakeSite, variables: dict[str, Any]) -> None:
    accepted, output = make_site(**variables).check()
    assert accepted, output
    assert "[warn]" not in output.replace("could not open error log file", ""), output


def test_nginx_rejects_a_bad_setting(make_site: MakeSite) -> None:
    accepted, output = make_site(nginx_client_max_body_size="plenty").check()
    assert not accepted
    assert "client_max_body_size" in output


def test_a_clients_identity_headers_are_not_trusted(client: httpx.Client) -> None:
    forged = dict.fromkeys(("X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Prefix", "Proxy"), "198.51.100.7")
    answer = client.get("/", headers=forged | {"X-Request-Id": "forged-by-a-client", "X-Forwarded-Proto": "http"})
    seen = answer.json()["headers"]
    assert "198.51.100.7" not in seen.values()
    assert (seen["x-forwarded-for"], seen["x-forwarded-proto"]) == ("127.0.0.1", "https")
    assert seen["x-request-id"] == answer.headers["X-Request-Id"] != "forged-by-a-client"


def test_a_trusted_proxy_identifies_the_client(make_site: MakeSite) -> None:
    site = make_site(nginx_trusted_proxies=["127.0.0.0/8"])
    with site.running() as client:
        answer = client.get("/", headers={"X-Forwarded-For": "203.0.113.9", "X-Request-Id": "from-the-proxy"})
        forged = client.get("/?n=2", headers={"X-Request-Id": 'x" injected'})
    assert answer.json()["headers"]["x-forwarded-for"] == "203.0.113.9"
    assert answer.headers["X-Request-Id"] == "from-the-proxy"
    assert "injected" not in forged.headers["X-Request-Id"]


LISTED = ["/auth/confirm/", "/auth/reset/", "/users/*/invitation/"]
SECRET_PATHS = [
    "/auth/reset/s3cret.token?s3cret=1",
    "/auth/confirm/s3cret.token",
    "/AUTH//reset/s3cret.token",
    "/redirect?to=https%3A%2F%2Fnews.test%2Fauth%252Freset%2Fs3cret.token",
    "/users/7/invitation/s3cret.token",
    # Without an entry in nginx_secret_paths.
    "/verify?page=2&token=s3cret.token",
    "/redirect?to=https%3A%2F%2Fnews.test%2Fverify%3FAccess_Token%3Ds3cret.token",
    "/activate/s3cret.IjEi.aSunsd.8Vq0Ls3cretQ1aV4SWq3IDgkRq60",
]


def test_every_request_is_logged_as_json_without_the_secret_in_a_link(make_site: MakeSite) -> None:
    site = make_site(nginx_secret_paths=LISTED)
    with site.running() as client:
        answer = client.get('/?q="quoted"', headers={"User-Agent": 'a "tester" \x7f'})
        for path in SECRET_PATHS:
            client.get(path)
        client.get("/static/site.css?v=1", headers={"Referer": f"https://news.test{SECRET_PATHS[0]}"})
    logged = site.logged()
    expected = {"request_id": answer.headers["X-Request-Id"], "status": 200, "cache": "MISS", "client": "127.0.0.1"}
    assert logged[0] | expected == logged[0]
    assert "s3cret" not in str(logged)
    assert [entry["uri"] for entry in logged[1:3]] == ["/auth/reset/[hidden]", "/auth/confirm/[hidden]"]
    linked = {"uri": "/static/site.css?v=1", "referer": "https://news.test/auth/reset/[hidden]"}
    assert logged[-1] | linked == logged[-1]


def test_the_error_log_has_no_secret_of_a_url_and_no_control_characters(
    make_site: MakeSite, application: Application
) -> None:
    site = make_site(nginx_client_max_body_size="1k", nginx_secret_paths=LISTED)
    terminal = b"\x1b]0;owned\x07\xc2\x9b2J"
    with site.running() as client:
        for path in SECRET_PATHS:
            assert client.post(path, content=b"x" * 2000).status_code == 413
        application.stop()
        for path in SECRET_PATHS:
            assert client.get(path).status_code == 502
            referer = f"https://news.test{path} ".encode() + terminal
            assert client.get("/", headers={b"Referer": referer, b"User-Agent": terminal}).status_code == 502
        assert eventually(lambda: site.errors().count("Connection refused") >= 2 * len(SECRET_PATHS), within=4)
    logged = site.logged()
    lines = site.errors().splitlines()
    assert all(line.startswith("<3>") and line.isprintable() for line in lines), lines
    assert "too large body" in lines[0]
    assert '"POST /auth/reset/[hidden] HTTP/1.1"' in lines[0]
    file = site.folder / "log/error.log"
    assert "s3cret" not in site.errors() + str(logged) + (file.read_text() if file.exists() else "")
    assert {entry["user_agent"] for entry in logged if entry["uri"] == "/"} == {"[not printable]"}


def test_anonymous_reads_are_cached_for_as_long_as_the_application_allows(
    client: httpx.Client, application: Application
) -> None:
    answers = [client.get("/list", params={"cc": "s-maxage=30, max-age=0"}) for _ in range(3)]
    assert [answer.headers["X-Proxy-Cache"] for answer in answers] == ["MISS", "HIT", "HIT"]
    assert client.head("/list", params={"cc": "s-maxage=30, max-age=0"}).headers["X-Proxy-Cache"] == "HIT"
    assert len(application.requests) == 1
    assert len({answer.headers["X-Request-Id"] for answer in answers}) == 3
    for _ in range(2):
        assert client.get("/mine", params={"cc": "private"}).headers["X-Proxy-Cache"] == "MISS"


@pytest.mark.parametrize(
    "headers",
    [{"Cookie": "session=1"}, {"Cookie": "a=b; pin=1"}, {"Authorization": "Bearer x"}, {"X-API-Key": "x"}],
    ids=str,
)
def test_personal_requests_bypass_the_cache(client: httpx.Client, headers: dict[str, str]) -> None:
    path = "/list?cc=s-maxage=30"
    assert client.get(path, headers=headers).headers["X-Proxy-Cache"] == "BYPASS"
    assert client.get(path).headers["X-Proxy-Cache"] == "MISS"
    assert client.get(path, headers=headers).json()["count"] == 3


def test_a_stale_answer_is_served_if_no_application_host_answers(
    client: httpx.Client, application: Application
) -> None:
    client.get("/", params={"cc": "s-maxage=1"})
    application.stop()
    time.sleep(2.2)  # nginx counts whole seconds
    answers = [client.get("/", params={"cc": "s-maxage=1"}) for _ in range(3)]
    assert [(answer.status_code, answer.headers["X-Proxy-Cache"]) for answer in answers] == [(200, "STALE")] * 3
    assert client.get("/never-seen").status_code == 502


@pytest.mark.parametrize(
    ("method", "headers", "tries"), [("GET", {}, 2), ("POST", {}, 1), ("POST", {"Idempotency-Key": "k"}, 2)]
)
def test_only_idempotent_requests_are_retried_on_the_next_host(
    make_site: MakeSite, application: Application, second: Application, method: str, headers: dict[str, str], tries: int
) -> None:
    with make_site(nginx_upstream_hosts=HOSTS, nginx_upstream_max_fails=0).running() as client:
        answer = client.request(method, "/api/v1/x?reset=1", headers=headers)
    assert answer.status_code == 502
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert application.requests + second.requests == [f"{method} /api/v1/x?reset=1"] * tries


def test_a_request_to_a_lone_host_waits_until_its_application_has_restarted(
    make_site: MakeSite, second: Application
) -> None:
    with make_site().running() as client:
        assert client.post("/x?seconds=5.5").status_code == 200
    assert not second.requests


def test_a_request_with_an_idempotency_key_reaches_the_application_unchanged(client: httpx.Client) -> None:
    seen = client.post("/ok", headers={"Idempotency-Key": "k"}, content=b"body").json()["headers"]
    assert (seen["content-length"], seen["idempotency-key"]) == ("4", "k")


def test_a_dead_host_fails_no_request(make_site: MakeSite) -> None:
    with make_site(nginx_upstream_hosts=HOSTS).running() as client:
        answers = [client.request(method, f"/?n={n}") for n in range(20) for method in ("GET", "POST")]
    assert {answer.status_code for answer in answers} == {200}


@pytest.mark.usefixtures("second")
def test_a_page_that_fails_on_all_hosts_does_not_break_other_pages(make_site: MakeSite) -> None:
    with make_site(nginx_upstream_hosts=HOSTS).running() as client:
        assert client.get("/?reset=1").status_code == 502
        assert [client.get(f"/{number}").status_code for number in range(4)] == [200] * 4


@pytest.mark.parametrize("path", ["/metrics", "//metrics", "/%6detrics", "/readyz", "/livez?x=1"])
def test_private_paths_are_not_public(client: httpx.Client, application: Application, path: str) -> None:
    assert client.get(str(client.base_url).rstrip("/") + path).status_code == 404
    assert application.requests == []


def test_forged_host_names_are_refused(client: httpx.Client) -> None:
    assert client.get("/", headers={"Host": "news.test"}).status_code == 200
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 421


def test_plain_http_redirects_except_for_health_checks(make_site: MakeSite) -> None:
    site = make_site()
    with site.running(), httpx.Client(base_url=f"http://127.0.0.1:{site.http}", trust_env=False) as plain:
        answer = plain.post("/a?b=c", headers={"Host": "news.test"})
        assert (answer.status_code, answer.headers["Location"]) == (308, "https://news.test/a?b=c")
        assert plain.get("/lb-health").text == "ok\n"


def test_errors_are_problem_json_for_the_api_and_a_page_otherwise(
    make_site: MakeSite, application: Application
) -> None:
    application.stop()
    with make_site(nginx_client_max_body_size="1k").running() as client:
        problem = client.get("/api/v1/articles")
        page = client.get("/")
        large = client.post("/api/v1/articles", content=b"x" * 2000)
    assert (problem.status_code, problem.headers["Content-Type"]) == (502, "application/problem+json")
    assert problem.json() | {"status": 502, "request_id": problem.headers["X-Request-Id"]} == problem.json()
    assert problem.headers["Retry-After"] == "5"
    assert page.status_code == 502
    assert page.text.startswith("<!doctype html>")
    assert "Error 502" in page.text
    assert (large.status_code, large.json()["status"]) == (413, 413)


def test_the_applications_own_errors_pass_unchanged(client: httpx.Client) -> None:
    assert client.get("/api/x?status=503").json()["count"] == 1
    assert client.get("/x?status=404").json()["count"] == 2


def test_a_client_above_the_rate_limit_gets_429(make_site: MakeSite) -> None:
    site = make_site(nginx_api_write_rate_limit=1, nginx_api_write_rate_limit_burst=2)
    with site.running() as client:
        writes = [client.post("/api/v1/articles?token=s3cret") for _ in range(6)]
        assert [answer.status_code for answer in writes] == [200] * 3 + [429] * 3
        assert writes[-1].json()["title"] == "Too many requests"
        assert client.get("/api/v1/articles").status_code == 200
        assert eventually(lambda: site.errors().count("limiting requests") == 3, within=4)
    assert "s3cret" not in site.errors()


def test_static_files_are_served_by_checksum_or_by_the_application(make_site: MakeSite) -> None:
    site = make_site()
    for folder, text in {"0123456789ab": "old", "abcdef012345": "new", "latest": "new"}.items():
        path = site.folder / "static" / folder / "css/site.css"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    with site.running() as client:
        old, new, latest, *passed_on = (
            client.get(f"/static/css/site.css{query}")
            for query in ("?v=0123456789ab", "?v=abcdef0123456789", "", "?v=ffffffffffff", "?v=../latest", "?v=1.0")
        )
        passed_on.append(client.get("/static/new.css"))
    assert [answer.text for answer in (old, new, latest)] == ["old", "new", "new"]
    assert "max-age=31536000" in old.headers["Cache-Control"]
    assert "immutable" in old.headers["Cache-Control"]
    assert latest.headers["Cache-Control"] == "max-age=60"
    assert old.headers["X-Content-Type-Options"] == "nosniff"
    assert all(answer.json()["count"] for answer in passed_on)


def test_an_etag_weakened_by_compression_still_matches(client: httpx.Client) -> None:
    seen = client.put("/", headers={"If-Match": 'W/"abc"'}).json()["headers"]
    assert seen["if-match"] == '"abc"'
