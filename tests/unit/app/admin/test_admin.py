import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.admin import administration
from app.admin.administration import AdministrationError
from app.database.models import Article, FailedTask, User
from app.extensions import db
from app.jobs import dead_letters
from app.news import articles
from tests.unit.app.admin.conftest import press
from tests.unit.app.conftest import queries

Publish = Callable[..., Article]
PAGES = ("/admin/", "/admin/users", "/admin/articles", "/admin/tasks", "/admin/cache")


@pytest.fixture
def failed_task(publish: Publish) -> FailedTask:
    """A task that has failed."""
    article = publish("Unprocessed")
    dead_letters.record(
        dead_letters.write("process_new_article", "t1", [article.id], {}, OSError("<b>disk</b>"), "request-7")
    )
    return db.read(lambda session: dead_letters.newest(session, after=None, limit=1))[0]


def found(user_id: int) -> User:
    """The user in the database."""
    return db.read(lambda session: session.get_one(User, user_id))


def test_only_administrators_have_access(
    client: FlaskClient, reader: FlaskClient, user: User, failed_task: FailedTask
) -> None:
    posts = [
        f"/admin/users/{user.id}/promote",
        f"/admin/tasks/{failed_task.id}/requeue",
        f"/admin/tasks/{failed_task.id}/discard",
    ]
    posts += ["/admin/tasks/requeue", "/admin/cache/empty", "/admin/articles/1/delete"]
    for path in (*PAGES, "/admin/articles/1/delete"):
        assert client.get(path).headers["Location"].startswith("/auth/login?next="), path
        assert reader.get(path).status_code == 403, path
    for path in posts:
        assert client.post(path).status_code == 400, path
        assert press(reader, path).status_code == 403, path
    assert not found(user.id).is_admin
    assert db.read(dead_letters.waiting) == db.read(articles.count) == 1


def test_every_change_needs_a_csrf_token(administrator: FlaskClient, user: User, failed_task: FailedTask) -> None:
    for path in (
        f"/admin/users/{user.id}/deactivate",
        f"/admin/tasks/{failed_task.id}/discard",
        "/admin/tasks/requeue",
        "/admin/cache/empty",
    ):
        assert administrator.post(path, data={"csrf_token": "forged"}).status_code == 400, path
        assert administrator.get(path).status_code in {404, 405}, path
    assert administrator.post("/admin/articles/1/delete").status_code == 400
    assert found(user.id).is_active
    assert db.read(dead_letters.waiting) == db.read(articles.count) == 1


def test_every_page_works_and_is_not_cached(administrator: FlaskClient, failed_task: FailedTask) -> None:
    assert failed_task
    for path in (*PAGES, "/admin/articles/1/delete"):
        response = administrator.get(path)
        assert response.status_code == 200, path
        assert response.headers["Cache-Control"] == "private, no-store", path
        assert not re.search(r"<script|\sstyle=|\son\w+=", response.text), path


def test_users_are_found_by_part_of_their_address(administrator: FlaskClient, user: User) -> None:
    assert user.email in administrator.get("/admin/users").text
    for query, expected in (("ADA@", True), ("news", True), ("bob", False), ("%", False), ("_", False)):
        page = administrator.get("/admin/users", query_string={"q": query}).text
        assert (user.email in page.partition("<h1>")[2]) is expected, query
    for query in ("a\0b", "x" * 255):
        assert administrator.get("/admin/users", query_string={"q": query}).status_code == 422


def test_every_page_of_a_list_needs_the_same_number_of_queries(
    administrator: FlaskClient, publish: Publish, user: User
) -> None:
    def fill(session: Any) -> None:
        for number in range(51):
            session.add(User(email=f"u{number:02}@many.example", name="Many", password_hash="x"))
            articles.create(session, author_id=user.id, title=f"Number {number:02}", content="x")
            session.add(FailedTask(task_id=str(number), task=f"task-{number:02}", arguments=[], error="x"))

    publish()
    lists = {
        "/admin/users?q=many": ("u00@", "u01@"),
        "/admin/articles?q=number": ("Number 00", "Number 01"),
        "/admin/tasks": ("task-00", "task-01"),
    }
    counts = []
    for path in lists:
        with queries() as seen:
            administrator.get(path)
        counts.append(len(seen))
    db.write(fill)
    tokens = {}
    for path, (last, last_but_one) in lists.items():
        with queries() as seen:
            page = administrator.get(path).text
        assert len(seen) == counts.pop(0), path
        assert last not in page
        assert last_but_one in page
        link = re.search(r'href="([^"]+)" rel="next"', page)
        assert link, path
        second = administrator.get(link[1].replace("&amp;", "&")).text
        assert last in second
        assert last_but_one not in second
        tokens[path] = link[1].partition("after=")[2].partition("&")[0]
    for path in lists:
        for other, token in tokens.items():
            response = administrator.get(path + ("&" if "?" in path else "?") + f"after={token}")
            assert response.status_code == (200 if path == other else 404), (path, other)


def test_a_user_is_deactivated_and_activated_again(
    administrator: FlaskClient, reader: FlaskClient, user: User, root: User, log: list[dict[str, Any]]
) -> None:
    response = press(administrator, f"/admin/users/{user.id}/deactivate?q=ada")
    assert response.headers["Location"] == "/admin/users?q=ada"
    assert f"{user.email} is logged out everywhere" in administrator.get("/admin/users").text
    assert reader.get("/account").status_code == 302
    assert found(user.id).session_epoch == 1
    press(administrator, f"/admin/users/{user.id}/activate")
    assert found(user.id).is_active
    assert found(user.id).session_epoch == 2
    entries = [{key: entry[key] for key in ("event", "action", "by", "user")} for entry in log]
    assert entries == [
        {"event": "administrator", "action": "deactivate", "by": root.id, "user": user.id},
        {"event": "administrator", "action": "activate", "by": root.id, "user": user.id},
    ]


def test_administrator_rights_are_given_and_removed(administrator: FlaskClient, user: User) -> None:
    press(administrator, f"/admin/users/{user.id}/promote")
    assert (found(user.id).is_admin, found(user.id).session_epoch) == (True, 1)
    press(administrator, f"/admin/users/{user.id}/demote")
    assert (found(user.id).is_admin, found(user.id).session_epoch) == (False, 2)


def test_administrators_cannot_change_their_own_rights(
    administrator: FlaskClient, root: User, log: list[dict[str, Any]]
) -> None:
    for change in ("deactivate", "demote", "promote"):
        assert press(administrator, f"/admin/users/{root.id}/{change}").status_code == 403
    page = administrator.get("/admin/users").text
    assert f"/admin/users/{root.id}/" not in page
    with pytest.raises(AdministrationError):
        db.write(lambda session: administration.change_user(session, root.id, by=root.id, is_admin=False))
    assert (found(root.id).is_admin, found(root.id).session_epoch, log) == (True, 0, [])


def test_changing_a_missing_object_is_a_404(administrator: FlaskClient, log: list[dict[str, Any]]) -> None:
    paths = (
        "users/999/promote",
        "users/1/destroy",
        "tasks/999/requeue",
        "tasks/999/discard",
        "articles/999/delete",
        "tasks/0/discard",
    )
    for path in paths:
        assert press(administrator, f"/admin/{path}").status_code == 404, path
    assert log == []


def test_any_article_is_deleted_after_a_confirmation(
    administrator: FlaskClient, client: FlaskClient, publish: Publish, root: User, log: list[dict[str, Any]]
) -> None:
    article = publish("Libel <i>")
    client.get("/")
    assert "Libel &lt;i&gt;</a>" in administrator.get("/admin/articles?q=libel").text
    assert "Libel" not in administrator.get("/admin/articles?q=praise").text
    path = f"/admin/articles/{article.id}/delete"
    assert "Delete this article?" in administrator.get(path).text
    assert client.get(f"/articles/{article.id}").status_code == 200
    assert press(administrator, path).headers["Location"] == "/admin/articles"
    assert client.get(f"/articles/{article.id}").status_code == 404
    assert "Libel" not in client.get("/").text
    assert [(entry["action"], entry["by"], entry["article"]) for entry in log] == [
        ("delete article", root.id, article.id)
    ]


def test_a_failed_task_is_shown_and_sent_again(
    administrator: FlaskClient, failed_task: FailedTask, log: list[dict[str, Any]]
) -> None:
    page = administrator.get("/admin/tasks").text
    for part in ("process_new_article(1)", "OSError: &lt;b&gt;disk&lt;/b&gt;", "request-7"):
        assert part in page
    assert press(administrator, f"/admin/tasks/{failed_task.id}/requeue").status_code == 302
    page = administrator.get("/admin/tasks").text
    assert "The task is sent again." in page
    assert "Sent again <time" in page
    assert f"/admin/tasks/{failed_task.id}/requeue" not in page
    article = db.read(lambda session: session.get_one(Article, 1))
    assert article.processed_at, "the task must have run"
    assert press(administrator, f"/admin/tasks/{failed_task.id}/requeue").status_code == 404
    assert db.read(dead_letters.waiting) == 0
    assert [entry["action"] for entry in log] == ["requeue task"]


def test_all_failed_tasks_are_sent_again_except_unknown_ones(
    administrator: FlaskClient, failed_task: FailedTask
) -> None:
    assert failed_task
    dead_letters.record(dead_letters.write("of_another_release", "t2", [], {}, OSError("gone")))
    assert press(administrator, "/admin/tasks/requeue").status_code == 302
    page = administrator.get("/admin/tasks").text
    assert "Tasks sent again: 1. Not all: this release has no task of_another_release." in page
    assert db.read(dead_letters.waiting) == 1
    press(administrator, "/admin/tasks/2/requeue")
    assert "Not sent: this release has no task" in administrator.get("/admin/tasks").text


def test_a_failed_task_is_discarded(
    administrator: FlaskClient, failed_task: FailedTask, log: list[dict[str, Any]]
) -> None:
    assert press(administrator, f"/admin/tasks/{failed_task.id}/discard").status_code == 302
    page = administrator.get("/admin/tasks").text
    assert "The task is discarded." in page
    assert "No task has failed." in page
    assert press(administrator, f"/admin/tasks/{failed_task.id}/discard").status_code == 404
    assert [entry["action"] for entry in log] == ["discard task"]


def test_the_length_of_the_queue_is_shown(
    administrator: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.extensions["store"], "queue_length", lambda queue: {"default": 1234}[queue])
    assert "1,234 tasks wait for a worker now." in administrator.get("/admin/tasks").text
