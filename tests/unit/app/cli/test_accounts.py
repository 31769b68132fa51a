from collections.abc import Callable

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient

from app.database.models import User
from tests.unit.app.conftest import PASSWORD, Author, add_user, log_in, logged_in

Run = Callable[..., Result]


def test_users_are_listed_with_their_flags(app: Flask, run: Run, user: User) -> None:
    add_user(app, "root@news.example", is_admin=True)
    assert run("users", "deactivate", user.email).exit_code == 0
    listed = run("users", "list").output
    assert listed == "ada@news.example\tAda Marsh\tdeactivated\nroot@news.example\tRoot\tadministrator\n"


def test_a_new_password_ends_all_sessions_and_keys(
    app: Flask, run: Run, reader: FlaskClient, author: Author, user: User
) -> None:
    password = "another good password"
    changed = run("users", "set-password", user.email, "--password-env", "NEW", NEW=password)
    assert (changed.exit_code, password in changed.output) == (0, False)
    assert reader.get("/account").status_code == 302
    assert author.post().status_code == 401
    assert log_in(app.test_client(), user.email, password).status_code == 302


def test_a_deactivated_user_has_no_access_until_activated(
    app: Flask, run: Run, reader: FlaskClient, author: Author, user: User
) -> None:
    assert run("users", "deactivate", user.email).exit_code == 0
    assert reader.get("/account").status_code == 302
    assert author.post().status_code == 401
    assert log_in(app.test_client(), user.email).status_code == 401
    assert run("users", "activate", user.email).exit_code == 0
    assert log_in(app.test_client(), user.email).status_code == 302


def test_make_admin_can_be_undone(app: Flask, run: Run, user: User) -> None:
    assert run("users", "make-admin", user.email).output == "ada@news.example is now an administrator\n"
    assert logged_in(app, user.email).get("/admin/").status_code == 200
    assert run("users", "make-admin", "--undo", user.email).exit_code == 0
    assert logged_in(app, user.email).get("/admin/").status_code == 403


def test_keys_are_listed_without_their_secret(run: Run, author: Author, user: User) -> None:
    prefix, _, secret = author.headers["Authorization"].removeprefix("Bearer ").partition(".")
    listed = run("keys", "list", user.email)
    assert listed.exit_code == 0
    assert listed.output.startswith(f"{prefix}\ttests\t")
    assert secret not in listed.output


def test_the_command_line_creates_users_and_keys(app: Flask, run: Run) -> None:
    arguments = ["users", "create", "Grace@News.example", "--admin", "--password-env", "NEW"]
    assert run(*arguments, NEW=PASSWORD).output == "created administrator grace@news.example\n"
    assert run(*arguments, NEW=PASSWORD).exit_code == 1
    assert "nothing to do" in run(*arguments, "--if-missing").output
    key = run("keys", "create", "grace@news.example", "--name", "tests", "--scope", "articles:write").output
    assert Author(app.test_client(), {"Authorization": f"Bearer {key.strip()}"}).post().status_code == 201
    assert log_in(app.test_client(), "grace@news.example").status_code == 302


@pytest.mark.parametrize("name", [" ", "\u200b", "\u3164", "a\nb", "\u202eevil", "x" * 101])
def test_the_command_line_refuses_names_that_the_site_refuses(run: Run, user: User, name: str) -> None:
    for command in (
        ["users", "create", "new@news.example", "--password-env", "NEW"],
        ["keys", "create", user.email, "--scope", "articles:write"],
    ):
        refused = run(*command, "--name", name, NEW=PASSWORD)
        assert (refused.exit_code, "is not valid: Must " in refused.output) == (1, True), refused.output


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("users activate nobody@b.example", "there is no user nobody@b.example; `users list` shows them"),
        ("users deactivate nobody@b.example", "there is no user nobody@b.example; `users list` shows them"),
        ("users make-admin nobody@b.example", "there is no user nobody@b.example; `users list` shows them"),
        ("users set-password nobody@b.example --password-env NEW", "there is no user nobody@b.example; `users list`"),
        (
            "users set-password ada@news.example --password-env SHORT",
            "a password must have 8 to 1024 characters, not 5",
        ),
        ("users create nonsense --password-env NEW", "'nonsense' is not an e-mail address"),
        ("users create a@b.example --password-env UNSET", "UNSET is not set"),
        ("users create a@b.example --password-env SHORT", "a password must have 8 to 1024 characters, not 5"),
        ("keys list nobody@b.example", "there is no user nobody@b.example; `users list` shows them"),
        ("keys create nobody@b.example --name x --scope articles:write", "there is no user nobody@b.example; create"),
    ],
)
@pytest.mark.usefixtures("user")
def test_an_error_is_reported_without_traceback(run: Run, command: str, error: str) -> None:
    result = run(*command.split(), NEW=PASSWORD, SHORT="short")
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert error in result.output
