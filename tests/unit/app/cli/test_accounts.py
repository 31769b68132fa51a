import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.accounts import users
from app.database.models import User
from app.extensions import db
from tests.unit.app.conftest import Author, log_in

OTHER = "another good password"


def run(app: Flask, *arguments: str, password: str = OTHER) -> tuple[int, str]:
    """Run a command. Return its exit status and output."""
    result = app.test_cli_runner(env={"A_PASSWORD": password}).invoke(args=arguments)
    return result.exit_code, result.output


def test_users_are_listed_with_their_flags(app: Flask, user: User) -> None:
    db.write(lambda session: users.create_user(session, email="root@news.example", password=OTHER, is_admin=True))
    assert run(app, "users", "deactivate", user.email)[0] == 0
    assert run(app, "users", "list") == (
        0,
        "ada@news.example\tAda Marsh\tdeactivated\nroot@news.example\tRoot\tadministrator\n",
    )


def test_a_new_password_ends_all_sessions(app: Flask, reader: FlaskClient, user: User) -> None:
    status, output = run(app, "users", "set-password", user.email, "--password-env", "A_PASSWORD")
    assert (status, OTHER in output) == (0, False)
    assert reader.get("/account").status_code == 302
    assert log_in(app.test_client(), user.email, OTHER).status_code == 302


def test_a_deactivated_user_has_no_access_until_activated(
    app: Flask, reader: FlaskClient, author: Author, user: User
) -> None:
    assert run(app, "users", "deactivate", user.email)[0] == 0
    assert reader.get("/account").status_code == 302
    assert author.post().status_code == 401
    assert log_in(app.test_client(), user.email).status_code == 401
    assert run(app, "users", "activate", user.email)[0] == 0
    assert log_in(app.test_client(), user.email).status_code == 302


def test_make_admin_can_be_undone(app: Flask, user: User) -> None:
    def admin_page() -> int:
        client = app.test_client()
        log_in(client, user.email)
        return client.get("/admin/").status_code

    assert run(app, "users", "make-admin", user.email) == (0, "ada@news.example is now an administrator\n")
    assert admin_page() == 200
    assert run(app, "users", "make-admin", "--undo", user.email)[0] == 0
    assert admin_page() == 403


def test_keys_are_listed_without_their_secret(app: Flask, author: Author, user: User) -> None:
    key = author.headers["Authorization"].removeprefix("Bearer ")
    status, output = run(app, "keys", "list", user.email)
    prefix, _, secret = key.partition(".")
    assert status == 0
    assert output.startswith(f"{prefix}\ttests\t")
    assert secret not in output


@pytest.mark.parametrize(
    "arguments",
    [("users", command) for command in ("activate", "deactivate", "make-admin", "set-password")] + [("keys", "list")],
)
def test_an_unknown_user_is_an_error_without_traceback(app: Flask, arguments: tuple[str, str]) -> None:
    extra = ("--password-env", "A_PASSWORD") if "set-password" in arguments else ()
    status, output = run(app, *arguments, "nobody@news.example", *extra)
    assert (status, output) == (1, "Error: there is no user nobody@news.example; `users list` shows them\n")


def test_a_short_password_is_refused(app: Flask, user: User) -> None:
    status, output = run(app, "users", "set-password", user.email, "--password-env", "A_PASSWORD", password="short")
    assert (status, output) == (1, "Error: a password must have 8 to 1024 characters, not 5\n")


def test_the_command_line_creates_users_and_keys(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    run = app.test_cli_runner().invoke
    monkeypatch.setenv("NEW_PASSWORD", "a good password")
    arguments = ["users", "create", "Grace@News.example", "--admin", "--password-env", "NEW_PASSWORD"]
    assert run(args=arguments).output == "created administrator grace@news.example\n"
    assert run(args=arguments).exit_code == 1
    assert "nothing to do" in run(args=[*arguments, "--if-missing"]).output
    key = run(args=["keys", "create", "grace@news.example", "--name", "tests", "--scope", "articles:write"]).output
    headers = {"Authorization": f"Bearer {key.strip()}"}
    assert (
        app.test_client().post("/api/v1/articles", json={"title": "x", "content": "y"}, headers=headers).status_code
        == 201
    )
    assert log_in(app.test_client(), "grace@news.example", "a good password").status_code == 302


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["users", "create", "nonsense", "--password-env", "NEW_PASSWORD"], "is not an e-mail address"),
        (["users", "create", "a@b.example", "--password-env", "UNSET"], "UNSET is not set"),
        (["users", "create", "a@b.example", "--password-env", "SHORT"], "8 to 1024 characters"),
        (["keys", "create", "nobody@b.example", "--name", "x", "--scope", "articles:write"], "there is no user"),
    ],
)
def test_the_command_line_reports_errors(
    app: Flask, monkeypatch: pytest.MonkeyPatch, arguments: list[str], reason: str
) -> None:
    monkeypatch.setenv("NEW_PASSWORD", "a good password")
    monkeypatch.setenv("SHORT", "short")
    result = app.test_cli_runner().invoke(args=arguments)
    assert result.exit_code == 1
    assert reason in result.output
