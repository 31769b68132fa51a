"""The last lines of `make up`."""

from typing import Any

import pytest

from tests.unit.roles.json_server import answering
from tests.unit.tools.fleet_views import HEALTHY, HOSTS
from tools.fleet import summary

ADMIN = {"app_admin_email": "admin@news.test"}
SETUP = {"app_setup_commands": [{"command": "flask users create admin@news.test"}]}


@pytest.mark.parametrize(
    ("variables", "lines"),
    [
        ({}, []),
        (
            ADMIN | SETUP,
            ["The site    log in as admin@news.test, password: make secret NAME=app_admin_password FLEET=a"],
        ),
        # Left over from the application that ran before.
        (ADMIN, []),
        (ADMIN | {"app_setup_commands": [{"command": "flask seed"}]}, []),
        ({"app_mail_url": "smtps://me@mail.example.org"}, []),
        ({"app_mail_url": "smtp://10.77.0.1:1025"}, ["E-mails     make mail FLEET=a "]),
    ],
)
def test_log_ins_are_those_of_the_application_that_runs(variables: dict[str, Any], lines: list[str]) -> None:
    found = summary.log_ins(variables.get, " FLEET=a")
    assert [line.split(" " * 12)[0].rstrip() for line in found] == [line.rstrip() for line in lines]


@pytest.mark.parametrize(("status", "reported"), [(404, True), (302, False), (200, False)])
def test_a_wrong_guess_of_the_health_path_is_reported(status: int, reported: bool) -> None:
    view = HEALTHY | {"app1": HEALTHY["app1"] | {"health": ["/healthz", status]}, "db2": {}}
    found = summary.wrong_guesses(HOSTS, view)
    assert [line.split(" (app_health_path)")[0] for line in found] == ["app1 has no page /healthz"] * reported


@pytest.mark.parametrize(("status", "up"), [(200, True), (302, True), (401, True), (500, False), (502, False)])
def test_a_site_answers_unless_it_reports_an_error_of_the_server(status: int, up: bool) -> None:
    with answering(lambda _: (status, {})) as port:
        assert summary.responds(f"http://127.0.0.1:{port}/") is up
