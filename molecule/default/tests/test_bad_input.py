"""Invalid input through the front door: the answer names the error, and nothing is stored or logged."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.live.clients import ARTICLES, visitor
from tests.support.live.fleet import LiveFleet

TEXT = "Something to read. " * 5
JSON = {"Content-Type": "application/json"}
# This is part of every request, and must not appear in any log.
SECRET = f"secret{uuid4().hex}"


@pytest.fixture(scope="module")
def stored(fleet: LiveFleet, api_key: str) -> Iterator[None]:
    """Fail if any input of these tests was stored or logged."""
    with visitor(fleet, Authorization=f"Bearer {api_key}") as client:
        author = client.get("/api/v1/me").json()["user"]["id"]
    count = f"select count(*) from article where author_id = {author}"
    before = fleet.sql(fleet.primary, count)
    yield
    assert fleet.sql(fleet.primary, count) == before
    for host in (*fleet.group("app"), *fleet.group("workers"), *fleet.group("loadbalancers")):
        journal = "journalctl --unit 'app*' --unit 'celery*' --unit nginx --since -10min --output cat"
        found = fleet.run(host, f"{journal} | grep {SECRET}; grep -rhs {SECRET} /var/log/nginx", check=False)
        assert found.stdout == "", host.name


def article(**fields: Any) -> bytes:
    """Return a valid article with some fields changed."""
    return json.dumps({"title": f"A title {SECRET}", "content": TEXT} | fields).encode()


BODIES = {
    "no JSON": (b"{" + SECRET.encode(), 400, "json"),
    "no Unicode": (b'{"title": "\xff", "content": "x"}', 400, "json"),
    "too deep": (b"[" * 100_000, 400, "json"),
    "a list": (b"[]", 422, ""),
    "no title": (json.dumps({"content": TEXT}).encode(), 422, "title"),
    "a number as title": (article(title=5), 422, "title"),
    "a title of 10,000 characters": (article(title="x" * 10_000), 422, "title"),
    "NUL in the title": (article(title="a\0b"), 422, "title"),
    "NUL in the text": (article(content="a\0b"), 422, "content"),
    "half a surrogate pair": (article(title="\ud800"), 422, "title"),
    "a right-to-left override in the title": (article(title="a \u202etfel ot thgir"), 422, "title"),
    "an unknown field": (article(views=1_000_000), 422, "views"),
}


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(("body", "status", "field"), BODIES.values(), ids=BODIES)
def test_an_invalid_article_is_refused_and_the_field_named(
    author: httpx.Client, body: bytes, status: int, field: str
) -> None:
    answer = author.post(ARTICLES, content=body, headers=JSON)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem = answer.json()
    assert field in json.dumps(problem["errors"])
    assert SECRET not in answer.text


@pytest.mark.usefixtures("stored")
def test_nginx_refuses_ten_megabytes(author: httpx.Client) -> None:
    answer = author.post(ARTICLES, content=article(content="x" * 10_000_000), headers=JSON)
    assert answer.status_code == 413
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert "2m" in answer.json()["detail"]
    # Also without a Content-Length.
    chunked = author.post(ARTICLES, content=iter([article(content="x" * 100_000)] * 100), headers=JSON)
    assert chunked.status_code == 413


def test_a_page_token_of_another_list_is_refused(site: httpx.Client) -> None:
    token = site.get(ARTICLES, params={"limit": 1}).json()["next"]
    answer = site.get(ARTICLES, params={"limit": 1, "q": "river", "after": token})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "after"


@pytest.mark.parametrize(
    "query",
    ["limit=-1", "limit=1e3", "limit=100000000000000000000", "after=%00", "author=x", "page=-1", "q=%00", "since=x"],
)
def test_an_invalid_parameter_is_refused_and_named(site: httpx.Client, query: str) -> None:
    answer = site.get(f"{ARTICLES}?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == query.partition("=")[0]


@pytest.mark.parametrize(
    "path",
    [
        "/articles/-1",
        "/articles/99999999999999999999",
        "/articles/%00",
        "/keywords/%00",
        "/authors/0",
        "/?after=-1",
        "/%ff",
    ],
)
def test_an_invalid_path_is_not_found(site: httpx.Client, path: str) -> None:
    assert site.get(path).status_code in {400, 404}


@pytest.mark.parametrize(
    "value", ["x", "x.y.z", "-1", "../../etc/passwd", "A" * 6000, '"\\000"', "%00", "é".encode().decode("latin-1")]
)
@pytest.mark.parametrize("name", ["session", "pin", "remember_token"])
def test_a_forged_cookie_logs_nobody_in(site: httpx.Client, name: str, value: str) -> None:
    cookie = {b"Cookie": f"{name}={value}".encode("latin-1")}
    assert "Log in" in site.get("/", headers=cookie).text
    assert site.get("/account", headers=cookie).status_code == 302
    assert site.get("/admin/", headers=cookie).status_code == 302


@pytest.mark.parametrize(
    "path", ["/auth/reset/1-x.y", "/auth/confirm/1-x.y", "/auth/reset/%00", f"/auth/reset/{'9' * 2000}"]
)
def test_a_forged_link_is_refused(site: httpx.Client, path: str) -> None:
    assert site.get(path).status_code in {400, 404, 410}


@pytest.mark.parametrize("key", ["x", "a.b", f"{'a' * 5000}.b", "é.b", ".", "\\0.\\0"])
def test_a_forged_key_is_refused(site: httpx.Client, key: str) -> None:
    headers = {b"Authorization": f"Bearer {key}".encode()}
    write = site.post(ARTICLES, json={"title": "x", "content": "y"}, headers=headers)
    for answer in (site.get("/api/v1/me", headers=headers), write):
        assert answer.status_code == 401
        assert answer.headers["content-type"].startswith("application/problem+json")


def test_a_form_with_a_forged_csrf_token_is_refused(site: httpx.Client) -> None:
    for path in ("/auth/login", "/auth/signup", "/auth/reset"):
        answer = site.post(path, data={"email": "admin@news.test", "password": "x", "csrf_token": "forged"})
        assert answer.status_code == 400, path
