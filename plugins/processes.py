"""The processes and timers of an application (app_processes, app_timers): their defaults, and mistakes in them."""

import re
import shutil
import signal
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

PROCESS: dict[str, Any] = {
    "command": "",
    "count": 1,
    "group": "workers",
    "stop_signal": "SIGTERM",
    "stop_timeout": 60,
    "environment": {},
}
TIMER: dict[str, Any] = {"command": "", "schedule": "", "timeout": 3600}
# Systemd's units are called app-NAME@.service and app-timer-NAME.service.
NAME = re.compile(r"(?!timer-)[A-Za-z][A-Za-z0-9_-]{0,40}")
RESERVED = {"web": "it is gunicorn; set app_module", "release": "set app_release_command"}
# Options of `rq worker` without a value.
RQ_FLAGS = {"-b", "--burst", "-v", "--verbose", "-q", "--quiet", "-s", "--with-scheduler"}
ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SIGNALS = {member.name for member in signal.Signals}
VARIABLES = ("app_processes", "app_timers")
# The hosts of these groups have the release.
HOSTS = ("app", "workers")
SEE = "see docs/your-application.md"


def processes_of(processes: Mapping[str, Mapping[str, Any]], groups: Collection[str]) -> list[dict[str, Any]]:
    """Return the processes that run on a host of these groups, each with its name and every key."""
    found = [PROCESS | dict(process) | {"name": name} for name, process in processes.items()]
    return [process | {"count": int(process["count"])} for process in found if process["group"] in groups]


def queues_of(command: str) -> list[str]:
    """The lists in Redis that a worker reads, if it is one of RQ, Celery or dramatiq."""
    words = command.split()
    programs = [word.rpartition("/")[2] for word in words]
    if "rq" in programs and "worker" in programs[programs.index("rq") :]:
        names, skipped = [], False
        for word in words[words.index("worker") + 1 :]:
            if not skipped and not word.startswith("-"):
                names.append(word)
            skipped = word.startswith("-") and "=" not in word and word not in RQ_FLAGS
        return [f"rq:queue:{name}" for name in names or ["default"]]
    if "celery" in programs and "worker" in programs:
        found = re.search(r"(?:-Q|--queues)[ =]?(\S+)", command)
        return found[1].split(",") if found else ["celery"]
    if "dramatiq" in programs:
        return ["dramatiq:default"]
    return []


def queues(processes: Mapping[str, Mapping[str, Any]], celery: str, celery_queues: Sequence[str] = ()) -> list[str]:
    """The lists in Redis that the workers of an application read."""
    found = list(celery_queues or ["celery"]) if celery else []
    for process in processes.values():
        found += queues_of(str(process.get("command", "")))
    return list(dict.fromkeys(found))


def timers_of(given: Mapping[str, Mapping[str, Any]], workers: Any, groups: Collection[str]) -> list[dict[str, Any]]:
    """The timers of a host of these groups. They are on the workers, or without workers on the application hosts."""
    return timers(given) if ("workers" if workers else "app") in groups else []


def timers(given: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the timers, each with its name and every key."""
    return [TIMER | dict(timer) | {"name": name} for name, timer in given.items()]


def quoted(command: str) -> str:
    """A command of a shell as a word of a unit file, where ExecStart begins with a colon ("$" has no meaning there)."""
    for character, escaped in {"\\": "\\\\", '"': '\\"', "%": "%%", "\n": "\\n", "\t": "\\t"}.items():
        command = command.replace(character, escaped)
    return f'"{command}"'


def wrong(values: Mapping[str, Any], groups: Mapping[str, Collection[str]]) -> list[str]:
    """A sentence for each mistake in the variables of VARIABLES."""
    return wrong_processes(values.get("app_processes", {}), groups) + wrong_timers(values.get("app_timers", {}))


def wrong_processes(given: Any, groups: Mapping[str, Collection[str]]) -> list[str]:
    """A sentence for each mistake in app_processes."""
    found = []
    for where, process, failure in entries("app_processes", given, PROCESS):
        found += [failure] if failure else wrong_process(where, PROCESS | dict(process), groups)
    return found


def wrong_process(where: str, process: Mapping[str, Any], groups: Mapping[str, Collection[str]]) -> list[str]:
    """A sentence for each mistake in a process."""
    found = wrong_command(where, process)
    count, seconds, stop = process["count"], process["stop_timeout"], process["stop_signal"]
    if not whole(count):
        found.append(f"{where}.count = {count!r} is not a whole number of at least 0; write it without quotes.")
    if not whole(seconds):
        found.append(f"{where}.stop_timeout = {seconds!r} is not a number of seconds; write it like 60.")
    if stop not in SIGNALS:
        found.append(f"{where}.stop_signal = {stop} is not a signal; use a name such as SIGTERM or SIGINT.")
    members = groups.get(str(process["group"]), [])
    without = sorted({*members} - {host for group in HOSTS for host in groups.get(group, [])})
    if not members:
        found.append(f"{where}.group = {process['group']} has no host; add one to it, or set group to app or workers.")
    elif without:
        found.append(
            f"{where}.group = {process['group']} has hosts without the application ({', '.join(without)}); add them to "
            "the group workers, or set another group."
        )
    environment = process["environment"]
    if not isinstance(environment, Mapping):
        found.append(f"{where}.environment = {environment!r} is not a dictionary; write it as {{NAME: value}}.")
    elif names := [str(name) for name in environment if not ENVIRONMENT_NAME.fullmatch(str(name))]:
        found.append(f"{where}.environment: {names[0]!r} is not the name of a variable; use letters, digits and _.")
    return found


def wrong_timers(given: Any) -> list[str]:
    """A sentence for each mistake in app_timers."""
    found = []
    for where, entry, failure in entries("app_timers", given, TIMER):
        if failure:
            found.append(failure)
            continue
        timer = TIMER | dict(entry)
        found += wrong_command(where, timer)
        if not timer["schedule"]:
            found.append(f"{where} has no schedule; set one such as '*-*-* 03:00' or hourly.")
        elif refused_schedule(str(timer["schedule"])):
            found.append(
                f"{where}.schedule = {timer['schedule']!r} is not a calendar expression of systemd; write one like "
                "'*-*-* 03:00', and check it with `systemd-analyze calendar`."
            )
        if not whole(timer["timeout"]) or not timer["timeout"]:
            found.append(f"{where}.timeout = {timer['timeout']!r} is not a number of seconds; write it like 3600.")
    return found


def entries(variable: str, given: Any, known: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """Yield the place of each entry, the entry, and a sentence if it cannot be read."""
    if not isinstance(given, Mapping):
        yield variable, {}, f"{variable} = {given!r} is not a dictionary of names; {SEE}."
        return
    for name, entry in given.items():
        where, failure = f"{variable}.{name}", ""
        if not NAME.fullmatch(str(name)):
            failure = (
                f"{variable}: {name!r} is not a valid name; use letters, digits, - and _, begin with a letter, and not "
                "with timer-."
            )
        elif variable == "app_processes" and name in RESERVED:
            failure = f"{where} cannot be a process: {RESERVED[name]}."
        elif not isinstance(entry, Mapping):
            failure = f"{where} = {entry!r} is not a dictionary; write it as {{command: …}}."
        elif unknown := sorted(map(str, entry.keys() - known.keys())):
            failure = f"{where} has the unknown key {', '.join(unknown)}; known are {', '.join(known)}."
        yield where, {} if failure else entry, failure


def wrong_command(where: str, entry: Mapping[str, Any]) -> list[str]:
    """A sentence if an entry has no command."""
    command = entry.get("command")
    if isinstance(command, str) and command.strip():
        return []
    return [f"{where} has no command; set command to what a shell would run, such as 'python -m shop.listener'."]


def whole(value: Any) -> bool:
    """Whether a value is a whole number of at least 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def refused_schedule(schedule: str) -> bool:
    """Whether systemd refuses a calendar expression. A machine without systemd refuses none."""
    program = shutil.which("systemd-analyze")
    if not program:
        return False
    return subprocess.run([program, "calendar", "--", schedule], capture_output=True, check=False).returncode != 0
