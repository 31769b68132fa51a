"""Patroni reads each error of Debian's etcd. The answers were recorded from etcd 3.5.16."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.roles.modules import ROLES, load

program = load(ROLES / "postgres/files/patroni_etcd_errors.py")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"error": {"code": 14, "message": "error reading from server: EOF"}}, 14),
        ({"error": {"code": 2, "message": "not a primary lessor"}}, 14),
        ({"error": {"grpc_code": 2, "http_code": 500, "message": "not a primary lessor"}}, 14),
        ({"error": {"grpc_code": 5, "message": "etcdserver: requested lease not found"}}, 5),
        ({"error": {"code": 2, "message": "something else"}}, 2),
    ],
)
def test_an_error_of_a_stream_has_the_code_that_patroni_expects(answer: dict[str, Any], code: int) -> None:
    assert program.with_grpc_code(answer)["error"] == {**answer["error"], "grpc_code": code}


@pytest.mark.parametrize("answer", [{"error": "lost", "code": 14}, {"message": "lost", "code": 14}, "no JSON", None])
def test_other_answers_are_left_alone(answer: Any) -> None:
    assert program.with_grpc_code(answer) == answer


def test_patroni_gets_the_answer_with_the_code() -> None:
    seen: list[Any] = []
    etcd3 = SimpleNamespace(_raise_for_data=lambda *arguments: seen.append(arguments))
    program.understand_errors(etcd3)
    etcd3._raise_for_data({"error": {"code": 14}}, 503)
    assert seen == [({"error": {"code": 14, "grpc_code": 14}}, 503)]
