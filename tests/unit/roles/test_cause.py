"""The line of a program's output that a failed deploy shows as its cause."""

from __future__ import annotations

import pytest

from plugins.callback.fleet_errors import sentence
from plugins.filter.cause import first_cause, last_lines

CHAINED = """
Traceback (most recent call last):
  File "/opt/shop/pool.py", line 146, in __init__
    self._dbapi_connection = engine.raw_connection()
psycopg2.OperationalError: connection to server at "10.0.0.41", port 5432 failed: FATAL: no such user
\tIs the server running?

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/opt/shop/venv/bin/flask", line 8, in <module>
    sys.exit(main())
sqlalchemy.exc.OperationalError: (psycopg2.OperationalError) connection to server at "10.0.0.41", port 5432 failed: \
FATAL: no such user
(Background on this error at: https://sqlalche.me/e/20/e3q8)
"""
CHAINED_CAUSE = 'psycopg2.OperationalError: connection to server at "10.0.0.41", port 5432 failed: FATAL: no such user'
HIDDEN = """
Traceback (most recent call last):
  File "config.py", line 3, in <module>
    KEY = os.environ["STRIPE_KEY"]
          ~~~~~~~~~~^^^^^^^^^^^^^^
KeyError: 'STRIPE_KEY'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "config.py", line 5, in <module>
RuntimeError: set STRIPE_KEY.
"""
GUNICORN = """
[2026-11-29 16:00:00 +0000] [41] [ERROR] Exception in worker process
Traceback (most recent call last):
  File "/opt/shop/releases/r1/source/wsgi.py", line 1, in <module>
    import nowhere
ModuleNotFoundError: No module named 'nowhere'
[2026-11-29 16:00:00 +0000] [41] [INFO] Worker exiting (pid: 41)
Traceback (most recent call last):
  File "/opt/shop/venv/bin/gunicorn", line 8, in <module>
    sys.exit(run())
gunicorn.errors.HaltServer: <HaltServer 'Worker failed to boot.' 3>
"""
LIST = """
Traceback (most recent call last):
  File "/opt/shop/app/config.py", line 61, in load
    raise ConfigurationError(problems)
app.config.ConfigurationError: the configuration is not valid. Correct these environment variables:
  - SITE_URL must be like https://news.example, without a path, not 'https:'
"""
LIST_CAUSE = (
    "app.config.ConfigurationError: the configuration is not valid. Correct these environment variables: "
    "SITE_URL must be like https://news.example, without a path, not 'https:'"
)


@pytest.mark.parametrize(
    ("output", "line"),
    [
        (CHAINED, CHAINED_CAUSE),
        (LIST, LIST_CAUSE),
        (f"{LIST.splitlines()[1]}\nValueError: no value:\n", "ValueError: no value:"),
        (HIDDEN, "KeyError: 'STRIPE_KEY' (then RuntimeError: set STRIPE_KEY.)"),
        (GUNICORN, "ModuleNotFoundError: No module named 'nowhere'"),
        ("Usage: flask [OPTIONS]\nTry 'flask --help'\n\nError: No such command 'db'.", "No such command 'db'"),
        ("something\nwent wrong", "went wrong"),
        ("", "it printed nothing"),
    ],
)
def test_the_cause_is_the_first_line_of_the_real_error(output: str, line: str) -> None:
    assert first_cause(output) == line


def test_a_log_without_an_error_has_no_cause() -> None:
    assert first_cause("Started app.service\nListening at: fd://3\n", default="") == ""
    assert first_cause(GUNICORN, default="").startswith("ModuleNotFoundError")


def test_secrets_are_masked() -> None:
    variables = {"STRIPE_KEY": "sk_live_1234", "APP_DOMAIN": "shop.test", "DB_PASSWORD": "x"}
    text = "RuntimeError: shop.test refuses sk_live_1234 of postgresql+psycopg2://shop:hunter22@/shop?host=db1"
    expected = "RuntimeError: shop.test refuses *** of postgresql+psycopg2://***@/shop?host=db1"
    assert first_cause(text, variables) == expected
    assert last_lines(f"a\n\n  {text}\n", 2, variables) == f"a | {expected}"


@pytest.mark.parametrize(
    ("action", "result", "text"),
    [
        ("ansible.builtin.fail", {"msg": "Release r1 was refused."}, "Release r1 was refused."),
        (
            "ansible.builtin.command",
            {"msg": "non-zero return code", "rc": 1, "stderr": CHAINED},
            f'db1 failed at "Do it": {CHAINED_CAUSE}',
        ),
        ("ansible.builtin.command", {"censored": "hidden by no_log"}, 'db1 failed at "Do it": hidden by no_log'),
        (
            "ansible.builtin.apt",
            {"msg": "One or more items failed", "results": [{"failed": True, "item": "nginx", "msg": "no package"}]},
            'db1 failed at "Do it": nginx: no package',
        ),
    ],
)
def test_a_run_ends_with_the_cause_of_its_failure(action: str, result: dict[str, object], text: str) -> None:
    assert sentence("db1", "Do it", action, result) == text
