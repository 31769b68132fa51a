"""The filter of nginx's error log, and the pattern of secret URLs. test_nginx.py runs it with a real nginx."""

import time

import pytest

from plugins.filter.secret_urls import secret_urls
from tests.unit.roles.modules import ROLES, load

nginx_errors = load(ROLES / "nginx/files/nginx_errors.py")
SIGNED = "Im1lQG5ld3MudGVzdCI.aSunsd.8Vq0LxG7Q1aV4SWq3IDgkRq60eQ"


def hide(text: str, *paths: str) -> str:
    found: str = nginx_errors.secret_urls(secret_urls(paths)).sub(r"\1[hidden]", text)
    return found


@pytest.mark.parametrize(
    "row",
    [
        *("/" * 16000, "%2f" * 5000, "%25" * 5000, "auth" + "/" * 16000, "/" + "a." * 8000, "/a" * 8000),
        *("=" * 16000, "&" * 16000, "/users/" * 3000, "?token" * 3000),
    ],
    ids=lambda row: row[:8],
)
def test_a_long_row_of_characters_does_not_slow_the_filter_down(row: str) -> None:
    begin = time.process_time()
    assert hide(row, "/auth/reset/", "/users/*/invitation/") == row
    assert time.process_time() - begin < 0.2


@pytest.mark.parametrize(
    ("path", "url", "kept"),
    [
        ("/verify?token=", "/verify?token=abc&x=1", "/verify?token="),
        ("/reset/", "/RESET//abc", "/RESET//"),
        ("/users/*/invitation/", "/users/7/invitation/abc", "/users/7/invitation/"),
        ("?invite=", "/join/?page=2&invite=abc", "/join/?page=2&invite="),
        ("", "/join?password=abc", "/join?password="),
        ("", "/a?X-Amz-Date=1&X-Amz-Signature=abc", "/a?X-Amz-Date=1&X-Amz-Signature="),
        ("", f"/activate/{SIGNED}", "/activate/"),
        ("", f"/unsubscribe?who={SIGNED}", "/unsubscribe?who="),
        ("", f"/to?url=https%3A%2F%2Fnews.test%2Factivate%2F{SIGNED}", "/to?url=https%3A%2F%2Fnews.test%2Factivate%2F"),
    ],
)
def test_the_rest_of_a_secret_url_is_hidden(path: str, url: str, kept: str) -> None:
    assert hide(f'"GET {url} HTTP/1.1"', path) == f'"GET {kept}[hidden] HTTP/1.1"'


@pytest.mark.parametrize(
    "url",
    [
        "/static/site.3f2ab45c9d10e7f8.min.css?v=0123456789abcdef0123456789abcdef",
        "/articles/a-long-title-of-an-article-with-many-words",
        "/articles/0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0?page=2&tokens=5&keyword=x",
        "https://www.a-very-long-name-of-a-company-in-the-city.example/",
    ],
)
def test_an_ordinary_url_is_logged(url: str) -> None:
    assert hide(f'"GET {url} HTTP/1.1"', "/auth/reset/") == f'"GET {url} HTTP/1.1"'


def test_a_line_that_is_not_text_is_escaped() -> None:
    assert nginx_errors.journal_line(b"\xff\n", nginx_errors.secret_urls(secret_urls([]))) == "<3>\\xff\\n"
