from typing import Any

import pytest
from flask.testing import FlaskClient

from app.accounts import users
from app.database.models import User
from app.extensions import db
from tests.unit.app.conftest import Author, key_of, search
from tests.unit.app.desk.conftest import send


def test_a_key_is_shown_once_works_and_is_revoked(reader: FlaskClient, client: FlaskClient, user: User) -> None:
    answer = send(reader, "/desk/keys", name="Feed <b>import</b>", scopes=["articles:write"])
    assert answer.headers["Cache-Control"] == "private, no-store"
    key = search(r"<code>([0-9a-f]{12}\.[\w-]{43})</code>", answer.text)
    prefix = key.partition(".")[0]
    author = Author(client, {"Authorization": f"Bearer {key}"})
    assert author.post().status_code == 201
    listed = reader.get("/desk/keys").text
    assert prefix in listed
    assert "Feed &lt;b&gt;import&lt;/b&gt;" in listed
    assert key not in listed
    assert send(reader, f"/desk/keys/{prefix}/revoke", page="/desk/keys").status_code == 302
    assert prefix not in reader.get("/desk/keys").text
    assert author.post().status_code == 401
    assert db.read(lambda session: users.keys_of(session, user.id)) == []


def test_authors_cannot_revoke_keys_of_others(stranger: FlaskClient, user: User) -> None:
    key, _ = db.write(lambda session: users.create_key(session, user=user, name="hers", scopes=[]))
    for prefix in (key.prefix, "nothing", "a\0b"):
        assert send(stranger, f"/desk/keys/{prefix}/revoke", page="/desk/keys").status_code == 404
    assert key.prefix not in stranger.get("/desk/keys").text
    assert [kept.prefix for kept in db.read(lambda session: users.keys_of(session, user.id))] == [key.prefix]


@pytest.mark.parametrize(
    "fields",
    [{"name": ""}, {"name": "x" * 81}, {"name": "a\u202eb"}, {"name": "n", "scopes": ["everything"]}, {"name": "a\0b"}],
)
def test_an_invalid_key_is_not_created(reader: FlaskClient, user: User, fields: dict[str, Any]) -> None:
    page = send(reader, "/desk/keys", **fields)
    assert page.status_code == 422
    assert 'class="error"' in page.text
    assert db.read(lambda session: users.keys_of(session, user.id)) == []


def test_a_user_has_a_limited_number_of_keys(reader: FlaskClient, user: User) -> None:
    for _ in range(users.MAX_KEYS):
        key_of(user)
    page = send(reader, "/desk/keys", name="one too many")
    assert page.status_code == 422
    assert "revoke one first" in page.text
