"""No value of a header, a parameter, a field or a path causes a server error."""

import re
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from flask import Flask
from hypothesis import HealthCheck, example, given, settings, strategies
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import TestResponse

from app.accounts import tokens
from app.api.schemas import PageQuery
from app.database.models import User
from app.web.forms import Form
from tests.unit.app.conftest import PASSWORD, Author, Publish, add_user, change, csrf_token, logged_in, stored

ODD = [
    "session=; pin=; device=",
    "session=x; pin=.x.; device=.",
    "",
    " ",
    '"',
    '""',
    "W/",
    "*",
    ",,;=",
    "\0",
    "/\n",
    "/\r\nX: y",
    "/\t/x",
    "//[",
    "http://[",
    "\ud800",
    "\u200b",
]
ODD += ["%", "%00", "-1", "9" * 5000, "1e999", "=?utf-8?q?x?=", "Bearer .", "Basic \u00e9", "bytes=9-1", "x" * 3000]
TEXT = strategies.sampled_from(ODD) | strategies.text(max_size=20)
SCALAR: strategies.SearchStrategy[Any] = strategies.none() | strategies.booleans() | strategies.floats() | TEXT
JSON = SCALAR | strategies.lists(SCALAR, max_size=2) | strategies.dictionaries(TEXT, SCALAR, max_size=2)
ARTICLE = {"title": "A title", "content": "Some content."}
# Headers, each with a request that reads it.
HEADERS = dict.fromkeys(["Idempotency-Key"], ("POST", "/api/v1/articles"))
HEADERS |= dict.fromkeys(["Authorization", "If-Match", "Content-Type"], ("PATCH", "/api/v1/articles/1"))
HEADERS |= dict.fromkeys(["If-None-Match", "Accept", "Content-Length"], ("GET", "/api/v1/articles/1"))
HEADERS |= dict.fromkeys(["If-Modified-Since", "If-Range", "If-Unmodified-Since", "Range"], ("GET", "/static/site.css"))
HEADERS |= dict.fromkeys(
    ["Cookie", "Host", "Origin", "Referer", "X-CSRFToken", "X-Request-Id"], ("POST", "/auth/login")
)
HEADERS |= dict.fromkeys(["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"], ("POST", "/auth/login"))

# Pages with their query parameters. `{}` is an odd part of a path.
QUERIES = {
    "/": ["after"],
    "/authors/1": ["after"],
    "/search": ["after", "q"],
    "/desk/": ["after"],
    "/admin/articles": ["after", "q"],
    "/admin/tasks": ["after"],
    "/admin/users": ["after", "q"],
    "/static/site.css": ["v"],
    "/api/v1/articles": ["after", "author", "keyword", "limit", "q", "since", "until", "unknown"],
    "/api/v1/articles/popular": ["limit"],
    "/keywords/{}": [],
    "/articles/{}": [],
    "/auth/confirm/{}": [],
    "/auth/reset/{}": [],
    "/static/{}": [],
}
# Forms with valid values.
FORMS: dict[str, dict[str, str]] = {
    "/auth/login": {"email": "ada@news.example", "password": PASSWORD},
    "/auth/signup": {"email": "new@news.example", "password": PASSWORD, "name": "New"},
    "/auth/reset": {"email": "ada@news.example"},
    "/auth/reset/TOKEN": {"password": PASSWORD},
    "/auth/confirm/TOKEN": {"password": PASSWORD},
    "/auth/password": {"present": PASSWORD, "password": PASSWORD},
    "/auth/name": {"name": "Ada"},
    "/desk/write": {"title": "A title", "content": "Some content.", "preview": ""},
    "/desk/articles/1/edit": {"title": "A title", "content": "Some content.", "version": "1"},
    "/desk/keys": {"name": "A key", "scopes": "articles:write"},
    "/desk/keys/{}/revoke": {},
    "/admin/users/2/promote": {"q": ""},
}


def encode(value: str) -> str:
    return quote_from_bytes(value.encode("utf-8", "surrogatepass"), safe="")


def as_header(value: str) -> str:
    """The value as servers pass it to the application. They refuse control characters."""
    return re.sub("[\0-\x1f]", "", value.encode("utf-8", "surrogatepass").decode("latin-1"))


def odd_requests(value: str, data: Any) -> Iterator[dict[str, Any]]:
    """Requests with one odd value each."""
    for path, names in QUERIES.items():
        yield from ({"path": f"{path}?{name}={encode(value)}"} for name in names)
        yield {"path": path.format(encode(value))}
    for path, form in (FORMS | {f"/auth/login?next={encode(value)}": FORMS["/auth/login"]}).items():
        post = {"method": "POST", "path": path.format(encode(value))}
        for field in (*form, "csrf_token"):
            pairs = (form | {field: value}).items()
            urlencoded = {"content_type": "application/x-www-form-urlencoded"}
            yield post | urlencoded | {"data": "&".join(f"{name}={encode(typed)}" for name, typed in pairs)}
            yield post | {"json": form | {field: data}}
            yield post | {"data": form | {field: (BytesIO(value.encode("utf-8", "surrogatepass")), "x.txt")}}
    for method, path in (("POST", "/api/v1/articles"), ("PATCH", "/api/v1/articles/1")):
        yield from ({"method": method, "path": path, "json": ARTICLE | {name: data}} for name in ARTICLE)
        yield {"method": method, "path": path, "json": data}
    for header, (method, path) in HEADERS.items():
        sent = {"json": ARTICLE} if path.startswith("/api/") else {"data": FORMS["/auth/login"]}
        yield {"method": method, "path": path, "headers": {header: as_header(value)}} | sent


@pytest.fixture
def send(app: Flask, author: Author, user: User, publish: Publish) -> Callable[..., TestResponse]:
    """Return a function that sends a request as somebody who may send it."""
    publish()
    change(user, is_admin=True)
    app.config |= {name: "1000000 per minute" for name in app.config if name.endswith("_RATE_LIMIT")}
    app.wsgi_app = ProxyFix(app.wsgi_app, x_host=1)  # type: ignore[method-assign]
    administrator, anonymous = logged_in(app, user.email), app.test_client(use_cookies=False)
    linked = add_user(app, "linked@news.example")
    change(linked, confirmed_at=None)
    token = csrf_token(administrator.get("/account"))

    def open_path(path: str, headers: dict[str, str] | None = None, **request: Any) -> TestResponse:
        if path.endswith("/TOKEN"):
            path = path.replace("TOKEN", tokens.make(path.split("/")[2], stored(User, linked.id)))
        if path.startswith("/api/"):
            return author.client.open(path, headers=author.headers | (headers or {}), **request)
        # With an odd header, as a browser sends it: over HTTPS, with a CSRF token.
        app.config["WTF_CSRF_ENABLED"] = bool(headers)
        if headers and "data" in request:
            request |= {"base_url": "https://localhost", "data": request["data"] | {"csrf_token": token}}
        is_private = headers or path.startswith(("/desk/", "/admin/", "/auth/name", "/auth/password"))
        client = administrator if is_private and "Cookie" not in (headers or {}) else anonymous
        return client.open(path, headers=headers, **request)

    return open_path


@settings(
    max_examples=6,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@example(value="/\n", data=[])
@example(value="https://[", data=5)
@example(value='""', data="")
@example(value="x" * 3000, data=[""])
@given(value=TEXT, data=JSON)
@pytest.mark.usefixtures("sent_emails")
def test_an_odd_value_does_not_cause_a_server_error(send: Callable[..., TestResponse], value: str, data: Any) -> None:
    failed = [request for request in odd_requests(value, data) if send(**request).status_code >= 500]
    assert failed == []


def test_every_field_and_parameter_gets_odd_values(app: Flask) -> None:
    with app.test_request_context():
        forms = [form() for parent in Form.__subclasses__() for form in (parent, *parent.__subclasses__())]
        fields = {name for form in forms for name in form.data}
    assert fields - {"csrf_token"} == {name for form in FORMS.values() for name in form} - {"q"}
    assert PageQuery().fields.keys() < set(QUERIES["/api/v1/articles"])
