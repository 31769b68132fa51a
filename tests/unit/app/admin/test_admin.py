import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.database.models import Article, FailedTask, User
from app.extensions import db
from app.jobs import dead_letters
from app.news import articles
from tests.unit.app.admin.conftest import press
from tests.unit.app.conftest import Publish, check_page_tokens, following, queries, stored

PAGES = ("/admin/", "/admin/users", "/admin/articles", "/admin/tasks", "/admin/cache", "/admin/articles/1/delete")
BUTTONS = (
    "/admin/users/1/promote",
    "/admin/tasks/1/requeue",
    "/admin/tasks/1/discard",
    "/admin/tasks/requeue",
    "/admin/cache/empty",
)


@pytest.fixture
def failed_task(publish: Publish) -> FailedTask:
    """A task that has failed."""
    article = publish("Unprocessed")
    dead_letters.record(
        dead_letters.write("process_new_article", "t1", [article.id], {}, OSError("<b>disk</b>"), "request-7")
    )
    return db.read(lambda session: dead_letters.newest(session, after=None, limit=1))[0]


def test_only_administrators_have_access(
    client: FlaskClient, reader: FlaskClient, user: User, failed_task: FailedTask
) -> None:
    assert user.id == failed_task.id == 1
    for path in PAGES:
        assert client.get(path).headers["Location"].startswith("/auth/login?next="), path
        assert reader.get(path).status_code == 403, path
    for path in (*BUTTONS, "/admin/articles/1/delete"):
        assert client.post(path).status_code == 400, path
        assert press(reader, path).status_code == 403, path
    assert not stored(User, 1).is_admin
    assert db.read(dead_letters.waiting) == db.read(articles.count) == 1


def test_every_change_needs_a_csrf_token(user: User, failed_task: FailedTask, administrator: FlaskClient) -> None:
    assert user.id == failed_task.id == 1
    for path in BUTTONS:
        assert administrator.post(path, data={"csrf_token": "forged"}).status_code == 400, path
        assert administrator.get(path).status_code in {404, 405}, path
    assert administrator.post("/admin/articles/1/delete").status_code == 400
    assert not stored(User, 1).is_admin
    assert db.read(dead_letters.waiting) == db.read(articles.count) == 1


@pytest.mark.usefixtures("failed_task")
def test_every_page_works_and_is_not_cached(administrator: FlaskClient) -> None:
    for path in PAGES:
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
    counts = {}
    for path in lists:
        with queries() as seen:
            administrator.get(path)
        counts[path] = len(seen)
    db.write(fill)
    for path, (last, last_but_one) in lists.items():
        with queries() as seen:
            page = administrator.get(path).text
        assert len(seen) == counts[path], path
        assert last not in page
        assert last_but_one in page
        second = administrator.get(following(page)).text
        assert last in second
        assert last_but_one not in second
    check_page_tokens(administrator, lists)


def test_a_user_is_deactivated_and_activated_again(
    administrator: FlaskClient, reader: FlaskClient, user: User, root: User, log: list[dict[str, Any]]
) -> None:
    response = press(administrator, f"/admin/users/{user.id}/deactivate?q=ada")
    assert response.headers["Location"] == "/admin/users?q=ada"
    assert f"{user.email} is logged out everywhere" in administrator.get("/admin/users").text
    assert reader.get("/account").status_code == 302
    assert stored(User, user.id).session_epoch == 1
    press(administrator, f"/admin/users/{user.id}/activate")
    assert stored(User, user.id).is_active
    assert stored(User, user.id).session_epoch == 2
    entries = [{key: entry[key] for key in ("event", "action", "by", "user")} for entry in log]
    assert entries == [
        {"event": "administrator", "action": "deactivate", "by": root.id, "user": user.id},
        {"event": "administrator", "action": "activate", "by": root.id, "user": user.id},
    ]


def test_administrator_rights_are_given_and_removed(administrator: FlaskClient, user: User) -> None:
    for button, is_admin, epoch in (("promote", True, 1), ("demote", False, 2)):
        press(administrator, f"/admin/users/{user.id}/{button}")
        changed = stored(User, user.id)
        assert (changed.is_admin, changed.session_epoch) == (is_admin, epoch)


def test_administrators_cannot_change_their_own_rights(
    administrator: FlaskClient, root: User, log: list[dict[str, Any]]
) -> None:
    for change in ("deactivate", "demote", "promote"):
        assert press(administrator, f"/admin/users/{root.id}/{change}").status_code == 403
    assert f"/admin/users/{root.id}/" not in administrator.get("/admin/users").text
    unchanged = stored(User, root.id)
    assert (unchanged.is_admin, unchanged.session_epoch, log) == (True, 0, [])


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
    assert stored(Article, 1).processed_at, "the task must have run"
    assert press(administrator, f"/admin/tasks/{failed_task.id}/requeue").status_code == 404
    assert db.read(dead_letters.waiting) == 0
    assert [entry["action"] for entry in log] == ["requeue task"]


@pytest.mark.usefixtures("failed_task")
def test_all_failed_tasks_are_sent_again_except_unknown_ones(administrator: FlaskClient) -> None:
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
