"""The pages whose URL is a secret, as `bin/fleet init` finds them."""

from pathlib import Path

import pytest

from tests.unit.tools.projects import APP, found

INVITES = "from flask import Blueprint\nb = Blueprint('b', __name__, url_prefix='/teams')\n"


@pytest.mark.parametrize(
    ("code", "prefixes"),
    [
        ("@app.route('/reset/<token>', methods=['GET', 'POST'])\ndef f(token): ...", ["/reset/"]),
        ("@app.get('/calendar/<string:share_key>.ics')\ndef f(share_key): ...", ["/calendar/"]),
        ("@app.get('/verify/<int:uid>/<sig>')\ndef f(uid, sig): ...", ["/verify/"]),
        ("@app.get('/users/<int:uid>/reset/<token>')\ndef f(uid, token): ...", ["/users/*/reset/"]),
        (INVITES + "@b.get('/<int:number>/invitation/<code>')\ndef f(number, code): ...", ["/teams/*/invitation/"]),
        ("app.add_url_rule('/a/<token>', view_func=f)\napp.add_url_rule('/b/<token>', view_func=f)", ["/a/", "/b/"]),
        ("@app.get('/countries/<code>/<int:id>')\ndef f(code, id): ...", None),
        ("@app.get('/<token>')\ndef f(token): ...", None),
        ("@app.delete('/keys/<token>')\ndef f(token): ...", None),
    ],
)
def test_pages_with_a_token_in_their_path_are_secret(tmp_path: Path, code: str, prefixes: list[str] | None) -> None:
    assert found(tmp_path, {"app.py": f"{APP}{code}\n"}).value("nginx_secret_paths") == prefixes
