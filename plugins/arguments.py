"""Secrets that the application's commands pass as an argument, which every list of processes shows."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tools.project.commands import Command, program, settings

VARIABLES = (
    "app_processes",
    "app_timers",
    "app_release_command",
    "app_migrate_command",
    "app_migrate_status_command",
    "app_migrate_sql_command",
    "app_setup_commands",
)
SERVERS = r"DATABASE|DB|SQL\w*|PG\w*|POSTGRES\w*|REDIS\w*|BROKER|BACKEND|CACHE|STORE|SENTINEL|MAIL|SMTP|AMQP|CELERY"
SECRET = re.compile(
    rf"\$\{{?((?:\w*_)?(?:(?:{SERVERS})_(?:\w+_)?(?:URL|URI|DSN)|(?:BROKER|BACKEND|DSN)|"
    r"(?:PASS|PASSWORD|PASSWD|SECRET|TOKEN|KEY)(?:_\w+)?))\b"
)
# What these do with their words happens inside of the shell.
BUILTINS = frozenset({"export", "echo", "printf", "test", "[", "[[", ":", "read", "set", "cd", ".", "source", "if"})
# Program → what to do instead. RQ, its scheduler and Celery read these variables themselves; the fleet sets them.
RQ = "remove --url, because it reads RQ_REDIS_URL"
READ_BY = {
    "rq": RQ,
    "rqworker": RQ,
    "rqscheduler": RQ,
    "celery": "remove --broker and --result-backend, because Celery reads CELERY_BROKER_URL and CELERY_RESULT_BACKEND",
    "psql": "remove the address, because psql reads PGHOST and the other variables of libpq, which the fleet sets",
    "flower": "set FLOWER_ and the name of the option in app_environment, because Flower reads that",
}
# A variable, or an address of the developer's machine or of another container there.
STORE = (
    r"""(?:\s+|=)["']?(?:\$\{?(?:\w*REDIS(?:TOGO|CLOUD)?_URL|(?:\w+_)?BROKER(?:_URL)?)\}?"""
    r"""|(?:redis|amqp)s?://(?:[^@/\s"']*@)?(?:127(?:\.\d+){3}|[\w-]+)(?::\d+)?(?:/\w*)?)["']?(?=\s|$)"""
)
GIVEN = re.compile(
    rf"(?P<program>\b(?:rq|rqworker|rqscheduler)\b[^;&|]*?)\s(?:-u|--url){STORE}"
    rf"|(?P<celery>\bcelery\b[^;&|]*?)\s(?:-b|--broker){STORE}"
)


def without_addresses(line: str) -> str:
    """Return a command without the addresses of Redis that RQ and Celery read from the environment."""
    return GIVEN.sub(lambda found: found["program"] or found["celery"], line)


def shown(line: str) -> Iterator[tuple[str, str]]:
    """Yield the program and the variable of each secret that a command passes as an argument."""
    for step in Command("", line, "").steps:
        _, words = settings(step)
        name = "flower" if "flower" in words else program(words)
        if name in ("sh", "bash") and "-c" in words[:-1]:
            yield from shown(words[words.index("-c") + 1])
        elif name not in BUILTINS:
            yield from ((name, variable) for word in words[1:] for variable in SECRET.findall(word))


def commands(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the place and the text of each command in the variables of VARIABLES."""
    for variable, value in values.items():
        if isinstance(value, str):
            yield variable, value
        entries = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
        for name, entry in entries:
            if isinstance(entry, Mapping) and isinstance(entry.get("command"), str):
                yield f"{variable}.{name}.command", entry["command"]


def warnings(values: Mapping[str, Any], secrets: Mapping[str, Any]) -> list[str]:
    """A sentence for each command that passes a secret as an argument.

    Args:
        values: The variables of VARIABLES.
        secrets: The inventory's secrets by name. A command may have one of them by a template.
    """
    found = {}
    for where, line in commands(values):
        for name, variable in shown(line):
            fix = READ_BY.get(name, f"let {name} read it from its environment")
            found[where, name] = f"{where} passes ${variable} as an argument of {name}", fix
        for secret, value in secrets.items():
            if isinstance(value, str) and len(value) > 7 and value in line:
                fix = "set a variable in app_environment, and let the program read that"
                found[where, secret] = f"{where} contains {secret}", fix
    return [
        f"{what}, so the process list, `systemctl status` and the journal of its hosts show the secret; {fix}."
        for what, fix in found.values()
    ]
