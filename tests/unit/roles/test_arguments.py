"""Commands that show a secret in the list of processes."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.arguments import shown, warnings, without_addresses


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("rq worker --url $REDIS_URL letters", [("rq", "REDIS_URL")]),
        ('exec venv/bin/rq worker -u "${RQ_REDIS_URL:-x}"', [("rq", "RQ_REDIS_URL")]),
        ("flask seed && psql $DATABASE_URL -f x.sql", [("psql", "DATABASE_URL")]),
        ("celery -A shop -b $CELERY_BROKER_URL flower", [("flower", "CELERY_BROKER_URL")]),
        ("sh -c 'flask user --password=$ADMIN_PASSWORD'", [("flask", "ADMIN_PASSWORD")]),
        ("python -m shop --key $SECRET_KEY", [("shop", "SECRET_KEY")]),
        ("rq worker letters", []),
        ("RQ_REDIS_URL=$REDIS_URL rq worker", []),
        ('export X=$REDIS_URL; [ -n "$SECRET_KEY" ] && rq worker', []),
        ("python -m shop.listener --site $SITE_URL --keys $KEYS_FOLDER --workers $COUNT", []),
        ("an open quote '", []),
    ],
)
def test_secrets_in_the_arguments_of_a_program_are_found(line: str, found: list[tuple[str, str]]) -> None:
    assert list(shown(line)) == found


@pytest.mark.parametrize(
    ("line", "rest"),
    [
        ("rq worker --url $REDIS_URL letters", "rq worker letters"),
        ('flask x && rq worker high -u "${REDISTOGO_URL}"', "flask x && rq worker high"),
        ("rqscheduler --url=$REDIS_URL -i 5", "rqscheduler -i 5"),
        ("celery -A shop --broker=$REDIS_URL flower --port=5555", "celery -A shop flower --port=5555"),
        ("rq worker -u redis://localhost", "rq worker"),
        ("celery -A shop -b 'amqp://me:x@rabbit:5672/shop' worker", "celery -A shop worker"),
        ("rq worker -u redis://queue.example.org", "rq worker -u redis://queue.example.org"),
        ("other -u $REDIS_URL", "other -u $REDIS_URL"),
        ("rq worker; other -u $REDIS_URL", "rq worker; other -u $REDIS_URL"),
    ],
)
def test_addresses_that_a_tool_reads_itself_are_left_out(line: str, rest: str) -> None:
    assert without_addresses(line) == rest


@pytest.mark.parametrize(
    ("values", "begin", "end"),
    [
        (
            {"app_processes": {"w": {"command": "rq worker -u $REDIS_URL"}}},
            "app_processes.w.command passes $REDIS_URL as an argument of rq, so the process list, ",
            "show the secret; remove --url, because it reads RQ_REDIS_URL.",
        ),
        (
            {"app_release_command": "load $DATABASE_URL"},
            "app_release_command passes $DATABASE_URL as an argument of load, ",
            "let load read it from its environment.",
        ),
        (
            {"app_setup_commands": [{"command": "flask user s3cret-of-kim"}]},
            "app_setup_commands.0.command contains vault_kim, ",
            "let the program read that.",
        ),
    ],
)
def test_a_command_with_a_secret_is_warned_about_by_name(values: dict[str, Any], begin: str, end: str) -> None:
    (sentence,) = warnings(values, {"vault_kim": "s3cret-of-kim", "vault_short": "a"})
    assert sentence.startswith(begin)
    assert sentence.endswith(end)
    assert "s3cret" not in sentence
