from html.parser import HTMLParser

import pytest
from flask.testing import FlaskClient

from app.api.docs import code, operations
from tests.unit.app.conftest import body

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.mark.usefixtures("app")
def test_the_page_shows_all_operations_parameters_responses_and_headers(client: FlaskClient) -> None:
    document = body(client.get("/api/v1/openapi.json"))
    page = client.get("/api/v1/docs").text
    for path, methods in document["paths"].items():
        assert f"<code>{path}</code>" in page
        for method in METHODS & methods.keys():
            assert methods[method]["summary"].rstrip(".") in page.replace("&#39;", "'")
    for operation in operations(document, "http://localhost/"):
        for field in operation.inputs:
            assert f"<code>{field.name}</code>" in page
        assert {response.status for response in operation.responses} >= {"429", "503"}
    for header in document["components"]["headers"]:
        assert f'id="header-{header}"' in page


def test_the_page_complies_with_the_content_security_policy(client: FlaskClient) -> None:
    class Elements(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            assert tag not in {"script", "style"}
            assert not {name for name, _ in attributes if name == "style" or name.startswith("on")}
            assert all(
                (value or "").startswith("/")
                for name, value in attributes
                if name == "src" or (tag == "link" and name == "href")
            )

    response = client.get("/api/v1/docs")
    assert response.content_type == "text/html; charset=utf-8"
    Elements().feed(response.text)


def test_every_page_links_to_the_api_docs(client: FlaskClient) -> None:
    assert 'href="/api/v1/docs"' in client.get("/").text


def test_curl_commands_contain_the_requested_host_and_a_key_if_needed(client: FlaskClient) -> None:
    document = body(client.get("/api/v1/openapi.json"))
    commands = {operation.id: operation.curl for operation in operations(document, "https://news.example/")}
    assert any(command == "curl https://news.example/api/v1/articles/17" for command in commands.values())
    assert sum("Authorization: Bearer KEY" in command for command in commands.values()) == 4


def test_backticks_become_code_and_html_is_escaped() -> None:
    assert code("a `b<c` <d>") == "a <code>b&lt;c</code> &lt;d&gt;"
